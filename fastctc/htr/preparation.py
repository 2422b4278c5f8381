"""From the user's picture of a line or a word to what the network sees: ink 255, paper 0, cut to the ink."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.imaging import morphology

Ink = npt.NDArray[np.uint8]
INK = 48  # a pixel as dark as this, of 255, is surely ink
REACH = 2.7  # standard deviations of the ink's rows that belong to the writing
FILL = 0.88  # share of the rows of what the network sees that the writing takes
MARGIN = 8  # columns of paper to the left and to the right of it
WIDEST = 20_000  # columns that are read at once
SPECK = 2  # that many sure pixels make a row or column part of the writing


def grey(image: Any) -> Ink:
    """Any picture as (H, W) uint8: arrays of grey or colour, 8 or 16 bits, booleans, floats in [0, 1], Pillow images.

    Raises
    ------
    ValueError
        For another rank, another number of channels, no pixels, floats outside of [0, 1] or NaN.
    """
    a = np.asarray(image)
    if a.ndim == 3 and a.shape[2] in (1, 2, 3, 4):
        colours, alpha = (a[..., :-1], a[..., -1:]) if a.shape[2] in (2, 4) else (a, None)
        scale = _scale(a)
        shades = colours.astype(np.float32) / scale
        shades = shades @ np.array([0.299, 0.587, 0.114], np.float32) if shades.shape[2] == 3 else shades[..., 0]
        if alpha is not None:  # what is transparent shows the paper below
            shades = 1 - (1 - shades) * (alpha[..., 0].astype(np.float32) / scale)
        return _checked(shades)
    if a.ndim != 2:
        raise ValueError(
            f"an image must be of shape (rows, columns) or (rows, columns, 1 to 4 channels), got {a.shape}"
        )
    if a.size == 0:
        raise ValueError(f"an image must have pixels, got shape {a.shape}")
    if a.dtype == np.uint8:
        return a
    return _checked(a.astype(np.float32) / _scale(a))


def _scale(a: npt.NDArray[Any]) -> float:
    if a.dtype.kind == "b" or a.dtype.kind == "f":
        return 1.0
    if a.dtype in (np.uint8, np.uint16):
        return float(np.iinfo(a.dtype).max)
    if a.dtype == np.int32 and a.size and a.min() >= 0 and a.max() < 65536:  # how Pillow hands 16 bits over
        return 65535.0
    raise ValueError(f"an image must be of uint8, uint16, bool, or float in [0, 1], got {a.dtype}")


def _checked(shades: npt.NDArray[np.float32]) -> Ink:
    if shades.size == 0:
        raise ValueError(f"an image must have pixels, got shape {shades.shape}")
    if not (shades.min() >= 0 and shades.max() <= 1):
        raise ValueError(f"an image of floats must be in [0, 1], got {shades.min()} to {shades.max()}")
    return np.rint(shades * 255).astype(np.uint8)


def ink(image: Any, paper_window: int | None = None) -> Ink:
    """How much darker than its paper each pixel is, 0 to 255; light writing on dark is turned over.

    The paper is the closing of the image by a window wider than any stroke, so that shadows and stains count as paper.

    Parameters
    ----------
    paper_window : int, optional
        Rows and columns of that window; by default three quarters of the image's rows, at least 15, at most 101.
    """
    shades = grey(image)
    if np.median(shades) < (int(shades.min()) + int(shades.max())) / 2:  # most of every page is paper
        shades = 255 - shades
    window = paper_window or int(np.clip(shades.shape[0] * 3 // 4, 15, 101)) | 1
    paper = morphology.closing(shades, (window, window))
    darkness: Ink = paper - shades
    strongest = float(np.percentile(darkness, 99.5)) if darkness.size > 400 else float(darkness.max())
    if strongest < INK / 2:  # an empty page has no ink to make stronger
        return darkness
    faintest = strongest / 12  # the paper's own grain
    scaled: npt.NDArray[Any] = (darkness.astype(np.float32) - faintest) * (255 / (strongest - faintest))
    strengths: Ink = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return strengths


def cut(ink_image: Ink) -> tuple[int, int, int, int]:
    """Rows and columns (top, bottom, left, right) that hold the writing; all of them if there is none.

    A third of the rows is kept at least, so that a full stop does not become a disc as high as the line.
    """
    height, width = ink_image.shape
    dark = ink_image >= INK
    profile = dark.sum(1)
    rows, columns = np.flatnonzero(profile >= SPECK), np.flatnonzero(dark.sum(0) >= min(SPECK, height))
    if not rows.size or not columns.size:
        return 0, height, 0, width
    # A stroke that crosses the line, or a foot of the line above, would make the writing small: what lies farther out
    # than three standard deviations of the ink is left away.
    y = np.arange(height)
    middle = float((profile * y).sum() / profile.sum())
    spread = float(np.sqrt((profile * (y - middle) ** 2).sum() / profile.sum()))
    top = max(int(rows[0]), int(middle - REACH * spread))
    bottom = min(int(rows[-1]) + 1, int(np.ceil(middle + REACH * spread)) + 1)
    left, right = int(columns[0]), int(columns[-1]) + 1
    missing = -(-height // 3) - (bottom - top)
    if missing > 0:
        top = max(0, top - missing // 2)
        bottom = min(height, top + -(-height // 3))
    return top, bottom, left, right


def resized(ink_image: Ink, height: int, width: int) -> Ink:
    """Scaled by Pillow, which averages where it shrinks."""
    from PIL import Image

    return np.asarray(Image.fromarray(ink_image).resize((width, height), Image.Resampling.BILINEAR))


@dataclass(frozen=True)
class Prepared:
    """What the network sees of an image, and where its columns are in the image."""

    ink: Ink
    left: float  # column of the image at column 0 of ``ink``
    scale: float  # columns of the image for each column of ``ink``
    top: int  # rows of the image that hold the writing
    bottom: int
    above: int  # rows of paper above it in ``ink``
    rows: int  # rows that it takes there

    def column(self, x: float) -> int:
        """The image's column at a column of ``ink``."""
        return round(self.left + x * self.scale)

    def row(self, y: float) -> int:
        """The image's row at a row of ``ink``."""
        return round(self.top + (y - self.above) * (self.bottom - self.top) / self.rows)


def prepared(image: Any, height: int, fill: float = FILL) -> Prepared:
    """An image of a line or a word as the network sees it: cut to the writing, ``height`` rows, some paper around.

    Parameters
    ----------
    fill : float
        Share of the rows that the writing takes.

    Raises
    ------
    ValueError
        For anything but an image, see :func:`grey`, and for writing that is wider than the network is made for.
    """
    whole = ink(image)
    top, bottom, left, right = cut(whole)
    writing = whole[top:bottom, left:right]
    rows = max(1, round(height * fill))
    columns = max(1, round(writing.shape[1] * rows / writing.shape[0]))
    if columns > WIDEST:
        raise ValueError(
            f"an image of {whole.shape[1]} x {whole.shape[0]} pixels is too wide for its height: scaled to {height} "
            f"rows it must have at most {WIDEST} columns (fastctc.htr.preparation.WIDEST), but has {columns}"
        )
    scale = writing.shape[1] / columns
    return Prepared(
        framed(writing, height, fill), left - MARGIN * scale, scale, top, bottom, (height - rows) // 2, rows
    )


def framed(writing: Ink, height: int, fill: float = FILL) -> Ink:
    """Writing scaled to a share of the rows, with paper around it."""
    rows = max(1, round(height * fill))
    columns = max(1, round(writing.shape[1] * rows / writing.shape[0]))
    result = np.zeros((height, columns + 2 * MARGIN), np.uint8)
    above = (height - rows) // 2
    result[above : above + rows, MARGIN : MARGIN + columns] = resized(writing, rows, columns)
    return result


def as_input(inks: list[Ink], width: int | None = None) -> npt.NDArray[Any]:
    """A batch as the network takes it: (B, H, W, 1) float32, 1 for ink, paper to the right of the shorter ones."""
    width = max(ink.shape[1] for ink in inks) if width is None else width
    batch = np.zeros((len(inks), inks[0].shape[0], width, 1), np.float32)
    for row, ink in zip(batch, inks, strict=True):
        row[:, : ink.shape[1], 0] = ink
    batch /= 255
    return batch
