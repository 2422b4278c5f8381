"""Twin of fastctc.reference.loss.

Sums run in linear double precision, rescaled by powers of two, because exp and log cost many times an addition.
Where a sum vanishes all the same, the sweep is repeated with logarithms.
"""

from libc.math cimport INFINITY, exp, floor, frexp, ilogb, ldexp, log, sqrt
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

import numpy as np

from fastctc.compiled.interrupts cimport look

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
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

cdef double LN2 = 0.693147180559945309417
cdef double SMALLEST = ldexp(1.0, -1020)  # sums below lose digits
cdef double MASKED = -1e5  # log probabilities below are meant as -inf
cdef int NEVER = -(1 << 30)  # the exponent of 0
cdef enum:
    BLOCK = 8  # labels that share an exponent
cdef Py_ssize_t LARGEST = 1 << 22  # states of all frames that are kept while a gradient is computed
cdef Py_ssize_t SIGNAL_WORK = 1 << 22  # states between two looks for Ctrl-C

# The lattice of a text of L labels: blanks 0..L and labels 1..L, label i standing between blanks i - 1 and i. (Label 0
# is a place that stays empty.) Symbols are the distinct classes of the text; the blank is symbol 0.
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

# Where a sweep has got to. After frame t and before frame t + 1, the sum of all ways to a state is that of its block
# times 2**exponent; there is one place before the first block, which hands over nothing.
cdef struct Sums:
    double *blanks
    double *labels
    double *new_blanks
    double *new_labels
    double *y           # the frame's probability of each label
    double *least       # of each block: a bound below all sums that are not 0
    double *q           # the frame's probability of each symbol
    int worst           # exponent of the greatest sum that vanished
    double growth       # exponent by which a sum may have grown at most, where probabilities sum to more than 1
    bint lost

# What a sweep leaves behind for the states it was asked for: value * 2**exponent, frame by frame. And, where there is
# room for them, the logarithms of all labels, to which a mirrored sweep adds its own.
cdef struct Trace:
    double *logs        # frames x labels
    Py_ssize_t n
    Py_ssize_t *states  # 2 i: blank i; 2 i - 1: label i
    double *values
    int *exponents


cdef class _Problem:
    """Checked arguments, and the memory of everything that is done with them."""
    cdef Lattice lattice
    cdef Trace ahead
    cdef Trace back
    cdef Py_ssize_t *spans
    cdef Py_ssize_t n_spans
    cdef double *span_sums      # logarithm of the probability of everything that could stand in a span's place
    cdef double *row_sums
    cdef unsigned char *ways
    cdef Py_ssize_t *first
    cdef Py_ssize_t *last
    cdef double total
    cdef object kept            # the arrays whose memory is in use

    def __cinit__(self, const double[:, ::1] frames, labels, int blank, bint is_log):
        cdef Lattice *g = &self.lattice
        cdef Py_ssize_t i, n, n_blocks, n_frames = frames.shape[0], width = frames.shape[1]
        cdef int label
        cdef int *number
        cdef tuple given = tuple(labels)
        if not 0 <= blank < width:
            raise ValueError(f"blank must be a class, 0 to {width - 1}, got {blank}")
        self.kept = frames
        n = len(given)
        n_blocks = n // BLOCK + 1
        number = <int *> malloc((2 * width + n + 1 + n_blocks) * sizeof(int))
        g.classes = number  # owned through this pointer
        g.step = <double *> calloc(n_blocks * BLOCK, sizeof(double))
        g.work = <double *> malloc((5 * (n_blocks * BLOCK + 1) + 1 + n_blocks + width) * sizeof(double))
        if number is NULL or g.step is NULL or g.work is NULL:
            raise MemoryError()
        g.symbol = number + 2 * width
        g.exponents = number + 2 * width + n + 1
        number = number + width
        for i in range(width):
            number[i] = -1
        number[blank] = 0
        g.classes[0] = blank
        g.symbol[0] = 0
        g.n_symbols = 1
        for i in range(n):
            if not 0 <= given[i] < width or given[i] == blank:  # still Python's numbers, which may be of any size
                raise ValueError(
                    f"labels must be classes, 0 to {width - 1}, other than the blank {blank}, got {given[i]}"
                )
            label = given[i]
            if number[label] < 0:
                number[label] = <int> g.n_symbols
                g.classes[g.n_symbols] = label
                g.n_symbols += 1
            g.symbol[i + 1] = number[label]
        g.frames = &frames[0, 0] if n_frames else NULL
        g.probs = NULL
        g.n_frames = n_frames
        g.width = width
        g.n_labels = n
        g.is_log = is_log
        g.mirrored = False
        find_steps(g)

    cdef int trace(self, Trace *trace, Py_ssize_t n) except -1:
        trace.states = <Py_ssize_t *> calloc(n + 1, sizeof(Py_ssize_t))
        trace.values = <double *> calloc(n * self.lattice.n_frames + 1, sizeof(double))
        trace.exponents = <int *> calloc(n * self.lattice.n_frames + 1, sizeof(int))
        if trace.states is NULL or trace.values is NULL or trace.exponents is NULL:
            raise MemoryError()
        trace.n = n
        return 0

    cdef int align(self) except -1:
        """Make room for the best path."""
        cdef Py_ssize_t n = self.lattice.n_labels
        self.ways = <unsigned char *> malloc(self.lattice.n_frames * 2 * (n + 1) + 1)
        self.first = <Py_ssize_t *> malloc(2 * (n + 1) * sizeof(Py_ssize_t))
        if self.ways is NULL or self.first is NULL:
            raise MemoryError()
        self.last = self.first + n + 1
        return 0

    cdef int add_spans(self, spans) except -1:
        """Note the spans, and the states on which their probabilities depend."""
        cdef Py_ssize_t n = self.lattice.n_labels, start, stop, k
        cdef list pairs = [(first, last) for first, last in spans]
        self.n_spans = len(pairs)
        if self.n_spans == 0:
            return 0
        self.spans = <Py_ssize_t *> malloc(2 * self.n_spans * sizeof(Py_ssize_t))
        self.span_sums = <double *> malloc((self.n_spans + self.lattice.n_frames) * sizeof(double))
        if self.spans is NULL or self.span_sums is NULL:
            raise MemoryError()
        self.row_sums = self.span_sums + self.n_spans
        self.trace(&self.ahead, 2 * self.n_spans)
        self.trace(&self.back, self.n_spans)
        for k, (start, stop) in enumerate(pairs):
            if not 0 <= start <= stop <= n:
                raise ValueError(f"spans must lie within the {n} labels, got ({start}, {stop})")
            self.spans[2 * k] = start
            self.spans[2 * k + 1] = stop
            # The blank and the label before the last label of what precedes, and the first label of what follows.
            self.ahead.states[2 * k] = max(2 * start - 2, 0)
            self.ahead.states[2 * k + 1] = max(2 * start - 3, 0)
            self.back.states[k] = 2 * (n - stop) - 1 if stop < n else 0
        return 0

    cdef tuple positions(self, const Py_ssize_t *numbers):
        cdef Py_ssize_t i
        if self.total == -INFINITY:
            return ()
        return tuple([numbers[i] for i in range(1, self.lattice.n_labels + 1)])

    cdef tuple probabilities(self):
        cdef Py_ssize_t k
        if self.total == -INFINITY:
            return (0.0,) * self.n_spans
        return tuple([exp(min(0.0, self.total - self.span_sums[k])) for k in range(self.n_spans)])

    def __dealloc__(self):
        free(self.lattice.classes)
        free(self.lattice.step)
        free(self.lattice.work)
        free(self.ahead.states)
        free(self.ahead.values)
        free(self.ahead.exponents)
        free(self.back.states)
        free(self.back.values)
        free(self.back.exponents)
        free(self.spans)
        free(self.span_sums)
        free(self.ways)
        free(self.first)


cdef void find_steps(Lattice *g) noexcept nogil:
    cdef Py_ssize_t i
    g.step[0] = 0.0
    for i in range(1, g.n_labels + 1):
        g.step[i] = 1.0 if i > 1 and g.symbol[i] != g.symbol[i - 1] else 0.0


cdef void mirror(Lattice *g) noexcept nogil:
    cdef Py_ssize_t i, n = g.n_labels
    for i in range(1, n // 2 + 1):
        g.symbol[i], g.symbol[n + 1 - i] = g.symbol[n + 1 - i], g.symbol[i]
    g.mirrored = not g.mirrored
    find_steps(g)


cdef inline const double *row_of(const Lattice *g, Py_ssize_t t) noexcept nogil:
    return g.frames + (g.n_frames - 1 - t if g.mirrored else t) * g.width


cdef inline double load_linear(const Lattice *g, Py_ssize_t t, double *q, double *growth) noexcept nogil:
    """Probabilities of the symbols; returns the least that is not 0, or 0 if one is too small for a double."""
    cdef const double *row = row_of(g, t)
    cdef const double *probs = NULL
    cdef Py_ssize_t k
    cdef double least = 1.0, total = 0.0, x
    if g.probs is not NULL:
        probs = g.probs + (row - g.frames)
    for k in range(g.n_symbols):
        x = row[g.classes[k]]
        if probs is not NULL:
            q[k] = probs[g.classes[k]]
            if q[k] < least and x > MASKED:
                least = q[k]
        elif g.is_log:
            q[k] = exp(x)
            if q[k] < least and x > MASKED:
                least = q[k]
        else:
            q[k] = x
            if x < least and x > 0.0:
                least = x
        total += q[k]
    if total > 1.0:
        growth[0] += (total - 1.0) / LN2  # log2(1 + x) is at most x / ln 2
    return least


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


cdef double rescale(double *blanks, double *labels, int *exponent) noexcept nogil:
    """Bring the greatest sum of a block near 1; returns the least that is not 0, or infinity."""
    cdef double top = 0.0, least = INFINITY, factor
    cdef Py_ssize_t k
    cdef int shift
    for k in range(BLOCK):
        top = max(top, max(blanks[k], labels[k]))
        if 0.0 < blanks[k] < least:
            least = blanks[k]
        if 0.0 < labels[k] < least:
            least = labels[k]
    if top == 0.0:
        return least
    shift = ilogb(top)
    exponent[0] += shift
    factor = ldexp(1.0, -shift)
    for k in range(BLOCK):
        blanks[k] *= factor
        labels[k] *= factor
    return least * factor


cdef double drop(double *blanks, double *labels, double limit) noexcept nogil:
    """Make zeros of a block's sums below a limit; returns the least that is left, or infinity."""
    cdef double least = INFINITY
    cdef Py_ssize_t k
    for k in range(BLOCK):
        if blanks[k] < limit:
            blanks[k] = 0.0
        elif blanks[k] < least:
            least = blanks[k]
        if labels[k] < limit:
            labels[k] = 0.0
        elif labels[k] < least:
            least = labels[k]
    return least


cdef inline void bring(
    double *number, double factor, double limit, int exponent, double *least, int *worst
) noexcept nogil:
    """Scale a sum that comes into a block; below the limit it vanishes."""
    if number[0] > 0.0:
        number[0] *= factor
        if number[0] < limit:
            worst[0] = max(worst[0], exponent + ilogb(limit) + 1)
            number[0] = 0.0
        elif number[0] < least[0]:
            least[0] = number[0]


cdef inline void take_over(
    double *blank, double *label, int exponent, double *blanks, double *labels, int *own, double *least, int *worst
) noexcept nogil:
    """Bring what the last blank and label of the block before hand over to the scale of a block.

    ``least`` bounds all sums of the block that are not 0, and includes the two afterwards.
    """
    cdef double greatest = max(blank[0], label[0]), factor
    cdef int shift
    cdef Py_ssize_t k
    if greatest == 0.0:
        return
    if least[0] == INFINITY:  # the block is empty
        own[0] = exponent
    if exponent > own[0] and exponent + ilogb(greatest) > own[0] + 100:  # it may outweigh the block
        least[0] = rescale(blanks, labels, own)
        shift = exponent + ilogb(greatest) - own[0]
        if shift > 0:
            factor = power_of_two(-shift)
            for k in range(BLOCK):
                blanks[k] *= factor
                labels[k] *= factor
            own[0] += shift
            least[0] *= factor
            if least[0] < SMALLEST:
                worst[0] = max(worst[0], own[0] - 1020)
                least[0] = drop(blanks, labels, SMALLEST)
    factor = power_of_two(exponent - own[0])
    bring(blank, factor, SMALLEST, own[0], least, worst)
    bring(label, factor, SMALLEST, own[0], least, worst)


cdef void add_logs(
    const Lattice *g, const Trace *trace, Py_ssize_t t, const double *labels, bint is_log
) noexcept nogil:
    """Note the sums of all labels after a frame."""
    cdef Py_ssize_t n = g.n_labels, i
    cdef double *row = trace.logs + (g.n_frames - 1 - t if g.mirrored else t) * n
    cdef double value
    for i in range(1, n + 1):
        value = labels[i]
        if not is_log:
            value = log(value) + g.exponents[i // BLOCK] * LN2 if value > 0.0 else -INFINITY
        if g.mirrored:
            row[n - i] += value
        else:
            row[i - 1] = value


cdef void begin(const Lattice *g, Sums *s) noexcept nogil:
    """Stand before the first frame."""
    cdef Py_ssize_t n_blocks = g.n_labels // BLOCK + 1, room = n_blocks * BLOCK + 1, b
    memset(g.work, 0, 5 * room * sizeof(double))
    s.blanks = g.work + 1
    s.labels = s.blanks + room
    s.new_blanks = s.labels + room
    s.new_labels = s.new_blanks + room
    s.y = s.new_labels + room
    s.least = s.y + room
    s.q = s.least + n_blocks
    s.worst = NEVER
    s.growth = 0.0
    s.lost = False
    for b in range(n_blocks):
        g.exponents[b] = 0
        s.least[b] = INFINITY
    s.blanks[0] = 1.0
    s.least[0] = 1.0


cdef Py_ssize_t advance(const Lattice *g, Sums *s, Py_ssize_t t, bint whole, double *bare) noexcept nogil:
    """Take a frame's steps; returns how many labels were in reach.

    Sums of states far apart differ by more than a double holds. So each block of states has an exponent of its own,
    and what still vanishes is so small that the result is not touched by it; ``worst`` is there to prove that. ``bare``
    has room for the sums without the frame's own probabilities, blanks and then labels, or is NULL.
    """
    cdef Py_ssize_t n = g.n_labels, room = (n // BLOCK + 1) * BLOCK + 1
    cdef Py_ssize_t first = first_live(g, t, whole), low = first // BLOCK, high = min(n, t + 1) // BLOCK, b, k, i
    cdef double *blanks = s.blanks
    cdef double *labels = s.labels
    cdef double *new_blanks = s.new_blanks
    cdef double *new_labels = s.new_labels
    cdef double *y = s.y
    cdef double *least = s.least
    cdef double *q = s.q
    cdef double *step = g.step
    cdef int *exponents = g.exponents
    cdef double *block_blanks
    cdef double *block_labels
    cdef double blank, smallest, total, limit
    cdef bint regular = t & 63 == 63  # sums may grow, too
    smallest = load_linear(g, t, q, &s.growth)
    if smallest < SMALLEST:
        s.lost = True
        smallest = SMALLEST
    blank = q[0]
    for i in range(low * BLOCK, min(n, high * BLOCK + BLOCK - 1) + 1):
        y[i] = q[g.symbol[i]]
    y[0] = 0.0
    for b in range(low, high + 1):
        block_blanks = blanks + b * BLOCK
        block_labels = labels + b * BLOCK
        # Sums from which the end is out of reach may vanish.
        for i in range(low * BLOCK - 1, first - 1 if b == low else 0):
            blanks[i] = 0.0
            labels[i] = 0.0
        if b:
            take_over(
                block_blanks - 1, block_labels - 1, exponents[b - 1], block_blanks, block_labels, &exponents[b],
                &least[b], &s.worst
            )
        if least[b] * smallest < SMALLEST or regular:
            k = exponents[b]
            least[b] = rescale(block_blanks, block_labels, &exponents[b])
            total = power_of_two(<int> (k - exponents[b]))
            limit = SMALLEST / smallest
            if least[b] < limit:
                s.worst = max(s.worst, exponents[b] + ilogb(limit) + 1)
                least[b] = drop(block_blanks, block_labels, limit)
            bring(block_blanks - 1, total, limit, exponents[b], &least[b], &s.worst)
            bring(block_labels - 1, total, limit, exponents[b], &least[b], &s.worst)
        least[b] *= smallest
        if bare is not NULL:
            for k in range(BLOCK):
                bare[b * BLOCK + k] = block_blanks[k] + block_labels[k]
            for k in range(BLOCK):
                bare[room + b * BLOCK + k] = (
                    block_labels[k] + block_blanks[k - 1] + step[b * BLOCK + k] * block_labels[k - 1]
                )
        for k in range(BLOCK):
            new_blanks[b * BLOCK + k] = (block_blanks[k] + block_labels[k]) * blank
        for k in range(BLOCK):
            new_labels[b * BLOCK + k] = (
                block_labels[k] + block_blanks[k - 1] + step[b * BLOCK + k] * block_labels[k - 1]
            ) * y[b * BLOCK + k]
    s.blanks, s.new_blanks = s.new_blanks, s.blanks
    s.labels, s.new_labels = s.new_labels, s.labels
    return high - low + 1


cdef double whole_sum(const Lattice *g, const Sums *s, int *exponent, bint *certain) noexcept nogil:
    """Probability of the text after the last frame, value * 2**exponent.

    ``certain`` tells whether what vanished on the way may be neglected.
    """
    cdef double total = s.blanks[g.n_labels] + s.labels[g.n_labels]
    exponent[0] = g.exponents[g.n_labels // BLOCK]
    # At most 2**40 states were lost, and 2**60 spares every digit of the result.
    certain[0] = not s.lost and total < INFINITY and (
        s.worst == NEVER or (total > 0.0 and exponent[0] + ilogb(total) > s.worst + s.growth + 100)
    )
    return total


cdef double sweep_linear(Lattice *g, Trace *trace, bint *certain) except? -2.0 nogil:
    """Log probability of the text, if it is certain."""
    cdef Py_ssize_t t, w, state, i, worked = 0
    cdef bint whole = trace.n > 0 or trace.logs is not NULL
    cdef int exponent = 0
    cdef double total
    cdef Sums s
    begin(g, &s)
    for t in range(g.n_frames):
        worked += advance(g, &s, t, whole, NULL)
        for w in range(trace.n):
            state = trace.states[w]
            i = (state + 1) // 2
            trace.values[w * g.n_frames + t] = s.labels[i] if state & 1 else s.blanks[i]
            trace.exponents[w * g.n_frames + t] = g.exponents[i // BLOCK]
        if trace.logs is not NULL:
            add_logs(g, trace, t, s.labels, False)
        if worked > SIGNAL_WORK // BLOCK:
            worked = 0
            look()
    total = whole_sum(g, &s, &exponent, certain)
    return log(total) + exponent * LN2


cdef inline double log_sum(double a, double b, double c) noexcept nogil:
    cdef double top = max(a, max(b, c))
    if top == -INFINITY:
        return top
    return top + log(exp(a - top) + exp(b - top) + exp(c - top))


cdef void begin_log(const Lattice *g, Sums *s) noexcept nogil:
    """Stand before the first frame, with logarithms."""
    cdef Py_ssize_t i
    begin(g, s)
    for i in range(s.y - s.blanks):
        g.work[i] = -INFINITY
    s.blanks[0] = 0.0


cdef Py_ssize_t advance_log(const Lattice *g, Sums *s, Py_ssize_t t, bint whole, double *bare) noexcept nogil:
    """The same with logarithms: nothing vanishes."""
    cdef Py_ssize_t n = g.n_labels, low = first_live(g, t, whole), high = min(n, t + 1), i
    cdef double value
    load_log(g, t, s.q)
    for i in range(low, high + 1):
        value = log_sum(s.blanks[i], s.labels[i], -INFINITY)
        if bare is not NULL:
            bare[i] = value
        s.new_blanks[i] = s.q[0] + value
    for i in range(max(low, 1), high + 1):
        value = log_sum(s.labels[i], s.blanks[i - 1], s.labels[i - 1] if g.step[i] > 0.0 else -INFINITY)
        if bare is not NULL:
            bare[(n // BLOCK + 1) * BLOCK + 1 + i] = value
        s.new_labels[i] = s.q[g.symbol[i]] + value
    s.blanks, s.new_blanks = s.new_blanks, s.blanks
    s.labels, s.new_labels = s.new_labels, s.labels
    return high - low + 1


cdef double sweep_log(Lattice *g, Trace *trace) except? -2.0 nogil:
    """Log probability of the text, whatever its size."""
    cdef Py_ssize_t n = g.n_labels, t, w, state, worked = 0
    cdef bint whole = trace.n > 0 or trace.logs is not NULL
    cdef double value, scaled
    cdef Sums s
    begin_log(g, &s)
    for t in range(g.n_frames):
        worked += 16 * advance_log(g, &s, t, whole, NULL)
        for w in range(trace.n):
            state = trace.states[w]
            value = s.labels[(state + 1) // 2] if state & 1 else s.blanks[state // 2]
            scaled = 0.0 if value == -INFINITY else floor(value / LN2)
            trace.values[w * g.n_frames + t] = exp(value - scaled * LN2)
            trace.exponents[w * g.n_frames + t] = <int> scaled
        if trace.logs is not NULL:
            add_logs(g, trace, t, s.labels, True)
        if worked > SIGNAL_WORK:
            worked = 0
            look()
    return log_sum(s.blanks[n], s.labels[n], -INFINITY)


cdef double sweep(Lattice *g, Trace *trace) except? -2.0 nogil:
    cdef bint certain = False
    cdef double result
    if g.n_frames == 0:
        return -INFINITY if g.n_labels else 0.0
    result = sweep_linear(g, trace, &certain)
    return result if certain else sweep_log(g, trace)


cdef inline int notice(const Lattice *g, Py_ssize_t *worked) except -1 nogil:
    """Look for Ctrl-C between many short sequences, none of which gets as far as the next look."""
    worked[0] += g.n_frames * (g.n_labels + 1)
    if worked[0] > SIGNAL_WORK:
        worked[0] = 0
        look()
    return 0


# A number of any magnitude, value * 2**exponent.
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


cdef inline Wide add(Wide a, Wide b) noexcept nogil:
    if a.exponent < b.exponent:
        return wide(b.value + a.value * power_of_two(a.exponent - b.exponent), b.exponent)
    return wide(a.value + b.value * power_of_two(b.exponent - a.exponent), a.exponent)


cdef inline Wide times(Wide a, double b, int exponent) noexcept nogil:
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
                ways = add(ways, times(earlier, apart, 0))
            p = rest[n_frames - 1 - t]
            if ways.value > 0.0 and p > 0.0:
                ends = add(ends, times(ways, p, rest_exponent[n_frames - 1 - t]))
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
                    recent = add(recent, wide(label[t - 1], label_exponent[t - 1]))
                recent = times(recent, p, 0)
        complete = times(complete, sums[t], 0)
        if recent.value > 0.0:
            complete = add(complete, recent)
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


cdef double best_way(Lattice *g, unsigned char *ways, Py_ssize_t *first, Py_ssize_t *last) except? -2.0 nogil:
    """Log probability of the best path, and the frames of its labels.

    ``ways`` keeps, for blanks 0..n and then labels 0..n of each frame, the number of states stepped over.
    """
    cdef Py_ssize_t n = g.n_labels, t, i, low, high, worked = 0
    cdef double *blanks = g.work
    cdef double *labels = blanks + n + 1
    cdef double *new_blanks = labels + n + 1
    cdef double *new_labels = new_blanks + n + 1
    cdef double *y = new_labels + n + 1
    cdef double *q = y + n + 1
    cdef double stay, one, two, blank
    cdef unsigned char *way = ways
    cdef unsigned char step
    cdef bint in_blank
    if g.n_frames == 0:
        return -INFINITY if n else 0.0
    for i in range(4 * (n + 1)):
        blanks[i] = -INFINITY
    blanks[0] = 0.0
    for t in range(g.n_frames):
        load_log(g, t, q)
        blank = q[0]
        low = first_live(g, t, False)
        high = min(n, t + 1)
        for i in range(max(low, 1), high + 1):
            y[i] = q[g.symbol[i]]
        for i in range(low, high + 1):
            stay = blanks[i]
            one = labels[i]
            way[i] = one > stay
            new_blanks[i] = (one if one > stay else stay) + blank
        for i in range(max(low, 1), high + 1):
            stay = labels[i]
            one = blanks[i - 1]
            two = labels[i - 1] if g.step[i] > 0.0 else -INFINITY
            step = one > stay
            stay = one if one > stay else stay
            step = 2 if two > stay else step
            stay = two if two > stay else stay
            way[n + 1 + i] = step
            new_labels[i] = stay + y[i]
        way += 2 * (n + 1)
        blanks, new_blanks = new_blanks, blanks
        labels, new_labels = new_labels, labels
        worked += high - low + 1
        if worked > SIGNAL_WORK:
            worked = 0
            look()
    in_blank = n == 0 or blanks[n] > labels[n]
    stay = blanks[n] if in_blank else labels[n]
    if stay == -INFINITY:
        return stay
    i = n
    if not in_blank:
        last[i] = g.n_frames - 1
    for t in range(g.n_frames - 1, -1, -1):
        way -= 2 * (n + 1)
        if in_blank:
            if way[i]:
                in_blank = False
                last[i] = t - 1
        else:
            first[i] = t
            step = way[n + 1 + i]
            if step:
                i -= 1
                in_blank = step == 1
                if not in_blank:
                    last[i] = t - 1
    return stay


# What the gradient of a text needs: the lattice in both directions, and the sums of the one that wait until those of
# the other come to meet them. All frames are one stretch, unless that would take much memory; then only the sums before
# each stretch are kept, and the stretch is gone through again.
cdef struct Slope:
    Lattice *ahead
    Lattice *back
    Py_ssize_t room         # blanks or labels of a frame, all blocks of them and the place before
    Py_ssize_t n_blocks
    Py_ssize_t stretch      # frames
    double *bare            # stretch x 2 room: sums without the probabilities of the frame itself
    int *exponents          # stretch x n_blocks
    double *kept            # stretches x (2 room + n_blocks)
    int *kept_exponents     # stretches x n_blocks
    double *met             # 2 room: bare sums of the lattice that runs backwards
    double *shares          # of the symbols in a frame
    double *gradient        # frames x classes
    double total            # log probability


cdef void keep(const Slope *p, const Sums *s, Py_ssize_t number) noexcept nogil:
    """Note the sums before a stretch."""
    cdef double *kept = p.kept + number * (2 * p.room + p.n_blocks)
    memcpy(kept, s.blanks - 1, p.room * sizeof(double))
    memcpy(kept + p.room, s.labels - 1, p.room * sizeof(double))
    memcpy(kept + 2 * p.room, s.least, p.n_blocks * sizeof(double))
    memcpy(p.kept_exponents + number * p.n_blocks, p.ahead.exponents, p.n_blocks * sizeof(int))


cdef void go_back(const Slope *p, Sums *s, Py_ssize_t number, double nothing) noexcept nogil:
    """Stand before a stretch once more."""
    cdef const double *kept = p.kept + number * (2 * p.room + p.n_blocks)
    cdef Py_ssize_t i
    memcpy(s.blanks - 1, kept, p.room * sizeof(double))
    memcpy(s.labels - 1, kept + p.room, p.room * sizeof(double))
    memcpy(s.least, kept + 2 * p.room, p.n_blocks * sizeof(double))
    memcpy(p.ahead.exponents, p.kept_exponents + number * p.n_blocks, p.n_blocks * sizeof(int))
    for i in range(-1, p.room - 1):
        s.new_blanks[i] = nothing
        s.new_labels[i] = nothing


cdef inline bint meet_run(
    const double *a, const double *b, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t last, int shift, double *products
) noexcept nogil:
    """Products of the sums from both sides, a[i] with b[last - i], scaled in halves: neither they nor their factors
    leave the range of a double. False if they might."""
    cdef double x = power_of_two(shift // 2), y = power_of_two(shift - shift // 2), most = 0.0
    cdef Py_ssize_t i
    if shift < -2000:
        x = 0.0
    for i in range(start, stop):
        products[i - start] = (a[i] * x) * (b[last - i] * y)
        most = max(most, products[i - start])
    return most == 0.0 or shift < 1900


cdef bint meet(const Slope *p, Py_ssize_t t, const Sums *s, double total, int exponent) noexcept nogil:
    """A frame of the gradient. False if its posteriors do not sum to 1, since something has vanished."""
    cdef const Lattice *g = p.back
    cdef Py_ssize_t n = g.n_labels, left = g.n_frames - 1 - t, i, stop, k, side, last, high = min(n, t)
    cdef const double *a = p.bare + t % p.stretch * 2 * p.room
    cdef const double *b = p.met
    cdef const int *exponents = p.exponents + t % p.stretch * p.n_blocks
    cdef double *row = p.gradient + t * g.width
    cdef double *shares = p.shares
    cdef double products[BLOCK]
    cdef double all_shares = 0.0
    cdef bint sound = True
    for k in range(g.n_symbols):
        shares[k] = 0.0
    for side in range(2):  # blanks meet at n - i, labels at n + 1 - i
        last = n + side
        i = max(side, n - left)
        high = min(n, t + side)
        while i <= high:
            stop = min(high + 1, min((i // BLOCK + 1) * BLOCK, last - (last - i) // BLOCK * BLOCK + 1))
            sound &= meet_run(
                a + side * p.room, b + side * p.room, i, stop, last,
                exponents[i // BLOCK] + g.exponents[(last - i) // BLOCK] - exponent, products
            )
            if side == 0:
                for k in range(stop - i):
                    shares[0] += products[k]
            else:
                for k in range(stop - i):
                    shares[g.symbol[last - i - k]] += products[k]
            i = stop
    for k in range(g.n_symbols):
        shares[k] /= total
        all_shares += shares[k] * s.q[k]
        row[g.classes[k]] = shares[k] * s.q[k] if g.is_log else shares[k]
    return sound and -1e-9 < all_shares - 1.0 < 1e-9


cdef void meet_log(const Slope *p, Py_ssize_t t, const Sums *s) noexcept nogil:
    """The same with logarithms."""
    cdef const Lattice *g = p.back
    cdef Py_ssize_t n = g.n_labels, left = g.n_frames - 1 - t, i, k, side
    cdef const double *a = p.bare + t % p.stretch * 2 * p.room
    cdef const double *b = p.met
    cdef double *row = p.gradient + t * g.width
    cdef int symbol
    for k in range(g.n_symbols):
        p.shares[k] = 0.0
    for side in range(2):
        for i in range(max(side, n - left), min(n, t + side) + 1):
            symbol = g.symbol[n + 1 - i] if side else 0
            p.shares[symbol] += exp(
                a[side * p.room + i] + b[side * p.room + n + side - i] + (s.q[symbol] if g.is_log else 0.0) - p.total
            )
    for k in range(g.n_symbols):
        row[g.classes[k]] = p.shares[k]


cdef int sweep_stretch(
    const Slope *p, Sums *s, Py_ssize_t start, Py_ssize_t stop, bint logs, Py_ssize_t *worked
) except -1 nogil:
    """Go ahead through some frames, and note their bare sums."""
    cdef Py_ssize_t t
    cdef double *bare = p.bare
    cdef int *exponents = p.exponents
    for t in range(start, stop):
        if logs:
            worked[0] += 16 * advance_log(p.ahead, s, t, False, bare)
        else:
            worked[0] += BLOCK * advance(p.ahead, s, t, False, bare)
            memcpy(exponents, p.ahead.exponents, p.n_blocks * sizeof(int))
        bare += 2 * p.room
        exponents += p.n_blocks
        if worked[0] > SIGNAL_WORK:
            worked[0] = 0
            look()
    return 0


cdef int climb(Slope *p, bint logs) except -1 nogil:
    """The gradient by sums in both directions; 0 if too much has vanished in them."""
    cdef Py_ssize_t n = p.ahead.n_labels, n_frames = p.ahead.n_frames, start, stop = n_frames, t, worked = 0
    cdef bint certain = True
    cdef double total = 0.0
    cdef int exponent = 0, shift = 0
    cdef Sums ahead, back
    if logs:
        begin_log(p.ahead, &ahead)
        begin_log(p.back, &back)
    else:
        begin(p.ahead, &ahead)
        begin(p.back, &back)
    start = 0
    while start < n_frames:
        if p.stretch < n_frames:
            keep(p, &ahead, start // p.stretch)
        sweep_stretch(p, &ahead, start, min(n_frames, start + p.stretch), logs, &worked)
        start += p.stretch
    if logs:
        p.total = log_sum(ahead.blanks[n], ahead.labels[n], -INFINITY)
    else:
        total = frexp(whole_sum(p.ahead, &ahead, &exponent, &certain), &shift)
        exponent += shift
        p.total = log(total) + exponent * LN2
    if not certain or p.total == -INFINITY:
        return certain
    while stop > 0:
        start = (stop - 1) // p.stretch * p.stretch
        if stop < n_frames:
            go_back(p, &ahead, start // p.stretch, -INFINITY if logs else 0.0)
            sweep_stretch(p, &ahead, start, stop, logs, &worked)
        for t in range(stop - 1, start - 1, -1):
            if logs:
                worked += 16 * advance_log(p.back, &back, n_frames - 1 - t, False, p.met)
                meet_log(p, t, &back)
            else:
                worked += BLOCK * advance(p.back, &back, n_frames - 1 - t, False, p.met)
                if not meet(p, t, &back, total, exponent):
                    return False
            if worked > SIGNAL_WORK:
                worked = 0
                look()
        stop = start
    if not logs:
        whole_sum(p.back, &back, &exponent, &certain)
    return certain


cdef class _Ascent:
    """What a gradient needs, checked, and its memory."""
    cdef _Problem ahead
    cdef _Problem back
    cdef Slope slope
    cdef object probs
    cdef object gradient

    def __cinit__(self, frames, labels, int blank, bint is_log):
        cdef tuple given = tuple(labels)
        cdef Slope *p = &self.slope
        cdef Py_ssize_t n_frames, n_stretches
        cdef const double[:, ::1] probs
        cdef double[:, ::1] gradient
        self.ahead = _Problem(frames, given, blank, is_log)
        self.back = _Problem(frames, given[::-1], blank, is_log)
        self.back.lattice.mirrored = True
        p.ahead = &self.ahead.lattice
        p.back = &self.back.lattice
        n_frames = p.ahead.n_frames
        self.gradient = np.zeros((n_frames, p.ahead.width))
        p.total = 0.0 if not given else -INFINITY
        if n_frames == 0:
            return
        if is_log:
            with np.errstate(over="ignore"):
                self.probs = probs = np.exp(frames)
            p.ahead.probs = p.back.probs = &probs[0, 0]
        gradient = self.gradient
        p.gradient = &gradient[0, 0]
        p.n_blocks = len(given) // BLOCK + 1
        p.room = p.n_blocks * BLOCK + 1
        p.stretch = n_frames
        if n_frames * p.room > LARGEST:
            p.stretch = <Py_ssize_t> sqrt(n_frames)
        n_stretches = 0 if p.stretch == n_frames else (n_frames - 1) // p.stretch + 1
        p.bare = <double *> malloc(
            ((p.stretch + 1) * 2 * p.room + n_stretches * (2 * p.room + p.n_blocks) + p.ahead.width) * sizeof(double)
        )
        p.exponents = <int *> malloc((p.stretch + n_stretches) * p.n_blocks * sizeof(int))
        if p.bare is NULL or p.exponents is NULL:
            raise MemoryError()
        p.met = p.bare + p.stretch * 2 * p.room
        p.shares = p.met + 2 * p.room
        p.kept = p.shares + p.ahead.width
        p.kept_exponents = p.exponents + p.stretch * p.n_blocks

    def __dealloc__(self):
        free(self.slope.bare)
        free(self.slope.exponents)


# What is needed of a text when the GIL is gone.
cdef struct Task:
    Lattice *lattice
    Trace *ahead
    double total


def log_probability(const double[:, ::1] frames, labels, int blank, bint is_log) -> float:
    cdef _Problem problem = _Problem(frames, labels, blank, is_log)
    cdef double total
    with nogil:
        total = sweep(&problem.lattice, &problem.ahead)
    return total


def log_probabilities(batch, int blank, bint is_log) -> list:
    """All in one stretch without the GIL."""
    cdef list problems = [_Problem(frames, labels, blank, is_log) for frames, labels in batch]
    cdef Py_ssize_t n = len(problems), i, worked = 0
    cdef _Problem problem
    cdef Task *tasks = <Task *> calloc(n + 1, sizeof(Task))
    if tasks is NULL:
        raise MemoryError()
    try:
        for i in range(n):
            problem = problems[i]
            tasks[i].lattice = &problem.lattice
            tasks[i].ahead = &problem.ahead
        with nogil:
            for i in range(n):
                tasks[i].total = sweep(tasks[i].lattice, tasks[i].ahead)
                notice(tasks[i].lattice, &worked)
        return [tasks[i].total for i in range(n)]
    finally:
        free(tasks)


def gradients(batch, int blank, bint is_log) -> list:
    """All in one stretch without the GIL."""
    cdef list ascents = [_Ascent(frames, labels, blank, is_log) for frames, labels in batch]
    cdef Py_ssize_t n = len(ascents), i
    cdef _Ascent ascent
    cdef Slope **slopes = <Slope **> calloc(n + 1, sizeof(Slope *))
    if slopes is NULL:
        raise MemoryError()
    try:
        for i in range(n):
            ascent = ascents[i]
            slopes[i] = &ascent.slope
        with nogil:
            for i in range(n):
                if slopes[i].ahead.n_frames and not climb(slopes[i], False):
                    climb(slopes[i], True)
        return [(slopes[i].total, (<_Ascent> ascents[i]).gradient) for i in range(n)]
    finally:
        free(slopes)


def posteriors(const double[:, ::1] frames, labels, int blank, bint is_log):
    """Takes no memory that grows with the frames but that of the result, which holds the logarithms of both sweeps."""
    cdef _Problem problem = _Problem(frames, labels, blank, is_log)
    cdef Lattice *g = &problem.lattice
    cdef Trace *ahead = &problem.ahead
    cdef Py_ssize_t t, i, n = g.n_labels, n_frames = g.n_frames
    cdef double total
    cdef bint certain = False
    result = np.zeros((n_frames, n))
    if n == 0 or n_frames == 0:
        return result
    cdef double[:, ::1] out = result
    cdef double *q = g.work  # free after the sweeps
    ahead.logs = &out[0, 0]
    with nogil:
        total = sweep_linear(g, ahead, &certain)
        if not certain:
            total = sweep_log(g, ahead)
        if total > -INFINITY:
            mirror(g)
            if certain:
                sweep_linear(g, ahead, &certain)
                if not certain:  # what it has added is of no use
                    mirror(g)
                    sweep_linear(g, ahead, &certain)
                    mirror(g)
                    sweep_log(g, ahead)
            else:
                sweep_log(g, ahead)
            mirror(g)
        for t in range(n_frames):
            load_log(g, t, q)
            for i in range(n):
                if total > -INFINITY and out[t, i] > -INFINITY:
                    out[t, i] = exp(out[t, i] - q[g.symbol[i + 1]] - total)
                else:
                    out[t, i] = 0.0
    return result


def span_probabilities(const double[:, ::1] frames, labels, int blank, bint is_log, spans) -> tuple:
    cdef _Problem problem = _Problem(frames, labels, blank, is_log)
    cdef double total
    problem.add_spans(spans)
    with nogil:
        total = sweep(&problem.lattice, &problem.ahead)
        if problem.n_spans and total > -INFINITY:
            find_spans(&problem.lattice, &problem.ahead, &problem.back, problem.row_sums, problem.spans,
                       problem.n_spans, problem.span_sums)
    problem.total = total
    return problem.probabilities()


def forced_align(const double[:, ::1] frames, labels, int blank, bint is_log) -> tuple:
    cdef _Problem problem = _Problem(frames, labels, blank, is_log)
    cdef double total
    problem.align()
    with nogil:
        total = best_way(&problem.lattice, problem.ways, problem.first, problem.last)
    problem.total = total
    return total, problem.positions(problem.first), problem.positions(problem.last)
