"""The lattice of a text: what its classes are, and the frames' probabilities of them.

A text of L labels is read through blanks 0..L and labels 1..L; label i stands between blanks i - 1 and i. (Label 0 is a
place that stays empty.) Symbols are the distinct classes of the text; the blank is symbol 0.
"""

from libc.math cimport INFINITY, exp, log
from libc.stdlib cimport calloc, free, malloc

from fastctc.compiled.symbols cimport number_symbols

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #include <string.h>
    #define LATTICE_MASKED -1e5
    #define LATTICE_LN2 0.693147180559945309417
    /* 2**n, 0 below the normal numbers. ldexp is a call of a library, and this a shift. */
    static inline double power_of_two(int n)
    {
        double result;
        uint64_t bits = n < -1022 ? 0 : (uint64_t)(n > 1023 ? 2046 : n + 1023) << 52;
        memcpy(&result, &bits, sizeof result);
        return result;
    }
    """
    double power_of_two(int) noexcept nogil
    double MASKED "LATTICE_MASKED"  # log probabilities below are meant as -inf
    double LN2 "LATTICE_LN2"

cdef enum:
    BLOCK = 8  # labels that share an exponent in a sweep; its memory is made with the lattice's

cdef struct Lattice:
    const double *frames
    const double *probs  # of the same frames, where these are logarithms and somebody has computed them; or NULL
    Py_ssize_t n_frames
    Py_ssize_t width
    Py_ssize_t n_labels
    Py_ssize_t n_symbols
    bint is_log
    bint mirrored       # time and labels run backwards
    int *classes        # class of each symbol
    int *symbol         # symbol of labels 1..L; symbol[0] = 0
    double *step        # 1.0 where label i may follow label i - 1 without a blank, else 0.0
    double *work        # memory of a sweep
    int *exponents      # of the blocks of a sweep


cdef inline void find_steps(Lattice *g) noexcept nogil:
    cdef Py_ssize_t i
    g.step[0] = 0.0
    for i in range(1, g.n_labels + 1):
        g.step[i] = 1.0 if i > 1 and g.symbol[i] != g.symbol[i - 1] else 0.0


cdef inline int fill_lattice(
    Lattice *g, const double[:, ::1] frames, tuple labels, int blank, bint is_log
) except -1:
    """Check the arguments, and point to the frames, which the caller keeps alive. To be freed, error or not."""
    cdef Py_ssize_t n = len(labels), n_blocks = n // BLOCK + 1, width = frames.shape[1]
    cdef int *number
    number = <int *> malloc((2 * width + n + 1 + n_blocks) * sizeof(int))
    g.classes = number  # owned through this pointer
    g.step = <double *> calloc(n_blocks * BLOCK, sizeof(double))
    g.work = <double *> malloc((5 * (n_blocks * BLOCK + 1) + 1 + n_blocks + width) * sizeof(double))
    if number is NULL or g.step is NULL or g.work is NULL:
        raise MemoryError()
    g.symbol = number + 2 * width
    g.exponents = number + 2 * width + n + 1
    g.symbol[0] = 0
    g.n_symbols = number_symbols(labels, blank, width, g.classes, g.symbol + 1)
    g.frames = &frames[0, 0] if frames.shape[0] else NULL
    g.probs = NULL
    g.n_frames = frames.shape[0]
    g.width = width
    g.n_labels = n
    g.is_log = is_log
    g.mirrored = False
    find_steps(g)
    return 0


cdef inline void free_lattice(Lattice *g) noexcept:
    free(g.classes)
    free(g.step)
    free(g.work)


cdef inline void mirror(Lattice *g) noexcept nogil:
    cdef Py_ssize_t i, n = g.n_labels
    for i in range(1, n // 2 + 1):
        g.symbol[i], g.symbol[n + 1 - i] = g.symbol[n + 1 - i], g.symbol[i]
    g.mirrored = not g.mirrored
    find_steps(g)


cdef inline const double *row_of(const Lattice *g, Py_ssize_t t) noexcept nogil:
    return g.frames + (g.n_frames - 1 - t if g.mirrored else t) * g.width


cdef inline void load_log(const Lattice *g, Py_ssize_t t, double *q) noexcept nogil:
    cdef const double *row = row_of(g, t)
    cdef Py_ssize_t k
    for k in range(g.n_symbols):
        q[k] = row[g.classes[k]] if g.is_log else log(row[g.classes[k]])
        if q[k] < MASKED:
            q[k] = -INFINITY


cdef inline Py_ssize_t first_live(const Lattice *g, Py_ssize_t t, bint whole) noexcept nogil:
    """First blank from which the end can still be reached after frame t."""
    cdef Py_ssize_t first = g.n_labels - (g.n_frames - 1 - t)
    return 0 if whole or first < 0 else first
