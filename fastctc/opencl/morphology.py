"""Twin of fastctc.reference.morphology on an OpenCL device: which kernel, how divided, with what."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.opencl.decompose import decompose
from fastctc.opencl.device import Device
from fastctc.opencl.opened import Launch, Opened

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
STEPS = 16  # of reconstruction between two looks whether anything changed


class Morphology:
    """Erosion and dilation on one device."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def extremes(
        self,
        images: Images,
        mask: Mask,
        anchor: Place,
        border: str,
        fill: float,
        largest: bool,
        result: Images | None = None,
    ) -> Images:
        """See fastctc.reference.morphology."""
        if result is None:
            result = np.empty_like(images)
        if not images.size:
            return result
        opened = self.device.opened.for_work(images.nbytes * len(mask))
        with opened:
            source, target = opened.input(images), opened.output(result)
            enqueue(
                opened, opened.queue, source, target, images.shape, images.dtype, mask, anchor, border, fill, largest
            )
            opened.fetch(target, result)
            opened.done(images, source, target)
        return result

    def extremes_of_each(
        self,
        images: Images,
        masks: Sequence[Mask],
        anchors: Sequence[Place],
        border: str,
        fill: float,
        largest: Sequence[bool],
    ) -> Images:
        """See fastctc.reference.morphology; one launch for all."""
        result = np.empty_like(images)
        if not images.size:
            return result
        opened = self.device.opened.for_work(images.nbytes * max(map(len, masks)))
        points = [np.argwhere(mask) - anchor for mask, anchor in zip(masks, anchors, strict=True)]
        first = np.cumsum([0, *map(len, points)]).astype(INT)
        table = np.concatenate(points).astype(INT)
        sides = np.array(largest, INT)
        height, width = images.shape[1:]
        with opened:
            defines = ("EACH", *_defines(images.dtype, border, fill, True))
            source, target = opened.input(images), opened.output(result)
            tables = [opened.table(numbers) for numbers in (first, table, sides)]
            kernel = opened.kernel("morphology", defines, source, target, width, height, *tables)
            size = (-(-width // WIDE) * WIDE, height, len(images))
            opened.cl.enqueue_nd_range_kernel(opened.queue, kernel.kernel, size, (WIDE, 1, 1))
            opened.fetch(target, result)
        return result

    def reconstruction(self, seed: Images, mask: Images, grow: bool, connectivity: int) -> Images:
        """See fastctc.reference.morphology: step after step on the device, which says when nothing has changed."""
        result = np.ascontiguousarray(seed + 0 if seed.dtype.kind == "f" else seed.copy())
        if not result.size:
            return result
        opened = self.device.opened.for_work(seed.nbytes * STEPS)
        height, width = seed.shape
        changed = np.zeros(1, INT)
        with opened:
            defines = ("GEODESIC", *_defines(seed.dtype, "ignore", 0, grow))
            flags = opened.cl.mem_flags
            here, there = (opened.cl.Buffer(opened.context, flags.READ_WRITE, result.nbytes) for _ in range(2))
            opened.cl.enqueue_copy(opened.queue, here, result)
            bound = opened.input(np.ascontiguousarray(mask))
            flag = opened.cl.Buffer(opened.context, flags.READ_WRITE, changed.nbytes)
            kernel = opened.kernel("morphology", defines, None, bound, None, width, height, connectivity, flag)
            # A group of one size: PoCL compiles a kernel again for each size.
            size, local = (-(-width // WIDE) * WIDE, height), (WIDE, 1)
            while True:
                changed[0] = 0
                opened.cl.enqueue_copy(opened.queue, flag, changed)
                for _ in range(STEPS):
                    kernel.kernel.set_arg(0, here)
                    kernel.kernel.set_arg(2, there)
                    opened.cl.enqueue_nd_range_kernel(opened.queue, kernel.kernel, size, local)
                    here, there = there, here
                opened.cl.enqueue_copy(opened.queue, changed, flag)
                if not changed[0]:
                    break
            opened.cl.enqueue_copy(opened.queue, result, here)
        return result


def enqueue(
    opened: Opened,
    queue: Any,
    source: Any,
    target: Any,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    mask: Mask,
    anchor: Place,
    border: str,
    fill: float,
    largest: bool,
) -> list[Any]:
    """Put the kernels for one erosion or dilation of a batch into the queue; their events."""
    full = bool(mask.all())
    key = shape, dtype.char, mask.shape, full or mask.tobytes(), anchor, border, fill, largest
    launches = opened.plans.get(key)
    if launches is None:
        launches = opened.keep(key, _plan(opened, shape, dtype, mask, full, anchor, border, fill, largest))
    launch = opened.cl.enqueue_nd_range_kernel
    if not launches:  # the mask is empty
        worst = np.array(_worst(dtype, largest), dtype)
        return [opened.cl.enqueue_fill_buffer(queue, target, worst, 0, int(np.prod(shape)) * dtype.itemsize)]
    events = []
    for step, launch_ in enumerate(launches, 1):
        to = target
        if step < len(launches):
            to = opened.cl.Buffer(opened.context, opened.cl.mem_flags.READ_WRITE, int(np.prod(shape)) * dtype.itemsize)
        kernel = launch_.kernel.kernel
        kernel.set_arg(0, source)
        kernel.set_arg(1, to)
        events.append(launch(queue, kernel, launch_.items, launch_.group))
        source = to
    return events


def _plan(
    opened: Opened,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    mask: Mask,
    full: bool,
    anchor: Place,
    border: str,
    fill: float,
    largest: bool,
) -> list[Launch]:
    """Which kernels, how divided."""
    n, height, width = shape
    rows, columns = mask.shape
    top, left = anchor
    size = dtype.itemsize
    lanes = VECTOR // size
    memory: tuple[Any, ...]
    defines = _defines(dtype, border, fill, largest)
    if not opened.streams:
        return _tiled(opened, shape, size, mask, full, anchor, defines)
    room = min(STREAM, opened.info.local_memory * 9 // 10)

    def make(pixels: int) -> Any:
        return opened.cl.LocalMemory(pixels * size)

    def whole(count: int) -> int:
        return -(-count // lanes) * lanes

    def tile_of(bytes_for: Callable[[int], int]) -> int:
        """The widest tile of columns, whole rows if they fit, whose rows stay in the cache."""
        tile = whole(width)
        while tile > 4 * lanes and bytes_for(tile) > room:
            tile = whole(tile // 2)
        return tile

    # Rows of a work-item: all cores have work, and little of it is done twice at the seams. Even, as LOW likes it.
    share = max(1, opened.info.compute_units // n)
    band = max(-(-height // share), 4 * rows, 16)
    band += band % 2
    if full:
        tile = tile_of(lambda t: (t + 6 * lanes) * (rows + 3) * size + columns * size)
        row, pitch = tile + columns + 2 * lanes, tile + 6 * lanes
        if rows <= FEW_ROWS:
            sizes = f"ROWS={rows}", f"COLUMNS={columns}", f"TOP={top}", f"LEFT={left}"
            memory = make(row), make((rows + 1) * pitch), make(8 * lanes)
            kernel = opened.kernel(
                "morphology", ("LOW", *sizes, *defines), None, None, width, height, tile, band, *memory
            )
        else:
            memory = make(row), make(pitch), make((rows + 1) * pitch)
            kernel = opened.kernel(
                "morphology",
                ("HIGH", *defines),
                None,
                None,
                width,
                height,
                tile,
                band,
                columns,
                left,
                rows,
                top,
                *memory,
            )
    else:
        parts, kinds = decompose(mask)
        if not len(parts):
            return []
        levels = int(kinds[:, 0].max()) + 1

        def pitch_of(t: int) -> int:
            return whole(t + columns + 4 * lanes)

        tile = tile_of(lambda t: pitch_of(t) * (levels + len(kinds) * rows) * size)
        tile = -(-tile // (4 * lanes)) * 4 * lanes
        pitch = pitch_of(tile)
        memory = make(levels * pitch), make(len(kinds) * rows * pitch + lanes), opened.cl.LocalMemory(4 * len(parts))
        kernel = opened.kernel(
            "morphology",
            ("MASKED", *defines),
            None,
            None,
            width,
            height,
            tile,
            band,
            columns,
            left,
            rows,
            top,
            pitch,
            len(parts),
            opened.table(parts),
            len(kinds),
            opened.table(kinds),
            levels,
            *memory,
        )
    return [Launch(kernel, (-(-width // tile), -(-height // band), n), (1, 1, 1))]


def _tiled(
    opened: Opened, shape: tuple[int, ...], size: int, mask: Mask, full: bool, anchor: Place, defines: tuple[str, ...]
) -> list[Launch]:
    """For graphics cards. A large rectangle goes along the rows first, then down the columns."""
    n, height, width = shape
    (rows, columns), (top, left) = mask.shape, anchor
    defines = (f"WIDE={WIDE}", f"TALL={TALL}", f"DEEP={DEEP}", *defines)
    items, group = (-(-width // WIDE) * WIDE, -(-height // (TALL * DEEP)) * TALL, n), (WIDE, TALL, 1)

    def memory(r: int, c: int, copies: int) -> list[Any]:
        room = (WIDE + c - 1) * (TALL * DEEP + r - 1) * size
        if copies * room > opened.info.local_memory:
            raise ValueError(
                f"{opened.info.name} has {opened.info.local_memory} bytes of local memory, a footprint of {rows} x "
                f"{columns} needs {copies * room}: use backend='compiled'"
            )
        return [opened.cl.LocalMemory(room) for _ in range(copies)]

    if not full:
        points = np.argwhere(mask)
        if not len(points):
            return []
        kernel = opened.kernel(
            "morphology",
            ("POINTS", *defines),
            None,
            None,
            width,
            height,
            columns,
            left,
            rows,
            top,
            len(points),
            opened.table(points.astype(INT)),
            *memory(rows, columns, 1),
        )
        return [Launch(kernel, items, group)]
    fits = 4 * (WIDE + columns - 1) * (TALL * DEEP + rows - 1) * size <= opened.info.local_memory
    steps = [(rows, top, columns, left)] if fits else [(1, 0, columns, left), (rows, top, 1, 0)]
    launches = []
    for its_rows, its_top, its_columns, its_left in steps:
        kernel = opened.kernel(
            "morphology",
            ("TILE", *defines),
            None,
            None,
            width,
            height,
            its_columns,
            its_left,
            its_rows,
            its_top,
            *memory(its_rows, its_columns, 2),
        )
        launches.append(Launch(kernel, items, group))
    return launches


def _worst(dtype: np.dtype[Any], largest: bool) -> float:
    """The value that never wins."""
    if dtype.kind == "f":
        return -np.inf if largest else np.inf
    limits = np.iinfo(dtype)
    return int(limits.min if largest else limits.max)


def _defines(dtype: np.dtype[Any], border: str, fill: float, largest: bool) -> tuple[str, ...]:
    name, least, greatest = TYPES[dtype.name]
    worst = least if largest else greatest
    outside = worst if border == "ignore" else _literal(fill, dtype)
    floats = ("FLOATS",) if dtype.kind == "f" else ()
    return (
        f"T={name}",
        f"LARGEST={int(largest)}",
        f"WORST=({worst})",
        f"LEAST=({least})",
        f"GREATEST=({greatest})",
        f"VN={VECTOR // dtype.itemsize}",
        f"BORDER={BORDERS[border]}",
        f"OUTSIDE=({outside})",
        *floats,
    )


def _literal(value: float, dtype: np.dtype[Any]) -> str:
    if dtype.kind != "f":
        return str(int(value))
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{np.float32(value + 0.0):.9e}f"
