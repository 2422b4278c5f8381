"""The order in which the lines of a page are read: column by column, in each from top to bottom.

References
----------
G. Nagy, S. Seth: Hierarchical representation of optically scanned documents, ICPR 1984 (the recursive X-Y cut).
"""

from collections.abc import Sequence
from itertools import pairwise

from fastctc.imaging.layout import Box

GUTTER = 1.5  # x-heights of paper between columns, at least
LINES = 3  # a column has so many lines at least
BESIDE = 0.5  # of the lower one's height that two columns run beside each other
SAME_ROW = 0.5  # of the height of a line: what starts no lower stands beside it


def reading_order(boxes: Sequence[Box], height: float) -> list[int]:
    """The numbers of boxes of lines in reading order.

    Parameters
    ----------
    height : float
        The height of small letters.
    """
    return _order(boxes, list(range(len(boxes))), height)


def _order(boxes: Sequence[Box], some: list[int], height: float) -> list[int]:
    columns = _columns(boxes, some, height)
    if columns:
        return [n for column in columns for n in _order(boxes, column, height)]
    bands = _bands(boxes, some)
    # The longest run of bands that falls into columns; a heading above and a line below go on their own.
    for length in range(len(bands) - 1, 1, -1):
        for start in range(len(bands) - length + 1):
            run = [n for band in bands[start : start + length] for n in band]
            if _columns(boxes, run, height):
                above = [n for band in bands[:start] for n in band]
                below = [n for band in bands[start + length :] for n in band]
                return [*_order(boxes, above, height), *_order(boxes, run, height), *_order(boxes, below, height)]
    return _rows(boxes, some)


def _columns(boxes: Sequence[Box], some: list[int], height: float) -> list[list[int]]:
    """Two groups parted by white from top to bottom, if both are columns of text."""
    across = sorted(some, key=lambda n: boxes[n].left)
    right = 0
    for k, n in enumerate(across):
        if k >= LINES and len(across) - k >= LINES and boxes[n].left - right > GUTTER * height:
            sides = [across[:k], across[k:]]
            tops = [min(boxes[m].top for m in side) for side in sides]
            bottoms = [max(boxes[m].bottom for m in side) for side in sides]
            shared = min(bottoms) - max(tops)
            if shared > BESIDE * min(b - t for t, b in zip(tops, bottoms, strict=True)):
                return sides
        right = max(right, boxes[n].right)
    return []


def _bands(boxes: Sequence[Box], some: list[int]) -> list[list[int]]:
    """Groups from top to bottom that no line's middle half shares with another."""
    bands: list[list[int]] = []
    reach = -1.0
    for n in sorted(some, key=lambda n: boxes[n].top + boxes[n].bottom):
        top, bottom = boxes[n].top + boxes[n].height / 4, boxes[n].bottom - boxes[n].height / 4
        if not bands or top >= reach:
            bands.append([])
        bands[-1].append(n)
        reach = max(reach, bottom)
    return bands


def _rows(boxes: Sequence[Box], some: list[int]) -> list[int]:
    """From top to bottom; what stands in a row, from left to right."""
    down = sorted(some, key=lambda n: boxes[n].top + boxes[n].bottom)
    rows: list[list[int]] = [[n] for n in down[:1]]
    for before, n in pairwise(down):
        first, box = boxes[rows[-1][0]], boxes[n]
        beside = all(box.left >= boxes[m].right or box.right <= boxes[m].left for m in rows[-1])
        near = (box.top + box.bottom) - (first.top + first.bottom) < 2 * SAME_ROW * boxes[before].height
        if beside and near:
            rows[-1].append(n)
        else:
            rows.append([n])
    return [n for row in rows for n in sorted(row, key=lambda m: boxes[m].left)]
