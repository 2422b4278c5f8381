"""Twin of fastctc.reference.lexicon_search.

Where products may have vanished in doubles, the search is repeated with wide numbers, and scores and bounds are
logarithms.
"""

from libc.math cimport INFINITY, exp, log, log1p
from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc

from fastctc.compiled.heap cimport Entry, Heap, free_heap, pop, push, restore
from fastctc.compiled.interrupts cimport look
from fastctc.compiled.memory cimport resize

cdef extern from "processor.h":
    const char *choose_registers() except NULL

cdef extern from "ways_on.h" nogil:
    void normalise(const double *probs, size_t n_frames, size_t n_classes, double *y, double *sums)
    void find_ways_on(const double *y, size_t n_frames, size_t n_classes, size_t blank, double *result)

cdef extern from "wide.h" nogil:
    ctypedef struct Wide:
        pass
    Wide widen(double value, int steps)
    Wide times(Wide a, Wide b)
    void find_wide_ways_on(const double *y, size_t n_frames, size_t n_classes, size_t blank, Wide *result)
    void find_wide_blanks(const double *y, size_t n_frames, size_t n_classes, size_t blank, Wide *blanks)
    void find_wide_extension(
        const double *y, const Wide *on, const Wide *later, size_t n_frames, size_t n_classes, size_t blank,
        size_t label, bint above_is_empty, bint repeats, const Wide *above, Wide *result,
        double *whole, double *below, double *single
    )

REGISTERS = choose_registers().decode("ascii")  # whose copies of the loops run

cdef double SURE = 1e-280  # scores below are not trusted: they may be sums of what doubles have rounded to 0
cdef Py_ssize_t SIGNAL_WORK = 1 << 22  # numbers computed between two looks for Ctrl-C

cdef struct Found:
    double score
    int word

cdef struct Search:
    Py_ssize_t n_frames
    Py_ssize_t width
    Py_ssize_t n_words
    int blank
    bint wide               # wide numbers, and logarithms of them
    double nothing          # 0.0 or its logarithm
    double *y               # normalised rows
    double *on              # of each frame and label, the ways on from there
    double *later           # the most that a path can keep in the frames after each
    double *vectors         # slots of 2 n_frames numbers: the paths that end in a blank, and in the last label
    Wide *wide_on           # the same as wide numbers
    Wide *wide_later
    Wide *wide_vectors
    Py_ssize_t n_slots      # in use or free
    Py_ssize_t room
    double *masses          # of each slot, the most for all words below its prefix
    int *free_slots
    Py_ssize_t n_free
    Heap queue              # of nodes; the detail is the slot, the bound for a single word, later for all
    Found *found            # sorted
    Py_ssize_t n_found
    Py_ssize_t n_best
    double certainty
    Py_ssize_t patience
    double explored
    double waiting          # sum of the masses in the queue
    Py_ssize_t n_seen
    double rest


cdef inline double worst(const Search *s) noexcept nogil:
    return s.found[s.n_best - 1].score if s.n_found == s.n_best else s.nothing


cdef inline double weighed(const Search *s, double score, double weight) noexcept nogil:
    return score + log(weight) if s.wide else score * weight


cdef inline double plus(const Search *s, double a, double b) noexcept nogil:
    if not s.wide:
        return a + b
    if a < b:
        a, b = b, a
    return a + log1p(exp(b - a)) if b > -INFINITY else a


cdef inline double minus(const Search *s, double a, double b) noexcept nogil:
    if not s.wide:
        return a - b
    return a + log1p(-exp(b - a)) if b < a else -INFINITY


cdef int new_slot(Search *s) except -1 nogil:
    cdef Py_ssize_t n = 2 * s.n_frames
    if s.n_free:
        s.n_free -= 1
        return s.free_slots[s.n_free]
    if s.n_slots == s.room:
        if s.wide:
            resize(<void **> &s.wide_vectors, 2 * s.room * n, sizeof(Wide))
        else:
            resize(<void **> &s.vectors, 2 * s.room * n, sizeof(double))
        resize(<void **> &s.masses, 2 * s.room, sizeof(double))
        resize(<void **> &s.free_slots, 2 * s.room, sizeof(int))
        s.room *= 2
    s.n_slots += 1
    return <int> s.n_slots - 1


cdef Entry next_entry(Search *s) noexcept nogil:
    cdef Entry first = pop(&s.queue)
    s.waiting = minus(s, s.waiting, s.masses[first.detail])
    return first


cdef void keep_result(Search *s, double score, int word) noexcept nogil:
    cdef Py_ssize_t i = min(s.n_found, s.n_best - 1)
    if s.n_found == s.n_best and score == s.found[i].score and word > s.found[i].word:
        return
    while i > 0 and (
        s.found[i - 1].score < score or (s.found[i - 1].score == score and s.found[i - 1].word > word)
    ):
        s.found[i] = s.found[i - 1]
        i -= 1
    s.found[i].score = score
    s.found[i].word = word
    if s.n_found < s.n_best:
        s.n_found += 1


cdef struct Tree:
    const int32_t *node_labels
    const int32_t *ends
    const int32_t *words
    const double *bounds
    const double *priors
    int n_nodes


cdef void extend_prefix(
    const Search *s, const Entry *above, int last, int label, int slot, double *whole, double *below, double *single
) noexcept nogil:
    """What a prefix is worth with one label more: its text, all that go on from it, the most that one of them has."""
    cdef Py_ssize_t n = s.n_frames, t
    cdef const double *blanks = s.vectors + above.detail * 2 * n
    cdef const double *labels = blanks + n
    cdef double *new_blanks = s.vectors + slot * 2 * n
    cdef double *new_labels = new_blanks + n
    cdef const double *row = s.y
    cdef const double *on = s.on + label
    cdef double skip = 0.0 if label == last else 1.0, in_label = row[label] if above.node < 0 else 0.0, in_blank = 0.0
    cdef double all_below = in_label * on[0], most = in_label * s.later[0], first, p, q
    new_labels[0] = in_label
    new_blanks[0] = 0.0
    for t in range(1, n):
        row += s.width
        on += s.width
        p = row[label]
        first = p * (blanks[t - 1] + skip * labels[t - 1])
        all_below += first * on[0]
        most += first * s.later[t]
        q = in_label
        in_label = first + p * q
        in_blank = row[s.blank] * (in_blank + q)
        new_labels[t] = in_label
        new_blanks[t] = in_blank
    whole[0] = in_label + in_blank
    below[0] = all_below
    single[0] = most


cdef int expand(Search *s, const Tree *tree, Entry entry, bint by_mass) except -1 nogil:
    """Look at the children of a node."""
    cdef int last = tree.node_labels[entry.node] if entry.node >= 0 else -1, child = entry.node + 1
    cdef int end = tree.ends[entry.node] if entry.node >= 0 else tree.n_nodes, label, slot
    cdef double below, single, whole, score, mass
    while child < end:
        label = tree.node_labels[child]
        # Nodes are checked where they are met: there may be millions of others.
        if not (
            child < tree.ends[child] <= end and 0 <= tree.words[child] < s.n_words and 0 <= label < s.width
            and label != s.blank
        ):
            with gil:
                raise ValueError(
                    f"node {child} is no part of a prefix tree over {s.width} classes with blank {s.blank}"
                )
        slot = new_slot(s)
        if s.wide:
            find_wide_extension(
                s.y, s.wide_on, s.wide_later, s.n_frames, s.width, s.blank, label, entry.node < 0, label == last,
                s.wide_vectors + entry.detail * 2 * s.n_frames, s.wide_vectors + slot * 2 * s.n_frames,
                &whole, &below, &single
            )
        else:
            extend_prefix(s, &entry, last, label, slot, &whole, &below, &single)
        if child + 1 == tree.ends[child] or tree.words[child + 1] > tree.words[child]:
            score = weighed(s, whole, tree.priors[tree.words[child]])
            s.explored = plus(s, s.explored, score)
            if score > s.nothing and score >= worst(s):
                keep_result(s, score, tree.words[child])
        mass = weighed(s, below, tree.bounds[child])
        single = min(mass, weighed(s, single, tree.bounds[child]))
        if child + 1 < tree.ends[child] and mass > s.nothing and (single >= worst(s) or s.certainty > 0.0):
            s.waiting = plus(s, s.waiting, mass)
            s.masses[slot] = mass
            push(&s.queue, mass if by_mass else single, child, child, slot)
        else:
            if child + 1 < tree.ends[child]:
                s.rest = plus(s, s.rest, mass)
            s.free_slots[s.n_free] = slot
            s.n_free += 1
        s.n_seen += 1
        child = tree.ends[child]
    s.free_slots[s.n_free] = entry.detail
    s.n_free += 1
    return 0


cdef void find_blanks(Search *s) noexcept nogil:
    """The paths of the empty prefix."""
    cdef Py_ssize_t t
    cdef double p = 1.0
    for t in range(s.n_frames):
        p *= s.y[t * s.width + s.blank]
        s.vectors[t] = p
        s.vectors[s.n_frames + t] = 0.0


cdef inline double most_kept(const Search *s, Py_ssize_t t) noexcept nogil:
    """In one frame: of a blank and the two most probable labels."""
    cdef const double *row = s.y + t * s.width
    cdef double most = 0.0, second = 0.0, p
    cdef Py_ssize_t c
    for c in range(s.width):
        p = row[c]
        if c != s.blank and p > second:
            second = min(p, most)
            most = max(p, most)
    return min(1.0, row[s.blank] + (most + second))


cdef bint may_vanish(const Search *s, const double *priors) noexcept nogil:
    """Whether some possible path may have less than what is sure."""
    cdef Py_ssize_t t
    cdef double digits = log(least(priors, s.n_words))
    for t in range(s.n_frames):
        digits += log(least(s.y + t * s.width, s.width))
    return digits < log(SURE)


cdef double least(const double *numbers, Py_ssize_t n) noexcept nogil:
    """Of those that are not 0."""
    cdef double result = INFINITY
    cdef Py_ssize_t i
    for i in range(n):
        if 0.0 < numbers[i] < result:
            result = numbers[i]
    return result if result < INFINITY else 1.0


cdef inline bint unsure(const Search *s) noexcept nogil:
    return s.explored < weighed(s, plus(s, plus(s, s.explored, s.waiting), s.rest), s.certainty)


cdef int search(Search *s, const Tree *tree) except -1 nogil:
    cdef Py_ssize_t n = s.n_frames, t, looked = 0, limit
    s.explored = s.waiting = s.rest = s.nothing
    s.n_slots = s.n_free = s.queue.n = s.n_found = s.n_seen = 0
    t = new_slot(s)
    s.masses[t] = s.nothing
    push(&s.queue, INFINITY, -1, -1, <int> t)
    if s.wide:
        find_wide_blanks(s.y, n, s.width, s.blank, s.wide_vectors)
    else:
        find_blanks(s)
    while s.queue.n and s.queue.entries[0].bound >= worst(s):
        expand(s, tree, next_entry(s), False)
        looked = count_work(s, looked)
    if s.certainty > 0.0:
        limit = 3 * s.n_seen + s.patience
        for t in range(s.queue.n):
            s.queue.entries[t].bound = s.masses[s.queue.entries[t].detail]
        restore(&s.queue)
        while s.queue.n and unsure(s) and s.n_seen < limit:
            expand(s, tree, next_entry(s), True)
            looked = count_work(s, looked)
    for t in range(s.queue.n):
        s.rest = plus(s, s.rest, s.masses[s.queue.entries[t].detail])
    return 0


cdef int widen_all(Search *s) except -1 nogil:
    """Let the search work with wide numbers."""
    cdef Py_ssize_t t
    s.room = 256
    s.wide_on = <Wide *> malloc(s.n_frames * (s.width + 1) * sizeof(Wide))
    s.wide_vectors = <Wide *> malloc(s.room * 2 * s.n_frames * sizeof(Wide))
    if s.wide_on is NULL or s.wide_vectors is NULL:
        with gil:
            raise MemoryError()
    s.wide_later = s.wide_on + s.n_frames * s.width
    s.wide = True
    s.nothing = -INFINITY
    find_wide_ways_on(s.y, s.n_frames, s.width, s.blank, s.wide_on)
    s.wide_later[s.n_frames - 1] = widen(1.0, 0)
    for t in range(s.n_frames - 1, 0, -1):
        s.wide_later[t - 1] = times(s.wide_later[t], widen(most_kept(s, t), 0))
    return 0


cdef inline double log_of(const Search *s, double score) noexcept nogil:
    return score if s.wide else log(score)


cdef inline Py_ssize_t count_work(const Search *s, Py_ssize_t looked) except -1 nogil:
    """Look for Ctrl-C, now and then; how many nodes had been seen then."""
    if (s.n_seen - looked) * s.n_frames < SIGNAL_WORK:
        return looked
    look()
    return s.n_seen


def lexicon_search(
    const double[:, ::1] probs, const int32_t[::1] node_labels, const int32_t[::1] ends, const int32_t[::1] words,
    const double[::1] bounds, const double[::1] priors, int blank, Py_ssize_t n_best,
    double certainty, Py_ssize_t patience
) -> tuple:
    cdef Py_ssize_t n_frames = probs.shape[0], width = probs.shape[1], n_nodes = ends.shape[0] - 1, t
    cdef double scale = 0.0
    cdef Search s
    cdef Tree tree
    if not 0 <= blank < width:
        raise ValueError(f"blank must be a class, 0 to {width - 1}, got {blank}")
    if n_best < 1:
        raise ValueError(f"n_best must be 1 or more, got {n_best}")
    if not 0.0 <= certainty < 1.0:
        raise ValueError(f"certainty must be 0 or more and below 1, got {certainty}")
    if not 0 <= patience <= 1 << 40:
        raise ValueError(f"patience must be 0 to {1 << 40}, got {patience}")
    if node_labels.shape[0] != n_nodes + 1 or words.shape[0] != n_nodes + 1 or bounds.shape[0] != n_nodes + 1:
        raise ValueError("the tables of the tree must be equally long")
    look()  # a batch of short sequences never gets as far as the next look
    if n_frames == 0 or n_nodes < 1 or priors.shape[0] == 0:
        return [], -INFINITY, -INFINITY
    n_best = min(n_best, priors.shape[0])
    s.n_frames = n_frames
    s.width = width
    s.blank = blank
    s.n_words = priors.shape[0]
    s.room = 256
    s.queue.n = s.queue.room = 0
    s.queue.entries = NULL
    s.wide = False
    s.nothing = 0.0
    s.n_best = n_best
    s.certainty = certainty
    s.patience = patience
    tree.node_labels = &node_labels[0]
    tree.ends = &ends[0]
    tree.words = &words[0]
    tree.bounds = &bounds[0]
    tree.priors = &priors[0]
    tree.n_nodes = <int> n_nodes
    s.wide_on = s.wide_later = s.wide_vectors = NULL
    s.y = <double *> malloc(n_frames * (2 * width + 1) * sizeof(double))
    s.vectors = <double *> malloc(s.room * 2 * n_frames * sizeof(double))
    s.free_slots = <int *> malloc(s.room * sizeof(int))
    s.masses = <double *> malloc(s.room * sizeof(double))
    s.found = <Found *> malloc((n_best + 1) * sizeof(Found))
    try:
        if s.y is NULL or s.vectors is NULL or s.free_slots is NULL or s.masses is NULL or s.found is NULL:
            raise MemoryError()
        s.on = s.y + n_frames * width
        s.later = s.on + n_frames * width
        with nogil:
            normalise(&probs[0, 0], n_frames, width, s.y, s.later)
            for t in range(n_frames):
                scale += log(s.later[t])
            find_ways_on(s.y, n_frames, width, blank, s.on)
            s.later[n_frames - 1] = 1.0
            for t in range(n_frames - 1, 0, -1):
                s.later[t - 1] = s.later[t] * most_kept(&s, t)
            search(&s, &tree)
            if worst(&s) < SURE and may_vanish(&s, tree.priors):
                widen_all(&s)
                search(&s, &tree)
        return (
            [(s.found[t].word, log_of(&s, s.found[t].score) + scale) for t in range(s.n_found)],
            log_of(&s, s.explored) + scale,
            log_of(&s, s.rest) + scale,
        )
    finally:
        free(s.y)
        free(s.vectors)
        free(s.wide_on)
        free(s.wide_vectors)
        free(s.free_slots)
        free(s.masses)
        free_heap(&s.queue)
        free(s.found)
