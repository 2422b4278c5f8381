"""Probability of parts of a text, each in its place."""

from collections.abc import Sequence
from math import exp, inf

from fastctc.reference.lattice import Frames, Labels, backward, emissions, forward, log_of, log_sum, may_skip
from fastctc.reference.loss import log_probability


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
    y = emissions(frames, labels, blank, is_log)
    alpha, beta = forward(y, labels), backward(y, labels)
    sums = [log_sum([log_of(x, is_log) for x in row]) for row in frames]
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
                    others = [log_of(x, is_log) for c, x in enumerate(frames[t - 1]) if c != labels[stop]]
                    ways.append(earlier + log_sum(others))
                ends.append(log_sum(ways) + beta[t][2 * stop + 1])
            earlier, recent = complete, -inf
            if start:
                s = 2 * start - 1
                ways = [alpha[t - 1][s - 1]] if t else [0.0] if start == 1 else []
                if t and may_skip(s, labels):
                    ways.append(alpha[t - 1][s - 2])
                recent = row[s] + log_sum(ways)
            complete = log_sum([complete + sums[t], recent])
        everything = log_sum(ends) if stop < len(labels) else complete
        result.append(exp(min(0.0, total - everything)))
    return tuple(result)
