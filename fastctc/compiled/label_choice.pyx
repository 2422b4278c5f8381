"""Twin of fastctc.reference.label_choice: a softmax of which only what is asked for is written down."""

from libc.math cimport INFINITY, exp, log
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

import numpy as np

from fastctc.compiled.interrupts cimport look
from fastctc.search_inputs import ChosenLabels

ctypedef fused real:
    float
    double

cdef extern from "processor.h":
    const char *choose_registers() except NULL

cdef extern from "<math.h>" nogil:
    float logf(float)

cdef extern from *:
    """
    #include "log_softmax.h"
    #define greatest_float(...) CHOOSE(greatest_f, __VA_ARGS__)
    #define greatest_double(...) CHOOSE(greatest_d, __VA_ARGS__)
    #define log_sum_float(...) CHOOSE(log_sum_f, __VA_ARGS__)
    #define log_sum_double(...) CHOOSE(log_sum_d, __VA_ARGS__)
    #define not_below_float(...) CHOOSE(not_below_f, __VA_ARGS__)
    #define not_below_double(...) CHOOSE(not_below_d, __VA_ARGS__)
    """
    float greatest_float(const float *, Py_ssize_t) noexcept nogil
    double greatest_double(const double *, Py_ssize_t) noexcept nogil
    float log_sum_float(const float *, Py_ssize_t, float) noexcept nogil
    double log_sum_double(const double *, Py_ssize_t, double) noexcept nogil
    int not_below_float(const float *, Py_ssize_t, float, float, float, int32_t *) noexcept nogil
    int not_below_double(const double *, Py_ssize_t, double, double, double, int32_t *) noexcept nogil

cdef extern from "set_order.h":
    int set_order(int32_t *numbers, int n, int32_t more, int32_t *table, int32_t *other) nogil

REGISTERS = choose_registers().decode("ascii")  # whose copies of the loops run

cdef double LEAST_PROB = 1e-15
cdef double LEAST = log(LEAST_PROB)
cdef Py_ssize_t MOST_CLASSES = 1 << 26
cdef Py_ssize_t SIGNAL_WORK = 1 << 26  # entries between two looks for Ctrl-C

cdef struct Chosen:
    int32_t *labels
    double *log_probs
    Py_ssize_t n
    Py_ssize_t room


cdef int reserve(Chosen *chosen, Py_ssize_t more) except -1 nogil:
    """See to it that so many more labels fit."""
    cdef Py_ssize_t room = max(2 * chosen.room, chosen.n + more)
    cdef int32_t *labels
    cdef double *log_probs
    if chosen.n + more <= chosen.room:
        return 0
    labels = <int32_t *> realloc(chosen.labels, room * sizeof(int32_t))
    if labels is not NULL:
        chosen.labels = labels
        log_probs = <double *> realloc(chosen.log_probs, room * sizeof(double))
        if log_probs is not NULL:
            chosen.log_probs = log_probs
            chosen.room = room
            return 0
    with gil:
        raise MemoryError("the labels of the frames need more memory than there is")


cdef inline real log_prob(real x, real top, real log_sum, bint is_probs) noexcept nogil:
    """In the precision of the frames, as NumPy has it."""
    cdef real value
    if is_probs:
        x = min(max(x, <real> LEAST_PROB), <real> 1.0)
        if real is float:
            return logf(x)
        else:
            return log(x)
    value = x - top - log_sum
    return min(max(value, <real> LEAST), <real> 0.0)


cdef int choose_frame(const real *row, Py_ssize_t n, bint is_probs, double floor, Chosen *chosen) noexcept nogil:
    """Add the labels of a frame to those chosen, for which there is room. Returns their number, or -1 for NaN."""
    cdef real top, log_sum = 0.0, lowest = <real> floor, best
    cdef int32_t *labels = chosen.labels + chosen.n
    cdef double *log_probs = chosen.log_probs + chosen.n
    cdef int found, kept = 0, k
    cdef int32_t c, most_probable = -1
    if real is float:
        top = greatest_float(row, n)
    else:
        top = greatest_double(row, n)
    if top != top or (not is_probs and (top == INFINITY or top == -INFINITY)):
        return -1
    if is_probs:
        # somewhat lower than the floor; which of these are below it their logarithms tell
        lowest = <real> (exp(<double> lowest) * (1.0 - 1e-5))
        best = log_prob(top, <real> 0.0, <real> 0.0, True)
        top = 0.0
    elif real is float:
        log_sum = log_sum_float(row, n, top)
        best = log_prob(top, top, log_sum, False)
    else:
        log_sum = log_sum_double(row, n, top)
        best = log_prob(top, top, log_sum, False)
    if <real> floor <= <real> LEAST:
        lowest = -INFINITY
    if real is float:
        found = not_below_float(row, n, top, log_sum, lowest, labels)
    else:
        found = not_below_double(row, n, top, log_sum, lowest, labels)
    for k in range(found):
        c = labels[k]
        if log_prob(row[c], top, log_sum, is_probs) >= <real> floor:
            if most_probable < 0 and log_prob(row[c], top, log_sum, is_probs) == best:
                most_probable = c
            labels[kept] = c
            kept += 1
    if most_probable < 0:
        most_probable = 0
        while log_prob(row[most_probable], top, log_sum, is_probs) != best:
            most_probable += 1
    if kept < 5 and (kept == 0 or labels[kept - 1] < 8) and most_probable < 8:
        # few small numbers stand in a set in their order
        if kept == 0:
            labels[0] = most_probable
            kept = 1
    elif kept < 2 and (kept == 0 or labels[0] == most_probable):
        labels[0] = most_probable
        kept = 1
    else:
        kept = set_order(labels, kept, most_probable, labels + n + 1, labels + 9 * n + 17)
    for k in range(kept):
        log_probs[k] = log_prob(row[labels[k]], top, log_sum, is_probs)
    chosen.n += kept
    return kept


def choose_labels(const real[:, ::1] rows, bint is_probs, double floor):
    cdef Py_ssize_t n_frames = rows.shape[0], n = rows.shape[1], t, worked = 0
    cdef int found
    cdef Chosen chosen
    if not 0 < n < MOST_CLASSES:
        raise ValueError(f"frames must have 1 to {MOST_CLASSES - 1} classes, got {n}")
    offsets = np.empty(n_frames + 1, np.int64)
    cdef int64_t[::1] places = offsets
    chosen.labels, chosen.log_probs, chosen.n, chosen.room = NULL, NULL, 0, 0
    places[0] = 0
    try:
        with nogil:
            for t in range(n_frames):
                reserve(&chosen, 17 * n + 33)  # with room for set_order
                found = choose_frame(&rows[t, 0], n, is_probs, floor, &chosen)
                if found < 0:
                    with gil:
                        raise ValueError(f"frames must be numbers, got NaN or infinite ones in frame {t}")
                places[t + 1] = chosen.n
                worked += n
                if worked > SIGNAL_WORK:
                    worked = 0
                    look()
        labels, log_probs = np.empty(chosen.n, np.int32), np.empty(chosen.n)
        fill(labels, log_probs, &chosen)
    finally:
        free(chosen.labels)
        free(chosen.log_probs)
    return ChosenLabels(labels, log_probs, offsets)


cdef int fill(int32_t[::1] labels, double[::1] log_probs, const Chosen *chosen) except -1:
    if chosen.n:
        memcpy(&labels[0], chosen.labels, chosen.n * sizeof(int32_t))
        memcpy(&log_probs[0], chosen.log_probs, chosen.n * sizeof(double))
    return 0
