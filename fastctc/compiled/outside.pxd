from libc.stdint cimport int32_t, uint32_t

# Labels start to stop - 1 in front of a frame, and the logarithm of what they get (lost), or of what they have (sure).
cdef struct Place:
    Py_ssize_t frame
    Py_ssize_t start
    Py_ssize_t stop
    double value
    bint sure

# A text and its frames, in one of three kinds of numbers.
cdef struct Outside:
    const double *probs         # probabilities, or their logarithms, in one of two precisions
    const float *floats
    bint is_log                 # for best paths only
    Py_ssize_t n_frames
    Py_ssize_t n_classes
    Py_ssize_t n
    const int *classes          # class of each symbol, the blank first
    Py_ssize_t n_symbols
    const int32_t *symbol       # of label i, from 1 to n
    # What bound_places finds.
    double end
    double shares
    int32_t *bounds             # the memory of all that follows
    int32_t *others
    int32_t *most               # the greatest of each group
    uint32_t *held              # symbols of a group and of the one before

cdef int take_room(Outside *o) except -1 nogil
cdef void leave_room(Outside *o) noexcept nogil
cdef int bound_places(
    Outside *o, const Place *places, Py_ssize_t n_places, bint best, bint backward, double least
) except -1 nogil
cdef void note(
    Place *places, Py_ssize_t *n, Py_ssize_t t, Py_ssize_t start, Py_ssize_t stop, double value, bint sure
) noexcept nogil
cdef void note_sure(
    Place *places, Py_ssize_t *n, Py_ssize_t t, Py_ssize_t first, const double *blanks, const double *labels,
    Py_ssize_t low, Py_ssize_t high, double least, double value
) noexcept nogil
cdef double nats(int32_t value) noexcept nogil
