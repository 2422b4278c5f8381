"""The lattice of a text, and sums over its paths.

A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal Classification, ICML 2006, section 4.1.

A text of L labels is read through 2 L + 1 states: a blank, its first label, a blank, its second label, …, a blank. A
path stays, goes one state on, or skips the blank between two labels that differ. All sums are made of logarithms.
"""

from collections.abc import Sequence
from math import exp, inf, log

MASKED = -1e5  # log probabilities below are meant as -inf

Frames = Sequence[Sequence[float]]
Labels = Sequence[int]
Table = list[list[float]]


def emissions(frames: Frames, labels: Labels, blank: int, is_log: bool) -> Table:
    """Log probability of each state in each frame."""
    states = [blank, *(c for label in labels for c in (label, blank))]
    return [[log_of(row[c], is_log) for c in states] for row in frames]


def may_skip(s: int, labels: Labels) -> bool:
    return s % 2 == 1 and s >= 3 and labels[s // 2] != labels[s // 2 - 1]


def forward(y: Table, labels: Labels) -> Table:
    """alpha[t][s]: log probability of all paths that are in state s in frame t."""
    n_states = 2 * len(labels) + 1
    alpha = [[y[0][s] if s < 2 else -inf for s in range(n_states)]]
    for row in y[1:]:
        a = alpha[-1]
        alpha.append(
            [
                row[s] + log_sum([*a[max(s - 1, 0) : s + 1], *([a[s - 2]] if may_skip(s, labels) else [])])
                for s in range(n_states)
            ]
        )
    return alpha


def backward(y: Table, labels: Labels) -> Table:
    """beta[t][s]: log probability of all path ends that begin in state s in frame t, that frame included."""
    mirrored = forward([row[::-1] for row in reversed(y)], list(labels)[::-1])
    return [row[::-1] for row in reversed(mirrored)]


def log_of(x: float, is_log: bool) -> float:
    x = float(x) if is_log else log(x) if x > 0 else -inf
    return x if x >= MASKED else -inf


def log_sum(logs: Sequence[float]) -> float:
    top = max(logs, default=-inf)
    return top if top == -inf else top + log(sum(exp(x - top) for x in logs))
