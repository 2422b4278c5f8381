"""How the probability of a text grows with each entry of the frames.

A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal Classification, ICML 2006, section 4.1.
"""

from collections.abc import Sequence
from math import exp, inf

from fastctc.reference.lattice import Frames, Labels, Table, emissions, forward, log_sum, may_skip
from fastctc.reference.loss import log_probability


def gradients(batch: Sequence[tuple[Frames, Labels]], blank: int, is_log: bool) -> list[tuple[float, Table]]:
    """For each text, its log probability and how that grows with each entry of the frames; no growth if it is -inf.

    By log probabilities that is the posterior of the class in the frame; by probabilities it is this divided by the
    probability, and a number even where that is 0: the sum over all paths through a state, but for its own factor.
    """
    return [_gradient(frames, labels, blank, is_log) for frames, labels in batch]


def _gradient(frames: Frames, labels: Labels, blank: int, is_log: bool) -> tuple[float, Table]:
    total = log_probability(frames, labels, blank, is_log)
    result = [[0.0] * len(row) for row in frames]
    if total == -inf or not result:
        return total, result
    y = emissions(frames, labels, blank, is_log)
    before = _arrivals(y, labels)
    after = [row[::-1] for row in reversed(_arrivals([row[::-1] for row in reversed(y)], list(labels)[::-1]))]
    states = [blank, *(c for label in labels for c in (label, blank))]
    for t, row in enumerate(result):
        for s, c in enumerate(states):
            if before[t][s] + after[t][s] + (y[t][s] if is_log else 0.0) > -inf:
                row[c] += exp(before[t][s] + after[t][s] + (y[t][s] if is_log else 0.0) - total)
    return total, result


def _arrivals(y: Table, labels: Labels) -> Table:
    """alpha without the last frame's own probability: of all paths that may be in state s in frame t."""
    n_states = 2 * len(labels) + 1
    arrivals = [[0.0 if s < 2 else -inf for s in range(n_states)]]
    for a in forward(y, labels)[:-1]:
        arrivals.append(
            [
                log_sum([*a[max(s - 1, 0) : s + 1], *([a[s - 2]] if may_skip(s, labels) else [])])
                for s in range(n_states)
            ]
        )
    return arrivals
