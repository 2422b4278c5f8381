# Included by beam_search.pyx: the tree of prefixes, and how it forgets.


cdef inline int ancestor(const Node *nodes, int node, int depth) noexcept nogil:
    while nodes[node].depth > depth:
        node = nodes[node].jump if nodes[nodes[node].jump].depth >= depth else nodes[node].parent
    return node


cdef inline void attach(Node *nodes, int node, int parent, int label) noexcept nogil:
    """Make a node a child of its parent."""
    cdef int jump = nodes[parent].jump
    cdef Node *new = &nodes[node]
    new.parent = parent
    new.label = label
    new.child = -1
    new.sibling = nodes[parent].child
    new.depth = nodes[parent].depth + 1
    if nodes[parent].depth - nodes[jump].depth == nodes[jump].depth - nodes[nodes[jump].jump].depth:
        new.jump = nodes[jump].jump
    else:
        new.jump = parent
    new.frame = -1
    nodes[parent].child = node


cdef inline int find_or_add(Search *s, int parent, int label) noexcept nogil:
    cdef int node = s.nodes[parent].child
    cdef Note *note
    while node >= 0:
        if s.nodes[node].label == label:
            return node
        node = s.nodes[node].sibling
    node = <int> s.n_nodes
    s.n_nodes += 1
    attach(s.nodes, node, parent, label)
    if not s.has_notes:
        return node
    note = &s.notes[node]
    note.factor = 1.0
    if s.has_words:
        after(s, parent, label, note)
    if s.has_model:
        note.factor *= factor(s, parent, label)
        note.letters = s.next_states[s.notes[parent].letters_row * s.width + label]
    note.row = note.letters_row = -1
    return node


cdef int make_room(Search *s) except -1 nogil:
    """Forget all prefixes that no beam begins with, and what stands before the cuts; see to it that a frame fits."""
    cdef Py_ssize_t capacity = s.capacity, live = 2, i
    cdef const Node *old = s.nodes
    cdef const Note *old_notes = s.notes
    cdef Node *nodes
    cdef Note *notes = NULL
    cdef int *places
    cdef int node, roots = 1, root
    places = <int *> malloc(s.n_nodes * sizeof(int))
    nodes = <Node *> malloc(capacity * sizeof(Node))
    if s.has_notes:
        notes = <Note *> malloc(capacity * sizeof(Note))
    if places is NULL or nodes is NULL or (s.has_notes and notes is NULL):
        free(places)
        free(nodes)
        free(notes)
        with gil:
            raise MemoryError()
    for i in range(s.n_nodes):
        places[i] = -1
    nodes[0] = old[0]
    nodes[0].child = -1
    # The best beam is below the main root, which comes first. No root is above another, so that they stand in the order
    # of any beams below them.
    for i in range(s.n_beams):
        node = s.cuts[i]
        if places[node] < 0:
            places[node] = roots
            s.stays[roots - 1].score = 0.0  # scratch between two frames
            s.stays[roots - 1].beam = <int> i
            s.stays[roots - 1].label = -1
            roots += 1
    live = roots
    sort(s, s.stays, roots - 1)
    for i in range(roots - 1):
        node = s.cuts[s.stays[i].beam]
        root = places[node]
        attach(nodes, root, 0, <int> i + 1)
        if s.has_notes:
            notes[root] = old_notes[node]
    for i in range(s.n_beams):
        node = s.beams[i].node
        while places[node] < 0:
            places[node] = 0
            node = old[node].parent
    # Parents stand before their children, and keep doing so.
    for i in range(s.n_nodes):
        if places[i] == 0:
            places[i] = <int> live
            attach(nodes, <int> live, places[old[i].parent], old[i].label)
            if s.has_notes:
                notes[live] = old_notes[i]
            live += 1
    for i in range(s.n_beams):
        s.beams[i].node = places[s.beams[i].node]
    free(places)
    free(s.nodes)
    free(s.notes)
    s.nodes = nodes
    s.notes = notes
    s.n_nodes = live
    s.frame = 0
    while capacity < 2 * (live + s.beam_width):
        capacity *= 2
    return grow(s, capacity) if capacity > s.capacity else 0


cdef void keep_roots(Search *s) noexcept nogil:
    """Cut every beam where it begins already."""
    cdef Py_ssize_t i
    for i in range(s.n_beams):
        s.cuts[i] = ancestor(s.nodes, s.beams[i].node, 0)


cdef int grow(Search *s, Py_ssize_t capacity) except -1 nogil:
    cdef Node *nodes
    cdef Note *notes
    if capacity > 0x7fffffff:
        with gil:
            raise MemoryError("more than 2**31 prefixes: use a smaller beam width")
    nodes = <Node *> realloc(s.nodes, capacity * sizeof(Node))
    if nodes is not NULL:
        s.nodes = nodes
        if s.has_notes:
            notes = <Note *> realloc(s.notes, capacity * sizeof(Note))
            if notes is not NULL:
                s.notes = notes
    if nodes is NULL or (s.has_notes and notes is NULL):
        with gil:
            raise MemoryError()
    s.capacity = capacity
    return 0


cdef int shared(const Node *nodes, int one, int other) noexcept nogil:
    """The longest prefix that two prefixes begin with."""
    cdef int depth = min(nodes[one].depth, nodes[other].depth)
    one = ancestor(nodes, one, depth)
    other = ancestor(nodes, other, depth)
    while one != other:
        if nodes[one].jump != nodes[other].jump:
            one = nodes[one].jump
            other = nodes[other].jump
        else:
            one = nodes[one].parent
            other = nodes[other].parent
    return one
