"""Probability and posteriors of a given text.

A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal Classification, ICML 2006, section 4.1.
"""

from collections.abc import Sequence
from math import exp, inf

from fastctc.reference.lattice import Frames, Labels, Table, backward, emissions, forward, log_sum


def log_probability(frames: Frames, labels: Labels, blank: int, is_log: bool) -> float:
    """Logarithm of the probability of ``labels``, summed over all paths; -inf where no path leads there.

    ``frames`` holds probabilities, or, with ``is_log``, their logarithms.
    """
    if not len(frames):
        return -inf if labels else 0.0
    alpha = forward(emissions(frames, labels, blank, is_log), labels)
    return log_sum(alpha[-1][-2:])


def log_probabilities(batch: Sequence[tuple[Frames, Labels]], blank: int, is_log: bool) -> list[float]:
    return [log_probability(frames, labels, blank, is_log) for frames, labels in batch]


def posteriors(frames: Frames, labels: Labels, blank: int, is_log: bool) -> Table:
    """Probability of each label in each frame, given that the text is ``labels``; zeros if the text is impossible."""
    total = log_probability(frames, labels, blank, is_log)
    if total == -inf:
        return [[0.0] * len(labels) for _ in frames]
    if not len(frames):
        return []
    y = emissions(frames, labels, blank, is_log)
    alpha, beta = forward(y, labels), backward(y, labels)
    return [
        [exp(a[s] + b[s] - e[s] - total) if a[s] + b[s] > -inf else 0.0 for s in range(1, len(e), 2)]
        for a, b, e in zip(alpha, beta, y, strict=True)
    ]
