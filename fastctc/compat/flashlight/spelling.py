"""The words of a lexicon by their spellings, as tables for the search."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc.search_inputs import SpellingTree

SMEARING = ("none", "max", "logadd")


def spelling_tree(
    spellings: Sequence[Sequence[int]], words: Sequence[int], scores: Sequence[float], smearing: str = "max"
) -> SpellingTree:
    """Put spellings into a tree.

    Parameters
    ----------
    spellings : sequence of sequences of int
        Tokens of each spelling, at least one.
    words, scores : sequences
        Its word, and what that word is worth to the language model.
    smearing : {"max", "logadd", "none"}
        What stands for the words below a node: the best of their scores, their sum, or 0.

    Notes
    -----
    Nodes are numbered level by level, so that the children of a node stand side by side. Words of one spelling count
    together, as logarithms of probabilities.
    """
    lengths = np.fromiter(map(len, spellings), np.int64, len(spellings))
    if not lengths.all():
        raise ValueError(
            f"a spelling must have at least one token, that of word {words[int(lengths.argmin())]} has none"
        )
    flat = np.fromiter(chain.from_iterable(spellings), np.int64, int(lengths.sum()))
    starts = np.cumsum(lengths) - lengths
    if len(flat) and flat.min() < 0:
        raise ValueError(f"tokens must be 0 or more, got {flat.min()}")
    width = int(flat.max()) + 1 if len(flat) else 1
    at = np.zeros(len(lengths), np.int64)  # the node of each spelling
    levels = [np.zeros(1, np.int64)]  # of each: parent * width + token
    n_nodes = 1
    for depth in range(int(lengths.max()) if len(lengths) else 0):
        longer = np.flatnonzero(lengths > depth)
        keys, numbers = np.unique(at[longer] * width + flat[starts[longer] + depth], return_inverse=True)
        at[longer] = n_nodes + numbers
        levels.append(keys)
        n_nodes += len(keys)
    keys = np.concatenate(levels)
    parents, tokens = keys // width, keys % width
    parents[0] = tokens[0] = -1
    children = 1 + np.concatenate([[0], np.cumsum(np.bincount(parents[1:], minlength=n_nodes))])
    order = np.argsort(at, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(at, minlength=n_nodes))])
    of_nodes = np.asarray(words, np.int32)[order]
    bounds = np.zeros(n_nodes, np.float32)
    if smearing != "none":
        values = np.asarray(scores, np.float32)[order]
        sizes = [len(level) for level in levels]
        bounds = smeared(values, offsets, parents, sizes, smearing == "logadd")
    return SpellingTree(
        tokens.astype(np.int32),
        children.astype(np.int32),
        parents.astype(np.int32),
        bounds,
        offsets.astype(np.int32),
        of_nodes,
    )


def smeared(
    values: NDArray[np.float32], offsets: NDArray[Any], parents: NDArray[Any], sizes: Sequence[int], add: bool
) -> NDArray[np.float32]:
    """What stands for the words below each node, from the lowest level upwards."""
    counts = np.diff(offsets)
    bounds = np.full(len(counts), -np.inf, np.float32)
    single = counts == 1
    bounds[single] = values[offsets[:-1][single]]
    for node in np.flatnonzero(counts > 1):
        for value in values[offsets[node] : offsets[node + 1]]:
            bounds[node] = np.logaddexp(np.float64(bounds[node]), np.float64(value))
    stop = len(bounds)
    for size in sizes[:0:-1]:
        level = slice(stop - size, stop)
        if add:
            above = bounds.astype(np.float64)
            np.logaddexp.at(above, parents[level], above[level])
            bounds = above.astype(np.float32)
        else:
            np.maximum.at(bounds, parents[level], bounds[level])
        stop -= size
    return bounds
