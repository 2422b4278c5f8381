"""Lexicon search."""

from dataclasses import KW_ONLY, dataclass
from math import exp, log, nan

import numpy as np

from fastctc import backends
from fastctc.alphabet import Alphabet
from fastctc.decoders.decoder import Decoder
from fastctc.frames import Doubles, Frames, Workspace, as_doubles
from fastctc.hypothesis import Hypothesis, hypotheses
from fastctc.lexicon import Lexicon


@dataclass(frozen=True)
class LexiconSearch(Decoder):
    """The most probable words of a lexicon, provably: for images and recordings of one word each.

    Best-first search over the prefix tree, bounded by the probability of all texts that begin with a prefix times the
    greatest prior below it. Where the network is sure of something it looks at a tiny part of the tree, O(T) a node for
    T frames, and returns what scoring every word would have returned; on noise it may have to see much of it.

    Parameters
    ----------
    lexicon : Lexicon
        A dictionary, or the handful of words that are possible. Its priors weigh the words.
    n_best : int, default 1
        How many words to return; fewer come back where fewer are possible, none where no word fits into the frames.
    certainty : float, default 0.9
        Below 1. The search goes on until the words looked at hold at least this share of the scores of the whole
        lexicon, so that ``confidence`` is exact to that factor. The best words are
        known earlier: 0 stops there, and leaves a confidence that is only a rough lower bound.
    exact : bool, default True
        Whether to compute ``log_prob`` as a sum over all paths once more, ``timesteps`` and ``words``.
    backend : str, default "compiled"
        "reference" runs the plain Python specification.

    Notes
    -----
    ``score`` is log P(word | frames) + log prior. ``confidence`` is a lower bound of the probability that it is this
    word, given that it is one of the lexicon: its share in the scores of all words looked at, and of the certified
    bound on all others. Words of equal score stand in the order of the lexicon. Made for words: probabilities below
    1e-300 of the most probable path count as 0, which takes hundreds of frames of a wrong word.

    References
    ----------
    A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal Classification, ICML 2006 (prefix search).

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
    exact: bool = True
    backend: str = "compiled"

    def __post_init__(self) -> None:
        if self.n_best < 1:
            raise ValueError(f"n_best must be 1 or more, got {self.n_best}")
        if not 0 <= self.certainty < 1:
            raise ValueError(f"certainty must be 0 or more and below 1, got {self.certainty}")

    @property
    def alphabet(self) -> Alphabet:  # type: ignore[override]
        return self.lexicon.alphabet

    def _decode(self, batch: list[Frames], workspace: Workspace) -> list[list[Hypothesis]]:
        return [self._decode_one(frames) for frames in as_doubles(batch, workspace)]

    def _decode_one(self, frames: Doubles) -> list[Hypothesis]:
        lexicon, search = self.lexicon, backends.load(self.backend, "lexicon_search").lexicon_search
        tree = lexicon.node_labels, lexicon.ends, lexicon.words, lexicon.bounds, lexicon.priors
        found, explored, rest = search(frames.probs, *tree, self.alphabet.blank, self.n_best, self.certainty)
        labels = [lexicon.word_labels(word) for word, _ in found]
        if self.exact:
            findings = [(frames, text, score) for text, (_, score) in zip(labels, found, strict=True)]
            plain = hypotheses(self.alphabet, findings, self.backend)
        else:
            decode = self.alphabet.decode
            plain = [
                Hypothesis(decode(text), nan, score, text, (), (), nan)
                for text, (_, score) in zip(labels, found, strict=True)
            ]
        everything = float(np.logaddexp(explored, rest))
        return [
            h._replace(
                confidence=min(1.0, exp(score - everything)),
                lm_log_prob=log(lexicon.priors[word]) if lexicon.has_priors else None,
            )
            for h, (word, score) in zip(plain, found, strict=True)
        ]
