"""How much the band of a text's lattice can have lost.

There are two bounds. The way back bounds what was cut off by the most that what follows a state outside may come to.

Proof that a frame multiplies this by no more than its blank and its two most probable labels, and adds what enters the
band. After a frame a path is in a blank, in the same label, or in the next label if that is another class. So of what
follows a state, that part which stays outside is at most (blank + the two labels) times the most for the frame after.
The rest enters the band: below it, by its first label only; above it, where the band begins to hold more labels.

That is enough for a line. Of more frames it is noted what leaves the band and where, and bounded by groups of labels
(see outside.pyx), up to where the band holds so much more that it is no more than a share of that. All these numbers
are logarithms.
"""

from libc.math cimport INFINITY, exp, log
from libc.stdint cimport int32_t
from libc.stdlib cimport free
from libc.string cimport memset

from fastctc.compiled.band cimport STRETCH, describe, greatest
from fastctc.compiled.band_sums cimport Back, Job, Room, Stretch, log_product, row_of
from fastctc.compiled.lattice cimport LN2
from fastctc.compiled.magnitudes cimport Wide, add_to, keep_greater, log_add, log_of
from fastctc.compiled.memory cimport resize
from fastctc.compiled.outside cimport (
    Outside, Place, bound_places, leave_room, nats, note, note_sure, take_room
)

cdef enum:
    GROUP = 4       # labels that share a bound outside of the band
    PROMISED = 30   # nats: what is lost must be that much less than the whole, e**-30


cdef inline int watch_from_now(Room *room, Job *job) except -1 nogil:
    """Make room for what leaves the band. There are at most four places a stretch in each list."""
    cdef Py_ssize_t n_places = 4 * (job.text.n_frames // STRETCH + 2)
    job.watched = True
    if n_places > room.most_lost:
        resize(<void **> &room.sums_lost, n_places, sizeof(Place))
        resize(<void **> &room.ends_lost, n_places, sizeof(Place))
        resize(<void **> &room.paths_lost, n_places, sizeof(Place))
        room.most_lost = n_places
    return 0


cdef inline void watch_sums(Room *room, const Job *job, Py_ssize_t t, Stretch *before, Stretch *s) noexcept nogil:
    """The sums of frames up to one in front of frame t, and what vanished below the least double since ``before``."""
    cdef const double *row
    cdef double most
    cdef Py_ssize_t i, k, start = t - 1 - (t - 1) % STRETCH, end = min(before.low + before.width + 1, job.text.n + 1)
    cdef double unseen = log(<double> (2 * STRETCH * before.width))
    cdef double unit = log_product(room.everything + start, t - start)
    s.norm = before.norm + unit
    s.tops = before.tops
    for i in range(start, t):
        row = job.probs + i * job.text.n_classes
        most = 0.0
        for k in range(job.text.n_symbols):
            most = max(most, row[job.text.classes[k]])
        s.tops += log(most)
    unseen += (max(room.exponents[start], room.exponents[t]) - 1022) * LN2
    note(
        room.sums_lost, &room.n_sums_lost, t, before.low, end, unseen - min(s.norm, before.norm) + 2.0 * STRETCH, False
    )


cdef inline void watch(
    Room *room, const Job *job, Py_ssize_t j, Py_ssize_t low, Py_ssize_t high, double reach
) noexcept nogil:
    """Note what leaves the band before a stretch, and where it is as good as all; labels low to high - 1 stay."""
    cdef Stretch *s = &room.stretches[j]
    cdef Stretch *before = s - 1
    cdef Py_ssize_t t = j * STRETCH, i, width = before.width, end = min(before.low + width + 1, job.text.n + 1)
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


cdef inline int bound_losses(
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
        back.span_lost = log_add(back.span_lost, s.begun + unseen_after + log(<double> STRETCH * job.text.n_frames))
    # What was cut off is in the band again where that was empty, or else outside.
    if i < s.width:
        top = 3.0 * max(greatest(back.blanks + i, s.width - i), greatest(back.labels + i, s.width - i))
        add_to(&back.above, top, back.exponent)
    if s.dropped > -INFINITY:
        if back.below.value > 0.0:
            back.lost = log_add(back.lost, s.dropped + log_of(back.below))
        if back.above.value > 0.0:
            back.lost = log_add(back.lost, s.dropped + log_of(back.above))
    # What vanished unseen was below the least double, in any state of the band.
    top = 3.0 * max(greatest(back.blanks, s.width), greatest(back.labels, s.width))
    add_to(&back.anything, top, back.exponent)
    unseen = log(<double> (2 * STRETCH * s.width)) + (room.exponents[t] - 1022) * LN2
    if top > 0.0:
        back.lost = log_add(back.lost, unseen + log(top) + back.exponent * LN2)
    if job.n_spans and back.anything.value > 0.0:
        back.span_lost = log_add(back.span_lost, log_add(unseen, s.dropped) + log_of(back.anything))
    return 0


cdef inline void watch_back(Room *room, const Job *job, Back *back, Py_ssize_t j, double reach) noexcept nogil:
    """Note what leaves the band of the stretch behind a stretch on the way back, and where that is as good as all."""
    cdef Stretch *s = &room.stretches[j]
    cdef Stretch *behind = s + 1 if (j + 1) * STRETCH < job.text.n_frames else &room.last
    cdef Py_ssize_t t = (j + 1) * STRETCH, i, top = min(s.low + s.width - back.low, back.width), end, low
    cdef double norm = room.last.norm - behind.norm, slack, value = 0.0, most
    # Sums of frames are near 1 when they are scaled: within a stretch they come to 4**16 at most.
    back.unit_before = <Py_ssize_t> (-min(s.norm, behind.norm) / LN2) + 2 * STRETCH + 1
    back.unit_behind = <Py_ssize_t> (-min(norm, room.last.norm - s.norm) / LN2) + 2 * STRETCH + 1
    if behind != &room.last:
        slack = 2.0 * STRETCH - norm
        end = min(back.low + back.width + 1, job.text.n + 1)
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


cdef inline double bound_spans(
    Room *room, const Job *job, Outside *o, const int32_t *before, double total, double shares
) except? -1.0 nogil:
    """What may be missing in the sum over everything in a span's place, as bounded for the span where it is most.

    The labels before a span may be complete outside of the band (``before``: the most that groups of them come to), or
    those behind may begin there; between the two anything may stand.
    """
    cdef Py_ssize_t k, start, stop
    cdef double starts, stops, lost_starts, lost_stops, missing, most = -INFINITY
    cdef double often = log(<double> job.text.n_frames), least = total - 100.0
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
        if stop < job.text.n:
            stops = log_of(room.stops_most[k]) + often
            lost_stops = max(nats(o.most[(stop + 1) // GROUP]), least) + log(<double> (room.n_ends_lost + 1)) + often
        missing = log_add(lost_starts + log_add(stops, lost_stops), starts + lost_stops)
        # The sum itself is in units of 2**end.
        most = max(most, missing - (log(room.sums[k]) + job.end * LN2 - room.last.norm))
    if shares > 0.0:
        most = log_add(most, log(2.0 * shares))
    return job.total + most


cdef inline int bound_lost(Room *room, Job *job, double path) except -1 nogil:
    """What has left the band, by groups of labels: where the sums of all frames promise too little."""
    cdef Outside o
    cdef double total, value, shares
    cdef int32_t *most
    memset(&o, 0, sizeof(Outside))
    describe(&job.text, &o)
    o.probs = job.probs
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
