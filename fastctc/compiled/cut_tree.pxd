"""The texts that were beams of a cut search, and when each of them was made.

Of candidates with equal probabilities the one goes first whose node came first into the tree. The reference makes a
node for whatever a beam is extended by; here only beams have nodes, and when one would have been made is known from
what its parent has been through: the first frame in which it was extended at all, if no class is ever cut; or else the
first frame in which it was a beam and the class was not cut.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastctc.compiled.memory cimport resize

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

cdef struct Tree:
    Py_ssize_t n_classes
    bint collapse
    bint never_cut      # no class is below the cut in any frame
    Node *nodes
    Py_ssize_t n_nodes
    Py_ssize_t node_room
    Child *children     # 2**bits of them
    Py_ssize_t n_children
    int bits
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


cdef inline int plant(Tree *tree, Py_ssize_t n_frames, Py_ssize_t n_states, int64_t state) except -1:
    """The empty text, number 0; ``n_classes``, ``collapse`` and ``never_cut`` are known, all else is 0."""
    cdef Node *node
    tree.history_frame = -1
    tree.node_room = 256
    resize(<void **> &tree.nodes, tree.node_room, sizeof(Node))
    make_table(tree, 10)
    if not tree.never_cut:
        n_states = max(n_states, 1)
        resize(<void **> &tree.last_pass, n_states * tree.n_classes, sizeof(int))
        resize(<void **> &tree.recorded, n_states, sizeof(int))
        resize(<void **> &tree.history_at, n_frames + 1, sizeof(Py_ssize_t))
        memset(tree.last_pass, 0xFF, n_states * tree.n_classes * sizeof(int))
        memset(tree.recorded, 0xFF, n_states * sizeof(int))
    node = &tree.nodes[0]
    memset(node, 0xFF, sizeof(Node))
    node.label = 0
    node.since = 0
    node.state = state
    tree.n_nodes = 1
    return 0


cdef inline void fell(Tree *tree) noexcept nogil:
    free(tree.nodes)
    free(tree.children)
    free(tree.spans)
    free(tree.passes)
    free(tree.last_pass)
    free(tree.recorded)
    free(tree.history)
    free(tree.history_at)


cdef inline Py_ssize_t places_for(Py_ssize_t n) except -1 nogil:
    """Twice as many, if numbers of 32 bits can count them."""
    if 2 * n > 0x7FFFFFFF:
        with gil:
            raise MemoryError()
    return 2 * n


cdef inline Py_ssize_t slot_of(const Tree *tree, int64_t key) noexcept nogil:
    """Where a child is, or would be."""
    cdef Py_ssize_t mask = (<Py_ssize_t> 1 << tree.bits) - 1
    cdef Py_ssize_t i = <Py_ssize_t> ((<uint64_t> key * 0x9E3779B97F4A7C15ULL) >> (64 - tree.bits))
    while tree.children[i].key != key and tree.children[i].key != -1:
        i = (i + 1) & mask
    return i


cdef inline int make_table(Tree *tree, int bits) except -1 nogil:
    """Room for more children."""
    cdef Child *old = tree.children
    cdef Py_ssize_t n = <Py_ssize_t> 1 << tree.bits if old else 0, i
    cdef Child *table = <Child *> malloc((<size_t> 1 << bits) * sizeof(Child))
    if table is NULL:
        with gil:
            raise MemoryError()
    memset(table, 0xFF, (<size_t> 1 << bits) * sizeof(Child))
    tree.children = table
    tree.bits = bits
    for i in range(n):
        if old[i].key != -1:
            table[slot_of(tree, old[i].key)] = old[i]
    free(old)
    return 0


cdef inline Child *child_of(Tree *tree, int node, int label) except NULL nogil:
    """The entry of a child, a new one if there is none."""
    cdef int64_t key = <int64_t> node * tree.n_classes + label
    cdef Py_ssize_t i = slot_of(tree, key)
    if tree.children[i].key == -1:
        if 2 * tree.n_children >= <Py_ssize_t> 1 << tree.bits:
            make_table(tree, tree.bits + 1)
            i = slot_of(tree, key)
        tree.children[i].key = key
        tree.children[i].node = -1
        tree.n_children += 1
    return &tree.children[i]


cdef inline int first_made(const Tree *tree, const Node *node, int label) noexcept nogil:
    """The first frame in which a text was a beam and could be extended by a label, where classes are cut."""
    cdef int i = tree.last_pass[node.state * tree.n_classes + label], found = -1, span = node.spans
    while i >= 0 and tree.passes[i].frame >= node.since:
        found = tree.passes[i].frame
        i = tree.passes[i].previous
    while span >= 0:
        while i >= 0 and tree.passes[i].frame > tree.spans[span].last:
            i = tree.passes[i].previous
        while i >= 0 and tree.passes[i].frame >= tree.spans[span].first:
            found = tree.passes[i].frame
            i = tree.passes[i].previous
        span = tree.spans[span].previous
    return found


cdef inline int place_in(const Tree *tree, int frame, int node) noexcept nogil:
    """Where a node was among the beams of a frame."""
    cdef const int *nodes = tree.history + tree.history_at[frame]
    cdef int place = 0
    while nodes[place] != node:
        place += 1
    return place


cdef inline void birth(Tree *tree, const Beam *beam, int label, int *frame, int *place, int *last) noexcept nogil:
    """When a text was made: a beam (label 0), or a beam extended by a label.

    Texts are made in the order of their frames; in a frame, in the order of the beams; of a beam, by their ``last``
    label.
    """
    cdef Node *node = &tree.nodes[beam.node]
    last[0] = label
    if label == 0:
        last[0] = node.label
        if node.born >= 0 and node.born_place < 0:
            node.born_place = place_in(tree, node.born, node.parent)
        frame[0] = node.born
        place[0] = node.born_place
    elif tree.collapse and label == beam.label:
        frame[0] = node.doubled
        place[0] = node.doubled_place
    elif tree.never_cut:
        frame[0] = node.opened
        place[0] = node.opened_place
    else:
        frame[0] = first_made(tree, node, label)
        place[0] = place_in(tree, frame[0], beam.node)


cdef inline int remember(Tree *tree, const Beam *beams, Py_ssize_t n, int t) except -1 nogil:
    """Write down which nodes are the beams of a frame in which some class is not cut."""
    cdef Py_ssize_t i
    if tree.history_frame == t:
        return 0
    if tree.n_history + n > tree.history_room:
        tree.history_room = 2 * (tree.n_history + n)
        resize(<void **> &tree.history, tree.history_room, sizeof(int))
    tree.history_frame = t
    tree.history_at[t] = tree.n_history
    for i in range(n):
        tree.history[tree.n_history + i] = beams[i].node
    tree.n_history += n
    return 0


cdef inline int record(Tree *tree, int64_t state, int t, const int32_t *classes, Py_ssize_t n) except -1 nogil:
    """Write down which classes of a state are not cut in a frame."""
    cdef Py_ssize_t i
    cdef int *last
    if tree.recorded[state] == t:
        return 0
    tree.recorded[state] = t
    if tree.n_passes + n > tree.pass_room:
        tree.pass_room = places_for(tree.n_passes + n)
        resize(<void **> &tree.passes, tree.pass_room, sizeof(Pass))
    for i in range(n):
        last = &tree.last_pass[state * tree.n_classes + classes[i]]
        tree.passes[tree.n_passes].frame = t
        tree.passes[tree.n_passes].previous = last[0]
        last[0] = <int> tree.n_passes
        tree.n_passes += 1
    return 0


cdef inline int come_back(Tree *tree, int number, int t) except -1 nogil:
    """A text that was a beam before is one again from the frame after this."""
    cdef Node *node = &tree.nodes[number]
    if tree.n_spans == tree.span_room:
        tree.span_room = places_for(tree.span_room + 8)
        resize(<void **> &tree.spans, tree.span_room, sizeof(Span))
    tree.spans[tree.n_spans].first = node.since
    tree.spans[tree.n_spans].last = node.frame
    tree.spans[tree.n_spans].previous = node.spans
    node.spans = <int> tree.n_spans
    tree.n_spans += 1
    node.since = t + 1
    return 0


cdef inline void appear(Tree *tree, const Beam *beam, int t, int place) noexcept nogil:
    """Note that a text is a beam of a frame, and what it may be extended by for the first time."""
    cdef Node *node = &tree.nodes[beam.node]
    node.frame = t
    node.place = place
    if tree.never_cut:
        if node.opened < 0:
            node.opened = t
            node.opened_place = place
        double_up(tree, beam, t, place)


cdef inline void double_up(Tree *tree, const Beam *beam, int t, int place) noexcept nogil:
    """Note when the last label of a beam can be repeated first."""
    cdef Node *node = &tree.nodes[beam.node]
    if node.doubled < 0 and beam.gap_sum > 0.0:
        node.doubled = t
        node.doubled_place = place


cdef inline int add_text(Tree *tree, const Beam *beam, int label, int t) except -1 nogil:
    """The node of a beam extended by a label, from the frame after this; there must be room (see make_texts)."""
    cdef Child *child = child_of(tree, beam.node, label)
    cdef int number = child.node, last
    cdef Node *node
    if number >= 0:
        if not tree.never_cut:
            come_back(tree, number, t)
        return number
    number = <int> tree.n_nodes
    tree.n_nodes += 1
    child.node = number
    node = &tree.nodes[number]
    memset(node, 0xFF, sizeof(Node))
    node.parent = beam.node
    node.label = label
    if tree.never_cut or (tree.collapse and label == beam.label):
        birth(tree, beam, label, &node.born, &node.born_place, &last)
    else:
        node.born = first_made(tree, &tree.nodes[beam.node], label)
    node.since = t + 1
    node.state = 0
    return number


cdef inline int make_texts(Tree *tree, Py_ssize_t n) except -1 nogil:
    """Room for n more texts."""
    if tree.n_nodes + n > tree.node_room:
        tree.node_room = places_for(tree.n_nodes + n)
        resize(<void **> &tree.nodes, tree.node_room, sizeof(Node))
    return 0
