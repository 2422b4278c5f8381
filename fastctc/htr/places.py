"""Places: from the straightened page, on which lines are found, back to the scan as it is."""

from dataclasses import dataclass
from math import cos, radians, sin
from typing import NamedTuple

from fastctc.imaging.segmentation import Box

Outline = tuple[tuple[int, int], ...]  # corners (x, y) of a polygon


class Point(NamedTuple):
    """Column and row."""

    x: float
    y: float


def on_its_side(angle: float) -> bool:
    """Whether a page that was turned by so many degrees changed its rows for columns."""
    return round(angle / 90) % 2 == 1


@dataclass(frozen=True)
class Places:
    """Where on a scan something lies.

    Parameters
    ----------
    rows, columns : int
        Of the scan.
    angle : float
        By how many degrees it was turned clockwise about its middle: :attr:`PageLayout.angle`. Pages that lay on their
        side have about 90 or -90 degrees, and rows and columns change places.
    """

    rows: int
    columns: int
    angle: float = 0.0

    @property
    def turned(self) -> bool:
        """Whether boxes of the straightened page lie askew on the scan."""
        return abs(self.angle) >= 0.05  # below that segmentation.straightened leaves it as it is

    def point(self, x: float, y: float) -> Point:
        """A point of the straightened page on the scan."""
        if not self.turned:
            return Point(x, y)
        turn = radians(self.angle)
        middle_x, middle_y = self.columns / 2, self.rows / 2
        right, down = (x - middle_y, y - middle_x) if on_its_side(self.angle) else (x - middle_x, y - middle_y)
        return Point(cos(turn) * right + sin(turn) * down + middle_x, cos(turn) * down - sin(turn) * right + middle_y)

    def corners(self, box: Box) -> list[Point]:
        """Those of a box, clockwise from the upper left one."""
        return [
            self.point(x, y)
            for x, y in (
                (box.left, box.top),
                (box.right, box.top),
                (box.right, box.bottom),
                (box.left, box.bottom),
            )
        ]

    def outline(self, box: Box) -> Outline:
        """The same in whole pixels, inside of the scan."""
        return tuple(
            (round(min(max(x, 0), self.columns)), round(min(max(y, 0), self.rows))) for x, y in self.corners(box)
        )

    def box(self, box: Box) -> Box:
        """The smallest upright box of the scan that holds a box of the straightened page."""
        if not self.turned:
            return box
        xs, ys = zip(*self.outline(box), strict=True)
        return Box(min(xs), min(ys), max(min(xs) + 1, *xs), max(min(ys) + 1, *ys))
