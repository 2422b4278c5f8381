"""Twin of fastctc.reference.best_path: a vectorised scan of all rows, then one pass over the winners."""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from libc.stdint cimport int32_t

from fastctc.compiled.tuples cimport as_tuple

cdef extern from "processor.h":
    const char *choose_registers() except NULL

cdef extern from *:
    """
    #include "rows.h"
    #define scan_float(...) CHOOSE_WIDEST(scan_rows_f, __VA_ARGS__)
    #define scan_double(...) CHOOSE_WIDEST(scan_rows_d, __VA_ARGS__)
    """
    Py_ssize_t scan_float(const float *, Py_ssize_t, Py_ssize_t, int32_t *, double *) noexcept nogil
    Py_ssize_t scan_double(const double *, Py_ssize_t, Py_ssize_t, int32_t *, double *) noexcept nogil


REGISTERS = choose_registers().decode("ascii")  # whose copies of the loops run

cdef Py_ssize_t KEEP = 1 << 17  # entries; a shorter pass keeps the GIL, since to get it back may take longer


# A sequence, and its path: how many labels stand before their first frames, what it scores, which row is bad.
cdef struct Path:
    Py_buffer rows
    Py_ssize_t n_labels
    Py_ssize_t bad
    double score


cdef void find(Path *path, int blank, int32_t *labels) noexcept nogil:
    """Labels, and as many places behind the frames' own, their first frames."""
    cdef const Py_buffer *rows = &path.rows
    cdef Py_ssize_t n = rows.shape[0], t, found = 0
    cdef int32_t *first = labels + n
    cdef int32_t previous = blank, label
    path.bad = -1
    if n == 0:
        return
    if rows.itemsize == sizeof(float):
        path.bad = scan_float(<const float *> rows.buf, n, rows.shape[1], labels, &path.score)
    else:
        path.bad = scan_double(<const double *> rows.buf, n, rows.shape[1], labels, &path.score)
    for t in range(n):  # labels overwrite the winners already read
        label = labels[t]
        if label != previous and label != blank:
            labels[found] = label
            first[found] = <int32_t> t
            found += 1
        previous = label
    path.n_labels = found


cdef void find_all(Path *paths, Py_ssize_t n, int blank, int32_t *labels) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        find(&paths[i], blank, labels)
        labels += 2 * paths[i].rows.shape[0]


def best_path(log_probs, int blank) -> tuple:
    return best_paths([log_probs], blank)[0]


def best_paths(list sequences, int blank) -> list:
    """All in one stretch without the GIL, if there is much to do."""
    cdef Py_ssize_t n = len(sequences), held = 0, n_frames = 0, n_entries = 0, i
    cdef Py_buffer *rows  # of a typed memoryview the object alone would take longer than the scan of a line
    cdef int32_t *labels = NULL
    cdef int32_t *own
    cdef Path *paths = <Path *> PyMem_Calloc(n + 1, sizeof(Path))
    cdef list result = []
    if paths is NULL:
        raise MemoryError()
    try:
        for i in range(n):
            rows = &paths[i].rows
            PyObject_GetBuffer(sequences[i], rows, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
            held += 1
            if rows.ndim != 2 or not (
                (rows.format[0] == b"f" and rows.itemsize == sizeof(float))
                or (rows.format[0] == b"d" and rows.itemsize == sizeof(double))
            ) or rows.format[1]:
                raise ValueError("log_probs must be (frames, classes) of float32 or float64")
            if rows.shape[0] and rows.shape[1] == 0:
                raise ValueError("log_probs must have at least one class, got 0")
            n_frames += rows.shape[0]
            n_entries += rows.shape[0] * rows.shape[1]
        labels = <int32_t *> PyMem_Malloc((2 * n_frames + 1) * sizeof(int32_t))
        if labels is NULL:
            raise MemoryError()
        if n_entries < KEEP:
            find_all(paths, n, blank, labels)
        else:
            with nogil:
                find_all(paths, n, blank, labels)
        own = labels
        for i in range(n):
            result.append((
                as_tuple(own, paths[i].n_labels),
                as_tuple(own + paths[i].rows.shape[0], paths[i].n_labels),
                paths[i].score,
                paths[i].bad,
            ))
            own += 2 * paths[i].rows.shape[0]
        return result
    finally:
        for i in range(held):
            PyBuffer_Release(&paths[i].rows)
        PyMem_Free(paths)
        PyMem_Free(labels)


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
