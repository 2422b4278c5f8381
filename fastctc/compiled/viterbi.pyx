"""Twin of fastctc.reference.viterbi, for any number of frames.

Scores are sums of logarithms in double precision, as in the reference. Every STRETCH frames the lattice is cut to the
states within ``reach`` nats of the frame's best: the band grows by itself where the frames leave open where they are.
Rows are kept in a room of limited size, and one row whenever it is full (a check-point), from which the way back fills
the room again.

What is cut off is bounded by groups of labels (see outside.pyx), up to where the band holds better scores for all
states of a group: no path that comes back there can be the best.
"""

from libc.math cimport INFINITY
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from fastctc.compiled.band cimport (
    STRETCH, Text, choose_registers, describe, end_path, free_labels, greatest, load_logs, max_row, step_back,
    take_labels
)
from fastctc.compiled.interrupts cimport look_after
from fastctc.compiled.memory cimport resize
from fastctc.compiled.outside cimport Outside, Place, bound_places, leave_room, note, note_sure, take_room

REGISTERS = choose_registers().decode("ascii")  # whose copies of the loops run

cdef Py_ssize_t SIGNAL_WORK = 1 << 24  # labels between two looks for Ctrl-C
cdef Py_ssize_t LEAST_ROOM = 1 << 20  # numbers that are always kept

# A number of STRETCH frames, and its band: blanks and labels low to low + width - 1.
cdef struct Stretch:
    Py_ssize_t low
    Py_ssize_t width
    Py_ssize_t fresh    # states from here on have just come into the band
    size_t place        # of its rows
    double *kept        # its first row, where it begins a part whose rows were in the room together

cdef struct Lattice:
    Text text
    double *q              # log probabilities of the symbols in a frame
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
    Py_ssize_t widest
    Py_ssize_t worked       # since the last look for Ctrl-C
    double done             # labels of all frames so far
    double tops             # sum of the frames' greatest scores so far


cdef inline double *row_of(const Lattice *g, const Stretch *s, Py_ssize_t number, int which) noexcept nogil:
    """Blanks (0) or labels (1) after so many frames of a stretch."""
    return g.rows + s.place + (2 * number + which) * (s.width + 2) + 1


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
        resize(<void **> &g.rows, g.used, sizeof(double))
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
    cdef Py_ssize_t n = g.text.n, low, high, width, needed = n - (g.text.n_frames - j * STRETCH)
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
        resize(<void **> &g.aside, size, sizeof(double))
        g.n_aside = s.width + 2
    fill_row(g.aside, <Py_ssize_t> size)
    memcpy(g.aside + 1, blanks + low, (high - low) * sizeof(double))
    memcpy(g.aside + s.width + 3, labels + low, (high - low) * sizeof(double))
    if make_room(g, j):
        resize(<void **> &s.kept, size, sizeof(double))
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
    cdef Py_ssize_t t, start = j * STRETCH, stop = min(g.text.n_frames, start + STRETCH), k
    for t in range(start, stop):
        k = t - start
        tops += load_logs(&g.text, t, g.q)
        (row_of(g, s, k + 1, 0) - 1)[0] = -INFINITY
        (row_of(g, s, k + 1, 1) - 1)[0] = -INFINITY
        max_row(
            row_of(g, s, k, 0), row_of(g, s, k, 1), row_of(g, s, k + 1, 0), row_of(g, s, k + 1, 1), g.q,
            g.text.symbol + s.low, g.text.bar + s.low, s.width
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
        look_after(&g.worked, STRETCH * g.stretches[j].width, SIGNAL_WORK)
    s = &g.stretches[g.n_stretches - 1]
    if s.low + s.width != g.text.n + 1:
        return -INFINITY
    k = g.text.n_frames - (g.n_stretches - 1) * STRETCH
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
        look_after(&g.worked, STRETCH * s.width, SIGNAL_WORK)
    return 0


cdef int go_back(Lattice *g) except -1 nogil:
    """The places of the labels, from the last one to the first."""
    cdef Text *text = &g.text
    cdef Py_ssize_t t, j, first, last = g.n_stretches - 1
    cdef Stretch *s = &g.stretches[last]
    cdef Py_ssize_t k = text.n_frames - last * STRETCH, end = text.n - s.low
    end_path(text, row_of(g, s, k, 0)[end], row_of(g, s, k, 1)[end])
    while last >= 0:
        first = last
        while first > 0 and g.stretches[first].kept is NULL:
            first -= 1
        if last < g.n_stretches - 1:
            refill(g, first, last)
        for j in range(last, first - 1, -1):
            s = &g.stretches[j]
            for t in range(min(text.n_frames, (j + 1) * STRETCH) - 1, j * STRETCH - 1, -1):
                k = t - j * STRETCH
                step_back(text, t, row_of(g, s, k, 0), row_of(g, s, k, 1), s.low)
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
    describe(&g.text, &o)
    o.probs = g.text.doubles
    o.floats = g.text.floats
    o.is_log = g.text.is_log
    try:
        take_room(&o)
        bound_places(&o, g.lost, g.n_lost, True, False, score - g.tops - 1.0)
        result = o.end - (score - g.tops)
    finally:
        leave_room(&o)
    # Scores are rounded: what is better by no more than that is no better path.
    return max(0.0, result + 1e-9 * g.text.n_frames)


cdef class _Text:
    """Checked arguments, and memory."""
    cdef Lattice lattice
    cdef object kept  # the array whose memory is in use

    def __cinit__(self, frames, labels, int blank, bint is_log, Py_ssize_t memory):
        cdef Lattice *g = &self.lattice
        cdef Text *text = &g.text
        cdef const double[:, ::1] doubles
        cdef const float[:, ::1] floats
        if getattr(getattr(frames, "dtype", None), "char", "") == "f":
            floats = frames
            text.n_frames, text.n_classes = floats.shape[0], floats.shape[1]
            text.floats = &floats[0, 0] if text.n_frames else NULL
        else:
            doubles = frames
            text.n_frames, text.n_classes = doubles.shape[0], doubles.shape[1]
            text.doubles = &doubles[0, 0] if text.n_frames else NULL
        self.kept = frames
        text.is_log = is_log
        take_labels(text, tuple(labels), blank)
        g.most = max(LEAST_ROOM, memory // 16)
        g.n_stretches = (text.n_frames + STRETCH - 1) // STRETCH
        g.q = <double *> malloc((text.n_classes + 2) * sizeof(double))
        g.stretches = <Stretch *> calloc(g.n_stretches + 1, sizeof(Stretch))
        if g.q is NULL or g.stretches is NULL:
            raise MemoryError()

    cdef void forget(self) noexcept nogil:
        cdef Py_ssize_t j
        for j in range(self.lattice.n_stretches):
            free(self.lattice.stretches[j].kept)
            self.lattice.stretches[j].kept = NULL

    def __dealloc__(self):
        if self.lattice.stretches is not NULL:
            self.forget()
        free_labels(&self.lattice.text)
        free(self.lattice.q)
        free(self.lattice.stretches)
        free(self.lattice.rows)
        free(self.lattice.aside)
        free(self.lattice.lost)


def best_alignment(
    frames, labels, int blank, bint is_log, double reach, double work, Py_ssize_t memory, bint prove
) -> tuple:
    cdef _Text text = _Text(frames, labels, blank, is_log, memory)
    cdef Lattice *g = &text.lattice
    cdef double score, bound = INFINITY
    cdef Py_ssize_t i
    if not reach > 0.0:
        raise ValueError(f"reach must be positive, got {reach}")
    if g.text.n_frames == 0:
        return (-INFINITY if g.text.n else 0.0), (), (), 0.0, 0
    g.widest = min(g.text.n + 1, 1 + STRETCH)
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
        tuple([g.text.first[i] for i in range(1, g.text.n + 1)]),
        tuple([g.text.last[i] for i in range(1, g.text.n + 1)]),
        bound,
        g.widest,
    )
