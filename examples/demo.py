"""Decode the example frames with every decoder: text, log probability, time, and how far it is from the truth."""

from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from fastctc import (
    Alphabet,
    BeamSearch,
    BestPath,
    Lexicon,
    LexiconSearch,
    PrefixSearch,
    WordBeamSearch,
    cer,
    log_probability,
)

FOLDER = Path(__file__).parent
REPEATS = 50


def main() -> None:
    alphabet = Alphabet.load(FOLDER / "alphabet.txt")
    decoders = {
        "best path": BestPath(alphabet),
        "beam search, width 10": BeamSearch(alphabet, 10),
        "beam search, width 100": BeamSearch(alphabet, 100),
        "prefix search, split": PrefixSearch(alphabet, split=0.9),
    }
    words = (FOLDER / "words.txt").read_text(encoding="utf-8").split()
    letters = Alphabet(alphabet.characters, word_characters=[c for c in alphabet.characters if c.isalpha()])
    texts = [file.with_suffix(".txt").read_text(encoding="utf-8") for file in FOLDER.glob("*.npy")]
    known = Lexicon.from_text(" ".join([*texts, *words]), letters)
    decoders[f"word beam search, {len(known)} words"] = WordBeamSearch(known, 100)
    of_one_word = {f"lexicon of {len(words)} words": LexiconSearch(Lexicon.from_words(words, alphabet))}
    for file in sorted(FOLDER.glob("*.npy")):
        frames = np.load(file)
        truth = file.with_suffix(".txt").read_text(encoding="utf-8").rstrip("\n")
        print(f"\n{file.name}: {frames.shape[0]} frames of {frames.shape[1]} classes")
        print(f"{'decoder':26} {'log prob':>9} {'CER':>6} {'time':>9}  text")
        for name, decoder in (decoders | (of_one_word if " " not in truth else {})).items():
            times = []
            for _ in range(REPEATS):
                start = perf_counter()
                best = decoder.decode(frames)[0]
                times.append(perf_counter() - start)
            row = f"{name:26} {best.log_prob:9.3f} {cer(best.text, truth):6.1%} {median(times) * 1e3:6.2f} ms"
            print(f"{row}  {best.text}")
        print(f"{'the truth':26} {log_probability(frames, truth, alphabet):9.3f} {'':16}  {truth}")
    print("\nThe log probabilities are exact: of all paths that read so, not of those that a beam happened to keep.")


if __name__ == "__main__":
    main()
