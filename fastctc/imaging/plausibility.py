"""How much a line looks like writing: flourishes, pictures, stamps' rims, grain and torn edges do not.

A logistic function of nine properties of a line's ink, fitted on the training and validation pages of four archives
(``python -m bench.pages FOLDER --fit``). The threshold is low: what may be writing stays.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fastctc.imaging.line_ink import LineInk, middle_rows, strokes
from fastctc.imaging.ridges import Ridges

LEAST = 0.25  # the probability of being writing, below which a line is dropped
LONG = 15.0  # x-heights of width, from which on lines say how dense the ink of this page is
WEIGHTS = (2.355, 2.257, -0.297, -0.385, -1.797, 0.978, -1.04, 0.872, 0.588, -4.238)


def plausible(lines: Sequence[LineInk], ridges: Ridges) -> list[LineInk]:
    """The lines that look like writing."""
    if not lines:
        return []
    known = properties(lines, ridges)
    with np.errstate(over="ignore"):
        probability = 1 / (1 + np.exp(-(known @ np.array(WEIGHTS[:-1]) + WEIGHTS[-1])))
    return [line for line, p in zip(lines, probability, strict=True) if p >= LEAST]


def properties(lines: Sequence[LineInk], ridges: Ridges) -> npt.NDArray[np.float64]:
    """Nine properties of each line.

    Returns
    -------
    (lines, 9) float64
        The logarithms of its width in x-heights, of the share of its core that is ink, of the strokes that an x-height
        of a row crosses, of the ridge's density beside that of the page's long lines, and of its height in x-heights;
        the deviation of its ink from the middle in x-heights; the mean run of ink along a row as logarithm of
        x-heights; the share of its ink that is in the core; the share of its columns that have a long line near
        above or below, as the last line of a paragraph has. The core are 0.6 x-heights above and below the middle.
    """
    rows = np.array([_properties(line, ridges.height, ridges.cell) for line in lines], np.float64)
    long = rows[:, 0] > np.log(LONG)
    if long.any():
        rows[:, 3] -= np.median(rows[long, 3])
    else:
        rows[:, 3] -= rows[:, 3].max()
    return np.column_stack([rows, _neighbours(lines, long, ridges.distance)])


def _neighbours(lines: Sequence[LineInk], long: npt.NDArray[np.bool_], distance: float) -> list[float]:
    """The share of each line's columns that a long line covers, at most two distances of lines above or below."""
    found = []
    for number, line in enumerate(lines):
        box, most = line.box, 0
        for other in (lines[int(k)].box for k in np.flatnonzero(long) if k != number):
            if abs(other.top + other.bottom - box.top - box.bottom) < 4 * distance:
                most = max(most, min(box.right, other.right) - max(box.left, other.left))
        found.append(most / box.width)
    return found


def _properties(line: LineInk, height: float, cell: int) -> list[float]:
    box, ridge = line.box, line.ridge
    width = box.width / height
    below = line.rows - middle_rows(ridge, line.columns, cell)
    core = np.abs(below) < 0.6 * height
    first = int(np.clip(box.left // cell - ridge.first, 0, len(ridge.rows) - 1))
    last = int(np.clip(box.right // cell - ridge.first, first + 1, len(ridge.rows)))
    places = line.rows.astype(np.int64) * (int(line.columns.max()) + 2) + line.columns
    runs = 1 + np.count_nonzero(np.diff(np.sort(places)) != 1)
    return [
        np.log(width),
        np.log(0.01 + core.sum() / (1.2 * height * box.width)),
        np.log(0.05 + strokes(line.columns - box.left, below, height) / width),
        np.log(1e-4 + float(np.median(ridge.density[first:last]))),
        np.log(box.height / height),
        float(below.std()) / height,
        np.log(0.01 + len(places) / runs / height),
        float(core.mean()),
    ]
