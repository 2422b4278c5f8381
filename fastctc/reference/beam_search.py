"""Prefix beam search.

A. Y. Hannun, A. L. Maas, D. Jurafsky, A. Y. Ng: First-Pass Large Vocabulary Continuous Speech Recognition using
Bi-Directional Recurrent DNNs, 2014; the two sums per prefix are those of A. Graves, Supervised Sequence Labelling with
Recurrent Neural Networks, 2012, section 7.5. A model of characters weighs every label when it is appended.
"""

from collections.abc import Sequence
from math import exp, frexp, ldexp, log
from typing import NamedTuple

from fastctc.reference import ngram

Labels = tuple[int, ...]
Matrix = Sequence[Sequence[float]]


class Model(NamedTuple):
    """A language model over the labels."""

    tables: ngram.Tables
    start: int  # state of the empty text
    tokens: Sequence[int]  # the model's number of each label
    ceilings: Sequence[float]  # the highest log probability of each label after any history
    weight: float  # exponent of the model's probabilities
    bonus: float  # added to the log probability of each label


class Beams:
    """The beams of a sequence that may come in pieces.

    A beam is a prefix with two numbers: the probability of all its paths that end in a blank, and of those that end in
    its last label. Probabilities are kept linear: after each frame all of them are multiplied by the same power of
    two, which changes no digit, and the exponent is remembered. Beams stand in order, best first; prefixes of equal
    probability in lexicographic order.
    """

    def __init__(self, n_classes: int, blank: int, model: Model | None = None) -> None:
        self.n_classes, self.blank, self.model = n_classes, blank, model
        self.beams: dict[Labels, tuple[float, float]] = {(): (1.0, 0.0)}
        self.exponent = 0
        self.before: Labels = ()  # the last label that was committed
        self.states: dict[Labels, int] = {(): model.start if model else 0}

    def extend(self, probs: Matrix, beam_width: int) -> None:
        """Take in more frames; ``beam_width`` prefixes survive each."""
        for row in probs:
            if self.beams:
                self._step([float(x) for x in row], beam_width)

    def _step(self, p: list[float], beam_width: int) -> None:
        ends_blank: dict[Labels, float] = {}
        ends_label: dict[Labels, float] = {}
        for prefix, (p_blank, p_label) in self.beams.items():
            last = (*self.before, *prefix)[-1:]
            ends_blank[prefix] = (p_blank + p_label) * p[self.blank]
            if last:
                ends_label[prefix] = ends_label.get(prefix, 0.0) + p_label * p[last[0]]
            for label in range(len(p)):
                if label != self.blank:
                    # After its own repetition a label needs a blank, or else the two are one.
                    before = p_blank if last == (label,) else p_blank + p_label
                    longer = (*prefix, label)
                    sums = before * p[label]
                    if self.model and sums > 0.0:
                        sums *= self._factor(prefix, label)
                    ends_label[longer] = ends_label.get(longer, 0.0) + sums
        sums_of = {
            prefix: (ends_blank.get(prefix, 0.0), ends_label.get(prefix, 0.0)) for prefix in ends_blank | ends_label
        }
        alive = [prefix for prefix, both in sums_of.items() if sum(both) > 0.0]
        alive.sort(key=lambda prefix: (-sum(sums_of[prefix]), prefix))
        shift = -frexp(sum(sums_of[alive[0]]))[1] if alive else 0
        self.exponent -= shift
        self.beams = {
            prefix: (ldexp(sums_of[prefix][0], shift), ldexp(sums_of[prefix][1], shift))
            for prefix in alive[:beam_width]
        }

    def _factor(self, prefix: Labels, label: int) -> float:
        """What the model says to a label, and what its state is after it."""
        assert self.model is not None
        score, state = ngram.score(*self.model.tables, self._state(prefix), [self.model.tokens[label]])
        self.states[(*prefix, label)] = state
        return exp(self.model.weight * score[0] + self.model.bonus)

    def _state(self, prefix: Labels) -> int:
        assert self.model is not None
        if prefix not in self.states:
            self._factor(prefix[:-1], prefix[-1])
        return self.states[prefix]

    def best(self, n_best: int) -> list[tuple[Labels, float]]:
        """The best prefixes since the last commit, and their log probabilities, the model's share included."""
        return [
            (prefix, log(sum(both)) + self.exponent * log(2.0)) for prefix, both in list(self.beams.items())[:n_best]
        ]

    def stable(self) -> Labels:
        """What all beams begin with, so that it can no longer change."""
        if not self.beams:
            return ()
        first, last = min(self.beams), max(self.beams)
        n = 0
        while n < min(len(first), len(last)) and first[n] == last[n]:
            n += 1
        return first[:n]

    def commit(self, n_labels: int) -> None:
        """Let the first of the stable labels go: the prefixes begin behind them from now on."""
        labels = self.stable()
        if not 0 <= n_labels <= len(labels):
            raise ValueError(f"n_labels must be 0 to {len(labels)}, the number of stable labels, got {n_labels}")
        labels = labels[:n_labels]
        if self.model:
            state = self._state(labels)
            self.states = {prefix[n_labels:]: s for prefix, s in self.states.items() if len(prefix) > n_labels}
            self.states[()] = state
        self.beams = {prefix[n_labels:]: both for prefix, both in self.beams.items()}
        self.before = (*self.before, *labels)[-1:]


def beam_search(
    probs: Matrix, blank: int, beam_width: int, n_best: int, model: Model | None = None
) -> list[tuple[Labels, float]]:
    """The ``n_best`` label sequences with the largest sums over the paths that survived, best first.

    Returns (labels, log of the sum) pairs.
    """
    beams = Beams(len(probs[0]) if len(probs) else blank + 1, blank, model)
    beams.extend(probs, beam_width)
    return beams.best(n_best)


def beam_search_batch(
    batch: Sequence[Matrix], blank: int, beam_width: int, n_best: int, model: Model | None = None
) -> list[list[tuple[Labels, float]]]:
    return [beam_search(probs, blank, beam_width, n_best, model) for probs in batch]
