"""What may become a beam, and its order."""

cdef struct Candidate:
    double score
    int beam            # the beam that stays, or is extended
    int label           # by this label

# Whether a goes before b, which has the same score.
ctypedef bint (*StandsBefore)(const void *search, const Candidate *a, const Candidate *b) noexcept nogil


cdef inline bint ranks_above(
    const Candidate *a, const Candidate *b, StandsBefore stands_before, const void *search
) noexcept nogil:
    return a.score > b.score or (
        a.score == b.score and stands_before is not NULL and stands_before(search, a, b)
    )


cdef inline void sort_candidates(
    Candidate *items, Py_ssize_t n, Candidate *scratch, StandsBefore stands_before, const void *search
) noexcept nogil:
    """Sort stably, the best first: runs of 24 by insertion, since beams that stay are nearly in order; then by merging.

    Scores are compared here and not by a function of the caller, since few are equal. Each merge reads one of the
    two arrays and writes the other; what is in order already is copied.
    """
    cdef Py_ssize_t start = 0, stop, i, j, k, middle, run = 24
    cdef Candidate item
    cdef Candidate *source = items
    cdef Candidate *target = scratch
    while start < n:
        stop = min(start + run, n)
        for i in range(start + 1, stop):
            item = items[i]
            j = i
            while j > start and ranks_above(&item, &items[j - 1], stands_before, search):
                items[j] = items[j - 1]
                j -= 1
            items[j] = item
        start = stop
    while run < n:
        start = 0
        while start < n:
            middle = min(start + run, n)
            stop = min(start + 2 * run, n)
            i = start
            j = middle
            k = start
            if middle == stop or not ranks_above(&source[middle], &source[middle - 1], stands_before, search):
                while k < stop:
                    target[k] = source[k]
                    k += 1
            while k < stop:
                if j >= stop or (i < middle and not ranks_above(&source[j], &source[i], stands_before, search)):
                    target[k] = source[i]
                    i += 1
                else:
                    target[k] = source[j]
                    j += 1
                k += 1
            start = stop
        source, target = target, source
        run *= 2
    if source != items:
        for i in range(n):
            items[i] = source[i]
