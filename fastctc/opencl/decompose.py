"""Decomposition of a structuring element into small parts, so that a kernel compares little."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fastctc.compiled.morphology import runs as runs_of

Kind = tuple[int, int]
Part = tuple[int, int, Kind]
Table = npt.NDArray[np.int32]

POINT: Kind = (0, 0)
KIND_COST = 3.0  # to make a row of one kind of pairs costs as much as so many comparisons
MANY = 1000  # set pixels: the search for what covers more of them would take seconds
# Pairs with a gap, and short runs, that may serve many rows of a mask.
CANDIDATES: tuple[Kind, ...] = ((0, 1), (1, 1), (1, 2), (0, 2), (0, 3), (0, 4), (1, 3), (1, 4))


def decompose(mask: npt.NDArray[np.bool_]) -> tuple[Table, Table]:
    """Parts (row, column, number of the kind), and kinds (level, apart), (n, 3) and (m, 2).

    A part is a pair of windows of 2^level pixels: one begins in the part's column, the other so many pixels further
    right. They overlap to a run of any length, or leave a gap. Parts may overlap, since a maximum may take a pixel
    twice. A mask of which every row is one run, such as a disk, is decomposed into these runs.
    """
    runs, lengths = runs_of(mask)
    kinds = [_run(length) for length in lengths.tolist()]
    parts = [(row, column, _run(length)) for row, column, length, _ in runs.tolist()]
    if len(parts) > np.count_nonzero(mask.any(axis=1)) and np.count_nonzero(mask) <= MANY:
        rows = [sum(1 << column for column in np.flatnonzero(row).tolist()) for row in mask]
        for first in (kinds, [POINT]):
            used = list(first)
            for kind in CANDIDATES:
                found = _covered(rows, [*used, kind])
                if _cost(found) < _cost(parts):
                    parts, used = found, [*used, kind]
    kinds = sorted({kind for _, _, kind in parts})
    table = [(row, column, kinds.index(kind)) for row, column, kind in parts]
    return np.array(table, np.int32).reshape(-1, 3), np.array(kinds, np.int32).reshape(-1, 2)


def _run(length: int) -> Kind:
    level = length.bit_length() - 1
    return level, length - (1 << level)


def _cost(parts: list[Part]) -> float:
    return len(parts) + KIND_COST * len({kind for _, _, kind in parts})


def _covered(rows: Sequence[int], kinds: list[Kind]) -> list[Part]:
    """Parts of these kinds, or points, for rows of bits: the first bit that is left decides, greedily."""
    shapes = {kind: _bits(*kind) for kind in [POINT, *kinds]}
    result = []
    for number, row in enumerate(rows):
        left = row
        while left:
            first = (left & -left).bit_length() - 1
            places = (
                (shape, kind, first - place)
                for kind, shape in shapes.items()
                for place in range(min(first + 1, shape.bit_length()))
                if shape >> place & 1 and not (shape << first - place) & ~row
            )
            shape, kind, column = max(places, key=lambda one: ((one[0] << one[2] & left).bit_count(), -one[0]))
            left &= ~(shape << column)
            result.append((number, column, kind))
    return result


def _bits(level: int, apart: int) -> int:
    window = (1 << (1 << level)) - 1
    return window | window << apart
