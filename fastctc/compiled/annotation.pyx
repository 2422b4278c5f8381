"""Twin of fastctc.reference.annotation, for any number of frames.

Of the lattice of a text only a band around its best path matters. Sums run forward in linear double precision with one
exponent a frame; every STRETCH frames the band is cut to the states whose sum is at least exp(-reach) of the frame's
greatest, and what is cut off is added up. The way back computes what follows each state, and with it how much the paths
that were cut off can have weighed at most: outside the band their sum grows by no more than the blank and the two most
probable labels of each frame, and it counts only where it comes back. That is enough of a bound for a line. Of more
frames it is noted what leaves the band, and bounded by groups of labels (see outside.pyx) up to where the band holds so
much more that it is no more than a share of that.

The rows of all frames are kept as long as there is room (ROOM numbers), and from then on one row at each point where
the room was full (a check-point); the way back fills the room again from there. So memory grows with the number of
frames divided by some thousands.
"""

from libc.math cimport INFINITY, exp, frexp, ilogb, ldexp, log, log1p
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from fastctc.compiled.loss import log_probability
from fastctc.compiled.spans import span_probabilities
from fastctc.compiled.viterbi import best_alignment
from fastctc.compiled.interrupts cimport look
from fastctc.compiled.outside cimport (
    Outside, Place, bound_places, leave_room, nats, note, note_sure, take_room
)

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

cdef extern from *:
    """
    #include <string.h>
    /* 2**n, 0 below the normal numbers. ldexp is a call of a library, and this a shift. */
    static inline double power_of_two(Py_ssize_t n)
    {
        double result;
        uint64_t bits = n < -1022 ? 0 : (uint64_t)(n > 1023 ? 2046 : n + 1023) << 52;
        memcpy(&result, &bits, sizeof result);
        return result;
    }
    """
    double power_of_two(Py_ssize_t) noexcept nogil

REGISTERS = choose_registers().decode("ascii")  # whose copies of the loops run

cdef double LN2 = 0.693147180559945309417
cdef double MASKED = -1e5  # log probabilities below are meant as -inf
cdef double FARTHEST = 600.0  # nats: a double holds 708, and sums may shrink between two looks at them
cdef double WATCHED = 200.0     # nats: the band where it is watched what leaves it
cdef double PROMISED = 30.0  # nats: what is lost must be that much less than the whole, e**-30
cdef double EXACT = 1e-12  # a smaller bound says no more than rounding does
cdef Py_ssize_t NOWHERE = -(<Py_ssize_t> 1 << 60)  # the exponent of 0
cdef Py_ssize_t SIGNAL_WORK = 1 << 22  # labels between two looks for Ctrl-C
cdef Py_ssize_t FEW = 1 << 16  # states of a whole lattice that is gone through where a band promises too little
cdef Py_ssize_t MEMORY = 1 << 28  # bytes that a best path of the whole lattice may take
cdef Py_ssize_t MANY = 1 << 24  # ... where a band has nothing; a span takes as long as four states
cdef enum:
    STRETCH = 16        # frames with the same band
    GROUP = 4           # labels that share a bound outside of the band
    LOOK = 4            # frames between two changes of the exponent
    ROOM = 1 << 20      # numbers that are kept
    WIDEST_BAND = 1 << 15

# A number of STRETCH frames, and its band: blanks and labels low to low + width - 1.
cdef struct Stretch:
    Py_ssize_t low
    Py_ssize_t width
    Py_ssize_t fresh    # states from here on have just come into the band and are empty at first
    Py_ssize_t highest  # greatest end of a band so far
    double dropped      # logarithm of the sum that was cut off before its first frame
    double begun        # ... of the sum of what any part of the text and anything behind it has come to
    double norm         # ... of the product of the sums of the frames before, scaled
    double tops         # ... of what the text's most probable classes have there
    size_t place        # of its rows

# A text and its frames.
cdef struct Job:
    const double *probs
    const float *floats     # logarithms, in one of two precisions, or none
    const double *doubles
    Py_ssize_t n_frames
    Py_ssize_t n_classes
    Py_ssize_t n
    Py_ssize_t n_symbols
    int *classes            # class of each symbol, the blank first; the symbol behind the last never occurs
    int32_t *symbol         # of label i, n + 2 entries
    double *step            # 1 where label i may follow label i - 1, else 0
    double *bar             # 0 and minus infinity
    Py_ssize_t n_spans
    const Py_ssize_t *spans     # start, stop, by descending stop
    # What is found.
    Py_ssize_t *first       # frames of label i
    Py_ssize_t *last
    double *probabilities   # of the spans
    double total
    double bound            # how much too small the total may be
    double path_bound       # how much better another path may be
    double span_bound       # ... the sum over everything in a span's place
    Py_ssize_t exponent     # of what all scales have divided by
    Py_ssize_t end          # exponent of the sum over all paths, so scaled
    bint watched            # whether it is noted what leaves the band
    bint failed             # the band lost the text

# A number of any magnitude, value * 2**exponent; 0 has any exponent.
cdef struct Wide:
    double value
    Py_ssize_t exponent

# Memory that is used for one text after the other.
cdef struct Room:
    double *rows
    size_t n_rows           # numbers
    Stretch *stretches
    Py_ssize_t *exponents   # of the row after so many frames
    double *scales          # a power of two that brings the sum of a frame near 1
    double *growth          # the most by which the sum over any states grows in a frame, so scaled
    double *everything      # the sum of a frame, so scaled
    Py_ssize_t n_frames
    double *q               # probabilities of the symbols in a frame, and their logarithms
    Py_ssize_t n_symbols
    Py_ssize_t *starts      # first stretch of each part whose rows were in the room together
    double **kept           # and its first row
    Py_ssize_t n_parts
    Py_ssize_t most_parts
    double *aside           # a row
    Py_ssize_t n_aside
    double *back            # two rows of the way back
    Py_ssize_t n_back
    double *waiting         # of each span, the sum of what may follow its first part
    double *sums            # of each span, the sum over everything in its place
    Py_ssize_t *active
    Py_ssize_t n_spans
    Place *sums_lost        # where sums left the band, and where the band is as good as all
    Py_ssize_t n_sums_lost
    Place *paths_lost       # the same of the best paths
    Py_ssize_t n_paths_lost
    Place *ends_lost        # the same of sums on the way back
    Py_ssize_t n_ends_lost
    Stretch last            # what stands behind the last frame
    Py_ssize_t most_lost
    Wide *starts_most       # of each span, the most that the labels before it come to in a frame
    Wide *stops_most        # ... and those behind it
    Py_ssize_t work


cdef int grow(void **memory, Py_ssize_t *has, Py_ssize_t wanted, size_t size) except -1 nogil:
    cdef void *larger
    if wanted > has[0]:
        larger = realloc(memory[0], wanted * size)
        if larger is NULL:
            with gil:
                raise MemoryError()
        memory[0] = larger
        has[0] = wanted
    return 0


cdef int prepare(Room *room, const Job *job) except -1 nogil:
    cdef Py_ssize_t had = 0, n_stretches = job.n_frames // STRETCH + 1
    if job.n_frames > room.n_frames:
        grow(<void **> &room.stretches, &had, n_stretches, sizeof(Stretch))
        had = 0
        grow(<void **> &room.exponents, &had, job.n_frames + 1, sizeof(Py_ssize_t))
        had = 0
        grow(<void **> &room.scales, &had, job.n_frames, sizeof(double))
        had = 0
        grow(<void **> &room.growth, &had, job.n_frames, sizeof(double))
        had = 0
        grow(<void **> &room.everything, &had, job.n_frames, sizeof(double))
        room.n_frames = job.n_frames
    grow(<void **> &room.q, &room.n_symbols, job.n_symbols + 1, 2 * sizeof(double))
    if job.n_spans > room.n_spans:
        had = 0
        grow(<void **> &room.waiting, &had, job.n_spans, sizeof(double))
        had = 0
        grow(<void **> &room.sums, &had, job.n_spans, sizeof(double))
        had = 0
        grow(<void **> &room.starts_most, &had, job.n_spans, sizeof(Wide))
        had = 0
        grow(<void **> &room.stops_most, &had, job.n_spans, sizeof(Wide))
        had = 0
        grow(<void **> &room.active, &had, job.n_spans, sizeof(Py_ssize_t))
        room.n_spans = job.n_spans
    return 0


cdef void leave(Room *room) noexcept nogil:
    drop_parts(room)
    free(room.rows)
    free(room.stretches)
    free(room.exponents)
    free(room.scales)
    free(room.growth)
    free(room.everything)
    free(room.q)
    free(room.starts)
    free(room.kept)
    free(room.aside)
    free(room.back)
    free(room.waiting)
    free(room.sums)
    free(room.active)
    free(room.sums_lost)
    free(room.paths_lost)
    free(room.ends_lost)
    free(room.starts_most)
    free(room.stops_most)


cdef void drop_parts(Room *room) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(room.n_parts):
        free(room.kept[k])
    room.n_parts = 0


cdef inline int look_for_signals(Room *room, Py_ssize_t work) except -1 nogil:
    room.work += work
    if room.work > SIGNAL_WORK:
        room.work = 0
        look()
    return 0


cdef double others(const Job *job, Py_ssize_t t, Py_ssize_t but) noexcept nogil:
    """Sum of a frame's probabilities, without a class's."""
    cdef const double *row = job.probs + t * job.n_classes
    cdef double a = 0.0, b = 0.0, c = 0.0, d = 0.0
    cdef Py_ssize_t k = 0
    if but < 0:
        while k + 4 <= job.n_classes:
            a += row[k]
            b += row[k + 1]
            c += row[k + 2]
            d += row[k + 3]
            k += 4
    while k < job.n_classes:
        if k != but:
            a += row[k]
        k += 1
    return (a + b) + (c + d)


cdef double survey(Room *room, Job *job) noexcept nogil:
    """Fill in scales, growths and sums; returns how far the frames' best classes lie below the sums in all."""
    cdef Py_ssize_t t, k
    cdef const double *row
    cdef double x, most, second, result = 0.0, blank, product = 1.0, everything, scale
    cdef int exponent
    job.exponent = 0
    for t in range(job.n_frames):
        row = job.probs + t * job.n_classes
        blank = row[job.classes[0]]
        most = second = 0.0
        for k in range(1, job.n_symbols):
            x = row[job.classes[k]]
            second = x if x > second else second
            second = most if second > most else second
            most = x if x > most else most
        everything = others(job, t, -1)
        scale = 1.0
        if not 0.25 < everything < 4.0 and 0.0 < everything < INFINITY:
            exponent = max(ilogb(everything), -1022)
            scale = power_of_two(-exponent)
            job.exponent += exponent
        room.scales[t] = scale
        room.growth[t] = min(blank + most + second, everything) * scale
        room.everything[t] = everything * scale
        product *= max(blank, most) / everything if everything > 0.0 else 1.0
        if t & 15 == 15:
            result -= log(product)
            product = 1.0
    return result - log(product)


cdef inline void load(const Room *room, const Job *job, Py_ssize_t t, double factor) noexcept nogil:
    cdef const double *row = job.probs + t * job.n_classes
    cdef double *q = room.q
    cdef double scale = room.scales[t]
    cdef Py_ssize_t k
    for k in range(job.n_symbols):
        q[k] = row[job.classes[k]] * scale * factor
    q[job.n_symbols] = 0.0


cdef inline void load_logs(const Job *job, Py_ssize_t t, double *q) noexcept nogil:
    cdef Py_ssize_t k, start = t * job.n_classes
    cdef double x
    for k in range(job.n_symbols):
        if job.floats is not NULL:
            x = job.floats[start + job.classes[k]]
        elif job.doubles is not NULL:
            x = job.doubles[start + job.classes[k]]
        else:
            x = log(job.probs[start + job.classes[k]])
        q[k] = x if x >= MASKED else -INFINITY
    q[job.n_symbols] = -INFINITY


# The four arrays of a row: sums and best paths, of blanks and labels.
cdef inline double *row_of(const Room *room, const Stretch *s, Py_ssize_t number, int which) noexcept nogil:
    return room.rows + s.place + (4 * number + which) * (s.width + 2) + 1


cdef int make_room(Room *room, Py_ssize_t j, size_t *used) except -1 nogil:
    """A place for the rows of a stretch: behind those before it, or in the room that they leave."""
    cdef Stretch *s = &room.stretches[j]
    cdef size_t size = 4 * (STRETCH + 1) * <size_t> (s.width + 2)
    cdef Py_ssize_t had
    cdef double *row
    if used[0] + size > ROOM and used[0] > 0:
        if room.n_parts == room.most_parts:
            had = 0
            grow(<void **> &room.starts, &had, 2 * room.most_parts + 16, sizeof(Py_ssize_t))
            had = 0
            grow(<void **> &room.kept, &had, 2 * room.most_parts + 16, sizeof(double *))
            room.most_parts = 2 * room.most_parts + 16
        room.starts[room.n_parts] = j
        room.kept[room.n_parts] = NULL
        room.n_parts += 1
        used[0] = 0
    s.place = used[0]
    used[0] += size
    if used[0] > room.n_rows:
        row = <double *> realloc(room.rows, used[0] * sizeof(double))
        if row is NULL:
            with gil:
                raise MemoryError()
        room.rows = row
        room.n_rows = used[0]
    return 0


cdef double log_product(const double *factors, Py_ssize_t n) noexcept nogil:
    cdef double product = 1.0, result = 0.0
    cdef Py_ssize_t i
    for i in range(n):
        if not 1e-90 < product < 1e90:
            result += log(product)
            product = 1.0
        product *= factors[i]
    return result + log(product)


cdef void watch_sums(Room *room, const Job *job, Py_ssize_t t, Stretch *before, Stretch *s) noexcept nogil:
    """The sums of frames up to one in front of frame t, and what vanished below the least double since ``before``."""
    cdef const double *row
    cdef double most
    cdef Py_ssize_t i, k, start = t - 1 - (t - 1) % STRETCH, end = min(before.low + before.width + 1, job.n + 1)
    cdef double unseen = log(<double> (2 * STRETCH * before.width))
    cdef double unit = log_product(room.everything + start, t - start)
    s.norm = before.norm + unit
    s.tops = before.tops
    for i in range(start, t):
        row = job.probs + i * job.n_classes
        most = 0.0
        for k in range(job.n_symbols):
            most = max(most, row[job.classes[k]])
        s.tops += log(most)
    unseen += (max(room.exponents[start], room.exponents[t]) - 1022) * LN2
    note(
        room.sums_lost, &room.n_sums_lost, t, before.low, end, unseen - min(s.norm, before.norm) + 2.0 * STRETCH, False
    )


cdef void watch(Room *room, const Job *job, Py_ssize_t j, Py_ssize_t low, Py_ssize_t high, double reach) noexcept nogil:
    """Note what leaves the band before a stretch, and where it is as good as all; labels low to high - 1 stay."""
    cdef Stretch *s = &room.stretches[j]
    cdef Stretch *before = s - 1
    cdef Py_ssize_t t = j * STRETCH, i, width = before.width, end = min(before.low + width + 1, job.n + 1)
    cdef const double *old[4]
    cdef double most, path, lost = -INFINITY, unit
    cdef int k
    for k in range(4):
        old[k] = row_of(room, before, STRETCH, k)
    watch_sums(room, job, t, before, s)
    note(room.sums_lost, &room.n_sums_lost, t, before.low, s.low + 1, s.dropped - s.norm, False)
    note(room.sums_lost, &room.n_sums_lost, t, s.fresh, end, s.dropped - s.norm, False)
    most = max(greatest(old[0] + low, high - low), greatest(old[1] + low, high - low))
    unit = room.exponents[t] * LN2 - s.norm
    note_sure(
        room.sums_lost, &room.n_sums_lost, t, before.low, old[0], old[1], low, high, most * exp(-0.25 * reach),
        log(most) - 0.25 * reach + unit
    )
    for i in range(low):
        lost = max(lost, max(old[2][i], old[3][i]))
    note(room.paths_lost, &room.n_paths_lost, t, before.low, s.low + 1, lost - s.tops, False)
    lost = -INFINITY
    for i in range(high, width):
        lost = max(lost, max(old[2][i], old[3][i]))
    note(room.paths_lost, &room.n_paths_lost, t, s.fresh, end, lost - s.tops, False)
    path = max(greatest(old[2] + low, high - low), greatest(old[3] + low, high - low)) - 0.25 * reach
    note_sure(room.paths_lost, &room.n_paths_lost, t, before.low, old[2], old[3], low, high, path, path - s.tops)


cdef int begin(Room *room, const Job *job, double reach, Py_ssize_t j, size_t *used) except -1 nogil:
    """Choose the band of a stretch, and make its first row of the last one before; 0 if nothing is left."""
    cdef Stretch *s = &room.stretches[j]
    cdef Stretch *before = s - 1
    cdef Py_ssize_t n = job.n, t = j * STRETCH, low, high, i, width, from_, parts = room.n_parts
    cdef Py_ssize_t needed = n - (job.n_frames - t)  # from states before the end is out of reach
    cdef const double *old[4]
    cdef double *new
    cdef size_t size
    cdef double least, most, dropped = 0.0
    cdef int k
    if j == 0:
        if needed > 0:
            return 0
        s.low = 0
        s.width = min(n + 1, 1 + STRETCH)
        s.fresh = 1
        s.highest = s.width
        s.dropped = -INFINITY
        s.begun = s.norm = s.tops = 0.0
        make_room(room, 0, used)
        memset(room.rows + s.place, 0, 2 * (s.width + 2) * sizeof(double))
        for k in range(2, 4):
            new = row_of(room, s, 0, k)
            for i in range(-1, s.width + 1):
                new[i] = -INFINITY
        row_of(room, s, 0, 0)[0] = 1.0
        row_of(room, s, 0, 2)[0] = 0.0
        return 1
    width = before.width
    for k in range(2):
        old[k] = row_of(room, before, STRETCH, k)
    most = max(greatest(old[0], width), greatest(old[1], width))
    if not 0.0 < most < INFINITY:
        return 0
    least = most * exp(-reach)
    # States that cannot reach the end are of use only to spans, whose places may hold less than they do.
    low = max(0, needed - before.low) if job.n_spans == 0 else 0
    high = width
    while low < high and old[0][low] < least and old[1][low] < least:
        dropped += old[0][low] + old[1][low]
        low += 1
    while high > low and (old[0][high - 1] < least and old[1][high - 1] < least or high - low > WIDEST_BAND):
        high -= 1
        dropped += old[0][high] + old[1][high]
    if low == high:
        return 0
    s.low = before.low + low
    s.fresh = before.low + high
    s.width = min(s.fresh + STRETCH, n + 1) - s.low
    s.highest = max(before.highest, s.low + s.width)
    s.dropped = log(dropped) + room.exponents[t] * LN2
    if job.watched:
        watch(room, job, j, low, high, reach)
    s.begun = max(
        before.begun + log_product(room.everything + t - STRETCH, STRETCH),
        log(2 * width * most) + room.exponents[t] * LN2
    )
    # The row may lie where the new rows will: it is taken aside.
    from_ = high - low
    size = 4 * (s.width + 2) * sizeof(double)
    grow(<void **> &room.aside, &room.n_aside, s.width + 2, 4 * sizeof(double))
    for k in range(4):
        new = room.aside + k * (s.width + 2)
        for i in range(s.width + 2):
            new[i] = 0.0 if k < 2 else -INFINITY
        memcpy(new + 1, row_of(room, before, STRETCH, k) + low, from_ * sizeof(double))
    make_room(room, j, used)
    memcpy(room.rows + s.place, room.aside, size)
    if room.n_parts > parts:
        room.kept[parts] = <double *> malloc(size)
        if room.kept[parts] is NULL:
            with gil:
                raise MemoryError()
        memcpy(room.kept[parts], room.aside, size)
    return 1


cdef void sweep(Room *room, const Job *job, Py_ssize_t j, bint again) noexcept nogil:
    """The rows of a stretch, from its first one; the exponents are chosen the first time."""
    cdef Stretch *s = &room.stretches[j]
    cdef Py_ssize_t t, start = j * STRETCH, stop = min(job.n_frames, start + STRETCH), k, shift
    cdef double *old[4]
    cdef double *new[4]
    cdef double *logs = room.q + job.n_symbols + 1
    cdef double most
    for t in range(start, stop):
        for k in range(4):
            old[k] = row_of(room, s, t - start, <int> k)
            new[k] = row_of(room, s, t - start + 1, <int> k)
            (new[k] - 1)[0] = 0.0 if k < 2 else -INFINITY  # outside
        if not again:
            shift = 0
            if t % LOOK == 0:
                most = max(greatest(old[0], s.width), greatest(old[1], s.width))
                if 0.0 < most < INFINITY:
                    shift = ilogb(most)
            room.exponents[t + 1] = room.exponents[t] + shift
        load(room, job, t, power_of_two(room.exponents[t] - room.exponents[t + 1]))
        load_logs(job, t, logs)
        sum_row(old[0], old[1], new[0], new[1], room.q, job.symbol + s.low, job.step + s.low, s.width)
        max_row(old[2], old[3], new[2], new[3], logs, job.symbol + s.low, job.bar + s.low, s.width)


cdef inline double log_add(double a, double b) noexcept nogil:
    cdef double top = max(a, b)
    return top if top == -INFINITY else top + log1p(exp(min(a, b) - top))


cdef inline void keep_greater(Wide *a, double value, Py_ssize_t exponent) noexcept nogil:
    if value > 0.0:
        if a.value == 0.0 or exponent > a.exponent + 900:
            a.value = value
            a.exponent = exponent
        else:
            a.value = max(a.value, value * power_of_two(exponent - a.exponent))


cdef inline void multiply(Wide *a, double factor) noexcept nogil:
    cdef int shift = 0
    if not 1e-90 < a.value < 1e90 and 0.0 < a.value < INFINITY:
        a.value = frexp(a.value, &shift)
        a.exponent += shift
    a.value *= factor


cdef inline double log_of(Wide a) noexcept nogil:
    return log(a.value) + a.exponent * LN2


# What the way back knows in a frame.
cdef struct Back:
    double *blanks          # sums over what follows, this frame included
    double *labels
    Py_ssize_t low
    Py_ssize_t width
    Py_ssize_t exponent
    Wide below              # the most that what follows a state below the band may come to
    Wide above              # ... above the band
    Wide anything           # ... any state, if anything may stand before it
    Wide edge               # ... the first label of the band, in its stretch
    Py_ssize_t most_exponent    # in a stretch
    Py_ssize_t unit_before  # bounds on the exponents of the sums of the frames before and behind a stretch
    Py_ssize_t unit_behind
    Py_ssize_t end          # exponent of the sum over all paths
    double lost             # logarithm of the most that the paths cut off may come to
    double span_lost        # ... of what was left out in a span's place
    Py_ssize_t place        # where the best path is
    bint in_blank
    Py_ssize_t n_active     # spans that are open
    Py_ssize_t n_seen


cdef double product(double a, double b, double c, Py_ssize_t exponent) noexcept nogil:
    """a b c 2**exponent, where a part of it may be less than the least double."""
    cdef int shift = 0
    a = frexp(a, &shift)
    exponent += shift
    b = frexp(b, &shift)
    exponent += shift
    c = frexp(c, &shift)
    exponent += shift
    return ldexp(a * b * c, <int> max(min(exponent, 9999), -9999))


cdef inline double label_of(const Back *back, Py_ssize_t i) noexcept nogil:
    return back.labels[i - back.low] if back.low <= i < back.low + back.width else 0.0


cdef void open_spans(Room *room, const Job *job, Back *back, Py_ssize_t t, const Stretch *s) noexcept nogil:
    """Add what may stand in the places of the open spans; ``back`` is still in frame t + 1."""
    cdef const double *blanks = row_of(room, s, t % STRETCH, 0)
    cdef const double *labels = row_of(room, s, t % STRETCH, 1)
    cdef const double *row = job.probs + t * job.n_classes
    cdef Py_ssize_t w, k, start, stop, i, label, apart_of = -1
    cdef double everything = room.everything[t], p, x, apart, next_, recent, follows, rest = 0.0
    cdef double of_frame = room.scales[t]
    cdef Py_ssize_t unit = room.exponents[t] + back.exponent - back.end
    cdef double scale = power_of_two(unit) if -1000 < unit < 1000 else 0.0
    w = 0
    while w < back.n_active:
        k = room.active[w]
        start = job.spans[2 * k]
        stop = job.spans[2 * k + 1]
        next_ = label_of(back, stop + 1) if stop < job.n else 0.0
        if start > 0:
            if start - 1 >= s.highest:  # no path has come so far in this frame or before
                back.n_active -= 1
                room.active[w] = room.active[back.n_active]
                continue
            i = start - 1 - s.low
            if 0 <= i < s.width:
                recent = blanks[i] + job.step[start] * labels[i]
                if recent > 0.0:
                    follows = room.waiting[k]
                    if stop < job.n and job.symbol[start] != job.symbol[stop + 1]:
                        follows += next_
                    p = row[job.classes[job.symbol[start]]] * of_frame
                    if job.watched:
                        keep_greater(&room.starts_most[k], recent * p, room.exponents[t] + back.unit_before)
                    x = recent * p * follows
                    if scale > 0.0 and x > 1e-250:
                        room.sums[k] += x * scale
                    else:
                        room.sums[k] += product(recent, p, follows, unit)
        apart = 0.0
        if next_ > 0.0:
            if job.watched:
                keep_greater(&room.stops_most[k], next_, back.exponent + back.unit_behind)
            label = job.classes[job.symbol[stop + 1]]
            p = row[label] * of_frame
            apart = everything - p
            if p >= 0.5 * everything:  # a difference would lose the digits of a small remainder
                if label != apart_of:
                    rest = others(job, t, label) * of_frame
                    apart_of = label
                apart = rest
        room.waiting[k] = everything * room.waiting[k] + apart * next_
        w += 1
    # With the frame before in view, more spans may have something behind them.
    while back.n_seen < job.n_spans and job.spans[2 * back.n_seen + 1] + 1 >= s.low:
        k = back.n_seen
        room.waiting[k] = 0.0
        room.sums[k] = 0.0
        room.starts_most[k].value = room.stops_most[k].value = 0.0
        room.starts_most[k].exponent = room.stops_most[k].exponent = 0
        room.active[back.n_active] = k
        back.n_active += 1
        back.n_seen += 1


cdef void step_back(const Room *room, const Job *job, Back *back, Py_ssize_t t, const Stretch *s) noexcept nogil:
    """One frame of the best path, seen from its end."""
    cdef Py_ssize_t i = back.place - s.low
    cdef const double *blanks = row_of(room, s, t % STRETCH, 2)
    cdef const double *labels = row_of(room, s, t % STRETCH, 3)
    cdef double best
    cdef int way = 0
    if back.in_blank:
        if labels[i] > blanks[i]:
            back.in_blank = False
            job.last[back.place] = t - 1
        return
    job.first[back.place] = t
    best = labels[i]
    if blanks[i - 1] > best:
        best = blanks[i - 1]
        way = 1
    if labels[i - 1] + job.bar[back.place] > best:
        way = 2
    if way and t > 0:
        back.place -= 1
        back.in_blank = way == 1
        if way == 2:
            job.last[back.place] = t - 1


cdef int bound_losses(
    Room *room, const Job *job, Back *back, const Stretch *s, Py_ssize_t t, Wide away, Py_ssize_t least
) except -1 nogil:
    """Add what was cut off before a stretch that begins in frame t, and what never came into sight there.

    ``away`` is the most that what follows a state outside came to in its frames, ``least`` the greatest exponent there.
    """
    cdef Py_ssize_t i = s.fresh - s.low
    cdef double top, unseen, unseen_after
    if job.n_spans:  # the rest of the text may also begin outside the band, or there where it vanishes
        unseen_after = (least - 1022) * LN2
        if away.value > 0.0:
            unseen_after = log_add(unseen_after, log_of(away))
        back.span_lost = log_add(back.span_lost, s.begun + unseen_after + log(<double> STRETCH * job.n_frames))
    # What was cut off is in the band again where that was empty, or else outside.
    if i < s.width:
        top = 3.0 * max(greatest(back.blanks + i, s.width - i), greatest(back.labels + i, s.width - i))
        keep_greater(&back.above, top, back.exponent)
    if s.dropped > -INFINITY:
        if back.below.value > 0.0:
            back.lost = log_add(back.lost, s.dropped + log_of(back.below))
        if back.above.value > 0.0:
            back.lost = log_add(back.lost, s.dropped + log_of(back.above))
    # What vanished unseen was below the least double, in any state of the band.
    top = 3.0 * max(greatest(back.blanks, s.width), greatest(back.labels, s.width))
    keep_greater(&back.anything, top, back.exponent)
    unseen = log(<double> (2 * STRETCH * s.width)) + (room.exponents[t] - 1022) * LN2
    if top > 0.0:
        back.lost = log_add(back.lost, unseen + log(top) + back.exponent * LN2)
    if job.n_spans and back.anything.value > 0.0:
        back.span_lost = log_add(back.span_lost, log_add(unseen, s.dropped) + log_of(back.anything))
    return 0


cdef void watch_back(Room *room, const Job *job, Back *back, Py_ssize_t j, double reach) noexcept nogil:
    """Note what leaves the band of the stretch behind a stretch on the way back, and where that is as good as all."""
    cdef Stretch *s = &room.stretches[j]
    cdef Stretch *behind = s + 1 if (j + 1) * STRETCH < job.n_frames else &room.last
    cdef Py_ssize_t t = (j + 1) * STRETCH, i, top = min(s.low + s.width - back.low, back.width), end, low
    cdef double norm = room.last.norm - behind.norm, slack, value = 0.0, most
    # Sums of frames are near 1 when they are scaled: within a stretch they come to 4**16 at most.
    back.unit_before = <Py_ssize_t> (-min(s.norm, behind.norm) / LN2) + 2 * STRETCH + 1
    back.unit_behind = <Py_ssize_t> (-min(norm, room.last.norm - s.norm) / LN2) + 2 * STRETCH + 1
    if behind != &room.last:
        slack = 2.0 * STRETCH - norm
        end = min(back.low + back.width + 1, job.n + 1)
        low = max(0, back.low - STRETCH)
        value = log(<double> (2 * STRETCH * back.width)) + (back.most_exponent - 1022) * LN2 + slack
        note(room.ends_lost, &room.n_ends_lost, t, low, end, value, False)
        if back.edge.value > 0.0:
            value = log_of(back.edge) + log(<double> STRETCH) + slack
            note(room.ends_lost, &room.n_ends_lost, t, low, back.low + 1, value, False)
        value = 0.0
        for i in range(max(0, top), back.width):
            value += back.blanks[i] + back.labels[i]
        if value > 0.0:
            value = log(value) + back.exponent * LN2 - norm
            note(room.ends_lost, &room.n_ends_lost, t, max(0, back.low + top - 2), end, value, False)
        # Seen from the end, a blank comes after the label behind it.
        top -= 1
        if top > 0:
            most = max(greatest(back.blanks, top), greatest(back.labels, top))
            if 0.0 < most < INFINITY:
                value = log(most) - 0.25 * reach + back.exponent * LN2 - norm
                most *= exp(-0.25 * reach)
                note_sure(
                    room.ends_lost, &room.n_ends_lost, t, back.low, back.labels + 1, back.blanks, 0, top, most, value
                )
    back.edge.value = 0.0


cdef int go_back(Room *room, Job *job, Py_ssize_t end, double reach) except -1 nogil:
    cdef Py_ssize_t n = job.n, t, j, part, start, stop, k, i, shift, w, count, first_stretch, last_stretch, least
    cdef Stretch *s
    cdef double *spare
    cdef double *old_blanks
    cdef double *old_labels
    cdef double most
    cdef Back back
    cdef Wide away
    cdef const double *ends
    for j in range((job.n_frames - 1) // STRETCH + 1):
        grow(<void **> &room.back, &room.n_back, room.stretches[j].width + 2, 4 * sizeof(double))
    memset(room.back, 0, 4 * room.n_back * sizeof(double))
    j = (job.n_frames - 1) // STRETCH
    s = &room.stretches[j]
    back.blanks = room.back + 1
    back.labels = back.blanks + room.n_back
    spare = back.labels + room.n_back
    back.low = s.low
    back.width = s.width
    back.exponent = 0
    back.end = end
    back.edge.value = 0.0
    back.edge.exponent = 0
    back.most_exponent = back.unit_before = back.unit_behind = 0
    room.n_ends_lost = 0
    back.below.value = back.above.value = back.anything.value = 0.0
    back.below.exponent = back.above.exponent = back.anything.exponent = 0
    back.lost = back.span_lost = -INFINITY
    back.n_active = 0
    back.n_seen = 0
    # After the last frame a path must be in the last label or the last blank: as if one more blank followed, of
    # probability 1.
    back.blanks[n - s.low] = 1.0
    ends = row_of(room, s, job.n_frames - j * STRETCH, 2)
    best = ends[n - s.low]
    ends = row_of(room, s, job.n_frames - j * STRETCH, 3)
    back.in_blank = n == 0 or best > ends[n - s.low]
    back.place = n
    if not back.in_blank:
        job.last[n] = job.n_frames - 1
    while back.n_seen < job.n_spans and job.spans[2 * back.n_seen + 1] + 1 >= s.low:
        k = back.n_seen
        room.waiting[k] = 1.0 if job.spans[2 * k + 1] == n else 0.0
        room.sums[k] = 0.0
        room.starts_most[k].value = room.stops_most[k].value = 0.0
        room.starts_most[k].exponent = room.stops_most[k].exponent = 0
        room.active[back.n_active] = k
        back.n_active += 1
        back.n_seen += 1
    for part in range(room.n_parts, -1, -1):
        first_stretch = room.starts[part - 1] if part else 0
        last_stretch = room.starts[part] - 1 if part < room.n_parts else (job.n_frames - 1) // STRETCH
        if part < room.n_parts:  # its rows were given up
            s = &room.stretches[first_stretch]
            if part:
                memcpy(room.rows + s.place, room.kept[part - 1], 4 * (s.width + 2) * sizeof(double))
            else:
                refill_start(room, s)
            for j in range(first_stretch, last_stretch + 1):
                if j > first_stretch:
                    refill(room, j)
                sweep(room, job, j, True)
                look_for_signals(room, STRETCH * room.stretches[j].width)
        for j in range(last_stretch, first_stretch - 1, -1):
            s = &room.stretches[j]
            start = j * STRETCH
            stop = min(job.n_frames, start + STRETCH)
            if job.watched:
                watch_back(room, job, &back, j, reach)
            if back.low != s.low or back.width != s.width:  # the band of the stretch before
                old_blanks = back.blanks
                old_labels = back.labels
                back.blanks = spare
                back.labels = spare + room.n_back
                spare = old_blanks
                memset(back.blanks - 1, 0, (s.width + 2) * sizeof(double))
                memset(back.labels - 1, 0, (s.width + 2) * sizeof(double))
                i = back.low - s.low  # not negative
                count = min(s.width - i, back.width)
                if count > 0:
                    memcpy(back.blanks + i, old_blanks, count * sizeof(double))
                    memcpy(back.labels + i, old_labels, count * sizeof(double))
                back.low = s.low
                back.width = s.width
            least = back.exponent
            away = back.above
            keep_greater(&away, back.below.value, back.below.exponent)
            if s.low <= max(0, n - (job.n_frames - start)):
                back.below.value = 0.0  # from there the end is out of reach
            for t in range(stop - 1, start - 1, -1):
                if job.n_spans:
                    open_spans(room, job, &back, t, s)
                shift = 0
                if t % LOOK == LOOK - 1:
                    most = max(greatest(back.blanks, s.width), greatest(back.labels, s.width))
                    if 0.0 < most < INFINITY:
                        shift = ilogb(most)
                        keep_greater(&back.anything, 27.0 * most, back.exponent)  # 3 a frame until the next look
                        for w in range(back.n_active):
                            room.waiting[room.active[w]] *= power_of_two(-shift)
                load(room, job, t, power_of_two(-shift))
                back.exponent += shift
                sum_row_back(
                    back.blanks, back.labels, spare, spare + room.n_back, room.q, job.symbol + s.low,
                    job.step + s.low, s.width
                )
                old_blanks = back.blanks
                back.blanks = spare
                back.labels = spare + room.n_back
                spare = old_blanks
                back.labels[s.width] = 0.0
                if s.low > 0:
                    keep_greater(&back.edge, back.labels[0], back.exponent)
                multiply(&back.anything, room.everything[t])
                multiply(&back.above, room.growth[t])
                multiply(&back.below, room.growth[t])
                if s.low > n - (job.n_frames - start):
                    keep_greater(&back.below, back.labels[0], back.exponent)
                    keep_greater(&away, back.below.value, back.below.exponent)
                if room.growth[t] > 1.0:
                    keep_greater(&away, back.above.value, back.above.exponent)
                step_back(room, job, &back, t, s)
            back.most_exponent = max(least, back.exponent)
            bound_losses(room, job, &back, s, start, away, back.most_exponent)
            look_for_signals(room, STRETCH * s.width)
    # Nothing of a text is complete before the first frame, except its empty beginning.
    for w in range(back.n_active):
        k = room.active[w]
        if job.spans[2 * k] == 0:
            most = room.waiting[k]
            if job.spans[2 * k + 1] < n:
                most += label_of(&back, job.spans[2 * k + 1] + 1)
            room.sums[k] += ldexp(
                most, <int> max(min(back.exponent - back.end, 9999), -9999)
            )
    job.bound = back.lost
    job.span_bound = back.span_lost
    return 0


cdef void refill_start(Room *room, Stretch *s) noexcept nogil:
    cdef Py_ssize_t i, k
    cdef double *row
    for k in range(4):
        row = row_of(room, s, 0, <int> k)
        for i in range(-1, s.width + 1):
            row[i] = 0.0 if k < 2 else -INFINITY
    row_of(room, s, 0, 0)[0] = 1.0
    row_of(room, s, 0, 2)[0] = 0.0


cdef void refill(Room *room, Py_ssize_t j) noexcept nogil:
    """The first row of a stretch once more."""
    cdef Stretch *s = &room.stretches[j]
    cdef Stretch *before = s - 1
    cdef Py_ssize_t i, k
    cdef double *row
    for k in range(4):
        row = row_of(room, s, 0, <int> k)
        for i in range(-1, s.width + 1):
            row[i] = 0.0 if k < 2 else -INFINITY
        memcpy(
            row, row_of(room, before, STRETCH, <int> k) + s.low - before.low, (s.fresh - s.low) * sizeof(double)
        )


cdef double bound_spans(
    Room *room, const Job *job, Outside *o, const int32_t *before, double total, double shares
) except? -1.0 nogil:
    """What may be missing in the sum over everything in a span's place, as bounded for the span where it is most.

    The labels before a span may be complete outside of the band (``before``: the most that groups of them come to), or
    those behind may begin there; between the two anything may stand.
    """
    cdef Py_ssize_t k, start, stop
    cdef double starts, stops, lost_starts, lost_stops, missing, most = -INFINITY
    cdef double often = log(<double> job.n_frames), least = total - 100.0
    bound_places(o, room.ends_lost, room.n_ends_lost, False, True, least)
    shares += o.shares
    for k in range(job.n_spans):
        start = job.spans[2 * k]
        stop = job.spans[2 * k + 1]
        starts = stops = 0.0
        lost_starts = lost_stops = -INFINITY
        if start > 0:
            starts = log_of(room.starts_most[k]) + often
            lost_starts = max(nats(before[start // GROUP]), least) + log(<double> (room.n_sums_lost + 1)) + often
        if stop < job.n:
            stops = log_of(room.stops_most[k]) + often
            lost_stops = max(nats(o.most[(stop + 1) // GROUP]), least) + log(<double> (room.n_ends_lost + 1)) + often
        missing = log_add(lost_starts + log_add(stops, lost_stops), starts + lost_stops)
        # The sum itself is in units of 2**end.
        most = max(most, missing - (log(room.sums[k]) + job.end * LN2 - room.last.norm))
    if shares > 0.0:
        most = log_add(most, log(2.0 * shares))
    return job.total + most


cdef int bound_lost(Room *room, Job *job, double path) except -1 nogil:
    """What has left the band, by groups of labels: where the sums of all frames promise too little."""
    cdef Outside o
    cdef double total, value, shares
    cdef int32_t *most
    memset(&o, 0, sizeof(Outside))
    o.probs = job.probs
    o.n_frames = job.n_frames
    o.n_classes = job.n_classes
    o.n = job.n
    o.classes = job.classes
    o.n_symbols = job.n_symbols
    o.symbol = job.symbol
    try:
        take_room(&o)
        total = job.total - room.last.norm
        bound_places(&o, room.sums_lost, room.n_sums_lost, False, False, total - 100.0)
        value = o.end + log(<double> (2 * room.n_sums_lost))
        if o.shares > 0.0:
            value = log_add(value, total + log(o.shares))
        if job.bound > job.total - PROMISED:
            job.bound = value + room.last.norm
        shares = o.shares
        most = o.most
        o.most = NULL
        take_room(&o)
        try:
            if job.n_spans:
                job.span_bound = bound_spans(room, job, &o, most, total, shares)
        finally:
            free(most)
        # The best path is the best of all if no path that has left the band can be as good.
        total = path + job.exponent * LN2 - room.last.tops
        bound_places(&o, room.paths_lost, room.n_paths_lost, True, False, total - 10.0)
        if job.path_bound > 0.0:
            job.path_bound = o.end - total + 1e-6
    finally:
        leave_room(&o)
    return 0


cdef bint attempt(Room *room, Job *job, double reach, double *path) except -1 nogil:
    """Annotate within a band; ``path`` is the log probability of the best path, scaled as the total is."""
    cdef Py_ssize_t j, n_stretches = (job.n_frames - 1) // STRETCH + 1, k
    cdef Stretch *s = NULL
    cdef double total
    cdef int exponent
    cdef size_t used = 0
    drop_parts(room)
    room.n_sums_lost = room.n_paths_lost = 0
    room.exponents[0] = 0
    for j in range(n_stretches):
        if not begin(room, job, reach, j, &used):
            return False
        sweep(room, job, j, False)
        look_for_signals(room, STRETCH * room.stretches[j].width)
    s = &room.stretches[n_stretches - 1]
    if s.low + s.width != job.n + 1:
        return False
    k = job.n_frames - (n_stretches - 1) * STRETCH
    total = row_of(room, s, k, 0)[s.width - 1] + row_of(room, s, k, 1)[s.width - 1]
    path[0] = max(row_of(room, s, k, 2)[s.width - 1], row_of(room, s, k, 3)[s.width - 1]) - job.exponent * LN2
    if not 0.0 < total < INFINITY or path[0] == -INFINITY:
        return False
    job.total = log(total) + room.exponents[job.n_frames] * LN2
    total = frexp(total, &exponent)
    job.end = room.exponents[job.n_frames] + exponent
    if job.watched:
        watch_sums(room, job, job.n_frames, s, &room.last)
    go_back(room, job, job.end, reach)
    for k in range(job.n_spans):
        job.probabilities[k] = min(1.0, total / room.sums[k])
    return True


cdef int watch_from_now(Room *room, Job *job) except -1 nogil:
    cdef Py_ssize_t n_places = 4 * (job.n_frames // STRETCH + 2), had = room.most_lost
    job.watched = True
    grow(<void **> &room.sums_lost, &had, n_places, sizeof(Place))
    had = room.most_lost
    grow(<void **> &room.ends_lost, &had, n_places, sizeof(Place))
    grow(<void **> &room.paths_lost, &room.most_lost, n_places, sizeof(Place))
    return 0


cdef int annotate_one(Room *room, Job *job) except -1 nogil:
    cdef double depth, reach, path = 0.0, missing, span_missing
    cdef bint provable
    if job.n_frames == 0:
        job.failed = True
        return 0
    prepare(room, job)
    depth = survey(room, job)
    # What proves enough as a rule; where the frames' sums cannot, groups of labels may.
    provable = 60.0 + 2.2 * depth <= FARTHEST
    job.watched = False
    reach = 60.0 + 2.2 * depth if job.n_spans else 40.0 + 0.4 * depth
    if not provable:
        watch_from_now(room, job)
        reach = WATCHED
    while True:
        if not attempt(room, job, reach, &path):
            if reach == FARTHEST:
                job.failed = True
                return 0
            reach = FARTHEST
            continue
        # Nothing that was cut off may count in the sum, nor be better than the best path, nor count for a span.
        job.path_bound = job.bound - path
        missing = max(job.bound - (job.total - PROMISED), job.path_bound)
        if job.watched and (missing > 0.0 or job.n_spans):
            bound_lost(room, job, path)
            missing = max(job.bound - (job.total - PROMISED), job.path_bound)
        span_missing = job.span_bound - (job.total - PROMISED)
        if missing <= 0.0 and (span_missing <= 0.0 or not provable):
            break
        if reach == FARTHEST:
            if job.watched or missing <= 0.0:
                break
            watch_from_now(room, job)
        reach = min(FARTHEST, reach + max(0.6 * missing, 2.0 * span_missing if provable else 0.0) + 10.0)
    if (missing > 0.0 or span_missing > 0.0) and job.n_frames * (2 * job.n + 1) <= FEW:
        job.failed = True
    job.bound = max(at_most(job.bound - job.total), job.path_bound)
    job.span_bound = max(job.bound, at_most(job.span_bound - job.total))
    job.total += job.exponent * LN2
    return 0


cdef double at_most(double missing) noexcept nogil:
    """By how much a logarithm may be wrong where ``missing`` nats more than its number were left out."""
    cdef double result = missing if missing > 700.0 else log1p(exp(missing))
    return result if result >= EXACT else 0.0


cdef class _Text:
    """Checked arguments, and what is found."""
    cdef Job job
    cdef object kept  # the arrays whose memory is in use
    cdef list order
    cdef Py_ssize_t *positions
    cdef Py_ssize_t *spans

    def __cinit__(self, const double[:, ::1] probs, logs, labels, spans, int blank):
        cdef Job *job = &self.job
        cdef Py_ssize_t i, n, start, stop, n_classes = probs.shape[1]
        cdef int label
        cdef int *number
        cdef tuple given = tuple(labels)
        cdef list pairs = [(start, stop) for start, stop in spans]
        cdef const double[:, ::1] doubles
        cdef const float[:, ::1] floats
        if not 0 <= blank < n_classes:
            raise ValueError(f"blank must be a class, 0 to {n_classes - 1}, got {blank}")
        n = len(given)
        job.n = n
        job.n_frames = probs.shape[0]
        job.n_classes = n_classes
        job.probs = &probs[0, 0] if job.n_frames else NULL
        self.kept = (probs, logs)
        if logs is not None:
            if logs.shape[0] != job.n_frames or logs.shape[1] != n_classes:
                raise ValueError("probabilities and their logarithms must have the same shape")
            if logs.dtype.char == "f":
                floats = logs
                job.floats = &floats[0, 0] if job.n_frames else NULL
            else:
                doubles = logs
                job.doubles = &doubles[0, 0] if job.n_frames else NULL
        job.classes = <int *> malloc(2 * (n_classes + 1) * sizeof(int))
        job.symbol = <int32_t *> calloc(n + 2, sizeof(int32_t))
        job.step = <double *> calloc(2 * (n + 2), sizeof(double))
        self.positions = <Py_ssize_t *> calloc(2 * (n + 1), sizeof(Py_ssize_t))
        self.spans = <Py_ssize_t *> malloc((2 * len(pairs) + 1) * sizeof(Py_ssize_t))
        job.probabilities = <double *> malloc((len(pairs) + 1) * sizeof(double))
        if (
            job.classes is NULL or job.symbol is NULL or job.step is NULL or self.positions is NULL
            or self.spans is NULL or job.probabilities is NULL
        ):
            raise MemoryError()
        job.bar = job.step + n + 2
        job.first = self.positions
        job.last = self.positions + n + 1
        number = job.classes + n_classes + 1
        for i in range(n_classes):
            number[i] = -1
        number[blank] = 0
        job.classes[0] = blank
        job.n_symbols = 1
        for i in range(n):
            if not 0 <= given[i] < n_classes or given[i] == blank:  # still Python's numbers, which may be of any size
                raise ValueError(
                    f"labels must be classes, 0 to {n_classes - 1}, other than the blank {blank}, got {given[i]}"
                )
            label = given[i]
            if number[label] < 0:
                number[label] = <int> job.n_symbols
                job.classes[job.n_symbols] = label
                job.n_symbols += 1
            job.symbol[i + 1] = number[label]
        job.symbol[0] = job.symbol[n + 1] = <int32_t> job.n_symbols
        for i in range(n + 2):
            job.step[i] = 1.0 if 1 < i <= n and job.symbol[i] != job.symbol[i - 1] else 0.0
            job.bar[i] = 0.0 if job.step[i] > 0.0 else -INFINITY
        for start, stop in pairs:
            if not 0 <= start <= stop <= n:
                raise ValueError(f"spans must lie within the {n} labels, got ({start}, {stop})")
        self.order = sorted(range(len(pairs)), key=lambda k: -pairs[k][1])
        for i in range(len(pairs)):
            self.spans[2 * i], self.spans[2 * i + 1] = pairs[self.order[i]]
        job.n_spans = len(pairs)
        job.spans = self.spans

    def __dealloc__(self):
        free(self.job.classes)
        free(self.job.symbol)
        free(self.job.step)
        free(self.positions)
        free(self.spans)
        free(self.job.probabilities)

    cdef tuple found(self, given, int blank):
        cdef Job *job = &self.job
        cdef Py_ssize_t i
        cdef list probabilities
        if job.failed:
            return _whole(given, blank)
        probabilities = [0.0] * job.n_spans
        for i in range(job.n_spans):
            probabilities[self.order[i]] = job.probabilities[i]
        return (
            job.total,
            tuple([job.first[i] for i in range(1, job.n + 1)]),
            tuple([job.last[i] for i in range(1, job.n + 1)]),
            tuple(probabilities),
            job.bound,
            job.span_bound,
        )


cdef tuple _whole(given, int blank):
    """Where a band does not do: by the whole lattice, if that is not too much."""
    probs, logs, labels, spans = given
    labels = tuple(labels)
    if len(probs) * (2 * len(labels) + 1 + 4 * len(spans)) > MANY:
        return -INFINITY, (), (), (0.0,) * len(spans), INFINITY, INFINITY
    exact = probs if logs is None else logs.astype("f8", copy=False)
    total = log_probability(probs, labels, blank, False)
    _, first, last, _, _ = best_alignment(exact, labels, blank, logs is not None, INFINITY, INFINITY, MEMORY, False)
    return total, first, last, span_probabilities(probs, labels, blank, False, spans), 0.0, 0.0


def annotate(batch, int blank) -> list:
    cdef list items = list(batch), texts = []
    cdef Py_ssize_t i, n = len(items)
    cdef Room room
    cdef _Text text
    cdef Job **jobs = <Job **> malloc((n + 1) * sizeof(Job *))
    if jobs is NULL:
        raise MemoryError()
    memset(&room, 0, sizeof(Room))
    try:
        for i in range(n):
            probs, logs, labels, spans = items[i]
            text = _Text(probs, logs, labels, spans, blank)
            texts.append(text)
            jobs[i] = &text.job
        with nogil:
            for i in range(n):
                annotate_one(&room, jobs[i])
        return [(<_Text> texts[i]).found(items[i], blank) for i in range(n)]
    finally:
        leave(&room)
        free(jobs)
