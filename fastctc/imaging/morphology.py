"""Erosion, dilation, and what is made of them, for grey and binary images."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fastctc import backends
from fastctc.imaging.footprints import Footprint, as_mask
from fastctc.imaging.pixels import Border, Image, as_border, as_pixels, oriented_footprint

MOST_ITERATIONS = 1_000_000


def erosion(
    image: npt.ArrayLike,
    footprint: Footprint = 3,
    *,
    anchor: tuple[int, int] | None = None,
    iterations: int = 1,
    border: Border = "ignore",
    channel_axis: int | None = None,
    out: Image | None = None,
    backend: str = "compiled",
) -> Image:
    """The smallest pixel under the footprint, everywhere: bright things shrink.

    ``result[y, x] = min image[y + i - anchor[0], x + j - anchor[1]]`` over all (i, j) of the footprint.

    Parameters
    ----------
    image : (H, W) or (N, H, W) array_like of uint8, uint16, int16, float32 or bool
        An image, or a batch of them that is worked on at once. Any strides.
    footprint : int, (int, int) or (h, w) array_like
        The neighbours: a square, rows and columns of a rectangle, or a mask (see :mod:`fastctc.imaging.footprints`).
    anchor : (int, int), optional
        Row and column of the footprint that lie on the pixel itself; by default the middle, ``(h // 2, w // 2)``.
    iterations : int, default 1
        How often. Rectangles that are applied n times are applied once, n times as large.
    border : {"ignore", "edge", "reflect"} or number
        What stands outside the image: nothing that counts, the nearest pixel, the image mirrored about its edge
        (``d c b a | a b c d``), or that constant.
    channel_axis : int, optional
        The axis of a colour image that holds its channels.
    out : array, optional
        Where to write the result; of the image's shape and dtype. May be the image.
    backend : str, default "compiled"
        ``"reference"``, or an OpenCL device (``"opencl:cpu"``, ``"opencl:gpu"``, …): equal results bit for bit.

    Returns
    -------
    array
        Of the image's shape and dtype, contiguous.

    Raises
    ------
    TypeError
        For another dtype.
    ValueError
        For another rank, an empty footprint, an anchor outside of the footprint, iterations below 0, an unknown border,
        an ``out`` that does not fit.

    Notes
    -----
    A pixel that is NaN counts as no pixel; −0 counts as 0; where no pixel is under the footprint, the result is the
    greatest value of the type (infinity). Cost: a rectangle of k columns takes log2(k) comparisons a pixel along the
    row and about 3 down the columns, whatever its height; a mask one a run of set pixels.

    References
    ----------
    J. Serra, Image Analysis and Mathematical Morphology, 1982. M. van Herk, A fast algorithm for local minimum and
    maximum filters on rectangular and octagonal kernels, Pattern Recognition Letters 13, 1992.

    Examples
    --------
    >>> import numpy as np
    >>> erosion(np.array([[9, 9, 9, 1, 9, 9]], np.uint8), (1, 3))
    array([[9, 9, 1, 1, 1, 9]], dtype=uint8)
    """
    return _extremes(image, footprint, anchor, iterations, border, channel_axis, out, backend, largest=False)


def dilation(
    image: npt.ArrayLike,
    footprint: Footprint = 3,
    *,
    anchor: tuple[int, int] | None = None,
    iterations: int = 1,
    border: Border = "ignore",
    convention: Literal["adjoint", "opencv"] = "adjoint",
    channel_axis: int | None = None,
    out: Image | None = None,
    backend: str = "compiled",
) -> Image:
    """The largest pixel under the reflected footprint, everywhere: bright things grow.

    ``result[y, x] = max image[y - i + anchor[0], x - j + anchor[1]]`` over all (i, j) of the footprint: every pixel
    spreads to where its footprint lies, so that dilation is the adjoint of :func:`erosion`, and opening and closing
    are what they must be for footprints of any shape.

    Parameters
    ----------
    convention : {"adjoint", "opencv"}
        ``"opencv"``: the footprint is not reflected, as in OpenCV. The same for symmetric footprints.
    image, footprint, anchor, iterations, border, channel_axis, out, backend
        As for :func:`erosion`.

    Examples
    --------
    >>> import numpy as np
    >>> dilation(np.array([[0, 0, 5, 0, 0]], np.uint8), (1, 2))
    array([[0, 5, 5, 0, 0]], dtype=uint8)
    """
    return _extremes(
        image, footprint, anchor, iterations, border, channel_axis, out, backend, largest=True, convention=convention
    )


def opening(image: npt.ArrayLike, footprint: Footprint = 3, **options: Any) -> Image:
    """Erosion, then dilation: bright things that the footprint does not fit into are gone.

    Never brighter than the image, and a second opening changes nothing (with the border ignored). Options are those of
    :func:`dilation`; all iterations of the erosion come first.

    Examples
    --------
    >>> import numpy as np
    >>> opening(np.array([[0, 7, 0, 7, 7, 7, 0]], np.uint8), (1, 2))
    array([[0, 0, 0, 7, 7, 7, 0]], dtype=uint8)
    """
    return _twice(image, footprint, options, first=erosion, second=dilation)


def closing(image: npt.ArrayLike, footprint: Footprint = 3, **options: Any) -> Image:
    """Dilation, then erosion: dark things that the footprint does not fit into are gone. See :func:`opening`."""
    return _twice(image, footprint, options, first=dilation, second=erosion)


def gradient(image: npt.ArrayLike, footprint: Footprint = 3, **options: Any) -> Image:
    """Dilation minus erosion: the edges. Differences that the type cannot hold become its limits."""
    out = options.pop("out", None)
    high, low = dilation(image, footprint, **options), erosion(image, footprint, **_for_erosion(options))
    return _difference(high, low, out)


def white_tophat(image: npt.ArrayLike, footprint: Footprint = 3, **options: Any) -> Image:
    """The image minus its opening: the bright things that the footprint does not fit into."""
    out = options.pop("out", None)
    return _difference(np.asarray(image), opening(image, footprint, **options), out)


def black_tophat(image: npt.ArrayLike, footprint: Footprint = 3, **options: Any) -> Image:
    """The closing minus the image: the dark things that the footprint does not fit into."""
    out = options.pop("out", None)
    return _difference(closing(image, footprint, **options), np.asarray(image), out)


def hit_or_miss(image: npt.ArrayLike, hit: Footprint, miss: Footprint, **options: Any) -> Image:
    """By how much everything under ``hit`` is brighter than everything under ``miss``; 0 where it is not.

    For binary images: where all of ``hit`` is set and nothing of ``miss``. Both are laid on the image as erosion lays
    them, with the same anchor (options as for :func:`erosion`).

    Raises
    ------
    ValueError
        If a pixel belongs to both, or if they are of different shapes.
    """
    hit, miss = as_mask(hit), as_mask(miss)
    if hit.shape != miss.shape or np.any(hit & miss):
        raise ValueError(
            f"hit and miss must be of one shape and share no pixel, got {hit.shape} and {miss.shape}"
            + (f" with {np.count_nonzero(hit & miss)} in both" if hit.shape == miss.shape else "")
        )
    out = options.pop("out", None)
    lowest = erosion(image, hit, **options)
    highest = dilation(image, miss, convention="opencv", **options)
    return _difference(lowest, highest, out)


def each(
    images: npt.ArrayLike,
    operations: Sequence[tuple[Literal["erosion", "dilation"], Footprint] | None],
    *,
    border: Border = "ignore",
    backend: str = "compiled",
) -> Image:
    """Another operation for each image of a batch, in one call: how training makes strokes thicker and thinner.

    Parameters
    ----------
    images : (N, H, W) array_like
    operations : sequence of N
        ``("erosion", footprint)``, ``("dilation", footprint)``, or None for an image that stays as it is.

    Examples
    --------
    >>> import numpy as np
    >>> batch = np.array([[[0, 9, 0]], [[0, 9, 0]]], np.uint8)
    >>> each(batch, [("dilation", (1, 3)), None]).tolist()
    [[[9, 9, 9]], [[0, 9, 0]]]
    """
    batch, dtype = as_pixels(images)
    if batch.ndim != 3 or len(operations) != len(batch):
        raise ValueError(
            f"images must be (N, H, W) with N operations, got {batch.shape} and {len(operations)} operations"
        )
    masks, anchors, sides = [], [], []
    for operation in operations:
        kind, footprint = operation if operation is not None else ("erosion", 1)
        if kind not in ("erosion", "dilation"):
            raise ValueError(f"an operation must be an erosion or a dilation, got {kind!r}")
        mask, anchor = oriented_footprint(footprint, None, reflected=kind == "dilation")
        masks.append(mask)
        anchors.append(anchor)
        sides.append(kind == "dilation")
    mode, fill = as_border(border, dtype)
    done = backends.load(backend, "morphology").extremes_of_each(batch, masks, anchors, mode, fill, sides)
    return np.asarray(done).view(dtype)


def reconstruction(
    seed: npt.ArrayLike,
    mask: npt.ArrayLike,
    *,
    method: Literal["dilation", "erosion"] = "dilation",
    connectivity: Literal[4, 8] = 8,
    backend: str = "compiled",
) -> Image:
    """The seed grown below the mask until it stops: dilation and the minimum with the mask, over and over.

    With ``method="erosion"`` the seed shrinks above the mask. Whole things of the mask that the seed touches come back
    unharmed, others do not: fill holes, remove what touches the border, keep marked letters.

    Parameters
    ----------
    seed, mask : (H, W) array_like of one dtype
        The seed must be nowhere above the mask (below it, for erosion).
    connectivity : {8, 4}
        Whether diagonal neighbours are neighbours.

    Raises
    ------
    ValueError
        For different shapes or dtypes, a seed on the wrong side of the mask, NaN.

    References
    ----------
    L. Vincent, Morphological grayscale reconstruction in image analysis, IEEE Transactions on Image Processing 2, 1993.

    Examples
    --------
    >>> import numpy as np
    >>> letters = np.array([[1, 1, 0, 1, 1]], bool)
    >>> reconstruction(np.array([[1, 0, 0, 0, 0]], bool), letters).astype(int)
    array([[1, 1, 0, 0, 0]])
    """
    start, dtype = as_pixels(seed)
    limit, other = as_pixels(mask)
    if start.ndim != 2 or start.shape != limit.shape or dtype != other:
        raise ValueError(
            f"seed and mask must be images of one shape and dtype, got {start.shape} {dtype} and {limit.shape} {other}"
        )
    if method not in ("dilation", "erosion"):
        raise ValueError(f"method must be 'dilation' or 'erosion', got {method!r}")
    if connectivity not in (4, 8):
        raise ValueError(f"connectivity must be 4 or 8, got {connectivity}")
    if not np.all(start <= limit if method == "dilation" else start >= limit):
        side = "above" if method == "dilation" else "below"
        raise ValueError(
            f"the seed must be nowhere {side} the mask for reconstruction by {method}, and nothing may be NaN"
        )
    done = backends.load(backend, "morphology").reconstruction(start, limit, method == "dilation", connectivity)
    return np.asarray(done).view(dtype)


def _extremes(
    image: npt.ArrayLike,
    footprint: Footprint,
    anchor: tuple[int, int] | None,
    iterations: int,
    border: Border,
    channel_axis: int | None,
    out: Image | None,
    backend: str,
    *,
    largest: bool,
    convention: str = "adjoint",
) -> Image:
    if convention not in ("adjoint", "opencv"):
        raise ValueError(f"convention must be 'adjoint' or 'opencv', got {convention!r}")
    if not 0 <= iterations <= MOST_ITERATIONS:
        raise ValueError(
            f"iterations must be 0 to {MOST_ITERATIONS} (fastctc.imaging.morphology.MOST_ITERATIONS), got {iterations}"
        )
    pixels, dtype = as_pixels(image, channel_axis)
    mask, at = oriented_footprint(footprint, anchor, reflected=largest and convention == "adjoint")
    mode, fill = ("ignore", 0.0) if border == "ignore" else as_border(border, dtype)
    if iterations > 1 and mode == "ignore" and mask.all():
        rows, columns = mask.shape
        mask = as_mask((iterations * (rows - 1) + 1, iterations * (columns - 1) + 1))
        at, iterations = (iterations * at[0], iterations * at[1]), 1
    twin = backends.load(backend, "morphology")
    result = pixels if pixels.ndim == 3 else pixels[None]
    place = None
    if out is not None and iterations and channel_axis is None:
        place = _place(out, pixels, dtype)
    for left in range(iterations, 0, -1):
        result = twin.extremes(result, mask, at, mode, fill, largest, place if left == 1 else None)
    if place is not None and out is not None:
        return out
    if pixels.ndim == 2:
        result = result[0]
    if dtype.kind == "b":
        result = result.view(bool)
    if channel_axis is not None:
        result = np.moveaxis(result, 0, channel_axis)
    if out is not None or channel_axis is not None or not iterations:
        return _given(result.copy() if not iterations else result, out)
    return result


def _twice(image: npt.ArrayLike, footprint: Footprint, options: dict[str, Any], first: Any, second: Any) -> Image:
    options = dict(options)
    out = options.pop("out", None)
    between = first(image, footprint, **(options if first is dilation else _for_erosion(options)))
    result: Image = second(between, footprint, out=out, **(options if second is dilation else _for_erosion(options)))
    return result


def _for_erosion(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "convention"}


def _difference(high: Image, low: Image, out: Image | None) -> Image:
    """high − low, at least 0, at most what the type holds."""
    if high.dtype == bool:
        return _given(high & ~low, out)
    if high.dtype == np.int16:
        wide = np.maximum(high.astype(np.int32) - low, 0)
        return _given(np.minimum(wide, np.iinfo(np.int16).max).astype(np.int16), out)
    if high.dtype.kind == "f":
        with np.errstate(invalid="ignore"):  # infinity minus infinity
            return _given(np.where(high > low, high - low, np.float32(0)), out)
    return _given(high - np.minimum(high, low), out)


def _place(out: Image, pixels: Image, dtype: np.dtype[Any]) -> Image | None:
    """``out`` as twins see it, (N, H, W), if the result can be put there directly."""
    if out.shape != pixels.shape or out.dtype != dtype:
        raise ValueError(f"out must be {pixels.shape} of {dtype}, got {out.shape} of {out.dtype}")
    flags = out.flags
    if not (flags.c_contiguous and flags.aligned and flags.writeable) or np.may_share_memory(out, pixels):
        return None
    place = out.view(pixels.dtype)
    return place if place.ndim == 3 else place[None]


def _given(result: Image, out: Image | None) -> Image:
    if out is None:
        return np.ascontiguousarray(result)
    if out.shape != result.shape or out.dtype != result.dtype:
        raise ValueError(f"out must be {result.shape} of {result.dtype}, got {out.shape} of {out.dtype}")
    out[...] = result
    return out
