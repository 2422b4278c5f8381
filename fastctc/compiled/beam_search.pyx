"""Twin of fastctc.reference.beam_search, without touching what cannot survive.

Prefixes are nodes of a tree in one block of memory; a beam is a node and two sums. Beams stand in descending order. In
each frame the beams that merely stay, and those that go on by the most probable class, give a threshold: none of the
beam_width survivors can be smaller than the smallest of any beam_width candidates. Since beams and classes descend,
the other extensions that exceed it form a staircase, and only those are ever formed. Nothing is lost: what is skipped
would have been sorted out.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport INFINITY, frexp, ldexp, log
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

cdef double LN2 = 0.693147180559945309417
cdef Py_ssize_t SIGNAL_WORK = 1 << 22  # candidates between two looks for Ctrl-C

# A prefix. Node 0 is the empty one. jump is an ancestor, chosen such that any ancestor is reached in O(log depth)
# steps (E. W. Myers: An applicative random-access stack, 1983).
cdef struct Node:
    int parent
    int label
    int child       # first of the children, -1 if none
    int sibling     # next child of the parent
    int depth
    int jump
    int beam        # its place among the beams ...
    int frame       # ... of this frame

cdef struct Beam:
    int node
    int label           # last label, -1 for the empty prefix
    double blank        # probability of its paths that end in a blank
    double nonblank     # ... in its last label
    double total

# What may become a beam: a beam that stays (label -1) or is extended by a label.
cdef struct Candidate:
    double score
    int beam
    int label

cdef struct Search:
    Py_ssize_t width            # classes
    Py_ssize_t beam_width
    int blank
    Node *nodes
    Py_ssize_t n_nodes
    Py_ssize_t capacity
    Beam *beams                 # beam_width of them
    Beam *next_beams
    Py_ssize_t n_beams
    Candidate *stays            # one a beam
    Candidate *extensions       # up to 2 * beam_width
    Candidate *classes          # the frame's classes, their probabilities as scores
    Candidate *sorted           # scratch of the sort, for the largest of these
    double *stay_blank          # a beam's sums if it stays
    double *stay_nonblank
    int *first_child            # of each beam the children that are beams themselves,
    int *next_child             # as linked lists of places among the beams
    Py_ssize_t exponent         # all probabilities are to be multiplied by 2**exponent
    int frame
    Py_ssize_t worked


cdef inline int ancestor(const Node *nodes, int node, int depth) noexcept nogil:
    while nodes[node].depth > depth:
        node = nodes[node].jump if nodes[nodes[node].jump].depth >= depth else nodes[node].parent
    return node


cdef bint precedes(const Search *s, const Candidate *a, const Candidate *b) noexcept nogil:
    """Lexicographic order of two different label sequences."""
    cdef const Node *nodes = s.nodes
    cdef int x = s.beams[a.beam].node, y = s.beams[b.beam].node
    if x == y:
        return a.label < b.label
    cdef int depth = min(nodes[x].depth, nodes[y].depth)
    cdef int p = ancestor(nodes, x, depth), q = ancestor(nodes, y, depth)
    if p == q:
        # One prefix begins with the other: its next label meets the label that extends the shorter one, if any.
        if nodes[x].depth == depth:
            return a.label <= nodes[ancestor(nodes, y, depth + 1)].label
        return b.label > nodes[ancestor(nodes, x, depth + 1)].label
    while nodes[p].parent != nodes[q].parent:
        if nodes[p].jump != nodes[q].jump:
            p = nodes[p].jump
            q = nodes[q].jump
        else:
            p = nodes[p].parent
            q = nodes[q].parent
    return nodes[p].label < nodes[q].label


cdef inline bint better(const Search *s, const Candidate *a, const Candidate *b) noexcept nogil:
    return a.score > b.score or (a.score == b.score and precedes(s, a, b))


cdef void sort(const Search *s, Candidate *items, Py_ssize_t n) noexcept nogil:
    """Best first. Runs of 32 by insertion, since beams of one frame are nearly in order; then merged."""
    cdef Py_ssize_t start = 0, stop, i, j, k, middle, run = 32
    cdef Candidate item
    cdef Candidate *source = items
    cdef Candidate *target = s.sorted
    while start < n:
        stop = min(start + run, n)
        for i in range(start + 1, stop):
            item = items[i]
            j = i
            while j > start and better(s, &item, &items[j - 1]):
                items[j] = items[j - 1]
                j -= 1
            items[j] = item
        start = stop
    while run < n:
        start = 0
        while start < n:
            middle = min(start + run, n)
            stop = min(start + 2 * run, n)
            i = start
            j = middle
            for k in range(start, stop):
                if j >= stop or (i < middle and better(s, &source[i], &source[j])):
                    target[k] = source[i]
                    i += 1
                else:
                    target[k] = source[j]
                    j += 1
            start += 2 * run
        source, target = target, source
        run *= 2
    if source != items:
        memcpy(items, source, n * sizeof(Candidate))


cdef inline int find_or_add(Search *s, int parent, int label) except -1 nogil:
    cdef int node = s.nodes[parent].child, jump
    cdef Node *new
    while node >= 0:
        if s.nodes[node].label == label:
            return node
        node = s.nodes[node].sibling
    if s.n_nodes == s.capacity:
        grow(s)
    node = <int> s.n_nodes
    s.n_nodes += 1
    new = &s.nodes[node]
    new.parent = parent
    new.label = label
    new.child = -1
    new.sibling = s.nodes[parent].child
    new.depth = s.nodes[parent].depth + 1
    jump = s.nodes[parent].jump
    if s.nodes[parent].depth - s.nodes[jump].depth == s.nodes[jump].depth - s.nodes[s.nodes[jump].jump].depth:
        new.jump = s.nodes[jump].jump
    else:
        new.jump = parent
    new.frame = -1
    s.nodes[parent].child = node
    return node


cdef int grow(Search *s) except -1 nogil:
    cdef Py_ssize_t capacity = 2 * s.capacity
    cdef Node *nodes
    if capacity > 0x7fffffff:
        with gil:
            raise MemoryError("more than 2**31 prefixes: use a smaller beam width or shorter input")
    nodes = <Node *> realloc(s.nodes, capacity * sizeof(Node))
    if nodes is NULL:
        with gil:
            raise MemoryError()
    s.nodes = nodes
    s.capacity = capacity
    return 0


cdef inline bint is_beam(const Search *s, Py_ssize_t i, int label) noexcept nogil:
    """Whether beam i extended by a label is a beam already, to which that extension has been added."""
    cdef int k = s.first_child[i]
    while k >= 0:
        if s.beams[k].label == label:
            return True
        k = s.next_child[k]
    return False


cdef inline double extended(const Beam *beam, const Candidate *item) noexcept nogil:
    """After its own repetition a label needs a blank, or else the two are one."""
    return (beam.blank if item.label == beam.label else beam.total) * item.score


cdef inline void put(Search *s, Py_ssize_t place, double score, Py_ssize_t i, int label) noexcept nogil:
    cdef Candidate *candidate = &s.extensions[place]
    candidate.score = score
    candidate.beam = <int> i
    candidate.label = label


cdef int step(Search *s, const double *row) except -1 nogil:
    """Take in one frame."""
    cdef Py_ssize_t n = s.n_beams, n_extensions = 0, n_classes = 0, limit = 2 * s.beam_width, i, j, k, c
    cdef Beam *beams = s.beams
    cdef Beam *beam
    cdef Candidate *stays = s.stays
    cdef Candidate *extensions = s.extensions
    cdef Candidate *candidate
    cdef Node *nodes = s.nodes
    cdef double blank = row[s.blank], threshold = 0.0, lowest, top, score, nonblank, before
    cdef int parent, shift
    cdef Candidate best
    s.frame += 1
    for i in range(n):
        nodes[beams[i].node].beam = <int> i
        nodes[beams[i].node].frame = s.frame
        s.first_child[i] = -1

    # Every beam may stay: by a blank, by its last label once more, or by a path of its parent that arrives just now.
    for i in range(n):
        beam = &beams[i]
        nonblank = 0.0
        if beam.label >= 0:
            nonblank = beam.nonblank * row[beam.label]
            parent = nodes[beam.node].parent
            if nodes[parent].frame == s.frame:
                j = nodes[parent].beam
                before = beams[j].blank if beams[j].label == beam.label else beams[j].total
                nonblank += before * row[beam.label]
                s.next_child[i] = s.first_child[j]
                s.first_child[j] = <int> i
        s.stay_blank[i] = beam.total * blank
        s.stay_nonblank[i] = nonblank
        stays[i].score = s.stay_blank[i] + nonblank
        stays[i].beam = <int> i
        stays[i].label = -1
    sort(s, stays, n)

    # Every beam may go on by the most probable class.
    best.label = -1
    best.score = 0.0
    for c in range(s.width):
        if row[c] > best.score and c != s.blank:
            best.score = row[c]
            best.label = <int> c
    if best.label >= 0:
        lowest = stays[n - 1].score if n == s.beam_width else 0.0
        for i in range(n):
            if beams[i].total * best.score < lowest:
                break
            score = extended(&beams[i], &best)
            if score >= lowest and score > 0.0 and not is_beam(s, i, best.label):
                put(s, n_extensions, score, i, best.label)
                n_extensions += 1

    # None of the survivors can be smaller than the smallest of any beam_width candidates, so of the best of these.
    if n + n_extensions >= s.beam_width:
        threshold = INFINITY
        i = j = 0
        while i + j < s.beam_width:
            if j == n_extensions or (i < n and stays[i].score >= extensions[j].score):
                score = stays[i].score
                i += 1
            else:
                score = extensions[j].score
                j += 1
            threshold = min(threshold, score)

    # The other classes: their extensions are no greater than the greatest total times the class.
    lowest = threshold / beams[0].total * (1.0 - 1e-12)
    for c in range(s.width):
        if row[c] >= lowest and row[c] > 0.0 and c != s.blank and c != best.label:
            s.classes[n_classes].score = row[c]
            s.classes[n_classes].beam = 0
            s.classes[n_classes].label = <int> c
            n_classes += 1
    if n_classes:
        sort(s, s.classes, n_classes)
        for i in range(n):
            beam = &beams[i]
            if beam.total * s.classes[0].score < threshold:
                break
            for c in range(n_classes):
                score = beam.total * s.classes[c].score
                if score < threshold or score == 0.0:
                    break
                score = extended(beam, &s.classes[c])
                if score < threshold or score == 0.0 or is_beam(s, i, s.classes[c].label):
                    continue
                put(s, n_extensions, score, i, s.classes[c].label)
                n_extensions += 1
                if n_extensions >= limit:
                    sort(s, extensions, n_extensions)
                    n_extensions = s.beam_width
                    threshold = max(threshold, extensions[n_extensions - 1].score)
            s.worked += n_classes
    sort(s, extensions, n_extensions)

    # The best of both.
    i = 0
    j = 0
    k = 0
    while k < s.beam_width:
        if i < n and (j >= n_extensions or better(s, &stays[i], &extensions[j])):
            candidate = &stays[i]
            i += 1
        elif j < n_extensions:
            candidate = &extensions[j]
            j += 1
        else:
            break
        if not candidate.score > 0.0:
            continue
        beam = &s.next_beams[k]
        k += 1
        if candidate.label < 0:
            beam.node = beams[candidate.beam].node
            beam.label = beams[candidate.beam].label
            beam.blank = s.stay_blank[candidate.beam]
            beam.nonblank = s.stay_nonblank[candidate.beam]
        else:
            beam.node = find_or_add(s, beams[candidate.beam].node, candidate.label)
            beam.label = candidate.label
            beam.blank = 0.0
            beam.nonblank = candidate.score
        beam.total = candidate.score
    s.beams, s.next_beams = s.next_beams, s.beams
    s.n_beams = k
    if k == 0:
        return 0
    frexp(s.beams[0].total, &shift)
    if shift:
        s.exponent += shift
        top = ldexp(1.0, -shift)
        for i in range(k):
            s.beams[i].blank *= top
            s.beams[i].nonblank *= top
            s.beams[i].total *= top
    s.worked += n + n_extensions
    if s.worked > SIGNAL_WORK:
        s.worked = 0
        with gil:
            PyErr_CheckSignals()
    return 0


cdef void start(Search *s) noexcept nogil:
    """Only the empty prefix, and no frame yet."""
    s.nodes[0].parent = 0
    s.nodes[0].label = -1
    s.nodes[0].child = -1
    s.nodes[0].sibling = -1
    s.nodes[0].depth = 0
    s.nodes[0].jump = 0
    s.nodes[0].frame = -1
    s.n_nodes = 1
    s.beams[0].node = 0
    s.beams[0].label = -1
    s.beams[0].blank = 1.0
    s.beams[0].nonblank = 0.0
    s.beams[0].total = 1.0
    s.n_beams = 1
    s.exponent = 0
    s.frame = -1
    s.worked = 0


cdef struct Result:
    double score
    int n_labels
    int *labels

cdef struct Task:
    const double *rows
    Py_ssize_t n_frames
    Py_ssize_t n_results
    Result *results


cdef int run(Search *s, Task *task, Py_ssize_t n_best) except -1 nogil:
    """Search one sequence, and keep its best labels."""
    cdef Py_ssize_t t, i
    cdef int node, k
    cdef Result *result
    start(s)
    for t in range(task.n_frames):
        if s.n_beams:
            step(s, task.rows + t * s.width)
    task.results = <Result *> calloc(min(n_best, s.n_beams) + 1, sizeof(Result))
    if task.results is NULL:
        with gil:
            raise MemoryError()
    for i in range(min(n_best, s.n_beams)):
        node = s.beams[i].node
        result = &task.results[i]
        result.score = log(s.beams[i].total) + s.exponent * LN2
        result.n_labels = s.nodes[node].depth
        result.labels = <int *> malloc((result.n_labels + 1) * sizeof(int))
        if result.labels is NULL:
            with gil:
                raise MemoryError()
        task.n_results += 1
        for k in range(result.n_labels - 1, -1, -1):
            result.labels[k] = s.nodes[node].label
            node = s.nodes[node].parent
    return 0


cdef class _Beams:
    """The memory of a search."""
    cdef Search search

    def __cinit__(self, Py_ssize_t width, int blank, Py_ssize_t beam_width):
        cdef Search *s = &self.search
        if not 0 <= blank < width:
            raise ValueError(f"blank must be a class, 0 to {width - 1}, got {blank}")
        if not 1 <= beam_width <= 1 << 24:
            raise ValueError(f"beam_width must be 1 to {1 << 24}, got {beam_width}")
        s.width = width
        s.blank = blank
        s.beam_width = beam_width
        s.capacity = max(4 * beam_width, 256)
        s.nodes = <Node *> malloc(s.capacity * sizeof(Node))
        s.beams = <Beam *> malloc(beam_width * sizeof(Beam))
        s.next_beams = <Beam *> malloc(beam_width * sizeof(Beam))
        s.stays = <Candidate *> malloc(beam_width * sizeof(Candidate))
        s.extensions = <Candidate *> malloc(2 * beam_width * sizeof(Candidate))
        s.classes = <Candidate *> malloc(width * sizeof(Candidate))
        s.sorted = <Candidate *> malloc(max(2 * beam_width, width) * sizeof(Candidate))
        s.stay_blank = <double *> malloc(2 * beam_width * sizeof(double))
        s.first_child = <int *> malloc(2 * beam_width * sizeof(int))
        if (
            s.nodes is NULL or s.beams is NULL or s.next_beams is NULL or s.stays is NULL or s.extensions is NULL
            or s.sorted is NULL or s.stay_blank is NULL or s.first_child is NULL or s.classes is NULL
        ):
            raise MemoryError()
        s.stay_nonblank = s.stay_blank + beam_width
        s.next_child = s.first_child + beam_width

    def __dealloc__(self):
        cdef Search *s = &self.search
        free(s.nodes)
        free(s.beams)
        free(s.next_beams)
        free(s.stays)
        free(s.extensions)
        free(s.sorted)
        free(s.stay_blank)
        free(s.first_child)
        free(s.classes)


def beam_search(const double[:, ::1] probs, int blank, Py_ssize_t beam_width, Py_ssize_t n_best) -> list:
    return beam_search_batch([probs], blank, beam_width, n_best)[0]


def beam_search_batch(batch, int blank, Py_ssize_t beam_width, Py_ssize_t n_best) -> list:
    """All sequences in one stretch without the GIL, and in the same memory, so that threads do not wait for each other
    in between and the cache stays warm."""
    cdef list sequences = list(batch), kept = [], result = []
    cdef Py_ssize_t i, k, j, n = len(sequences)
    cdef const double[:, ::1] probs
    cdef _Beams beams
    cdef Result *found
    cdef Task *tasks
    if n == 0:
        return []
    probs = sequences[0]
    beams = _Beams(probs.shape[1], blank, beam_width)
    tasks = <Task *> calloc(n, sizeof(Task))
    if tasks is NULL:
        raise MemoryError()
    try:
        for i in range(n):
            probs = sequences[i]
            kept.append(probs)
            if probs.shape[1] != beams.search.width:
                raise ValueError(f"all sequences must have {beams.search.width} classes, got {probs.shape[1]}")
            tasks[i].rows = &probs[0, 0] if probs.shape[0] else NULL
            tasks[i].n_frames = probs.shape[0]
        with nogil:
            for i in range(n):
                run(&beams.search, &tasks[i], n_best)
        for i in range(n):
            hypotheses = []
            for k in range(tasks[i].n_results):
                found = &tasks[i].results[k]
                hypotheses.append((tuple([found.labels[j] for j in range(found.n_labels)]), found.score))
            result.append(hypotheses)
        return result
    finally:
        for i in range(n):
            for k in range(tasks[i].n_results):
                free(tasks[i].results[k].labels)
            free(tasks[i].results)
        free(tasks)
