"""The arrays of an n-gram model: a tree of all n-grams, and the running sums that look-ahead asks for."""

from collections.abc import Sequence
from itertools import pairwise
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc.search_inputs import RunningSums

HIGHEST_ORDER = 32  # tokens of the longest n-grams: what texts repeat is shorter, and an n-gram takes order**2 to read
MOST_NGRAMS = 1 << 28  # that are read by default
GREATEST_BACKOFF = 8.0  # logarithm to the base of 10: weights above 1 are rare, and 32 such have a finite product
NEVER = -99 * log(10)  # what ARPA files write for what is never predicted
AT_ONCE = 1 << 20  # n-grams whose suffixes are found together
MISSING = -100 * log(10)  # an unknown token, where the model says nothing about them

Tables = tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]

# All n-grams of one length: for each the n-gram without its last token, as a place in the level before; the last token;
# its log probability; and the logarithm of its back-off weight.
Level = tuple[NDArray[Any], NDArray[Any], NDArray[np.float64], NDArray[np.float64]]

TABLES = {"words": "int32", "log_probs": "float32", "backoffs": "float32", "children": "int32", "suffixes": "int32"}


def check_order(order: int) -> None:
    """Refuse an order below 1 or above the greatest."""
    if not 1 <= order <= HIGHEST_ORDER:
        raise ValueError(f"order must be 1 to {HIGHEST_ORDER} (fastctc.lm.tables.HIGHEST_ORDER), got {order}")


def tree(levels: Sequence[Level], size: int, root: float) -> Tables:
    """The tables of the n-grams of each length, of which the first are all ``size`` tokens in their order.

    Beside the levels and the tables it takes 4 bytes an n-gram, and 12 for those that are not of the highest order.
    """
    starts = np.cumsum([0, 1, *(len(level[1]) for level in levels)])
    if starts[-1] >= 1 << 31:
        raise ValueError(f"a model must have fewer than 2**31 n-grams, got {starts[-1]}")
    n_nodes, n_inner = int(starts[-1]), int(starts[-2])
    words, parents = np.full(n_nodes, -1, np.int32), np.full(n_nodes, -1, np.int32)
    log_probs, backoffs = np.zeros(n_nodes, np.float32), np.full(n_inner, root, np.float32)
    for level, before, start, stop in zip(levels, starts, starts[1:], starts[2:], strict=False):
        np.add(level[0], before, out=parents[start:stop], casting="same_kind")
        words[start:stop] = level[1]
        log_probs[start:stop] = level[2]
        if start < n_inner:
            backoffs[start:stop] = level[3]
    children = np.ones(n_inner + 1, np.int32)
    children[1:] += np.cumsum(np.bincount(parents[1:], minlength=n_inner)).astype(np.int32)
    keys = parents[:n_inner].astype(np.int64)  # ascending, since levels are sorted by their parents and words
    keys *= size
    keys += words[:n_inner]
    suffixes = np.zeros(n_nodes, dtype=np.int32)
    for level_start, level_stop in pairwise(starts[2:].tolist()):  # found by those of the length before
        for start in range(level_start, level_stop, AT_ONCE):
            nodes = np.arange(start, min(start + AT_ONCE, level_stop))
            _find_suffixes(nodes, size, keys, parents, words, suffixes)
    return words, log_probs, backoffs, children, suffixes


def _find_suffixes(
    nodes: NDArray[np.int64],
    size: int,
    keys: NDArray[np.int64],
    parents: NDArray[np.int32],
    words: NDArray[np.int32],
    suffixes: NDArray[np.int32],
) -> None:
    """The longest n-gram that ends each node, found below those that end the node without its last token."""
    shorter = suffixes[parents[nodes]]
    while len(nodes):
        wanted = shorter.astype(np.int64) * size + words[nodes]
        found = np.searchsorted(keys, wanted)
        hit = keys[np.minimum(found, len(keys) - 1)] == wanted
        suffixes[nodes[hit]] = found[hit]
        nodes, shorter = nodes[~hit], suffixes[shorter[~hit]]


def running_sums(
    log_probs: NDArray[np.float32],
    backoffs: NDArray[np.float32],
    children: NDArray[np.int32],
    suffixes: NDArray[np.int32],
    uniform: bool,
) -> RunningSums:
    """Over the children of each node: of their probabilities, and of those that the shorter history gives them."""
    counts = np.diff(children)
    parents = np.repeat(np.arange(len(counts)), counts)
    probs = np.exp(log_probs.astype(np.float64))
    parents = np.concatenate([[0], parents])
    own = _sums_by_parent(probs, children)
    if uniform:
        return RunningSums(own, np.zeros(len(own)))
    nodes = np.arange(len(probs))
    lower = probs[suffixes] * np.exp(shorter_weights(nodes, parents, backoffs, suffixes))
    return RunningSums(own, _sums_by_parent(lower, children))


def shorter_weights(
    nodes: NDArray[Any], parents: NDArray[Any], backoffs: NDArray[np.float32], suffixes: NDArray[np.int32]
) -> NDArray[np.float64]:
    """For some n-grams, what their shortened histories add to ``log_probs[suffixes]``.

    It is the sum of the back-off weights from the longest shorter history down to the one that knows the token.
    """
    shorter, ends = suffixes[parents[nodes]], suffixes[nodes]
    known = np.where(ends > 0, parents[ends], 0)
    weights = np.zeros(len(nodes))
    apart = np.flatnonzero(shorter != known)
    while len(apart):
        weights[apart] += backoffs[shorter[apart]]
        shorter[apart] = suffixes[shorter[apart]]
        apart = apart[shorter[apart] != known[apart]]
    return weights


def _sums_by_parent(values: NDArray[np.float64], children: NDArray[np.int32]) -> NDArray[np.float64]:
    """Running sums that start again from 0 with the children of each node, so that small values keep their digits."""
    result = np.cumsum(values, dtype=np.longdouble) - values[0]
    starts = children[:-1][np.diff(children) > 0]
    counts = np.diff(children)[np.diff(children) > 0]
    result[1:] -= np.repeat(result[starts - 1], counts)
    sums: NDArray[np.float64] = result.astype(np.float64)
    return sums
