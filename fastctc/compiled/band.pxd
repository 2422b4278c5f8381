"""What the searches through a band of a text's lattice share: the text, the loops over a row, the way back.

A text of n labels is read through blanks 0 to n and labels 1 to n; label i stands between blanks i - 1 and i. A band is
the part of the lattice that is gone through: the same states for STRETCH frames. A row holds the states of a band in
one frame, in two arrays, with one place before the first state and one behind the last.
"""

from libc.math cimport INFINITY, log
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free, malloc

from fastctc.compiled.lattice cimport MASKED
from fastctc.compiled.outside cimport Outside
from fastctc.compiled.symbols cimport number_symbols

cdef extern from "processor.h":
    const char *choose_registers() except NULL

cdef extern from "band_rows.h":
    void sum_row(
        const double *, const double *, double *, double *, const double *, const int32_t *, const double *, Py_ssize_t
    ) noexcept nogil
    void sum_row_back(
        const double *, const double *, double *, double *, const double *, const int32_t *, const double *, Py_ssize_t
    ) noexcept nogil
    void max_row(
        const double *, const double *, double *, double *, const double *, const int32_t *, const double *, Py_ssize_t
    ) noexcept nogil
    double greatest(const double *, Py_ssize_t) noexcept nogil

cdef enum:
    STRETCH = 16  # frames with the same band

# A text, its frames, and its best path.
cdef struct Text:
    const float *floats     # the frames, in one of two precisions
    const double *doubles
    bint is_log
    Py_ssize_t n_frames
    Py_ssize_t n_classes
    Py_ssize_t n            # labels
    Py_ssize_t n_symbols
    int *classes            # class of each symbol, the blank first; the symbol behind the last never occurs
    int32_t *symbol         # of label i, n + 2 entries
    double *bar             # 0 where label i may follow label i - 1, else minus infinity
    Py_ssize_t *first       # first and last frame of label i,
    Py_ssize_t *last
    Py_ssize_t place        # and the state in which the path is, on the way back
    bint in_blank


cdef inline int take_labels(Text *text, tuple labels, int blank) except -1:
    """Check the labels, which are to be read from ``n_frames`` frames of ``n_classes``. To be freed, error or not."""
    cdef Py_ssize_t i, n = len(labels)
    text.n = n
    text.classes = <int *> malloc(2 * (text.n_classes + 1) * sizeof(int))
    text.symbol = <int32_t *> calloc(n + 2, sizeof(int32_t))
    text.bar = <double *> malloc((n + 2) * sizeof(double))
    text.first = <Py_ssize_t *> calloc(2 * (n + 1), sizeof(Py_ssize_t))
    if text.classes is NULL or text.symbol is NULL or text.bar is NULL or text.first is NULL:
        raise MemoryError()
    text.last = text.first + n + 1
    text.n_symbols = number_symbols(labels, blank, text.n_classes, text.classes, <int *> text.symbol + 1)
    text.symbol[0] = text.symbol[n + 1] = <int32_t> text.n_symbols
    for i in range(n + 2):
        text.bar[i] = 0.0 if 1 < i <= n and text.symbol[i] != text.symbol[i - 1] else -INFINITY
    return 0


cdef inline void free_labels(Text *text) noexcept nogil:
    free(text.classes)
    free(text.symbol)
    free(text.bar)
    free(text.first)


cdef inline void describe(const Text *text, Outside *o) noexcept nogil:
    """The text for bounds outside the band; which numbers its frames are is left to the caller."""
    o.n_frames = text.n_frames
    o.n_classes = text.n_classes
    o.n = text.n
    o.classes = text.classes
    o.n_symbols = text.n_symbols
    o.symbol = text.symbol


cdef inline double load_logs(const Text *text, Py_ssize_t t, double *q) noexcept nogil:
    """Log probabilities of the symbols in a frame; returns the greatest."""
    cdef Py_ssize_t k, start = t * text.n_classes
    cdef double x, most = -INFINITY
    for k in range(text.n_symbols):
        x = text.floats[start + text.classes[k]] if text.floats is not NULL else text.doubles[start + text.classes[k]]
        if not text.is_log:
            x = log(x)
        x = x if x >= MASKED else -INFINITY
        q[k] = x
        most = x if x > most else most
    q[text.n_symbols] = -INFINITY
    return most


cdef inline void end_path(Text *text, double in_blank, double in_label) noexcept nogil:
    """Start the way back behind the last frame, in the better of the last blank and the last label."""
    text.place = text.n
    text.in_blank = text.n == 0 or in_blank > in_label
    if not text.in_blank:
        text.last[text.n] = text.n_frames - 1


cdef inline void step_back(
    Text *text, Py_ssize_t t, const double *blanks, const double *labels, Py_ssize_t low
) noexcept nogil:
    """One step of the best path, seen from its end: out of frame t, before which blanks and labels have these scores.

    The arrays begin with blank and label ``low``.
    """
    cdef Py_ssize_t i = text.place - low
    cdef double best
    cdef int way = 0
    if text.in_blank:
        if labels[i] > blanks[i]:
            text.in_blank = False
            text.last[text.place] = t - 1
        return
    text.first[text.place] = t
    best = labels[i]
    if blanks[i - 1] > best:
        best = blanks[i - 1]
        way = 1
    if labels[i - 1] + text.bar[text.place] > best:
        way = 2
    if way and t > 0:
        text.place -= 1
        text.in_blank = way == 1
        if way == 2:
            text.last[text.place] = t - 1
