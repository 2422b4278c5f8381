"""Decode the example frames with every decoder, and read the example page and line of handwriting."""

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
    NGram,
    PrefixSearch,
    WordBeamSearch,
    cer,
    log_probability,
)

FOLDER = Path(__file__).parent
REPEATS = 50


def main() -> None:
    decode_frames()
    read_handwriting()


def decode_frames() -> None:
    """Every decoder on frames that were made up."""
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


def read_handwriting() -> None:
    """The network that comes with the package, on pictures in fonts that it never saw, with and without help."""
    from pydoc_data.topics import topics  # English that every Python brings along
    from textwrap import wrap

    from fastctc.htr.plotting import draw_overlay
    from fastctc.htr.reader import Reader
    from fastctc.imaging import images

    folder = FOLDER / "handwriting"
    text = " ".join(" ".join(topics[name] for name in sorted(topics)).split())
    model = NGram.train(wrap(text, 40), order=5, unit="character", sentences=True)  # how lines begin and end counts too
    readers = {"without language model": Reader(), "with a model of characters": Reader(ngram=model)}
    for name, reader in readers.items():
        for picture in ("page.jpg", "line.jpg"):
            truth = (folder / picture).with_suffix(".txt").read_text(encoding="utf-8").rstrip("\n")
            start = perf_counter()
            if picture == "page.jpg":
                found = page = reader.read_page(folder / picture)
            else:
                found = reader.read_lines([folder / picture])[0]
            print(
                f"\n{picture}, {name}: CER {cer(found.text, truth):.1%}, {perf_counter() - start:.2f} s\n{found.text}"
            )
    overlay = Path("demo.png")
    images.save(overlay, draw_overlay(page.layout.image, page.lines))
    print(f"\n{overlay.resolve()} shows the page with what was read; words in red are doubtful.")


if __name__ == "__main__":
    main()
