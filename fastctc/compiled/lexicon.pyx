"""Twin of fastctc.reference.lexicon."""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc

import numpy as np


def prefix_tree(const int32_t[::1] labels, const int64_t[::1] offsets) -> tuple:
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
    return node_labels[:n_nodes + 1].copy(), node_ends[:n_nodes + 1].copy(), node_words[:n_nodes + 1].copy()


def best_below(const int32_t[::1] ends, const int32_t[::1] words, const double[::1] priors):
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
