"""Words of a lexicon: building it, searching it."""

from itertools import pairwise

import numpy as np

from bench import workloads
from fastctc import Lexicon, LexiconSearch


def words(n: int, seed: int = 1) -> list[str]:
    """Different made-up words of 3 to 12 letters, some letters far more frequent than others."""
    rng = np.random.default_rng(seed)
    letters = [chr(c) for c in range(65, 91)]
    weights = 1 / np.arange(1, 27)
    found: dict[str, None] = {}
    while len(found) < n:
        text = "".join(rng.choice(letters, size=20 * n, p=weights / weights.sum()))
        ends = np.cumsum(rng.integers(3, 13, size=2 * n))
        for start, stop in pairwise(ends):
            if stop <= len(text) and len(found) < n:
                found[text[start:stop]] = None
    return list(found)


class LexiconSize:
    """A word image of 32 frames and 80 classes: the frames of a word of the lexicon, some of them unsure."""

    params = ([1_000, 10_000, 100_000], [0.0, 0.9])
    param_names = ("words", "certainty")

    def setup(self, n_words, certainty):
        self.words = words(n_words)
        self.alphabet = workloads.alphabet(80)
        self.decoder = LexiconSearch(Lexicon.from_words(self.words, self.alphabet), certainty=certainty, exact=False)
        self.truths = self.words[:: n_words // 20]
        self.frames = [
            workloads.spelled(self.alphabet.encode(word), 32, 80, seed) for seed, word in enumerate(self.truths)
        ]

    def time_search(self, *_):
        for frames in self.frames:
            self.decoder.decode(frames)

    def time_build(self, *_):
        Lexicon.from_words(self.words, self.alphabet)

    def track_right(self, *_):
        return float(
            np.mean(
                [
                    self.decoder.decode(frames)[0].text == truth
                    for frames, truth in zip(self.frames, self.truths, strict=True)
                ]
            )
        )


LexiconSize.track_right.unit = "share of words"
