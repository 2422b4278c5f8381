"""Erosion and dilation by their definition: the smallest or largest value under a mask (Serra 1982)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Place = tuple[int, int]

# np.pad's names for the borders; "ignore" is a constant that never wins.
_PAD_MODES: dict[str, Any] = {"ignore": "constant", "constant": "constant", "edge": "edge", "reflect": "symmetric"}

LENGTH_COST = 2.5  # a row of windows of one length costs as much as so many comparisons


def runs(mask: Mask) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The mask as runs (row, first column, length, number of the length) and the lengths; points if that is cheaper.

    All int32: (n, 4) and (m,). Points are runs of length 1.
    """
    found: list[tuple[int, int, int]] = []
    for row, column in np.argwhere(mask).tolist():
        if found and found[-1][0] == row and sum(found[-1][1:]) == column:
            found[-1] = row, found[-1][1], found[-1][2] + 1
        else:
            found.append((row, column, 1))
    lengths = sorted({length for _, _, length in found})
    if len(found) + LENGTH_COST * len(lengths) > np.count_nonzero(mask) + LENGTH_COST:
        found, lengths = [(row, column, 1) for row, column in np.argwhere(mask).tolist()], [1]
    table = [(row, column, length, lengths.index(length)) for row, column, length in found]
    return np.array(table, np.int32).reshape(-1, 4), np.array(lengths, np.int32)


def extremes(
    images: Images, mask: Mask, anchor: Place, border: str, fill: float, largest: bool, result: Images | None = None
) -> Images:
    """The largest (or smallest) pixel under the mask, for every pixel and every image.

    result[n, y, x] = extreme of images[n, y + i - anchor[0], x + j - anchor[1]] over all mask[i, j] that are set.

    ``images`` is (N, H, W), ``mask`` boolean (h, w). Outside the image stands ``fill`` where the border is "ignore" or
    "constant", the nearest pixel with "edge", the image mirrored about its edge with "reflect". NaN counts as
    ``worst``, the value that never wins, and −0 as 0. ``result`` is where it is put: another array of the same kind.
    """
    worst = _worst(images.dtype, largest)
    extreme = np.maximum if largest else np.minimum
    if images.dtype.kind == "f":
        images = np.where(np.isnan(images), worst, images + 0).astype(images.dtype)
    _, height, width = images.shape
    if result is None:
        result = np.empty(images.shape, images.dtype)
    result[...] = worst
    if not images.size:
        return result
    (top, left), (rows, columns) = anchor, mask.shape
    pads = ((0, 0), (top, rows - 1 - top), (left, columns - 1 - left))
    constant: dict[str, Any] = {}
    if _PAD_MODES[border] == "constant":
        constant["constant_values"] = worst if border == "ignore" else fill
    padded = np.pad(images, pads, mode=_PAD_MODES[border], **constant)
    for i, j in np.argwhere(mask):
        extreme(result, padded[:, i : i + height, j : j + width], out=result)
    return result


def _worst(dtype: np.dtype[Any], largest: bool) -> float:
    """The value of the type that never wins: the least for the largest, the greatest for the smallest."""
    if dtype.kind == "f":
        return -np.inf if largest else np.inf
    limits = np.iinfo(dtype)
    return int(limits.min if largest else limits.max)


def extremes_of_each(
    images: Images, masks: Sequence[Mask], anchors: Sequence[Place], border: str, fill: float, largest: Sequence[bool]
) -> Images:
    """:func:`extremes` with a mask, an anchor and a side for each image."""
    result = np.empty_like(images)
    for n, (mask, anchor, side) in enumerate(zip(masks, anchors, largest, strict=True)):
        result[n] = extremes(images[n : n + 1], mask, anchor, border, fill, side)[0]
    return result


def reconstruction(seed: Images, mask: Images, grow: bool, connectivity: int) -> Images:
    """The seed, dilated by one pixel and cut back to the mask (or eroded and raised to it), until nothing changes."""
    neighbours = np.array(
        [[connectivity == 8, 1, connectivity == 8], [1, 1, 1], [connectivity == 8, 1, connectivity == 8]], bool
    )
    limit = np.minimum if grow else np.maximum
    result = seed
    while True:
        grown: Images = limit(extremes(result[None], neighbours, (1, 1), "ignore", 0, grow)[0], mask)
        if np.array_equal(grown, result):
            return grown
        result = grown
