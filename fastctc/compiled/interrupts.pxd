cdef int look() except -1 nogil
