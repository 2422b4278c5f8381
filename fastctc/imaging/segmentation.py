"""From a page to its lines and words, by what is dark: no model, no training.

Everything is measured in the height of small letters, which is estimated from the page itself, so that neither the
resolution nor the size of the hand matters.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fastctc.imaging import morphology
from fastctc.imaging.layout import Binary, Box, Grey, PageLayout, TextLine
from fastctc.imaging.line_ink import LineInk, ink_of_lines, middle_rows
from fastctc.imaging.plausibility import plausible
from fastctc.imaging.reading_order import reading_order
from fastctc.imaging.ridges import text_ridges
from fastctc.imaging.rules import without_rules

__all__ = ["Box", "PageLayout", "TextLine", "binarize", "segment_page", "skew", "straightened", "x_height"]

INSTALL = 'segmentation needs SciPy: pip install "fastctc[htr]"'
REACH = 0.35  # rows of the closing that makes a word of its letters, in x-heights
GAPS = (0.3, 0.55, 0.9)  # columns of that closing, in x-heights: the least, the usual, the most
SMALLEST = 0.04  # part of a squared x-height: what is smaller is dirt
STEEPEST = 15.0  # degrees that a page is turned at most
PALE = 0.14  # how sure binarization is to be: pale ink counts
BLOCKS = 1200  # along the longer side of a page, in which ink is counted to find out how it is turned


def binarize(image: Grey, window: int | None = None, k: float = 0.2) -> Binary:
    """What is ink: darker than its neighbourhood's mean by more than the neighbourhood's contrast explains.

    Parameters
    ----------
    window : int, optional
        Rows and columns of the neighbourhood; by default a fortieth of the longer side, at least 15.
    k : float
        How sure to be; less finds fainter ink, and more dirt.

    References
    ----------
    J. Sauvola, M. Pietikäinen: Adaptive document image binarization, Pattern Recognition 33, 2000.
    """
    if image.ndim != 2 or image.dtype != np.uint8:
        raise ValueError(f"an image must be (H, W) uint8, got {image.shape} {image.dtype}")
    if not image.size:
        return np.zeros(image.shape, bool)
    size = (window or max(15, max(image.shape) // 40)) | 1
    values = image.astype(np.float64)
    mean, square = _mean(values, size), _mean(values * values, size)
    deviation = np.sqrt(np.maximum(square - mean * mean, 0))
    threshold = mean * (1 + k * (deviation / 128 - 1))
    ink: Binary = values < threshold
    return ink


def _mean(values: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    """The mean over a square window that is cut at the edges, by sums of sums."""
    half = size // 2
    for axis in (0, 1):
        n = values.shape[axis]
        sums = np.concatenate([np.zeros_like(values.take([0], axis)), np.cumsum(values, axis=axis)], axis=axis)
        first, last = np.maximum(np.arange(n) - half, 0), np.minimum(np.arange(n) + half + 1, n)
        counts = (last - first).reshape((-1, 1) if axis == 0 else (1, -1))
        values = (sums.take(last, axis) - sums.take(first, axis)) / counts
    return values


def skew(ink: Binary, steepest: float = STEEPEST) -> float:
    """By how many degrees lines rise to the right: the shear that makes the sums over rows differ most.

    All ink counts, summed over square blocks of a 1200th of the page's longer side: a part of the pixels, taken at
    regular steps, follows the rows of a sharp scan and looks least sharp where it is straight.

    Notes
    -----
    O(H W) for the blocks, and a pass over those with ink for each of about 40 angles.

    References
    ----------
    W. Postl: Detection of linear oblique structures and skew scan in digitized documents, ICPR 1986.
    """
    size = max(1, round(max(ink.shape) / BLOCKS))
    sums = _block_sums(ink, size)
    y, x = np.nonzero(sums)
    weights = sums[y, x].astype(np.float64)
    if weights.sum() < 50:
        return 0.0
    x = x - sums.shape[1] / 2
    reach = int(np.ceil(sums.shape[1] / 2 * np.tan(np.deg2rad(steepest + 1)))) + 2

    def sharpness(angle: float) -> float:
        rows = y + x * np.tan(np.deg2rad(angle)) + reach
        whole = rows.astype(np.int64)
        part = (rows - whole) * weights  # between two rows: rounding would make some angles sharper than others
        n = sums.shape[0] + 2 * reach + 2
        profile = np.bincount(whole, weights - part, n) + np.bincount(whole + 1, part, n)
        profile = profile[:-1] + profile[1:]  # as soft at an angle of 0, where nothing lies between rows
        return float((np.diff(profile) ** 2).sum())

    best = max(np.arange(-steepest, steepest + 0.01, 0.5), key=sharpness)
    best = max(np.arange(best - 0.4, best + 0.41, 0.1), key=sharpness)
    # A page of one word or of a drawing has no direction to speak of.
    return float(best) if sharpness(best) > 1.03 * sharpness(0.0) else 0.0


def _block_sums(ink: Binary, size: int) -> npt.NDArray[np.uint16]:
    """How much ink there is in each square of ``size`` rows and columns; what is left over at the edges is left out."""
    rows, columns = ink.shape[0] // size, ink.shape[1] // size
    whole = ink[: rows * size, : columns * size].view(np.uint8)
    strips = whole.reshape(rows, size, columns * size).sum(1, dtype=np.uint16)
    sums: npt.NDArray[np.uint16] = strips.reshape(rows, columns, size).sum(2, dtype=np.uint16)
    return sums


def straightened(image: Grey, angle: float) -> Grey:
    """The image turned clockwise by an angle in degrees; new corners are paper."""
    if abs(angle) < 0.05:
        return image
    from PIL import Image

    paper = int(np.median(image))
    turned = Image.fromarray(image).rotate(-angle, Image.Resampling.BICUBIC, fillcolor=paper)
    return np.asarray(turned)


def segment_page(image: Grey, gap: float | None = None) -> PageLayout:
    """Straighten a page, and find its lines and words.

    Parameters
    ----------
    image : (H, W) uint8
        Dark writing on light paper.
    gap : float, optional
        How wide a gap between letters of one word may be, in heights of small letters. By default the page's own gaps
        say it: those between letters and those between words make two heaps.

    Raises
    ------
    ValueError
        For another rank or dtype.
    ImportError
        Without SciPy.

    Notes
    -----
    Rules, folds and gutters are removed (:mod:`fastctc.imaging.rules`), lines are ridges of the ink's density
    (:mod:`fastctc.imaging.ridges`), to which pieces of ink belong (:mod:`fastctc.imaging.line_ink`); letters grow
    together to words by a closing whose size follows from the x-height and from the gaps found at a finer scale (a
    scale space with flat structuring elements).

    References
    ----------
    R. Manmatha, J. Rothfeder: A scale space approach for automatically segmenting words from historical handwritten
    documents, IEEE TPAMI 27, 2005.
    """
    ink = binarize(image, k=PALE)
    if not ink.any():
        return PageLayout((), image, 0.0, 0.0)
    angle = skew(ink)
    image = straightened(image, angle)
    if abs(angle) >= 0.05:
        ink = binarize(image, k=PALE)
    ink = without_rules(ink)
    boxes, labels = _components(ink)
    height = x_height(boxes)
    kept = _without_dirt_and_rules(boxes, height, image.shape)
    if not len(kept):
        return PageLayout((), image, angle, height)
    clean = np.isin(np.arange(len(boxes) + 1), kept)[labels]
    ridges = text_ridges(clean, _core_height(clean, height))
    found = plausible(ink_of_lines(np.where(clean, labels, 0), boxes, ridges), ridges)
    lines, owners = _with_words(found, clean, ridges.height, ridges.cell, gap)
    return PageLayout(lines, image, angle, ridges.height, owners)


def _label(ink: Binary) -> tuple[npt.NDArray[np.int32], int]:
    try:
        from scipy import ndimage
    except ImportError as error:
        raise ImportError(f"{INSTALL} ({error})") from None
    labels, n = ndimage.label(ink, np.ones((3, 3)))
    return labels, n


def _components(ink: Binary) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """(number, left, top, right, bottom, area) of every connected piece, and the picture of their numbers."""
    from scipy import ndimage

    labels, n = _label(ink)
    found = ndimage.find_objects(labels)
    areas = np.bincount(labels.ravel(), minlength=n + 1)
    rows = [(i, s[1].start, s[0].start, s[1].stop, s[0].stop, areas[i]) for i, s in enumerate(found, 1)]
    return np.array(rows, np.int64).reshape(-1, 6), labels


def x_height(boxes: npt.NDArray[np.int64]) -> float:
    """The typical height of the pieces of ink, each weighing its width, without specks and page-sized things."""
    if not len(boxes):
        return 20.0
    widths, heights = boxes[:, 3] - boxes[:, 1], boxes[:, 4] - boxes[:, 2]
    usual = (heights >= 6) & (widths >= 3) & (widths < 40 * heights)
    if not usual.any():
        return float(max(6, heights.max()))
    heights, weights = heights[usual], np.sqrt(widths[usual])
    order = np.argsort(heights)
    half = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    # Pieces are single letters or whole words with ascenders: small letters are somewhat lower than the typical piece.
    return float(max(6.0, 0.8 * heights[order][min(half, len(order) - 1)]))


def _core_height(ink: Binary, height: float) -> float:
    """The height of small letters from the lines themselves: where a line's ink is at least half as dense as it gets.

    In joined writing pieces are whole words, whose height says little.
    """
    density = ink.sum(1).astype(np.float64)
    found = []
    for centre in _line_centres(ink, height):
        row = int(centre)
        near = slice(max(0, row - int(height) // 2), row + int(height) // 2 + 1)
        row = near.start + int(np.argmax(density[near]))
        enough = density >= 0.5 * np.median(density[max(0, row - 2) : row + 3])
        top = bottom = row
        while top > 0 and enough[top - 1]:
            top -= 1
        while bottom + 1 < len(density) and enough[bottom + 1]:
            bottom += 1
        found.append(bottom - top + 1)
    return float(np.clip(np.median(found), 0.4 * height, 1.2 * height)) if found else height


def _without_dirt_and_rules(
    boxes: npt.NDArray[np.int64], height: float, shape: tuple[int, ...]
) -> npt.NDArray[np.int64]:
    """Numbers of the pieces that can be writing: not specks, not ruled lines, not the dark edge of the scan."""
    widths, heights, areas = boxes[:, 3] - boxes[:, 1], boxes[:, 4] - boxes[:, 2], boxes[:, 5]
    writing = areas >= max(4.0, SMALLEST * height * height)
    writing &= ~((widths > 12 * height) & (heights < 0.6 * height))
    writing &= ~((heights > 12 * height) & (widths < height))
    writing &= ~((widths > 0.8 * shape[1]) & (heights > 12 * height))
    at_edge = (boxes[:, 1] == 0) | (boxes[:, 2] == 0) | (boxes[:, 3] == shape[1]) | (boxes[:, 4] == shape[0])
    writing &= ~(at_edge & ((heights > 6 * height) | (widths > 12 * height)))
    writing &= ~((heights < 0.25 * height) & (widths > 2.5 * heights))  # what is left of rules
    numbers: npt.NDArray[np.int64] = boxes[writing, 0]
    return numbers


def _with_words(
    found: list[LineInk], ink: Binary, height: float, cell: int, gap: float | None
) -> tuple[tuple[TextLine, ...], npt.NDArray[np.uint16]]:
    """Lines in reading order with their words, and the number of each pixel's line, from 1."""
    if gap is None:
        fine = [_words(line, blobs, height) for blobs in [_blobs(ink, height, GAPS[0] / 2)] for line in found]
        gap = _gap_between_words(fine, height)
    blobs = _blobs(ink, height, gap)
    lines, owners = [], np.zeros(ink.shape, np.uint16)
    for number in reading_order([line.box for line in found], height):
        line = found[number]
        columns = np.linspace(line.box.left, line.box.right, max(2, round(line.box.width / height)))
        rows = middle_rows(line.ridge, columns, cell)
        middle = tuple((float(x), float(y)) for x, y in zip(columns, rows, strict=True))
        lines.append(TextLine(line.box, tuple(_words(line, blobs, height)), middle))
        owners[line.rows, line.columns] = len(lines)
    return tuple(lines), owners


def _blobs(ink: Binary, height: float, gap: float) -> npt.NDArray[np.int32]:
    """The number of each pixel's word: pieces of ink that a closing joins."""
    rows, columns = max(1, round(REACH * height)), max(1, round(gap * height))
    return _label(morphology.closing(ink, (rows | 1, columns | 1)))[0]


def _words(line: LineInk, blobs: npt.NDArray[np.int32], height: float) -> list[Box]:
    """The words of a line: its pixels blob by blob."""
    numbers = blobs[line.rows, line.columns]
    order = np.argsort(numbers, kind="stable")
    starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    y, x = line.rows[order], line.columns[order]
    sides = [f.reduceat(v, starts) for f in (np.minimum, np.maximum) for v in (x, y)]
    boxes = [Box(int(a), int(b), int(c) + 1, int(d) + 1) for a, b, c, d in zip(*sides, strict=True)]
    return _merged(boxes, height)


def _gap_between_words(lines: list[list[Box]], height: float) -> float:
    """Where to part the gaps of a page, in x-heights: Otsu's threshold between two heaps of their logarithms."""
    gaps = np.array([right.left - left.right for words in lines for left, right in pairwise(words)], float)
    gaps = gaps[gaps > 0] / height
    gaps = np.sort(np.log(gaps[gaps < 4]))
    if len(gaps) < 12:
        return GAPS[1]
    n = np.arange(1, len(gaps))
    below, total = np.cumsum(gaps)[:-1], gaps.sum()
    between = n * (len(gaps) - n) * (below / n - (total - below) / (len(gaps) - n)) ** 2
    i = int(np.argmax(between))
    return float(np.clip(np.exp((gaps[i] + gaps[i + 1]) / 2), GAPS[0], GAPS[2]))


def _line_centres(ink: Binary, height: float) -> npt.NDArray[np.float64]:
    """Rows where the density of ink peaks: the middles of the small letters."""
    from scipy import ndimage

    density = ndimage.gaussian_filter1d(ink.sum(1).astype(np.float64), 0.5 * height)
    inner = (density[1:-1] >= density[:-2]) & (density[1:-1] > density[2:])
    peaks = np.flatnonzero(inner) + 1
    if not len(peaks):
        return np.array([float(np.argmax(density))])
    peaks = peaks[density[peaks] > 0.06 * density.max()]
    # Of two peaks that are closer than lines can be, the lower is the ascenders of the other.
    kept: list[int] = []
    for peak in sorted(peaks, key=lambda row: -density[row]):
        if all(abs(peak - other) > 1.5 * height for other in kept):
            kept.append(int(peak))
    return np.array(sorted(kept), np.float64)


def _merged(boxes: list[Box], height: float) -> list[Box]:
    """Words from left to right; what lies above or below another (dots, accents, loops) is part of it."""
    words: list[Box] = []
    for box in sorted(boxes, key=lambda b: b.left):
        if words:
            last = words[-1]
            overlap = min(last.right, box.right) - box.left
            small = box.width < 0.5 * height and box.height < 0.5 * height
            if overlap > 0.5 * min(last.width, box.width) or (small and box.left - last.right < 0.3 * height):
                words[-1] = last | box
                continue
        words.append(box)
    return [word for word in words if word.height > 0.15 * height or word.width > 0.5 * height]
