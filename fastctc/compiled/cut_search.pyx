"""Twin of fastctc.reference.cut_search: what cannot survive a frame is never made, only when it would have been.

Candidates are compared by their probability, and equal ones by when their node came into the tree. A node that no beam
has become does not exist here, but when it would have been made is known: with the first frame in which the text before
it was extended at all, if no class is ever cut, and else written down.

A frame is first tried with candidates as integers, which put the bits of a probability above what it belongs to. Beams
that stay are nearly in order, and so are those extended by one class: these lists are merged, no further than the beam
is wide. Where two of the best are equal, or a number is none, the frame is done over by comparing candidates in full.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.unicode cimport PyUnicode_FromKindAndData
from libc.math cimport INFINITY, floor, isfinite, log10, logf
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

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

cdef Py_ssize_t KEEP = 1 << 17  # probabilities; a shorter pass keeps the GIL, since to get it back may take longer
cdef Py_ssize_t SIGNAL_WORK = 1 << 22  # candidates between two looks for Ctrl-C

# A text that was a beam. What its children's making depends on: the first frame in which it was extended, and in which
# its last label could be repeated, and its place among the beams then; -1: not yet.
cdef struct Node:
    int parent
    int label           # a class; 0 of the empty text
    int born            # frame in which it was made first,
    int born_place      # and the place of the text before it among the beams then; -1: to be looked up
    int64_t state       # of the network's transitions, behind this text
    int frame           # the last one in which it was a beam, and some class was not cut,
    int place           # and where
    int opened
    int opened_place
    int doubled
    int doubled_place
    int since           # the first frame of those in which it has been a beam without a break
    int spans           # earlier such frames, -1: none

# In the hash table of children that were beams.
cdef struct Child:
    int64_t key         # parent's number * classes + label; -1: an empty slot
    int node

# Frames in which a text was a beam.
cdef struct Span:
    int first
    int last
    int previous

# A frame in which a class of a state was not cut.
cdef struct Pass:
    int frame
    int previous        # of the same class, -1: none

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
    Span *spans         # where classes are cut, all that it takes to say when a node would have been made
    Py_ssize_t n_spans
    Py_ssize_t span_room
    Pass *passes
    Py_ssize_t n_passes
    Py_ssize_t pass_room
    int *last_pass      # of each class of each state
    int *recorded       # the last frame whose passes of a state are there
    int *history        # the beams' nodes of each frame,
    Py_ssize_t n_history
    Py_ssize_t history_room
    Py_ssize_t *history_at  # and where a frame's begin,
    int history_frame   # the last one of which they are there
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
        s.n_children += 1
    return &s.children[i]


cdef int first_made(const Search *s, const Node *node, int label) noexcept nogil:
    """The first frame in which a text was a beam and could be extended by a label, where classes are cut."""
    cdef int i = s.last_pass[node.state * s.n_classes + label], found = -1, span = node.spans
    while i >= 0 and s.passes[i].frame >= node.since:
        found = s.passes[i].frame
        i = s.passes[i].previous
    while span >= 0:
        while i >= 0 and s.passes[i].frame > s.spans[span].last:
            i = s.passes[i].previous
        while i >= 0 and s.passes[i].frame >= s.spans[span].first:
            found = s.passes[i].frame
            i = s.passes[i].previous
        span = s.spans[span].previous
    return found


cdef int place_in(const Search *s, int frame, int node) noexcept nogil:
    """Where a node was among the beams of a frame."""
    cdef const int *nodes = s.history + s.history_at[frame]
    cdef int place = 0
    while nodes[place] != node:
        place += 1
    return place


cdef void birth(Search *s, const Candidate *a, int *frame, int *place, int *label) noexcept nogil:
    """When the node of a candidate was made: what orders candidates of equal probability."""
    cdef const Beam *beam = &s.beams[a.beam]
    cdef Node *node = &s.nodes[beam.node]
    label[0] = a.label
    if a.label == 0:
        label[0] = node.label
        if node.born >= 0 and node.born_place < 0:
            node.born_place = place_in(s, node.born, node.parent)
        frame[0] = node.born
        place[0] = node.born_place
    elif s.collapse and a.label == beam.label:
        frame[0] = node.doubled
        place[0] = node.doubled_place
    elif s.never_cut:
        frame[0] = node.opened
        place[0] = node.opened_place
    else:
        frame[0] = first_made(s, node, a.label)
        place[0] = place_in(s, frame[0], beam.node)


cdef bint born_before(Search *s, const Candidate *a, const Candidate *b) noexcept nogil:
    cdef int frame_a, place_a, label_a, frame_b, place_b, label_b
    birth(s, a, &frame_a, &place_a, &label_a)
    birth(s, b, &frame_b, &place_b, &label_b)
    if frame_a != frame_b:
        return frame_a < frame_b
    if place_a != place_b:
        return place_a < place_b
    return label_a < label_b


cdef inline bint better(Search *s, const Candidate *a, const Candidate *b) noexcept nogil:
    return a.total > b.total or (a.total == b.total and born_before(s, a, b))


cdef void sort(Search *s, Candidate *items, Py_ssize_t n) noexcept nogil:
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
    n = max(n, min(2 * s.beam_room, s.width))  # a width of 0 still has the beam that the search starts with
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


cdef int remember(Search *s, int t) noexcept nogil:
    """Write down which nodes are the beams of a frame in which some class is not cut."""
    cdef Py_ssize_t i, room
    cdef int *grown
    if s.history_frame == t:
        return 0
    if s.n_history + s.n_beams > s.history_room:
        room = 2 * (s.n_history + s.n_beams)
        grown = <int *> PyMem_RawRealloc(s.history, room * sizeof(int))
        if grown is NULL:
            return -1
        s.history = grown
        s.history_room = room
    s.history_frame = t
    s.history_at[t] = s.n_history
    for i in range(s.n_beams):
        s.history[s.n_history + i] = s.beams[i].node
    s.n_history += s.n_beams
    return 0


cdef int record(Search *s, int64_t state, int t, Py_ssize_t n) noexcept nogil:
    """Write down which classes of a state are not cut in a frame."""
    cdef Py_ssize_t i, room
    cdef Pass *grown
    cdef int *last
    if s.recorded[state] == t:
        return 0
    s.recorded[state] = t
    if s.n_passes + n > s.pass_room:
        room = 2 * (s.n_passes + n)
        if room > 0x7FFFFFFF:
            return -1
        grown = <Pass *> PyMem_RawRealloc(s.passes, room * sizeof(Pass))
        if grown is NULL:
            return -1
        s.passes = grown
        s.pass_room = room
    for i in range(n):
        last = &s.last_pass[state * s.n_classes + s.classes[i]]
        s.passes[s.n_passes].frame = t
        s.passes[s.n_passes].previous = last[0]
        last[0] = <int> s.n_passes
        s.n_passes += 1
    return 0


cdef int come_back(Search *s, Node *node, int t) noexcept nogil:
    """A text that was a beam before is one again from the frame after this."""
    cdef Py_ssize_t room
    cdef Span *grown
    if s.n_spans == s.span_room:
        room = 2 * s.span_room + 16
        if room > 0x7FFFFFFF:
            return -1
        grown = <Span *> PyMem_RawRealloc(s.spans, room * sizeof(Span))
        if grown is NULL:
            return -1
        s.spans = grown
        s.span_room = room
    s.spans[s.n_spans].first = node.since
    s.spans[s.n_spans].last = node.frame
    s.spans[s.n_spans].previous = node.spans
    node.spans = <int> s.n_spans
    s.n_spans += 1
    node.since = t + 1
    return 0


cdef inline void double_up(Search *s, Beam *beam, int t, int place) noexcept nogil:
    """Note when the last label of a beam can be repeated first."""
    cdef Node *node = &s.nodes[beam.node]
    if node.doubled < 0 and beam.gap_sum > 0.0:
        node.doubled = t
        node.doubled_place = place


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
            if not beam.gap_sum > 0.0 and not s.nodes[beam.node].doubled >= 0:
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


cdef int make_keys(Search *s, Py_ssize_t room) noexcept nogil:
    cdef uint64_t *keys
    if room <= s.key_room:
        return 0
    room = max(room, 2 * s.key_room)
    keys = <uint64_t *> PyMem_RawRealloc(s.keys, room * sizeof(uint64_t))
    if keys is NULL:
        return -1
    s.keys = keys
    keys = <uint64_t *> PyMem_RawRealloc(s.merged_keys, room * sizeof(uint64_t))
    if keys is NULL:
        return -1
    s.merged_keys = keys
    keys = <uint64_t *> PyMem_RawRealloc(s.list, room * sizeof(uint64_t))
    if keys is NULL:
        return -1
    s.list = keys
    s.key_room = room
    return 0


cdef inline uint64_t key_of(float total, uint32_t what) noexcept nogil:
    """Numbers that are not negative have the order of their bits."""
    cdef uint32_t bits
    total += 0.0  # no -0.0
    memcpy(&bits, &total, sizeof(bits))
    return <uint64_t> bits << 32 | what


cdef inline float total_of(uint64_t key) noexcept nogil:
    cdef uint32_t bits = <uint32_t> (key >> 32)
    cdef float total
    memcpy(&total, &bits, sizeof(total))
    return total


cdef inline Py_ssize_t put(uint64_t *keys, Py_ssize_t n, uint64_t key) noexcept nogil:
    """Into its place among n keys, the greatest first; most are the smallest."""
    cdef Py_ssize_t j = n
    while j > 0 and keys[j - 1] < key:
        keys[j] = keys[j - 1]
        j -= 1
    keys[j] = key
    return n + 1


cdef Py_ssize_t merge(Search *s, Py_ssize_t n, Py_ssize_t n_list, Py_ssize_t limit) noexcept nogil:
    """The first of the keys and of the list, as the keys from now on."""
    cdef uint64_t *source = s.keys
    cdef uint64_t *list = s.list
    cdef uint64_t *target = s.merged_keys
    cdef Py_ssize_t i = 0, j = 0, k, total = min(n + n_list, limit)
    cdef uint64_t a, b
    cdef bint first
    source[n] = list[n_list] = 0  # below all keys
    for k in range(total):
        a = source[i]
        b = list[j]
        first = a > b
        target[k] = a if first else b
        i += first
        j += not first
    s.keys, s.merged_keys = target, source
    return total


cdef bint blanks_only(Search *s, float blank) noexcept nogil:
    """A frame in which nothing but the blank counts, unless the beams' order may change."""
    cdef Beam *beams = s.beams
    cdef float top = beams[0].total * blank, last = INFINITY, value
    cdef Py_ssize_t i
    for i in range(s.n_beams):
        value = beams[i].total * blank
        if not value < last:
            return False
        last = value
    for i in range(s.n_beams):
        beams[i].label_sum = 0.0
        beams[i].gap_sum = beams[i].total = beams[i].total * blank / top
    return True


cdef int quick_step(Search *s, const float *row, int t) noexcept nogil:
    """Take in a frame, if candidates have an order: 1. Otherwise 0, and nothing has changed; -1 without memory."""
    cdef Py_ssize_t n = s.n_beams, n_keys = 0, n_list, n_all, n_positive = 0, limit, count = 0, i, j, k
    cdef Beam *beams = s.beams
    cdef Beam *beam
    cdef Node *node
    cdef float cut = s.cut, blank = row[0], greatest = 0.0, lowest = 0.0, label_sum, gap, value, before, p
    cdef bint blank_stays = blank > cut, stays
    cdef int label, some = 0
    cdef uint64_t key
    cdef uint32_t what
    if not s.never_cut:
        for i in range(1, s.n_classes):
            some |= row[i] >= cut
        if not some and blank_stays and blanks_only(s, blank):
            return 1
    limit = min(s.width + 1, n * s.n_classes)
    if n >= <Py_ssize_t> 1 << (32 - s.shift):
        return 0
    if make_keys(s, max(limit, n) + 2):
        return -1
    for i in range(n):
        beam = &beams[i]
        beam.first = -1
        greatest = beam.total if beam.total > greatest else greatest
        node = &s.nodes[beam.node]
        node.frame = t
        node.place = <int> i
        if s.never_cut:
            if node.opened < 0:
                node.opened = t
                node.opened_place = <int> i
            double_up(s, beam, t, <int> i)
    for i in range(n):
        beam = &beams[i]
        label = beam.label
        stays = blank_stays
        gap = beam.total * blank if blank_stays else 0.0
        label_sum = 0.0
        if label and not row[label] < cut:
            p = row[label]
            if s.collapse:
                label_sum = beam.label_sum * p
                stays = True
                double_up(s, beam, t, <int> i)
            node = &s.nodes[s.nodes[beam.node].parent]
            if node.frame == t:
                j = node.place
                before = beams[j].gap_sum if s.collapse and beams[j].label == label else beams[j].total
                label_sum += before * p
                stays = True
                beam.next = beams[j].first
                beams[j].first = <int> i
        if stays:
            s.stay_label[i] = label_sum
            s.stay_gap[i] = gap
            key = key_of(label_sum + gap, <uint32_t> i << s.shift)
            if key == 0:
                return 0
            n_keys = put(s.keys, n_keys, key)
    if n_keys >= s.width:
        lowest = total_of(s.keys[s.width - 1])
    if s.never_cut:
        count = count_classes(s, row, greatest, lowest)
    elif some:
        count = count_classes(s, row, greatest, -INFINITY)
        if remember(s, t) or record(s, 0, t, count):
            return -1
    for k in range(count):
        p = s.values[k]
        label = s.classes[k]
        if greatest * p < lowest:
            break
        n_list = 0
        for i in range(n):
            beam = &beams[i]
            value = beam.total * p
            if value < lowest:
                if value < lowest * <float> 0.9999:
                    break  # totals are in order, but for roundings
                continue
            if s.collapse and label == beam.label:
                if not beam.gap_sum > 0.0 and not s.nodes[beam.node].doubled >= 0:
                    continue
                value = beam.gap_sum * p
                if value < lowest:
                    continue
            j = beam.first
            while j >= 0 and beams[j].label != label:
                j = beams[j].next
            if j < 0:
                what = <uint32_t> i << s.shift | <uint32_t> label
                n_list = put(s.list, n_list, key_of(value, what))
        if n_list:
            n_keys = merge(s, n_keys, n_list, limit)
            if n_keys >= s.width:
                lowest = total_of(s.keys[s.width - 1])
    if n_keys == 0:
        return 0
    some = 0
    for k in range(1, n_keys):
        some |= s.keys[k] >> 32 == s.keys[k - 1] >> 32 and s.keys[k] >> 32 != 0
    if some:
        return 0
    if n_keys > 1 and s.keys[n_keys - 2] >> 32 == 0:  # the last are impossible, and in the order of their making
        if n_keys == limit:
            return 0
        while n_positive < n_keys and s.keys[n_positive] >> 32:
            n_positive += 1
    else:
        n_positive = n_keys
    n_all = n_keys
    n_keys = min(n_keys, s.width)
    if make_room(s, n_all):
        return -1
    for k in range(n_all):
        # Impossible beams are in the order of their making already, most of them.
        what = <uint32_t> s.keys[k if k < n_positive else n_all - 1 - (k - n_positive)]
        s.found[k].total = total_of(s.keys[k])
        s.found[k].beam = <int> (what >> s.shift)
        s.found[k].label = <int> (what & ((<uint32_t> 1 << s.shift) - 1))
    sort(s, s.found + n_positive, n_all - n_positive)
    s.work += n * (count + 1)
    return -1 if commit(s, n_keys, t) else 1


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
    cdef int done
    cdef int label
    s.n_found = 0
    if s.width < 1:
        s.wrong = 2
        return 0
    if s.plain and not careful:
        done = quick_step(s, frame, t)
        if done < 0:
            with gil:
                raise MemoryError()
        if done:
            if s.work > SIGNAL_WORK:
                s.work = 0
                look()
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
            double_up(s, beam, t, <int> i)
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
                double_up(s, beam, t, <int> i)
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
            count = count_classes(s, row, greatest, lowest if s.never_cut else -INFINITY)
        if count == 0:
            continue
        if not s.never_cut and (remember(s, t) or record(s, s.nodes[beams[i].node].state, t, count)):
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
    if commit(s, min(s.n_found, s.width), t):
        with gil:
            raise MemoryError()
    if s.work > SIGNAL_WORK:
        s.work = 0
        look()
    return 0


cdef Py_ssize_t count_classes(Search *s, const float *row, float greatest, float lowest) noexcept nogil:
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


cdef int commit(Search *s, Py_ssize_t n, int t) noexcept nogil:
    """Candidates become beams."""
    cdef Py_ssize_t i, places
    cdef Candidate *candidate
    cdef Beam *old
    cdef Beam *new
    cdef Node *node
    cdef Node *grown
    cdef Child *child
    cdef float top = s.found[0].total
    cdef int number, label
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
                number = <int> s.n_nodes
                s.n_nodes += 1
                child.node = number
                node = &s.nodes[number]
                memset(node, 0xFF, sizeof(Node))
                node.parent = old.node
                node.label = candidate.label
                if s.never_cut or (s.collapse and candidate.label == old.label):
                    birth(s, candidate, &node.born, &node.born_place, &label)
                else:
                    node.born = first_made(s, &s.nodes[old.node], candidate.label)
                node.since = t + 1
                node.state = 0
                if s.has_states:
                    node.state = (s.nodes[old.node].state * (s.n_classes - 1)) % s.n_states + candidate.label - 1
            elif not s.never_cut and come_back(s, &s.nodes[number], t):
                return -1
            new.node = number
            new.label = candidate.label
            new.label_sum = candidate.total / top
            new.gap_sum = 0.0 / top
        new.total = new.label_sum + new.gap_sum
    s.beams, s.next_beams = s.next_beams, s.beams
    s.n_beams = n
    return 0


cdef bint is_finite(const float *probs, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef int bad = 0
    for i in range(n):
        bad |= not -INFINITY < probs[i] < INFINITY
    return not bad


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
    cdef Py_ssize_t t, n_rows, depth = 0
    cdef Node *node
    cdef int number
    cdef int32_t *labels = NULL
    s.nodes = NULL
    s.children = NULL
    s.beams = s.next_beams = NULL
    s.stay_label = s.stay_gap = s.values = NULL
    s.found = s.merged = NULL
    s.classes = NULL
    s.keys = s.merged_keys = s.list = NULL
    s.spans = NULL
    s.passes = NULL
    s.last_pass = s.recorded = s.history = NULL
    s.history_at = NULL
    s.n_spans = s.span_room = s.n_passes = s.pass_room = s.n_history = s.history_room = 0
    s.history_frame = -1
    s.room = s.beam_room = s.key_room = s.n_children = s.work = s.wrong = 0
    s.bits = 0
    s.node_room = 256
    try:
        s.nodes = <Node *> PyMem_RawMalloc(s.node_room * sizeof(Node))
        s.classes = <int32_t *> PyMem_RawMalloc((s.n_classes + 1) * sizeof(int32_t))
        s.values = <float *> PyMem_RawMalloc((s.n_classes + 1) * sizeof(float))
        if s.nodes is NULL or s.classes is NULL or s.values is NULL or make_table(s, 10) or make_beams(s, 1):
            raise MemoryError()
        s.never_cut = is_never_cut(probs, n_frames * s.n_states, s.n_classes, s.cut)
        if not s.never_cut:
            n_rows = max(s.n_states, 1)
            s.last_pass = <int *> PyMem_RawMalloc(n_rows * s.n_classes * sizeof(int))
            s.recorded = <int *> PyMem_RawMalloc(n_rows * sizeof(int))
            s.history_at = <Py_ssize_t *> PyMem_RawMalloc((n_frames + 1) * sizeof(Py_ssize_t))
            if s.last_pass is NULL or s.recorded is NULL or s.history_at is NULL:
                raise MemoryError()
            memset(s.last_pass, 0xFF, n_rows * s.n_classes * sizeof(int))
            memset(s.recorded, 0xFF, n_rows * sizeof(int))
        with nogil:
            node = &s.nodes[0]
            memset(node, 0xFF, sizeof(Node))
            node.label = 0
            node.since = 0
            node.state = state
            s.n_nodes = 1
            s.n_beams = 1
            s.beams[0].node = 0
            s.beams[0].label = 0
            s.beams[0].label_sum = 0.0
            s.beams[0].gap_sum = start
            s.beams[0].total = start
            s.plain = (
                not s.has_states and 0.0 <= s.cut < INFINITY and s.width > 0
                and is_finite(probs, n_frames * s.n_classes)
            )
            s.shift = 1
            while s.n_classes >> s.shift:
                s.shift += 1
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
        PyMem_RawFree(s.spans)
        PyMem_RawFree(s.passes)
        PyMem_RawFree(s.last_pass)
        PyMem_RawFree(s.recorded)
        PyMem_RawFree(s.history)
        PyMem_RawFree(s.history_at)
        PyMem_RawFree(s.keys)
        PyMem_RawFree(s.merged_keys)
        PyMem_RawFree(s.list)
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


cdef int32_t *find_winners(const float[:, ::1] probs) except NULL:
    """The class of each frame, to be freed."""
    cdef int32_t *winners
    refuse_shape(probs.shape[0], probs.shape[1])
    winners = <int32_t *> PyMem_RawMalloc((probs.shape[0] + 1) * sizeof(int32_t))
    if winners is NULL:
        raise MemoryError()
    if probs.shape[0] * probs.shape[1] < KEEP:
        if probs.shape[0]:
            first_greatest(&probs[0, 0], probs.shape[0], probs.shape[1], winners)
    else:
        with nogil:
            first_greatest(&probs[0, 0], probs.shape[0], probs.shape[1], winners)
    return winners


def best_path_text(
    const float[:, ::1] probs, str alphabet, bint collapse_repeats, bint with_qualities, float scale, float bias
) -> tuple:
    cdef Py_ssize_t n = probs.shape[0], t, found = 0, i
    cdef int32_t best, previous = 0
    cdef int count = 0
    cdef float total = 0.0
    cdef list frames = []
    cdef int32_t *winners = find_winners(probs)
    cdef Py_UCS4 *text = NULL
    cdef Py_UCS4 *qualities
    try:
        if len(alphabet) != probs.shape[1]:
            raise ValueError(f"alphabet must have {probs.shape[1]} characters, got {len(alphabet)}")
        text = <Py_UCS4 *> PyMem_RawMalloc((2 * n + 1) * sizeof(Py_UCS4))
        if text is NULL:
            raise MemoryError()
        qualities = text + n
        for t in range(n):
            best = winners[t]
            if best:
                if not (collapse_repeats and best == previous):
                    if with_qualities and count:
                        qualities[found - 1] = quality(total / <float> count, scale, bias)
                    frames.append(t)
                    text[found] = alphabet[best]
                    found += 1
                    total = 0.0
                    count = 0
                total += probs[t, best]
                count += 1
            previous = best
        if with_qualities:
            if count:
                qualities[found - 1] = quality(total / <float> count, scale, bias)
            for i in range(found):
                text[found + i] = qualities[i]
            found *= 2
        return PyUnicode_FromKindAndData(4, text, found), frames
    finally:
        PyMem_RawFree(winners)
        PyMem_RawFree(text)


def best_path_means(const float[:, ::1] probs, bint collapse_repeats) -> tuple:
    cdef Py_ssize_t n = probs.shape[0], t
    cdef int32_t best, previous = 0
    cdef float total = 0.0
    cdef int count = 0
    cdef list labels = [], frames = [], means = []
    cdef int32_t *winners = find_winners(probs)
    try:
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


cdef Py_UCS4 quality(float mean, float scale, float bias) except? 0:
    cdef float error = <float> 1.0 - mean, logarithm, value
    cdef double number, rough, rest
    if error < <float> 1e-4:
        error = <float> 1e-4
    # A quick logarithm will do, unless the number is so near the middle of two that roundings decide.
    rough = -4.3429448190325175 * logf(error) * scale + bias + 0.5
    if 1.0 < rough < 10000.0:
        rest = rough - <int> rough
        if 0.01 < rest < 0.99:
            return <Py_UCS4> (33 + <int> rough)
    logarithm = <float> log10(error)
    value = <float> -10.0 * logarithm * scale + bias
    number = min(floor(<double> value + 0.5), 4294967295.0) if value > 0.0 else 0.0
    number += 33.0
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        raise ValueError(f"qualities must be numbers of characters, got {int(number)}")
    return <Py_UCS4> <int> number


def quality_string(means, float scale, float bias) -> str:
    return "".join([chr(quality(mean, scale, bias)) for mean in means])
