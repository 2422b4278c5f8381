"""Twin of fastctc.reference.stream: which labels can no longer change, and how the beams go on without them.

Of B beams, that differ in D places and begin their rests N labels ago: to look whether the labels before one place can
no longer change takes O(B^2 (log N + N)), mostly much less, since few beams dominate others; to look for the last such
place takes that D < B times. The GIL is free, and Ctrl-C is looked for, all the while.
"""

from fastctc.compiled.arena cimport Node, ancestor, common_prefix, is_proper_prefix, precedes
from fastctc.compiled.beam_search cimport Beam, Beams, Search, compact, count_work, keep_roots, labels_of
from fastctc.compiled.prefix_state cimport PrefixState


cdef inline bint is_clearly_below(double smaller, double greater) noexcept nogil:
    return smaller < greater * (1.0 - 1e-9) or smaller == greater == 0.0


cdef bint dominates(const Search *s, Py_ssize_t i, Py_ssize_t k) noexcept nogil:
    """Whether beam i is better than beam k, and stays better whatever comes, if both go on alike."""
    cdef const Beam *one = &s.beam_set.beams[i]
    cdef const Beam *other = &s.beam_set.beams[k]
    cdef const PrefixState *state
    cdef const PrefixState *other_state
    if one.label != other.label:
        return False
    if s.has_states:
        state = &s.states[one.node]
        other_state = &s.states[other.node]
        if s.has_characters and state.char_state != other_state.char_state:
            return False
        if s.has_words and (
            state.lexicon_node != other_state.lexicon_node or state.lm_state != other_state.lm_state
            or state.hot_node != other_state.hot_node
        ):
            return False
        if s.has_words and not s.words.fused and (
            state.n_words != other_state.n_words or state.lm_log_prob < other_state.lm_log_prob
            or state.weight < other_state.weight
        ):
            return False
    if one.blank < other.blank or one.nonblank < other.nonblank:
        return False
    # What comes may leave one of the sums alone: each must be smaller by more than roundings make equal, unless the
    # order of the texts decides between equals.
    return (is_clearly_below(other.blank, one.blank) and is_clearly_below(other.nonblank, one.nonblank)) or precedes(
        s.arena.nodes, one.node, -1, other.node, -1
    )


cdef int cut_of(Search *s, Py_ssize_t k, int root) except -2 nogil:
    """Where beam k is to be cut so that the rest of it is the rest of a better beam behind the root; -1 if nowhere."""
    cdef const Node *nodes = s.arena.nodes
    cdef int depth = nodes[root].depth, longest = -1, cut = -1, one, other, length
    cdef Py_ssize_t i
    count_work(s, s.beam_set.n_beams)
    for i in range(s.beam_set.n_beams):
        one = s.beam_set.beams[i].node
        length = nodes[one].depth - depth
        if length <= longest or ancestor(nodes, one, depth) != root or nodes[s.beam_set.beams[k].node].depth < length:
            continue
        if not dominates(s, i, k):
            continue
        count_work(s, length)
        other = s.beam_set.beams[k].node
        while one != root and nodes[one].label == nodes[other].label:
            one = nodes[one].parent
            other = nodes[other].parent
        if one == root:
            longest = length
            cut = other
    return cut


cdef bint find_cuts(Search *s, int root) except -1 nogil:
    """Whether what stands before a node of the best beam can no longer change; if so, where each beam is to be cut.

    All beams that begin otherwise must be dominated by some that begin so, and nothing may flow into what is left from
    a prefix that is cut off.
    """
    cdef const Node *nodes = s.arena.nodes
    cdef int *cuts = s.beam_set.cuts
    cdef int depth = nodes[root].depth, node
    cdef Py_ssize_t i, k, n = s.beam_set.n_beams
    for i in range(n):
        node = s.beam_set.beams[i].node
        cuts[i] = root
        if nodes[node].depth < depth or ancestor(nodes, node, depth) != root:
            cuts[i] = cut_of(s, i, root)
        if cuts[i] < 0:
            return False
    for i in range(n):
        if i and cuts[i] == cuts[i - 1]:
            continue
        count_work(s, n)
        for k in range(n):
            if is_proper_prefix(nodes, s.beam_set.beams[k].node, cuts[i]) or is_proper_prefix(nodes, cuts[k], cuts[i]):
                return False
    return True


cdef int stable_prefix(Search *s, Py_ssize_t limit) except -1 nogil:
    """The longest prefix of at most so many labels that can no longer change."""
    cdef const Node *nodes = s.arena.nodes
    cdef int best, node, other, depth
    cdef Py_ssize_t i
    if s.beam_set.n_beams == 0:
        return 1
    best = s.beam_set.beams[0].node
    depth = <int> min(limit, nodes[best].depth)
    while depth > 0:
        node = ancestor(nodes, best, depth)
        if find_cuts(s, node):
            return node
        count_work(s, s.beam_set.n_beams)
        # The next place where another beam leaves the best one.
        depth = 0
        for i in range(1, s.beam_set.n_beams):
            other = common_prefix(nodes, best, s.beam_set.beams[i].node)
            depth = max(depth, min(nodes[other].depth, nodes[node].depth - 1))
    return 1


cdef class StreamBeams(Beams):
    def prefixes(self) -> list:
        cdef Search *s = &self.search
        cdef list result = []
        cdef const Beam *beam
        cdef Py_ssize_t i
        self.enter()
        try:
            for i in range(s.beam_set.n_beams):
                beam = &s.beam_set.beams[i]
                if ancestor(s.arena.nodes, beam.node, 0) == 1:
                    result.append((labels_of(s, beam.node), beam.blank > 0.0, beam.nonblank > 0.0))
        finally:
            self.leave()
        return result

    def stable(self, Py_ssize_t limit) -> tuple:
        cdef int node
        self.enter()
        try:
            with nogil:
                node = stable_prefix(&self.search, limit)
            return labels_of(&self.search, node)
        finally:
            self.leave()

    def commit(self, Py_ssize_t n_labels):
        cdef Search *s = &self.search
        cdef bint can = True
        self.enter()
        try:
            with nogil:
                can = 0 <= n_labels <= (s.arena.nodes[s.beam_set.beams[0].node].depth if s.beam_set.n_beams else 0)
                if can and n_labels:
                    can = find_cuts(s, ancestor(s.arena.nodes, s.beam_set.beams[0].node, <int> n_labels))
                if can and s.beam_set.n_beams:
                    if n_labels == 0:
                        keep_roots(s)
                    compact(s)
        finally:
            self.leave()
        if not can:
            raise ValueError(f"n_labels must be a number of labels that can no longer change, got {n_labels}")
