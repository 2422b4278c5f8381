"""Spans of a text (words): the sum over everything that may stand in a span's place.

A text stands in a span's place if it is read after the labels before the span and before those behind it. On the way
back ``waiting`` holds, of each span, the sum of all that ends with the labels behind it, from a frame on; it meets the
sums over the labels before the span, which the way forward has left in the rows.
"""

from libc.math cimport ldexp

from fastctc.compiled.band cimport STRETCH
from fastctc.compiled.band_sums cimport Back, Job, Room, Stretch, others, row_of
from fastctc.compiled.magnitudes cimport keep_greater, product, two_to_the


cdef inline double label_of(const Back *back, Py_ssize_t i) noexcept nogil:
    return back.labels[i - back.low] if back.low <= i < back.low + back.width else 0.0


cdef inline void meet_spans(Room *room, const Job *job, Back *back, Py_ssize_t low, double at_end) noexcept nogil:
    """Open the spans behind which something may follow in a band that begins with label ``low``.

    ``at_end`` is what follows a span that ends with the text.
    """
    cdef Py_ssize_t k
    while back.n_seen < job.n_spans and job.spans[2 * back.n_seen + 1] + 1 >= low:
        k = back.n_seen
        room.waiting[k] = at_end if job.spans[2 * k + 1] == job.text.n else 0.0
        room.sums[k] = 0.0
        room.starts_most[k].value = room.stops_most[k].value = 0.0
        room.starts_most[k].exponent = room.stops_most[k].exponent = 0
        room.active[back.n_active] = k
        back.n_active += 1
        back.n_seen += 1


cdef inline void end_spans(Room *room, const Job *job, const Back *back) noexcept nogil:
    """Nothing of a text is complete before the first frame, except its empty beginning."""
    cdef Py_ssize_t w, k
    cdef double most
    for w in range(back.n_active):
        k = room.active[w]
        if job.spans[2 * k] == 0:
            most = room.waiting[k]
            if job.spans[2 * k + 1] < job.text.n:
                most += label_of(back, job.spans[2 * k + 1] + 1)
            room.sums[k] += ldexp(most, <int> max(min(back.exponent - back.end, 9999), -9999))


cdef inline void open_spans(Room *room, const Job *job, Back *back, Py_ssize_t t, const Stretch *s) noexcept nogil:
    """Add what may stand in the places of the open spans; ``back`` is still in frame t + 1."""
    cdef const double *blanks = row_of(room, s, t % STRETCH, 0)
    cdef const double *labels = row_of(room, s, t % STRETCH, 1)
    cdef const double *row = job.probs + t * job.text.n_classes
    cdef Py_ssize_t w, k, start, stop, i, label, apart_of = -1
    cdef double everything = room.everything[t], p, x, apart, next_, recent, follows, rest = 0.0
    cdef double of_frame = room.scales[t]
    cdef Py_ssize_t unit = room.exponents[t] + back.exponent - back.end
    cdef double scale = two_to_the(unit) if -1000 < unit < 1000 else 0.0
    w = 0
    while w < back.n_active:
        k = room.active[w]
        start = job.spans[2 * k]
        stop = job.spans[2 * k + 1]
        next_ = label_of(back, stop + 1) if stop < job.text.n else 0.0
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
                    if stop < job.text.n and job.text.symbol[start] != job.text.symbol[stop + 1]:
                        follows += next_
                    p = row[job.text.classes[job.text.symbol[start]]] * of_frame
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
            label = job.text.classes[job.text.symbol[stop + 1]]
            p = row[label] * of_frame
            apart = everything - p
            if p >= 0.5 * everything:  # a difference would lose the digits of a small remainder
                if label != apart_of:
                    rest = others(job, t, label) * of_frame
                    apart_of = label
                apart = rest
        room.waiting[k] = everything * room.waiting[k] + apart * next_
        w += 1
    meet_spans(room, job, back, s.low, 0.0)
