"""Twin of fastctc.reference.prefix_search, with all extensions of a prefix at once.

Only prefixes that are extended keep their vectors; those of an extension are computed anew when its turn comes.
"""

from libc.math cimport INFINITY, log
from libc.stdlib cimport free, malloc

from fastctc.compiled.heap cimport Entry, Heap, free_heap, pop, push
from fastctc.compiled.interrupts cimport look, look_after
from fastctc.compiled.memory cimport resize

cdef extern from "processor.h":
    const char *choose_registers() except NULL

cdef extern from "ways_on.h" nogil:
    void normalise(const double *probs, size_t n_frames, size_t n_classes, double *y, double *sums)
    void find_ways_on(const double *y, size_t n_frames, size_t n_classes, size_t blank, double *result)

cdef extern from "prefixes.h" nogil:
    void extend_all(
        const double *row, const double *on, size_t n_classes, double blank, double before, double *in_label,
        double *in_blank, double *below
    )

REGISTERS = choose_registers().decode("ascii")  # whose copies of the loops run

cdef Py_ssize_t SIGNAL_WORK = 1 << 22  # numbers computed between two looks for Ctrl-C

# The detail of an entry is the last label of a prefix, its node the prefix without it; both are -1 for the empty one.
cdef struct Node:
    int parent
    int label
    int depth

cdef struct Search:
    Py_ssize_t n_frames
    Py_ssize_t width
    int blank
    double *y               # normalised rows
    double *on              # of each frame and label, the ways on from there
    Node *nodes
    double *vectors         # of each node 2 n_frames numbers: the paths that end in a blank, and in the last label
    Py_ssize_t n_nodes
    Py_ssize_t room
    Heap queue
    Py_ssize_t count        # of equal bounds the one that came first goes first
    Entry *found            # sorted, the probabilities as bounds
    Py_ssize_t n_found
    Py_ssize_t n_best
    double *in_label        # of each extension
    double *in_blank
    double *below
    int *one                # two label sequences, to be compared
    int *other


cdef inline double worst(const Search *s) noexcept nogil:
    return s.found[s.n_best - 1].bound if s.n_found == s.n_best else 0.0


cdef int write(const Search *s, const Entry *entry, int *labels) noexcept nogil:
    """The labels of a prefix, and how many."""
    cdef int node = entry.node, n, i
    if entry.detail < 0:
        return 0
    n = s.nodes[node].depth + 1
    labels[n - 1] = entry.detail
    for i in range(n - 2, -1, -1):
        labels[i] = s.nodes[node].label
        node = s.nodes[node].parent
    return n


cdef bint precedes(const Search *s, const Entry *a, const Entry *b) noexcept nogil:
    """Lexicographic order."""
    cdef int n = write(s, a, s.one), m = write(s, b, s.other), i
    for i in range(min(n, m)):
        if s.one[i] != s.other[i]:
            return s.one[i] < s.other[i]
    return n < m


cdef inline bint ranks_above(const Search *s, const Entry *a, const Entry *b) noexcept nogil:
    return a.bound > b.bound or (a.bound == b.bound and precedes(s, a, b))


cdef void keep_text(Search *s, double probability, int node, int label) noexcept nogil:
    cdef Entry new
    cdef Py_ssize_t i
    if not (probability > 0.0 and probability >= worst(s)):
        return
    new.bound = probability
    new.node = node
    new.detail = label
    i = s.n_found
    if i == s.n_best:
        if not ranks_above(s, &new, &s.found[i - 1]):
            return
        i -= 1
    else:
        s.n_found += 1
    while i > 0 and ranks_above(s, &new, &s.found[i - 1]):
        s.found[i] = s.found[i - 1]
        i -= 1
    s.found[i] = new


cdef int add_node(Search *s, const Entry *entry) except -1 nogil:
    """Make a node of an extension, with its vectors."""
    cdef Py_ssize_t n = s.n_frames, room = 2 * s.room, t
    cdef double *blanks
    cdef double *labels
    cdef const double *row = s.y
    cdef const double *above_blanks
    cdef const double *above_labels
    cdef double p, before, skip
    cdef int node = <int> s.n_nodes
    if s.n_nodes == s.room:
        resize(<void **> &s.nodes, room, sizeof(Node))
        resize(<void **> &s.vectors, room * 2 * n, sizeof(double))
        s.room = room
    s.n_nodes += 1
    s.nodes[node].parent = entry.node
    s.nodes[node].label = entry.detail
    blanks = s.vectors + node * 2 * n
    labels = blanks + n
    if entry.detail < 0:
        s.nodes[node].depth = 0
        p = 1.0
        for t in range(n):
            p *= s.y[t * s.width + s.blank]
            blanks[t] = p
            labels[t] = 0.0
        return node
    s.nodes[node].depth = s.nodes[entry.node].depth + 1
    above_blanks = s.vectors + entry.node * 2 * n
    above_labels = above_blanks + n
    skip = 0.0 if s.nodes[entry.node].label == entry.detail else 1.0
    labels[0] = row[entry.detail] if entry.node == 0 else 0.0
    blanks[0] = 0.0
    for t in range(1, n):
        row += s.width
        before = above_blanks[t - 1] + skip * above_labels[t - 1]
        labels[t] = row[entry.detail] * before + row[entry.detail] * labels[t - 1]
        blanks[t] = row[s.blank] * (blanks[t - 1] + labels[t - 1])
    return node


cdef int extend_prefix(Search *s, int node) except -1 nogil:
    """Look at all texts that are one label longer."""
    cdef Py_ssize_t n = s.n_frames, c, t
    cdef const double *blanks = s.vectors + node * 2 * n
    cdef const double *labels = blanks + n
    cdef const double *row = s.y
    cdef const double *on = s.on
    cdef double whole, first, was, in_label, in_blank, below
    cdef int last = s.nodes[node].label
    for c in range(s.width):
        s.in_label[c] = row[c] if node == 0 else 0.0
        s.below[c] = row[c] * on[c] if node == 0 else 0.0
        s.in_blank[c] = 0.0
    for t in range(1, n):
        row += s.width
        on += s.width
        extend_all(row, on, s.width, row[s.blank], blanks[t - 1] + labels[t - 1], s.in_label, s.in_blank, s.below)
    if last >= 0:  # after its own repetition a label needs a blank, or else the two are one
        row = s.y
        on = s.on
        in_label = below = in_blank = 0.0
        for t in range(1, n):
            row += s.width
            on += s.width
            first = row[last] * blanks[t - 1]
            was = in_label
            in_blank = row[s.blank] * (in_blank + was)
            in_label = first + row[last] * was
            below += first * on[last]
        s.in_label[last] = in_label
        s.in_blank[last] = in_blank
        s.below[last] = below
    for c in range(s.width):
        if c == s.blank:
            continue
        whole = s.in_label[c] + s.in_blank[c]
        keep_text(s, whole, node, <int> c)
        if s.below[c] > 0.0 and s.below[c] >= worst(s):
            push(&s.queue, s.below[c], s.count, node, <int> c)
            s.count += 1
    return 0


cdef int search(Search *s, Py_ssize_t max_prefixes) except -1 nogil:
    cdef Py_ssize_t worked = 0, n_prefixes = 0, t
    cdef double product = 1.0
    cdef Entry entry
    for t in range(s.n_frames):
        product *= s.y[t * s.width + s.blank]
    keep_text(s, product, -1, -1)
    if s.n_frames:
        push(&s.queue, INFINITY, -1, -1, -1)
    while s.queue.n and s.queue.entries[0].bound >= worst(s) and n_prefixes < max_prefixes:
        entry = pop(&s.queue)
        n_prefixes += 1
        extend_prefix(s, add_node(s, &entry))
        look_after(&worked, s.n_frames * s.width, SIGNAL_WORK)
    return 0


def ways_on(const double[:, ::1] y, int blank) -> list:
    cdef Py_ssize_t n_frames = y.shape[0], width = y.shape[1], t, c
    cdef double *on = <double *> malloc((n_frames * width + 1) * sizeof(double))
    if on is NULL:
        raise MemoryError()
    try:
        if not 0 <= blank < width:
            raise ValueError(f"blank must be a class, 0 to {width - 1}, got {blank}")
        if n_frames:
            find_ways_on(&y[0, 0], n_frames, width, blank, on)
        return [[on[t * width + c] for c in range(width)] for t in range(n_frames)]
    finally:
        free(on)


def prefix_search(
    const double[:, ::1] probs, int blank, Py_ssize_t n_best, Py_ssize_t max_prefixes
) -> tuple:
    cdef Py_ssize_t n_frames = probs.shape[0], width = probs.shape[1], t, c
    cdef double scale = 0.0, rest
    cdef list texts = []
    cdef Search s
    if not 0 <= blank < width:
        raise ValueError(f"blank must be a class, 0 to {width - 1}, got {blank}")
    if not 1 <= n_best <= 1 << 24:
        raise ValueError(f"n_best must be 1 to {1 << 24}, got {n_best}")
    if not 1 <= max_prefixes < 1 << 31:
        raise ValueError(f"max_prefixes must be 1 to {(1 << 31) - 1}, got {max_prefixes}")
    look()  # a batch of short sequences never gets as far as the next look
    s.n_frames = n_frames
    s.width = width
    s.blank = blank
    s.n_nodes = s.queue.n = s.queue.room = s.n_found = s.count = 0
    s.queue.entries = NULL
    s.room = 64
    s.n_best = n_best
    s.y = <double *> malloc((2 * n_frames * width + 1) * sizeof(double))
    s.nodes = <Node *> malloc(s.room * sizeof(Node))
    s.vectors = <double *> malloc(s.room * 2 * (n_frames + 1) * sizeof(double))
    s.found = <Entry *> malloc(n_best * sizeof(Entry))
    s.in_label = <double *> malloc(3 * width * sizeof(double))
    s.one = <int *> malloc(2 * (n_frames + 2) * sizeof(int))
    try:
        if (
            s.y is NULL or s.nodes is NULL or s.vectors is NULL or s.found is NULL or s.in_label is NULL
            or s.one is NULL
        ):
            raise MemoryError()
        s.on = s.y + n_frames * width
        s.in_blank = s.in_label + width
        s.below = s.in_blank + width
        s.other = s.one + n_frames + 2
        with nogil:
            if n_frames:
                normalise(&probs[0, 0], n_frames, width, s.y, s.on)
            for t in range(n_frames):
                scale += log(s.on[t])
            find_ways_on(s.y, n_frames, width, blank, s.on)
            search(&s, max_prefixes)
        for t in range(s.n_found):
            c = write(&s, &s.found[t], s.one)
            texts.append((tuple([s.one[i] for i in range(c)]), log(s.found[t].bound) + scale))
        rest = s.queue.entries[0].bound if s.queue.n else 0.0
        return texts, log(rest) + scale if rest > 0.0 else -INFINITY
    finally:
        free(s.y)
        free(s.nodes)
        free(s.vectors)
        free_heap(&s.queue)
        free(s.found)
        free(s.in_label)
        free(s.one)
