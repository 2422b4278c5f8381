"""What is where on a page: boxes, lines with their middles, and which ink is whose."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
Binary = npt.NDArray[np.bool_]


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
    """A line of writing.

    Attributes
    ----------
    box : Box
        Where its ink is, and at least the rows of its small letters and some above and below.
    words : tuple of Box
        From left to right.
    middle : tuple of (float, float)
        Points (column, row) of a curve through the middle of its small letters, from left to right.
    """

    box: Box
    words: tuple[Box, ...]
    middle: tuple[tuple[float, float], ...] = ()

    def middle_row(self, columns: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """The row of the middle at columns of the page."""
        if not self.middle:
            return np.full(columns.shape, (self.box.top + self.box.bottom) / 2)
        x, y = np.array(self.middle).T
        rows: npt.NDArray[np.float64] = np.interp(columns, x, y)
        return rows


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
        By how many degrees it was turned clockwise for that. A reader that finds a page on its side or upside down
        adds quarter turns.
    x_height : float
        The height of small letters, in pixels.
    owners : (H, W) uint16, optional
        For each pixel of ink the number of its line, counted from 1; 0 for paper and what is no line's.
    """

    lines: tuple[TextLine, ...]
    image: Grey
    angle: float
    x_height: float
    owners: npt.NDArray[np.uint16] | None = None
