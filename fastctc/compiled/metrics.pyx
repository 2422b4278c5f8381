"""Twin of fastctc.reference.metrics: the same row of distances, over small integers instead of objects."""

from libc.stdlib cimport free, malloc

from fastctc.compiled.interrupts cimport look


cdef int distance(const int *first, Py_ssize_t n, const int *second, Py_ssize_t m, int *row) except -1 nogil:
    cdef Py_ssize_t i, j
    cdef int diagonal, best
    for j in range(m + 1):
        row[j] = <int> j
    for i in range(n):
        diagonal = row[0]
        row[0] = <int> i + 1
        for j in range(m):
            best = diagonal + (first[i] != second[j])
            diagonal = row[j + 1]
            if diagonal + 1 < best:
                best = diagonal + 1
            if row[j] + 1 < best:
                best = row[j] + 1
            row[j + 1] = best
        if (i & 1023) == 1023:
            look()
    return row[m]


def edit_distance(first, second) -> int:
    cdef list one = list(first), two = list(second)
    cdef Py_ssize_t n = len(one), m = len(two), i
    cdef dict numbers = {}
    cdef int *buffer = <int *> malloc((n + 2 * m + 1) * sizeof(int))
    if buffer is NULL:
        raise MemoryError()
    cdef int result
    try:
        for i, symbol in enumerate(one):
            buffer[i] = numbers.setdefault(symbol, len(numbers))
        for i, symbol in enumerate(two):
            buffer[n + i] = numbers.setdefault(symbol, len(numbers))
        with nogil:
            result = distance(buffer, n, buffer + n, m, buffer + n + m)
        return result
    finally:
        free(buffer)
