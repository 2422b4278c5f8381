"""Probability, posteriors and alignment of a given text.

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


def log_probability(frames: Frames, labels: Labels, blank: int, is_log: bool) -> float:
    """Logarithm of the probability of ``labels``, summed over all paths; -inf where no path leads there.

    ``frames`` holds probabilities, or, with ``is_log``, their logarithms.
    """
    if not len(frames):
        return -inf if labels else 0.0
    alpha = _forward(_emissions(frames, labels, blank, is_log), labels)
    return _log_sum(alpha[-1][-2:])


def log_probabilities(batch: Sequence[tuple[Frames, Labels]], blank: int, is_log: bool) -> list[float]:
    return [log_probability(frames, labels, blank, is_log) for frames, labels in batch]


def gradients(batch: Sequence[tuple[Frames, Labels]], blank: int, is_log: bool) -> list[tuple[float, Table]]:
    """For each text, its log probability and how that grows with each entry of the frames; no growth if it is -inf.

    By log probabilities that is the posterior of the class in the frame; by probabilities it is this divided by the
    probability, and a number even where that is 0: the sum over all paths through a state, but for its own factor.
    """
    return [_gradient(frames, labels, blank, is_log) for frames, labels in batch]


def posteriors(frames: Frames, labels: Labels, blank: int, is_log: bool) -> Table:
    """Probability of each label in each frame, given that the text is ``labels``; zeros if the text is impossible."""
    total = log_probability(frames, labels, blank, is_log)
    if total == -inf:
        return [[0.0] * len(labels) for _ in frames]
    if not len(frames):
        return []
    y = _emissions(frames, labels, blank, is_log)
    alpha, beta = _forward(y, labels), _backward(y, labels)
    return [
        [exp(a[s] + b[s] - e[s] - total) if a[s] + b[s] > -inf else 0.0 for s in range(1, len(e), 2)]
        for a, b, e in zip(alpha, beta, y, strict=True)
    ]


def forced_align(
    frames: Frames, labels: Labels, blank: int, is_log: bool
) -> tuple[float, tuple[int, ...], tuple[int, ...]]:
    """The most probable path of ``labels``: its log probability, the first and the last frame of each label.

    Of equally probable ways into a state, staying comes before one step and one step before two; of the two last
    states the label comes before the blank. (-inf, (), ()) if no path leads there.
    """
    if not len(frames):
        return (-inf if labels else 0.0), (), ()
    y = _emissions(frames, labels, blank, is_log)
    n_states = 2 * len(labels) + 1
    score = [y[0][s] if s < 2 else -inf for s in range(n_states)]
    back = []
    for row in y[1:]:
        steps = []
        for s in range(n_states):
            ways = [0, 1] if s else [0]
            if _may_skip(s, labels):
                ways.append(2)
            steps.append(max(ways, key=lambda way: score[s - way]))
        score = [score[s - steps[s]] + row[s] for s in range(n_states)]
        back.append(steps)
    state = n_states - 2 if labels and score[-2] >= score[-1] else n_states - 1
    total = score[state]
    if total == -inf:
        return -inf, (), ()
    path = [state]
    for steps in reversed(back):
        path.append(path[-1] - steps[path[-1]])
    path.reverse()
    frames_of = [[t for t, s in enumerate(path) if s == 2 * i + 1] for i in range(len(labels))]
    return total, tuple(f[0] for f in frames_of), tuple(f[-1] for f in frames_of)


def span_probabilities(
    frames: Frames, labels: Labels, blank: int, is_log: bool, spans: Sequence[tuple[int, int]]
) -> tuple[float, ...]:
    """For each (start, stop): the probability of labels[start:stop] in its place, given the labels around it.

    The place is open to every other label sequence, the empty one included: P(labels) divided by the sum of P over
    all sequences that begin with labels[:start], end with labels[stop:], and have anything between. That sum runs
    over the frame in which the labels before are complete and the later frame in which those after begin.
    """
    total = log_probability(frames, labels, blank, is_log)
    if total == -inf:
        return (0.0,) * len(spans)
    if not len(frames):
        return (1.0,) * len(spans)
    y = _emissions(frames, labels, blank, is_log)
    alpha, beta = _forward(y, labels), _backward(y, labels)
    sums = [_log_sum([_log(x, is_log) for x in row]) for row in frames]
    result: list[float] = []
    for start, stop in spans:
        # Seen from frame t: labels[:start] became complete in frame t - 1 (recent), by frame t - 1 (complete), or by
        # frame t - 2 (earlier), with anything in the frames since.
        recent, complete, earlier = (0.0, 0.0, -inf) if start == 0 else (-inf, -inf, -inf)
        differ = start == 0 or stop == len(labels) or labels[start - 1] != labels[stop]
        ends = []
        for t, row in enumerate(y):
            if stop < len(labels):
                # labels[stop] begins here: the frame before holds anything but it.
                ways = [recent] if differ else []
                if t:
                    others = [_log(x, is_log) for c, x in enumerate(frames[t - 1]) if c != labels[stop]]
                    ways.append(earlier + _log_sum(others))
                ends.append(_log_sum(ways) + beta[t][2 * stop + 1])
            earlier, recent = complete, -inf
            if start:
                s = 2 * start - 1
                ways = [alpha[t - 1][s - 1]] if t else [0.0] if start == 1 else []
                if t and _may_skip(s, labels):
                    ways.append(alpha[t - 1][s - 2])
                recent = row[s] + _log_sum(ways)
            complete = _log_sum([complete + sums[t], recent])
        everything = _log_sum(ends) if stop < len(labels) else complete
        result.append(exp(min(0.0, total - everything)))
    return tuple(result)


def _emissions(frames: Frames, labels: Labels, blank: int, is_log: bool) -> Table:
    """Log probability of each state in each frame."""
    states = [blank, *(c for label in labels for c in (label, blank))]
    return [[_log(row[c], is_log) for c in states] for row in frames]


def _may_skip(s: int, labels: Labels) -> bool:
    return s % 2 == 1 and s >= 3 and labels[s // 2] != labels[s // 2 - 1]


def _forward(y: Table, labels: Labels) -> Table:
    """alpha[t][s]: log probability of all paths that are in state s in frame t."""
    n_states = 2 * len(labels) + 1
    alpha = [[y[0][s] if s < 2 else -inf for s in range(n_states)]]
    for row in y[1:]:
        a = alpha[-1]
        alpha.append(
            [
                row[s] + _log_sum([*a[max(s - 1, 0) : s + 1], *([a[s - 2]] if _may_skip(s, labels) else [])])
                for s in range(n_states)
            ]
        )
    return alpha


def _gradient(frames: Frames, labels: Labels, blank: int, is_log: bool) -> tuple[float, Table]:
    total = log_probability(frames, labels, blank, is_log)
    result = [[0.0] * len(row) for row in frames]
    if total == -inf or not result:
        return total, result
    y = _emissions(frames, labels, blank, is_log)
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
    for a in _forward(y, labels)[:-1]:
        arrivals.append(
            [
                _log_sum([*a[max(s - 1, 0) : s + 1], *([a[s - 2]] if _may_skip(s, labels) else [])])
                for s in range(n_states)
            ]
        )
    return arrivals


def _backward(y: Table, labels: Labels) -> Table:
    """beta[t][s]: log probability of all path ends that begin in state s in frame t, that frame included."""
    mirrored = _forward([row[::-1] for row in reversed(y)], list(labels)[::-1])
    return [row[::-1] for row in reversed(mirrored)]


def _log(x: float, is_log: bool) -> float:
    x = float(x) if is_log else log(x) if x > 0 else -inf
    return x if x >= MASKED else -inf


def _log_sum(logs: Sequence[float]) -> float:
    top = max(logs, default=-inf)
    return top if top == -inf else top + log(sum(exp(x - top) for x in logs))
