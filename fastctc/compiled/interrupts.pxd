cdef int look() except -1 nogil


cdef inline int look_after(Py_ssize_t *worked, Py_ssize_t work, Py_ssize_t most) except -1 nogil:
    """Add to the work since the last look; look when there has been more than ``most``."""
    worked[0] += work
    if worked[0] > most:
        worked[0] = 0
        look()
    return 0
