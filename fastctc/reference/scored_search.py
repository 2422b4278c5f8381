"""Prefix beam search with scores added up in the log domain, and a language model as its external scorer.

A. Y. Hannun, A. L. Maas, D. Jurafsky, A. Y. Ng: First-Pass Large Vocabulary Continuous Speech Recognition using
Bi-Directional Recurrent DNNs, 2014, as the decoder of PaddlePaddle's Deep Speech 2 does it, which the package ctcdecode
is: the classes of a frame are cut by number or by what they add up to, prefixes are never dropped for being impossible,
only for being worse than others, and a label's time is the frame in which its class was most probable for its prefix.
"""

from dataclasses import dataclass, field
from math import exp, inf, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc.reference.lexicon import ends_word, find_child
from fastctc.search_inputs import ExternalScorer, ScoredTexts

IMPOSSIBLE = -float(np.finfo(np.float32).max)  # what stands for the log of 0
SMALLEST = float(np.finfo(np.float32).tiny)  # added to every probability


@dataclass(eq=False)
class _Prefix:
    """A node of the tree of prefixes, which is there as long as it or one that begins with it is in the beam."""

    labels: tuple[int, ...] = ()
    parent: "_Prefix | None" = None
    node: int = -1  # of the tree of words, -1 at the beginning of one
    state: int = 0  # of the scorer
    timestep: int = 0
    peak: float = -inf  # the greatest log probability of its last class in a frame so far
    blank: float = IMPOSSIBLE  # sums of the paths that end in a blank,
    label: float = IMPOSSIBLE  # in the last label,
    score: float = IMPOSSIBLE  # and in either
    is_beam: bool = False
    children: dict[int, "_Prefix"] = field(default_factory=dict)

    @property
    def last(self) -> int:
        return self.labels[-1] if self.labels else -1

    @property
    def rank(self) -> tuple[Any, ...]:
        return -self.score, self.last, self.labels


class ScoredBeams:
    """The beams of a sequence that may come in pieces."""

    def __init__(
        self,
        n_classes: int,
        blank: int,
        beam_width: int,
        cutoff_prob: float,
        cutoff_top_n: int,
        is_log: bool,
        scorer: ExternalScorer | None,
    ) -> None:
        self.n_classes, self.blank, self.beam_width = n_classes, blank, beam_width
        self.cutoff_prob, self.cutoff_top_n, self.is_log, self.scorer = cutoff_prob, cutoff_top_n, is_log, scorer
        root = _Prefix(blank=0.0, score=0.0, is_beam=True, state=scorer.start if scorer else 0)
        self.beams = [root]
        self.frame = 0

    def extend(self, rows: NDArray[np.float64]) -> None:
        """Take in more frames, of probabilities, or of their logarithms."""
        for row in rows:
            self._step([float(x) for x in row])
            self.frame += 1

    def best(self) -> ScoredTexts:
        """The texts in the beam."""
        longest = max((len(prefix.labels) for prefix in self.beams), default=0)
        labels = np.zeros((len(self.beams), longest), np.int32)
        timesteps = np.zeros((len(self.beams), longest), np.int32)
        for i, beam in enumerate(self.beams):
            prefix: _Prefix | None = beam
            while prefix is not None and prefix.parent is not None:
                place = len(prefix.labels) - 1
                labels[i, place], timesteps[i, place] = prefix.last, prefix.timestep
                prefix = prefix.parent
        return ScoredTexts(
            labels,
            timesteps,
            np.array([len(prefix.labels) for prefix in self.beams], np.int32),
            np.array([prefix.score for prefix in self.beams]),
            np.array([prefix.state for prefix in self.beams], np.int32),
        )

    def _step(self, row: list[float]) -> None:
        classes = self._classes(row)
        lowest = -inf
        if self.scorer and len(self.beams) == self.beam_width:
            of_blank = row[self.blank] if self.is_log else log(row[self.blank]) if row[self.blank] > 0.0 else -inf
            lowest = self.beams[-1].score + of_blank - max(0.0, self.scorer.bonus)
        blanks: dict[_Prefix, float] = {}
        labels: dict[_Prefix, float] = {}
        for c, value in classes:
            for prefix in self.beams:
                if value + prefix.score < lowest:
                    continue
                if c == self.blank:
                    blanks[prefix] = value + prefix.score
                    continue
                if c == prefix.last:
                    labels[prefix] = _add(labels.get(prefix, IMPOSSIBLE), value + prefix.label)
                child = self._child(prefix, c, value)
                if child is not None:
                    before = prefix.score if c != prefix.last else prefix.blank
                    arriving = value + before if before > IMPOSSIBLE or c != prefix.last else IMPOSSIBLE
                    if self.scorer and (self.scorer.tree is None or c == self.scorer.space):
                        arriving += self._weight(prefix, c)
                    labels[child] = _add(labels.get(child, IMPOSSIBLE), arriving)
        candidates = list(dict.fromkeys([*self.beams, *labels]))
        for prefix in candidates:
            prefix.blank, prefix.label = blanks.get(prefix, IMPOSSIBLE), labels.get(prefix, IMPOSSIBLE)
            prefix.score, prefix.is_beam = _add(prefix.blank, prefix.label), True
        candidates.sort(key=lambda prefix: prefix.rank)
        self.beams = candidates[: self.beam_width]
        for prefix in candidates[self.beam_width :]:
            prefix.is_beam = False
        for prefix in candidates[self.beam_width :]:
            gone: _Prefix | None = prefix
            while gone is not None and gone.parent is not None and not gone.is_beam and not gone.children:
                gone.parent.children.pop(gone.last, None)
                gone = gone.parent

    def _classes(self, row: list[float]) -> list[tuple[int, float]]:
        """The classes of a frame that count, and their logarithms."""
        order = list(range(self.n_classes))
        if 0.0 <= self.cutoff_prob < 1.0 or self.cutoff_top_n < self.n_classes:
            order.sort(key=lambda c: -row[c])
            n = self.cutoff_top_n
            if 0.0 <= self.cutoff_prob < 1.0:
                total = 0.0  # a logarithm: the sum begins with 1
                for n, c in enumerate(order, 1):
                    logarithm = row[c] if self.is_log else log(row[c]) if row[c] > 0.0 else -inf
                    total = _add(total, logarithm)
                    if total >= self.cutoff_prob or n >= self.cutoff_top_n:
                        break
            del order[n:]
        return [(c, row[c] if self.is_log else log(row[c] + SMALLEST)) for c in order]

    def _child(self, prefix: _Prefix, c: int, value: float) -> _Prefix | None:
        """The prefix with one more label; None if there is no such word."""
        child = prefix.children.get(c)
        if child is None:
            node, state = -1, prefix.state
            if self.scorer and self.scorer.tree is None:
                state = self.scorer.advance(prefix.state, int(self.scorer.tokens[c]))[1]
            elif self.scorer and self.scorer.tree is not None:
                tree = self.scorer.tree
                if c == self.scorer.space:
                    if prefix.node < 0 or not ends_word(tree, prefix.node):
                        return None
                    state = self.scorer.advance(prefix.state, self._word(prefix))[1]
                else:
                    node = find_child(tree, prefix.node, c)
                    if node < 0:
                        return None
            child = _Prefix((*prefix.labels, c), prefix, node, state, self.frame)
            prefix.children[c] = child
        if child.peak < value:
            child.peak, child.timestep = value, self.frame
        return child

    def _word(self, prefix: _Prefix) -> int:
        assert self.scorer is not None
        assert self.scorer.tree is not None
        return int(self.scorer.tokens[self.scorer.tree.words[prefix.node]])

    def _weight(self, prefix: _Prefix, c: int) -> float:
        """What the scorer adds to a prefix that goes on with a token, or with the end of a word."""
        assert self.scorer is not None
        token = int(self.scorer.tokens[c]) if self.scorer.tree is None else self._word(prefix)
        return self.scorer.weight * self.scorer.advance(prefix.state, token)[0] + self.scorer.bonus


def _add(x: float, y: float) -> float:
    """Log of the sum of two exponentials."""
    if x <= IMPOSSIBLE:
        return y
    if y <= IMPOSSIBLE:
        return x
    top = max(x, y)
    return log(exp(x - top) + exp(y - top)) + top
