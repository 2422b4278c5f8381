"""A tree of the prefixes that a beam search holds, from which those that nothing needs any more are removed.

A prefix is there as long as it, or one that begins with it, is in the beam: so the tree has no more nodes than the
beams have labels, and each removal makes room for a new node.
"""

from libc.string cimport memset

from fastctc.compiled.memory cimport resize

# The children of a prefix are linked both ways.
cdef struct Node:
    int parent
    int label
    int depth
    int word            # node of the tree of words, -1 at the beginning of one
    int state           # of the scorer
    int timestep
    int first_child
    int next
    int previous
    int beam            # its place in the beam, -1 if it is not in it
    int word_state      # of the scorer behind the word that ends here; -1: not asked
    double word_score
    double peak

cdef struct Prefixes:
    Node *nodes
    Py_ssize_t n_nodes
    Py_ssize_t room
    int unused          # a list of nodes that are there no more, linked by ``next``


cdef inline int new_prefix(Prefixes *tree) except -1 nogil:
    """The number of a node whose numbers are all -1."""
    cdef Py_ssize_t room
    cdef int number = tree.unused
    if number >= 0:
        tree.unused = tree.nodes[number].next
    else:
        if tree.n_nodes == tree.room:
            room = max(256, 2 * tree.room)
            if room > 0x7FFFFFFF:
                with gil:
                    raise MemoryError()
            resize(<void **> &tree.nodes, room, sizeof(Node))
            tree.room = room
        number = <int> tree.n_nodes
        tree.n_nodes += 1
    memset(&tree.nodes[number], 0xFF, sizeof(Node))
    return number


cdef inline int add_prefix(Prefixes *tree, int parent, int label) except -1 nogil:
    """The number of a new prefix, one label longer than its parent."""
    cdef int number = new_prefix(tree)
    cdef Node *node = &tree.nodes[number]
    cdef Node *above = &tree.nodes[parent]
    node.parent = parent
    node.label = label
    node.depth = above.depth + 1
    node.next = above.first_child
    if node.next >= 0:
        tree.nodes[node.next].previous = number
    above.first_child = number
    return number


cdef inline void let_go(Prefixes *tree, int number) noexcept nogil:
    """Remove a prefix that neither is a beam nor begins one, and those before it that were there for it only."""
    cdef Node *node
    cdef int parent
    while True:
        node = &tree.nodes[number]
        parent = node.parent
        if node.beam >= 0 or node.first_child >= 0 or parent < 0:
            return
        if node.previous >= 0:
            tree.nodes[node.previous].next = node.next
        else:
            tree.nodes[parent].first_child = node.next
        if node.next >= 0:
            tree.nodes[node.next].previous = node.previous
        node.parent = -1  # not there
        node.next = tree.unused
        tree.unused = number
        number = parent


cdef inline int find_prefix(const Prefixes *tree, int parent, int label) noexcept nogil:
    """The child that has the label, -1 if there is none."""
    cdef int child = tree.nodes[parent].first_child
    while child >= 0 and tree.nodes[child].label != label:
        child = tree.nodes[child].next
    return child


cdef inline bint spells_less(
    const Node *nodes, int p, int p_label, int q, int q_label
) noexcept nogil:
    """Of two different texts, whether the first has the smaller last label, or else the smaller labels.

    A text is a prefix, extended by a label unless that is -1. A text that begins the other one is the smaller.
    """
    cdef int x = p_label if p_label >= 0 else nodes[p].label, y = q_label if q_label >= 0 else nodes[q].label
    cdef int n = nodes[p].depth + (p_label >= 0), m = nodes[q].depth + (q_label >= 0), smaller = 0, u, v
    cdef bint shorter = n <= m  # or as long
    if x != y:
        return x < y
    # Labels at the same depth, from the deepest that both have up; those of candidates that are no nodes come first.
    x = p_label if p_label >= 0 else -2
    y = q_label if q_label >= 0 else -2
    while n > m:
        if x == -2:
            p = nodes[p].parent
        x = -2
        n -= 1
    while m > n:
        if y == -2:
            q = nodes[q].parent
        y = -2
        m -= 1
    while n > 0 and (p != q or x != y):
        u = x if x >= 0 else nodes[p].label
        v = y if y >= 0 else nodes[q].label
        if u != v:
            smaller = 1 if u < v else 2
        if x == -2:
            p = nodes[p].parent
        if y == -2:
            q = nodes[q].parent
        x = y = -2
        n -= 1
    return smaller == 1 if smaller else shorter
