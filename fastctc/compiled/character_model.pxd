"""A model of characters in a beam search; fastctc.search_inputs.CharacterModel."""

from libc.math cimport INFINITY, NAN, exp
from libc.stdint cimport int32_t

from fastctc.compiled.memo cimport Memo, find_row
from fastctc.compiled.ngram cimport Model, advance
from fastctc.compiled.prefix_state cimport PrefixState

cdef struct CharacterModel:
    Model ngram
    const int32_t *tokens   # the model's number of each class
    double weight           # exponent of the model's probabilities
    double bonus            # added to the log probability of each label
    int start               # the state of the empty text
    int end                 # the model's number of the end of a text, -1 if it knows none


cdef inline double ask(const CharacterModel *model, Memo *memo, PrefixState *state, int label) noexcept nogil:
    """The factor of a label, from the model unless the memo has it by now. Apart, so that char_factor is inlined."""
    cdef int next_state = state.char_state
    cdef Py_ssize_t place
    cdef double factor
    cdef bint is_new
    if state.char_row < 0:
        state.char_row = find_row(memo, next_state, -1, &is_new)
    place = state.char_row * memo.width + label
    factor = memo.answers[place]
    if factor != factor:
        factor = exp(model.weight * advance(&model.ngram, &next_state, model.tokens[label]) + model.bonus)
        memo.answers[place] = factor
        memo.next_states[place] = next_state
    return factor


cdef inline double char_factor(const CharacterModel *model, Memo *memo, PrefixState *state, int label) noexcept nogil:
    """What the model multiplies the probability of a prefix by when a label is appended."""
    cdef double factor = memo.answers[state.char_row * memo.width + label] if state.char_row >= 0 else NAN
    return factor if factor == factor else ask(model, memo, state, label)


cdef inline int next_char_state(const Memo *memo, const PrefixState *state, int label) noexcept nogil:
    """The state after a label whose factor has been asked for."""
    return memo.next_states[state.char_row * memo.width + label]


cdef inline bint may_end(const CharacterModel *model, const PrefixState *state, double *factor) noexcept nogil:
    """Whether the text may end, and what the model multiplies its probability by then."""
    cdef int after = state.char_state
    cdef double log_prob
    factor[0] = 1.0
    if model.end < 0:
        return True
    log_prob = advance(&model.ngram, &after, model.end)
    factor[0] = exp(model.weight * log_prob)
    return log_prob > -INFINITY
