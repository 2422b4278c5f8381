"""Footprints: the sets of neighbours that erosion and dilation look at."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

MOST_PIXELS = 1 << 24  # of a footprint: as many as a whole page has
Mask = npt.NDArray[np.bool_]
Footprint = int | tuple[int, int] | npt.ArrayLike


def disk(radius: float) -> Mask:
    """All pixels whose middle is at most ``radius`` away from the middle one."""
    y, x = _grid(radius)
    mask: Mask = x * x + y * y <= radius * radius
    return mask


def diamond(radius: int) -> Mask:
    """All pixels that are at most ``radius`` steps up, down, left or right away."""
    y, x = _grid(radius)
    mask: Mask = np.abs(x) + np.abs(y) <= radius
    return mask


def cross(radius: int) -> Mask:
    """The pixels in the row and the column of the middle one, ``radius`` to each side."""
    y, x = _grid(radius)
    mask: Mask = (x == 0) | (y == 0)
    return mask


def line(length: int, degrees: float = 0.0) -> Mask:
    """A line of about ``length`` pixels through the middle, turned counter-clockwise from the horizontal."""
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    _check_size(1, length)
    half = (length - 1) / 2
    angle = np.deg2rad(degrees)
    if not np.isfinite(angle):
        raise ValueError(f"degrees must be finite, got {degrees}")
    _check_size(length * abs(np.sin(angle)) + 1, length * abs(np.cos(angle)) + 1)
    steps = np.linspace(-half, half, max(2, 2 * length))
    x, y = np.rint(steps * np.cos(angle)).astype(int), np.rint(-steps * np.sin(angle)).astype(int)
    mask = np.zeros((2 * int(np.abs(y).max()) + 1, 2 * int(np.abs(x).max()) + 1), bool)
    mask[y + mask.shape[0] // 2, x + mask.shape[1] // 2] = True
    return mask


def _grid(radius: float) -> tuple[Any, Any]:
    if not radius >= 0:
        raise ValueError(f"radius must be at least 0, got {radius}")
    _check_size(2 * radius + 1, 2 * radius + 1)
    reach = int(radius)
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    return y, x


def as_mask(footprint: Footprint) -> Mask:
    """A size, (rows, columns), or anything that makes a mask, as a mask.

    Raises
    ------
    ValueError
        For sizes below 1, a mask that has not two dimensions or sets no pixel.
    """
    if isinstance(footprint, int | np.integer):
        return _rectangle(int(footprint), int(footprint))
    if isinstance(footprint, tuple) and len(footprint) == 2 and all(isinstance(n, int | np.integer) for n in footprint):
        return _rectangle(int(footprint[0]), int(footprint[1]))
    mask = np.ascontiguousarray(np.asarray(footprint) != 0)
    if mask.ndim != 2:
        raise ValueError(
            f"a footprint must be a size, (rows, columns) or a mask of two dimensions, got shape {mask.shape}"
        )
    if not mask.any():
        raise ValueError(f"a footprint must set at least one pixel, got none in shape {mask.shape}")
    return mask


def _check_size(rows: float, columns: float) -> None:
    if not rows * columns <= MOST_PIXELS:
        raise ValueError(
            f"a footprint must have at most {MOST_PIXELS} pixels (fastctc.imaging.footprints.MOST_PIXELS), "
            f"got {rows:.0f} x {columns:.0f}"
        )


@lru_cache(64)
def _rectangle(rows: int, columns: int) -> Mask:
    if rows < 1 or columns < 1:
        raise ValueError(f"a footprint must have at least 1 row and 1 column, got {rows} x {columns}")
    _check_size(rows, columns)
    mask = np.ones((rows, columns), bool)
    mask.setflags(write=False)
    return mask


def parse(text: str) -> Mask:
    """A footprint as the command line writes it: ``5``, ``3x7``, ``disk:5``, ``diamond:2``, ``cross:1``, ``line:9:45``.

    Raises
    ------
    ValueError
        For anything else.
    """
    kind, *numbers = text.lower().split(":")
    shapes = {"disk": (disk, float), "diamond": (diamond, int), "cross": (cross, int)}
    try:
        if kind in shapes and len(numbers) == 1:
            shape, number = shapes[kind]
            return shape(number(numbers[0]))
        if kind == "line" and len(numbers) in (1, 2):
            return line(int(numbers[0]), float(numbers[1]) if len(numbers) == 2 else 0.0)
        if not numbers:
            sizes = [int(size) for size in kind.split("x")]
            if len(sizes) <= 2:
                return as_mask((sizes[0], sizes[-1]))
    except (TypeError, OverflowError):
        pass
    except ValueError as error:
        if "must" in str(error):
            raise
    raise ValueError(
        f"a footprint must be a size (5), rows x columns (3x7), disk:RADIUS, diamond:RADIUS, cross:RADIUS or "
        f"line:LENGTH[:DEGREES], got {text!r}"
    )
