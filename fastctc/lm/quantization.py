"""Models in small files: values are rounded to a few, and what follows from the rest of the tree is left out.

An n-gram takes two to five bytes instead of 12 to 20. The values of the n-grams of each length are rounded to so many
steps of one width, and each step is written as the mean of its values: bins that hold as many values each would put the
rare extremes together with what is common. Back-off weights are computed again for the rounded probabilities before
they are rounded themselves. So the probabilities after a history still have a sum near 1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc.lm.pruning import with_fitted_weights
from fastctc.lm.tables import NEVER, Level

BITS = (8, 16)  # of a number that stands for a value


def steps(values: NDArray[np.float64], bits: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """The step of each value, and the mean of each step; what is never predicted has one of its own."""
    never = values < NEVER / 2
    low, high = values[~never].min(initial=0.0), values[~never].max(initial=NEVER)
    width = max((high - low) / ((1 << bits) - 2), 1e-9)
    places = np.where(never, 0, 1 + np.rint((values - low) / width)).astype(np.int64)
    codes = np.unique(places, return_inverse=True)[1]
    means: NDArray[np.float32] = (np.bincount(codes, values) / np.bincount(codes)).astype(np.float32)
    return codes.astype(np.uint8 if bits == 8 else np.uint16), means


def pack(levels: Sequence[Level], size: int, bits: int) -> dict[str, NDArray[Any]]:
    """The arrays of a small file."""
    if bits not in BITS:
        raise ValueError(f"bits must be 8 or 16, got {bits}")
    rounded: list[Level] = []
    arrays: dict[str, NDArray[Any]] = {}
    for n, (parents, words, log_probs, weights) in enumerate(levels, 1):
        codes, means = steps(log_probs, bits)
        arrays |= {f"{n}/log_probs": codes, f"{n}/log_prob_means": means}
        rounded.append((parents, words, means[codes].astype(np.float64), weights))
    fitted = with_fitted_weights(rounded, size)
    for n, (parents, words, _, weights) in enumerate(fitted, 1):
        if n > 1:
            counts = np.bincount(parents, minlength=len(levels[n - 2][1]))
            arrays |= {f"{n}/words": _narrow(words), f"{n}/counts": _narrow(counts)}
        if n < len(levels):
            codes, means = steps(weights, bits)
            arrays |= {f"{n}/backoffs": codes, f"{n}/backoff_means": means}
    return arrays


def unpack(arrays: dict[str, NDArray[Any]], order: int, size: int) -> list[Level]:
    """The levels that :func:`pack` wrote.

    Raises
    ------
    ValueError
        If the arrays are not those of a small file.
    """
    result: list[Level] = []
    for n in range(1, order + 1):
        log_probs = _values(arrays, f"{n}/log_probs", f"{n}/log_prob_means")
        if n == 1:
            parents, words = np.zeros(size, np.int64), np.arange(size)
        else:
            words = _integers(arrays, f"{n}/words").astype(np.int64)
            counts = _integers(arrays, f"{n}/counts").astype(np.int64)
            if len(counts) != len(result[-1][1]) or counts.sum() != len(words):
                raise ValueError(f"{n}/counts must have a number for each shorter n-gram, {len(words)} together")
            parents = np.repeat(np.arange(len(counts)), counts)
            same = parents[1:] == parents[:-1]
            if words.max(initial=0) >= size or (words[1:] <= words[:-1])[same].any():
                raise ValueError(f"{n}/words must be sorted below each history, and below {size}")
        weights = _values(arrays, f"{n}/backoffs", f"{n}/backoff_means") if n < order else np.zeros(len(words))
        if not len(words) == len(log_probs) == len(weights):
            raise ValueError(f"there must be a word, a probability and a weight for each n-gram of {n} tokens")
        result.append((parents, words, log_probs, weights))
    if arrays:
        raise ValueError(f"there must be no other arrays, got {', '.join(sorted(arrays))}")
    return result


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """In the fewest bytes that hold them."""
    most = values.max(initial=0)
    return values.astype(np.uint8 if most < 1 << 8 else np.uint16 if most < 1 << 16 else np.uint32)


def _integers(arrays: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    array = arrays.pop(name, None)
    if array is None or array.ndim != 1 or array.dtype.kind != "u":
        raise ValueError(f"{name} must be one row of unsigned integers")
    return array


def _values(arrays: dict[str, NDArray[Any]], name: str, of: str) -> NDArray[np.float64]:
    codes, means = _integers(arrays, name), arrays.pop(of, None)
    if means is None or means.ndim != 1 or means.dtype != np.float32 or (len(codes) and int(codes.max()) >= len(means)):
        raise ValueError(f"{of} must be one row of float32, with a value for each number of {name}")
    values: NDArray[np.float64] = means[codes].astype(np.float64)
    return values
