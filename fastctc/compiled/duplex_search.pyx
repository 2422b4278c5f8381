"""Twin of fastctc.reference.duplex_search."""

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free
from libc.string cimport memmove

from fastctc.compiled.candidates cimport Candidate, sort_candidates
from fastctc.compiled.interrupts cimport look_after
from fastctc.compiled.memory cimport resize
from fastctc.compiled.tuples cimport as_tuple

NOT_COMPARABLE = "Failed to compare values (NaNs in input?)"
NOTHING_LEFT = "Ran out of search space (beam_cut_threshold too high)"
NO_SUCH_STATE = "state {} must be below the number of states, {}"
BAD_ENVELOPE = "Invalid envelope values"
SHRUNK = "an envelope must not end earlier than it has before and later again, as in row {}"

cdef Py_ssize_t SIGNAL_WORK = 1 << 22  # sums between two looks for Ctrl-C

# A text: a node of the prefix tree, and its best paths in the second matrix for rows from offset on. Nodes are numbered
# as they are made.
cdef struct Node:
    int parent
    int label
    int64_t state
    int first_child
    int sibling
    int candidate       # its place among the candidates of a frame
    Py_ssize_t frame    # the last one in which it was a candidate
    Py_ssize_t offset
    Py_ssize_t n_rows
    Py_ssize_t room
    float *ends_label
    float *ends_gap
    float best

# Best paths in the first matrix.
cdef struct Beam:
    int node
    float ends_label
    float ends_gap
    float score

cdef struct Search:
    const float *one
    const float *two
    Py_ssize_t n_frames
    Py_ssize_t n_rows
    Py_ssize_t n_states
    Py_ssize_t n_classes
    bint has_states
    bint collapse
    float cut
    Py_ssize_t width
    Node *nodes
    Py_ssize_t n_nodes
    Py_ssize_t node_room
    Beam *beams
    Py_ssize_t n_beams
    Beam *found
    Candidate *order    # of beams or of what is found
    Candidate *merged   # scratch of the sort
    Py_ssize_t n_found
    Py_ssize_t room
    Py_ssize_t work
    int wrong           # 1: not comparable, 2: nothing left, 3: no such state, 4: bad envelope, 5: shrunk
    int64_t state
    Py_ssize_t row


cdef inline float add(float a, float b) noexcept nogil:
    """The better of two paths; NaN stays only if it comes first."""
    return b if a <= b else a


cdef inline float larger(float a, float b) noexcept nogil:
    return b if a < b else a


cdef int grow(
    Search *s, Node *node, const Node *before, int64_t state, bint repeats, Py_ssize_t high
) except -1 nogil:
    """Go on to row ``high``: from the text before by its label, behind a blank if the label is repeated."""
    cdef Py_ssize_t row = node.offset + node.n_rows, i, j
    cdef const float *p
    cdef float ends_label = -INFINITY, ends_gap = -INFINITY, gap, previous
    if high - node.offset > node.room:
        node.room = high - node.offset
        resize(<void **> &node.ends_label, node.room, sizeof(float))
        resize(<void **> &node.ends_gap, node.room, sizeof(float))
    if node.n_rows:
        ends_label = node.ends_label[node.n_rows - 1]
        ends_gap = node.ends_gap[node.n_rows - 1]
    while row < high:
        p = s.two + (row * s.n_states + state) * s.n_classes
        gap = add(ends_label, ends_gap) + p[0]
        previous = -INFINITY
        j = row - 1 - before.offset
        if 0 <= j < before.n_rows:
            previous = before.ends_gap[j] if repeats else add(before.ends_label[j], before.ends_gap[j])
        ends_label = p[node.label] + add(ends_label, previous)
        ends_gap = gap
        i = row - node.offset
        node.ends_label[i] = ends_label
        node.ends_gap[i] = ends_gap
        node.n_rows = i + 1
        node.best = larger(node.best, add(ends_label, ends_gap))
        row += 1
    s.work += high - node.offset
    return 0


cdef int follow(Search *s, Node *node, Py_ssize_t low, Py_ssize_t high) except -1 nogil:
    """Take in more rows of the second matrix, and forget those that lie before the envelope."""
    cdef Node *before = &s.nodes[node.parent]
    cdef Py_ssize_t drop, i
    if low > node.offset:
        drop = min(low - 1 - node.offset, node.n_rows)
        if drop > 0:
            memmove(node.ends_label, node.ends_label + drop, (node.n_rows - drop) * sizeof(float))
            memmove(node.ends_gap, node.ends_gap + drop, (node.n_rows - drop) * sizeof(float))
            node.n_rows -= drop
        node.offset = low - 1 if node.n_rows else low
        node.best = -INFINITY
        for i in range(low - node.offset, min(high - node.offset, node.n_rows)):
            node.best = larger(node.best, add(node.ends_label[i], node.ends_gap[i]))
    return grow(
        s, node, before, node.state if s.has_states else 0, not s.has_states and before.label == node.label, high
    )


cdef int make_node(Search *s, int parent, int label) except -1 nogil:
    """The number of a new text."""
    cdef Node *node
    if s.n_nodes == s.node_room:
        if s.node_room > 0x3FFFFFFF:
            with gil:
                raise MemoryError()
        s.node_room = max(2 * s.node_room, 256)
        resize(<void **> &s.nodes, s.node_room, sizeof(Node))
    node = &s.nodes[s.n_nodes]
    node.parent = parent
    node.label = label
    node.state = 0
    node.first_child = node.sibling = node.candidate = -1
    node.frame = -1
    node.offset = node.n_rows = node.room = 0
    node.ends_label = node.ends_gap = NULL
    node.best = -INFINITY
    s.n_nodes += 1
    return <int> (s.n_nodes - 1)


cdef int child_of(Search *s, int number, int label) noexcept nogil:
    cdef int child = s.nodes[number].first_child
    while child >= 0 and s.nodes[child].label != label:
        child = s.nodes[child].sibling
    return child


cdef inline void put(Search *s, int number, Py_ssize_t t, float ends_label, float ends_gap) noexcept nogil:
    cdef Node *node = &s.nodes[number]
    cdef Beam *found
    if node.frame == t:
        found = &s.found[node.candidate]
        found.ends_label = add(found.ends_label, ends_label)
        found.ends_gap = add(found.ends_gap, ends_gap)
        return
    node.frame = t
    node.candidate = <int> s.n_found
    found = &s.found[s.n_found]
    found.node = number
    found.ends_label = ends_label
    found.ends_gap = ends_gap
    s.n_found += 1


cdef bint is_older(const void *_, const Candidate *a, const Candidate *b) noexcept nogil:
    return a.label < b.label


cdef void sort(
    Search *s, const Beam *items, Py_ssize_t n, bint by_number, Beam *target, Py_ssize_t kept
) noexcept nogil:
    """Write the first of n items to ``target``, in order: the best first, or as their nodes were made."""
    cdef Py_ssize_t i
    for i in range(n):
        s.order[i].score = 0.0 if by_number else items[i].score
        s.order[i].beam = <int> i
        s.order[i].label = items[i].node
    sort_candidates(s.order, n, s.merged, is_older, NULL)
    for i in range(kept):
        target[i] = items[s.order[i].beam]


cdef int make_room(Search *s, Py_ssize_t n) except -1 nogil:
    if n > s.room:
        resize(<void **> &s.beams, n, sizeof(Beam))
        resize(<void **> &s.found, n, sizeof(Beam))
        resize(<void **> &s.order, n, sizeof(Candidate))
        resize(<void **> &s.merged, n, sizeof(Candidate))
        s.room = n
    return 0


cdef int step(Search *s, Py_ssize_t t, Py_ssize_t low, Py_ssize_t high) except -1 nogil:
    """Take in a frame of the first matrix."""
    cdef Py_ssize_t i, c
    cdef const float *row
    cdef Beam beam
    cdef Beam *found
    cdef float total, before
    cdef int child
    cdef int64_t state
    cdef bint repeats
    make_room(s, s.n_beams * s.n_classes + 1)
    s.n_found = 0
    for i in range(s.n_beams):
        beam = s.beams[i]
        state = s.nodes[beam.node].state
        if s.has_states and state >= s.n_states:
            s.wrong = 3
            s.state = state
            return 0
        row = s.one + (t * s.n_states + (state if s.has_states else 0)) * s.n_classes
        total = add(beam.ends_label, beam.ends_gap)
        if row[0] > s.cut:
            put(s, beam.node, t, -INFINITY, total + row[0])
        for c in range(1, s.n_classes):
            if row[c] < s.cut:
                continue
            child = child_of(s, beam.node, <int> c)
            repeats = s.collapse and s.nodes[beam.node].label == c
            before = total
            if repeats:
                put(s, beam.node, t, beam.ends_label + row[c], -INFINITY)
                if child < 0 and not beam.ends_gap > -INFINITY:
                    continue
                before = beam.ends_gap
            if child < 0:
                child = make_node(s, beam.node, <int> c)
                s.nodes[child].offset = low
                s.nodes[child].sibling = s.nodes[beam.node].first_child
                s.nodes[beam.node].first_child = child
                if s.has_states:
                    s.nodes[child].state = (state * (s.n_classes - 1)) % s.n_states + c - 1
                grow(s, &s.nodes[child], &s.nodes[beam.node], state if s.has_states else 0, repeats, high)
            put(s, child, t, before + row[c], -INFINITY)
    if s.n_found == 0:
        s.wrong = 2
        return 0
    for i in range(s.n_found):
        found = &s.found[i]
        found.score = add(found.ends_label, found.ends_gap) + (s.nodes[found.node].best if found.node else 0.0)
        if s.n_found > 1 and found.score != found.score:
            s.wrong = 1
            return 0
    s.n_beams = min(s.n_found, s.width)
    sort(s, s.found, s.n_found, False, s.beams, max(s.n_beams, 1))  # a width of 0 still has a best beam
    return look_after(&s.work, s.n_found, SIGNAL_WORK)


cdef int run(Search *s, const int64_t *envelope, int64_t state_1, int64_t state_2) except -1 nogil:
    cdef Py_ssize_t t, i, last = 0, low, high, n
    cdef Node *node
    cdef float gap = 0.0
    make_room(s, 1)
    make_node(s, -1, 0)
    node = &s.nodes[0]
    node.state = state_1
    n = min(max(envelope[1], 0), s.n_rows) + 1
    resize(<void **> &node.ends_label, n, sizeof(float))
    resize(<void **> &node.ends_gap, n, sizeof(float))
    node.offset = -1  # before the first row
    node.n_rows = node.room = n
    for i in range(n):
        node.ends_label[i] = -INFINITY
        node.ends_gap[i] = gap
        if i + 1 < n:
            gap += s.two[(i * s.n_states + state_2) * s.n_classes]
            state_2 = (state_2 * (s.n_classes - 1)) % s.n_states
    s.n_beams = 1
    s.beams[0].node = 0
    s.beams[0].ends_label = -INFINITY
    s.beams[0].ends_gap = 0.0
    for t in range(s.n_frames):
        low = envelope[2 * t]
        high = min(envelope[2 * t + 1], s.n_rows)
        if low >= high or low > last or low < 0:
            s.wrong = 4
            return 0
        if high > last:
            sort(s, s.beams, s.n_beams, True, s.found, s.n_beams)  # texts after their beginnings
            s.beams, s.found = s.found, s.beams
            for i in range(s.n_beams):
                node = &s.nodes[s.beams[i].node]
                if s.beams[i].node == 0:
                    continue
                if node.offset + node.n_rows >= high:
                    s.wrong = 5
                    s.row = t
                    return 0
                if s.has_states and node.state >= s.n_states:
                    s.wrong = 3
                    s.state = node.state
                    return 0
                follow(s, node, low, high)
        last = high
        step(s, t, low, high)
        if s.wrong:
            return 0
    return 0


cdef tuple search(Search *s, const int64_t[:, ::1] envelope, int64_t state_1, int64_t state_2):
    cdef Py_ssize_t i, depth = 0
    cdef int number
    cdef int32_t *labels = NULL
    if s.n_frames < 1 or s.n_classes < 1 or s.n_states < 1:
        raise ValueError("matrices must have at least one frame, state and class")
    if envelope.shape[0] != s.n_frames or envelope.shape[1] != 2:
        raise ValueError(f"envelope must be ({s.n_frames}, 2), got ({envelope.shape[0]}, {envelope.shape[1]})")
    if not (0 <= state_1 < s.n_states and 0 <= state_2 < s.n_states):
        raise ValueError(NO_SUCH_STATE.format(max(state_1, state_2), s.n_states))
    s.nodes = NULL
    s.beams = s.found = NULL
    s.order = s.merged = NULL
    s.n_nodes = s.node_room = s.room = s.work = s.wrong = 0
    try:
        with nogil:
            run(s, &envelope[0, 0], state_1, state_2)
        if s.wrong == 1:
            raise RuntimeError(NOT_COMPARABLE)
        if s.wrong == 2:
            raise RuntimeError(NOTHING_LEFT)
        if s.wrong == 3:
            raise ValueError(NO_SUCH_STATE.format(s.state, s.n_states))
        if s.wrong == 4:
            raise RuntimeError(BAD_ENVELOPE)
        if s.wrong == 5:
            raise ValueError(SHRUNK.format(s.row))
        number = s.beams[0].node
        while number:
            depth += 1
            number = s.nodes[number].parent
        resize(<void **> &labels, depth, sizeof(int32_t))
        number = s.beams[0].node
        for i in range(depth - 1, -1, -1):
            labels[i] = s.nodes[number].label
            number = s.nodes[number].parent
        return as_tuple(labels, depth)
    finally:
        for i in range(s.n_nodes):
            free(s.nodes[i].ends_label)
            free(s.nodes[i].ends_gap)
        free(s.nodes)
        free(s.beams)
        free(s.found)
        free(s.order)
        free(s.merged)
        free(labels)


def duplex_search(
    const float[:, ::1] log_probs_1,
    const float[:, ::1] log_probs_2,
    const int64_t[:, ::1] envelope,
    beam_width,
    float cut,
    bint collapse_repeats,
) -> tuple:
    cdef Search s
    if log_probs_1.shape[1] != log_probs_2.shape[1]:
        raise ValueError(
            f"matrices must have the same classes, got {log_probs_1.shape[1]} and {log_probs_2.shape[1]}"
        )
    s.n_frames = log_probs_1.shape[0]
    s.n_rows = log_probs_2.shape[0]
    s.n_states = 1
    s.n_classes = log_probs_1.shape[1]
    s.has_states = False
    s.collapse = collapse_repeats
    s.cut = cut
    s.width = min(beam_width, 1 << 30)
    s.one = &log_probs_1[0, 0] if s.n_frames and s.n_classes else NULL
    s.two = &log_probs_2[0, 0] if s.n_rows and s.n_classes else NULL
    return search(&s, envelope, 0, 0)


def crf_duplex_search(
    const float[:, :, ::1] log_probs_1,
    state_1,
    const float[:, :, ::1] log_probs_2,
    state_2,
    const int64_t[:, ::1] envelope,
    beam_width,
    float cut,
) -> tuple:
    cdef Search s
    if log_probs_1.shape[1] != log_probs_2.shape[1] or log_probs_1.shape[2] != log_probs_2.shape[2]:
        raise ValueError(
            "matrices must have the same states and classes, got "
            f"{(log_probs_1.shape[1], log_probs_1.shape[2])} and {(log_probs_2.shape[1], log_probs_2.shape[2])}"
        )
    s.n_frames = log_probs_1.shape[0]
    s.n_rows = log_probs_2.shape[0]
    s.n_states = log_probs_1.shape[1]
    s.n_classes = log_probs_1.shape[2]
    s.has_states = True
    s.collapse = False
    s.cut = cut
    s.width = min(beam_width, 1 << 30)
    s.one = &log_probs_1[0, 0, 0] if s.n_frames and s.n_classes and s.n_states else NULL
    s.two = &log_probs_2[0, 0, 0] if s.n_rows and s.n_classes and s.n_states else NULL
    return search(&s, envelope, state_1, state_2)
