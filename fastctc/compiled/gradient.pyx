"""Twin of fastctc.reference.gradient: sums from the beginning of a text meet those from its end, frame by frame."""

from libc.math cimport INFINITY, exp, frexp, log, sqrt
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

import numpy as np

from fastctc.compiled.interrupts cimport look
from fastctc.compiled.lattice cimport BLOCK, LN2, Lattice, fill_lattice, free_lattice, power_of_two
from fastctc.compiled.sums cimport SIGNAL_WORK, Sums, advance, advance_log, begin, begin_log, log_sum, whole_sum

cdef Py_ssize_t LARGEST = 1 << 22  # states of all frames that are kept while a gradient is computed

# What the gradient of a text needs: the lattice in both directions, and the sums of the one that wait until those of
# the other come to meet them. All frames are one stretch, unless that would take much memory; then only the sums before
# each stretch are kept, and the stretch is gone through again.
cdef struct Slope:
    Lattice *ahead
    Lattice *back
    Py_ssize_t room         # blanks or labels of a frame, all blocks of them and the place before
    Py_ssize_t n_blocks
    Py_ssize_t stretch      # frames
    double *bare            # stretch x 2 room: sums without the probabilities of the frame itself
    int *exponents          # stretch x n_blocks
    double *kept            # stretches x (2 room + n_blocks)
    int *kept_exponents     # stretches x n_blocks
    double *met             # 2 room: bare sums of the lattice that runs backwards; 4 room: those of both, scaled
    double *shares          # of the symbols in a frame
    double *gradient        # frames x classes
    double total            # log probability


cdef void keep_sums(const Slope *p, const Sums *s, Py_ssize_t number) noexcept nogil:
    """Note the sums before a stretch."""
    cdef double *kept = p.kept + number * (2 * p.room + p.n_blocks)
    memcpy(kept, s.blanks - 1, p.room * sizeof(double))
    memcpy(kept + p.room, s.labels - 1, p.room * sizeof(double))
    memcpy(kept + 2 * p.room, s.least, p.n_blocks * sizeof(double))
    memcpy(p.kept_exponents + number * p.n_blocks, p.ahead.exponents, p.n_blocks * sizeof(int))


cdef void go_back(const Slope *p, Sums *s, Py_ssize_t number, double nothing) noexcept nogil:
    """Stand before a stretch once more."""
    cdef const double *kept = p.kept + number * (2 * p.room + p.n_blocks)
    cdef Py_ssize_t i
    memcpy(s.blanks - 1, kept, p.room * sizeof(double))
    memcpy(s.labels - 1, kept + p.room, p.room * sizeof(double))
    memcpy(s.least, kept + 2 * p.room, p.n_blocks * sizeof(double))
    memcpy(p.ahead.exponents, p.kept_exponents + number * p.n_blocks, p.n_blocks * sizeof(int))
    for i in range(-1, p.room - 1):
        s.new_blanks[i] = nothing
        s.new_labels[i] = nothing


cdef inline void scale(
    const double *sums, const int *exponents, Py_ssize_t room, Py_ssize_t low, Py_ssize_t high, int shift,
    double *scaled
) noexcept nogil:
    """Bring blocks of blanks and labels to one exponent."""
    cdef Py_ssize_t b, k
    cdef double factor
    for b in range(low, high + 1):
        factor = power_of_two(exponents[b] - shift)
        for k in range(b * BLOCK, (b + 1) * BLOCK):
            scaled[k] = sums[k] * factor
            scaled[room + k] = sums[room + k] * factor


cdef inline int greatest(const int *exponents, Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    cdef int result = exponents[low]
    cdef Py_ssize_t b
    for b in range(low + 1, high + 1):
        result = max(result, exponents[b])
    return result


cdef bint meet_at_once(const Slope *p, Py_ssize_t t, int exponent) noexcept nogil:
    """What all states of a frame have in common with the text, for each symbol. False if sums differ too much.

    Those from the beginning are brought to their greatest exponent. Where those from the end are below 2**900 then,
    what vanishes of the products is below 2**-120.
    """
    cdef const Lattice *g = p.back
    cdef Py_ssize_t n = g.n_labels, left = g.n_frames - 1 - t, i, room = p.room
    cdef Py_ssize_t low = max(0, n - left) // BLOCK, high = min(n, t + 1) // BLOCK
    cdef Py_ssize_t back_low = max(0, n - t) // BLOCK, back_high = min(n, left + 1) // BLOCK
    cdef const int *exponents = p.exponents + t % p.stretch * p.n_blocks
    cdef int shift = greatest(exponents, low, high)
    cdef double *a = p.met + 2 * room
    cdef double *b = a + 2 * room
    cdef double total = 0.0
    if shift + greatest(g.exponents, back_low, back_high) - exponent > 900:
        return False
    scale(p.bare + t % p.stretch * 2 * room, exponents, room, low, high, shift, a)
    scale(p.met, g.exponents, room, back_low, back_high, exponent - shift, b)
    for i in range(max(0, n - left), min(n, t) + 1):
        total += a[i] * b[n - i]
    p.shares[0] += total
    for i in range(max(1, n - left), min(n, t + 1) + 1):
        p.shares[g.symbol[n + 1 - i]] += a[room + i] * b[room + n + 1 - i]
    return True


cdef inline bint meet_run(
    const double *a, const double *b, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t last, int shift, double *products
) noexcept nogil:
    """Products of the sums from both sides, a[i] with b[last - i], scaled in halves: neither they nor their factors
    leave the range of a double. False if they might."""
    cdef double x = power_of_two(shift // 2), y = power_of_two(shift - shift // 2), most = 0.0
    cdef Py_ssize_t i
    if shift < -2000:
        x = 0.0
    for i in range(start, stop):
        products[i - start] = (a[i] * x) * (b[last - i] * y)
        most = max(most, products[i - start])
    return most == 0.0 or shift < 1900


cdef bint meet_in_runs(const Slope *p, Py_ssize_t t, int exponent) noexcept nogil:
    """The same, each block with each; False if they differ even more."""
    cdef const Lattice *g = p.back
    cdef Py_ssize_t n = g.n_labels, left = g.n_frames - 1 - t, i, stop, k, side, last, high
    cdef const double *a = p.bare + t % p.stretch * 2 * p.room
    cdef const double *b = p.met
    cdef const int *exponents = p.exponents + t % p.stretch * p.n_blocks
    cdef double products[BLOCK]
    cdef bint sound = True
    for side in range(2):  # blanks meet at n - i, labels at n + 1 - i
        last = n + side
        i = max(side, n - left)
        high = min(n, t + side)
        while i <= high:
            stop = min(high + 1, min((i // BLOCK + 1) * BLOCK, last - (last - i) // BLOCK * BLOCK + 1))
            sound &= meet_run(
                a + side * p.room, b + side * p.room, i, stop, last,
                exponents[i // BLOCK] + g.exponents[(last - i) // BLOCK] - exponent, products
            )
            if side == 0:
                for k in range(stop - i):
                    p.shares[0] += products[k]
            else:
                for k in range(stop - i):
                    p.shares[g.symbol[last - i - k]] += products[k]
            i = stop
    return sound


cdef bint meet(const Slope *p, Py_ssize_t t, const Sums *s, double total, int exponent) noexcept nogil:
    """A frame of the gradient. False if its posteriors do not sum to 1, since something has vanished."""
    cdef const Lattice *g = p.back
    cdef Py_ssize_t k
    cdef double *row = p.gradient + t * g.width
    cdef double *shares = p.shares
    cdef double all_shares, factor = 1.0 / total
    cdef bint at_once, sound
    for at_once in range(1, -1, -1):
        for k in range(g.n_symbols):
            shares[k] = 0.0
        sound = meet_at_once(p, t, exponent) if at_once else meet_in_runs(p, t, exponent)
        all_shares = 0.0
        for k in range(g.n_symbols):
            shares[k] *= factor
            all_shares += shares[k] * s.q[k]
        if sound and -1e-9 < all_shares - 1.0 < 1e-9:
            for k in range(g.n_symbols):
                row[g.classes[k]] = shares[k] * s.q[k] if g.is_log else shares[k]
            return True
    return False


cdef void meet_log(const Slope *p, Py_ssize_t t, const Sums *s) noexcept nogil:
    """The same with logarithms."""
    cdef const Lattice *g = p.back
    cdef Py_ssize_t n = g.n_labels, left = g.n_frames - 1 - t, i, k, side
    cdef const double *a = p.bare + t % p.stretch * 2 * p.room
    cdef const double *b = p.met
    cdef double *row = p.gradient + t * g.width
    cdef int symbol
    for k in range(g.n_symbols):
        p.shares[k] = 0.0
    for side in range(2):
        for i in range(max(side, n - left), min(n, t + side) + 1):
            symbol = g.symbol[n + 1 - i] if side else 0
            p.shares[symbol] += exp(
                a[side * p.room + i] + b[side * p.room + n + side - i] + (s.q[symbol] if g.is_log else 0.0) - p.total
            )
    for k in range(g.n_symbols):
        row[g.classes[k]] = p.shares[k]


cdef int sweep_stretch(
    const Slope *p, Sums *s, Py_ssize_t start, Py_ssize_t stop, bint logs, Py_ssize_t *worked
) except -1 nogil:
    """Go ahead through some frames, and note their bare sums."""
    cdef Py_ssize_t t
    cdef double *bare = p.bare
    cdef int *exponents = p.exponents
    for t in range(start, stop):
        if logs:
            worked[0] += 16 * advance_log(p.ahead, s, t, False, bare)
        else:
            worked[0] += BLOCK * advance(p.ahead, s, t, False, bare)
            memcpy(exponents, p.ahead.exponents, p.n_blocks * sizeof(int))
        bare += 2 * p.room
        exponents += p.n_blocks
        if worked[0] > SIGNAL_WORK:
            worked[0] = 0
            look()
    return 0


cdef int climb(Slope *p, bint logs) except -1 nogil:
    """The gradient by sums in both directions; 0 if too much has vanished in them."""
    cdef Py_ssize_t n = p.ahead.n_labels, n_frames = p.ahead.n_frames, start, stop = n_frames, t, worked = 0
    cdef bint certain = True
    cdef double total = 0.0
    cdef int exponent = 0, shift = 0
    cdef Sums ahead, back
    if logs:
        begin_log(p.ahead, &ahead)
        begin_log(p.back, &back)
    else:
        begin(p.ahead, &ahead)
        begin(p.back, &back)
    start = 0
    while start < n_frames:
        if p.stretch < n_frames:
            keep_sums(p, &ahead, start // p.stretch)
        sweep_stretch(p, &ahead, start, min(n_frames, start + p.stretch), logs, &worked)
        start += p.stretch
    if logs:
        p.total = log_sum(ahead.blanks[n], ahead.labels[n], -INFINITY)
    else:
        total = frexp(whole_sum(p.ahead, &ahead, &exponent, &certain), &shift)
        exponent += shift
        p.total = log(total) + exponent * LN2
    if not certain or p.total == -INFINITY:
        return certain
    while stop > 0:
        start = (stop - 1) // p.stretch * p.stretch
        if stop < n_frames:
            go_back(p, &ahead, start // p.stretch, -INFINITY if logs else 0.0)
            sweep_stretch(p, &ahead, start, stop, logs, &worked)
        for t in range(stop - 1, start - 1, -1):
            if logs:
                worked += 16 * advance_log(p.back, &back, n_frames - 1 - t, False, p.met)
                meet_log(p, t, &back)
            else:
                worked += BLOCK * advance(p.back, &back, n_frames - 1 - t, False, p.met)
                if not meet(p, t, &back, total, exponent):
                    return False
            if worked > SIGNAL_WORK:
                worked = 0
                look()
        stop = start
    if not logs:
        whole_sum(p.back, &back, &exponent, &certain)
    return certain


cdef class _Ascent:
    """What a gradient needs, checked, and its memory."""
    cdef Lattice ahead
    cdef Lattice back
    cdef Slope slope
    cdef object frames      # arrays whose memory is in use
    cdef object probs
    cdef object gradient

    def __cinit__(self, const double[:, ::1] frames, labels, int blank, bint is_log):
        cdef tuple given = tuple(labels)
        cdef Slope *p = &self.slope
        cdef Py_ssize_t n_frames, n_stretches
        cdef const double[:, ::1] probs
        cdef double[:, ::1] gradient
        self.frames = frames
        fill_lattice(&self.ahead, frames, given, blank, is_log)
        fill_lattice(&self.back, frames, given[::-1], blank, is_log)
        self.back.mirrored = True
        p.ahead = &self.ahead
        p.back = &self.back
        n_frames = p.ahead.n_frames
        self.gradient = np.zeros((n_frames, p.ahead.width))
        p.total = 0.0 if not given else -INFINITY
        if n_frames == 0:
            return
        if is_log:
            with np.errstate(over="ignore"):
                self.probs = probs = np.exp(frames)
            p.ahead.probs = p.back.probs = &probs[0, 0]
        gradient = self.gradient
        p.gradient = &gradient[0, 0]
        p.n_blocks = len(given) // BLOCK + 1
        p.room = p.n_blocks * BLOCK + 1
        p.stretch = n_frames
        if n_frames * p.room > LARGEST:
            p.stretch = <Py_ssize_t> sqrt(n_frames)
        n_stretches = 0 if p.stretch == n_frames else (n_frames - 1) // p.stretch + 1
        p.bare = <double *> malloc(
            ((p.stretch + 3) * 2 * p.room + n_stretches * (2 * p.room + p.n_blocks) + p.ahead.width) * sizeof(double)
        )
        p.exponents = <int *> malloc((p.stretch + n_stretches) * p.n_blocks * sizeof(int))
        if p.bare is NULL or p.exponents is NULL:
            raise MemoryError()
        p.met = p.bare + p.stretch * 2 * p.room
        p.shares = p.met + 6 * p.room
        p.kept = p.shares + p.ahead.width
        p.kept_exponents = p.exponents + p.stretch * p.n_blocks

    def __dealloc__(self):
        free_lattice(&self.ahead)
        free_lattice(&self.back)
        free(self.slope.bare)
        free(self.slope.exponents)


def gradients(batch, int blank, bint is_log) -> list:
    """All in one stretch without the GIL."""
    cdef list ascents = [_Ascent(frames, labels, blank, is_log) for frames, labels in batch]
    cdef Py_ssize_t n = len(ascents), i
    cdef _Ascent ascent
    cdef Slope **slopes = <Slope **> calloc(n + 1, sizeof(Slope *))
    if slopes is NULL:
        raise MemoryError()
    try:
        for i in range(n):
            ascent = ascents[i]
            slopes[i] = &ascent.slope
        with nogil:
            for i in range(n):
                if slopes[i].ahead.n_frames and not climb(slopes[i], False):
                    climb(slopes[i], True)
        return [(slopes[i].total, (<_Ascent> ascents[i]).gradient) for i in range(n)]
    finally:
        free(slopes)
