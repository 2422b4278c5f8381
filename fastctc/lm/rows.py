"""N-grams as rows of their tokens' numbers, in any order, before they stand in a tree.

They are looked up by a hash of 64 bits, that of KenLM's tables: it is taken from the last token backwards, so that the
hash of an n-gram goes on from that of its ending.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc.lm.tables import Level

MULTIPLIERS = np.uint64(8978948897894561157), np.uint64(17894857484156487943)

Rows = NDArray[Any]  # (n-grams, tokens)
Keys = NDArray[np.uint64]
Values = NDArray[np.float64]


class Again(ValueError):
    """Raised for an n-gram that is listed twice."""

    def __init__(self, row: Rows, place: int) -> None:
        super().__init__(f"n-grams must be different, got {row.tolist()} again")
        self.row = row
        self.place = place  # where it stood the second time


def keys(rows: Rows) -> Keys:
    """The hash of each row."""
    result = rows[:, -1].astype(np.uint64)
    for column in range(rows.shape[1] - 2, -1, -1):
        result *= MULTIPLIERS[0]
        result ^= (rows[:, column].astype(np.uint64) + np.uint64(1)) * MULTIPLIERS[1]
    return result


def among(wanted: Keys, ascending: Keys) -> NDArray[np.bool_]:
    """Which keys are among others."""
    if not len(ascending):
        return np.zeros(len(wanted), dtype=bool)
    found: NDArray[np.bool_] = ascending[np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)] == wanted
    return found


def places(rows: Rows, wanted: Rows) -> NDArray[np.int64]:
    """Where some rows stand among others, -1 for those that do not."""
    if not len(rows) or not len(wanted):
        return np.full(len(wanted), -1)
    known, asked = keys(rows), keys(wanted)
    order = np.argsort(known)
    found = order[np.minimum(np.searchsorted(known, asked, sorter=order), len(order) - 1)]
    return np.where(known[found] == asked, found, -1)


def missing(rows: Rows, parts: Rows) -> Rows:
    """Parts of longer n-grams that are not n-grams of the model, each once."""
    changes = np.ones(len(parts), dtype=bool)  # neighbours often have the same part
    changes[1:] = (parts[1:] != parts[:-1]).any(axis=1)
    parts = parts[changes]
    asked, first = np.unique(keys(parts), return_index=True)
    return parts[first[~among(asked, np.sort(keys(rows)))]]


def add_beginnings(rows: list[Rows], log_probs: list[Values], backoffs: list[Values]) -> None:
    """Pruned models may lack the beginning of an n-gram; a tree has it, with the probability that back-off gives."""
    _add(rows, log_probs, backoffs, slice(None, -1))


def add_endings(rows: list[Rows], log_probs: list[Values], backoffs: list[Values]) -> None:
    """What is looked up from its last token backwards must have the ending of every n-gram, as back-off gives it."""
    _add(rows, log_probs, backoffs, slice(1, None))


def _add(rows: list[Rows], log_probs: list[Values], backoffs: list[Values], part: slice) -> None:
    n_known = [len(level) for level in rows]
    for n in range(len(rows) - 1, 1, -1):
        new = missing(rows[n - 1], rows[n][:, part])
        if len(new):
            rows[n - 1] = np.concatenate([rows[n - 1], new])
    for n in range(1, len(rows) - 1):
        new = rows[n][n_known[n] :]
        if len(new):
            log_probs[n] = np.concatenate([log_probs[n], _log_probs_of(new, rows, log_probs, backoffs)])
            backoffs[n] = np.concatenate([backoffs[n], np.zeros(len(new))])


def _log_probs_of(wanted: Rows, rows: list[Rows], log_probs: list[Values], backoffs: list[Values]) -> Values:
    """Of n-grams, by back-off where the model does not have them; those of the shorter lengths are complete."""
    n = wanted.shape[1] - 1
    found = places(rows[n][: len(log_probs[n])], wanted)
    result = np.where(found >= 0, log_probs[n][found], 0.0) if len(log_probs[n]) else np.zeros(len(wanted))
    unknown = np.flatnonzero(found < 0)
    if len(unknown):
        shorter = _log_probs_of(wanted[unknown, 1:], rows, log_probs, backoffs)
        contexts = places(rows[n - 1][: len(backoffs[n - 1])], wanted[unknown, :-1])
        result[unknown] = shorter + np.where(contexts >= 0, backoffs[n - 1][contexts], 0.0)
    return result


def sorted_levels(rows: list[Rows], log_probs: list[Values], backoffs: list[Values], size: int) -> list[Level]:
    """Sort the n-grams of each length below those without their last token. This empties the lists.

    ``rows[0]`` must be all tokens, and beginnings must be there; see :func:`add_beginnings`.

    Raises
    ------
    Again
        For two equal rows.
    ValueError
        If a beginning is not there.
    """
    result: list[Level] = []
    known: list[NDArray[np.int64]] = []
    for order in range(len(rows)):
        row = rows[order]
        parents = np.zeros(len(row), dtype=np.int64)
        for n in range(order):
            parents *= size
            parents += row[:, n]
            found = np.searchsorted(known[n], parents)
            if len(found) and not np.array_equal(known[n][np.minimum(found, len(known[n]) - 1)], parents):
                raise ValueError("the beginning of an n-gram must be an n-gram")
            parents = found
        last = row[:, order].copy()
        rows[order] = np.empty((0, 0))
        key = parents * size
        key += last
        sort = np.argsort(key, kind="stable")
        key = key[sort]
        if (again := np.flatnonzero(key[1:] == key[:-1])).size:
            raise Again(row[sort[again[0]]], int(sort[again[0] + 1]))
        del row
        known.append(key)
        result.append(
            (parents[sort].astype(np.int32), last[sort].astype(np.int32), log_probs[order][sort], backoffs[order][sort])
        )
        log_probs[order] = backoffs[order] = np.empty(0)
    return result
