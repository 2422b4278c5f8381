"""Twin of fastctc.reference.utterance_path.

Columns are computed twice: once for the end, keeping a few of every block of columns, and then block by block for the
way back. So the table takes the memory of some hundred columns, not of all. The scores of the text's classes are laid
side by side first, frame after frame.
"""

from libc.math cimport INFINITY, fabs, sqrt
from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from fastctc.compiled.interrupts cimport look

cdef float LEAST = -1e9  # of a way that does not exist
cdef float UNFILLED = -1e10  # of a place that no way leads to
cdef Py_ssize_t SIGNAL_WORK = 1 << 24  # places of the table between two looks for Ctrl-C
cdef Py_ssize_t LEAST_BLOCK = 64  # columns
cdef enum:
    SPARE_BLANKS = 1  # flags, as in the reference
    FREE_PREAMBLE = 2

cdef struct Table:
    const float *floats     # the scores, in one of two precisions
    const double *doubles
    Py_ssize_t n_frames
    Py_ssize_t n_classes
    Py_ssize_t n            # positions of the text
    Py_ssize_t longest      # positions that a class may take
    Py_ssize_t window
    Py_ssize_t advance      # frames that the window moves on at most
    Py_ssize_t block        # columns of a block
    int blank
    int flags
    int32_t *text           # n x longest classes, or -1
    int32_t *row            # of each class, -1 where the text has it not
    float *rows             # scores of the blank and the text's classes, n_frames each
    Py_ssize_t *offsets     # of the window
    Py_ssize_t *shifts      # against the columns before
    float *columns          # longest columns before a block, and the block
    float *kept             # those before each block
    Py_ssize_t *state       # shifts, best place and offset before each block
    float *own              # of a column: the best class that the text has there
    float *switching        # ... and the best way from a column before
    Py_ssize_t best
    Py_ssize_t moved
    Py_ssize_t worked
    Py_ssize_t *places
    double *gains
    int32_t *classes


cdef inline float *column(const Table *g, Py_ssize_t c) noexcept nogil:
    """A column of the block that is in the room; or one of those before it."""
    return g.columns + (c % g.block + g.longest) * g.window


cdef void fill(Table *g, Py_ssize_t c) noexcept nogil:
    """Compute a column of those before it."""
    cdef Py_ssize_t s, t, shift, first, last, start, W = g.window, step
    cdef float *here = column(g, c)
    cdef const float *before
    cdef const float *gain
    cdef const float *blanks
    cdef float *own = g.own
    cdef float *switching = g.switching
    cdef float value, stay, most
    cdef bint spare = False
    if c > 0:
        step = min(max(0, g.best - W // 2), min(g.advance, g.n_frames - W - g.moved))
        for s in range(g.longest - 1):
            g.shifts[s + 1] = g.shifts[s] + step
        g.shifts[0] = step
        g.moved += step
    g.offsets[c] = g.moved
    blanks = g.rows + g.moved
    for t in range(W):
        own[t] = LEAST
        switching[t] = LEAST
    for s in range(g.longest):
        if g.text[c * g.longest + s] < 0:
            continue
        spare = spare or g.text[c * g.longest + s] == 0
        gain = g.rows + g.row[g.text[c * g.longest + s]] * g.n_frames + g.moved
        for t in range(W):
            own[t] = gain[t] if gain[t] > own[t] else own[t]
        if c <= s:
            continue
        shift = g.shifts[s] - 1
        before = here - (s + 1) * W + shift
        first = max(0, -shift)
        last = min(W, W - shift)
        for t in range(first, last):
            value = before[t] + gain[t]
            switching[t] = value if value > switching[t] else switching[t]
    spare = spare and g.flags & SPARE_BLANKS
    start = 1 if c == 0 else 0
    if c == 0:
        here[0] = 0.0
    else:
        here[0] = switching[0]
    for t in range(1, W):
        stay = blanks[t] if blanks[t] > own[t] else own[t]
        own[t] = 0.0 if spare else stay
    stay = here[0]
    if c == 0 and g.flags & FREE_PREAMBLE:
        for t in range(1, W):
            here[t] = switching[t] if switching[t] > 0.0 else 0.0
    else:
        for t in range(1, W):
            stay = stay + own[t]
            stay = switching[t] if switching[t] > stay else stay
            here[t] = stay
    g.best = start
    most = here[start] if W > start else 0.0
    for t in range(start + 1, W):
        if here[t] > most:
            most = here[t]
            g.best = t
    if W <= start:
        g.best = -1


cdef void keep(Table *g, Py_ssize_t number, bint back) noexcept nogil:
    """What a block begins with: put it aside, or take it back."""
    cdef Py_ssize_t size = g.longest * g.window, s
    cdef float *kept = g.kept + number * size
    cdef Py_ssize_t *state = g.state + number * (g.longest + 2)
    if back:
        memcpy(g.columns, kept, size * sizeof(float))
        for s in range(g.longest):
            g.shifts[s] = state[s]
        g.best = state[g.longest]
        g.moved = state[g.longest + 1]
    else:
        memcpy(kept, g.columns, size * sizeof(float))
        for s in range(g.longest):
            state[s] = g.shifts[s]
        state[g.longest] = g.best
        state[g.longest + 1] = g.moved


cdef int fill_block(Table *g, Py_ssize_t number) except -1 nogil:
    cdef Py_ssize_t c
    for c in range(number * g.block, min(g.n, (number + 1) * g.block)):
        fill(g, c)
        g.worked += g.window
        if g.worked > SIGNAL_WORK:
            g.worked = 0
            look()
    return 0


cdef inline double score(const Table *g, Py_ssize_t t, Py_ssize_t label) noexcept nogil:
    return g.floats[t * g.n_classes + label] if g.floats is not NULL else g.doubles[t * g.n_classes + label]


cdef inline double apart(const Table *g, double gain, float here, float before) noexcept nogil:
    """How far a difference of the table is from a score, in the precision of the scores."""
    cdef float difference = here - before
    if g.floats is not NULL:
        return fabs(<double> (<float> gain - difference))
    return fabs(gain - difference)


cdef inline Py_ssize_t inside(Py_ssize_t place, Py_ssize_t n) noexcept nogil:
    """A place counted from the end if it is negative; -1 if it is outside."""
    return place if 0 <= place < n else place + n if -n <= place < 0 else -1


cdef int go_back(Table *g, Py_ssize_t t) except -1 nogil:
    """The way back; 0 if it leaves the window."""
    cdef Py_ssize_t c = g.n - 1, s, offset = 0, frame, place, switched, W = g.window, number = c // g.block, earlier
    cdef double least, gain, own, distance
    cdef float here, before
    cdef int32_t label
    while t != 0 or c != 0:
        if c // g.block != number:
            number = c // g.block
            keep(g, number, True)
            fill_block(g, number)
        switched = -1
        least = INFINITY
        own = UNFILLED
        frame = inside(t + g.offsets[c], g.n_frames)
        place = inside(t, W)
        if frame < 0 or place < 0:
            return 0
        here = column(g, c)[place]
        for s in range(g.longest):
            label = g.text[c * g.longest + s]
            if label < 0:
                continue
            offset = g.offsets[c] - (g.offsets[c - 1 - s] if c - s > 0 else 0)
            gain = score(g, frame, label) if c > 0 else UNFILLED
            before = UNFILLED
            earlier = inside(t - 1 + offset, W)
            if earlier < 0:
                return 0
            if c > s:
                before = (column(g, c) - (s + 1) * W)[earlier]
            distance = apart(g, gain, here, before)
            if distance < least:
                least = distance
                switched = s
            own = gain if gain > own else own
        gain = UNFILLED
        if t > 0:
            gain = score(g, frame, g.blank)
            gain = own if own > gain else gain
        earlier = inside(t - 1, W)
        if earlier < 0:
            return 0
        if apart(g, gain, here, column(g, c)[earlier]) > least:
            if c <= switched:
                return 0
            for s in range(switched + 1):
                g.places[c - s] = t + g.offsets[c]
            g.gains[frame] = own
            g.classes[frame] = g.text[c * g.longest + switched]
            c -= 1 + switched
            t -= 1 - offset
        else:
            g.gains[frame] = gain
            g.classes[frame] = -1
            t -= 1
    return 1


cdef class _Room:
    """Checked arguments, and memory."""
    cdef Table table
    cdef object kept  # the array whose memory is in use

    def __cinit__(self, scores, text, int blank, Py_ssize_t window, int flags):
        cdef Table *g = &self.table
        cdef Py_ssize_t c, s, t, n_blocks, n_rows = 1
        cdef const double[:, ::1] doubles
        cdef const float[:, ::1] floats
        cdef int32_t label
        if getattr(getattr(scores, "dtype", None), "char", "") == "f":
            floats = scores
            g.n_frames, g.n_classes = floats.shape[0], floats.shape[1]
            g.floats = &floats[0, 0] if g.n_frames else NULL
        else:
            doubles = scores
            g.n_frames, g.n_classes = doubles.shape[0], doubles.shape[1]
            g.doubles = &doubles[0, 0] if g.n_frames else NULL
        self.kept = scores
        given = [tuple([int(label) for label in row]) for row in text]
        g.n = len(given)
        if g.n_frames == 0 or g.n == 0 or window < 1:
            raise ValueError(
                f"there must be a frame, a position of the text and a window, got {g.n_frames}, {g.n}, {window}"
            )
        g.longest = len(given[0])
        if g.longest == 0 or any([len(row) != g.longest for row in given]):
            raise ValueError("each position of the text must have as many classes, 1 or more")
        if not 0 <= blank < g.n_classes:
            raise ValueError(f"blank must be a class, 0 to {g.n_classes - 1}, got {blank}")
        g.blank = blank
        g.flags = flags
        g.window = min(window, g.n_frames)
        g.advance = <Py_ssize_t> (<float> (<double> (g.n_frames - g.window) / <double> g.n)) + 1
        g.block = max(LEAST_BLOCK, g.longest, <Py_ssize_t> sqrt(<double> g.n * g.longest))
        n_blocks = (g.n + g.block - 1) // g.block
        g.text = <int32_t *> malloc(g.n * g.longest * sizeof(int32_t))
        g.row = <int32_t *> malloc(g.n_classes * sizeof(int32_t))
        g.offsets = <Py_ssize_t *> malloc(g.n * sizeof(Py_ssize_t))
        g.shifts = <Py_ssize_t *> malloc(g.longest * sizeof(Py_ssize_t))
        g.columns = <float *> malloc((g.block + g.longest) * g.window * sizeof(float))
        g.kept = <float *> malloc(n_blocks * g.longest * g.window * sizeof(float))
        g.state = <Py_ssize_t *> malloc(n_blocks * (g.longest + 2) * sizeof(Py_ssize_t))
        g.own = <float *> malloc(g.window * sizeof(float))
        g.switching = <float *> malloc(g.window * sizeof(float))
        g.places = <Py_ssize_t *> malloc(g.n * sizeof(Py_ssize_t))
        g.gains = <double *> malloc(g.n_frames * sizeof(double))
        g.classes = <int32_t *> malloc(g.n_frames * sizeof(int32_t))
        if (
            g.text is NULL or g.row is NULL or g.offsets is NULL or g.shifts is NULL or g.columns is NULL
            or g.kept is NULL or g.state is NULL or g.own is NULL or g.switching is NULL or g.places is NULL
            or g.gains is NULL or g.classes is NULL
        ):
            raise MemoryError()
        for s in range(g.n_classes):
            g.row[s] = -1
        g.row[blank] = 0
        for c in range(g.n):
            g.places[c] = 0
            for s in range(g.longest):
                if not -1 <= given[c][s] < g.n_classes:  # still Python's numbers, which may be of any size
                    raise ValueError(f"classes must be -1 to {g.n_classes - 1}, got {given[c][s]}")
                label = given[c][s]
                g.text[c * g.longest + s] = label
                if label >= 0 and g.row[label] < 0:
                    g.row[label] = <int32_t> n_rows
                    n_rows += 1
        g.rows = <float *> malloc(n_rows * g.n_frames * sizeof(float))
        if g.rows is NULL:
            raise MemoryError()
        for t in range(g.n_frames):
            g.gains[t] = 0.0
            g.classes[t] = -2
            for s in range(g.n_classes):
                if g.row[s] >= 0:
                    g.rows[g.row[s] * g.n_frames + t] = <float> score(g, t, s)
        for s in range(g.longest):
            g.shifts[s] = -1
        for t in range(g.longest * g.window):
            g.columns[t] = UNFILLED
        g.best = -1

    def __dealloc__(self):
        cdef Table *g = &self.table
        free(g.text)
        free(g.row)
        free(g.rows)
        free(g.offsets)
        free(g.shifts)
        free(g.columns)
        free(g.kept)
        free(g.state)
        free(g.own)
        free(g.switching)
        free(g.places)
        free(g.gains)
        free(g.classes)


def best_utterance_path(scores, text, int blank, Py_ssize_t window, int flags, bint at_end) -> tuple:
    cdef _Room room = _Room(scores, text, blank, window, flags)
    cdef Table *g = &room.table
    cdef Py_ssize_t number, t, end = 0, n_blocks = (g.n + g.block - 1) // g.block
    cdef int found
    cdef float *last
    with nogil:
        for number in range(n_blocks):
            if number > 0:  # the last columns of the block before
                memcpy(g.columns, g.columns + g.block * g.window, g.longest * g.window * sizeof(float))
            keep(g, number, False)
            fill_block(g, number)
        last = column(g, g.n - 1)
        for t in range(1, g.window):
            end = t if last[t] > last[end] else end
        found = go_back(g, g.window - 1 if at_end else end)
    if not found:
        raise IndexError("the way back leaves the window")
    return (
        [g.places[t] for t in range(g.n)],
        [g.gains[t] for t in range(g.n_frames)],
        [g.classes[t] for t in range(g.n_frames)],
    )
