"""Twin of fastctc.reference.frames: a rough vectorised pass, and exact sums where that one is in doubt."""

from libc.math cimport exp

ctypedef fused real:
    float
    double

cdef extern from *:
    """
    #include "rows.h"
    #define suspect_float(...) CHOOSE(suspect_row_f, __VA_ARGS__)
    #define suspect_double(...) CHOOSE(suspect_row_d, __VA_ARGS__)
    """
    Py_ssize_t suspect_float(const float *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil
    Py_ssize_t suspect_double(const double *, Py_ssize_t, Py_ssize_t, Py_ssize_t) noexcept nogil

cdef double HIGHEST = 1e-3
cdef double LEAST = 0.5
cdef double MOST = 1.5


cdef bint is_bad(const real *row, Py_ssize_t width) noexcept nogil:
    cdef double total = 0.0
    cdef Py_ssize_t c
    for c in range(width):
        if not row[c] <= HIGHEST:
            return True
        total += exp(row[c])
    return not LEAST < total < MOST


def first_bad_row(const real[:, ::1] log_probs) -> int:
    cdef Py_ssize_t n = log_probs.shape[0], width = log_probs.shape[1], t = 0
    if n == 0 or width == 0:
        return -1 if n == 0 else 0
    cdef const real *rows = &log_probs[0, 0]
    with nogil:
        while True:
            if real is float:
                t = suspect_float(rows, n, width, t)
            else:
                t = suspect_double(rows, n, width, t)
            if t < 0 or is_bad(rows + t * width, width):
                break
            t += 1
    return t
