"""Twin of fastctc.reference.viterbi, for any number of frames.

Scores are sums of logarithms in double precision, as in the reference. Every STRETCH frames the lattice is cut to the
states within ``reach`` nats of the frame's best: the band grows by itself where the frames leave open where they are.
Rows are kept in a room of limited size, and one row whenever it is full (a check-point), from which the way back fills
the room again.

What is cut off is bounded by groups of labels (see outside.pyx), up to where the band holds better scores for all
states of a group: no path that comes back there can be the best.
"""

from libc.math cimport INFINITY, log
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from fastctc.compiled.interrupts cimport look
from fastctc.compiled.outside cimport Outside, Place, bound_places, leave_room, note, note_sure, take_room

cdef extern from "processor.h":
    const char *choose_registers() except NULL

cdef extern from "band_rows.h":
    void max_row(
        const double *, const double *, double *, double *, const double *, const int32_t *, const double *, Py_ssize_t
    ) noexcept nogil
    double greatest(const double *, Py_ssize_t) noexcept nogil

REGISTERS = choose_registers().decode("ascii")  # whose copies of the loops run

cdef double MASKED = -1e5  # log probabilities below are meant as -inf
cdef Py_ssize_t SIGNAL_WORK = 1 << 24  # labels between two looks for Ctrl-C
cdef Py_ssize_t LEAST_ROOM = 1 << 20  # numbers that are always kept
cdef enum:
    STRETCH = 16  # frames with the same band

# A number of STRETCH frames, and its band: blanks and labels low to low + width - 1.
cdef struct Stretch:
    Py_ssize_t low
    Py_ssize_t width
    Py_ssize_t fresh    # states from here on have just come into the band
    size_t place        # of its rows
    double *kept        # its first row, where it begins a part whose rows were in the room together

cdef struct Lattice:
    const float *floats     # the frames, in one of two precisions
    const double *doubles
    bint is_log
    Py_ssize_t n_frames
    Py_ssize_t n_classes
    Py_ssize_t n
    Py_ssize_t n_symbols
    int *classes            # class of each symbol, the blank first; the symbol behind the last never occurs
    int32_t *symbol         # of label i, n + 2 entries
    double *bar             # 0 where label i may follow label i - 1, else minus infinity
    double *q
    Stretch *stretches
    Py_ssize_t n_stretches
    double *rows
    size_t n_rows
    size_t used
    size_t most             # numbers that the room may hold
    double *aside
    Py_ssize_t n_aside
    Place *lost             # what left the band, and where the band is as good as all
    Py_ssize_t n_lost
    Py_ssize_t *first
    Py_ssize_t *last
    Py_ssize_t widest
    Py_ssize_t worked       # since the last look for Ctrl-C
    double done             # labels of all frames so far
    double tops             # sum of the frames' greatest scores so far


cdef inline double load(const Lattice *g, Py_ssize_t t) noexcept nogil:
    """Scores of the symbols; returns the greatest."""
    cdef Py_ssize_t k, start = t * g.n_classes
    cdef double x, most = -INFINITY
    for k in range(g.n_symbols):
        x = g.floats[start + g.classes[k]] if g.floats is not NULL else g.doubles[start + g.classes[k]]
        if not g.is_log:
            x = log(x)
        x = x if x >= MASKED else -INFINITY
        g.q[k] = x
        most = x if x > most else most
    g.q[g.n_symbols] = -INFINITY
    return most


cdef inline double *row_of(const Lattice *g, const Stretch *s, Py_ssize_t number, int which) noexcept nogil:
    """Blanks (0) or labels (1) after so many frames of a stretch."""
    return g.rows + s.place + (2 * number + which) * (s.width + 2) + 1


cdef inline int notice(Lattice *g, Py_ssize_t work) except -1 nogil:
    g.worked += work
    if g.worked > SIGNAL_WORK:
        g.worked = 0
        look()
    return 0


cdef int resize(double **numbers, size_t n) except -1 nogil:
    cdef double *larger = <double *> realloc(numbers[0], n * sizeof(double))
    if larger is NULL:
        with gil:
            raise MemoryError()
    numbers[0] = larger
    return 0


cdef int make_room(Lattice *g, Py_ssize_t j) except -1 nogil:
    """A place for the rows of a stretch; 1 if it begins a part, because the room was full."""
    cdef Stretch *s = &g.stretches[j]
    cdef size_t size = 2 * (STRETCH + 1) * <size_t> (s.width + 2), full
    cdef Py_ssize_t root = 1
    while root * root < g.n_stretches:
        root += 1
    full = min(max(<size_t> LEAST_ROOM, size * <size_t> root), g.most)
    s.kept = NULL
    s.place = 0
    if g.used > 0 and g.used + size <= full:
        s.place = g.used
        g.used += size
    else:
        g.used = size
    if g.used > g.n_rows:
        resize(&g.rows, g.used)
        g.n_rows = g.used
    return s.place == 0


cdef void fill_row(double *row, Py_ssize_t width) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(width):
        row[i] = -INFINITY


cdef int begin(Lattice *g, double reach, Py_ssize_t j) except -1 nogil:
    """Choose the band of a stretch, and make its first row of the last one before; 0 if nothing is left."""
    cdef Stretch *s = &g.stretches[j]
    cdef Stretch *before = s - 1
    cdef Py_ssize_t n = g.n, low, high, width, needed = n - (g.n_frames - j * STRETCH)
    cdef double *blanks
    cdef double *labels
    cdef double most, least, below = -INFINITY, above = -INFINITY
    cdef size_t size
    if j == 0:
        if needed > 0:
            return 0
        s.low = 0
        s.width = min(n + 1, 1 + STRETCH)
        s.fresh = 1
        make_room(g, 0)
        begin_row(g, s)
        return 1
    width = before.width
    blanks = row_of(g, before, STRETCH, 0)
    labels = row_of(g, before, STRETCH, 1)
    low = max(0, needed - before.low)  # from states before the end is out of reach
    if low >= width:
        return 0
    most = max(greatest(blanks + low, width - low), greatest(labels + low, width - low))
    if most == -INFINITY:
        return 0
    high = width
    while blanks[low] < most - reach and labels[low] < most - reach:
        below = max(below, max(blanks[low], labels[low]))
        low += 1
    while blanks[high - 1] < most - reach and labels[high - 1] < most - reach:
        high -= 1
        above = max(above, max(blanks[high], labels[high]))
    s.low = before.low + low
    s.fresh = before.low + high
    s.width = min(s.fresh + STRETCH, n + 1) - s.low
    if reach < INFINITY:
        note(g.lost, &g.n_lost, j * STRETCH, before.low, s.low + 1, below - g.tops, False)
        note(g.lost, &g.n_lost, j * STRETCH, s.fresh, min(before.low + width, n) + 1, above - g.tops, False)
        least = most - 0.25 * reach
        note_sure(g.lost, &g.n_lost, j * STRETCH, before.low, blanks, labels, low, high, least, least - g.tops)
    g.widest = max(g.widest, s.width)
    size = 2 * (s.width + 2)
    if s.width + 2 > g.n_aside:
        resize(&g.aside, size)
        g.n_aside = s.width + 2
    fill_row(g.aside, <Py_ssize_t> size)
    memcpy(g.aside + 1, blanks + low, (high - low) * sizeof(double))
    memcpy(g.aside + s.width + 3, labels + low, (high - low) * sizeof(double))
    if make_room(g, j):
        resize(&s.kept, size)
        memcpy(s.kept, g.aside, size * sizeof(double))
    memcpy(g.rows + s.place, g.aside, size * sizeof(double))
    return 1


cdef void begin_row(Lattice *g, Stretch *s) noexcept nogil:
    """Before the first frame every path is in the first blank."""
    fill_row(g.rows + s.place, 2 * (s.width + 2))
    row_of(g, s, 0, 0)[0] = 0.0


cdef double sweep(Lattice *g, Py_ssize_t j) noexcept nogil:
    """The rows of a stretch; returns the sum of its frames' greatest scores."""
    cdef double tops = 0.0
    cdef Stretch *s = &g.stretches[j]
    cdef Py_ssize_t t, start = j * STRETCH, stop = min(g.n_frames, start + STRETCH), k
    for t in range(start, stop):
        k = t - start
        tops += load(g, t)
        (row_of(g, s, k + 1, 0) - 1)[0] = -INFINITY
        (row_of(g, s, k + 1, 1) - 1)[0] = -INFINITY
        max_row(
            row_of(g, s, k, 0), row_of(g, s, k, 1), row_of(g, s, k + 1, 0), row_of(g, s, k + 1, 1), g.q,
            g.symbol + s.low, g.bar + s.low, s.width
        )
    return tops


cdef double forward(Lattice *g, double reach, double work) except? 1.0 nogil:
    """Score of the best path within the band, or minus infinity."""
    cdef Py_ssize_t j, k
    cdef Stretch *s = NULL
    g.used = 0
    g.tops = 0.0
    for j in range(g.n_stretches):
        if not begin(g, reach, j):
            return -INFINITY
        g.done += STRETCH * g.stretches[j].width
        if g.done > work:
            return -INFINITY
        g.tops += sweep(g, j)
        notice(g, STRETCH * g.stretches[j].width)
    s = &g.stretches[g.n_stretches - 1]
    if s.low + s.width != g.n + 1:
        return -INFINITY
    k = g.n_frames - (g.n_stretches - 1) * STRETCH
    return max(row_of(g, s, k, 0)[s.width - 1], row_of(g, s, k, 1)[s.width - 1])


cdef int refill(Lattice *g, Py_ssize_t first, Py_ssize_t last) except -1 nogil:
    """The rows of a part once more."""
    cdef Stretch *s = &g.stretches[first]
    cdef Stretch *before
    cdef Py_ssize_t j, count
    for j in range(first, last + 1):
        s = &g.stretches[j]
        before = s - 1
        if j == 0:
            begin_row(g, s)
        elif j == first:
            memcpy(g.rows + s.place, s.kept, 2 * (s.width + 2) * sizeof(double))
        else:
            count = s.fresh - s.low
            fill_row(g.rows + s.place, 2 * (s.width + 2))
            memcpy(row_of(g, s, 0, 0), row_of(g, before, STRETCH, 0) + s.low - before.low, count * sizeof(double))
            memcpy(row_of(g, s, 0, 1), row_of(g, before, STRETCH, 1) + s.low - before.low, count * sizeof(double))
        sweep(g, j)
        notice(g, STRETCH * s.width)
    return 0


cdef int go_back(Lattice *g) except -1 nogil:
    """The places of the labels, from the last one to the first."""
    cdef Py_ssize_t n = g.n, t, j, k, first, last = g.n_stretches - 1, at = n, i
    cdef Stretch *s = &g.stretches[last]
    cdef const double *blanks
    cdef const double *labels
    cdef double best
    cdef bint in_blank
    cdef int way
    k = g.n_frames - last * STRETCH
    blanks = row_of(g, s, k, 0)
    labels = row_of(g, s, k, 1)
    in_blank = n == 0 or blanks[n - s.low] > labels[n - s.low]
    if not in_blank:
        g.last[n] = g.n_frames - 1
    while last >= 0:
        first = last
        while first > 0 and g.stretches[first].kept is NULL:
            first -= 1
        if last < g.n_stretches - 1:
            refill(g, first, last)
        for j in range(last, first - 1, -1):
            s = &g.stretches[j]
            for t in range(min(g.n_frames, (j + 1) * STRETCH) - 1, j * STRETCH - 1, -1):
                k = t - j * STRETCH
                blanks = row_of(g, s, k, 0)
                labels = row_of(g, s, k, 1)
                i = at - s.low
                if in_blank:
                    if labels[i] > blanks[i]:
                        in_blank = False
                        g.last[at] = t - 1
                else:
                    g.first[at] = t
                    way = 0
                    best = labels[i]
                    if blanks[i - 1] > best:
                        best = blanks[i - 1]
                        way = 1
                    if labels[i - 1] + g.bar[at] > best:
                        way = 2
                    if way and t > 0:
                        at -= 1
                        in_blank = way == 1
                        if way == 2:
                            g.last[at] = t - 1
        last = first - 1
    return 0


cdef double bound_lost(Lattice *g, double score, bint prove) except? -1.0 nogil:
    """By how much a path may be better that has left the band.

    That is as if it had the best class of each frame from there on; or less, where it is to be proven.
    """
    cdef Outside o
    cdef double result = -INFINITY
    cdef Py_ssize_t i
    if not prove:
        for i in range(g.n_lost):
            if not g.lost[i].sure:
                result = max(result, g.lost[i].value)
        return max(0.0, result - (score - g.tops))
    memset(&o, 0, sizeof(Outside))
    o.probs = g.doubles
    o.floats = g.floats
    o.is_log = g.is_log
    o.n_frames = g.n_frames
    o.n_classes = g.n_classes
    o.n = g.n
    o.classes = g.classes
    o.n_symbols = g.n_symbols
    o.symbol = g.symbol
    try:
        take_room(&o)
        bound_places(&o, g.lost, g.n_lost, True, False, score - g.tops - 1.0)
        result = o.end - (score - g.tops)
    finally:
        leave_room(&o)
    # Scores are rounded: what is better by no more than that is no better path.
    return max(0.0, result + 1e-9 * g.n_frames)


cdef class _Text:
    """Checked arguments, and memory."""
    cdef Lattice lattice
    cdef object kept  # the array whose memory is in use
    cdef Py_ssize_t *positions

    def __cinit__(self, frames, labels, int blank, bint is_log, Py_ssize_t memory):
        cdef Lattice *g = &self.lattice
        cdef Py_ssize_t i, n, n_classes
        cdef int label
        cdef int *number
        cdef tuple given = tuple(labels)
        cdef const double[:, ::1] doubles
        cdef const float[:, ::1] floats
        if getattr(getattr(frames, "dtype", None), "char", "") == "f":
            floats = frames
            g.n_frames, n_classes = floats.shape[0], floats.shape[1]
            g.floats = &floats[0, 0] if g.n_frames else NULL
        else:
            doubles = frames
            g.n_frames, n_classes = doubles.shape[0], doubles.shape[1]
            g.doubles = &doubles[0, 0] if g.n_frames else NULL
        self.kept = frames
        if not 0 <= blank < n_classes:
            raise ValueError(f"blank must be a class, 0 to {n_classes - 1}, got {blank}")
        n = len(given)
        g.n = n
        g.n_classes = n_classes
        g.is_log = is_log
        g.most = max(LEAST_ROOM, memory // 16)
        g.n_stretches = (g.n_frames + STRETCH - 1) // STRETCH
        g.classes = <int *> malloc(2 * (n_classes + 1) * sizeof(int))
        g.symbol = <int32_t *> calloc(n + 2, sizeof(int32_t))
        g.bar = <double *> malloc((n + 2) * sizeof(double))
        g.q = <double *> malloc((n_classes + 2) * sizeof(double))
        g.stretches = <Stretch *> calloc(g.n_stretches + 1, sizeof(Stretch))
        self.positions = <Py_ssize_t *> calloc(2 * (n + 1), sizeof(Py_ssize_t))
        if (
            g.classes is NULL or g.symbol is NULL or g.bar is NULL or g.q is NULL or g.stretches is NULL
            or self.positions is NULL
        ):
            raise MemoryError()
        g.first = self.positions
        g.last = self.positions + n + 1
        number = g.classes + n_classes + 1
        for i in range(n_classes):
            number[i] = -1
        number[blank] = 0
        g.classes[0] = blank
        g.n_symbols = 1
        for i in range(n):
            if not 0 <= given[i] < n_classes or given[i] == blank:  # still Python's numbers, which may be of any size
                raise ValueError(
                    f"labels must be classes, 0 to {n_classes - 1}, other than the blank {blank}, got {given[i]}"
                )
            label = given[i]
            if number[label] < 0:
                number[label] = <int> g.n_symbols
                g.classes[g.n_symbols] = label
                g.n_symbols += 1
            g.symbol[i + 1] = number[label]
        g.symbol[0] = g.symbol[n + 1] = <int32_t> g.n_symbols
        for i in range(n + 2):
            g.bar[i] = 0.0 if 1 < i <= n and g.symbol[i] != g.symbol[i - 1] else -INFINITY

    cdef void forget(self) noexcept nogil:
        cdef Py_ssize_t j
        for j in range(self.lattice.n_stretches):
            free(self.lattice.stretches[j].kept)
            self.lattice.stretches[j].kept = NULL

    def __dealloc__(self):
        if self.lattice.stretches is not NULL:
            self.forget()
        free(self.lattice.classes)
        free(self.lattice.symbol)
        free(self.lattice.bar)
        free(self.lattice.q)
        free(self.lattice.stretches)
        free(self.lattice.rows)
        free(self.lattice.aside)
        free(self.lattice.lost)
        free(self.positions)


def best_alignment(
    frames, labels, int blank, bint is_log, double reach, double work, Py_ssize_t memory, bint prove
) -> tuple:
    cdef _Text text = _Text(frames, labels, blank, is_log, memory)
    cdef Lattice *g = &text.lattice
    cdef double score, bound = INFINITY
    cdef Py_ssize_t i
    if not reach > 0.0:
        raise ValueError(f"reach must be positive, got {reach}")
    if g.n_frames == 0:
        return (-INFINITY if g.n else 0.0), (), (), 0.0, 0
    g.widest = min(g.n + 1, 1 + STRETCH)
    g.lost = <Place *> malloc(3 * g.n_stretches * sizeof(Place))
    if g.lost is NULL:
        raise MemoryError()
    with nogil:
        score = forward(g, reach, work)
        if score > -INFINITY:
            go_back(g)
            bound = bound_lost(g, score, prove)
    if score == -INFINITY:
        return score, (), (), INFINITY if reach < INFINITY or g.done > work else 0.0, g.widest
    return (
        score,
        tuple([g.first[i] for i in range(1, g.n + 1)]),
        tuple([g.last[i] for i in range(1, g.n + 1)]),
        bound,
        g.widest,
    )
