"""Twin of fastctc.reference.frames: a rough vectorised pass, and exact sums where that one is in doubt."""

from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Calloc, PyMem_Free

ctypedef fused real:
    float
    double

cdef extern from "processor.h":
    const char *choose_registers() except NULL

cdef extern from *:
    """
    #include "rows.h"
    #define find_bad_float(...) CHOOSE(find_bad_f, __VA_ARGS__)
    #define find_bad_double(...) CHOOSE(find_bad_d, __VA_ARGS__)
    """
    Py_ssize_t find_bad_float(const float *, Py_ssize_t, Py_ssize_t) noexcept nogil
    Py_ssize_t find_bad_double(const double *, Py_ssize_t, Py_ssize_t) noexcept nogil

REGISTERS = choose_registers().decode("ascii")  # whose copies of the loops run

cdef Py_ssize_t KEEP = 1 << 17  # entries; a shorter pass keeps the GIL, since to get it back may take longer


cdef Py_ssize_t find_bad(const real *rows, Py_ssize_t n, Py_ssize_t width) noexcept nogil:
    if real is float:
        return find_bad_float(rows, n, width)
    else:
        return find_bad_double(rows, n, width)


def first_bad_row(const real[:, ::1] log_probs) -> int:
    cdef Py_ssize_t n = log_probs.shape[0], width = log_probs.shape[1], bad
    if n == 0 or width == 0:
        return -1 if n == 0 else 0
    if n * width < KEEP:
        bad = find_bad(&log_probs[0, 0], n, width)
    else:
        with nogil:
            bad = find_bad(&log_probs[0, 0], n, width)
    return bad


cdef Py_ssize_t find_sequence(const Py_buffer *sequences, Py_ssize_t n, Py_ssize_t *row) noexcept nogil:
    """The first sequence with a bad row, -1 if there is none."""
    cdef const Py_buffer *one
    cdef Py_ssize_t i
    for i in range(n):
        one = &sequences[i]
        if one.shape[0] == 0:
            continue
        if one.shape[1] == 0:
            row[0] = 0
        elif one.itemsize == sizeof(float):
            row[0] = find_bad(<const float *> one.buf, one.shape[0], one.shape[1])
        else:
            row[0] = find_bad(<const double *> one.buf, one.shape[0], one.shape[1])
        if row[0] >= 0:
            return i
    return -1


def first_bad(list sequences) -> tuple:
    """All sequences in one stretch without the GIL, so that threads wait for each other less often."""
    cdef Py_ssize_t n = len(sequences), held = 0, entries = 0, i, number, row = -1
    cdef Py_buffer *buffers = <Py_buffer *> PyMem_Calloc(n + 1, sizeof(Py_buffer))
    cdef Py_buffer *one
    if buffers is NULL:
        raise MemoryError()
    try:
        for i in range(n):
            one = &buffers[i]
            PyObject_GetBuffer(sequences[i], one, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
            held += 1
            if one.ndim != 2 or one.format[0] not in b"fd" or one.format[1]:
                raise ValueError(f"sequence {i} must be (frames, classes) of float32 or float64")
            entries += one.shape[0] * one.shape[1]
        if entries < KEEP:
            number = find_sequence(buffers, n, &row)
        else:
            with nogil:
                number = find_sequence(buffers, n, &row)
        return number, row
    finally:
        for i in range(held):
            PyBuffer_Release(&buffers[i])
        PyMem_Free(buffers)
