"""Arrays that grow."""

from libc.stdlib cimport realloc


cdef inline int resize(void **memory, Py_ssize_t n, size_t size) except -1 nogil:
    """Make an array ``n`` elements of a size long; what it holds stays. NULL is an array of none."""
    cdef void *larger = realloc(memory[0], max(n, 1) * size)
    if larger is NULL:
        with gil:
            raise MemoryError()
    memory[0] = larger
    return 0
