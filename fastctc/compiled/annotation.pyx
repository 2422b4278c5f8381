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

from libc.math cimport INFINITY, exp, frexp, ilogb, log, log1p
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastctc.compiled.loss import log_probability
from fastctc.compiled.spans import span_probabilities
from fastctc.compiled.viterbi import best_alignment
from fastctc.compiled.band cimport (
    STRETCH, Text, choose_registers, end_path, free_labels, greatest, step_back, sum_row_back, take_labels
)
from fastctc.compiled.band_bounds cimport (
    PROMISED, bound_losses, bound_lost, watch, watch_back, watch_from_now, watch_sums
)
from fastctc.compiled.band_spans cimport end_spans, meet_spans, open_spans
from fastctc.compiled.band_sums cimport (
    LOOK, SIGNAL_WORK, Back, Job, Room, Stretch, begin, choose_band, drop_parts, fill_again, grow, leave, load, prepare,
    row_of, survey, sweep, take_over
)
from fastctc.compiled.interrupts cimport look_after
from fastctc.compiled.lattice cimport LN2
from fastctc.compiled.magnitudes cimport Wide, add_to, keep_greater, multiply, two_to_the

REGISTERS = choose_registers().decode("ascii")  # whose copies of the loops run

cdef double FARTHEST = 600.0  # nats: a double holds 708, and sums may shrink between two looks at them
cdef double WATCHED = 200.0     # nats: the band where it is watched what leaves it
cdef double EXACT = 1e-12  # a smaller bound says no more than rounding does
cdef Py_ssize_t FEW = 1 << 16  # states of a whole lattice that is gone through where a band promises too little
cdef Py_ssize_t MEMORY = 1 << 28  # bytes that a best path of the whole lattice may take
cdef Py_ssize_t MANY = 1 << 24  # ... where a band has nothing; a span takes as long as four states


cdef int start_back(Room *room, Job *job, Back *back, Py_ssize_t end) except -1 nogil:
    """Stand behind the last frame.

    There a path must be in the last label or the last blank: as if one more blank followed, of probability 1.
    """
    cdef Py_ssize_t n = job.text.n, j = (job.text.n_frames - 1) // STRETCH, i, k = job.text.n_frames - j * STRETCH
    cdef Stretch *s = &room.stretches[j]
    for i in range(j + 1):
        grow(<void **> &room.back, &room.n_back, room.stretches[i].width + 2, 4 * sizeof(double))
    memset(room.back, 0, 4 * room.n_back * sizeof(double))
    memset(back, 0, sizeof(Back))
    back.blanks = room.back + 1
    back.labels = back.blanks + room.n_back
    back.spare = back.labels + room.n_back
    back.low = s.low
    back.width = s.width
    back.end = end
    back.lost = back.span_lost = -INFINITY
    room.n_ends_lost = 0
    back.blanks[n - s.low] = 1.0
    end_path(&job.text, row_of(room, s, k, 2)[n - s.low], row_of(room, s, k, 3)[n - s.low])
    meet_spans(room, job, back, s.low, 1.0)
    return 0


cdef void swap_rows(const Room *room, Back *back) noexcept nogil:
    cdef double *old = back.blanks
    back.blanks = back.spare
    back.labels = back.spare + room.n_back
    back.spare = old


cdef void enter_band(const Room *room, Back *back, const Stretch *s) noexcept nogil:
    """Go on from the band of the stretch behind, which begins no lower."""
    cdef Py_ssize_t i = back.low - s.low, count = min(s.width - i, back.width)
    if i == 0 and back.width == s.width:
        return
    swap_rows(room, back)
    memset(back.blanks - 1, 0, (s.width + 2) * sizeof(double))
    memset(back.labels - 1, 0, (s.width + 2) * sizeof(double))
    if count > 0:
        memcpy(back.blanks + i, back.spare, count * sizeof(double))
        memcpy(back.labels + i, back.spare + room.n_back, count * sizeof(double))
    back.low = s.low
    back.width = s.width


cdef int go_back(Room *room, Job *job, Py_ssize_t end, double reach) except -1 nogil:
    """The best path, the sums over spans, and bounds on what the band has lost, from the last frame to the first."""
    cdef Py_ssize_t n = job.text.n, t, j, part, start, stop, shift, w, first_stretch, last_stretch, least
    cdef Stretch *s
    cdef double most
    cdef Back back
    cdef Wide away
    start_back(room, job, &back, end)
    for part in range(room.n_parts, -1, -1):
        first_stretch = room.starts[part - 1] if part else 0
        last_stretch = room.starts[part] - 1 if part < room.n_parts else (job.text.n_frames - 1) // STRETCH
        if part < room.n_parts:  # its rows were given up
            fill_again(room, job, first_stretch, last_stretch, part)
        for j in range(last_stretch, first_stretch - 1, -1):
            s = &room.stretches[j]
            start = j * STRETCH
            stop = min(job.text.n_frames, start + STRETCH)
            if job.watched:
                watch_back(room, job, &back, j, reach)
            enter_band(room, &back, s)
            least = back.exponent
            away = back.above
            keep_greater(&away, back.below.value, back.below.exponent)
            if s.low <= max(0, n - (job.text.n_frames - start)):
                back.below.value = 0.0  # from there the end is out of reach
            for t in range(stop - 1, start - 1, -1):
                if job.n_spans:
                    open_spans(room, job, &back, t, s)
                shift = 0
                if t % LOOK == LOOK - 1:
                    most = max(greatest(back.blanks, s.width), greatest(back.labels, s.width))
                    if 0.0 < most < INFINITY:
                        shift = ilogb(most)
                        add_to(&back.anything, 40.0 * most, back.exponent)  # 1 + 3 + 9 + 27, until the next look
                        for w in range(back.n_active):
                            room.waiting[room.active[w]] *= two_to_the(-shift)
                load(room, job, t, two_to_the(-shift))
                back.exponent += shift
                sum_row_back(
                    back.blanks, back.labels, back.spare, back.spare + room.n_back, room.q, job.text.symbol + s.low,
                    job.step + s.low, s.width
                )
                swap_rows(room, &back)
                back.labels[s.width] = 0.0
                if s.low > 0:
                    keep_greater(&back.edge, back.labels[0], back.exponent)
                multiply(&back.anything, room.everything[t])
                multiply(&back.above, room.growth[t])
                multiply(&back.below, room.growth[t])
                if s.low > n - (job.text.n_frames - start):
                    add_to(&back.below, back.labels[0], back.exponent)
                    keep_greater(&away, back.below.value, back.below.exponent)
                if room.growth[t] > 1.0:
                    keep_greater(&away, back.above.value, back.above.exponent)
                step_back(&job.text, t, row_of(room, s, t - start, 2), row_of(room, s, t - start, 3), s.low)
            back.most_exponent = max(least, back.exponent)
            bound_losses(room, job, &back, s, start, away, back.most_exponent)
            look_after(&room.work, STRETCH * s.width, SIGNAL_WORK)
    end_spans(room, job, &back)
    job.bound = back.lost
    job.span_bound = back.span_lost
    return 0


cdef bint attempt(Room *room, Job *job, double reach, double *path) except -1 nogil:
    """Annotate within a band; ``path`` is the log probability of the best path, scaled as the total is."""
    cdef Py_ssize_t j, n_stretches = (job.text.n_frames - 1) // STRETCH + 1, k, start, stop
    cdef Stretch *s = NULL
    cdef double total
    cdef int exponent
    cdef size_t used = 0
    drop_parts(room)
    room.n_sums_lost = room.n_paths_lost = 0
    room.exponents[0] = 0
    if not begin(room, job, &used):
        return False
    for j in range(n_stretches):
        if j:
            if not choose_band(room, job, reach, j, &start, &stop):
                return False
            if job.watched:
                watch(room, job, j, start, stop, reach)
            take_over(room, j, start, stop, &used)
        sweep(room, job, j, False)
        look_after(&room.work, STRETCH * room.stretches[j].width, SIGNAL_WORK)
    s = &room.stretches[n_stretches - 1]
    if s.low + s.width != job.text.n + 1:
        return False
    k = job.text.n_frames - (n_stretches - 1) * STRETCH
    total = row_of(room, s, k, 0)[s.width - 1] + row_of(room, s, k, 1)[s.width - 1]
    path[0] = max(row_of(room, s, k, 2)[s.width - 1], row_of(room, s, k, 3)[s.width - 1]) - job.exponent * LN2
    if not 0.0 < total < INFINITY or path[0] == -INFINITY:
        return False
    job.total = log(total) + room.exponents[job.text.n_frames] * LN2
    total = frexp(total, &exponent)
    job.end = room.exponents[job.text.n_frames] + exponent
    if job.watched:
        watch_sums(room, job, job.text.n_frames, s, &room.last)
    go_back(room, job, job.end, reach)
    for k in range(job.n_spans):
        job.probabilities[k] = min(1.0, total / room.sums[k])
    return True


cdef int annotate_one(Room *room, Job *job) except -1 nogil:
    cdef double depth, reach, path = 0.0, missing, span_missing
    cdef bint provable
    if job.text.n_frames == 0:
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
    if (missing > 0.0 or span_missing > 0.0) and job.text.n_frames * (2 * job.text.n + 1) <= FEW:
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
    cdef Py_ssize_t *spans

    def __cinit__(self, const double[:, ::1] probs, logs, labels, spans, int blank):
        cdef Job *job = &self.job
        cdef Text *text = &job.text
        cdef Py_ssize_t i, start, stop
        cdef list pairs = [(start, stop) for start, stop in spans]
        cdef const double[:, ::1] doubles
        cdef const float[:, ::1] floats
        text.n_frames = probs.shape[0]
        text.n_classes = probs.shape[1]
        job.probs = &probs[0, 0] if text.n_frames else NULL
        self.kept = (probs, logs)
        if logs is None:
            text.doubles = job.probs
        else:
            text.is_log = True
            if logs.shape[0] != text.n_frames or logs.shape[1] != text.n_classes:
                raise ValueError("probabilities and their logarithms must have the same shape")
            if logs.dtype.char == "f":
                floats = logs
                text.floats = &floats[0, 0] if text.n_frames else NULL
            else:
                doubles = logs
                text.doubles = &doubles[0, 0] if text.n_frames else NULL
        take_labels(text, tuple(labels), blank)
        job.step = <double *> malloc((text.n + 2) * sizeof(double))
        self.spans = <Py_ssize_t *> malloc((2 * len(pairs) + 1) * sizeof(Py_ssize_t))
        job.probabilities = <double *> malloc((len(pairs) + 1) * sizeof(double))
        if job.step is NULL or self.spans is NULL or job.probabilities is NULL:
            raise MemoryError()
        for i in range(text.n + 2):
            job.step[i] = 1.0 if text.bar[i] == 0.0 else 0.0
        for start, stop in pairs:
            if not 0 <= start <= stop <= text.n:
                raise ValueError(f"spans must lie within the {text.n} labels, got ({start}, {stop})")
        self.order = sorted(range(len(pairs)), key=lambda k: -pairs[k][1])
        for i in range(len(pairs)):
            self.spans[2 * i], self.spans[2 * i + 1] = pairs[self.order[i]]
        job.n_spans = len(pairs)
        job.spans = self.spans

    def __dealloc__(self):
        free_labels(&self.job.text)
        free(self.job.step)
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
            tuple([job.text.first[i] for i in range(1, job.text.n + 1)]),
            tuple([job.text.last[i] for i in range(1, job.text.n + 1)]),
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
