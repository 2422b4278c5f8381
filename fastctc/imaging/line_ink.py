"""Which ink belongs to which line: pieces of ink to the nearest ridge, pieces of several lines cut between them.

A line ends where more paper follows than between the words of this page; what lies beyond is a line of its own (a
column, a margin note, a date). What is no writing (a frame, a flourish, a crack, a stain at the edge) is nobody's.

References
----------
G. Louloudis, B. Gatos, I. Pratikakis, C. Halatsis: Text line and word segmentation of handwritten documents, Pattern
Recognition 42, 2009 (pieces by height: those of one line, those of several, accents).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.imaging.layout import Box
from fastctc.imaging.ridges import Ridge, Ridges

Columns = npt.NDArray[np.int64]
BESIDE = 3.0  # x-heights beyond its ridge's ends that ink may belong to a line
NEAR = 0.6  # of the distance of lines: a piece that comes no nearer to a ridge is nobody's
FAR = 0.75  # ... and ink of a piece of several lines that lies farther off
WHOLE = 1.25  # of the distance of lines: lower pieces are never cut
SURE = 0.9  # share of a piece's ink nearest to one ridge, from which on it is not cut
FRAME = (2.2, 0.05)  # distances of lines in height, and the share of its box that is ink: more and less are a frame
FRAMED = 0.45  # of the distance of lines: words that touch a frame are nearer to their ridge
CRACK = (2.0, 0.5)  # distances of lines in height and width: more and less are a crack or a flourish
CORE = 1.2  # x-heights from the middle: where small letters are, which say where a line begins and ends
WORD_GAP = 0.6  # x-heights of paper between words, at least
PARTING = (2.5, 4.0, 12.0)  # times the wider gaps between words of the page, at least and at most in x-heights
NARROWEST = 2.5  # x-heights: what is narrower is no line
EDGE = (8.0, 0.5)  # x-heights: what is narrower, and so near to the edge of the page, is no line
THINNEST = 0.08  # of the width times the x-height that is ink: grain is thinner
STROKES = 0.35  # strokes for each x-height of width that a row of letters crosses, 3 at least: a flourish has fewer
BAND = 1.25  # x-heights from the middle to the upper and lower edge of a box, at least
REACH = 0.9  # of the distance of lines from the middle: farther ink does not stretch a box
OUTER = 0.005  # share of the ink above and below the box: single loops


@dataclass(frozen=True)
class LineInk:
    """The ink of a line: rows and columns of its pixels, its box, and its ridge."""

    rows: Columns
    columns: Columns
    box: Box
    ridge: Ridge


def ink_of_lines(labels: npt.NDArray[np.int32], boxes: Columns, ridges: Ridges) -> list[LineInk]:
    """Share out the ink among the ridges.

    Parameters
    ----------
    labels : (H, W) int32
        The number of each pixel's piece of ink; 0 for paper.
    boxes : (N, 6) int
        Number, left, top, right, bottom, area of every piece from 1 to N.

    Returns
    -------
    list of LineInk
        In no order.
    """
    rows, columns = np.nonzero(labels)
    owners = _owners(rows, columns, labels[rows, columns], boxes, ridges)
    order = np.argsort(owners, kind="stable")
    ends = np.searchsorted(owners[order], np.arange(1, len(ridges.found) + 2))
    own = [order[a:b] for a, b in pairwise(ends)]
    parts = [(ridge, rows[o], columns[o]) for ridge, o in zip(ridges.found, own, strict=True) if len(o)]
    gap = _parting_gap(parts, ridges)
    return [line for ridge, y, x in parts for line in _lines(ridge, y, x, gap, ridges, labels.shape)]


def _owners(y: Columns, x: Columns, pieces: npt.NDArray[np.int32], boxes: Columns, ridges: Ridges) -> Columns:
    """The number of the ridge, from 1, that each pixel belongs to; 0 for none."""
    nearest, owner = _nearest_ridges(ridges)
    cells = (y // ridges.cell, x // ridges.cell)
    owners, off = owner[cells].astype(np.int64), nearest[cells] * ridges.cell
    n = len(ridges.found) + 1
    shares = np.bincount(pieces * np.int64(n) + owners, minlength=(len(boxes) + 1) * n).reshape(-1, n)
    most = shares.argmax(1)
    widths, heights, areas = (
        np.concatenate([[0], v]) for v in (boxes[:, 3] - boxes[:, 1], boxes[:, 4] - boxes[:, 2], boxes[:, 5])
    )
    distance = ridges.distance
    whole = (heights < WHOLE * distance) | (shares.max(1) > SURE * np.maximum(1, shares.sum(1)))
    owners = np.where(whole[pieces], most[pieces], owners)
    least = np.full(len(boxes) + 1, np.inf)
    np.minimum.at(least, pieces, off)
    nobodys = least > NEAR * distance
    nobodys |= (heights > CRACK[0] * distance) & (widths < CRACK[1] * distance)
    owners[nobodys[pieces] | (~whole[pieces] & (off > FAR * distance))] = 0
    frames = (heights > FRAME[0] * distance) & (areas < FRAME[1] * widths * heights)
    owners[frames[pieces] & (off > FRAMED * distance)] = 0
    return owners


def _nearest_ridges(ridges: Ridges) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """For each cell how many rows the nearest ridge is away (more beyond its ends), and its number from 1."""
    nearest, owner = np.full(ridges.shape, np.inf, np.float32), np.zeros(ridges.shape, np.int32)
    row = np.arange(ridges.shape[0], dtype=np.float32)[:, None]
    beside = int(BESIDE * ridges.height / ridges.cell)
    for number, ridge in enumerate(ridges.found, 1):
        first, last = max(0, ridge.first - beside), min(ridges.shape[1] - 1, ridge.last + beside)
        column = np.arange(first, last + 1)
        middle = ridge.rows[np.clip(column - ridge.first, 0, len(ridge.rows) - 1)]
        beyond = np.maximum(0, np.maximum(ridge.first - column, column - ridge.last))
        away = np.abs(row - middle.astype(np.float32)) + 0.3 * beyond.astype(np.float32)
        part = (slice(None), slice(first, last + 1))
        nearer = away < nearest[part]
        nearest[part][nearer] = away[nearer]
        owner[part][nearer] = number
    return nearest, owner


def middle_rows(ridge: Ridge, columns: npt.NDArray[Any], cell: int) -> npt.NDArray[np.float64]:
    """The row of a ridge at columns of the page."""
    centres = (ridge.first + np.arange(len(ridge.rows)) + 0.5) * cell
    rows: npt.NDArray[np.float64] = np.interp(columns, centres, (ridge.rows + 0.5) * cell)
    return rows


def _used(ridge: Ridge, y: Columns, x: Columns, ridges: Ridges) -> tuple[npt.NDArray[np.float64], Columns]:
    """How far below the middle each pixel is, and the columns with ink near it."""
    below = y - middle_rows(ridge, x, ridges.cell)
    return below, np.flatnonzero(np.bincount(x[np.abs(below) < CORE * ridges.height]))


def _parting_gap(parts: list[tuple[Ridge, Columns, Columns]], ridges: Ridges) -> float:
    """Columns of paper that end a line: more than is usual between the words of this page."""
    times, least, most = PARTING
    gaps = [np.diff(_used(ridge, y, x, ridges)[1]) for ridge, y, x in parts]
    words = np.concatenate([g[g > WORD_GAP * ridges.height] for g in gaps]) if gaps else np.zeros(0)
    usual = times * float(np.quantile(words, 0.75)) / ridges.height if len(words) > 8 else least
    return float(np.clip(usual, least, most)) * ridges.height


def _lines(
    ridge: Ridge, y: Columns, x: Columns, gap: float, ridges: Ridges, shape: tuple[int, ...]
) -> Iterator[LineInk]:
    """The lines that a ridge's ink makes, parted where there is paper."""
    below, used = _used(ridge, y, x, ridges)
    if not len(used):
        return
    breaks = np.flatnonzero(np.diff(used) > gap)
    height = ridges.height
    starts, stops = [used[0], *used[breaks + 1]], [*used[breaks], used[-1]]
    for left, right in zip(starts, np.array(stops) + 1, strict=True):
        inside = (x >= left) & (x < right) & (np.abs(below) < max(REACH * ridges.distance, 2 * height))
        if right - left < NARROWEST * height or np.count_nonzero(inside) < THINNEST * height * (right - left):
            continue
        own_y, own_x, own_below = y[inside], x[inside], below[inside]
        top, bottom = np.quantile(own_y, [OUTER, 1 - OUTER])
        middle = np.median(middle_rows(ridge, np.arange(left, right), ridges.cell))
        half = min(BAND * height, ridges.distance / 2)
        top, bottom = max(0.0, min(top, middle - half)), min(shape[0] - 1.0, max(bottom, middle + half))
        margin = EDGE[1] * height
        at_edge = left <= margin or right >= shape[1] - margin or top <= margin or bottom >= shape[0] - margin
        if at_edge and right - left < EDGE[0] * height:
            continue
        if strokes(own_x - left, own_below, height) < max(3, STROKES * (right - left) / height):
            continue
        yield LineInk(own_y, own_x, Box(int(left), int(top), int(right), int(bottom) + 1), ridge)


def strokes(x: Columns, below: npt.NDArray[np.float64], height: float) -> int:
    """How many strokes a row through the small letters crosses, at most."""
    most = 0
    for row in (-0.3, 0.0, 0.3):
        there = np.bincount(x[np.abs(below - row * height) <= 1]) > 0
        most = max(most, int(np.count_nonzero(np.diff(np.concatenate([[False], there]).astype(np.int8)) == 1)))
    return most
