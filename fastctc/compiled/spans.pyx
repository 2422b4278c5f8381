"""Twin of fastctc.reference.spans: numbers of any magnitude, over the sums of a sweep from either side."""

from libc.math cimport INFINITY, exp, frexp, log
from libc.stdlib cimport free, malloc

from fastctc.compiled.lattice cimport LN2, Lattice, fill_lattice, free_lattice, mirror, power_of_two
from fastctc.compiled.sums cimport NEVER, Trace, free_trace, make_trace, sweep

# A number of any magnitude, value * 2**exponent. The value is 0 or within 1e-90 and 1e90: so neither the product of two
# nor their sum leaves the range of a double before it is brought back, and frexp, which is a call, is seldom needed.
cdef struct Wide:
    double value
    int exponent


cdef inline Wide wide(double value, int exponent) noexcept nogil:
    cdef Wide result
    cdef int shift = 0
    result.value = value
    result.exponent = exponent if value != 0.0 else NEVER
    if value < 1e-90 or value > 1e90:
        result.value = frexp(value, &shift)
        result.exponent += shift
    return result


cdef inline Wide add_wide(Wide a, Wide b) noexcept nogil:
    if a.exponent < b.exponent:
        return wide(b.value + a.value * power_of_two(a.exponent - b.exponent), b.exponent)
    return wide(a.value + b.value * power_of_two(b.exponent - a.exponent), a.exponent)


cdef inline Wide times_wide(Wide a, double b, int exponent) noexcept nogil:
    cdef Wide factor = wide(b, exponent)
    return wide(a.value * factor.value, a.exponent + factor.exponent if b != 0.0 else NEVER)


cdef double row_sum(const Lattice *g, Py_ssize_t t, Py_ssize_t but) noexcept nogil:
    """Sum of a frame's probabilities, without a class's."""
    cdef const double *row = g.frames + t * g.width
    cdef double a = 0.0, b = 0.0, c = 0.0, d = 0.0
    cdef Py_ssize_t k = 0
    if g.is_log or but >= 0:
        for k in range(g.width):
            if k != but:
                a += exp(row[k]) if g.is_log else row[k]
        return a
    while k + 4 <= g.width:
        a += row[k]
        b += row[k + 1]
        c += row[k + 2]
        d += row[k + 3]
        k += 4
    while k < g.width:
        a += row[k]
        k += 1
    return (a + b) + (c + d)


cdef inline double probability_of(const Lattice *g, Py_ssize_t t, Py_ssize_t label) noexcept nogil:
    cdef double x = g.frames[t * g.width + g.classes[g.symbol[label]]]
    return exp(x) if g.is_log else x


cdef double all_between(
    const Lattice *g, const double *sums, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t k, const Trace *ahead,
    const Trace *back
) noexcept nogil:
    """Log probability of all texts that begin with labels[:start] and end with labels[stop:], as in the reference."""
    cdef Py_ssize_t n = g.n_labels, n_frames = g.n_frames, t
    cdef const double *blank = ahead.values + 2 * k * n_frames
    cdef const double *label = blank + n_frames
    cdef const int *blank_exponent = ahead.exponents + 2 * k * n_frames
    cdef const int *label_exponent = blank_exponent + n_frames
    cdef const double *rest = back.values + k * n_frames
    cdef const int *rest_exponent = back.exponents + k * n_frames
    cdef bint differ = start == 0 or stop == n or g.symbol[start] != g.symbol[stop + 1]
    cdef Wide nothing = wide(0.0, 0)
    cdef Wide recent = wide(1.0 if start == 0 else 0.0, 0), complete = recent, earlier = nothing, ways, ends = nothing
    cdef double apart, p
    for t in range(n_frames):
        if stop < n:
            ways = recent if differ else nothing
            if earlier.value > 0.0:
                p = probability_of(g, t - 1, stop + 1)
                # A difference would lose the digits of a small remainder.
                apart = sums[t - 1] - p if p < 0.5 * sums[t - 1] else row_sum(g, t - 1, g.classes[g.symbol[stop + 1]])
                ways = add_wide(ways, times_wide(earlier, apart, 0))
            p = rest[n_frames - 1 - t]
            if ways.value > 0.0 and p > 0.0:
                ends = add_wide(ends, times_wide(ways, p, rest_exponent[n_frames - 1 - t]))
        earlier = complete
        recent = nothing
        if start > 0:
            p = probability_of(g, t, start)
            if t == 0:
                if start == 1:
                    recent = wide(p, 0)
            else:
                recent = wide(blank[t - 1], blank_exponent[t - 1])
                if g.step[start] > 0.0:
                    recent = add_wide(recent, wide(label[t - 1], label_exponent[t - 1]))
                recent = times_wide(recent, p, 0)
        complete = times_wide(complete, sums[t], 0)
        if recent.value > 0.0:
            complete = add_wide(complete, recent)
    ways = ends if stop < n else complete
    return log(ways.value) + LN2 * ways.exponent


cdef int find_spans(Lattice *g, Trace *ahead, Trace *back, double *row_sums, const Py_ssize_t *spans,
                    Py_ssize_t n_spans, double *span_sums) except -1 nogil:
    """The sums over what could stand in the place of each span; ``ahead`` has been swept."""
    cdef Py_ssize_t t, k
    mirror(g)
    sweep(g, back)
    mirror(g)
    for t in range(g.n_frames):
        row_sums[t] = row_sum(g, t, -1)
    for k in range(n_spans):
        span_sums[k] = all_between(g, row_sums, spans[2 * k], spans[2 * k + 1], k, ahead, back)
    return 0


cdef class _Text:
    """A text and its spans, checked, and the memory of everything that is done with them."""
    cdef Lattice lattice
    cdef Trace ahead
    cdef Trace back
    cdef Py_ssize_t *spans
    cdef Py_ssize_t n_spans
    cdef double *span_sums  # logarithm of the probability of everything that could stand in a span's place
    cdef double *row_sums
    cdef object kept        # the array whose memory is in use

    def __cinit__(self, const double[:, ::1] frames, labels, int blank, bint is_log, spans):
        cdef Py_ssize_t n, start, stop, k
        cdef list pairs = [(start, stop) for start, stop in spans]
        self.kept = frames
        fill_lattice(&self.lattice, frames, tuple(labels), blank, is_log)
        n = self.lattice.n_labels
        self.n_spans = len(pairs)
        if self.n_spans == 0:
            return
        self.spans = <Py_ssize_t *> malloc(2 * self.n_spans * sizeof(Py_ssize_t))
        self.span_sums = <double *> malloc((self.n_spans + self.lattice.n_frames) * sizeof(double))
        if self.spans is NULL or self.span_sums is NULL:
            raise MemoryError()
        self.row_sums = self.span_sums + self.n_spans
        make_trace(&self.ahead, 2 * self.n_spans, self.lattice.n_frames)
        make_trace(&self.back, self.n_spans, self.lattice.n_frames)
        for k, (start, stop) in enumerate(pairs):
            if not 0 <= start <= stop <= n:
                raise ValueError(f"spans must lie within the {n} labels, got ({start}, {stop})")
            self.spans[2 * k] = start
            self.spans[2 * k + 1] = stop
            # The blank and the label before the last label of what precedes, and the first label of what follows.
            self.ahead.states[2 * k] = max(2 * start - 2, 0)
            self.ahead.states[2 * k + 1] = max(2 * start - 3, 0)
            self.back.states[k] = 2 * (n - stop) - 1 if stop < n else 0

    def __dealloc__(self):
        free_lattice(&self.lattice)
        free_trace(&self.ahead)
        free_trace(&self.back)
        free(self.spans)
        free(self.span_sums)


def span_probabilities(const double[:, ::1] frames, labels, int blank, bint is_log, spans) -> tuple:
    cdef _Text text = _Text(frames, labels, blank, is_log, spans)
    cdef double total
    cdef Py_ssize_t k
    with nogil:
        total = sweep(&text.lattice, &text.ahead)
        if text.n_spans and total > -INFINITY:
            find_spans(&text.lattice, &text.ahead, &text.back, text.row_sums, text.spans, text.n_spans, text.span_sums)
    if total == -INFINITY:
        return (0.0,) * text.n_spans
    return tuple([exp(min(0.0, total - text.span_sums[k])) for k in range(text.n_spans)])
