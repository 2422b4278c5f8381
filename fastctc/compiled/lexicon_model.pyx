"""Twin of fastctc.reference.lexicon_model: the lexicon model for a beam search, checked; and its walk, label by label.

The beam search walks in lexicon_model.pxd, without Python. The functions here do the same for one prefix.
"""

from libc.math cimport INFINITY, exp
from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc

from fastctc.compiled.kenlm cimport (
    Contexts, check_contexts, context_of, free_contexts, number_of_context, take_contexts
)
from fastctc.compiled.memo cimport Memo, free_memo, start_memo
from fastctc.compiled.ngram cimport fill, fill_sums
from fastctc.compiled.prefix_state cimport PrefixState

from fastctc.search_inputs import KenLMWords, PrefixState as State


cdef object take_lexicon_model(LexiconModel *words, Py_ssize_t n_classes, lexicon_model):
    """Point to the arrays of a search_inputs.LexiconModel, and check them; the caller keeps the result alive."""
    tree, tables, fusion, hot = lexicon_model.tree, lexicon_model.tables, lexicon_model.fusion, lexicon_model.hot
    is_word_char, starts_word = lexicon_model.is_word_char, lexicon_model.starts_word
    cdef const int32_t[::1] node_labels = tree.node_labels, ends = tree.ends, numbers = tree.words
    cdef Py_ssize_t c
    words.n_classes = <int> n_classes
    words.forecast = lexicon_model.forecast
    words.n_nodes = <int> ends.shape[0] - 1
    if words.n_nodes < 1 or node_labels.shape[0] != words.n_nodes + 1 or numbers.shape[0] != words.n_nodes + 1:
        raise ValueError("the tables of the tree must be equally long, and hold a node")
    if len(is_word_char) != n_classes or len(starts_word) != n_classes:
        raise ValueError(f"is_word_char and starts_word must have {n_classes} entries, one a class")
    words.n_words = numbers[words.n_nodes]
    if isinstance(tables, KenLMWords):
        if fusion is None or words.forecast:
            raise ValueError("a KenLM file goes with shallow fusion: it knows no sums over words")
        if len(tables.numbers) < words.n_words:
            raise ValueError(f"the model must have a number for all {words.n_words} words")
        words.ngram.contexts = take_contexts(tables)
        words.ngram.n_nodes = 0x7fffffff
        words.start = number_of_context(words.ngram.contexts, lexicon_model.start)
        words.has_ngram = True
    elif tables is not None:
        words.start = lexicon_model.start
        fill(&words.ngram, tables)
        fill_sums(&words.ngram, lexicon_model.sums)
        if words.ngram.children[1] - words.ngram.children[0] < words.n_words:
            raise ValueError(f"the model must know all {words.n_words} words")
        if not 0 <= words.start < words.ngram.n_nodes:
            raise ValueError(f"start must be a node, 0 to {words.ngram.n_nodes - 1}, got {words.start}")
        words.has_ngram = True
    elif words.forecast:
        raise ValueError("a forecast must have a model of words")
    words.is_word_char = <char *> malloc(2 * n_classes)
    if words.is_word_char is NULL:
        raise MemoryError()
    words.starts_word = words.is_word_char + n_classes
    for c in range(n_classes):
        words.is_word_char[c] = bool(is_word_char[c])
        words.starts_word[c] = bool(starts_word[c])
    words.node_labels = &node_labels[0]
    words.ends = &ends[0]
    words.words = &numbers[0]
    words.row_per_lm_state = words.forecast
    words.hot.most = 1.0
    if fusion is not None:
        take_fusion(words, fusion)
    return node_labels, ends, numbers, tables, lexicon_model.sums, None if hot is None else take_hot(&words.hot, hot)


cdef int take_fusion(LexiconModel *words, fusion) except -1:
    words.lm_weight = fusion.weight
    words.word_bonus = fusion.bonus
    words.unknown = fusion.unknown
    words.any_word = words.unknown == words.unknown
    if not 0.0 <= words.lm_weight < INFINITY or not -INFINITY < words.word_bonus < INFINITY:
        raise ValueError(f"weight and bonus must be finite, got {words.lm_weight} and {words.word_bonus}")
    if words.unknown > 0.0:
        raise ValueError(f"unknown must be a log probability, got {words.unknown}")
    words.fused = True
    words.row_per_lm_state = words.has_ngram and words.ngram.contexts == NULL
    return 0


cdef object take_hot(HotWordTree *tree, hot):
    cdef const int32_t[::1] labels = hot.node_labels, ends = hot.ends
    cdef const double[::1] partial = hot.partial, whole = hot.whole
    cdef double greatest_share = 0.0, greatest_bonus = 0.0
    cdef Py_ssize_t i
    tree.n_nodes = <int> ends.shape[0] - 1
    if tree.n_nodes < 1 or not labels.shape[0] == partial.shape[0] == whole.shape[0] == tree.n_nodes + 1:
        raise ValueError("the tables of the hot words must be equally long, and hold a node")
    for i in range(tree.n_nodes):
        if not i < ends[i] <= tree.n_nodes or not -1e3 < partial[i] < 1e3 or not -1e3 < whole[i] < 1e3:
            raise ValueError(f"node {i} is no part of a tree of hot words")
        greatest_share = max(greatest_share, partial[i])
        greatest_bonus = max(greatest_bonus, whole[i])
    tree.most = exp(greatest_share + greatest_bonus)
    tree.node_labels = &labels[0]
    tree.ends = &ends[0]
    tree.partial = &partial[0]
    tree.whole = &whole[0]
    return labels, ends, partial, whole


cdef void free_lexicon_model(LexiconModel *words) noexcept:
    free(words.is_word_char)
    free_contexts(words.ngram.contexts)


cdef int check_lexicon_model(const LexiconModel *words) except -1 nogil:
    """Raise what has come up in the search."""
    if words.ngram.contexts != NULL:
        check_contexts(words.ngram.contexts)
    return 0


cdef class _Walk:
    """A lexicon model, and room for the state of one prefix."""
    cdef LexiconModel words
    cdef Memo memo
    cdef PrefixState state
    cdef object arrays  # what the model's pointers point to

    def __cinit__(self, lexicon_model, state=None):
        n_classes = len(lexicon_model.is_word_char)
        self.arrays = take_lexicon_model(&self.words, n_classes, lexicon_model)
        start_memo(&self.memo, n_classes)
        init_state(&self.words, &self.state)
        if state is not None:
            self.take(state)

    def __dealloc__(self):
        free_lexicon_model(&self.words)
        free_memo(&self.memo)

    cdef int take(self, given) except -1:
        cdef PrefixState *state = &self.state
        state.lexicon_node = given.lexicon_node
        if self.words.ngram.contexts != NULL:
            state.lm_state = number_of_context(self.words.ngram.contexts, given.lm_state)
        else:
            state.lm_state = given.lm_state
        state.n_words = given.n_words
        state.lm_log_prob = given.lm_log_prob
        state.weight = given.weight
        state.factor = given.factor
        state.hot_node = given.hot_node
        state.plain_weight = given.plain_weight
        if not UNKNOWN_WORD <= state.lexicon_node < self.words.n_nodes:
            raise ValueError(f"lexicon_node must be -2 to {self.words.n_nodes - 1}, got {state.lexicon_node}")
        if self.words.has_ngram and not 0 <= state.lm_state < self.words.ngram.n_nodes:
            raise ValueError(f"lm_state must be 0 to {self.words.ngram.n_nodes - 1}, got {state.lm_state}")
        if not -1 <= state.hot_node < max(self.words.hot.n_nodes, 0):
            raise ValueError(f"hot_node must be -1 to {self.words.hot.n_nodes - 1}, got {state.hot_node}")
        if not 0 <= state.n_words < 0x7fffffff:
            raise ValueError(f"n_words must be a number of words, got {state.n_words}")
        return 0


cdef object as_python(const LexiconModel *words, const PrefixState *state):
    cdef Contexts *contexts = words.ngram.contexts
    return State(
        state.lexicon_node,
        state.lm_state if contexts == NULL else context_of(contexts, state.lm_state),
        state.n_words,
        state.lm_log_prob,
        state.weight,
        state.factor,
        state.hot_node,
        state.plain_weight,
    )


def start_state(words):
    cdef _Walk walk = _Walk(words)
    return as_python(&walk.words, &walk.state)


def next_state(words, state, int label):
    cdef _Walk walk = _Walk(words, state)
    cdef PrefixState longer
    if not 0 <= label < walk.words.n_classes:
        raise ValueError(f"label must be a class, 0 to {walk.words.n_classes - 1}, got {label}")
    if not advance_state(&walk.words, &walk.memo, &walk.state, label, &longer):
        return None
    return as_python(&walk.words, &longer)


def final_weight(words, state):
    cdef _Walk walk = _Walk(words, state)
    cdef double weight
    return weight if weigh_end(&walk.words, &walk.state, &weight) else None
