"""Whether a text is what the frames show at all."""

from math import inf

import numpy as np

from fastctc.compiled.viterbi import best_alignment
from fastctc.frames import Floats, Frames

PIECES = 9  # of the text that are looked at
LABELS = 200  # of a piece
ORDERS = 3  # in which the labels of a piece are put
UNFIT = 0.8  # of what the labels lose in other orders: texts lose a tenth to a third of it, other texts nearly all


def unfitness(
    frames: Frames, labels: tuple[int, ...], blank: int, first: tuple[int, ...], last: tuple[int, ...]
) -> float:
    """How much a text loses where it fits best, as a share of what its labels lose in any order.

    What a piece of text loses is how far the best path that reads as it lies below the frames' best classes, within
    the frames that the alignment gives it. The frames know the order of their own text: that loses little. To them the
    labels of another text are as good in any order. The least share of some pieces is returned, so that a text that is
    partly there fits.
    """
    shares = []
    rng = np.random.default_rng(0)
    size = min(LABELS, len(labels))
    for begin in np.linspace(0, len(labels) - size, PIECES).astype(int).tolist():
        piece = labels[begin : begin + size]
        values = np.ascontiguousarray(frames.values[first[begin] : last[begin + size - 1] + 1])
        orders = [tuple(rng.permutation(piece).tolist()) for _ in range(ORDERS)]
        lost, *others = (_lost(values, order, blank, frames.is_log) for order in [piece, *orders])
        if 0.0 < min(others) < inf:
            shares.append(lost / min(others))
    return min(shares, default=0.0)


def _lost(values: Floats, labels: tuple[int, ...], blank: int, is_log: bool) -> float:
    """How far the best path of some labels lies below the frames' best classes, in nats."""
    best = values.max(axis=1).astype(np.float64)
    score = best_alignment(values, labels, blank, is_log, inf, inf, 1 << 28, False)[0]
    return float((best if is_log else np.log(best)).sum()) - score
