"""The labels of each frame that are probable enough to be followed."""

import math
from collections.abc import Sequence

import numpy as np

from fastctc.search_inputs import ChosenLabels

LEAST = math.log(1e-15)  # no label is less probable


def choose_labels(rows: Sequence[Sequence[float]], is_probs: bool, floor: float) -> ChosenLabels:
    """The labels of each frame whose log probability is at least a floor, and the most probable one.

    Parameters
    ----------
    rows : (frames, classes), float32 or float64
        Probabilities, or scores whose softmax they are. Logarithms are taken in their precision.
    is_probs : bool
    floor : float

    Raises
    ------
    ValueError
        For NaN, and for scores of a frame that are infinite, or all -inf.

    Notes
    -----
    They stand as a set of Python orders them, since which of equal beams is kept depends on it in pyctcdecode.
    """
    values = np.asarray(rows)
    real = values.dtype.type
    labels: list[int] = []
    log_probs: list[float] = []
    offsets = [0]
    for frame, row in enumerate(values):
        top = row.max() if row.size else real(0)
        if math.isnan(top) or (not is_probs and math.isinf(top)):
            raise ValueError(f"frames must be numbers, got NaN or infinite ones in frame {frame}")
        if is_probs:
            logs = np.log(np.clip(row, real(1e-15), real(1)))
        else:
            logs = np.clip(row - top - np.log(np.exp(row - top).sum()), real(LEAST), real(0))
        chosen = [label for label in range(len(row)) if logs[label] >= real(floor)]
        for label in set(chosen) | {int(np.argmax(logs))}:
            labels.append(label)
            log_probs.append(float(logs[label]))
        offsets.append(len(labels))
    return ChosenLabels(np.array(labels, np.int32), np.array(log_probs, np.float64), np.array(offsets, np.int64))
