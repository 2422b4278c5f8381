"""A line of a page as a reader wants it: bent straight, without the ink of its neighbours.

Columns are moved up and down so that the middle of the small letters lies on one row: a smooth curve through the ridge
of the line. What belongs to other lines is painted over with the paper around it.

References
----------
U.-V. Marti, H. Bunke: Using a statistical language model to improve the performance of an HMM-based cursive handwriting
recognition system, IJPRAI 15, 2001 (slope of each line removed before it is read).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastctc.imaging import morphology
from fastctc.imaging.layout import Box, Grey, PageLayout, TextLine

SHORT = 4.0  # x-heights: shorter lines have no slope to speak of,
LONG = 15.0  # ... longer ones may be curved
STRAY = 1.0  # x-heights off the curve: such points of the ridge are left out of it
SEAM = 5  # rows and columns around foreign ink that are painted over with it


@dataclass(frozen=True)
class LineImage:
    """A line cut out, and where its pixels are on the page.

    Attributes
    ----------
    image : (H, W) uint8
    left : int
        The page's column of column 0.
    tops : (W,) int
        The page's row of row 0, column by column.
    """

    image: Grey
    left: int
    tops: npt.NDArray[np.int64]

    def on_page(self, box: Box) -> Box:
        """A box of this image as the box on the page that holds it."""
        tops = self.tops[max(0, box.left) : max(1, box.right)]
        return Box(box.left + self.left, box.top + int(tops.min()), box.right + self.left, box.bottom + int(tops.max()))


def line_image(layout: PageLayout, number: int, margin: float = 0.25) -> LineImage:
    """Cut a line out of its page.

    Parameters
    ----------
    number : int
        Of the line in ``layout.lines``.
    margin : float
        Paper around the ink, in x-heights.
    """
    line, page, paper = layout.lines[number], layout.image, round(margin * layout.x_height)
    left, right = max(0, line.box.left - paper), min(page.shape[1], line.box.right + paper)
    columns = np.arange(left, right)
    middle = np.rint(_curve(line, columns, layout.x_height)).astype(np.int64)
    above, below = line.box.top - int(np.median(middle)), line.box.bottom - int(np.median(middle))
    if layout.owners is not None:
        part = (slice(max(0, line.box.top), line.box.bottom), slice(left, right))
        rows, own_columns = np.nonzero(layout.owners[part] == number + 1)
        if len(rows):
            off = rows + part[0].start - middle[own_columns]
            above, below = int(off.min()), int(off.max()) + 1
    tops = middle + above - paper
    rows = tops + np.arange(below - above + 2 * paper)[:, None]
    # The part of the page that is moved; rows above and below the page are its first and last row.
    first, last = max(0, int(rows.min())), min(page.shape[0], int(rows.max()) + 1)
    source = page[first:last, left:right]
    if layout.owners is not None:
        source = _without_foreign_ink(source, layout.owners[first:last, left:right], number + 1, layout.x_height)
    image = source[np.clip(rows - first, 0, last - first - 1), columns - left]
    return LineImage(image, left, tops)


def _curve(line: TextLine, columns: npt.NDArray[np.int64], height: float) -> npt.NDArray[np.float64]:
    """The row of the middle for each column: a constant, a straight line or a parabola, as the line is long."""
    if not line.middle:
        return line.middle_row(columns)
    x, y = np.array(line.middle).T
    degree = 0 if line.box.width < SHORT * height else 1 if line.box.width < LONG * height else 2
    # Columns are counted from the line's centre in its half widths, so that the fit is well conditioned.
    centre, half = (line.box.left + line.box.right) / 2, max(1.0, line.box.width / 2)
    fit = np.polynomial.Polynomial.fit((x - centre) / half, y, min(degree, len(x) - 1), domain=[-1, 1])
    near = np.abs(fit((x - centre) / half) - y) < STRAY * height
    if near.sum() > degree + 2 and not near.all():
        fit = np.polynomial.Polynomial.fit((x[near] - centre) / half, y[near], degree, domain=[-1, 1])
    rows: npt.NDArray[np.float64] = fit((np.clip(columns, line.box.left, line.box.right) - centre) / half)
    return rows


def _without_foreign_ink(part: Grey, owners: npt.NDArray[np.uint16], own: int, height: float) -> Grey:
    foreign = (owners != 0) & (owners != own)
    if not foreign.any():
        return part
    # Up to the own ink, which stays: a pen's edge is wider than what binarization calls ink.
    foreign = morphology.dilation(foreign, (SEAM, SEAM)) & ~morphology.dilation(owners == own, (3, 3))
    window = max(3, round(1.5 * height)) | 1
    painted: Grey = np.where(foreign, morphology.closing(part, (window, window)), part)
    return painted
