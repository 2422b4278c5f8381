"""How much the paths of a text may weigh that have left a band of its lattice.

Labels stand in groups of GROUP, each label with the blank behind it; the blank before the first label stands for a
label 0. In a block of GROUP frames a path goes no further than into the next group, so that one bound is enough for all
states of a group: of a frame, what arrives in a state is at most the sum of the blank and of two different labels, the
most probable ones that the group and the one before it have. So little is left of a path that waits where the text has
other labels than the frames, or that runs ahead.
"""

from collections.abc import Sequence
from math import exp, inf, log

from fastctc.reference.lattice import Frames, Labels

GROUP = 4  # labels, and frames
SURE = 50.0  # nats by which a bound must be less than what is in the band to become a share of that

# Of labels start to stop - 1, in front of a frame that is a multiple of GROUP or the end: a logarithm.
Place = tuple[int, int, int, float]


def bound_outside(
    probs: Frames, labels: Labels, blank: int, lost: Sequence[Place], sure: Sequence[Place], best: bool, backward: bool
) -> tuple[float, list[float], float]:
    """Bound what is outside of a band.

    ``lost`` is what left it: no state there gets more than that before the frame. A bound is one on what was lost at
    any of these places by itself; all of it together comes to as many times that at most. In each state of the places
    ``sure`` the band holds as much, or more: what is far less counts as a share of it from there on. All is of frames
    that are divided by their sums. With ``best`` the bounds are those of the best path, not of all, and frames are
    divided by the greatest number that the blank or a label has there; ``backward`` goes from the last frame to the
    first, and a place is in front of the frames that were gone through then.

    Returns the bound of the last group at the end (backward, of the first at the beginning), the greatest of each group
    at any time, and the sum of all shares.
    """
    n_groups = len(labels) // GROUP + 1
    symbols = [
        {label for i in range(g * GROUP, (g + 1) * GROUP) for label in labels[max(i - 1, 0) : i]}
        for g in range(n_groups)
    ]
    bounds, most, shares = [-inf] * n_groups, [-inf] * n_groups, 0.0
    step = -1 if backward else 1
    starts = list(range(0, len(probs), GROUP))
    for start in [*reversed(starts), -1] if backward else [*starts, -1]:
        here = (
            (0 if start < 0 else min(start + GROUP, len(probs))) if backward else (len(probs) if start < 0 else start)
        )
        for frame, first, stop, value in lost:
            if frame == here:
                for g in range(first // GROUP, (stop - 1) // GROUP + 1):
                    bounds[g] = max(bounds[g], value)
        for frame, first, stop, value in sure:
            if frame == here:
                for g in range(n_groups):
                    inside = first <= g * GROUP and (min((g + 1) * GROUP, len(labels) + 1) <= stop)
                    if inside and bounds[g] <= value - (0.0 if best else SURE):
                        shares += exp(bounds[g] - value)
                        bounds[g] = -inf
        most = [max(pair) for pair in zip(most, bounds, strict=True)]
        if start < 0:
            break
        came = []
        for g in range(n_groups):
            beside = g - step
            held, value = symbols[g], bounds[g]
            if 0 <= beside < n_groups:
                held, value = held | symbols[beside], max(value, bounds[beside])
            most[g] = max(most[g], value)
            for row in probs[start : start + GROUP]:
                whole = float(max(row[label] for label in (blank, *labels)) if best else sum(row))
                if whole > 0:  # or else nothing is left, here and in the band
                    value += _factor(row, held, blank, best) - log(whole)
            came.append(value)
        bounds = came
    return bounds[0 if backward else -1], most, shares


def _factor(row: Sequence[float], held: set[int], blank: int, best: bool) -> float:
    """Logarithm of the most that a state can get of its neighbours' sum, or of their greatest."""
    greatest = sorted((float(row[label]) for label in held), reverse=True)
    top = max([float(row[blank]), *greatest[:1]]) if best else float(row[blank]) + sum(greatest[:2])
    return log(top) if top > 0 else -inf
