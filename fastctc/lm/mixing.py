"""One back-off model that is the linear interpolation of several, all n-grams of a length at once.

:mod:`fastctc.reference.mixing` says what is computed, n-gram by n-gram.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fastctc.lm.pruning import with_fitted_weights
from fastctc.lm.tables import Level, shorter_weights, tree

Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]


def mix(models: Sequence[Sequence[Level]], size: int, shares: Sequence[float]) -> list[Level]:
    """The levels of the mixture of models over the same ``size`` tokens."""
    structure, places = _union(models, size)
    mixed = [np.zeros(len(level[1])) for level in structure]
    tables = tree(structure, size, 0.0)
    for levels, own, share in zip(models, places, shares, strict=True):
        for total, log_probs in zip(mixed, _log_probs(levels, own, structure, tables[4]), strict=True):
            total += share * np.exp(log_probs)
    result = [
        (parents, words, np.log(probs), weights)
        for (parents, words, _, weights), probs in zip(structure, mixed, strict=True)
    ]
    return with_fitted_weights(result, size)


def _union(models: Sequence[Sequence[Level]], size: int) -> tuple[list[Level], list[list[Integers]]]:
    """The n-grams that any of the models has, without values, and where each model's own stand among them."""
    structure: list[Level] = []
    places: list[list[Integers]] = [[] for _ in models]
    for n in range(max(map(len, models))):
        keys = [
            (own[n - 1][levels[n][0]] if n else np.zeros(size, np.int64)) * size + levels[n][1]
            if n < len(levels)
            else np.zeros(0, np.int64)
            for levels, own in zip(models, places, strict=True)
        ]
        known = np.unique(np.concatenate(keys))
        nothing = np.zeros(len(known))
        structure.append((known // size, known % size, nothing, nothing))
        for own, mine in zip(places, keys, strict=True):
            own.append(np.searchsorted(known, mine))
    return structure, places


def _log_probs(
    levels: Sequence[Level], places: list[Integers], structure: list[Level], suffixes: NDArray[np.int32]
) -> list[Numbers]:
    """What one model says of all n-grams of a mixture, from short to long ones."""
    starts = np.cumsum([0, 1, *(len(level[1]) for level in structure)])
    n_inner = int(starts[-2])
    parents, backoffs = np.zeros(starts[-1], np.int64), np.zeros(n_inner, np.float32)
    for n, level in enumerate(structure):
        parents[starts[n + 1] : starts[n + 2]] = level[0] + starts[n]
        if n + 1 < min(len(levels), len(structure)):
            backoffs[starts[n + 1] + places[n]] = levels[n][3]
    found = np.zeros(starts[-1])
    for n in range(len(structure)):
        nodes = np.arange(starts[n + 1], starts[n + 2])
        if n:
            found[nodes] = found[suffixes[nodes]] + backoffs[parents[nodes]]
            found[nodes] += shorter_weights(nodes, parents, backoffs, suffixes)
        if n < len(levels):
            found[starts[n + 1] + places[n]] = levels[n][2]
    return [found[start:stop] for start, stop in pairwise(starts[1:])]
