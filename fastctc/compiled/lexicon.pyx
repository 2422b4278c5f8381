"""Twin of fastctc.reference.lexicon."""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc, realloc

import numpy as np

from fastctc.compiled.interrupts cimport look

from fastctc.search_inputs import PrefixTree


def prefix_tree(const int32_t[::1] labels, const int64_t[::1] offsets):
    cdef Py_ssize_t n_words = offsets.shape[0] - 1, word, i, common, length, previous = 0, longest = 0
    cdef Py_ssize_t n_nodes = 0
    cdef const int32_t *current
    cdef const int32_t *before = NULL
    cdef Py_ssize_t bad = -1
    if n_words < 0 or offsets[0] != 0 or offsets[n_words] != labels.shape[0]:
        raise ValueError("offsets must begin with 0 and end with the number of labels")
    for word in range(n_words):
        if offsets[word + 1] < offsets[word]:
            raise ValueError("offsets must not descend")
        longest = max(longest, offsets[word + 1] - offsets[word])
    if labels.shape[0] > 0x7ffffffe:
        raise ValueError("a lexicon must have fewer than 2**31 characters")
    node_labels = np.empty(labels.shape[0] + 1, dtype=np.int32)
    node_ends = np.empty(labels.shape[0] + 1, dtype=np.int32)
    node_words = np.empty(labels.shape[0] + 1, dtype=np.int32)
    cdef int32_t[::1] label_of = node_labels
    cdef int32_t[::1] ends = node_ends
    cdef int32_t[::1] words = node_words
    cdef int32_t *path = <int32_t *> malloc((longest + 1) * sizeof(int32_t))
    if path is NULL:
        raise MemoryError()
    with nogil:
        for word in range(n_words):
            length = offsets[word + 1] - offsets[word]
            current = &labels[0] + offsets[word] if labels.shape[0] else NULL
            common = 0
            while common < length and common < previous and current[common] == before[common]:
                common += 1
            if word and (common == length or (common < previous and current[common] < before[common])):
                bad = word
                break
            for i in range(common, previous):
                ends[path[i]] = <int32_t> n_nodes
            for i in range(common, length):
                path[i] = <int32_t> n_nodes
                label_of[n_nodes] = current[i]
                words[n_nodes] = <int32_t> word
                n_nodes += 1
            before = current
            previous = length
        for i in range(previous):
            ends[path[i]] = <int32_t> n_nodes
        label_of[n_nodes] = -1
        ends[n_nodes] = <int32_t> n_nodes
        words[n_nodes] = <int32_t> n_words
    free(path)
    if bad >= 0:
        raise ValueError(f"words must be sorted and different, got word {bad} after its predecessor")
    return PrefixTree(
        node_labels[:n_nodes + 1].copy(), node_ends[:n_nodes + 1].copy(), node_words[:n_nodes + 1].copy()
    )


def find_child(tree, int node, int label) -> int:
    cdef const int32_t[::1] node_labels = tree.node_labels, ends = tree.ends
    cdef int child = node + 1, end = <int> ends.shape[0] - 1
    if not -1 <= node < end or node_labels.shape[0] != ends.shape[0]:
        raise ValueError(f"node must be -1 to {end - 1}, got {node}")
    if node >= 0:
        end = min(end, ends[node])
    while child < end:
        if node_labels[child] == label:
            return child
        child = max(child + 1, ends[child])  # the tree may come from a bad file
    return -1


def ends_word(tree, int node) -> bool:
    cdef const int32_t[::1] ends = tree.ends, words = tree.words
    if not 0 <= node < ends.shape[0] - 1 or words.shape[0] != ends.shape[0]:
        raise ValueError(f"node must be 0 to {ends.shape[0] - 2}, got {node}")
    return node + 1 == ends[node] or words[node + 1] > words[node]


def words_below(tree, int node) -> tuple:
    cdef const int32_t[::1] ends = tree.ends, words = tree.words
    if not 0 <= node < ends.shape[0] - 1 or words.shape[0] != ends.shape[0] or not 0 <= ends[node] < words.shape[0]:
        raise ValueError(f"node must be 0 to {ends.shape[0] - 2}, got {node}")
    return words[node], words[ends[node]]


def best_below(tree, const double[::1] priors):
    cdef const int32_t[::1] ends = tree.ends, words = tree.words
    cdef Py_ssize_t n_nodes = ends.shape[0] - 1, node, child, n_words = priors.shape[0]
    cdef double best
    result = np.zeros(n_nodes + 1)
    cdef double[::1] out = result
    if words.shape[0] != ends.shape[0]:
        raise ValueError("ends and words must be equally long")
    for node in range(n_nodes + 1):
        if not (0 <= words[node] <= n_words and (ends[node] > node or node == n_nodes) and ends[node] <= n_nodes):
            raise ValueError(f"node {node} is no part of a prefix tree")
    with nogil:
        # From the last node on, so that children come before their parents.
        for node in range(n_nodes - 1, -1, -1):
            best = 0.0
            child = node + 1
            # The words of a node that are not below its children: the one that ends here, if there is one.
            if words[node] < (words[child] if child < ends[node] else words[ends[node]]) or child == ends[node]:
                best = priors[words[node]]
            while child < ends[node]:
                best = max(best, out[child])
                child = ends[child]
            out[node] = best
    return result


cdef struct Near:
    int word
    int distance

cdef struct Search:
    const int32_t *node_labels
    const int32_t *ends
    const int32_t *words
    int n_nodes
    int n_words
    const int *text
    int length
    int tolerance
    int *rows           # of distances, one a depth
    int *stack          # where the subtrees end that the node is in
    Near *found
    Py_ssize_t n_found
    Py_ssize_t room


cdef int keep(Search *s, int word, int distance) except -1 nogil:
    cdef Near *found
    if s.n_found == s.room:
        found = <Near *> realloc(s.found, 2 * s.room * sizeof(Near))
        if found is NULL:
            with gil:
                raise MemoryError()
        s.found = found
        s.room *= 2
    s.found[s.n_found].word = word
    s.found[s.n_found].distance = distance
    s.n_found += 1
    return 0


cdef int search(Search *s) except -1 nogil:
    """In preorder, so that words come in their order. Below a depth of length + tolerance all are too far."""
    cdef int node = 0, depth = 0, width = s.length + 1, j, least, cost, label, end
    cdef int *row
    cdef const int *above
    cdef Py_ssize_t worked = 0
    s.stack[0] = s.n_nodes
    while True:
        while depth and node == s.stack[depth]:
            depth -= 1
        if node == s.n_nodes:
            return 0
        end = s.ends[node]
        if not (node < end <= s.stack[depth] and 0 <= s.words[node] < s.n_words):
            with gil:
                raise ValueError(f"node {node} is no part of a prefix tree")
        above = s.rows + depth * width
        row = s.rows + (depth + 1) * width
        label = s.node_labels[node]
        row[0] = least = above[0] + 1
        for j in range(s.length):
            cost = above[j] + (s.text[j] != label)
            cost = min(cost, above[j + 1] + 1)
            cost = min(cost, row[j] + 1)
            row[j + 1] = cost
            least = min(least, cost)
        if row[s.length] <= s.tolerance and (node + 1 == end or s.words[node + 1] > s.words[node]):
            keep(s, s.words[node], row[s.length])
        if least <= s.tolerance and node + 1 < end:
            depth += 1
            s.stack[depth] = end
            node += 1
        else:
            node = end
        worked += width
        if worked > 1 << 22:
            worked = 0
            look()


def words_near(tree, text, Py_ssize_t tolerance) -> list:
    cdef const int32_t[::1] node_labels = tree.node_labels, ends = tree.ends, words = tree.words
    cdef list labels = list(text)
    cdef Py_ssize_t n = len(labels), n_nodes = ends.shape[0] - 1, depth, i
    cdef int *numbers
    cdef Search s
    if n_nodes < 1 or node_labels.shape[0] != n_nodes + 1 or words.shape[0] != n_nodes + 1:
        raise ValueError("the tables of the tree must be equally long, and hold a node")
    if tolerance < 0:
        raise ValueError(f"tolerance must be 0 or more, got {tolerance}")
    tolerance = min(tolerance, 1 << 30)
    depth = min(n_nodes, n + tolerance) + 2
    if depth * (n + 1) > 1 << 28:
        raise ValueError(f"text must be shorter for a tolerance of {tolerance}, got {n} labels")
    s.node_labels = &node_labels[0]
    s.ends = &ends[0]
    s.words = &words[0]
    s.n_nodes = <int> n_nodes
    s.n_words = words[n_nodes]
    s.length = <int> n
    s.tolerance = <int> tolerance
    s.n_found = 0
    s.room = 64
    numbers = <int *> malloc((n + 1) * sizeof(int))
    s.rows = <int *> malloc(depth * (n + 1) * sizeof(int))
    s.stack = <int *> malloc(depth * sizeof(int))
    s.found = <Near *> malloc(s.room * sizeof(Near))
    s.text = numbers
    try:
        if numbers is NULL or s.rows is NULL or s.stack is NULL or s.found is NULL:
            raise MemoryError()
        for i in range(n):
            numbers[i] = labels[i]
        for i in range(n + 1):
            s.rows[i] = <int> i
        with nogil:
            search(&s)
        return [(s.found[i].word, s.found[i].distance) for i in range(s.n_found)]
    finally:
        free(numbers)
        free(s.rows)
        free(s.stack)
        free(s.found)
