"""From a page to its lines and words, by what is dark: no model, no training.

Everything is measured in the height of small letters, which is estimated from the page itself, so that neither the
resolution nor the size of the hand matters.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.imaging import morphology

Grey = npt.NDArray[np.uint8]
Binary = npt.NDArray[np.bool_]
INSTALL = 'segmentation needs SciPy: pip install "fastctc[htr]"'
REACH = 0.35  # rows of the closing that makes a word of its letters, in x-heights
GAPS = (0.3, 0.55, 0.9)  # columns of that closing, in x-heights: the least, the usual, the most
SMALLEST = 0.02  # part of a squared x-height: what is smaller is dirt
STEEPEST = 5.0  # degrees that a page is turned at most
BLOCKS = 1200  # along the longer side of a page, in which ink is counted to find out how it is turned


@dataclass(frozen=True)
class Box:
    """Columns left .. right - 1 and rows top .. bottom - 1 of an image."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    def __or__(self, other: "Box") -> "Box":
        """The smallest box that holds both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def iou(self, other: "Box") -> float:
        """Intersection over union, 0 to 1."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        tall = min(self.bottom, other.bottom) - max(self.top, other.top)
        shared = max(0, wide) * max(0, tall)
        union = self.width * self.height + other.width * other.height - shared
        return shared / union if union else 0.0


@dataclass(frozen=True)
class TextLine:
    """A line of writing: where it is, and its words from left to right."""

    box: Box
    words: tuple[Box, ...]


@dataclass(frozen=True)
class PageLayout:
    """What is where on a page.

    Attributes
    ----------
    lines : tuple of TextLine
        In reading order. Boxes are those of the straightened image.
    image : (H, W) uint8
        The page, straightened.
    angle : float
        By how many degrees it was turned counter-clockwise for that.
    x_height : float
        The height of small letters, in pixels.
    """

    lines: tuple[TextLine, ...]
    image: Grey
    angle: float
    x_height: float


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
    Letters grow together to words by a closing whose size follows from the x-height and from the gaps found at a
    finer scale (a scale space with flat structuring elements); lines are the peaks of the ink's density down the page.
    Takes about a second for ten megapixels.

    References
    ----------
    R. Manmatha, J. Rothfeder: A scale space approach for automatically segmenting words from historical handwritten
    documents, IEEE TPAMI 27, 2005.
    """
    ink = binarize(image)
    if not ink.any():
        return PageLayout((), image, 0.0, 0.0)
    angle = skew(ink)
    image = straightened(image, angle)
    if abs(angle) >= 0.05:
        ink = binarize(image)
    boxes, labels = _components(ink)
    height = x_height(boxes)
    kept = _without_dirt_and_rules(boxes, height, image.shape)
    if not len(kept):
        return PageLayout((), image, angle, height)
    clean = np.isin(labels, kept)
    height = _core_height(clean, height)
    if gap is None:
        fine, ink_of = _words(clean, height, GAPS[0] / 2)
        gap = _gap_between_words(_lines(clean, fine, ink_of, height), height)
    blobs, ink_of = _words(clean, height, gap)
    lines = _lines(clean, blobs, ink_of, height)
    return PageLayout(tuple(lines), image, angle, height)


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
    numbers: npt.NDArray[np.int64] = boxes[writing, 0]
    return numbers


def _words(ink: Binary, height: float, gap: float) -> tuple[list[Box], npt.NDArray[np.int32]]:
    """Pieces of ink that a closing joins, and the picture of the number of each pixel's word."""
    from scipy import ndimage

    rows, columns = max(1, round(REACH * height)), max(1, round(gap * height))
    joined = morphology.closing(ink, (rows | 1, columns | 1))
    labels, _ = _label(joined)
    labels = np.where(ink, labels, 0)
    boxes = [
        Box(s[1].start, s[0].start, s[1].stop, s[0].stop) if s is not None else Box(0, 0, 0, 0)
        for s in ndimage.find_objects(labels)
    ]
    return boxes, labels


def _gap_between_words(lines: list[TextLine], height: float) -> float:
    """Where to part the gaps of a page, in x-heights: Otsu's threshold between two heaps of their logarithms."""
    gaps = np.array(
        [right.left - left.right for line in lines for left, right in pairwise(line.words)],
        float,
    )
    gaps = gaps[gaps > 0] / height
    gaps = np.sort(np.log(gaps[gaps < 4]))
    if len(gaps) < 12:
        return GAPS[1]
    n = np.arange(1, len(gaps))
    below, total = np.cumsum(gaps)[:-1], gaps.sum()
    between = n * (len(gaps) - n) * (below / n - (total - below) / (len(gaps) - n)) ** 2
    i = int(np.argmax(between))
    return float(np.clip(np.exp((gaps[i] + gaps[i + 1]) / 2), GAPS[0], GAPS[2]))


def _lines(ink: Binary, blobs: list[Box], labels: npt.NDArray[np.int32], height: float) -> list[TextLine]:
    """Words on lines: columns of text first, in each the peaks of the ink down the page."""
    blocks = _columns(ink, height)
    result = []
    for left, right in blocks:
        own = [(n, box) for n, box in enumerate(blobs, 1) if box.width and left <= (box.left + box.right) / 2 < right]
        if not own:
            continue
        centres = _line_centres(ink[:, left:right], height)
        members: dict[int, list[Box]] = {}
        for number, box in own:
            rows = np.flatnonzero((labels[box.top : box.bottom, box.left : box.right] == number).any(1))
            middle = box.top + float(np.average(rows, weights=_mass(labels, box, number, rows)))
            nearest = int(np.argmin(np.abs(centres - middle)))
            if box.height > 2.6 * height and len(centres) > 1:  # letters of two lines that touch
                for line, part in _split(labels, box, number, centres, height):
                    members.setdefault(line, []).append(part)
            else:
                members.setdefault(nearest, []).append(box)
        for line in sorted(members):
            words = _merged(members[line], height)
            if words:
                whole = words[0]
                for word in words[1:]:
                    whole = whole | word
                result.append(TextLine(whole, tuple(words)))
    return result


def _mass(labels: npt.NDArray[np.int32], box: Box, number: int, rows: Any) -> Any:
    return (labels[box.top : box.bottom, box.left : box.right] == number).sum(1)[rows]


def _columns(ink: Binary, height: float) -> list[tuple[int, int]]:
    """Columns of text: parted by white from top to bottom that is wider than any gap between words."""
    used = np.flatnonzero(ink.any(0))
    breaks = np.flatnonzero(np.diff(used) > 6 * height)
    edges = [0, *((used[b] + used[b + 1]) // 2 for b in breaks), ink.shape[1]]
    blocks = [(int(a), int(b)) for a, b in pairwise(edges)]
    # A column holds several lines; a lone word far off to the side belongs to its line.
    tall = [np.count_nonzero(ink[:, a:b].any(1)) for a, b in blocks]
    return blocks if len(blocks) > 1 and min(tall) > 0.4 * max(tall) and min(tall) > 6 * height else [(0, ink.shape[1])]


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


def _split(
    labels: npt.NDArray[np.int32], box: Box, number: int, centres: npt.NDArray[np.float64], height: float
) -> list[tuple[int, Box]]:
    """A tall piece, cut half-way between the lines that it touches."""
    inside = [
        int(i) for i in np.flatnonzero((centres > box.top - 0.2 * height) & (centres < box.bottom + 0.2 * height))
    ]
    if len(inside) < 2:
        middle = (box.top + box.bottom) / 2
        return [(int(np.argmin(np.abs(centres - middle))), box)]
    cuts = [
        box.top,
        *(int((centres[a] + centres[b]) / 2) for a, b in pairwise(inside)),
        box.bottom,
    ]
    parts = []
    for line, top, bottom in zip(inside, cuts, cuts[1:], strict=False):
        mine = labels[top:bottom, box.left : box.right] == number
        rows, columns = np.flatnonzero(mine.any(1)), np.flatnonzero(mine.any(0))
        if len(rows):
            part = Box(
                box.left + int(columns[0]), top + int(rows[0]), box.left + int(columns[-1]) + 1, top + int(rows[-1]) + 1
            )
            if part.height > 0.3 * height or len(inside) == 1:
                parts.append((line, part))
    return parts


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
