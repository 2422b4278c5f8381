"""Twin of fastctc.reference.path_search.

The reference forms every candidate of a frame; here only those are formed that may be kept. To stay costs nothing to
list. The beam_width-th best of those candidates, and of all that come later, is a bound that the others have to reach:
a path with the most that its language model may add is left out if it does not. Where paths are added up, smaller ones
count too: they are looked for from the side of the states that are there already.
"""

from cython cimport critical_section
from libc.math cimport INFINITY, exp, log1p
from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from fastctc.compiled.interrupts cimport look
from fastctc.compiled.kenlm cimport Model, Scorer, Words, advance_words

cdef enum:
    END = -1            # the token that stands for the end of a text
    NOTHING = -2        # no token: the state is there already
    LOOK_BACK = 100     # frames that are searched for the end of a word, before those asked for
    SIGNAL_WORK = 1 << 20
    BINS = 128          # of a histogram of scores
    RECENT = 1 << 12    # scores of the model that are at hand, a power of 2

cdef double MARGIN = 40.0   # nats below the bound at which a path no longer changes a sum

# A hypothesis, as in the reference.
cdef struct Path:
    double score
    double emission
    double lm_score
    int lm
    int node
    int token
    int word
    int parent
    bint is_blank

cdef struct Candidate:
    double score        # of all paths that agree
    double best         # of the best of them; what follows is that path's
    double gain         # the model's share
    int lm              # with a label: the state before it
    int label           # NOTHING, or what leads to a state that is not there yet
    int node
    int token
    int word
    int parent
    int first_raw       # the scores of all that agree, where they are added up
    bint is_blank
    bint settled        # all that agree have been added, but for ends of words

cdef struct Raw:
    double score
    int next

# What the language model knows about a state and a token.
cdef struct Edge:
    int origin
    int label
    int target
    float score

# What the model gave a token lately.
cdef struct Answer:
    int origin
    int label
    float score

# A candidate in the order of scores.
cdef struct Rank:
    double score
    int candidate

# A node of the spellings' tree. Its children, and its words, end where those of the next node begin.
cdef struct Node:
    int token
    int children
    int words
    float bound
    float rise          # the most that the bound of a child is above it

# The paths at one state of the model and one node.
cdef struct Group:
    double most         # no sum of their scores is higher
    int lm
    int node
    int first

cdef struct Search:
    int n_classes
    int blank
    int silence
    int unknown
    int beam_width
    int tokens_per_frame
    double threshold
    double lm_weight
    double word_bonus
    double unknown_bonus
    double silence_bonus
    bint log_add
    bint token_model
    bint with_tree
    bint with_kenlm
    bint asking             # the model is Python's
    double ceiling          # the most that the model gives
    Node *nodes
    int n_nodes
    const int32_t *parents
    const int32_t *words
    int *first_nodes        # of each token, the child of the root, or -1
    char *is_spelt          # of each token, whether it is part of a word
    Model kenlm
    Words start             # the state of the empty text
    const int32_t *numbers  # the model's, of each token or word
    uint32_t end_number
    int context             # numbers that a state of the model takes: its length, words, and their back-off weights
    Path *paths             # of all frames
    Py_ssize_t n_paths
    Py_ssize_t path_room
    Py_ssize_t *frames      # where the paths of each frame begin, and the end
    Py_ssize_t n_frames
    Py_ssize_t frame_room
    Edge *edges
    int n_edges
    int edge_room
    int *edge_table
    int edge_table_size
    uint32_t *states        # of KenLM
    int n_states
    int state_room
    Candidate *candidates
    int n_candidates
    int candidate_room
    int *table              # of candidates
    int table_size
    Raw *raws
    int n_raws
    int raw_room
    Group *groups
    int n_groups
    int *group_table
    int group_table_size
    int *next_in_group
    int *places             # of each path, the candidate that stays
    int beam_room
    Rank *ranked
    Rank *spare
    double *scores
    double spread           # by how much the last path that was kept is worse than the best, lately
    Answer *answers         # where they would be, if they were asked for lately
    char *allowed
    int *likely
    double *reach           # of each class, its score with the most that the model may add
    int *wanted             # pairs that the model is to be asked
    int n_wanted
    int wanted_room
    double bound
    double best
    int next_tightening
    Py_ssize_t work


cdef int no_memory() except -1 nogil:
    with gil:
        raise MemoryError()


cdef int resize(void **memory, size_t size) except -1 nogil:
    cdef void *result = realloc(memory[0], size)
    if result is NULL:
        no_memory()
    memory[0] = result
    return 0


cdef inline uint32_t mixed(uint32_t a, uint32_t b) noexcept nogil:
    cdef uint32_t h = a * <uint32_t> 0x9e3779b1 ^ (b + <uint32_t> 0x85ebca6b) * <uint32_t> 0xc2b2ae35
    return h ^ (h >> 15)


# --- the language model -----------------------------------------------------------------------------------------------

cdef inline int find_edge(const Search *s, int origin, int label) noexcept nogil:
    cdef uint32_t mask = <uint32_t> s.edge_table_size - 1, place
    cdef int edge
    place = mixed(<uint32_t> origin, <uint32_t> label) & mask
    while True:
        edge = s.edge_table[place]
        if edge < 0 or (s.edges[edge].origin == origin and s.edges[edge].label == label):
            return edge
        place = (place + 1) & mask


cdef void enter_edge(Search *s, int edge) noexcept nogil:
    cdef uint32_t mask = <uint32_t> s.edge_table_size - 1, place
    place = mixed(<uint32_t> s.edges[edge].origin, <uint32_t> s.edges[edge].label) & mask
    while s.edge_table[place] >= 0:
        place = (place + 1) & mask
    s.edge_table[place] = edge


cdef int add_edge(Search *s, int origin, int label, int target, float score) except -1 nogil:
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


cdef int new_state(Search *s, int origin, int label) except -1 nogil:
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


# --- candidates -------------------------------------------------------------------------------------------------------

cdef inline bint sooner(const Candidate *a, const Candidate *b) noexcept nogil:
    """Of two that tie: the order of the reference."""
    if a.parent != b.parent:
        return a.parent < b.parent
    if a.token != b.token:
        return a.token < b.token
    if a.word != b.word:
        return a.word < b.word
    return a.node < b.node


cdef inline uint32_t key_of(const Candidate *c) noexcept nogil:
    return mixed(
        mixed(<uint32_t> c.lm, <uint32_t> c.label), mixed(<uint32_t> c.node, <uint32_t> (2 * c.token + c.is_blank))
    )


cdef inline bint agree(const Candidate *a, const Candidate *b) noexcept nogil:
    return (
        a.lm == b.lm and a.label == b.label and a.node == b.node and a.token == b.token and a.is_blank == b.is_blank
    )


cdef int more_candidates(Search *s) except -1 nogil:
    cdef int i
    cdef uint32_t place, mask
    resize(<void **> &s.candidates, 2 * <size_t> s.candidate_room * sizeof(Candidate))
    resize(<void **> &s.table, 8 * <size_t> s.candidate_room * sizeof(int))
    resize(<void **> &s.ranked, 2 * <size_t> s.candidate_room * sizeof(Rank))
    resize(<void **> &s.spare, 2 * <size_t> s.candidate_room * sizeof(Rank))
    resize(<void **> &s.scores, 2 * <size_t> s.candidate_room * sizeof(double))
    s.candidate_room *= 2
    s.table_size = 4 * s.candidate_room
    mask = <uint32_t> s.table_size - 1
    memset(s.table, 0xff, <size_t> s.table_size * sizeof(int))
    for i in range(s.n_candidates):
        place = key_of(&s.candidates[i]) & mask
        while s.table[place] >= 0:
            place = (place + 1) & mask
        s.table[place] = i
    return 0


cdef inline int push(Search *s, Candidate *new, bint deeper) except -2 nogil:
    """Merge a path with those that agree; its candidate, or -1 if it is none.

    ``deeper``: it stays within a word, and has been added already where its candidate is settled.
    """
    cdef uint32_t mask, place
    cdef int found
    cdef Candidate *other
    if new.best != new.best:
        return -1
    if s.n_candidates == s.candidate_room:
        more_candidates(s)
    mask = <uint32_t> s.table_size - 1
    place = key_of(new) & mask
    while True:
        found = s.table[place]
        if found < 0 or agree(&s.candidates[found], new):
            break
        place = (place + 1) & mask
    if found < 0:
        found = s.n_candidates
        s.table[place] = found
        s.n_candidates += 1
        other = &s.candidates[found]
        other[0] = new[0]
        other.first_raw = -1
        other.settled = False
    else:
        other = &s.candidates[found]
        if deeper and other.settled:
            return found
        if new.best > other.best or (new.best == other.best and sooner(new, other)):
            other.best = other.score = new.best
            other.gain = new.gain
            other.token = new.token
            other.word = new.word
            other.parent = new.parent
    if s.log_add:
        if s.n_raws == s.raw_room:
            resize(<void **> &s.raws, 2 * <size_t> s.raw_room * sizeof(Raw))
            s.raw_room *= 2
        s.raws[s.n_raws].score = new.best
        s.raws[s.n_raws].next = other.first_raw
        other.first_raw = s.n_raws
        s.n_raws += 1
    if new.best > s.best:
        s.best = new.best
    if s.n_candidates >= s.next_tightening:
        tighten(s)
    return found


cdef double kth_largest(double *x, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """Of n >= k numbers, which change their order."""
    cdef Py_ssize_t low = 0, high = n - 1, i, j
    cdef double pivot, t
    k -= 1
    while low < high:
        pivot = x[low + (high - low) // 2]
        i = low
        j = high
        while i <= j:
            while x[i] > pivot:
                i += 1
            while x[j] < pivot:
                j -= 1
            if i <= j:
                t = x[i]
                x[i] = x[j]
                x[j] = t
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return x[k]


cdef void tighten(Search *s) noexcept nogil:
    """Raise the bound to what beam_width of the candidates so far reach, or a little below."""
    cdef int bins[BINS]
    cdef int i, n = 0
    cdef double below, scale, last
    s.next_tightening = 2 * s.n_candidates
    if s.n_candidates < s.beam_width or (s.asking and s.log_add):
        return
    # A histogram of what is near the best, as wide as what was kept of the frame before, twice. It has no branches that
    # a processor would guess wrong.
    memset(bins, 0, sizeof(bins))
    scale = (BINS - 1) / (2.0 * s.spread)
    for i in range(s.n_candidates):
        below = (s.best - s.candidates[i].best) * scale
        bins[<int> below if below < BINS - 1.0 else BINS - 1] += 1
    for i in range(BINS - 1):
        n += bins[i]
        if n >= s.beam_width:
            last = s.best - (i + 1) / scale
            last -= 1e-12 * abs(last)  # for the rounding
            break
    else:
        for i in range(s.n_candidates):
            s.scores[i] = s.candidates[i].best
        last = kth_largest(s.scores, s.n_candidates, s.beam_width)
    if last > s.bound:
        s.bound = last


cdef inline double lowest(const Search *s) noexcept nogil:
    """What a path must reach at least."""
    cdef double near = s.best - s.threshold
    return near if near > s.bound else s.bound


cdef inline void point_to(const Search *s, Candidate *new, int lm, int label) noexcept nogil:
    """To the state behind a token, if it is there."""
    cdef int edge = find_edge(s, lm, label)
    new.lm = lm if edge < 0 else s.edges[edge].target
    new.label = label if edge < 0 else NOTHING


cdef int want(Search *s, int lm, int label) except -1 nogil:
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
    if answer.origin != lm or answer.label != label:  # paths ask again frame by frame
        answer.origin = lm
        answer.label = label
        answer.score = score_of(s, lm, label, &ignored)
    score[0] = answer.score
    return 1


# --- one frame --------------------------------------------------------------------------------------------------------

cdef void allow(Search *s, const float *row) noexcept nogil:
    """Find the best tokens of a frame; of those that tie the first."""
    cdef int n = s.n_classes, k = s.tokens_per_frame, i, left
    cdef double last
    if k >= n:
        memset(s.allowed, 1, n)
        return
    for i in range(n):
        s.reach[i] = row[i]
    last = kth_largest(s.reach, n, k)
    left = k
    for i in range(n):
        s.allowed[i] = row[i] > last
        left -= s.allowed[i]
    for i in range(n):
        if left and row[i] == last:
            s.allowed[i] = 1
            left -= 1


cdef inline int find_group(const Search *s, int lm, int node, uint32_t *place) noexcept nogil:
    cdef uint32_t mask = <uint32_t> s.group_table_size - 1
    cdef int group
    place[0] = mixed(<uint32_t> lm, <uint32_t> node) & mask
    while True:
        group = s.group_table[place[0]]
        if group < 0 or (s.groups[group].lm == lm and s.groups[group].node == node):
            return group
        place[0] = (place[0] + 1) & mask


cdef void group_paths(Search *s, const Path *paths, int n) noexcept nogil:
    cdef int i, group
    cdef uint32_t place
    cdef double high, low
    memset(s.group_table, 0xff, <size_t> s.group_table_size * sizeof(int))
    s.n_groups = 0
    for i in range(n):
        group = find_group(s, paths[i].lm, paths[i].node, &place)
        if group < 0:
            group = s.n_groups
            s.group_table[place] = group
            s.n_groups += 1
            s.groups[group].lm = paths[i].lm
            s.groups[group].node = paths[i].node
            s.groups[group].first = -1
            s.groups[group].most = -INFINITY
        s.next_in_group[i] = s.groups[group].first
        s.groups[group].first = i
        high = max(s.groups[group].most, paths[i].score)
        low = min(s.groups[group].most, paths[i].score)
        s.groups[group].most = high + log1p(exp(low - high)) if s.log_add and low > -INFINITY else high


cdef inline double emitted(const Search *s, const Path *path, const float *row, int token) noexcept nogil:
    cdef double score = path.score + row[token]
    return score + s.silence_bonus if token == s.silence else score


cdef int stay(Search *s, const Path *paths, int n, const float *row) except -1 nogil:
    """List the blank and the same class again."""
    cdef Candidate new
    cdef const Path *path
    cdef int i, token
    new.label = NOTHING
    new.word = -1
    new.gain = 0.0
    for i in range(n):
        path = &paths[i]
        s.places[i] = -1
        new.lm = path.lm
        new.node = path.node
        new.parent = i
        token = path.token
        if s.with_tree:
            if path.node == 0:
                token = s.silence
            elif path.is_blank:
                token = -1
        elif path.is_blank or token == s.blank or token < 0 or not s.allowed[token]:
            token = -1
        if token >= 0:
            new.token = token
            new.is_blank = False
            new.best = new.score = emitted(s, path, row, token)
            s.places[i] = push(s, &new, False)
        if s.with_tree or s.allowed[s.blank]:
            new.token = s.blank
            new.is_blank = True
            # Where silence is the blank, within a lexicon it has no bonus as such.
            new.best = new.score = path.score + row[s.blank] if s.with_tree else emitted(s, path, row, s.blank)
            push(s, &new, False)
    return 0


cdef int arrive(Search *s, const Path *paths, int n, const float *row) except -1 nogil:
    """Add the paths that come to the state of another path, however small they are."""
    cdef Candidate new
    cdef const Path *path
    cdef int i, j, group, origin, token
    cdef uint32_t place
    cdef float score
    cdef double gain
    for i in range(n):
        path = &paths[i]
        token = path.token
        if path.is_blank or s.places[i] < 0 or (s.with_tree and path.node == 0):
            continue
        origin = path.lm
        if not s.with_tree or s.token_model:
            if path.lm == 0 or s.edges[path.lm - 1].label != token:
                continue
            origin = s.edges[path.lm - 1].origin
            gain = s.edges[path.lm - 1].score
        else:
            score = s.nodes[path.node].bound
            score -= s.nodes[s.parents[path.node]].bound if s.parents[path.node] else 0.0
            gain = score
        if s.allowed[token]:
            group = find_group(s, origin, s.parents[path.node] if s.with_tree else 0, &place)
            j = s.groups[group].first if group >= 0 else -1
            new.lm = path.lm
            new.label = NOTHING
            new.node = path.node
            new.token = token
            new.word = -1
            new.is_blank = False
            new.gain = gain
            while j >= 0:
                if paths[j].is_blank or paths[j].token != token:
                    new.parent = j
                    new.best = new.score = emitted(s, &paths[j], row, token) + s.lm_weight * gain
                    push(s, &new, False)
                j = s.next_in_group[j]
        s.candidates[s.places[i]].settled = True
    return 0


cdef int go_on(Search *s, const Path *paths, const float *row) except -1 nogil:
    """Without a lexicon: another token, or the same behind a blank."""
    cdef Candidate new
    cdef const Group *group
    cdef double most = -INFINITY, reach
    cdef float score = 0.0
    cdef int i, j, k, n = 0, token, known
    for i in range(s.n_groups):
        most = max(most, s.groups[i].most)
    for token in range(s.n_classes):
        if not s.allowed[token] or token == s.blank:
            continue
        reach = row[token] + most_of_model(s)
        if token == s.silence:
            reach += s.silence_bonus
        if most + reach < lowest(s):
            continue
        j = n
        while j > 0 and s.reach[j - 1] < reach:
            s.reach[j] = s.reach[j - 1]
            s.likely[j] = s.likely[j - 1]
            j -= 1
        s.reach[j] = reach
        s.likely[j] = token
        n += 1
    new.node = 0
    new.word = -1
    new.is_blank = False
    for i in range(s.n_groups):
        group = &s.groups[i]
        for k in range(n):
            if group.most + s.reach[k] < lowest(s):
                break
            token = s.likely[k]
            known = -1
            j = group.first
            while j >= 0:
                if paths[j].is_blank or paths[j].token != token:
                    if known < 0:
                        known = follow(s, &new, group.lm, token, &score)
                    if not known:
                        break
                    new.gain = score
                    new.token = token
                    new.parent = j
                    new.best = new.score = emitted(s, &paths[j], row, token) + s.lm_weight * score
                    push(s, &new, True)
                j = s.next_in_group[j]
            s.work += 1
    return 0


cdef int end_word(
    Search *s, const Path *paths, const Group *group, const float *row, int token, int word, float smeared,
    double bonus, bint repeats
) except -1 nogil:
    """Let a word end with a token, and go back to the root."""
    cdef Candidate new
    cdef float score = 0.0
    cdef double raw
    cdef int j = group.first, label = token if s.token_model else word
    if not follow(s, &new, group.lm, label, &score):
        return 0
    if not s.token_model:
        score -= smeared
    new.node = 0
    new.token = token
    new.word = word
    new.gain = score
    new.is_blank = False
    while j >= 0:
        if repeats or paths[j].token != token:
            raw = emitted(s, &paths[j], row, token) + s.lm_weight * score + bonus
            new.parent = j
            new.best = new.score = raw
            push(s, &new, False)
        j = s.next_in_group[j]
    return 0


cdef inline int go_to_child(
    Search *s, const Path *paths, const Group *group, const float *row, int child, float smeared, double margin
) except -1 nogil:
    """Go to a child, and from one that ends a word to the root."""
    cdef Candidate new
    cdef const Node *node = &s.nodes[child]
    cdef int token = node.token, j, k
    cdef double most = group.most + row[token], room
    cdef float gain = 0.0
    if token == s.silence:
        most += s.silence_bonus
    if node.children < node[1].children:
        gain = node.bound - smeared
        room = most_of_model(s) if s.token_model else s.lm_weight * gain
        if not most + room < lowest(s):
            new.lm = group.lm
            new.label = NOTHING
            if not s.token_model or follow(s, &new, group.lm, token, &gain):
                new.node = child
                new.token = token
                new.word = -1
                new.is_blank = False
                new.gain = gain
                j = group.first
                while j >= 0:
                    if paths[j].is_blank or paths[j].token != token:
                        new.parent = j
                        new.best = new.score = emitted(s, &paths[j], row, token) + s.lm_weight * gain
                        push(s, &new, True)
                    j = s.next_in_group[j]
    room = most_of_model(s) if s.token_model else most_of_model(s) - s.lm_weight * smeared
    if not most + room + s.word_bonus < lowest(s) - margin:
        for k in range(node.words, node[1].words):
            end_word(s, paths, group, row, token, s.words[k], smeared, s.word_bonus, group.node != 0)
    if node.words == node[1].words and s.unknown_bonus > -INFINITY:
        if not most + room + s.unknown_bonus < lowest(s) - margin:
            end_word(s, paths, group, row, token, s.unknown, smeared, s.unknown_bonus, True)
    return 0


cdef inline double weighed(const Search *s, float gain) noexcept nogil:
    """The most that is added for a gain at most so high."""
    return s.lm_weight * gain if s.lm_weight > 0.0 else 0.0 if s.lm_weight == 0.0 else INFINITY


cdef inline double room_below(const Search *s, const Node *node, float smeared, double bonus) noexcept nogil:
    """The most that a child of a node, or a word that ends there, adds to a score beside the frame's."""
    if s.token_model:
        return most_of_model(s) + max(0.0, bonus)
    return max(weighed(s, node.rise), most_of_model(s) + weighed(s, -smeared) + bonus)


cdef int go_down(Search *s, const Path *paths, const float *row) except -1 nogil:
    """Within a lexicon: to the children of the nodes that paths stand at.

    A group of paths is left out as a whole if it does not reach the bound with the best token and the most that any
    child may add; from the root, which has many children, that ends its likely tokens.
    """
    cdef const Group *group
    cdef const Node *node
    cdef double margin = MARGIN if s.log_add else 0.0, highest = -INFINITY, most = -INFINITY, reach, room, bonus
    cdef float smeared
    cdef int i, j, k, n = 0, token, child
    bonus = max(s.word_bonus, s.unknown_bonus)
    room = room_below(s, &s.nodes[0], 0.0, bonus)
    for i in range(s.n_groups):
        if s.groups[i].node == 0:
            most = max(most, s.groups[i].most)
    for token in range(s.n_classes):
        if not s.allowed[token] or not s.is_spelt[token]:
            continue
        reach = row[token] + s.silence_bonus if token == s.silence else row[token]
        highest = max(highest, reach)
        if s.first_nodes[token] < 0 or most + reach + room < lowest(s) - margin:
            continue
        j = n
        while j > 0 and s.reach[j - 1] < reach:
            s.reach[j] = s.reach[j - 1]
            s.likely[j] = s.likely[j - 1]
            j -= 1
        s.reach[j] = reach
        s.likely[j] = token
        n += 1
    for i in range(s.n_groups):
        group = &s.groups[i]
        node = &s.nodes[group.node]
        smeared = node.bound if group.node else 0.0
        room = room_below(s, node, smeared, bonus)
        if group.most + highest + room < lowest(s) - margin:
            continue
        if group.node == 0:
            for k in range(n):
                if group.most + s.reach[k] + room < lowest(s) - margin:
                    break
                go_to_child(s, paths, group, row, s.first_nodes[s.likely[k]], smeared, margin)
                s.work += 1
            continue
        s.work += node[1].children - node.children
        for child in range(node.children, node[1].children):
            if s.allowed[s.nodes[child].token]:
                go_to_child(s, paths, group, row, child, smeared, margin)
    return 0


cdef inline bint stands_before(const Search *s, const Rank *a, const Rank *b) noexcept nogil:
    if a.score != b.score:
        return a.score > b.score
    return sooner(&s.candidates[a.candidate], &s.candidates[b.candidate])


cdef void rank(Search *s, int n) noexcept nogil:
    """Sort the first of the ranking."""
    cdef int width = 1, low, middle, high, i, j, k
    cdef Rank *source = s.ranked
    cdef Rank *target = s.spare
    while width < n:
        low = 0
        while low < n:
            middle = min(low + width, n)
            high = min(low + 2 * width, n)
            i = low
            j = middle
            for k in range(low, high):
                if i < middle and (j >= high or not stands_before(s, &source[j], &source[i])):
                    target[k] = source[i]
                    i += 1
                else:
                    target[k] = source[j]
                    j += 1
            low += 2 * width
        source, target = target, source
        width *= 2
    if source != s.ranked:
        memcpy(s.ranked, source, n * sizeof(Rank))


cdef void add_up(Search *s, Candidate *c, double least) noexcept nogil:
    """The paths of a candidate, the best first."""
    cdef int n = 0, raw = c.first_raw, i
    cdef double score, low
    while raw >= 0:
        score = s.raws[raw].score
        raw = s.raws[raw].next
        if score < least:
            continue
        if n == s.candidate_room:  # more than fit: their order changes the last digits only
            s.scores[0] = max(s.scores[0], score) + log1p(exp(-abs(s.scores[0] - score)))
            continue
        i = n
        while i > 0 and s.scores[i - 1] < score:
            s.scores[i] = s.scores[i - 1]
            i -= 1
        s.scores[i] = score
        n += 1
    score = s.scores[0]
    for i in range(1, n):
        low = min(score, s.scores[i])
        if -INFINITY < low < INFINITY:
            score = max(score, s.scores[i]) + log1p(exp(low - max(score, s.scores[i])))
    c.score = score


cdef int make_room(Search *s, Py_ssize_t n) except -1 nogil:
    """For the paths of another frame."""
    while s.n_paths + n > s.path_room:
        resize(<void **> &s.paths, 2 * <size_t> s.path_room * sizeof(Path))
        s.path_room *= 2
    if s.n_frames + 2 > s.frame_room:
        resize(<void **> &s.frames, 2 * <size_t> s.frame_room * sizeof(Py_ssize_t))
        s.frame_room *= 2
    return 0


cdef int select(Search *s, const float *row) except -1 nogil:
    """Keep the best candidates as the paths of a new frame."""
    cdef double least
    cdef int n = 0, i, edge
    cdef Candidate *c
    cdef Path *path
    cdef const Path *parent
    s.next_tightening = s.n_candidates
    tighten(s)
    least = max(s.best - s.threshold, s.bound)
    for i in range(s.n_candidates):
        c = &s.candidates[i]
        if s.log_add and c.best >= s.best - s.threshold:
            add_up(s, c, s.best - s.threshold)
        if c.best >= s.best - s.threshold and c.score >= least:
            s.ranked[n].score = c.score
            s.ranked[n].candidate = i
            n += 1
    rank(s, n)
    n = min(n, s.beam_width)
    if n == s.beam_width and INFINITY > s.ranked[0].score > s.ranked[n - 1].score > -INFINITY:
        s.spread = s.ranked[0].score - s.ranked[n - 1].score
    make_room(s, n)
    for i in range(n):
        c = &s.candidates[s.ranked[i].candidate]
        if c.label != NOTHING:  # unless another candidate has led there just now
            edge = find_edge(s, c.lm, c.label)
            c.lm = new_state(s, c.lm, c.label) if edge < 0 else s.edges[edge].target
        path = &s.paths[s.n_paths + i]
        parent = &s.paths[s.frames[s.n_frames - 1] + c.parent]
        path.score = c.score
        path.emission = parent.emission + row[c.token] if row is not NULL else parent.emission
        path.lm_score = parent.lm_score + c.gain
        path.lm = c.lm
        path.node = c.node
        path.token = c.token
        path.word = c.word
        path.parent = c.parent
        path.is_blank = c.is_blank
    s.n_paths += n
    s.frames[s.n_frames + 1] = s.n_paths
    s.n_frames += 1
    return 0


cdef int reset(Search *s) except -1 nogil:
    """Have no candidates."""
    s.n_candidates = s.n_raws = s.n_wanted = 0
    s.bound = s.best = -INFINITY
    memset(s.table, 0xff, <size_t> s.table_size * sizeof(int))
    return 0


cdef int propose(Search *s, const float *row) except -1 nogil:
    """List the candidates of a frame; what the model is to be asked first is wanted."""
    cdef const Path *paths = s.paths + s.frames[s.n_frames - 1]
    cdef int n = <int> (s.frames[s.n_frames] - s.frames[s.n_frames - 1])
    reset(s)
    allow(s, row)
    group_paths(s, paths, n)
    s.next_tightening = 0x7fffffff
    stay(s, paths, n, row)
    tighten(s)
    s.next_tightening = max(2 * s.n_candidates, 2 * s.beam_width)
    if s.log_add and not s.asking:
        arrive(s, paths, n, row)
    if s.with_tree:
        go_down(s, paths, row)
    else:
        go_on(s, paths, row)
    s.work += n + s.n_candidates
    if s.work > SIGNAL_WORK:
        s.work = 0
        look()
    return 0


cdef int finish(Search *s) except -1 nogil:
    """List the ends of the text; what the model is to be asked first is wanted."""
    cdef const Path *paths = s.paths + s.frames[s.n_frames - 1]
    cdef int n = <int> (s.frames[s.n_frames] - s.frames[s.n_frames - 1]), i
    cdef bint whole = False
    cdef float score
    cdef Candidate new
    reset(s)
    s.next_tightening = 0x7fffffff
    for i in range(n):
        whole = whole or paths[i].node == 0
    new.token = s.silence
    new.word = -1
    new.is_blank = False
    for i in range(n):
        if whole and paths[i].node:
            continue
        score = 0.0
        new.lm = paths[i].lm
        new.label = NOTHING
        if (s.with_kenlm or s.asking) and not follow(s, &new, paths[i].lm, END, &score):
            continue
        new.node = paths[i].node
        new.parent = i
        new.gain = score
        new.best = new.score = paths[i].score + s.lm_weight * score
        push(s, &new, False)
    return 0


cdef int extend(Search *s, const float *rows, Py_ssize_t n) except -1 nogil:
    cdef Py_ssize_t t
    for t in range(n):
        propose(s, rows + t * s.n_classes)
        select(s, rows + t * s.n_classes)
    return 0


cdef int find_ancestor(const Search *s, Py_ssize_t look_back, Py_ssize_t *n) noexcept nogil:
    """Where the best path stood some frames before the last, -1 if nowhere, and how many."""
    cdef Py_ssize_t frame = s.n_frames - 1
    cdef int place = -1, parent
    n[0] = 0
    if s.n_frames and s.frames[s.n_frames] > s.frames[frame]:
        place = 0
    while place >= 0 and n[0] < look_back:
        place = s.paths[s.frames[frame] + place].parent
        frame -= 1
        n[0] += 1
    while place >= 0 and s.with_tree:
        parent = s.paths[s.frames[frame] + place].parent
        if parent < 0 or s.paths[s.frames[frame - 1] + parent].word >= 0:
            break
        place = parent
        frame -= 1
        n[0] += 1
        if n[0] == look_back + LOOK_BACK:
            break
    return place


cdef class PathSearch:
    """A search whose frames may come in parts."""

    cdef Search search
    cdef object arrays      # whose memory the search reads
    cdef object asked
    cdef bint busy
    cdef bint broken

    def __init__(
        self, int n_classes, int blank, int silence, int unknown, options, tree=None, model=None
    ):
        cdef Search *s = &self.search
        if s.paths is not NULL:
            raise RuntimeError("a search must be initialised once")
        if not (0 < n_classes < 1 << 24 and 0 <= blank < n_classes and (tree is not None) <= silence + 1 <= n_classes):
            raise ValueError(
                f"blank and silence must be classes, 0 to {n_classes - 1} (without a lexicon, silence may be -1), "
                f"got {blank} and {silence}"
            )
        s.n_classes = n_classes
        s.blank = blank
        s.silence = silence
        s.unknown = unknown
        if not 1 <= options.beam_width <= 1 << 24:
            raise ValueError(f"beam_width must be 1 to {1 << 24}, got {options.beam_width}")
        if options.tokens_per_frame < 1:
            raise ValueError(f"tokens_per_frame must be 1 or more, got {options.tokens_per_frame}")
        s.beam_width = options.beam_width
        s.tokens_per_frame = min(options.tokens_per_frame, n_classes)
        s.threshold = options.threshold
        s.lm_weight = options.lm_weight
        s.word_bonus = options.word_bonus
        s.unknown_bonus = options.unknown_bonus
        s.silence_bonus = options.silence_bonus
        s.log_add = options.log_add
        s.token_model = options.token_model
        if not s.threshold >= 0.0:
            raise ValueError(f"threshold must be 0 or more, got {s.threshold}")
        if not -INFINITY < s.lm_weight < INFINITY:
            raise ValueError(f"lm_weight must be finite, got {s.lm_weight}")
        if not (s.word_bonus < INFINITY and s.unknown_bonus < INFINITY and s.silence_bonus < INFINITY):
            raise ValueError(
                f"bonuses must be numbers, got {s.word_bonus}, {s.unknown_bonus} and {s.silence_bonus}"
            )
        if tree is not None:
            self.take_tree(tree)
            if s.unknown_bonus > -INFINITY and s.unknown < 0:
                raise ValueError(f"the unknown word must have a number, got {s.unknown}")
        if model is not None and hasattr(model, "tables"):
            self.take_kenlm(model)
        elif model is not None:
            s.asking = True
            s.ceiling = model.ceiling
            if s.ceiling != s.ceiling:
                raise ValueError("the model's ceiling must be a number, got nan")
            self.asked = model
        self.reserve()

    cdef int take_tree(self, tree) except -1:
        cdef Search *s = &self.search
        cdef const int32_t[::1] tokens = tree.tokens, children = tree.children, parents = tree.parents
        cdef const int32_t[::1] offsets = tree.offsets, words = tree.words
        cdef const float[::1] bounds = tree.bounds
        cdef Py_ssize_t n = tokens.shape[0], i, j
        cdef Node *node
        cdef Node *above
        cdef float rise
        if not (
            0 < n < 0x7fffffff and children.shape[0] == n + 1 and parents.shape[0] == n and bounds.shape[0] == n
            and offsets.shape[0] == n + 1 and children[0] == 1 and children[n] == n and offsets[0] == 0
            and offsets[n] == words.shape[0]
        ):
            raise ValueError("the tables of the spellings' tree do not fit together")
        for i in range(n):
            if not (i < children[i] <= children[i + 1] <= n and 0 <= offsets[i] <= offsets[i + 1] <= words.shape[0]):
                raise ValueError(f"node {i} is no part of a tree of spellings")
            if i and not 0 <= tokens[i] < s.n_classes:
                raise ValueError(f"the tokens of spellings must be classes, 0 to {s.n_classes - 1}, got {tokens[i]}")
            for j in range(children[i], children[i + 1]):
                if parents[j] != i or (j > children[i] and tokens[j] <= tokens[j - 1]):
                    raise ValueError(f"node {j} is no part of a tree of spellings")
        for i in range(words.shape[0]):
            if words[i] < 0:
                raise ValueError(f"words must be numbers from 0, got {words[i]}")
        s.nodes = <Node *> malloc((n + 1) * sizeof(Node))
        s.first_nodes = <int *> malloc(s.n_classes * sizeof(int))
        s.is_spelt = <char *> malloc(s.n_classes)
        if s.nodes is NULL or s.first_nodes is NULL or s.is_spelt is NULL:
            raise MemoryError()
        memset(s.first_nodes, 0xff, s.n_classes * sizeof(int))
        memset(s.is_spelt, 0, s.n_classes)
        for i in range(n + 1):
            node = &s.nodes[i]
            node.token = tokens[i] if i < n else -1
            node.children = children[i]
            node.words = offsets[i]
            node.bound = bounds[i] if i < n else 0.0
            node.rise = -INFINITY
            if 0 < i < n:
                s.is_spelt[tokens[i]] = 1
                above = &s.nodes[parents[i]]
                rise = bounds[i] - (above.bound if parents[i] else 0.0)
                if not rise <= above.rise and children[i] < children[i + 1]:  # NaN: nobody knows
                    above.rise = rise if rise == rise else INFINITY
        for i in range(children[0], children[1]):
            s.first_nodes[tokens[i]] = <int> i
        s.with_tree = True
        s.n_nodes = <int> n
        s.parents = &parents[0]
        s.words = &words[0] if words.shape[0] else NULL
        self.arrays = parents, words
        return 0

    cdef int take_kenlm(self, model) except -1:
        cdef Search *s = &self.search
        cdef const int32_t[::1] numbers = model.numbers
        cdef Scorer scorer = Scorer(model.tables)
        cdef Py_ssize_t i, most = s.n_classes - 1
        cdef str what = "classes"
        if s.with_tree and not s.token_model:
            what = "words"
            most = s.unknown if s.unknown_bonus > -INFINITY else -1
            for i in range(s.nodes[s.n_nodes].words):
                most = max(most, s.words[i])
        if numbers.shape[0] <= most:
            raise ValueError(f"the model must have numbers for {most + 1} {what}, got {numbers.shape[0]}")
        s.kenlm = scorer.model
        s.start = scorer.start
        s.end_number = scorer.end
        for i in range(numbers.shape[0]):
            if not 0 <= numbers[i] < <Py_ssize_t> s.kenlm.n_words:
                raise ValueError(f"words must be the model's, 0 to {s.kenlm.n_words - 1}, got {numbers[i]}")
        s.with_kenlm = True
        s.numbers = &numbers[0] if numbers.shape[0] else NULL
        s.context = 2 * s.kenlm.order - 1
        self.arrays = self.arrays, numbers, scorer
        return 0

    cdef int reserve(self) except -1:
        cdef Search *s = &self.search
        s.path_room = s.frame_room = s.edge_room = s.state_room = s.raw_room = s.wanted_room = 256
        s.context = max(s.context, 1)
        s.candidate_room = 256
        while s.candidate_room < 2 * s.beam_width:
            s.candidate_room *= 2
        s.table_size = 4 * s.candidate_room
        s.edge_table_size = 1024
        s.group_table_size = s.candidate_room
        s.paths = <Path *> malloc(s.path_room * sizeof(Path))
        s.frames = <Py_ssize_t *> malloc(s.frame_room * sizeof(Py_ssize_t))
        s.edges = <Edge *> malloc(s.edge_room * sizeof(Edge))
        s.edge_table = <int *> malloc(s.edge_table_size * sizeof(int))
        s.states = <uint32_t *> malloc(s.state_room * s.context * sizeof(uint32_t))
        s.candidates = <Candidate *> malloc(s.candidate_room * sizeof(Candidate))
        s.table = <int *> malloc(s.table_size * sizeof(int))
        s.ranked = <Rank *> malloc(s.candidate_room * sizeof(Rank))
        s.spare = <Rank *> malloc(s.candidate_room * sizeof(Rank))
        s.scores = <double *> malloc(s.candidate_room * sizeof(double))
        s.raws = <Raw *> malloc(s.raw_room * sizeof(Raw))
        s.groups = <Group *> malloc(s.beam_width * sizeof(Group))
        s.group_table = <int *> malloc(s.group_table_size * sizeof(int))
        s.next_in_group = <int *> malloc(s.beam_width * sizeof(int))
        s.places = <int *> malloc(s.beam_width * sizeof(int))
        s.allowed = <char *> malloc(s.n_classes)
        s.likely = <int *> malloc(s.n_classes * sizeof(int))
        s.reach = <double *> malloc(s.n_classes * sizeof(double))
        s.wanted = <int *> malloc(2 * s.wanted_room * sizeof(int))
        s.answers = <Answer *> malloc(RECENT * sizeof(Answer))
        if (
            s.paths is NULL or s.frames is NULL or s.edges is NULL or s.edge_table is NULL or s.states is NULL
            or s.candidates is NULL or s.table is NULL or s.ranked is NULL or s.spare is NULL or s.scores is NULL
            or s.raws is NULL or s.groups is NULL or s.group_table is NULL or s.next_in_group is NULL
            or s.places is NULL or s.allowed is NULL or s.likely is NULL or s.reach is NULL or s.wanted is NULL
            or s.answers is NULL
        ):
            raise MemoryError()
        return 0

    def __dealloc__(self):
        cdef Search *s = &self.search
        free(s.paths)
        free(s.frames)
        free(s.edges)
        free(s.edge_table)
        free(s.states)
        free(s.candidates)
        free(s.table)
        free(s.ranked)
        free(s.spare)
        free(s.scores)
        free(s.raws)
        free(s.groups)
        free(s.group_table)
        free(s.next_in_group)
        free(s.places)
        free(s.allowed)
        free(s.likely)
        free(s.reach)
        free(s.wanted)
        free(s.answers)
        free(s.nodes)
        free(s.first_nodes)
        free(s.is_spelt)

    cdef int enter(self) except -1:
        """Keep all other threads out, until ``leave``."""
        with critical_section(self):  # where there is no GIL
            if self.search.paths is NULL:
                raise RuntimeError("a search must be initialised first")
            if self.busy:
                raise RuntimeError("a search must be used by one thread at a time")
            self.busy = True
        return 0

    cdef void leave(self) noexcept:
        with critical_section(self):
            self.busy = False

    cdef int check_model(self) except -1:
        if self.search.with_kenlm and self.search.kenlm.damaged:
            raise ValueError("the model's file is damaged: it leads out of itself, or to what is no probability")
        return 0

    cdef int check(self) except -1:
        if self.broken:
            raise RuntimeError("a search must begin anew after an error")
        if not self.search.n_frames:
            raise RuntimeError("a search must begin before frames come")
        return 0

    def begin(self):
        cdef Search *s = &self.search
        cdef Path *path
        cdef int start = 0
        self.enter()
        try:
            self.broken = True
            if s.asking:
                start = self.asked.start()
                if start < 0:
                    raise ValueError(f"states must be numbers from 0, got {start}")
            s.n_edges = 0
            s.spread = 1.0
            memset(s.answers, 0xff, RECENT * sizeof(Answer))  # of no state
            memset(s.edge_table, 0xff, <size_t> s.edge_table_size * sizeof(int))
            if s.with_kenlm:
                keep_words(s, 0, &s.start)
            s.n_states = 1
            path = &s.paths[0]
            memset(path, 0, sizeof(Path))
            path.lm = start
            path.token = s.silence
            path.word = path.parent = -1
            s.frames[0] = 0
            s.frames[1] = s.n_paths = s.n_frames = 1
            self.broken = False
        finally:
            self.leave()

    cdef int ask(self) except -1:
        """Ask the model what is wanted."""
        cdef Search *s = &self.search
        cdef int i, label, state
        cdef set pairs = set()
        cdef list keys
        for i in range(s.n_wanted):
            pairs.add((s.wanted[2 * i], s.wanted[2 * i + 1]))
        keys = sorted(pairs)
        if keys and keys[0][1] == END:
            answers = self.asked.finish([key[0] for key in keys])
        else:
            answers = self.asked.score(keys)
        for (state, label), (target, score) in zip(keys, answers, strict=True):
            if target < 0:
                raise ValueError(f"states must be numbers from 0, got {target}")
            add_edge(s, state, label, target, score)
        return 0

    def extend(self, const float[:, ::1] emissions):
        cdef Search *s = &self.search
        cdef Py_ssize_t n = emissions.shape[0], t
        if emissions.shape[1] != s.n_classes:
            raise ValueError(f"emissions must have {s.n_classes} classes, got {emissions.shape[1]}")
        self.enter()
        try:
            self.check()
            if n == 0:
                return
            self.broken = True
            if not s.asking:
                with nogil:
                    extend(s, &emissions[0, 0], n)
                self.check_model()
            else:
                for t in range(n):
                    propose(s, &emissions[t, 0])
                    if s.n_wanted:
                        self.ask()
                        propose(s, &emissions[t, 0])
                    select(s, &emissions[t, 0])
            self.broken = False
        finally:
            self.leave()

    def end(self):
        cdef Search *s = &self.search
        self.enter()
        try:
            self.check()
            self.broken = True
            finish(s)
            if s.n_wanted:
                self.ask()
                finish(s)
            select(s, NULL)
            self.check_model()
            self.broken = False
        finally:
            self.leave()

    def prune(self, Py_ssize_t look_back):
        cdef Search *s = &self.search
        cdef Py_ssize_t n, first, start, i
        cdef int place
        cdef double highest
        self.enter()
        try:
            self.check()
            place = find_ancestor(s, look_back, &n)
            first = s.n_frames - 1 - n
            if s.n_frames - 1 - look_back < 1 or place < 0 or first < 1:
                return
            start = s.frames[first]
            for i in range(start, s.n_paths):
                s.paths[i - start] = s.paths[i]
            for i in range(first, s.n_frames + 1):
                s.frames[i - first] = s.frames[i] - start
            s.n_frames -= first
            s.n_paths -= start
            for i in range(s.frames[1]):
                s.paths[i].parent = -1
            highest = s.paths[s.frames[s.n_frames - 1]].score
            for i in range(s.frames[s.n_frames - 1], s.n_paths):
                s.paths[i].score -= highest
        finally:
            self.leave()

    def size(self, Py_ssize_t look_back) -> tuple:
        cdef Search *s = &self.search
        cdef Py_ssize_t n
        cdef int place
        self.enter()
        try:
            if not s.n_frames:
                return 0, 0
            if look_back < 0:
                return s.frames[s.n_frames] - s.frames[s.n_frames - 1], s.n_frames
            place = find_ancestor(s, look_back, &n)
            return int(place >= 0), s.n_frames - n if place >= 0 else 0
        finally:
            self.leave()

    def fill(self, Py_ssize_t look_back, double[:, ::1] scores, int32_t[:, ::1] tokens, int32_t[:, ::1] words):
        cdef Search *s = &self.search
        cdef Py_ssize_t number, frame, last, n = 0, first = -1
        cdef int place
        cdef const Path *path
        self.enter()
        try:
            if look_back >= 0:
                first = find_ancestor(s, look_back, &n)
            last = s.n_frames - 1 - n
            if tokens.shape[0] and (last < 0 or (look_back >= 0 and first < 0)):
                raise ValueError("there are no hypotheses")
            if not (
                tokens.shape[0] <= (s.frames[last + 1] - s.frames[last] if look_back < 0 else 1)
                and scores.shape[0] == tokens.shape[0] and words.shape[0] == tokens.shape[0] and scores.shape[1] == 3
                and tokens.shape[1] == last + 1 and words.shape[1] == last + 1
            ):
                raise ValueError(f"the results must be at most the hypotheses, and {last + 1} long")
            for number in range(tokens.shape[0]):
                frame = last
                place = <int> (number if look_back < 0 else first)
                path = &s.paths[s.frames[frame] + place]
                scores[number, 0] = path.score
                scores[number, 1] = path.emission
                scores[number, 2] = path.lm_score
                while place >= 0:
                    path = &s.paths[s.frames[frame] + place]
                    tokens[number, frame] = path.token
                    words[number, frame] = path.word
                    place = path.parent
                    frame -= 1
        finally:
            self.leave()
