"""The tree of spellings of a search over paths, from the tables that the reference searches."""

from libc.math cimport INFINITY
from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport malloc
from libc.string cimport memset

from fastctc.compiled.path_state cimport Child, Node, Search, mixed


cdef inline tuple take_tree(Search *s, tree):
    """Check the tables, and copy what the search reads. Returns the arrays that it reads where they lie."""
    cdef const int32_t[::1] tokens = tree.tokens, children = tree.children, parents = tree.parents
    cdef const int32_t[::1] offsets = tree.offsets, words = tree.words
    cdef const float[::1] bounds = tree.bounds
    cdef Py_ssize_t n = tokens.shape[0], i, j
    if not (
        0 < n < 0x7fffffff and children.shape[0] == n + 1 and parents.shape[0] == n and bounds.shape[0] == n
        and offsets.shape[0] == n + 1 and children[0] == 1 and children[n] == n and offsets[0] == 0
        and offsets[n] == words.shape[0] < 0x3fffffff
    ):
        raise ValueError("the tables of the spellings' tree do not fit together")
    for i in range(n):
        if not (i < children[i] <= children[i + 1] <= n and 0 <= offsets[i] <= offsets[i + 1] <= words.shape[0]):
            raise ValueError(f"node {i} is no part of a tree of spellings")
        if i and not 0 <= tokens[i] < s.n_classes:
            raise ValueError(f"the tokens of spellings must be classes, 0 to {s.n_classes - 1}, got {tokens[i]}")
        for j in range(children[i], children[i + 1]):
            if parents[j] != i or (j > children[i] and tokens[j] <= tokens[j - 1]):
                raise ValueError(f"node {j} is no part of a tree of spellings")
    for i in range(words.shape[0]):
        if words[i] < 0:
            raise ValueError(f"words must be numbers from 0, got {words[i]}")
    s.n_places = 16
    while s.n_places < 2 * words.shape[0]:
        s.n_places *= 2
    s.nodes = <Node *> malloc((n + 1) * sizeof(Node))
    s.children = <Child *> malloc((n + 1) * sizeof(Child))
    s.first_nodes = <int *> malloc(s.n_classes * sizeof(int))
    s.is_spelt = <char *> malloc(2 * s.n_classes)
    s.places = <int *> malloc(s.n_places * sizeof(int))
    s.ends = <int *> malloc((2 * words.shape[0] + 1) * sizeof(int))
    if (
        s.nodes is NULL or s.children is NULL or s.first_nodes is NULL or s.is_spelt is NULL or s.places is NULL
        or s.ends is NULL
    ):
        raise MemoryError()
    s.is_last = s.is_spelt + s.n_classes
    s.next_spelling = s.ends + words.shape[0]
    s.with_tree = True
    s.n_nodes = <int> n
    s.words = &words[0] if words.shape[0] else NULL
    fill_nodes(s, &tokens[0], &children[0], &parents[0], &offsets[0], &bounds[0])
    link_spellings(s)
    return words,


cdef inline void fill_nodes(
    Search *s, const int32_t *tokens, const int32_t *children, const int32_t *parents, const int32_t *offsets,
    const float *bounds
) noexcept nogil:
    """The nodes, what is below each, and the tokens of words."""
    cdef Py_ssize_t n = s.n_nodes, i
    cdef Node *node
    cdef Node *above
    memset(s.first_nodes, 0xff, s.n_classes * sizeof(int))
    memset(s.is_spelt, 0, 2 * s.n_classes)
    for i in range(n + 1):
        node = &s.nodes[i]
        memset(node, 0, sizeof(Node))
        node.token = tokens[i] if 0 < i < n else -1
        node.parent = parents[i] if 0 < i < n else -1
        node.children = children[i]
        node.words = offsets[i]
        node.bound = bounds[i] if i < n else 0.0
        node.rise = -INFINITY
        if not 0 < i < n:
            continue
        above = &s.nodes[node.parent]
        node.step = node.bound - (above.bound if node.parent else 0.0)
        if not node.step <= above.rise and children[i] < children[i + 1]:
            above.rise = node.step if node.step == node.step else INFINITY  # NaN: nobody knows
        s.children[i].token = node.token
        s.children[i].step = node.step if children[i] < children[i + 1] else -INFINITY
        s.is_spelt[node.token] = True
        if offsets[i] < offsets[i + 1] or s.unknown_bonus > -INFINITY:
            s.is_last[node.token] = above.ends = True
        if node.parent == 0:
            s.first_nodes[node.token] = <int> i


cdef inline void link_spellings(Search *s) noexcept nogil:
    """Find the spellings of each word."""
    cdef uint32_t slot, mask = <uint32_t> s.n_places - 1
    cdef int i, k
    memset(s.places, 0xff, s.n_places * sizeof(int))
    for i in range(1, s.n_nodes):
        for k in range(s.nodes[i].words, s.nodes[i + 1].words):
            s.ends[k] = i
            slot = mixed(<uint32_t> s.words[k], 0) & mask
            while s.places[slot] >= 0 and s.words[s.places[slot]] != s.words[k]:
                slot = (slot + 1) & mask
            s.next_spelling[k] = s.places[slot]
            s.places[slot] = k
            if s.next_spelling[k] >= 0:
                s.nodes[s.nodes[i].parent].shared = True
                s.nodes[s.nodes[s.ends[s.next_spelling[k]]].parent].shared = True
