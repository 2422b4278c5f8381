"""Twin of fastctc.reference.outside, for hours.

Logarithms are 32-bit numbers of 1 / 1024 nat, rounded up, so that sums are exact and eight or sixteen groups go side by
side. A group is known by 32 bits, one for each symbol that it holds; where the text has more symbols, some share a bit,
and bounds are greater, never less. Groups whose bounds cannot count any more are left alone.
"""

from libc.math cimport INFINITY, ceil, exp, floor, log
from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport calloc, free, malloc

from fastctc.compiled.interrupts cimport look

cdef extern from "processor.h":
    const char *choose_registers() except NULL

cdef extern from "outside_rows.h":
    enum:
        BLOCK
        NOTHING
    ctypedef struct Factor:
        int32_t first
        int32_t second
        int32_t base
        int32_t with_first
        int32_t with_second
        int32_t with_both
    void bound_block(
        const int32_t *, const int32_t *, int32_t *, int32_t *, const uint32_t *, const Factor *, Py_ssize_t
    ) noexcept nogil

REGISTERS = choose_registers().decode("ascii")

GROUP = BLOCK
cdef enum:
    UNITS = 1024                # of a nat
    SIGNAL_WORK = 1 << 24       # groups between two looks for Ctrl-C
    SHRINK = 4                  # blocks between two looks at the edges
cdef double SURE = 50.0
cdef double LEAST = -900000.0   # nats: a bound below is no more than nothing
cdef double LEAST_FACTOR = -1000.0


cdef double nats(int32_t value) noexcept nogil:
    return -INFINITY if value == NOTHING else value / <double> UNITS


cdef inline int32_t units_above(double value) noexcept nogil:
    return <int32_t> ceil(value * UNITS) if value > LEAST else NOTHING


cdef int take_room(Outside *o) except -1 nogil:
    cdef Py_ssize_t n_groups = o.n // BLOCK + 1, i
    leave_room(o)
    o.bounds = <int32_t *> malloc((n_groups + 2) * sizeof(int32_t))
    o.others = <int32_t *> malloc((n_groups + 2) * sizeof(int32_t))
    o.most = <int32_t *> malloc((n_groups + 2) * sizeof(int32_t))
    o.held = <uint32_t *> calloc(n_groups + 2, sizeof(uint32_t))
    if o.bounds is NULL or o.others is NULL or o.most is NULL or o.held is NULL:
        with gil:
            raise MemoryError()
    for i in range(1, o.n + 1):
        o.held[i // BLOCK] |= <uint32_t> 1 << (o.symbol[i] & 31)
    o.held[n_groups] = o.held[n_groups - 1]
    for i in range(n_groups - 1, 0, -1):
        o.held[i] |= o.held[i - 1]
    return 0


cdef void leave_room(Outside *o) noexcept nogil:
    free(o.bounds)
    free(o.others)
    free(o.most)
    free(o.held)
    o.bounds = o.others = o.most = NULL
    o.held = NULL


cdef inline int32_t units_of(double value) noexcept nogil:
    return <int32_t> ceil(max(value, LEAST_FACTOR) * UNITS)


cdef inline int32_t quotient(double part, double whole) noexcept nogil:
    return units_of(log(part / whole) if part > 0.0 else LEAST_FACTOR)


cdef inline double number(const Outside *o, Py_ssize_t place) noexcept nogil:
    return o.floats[place] if o.floats is not NULL else o.probs[place]


cdef bint frame_factor(const Outside *o, Py_ssize_t t, bint best, Factor *factor) noexcept nogil:
    """What a frame multiplies bounds with; 0 if that is no less than 1 for any group."""
    cdef Py_ssize_t k, start = t * o.n_classes
    cdef double p[4]
    cdef double x, blank = number(o, start + o.classes[0]), everything = 0.0
    cdef int first = 0, second = 0
    cdef int32_t with_none, with_first, with_second, with_both
    p[0] = p[1] = p[2] = p[3] = -INFINITY if o.is_log else 0.0
    if not best:
        for k in range(o.n_classes):
            everything += number(o, start + k)
        if blank >= 0.99 * everything:
            return False
    for k in range(1, o.n_symbols):
        x = number(o, start + o.classes[k])
        if x > p[3]:
            if x > p[1]:
                p[3] = p[2]
                p[2] = p[1]
                if x > p[0]:
                    p[1] = p[0]
                    p[0] = x
                    second = first
                    first = <int> (k & 31)
                else:
                    p[1] = x
                    second = <int> (k & 31)
            elif x > p[2]:
                p[3] = p[2]
                p[2] = x
            else:
                p[3] = x
    if best:
        if blank >= p[0]:
            return False
        with_both = with_first = 0
        if o.is_log:
            with_second = units_of(max(blank, p[1]) - p[0])
            with_none = units_of(max(blank, p[2]) - p[0])
        else:
            with_second = quotient(max(blank, p[1]), p[0])
            with_none = quotient(max(blank, p[2]), p[0])
    else:
        with_both = quotient(blank + p[0] + p[1], everything)
        with_first = quotient(blank + p[0] + p[2], everything)
        with_second = quotient(blank + p[1] + p[2], everything)
        with_none = quotient(blank + p[2] + p[3], everything)
    factor.first = first
    factor.second = second
    factor.base = with_none
    factor.with_first = with_first - with_none
    factor.with_second = with_second - with_none
    factor.with_both = with_both - with_first - with_second + with_none
    return True


cdef void note(
    Place *places, Py_ssize_t *n, Py_ssize_t t, Py_ssize_t start, Py_ssize_t stop, double value, bint sure
) noexcept nogil:
    cdef Place *place = places + n[0]
    if start < stop and value > -INFINITY:
        place.frame = t
        place.start = start
        place.stop = stop
        place.value = value
        place.sure = sure
        n[0] += 1


cdef void note_sure(
    Place *places, Py_ssize_t *n, Py_ssize_t t, Py_ssize_t first, const double *blanks, const double *labels,
    Py_ssize_t low, Py_ssize_t high, double least, double value
) noexcept nogil:
    """The states around the greatest one that get ``least`` or more, with the one or the other before them."""
    cdef Py_ssize_t i, top = low, start, stop
    for i in range(low, high):
        if max(blanks[i], labels[i]) > max(blanks[top], labels[top]):
            top = i
    start = top
    stop = top + 1
    while start > low and max(blanks[start - 1], labels[start]) >= least and (
        max(blanks[start - 1], labels[start - 1]) >= least
    ):
        start -= 1
    while stop < high and max(blanks[stop], labels[stop]) >= least and max(blanks[stop - 1], labels[stop]) >= least:
        stop += 1
    # Of the first of them it is not known what its label gets; the very first has none.
    if first + start > 0 or blanks[start] < least:
        start += 1
    note(places, n, t, first + start, first + stop, value, True)


cdef int bound_places(
    Outside *o, const Place *places, Py_ssize_t n_places, bint best, bint backward, double least
) except -1 nogil:
    """Bounds of all groups; those below ``least``, a logarithm, are left alone. The places come in their order."""
    cdef Py_ssize_t n_groups = o.n // BLOCK + 1, low = 0, high = 0, g, h, t, start, stop, here = 0, k
    cdef Py_ssize_t blocks = 0, work = 0
    cdef int32_t *x = o.bounds + 1
    cdef int32_t *y = o.others + 1
    cdef int32_t *z
    cdef int32_t value, floor_ = NOTHING
    cdef Factor factors[BLOCK]
    o.shares = 0.0
    o.end = -INFINITY
    for g in range(-1, n_groups + 1):
        x[g] = y[g] = NOTHING
    for g in range(n_groups):
        o.most[g] = NOTHING
    if least > LEAST:
        floor_ = <int32_t> floor(least * UNITS)
    t = o.n_frames if backward else 0
    while True:
        while here < n_places and places[here].frame == t:
            start = places[here].start
            stop = places[here].stop
            if not places[here].sure:
                g = start // BLOCK
                h = (stop - 1) // BLOCK + 1
                value = units_above(places[here].value)
                if value > NOTHING and g < h:
                    if low == high:
                        low = high = g
                    low = min(low, g)
                    high = max(high, h)
                    for k in range(g, h):
                        x[k] = max(x[k], value)
                        o.most[k] = max(o.most[k], x[k])
            else:
                g = max(low, (start + BLOCK - 1) // BLOCK)
                h = min(high, n_groups if stop == o.n + 1 else stop // BLOCK)
                value = <int32_t> floor(max(places[here].value - (0.0 if best else SURE), LEAST) * UNITS)
                for k in range(g, h):
                    if x[k] <= value and x[k] > NOTHING:
                        o.shares += exp(nats(x[k]) - places[here].value)
                        x[k] = NOTHING
            here += 1
        if t == (0 if backward else o.n_frames):
            break
        # The next block; frames that leave all as it is are left out.
        start = (t - 1) // BLOCK * BLOCK if backward else t
        stop = t if backward else min(t + BLOCK, o.n_frames)
        t = start if backward else stop
        k = 0
        if low < high:
            for g in range(start, stop):
                if frame_factor(o, g, best, &factors[k]):
                    k += 1
            while k < BLOCK:
                factors[k].first = factors[k].second = 0
                factors[k].base = factors[k].with_first = factors[k].with_second = factors[k].with_both = 0
                k += 1
            if backward:
                low = max(0, low - 1)
                bound_block(x + low, x + low + 1, y + low, o.most + low, o.held + low + 1, factors, high - low)
            else:
                high = min(n_groups, high + 1)
                bound_block(x + low, x + low - 1, y + low, o.most + low, o.held + low, factors, high - low)
            z = x
            x = y
            y = z
        work += high - low + 64
        blocks += 1
        if blocks % SHRINK == 0:
            while low < high and x[low] <= floor_:
                x[low] = y[low] = NOTHING
                low += 1
            while low < high and x[high - 1] <= floor_:
                high -= 1
                x[high] = y[high] = NOTHING
            if work > SIGNAL_WORK:
                work = 0
                look()
    o.end = nats(x[0 if backward else n_groups - 1])
    return 0


def bound_outside(
    const double[:, ::1] probs, labels, int blank, lost, sure, bint best, bint backward
) -> tuple:
    cdef Outside o
    cdef Py_ssize_t i, n = len(labels), n_classes = probs.shape[1], n_places
    cdef Place *places = NULL
    cdef list given = [(*place, False) for place in lost] + [(*place, True) for place in sure]
    cdef dict number = {blank: 0}
    cdef int *classes = NULL
    cdef int32_t *symbol = NULL
    for i in range(n):
        if not 0 <= labels[i] < n_classes or labels[i] == blank:
            raise ValueError(f"labels must be classes, 0 to {n_classes - 1}, other than the blank, got {labels[i]}")
        number.setdefault(labels[i], len(number))
    for frame, start, stop, _, _ in given:
        if not (0 <= frame <= probs.shape[0] and (frame % GROUP == 0 or frame == probs.shape[0])):
            raise ValueError(f"frames must be multiples of {GROUP}, or the last, got {frame}")
        if not 0 <= start < stop <= n + 1:
            raise ValueError(f"places must lie within the {n} labels, got ({start}, {stop})")
    given.sort(key=lambda place: (-place[0] if backward else place[0], place[4]))
    n_places = len(given)
    o.probs = &probs[0, 0] if probs.shape[0] else NULL
    o.floats = NULL
    o.is_log = False
    o.n_frames = probs.shape[0]
    o.n_classes = n_classes
    o.n = n
    o.n_symbols = len(number)
    o.bounds = o.others = o.most = NULL
    o.held = NULL
    try:
        classes = <int *> malloc(len(number) * sizeof(int))
        symbol = <int32_t *> malloc((n + 1) * sizeof(int32_t))
        places = <Place *> malloc((n_places + 1) * sizeof(Place))
        if classes is NULL or symbol is NULL or places is NULL:
            raise MemoryError()
        for label, i in number.items():
            classes[i] = label
        for i in range(n):
            symbol[i + 1] = number[labels[i]]
        for i in range(n_places):
            places[i].frame, places[i].start, places[i].stop, places[i].value, places[i].sure = given[i]
        o.classes = classes
        o.symbol = symbol
        with nogil:
            take_room(&o)
            bound_places(&o, places, n_places, best, backward, -INFINITY)
        return o.end, [nats(o.most[i]) for i in range(n // BLOCK + 1)], o.shares
    finally:
        free(classes)
        free(symbol)
        free(places)
        leave_room(&o)
