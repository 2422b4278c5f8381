"""What a beam search knows about words; fastctc.reference.lexicon_model, with bounds.

Besides the state after a label there is a *bound*: the greatest weight that the prefix may have after one more label,
times that label's factor. The search skips extensions that cannot survive even with it. Bounds are raised by one
billionth, more than all roundings on the way.
"""

from libc.math cimport exp, log
from libc.stdint cimport int32_t

from fastctc.compiled.memo cimport Memo, find_row
from fastctc.compiled.ngram cimport Model, advance, forecast_sum
from fastctc.compiled.prefix_state cimport PrefixState

cdef enum:
    BETWEEN_WORDS = -1
    UNKNOWN_WORD = -2

cdef struct HotWordTree:
    int n_nodes                 # 0: there are no hot words
    const int32_t *node_labels
    const int32_t *ends
    const double *partial
    const double *whole
    double most                 # the greatest factor by which hot words may raise a beam in a frame

cdef struct LexiconModel:
    int n_classes
    int n_nodes
    int n_words
    const int32_t *node_labels
    const int32_t *ends
    const int32_t *words
    char *is_word_char          # of each class
    char *starts_word           # of each class, whether it begins a word even within another (pieces of words)
    bint has_ngram
    Model ngram                 # of words
    int start                   # its state of the empty text
    bint forecast               # whether the beginning of a word is weighed as published
    bint row_per_lm_state       # whether rows of the memo hold forecasts, which depend on the model's state
    bint fused                  # shallow fusion; the fields that follow are of it
    bint any_word               # whether words may stand in the text that are not in the lexicon
    double lm_weight            # exponent of the model's probabilities
    double word_bonus           # for each word
    double unknown              # log probability of a word that is not in the lexicon
    HotWordTree hot

cdef inline bint ends_word(const LexiconModel *words, int node) noexcept nogil:
    return node >= 0 and (node + 1 == words.ends[node] or words.words[node + 1] != words.words[node])


cdef inline int find_hot_child(const HotWordTree *hot, int node, int label) noexcept nogil:
    cdef int child = node + 1, end = hot.ends[node] if node >= 0 else hot.n_nodes
    while child < end:
        if hot.node_labels[child] == label:
            return child
        child = hot.ends[child]
    return -1


cdef inline int next_hot_node(const HotWordTree *hot, int node, int label, bint begins_word) noexcept nogil:
    """A phrase goes on, blank spaces included; where it does not, another may begin with the beginning of a word."""
    cdef int child = find_hot_child(hot, node, label) if node >= 0 else -1
    return find_hot_child(hot, -1, label) if child < 0 and begins_word and hot.n_nodes else child


cdef inline int word_row(const LexiconModel *words, Memo *memo, PrefixState *state) noexcept nogil:
    """The memo's row of a node: its children by their labels, and room for their forecasts."""
    cdef int row, child, end, label
    cdef int node = state.lexicon_node
    cdef bint is_new
    if state.word_row >= 0:
        return state.word_row
    row = find_row(memo, node, state.lm_state if words.row_per_lm_state else 0, &is_new)
    state.word_row = row
    if not is_new:
        return row
    child = max(0, node + 1)
    end = words.ends[node] if node >= 0 else words.n_nodes if node == BETWEEN_WORDS else 0
    # The tree may come from a bad file. Each child must end behind where it begins and within its parent, so that the
    # loop comes to an end and all nodes that are ever reached are nodes.
    while child < end <= words.n_nodes:
        label = words.node_labels[child]
        if not (
            child < words.ends[child] <= end and 0 <= label < words.n_classes
            and 0 <= words.words[child] < words.n_words
        ):
            break
        memo.next_states[row * memo.width + label] = child
        child = words.ends[child]
    return row


cdef inline double forecast_child(
    const LexiconModel *words, Memo *memo, int row, int label, int child, int lm_state
) noexcept nogil:
    """Log probability, after a state of the model, of all words below the child that a row holds for the label."""
    cdef double *answer = &memo.answers[row * memo.width + label]
    if words.ngram.contexts != NULL:  # of a KenLM file, whose words are weighed when they end
        return 0.0
    if answer[0] != answer[0]:
        answer[0] = log(forecast_sum(&words.ngram, lm_state, words.words[child], words.words[words.ends[child]]))
    return answer[0]


cdef inline bint end_word(const LexiconModel *words, const PrefixState *state, PrefixState *ended) noexcept nogil:
    """The state in shallow fusion when the last word, if there is one, has ended; false if it must not end there."""
    cdef bint known = ends_word(words, state.lexicon_node)
    cdef double log_prob, score, bonus
    ended[0] = state[0]
    ended.factor = ended.weight = 1.0
    ended.lexicon_node = BETWEEN_WORDS
    ended.word_row = -1
    ended.hot_node = -1
    if state.lexicon_node == BETWEEN_WORDS:
        ended.weight = state.weight
        ended.hot_node = state.hot_node
        return True
    if not known and not words.any_word:
        return False
    log_prob = 0.0 if known else words.unknown
    if words.has_ngram:
        score = advance(&words.ngram, &ended.lm_state, words.words[state.lexicon_node] if known else -1)
        if known:
            log_prob = score
    bonus = words.hot.whole[state.hot_node] if state.hot_node >= 0 else 0.0
    ended.factor = exp(words.lm_weight * log_prob + words.word_bonus + bonus)
    ended.n_words += 1
    ended.lm_log_prob += log_prob
    return True


cdef inline double fused_bound(const LexiconModel *words, double ahead) noexcept nogil:
    """The bound in shallow fusion of a prefix whose last word is, at best, as probable as ahead says (a logarithm).

    Proof. Let the prefix end within a word. If the word goes on, the words that it may become are some of those that it
    could become before, so that its forecast does not rise: the weight is at most exp(lm_weight * ahead), times what
    hot words add. If the word ends, it was one of those that ahead counts, so that its factor is at most
    exp(lm_weight * ahead + word_bonus), times the bonus of a phrase; and the weight behind it is at most 1, times
    the share of a phrase, since no forecast is above 1. Between words ahead is 0, and the weight of any beginning at
    most 1.
    """
    return exp(words.lm_weight * ahead) * max(1.0, exp(words.word_bonus)) * words.hot.most * (1.0 + 1e-9)


cdef inline double published_bound(const LexiconModel *words, const PrefixState *state) noexcept nogil:
    """The bound as published. The weight is the geometric mean of the words' probabilities.

    Proof. With forecasts: within a word, whatever it becomes or ends as was part of its forecast, so the weight does
    not rise; between words another word may begin, of a forecast of at most 1, which adds 1 to the number of words.
    Without forecasts: only the end of a word changes the weight, by a probability of at most 1 and 1 more word. So
    where a word may be counted by the next label, the bound is exp(lm_log_prob / (n_words + 1)), if that is more than
    the weight; anywhere else it is the weight. Hot words add at most the share of one phrase and the bonus of another.
    """
    cdef double bound = state.plain_weight
    cdef bint may_count = words.forecast != (state.lexicon_node >= 0)
    if words.has_ngram and may_count:
        bound = max(bound, exp(state.lm_log_prob / (state.n_words + 1)))
    return bound * words.hot.most * (1.0 + 1e-9)


cdef inline int find_child(const LexiconModel *words, Memo *memo, PrefixState *state, int label) noexcept nogil:
    """The node after a label that goes on with a word or begins one; none of the tree's if the lexicon has none."""
    cdef int child = memo.next_states[word_row(words, memo, state) * memo.width + label]
    return child if child >= 0 else UNKNOWN_WORD


cdef inline bint next_fused(
    const LexiconModel *words, Memo *memo, PrefixState *above, int label, PrefixState *state
) noexcept nogil:
    cdef int child = BETWEEN_WORDS
    cdef double ahead = 0.0, share
    cdef bint is_word_char = words.is_word_char[label]
    if is_word_char and (above.lexicon_node == BETWEEN_WORDS or not words.starts_word[label]):
        child = find_child(words, memo, above, label)
        if child == UNKNOWN_WORD and not words.any_word:  # most labels, so that this is decided first
            return False
        state[0] = above[0]
        state.factor = 1.0
    elif not end_word(words, above, state):
        return False
    elif is_word_char:  # a piece that begins the next word
        child = find_child(words, memo, state, label)
        if child == UNKNOWN_WORD and not words.any_word:
            return False
    state.hot_node = next_hot_node(
        &words.hot, above.hot_node, label, is_word_char and state.lexicon_node == BETWEEN_WORDS
    )
    if child == UNKNOWN_WORD:
        ahead = words.unknown
    elif child >= 0 and words.has_ngram:
        ahead = forecast_child(words, memo, state.word_row, label, child, state.lm_state)
        if words.any_word and ahead < words.unknown:
            ahead = words.unknown
    share = words.hot.partial[state.hot_node] if state.hot_node >= 0 else 0.0
    state.lexicon_node = child
    state.word_row = -1
    state.weight = exp(words.lm_weight * ahead + share)
    state.bound = fused_bound(words, ahead)
    return True


cdef inline bint next_published(
    const LexiconModel *words, Memo *memo, PrefixState *above, int label, PrefixState *state
) noexcept nogil:
    cdef int child = BETWEEN_WORDS, node = above.lexicon_node
    cdef bint is_word_char = words.is_word_char[label]
    if is_word_char:
        child = find_child(words, memo, above, label)
        if child == UNKNOWN_WORD:
            return False
    elif node >= 0 and not ends_word(words, node):
        return False
    state[0] = above[0]
    state.word_row = -1
    state.factor = 1.0
    state.lexicon_node = child
    state.hot_node = next_hot_node(&words.hot, above.hot_node, label, is_word_char and node == BETWEEN_WORDS)
    if is_word_char:
        if words.forecast:
            state.plain_weight = exp(
                (above.lm_log_prob + forecast_child(words, memo, above.word_row, label, child, above.lm_state))
                / (above.n_words + 1)
            )
    elif node >= 0:
        if above.hot_node >= 0:
            state.factor = exp(words.hot.whole[above.hot_node])
        if words.has_ngram:
            state.lm_log_prob += advance(&words.ngram, &state.lm_state, words.words[node])
            state.n_words += 1
            state.plain_weight = exp(state.lm_log_prob / state.n_words)
    state.weight = state.plain_weight
    if state.hot_node >= 0:
        state.weight *= exp(words.hot.partial[state.hot_node])
    state.bound = published_bound(words, state)
    return True


cdef inline bint advance_state(
    const LexiconModel *words, Memo *memo, PrefixState *above, int label, PrefixState *state
) noexcept nogil:
    """The state of a prefix after one more label; false if the label must not follow."""
    if words.fused:
        return next_fused(words, memo, above, label, state)
    return next_published(words, memo, above, label, state)


cdef inline void init_state(const LexiconModel *words, PrefixState *state) noexcept nogil:
    """The state of the empty prefix."""
    state.lexicon_node = BETWEEN_WORDS
    state.word_row = -1
    state.lm_state = words.start
    state.n_words = 0
    state.lm_log_prob = 0.0
    state.plain_weight = state.weight = state.factor = 1.0
    state.hot_node = -1
    state.bound = fused_bound(words, 0.0) if words.fused else published_bound(words, state)


cdef inline bint weigh_end(const LexiconModel *words, const PrefixState *state, double *weight) noexcept nogil:
    """What weighs a prefix if the text ends with it; false if it ends within a word that must not stand there."""
    cdef PrefixState ended
    if not words.fused:
        weight[0] = state.plain_weight
        if state.hot_node >= 0 and state.lexicon_node >= 0:
            weight[0] *= exp(words.hot.whole[state.hot_node])
        return True
    if not end_word(words, state, &ended):
        return False
    weight[0] = ended.factor
    return True


cdef object take_lexicon_model(LexiconModel *words, Py_ssize_t n_classes, lexicon_model)
cdef void free_lexicon_model(LexiconModel *words) noexcept
cdef int check_lexicon_model(const LexiconModel *words) except -1 nogil
