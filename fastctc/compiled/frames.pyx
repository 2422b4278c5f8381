"""Twin of fastctc.reference.frames: a rough vectorised pass, and exact sums where that one is in doubt."""

ctypedef fused real:
    float
    double

cdef extern from *:
    """
    #include "rows.h"
    #define find_bad_float(...) CHOOSE(find_bad_f, __VA_ARGS__)
    #define find_bad_double(...) CHOOSE(find_bad_d, __VA_ARGS__)
    """
    Py_ssize_t find_bad_float(const float *, Py_ssize_t, Py_ssize_t) noexcept nogil
    Py_ssize_t find_bad_double(const double *, Py_ssize_t, Py_ssize_t) noexcept nogil

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
