"""Twin of fastctc.reference.best_path: a vectorised scan of all rows, then one pass over the winners."""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int32_t

cdef extern from *:
    """
    #include "rows.h"
    #define scan_float(...) CHOOSE(scan_rows_f, __VA_ARGS__)
    #define scan_double(...) CHOOSE(scan_rows_d, __VA_ARGS__)
    """
    Py_ssize_t scan_float(const float *, Py_ssize_t, Py_ssize_t, int32_t *, double *) noexcept nogil
    Py_ssize_t scan_double(const double *, Py_ssize_t, Py_ssize_t, int32_t *, double *) noexcept nogil


cdef Py_ssize_t KEEP = 1 << 17  # entries; a shorter pass keeps the GIL, since to get it back may take longer


cdef inline Py_ssize_t scan(const Py_buffer *rows, int32_t *best, double *total) noexcept nogil:
    if rows.itemsize == sizeof(float):
        return scan_float(<const float *> rows.buf, rows.shape[0], rows.shape[1], best, total)
    return scan_double(<const double *> rows.buf, rows.shape[0], rows.shape[1], best, total)


include "tuples.pxi"


def best_path(log_probs, int blank) -> tuple:
    cdef Py_buffer rows  # of a typed memoryview the object alone would take longer than the scan of a line
    PyObject_GetBuffer(log_probs, &rows, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    try:
        if rows.ndim != 2 or not (
            (rows.format[0] == b"f" and rows.itemsize == sizeof(float))
            or (rows.format[0] == b"d" and rows.itemsize == sizeof(double))
        ) or rows.format[1]:
            raise ValueError("log_probs must be (frames, classes) of float32 or float64")
        return search(&rows, blank)
    finally:
        PyBuffer_Release(&rows)


def first_of_rows(const int32_t[:, ::1] rows, const int32_t[::1] counts) -> list:
    """The first so many numbers of each row, as tuples: what a device has found, in Python's own form."""
    cdef Py_ssize_t i
    if counts.shape[0] != rows.shape[0]:
        raise ValueError(f"there must be one count a row, got {counts.shape[0]} for {rows.shape[0]}")
    for i in range(rows.shape[0]):
        if not 0 <= counts[i] <= rows.shape[1]:
            raise ValueError(f"counts must be 0 to {rows.shape[1]}, got {counts[i]}")
    return [as_tuple(&rows[i, 0] if rows.shape[1] else NULL, counts[i]) for i in range(rows.shape[0])]


def are_rows_of(list sequences, whole) -> bool:
    """Whether (frames, classes) arrays are the beginnings of the sequences of a contiguous (B, T, C), in its order."""
    cdef Py_buffer all_of_them, one
    cdef Py_ssize_t i
    cdef bint fits
    PyObject_GetBuffer(whole, &all_of_them, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    try:
        fits = all_of_them.ndim == 3 and all_of_them.shape[0] == len(sequences)
        for i in range(len(sequences)):
            if not fits:
                break
            PyObject_GetBuffer(sequences[i], &one, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
            fits = (
                one.ndim == 2 and one.shape[0] <= all_of_them.shape[1] and one.shape[1] == all_of_them.shape[2]
                and one.format[0] == all_of_them.format[0]
                and <char *> one.buf == <char *> all_of_them.buf + i * all_of_them.strides[0]
            )
            PyBuffer_Release(&one)
        return fits
    finally:
        PyBuffer_Release(&all_of_them)


cdef tuple search(const Py_buffer *rows, int blank):
    cdef Py_ssize_t n = rows.shape[0], t, found = 0
    if n == 0:
        return (), (), 0.0, -1
    if rows.shape[1] == 0:
        raise ValueError("log_probs must have at least one class, got 0")
    cdef int32_t *best = <int32_t *> PyMem_Malloc(2 * n * sizeof(int32_t))
    if best is NULL:
        raise MemoryError()
    cdef int32_t *first = best + n
    cdef int32_t previous = blank, label
    cdef double score
    cdef Py_ssize_t bad
    if n * rows.shape[1] < KEEP:
        bad = scan(rows, best, &score)
    else:
        with nogil:
            bad = scan(rows, best, &score)
    for t in range(n):  # labels overwrite the winners already read
        label = best[t]
        if label != previous and label != blank:
            best[found] = label
            first[found] = <int32_t> t
            found += 1
        previous = label
    try:
        return as_tuple(best, found), as_tuple(first, found), score, bad
    finally:
        PyMem_Free(best)
