"""Twin of fastctc.reference.scored_search: a prefix is made when it gets into the beam, not before.

A scorer is asked once for the end of a word behind a prefix, and once for each class in each of its states.
"""

import numpy as np

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from libc.float cimport FLT_MAX, FLT_MIN
from libc.math cimport INFINITY, NAN, exp, isnan, log
from libc.stdint cimport int32_t
from libc.string cimport memset

from fastctc.compiled.interrupts cimport look
from fastctc.search_inputs import ScoredTexts

cdef double NEVER = -<double> FLT_MAX
cdef double TINY = FLT_MIN
cdef Py_ssize_t SIGNAL_WORK = 1 << 22  # candidates between two looks for Ctrl-C

# A prefix; it is there as long as it, or one that begins with it, is in the beam. Its children that are there are
# linked both ways.
cdef struct Node:
    int parent
    int label
    int depth
    int word            # node of the tree of words, -1 at the beginning of one
    int state           # of the scorer
    int timestep
    int first_child
    int next
    int previous
    int beam            # its place in the beam, -1 if it is not in it
    int word_state      # of the scorer behind the word that ends here; -1: not asked
    double word_score
    double peak

cdef struct Beam:
    int node
    int label
    double ends_blank
    double ends_label
    double score

cdef struct Candidate:
    double score
    int beam
    int label           # -1: the beam stays

cdef struct Class:
    double rank
    int label

# What the scorer has said of a class in a state.
cdef struct Answer:
    double score
    int state           # -1: not asked

cdef struct Search:
    Py_ssize_t n_classes
    int blank
    Py_ssize_t width
    double cutoff_prob
    Py_ssize_t cutoff_top_n
    bint is_log
    int frame
    Node *nodes
    Py_ssize_t n_nodes
    Py_ssize_t node_room
    int unused          # a list of nodes that are there no more, linked by ``next``
    Beam *beams
    Beam *next_beams
    Py_ssize_t n_beams
    double *stay_blank
    double *stay_label
    Candidate *found
    Candidate *merged
    Py_ssize_t n_found
    Py_ssize_t room
    Py_ssize_t beam_room
    Class *classes
    Class *classes_merged
    double *logs        # of each class that counts; NaN of the others
    int *met            # of each class, the last beam whose extension by it is a beam already
    bint has_scorer
    bint has_tree
    double weight
    double bonus
    int space
    const int32_t *tokens
    const int32_t *tree_labels
    const int32_t *tree_ends
    const int32_t *tree_words
    int n_tree
    Answer *answers     # a row of classes for each state, where labels are tokens
    Py_ssize_t n_states
    Py_ssize_t work


cdef inline double add(double x, double y) noexcept nogil:
    """Log of the sum of two exponentials."""
    cdef double top
    if x <= NEVER:
        return y
    if y <= NEVER:
        return x
    top = x if x >= y else y
    return log(exp(x - top) + exp(y - top)) + top


cdef bint precedes(const Search *s, const Candidate *a, const Candidate *b) noexcept nogil:
    """Of equal scores that of the smaller last label, then of the smaller labels."""
    cdef const Node *nodes = s.nodes
    cdef int p = s.beams[a.beam].node, q = s.beams[b.beam].node, x, y, n, m
    x = a.label if a.label >= 0 else nodes[p].label
    y = b.label if b.label >= 0 else nodes[q].label
    if x != y:
        return x < y
    n = nodes[p].depth + (a.label >= 0)
    m = nodes[q].depth + (b.label >= 0)
    # Labels at the same depth, from the deepest that both have up; those of candidates that are no nodes come first.
    x = a.label if a.label >= 0 else -2
    y = b.label if b.label >= 0 else -2
    while n > m:
        if x == -2:
            p = nodes[p].parent
        x = -2
        n -= 1
    while m > n:
        if y == -2:
            q = nodes[q].parent
        y = -2
        m -= 1
    cdef bint first = nodes[s.beams[a.beam].node].depth + (a.label >= 0) == n  # a is the shorter, or as long
    cdef int smaller = 0, u, v
    while n > 0 and (p != q or x != y):
        u = x if x >= 0 else nodes[p].label
        v = y if y >= 0 else nodes[q].label
        if u != v:
            smaller = 1 if u < v else 2
        if x == -2:
            p = nodes[p].parent
        if y == -2:
            q = nodes[q].parent
        x = y = -2
        n -= 1
    return smaller == 1 if smaller else first


cdef inline bint better(const Search *s, const Candidate *a, const Candidate *b) noexcept nogil:
    return a.score > b.score or (a.score == b.score and precedes(s, a, b))


cdef void sort(const Search *s, Candidate *items, Py_ssize_t n) noexcept nogil:
    """Best first."""
    cdef Py_ssize_t start, stop, i, j, k, middle, run = 16
    cdef Candidate item
    cdef Candidate *source = items
    cdef Candidate *target = s.merged
    for start in range(0, n, 16):
        stop = min(start + run, n)
        for i in range(start + 1, stop):
            item = items[i]
            j = i
            while j > start and better(s, &item, &items[j - 1]):
                items[j] = items[j - 1]
                j -= 1
            items[j] = item
    while run < n:
        start = 0
        while start < n:
            middle = min(start + run, n)
            stop = min(start + 2 * run, n)
            i = start
            j = middle
            for k in range(start, stop):
                if j >= stop or (i < middle and not better(s, &source[j], &source[i])):
                    target[k] = source[i]
                    i += 1
                else:
                    target[k] = source[j]
                    j += 1
            start = stop
        source, target = target, source
        run *= 2
    if source != items:
        for i in range(n):
            items[i] = source[i]


cdef void sort_classes(const Search *s, Class *items, Py_ssize_t n) noexcept nogil:
    """Most probable first, equal ones in their order."""
    cdef Py_ssize_t start, stop, i, j, k, middle, run = 16
    cdef Class item
    cdef Class *source = items
    cdef Class *target = s.classes_merged
    for start in range(0, n, 16):
        stop = min(start + run, n)
        for i in range(start + 1, stop):
            item = items[i]
            j = i
            while j > start and item.rank > items[j - 1].rank:
                items[j] = items[j - 1]
                j -= 1
            items[j] = item
    while run < n:
        start = 0
        while start < n:
            middle = min(start + run, n)
            stop = min(start + 2 * run, n)
            i = start
            j = middle
            for k in range(start, stop):
                if j >= stop or (i < middle and source[i].rank >= source[j].rank):
                    target[k] = source[i]
                    i += 1
                else:
                    target[k] = source[j]
                    j += 1
            start = stop
        source, target = target, source
        run *= 2
    if source != items:
        for i in range(n):
            items[i] = source[i]


cdef Py_ssize_t choose_classes(Search *s, const double *row) noexcept nogil:
    """The classes that count, most probable first; their logarithms."""
    cdef Py_ssize_t n = s.n_classes, c, i
    cdef bint by_sum = 0.0 <= s.cutoff_prob < 1.0
    cdef double total = 0.0, value
    for c in range(n):
        s.classes[c].rank = row[c]
        s.classes[c].label = <int> c
        s.logs[c] = NAN
    sort_classes(s, s.classes, n)
    if by_sum:
        for i in range(n):
            value = s.classes[i].rank
            if not s.is_log:
                value = log(value) if value > 0.0 else -INFINITY
            total = add(total, value)
            if total >= s.cutoff_prob or i + 1 >= s.cutoff_top_n:
                n = i + 1
                break
    else:
        n = min(n, s.cutoff_top_n)
    for i in range(n):
        value = s.classes[i].rank
        s.logs[s.classes[i].label] = value if s.is_log else log(value + TINY)
    return n


cdef int memory() except -1 nogil:
    with gil:
        raise MemoryError()


cdef int make_room(Search *s, Py_ssize_t room) noexcept nogil:
    cdef Candidate *one
    if room <= s.room:
        return 0
    one = <Candidate *> PyMem_RawRealloc(s.found, room * sizeof(Candidate))
    if one is NULL:
        return -1
    s.found = one
    one = <Candidate *> PyMem_RawRealloc(s.merged, room * sizeof(Candidate))
    if one is NULL:
        return -1
    s.merged = one
    s.room = room
    return 0


cdef int make_beams(Search *s, Py_ssize_t n) noexcept nogil:
    cdef Beam *beams
    cdef double *sums
    if n <= s.beam_room:
        return 0
    n = min(max(n, 2 * s.beam_room), s.width)
    beams = <Beam *> PyMem_RawRealloc(s.beams, n * sizeof(Beam))
    if beams is NULL:
        return -1
    s.beams = beams
    beams = <Beam *> PyMem_RawRealloc(s.next_beams, n * sizeof(Beam))
    if beams is NULL:
        return -1
    s.next_beams = beams
    sums = <double *> PyMem_RawRealloc(s.stay_blank, n * sizeof(double))
    if sums is NULL:
        return -1
    s.stay_blank = sums
    sums = <double *> PyMem_RawRealloc(s.stay_label, n * sizeof(double))
    if sums is NULL:
        return -1
    s.stay_label = sums
    s.beam_room = n
    return 0


cdef int new_node(Search *s) noexcept nogil:
    """Its number; -1 without memory."""
    cdef Py_ssize_t room
    cdef Node *grown
    cdef int number = s.unused
    if number >= 0:
        s.unused = s.nodes[number].next
    else:
        if s.n_nodes == s.node_room:
            room = max(256, 2 * s.node_room)
            if room > 0x7FFFFFFF:
                return -1
            grown = <Node *> PyMem_RawRealloc(s.nodes, room * sizeof(Node))
            if grown is NULL:
                return -1
            s.nodes = grown
            s.node_room = room
        number = <int> s.n_nodes
        s.n_nodes += 1
    memset(&s.nodes[number], 0xFF, sizeof(Node))
    return number


cdef void let_go(Search *s, int number) noexcept nogil:
    """Remove a prefix that neither is a beam nor begins one, and those before it that were there for it only."""
    cdef Node *node
    cdef int parent
    while True:
        node = &s.nodes[number]
        parent = node.parent
        if node.beam >= 0 or node.first_child >= 0 or parent < 0:
            return
        if node.previous >= 0:
            s.nodes[node.previous].next = node.next
        else:
            s.nodes[parent].first_child = node.next
        if node.next >= 0:
            s.nodes[node.next].previous = node.previous
        node.parent = -1  # not there
        node.next = s.unused
        s.unused = number
        number = parent


cdef int find_child(const Search *s, int parent, int label) noexcept nogil:
    cdef int child = s.nodes[parent].first_child
    while child >= 0 and s.nodes[child].label != label:
        child = s.nodes[child].next
    return child


cdef inline bint is_word(const Search *s, int word) noexcept nogil:
    """Whether a word ends at this node of the tree."""
    return word >= 0 and (word + 1 == s.tree_ends[word] or s.tree_words[word + 1] > s.tree_words[word])


cdef inline double arriving(const Beam *beam, int label, double value) noexcept nogil:
    """What a beam brings to its extension by a label, without the scorer."""
    if label != beam.label:
        return value + beam.score
    return value + beam.ends_blank if beam.ends_blank > NEVER else NEVER


cdef int commit(Search *s, Py_ssize_t n) noexcept nogil:
    """Candidates become beams."""
    cdef Py_ssize_t i
    cdef Candidate *candidate
    cdef Beam *old
    cdef Beam *new
    cdef Node *node
    cdef Node *parent
    cdef int number
    cdef int child
    if make_beams(s, n):
        return -1
    for i in range(s.n_beams):
        s.nodes[s.beams[i].node].beam = -1
    for i in range(n):
        candidate = &s.found[i]
        old = &s.beams[candidate.beam]
        new = &s.next_beams[i]
        if candidate.label < 0:
            new[0] = old[0]
            new.ends_blank = s.stay_blank[candidate.beam]
            new.ends_label = s.stay_label[candidate.beam]
        else:
            number = find_child(s, old.node, candidate.label)
            if number < 0:
                number = new_node(s)
                if number < 0:
                    return -1
                node = &s.nodes[number]
                parent = &s.nodes[old.node]
                node.parent = old.node
                node.label = candidate.label
                node.depth = parent.depth + 1
                node.state = parent.state
                if s.has_tree:
                    if candidate.label == s.space:
                        node.state = parent.word_state
                    else:
                        child = parent.word + 1
                        while s.tree_labels[child] != candidate.label:
                            child = s.tree_ends[child]
                        node.word = child
                elif s.has_scorer:
                    node.state = s.answers[parent.state * s.n_classes + candidate.label].state
                node.timestep = s.frame
                node.peak = s.logs[candidate.label]
                node.next = parent.first_child
                if node.next >= 0:
                    s.nodes[node.next].previous = number
                parent.first_child = number
            new.node = number
            new.label = candidate.label
            new.ends_blank = NEVER
            new.ends_label = candidate.score
        new.score = candidate.score
    for i in range(n):
        s.nodes[s.next_beams[i].node].beam = <int> i
    for i in range(s.n_beams):
        let_go(s, s.beams[i].node)
    s.beams, s.next_beams = s.next_beams, s.beams
    s.n_beams = n
    return 0


cdef class ScoredBeams:
    cdef Search search
    cdef object advance
    cdef object arrays  # which the search points to
    cdef bint busy

    def __cinit__(self, *_, **__):
        memset(&self.search, 0, sizeof(Search))

    def __init__(
        self,
        Py_ssize_t n_classes,
        int blank,
        beam_width,
        double cutoff_prob,
        Py_ssize_t cutoff_top_n,
        bint is_log,
        scorer,
    ):
        cdef Search *s = &self.search
        cdef const int32_t[::1] tokens, labels, ends, words
        cdef int root
        if s.nodes is not NULL:
            raise ValueError("beams must be initialized once")
        if n_classes < 1 or n_classes > 0x7FFFFFFF or not 0 <= blank < n_classes or beam_width < 1 or cutoff_top_n < 1:
            raise ValueError("there must be a class, a blank among them, a beam, and a class a frame")
        s.n_classes = n_classes
        s.blank = blank
        s.width = min(beam_width, 1 << 30)
        s.cutoff_prob = cutoff_prob
        s.cutoff_top_n = cutoff_top_n
        s.is_log = is_log
        s.unused = -1
        s.space = -1
        if scorer is not None:
            tokens = scorer.tokens
            self.advance = scorer.advance
            self.arrays = [tokens]
            s.has_scorer = True
            s.weight = scorer.weight
            s.bonus = scorer.bonus
            s.tokens = &tokens[0] if tokens.shape[0] else NULL
            if scorer.tree is None:
                if tokens.shape[0] != n_classes:
                    raise ValueError(f"there must be {n_classes} tokens, got {tokens.shape[0]}")
            else:
                labels, ends, words = scorer.tree.node_labels, scorer.tree.ends, scorer.tree.words
                self.arrays += [labels, ends, words]
                if not labels.shape[0] == ends.shape[0] == words.shape[0] >= 1 or words[words.shape[0] - 1] != (
                    tokens.shape[0]
                ):
                    raise ValueError("the tree of words must have a token for each word")
                s.has_tree = True
                s.space = scorer.space
                s.tree_labels = &labels[0]
                s.tree_ends = &ends[0]
                s.tree_words = &words[0]
                s.n_tree = <int> labels.shape[0] - 1
                if not 0 <= s.space < n_classes:
                    raise ValueError(f"space must be a class, got {s.space}")
        s.classes = <Class *> PyMem_RawMalloc(n_classes * sizeof(Class))
        s.classes_merged = <Class *> PyMem_RawMalloc(n_classes * sizeof(Class))
        s.logs = <double *> PyMem_RawMalloc(n_classes * sizeof(double))
        s.met = <int *> PyMem_RawMalloc(n_classes * sizeof(int))
        root = new_node(s)
        if (
            s.classes is NULL or s.classes_merged is NULL or s.logs is NULL or s.met is NULL or root < 0
            or make_beams(s, 1)
        ):
            raise MemoryError()
        s.nodes[root].depth = 0
        s.nodes[root].beam = 0
        s.nodes[root].state = scorer.start if scorer is not None else 0
        s.nodes[root].timestep = 0
        s.n_beams = 1
        s.beams[0].node = root
        s.beams[0].label = -1
        s.beams[0].ends_blank = s.beams[0].score = 0.0
        s.beams[0].ends_label = NEVER

    def __dealloc__(self):
        cdef Search *s = &self.search
        PyMem_RawFree(s.nodes)
        PyMem_RawFree(s.beams)
        PyMem_RawFree(s.next_beams)
        PyMem_RawFree(s.stay_blank)
        PyMem_RawFree(s.stay_label)
        PyMem_RawFree(s.found)
        PyMem_RawFree(s.merged)
        PyMem_RawFree(s.classes)
        PyMem_RawFree(s.classes_merged)
        PyMem_RawFree(s.logs)
        PyMem_RawFree(s.met)
        PyMem_RawFree(s.answers)

    def extend(self, const double[:, ::1] rows):
        cdef Py_ssize_t _t
        cdef const double *row
        if rows.shape[1] != self.search.n_classes:
            raise ValueError(f"rows must have {self.search.n_classes} classes, got {rows.shape[1]}")
        if rows.shape[0] == 0:
            return
        if self.busy:
            raise ValueError("beams must be extended by one thread at a time")
        self.busy = True
        try:
            row = &rows[0, 0]
            with nogil:
                for _t in range(rows.shape[0]):
                    self.step(row)
                    self.search.frame += 1
                    row += self.search.n_classes
        finally:
            self.busy = False

    def best(self):
        cdef Search *s = &self.search
        cdef Py_ssize_t i, n = s.n_beams, longest = 0
        cdef int number, depth
        for i in range(n):
            longest = max(longest, s.nodes[s.beams[i].node].depth)
        found = ScoredTexts(
            np.zeros((n, longest), np.int32), np.zeros((n, longest), np.int32), np.zeros(n, np.int32), np.zeros(n),
            np.zeros(n, np.int32),
        )
        cdef int32_t[:, ::1] labels = found.labels, timesteps = found.timesteps
        cdef int32_t[::1] lengths = found.lengths, states = found.states
        cdef double[::1] scores = found.scores
        for i in range(n):
            number = s.beams[i].node
            lengths[i] = s.nodes[number].depth
            states[i] = s.nodes[number].state
            scores[i] = s.beams[i].score
            while s.nodes[number].parent >= 0:
                depth = s.nodes[number].depth - 1
                labels[i, depth] = s.nodes[number].label
                timesteps[i, depth] = s.nodes[number].timestep
                number = s.nodes[number].parent
        return found

    cdef int ask_word(self, int number) except -1 nogil:
        """What the scorer says to the word that ends at a prefix."""
        cdef Node *node = &self.search.nodes[number]
        cdef int token
        if node.word_state >= 0:
            return 0
        token = self.search.tokens[self.search.tree_words[node.word]]
        with gil:
            score, state = self.advance(node.state, token)
            node.word_score = self.search.weight * <double> score + self.search.bonus
            node.word_state = state
        return 0

    cdef int ask_class(self, int state, int label, double *score) except -1 nogil:
        """The same of a class in a state, where labels are tokens."""
        cdef Search *s = &self.search
        cdef Py_ssize_t room, i
        cdef Answer *answer
        if state >= s.n_states:
            room = max(2 * s.n_states, state + 64)
            answer = <Answer *> PyMem_RawRealloc(s.answers, room * s.n_classes * sizeof(Answer))
            if answer is NULL:
                return memory()
            s.answers = answer
            for i in range(s.n_states * s.n_classes, room * s.n_classes):
                s.answers[i].state = -1
            s.n_states = room
        answer = &s.answers[state * s.n_classes + label]
        if answer.state < 0:
            with gil:
                value, after = self.advance(state, s.tokens[label])
                answer.score = s.weight * <double> value + s.bonus
                answer.state = after
        score[0] = answer.score
        return 0

    cdef int step(self, const double *row) except -1 nogil:
        """Take in one frame."""
        cdef Search *s = &self.search
        cdef Py_ssize_t n = s.n_beams, n_counted, i, k
        cdef Beam *beam
        cdef double lowest = -INFINITY, threshold = -INFINITY, value, score, of_blank, weight
        cdef int child, label, word, end
        cdef Candidate *candidate
        cdef bint asks = s.has_scorer and not s.has_tree
        n_counted = choose_classes(s, row)
        if s.has_scorer and n == s.width:
            of_blank = row[s.blank]
            if not s.is_log:
                of_blank = log(of_blank) if of_blank > 0.0 else -INFINITY
            lowest = s.beams[n - 1].score + of_blank - (s.bonus if s.bonus > 0.0 else 0.0)
        if make_room(s, min(n * s.n_classes, 2 * s.width + 64)):
            return memory()
        for i in range(n):
            s.stay_blank[i] = s.stay_label[i] = NEVER
        # What stays: by a blank, by the last label once more, and by what arrives from the prefix before.
        for i in range(n):
            beam = &s.beams[i]
            value = s.logs[s.blank]
            if not isnan(value) and not value + beam.score < lowest:
                s.stay_blank[i] = value + beam.score
            if beam.label >= 0 and beam.label != s.blank:
                value = s.logs[beam.label]
                if not isnan(value) and not value + beam.score < lowest:
                    s.stay_label[i] = add(s.stay_label[i], value + beam.ends_label)
            child = s.nodes[beam.node].first_child
            while child >= 0:
                label = s.nodes[child].label
                value = s.logs[label]
                if not isnan(value) and not value + beam.score < lowest:
                    if s.nodes[child].peak < value:
                        s.nodes[child].peak = value
                        s.nodes[child].timestep = s.frame
                    if s.nodes[child].beam >= 0:
                        score = arriving(beam, label, value)
                        if asks:
                            self.ask_class(s.nodes[beam.node].state, label, &weight)
                            score += weight
                        elif s.has_tree and label == s.space:
                            self.ask_word(beam.node)
                            score += s.nodes[beam.node].word_score
                        s.stay_label[s.nodes[child].beam] = add(s.stay_label[s.nodes[child].beam], score)
                child = s.nodes[child].next
        s.n_found = 0
        for i in range(n):
            candidate = &s.found[i]
            candidate.score = add(s.stay_blank[i], s.stay_label[i])
            candidate.beam = <int> i
            candidate.label = -1
        s.n_found = n
        if n == s.width:
            threshold = INFINITY
            for i in range(n):
                threshold = min(threshold, s.found[i].score)
        for k in range(s.n_classes):
            s.met[k] = -1
        for i in range(n):
            beam = &s.beams[i]
            child = s.nodes[beam.node].first_child
            while child >= 0:
                if s.nodes[child].beam >= 0:
                    s.met[s.nodes[child].label] = <int> i
                child = s.nodes[child].next
            if s.has_tree:
                word = s.nodes[beam.node].word
                child = word + 1
                end = s.tree_ends[word] if word >= 0 else s.n_tree
                while child < end:
                    label = s.tree_labels[child]
                    child = s.tree_ends[child]
                    value = s.logs[label]
                    if label == s.blank or label == s.space or s.met[label] == i or isnan(value):
                        continue
                    if value + beam.score < lowest:
                        continue
                    threshold = push(s, i, label, arriving(beam, label, value), threshold)
                value = s.logs[s.space]
                if (
                    is_word(s, word) and s.space != s.blank and s.met[s.space] != i and not isnan(value)
                    and not value + beam.score < lowest
                ):
                    self.ask_word(beam.node)
                    score = arriving(beam, s.space, value) + s.nodes[beam.node].word_score
                    threshold = push(s, i, s.space, score, threshold)
            else:
                for k in range(n_counted):
                    label = s.classes[k].label
                    value = s.logs[label]
                    if value + beam.score < lowest:
                        break  # so are all that follow
                    if not asks and value + beam.score < threshold and threshold > NEVER:
                        break
                    if label == s.blank or s.met[label] == i:
                        continue
                    score = arriving(beam, label, value)
                    if asks:
                        self.ask_class(s.nodes[beam.node].state, label, &weight)
                        score += weight
                    threshold = push(s, i, label, score, threshold)
            s.work += n_counted
        sort(s, s.found, s.n_found)
        if commit(s, min(s.n_found, s.width)):
            return memory()
        if s.work > SIGNAL_WORK:
            s.work = 0
            look()
        return 0


cdef double push(Search *s, Py_ssize_t i, int label, double score, double threshold) noexcept nogil:
    """Add a candidate that may get into the beam; returns what the next one must have."""
    if score < threshold:
        return threshold
    if s.n_found == s.room:
        sort(s, s.found, s.n_found)
        s.n_found = s.width
        threshold = s.found[s.width - 1].score
        if score < threshold:
            return threshold
    s.found[s.n_found].score = score
    s.found[s.n_found].beam = <int> i
    s.found[s.n_found].label = label
    s.n_found += 1
    return threshold
