"""The candidates of a frame in a search over paths: they meet, are bounded, added up and ranked."""

from libc.math cimport INFINITY, exp, log
from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from fastctc.compiled.path_state cimport Candidate, Rank, Raw, Search, mixed, resize

cdef enum:
    BINS = 128          # of a histogram of scores
    SORT_BINS = 1 << 12
    FEW = 12            # that are sorted by insertion
    MARGIN = 40         # nats below the best at which a path no longer changes a sum


cdef inline bint sooner(const Candidate *a, const Candidate *b) noexcept nogil:
    """Of two that tie: the order of the reference."""
    if a.parent != b.parent:
        return a.parent < b.parent
    if a.token != b.token:
        return a.token < b.token
    if a.word != b.word:
        return a.word < b.word
    return a.node < b.node


cdef inline uint32_t key_of(const Candidate *c) noexcept nogil:
    return mixed(
        mixed(<uint32_t> c.lm, <uint32_t> c.label), mixed(<uint32_t> c.node, <uint32_t> (2 * c.token + c.is_blank))
    )


cdef inline bint agree(const Candidate *a, const Candidate *b) noexcept nogil:
    return (
        a.lm == b.lm and a.label == b.label and a.node == b.node and a.token == b.token and a.is_blank == b.is_blank
    )


cdef inline int more_candidates(Search *s) except -1 nogil:
    cdef int i
    cdef uint32_t place, mask
    resize(<void **> &s.candidates, 2 * <size_t> s.candidate_room * sizeof(Candidate))
    resize(<void **> &s.table, 8 * <size_t> s.candidate_room * sizeof(int))
    resize(<void **> &s.ranked, 2 * <size_t> s.candidate_room * sizeof(Rank))
    resize(<void **> &s.spare, 2 * <size_t> s.candidate_room * sizeof(Rank))
    resize(<void **> &s.scores, 2 * <size_t> s.candidate_room * sizeof(double))
    s.candidate_room *= 2
    s.table_size = 4 * s.candidate_room
    mask = <uint32_t> s.table_size - 1
    memset(s.table, 0xff, <size_t> s.table_size * sizeof(int))
    for i in range(s.n_candidates):
        place = key_of(&s.candidates[i]) & mask
        while s.table[place] >= 0:
            place = (place + 1) & mask
        s.table[place] = i
    return 0


cdef inline double kth_largest(double *x, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """Of n >= k numbers, which change their order."""
    cdef Py_ssize_t low = 0, high = n - 1, i, j
    cdef double pivot, t
    k -= 1
    while low < high:
        pivot = x[low + (high - low) // 2]
        i = low
        j = high
        while i <= j:
            while x[i] > pivot:
                i += 1
            while x[j] < pivot:
                j -= 1
            if i <= j:
                t = x[i]
                x[i] = x[j]
                x[j] = t
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return x[k]


cdef inline void tighten(Search *s) noexcept nogil:
    """Raise the bound to what beam_width of the candidates so far reach, or a little below."""
    cdef int bins[BINS]
    cdef int i, n = 0
    cdef double below, scale, last
    s.next_tightening = 2 * s.n_candidates
    if s.n_candidates < s.beam_width or (s.asking and s.log_add):
        return
    # A histogram of what is near the best, as wide as what was kept of the frame before, twice. It has no branches that
    # a processor would guess wrong.
    memset(bins, 0, sizeof(bins))
    scale = (BINS - 1) / (2.0 * s.spread)
    for i in range(s.n_candidates):
        below = (s.best - s.candidates[i].best) * scale
        bins[<int> below if below < BINS - 1.0 else BINS - 1] += 1
    for i in range(BINS - 1):
        n += bins[i]
        if n >= s.beam_width:
            last = s.best - (i + 1) / scale
            last -= 1e-12 * abs(last)  # for the rounding
            break
    else:
        for i in range(s.n_candidates):
            s.scores[i] = s.candidates[i].best
        last = kth_largest(s.scores, s.n_candidates, s.beam_width)
    if last > s.bound:
        s.bound = last


cdef inline double lowest(const Search *s) noexcept nogil:
    """What a path must reach at least."""
    cdef double near = s.best - s.threshold
    return near if near > s.bound else s.bound


cdef inline void meet(Search *s, int place, const Candidate *new) noexcept nogil:
    """Merge a path with a candidate that it agrees with; the best of them leads."""
    cdef Candidate *other = &s.candidates[place]
    if new.best > other.best or (new.best == other.best and sooner(new, other)):
        other.best = other.score = new.best
        other.gain = new.gain
        other.token = new.token
        other.word = new.word
        other.parent = new.parent
        if new.best > s.best:
            s.best = new.best


cdef inline int keep_raw(Search *s, int place, double score) except -1 nogil:
    """Note a score that is to be added to its candidate."""
    if s.n_raws == s.raw_room:
        resize(<void **> &s.raws, 2 * <size_t> s.raw_room * sizeof(Raw))
        s.raw_room *= 2
    s.raws[s.n_raws].score = score
    s.raws[s.n_raws].next = s.candidates[place].first_raw
    s.candidates[place].first_raw = s.n_raws
    s.n_raws += 1
    return 0


cdef inline int add(Search *s, int place, const Candidate *new) except -1 nogil:
    """Let another path come to a candidate, unless all have."""
    cdef Candidate *other = &s.candidates[place]
    if new.best != new.best or other.settled:
        return 0
    if s.log_add:
        if other.first_raw < 0:
            keep_raw(s, place, other.best)
        keep_raw(s, place, new.best)
    meet(s, place, new)
    return 0


cdef inline int append(Search *s, const Candidate *new) except -2 nogil:
    """A candidate that no other way leads to; -1 if it is none."""
    cdef int place = s.n_candidates
    if new.best != new.best:
        return -1
    if place == s.candidate_room:
        more_candidates(s)
    s.candidates[place] = new[0]
    s.candidates[place].first_raw = -1
    s.candidates[place].settled = False
    s.n_candidates += 1
    if new.best > s.best:
        s.best = new.best
    if s.n_candidates >= s.next_tightening:
        tighten(s)
    return place


cdef inline int push(Search *s, const Candidate *new) except -2 nogil:
    """Merge a path with those that agree; its candidate, or -1 if it is none."""
    cdef uint32_t mask, slot
    cdef int place
    if new.best != new.best:
        return -1
    if s.n_candidates == s.candidate_room:
        more_candidates(s)
    mask = <uint32_t> s.table_size - 1
    slot = key_of(new) & mask
    while True:
        place = s.table[slot]
        if place < 0:
            s.table[slot] = s.n_candidates
            return append(s, new)
        if agree(&s.candidates[place], new):
            add(s, place, new)
            return place
        slot = (slot + 1) & mask


cdef inline bint stands_before(const Search *s, const Rank *a, const Rank *b) noexcept nogil:
    if a.score != b.score:
        return a.score > b.score
    return sooner(&s.candidates[a.candidate], &s.candidates[b.candidate])


cdef inline void insertion_sort(Search *s, int first, int stop) noexcept nogil:
    cdef int i, j
    cdef Rank one
    for i in range(first + 1, stop):
        one = s.ranked[i]
        j = i
        while j > first and stands_before(s, &one, &s.ranked[j - 1]):
            s.ranked[j] = s.ranked[j - 1]
            j -= 1
        s.ranked[j] = one


cdef inline void merge_sort(Search *s, int first, int stop) noexcept nogil:
    """Sort a part of the ranking."""
    cdef int width = 1, low, middle, high, i, j, k
    cdef Rank *source = s.ranked
    cdef Rank *target = s.spare
    while width < stop - first:
        low = first
        while low < stop:
            middle = min(low + width, stop)
            high = min(low + 2 * width, stop)
            i = low
            j = middle
            for k in range(low, high):
                if i < middle and (j >= high or not stands_before(s, &source[j], &source[i])):
                    target[k] = source[i]
                    i += 1
                else:
                    target[k] = source[j]
                    j += 1
            low += 2 * width
        source, target = target, source
        width *= 2
    if source != s.ranked:
        memcpy(&s.ranked[first], &source[first], (stop - first) * sizeof(Rank))


cdef inline void rank(Search *s, int n) noexcept nogil:
    """Sort the first of the ranking: by bins of their scores, then within each."""
    cdef int n_bins = min(n, <int> SORT_BINS), i, k, first = 0
    cdef double best = -INFINITY, least = INFINITY, scale
    if n <= FEW:
        insertion_sort(s, 0, n)
        return
    for i in range(n):
        best = max(best, s.ranked[i].score)
        least = min(least, s.ranked[i].score)
    scale = (n_bins - 0.5) / (best - least)
    if not 0.0 < scale < INFINITY:
        merge_sort(s, 0, n)
        return
    memset(s.bins, 0, (n_bins + 1) * sizeof(int))
    for i in range(n):
        s.bins[<int> ((best - s.ranked[i].score) * scale) + 1] += 1
    for k in range(n_bins):
        s.bins[k + 1] += s.bins[k]
    for i in range(n):
        k = <int> ((best - s.ranked[i].score) * scale)
        s.spare[s.bins[k]] = s.ranked[i]
        s.bins[k] += 1
    s.ranked, s.spare = s.spare, s.ranked
    for k in range(n_bins):
        if s.bins[k] - first <= FEW:
            insertion_sort(s, first, s.bins[k])
        else:
            merge_sort(s, first, s.bins[k])
        first = s.bins[k]


cdef inline void add_up(Search *s, Candidate *c, double least) noexcept nogil:
    """The sum of a candidate's paths, as far as they reach the least and change it."""
    cdef int raw = c.first_raw
    cdef double x, total = 0.0
    if raw < 0 or not -INFINITY < c.best < INFINITY:
        return
    while raw >= 0:
        x = s.raws[raw].score
        if x >= least and x - c.best > -MARGIN:
            total += exp(x - c.best) if x < c.best else 1.0
        raw = s.raws[raw].next
    c.score = c.best + log(total)


cdef inline double most_of(const Search *s, const Candidate *c) noexcept nogil:
    """What the sum of a candidate's paths cannot exceed: best + (n - 1) log 2 >= best + log n."""
    cdef double most = c.best
    cdef int raw = c.first_raw
    if raw >= 0:
        raw = s.raws[raw].next
    while raw >= 0:
        most += 0.6931472
        raw = s.raws[raw].next
    return most
