"""Lexicon search."""

from dataclasses import KW_ONLY, dataclass
from math import exp, inf, log
from typing import Any

import numpy as np

from fastctc import backends
from fastctc.alphabet import Alphabet
from fastctc.decoders.decoder import Decoder
from fastctc.frames import Frames, Probabilities, Workspace, as_probabilities
from fastctc.hypothesis import Hypothesis, hypotheses, inexact
from fastctc.lexicon import Lexicon

MOST = 1 << 40  # words, and nodes


@dataclass(frozen=True)
class LexiconSearch(Decoder):
    """The most probable words of a lexicon, provably: for images and recordings of one word each.

    Best-first search over the prefix tree: what no word below a node can exceed decides which comes next. Where the
    network is sure of something it looks at a tiny part of the tree, O(T) a node for T frames, and returns what scoring
    every word would have returned; on noise it may have to see much of it.

    Parameters
    ----------
    lexicon : Lexicon
        A dictionary, or the handful of words that are possible. Its priors weigh the words.
    n_best : int, default 1
        How many words to return; fewer come back where fewer are possible, none where no word fits into the frames.
    certainty : float, default 0.9
        Below 1. The best words being known, the search goes on until the words looked at hold at least this share of
        the scores of the whole lexicon, so that ``confidence`` is exact to that factor. 0 leaves a confidence that is
        only a rough lower bound.
    patience : int, default 500
        How many nodes the search may look at for that certainty, besides twice as many as the best words took.
    tolerance : int, optional
        Search approximately, as published: among the words whose edit distance to the text of the best path is at most
        this, none otherwise. ``confidence`` is P(word | frames) then.
    exact : bool, default True
        Whether to compute ``log_prob`` as the sum over all paths, ``timesteps`` and ``words``.
    backend : str, default "compiled"
        "reference" runs the plain Python specification.

    Raises
    ------
    ValueError
        For n_best below 1, a certainty that is not below 1, a patience or tolerance below 0.

    Notes
    -----
    ``score`` is log P(word | frames) + log prior. ``confidence`` is a lower bound of the probability that it is this
    word, given that it is one of the lexicon: its share in the scores of all words looked at, and of the certified
    bound on all others. Words of equal score stand in the order of the lexicon.

    How improbable a word is does not matter: where the best have less than 1e-280 of the probability of all texts, or
    fewer words are found than were asked for, the search is repeated with numbers of unbounded exponents, which takes
    about ten times as long. Only a class with less than 1e-307 in a frame counts as impossible there.

    References
    ----------
    A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal Classification, ICML 2006 (prefix search).
    H. Scheidl: Build a Handwritten Text Recognition System using TensorFlow, 2018 (the approximate search).

    Examples
    --------
    >>> from fastctc import Alphabet, Lexicon, LexiconSearch
    >>> lexicon = Lexicon.from_words(["ab", "ba"], Alphabet("ab"))
    >>> best, second = LexiconSearch(lexicon, n_best=2).decode(probs=[[0.7, 0.1, 0.2], [0.3, 0.6, 0.1]])
    >>> best.text, round(best.confidence, 3), second.text
    ('ab', 0.933, 'ba')
    """

    lexicon: Lexicon
    _: KW_ONLY
    n_best: int = 1
    certainty: float = 0.9
    patience: int = 500
    tolerance: int | None = None
    exact: bool = True
    backend: str = "compiled"

    def __post_init__(self) -> None:
        if not 1 <= self.n_best <= MOST:
            raise ValueError(f"n_best must be 1 to {MOST} (fastctc.decoders.lexicon_search.MOST), got {self.n_best}")
        if not 0 <= self.certainty < 1:
            raise ValueError(f"certainty must be 0 or more and below 1, got {self.certainty}")
        if not 0 <= self.patience <= MOST:
            raise ValueError(
                f"patience must be 0 to {MOST} (fastctc.decoders.lexicon_search.MOST), got {self.patience}"
            )
        if self.tolerance is not None and self.tolerance < 0:
            raise ValueError(f"tolerance must be 0 or more, got {self.tolerance}")

    @property
    def alphabet(self) -> Alphabet:  # type: ignore[override]
        return self.lexicon.alphabet

    def _decode(self, batch: list[Frames], workspace: Workspace) -> list[list[Hypothesis]]:
        probabilities = as_probabilities(batch, workspace)
        if self.tolerance is None:
            return [self._decode_one(one) for one in probabilities]
        return [self._decode_near(frames, one) for frames, one in zip(batch, probabilities, strict=True)]

    def _decode_one(self, frames: Probabilities) -> list[Hypothesis]:
        lexicon, search = self.lexicon, backends.load(self.backend, "lexicon_search").lexicon_search
        tree = lexicon.node_labels, lexicon.ends, lexicon.words, lexicon.bounds, lexicon.priors
        effort = self.n_best, self.certainty, self.patience
        found, explored, rest = search(frames.probs, *tree, self.alphabet.blank, *effort)
        everything = float(np.logaddexp(explored, rest))
        return [
            one._replace(confidence=min(1.0, exp(one.score - everything))) for one in self._hypotheses(frames, found)
        ]

    def _decode_near(self, frames: Frames, probabilities: Probabilities) -> list[Hypothesis]:
        blank, lexicon = self.alphabet.blank, self.lexicon
        best, *_ = backends.load(self.backend, "best_path").best_path(frames.log_probs(), blank)
        log_probability = backends.load(self.backend, "loss").log_probability
        found = []
        for word, _ in lexicon.numbers_near(best, self.tolerance or 0, self.backend):
            prior = lexicon.priors[word]
            score = log_probability(probabilities.probs, lexicon.word_labels(word), blank, False)
            if prior > 0 and score > -inf:
                found.append((word, score + log(prior)))
        found.sort(key=lambda one: (-one[1], one[0]))
        return self._hypotheses(probabilities, found[: self.n_best])

    def _hypotheses(self, frames: Probabilities, found: Any) -> list[Hypothesis]:
        """What the frames tell about words, which come as their numbers and scores."""
        lexicon = self.lexicon
        labels = [lexicon.word_labels(word) for word, _ in found]
        if self.exact:
            results = [(frames, text, score) for text, (_, score) in zip(labels, found, strict=True)]
            plain = hypotheses(self.alphabet, results, self.backend)
        else:
            decode = self.alphabet.decode
            plain = [inexact(decode(text), text, score) for text, (_, score) in zip(labels, found, strict=True)]
        if not lexicon.has_priors:
            return plain
        return [h._replace(lm_log_prob=log(lexicon.priors[word])) for h, (word, _) in zip(plain, found, strict=True)]
