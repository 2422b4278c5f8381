"""Twin of fastctc.reference.text_graph, for any number of frames.

The labels of all forms stand side by side, as in the lattice of a plain text (band_rows.h): a blank stands behind each
label, and a form's last label has none, since there the junction begins. Every STRETCH frames the row is cut to the
elements within ``reach`` nats of the frame's best, and goes on to where words left out may lead within that. Rows are
kept in a room of limited size, and one row whenever it is full (a check-point), from which the way back fills the room
again.

A path that leaves the band has some score there, and gains at most the frames' best classes from there on: that bounds
what is missing. It leaves the band to the right through its last junction, or by being cut off.
"""

from libc.math cimport INFINITY, log, sqrt
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

from fastctc.compiled.interrupts cimport look

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
cdef Py_ssize_t LEAST_ROOM = 1 << 18  # numbers that rows may always take,
cdef Py_ssize_t LEAST_ROW = 1 << 12  # and a row
cdef enum:
    STRETCH = 16  # frames with the same band

# Of a junction, beside its blank and its star: the best that has arrived by these or by leaving elements out (plain),
# the best and the best by another label that have arrived by labels, and these labels.
cdef enum:
    BLANK
    STAR
    PLAIN
    ENDED
    OTHER
    ENDED_LABEL
    OTHER_LABEL
    JUNCTION  # numbers of a junction

# A number of STRETCH frames, and its band: elements low to high - 1, junctions low to high.
cdef struct Stretch:
    Py_ssize_t low
    Py_ssize_t high
    size_t place        # of its rows
    double *kept        # its first row, where it begins a part whose rows were in the room together

cdef struct Lattice:
    const float *floats     # the frames, in one of two precisions
    const double *doubles
    bint is_log
    Py_ssize_t n_frames
    Py_ssize_t n_classes
    Py_ssize_t n            # elements
    Py_ssize_t n_symbols
    int blank
    int *classes            # class of each symbol, the blank first
    Py_ssize_t *forms       # first form of each element, n + 1 entries
    Py_ssize_t *starts      # first label of each form, and the end
    Py_ssize_t *shortest    # labels of the shortest form of each element
    int32_t *symbol         # of each label
    double *bar             # 0 where a label may follow the one before it directly, else minus infinity
    double *skip            # prices of leaving elements out
    double *star            # prices of stars
    double *q
    double top              # the frame's best class
    Stretch *stretches
    Py_ssize_t n_stretches
    double *rows
    size_t n_rows
    size_t used
    size_t most             # numbers that the room may hold
    Py_ssize_t most_row     # numbers that a row may have, where there is a choice
    double *aside
    Py_ssize_t n_aside
    Py_ssize_t *first       # frames of each label, or -1
    Py_ssize_t *last
    int32_t *stars          # the junction of each frame that is in a star, else -1
    Py_ssize_t widest
    Py_ssize_t worked       # since the last look for Ctrl-C
    double done             # labels of all frames so far
    double tops             # sum of the frames' best classes so far
    double lost             # the best of what has left the band, less the frames' best classes up to there


cdef inline double log_of(const Lattice *g, Py_ssize_t place) noexcept nogil:
    cdef double x = g.floats[place] if g.floats is not NULL else g.doubles[place]
    if not g.is_log:
        x = log(x)
    return x if x >= MASKED else -INFINITY


cdef void load(Lattice *g, Py_ssize_t t) noexcept nogil:
    """Scores of the symbols, and the greatest of all classes."""
    cdef Py_ssize_t k, start = t * g.n_classes, best = start
    for k in range(g.n_symbols):
        g.q[k] = log_of(g, start + g.classes[k])
    if g.floats is not NULL:
        for k in range(start + 1, start + g.n_classes):
            best = k if g.floats[k] > g.floats[best] else best
    else:
        for k in range(start + 1, start + g.n_classes):
            best = k if g.doubles[k] > g.doubles[best] else best
    g.top = log_of(g, best)


cdef inline Py_ssize_t label_at(const Lattice *g, Py_ssize_t element) noexcept nogil:
    """The first label of an element."""
    return g.starts[g.forms[element]]


cdef inline Py_ssize_t row_size(const Lattice *g, Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    """Blanks and labels, each with a place before and behind, then the junctions."""
    return 2 * (label_at(g, high) - label_at(g, low) + 2) + JUNCTION * (high - low + 1)


cdef inline double *row_of(const Lattice *g, const Stretch *s, Py_ssize_t number) noexcept nogil:
    return g.rows + s.place + number * row_size(g, s.low, s.high)


cdef inline double *blanks_of(const Lattice *g, const Stretch *s, double *row) noexcept nogil:
    """Blanks by the number of their labels."""
    return row + 1 - label_at(g, s.low)


cdef inline double *labels_of(const Lattice *g, const Stretch *s, double *row) noexcept nogil:
    return row + 3 + label_at(g, s.high) - 2 * label_at(g, s.low)


cdef inline double *junctions_of(const Lattice *g, const Stretch *s, double *row) noexcept nogil:
    """Junctions by their numbers, JUNCTION numbers each."""
    return row + 2 * (label_at(g, s.high) - label_at(g, s.low) + 2) - JUNCTION * s.low


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


cdef inline void arrive(double *junction, double value, double label) noexcept nogil:
    """Keep the best arrival by a label, and the best by another label; of equal ones the first."""
    if label == junction[ENDED_LABEL]:
        if value > junction[ENDED]:
            junction[ENDED] = value
    elif value > junction[ENDED]:
        junction[OTHER] = junction[ENDED]
        junction[OTHER_LABEL] = junction[ENDED_LABEL]
        junction[ENDED] = value
        junction[ENDED_LABEL] = label
    elif value > junction[OTHER]:
        junction[OTHER] = value
        junction[OTHER_LABEL] = label


cdef void join(const Lattice *g, const Stretch *s, double *row) noexcept nogil:
    """What has arrived at the junctions of a row whose states are known."""
    cdef double *labels = labels_of(g, s, row)
    cdef double *here = junctions_of(g, s, row) + JUNCTION * s.low
    cdef double *before = NULL
    cdef Py_ssize_t k, f, last
    for k in range(s.low, s.high + 1):
        here[PLAIN] = here[STAR] if here[STAR] > here[BLANK] else here[BLANK]
        here[ENDED] = here[OTHER] = -INFINITY
        here[ENDED_LABEL] = here[OTHER_LABEL] = -1.0
        if k > s.low:
            for f in range(g.forms[k - 1], g.forms[k]):
                last = g.starts[f + 1] - 1
                arrive(here, labels[last], g.symbol[last])
            if g.skip[k - 1] < INFINITY:
                if before[PLAIN] - g.skip[k - 1] > here[PLAIN]:
                    here[PLAIN] = before[PLAIN] - g.skip[k - 1]
                arrive(here, before[ENDED] - g.skip[k - 1], before[ENDED_LABEL])
                arrive(here, before[OTHER] - g.skip[k - 1], before[OTHER_LABEL])
        before = here
        here += JUNCTION


cdef inline double entering(const double *junction) noexcept nogil:
    """The best of all that has arrived at a junction."""
    return junction[PLAIN] if junction[PLAIN] >= junction[ENDED] else junction[ENDED]


cdef inline double entering_by(const double *junction, double label) noexcept nogil:
    """The best that has arrived by labels, and may be followed by this one."""
    return junction[ENDED] if junction[ENDED_LABEL] != label else junction[OTHER]


cdef void advance(Lattice *g, const Stretch *s, Py_ssize_t t, double *row, double *after) noexcept nogil:
    """The row after a frame."""
    cdef Py_ssize_t low = label_at(g, s.low), k, f, p
    cdef double *blanks = blanks_of(g, s, after)
    cdef double *labels = labels_of(g, s, after)
    cdef const double *old = junctions_of(g, s, row) + JUNCTION * s.low
    cdef double *new = junctions_of(g, s, after) + JUNCTION * s.low
    cdef double enter, value
    load(g, t)
    after[0] = -INFINITY  # the blank and the label before the first
    labels[low - 1] = -INFINITY
    max_row(
        blanks_of(g, s, row) + low, labels_of(g, s, row) + low, blanks + low, labels + low, g.q, g.symbol + low,
        g.bar + low, label_at(g, s.high) - low
    )
    for k in range(s.low, s.high + 1):
        enter = entering(old)
        new[BLANK] = enter + g.q[0]
        new[STAR] = -INFINITY
        if g.star[k] < INFINITY:
            value = g.top - g.star[k]
            new[STAR] = enter + (value if value > g.q[0] else g.q[0])
        if k < s.high:
            for f in range(g.forms[k], g.forms[k + 1]):
                p = g.starts[f]
                value = entering_by(old, g.symbol[p])
                value = (value if value > old[PLAIN] else old[PLAIN]) + g.q[g.symbol[p]]
                if value > labels[p]:
                    labels[p] = value
                blanks[g.starts[f + 1] - 1] = -INFINITY
        old += JUNCTION
        new += JUNCTION
    join(g, s, after)


cdef inline double best_inside(const Lattice *g, const Stretch *s, double *row, Py_ssize_t e) noexcept nogil:
    """The best state of an element."""
    cdef Py_ssize_t start = label_at(g, e), n = label_at(g, e + 1) - start
    cdef double a = greatest(blanks_of(g, s, row) + start, n), b = greatest(labels_of(g, s, row) + start, n)
    return a if a > b else b


cdef int choose_band(Lattice *g, double reach, const Stretch *before, double *row, Stretch *s) noexcept nogil:
    """The elements that a stretch looks at, by the last row before it; 0 if nothing is left."""
    cdef Py_ssize_t low = before.low, high = before.high, k, fresh
    cdef double *junctions = junctions_of(g, before, row)
    cdef double most = -INFINITY, least, lost = -INFINITY, value
    for k in range(low, high + 1):
        most = max(most, entering(junctions + JUNCTION * k))
        if k < high:
            most = max(most, best_inside(g, before, row, k))
    if most == -INFINITY:
        return 0
    while True:
        low, high, lost, least = before.low, before.high, -INFINITY, most - reach
        while low < high:
            value = max(junctions[JUNCTION * low + BLANK], junctions[JUNCTION * low + STAR])
            value = max(value, best_inside(g, before, row, low))
            if value >= least:
                break
            lost = max(lost, value)
            low += 1
        while high > low:
            value = entering(junctions + JUNCTION * high)
            value = max(value, best_inside(g, before, row, high - 1))
            if value >= least:
                break
            lost = max(lost, value)
            high -= 1
        value = entering(junctions + JUNCTION * high)
        while high < g.n and value >= least:
            value -= g.skip[high]
            high += 1
        fresh = 0
        while high < g.n and fresh <= STRETCH:
            fresh += g.shortest[high]
            high += 1
        if reach == INFINITY or row_size(g, low, high) <= g.most_row or reach < 1.0:
            break
        reach *= 0.7
    s.low = low
    s.high = high
    g.lost = max(g.lost, lost - g.tops)
    g.widest = max(g.widest, label_at(g, high) - label_at(g, low))
    return 1


cdef void move_row(const Lattice *g, const Stretch *before, double *row, const Stretch *s, double *to) noexcept nogil:
    """The states of a row in another band."""
    cdef Py_ssize_t k, p, size = row_size(g, s.low, s.high)
    cdef Py_ssize_t first = max(before.low, s.low), last = min(before.high, s.high)
    cdef Py_ssize_t start = label_at(g, first), n = label_at(g, last) - start
    cdef double *junctions = junctions_of(g, before, row)
    cdef double *moved = junctions_of(g, s, to)
    for p in range(size):
        to[p] = -INFINITY
    memcpy(blanks_of(g, s, to) + start, blanks_of(g, before, row) + start, n * sizeof(double))
    memcpy(labels_of(g, s, to) + start, labels_of(g, before, row) + start, n * sizeof(double))
    for k in range(first, last + 1):
        moved[JUNCTION * k + BLANK] = junctions[JUNCTION * k + BLANK]
        moved[JUNCTION * k + STAR] = junctions[JUNCTION * k + STAR]
    join(g, s, to)


cdef int begin(Lattice *g, double reach, Py_ssize_t j) except -1 nogil:
    """Choose the band of a stretch, and make its first row of the last one before; 0 if nothing is left."""
    cdef Stretch *s = &g.stretches[j]
    cdef Stretch *before = s - 1
    cdef Stretch start
    cdef double origin[4 + JUNCTION]
    cdef double *row = origin
    cdef Py_ssize_t i, n
    cdef size_t size
    if j == 0:  # before the first frame every path is in the first blank
        start.low = start.high = 0
        before = &start
        for i in range(4 + JUNCTION):
            origin[i] = -INFINITY
        junctions_of(g, before, row)[BLANK] = 0.0
        join(g, before, row)
    else:
        row = row_of(g, before, STRETCH)
    if not choose_band(g, reach, before, row, s):
        return 0
    n = row_size(g, s.low, s.high)
    if n > g.n_aside:
        resize(&g.aside, n)
        g.n_aside = n
    move_row(g, before, row, s, g.aside)
    size = (STRETCH + 1) * <size_t> n
    s.place = 0
    s.kept = NULL
    if g.used > 0 and g.used + size <= g.most:
        s.place = g.used
        g.used += size
    else:
        g.used = size
        resize(&s.kept, n)
        memcpy(s.kept, g.aside, n * sizeof(double))
    if g.used > g.n_rows:
        resize(&g.rows, min(max(g.used, 2 * g.n_rows), max(g.used, g.most)))
        g.n_rows = min(max(g.used, 2 * g.n_rows), max(g.used, g.most))
    memcpy(g.rows + s.place, g.aside, n * sizeof(double))
    return 1


cdef void sweep(Lattice *g, Py_ssize_t j, bint anew) noexcept nogil:
    """The rows of a stretch; what leaves the band is noted the first time."""
    cdef Stretch *s = &g.stretches[j]
    cdef Py_ssize_t t, k
    for t in range(j * STRETCH, min(g.n_frames, (j + 1) * STRETCH)):
        k = t - j * STRETCH
        if anew and s.high < g.n:
            g.lost = max(g.lost, entering(junctions_of(g, s, row_of(g, s, k)) + JUNCTION * s.high) - g.tops)
        advance(g, s, t, row_of(g, s, k), row_of(g, s, k + 1))
        if anew:
            g.tops += g.top


cdef double forward(Lattice *g, double reach, double work) except? 1.0 nogil:
    """Score of the best path within the band, or minus infinity."""
    cdef Py_ssize_t j, width
    cdef Stretch *s = NULL
    cdef double *end
    g.used = 0
    g.tops = 0.0
    g.lost = -INFINITY
    for j in range(g.n_stretches):
        if not begin(g, reach, j):
            return -INFINITY
        s = &g.stretches[j]
        width = label_at(g, s.high) - label_at(g, s.low)
        g.done += STRETCH * width
        if g.done > work:
            return -INFINITY
        sweep(g, j, True)
        notice(g, STRETCH * (width + s.high - s.low))
    if s.high != g.n:
        return -INFINITY
    end = junctions_of(g, s, row_of(g, s, g.n_frames - (g.n_stretches - 1) * STRETCH)) + JUNCTION * g.n
    return entering(end)


cdef int refill(Lattice *g, Py_ssize_t first, Py_ssize_t last) except -1 nogil:
    """The rows of a part once more."""
    cdef Stretch *s
    cdef Py_ssize_t j
    for j in range(first, last + 1):
        s = &g.stretches[j]
        if j == first:
            memcpy(g.rows + s.place, s.kept, row_size(g, s.low, s.high) * sizeof(double))
        else:
            move_row(g, s - 1, row_of(g, s - 1, STRETCH), s, g.rows + s.place)
        sweep(g, j, False)
        notice(g, STRETCH * (label_at(g, s.high) - label_at(g, s.low) + s.high - s.low))
    return 0


# A state of the way back: a junction's blank or star, a label, or the blank behind a label within a form.
cdef enum:
    IN_BLANK
    IN_STAR
    IN_LABEL
    IN_PAUSE

cdef struct State:
    int kind
    Py_ssize_t at       # junction or label
    Py_ssize_t element  # of a label
    Py_ssize_t form


cdef void go_to_plain(const Lattice *g, const double *junctions, Py_ssize_t k, State *state) noexcept nogil:
    """The blank or star by which the best has arrived at a junction."""
    cdef const double *here = junctions + JUNCTION * k
    while here[BLANK] != here[PLAIN] and here[STAR] != here[PLAIN]:
        k -= 1
        here -= JUNCTION
    state.kind = IN_BLANK if here[BLANK] == here[PLAIN] else IN_STAR
    state.at = k


cdef void go_to_end(
    const Lattice *g, const double *labels, const double *junctions, Py_ssize_t k, double label, State *state
) noexcept nogil:
    """The last label of a form by which the best has arrived at a junction that ends in this label."""
    cdef const double *here = junctions + JUNCTION * k
    cdef double value
    cdef Py_ssize_t f, last
    while True:
        value = here[ENDED] if here[ENDED_LABEL] == label else here[OTHER]
        for f in range(g.forms[k - 1], g.forms[k]):
            last = g.starts[f + 1] - 1
            if g.symbol[last] == label and labels[last] == value:
                state.kind = IN_LABEL
                state.at = last
                state.element = k - 1
                state.form = f
                return
        k -= 1
        here -= JUNCTION


cdef void go_into(
    const Lattice *g, const double *labels, const double *junctions, Py_ssize_t k, bint label_first, State *state
) noexcept nogil:
    """Whence the best has arrived at a junction."""
    cdef const double *here = junctions + JUNCTION * k
    if here[PLAIN] > here[ENDED] or (here[PLAIN] == here[ENDED] and not label_first):
        go_to_plain(g, junctions, k, state)
    else:
        go_to_end(g, labels, junctions, k, here[ENDED_LABEL], state)


cdef void go_back_one(const Lattice *g, const Stretch *s, double *row, State *state) noexcept nogil:
    """The state before, in the row before a frame."""
    cdef const double *blanks = blanks_of(g, s, row)
    cdef const double *labels = labels_of(g, s, row)
    cdef const double *junctions = junctions_of(g, s, row)
    cdef const double *here
    cdef Py_ssize_t p = state.at
    cdef double best, label
    if state.kind == IN_BLANK or state.kind == IN_STAR:
        go_into(g, labels, junctions, p, False, state)
    elif state.kind == IN_PAUSE:
        if labels[p] > blanks[p]:
            state.kind = IN_LABEL
    elif p > g.starts[state.form]:
        best = labels[p]
        if blanks[p - 1] > best:
            best = blanks[p - 1]
            state.kind = IN_PAUSE
            state.at = p - 1
        if labels[p - 1] + g.bar[p] > best:
            state.kind = IN_LABEL
            state.at = p - 1
    else:
        here = junctions + JUNCTION * state.element
        label = g.symbol[p]
        best = max(here[PLAIN], entering_by(here, label))
        if best > labels[p]:
            if here[PLAIN] == best:
                go_to_plain(g, junctions, state.element, state)
            else:
                label = here[ENDED_LABEL] if here[ENDED_LABEL] != label else here[OTHER_LABEL]
                go_to_end(g, labels, junctions, state.element, label, state)


cdef int go_back(Lattice *g) except -1 nogil:
    """The places of the labels and stars, from the last to the first."""
    cdef Py_ssize_t t, j, first, last = g.n_stretches - 1
    cdef Stretch *s = &g.stretches[last]
    cdef State state
    cdef double *row = row_of(g, s, g.n_frames - last * STRETCH)
    state.kind = IN_BLANK
    state.at = g.n
    go_into(g, labels_of(g, s, row), junctions_of(g, s, row), g.n, True, &state)
    while last >= 0:
        first = last
        while g.stretches[first].kept is NULL:
            first -= 1
        if last < g.n_stretches - 1:
            refill(g, first, last)
        for j in range(last, first - 1, -1):
            s = &g.stretches[j]
            for t in range(min(g.n_frames, (j + 1) * STRETCH) - 1, j * STRETCH - 1, -1):
                if state.kind == IN_LABEL:
                    g.first[state.at] = t
                    if g.last[state.at] < 0:
                        g.last[state.at] = t
                elif state.kind == IN_STAR:
                    g.stars[t] = <int32_t> state.at
                go_back_one(g, s, row_of(g, s, t - j * STRETCH), &state)
        last = first - 1
    return 0


cdef class _Chain:
    """Checked arguments, and memory."""
    cdef Lattice lattice
    cdef object kept  # the array whose memory is in use

    def __cinit__(self, frames, graph, int blank, bint is_log, Py_ssize_t memory):
        cdef Lattice *g = &self.lattice
        cdef Py_ssize_t n_classes, n_forms, n_labels, e, f = 0, p = 0
        cdef const double[:, ::1] doubles
        cdef const float[:, ::1] floats
        cdef double price
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
        forms = [[tuple(form) for form in element] for element in graph.forms]
        skips, stars = list(graph.skip_prices), list(graph.star_prices)
        g.n = len(forms)
        if len(skips) != g.n or len(stars) != g.n + 1:
            raise ValueError(
                f"there must be a price for each of {g.n} elements and {g.n + 1} junctions, "
                f"got {len(skips)} and {len(stars)}"
            )
        n_forms = sum([len(element) for element in forms])
        n_labels = sum([len(form) for element in forms for form in element])
        g.n_classes = n_classes
        g.blank = blank
        g.is_log = is_log
        g.most = max(LEAST_ROOM, memory // 16)
        g.most_row = max(LEAST_ROW, <Py_ssize_t> (memory / (16.0 * sqrt(g.n_frames + 1.0))))
        g.n_stretches = (g.n_frames + STRETCH - 1) // STRETCH
        g.classes = <int *> malloc((n_classes + 1) * sizeof(int))
        g.forms = <Py_ssize_t *> malloc((g.n + 1) * sizeof(Py_ssize_t))
        g.starts = <Py_ssize_t *> malloc((n_forms + 1) * sizeof(Py_ssize_t))
        g.shortest = <Py_ssize_t *> malloc((g.n + 1) * sizeof(Py_ssize_t))
        g.symbol = <int32_t *> malloc((n_labels + 1) * sizeof(int32_t))
        g.bar = <double *> malloc((n_labels + 1) * sizeof(double))
        g.skip = <double *> malloc((g.n + 1) * sizeof(double))
        g.star = <double *> malloc((g.n + 1) * sizeof(double))
        g.q = <double *> malloc((n_classes + 1) * sizeof(double))
        g.stretches = <Stretch *> calloc(g.n_stretches + 1, sizeof(Stretch))
        g.first = <Py_ssize_t *> malloc((n_labels + 1) * sizeof(Py_ssize_t))
        g.last = <Py_ssize_t *> malloc((n_labels + 1) * sizeof(Py_ssize_t))
        g.stars = <int32_t *> malloc((g.n_frames + 1) * sizeof(int32_t))
        if (
            g.classes is NULL or g.forms is NULL or g.starts is NULL or g.shortest is NULL or g.symbol is NULL
            or g.bar is NULL or g.skip is NULL or g.star is NULL or g.q is NULL or g.stretches is NULL
            or g.first is NULL or g.last is NULL or g.stars is NULL
        ):
            raise MemoryError()
        numbers = {blank: 0}
        for e in range(g.n):
            g.forms[e] = f
            if not forms[e]:
                raise ValueError(f"every element must have a form, got none of element {e}")
            g.shortest[e] = min([len(form) for form in forms[e]])
            if g.shortest[e] == 0:
                raise ValueError(f"every form must have a label, got an empty one of element {e}")
            price = skips[e]
            if not price >= 0.0:
                raise ValueError(f"prices must be 0 or more, got {price} for leaving out element {e}")
            g.skip[e] = price
            for form in forms[e]:
                g.starts[f] = p
                f += 1
                for i, label in enumerate(form):
                    if not 0 <= label < n_classes or label == blank:  # Python's numbers, of any size
                        raise ValueError(
                            f"labels must be classes, 0 to {n_classes - 1}, other than the blank {blank}, got {label}"
                        )
                    g.symbol[p] = numbers.setdefault(label, len(numbers))
                    g.bar[p] = 0.0 if i > 0 and form[i - 1] != label else -INFINITY
                    g.first[p] = g.last[p] = -1
                    p += 1
        g.forms[g.n] = n_forms
        g.starts[n_forms] = n_labels
        for e in range(g.n + 1):
            price = stars[e]
            if not price >= 0.0:
                raise ValueError(f"prices must be 0 or more, got {price} for the star of junction {e}")
            g.star[e] = price
        for p in range(g.n_frames):
            g.stars[p] = -1
        for label, number in numbers.items():
            g.classes[<int> number] = label
        g.n_symbols = len(numbers)

    def __dealloc__(self):
        cdef Lattice *g = &self.lattice
        cdef Py_ssize_t j
        if g.stretches is not NULL:
            for j in range(g.n_stretches):
                free(g.stretches[j].kept)
        free(g.classes)
        free(g.forms)
        free(g.starts)
        free(g.shortest)
        free(g.symbol)
        free(g.bar)
        free(g.skip)
        free(g.star)
        free(g.q)
        free(g.stretches)
        free(g.first)
        free(g.last)
        free(g.stars)
        free(g.rows)
        free(g.aside)


def best_reading(frames, graph, int blank, bint is_log, double reach, double work, Py_ssize_t memory) -> tuple:
    cdef _Chain chain = _Chain(frames, graph, blank, is_log, memory)
    cdef Lattice *g = &chain.lattice
    cdef double score
    cdef Py_ssize_t e, f, p, t
    cdef double bound = 0.0
    cdef Py_ssize_t begun = 0
    if not reach > 0.0:
        raise ValueError(f"reach must be positive, got {reach}")
    if g.n_frames == 0:
        score = 0.0
        for e in range(g.n):
            score -= g.skip[e]
        return score, () if score == -INFINITY else (-1,) * g.n, (), (), (), 0.0, label_at(g, g.n)
    with nogil:
        score = forward(g, reach, work)
        if score > -INFINITY:
            go_back(g)
    if score == -INFINITY:
        return score, (), (), (), (), INFINITY if reach < INFINITY or g.done > work else 0.0, g.widest
    if g.lost > -INFINITY:  # scores are rounded: what is better by no more than that is no better path
        bound = max(0.0, g.lost + g.tops - score + 1e-9 * g.n_frames)
    chosen, first, last, stars = [], [], [], []
    for e in range(g.n):
        found = -1
        for f in range(g.forms[e], g.forms[e + 1]):
            if g.first[g.starts[f]] >= 0:
                found = f - g.forms[e]
                for p in range(g.starts[f], g.starts[f + 1]):
                    first.append(g.first[p])
                    last.append(g.last[p])
        chosen.append(found)
    for t in range(g.n_frames):
        if g.stars[t] >= 0:
            begun = begun if t > 0 and g.stars[t - 1] == g.stars[t] else t
            if t + 1 == g.n_frames or g.stars[t + 1] != g.stars[t]:
                stars.append((g.stars[t], begun, t))
    return score, tuple(chosen), tuple(first), tuple(last), tuple(stars), bound, g.widest
