"""Answers of the models that a beam search has asked for once.

A row holds one number and one state for each class. Rows are found by what they are for, through a hash table with
linear probing that is never more than half full. When there is no room for the rows of another frame all of them are
forgotten.
"""

from libc.math cimport NAN
from libc.stdlib cimport free, realloc
from libc.string cimport memset

# A beam may need three rows in a frame: one of the model of characters; one of the lexicon, for its next label; and one
# more of the lexicon, if the next label is a piece that begins the next word.
cdef enum:
    ROWS = 3
    MOST_ANSWERS = 1 << 20  # rows times classes that a memo holds, unless a single frame needs more

cdef struct Memo:
    Py_ssize_t width    # classes
    double *answers     # NaN: not asked yet
    int *next_states    # the state behind the class; -1: not asked yet, or there is none
    int *states         # what a row is for: a state of the model of characters, or a node of the lexicon
    int *lm_states      # with a state of the model of words; -1 for the model of characters
    int *slots          # the hash table: numbers of rows, -1 where there is none
    Py_ssize_t n_rows
    Py_ssize_t capacity     # a power of two
    Py_ssize_t most_rows


cdef inline int find_row(Memo *memo, int state, int lm_state, bint *is_new) noexcept nogil:
    """The row for a state. A new one holds no answers."""
    cdef Py_ssize_t mask = 2 * memo.capacity - 1, width = memo.width, slot, i
    cdef double *answers
    cdef int row
    slot = ((<unsigned int> state * <unsigned int> 2654435761 ^ <unsigned int> lm_state * <unsigned int> 2246822519)
            >> 7) & mask
    while memo.slots[slot] >= 0:
        row = memo.slots[slot]
        if memo.states[row] == state and memo.lm_states[row] == lm_state:
            is_new[0] = False
            return row
        slot = (slot + 1) & mask
    row = <int> memo.n_rows
    memo.n_rows += 1
    memo.slots[slot] = row
    memo.states[row] = state
    memo.lm_states[row] = lm_state
    answers = memo.answers + row * width
    for i in range(width):
        answers[i] = NAN
    memset(memo.next_states + row * width, 0xff, width * sizeof(int))  # -1
    is_new[0] = True
    return row


cdef inline void forget_rows(Memo *memo) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(2 * memo.capacity):
        memo.slots[i] = -1
    memo.n_rows = 0


cdef inline int grow_memo(Memo *memo, Py_ssize_t capacity) except -1 nogil:
    cdef void *answers
    cdef void *next_states = NULL
    cdef void *states = NULL
    cdef void *slots = NULL
    answers = realloc(memo.answers, capacity * memo.width * sizeof(double))
    if answers is not NULL:
        memo.answers = <double *> answers
        next_states = realloc(memo.next_states, capacity * memo.width * sizeof(int))
    if next_states is not NULL:
        memo.next_states = <int *> next_states
        states = realloc(memo.states, 2 * capacity * sizeof(int))
    if states is not NULL:
        memo.states = <int *> states
        memo.lm_states = memo.states + capacity
        slots = realloc(memo.slots, 2 * capacity * sizeof(int))
    if slots is NULL:
        with gil:
            raise MemoryError()
    memo.slots = <int *> slots
    memo.capacity = capacity
    forget_rows(memo)
    return 0


cdef inline int start_memo(Memo *memo, Py_ssize_t width) except -1:
    memo.width = width
    memo.most_rows = max(64, MOST_ANSWERS // width)
    return grow_memo(memo, 64)


cdef inline bint has_room(const Memo *memo, Py_ssize_t n_beams) noexcept nogil:
    """Whether the rows of another frame fit."""
    return memo.capacity - memo.n_rows >= ROWS * n_beams


cdef inline int make_memo_room(Memo *memo, Py_ssize_t n_beams) except -1 nogil:
    """Forget all rows; see to it that those of another frame fit."""
    cdef Py_ssize_t capacity = memo.capacity, needed = ROWS * n_beams
    while capacity < memo.n_rows + needed and (capacity < memo.most_rows or capacity < needed):
        capacity *= 2
    if capacity > memo.capacity:
        return grow_memo(memo, capacity)
    forget_rows(memo)
    return 0


cdef inline void free_memo(Memo *memo) noexcept nogil:
    free(memo.answers)
    free(memo.next_states)
    free(memo.states)
    free(memo.slots)
