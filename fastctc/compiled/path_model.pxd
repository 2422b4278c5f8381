"""The language model of a search over paths: its states, and what it gives tokens and words."""

from libc.math cimport INFINITY
from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from fastctc.compiled.kenlm cimport Words, advance_words
from fastctc.compiled.path_state cimport (
    END,
    NOTHING,
    RECENT,
    Answer,
    Candidate,
    Edge,
    Search,
    mixed,
    resize,
)


cdef inline int find_edge(const Search *s, int origin, int label) noexcept nogil:
    cdef uint32_t mask = <uint32_t> s.edge_table_size - 1, place
    cdef int edge
    place = mixed(<uint32_t> origin, <uint32_t> label) & mask
    while True:
        edge = s.edge_table[place]
        if edge < 0 or (s.edges[edge].origin == origin and s.edges[edge].label == label):
            return edge
        place = (place + 1) & mask


cdef inline void enter_edge(Search *s, int edge) noexcept nogil:
    cdef uint32_t mask = <uint32_t> s.edge_table_size - 1, place
    place = mixed(<uint32_t> s.edges[edge].origin, <uint32_t> s.edges[edge].label) & mask
    while s.edge_table[place] >= 0:
        place = (place + 1) & mask
    s.edge_table[place] = edge


cdef inline int add_edge(Search *s, int origin, int label, int target, float score) except -1 nogil:
    cdef int i
    if s.n_edges == 0x3fffffff:
        with gil:
            raise MemoryError("the search has too many states of the language model")
    if s.n_edges == s.edge_room:
        resize(<void **> &s.edges, 2 * <size_t> s.edge_room * sizeof(Edge))
        s.edge_room *= 2
    s.edges[s.n_edges].origin = origin
    s.edges[s.n_edges].label = label
    s.edges[s.n_edges].target = target
    s.edges[s.n_edges].score = score
    s.n_edges += 1
    if 2 * s.n_edges > s.edge_table_size:
        resize(<void **> &s.edge_table, 2 * <size_t> s.edge_table_size * sizeof(int))
        s.edge_table_size *= 2
        memset(s.edge_table, 0xff, <size_t> s.edge_table_size * sizeof(int))
        for i in range(s.n_edges):
            enter_edge(s, i)
    else:
        enter_edge(s, s.n_edges - 1)
    return 0


cdef inline void keep_words(Search *s, int state, const Words *words) noexcept nogil:
    cdef uint32_t *place = s.states + <size_t> state * s.context
    cdef int i
    place[0] = words.length
    for i in range(words.length):
        place[1 + 2 * i] = words.words[i]
        memcpy(&place[2 + 2 * i], &words.backoffs[i], sizeof(float))


cdef inline float score_of(Search *s, int state, int label, Words *after) noexcept nogil:
    """What KenLM, or no model, gives a token."""
    cdef const uint32_t *place = s.states + <size_t> state * s.context
    cdef Words words
    cdef int i, length
    if not s.with_kenlm:
        return 0.0
    words.length = place[0]
    for i in range(words.length):
        words.words[i] = place[1 + 2 * i]
        memcpy(&words.backoffs[i], &place[2 + 2 * i], sizeof(float))
    return advance_words(&s.kenlm, &words, s.end_number if label == END else s.numbers[label], after, &length)


cdef inline int new_state(Search *s, int origin, int label) except -1 nogil:
    """The state that a token leads to. Edges and states have the same order: state i + 1 is where edge i leads."""
    cdef Words after
    cdef float score = score_of(s, origin, label, &after)
    if s.n_states == s.state_room:
        resize(<void **> &s.states, 2 * <size_t> s.state_room * s.context * sizeof(uint32_t))
        s.state_room *= 2
    if s.with_kenlm:
        keep_words(s, s.n_states, &after)
    s.n_states += 1
    add_edge(s, origin, label, s.n_states - 1, score)
    return s.n_states - 1


cdef inline double most_of_model(const Search *s) noexcept nogil:
    """The most that the model adds to a score."""
    if not (s.asking or s.with_kenlm):
        return 0.0
    return s.lm_weight * s.ceiling if s.lm_weight > 0.0 else 0.0 if s.lm_weight == 0.0 else INFINITY


cdef inline int want(Search *s, int lm, int label) except -1 nogil:
    if s.n_wanted == s.wanted_room:
        resize(<void **> &s.wanted, 4 * <size_t> s.wanted_room * sizeof(int))
        s.wanted_room *= 2
    s.wanted[2 * s.n_wanted] = lm
    s.wanted[2 * s.n_wanted + 1] = label
    s.n_wanted += 1
    return 0


cdef inline int follow(Search *s, Candidate *new, int lm, int label, float *score) except -1 nogil:
    """Point to the state behind a token, and get the model's score; 0 if the model is to be asked first."""
    cdef int edge = find_edge(s, lm, label)
    cdef Words ignored
    cdef Answer *answer
    if edge >= 0:
        new.lm = s.edges[edge].target
        new.label = NOTHING
        score[0] = s.edges[edge].score
        return 1
    if s.asking:
        want(s, lm, label)
        return 0
    new.lm = lm
    new.label = label
    if not s.with_kenlm:
        score[0] = 0.0
        return 1
    answer = &s.answers[mixed(<uint32_t> lm, <uint32_t> label) & (RECENT - 1)]
    if answer.text != s.text or answer.origin != lm or answer.label != label:  # paths ask again frame by frame
        answer.text = s.text
        answer.origin = lm
        answer.label = label
        answer.score = score_of(s, lm, label, &ignored)
    score[0] = answer.score
    return 1
