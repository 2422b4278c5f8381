"""The middles of text lines, as ridges of the ink's density: lines may slope, bend, be short, stand side by side.

Ink is spread by a Gaussian that is wide along the line and narrow across it. Where it is densest from row to row lies
a ridge; a ridge that goes on from column to column is a line. Of two ridges that run closer than lines do, the fainter
one is the ascenders or the descenders of the other. Ridges that end where another begins, at the same height, are one.

References
----------
S. S. Bukhari, F. Shafait, T. M. Breuel: Script-independent handwritten textlines segmentation using active contours,
ICDAR 2009 (ridges of anisotropic Gaussians).
N. Arvanitopoulos, S. Süsstrunk: Seam carving for text line extraction on color and grayscale historical manuscripts,
ICFHR 2014 (peaks of the density, column strip by column strip).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fastctc.imaging.layout import Binary

Rows = npt.NDArray[np.float64]
CELLS = 8  # cells to an x-height, in which density is counted
ALONG, ACROSS = 2.5, 0.5  # standard deviations of the Gaussian, in x-heights
FAINTEST = 0.35  # of the density of clear lines that a ridge has
SMALL = 0.24  # of the distance of lines that small letters are high at least; smaller pieces mislead the estimate
CLOSE = 0.55  # of the distance of lines: closer ridges are one line if one is fainter by
FAINTER = 0.6  # that factor,
TOUCHING = 1.3  # and in any case if they are closer than so many x-heights
SHORT = 6.0  # x-heights: a ridge as short as that beside a longer one, closer than lines are, is a capital or a loop
JUMP = 6.0  # x-heights of paper that a ridge may cross
STEP = 0.35  # of the distance of lines that it may rise or fall there
STEEPEST = 0.1  # rows a column, with which it goes on


@dataclass(frozen=True)
class Ridge:
    """A curve through the middle of a line: a row for each column from ``first`` on, and how dense the ink is there."""

    first: int
    rows: Rows
    density: Rows

    @property
    def last(self) -> int:
        """The last column."""
        return self.first + len(self.rows) - 1

    def between(self, first: int, last: int) -> tuple[Rows, Rows]:
        """Rows and densities from column to column."""
        part = slice(first - self.first, last - self.first + 1)
        return self.rows[part], self.density[part]


@dataclass(frozen=True)
class Ridges:
    """The lines of a page in cells, and how large a cell is.

    Attributes
    ----------
    found : list of Ridge
    cell : int
        Pixels to a cell, each way; rows and columns of ridges are cells'.
    shape : (int, int)
        Cells of the page.
    height : float
        The height of small letters in pixels.
    distance : float
        From line to line, in pixels.
    """

    found: list[Ridge]
    cell: int
    shape: tuple[int, int]
    height: float
    distance: float


def text_ridges(ink: Binary, height: float) -> Ridges:
    """Find the middles of the lines of ink.

    Parameters
    ----------
    ink : (H, W) bool
        Without rules.
    height : float
        The height of small letters in pixels, as pieces of ink show it. Where it is small beside the distance of
        lines (pale ink is broken into small pieces) that distance decides.
    """
    found, cell, shape = _ridges(ink, height)
    unit = height / cell
    distance = _distance(_parted(found, 1.2 * unit, 1.2 * unit))
    if distance is not None and height < SMALL * distance * cell:
        height = SMALL * distance * cell
        found, cell, shape = _ridges(ink, height)
        unit = height / cell
        distance = _distance(_parted(found, 1.2 * unit, 1.2 * unit))
    distance = distance or 3 * unit
    close = max(CLOSE * distance, TOUCHING * unit)
    found = _without_loops(_parted(found, close, TOUCHING * unit), close, SHORT * unit)
    return Ridges(_joined(found, unit, distance), cell, shape, height, distance * cell)


def _ridges(ink: Binary, height: float) -> tuple[list[Ridge], int, tuple[int, int]]:
    from scipy import ndimage

    cell = max(1, round(height / CELLS))
    rows, columns = -(-ink.shape[0] // cell), -(-ink.shape[1] // cell)
    padded = np.zeros((rows * cell, columns * cell), np.float32)
    padded[: ink.shape[0], : ink.shape[1]] = ink
    spread = (ACROSS * height / cell, ALONG * height / cell)
    cells = padded.reshape(rows, cell, columns, cell).mean((1, 3))
    density = ndimage.gaussian_filter(cells, spread, mode="constant")
    peaks = np.zeros(density.shape, bool)
    peaks[1:-1] = (density[1:-1] > density[:-2]) & (density[1:-1] >= density[2:])
    if not peaks.any():
        return [], cell, (rows, columns)
    peaks &= density > FAINTEST * np.quantile(density[peaks], 0.8)
    labels, _ = ndimage.label(peaks, np.ones((3, 3)))
    found = []
    for number, place in enumerate(ndimage.find_objects(labels), 1):
        y, x = np.nonzero(labels[place] == number)
        count = np.bincount(x)
        if len(count) < height / cell:
            continue
        middle = place[0].start + np.bincount(x, y) / count
        left = int(place[1].start)
        there = density[np.rint(middle).astype(int), np.arange(left, left + len(count))].astype(np.float64)
        found.append(Ridge(left, middle, there))
    return found, cell, (rows, columns)


def _distance(ridges: list[Ridge]) -> float | None:
    """The usual number of rows from ridge to ridge below, the denser the more it counts; None if there are few."""
    columns: dict[int, list[tuple[float, float]]] = {}
    for ridge in ridges:
        for k in range(-ridge.first % 8, len(ridge.rows), 8):
            columns.setdefault(ridge.first + k, []).append((ridge.rows[k], ridge.density[k]))
    steps, weights = [], []
    for points in columns.values():
        points.sort()
        for (row, density), (below, other) in pairwise(points):
            steps.append(below - row)
            weights.append(min(density, other))
    if len(steps) < 10:
        return None
    order = np.argsort(steps)
    running = np.cumsum(np.array(weights)[order])
    return float(np.array(steps)[order][np.searchsorted(running, running[-1] / 2)])


def _parted(ridges: list[Ridge], close: float, touching: float) -> list[Ridge]:
    """Ridges, the densest first, without the stretches that run beside a denser one."""
    from scipy import ndimage

    kept: list[Ridge] = []
    for ridge in sorted(ridges, key=lambda r: -float(r.density.sum())):
        free = np.ones(len(ridge.rows), bool)
        for other in kept:
            first, last = max(ridge.first, other.first), min(ridge.last, other.last)
            if first > last:
                continue
            (rows, density), (others, stronger) = ridge.between(first, last), other.between(first, last)
            limit = close if density.mean() < FAINTER * stronger.mean() else touching
            free[first - ridge.first : last - ridge.first + 1] &= np.abs(rows - others) >= limit
        stretches, _ = ndimage.label(free)
        for (stretch,) in ndimage.find_objects(stretches):
            length = stretch.stop - stretch.start
            if length >= max(3, close / 2) and (length >= len(free) / 2 or length > 3 * close):
                kept.append(Ridge(ridge.first + stretch.start, ridge.rows[stretch], ridge.density[stretch]))
    return kept


def _without_loops(ridges: list[Ridge], close: float, short: float) -> list[Ridge]:
    """Ridges without the short ones that run beside a longer one, or off its ends: capitals, ascenders, descenders."""
    lines = [ridge for ridge in ridges if len(ridge.rows) > short]

    def beside(ridge: Ridge, line: Ridge) -> bool:
        if ridge.first > line.last + short or ridge.last < line.first - short:
            return False
        column = np.clip((ridge.first + ridge.last) // 2, line.first, line.last) - line.first
        # A ridge on the same row goes on in the line: that is for joining to say.
        return bool(close / 4 < abs(float(np.median(ridge.rows)) - line.rows[column]) < close)

    return [r for r in ridges if len(r.rows) > short or not any(beside(r, line) for line in lines)]


def _joined(ridges: list[Ridge], unit: float, distance: float) -> list[Ridge]:
    """Ridges that go on in each other made one, the nearest pairs first."""
    if not ridges:
        return []
    slopes = [(_slope(r, unit, at_end=False), _slope(r, unit, at_end=True)) for r in ridges]
    pairs = []
    for i, ridge in enumerate(ridges):
        for j, other in enumerate(ridges):
            gap = other.first - ridge.last
            if i == j or not -2 * unit < gap <= JUMP * unit or other.last <= ridge.last:
                continue
            slope = float(np.clip((slopes[i][1] + slopes[j][0]) / 2, -STEEPEST, STEEPEST))
            step = abs(other.rows[0] - ridge.rows[-1] - slope * gap)
            if step <= STEP * distance:
                pairs.append((gap + 4 * step, i, j))
    follows: dict[int, int] = {}
    for _, i, j in sorted(pairs):
        if i not in follows and j not in follows.values():
            follows[i] = j
    whole = []
    for start in set(range(len(ridges))) - set(follows.values()):
        chain = [start]
        while chain[-1] in follows:
            chain.append(follows[chain[-1]])
        whole.append(_chained([ridges[k] for k in chain]))
    return whole


def _slope(ridge: Ridge, unit: float, *, at_end: bool) -> float:
    n = min(len(ridge.rows), int(6 * unit) + 1)
    if n < max(2, 2 * unit):
        return 0.0
    rows = ridge.rows[-n:] if at_end else ridge.rows[:n]
    return float(np.polyfit(np.arange(n), rows, 1)[0])


def _chained(parts: list[Ridge]) -> Ridge:
    """One ridge of several from left to right; over gaps it runs straight, and is of no density."""
    columns = np.concatenate([np.arange(p.first, p.last + 1) for p in parts])
    rows, density = np.concatenate([p.rows for p in parts]), np.concatenate([p.density for p in parts])
    columns, own = np.unique(columns, return_index=True)
    every = np.arange(columns[0], columns[-1] + 1)
    return Ridge(
        int(columns[0]),
        np.interp(every, columns, rows[own]),
        np.where(np.isin(every, columns), np.interp(every, columns, density[own]), 0.0),
    )
