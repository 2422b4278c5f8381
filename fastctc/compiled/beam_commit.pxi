# Included by beam_search.pyx: which labels can no longer change.


# Of B beams, that differ in D places and begin their rests N labels ago: to look whether the labels before one place
# can no longer change takes O(B^2 (log N + N)), mostly much less, since few beams are twins; to look for the last such
# place takes that D < B times. The GIL is free, and Ctrl-C is looked for, all the while.


cdef inline bint below(double smaller, double greater) noexcept nogil:
    return smaller < greater * (1.0 - 1e-9) or smaller == greater == 0.0


cdef inline bint sooner(const Search *s, Py_ssize_t i, Py_ssize_t k) noexcept nogil:
    """Whether the text of beam i stands before that of beam k."""
    cdef Candidate one, other
    one.beam = <int> i
    other.beam = <int> k
    one.label = other.label = -1
    one.score = other.score = 0.0
    return precedes(s, &one, &other)


cdef bint dominates(const Search *s, Py_ssize_t i, Py_ssize_t k) noexcept nogil:
    """Whether beam i is better than beam k, and stays better whatever comes, if both go on alike."""
    cdef const Beam *one = &s.beams[i]
    cdef const Beam *other = &s.beams[k]
    cdef const Note *note
    cdef const Note *other_note
    if one.label != other.label:
        return False
    if s.has_notes:
        note = &s.notes[one.node]
        other_note = &s.notes[other.node]
        if s.has_model and note.letters != other_note.letters:
            return False
        if s.has_words and (
            note.tree != other_note.tree or note.words_state != other_note.words_state or note.hot != other_note.hot
        ):
            return False
        if s.has_words and not s.fused and (
            note.n_words != other_note.n_words or note.text < other_note.text or note.weight < other_note.weight
        ):
            return False
    if one.blank < other.blank or one.nonblank < other.nonblank:
        return False
    # What comes may leave one of the sums alone: each must be smaller by more than roundings make equal, unless the
    # order of the texts decides between equals.
    return (below(other.blank, one.blank) and below(other.nonblank, one.nonblank)) or sooner(s, i, k)


cdef int cut_of(Search *s, Py_ssize_t k, int root) except -2 nogil:
    """Where beam k is to be cut so that the rest of it is the rest of a better beam behind the root; -1 if nowhere."""
    cdef const Node *nodes = s.nodes
    cdef int depth = nodes[root].depth, longest = -1, cut = -1, one, other, length
    cdef Py_ssize_t i
    notice(s, s.n_beams)
    for i in range(s.n_beams):
        one = s.beams[i].node
        length = nodes[one].depth - depth
        if length <= longest or ancestor(nodes, one, depth) != root or nodes[s.beams[k].node].depth < length:
            continue
        if not dominates(s, i, k):
            continue
        notice(s, length)
        other = s.beams[k].node
        while one != root and nodes[one].label == nodes[other].label:
            one = nodes[one].parent
            other = nodes[other].parent
        if one == root:
            longest = length
            cut = other
    return cut


cdef inline bint is_above(const Node *nodes, int above, int node) noexcept nogil:
    return nodes[above].depth < nodes[node].depth and ancestor(nodes, node, nodes[above].depth) == above


cdef bint find_cuts(Search *s, int root) except -1 nogil:
    """Whether what stands before a node of the best beam can no longer change: all beams that begin otherwise must be
    the worse twins of some that begin so, and nothing may flow from outside into what is left."""
    cdef const Node *nodes = s.nodes
    cdef int depth = nodes[root].depth
    cdef Py_ssize_t i, k
    for i in range(s.n_beams):
        s.cuts[i] = root
        if nodes[s.beams[i].node].depth < depth or ancestor(nodes, s.beams[i].node, depth) != root:
            s.cuts[i] = cut_of(s, i, root)
        if s.cuts[i] < 0:
            return False
    for i in range(s.n_beams):
        if i and s.cuts[i] == s.cuts[i - 1]:
            continue
        notice(s, s.n_beams)
        for k in range(s.n_beams):
            if is_above(nodes, s.beams[k].node, s.cuts[i]) or is_above(nodes, s.cuts[k], s.cuts[i]):
                return False
    return True


cdef int stable_prefix(Search *s, Py_ssize_t limit) except -1 nogil:
    """The longest prefix of at most so many labels that can no longer change."""
    cdef const Node *nodes = s.nodes
    cdef int best, node, depth
    cdef Py_ssize_t i
    if s.n_beams == 0:
        return 1
    best = s.beams[0].node
    depth = <int> min(limit, nodes[best].depth)
    while depth > 0:
        node = ancestor(nodes, best, depth)
        if find_cuts(s, node):
            return node
        notice(s, s.n_beams)
        # The next place where another beam leaves the best one.
        depth = 0
        for i in range(1, s.n_beams):
            depth = max(depth, min(nodes[shared(nodes, best, s.beams[i].node)].depth, nodes[node].depth - 1))
    return 1
