"""The queue of a best-first search: a binary heap.

J. W. J. Williams: Algorithm 232, Heapsort, Communications of the ACM 7, 1964; making a heap of what lies in any order
in linear time is R. W. Floyd's Algorithm 245 of the same year.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free

from fastctc.compiled.memory cimport resize

cdef struct Entry:
    double bound        # the most that can come of it; the greatest goes first,
    int64_t order       # and of equal bounds the smallest order
    int node
    int detail          # what a search needs to know beside the node

cdef struct Heap:
    Entry *entries      # entry i goes before entries 2 i + 1 and 2 i + 2
    Py_ssize_t n
    Py_ssize_t room


cdef inline bint goes_before(const Entry *a, const Entry *b) noexcept nogil:
    return a.bound > b.bound or (a.bound == b.bound and a.order < b.order)


cdef inline void sift_down(Heap *heap, Py_ssize_t i, Entry entry) noexcept nogil:
    """Put an entry where place i is free: there, or below, where it goes before both entries that follow."""
    cdef Py_ssize_t child
    while True:
        child = 2 * i + 1
        if child >= heap.n:
            break
        if child + 1 < heap.n and goes_before(&heap.entries[child + 1], &heap.entries[child]):
            child += 1
        if not goes_before(&heap.entries[child], &entry):
            break
        heap.entries[i] = heap.entries[child]
        i = child
    heap.entries[i] = entry


cdef inline int append(Heap *heap, double bound, int64_t order, int node, int detail) except -1 nogil:
    """Add an entry without putting it in its place (see restore)."""
    cdef Entry *entry
    if heap.n == heap.room:
        resize(<void **> &heap.entries, max(256, 2 * heap.room), sizeof(Entry))
        heap.room = max(256, 2 * heap.room)
    entry = &heap.entries[heap.n]
    entry.bound = bound
    entry.order = order
    entry.node = node
    entry.detail = detail
    heap.n += 1
    return 0


cdef inline int push(Heap *heap, double bound, int64_t order, int node, int detail) except -1 nogil:
    cdef Py_ssize_t i = heap.n, parent
    cdef Entry new
    append(heap, bound, order, node, detail)
    new = heap.entries[i]
    while i > 0:
        parent = (i - 1) // 2
        if not goes_before(&new, &heap.entries[parent]):
            break
        heap.entries[i] = heap.entries[parent]
        i = parent
    heap.entries[i] = new
    return 0


cdef inline Entry pop(Heap *heap) noexcept nogil:
    """Remove the entry that goes first; there must be one."""
    cdef Entry first = heap.entries[0]
    heap.n -= 1
    if heap.n:
        sift_down(heap, 0, heap.entries[heap.n])
    return first


cdef inline void restore(Heap *heap) noexcept nogil:
    """Make a heap of entries in any order."""
    cdef Py_ssize_t i
    for i in range(heap.n // 2 - 1, -1, -1):
        sift_down(heap, i, heap.entries[i])


cdef inline void free_heap(Heap *heap) noexcept nogil:
    free(heap.entries)
