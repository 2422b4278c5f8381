"""Sums over the paths of a text and its best path, within a band of the lattice: the memory, and the way forward.

Sums are doubles with one exponent a frame. The rows of all frames are kept as long as there is room (ROOM numbers), and
from then on one row at each point where the room was full (a check-point), from which the room is filled again.
"""

from libc.math cimport INFINITY, exp, ilogb, log
from libc.stdlib cimport free
from libc.string cimport memcpy

from fastctc.compiled.band cimport STRETCH, Text, greatest, load_logs, max_row, sum_row
from fastctc.compiled.interrupts cimport look_after
from fastctc.compiled.lattice cimport LN2
from fastctc.compiled.magnitudes cimport Wide, two_to_the
from fastctc.compiled.memory cimport resize
from fastctc.compiled.outside cimport Place

cdef enum:
    LOOK = 4                # frames between two changes of the exponent
    ROOM = 1 << 20          # numbers that are kept
    WIDEST_BAND = 1 << 15
    SIGNAL_WORK = 1 << 22   # labels between two looks for Ctrl-C

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

# A text that is to be annotated.
cdef struct Job:
    Text text               # its frames are what best paths add up
    const double *probs     # what sums are made of
    double *step            # 1 where label i may follow label i - 1, else 0
    Py_ssize_t n_spans
    const Py_ssize_t *spans     # start, stop, by descending stop
    # What is found, beside the best path.
    double *probabilities   # of the spans
    double total
    double bound            # how much too small the total may be
    double path_bound       # how much better another path may be
    double span_bound       # ... the sum over everything in a span's place
    Py_ssize_t exponent     # of what all scales have divided by
    Py_ssize_t end          # exponent of the sum over all paths, so scaled
    bint watched            # whether it is noted what leaves the band
    bint failed             # the band lost the text

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

# What the way back knows in a frame.
cdef struct Back:
    double *blanks          # sums over what follows, this frame included
    double *labels
    double *spare           # two more rows
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
    Py_ssize_t n_active     # spans that are open
    Py_ssize_t n_seen


cdef inline int grow(void **memory, Py_ssize_t *has, Py_ssize_t wanted, size_t size) except -1 nogil:
    if wanted > has[0]:
        resize(memory, wanted, size)
        has[0] = wanted
    return 0


cdef inline int prepare(Room *room, const Job *job) except -1 nogil:
    """Memory for a text, but for what depends on the widths of its bands."""
    cdef Py_ssize_t n_frames = job.text.n_frames
    if n_frames > room.n_frames:
        resize(<void **> &room.stretches, n_frames // STRETCH + 1, sizeof(Stretch))
        resize(<void **> &room.exponents, n_frames + 1, sizeof(Py_ssize_t))
        resize(<void **> &room.scales, n_frames, sizeof(double))
        resize(<void **> &room.growth, n_frames, sizeof(double))
        resize(<void **> &room.everything, n_frames, sizeof(double))
        room.n_frames = n_frames
    grow(<void **> &room.q, &room.n_symbols, job.text.n_symbols + 1, 2 * sizeof(double))
    if job.n_spans > room.n_spans:
        resize(<void **> &room.waiting, job.n_spans, sizeof(double))
        resize(<void **> &room.sums, job.n_spans, sizeof(double))
        resize(<void **> &room.starts_most, job.n_spans, sizeof(Wide))
        resize(<void **> &room.stops_most, job.n_spans, sizeof(Wide))
        resize(<void **> &room.active, job.n_spans, sizeof(Py_ssize_t))
        room.n_spans = job.n_spans
    return 0


cdef inline void leave(Room *room) noexcept nogil:
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


cdef inline void drop_parts(Room *room) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(room.n_parts):
        free(room.kept[k])
    room.n_parts = 0


cdef inline double others(const Job *job, Py_ssize_t t, Py_ssize_t but) noexcept nogil:
    """Sum of a frame's probabilities, without a class's."""
    cdef const double *row = job.probs + t * job.text.n_classes
    cdef double a = 0.0, b = 0.0, c = 0.0, d = 0.0
    cdef Py_ssize_t k = 0
    if but < 0:
        while k + 4 <= job.text.n_classes:
            a += row[k]
            b += row[k + 1]
            c += row[k + 2]
            d += row[k + 3]
            k += 4
    while k < job.text.n_classes:
        if k != but:
            a += row[k]
        k += 1
    return (a + b) + (c + d)


cdef inline double survey(Room *room, Job *job) noexcept nogil:
    """Fill in scales, growths and sums; returns how far the frames' best classes lie below the sums in all."""
    cdef Py_ssize_t t, k
    cdef const double *row
    cdef double x, most, second, result = 0.0, blank, product = 1.0, everything, scale
    cdef int exponent
    job.exponent = 0
    for t in range(job.text.n_frames):
        row = job.probs + t * job.text.n_classes
        blank = row[job.text.classes[0]]
        most = second = 0.0
        for k in range(1, job.text.n_symbols):
            x = row[job.text.classes[k]]
            second = x if x > second else second
            second = most if second > most else second
            most = x if x > most else most
        everything = others(job, t, -1)
        scale = 1.0
        if not 0.25 < everything < 4.0 and 0.0 < everything < INFINITY:
            exponent = max(ilogb(everything), -1022)
            scale = two_to_the(-exponent)
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
    cdef const double *row = job.probs + t * job.text.n_classes
    cdef double *q = room.q
    cdef double scale = room.scales[t]
    cdef Py_ssize_t k
    for k in range(job.text.n_symbols):
        q[k] = row[job.text.classes[k]] * scale * factor
    q[job.text.n_symbols] = 0.0


# The four arrays of a row: sums and best paths, of blanks and labels.
cdef inline double *row_of(const Room *room, const Stretch *s, Py_ssize_t number, int which) noexcept nogil:
    return room.rows + s.place + (4 * number + which) * (s.width + 2) + 1


cdef inline int make_room(Room *room, Py_ssize_t j, size_t *used) except -1 nogil:
    """A place for the rows of a stretch: behind those before it, or in the room that they leave."""
    cdef Stretch *s = &room.stretches[j]
    cdef size_t size = 4 * (STRETCH + 1) * <size_t> (s.width + 2)
    cdef Py_ssize_t parts
    if used[0] + size > ROOM and used[0] > 0:
        if room.n_parts == room.most_parts:
            parts = 2 * room.most_parts + 16
            resize(<void **> &room.starts, parts, sizeof(Py_ssize_t))
            resize(<void **> &room.kept, parts, sizeof(double *))
            room.most_parts = parts
        room.starts[room.n_parts] = j
        room.kept[room.n_parts] = NULL
        room.n_parts += 1
        used[0] = 0
    s.place = used[0]
    used[0] += size
    if used[0] > room.n_rows:
        resize(<void **> &room.rows, used[0], sizeof(double))
        room.n_rows = used[0]
    return 0


cdef inline double log_product(const double *factors, Py_ssize_t n) noexcept nogil:
    cdef double product = 1.0, result = 0.0
    cdef Py_ssize_t i
    for i in range(n):
        if not 1e-90 < product < 1e90:
            result += log(product)
            product = 1.0
        product *= factors[i]
    return result + log(product)


cdef inline void empty_row(Room *room, const Stretch *s) noexcept nogil:
    """Nothing in the first row of a stretch: sums are 0, and logarithms minus infinity."""
    cdef Py_ssize_t i
    cdef double *row
    cdef int k
    for k in range(4):
        row = row_of(room, s, 0, k)
        for i in range(-1, s.width + 1):
            row[i] = 0.0 if k < 2 else -INFINITY


cdef inline void first_row(Room *room, const Stretch *s) noexcept nogil:
    """Before the first frame every path is in the first blank."""
    empty_row(room, s)
    row_of(room, s, 0, 0)[0] = 1.0
    row_of(room, s, 0, 2)[0] = 0.0


cdef inline int begin(Room *room, const Job *job, size_t *used) except -1 nogil:
    """The band and the first row of the first stretch; 0 if the frames are too few for the text."""
    cdef Stretch *s = room.stretches
    if job.text.n > job.text.n_frames:
        return 0
    s.low = 0
    s.width = min(job.text.n + 1, 1 + STRETCH)
    s.fresh = 1
    s.highest = s.width
    s.dropped = -INFINITY
    s.begun = s.norm = s.tops = 0.0
    make_room(room, 0, used)
    first_row(room, s)
    return 1


cdef inline int choose_band(
    Room *room, const Job *job, double reach, Py_ssize_t j, Py_ssize_t *start, Py_ssize_t *stop
) noexcept nogil:
    """The band of a stretch: states ``start`` to ``stop`` - 1 of the band before, and new ones; 0 if nothing is left.

    States are cut off if they are below exp(-reach) of the greatest, or if the end is out of their reach. Of these,
    ``needed`` is the first that is not: never above the band before, whose end is STRETCH states further than what it
    kept, as ``needed`` has moved on by no more than STRETCH.
    """
    cdef Stretch *s = &room.stretches[j]
    cdef const Stretch *before = s - 1
    cdef Py_ssize_t low, high, width = before.width, t = j * STRETCH
    cdef Py_ssize_t needed = job.text.n - (job.text.n_frames - t)
    cdef const double *blanks = row_of(room, before, STRETCH, 0)
    cdef const double *labels = row_of(room, before, STRETCH, 1)
    cdef double least, most = max(greatest(blanks, width), greatest(labels, width)), dropped = 0.0
    if not 0.0 < most < INFINITY:
        return 0
    least = most * exp(-reach)
    # States that cannot reach the end are of use only to spans, whose places may hold less than they do.
    low = max(0, needed - before.low) if job.n_spans == 0 else 0
    high = width
    while low < high and blanks[low] < least and labels[low] < least:
        dropped += blanks[low] + labels[low]
        low += 1
    while high > low and (blanks[high - 1] < least and labels[high - 1] < least or high - low > WIDEST_BAND):
        high -= 1
        dropped += blanks[high] + labels[high]
    if low >= high:
        return 0
    s.low = before.low + low
    s.fresh = before.low + high
    s.width = min(s.fresh + STRETCH, job.text.n + 1) - s.low
    s.highest = max(before.highest, s.low + s.width)
    s.dropped = log(dropped) + room.exponents[t] * LN2
    s.begun = max(
        before.begun + log_product(room.everything + t - STRETCH, STRETCH),
        log(2 * width * most) + room.exponents[t] * LN2
    )
    start[0] = low
    stop[0] = high
    return 1


cdef inline int take_over(Room *room, Py_ssize_t j, Py_ssize_t start, Py_ssize_t stop, size_t *used) except -1 nogil:
    """Make the first row of a stretch of states ``start`` to ``stop`` - 1 of the last row before it."""
    cdef Stretch *s = &room.stretches[j]
    cdef Py_ssize_t i, parts = room.n_parts
    cdef size_t size = 4 * (s.width + 2) * sizeof(double)
    cdef double *new
    cdef int k
    # The row may lie where the new rows will: it is taken aside.
    grow(<void **> &room.aside, &room.n_aside, s.width + 2, 4 * sizeof(double))
    for k in range(4):
        new = room.aside + k * (s.width + 2)
        for i in range(s.width + 2):
            new[i] = 0.0 if k < 2 else -INFINITY
        memcpy(new + 1, row_of(room, s - 1, STRETCH, k) + start, (stop - start) * sizeof(double))
    make_room(room, j, used)
    memcpy(room.rows + s.place, room.aside, size)
    if room.n_parts > parts:
        resize(<void **> &room.kept[parts], 4 * (s.width + 2), sizeof(double))
        memcpy(room.kept[parts], room.aside, size)
    return 0


cdef inline void sweep(Room *room, const Job *job, Py_ssize_t j, bint again) noexcept nogil:
    """The rows of a stretch, from its first one; the exponents are chosen the first time."""
    cdef Stretch *s = &room.stretches[j]
    cdef Py_ssize_t t, start = j * STRETCH, stop = min(job.text.n_frames, start + STRETCH), k, shift
    cdef double *old[4]
    cdef double *new[4]
    cdef double *logs = room.q + job.text.n_symbols + 1
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
        load(room, job, t, two_to_the(room.exponents[t] - room.exponents[t + 1]))
        load_logs(&job.text, t, logs)
        sum_row(old[0], old[1], new[0], new[1], room.q, job.text.symbol + s.low, job.step + s.low, s.width)
        max_row(old[2], old[3], new[2], new[3], logs, job.text.symbol + s.low, job.text.bar + s.low, s.width)


cdef inline int fill_again(
    Room *room, const Job *job, Py_ssize_t first, Py_ssize_t last, Py_ssize_t part
) except -1 nogil:
    """Compute the rows of a part once more: those of the stretches ``first`` to ``last``."""
    cdef Stretch *s = &room.stretches[first]
    cdef Stretch *before
    cdef Py_ssize_t j
    cdef int k
    if part:
        memcpy(room.rows + s.place, room.kept[part - 1], 4 * (s.width + 2) * sizeof(double))
    else:
        first_row(room, s)
    for j in range(first, last + 1):
        s = &room.stretches[j]
        if j > first:
            before = s - 1
            empty_row(room, s)
            for k in range(4):
                memcpy(
                    row_of(room, s, 0, k), row_of(room, before, STRETCH, k) + s.low - before.low,
                    (s.fresh - s.low) * sizeof(double)
                )
        sweep(room, job, j, True)
        look_after(&room.work, STRETCH * s.width, SIGNAL_WORK)
    return 0
