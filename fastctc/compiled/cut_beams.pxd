"""The beams of a cut search, and what may become one."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from fastctc.compiled.candidates cimport Candidate, sort_candidates
from fastctc.compiled.cut_tree cimport Beam, Tree, add_text, birth, make_texts
from fastctc.compiled.memory cimport resize

cdef struct Search:
    Py_ssize_t n_classes
    Py_ssize_t n_states
    Py_ssize_t width
    float cut
    bint has_states
    Tree tree
    Beam *beams
    Beam *next_beams
    Py_ssize_t n_beams
    Py_ssize_t beam_room
    float *stay_label
    float *stay_gap
    Candidate *found    # of single precision, as all numbers here; label 0: the beam stays
    Candidate *merged   # scratch of the sort
    Py_ssize_t n_found
    Py_ssize_t room
    int32_t *classes    # of a frame, that count
    float *values
    uint64_t *keys      # candidates in order, of which one or two more than survive,
    uint64_t *merged_keys
    uint64_t *list      # those of one class,
    Py_ssize_t key_room  # and the room of each
    int shift           # bits of a label in a key
    bint plain          # whether all probabilities and the cut are finite, and the cut is not below 0
    Py_ssize_t work
    int wrong           # 1: not comparable; 2: nothing left; 3: no such state,
    int64_t state       # this one


cdef inline bint was_born_before(const void *search, const Candidate *a, const Candidate *b) noexcept nogil:
    cdef Search *s = <Search *> search
    cdef int frame_a, place_a, label_a, frame_b, place_b, label_b
    birth(&s.tree, &s.beams[a.beam], a.label, &frame_a, &place_a, &label_a)
    birth(&s.tree, &s.beams[b.beam], b.label, &frame_b, &place_b, &label_b)
    if frame_a != frame_b:
        return frame_a < frame_b
    if place_a != place_b:
        return place_a < place_b
    return label_a < label_b


cdef inline void sort_found(Search *s, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
    """Sort n candidates from ``start`` on, the best first."""
    sort_candidates(s.found + start, n, s.merged, was_born_before, s)


cdef inline int make_room(Search *s, Py_ssize_t room) except -1 nogil:
    """Room for candidates."""
    if room > s.room:
        resize(<void **> &s.found, room, sizeof(Candidate))
        resize(<void **> &s.merged, room, sizeof(Candidate))
        s.room = room
    return 0


cdef inline int make_beams(Search *s, Py_ssize_t n) except -1 nogil:
    """Room for n beams."""
    if n > s.beam_room:
        n = max(n, min(2 * s.beam_room, s.width))  # a width of 0 still has the beam that the search starts with
        resize(<void **> &s.beams, n, sizeof(Beam))
        resize(<void **> &s.next_beams, n, sizeof(Beam))
        resize(<void **> &s.stay_label, n, sizeof(float))
        resize(<void **> &s.stay_gap, n, sizeof(float))
        s.beam_room = n
    return 0


cdef inline Py_ssize_t count_classes(Search *s, const float *row, float greatest, float lowest) noexcept nogil:
    """The classes that count, most probable first, but for those by which no beam can reach the lowest."""
    cdef Py_ssize_t n = 0, c, i, j
    cdef float cut = s.cut, value
    cdef int32_t label
    for c in range(1, s.n_classes):
        s.classes[n] = <int32_t> c
        s.values[n] = row[c]
        n += not row[c] < cut and not greatest * row[c] < lowest
    for i in range(n):
        label = s.classes[i]
        value = s.values[i]
        j = i
        while j > 0 and s.values[j - 1] < value:
            s.classes[j] = s.classes[j - 1]
            s.values[j] = s.values[j - 1]
            j -= 1
        s.classes[j] = label
        s.values[j] = value
    return n


cdef inline int commit(Search *s, Py_ssize_t n, int t) except -1 nogil:
    """Candidates become beams."""
    cdef Py_ssize_t i
    cdef const Candidate *candidate
    cdef const Beam *old
    cdef Beam *new
    cdef float top = <float> s.found[0].score
    cdef Py_ssize_t n_nodes
    make_beams(s, n)
    make_texts(&s.tree, n)
    for i in range(n):
        candidate = &s.found[i]
        old = &s.beams[candidate.beam]
        new = &s.next_beams[i]
        if candidate.label == 0:
            new.node = old.node
            new.label = old.label
            new.label_sum = s.stay_label[candidate.beam] / top
            new.gap_sum = s.stay_gap[candidate.beam] / top
        else:
            n_nodes = s.tree.n_nodes
            new.node = add_text(&s.tree, old, candidate.label, t)
            if s.has_states and new.node == n_nodes:
                s.tree.nodes[new.node].state = (
                    (s.tree.nodes[old.node].state * (s.n_classes - 1)) % s.n_states + candidate.label - 1
                )
            new.label = candidate.label
            new.label_sum = <float> candidate.score / top
            new.gap_sum = 0.0 / top
        new.total = new.label_sum + new.gap_sum
    s.beams, s.next_beams = s.next_beams, s.beams
    s.n_beams = n
    return 0
