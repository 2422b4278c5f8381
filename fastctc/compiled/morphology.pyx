"""Twin of fastctc.reference.morphology: rectangles and masks in rows of vectors, images one after the other."""

import numpy as np

from libc.stdint cimport int32_t

cdef extern from "processor.h":
    const char *choose_registers() except NULL

cdef extern from "morphology.h":
    ctypedef struct plan_t:
        ptrdiff_t height, width, rows, columns, top, left
        int border
        double fill
        const int32_t *runs
        ptrdiff_t n_runs
        const int32_t *lengths
        ptrdiff_t n_lengths
    int extremes_of_image(char, bint, const void *, void *, const plan_t *) noexcept nogil

cdef extern from "reconstruction.h":
    int reconstructed(char, bint, int, void *, const void *, ptrdiff_t, ptrdiff_t) noexcept nogil

REGISTERS = choose_registers().decode("ascii")  # whose copies of the loops run

cdef dict BORDERS = {"ignore": 0, "constant": 1, "edge": 2, "reflect": 3}
cdef str KINDS = "BHhf"  # dtype.char of uint8, uint16, int16, float32
cdef double LENGTH_COST = 2.5  # a row of windows of one length costs as much as so many comparisons


def runs(mask) -> tuple:
    """The mask as runs (row, first column, length, number of the length) and the lengths; points if that is cheaper.

    All int32: (n, 4) and (m,). Points are runs of length 1.
    """
    mask = np.ascontiguousarray(mask, bool)
    edges = np.diff(np.pad(mask.view(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, first = np.nonzero(edges > 0)
    lengths = np.nonzero(edges < 0)[1] - first
    kinds, number = np.unique(lengths, return_inverse=True)
    if len(rows) + LENGTH_COST * len(kinds) > np.count_nonzero(mask) + LENGTH_COST:
        rows, first = np.nonzero(mask)
        kinds, lengths, number = np.ones(1, int), np.ones(len(rows), int), np.zeros(len(rows), int)
    return np.stack([rows, first, lengths, number], axis=1).astype(np.int32), kinds.astype(np.int32)


def extremes(images, mask, anchor, border, fill, largest, result=None):
    if result is None:
        result = np.empty_like(images, order="C")
    if images.ndim != 3 or images.dtype.char not in KINDS or images.shape != result.shape \
            or images.dtype != result.dtype or not images.flags.c_contiguous or not result.flags.c_contiguous:
        raise ValueError("images and result must be (N, H, W), contiguous, of the same uint8, uint16, int16 or float32")
    if mask.ndim != 2 or not mask.size or not (0 <= anchor[0] < mask.shape[0] and 0 <= anchor[1] < mask.shape[1]):
        raise ValueError("mask must be (h, w) with the anchor inside")
    if not images.size:
        return result
    cdef plan_t plan
    cdef const unsigned char[::1] source = images.reshape(-1).view(np.uint8)
    cdef unsigned char[::1] target = result.reshape(-1).view(np.uint8)
    cdef const int32_t[:, ::1] table
    cdef const int32_t[::1] lengths
    cdef char code = ord(images.dtype.char)
    cdef bint up = largest
    cdef Py_ssize_t n, n_images = images.shape[0], step = images.shape[1] * images.shape[2] * images.itemsize
    cdef int failed = 0
    plan.height, plan.width = images.shape[1], images.shape[2]
    plan.rows, plan.columns = mask.shape
    plan.top, plan.left = anchor
    plan.border = BORDERS[border]
    plan.fill = fill
    plan.n_runs = plan.n_lengths = 0
    plan.runs = plan.lengths = NULL
    if not mask.all():
        found = runs(mask)
        if not len(found[0]):  # under an empty mask is nothing
            result[...] = _never(images.dtype, largest)
            return result
        table, lengths = found
        plan.runs, plan.n_runs = &table[0, 0], table.shape[0]
        plan.lengths, plan.n_lengths = &lengths[0], lengths.shape[0]
    with nogil:
        for n in range(n_images):
            failed |= extremes_of_image(code, up, &source[n * step], &target[n * step], &plan)
    if failed:
        raise MemoryError("there is no memory for the rows that the footprint needs")
    return result


def extremes_of_each(images, masks, anchors, border, fill, largest):
    result = np.empty_like(images)
    for n, (mask, anchor, side) in enumerate(zip(masks, anchors, largest, strict=True)):
        extremes(images[n : n + 1], mask, anchor, border, fill, side, result[n : n + 1])
    return result


def reconstruction(seed, mask, bint grow, int connectivity):
    if seed.ndim != 2 or seed.shape != mask.shape or seed.dtype != mask.dtype or seed.dtype.char not in KINDS:
        raise ValueError("seed and mask must be (H, W), of the same uint8, uint16, int16 or float32")
    result = np.ascontiguousarray(seed + 0 if seed.dtype.kind == "f" else seed.copy())  # -0 becomes 0
    limit = np.ascontiguousarray(mask + 0 if mask.dtype.kind == "f" else mask)
    if not result.size:
        return result
    cdef unsigned char[::1] pixels = result.reshape(-1).view(np.uint8)
    cdef const unsigned char[::1] bounds = limit.reshape(-1).view(np.uint8)
    cdef char code = ord(seed.dtype.char)
    cdef ptrdiff_t height = seed.shape[0], width = seed.shape[1]
    cdef int failed
    with nogil:
        failed = reconstructed(code, grow, connectivity, &pixels[0], &bounds[0], height, width)
    if failed:
        raise MemoryError("there is no memory for the pixels that wait")
    return result


def _never(dtype, largest):
    """The value that never wins."""
    if dtype.kind == "f":
        return -np.inf if largest else np.inf
    return np.iinfo(dtype).min if largest else np.iinfo(dtype).max
