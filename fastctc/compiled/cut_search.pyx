"""Twin of fastctc.reference.cut_search: what cannot survive a frame is never made, only when it would have been.

Candidates are compared by their probability, and equal ones by when their node came into the tree. A node that no beam
has become does not exist here, but when it would have been made is known: with the first frame in which the text before
it was extended at all, if no class is ever cut, and else written down.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from libc.math cimport INFINITY, floor, isfinite, log10
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

from fastctc.compiled.interrupts cimport look
from fastctc.compiled.tuples cimport as_tuple

cdef extern from "processor.h":
    const char *choose_registers() except NULL

cdef extern from "first_greatest.h":
    void first_greatest(const float *, Py_ssize_t, Py_ssize_t, int32_t *) noexcept nogil

REGISTERS = choose_registers().decode("ascii")  # whose copies of the loops run

NOT_COMPARABLE = "Failed to compare values (NaNs in input?)"
NOTHING_LEFT = "Ran out of search space (beam_cut_threshold too high)"
NO_SUCH_STATE = "state {} must be below the number of states, {}"

cdef Py_ssize_t SIGNAL_WORK = 1 << 22  # candidates between two looks for Ctrl-C

# A text that was a beam. What its children's making depends on: the first frame in which it was extended, and in which
# its last label could be repeated, and its place among the beams then; -1: not yet.
cdef struct Node:
    int parent
    int label           # a class; 0 of the empty text
    int born            # frame in which it was made first,
    int born_place      # and the place of the text before it among the beams then
    int64_t state       # of the network's transitions, behind this text
    int frame           # the last one in which it was a beam,
    int place           # and where
    int opened
    int opened_place
    int doubled
    int doubled_place
    uint64_t made       # children that were made, a bit for each label modulo 64, where classes are cut

# In the hash table of children.
cdef struct Child:
    int64_t key         # parent's number * classes + label; -1: an empty slot
    int node            # -1: made, but never a beam
    int born
    int born_place

cdef struct Beam:
    int node
    int label
    float label_sum     # of the paths that end in the label
    float gap_sum       # ... in a blank
    float total
    int first           # place of a beam that extends this one, -1: none
    int next            # of another that extends the same

cdef struct Candidate:
    float total
    int beam
    int label           # 0: the beam stays

cdef struct Search:
    Py_ssize_t n_classes
    Py_ssize_t n_states
    Py_ssize_t width
    float cut
    bint collapse
    bint has_states
    bint never_cut      # no class is below the cut in any frame
    Node *nodes
    Py_ssize_t n_nodes
    Py_ssize_t node_room
    Child *children     # 2**bits of them
    Py_ssize_t n_children
    int bits
    Beam *beams
    Beam *next_beams
    Py_ssize_t n_beams
    Py_ssize_t beam_room
    float *stay_label
    float *stay_gap
    Candidate *found
    Candidate *merged   # scratch of the sort
    Py_ssize_t n_found
    Py_ssize_t room
    int32_t *classes    # of a frame, that count
    float *values
    Py_ssize_t work
    int wrong           # 1: not comparable; 2: nothing left; 3: no such state,
    int64_t state       # this one


cdef inline Py_ssize_t slot_of(const Search *s, int64_t key) noexcept nogil:
    """Where a child is, or would be."""
    cdef Py_ssize_t mask = (<Py_ssize_t> 1 << s.bits) - 1
    cdef Py_ssize_t i = <Py_ssize_t> ((<uint64_t> key * 0x9E3779B97F4A7C15ULL) >> (64 - s.bits))
    while s.children[i].key != key and s.children[i].key != -1:
        i = (i + 1) & mask
    return i


cdef int make_table(Search *s, int bits) noexcept nogil:
    """Room for more children; -1 without memory."""
    cdef Child *old = s.children
    cdef Py_ssize_t n = <Py_ssize_t> 1 << s.bits if old else 0, i
    cdef Child *table = <Child *> PyMem_RawMalloc((<size_t> 1 << bits) * sizeof(Child))
    if table is NULL:
        return -1
    memset(table, 0xFF, (<size_t> 1 << bits) * sizeof(Child))
    s.children = table
    s.bits = bits
    for i in range(n):
        if old[i].key != -1:
            table[slot_of(s, old[i].key)] = old[i]
    PyMem_RawFree(old)
    return 0


cdef inline Child *child_of(Search *s, int node, int label) noexcept nogil:
    """The entry of a child, a new one if there is none; NULL without memory."""
    cdef int64_t key = <int64_t> node * s.n_classes + label
    cdef Py_ssize_t i = slot_of(s, key)
    if s.children[i].key == -1:
        if 2 * s.n_children >= <Py_ssize_t> 1 << s.bits:
            if make_table(s, s.bits + 1):
                return NULL
            i = slot_of(s, key)
        s.children[i].key = key
        s.children[i].node = -1
        s.children[i].born = -1
        s.n_children += 1
    return &s.children[i]


cdef inline bint is_made(const Search *s, const Beam *beam, int label) noexcept nogil:
    """Whether the repetition of a beam's label is in the tree."""
    cdef const Node *node = &s.nodes[beam.node]
    if s.never_cut:
        return node.doubled >= 0
    return s.children[slot_of(s, <int64_t> beam.node * s.n_classes + label)].key != -1


cdef void birth(const Search *s, const Candidate *a, int *frame, int *place, int *label) noexcept nogil:
    """When the node of a candidate was made: what orders candidates of equal probability."""
    cdef const Beam *beam = &s.beams[a.beam]
    cdef const Node *node = &s.nodes[beam.node]
    cdef const Child *child
    label[0] = a.label
    if a.label == 0:
        label[0] = node.label
        frame[0] = node.born
        place[0] = node.born_place
    elif not s.never_cut:
        child = &s.children[slot_of(s, <int64_t> beam.node * s.n_classes + a.label)]
        frame[0] = child.born
        place[0] = child.born_place
    elif s.collapse and a.label == beam.label:
        frame[0] = node.doubled
        place[0] = node.doubled_place
    else:
        frame[0] = node.opened
        place[0] = node.opened_place


cdef bint born_before(const Search *s, const Candidate *a, const Candidate *b) noexcept nogil:
    cdef int frame_a, place_a, label_a, frame_b, place_b, label_b
    birth(s, a, &frame_a, &place_a, &label_a)
    birth(s, b, &frame_b, &place_b, &label_b)
    if frame_a != frame_b:
        return frame_a < frame_b
    if place_a != place_b:
        return place_a < place_b
    return label_a < label_b


cdef inline bint better(const Search *s, const Candidate *a, const Candidate *b) noexcept nogil:
    return a.total > b.total or (a.total == b.total and born_before(s, a, b))


cdef void sort(const Search *s, Candidate *items, Py_ssize_t n) noexcept nogil:
    """Best first. Runs of 24 by insertion, since beams that stay are nearly in order; then merged."""
    cdef Py_ssize_t start = 0, stop, i, j, k, middle, run = 24
    cdef Candidate item
    cdef Candidate *source = items
    cdef Candidate *target = s.merged
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
            k = start
            if middle == stop or better(s, &source[middle - 1], &source[middle]):
                while k < stop:  # in order already
                    target[k] = source[k]
                    k += 1
            while k < stop:
                if j >= stop or (i < middle and not better(s, &source[j], &source[i])):
                    target[k] = source[i]
                    i += 1
                else:
                    target[k] = source[j]
                    j += 1
                k += 1
            start += 2 * run
        source, target = target, source
        run *= 2
    if source != items:
        for i in range(n):
            items[i] = source[i]


cdef int make_room(Search *s, Py_ssize_t room) noexcept nogil:
    cdef Candidate *one
    if room <= s.room:
        return 0
    one = <Candidate *> PyMem_RawRealloc(s.found, room * sizeof(Candidate))
    if one is NULL:
        return -1
    s.found = one
    one = <Candidate *> PyMem_RawRealloc(s.merged, room * sizeof(Candidate))
    if one is NULL:
        return -1
    s.merged = one
    s.room = room
    return 0


cdef int make_beams(Search *s, Py_ssize_t n) noexcept nogil:
    """Room for n beams."""
    cdef Beam *beams
    cdef float *sums
    if n <= s.beam_room:
        return 0
    n = min(max(n, 2 * s.beam_room), s.width)
    beams = <Beam *> PyMem_RawRealloc(s.beams, n * sizeof(Beam))
    if beams is NULL:
        return -1
    s.beams = beams
    beams = <Beam *> PyMem_RawRealloc(s.next_beams, n * sizeof(Beam))
    if beams is NULL:
        return -1
    s.next_beams = beams
    sums = <float *> PyMem_RawRealloc(s.stay_label, n * sizeof(float))
    if sums is NULL:
        return -1
    s.stay_label = sums
    sums = <float *> PyMem_RawRealloc(s.stay_gap, n * sizeof(float))
    if sums is NULL:
        return -1
    s.stay_gap = sums
    s.beam_room = n
    return 0


cdef int note_children(Search *s, int i, int t, uint64_t bits, Py_ssize_t n) noexcept nogil:
    """Write down which children a beam gets in this frame; where classes are cut."""
    cdef Beam *beam = &s.beams[i]
    cdef Node *node = &s.nodes[beam.node]
    cdef uint64_t wanted = bits
    cdef Child *child
    cdef Py_ssize_t k
    cdef int label
    cdef bint doubles = not s.collapse or beam.gap_sum > 0.0
    if s.n_classes <= 64:
        if not doubles:
            wanted &= ~(<uint64_t> 1 << beam.label)
        wanted &= ~node.made
        if wanted == 0:
            return 0
    for k in range(n):
        label = s.classes[k]
        if label == beam.label and not doubles:
            continue
        if s.n_classes <= 64 and not wanted >> label & 1:
            continue
        child = child_of(s, beam.node, label)
        if child is NULL:
            return -1
        if child.born < 0:
            child.born = t
            child.born_place = i
    node.made |= wanted
    return 0


cdef void extend(Search *s, int i, Py_ssize_t n, float *lowest) noexcept nogil:
    """Candidates of a beam that is extended by one of the n greatest classes, in their order."""
    cdef Beam *beam = &s.beams[i]
    cdef float total = beam.total, value
    cdef Py_ssize_t k
    cdef int label, j
    for k in range(n):
        value = total * s.values[k]
        if value < lowest[0]:
            break
        label = s.classes[k]
        if s.collapse and label == beam.label:
            if not beam.gap_sum > 0.0 and not is_made(s, beam, label):
                continue
            value = beam.gap_sum * s.values[k]
            if value < lowest[0]:
                continue
        j = beam.first
        while j >= 0 and s.beams[j].label != label:
            j = s.beams[j].next
        if j >= 0:
            continue  # added to that beam
        if s.n_found == s.room:
            sort(s, s.found, s.n_found)
            s.n_found = s.width
            lowest[0] = s.found[s.width - 1].total
            if value < lowest[0]:
                continue
        s.found[s.n_found].total = value
        s.found[s.n_found].beam = i
        s.found[s.n_found].label = label
        s.n_found += 1


cdef int step(Search *s, const float *frame, int t) except -1 nogil:
    """Take in one frame: (states, classes)."""
    cdef Py_ssize_t n = s.n_beams, n_classes = s.n_classes, count = 0, i, j, c
    cdef const float *row = frame
    cdef Beam *beam
    cdef Beam *beams = s.beams
    cdef Node *node
    cdef Candidate *found
    cdef float cut = s.cut, lowest = -INFINITY, gap, label_sum, greatest = 0.0, before
    cdef bint stays, careful = not isfinite(beams[0].total)
    cdef uint64_t bits = 0
    cdef int label
    s.n_found = 0
    if s.width < 1:
        s.wrong = 2
        return 0
    if s.has_states:
        for i in range(n):
            if s.nodes[beams[i].node].state >= s.n_states:
                s.wrong = 3
                s.state = s.nodes[beams[i].node].state
                return 0
    if make_room(s, min(n * n_classes, 2 * s.width + 64)):
        with gil:
            raise MemoryError()
    for i in range(n):
        beam = &beams[i]
        beam.first = -1
        node = &s.nodes[beam.node]
        node.frame = t
        node.place = <int> i
        greatest = max(greatest, beam.total)
        if s.never_cut:
            if node.opened < 0:
                node.opened = t
                node.opened_place = <int> i
            if node.doubled < 0 and beam.gap_sum > 0.0:
                node.doubled = t
                node.doubled_place = <int> i
    if not careful:
        for c in range(s.n_states * n_classes):
            if not -INFINITY < frame[c] < INFINITY:
                careful = True
    # Beams that stay: by a blank, by their last label once more, or by a path of the text before that arrives now.
    for i in range(n):
        beam = &beams[i]
        node = &s.nodes[beam.node]
        if s.has_states:
            row = frame + node.state * n_classes
        stays = row[0] > cut
        gap = beam.total * row[0] if stays else 0.0
        label_sum = 0.0
        label = beam.label
        if label:
            if s.collapse and not row[label] < cut:
                label_sum = beam.label_sum * row[label]
                stays = True
            if s.nodes[node.parent].frame == t:
                j = s.nodes[node.parent].place
                if s.has_states:
                    row = frame + s.nodes[node.parent].state * n_classes
                if not row[label] < cut:
                    before = beams[j].gap_sum if s.collapse and beams[j].label == label else beams[j].total
                    label_sum += before * row[label]
                    stays = True
                beam.next = beams[j].first
                beams[j].first = <int> i
        if stays:
            found = &s.found[s.n_found]
            found.total = label_sum + gap
            found.beam = <int> i
            found.label = 0
            s.n_found += 1
            s.stay_label[i] = label_sum
            s.stay_gap[i] = gap
    if careful:
        if make_room(s, n * n_classes):  # all are looked at
            with gil:
                raise MemoryError()
    elif s.n_found >= s.width:
        lowest = INFINITY
        for i in range(s.n_found):
            lowest = min(lowest, s.found[i].total)
    for i in range(n):
        if i == 0 or s.has_states:
            if s.has_states:
                row = frame + s.nodes[beams[i].node].state * n_classes
                greatest = beams[i].total
            count = count_classes(s, row, greatest, lowest if s.never_cut else -INFINITY, &bits)
        if count == 0:
            continue
        if not s.never_cut and note_children(s, <int> i, t, bits, count):
            with gil:
                raise MemoryError()
        extend(s, <int> i, count, &lowest)
    s.work += n * (count + 1)
    if s.n_found == 0:
        s.wrong = 2
        return 0
    if careful and s.n_found > 1:
        for i in range(s.n_found):
            if s.found[i].total != s.found[i].total:
                s.wrong = 1
                return 0
    sort(s, s.found, s.n_found)
    if commit(s, min(s.n_found, s.width)):
        with gil:
            raise MemoryError()
    if s.work > SIGNAL_WORK:
        s.work = 0
        look()
    return 0


cdef Py_ssize_t count_classes(Search *s, const float *row, float greatest, float lowest, uint64_t *bits) noexcept nogil:
    """The classes that count, most probable first, but for those by which no beam can reach the lowest."""
    cdef Py_ssize_t n = 0, c, i, j
    cdef float cut = s.cut, value
    cdef int32_t label
    bits[0] = 0
    for c in range(1, s.n_classes):
        s.classes[n] = <int32_t> c
        s.values[n] = row[c]
        n += not row[c] < cut and not greatest * row[c] < lowest
    for i in range(n):
        label = s.classes[i]
        value = s.values[i]
        bits[0] |= <uint64_t> 1 << (label & 63)
        j = i
        while j > 0 and s.values[j - 1] < value:
            s.classes[j] = s.classes[j - 1]
            s.values[j] = s.values[j - 1]
            j -= 1
        s.classes[j] = label
        s.values[j] = value
    return n


cdef int commit(Search *s, Py_ssize_t n) noexcept nogil:
    """Candidates become beams."""
    cdef Py_ssize_t i, places
    cdef Candidate *candidate
    cdef Beam *old
    cdef Beam *new
    cdef Node *node
    cdef Node *grown
    cdef Child *child
    cdef float top = s.found[0].total
    cdef int number, frame, place, label
    if make_beams(s, n):
        return -1
    if s.n_nodes + n > s.node_room:
        places = 2 * (s.n_nodes + n)
        if places > 0x7FFFFFFF:
            return -1
        grown = <Node *> PyMem_RawRealloc(s.nodes, places * sizeof(Node))
        if grown is NULL:
            return -1
        s.nodes = grown
        s.node_room = places
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
            child = child_of(s, old.node, candidate.label)
            if child is NULL:
                return -1
            number = child.node
            if number < 0:
                birth(s, candidate, &frame, &place, &label)
                number = <int> s.n_nodes
                s.n_nodes += 1
                child.node = number
                node = &s.nodes[number]
                memset(node, 0xFF, sizeof(Node))
                node.made = 0
                node.parent = old.node
                node.label = label
                node.born = frame
                node.born_place = place
                node.state = 0
                if s.has_states:
                    node.state = (s.nodes[old.node].state * (s.n_classes - 1)) % s.n_states + label - 1
            new.node = number
            new.label = candidate.label
            new.label_sum = candidate.total / top
            new.gap_sum = 0.0 / top
        new.total = new.label_sum + new.gap_sum
    s.beams, s.next_beams = s.next_beams, s.beams
    s.n_beams = n
    return 0


cdef bint is_never_cut(const float *probs, Py_ssize_t n_rows, Py_ssize_t n_classes, float cut) noexcept nogil:
    cdef Py_ssize_t c
    cdef int below = 0
    if cut > 0.0:
        return False  # a few classes more or less would change how the search goes about it
    for _ in range(n_rows):
        for c in range(1, n_classes):
            below |= probs[c] < cut
        probs += n_classes
    return not below


cdef tuple search(const float *probs, Py_ssize_t n_frames, Search *s, int state, float start):
    """The text of the best beam, its labels' frames; probs (frames, states, classes)."""
    cdef Py_ssize_t t, depth = 0
    cdef Node *node
    cdef int number
    cdef int32_t *labels = NULL
    s.nodes = NULL
    s.children = NULL
    s.beams = s.next_beams = NULL
    s.stay_label = s.stay_gap = s.values = NULL
    s.found = s.merged = NULL
    s.classes = NULL
    s.room = s.beam_room = s.n_children = s.work = s.wrong = 0
    s.bits = 0
    s.node_room = 256
    try:
        s.nodes = <Node *> PyMem_RawMalloc(s.node_room * sizeof(Node))
        s.classes = <int32_t *> PyMem_RawMalloc((s.n_classes + 1) * sizeof(int32_t))
        s.values = <float *> PyMem_RawMalloc((s.n_classes + 1) * sizeof(float))
        if s.nodes is NULL or s.classes is NULL or s.values is NULL or make_table(s, 10) or make_beams(s, 1):
            raise MemoryError()
        with nogil:
            node = &s.nodes[0]
            memset(node, 0xFF, sizeof(Node))
            node.made = 0
            node.label = 0
            node.state = state
            s.n_nodes = 1
            s.n_beams = 1
            s.beams[0].node = 0
            s.beams[0].label = 0
            s.beams[0].label_sum = 0.0
            s.beams[0].gap_sum = start
            s.beams[0].total = start
            s.never_cut = is_never_cut(probs, n_frames * s.n_states, s.n_classes, s.cut)
            for t in range(n_frames):
                step(s, probs, <int> t)
                if s.wrong:
                    break
                probs += s.n_states * s.n_classes
        if s.wrong == 1:
            raise RuntimeError(NOT_COMPARABLE)
        if s.wrong == 2:
            raise RuntimeError(NOTHING_LEFT)
        if s.wrong == 3:
            raise ValueError(NO_SUCH_STATE.format(s.state, s.n_states))
        number = s.beams[0].node
        while number:
            depth += 1
            number = s.nodes[number].parent
        labels = <int32_t *> PyMem_RawMalloc((2 * depth + 1) * sizeof(int32_t))
        if labels is NULL:
            raise MemoryError()
        number = s.beams[0].node
        for t in range(depth - 1, -1, -1):
            labels[t] = s.nodes[number].label
            labels[depth + t] = s.nodes[number].born
            number = s.nodes[number].parent
        return as_tuple(labels, depth), as_tuple(labels + depth, depth)
    finally:
        PyMem_RawFree(s.nodes)
        PyMem_RawFree(s.children)
        PyMem_RawFree(s.beams)
        PyMem_RawFree(s.next_beams)
        PyMem_RawFree(s.stay_label)
        PyMem_RawFree(s.stay_gap)
        PyMem_RawFree(s.found)
        PyMem_RawFree(s.merged)
        PyMem_RawFree(s.classes)
        PyMem_RawFree(s.values)
        PyMem_RawFree(labels)


cdef void refuse_shape(Py_ssize_t n_frames, Py_ssize_t n_classes) except *:
    if n_classes < 1:
        raise ValueError("probs must have at least one class, got 0")
    if n_frames > 0x7FFFFFFF or n_classes > 0x7FFFFFFF:
        raise ValueError(f"probs must have fewer than 2**31 frames and classes, got {n_frames} and {n_classes}")


def cut_search(const float[:, ::1] probs, beam_width, float cut, bint collapse_repeats) -> tuple:
    cdef Search s
    refuse_shape(probs.shape[0], probs.shape[1])
    s.n_classes = probs.shape[1]
    s.n_states = 1
    s.width = min(beam_width, 1 << 30)
    s.cut = cut
    s.collapse = collapse_repeats
    s.has_states = False
    return search(&probs[0, 0] if probs.shape[0] else NULL, probs.shape[0], &s, 0, 1.0)


def crf_cut_search(const float[:, :, ::1] probs, int state, float start, beam_width, float cut) -> tuple:
    cdef Search s
    refuse_shape(probs.shape[0], probs.shape[2])
    s.n_classes = probs.shape[2]
    s.n_states = probs.shape[1]
    s.width = min(beam_width, 1 << 30)
    s.cut = cut
    s.collapse = False
    s.has_states = True
    return search(&probs[0, 0, 0] if probs.shape[0] and s.n_states else NULL, probs.shape[0], &s, state, start)


def best_path_means(const float[:, ::1] probs, bint collapse_repeats) -> tuple:
    cdef Py_ssize_t n = probs.shape[0], t
    cdef int32_t best, previous = 0
    cdef float total = 0.0
    cdef int count = 0
    cdef list labels = [], frames = [], means = []
    cdef int32_t *winners
    refuse_shape(n, probs.shape[1])
    if n == 0:
        return labels, frames, means
    winners = <int32_t *> PyMem_RawMalloc(n * sizeof(int32_t))
    if winners is NULL:
        raise MemoryError()
    try:
        with nogil:
            first_greatest(&probs[0, 0], n, probs.shape[1], winners)
        for t in range(n):
            best = winners[t]
            if best:
                if not (collapse_repeats and best == previous):
                    if count:
                        means.append(total / <float> count)
                    labels.append(best)
                    frames.append(t)
                    total = 0.0
                    count = 0
                total += probs[t, best]
                count += 1
            previous = best
        if count:
            means.append(total / <float> count)
        return labels, frames, means
    finally:
        PyMem_RawFree(winners)


def crf_best_path_means(const float[:, :, ::1] probs, Py_ssize_t state) -> tuple:
    cdef Py_ssize_t n = probs.shape[0], n_states = probs.shape[1], n_classes = probs.shape[2], t
    cdef int32_t best
    cdef list labels = [], frames = [], means = []
    refuse_shape(n, n_classes)
    for t in range(n):
        if not 0 <= state < n_states:
            raise ValueError(NO_SUCH_STATE.format(state, n_states))
        first_greatest(&probs[t, state, 0], 1, n_classes, &best)
        if best:
            labels.append(best)
            frames.append(t)
            means.append(probs[t, state, best])
            state = (state * (n_classes - 1)) % n_states + best - 1
    return labels, frames, means


def quality_string(means, float scale, float bias) -> str:
    cdef float error, logarithm, quality
    cdef double number
    cdef list result = []
    for mean in means:
        error = <float> 1.0 - <float> mean
        if error < <float> 1e-4:
            error = <float> 1e-4
        logarithm = <float> log10(error)
        quality = <float> -10.0 * logarithm * scale + bias
        number = min(floor(<double> quality + 0.5), 4294967295.0) if quality > 0.0 else 0.0
        number += 33.0
        if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
            raise ValueError(f"qualities must be numbers of characters, got {int(number)}")
        result.append(chr(<int> number))
    return "".join(result)
