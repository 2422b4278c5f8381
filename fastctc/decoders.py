"""The decoders: configured once, then used on any number of sequences.

A decoder is a frozen dataclass: it pickles, it is shared by threads, and it holds no pool and no buffer.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from math import exp, log, nan
from typing import Any

import numpy as np

from fastctc import backends
from fastctc.alphabet import Alphabet
from fastctc.frames import Doubles, Frames, Workspace, as_batch, as_doubles, as_frames
from fastctc.hypothesis import Hypothesis, hypotheses
from fastctc.lexicon import Lexicon

PART = (
    1 << 16
)  # numbers that are decoded at a stretch: enough to outweigh a change of threads, few enough for the cache


class Decoder(ABC):
    """What all decoders share."""

    alphabet: Alphabet

    def decode(self, log_probs: Any = None, *, probs: Any = None, logits: Any = None) -> list[Hypothesis]:
        """Decode one sequence.

        Parameters
        ----------
        log_probs : array-like (frames, classes), float32 or float64
            Natural log probabilities. -inf is allowed. NumPy arrays, and whatever converts to them, are read without
            a copy where they are contiguous.
        probs, logits : array-like (frames, classes)
            The same as probabilities, or as raw scores before the softmax; give exactly one of the three.

        Returns
        -------
        list of Hypothesis
            Best first. Zero frames give the empty text.

        Raises
        ------
        ValueError
            For a wrong rank or number of classes, NaN, +inf, a value above log 1, a frame that is no distribution.
        """
        return self._decode([as_frames(self.alphabet.n_classes, log_probs, probs, logits)], Workspace())[0]

    def decode_batch(
        self,
        log_probs: Any = None,
        lengths: Sequence[int] | None = None,
        threads: int | None = None,
        *,
        probs: Any = None,
        logits: Any = None,
    ) -> list[list[Hypothesis]]:
        """Decode many sequences.

        Parameters
        ----------
        log_probs : array-like (batch, frames, classes), or a sequence of (frames, classes)
            Natural log probabilities.
        lengths : sequence of int, optional
            How many frames of each sequence count; what follows is not looked at.
        threads : int, default 1
            Number of threads that share the work. The compiled code does not hold the GIL.
        probs, logits
            As in :meth:`decode`.

        Returns
        -------
        list of lists of Hypothesis
            One list a sequence, in their order.

        Raises
        ------
        ValueError
            As :meth:`decode`, with the number of the sequence; for lengths out of range and threads below 1.
        """
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be 1 or more, got {threads}")
        batch = as_batch(self.alphabet.n_classes, log_probs, probs, logits, lengths)
        parts = deque(enumerate(_parts(batch)))
        done: dict[int, list[list[Hypothesis]]] = {}

        def work() -> None:
            workspace = Workspace()
            while True:
                try:
                    number, part = parts.popleft()
                except IndexError:  # nothing is left
                    return
                done[number] = self._decode(part, workspace)

        if threads is None or threads == 1 or len(parts) < 2:
            work()
        else:
            from concurrent.futures import ThreadPoolExecutor  # not at the top, so that `import fastctc` is quick

            with ThreadPoolExecutor(threads - 1) as pool:
                try:
                    others = [pool.submit(work) for _ in range(threads - 1)]
                    work()
                    for other in others:
                        other.result()
                finally:
                    parts.clear()  # after an error or Ctrl-C the others have nothing to go on with
        return [found for number in sorted(done) for found in done[number]]

    @abstractmethod
    def _decode(self, batch: list[Frames], workspace: Workspace) -> list[list[Hypothesis]]: ...


@dataclass(frozen=True)
class BestPath(Decoder):
    """Best path (greedy) decoding: the best class of each frame, repeats merged, blanks dropped.

    The text of the most probable path, which need not be the most probable text. Takes O(T C) time for T frames of C
    classes. Of equal classes in a frame the first is taken.

    Parameters
    ----------
    alphabet : Alphabet
    exact : bool, default True
        Whether to compute ``log_prob``, ``words`` and ``confidence``, which cost several times the decoding.
    backend : str, default "compiled"
        "reference" runs the plain Python specification.

    References
    ----------
    A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal Classification, ICML 2006.

    Examples
    --------
    >>> from fastctc import Alphabet, BestPath
    >>> BestPath(Alphabet("ab")).decode(probs=[[0.4, 0, 0.6], [0.4, 0, 0.6]])[0].text
    ''
    """

    alphabet: Alphabet
    _: KW_ONLY
    exact: bool = True
    backend: str = "compiled"

    def _decode(self, batch: list[Frames], workspace: Workspace) -> list[list[Hypothesis]]:
        best_path, blank = backends.load(self.backend, "best_path").best_path, self.alphabet.blank
        decode, exact, plain, found = self.alphabet.decode, self.exact, [], []
        for frames in batch:
            labels, timesteps, score, bad = best_path(frames.log_probs(), blank)
            if bad >= 0 and frames.is_log:
                frames.refuse(bad)
            if exact:
                found.append((labels, score))
            else:
                plain.append([Hypothesis(decode(labels), nan, score, labels, timesteps, (), nan)])
        if not exact:
            return plain
        findings = [
            (frames, labels, score) for frames, (labels, score) in zip(as_doubles(batch, workspace), found, strict=True)
        ]
        return [[one] for one in hypotheses(self.alphabet, findings, self.backend)]


@dataclass(frozen=True)
class BeamSearch(Decoder):
    """Prefix beam search: the most probable texts, summed over the paths that a beam of prefixes keeps.

    Per frame the beam_width most probable prefixes survive. Work is spent only on what may survive, so that the time
    is O(T (B log B + C)) for peaky frames of C classes and a beam width of B, and O(T B C) at worst; memory is O(T B).

    Parameters
    ----------
    alphabet : Alphabet
    beam_width : int, default 25
        How many prefixes survive a frame.
    n_best : int, default 1
        How many hypotheses to return; fewer come back where fewer texts are possible.
    exact : bool, default True
        Whether to compute ``log_prob`` (the true one: a beam's own sum, its ``score``, is a lower bound),
        ``timesteps``, ``words`` and ``confidence`` of the hypotheses returned.
    backend : str, default "compiled"
        "reference" runs the plain Python specification.

    Raises
    ------
    ValueError
        For a beam width below 1, and n_best not between 1 and the beam width.

    Notes
    -----
    Ties are broken by the labels: of equal hypotheses the one that comes first in lexicographic order is kept.

    References
    ----------
    A. Graves: Supervised Sequence Labelling with Recurrent Neural Networks, 2012, section 7.5.
    A. Y. Hannun, A. L. Maas, D. Jurafsky, A. Y. Ng: First-Pass Large Vocabulary Continuous Speech Recognition using
    Bi-Directional Recurrent DNNs, 2014.

    Examples
    --------
    >>> from fastctc import Alphabet, BeamSearch
    >>> best = BeamSearch(Alphabet("ab")).decode(probs=[[0.4, 0, 0.6], [0.4, 0, 0.6]])[0]
    >>> best.text, best.confidence, best.timesteps
    ('a', 0.64, (1,))
    """

    alphabet: Alphabet
    beam_width: int = 25
    _: KW_ONLY
    n_best: int = 1
    exact: bool = True
    backend: str = "compiled"

    def __post_init__(self) -> None:
        if self.beam_width < 1:
            raise ValueError(f"beam_width must be 1 or more, got {self.beam_width}")
        if not 1 <= self.n_best <= self.beam_width:
            raise ValueError(f"n_best must be 1 to beam_width, which is {self.beam_width}, got {self.n_best}")

    def _decode(self, batch: list[Frames], workspace: Workspace) -> list[list[Hypothesis]]:
        search = backends.load(self.backend, "beam_search").beam_search_batch
        frames = as_doubles(batch, workspace)
        found = search([f.probs for f in frames], self.alphabet.blank, self.beam_width, self.n_best)
        if not self.exact:
            decode = self.alphabet.decode
            return [
                [Hypothesis(decode(labels), nan, score, labels, (), (), nan) for labels, score in beams]
                for beams in found
            ]
        findings = [(f, labels, score) for f, beams in zip(frames, found, strict=True) for labels, score in beams]
        flat = iter(hypotheses(self.alphabet, findings, self.backend))
        return [[next(flat) for _ in beams] for beams in found]


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


def _parts(batch: list[Frames]) -> Iterator[list[Frames]]:
    part, size = [], 0
    for frames in batch:
        part.append(frames)
        size += frames.values.size
        if size >= PART:
            yield part
            part, size = [], 0
    if part:
        yield part
