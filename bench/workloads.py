"""The work that is measured: append only, fixed seeds, so that results of different days can be compared."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastctc import Alphabet, backends

Floats = NDArray[np.float32]

BACKENDS = ["reference", "compiled", "opencl:cpu", "opencl:gpu"]

# Frames and classes: a handwritten line, an utterance, a long sequence.
SIZES = {"100x80": (100, 80), "371x29": (371, 29), "1000x32": (1000, 32)}


def usable(backend: str, name: str) -> None:
    """NotImplementedError, by which asv and the tests skip, with the reason that this backend has no such module."""
    try:
        backends.load(backend, name)
    except (ImportError, LookupError, ValueError) as error:  # ValueError: from before there was such a backend
        raise NotImplementedError(str(error)) from error


def leave_out(benchmark: Any, *values: object) -> None:
    """NotImplementedError where the benchmark takes seconds with these values: asv skips it, the tests do not ask."""
    if benchmark.takes_seconds(*values):
        raise NotImplementedError("it takes seconds, and would tell nothing new")


def alphabet(n_classes: int) -> Alphabet:
    """A blank space, then as many printable characters as there are classes left; the blank is the last class."""
    return Alphabet([" "] + [chr(33 + i) for i in range(n_classes - 2)])


def peaky(n_frames: int, n_classes: int, seed: int = 1, least: float = 0.0) -> Floats:
    """Log probabilities as a trained network makes them: the mean of the frames' maxima is about 0.87.

    A hidden path of characters and blanks; most frames are sure of it, some waver between it and a few rivals. What
    they are sure by is ``least`` or more: 5 makes the mean 0.98, as of networks for speech.
    """
    rng = np.random.default_rng(seed)
    scores = rng.normal(0.0, 2.0, (n_frames, n_classes))
    path = np.full(n_frames, n_classes - 1)
    t = 0
    while t < n_frames:
        length = int(rng.integers(1, 3))
        path[t : t + length] = rng.integers(n_classes - 1)
        t += length + int(rng.integers(0, 3))
    sure = least + rng.gamma(3.0, 4.5, n_frames)
    scores[np.arange(n_frames), path] += sure
    return log_softmax(scores)


def flat(n_frames: int, n_classes: int, seed: int = 1) -> Floats:
    """The same network at more than twice the temperature: unsure of every frame."""
    return log_softmax(peaky(n_frames, n_classes, seed) / 2.5)


def batch(size: int = 64, n_frames: int = 100, n_classes: int = 80) -> Floats:
    """Different lines of equal length."""
    return np.stack([peaky(n_frames, n_classes, seed) for seed in range(1, size + 1)])


def spelled(labels: tuple[int, ...], n_frames: int, n_classes: int, seed: int = 1) -> Floats:
    """The frames of a given word, each label in one frame, as sure and unsure as those of :func:`peaky`."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0.0, 1.5, (n_frames, n_classes))
    path = np.full(n_frames, n_classes - 1)
    path[np.sort(rng.choice(n_frames // 2, len(labels), replace=False)) * 2] = labels
    scores[np.arange(n_frames), path] += 3.0 + rng.gamma(3.0, 3.0, n_frames)
    return log_softmax(scores)


def recording(n_frames: int, n_classes: int = 32, seed: int = 7) -> tuple[Floats, tuple[int, ...], NDArray[np.int64]]:
    """Frames of a spoken text, its labels, where they begin. 8 % of the labels are wrong; the blank is class 0."""
    rng = np.random.default_rng(seed)
    n_labels = int(n_frames * 0.3)
    labels = rng.integers(1, n_classes, n_labels)
    starts = (np.arange(n_labels) * (n_frames / n_labels)).astype(np.int64)
    shown = np.zeros(n_frames, np.int64)
    shown[starts] = np.where(rng.random(n_labels) < 0.08, rng.integers(1, n_classes, n_labels), labels)
    scores = rng.normal(0.0, 1.0, (n_frames, n_classes))
    scores[np.arange(n_frames), shown] += 6.0
    return log_softmax(scores), tuple(labels.tolist()), starts


class Spoken(NamedTuple):
    """A text, and frames in which a speaker says most of it, some of it twice, and something else in between."""

    frames: Floats
    text: str
    starts: NDArray[np.int64]  # (words, 2): first frames of each word where it is said, and where once more; else -1


SPEAKER = Alphabet("abcdefghijklmnopqrstuvwxyz .'", blank=0)  # of what the speaker says


def speaker(
    n_paragraphs: int, seed: int = 3, skipped: float = 0.0, inserted: float = 0.0, repeated: float = 0.0
) -> Spoken:
    """Paragraphs of five to ten sentences, of 20 s or so each in frames of 20 ms; 5 % of the frames are wrong.

    Between sentences there are pauses, and now and then silence or noise of a second or two. Each paragraph of the
    text may be skipped, and each sentence said twice; after each paragraph another may be said that is not in the text.
    """
    rng = np.random.default_rng(seed)
    letters = np.array(list("eeettaaooiinnsshhrrdlucmfwygpbvk"))
    vocabulary = ["".join(rng.choice(letters, int(rng.integers(1, 10)))) for _ in range(4000)]
    path: list[int] = []
    noise: list[tuple[int, int]] = []
    written: list[str] = []
    starts: list[tuple[int, int]] = []

    def say(words: list[str]) -> list[int]:
        begun = []
        for word in words:
            begun.append(len(path) + 1)
            for label in SPEAKER.encode(word + " "):
                path.extend([0] * int(rng.integers(1, 3)))
                begun[-1] = len(path) if len(path) - begun[-1] < 2 else begun[-1]
                path.extend([label] * int(rng.integers(1, 3)))
        length = int(rng.choice([5, 20, 60, 100], p=[0.6, 0.3, 0.07, 0.03]))
        if length > 20 and rng.random() < 0.5:
            noise.append((len(path), len(path) + length))
        path.extend([0] * length)
        return begun

    def sentence() -> list[str]:
        words = rng.choice(vocabulary, int(rng.integers(4, 14))).tolist()
        return [*words[:-1], words[-1] + "."]

    for _ in range(n_paragraphs):
        is_said = rng.random() >= skipped
        for _ in range(int(rng.integers(5, 11))):
            words = sentence()
            written += words
            once = say(words) if is_said else [-1] * len(words)
            twice = say(words) if is_said and rng.random() < repeated else [-1] * len(words)
            starts += zip(once, twice, strict=True)
        if rng.random() < inserted:
            for _ in range(int(rng.integers(5, 11))):
                say(sentence())
    shown = np.array(path)
    wrong = rng.random(len(shown)) < 0.05
    shown[wrong] = rng.integers(0, SPEAKER.n_classes, wrong.sum())
    scores = rng.normal(0.0, 1.0, (len(shown), SPEAKER.n_classes)).astype(np.float32)
    height = np.full(len(shown), 7.0, np.float32)
    for start, stop in noise:
        height[start:stop] = 0.0
    scores[np.arange(len(shown)), shown] += height
    return Spoken(log_softmax(scores), " ".join(written), np.array(starts))


def text(characters: Sequence[str], length: int = 100_000, seed: int = 1) -> str:
    """A text in which every character is mostly followed by one of a few."""
    rng = np.random.default_rng(seed)
    followers = rng.integers(len(characters), size=(len(characters), 4))
    choices = rng.choice(4, size=length, p=[0.5, 0.3, 0.15, 0.05])
    jumps = np.where(rng.random(length) < 0.1, rng.integers(len(characters), size=length), -1)
    found, now = [], 0
    for choice, jump in zip(choices.tolist(), jumps.tolist(), strict=True):
        now = jump if jump >= 0 else int(followers[now, choice])
        found.append(characters[now])
    return "".join(found)


def log_softmax(scores: NDArray[np.floating]) -> Floats:
    scores = scores - scores.max(axis=1, keepdims=True)
    return (scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))).astype(np.float32)


def page(lines):
    """A page of random words, (H, W) uint8, and the boxes of the words."""
    from PIL import Image, ImageDraw, ImageFont

    from fastctc.imaging.segmentation import Box

    rng = np.random.default_rng(0)
    font = ImageFont.load_default(26)
    picture = Image.new("L", (1200, 120 + 52 * lines), 240)
    draw, boxes = ImageDraw.Draw(picture), []
    for number in range(lines):
        x, y = 60, 90 + 52 * number
        while True:
            word = "".join(rng.choice(list("aeinorstlmuhdgpy"), rng.integers(2, 9)))
            if x + font.getlength(word) > 1140:
                break
            draw.text((x, y), word, fill=40, font=font, anchor="ls")
            left, top, right, bottom = font.getbbox(word, anchor="ls")
            boxes.append(Box(int(x + left), int(y + top), int(x + right), int(y + bottom)))
            x += int(font.getlength(word)) + 14
    return np.asarray(picture), boxes
