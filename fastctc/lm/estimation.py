"""Estimating n-gram models from text, all n-grams of a length at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastctc.lm.tables import NEVER, Level

Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]


class Counted(NamedTuple):
    """The different n-grams of one length, sorted."""

    parents: Integers  # the n-gram without its last token, as a place among the shorter ones
    words: Integers  # the last token
    suffixes: Integers  # the n-gram without its first token, as a place among the shorter ones
    counts: Integers
    heads: Integers  # how many of them begin a line


def count(lines: Sequence[Sequence[int]], order: int, size: int) -> list[Counted]:
    """Count the n-grams of every length up to ``order``; the first length lists all ``size`` tokens, seen or not."""
    tokens = np.concatenate([np.asarray(line, dtype=np.int64) for line in lines])
    lengths = np.array([len(line) for line in lines])
    ends = np.repeat(np.cumsum(lengths), lengths)  # of the line that each place is in
    heads = np.zeros(len(tokens), dtype=bool)
    heads[np.cumsum(lengths) - lengths] = True
    zeros = np.zeros(size, dtype=np.int64)
    levels = [
        Counted(
            zeros,
            np.arange(size),
            zeros,
            np.bincount(tokens, minlength=size),
            np.bincount(tokens[heads], minlength=size),
        )
    ]
    at = tokens  # the n-gram that begins at each place
    starts = np.arange(len(tokens))  # places where one begins
    for n in range(2, order + 1):
        longer = starts[starts + n <= ends[starts]]
        keys, first, inverse, counts = np.unique(
            at[longer] * size + tokens[longer + n - 1], return_index=True, return_inverse=True, return_counts=True
        )
        suffixes = at[longer[first] + 1]
        beginning = np.bincount(inverse[heads[longer]], minlength=len(keys))
        at = np.full(len(tokens), -1)
        at[longer] = inverse
        starts = longer
        levels.append(Counted(keys // size, keys % size, suffixes, counts, beginning))
    return levels


def add_k(lines: Sequence[Sequence[int]], order: int, size: int, begin: int, k: float) -> list[Level]:
    """Add-k smoothing: (count + k) / (count of the history + k V), where V tokens may follow.

    A token that never followed a history has the probability k / (count of the history + k V). It is the same for all
    such tokens, and stored as the history's back-off weight.
    """
    levels = count(lines, order, size)
    following = size - (begin >= 0)  # <s> follows nothing
    result = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for n, level in enumerate(levels):
            counts = level.counts.astype(np.float64)
            if n == 0 and begin >= 0:
                counts[begin] = 0
            totals = np.bincount(level.parents, counts)[level.parents] + k * following
            log_probs = np.log((counts + k) / totals)
            if n == 0 and begin >= 0:
                log_probs[begin] = NEVER
            rest = np.full(len(counts), -np.inf)
            if n + 1 < order:
                after = np.bincount(levels[n + 1].parents, levels[n + 1].counts, minlength=len(counts))
                rest = np.log(k / (after + k * following)) if k else rest
            result.append((level.parents, level.words, log_probs, rest))
    return result


def kneser_ney(lines: Sequence[Sequence[int]], order: int, size: int, begin: int) -> list[Level]:
    """Interpolated modified Kneser-Ney.

    The count of the longest n-grams is how often they occur. The count of shorter n-grams is how many different tokens
    precede them; the beginning of a line is one of these. Nothing can precede <s>, so that the count of n-grams that
    begin with it is again how often they occur.
    """
    levels = count(lines, order, size)
    result: list[Level] = []
    lower: Numbers = np.full(1, 1.0 / (size - (begin >= 0)))  # of each token alike
    for n, level in enumerate(levels):
        counts = level.counts.astype(np.float64)
        if n + 1 < order:
            before = np.bincount(levels[n + 1].suffixes, minlength=len(counts)) + level.heads
            counts = np.where(_begins(levels, n, begin), counts, before)
        if n == 0 and begin >= 0:
            counts[begin] = 0  # never predicted
        discounts = _discounts(counts)
        n_parents = len(levels[n - 1].words) if n else 1
        discount = discounts[np.minimum(counts, 3).astype(np.int64)]
        totals = np.bincount(level.parents, counts, minlength=n_parents)
        taken = np.bincount(level.parents, discount, minlength=n_parents)
        # A history that was never followed says nothing: all goes to the shorter one.
        weights = np.where(totals > 0, taken / np.where(totals > 0, totals, 1), 1.0)
        probs = np.maximum(counts - discount, 0) / np.where(totals > 0, totals, 1)[level.parents]
        probs += weights[level.parents] * lower[level.suffixes]
        if n:
            parents, words, log_probs, _ = result[-1]
            result[-1] = parents, words, log_probs, np.log(weights)
        lower = probs
        log_probs = np.log(probs)
        if n == 0 and begin >= 0:
            log_probs[begin] = NEVER
        result.append((level.parents, level.words, log_probs, np.zeros(len(probs))))
    return result


def _begins(levels: list[Counted], n: int, begin: int) -> NDArray[np.bool_]:
    """Which of the n-grams begin with <s>."""
    first: NDArray[np.bool_] = levels[0].words == begin
    for level in levels[1 : n + 1]:
        first = first[level.parents]
    return first


def _discounts(counts: Numbers) -> Numbers:
    """The discounts of n-grams with the counts 0, 1, 2, and 3 or more."""
    n1, n2, n3, n4 = (int((counts == times).sum()) for times in (1, 2, 3, 4))
    if min(n1, n2, n3, n4) > 0:
        y = n1 / (n1 + 2 * n2)
        result = np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        if (result[1:] > 0).all() and (result[1:] < [1, 2, 3]).all():
            return result
    return np.array([0, 0.5, 1.0, 1.5])  # too little text to tell
