"""Leaving out the n-grams that change a model least, all of a length at once.

A. Stolcke: Entropy-based Pruning of Backoff Language Models, DARPA Broadcast News Transcription and Understanding
Workshop, 1998. :mod:`fastctc.reference.pruning` has the formulas, n-gram by n-gram.
"""

from collections.abc import Sequence
from math import log

import numpy as np
from numpy.typing import NDArray

from fastctc.lm.tables import GREATEST_BACKOFF, Level, Tables, shorter_weights, tree

NOISE = 1e-6  # of a sum of probabilities, which are kept in single precision

Numbers = NDArray[np.float64]


def prune(levels: Sequence[Level], size: int, threshold: float, begin: int, end: int) -> list[Level]:
    """The levels without the n-grams that change the perplexity by less than a share of ``threshold`` each.

    From the longest n-grams to those of two tokens; an n-gram stays where a longer one begins with it. ``begin`` and
    ``end`` are the numbers of <s> and </s>, or -1.
    """
    changes = divergences(levels, size, begin, end)
    kept = list(levels)
    for n in range(len(levels) - 1, 0, -1):
        stays = np.expm1(changes[n]) >= threshold
        if n + 1 < len(levels):
            stays[kept[n + 1][0]] = True
            places = np.cumsum(stays) - 1
            kept[n + 1] = (places[kept[n + 1][0]], *kept[n + 1][1:])
        parents, words, log_probs, weights = kept[n]
        kept[n] = parents[stays], words[stays], log_probs[stays], weights[stays]
    while len(kept) > 1 and not len(kept[-1][1]):
        kept.pop()
    return with_fitted_weights(kept, size)


def divergences(levels: Sequence[Level], size: int, begin: int, end: int) -> list[Numbers]:
    """By how many nats a token the model without an n-gram diverges from the model, for all of each length."""
    tables = tree(levels, size, 0.0)
    result, histories = [np.full(size, np.inf)], _texts(levels[0], np.zeros(1))
    if begin >= 0 <= end:
        histories[begin] = histories[end]  # a history begins with <s> as often as lines end
    for n, (parents, _, log_probs, _) in enumerate(levels[1:], 1):
        probs, lower = np.exp(log_probs), _shorter_log_probs(tables, levels, n)
        left, lower_left = _left(levels, n, lower)
        weights = levels[n - 1][3][parents]
        with np.errstate(divide="ignore", invalid="ignore"):
            after = np.log((left[parents] + probs) / (lower_left[parents] + np.exp(lower)))
            change = probs * (lower + after - log_probs) + left[parents] * (after - weights)
        change[~np.isfinite(change)] = 0.0  # of what has no probability, or takes all of it
        result.append(-np.exp(histories)[parents] * change)
        histories = _texts(levels[n], histories)
    return result


def with_fitted_weights(levels: Sequence[Level], size: int) -> list[Level]:
    """The same n-grams, with the back-off weights with which all probabilities after a history have the sum 1."""
    tables, result = tree(levels, size, 0.0), list(levels)
    first = 1  # node of the histories
    for n in range(1, len(levels)):
        parents, words, log_probs, _ = levels[n - 1]
        left, lower_left = _left(levels, n, _shorter_log_probs(tables, levels, n))
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = np.log(left / lower_left)
        weights[lower_left < NOISE] = 0.0  # what is left is rounding error
        weights = np.clip(weights, log(NOISE), GREATEST_BACKOFF * log(10))
        result[n - 1] = parents, words, log_probs, weights
        tables[2][first : first + len(words)] = weights  # which longer histories ask for
        first += len(words)
    return result


def _texts(level: Level, histories: Numbers) -> Numbers:
    """Log probabilities of n-grams as texts, given those of their histories."""
    result: Numbers = histories[level[0]] + level[2]
    return result


def _shorter_log_probs(tables: Tables, levels: Sequence[Level], n: int) -> Numbers:
    """For each n-gram of ``n`` + 1 tokens what the last has after the shortened history."""
    _, log_probs, backoffs, children, suffixes = tables
    starts = np.cumsum([1, *(len(level[1]) for level in levels)])
    nodes = np.arange(starts[n], starts[n + 1])
    parents = np.concatenate([[0], np.repeat(np.arange(len(backoffs)), np.diff(children))])
    lower: Numbers = log_probs[suffixes[nodes]] + shorter_weights(nodes, parents, backoffs, suffixes)
    return lower


def _left(levels: Sequence[Level], n: int, lower: Numbers) -> tuple[Numbers, Numbers]:
    """What the tokens that followed each history leave to others, and what the shortened history would leave them."""
    parents, _, log_probs, _ = levels[n]
    n_histories = len(levels[n - 1][1])
    left, lower_left = (1.0 - np.bincount(parents, np.exp(v), minlength=n_histories) for v in (log_probs, lower))
    return np.maximum(left, 0.0), np.maximum(lower_left, 0.0)
