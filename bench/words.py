"""Words of a lexicon: building it, searching it."""

import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from bench import workloads
from bench.base import DecoderBenchmark
from fastctc import BeamSearch, Lexicon, LexiconSearch, NGram, TokenPassing, WordBeamSearch


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

    peakmem_search = time_search

    def track_wrong(self, *_):
        return float(
            np.mean(
                [
                    self.decoder.decode(frames)[0].text != truth
                    for frames, truth in zip(self.frames, self.truths, strict=True)
                ]
            )
        )

    track_wrong.unit = "share of words"


class Building:
    """A lexicon of so many made-up words."""

    params = ([1_000, 10_000, 100_000],)
    param_names = ("words",)

    def setup(self, n_words):
        self.words = words(n_words)
        self.alphabet = workloads.alphabet(80)

    def time_build(self, *_):
        Lexicon.from_words(self.words, self.alphabet)

    peakmem_build = time_build

    def track_missing(self, *_):
        lexicon = Lexicon.from_words(self.words, self.alphabet)
        return float(np.mean([word not in lexicon for word in self.words]))

    track_missing.unit = "share of words"


class Tolerance(DecoderBenchmark):
    """The approximate search among 100 000 words."""

    params = ([1, 2, 4],)
    param_names = ("tolerance",)

    def setup(self, tolerance):
        made_up = words(100_000)
        alphabet = workloads.alphabet(80)
        self.decode = LexiconSearch(Lexicon.from_words(made_up, alphabet), tolerance=tolerance, exact=False).decode
        self.frames = workloads.spelled(alphabet.encode(made_up[7]), 32, 80)


class Passing(DecoderBenchmark):
    """A line of 100 frames and 80 classes: token passing, with and without bigrams."""

    params = ([1_000, 10_000], [False, True])
    param_names = ("words", "bigrams")

    def setup(self, n_words, bigrams):
        made_up = words(n_words)
        alphabet = workloads.alphabet(80)
        rng = np.random.default_rng(1)
        text = [" ".join(rng.choice(made_up, 10)) for _ in range(n_words // 4)] if bigrams else []
        lm = NGram.train(text, 2, unit="word") if bigrams else None
        self.decode = TokenPassing(Lexicon.from_words(made_up, alphabet), lm=lm, exact=False).decode
        line = " ".join(made_up[:6])[:48]
        self.frames = workloads.spelled(alphabet.encode(line), 100, 80)
        self.decode(self.frames[:2])  # makes the table of the bigrams


class Saved:
    """A lexicon of 100 000 words, mapped from disk."""

    def setup(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "lexicon"
        self.words = words(100_000)
        Lexicon.from_words(self.words, workloads.alphabet(80)).save(self.path)

    def teardown(self):
        self.folder.cleanup()

    def time_load(self):
        Lexicon.load(self.path)

    peakmem_load = time_load

    def track_missing(self):
        lexicon = Lexicon.load(self.path)
        return float(np.mean([word not in lexicon for word in self.words]))

    track_missing.unit = "share of words"


class RunningWords(DecoderBenchmark):
    """A line of 100 frames and 80 classes: word beam search, and shallow fusion with a model of words."""

    params = ([10_000, 100_000], ["words", "ngrams", "ngrams_forecast", "fusion"], [25, 100])
    param_names = ("words", "mode", "beam width")

    @staticmethod
    def takes_seconds(n_words, _mode, beam_width):
        return n_words == 100_000 and beam_width == 100

    def setup(self, n_words, mode, beam_width):
        workloads.leave_out(self, n_words, mode, beam_width)
        made_up = words(n_words)
        alphabet = replace(workloads.alphabet(80), word_characters=[chr(c) for c in range(65, 91)])
        lexicon = Lexicon.from_words(made_up, alphabet)
        rng = np.random.default_rng(1)
        ranks = np.minimum(rng.zipf(1.2, 2 * n_words) - 1, n_words - 1)
        lm = None if mode == "words" else NGram.train(" ".join([made_up[rank] for rank in ranks]), 2, unit="word")
        line = " ".join(made_up[:6])[:48]
        self.frames = workloads.spelled(alphabet.encode(line), 100, 80)
        if mode == "fusion":
            decoder = BeamSearch(alphabet, beam_width, lm=lm, lexicon=lexicon, word_bonus=2.0, exact=False)
        else:
            decoder = WordBeamSearch(lexicon, beam_width, lm=lm, mode=mode, exact=False)
        self.decode = decoder.decode
        self.decode(self.frames)  # numbers the model's words as the lexicon does


class Model:
    """Estimating a model of words from a text of 100 000, writing and reading it."""

    params = ([2, 3],)
    param_names = ("order",)

    def setup(self, order):
        made_up = words(10_000)
        ranks = np.minimum(np.random.default_rng(1).zipf(1.2, 110_000) - 1, len(made_up) - 1)
        self.text = " ".join([made_up[rank] for rank in ranks[:100_000]])
        self.unseen = " ".join([made_up[rank] for rank in ranks[100_000:]])
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "model.arpa"
        NGram.train(self.text, order, unit="word").to_arpa(self.path)

    def teardown(self, *_):
        self.folder.cleanup()

    def time_train(self, order):
        NGram.train(self.text, order, unit="word")

    peakmem_train = time_train

    def time_read(self, *_):
        NGram.from_arpa(self.path)

    peakmem_read = time_read

    def track_perplexity(self, *_):
        """Of the next 10 000 words, by the model that was written and read."""
        return NGram.from_arpa(self.path).perplexity(self.unseen)
