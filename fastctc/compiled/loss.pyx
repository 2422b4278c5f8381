"""Twin of fastctc.reference.loss; the sweeps are in sums.pxd."""

from libc.math cimport INFINITY, exp
from libc.stdlib cimport calloc, free

import numpy as np

from fastctc.compiled.interrupts cimport look
from fastctc.compiled.lattice cimport Lattice, fill_lattice, free_lattice, load_log, mirror
from fastctc.compiled.sums cimport SIGNAL_WORK, Trace, sweep, sweep_linear, sweep_log

cdef double LEAST = -708.0  # nats; what is less is below the normal numbers, and exp takes long to say so


cdef class _Text:
    """A text, checked, and the memory of a sweep."""
    cdef Lattice lattice
    cdef Trace trace    # of no states
    cdef object kept    # the array whose memory is in use

    def __cinit__(self, const double[:, ::1] frames, labels, int blank, bint is_log):
        self.kept = frames
        fill_lattice(&self.lattice, frames, tuple(labels), blank, is_log)

    def __dealloc__(self):
        free_lattice(&self.lattice)


cdef inline int count_work(const Lattice *g, Py_ssize_t *worked) except -1 nogil:
    """Look for Ctrl-C between many short sequences, none of which gets as far as the next look."""
    worked[0] += g.n_frames * (g.n_labels + 1)
    if worked[0] > SIGNAL_WORK:
        worked[0] = 0
        look()
    return 0


# What is needed of a text when the GIL is gone.
cdef struct Task:
    Lattice *lattice
    Trace *trace
    double total


def log_probability(const double[:, ::1] frames, labels, int blank, bint is_log) -> float:
    cdef _Text text = _Text(frames, labels, blank, is_log)
    cdef double total
    with nogil:
        total = sweep(&text.lattice, &text.trace)
    return total


def log_probabilities(batch, int blank, bint is_log) -> list:
    """All in one stretch without the GIL."""
    cdef list texts = [_Text(frames, labels, blank, is_log) for frames, labels in batch]
    cdef Py_ssize_t n = len(texts), i, worked = 0
    cdef _Text text
    cdef Task *tasks = <Task *> calloc(n + 1, sizeof(Task))
    if tasks is NULL:
        raise MemoryError()
    try:
        for i in range(n):
            text = texts[i]
            tasks[i].lattice = &text.lattice
            tasks[i].trace = &text.trace
        with nogil:
            for i in range(n):
                tasks[i].total = sweep(tasks[i].lattice, tasks[i].trace)
                count_work(tasks[i].lattice, &worked)
        return [tasks[i].total for i in range(n)]
    finally:
        free(tasks)


def posteriors(const double[:, ::1] frames, labels, int blank, bint is_log):
    """Takes no memory that grows with the frames but that of the result, which holds the logarithms of both sweeps."""
    cdef _Text text = _Text(frames, labels, blank, is_log)
    cdef Lattice *g = &text.lattice
    cdef Trace *trace = &text.trace
    cdef Py_ssize_t t, i, n = g.n_labels, n_frames = g.n_frames
    cdef double total, value
    cdef bint certain = False
    result = np.zeros((n_frames, n))
    if n == 0 or n_frames == 0:
        return result
    cdef double[:, ::1] out = result
    cdef double *q = g.work  # free after the sweeps
    trace.logs = &out[0, 0]
    with nogil:
        total = sweep_linear(g, trace, &certain)
        if not certain:
            total = sweep_log(g, trace)
        if total > -INFINITY:
            mirror(g)
            if certain:
                sweep_linear(g, trace, &certain)
                if not certain:  # what it has added is of no use
                    mirror(g)
                    sweep_linear(g, trace, &certain)
                    mirror(g)
                    sweep_log(g, trace)
            else:
                sweep_log(g, trace)
            mirror(g)
        for t in range(n_frames):
            load_log(g, t, q)
            for i in range(n):
                value = out[t, i] - q[g.symbol[i + 1]] - total if out[t, i] > -INFINITY else -INFINITY
                out[t, i] = exp(value) if total > -INFINITY and value > LEAST else 0.0
    return result
