"""What the morphology takes, as arrays that every back end understands: pixels, footprints, borders."""

from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fastctc.imaging.footprints import Footprint, Mask, as_mask

Image = npt.NDArray[Any]
Border = Literal["ignore", "edge", "reflect"] | float
TYPES = {np.dtype(name): name for name in ("uint8", "uint16", "int16", "float32")}  # dtype.name takes microseconds


def as_pixels(image: npt.ArrayLike, channel_axis: int | None = None) -> tuple[Image, np.dtype[Any]]:
    """The image as a contiguous array of a type that the backends know, and its own dtype."""
    pixels = np.asarray(image)
    if channel_axis is not None:
        if pixels.ndim != 3:
            raise ValueError(f"an image with a channel axis must have three dimensions, got shape {pixels.shape}")
        pixels = np.moveaxis(pixels, channel_axis, 0)
    if pixels.ndim not in (2, 3):
        raise ValueError(f"an image must be (H, W), or a batch (N, H, W), got shape {pixels.shape}")
    dtype = pixels.dtype
    if not dtype.isnative:
        pixels = pixels.astype(dtype.newbyteorder("="))
        dtype = pixels.dtype
    if not (pixels.flags.c_contiguous and pixels.flags.aligned):
        pixels = np.array(pixels, order="C")
    if dtype.kind == "b":
        return pixels.view(np.uint8), dtype
    if dtype not in TYPES:
        raise TypeError(f"an image must be of {', '.join(TYPES.values())} or bool, got {dtype}")
    return pixels, dtype


def oriented_footprint(
    footprint: Footprint, anchor: tuple[int, int] | None, *, reflected: bool
) -> tuple[Mask, tuple[int, int]]:
    """The footprint as a mask as it is laid on the image, and the place in it that lies on the pixel."""
    if isinstance(footprint, int | tuple) and (anchor is None or isinstance(anchor, tuple)):
        try:
            return _orient_rectangle(footprint, anchor, reflected)
        except TypeError:  # a mask of tuples that hold lists
            pass
    return _orient(as_mask(footprint), anchor, reflected)


def _orient(mask: Mask, anchor: tuple[int, int] | None, reflected: bool) -> tuple[Mask, tuple[int, int]]:
    rows, columns = mask.shape
    top, left = anchor if anchor is not None else (rows // 2, columns // 2)
    if not (0 <= top < rows and 0 <= left < columns):
        raise ValueError(f"anchor must lie in the footprint of {rows} x {columns}, got {anchor}")
    if not reflected:
        return mask, (int(top), int(left))
    return mask[::-1, ::-1], (rows - 1 - int(top), columns - 1 - int(left))


@lru_cache(256)
def _orient_rectangle(footprint: Any, anchor: tuple[int, int] | None, reflected: bool) -> tuple[Mask, tuple[int, int]]:
    return _orient(as_mask(footprint), anchor, reflected)


def as_border(border: Border, dtype: np.dtype[Any]) -> tuple[str, float]:
    if isinstance(border, str):
        if border not in ("ignore", "edge", "reflect"):
            raise ValueError(f"border must be 'ignore', 'edge', 'reflect' or a number, got {border!r}")
        return border, 0
    value = float(border)
    if dtype.kind == "f":
        if np.isnan(value):
            raise ValueError("border must be a number, got NaN")
        return "constant", float(np.float32(value))
    limits = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if not limits[0] <= value <= limits[1] or value != int(value):
        raise ValueError(f"border must be a value of {dtype}, {limits[0]} to {limits[1]}, got {border}")
    return "constant", value
