"""The prefixes of a beam search: a tree in one block of memory.

A prefix is a node: its parent is the prefix without the last label. Two ways to the same prefix meet in the same node.
Below node 0, which stands for no text, are the roots. Node 1 is the main root, where the texts begin; the others belong
to branches that can no longer win (see stream.pyx). The labels of roots are numbers in the order of the texts before
them. So all nodes stand in the order of their whole texts.
"""

cdef struct Node:
    int parent
    int label
    int child       # the first of the children, -1 if there is none
    int sibling     # the next child of the parent, -1 if there is none
    int depth       # labels behind the root; -1 of node 0
    int jump        # an ancestor, chosen so that any ancestor is reached in O(log depth) steps
    int beam        # place among the beams of the frame that follows
    int frame       # the frame in which this prefix is a beam

cdef struct Arena:
    Node *nodes
    Py_ssize_t n_nodes
    Py_ssize_t capacity


cdef inline int ancestor(const Node *nodes, int node, int depth) noexcept nogil:
    """The ancestor at a depth, by jump pointers (E. W. Myers: An applicative random-access stack, 1983)."""
    while nodes[node].depth > depth:
        node = nodes[node].jump if nodes[nodes[node].jump].depth >= depth else nodes[node].parent
    return node


cdef inline void attach(Node *nodes, int node, int parent, int label) noexcept nogil:
    """Make a node a child of its parent.

    If the parent's last two jumps are equally long, the node jumps over both of them, else to its parent: the lengths
    of the jumps are those of the digits in a skew binary number. So they are the same for all nodes of one depth, and
    two nodes of one depth may climb side by side.
    """
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


cdef inline void start_arena(Arena *arena) noexcept nogil:
    """Only node 0, and the main root below it."""
    cdef Node *none = &arena.nodes[0]
    none.parent = none.jump = 0
    none.label = none.depth = none.child = none.sibling = none.frame = -1
    attach(arena.nodes, 1, 0, 1)
    arena.n_nodes = 2


cdef inline int child_of(const Arena *arena, int parent, int label) noexcept nogil:
    """The child that has the label, -1 if there is none."""
    cdef int node = arena.nodes[parent].child
    while node >= 0 and arena.nodes[node].label != label:
        node = arena.nodes[node].sibling
    return node


cdef inline int add_child(Arena *arena, int parent, int label) noexcept nogil:
    """A new node; there must be room."""
    cdef int node = <int> arena.n_nodes
    arena.n_nodes += 1
    attach(arena.nodes, node, parent, label)
    return node


cdef inline int common_prefix(const Node *nodes, int one, int other) noexcept nogil:
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


cdef inline bint is_proper_prefix(const Node *nodes, int prefix, int node) noexcept nogil:
    return nodes[prefix].depth < nodes[node].depth and ancestor(nodes, node, nodes[prefix].depth) == prefix


cdef inline bint precedes(const Node *nodes, int x, int x_label, int y, int y_label) noexcept nogil:
    """Lexicographic order of two different texts: each is a prefix, extended by a label unless that is -1."""
    cdef int depth, p, q
    if x == y:
        return x_label < y_label
    depth = min(nodes[x].depth, nodes[y].depth)
    p = ancestor(nodes, x, depth)
    q = ancestor(nodes, y, depth)
    if p == q:
        # One prefix begins with the other: its next label meets the label that extends the shorter one, if any. Equal
        # labels mean that the shorter text is the beginning of the longer one.
        if nodes[x].depth == depth:
            return x_label <= nodes[ancestor(nodes, y, depth + 1)].label
        return y_label > nodes[ancestor(nodes, x, depth + 1)].label
    while nodes[p].parent != nodes[q].parent:
        if nodes[p].jump != nodes[q].jump:
            p = nodes[p].jump
            q = nodes[q].jump
        else:
            p = nodes[p].parent
            q = nodes[q].parent
    return nodes[p].label < nodes[q].label
