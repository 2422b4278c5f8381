"""Sums over all paths of a lattice, frame by frame: the forward algorithm, or, on a mirrored lattice, the backward one.

Sums run in linear double precision, rescaled by powers of two, because exp and log cost many times an addition.
Where a sum vanishes all the same, the sweep is repeated with logarithms.
"""

from libc.math cimport INFINITY, exp, floor, ilogb, ldexp, log
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastctc.compiled.interrupts cimport look
from fastctc.compiled.lattice cimport BLOCK, LN2, MASKED, Lattice, first_live, load_log, power_of_two, row_of

cdef extern from *:
    """
    #define SUMS_SMALLEST 8.900295434028806e-308
    """
    double SMALLEST "SUMS_SMALLEST"  # 2**-1020; sums below lose digits

cdef enum:
    NEVER = -(1 << 30)  # the exponent of 0
    SIGNAL_WORK = 1 << 22  # states between two looks for Ctrl-C

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


cdef inline int make_trace(Trace *trace, Py_ssize_t n, Py_ssize_t n_frames) except -1:
    """Make room for what is asked of so many states. To be freed, error or not."""
    trace.states = <Py_ssize_t *> calloc(n + 1, sizeof(Py_ssize_t))
    trace.values = <double *> calloc(n * n_frames + 1, sizeof(double))
    trace.exponents = <int *> calloc(n * n_frames + 1, sizeof(int))
    if trace.states is NULL or trace.values is NULL or trace.exponents is NULL:
        raise MemoryError()
    trace.n = n
    return 0


cdef inline void free_trace(Trace *trace) noexcept:
    free(trace.states)
    free(trace.values)
    free(trace.exponents)


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


cdef inline double rescale(double *blanks, double *labels, int *exponent) noexcept nogil:
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


cdef inline double drop(double *blanks, double *labels, double limit) noexcept nogil:
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

    A block takes on another scale only for what is 2**100 times its own unit, or more, since to rescale costs. A state
    adds up three sums at most: in the 64 frames between two rescalings of all blocks they grow by less than 3**64 <
    2**102, so that there is room to spare below 2**1024. Where it is not enough all the same, a sum becomes infinite,
    and with it the total, unless the end is out of its reach; then ``whole_sum`` is not certain, and logarithms decide.
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


cdef inline void add_logs(
    const Lattice *g, const Trace *trace, Py_ssize_t t, const double *labels, bint is_log
) noexcept nogil:
    """Note the sums of all labels after a frame, or add those of the other direction to them."""
    cdef Py_ssize_t n = g.n_labels, i
    cdef double *row = trace.logs + (g.n_frames - 1 - t if g.mirrored else t) * n
    cdef double value
    for i in range(1, n + 1):
        if g.mirrored and row[n - i] == -INFINITY:
            continue
        value = labels[i]
        if not is_log:
            value = log(value) + g.exponents[i // BLOCK] * LN2 if value > 0.0 else -INFINITY
        if g.mirrored:
            row[n - i] += value
        else:
            row[i - 1] = value


cdef inline void begin(const Lattice *g, Sums *s) noexcept nogil:
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


cdef inline Py_ssize_t advance(const Lattice *g, Sums *s, Py_ssize_t t, bint whole, double *bare) noexcept nogil:
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
    cdef bint regular = t & 63 == 63  # every 64 frames: sums may grow, too (see take_over)
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


cdef inline double whole_sum(const Lattice *g, const Sums *s, int *exponent, bint *certain) noexcept nogil:
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


cdef inline double sweep_linear(Lattice *g, Trace *trace, bint *certain) except? -2.0 nogil:
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


cdef inline void begin_log(const Lattice *g, Sums *s) noexcept nogil:
    """Stand before the first frame, with logarithms."""
    cdef Py_ssize_t i
    begin(g, s)
    for i in range(s.y - s.blanks):
        g.work[i] = -INFINITY
    s.blanks[0] = 0.0


cdef inline Py_ssize_t advance_log(const Lattice *g, Sums *s, Py_ssize_t t, bint whole, double *bare) noexcept nogil:
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


cdef inline double sweep_log(Lattice *g, Trace *trace) except? -2.0 nogil:
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


cdef inline double sweep(Lattice *g, Trace *trace) except? -2.0 nogil:
    cdef bint certain = False
    cdef double result
    if g.n_frames == 0:
        return -INFINITY if g.n_labels else 0.0
    result = sweep_linear(g, trace, &certain)
    return result if certain else sweep_log(g, trace)
