"""Make the example frames: what a network that hesitates between similar letters would say of three known texts.

Run from the checkout: ``python examples/make_frames.py``. The same files come out every time.
"""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
CHARACTERS = " '.,-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SIMILAR = ("aou", "ec", "nmu", "rvn", "il", "tf", "hb", "gyq", "dl", "sz", "IJ", "OC", " -", ".,")
TEXTS = {
    "word": "handwriting",
    "line": "The quick brown fox jumps over the lazy dog.",
    "letter": "In the beginning she wrote every day, and later, when the ink ran dry, not at all.",
}


def frames_of(text: str, seed: int) -> np.ndarray:
    """Log probabilities (frames, classes), float32; the blank is the last class."""
    rng = np.random.default_rng(seed)
    blank, rows, previous = len(CHARACTERS), [], ""

    def emit(strengths: dict[int, float]) -> None:
        scores = rng.normal(0.0, 0.8, len(CHARACTERS) + 1)
        for label, strength in strengths.items():
            scores[label] += strength + rng.normal(0.0, 0.5)
        rows.append(scores - np.log(np.exp(scores).sum()))

    for character in text:
        for _ in range(max(int(rng.integers(0, 3)), character == previous)):
            emit({blank: 6.0 + rng.gamma(2.0, 2.0)})
        strengths = {CHARACTERS.index(other): rng.gamma(2.0, 2.2) for g in SIMILAR if character in g for other in g}
        strengths[CHARACTERS.index(character)] = 6.0 + rng.gamma(2.0, 2.0)
        strengths[blank] = rng.gamma(2.0, 1.5)
        for _ in range(int(rng.integers(1, 3))):
            emit(strengths)
        previous = character
    return np.array(rows, dtype=np.float32)


if __name__ == "__main__":
    (FOLDER / "alphabet.txt").write_text(CHARACTERS + "\n", encoding="utf-8")
    for number, (name, text) in enumerate(TEXTS.items(), 8):
        np.save(FOLDER / f"{name}.npy", frames_of(text, number))
        (FOLDER / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
