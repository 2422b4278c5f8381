"""Twin of fastctc.reference.morphology on an OpenCL device: which kernel, how divided, with what."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc import backends
from fastctc.opencl.device import Device, Opened

Images = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Place = tuple[int, int]

BORDERS = {"ignore": 0, "constant": 1, "edge": 2, "reflect": 3}
# OpenCL's name, least and greatest value.
TYPES = {
    "uint8": ("uchar", "0", "255"),
    "uint16": ("ushort", "0", "65535"),
    "int16": ("short", "-32768", "32767"),
    "float32": ("float", "-INFINITY", "INFINITY"),
}
FEW_ROWS = 7  # that LOW compares directly
VECTOR = 32  # bytes
STREAM = 1 << 19  # bytes of local memory that a tile of rows may take: more does not stay in a core's cache
WIDE, TALL, DEEP = 32, 8, 4  # a graphics card's tile: items in a row, rows of items, pixels of an item
INT = np.int32


class Morphology:
    """Erosion and dilation on one device."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def extremes(
        self, images: Images, mask: Mask, anchor: Place, border: str, fill: float, largest: bool
    ) -> Images:
        """See fastctc.reference.morphology."""
        result = np.empty_like(images)
        if not images.size:
            return result
        opened = self.device._opened
        with opened.lock:
            source, target = opened.input(images), opened.output(result)
            enqueue(opened, opened.queue, source, target, images.shape, images.dtype, mask, anchor, border, fill, largest)
            opened.fetch(target, result)
        return result

    def extremes_of_each(
        self, images: Images, masks: Sequence[Mask], anchors: Sequence[Place], border: str, fill: float,
        largest: Sequence[bool],
    ) -> Images:
        """See fastctc.reference.morphology; one launch for all."""
        result = np.empty_like(images)
        if not images.size:
            return result
        opened = self.device._opened
        points = [np.argwhere(mask) - anchor for mask, anchor in zip(masks, anchors, strict=True)]
        first = np.cumsum([0, *map(len, points)]).astype(INT)
        table = np.concatenate(points).astype(INT)
        sides = np.array(largest, INT)
        height, width = images.shape[1:]
        with opened.lock:
            defines = ("EACH", *_defines(images.dtype, border, fill, True))
            kernel = opened.kernel("morphology", defines, (None, None, INT, INT, None, None, None))
            source, target = opened.input(images), opened.output(result)
            tables = [opened.input(np.ascontiguousarray(numbers)) for numbers in (first, table, sides)]
            kernel.set_args(source, target, width, height, *tables)
            wide = 1 if opened.streams else WIDE
            size = (-(-width // wide) * wide, height, len(images))
            opened.cl.enqueue_nd_range_kernel(opened.queue, kernel, size, None if opened.streams else (wide, 1, 1))
            opened.fetch(target, result)
        return result

    def reconstruction(self, seed: Images, mask: Images, grow: bool, connectivity: int) -> Images:
        """See fastctc.reference.morphology: step after step on the device, which says when nothing has changed."""
        result = np.ascontiguousarray(seed + 0 if seed.dtype.kind == "f" else seed.copy())
        if not result.size:
            return result
        opened = self.device._opened
        height, width = seed.shape
        changed = np.zeros(1, INT)
        with opened.lock:
            defines = ("GEODESIC", *_defines(seed.dtype, "ignore", 0, grow))
            kernel = opened.kernel("morphology", defines, (None, None, None, INT, INT, INT, None))
            flags = opened.cl.mem_flags
            here, there = (opened.cl.Buffer(opened.context, flags.READ_WRITE, result.nbytes) for _ in range(2))
            opened.cl.enqueue_copy(opened.queue, here, result)
            bound = opened.input(np.ascontiguousarray(mask))
            flag = opened.cl.Buffer(opened.context, flags.READ_WRITE, changed.nbytes)
            wide = 1 if opened.streams else WIDE
            size, local = (-(-width // wide) * wide, height), None if opened.streams else (wide, 1)
            while True:
                changed[0] = 0
                opened.cl.enqueue_copy(opened.queue, flag, changed)
                for _ in range(16):
                    kernel.set_args(here, bound, there, width, height, connectivity, flag)
                    opened.cl.enqueue_nd_range_kernel(opened.queue, kernel, size, local)
                    here, there = there, here
                opened.cl.enqueue_copy(opened.queue, changed, flag)
                if not changed[0]:
                    break
            opened.cl.enqueue_copy(opened.queue, result, here)
        return result


def enqueue(
    opened: Opened, queue: Any, source: Any, target: Any, shape: tuple[int, ...], dtype: np.dtype[Any],
    mask: Mask, anchor: Place, border: str, fill: float, largest: bool,
) -> list[Any]:
    """Put the kernels for one erosion or dilation of a batch into the queue; their events."""
    n, height, width = shape
    rows, columns = mask.shape
    top, left = anchor
    defines = _defines(dtype, border, fill, largest)
    size = dtype.itemsize
    full = bool(mask.all())
    if not opened.streams:
        return _tiled(opened, queue, source, target, shape, dtype, mask, anchor, defines, full)
    lanes = VECTOR // size
    local = min(STREAM, opened.info.local_memory * 9 // 10)
    make = opened.cl.LocalMemory

    def whole(count: int) -> int:
        return -(-count // lanes) * lanes

    def tile_of(bytes_for: Any) -> int:
        """The widest tile of columns, whole rows if they fit, whose rows stay in the cache."""
        tile = whole(width)
        while tile > 4 * lanes and bytes_for(tile) > local:
            tile = whole(tile // 2)
        return tile

    if full and rows <= FEW_ROWS:
        tile = tile_of(lambda t: (t * (rows + 2) + columns) * size)
        defines = ("LOW", f"ROWS={rows}", f"COLUMNS={columns}", f"TOP={top}", f"LEFT={left}", *defines)
        kernel = opened.kernel("morphology", defines, (None, None, *[INT] * 4, None, None))
        band = _band(opened, height, rows)
        kernel.set_args(source, target, width, height, tile, band,
                        make((tile + columns + 2 * lanes) * size), make((rows + 1) * tile * size))
    elif full:
        tile = tile_of(lambda t: (t * (rows + 3) + columns) * size)
        kernel = opened.kernel("morphology", ("HIGH", *defines), (None, None, *[INT] * 8, None, None, None))
        band = _band(opened, height, rows)
        kernel.set_args(source, target, width, height, tile, band, columns, left, rows, top,
                        make((tile + columns + 2 * lanes) * size), make(tile * size), make((rows + 1) * tile * size))
    else:
        runs, lengths = _runs(mask)
        if not len(runs):
            worst = (-np.inf if largest else np.inf) if dtype.kind == "f" else (np.iinfo(dtype).min if largest else np.iinfo(dtype).max)
            return [opened.cl.enqueue_fill_buffer(queue, target, np.array(worst, dtype), 0, n * height * width * size)]
        levels = int(lengths.max()).bit_length()

        def pitch_of(t: int) -> int:
            return whole(t + columns + 4 * lanes)

        tile = tile_of(lambda t: pitch_of(t) * (levels + len(lengths) * rows) * size)
        tile = -(-tile // (4 * lanes)) * 4 * lanes
        pitch = pitch_of(tile)
        kernel = opened.kernel("morphology", ("MASKED", *defines), (None, None, *[INT] * 10, None, INT, None, INT, None, None, None))
        band = _band(opened, height, rows)
        key = mask.shape, mask.tobytes()
        kernel.set_args(source, target, width, height, tile, band, columns, left, rows, top, pitch, len(runs),
                        opened.table((key, "runs"), runs), len(lengths), opened.table((key, "lengths"), lengths), levels,
                        make(levels * pitch * size), make(len(lengths) * rows * pitch * size + VECTOR), make(4 * len(runs)))
    grid = (-(-width // tile), -(-height // band), n)
    return [opened.cl.enqueue_nd_range_kernel(queue, kernel, grid, (1, 1, 1))]


def _band(opened: Opened, height: int, rows: int) -> int:
    """Rows of a work-item: all cores have work, and little of it is done twice at the seams. Even, as LOW likes it."""
    band = max(-(-height // opened.info.compute_units), 4 * rows, 16)
    return band + band % 2


def _tiled(
    opened: Opened, queue: Any, source: Any, target: Any, shape: tuple[int, ...], dtype: np.dtype[Any],
    mask: Mask, anchor: Place, defines: tuple[str, ...], full: bool,
) -> list[Any]:
    """For graphics cards. A large rectangle goes along the rows first, then down the columns."""
    n, height, width = shape
    (rows, columns), (top, left) = mask.shape, anchor
    make, size = opened.cl.LocalMemory, dtype.itemsize
    defines = (f"WIDE={WIDE}", f"TALL={TALL}", f"DEEP={DEEP}", *defines)
    grid = (-(-width // WIDE) * WIDE, -(-height // (TALL * DEEP)) * TALL, n)

    def pixels(r: int, c: int) -> int:
        return (WIDE + c - 1) * (TALL * DEEP + r - 1)

    if full:
        kernel = opened.kernel("morphology", ("TILE", *defines), (None, None, *[INT] * 6, None, None))

        def launch(a: Any, b: Any, r: int, t: int, c: int, m: int) -> Any:
            room = pixels(r, c) * size
            if 2 * room > opened.info.local_memory:
                raise ValueError(f"{opened.info.name} has {opened.info.local_memory} bytes of local memory, "
                                 f"the footprint needs {2 * room}: use backend='compiled'")
            kernel.set_args(a, b, width, height, c, m, r, t, make(room), make(room))
            return opened.cl.enqueue_nd_range_kernel(queue, kernel, grid, (WIDE, TALL, 1))

        if 2 * pixels(rows, columns) * size <= opened.info.local_memory // 2:
            return [launch(source, target, rows, top, columns, left)]
        between = opened.cl.Buffer(opened.context, opened.cl.mem_flags.READ_WRITE, n * height * width * size)
        return [launch(source, between, 1, 0, columns, left), launch(between, target, rows, top, 1, 0)]
    points = np.argwhere(mask).astype(INT)
    room = pixels(rows, columns) * size
    if room > opened.info.local_memory:
        raise ValueError(f"{opened.info.name} has {opened.info.local_memory} bytes of local memory, the mask needs {room}: "
                         "use backend='compiled'")
    kernel = opened.kernel("morphology", ("POINTS", *defines), (None, None, *[INT] * 7, None, None))
    table = opened.table((mask.shape, mask.tobytes(), "points"), points)
    kernel.set_args(source, target, width, height, columns, left, rows, top, len(points), table, make(room))
    return [opened.cl.enqueue_nd_range_kernel(queue, kernel, grid, (WIDE, TALL, 1))]


_planned: dict[tuple[tuple[int, ...], bytes], tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]] = {}


def _runs(mask: Mask) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    key = mask.shape, mask.tobytes()
    if key not in _planned:
        if len(_planned) > 64:
            _planned.clear()
        _planned[key] = backends.load("compiled", "morphology").runs(mask)
    return _planned[key]


def _defines(dtype: np.dtype[Any], border: str, fill: float, largest: bool) -> tuple[str, ...]:
    name, least, greatest = TYPES[dtype.name]
    worst = least if largest else greatest
    outside = worst if border == "ignore" else _literal(fill, dtype)
    floats = ("FLOATS",) if dtype.kind == "f" else ()
    return (f"T={name}", f"LARGEST={int(largest)}", f"WORST=({worst})", f"LEAST=({least})", f"GREATEST=({greatest})",
            f"VN={VECTOR // dtype.itemsize}", f"BORDER={BORDERS[border]}", f"OUTSIDE=({outside})", *floats)


def _literal(value: float, dtype: np.dtype[Any]) -> str:
    if dtype.kind != "f":
        return str(int(value))
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{np.float32(value + 0.0):.9e}f"
