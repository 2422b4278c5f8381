"""Twin of fastctc.reference.ngram."""

from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc


def score(tables, int state, tokens) -> tuple:
    cdef Model m
    cdef list numbers = list(tokens)
    cdef Py_ssize_t i, n = len(numbers)
    cdef int32_t *items
    cdef double *results
    fill(&m, tables)
    if not 0 <= state < m.n_nodes:
        raise ValueError(f"state must be a node, 0 to {m.n_nodes - 1}, got {state}")
    items = <int32_t *> malloc((n + 1) * sizeof(int32_t))
    results = <double *> malloc((n + 1) * sizeof(double))
    try:
        if items is NULL or results is NULL:
            raise MemoryError()
        for i in range(n):
            items[i] = numbers[i]
        with nogil:
            for i in range(n):
                results[i] = advance(&m, &state, items[i])
        return [results[i] for i in range(n)], state
    finally:
        free(items)
        free(results)


def forecast(tables, sums, int state, int first, int last) -> float:
    cdef Model m
    fill(&m, tables)
    fill_sums(&m, sums)
    if not 0 <= state < m.n_nodes:
        raise ValueError(f"state must be a node, 0 to {m.n_nodes - 1}, got {state}")
    return forecast_sum(&m, state, first, last)
