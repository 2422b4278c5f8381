"""The arrays of an n-gram model: a tree of all n-grams, and the running sums that look-ahead asks for."""

from collections.abc import Sequence
from math import log

import numpy as np
from numpy.typing import NDArray

from fastctc.search_inputs import RunningSums

HIGHEST_ORDER = 32  # tokens of the longest n-grams: what texts repeat is shorter, and an n-gram takes order**2 to read
MOST_NGRAMS = 1 << 28  # that are read by default
GREATEST_BACKOFF = 8.0  # logarithm to the base of 10: weights above 1 are rare, and 32 such have a finite product
NEVER = -99 * log(10)  # what ARPA files write for what is never predicted
MISSING = -100 * log(10)  # an unknown token, where the model says nothing about them

Tables = tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]

# All n-grams of one length: for each the n-gram without its last token, as a place in the level before; the last token;
# its log probability; and the logarithm of its back-off weight.
Level = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]

TABLES = {"words": "int32", "log_probs": "float32", "backoffs": "float32", "children": "int32", "suffixes": "int32"}


def check_order(order: int) -> None:
    """Refuse the lengths that no n-gram has."""
    if not 1 <= order <= HIGHEST_ORDER:
        raise ValueError(f"order must be 1 to {HIGHEST_ORDER} (fastctc.lm.tables.HIGHEST_ORDER), got {order}")


def tree(levels: Sequence[Level], size: int, root: float) -> Tables:
    """The tables of the n-grams of each length, of which the first are all ``size`` tokens in their order."""
    starts = np.cumsum([0, 1, *(len(level[1]) for level in levels)])
    if starts[-1] >= 1 << 31:
        raise ValueError(f"a model must have fewer than 2**31 n-grams, got {starts[-1]}")
    n_inner = int(starts[-2])
    words = np.concatenate([[-1], *(level[1] for level in levels)])
    parents = np.concatenate([[-1], *(level[0] + starts[i] for i, level in enumerate(levels))])
    counts = np.bincount(parents[1:], minlength=n_inner)
    children = np.concatenate([[1], 1 + np.cumsum(counts)])
    keys = parents * size + words  # ascending, since levels are sorted by their parents and words
    suffixes = np.zeros(len(words), dtype=np.int64)
    for i in range(1, len(levels)):
        nodes = np.arange(starts[i + 1], starts[i + 2])
        shorter = suffixes[parents[nodes]]
        while len(nodes):
            wanted = shorter * size + words[nodes]
            found = np.searchsorted(keys, wanted)
            hit = keys[np.minimum(found, len(keys) - 1)] == wanted
            suffixes[nodes[hit]] = found[hit]
            nodes, shorter = nodes[~hit], suffixes[shorter[~hit]]
    return (
        words.astype(np.int32),
        np.concatenate([[0.0], *(level[2] for level in levels)]).astype(np.float32),
        np.concatenate([[root], *(level[3] for level in levels[:-1])]).astype(np.float32),
        children.astype(np.int32),
        suffixes.astype(np.int32),
    )


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
    # From the longest shorter history down to the one that knows the token.
    shorter = suffixes[parents]
    known = np.where(suffixes > 0, parents[suffixes], 0)
    weights = np.zeros(len(probs))
    apart = np.flatnonzero(shorter != known)
    while len(apart):
        weights[apart] += backoffs[shorter[apart]]
        shorter[apart] = suffixes[shorter[apart]]
        apart = apart[shorter[apart] != known[apart]]
    lower = probs[suffixes] * np.exp(weights)
    return RunningSums(own, _sums_by_parent(lower, children))


def _sums_by_parent(values: NDArray[np.float64], children: NDArray[np.int32]) -> NDArray[np.float64]:
    """Running sums that begin anew with the children of each node, so that small values keep their digits."""
    result = np.cumsum(values, dtype=np.longdouble) - values[0]
    starts = children[:-1][np.diff(children) > 0]
    counts = np.diff(children)[np.diff(children) > 0]
    result[1:] -= np.repeat(result[starts - 1], counts)
    sums: NDArray[np.float64] = result.astype(np.float64)
    return sums
