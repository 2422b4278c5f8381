"""Twin of fastctc.reference.scored_search: a prefix is made when it gets into the beam, not before.

A scorer is asked once for the end of a word behind a prefix, and once for each class in each of its states.
"""

import numpy as np

from libc.float cimport FLT_MAX, FLT_MIN
from libc.math cimport INFINITY, NAN, exp, isnan, log
from libc.stdint cimport int32_t
from libc.stdlib cimport free
from libc.string cimport memset

from fastctc.compiled.candidates cimport Candidate, sort_candidates
from fastctc.compiled.interrupts cimport look_after
from fastctc.compiled.live_prefixes cimport (
    Node, Prefixes, add_prefix, find_prefix, let_go, new_prefix, spells_less
)
from fastctc.compiled.memory cimport resize
from fastctc.search_inputs import ScoredTexts

cdef double NEVER = -<double> FLT_MAX
cdef double TINY = FLT_MIN
cdef Py_ssize_t SIGNAL_WORK = 1 << 22  # candidates between two looks for Ctrl-C

cdef struct Beam:
    int node
    int label
    double ends_blank
    double ends_label
    double score

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
    Prefixes prefixes
    Beam *beams
    Beam *next_beams
    Py_ssize_t n_beams
    double *stay_blank
    double *stay_label
    Candidate *found        # a stay has label -1
    Candidate *merged
    Py_ssize_t n_found
    Py_ssize_t room
    Py_ssize_t beam_room
    Candidate *classes      # of the frame, their probabilities as scores
    Candidate *classes_merged
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


cdef bint stands_before(const void *search, const Candidate *a, const Candidate *b) noexcept nogil:
    cdef const Search *s = <const Search *> search
    return spells_less(s.prefixes.nodes, s.beams[a.beam].node, a.label, s.beams[b.beam].node, b.label)


cdef Py_ssize_t choose_classes(Search *s, const double *row) noexcept nogil:
    """The classes that count, most probable first; their logarithms."""
    cdef Py_ssize_t n = s.n_classes, c, i
    cdef bint by_sum = 0.0 <= s.cutoff_prob < 1.0
    cdef double total = 0.0, value
    for c in range(n):
        s.classes[c].score = row[c]
        s.classes[c].label = <int> c
        s.logs[c] = NAN
    sort_candidates(s.classes, n, s.classes_merged, NULL, NULL)
    if by_sum:
        for i in range(n):
            value = s.classes[i].score
            if not s.is_log:
                value = log(value) if value > 0.0 else -INFINITY
            total = add(total, value)
            if total >= s.cutoff_prob or i + 1 >= s.cutoff_top_n:
                n = i + 1
                break
    else:
        n = min(n, s.cutoff_top_n)
    for i in range(n):
        value = s.classes[i].score
        s.logs[s.classes[i].label] = value if s.is_log else log(value + TINY)
    return n


cdef int make_room(Search *s, Py_ssize_t room) except -1 nogil:
    """Room for candidates."""
    if room > s.room:
        resize(<void **> &s.found, room, sizeof(Candidate))
        resize(<void **> &s.merged, room, sizeof(Candidate))
        s.room = room
    return 0


cdef int make_beams(Search *s, Py_ssize_t n) except -1 nogil:
    """Room for beams."""
    if n > s.beam_room:
        n = min(max(n, 2 * s.beam_room), s.width)
        resize(<void **> &s.beams, n, sizeof(Beam))
        resize(<void **> &s.next_beams, n, sizeof(Beam))
        resize(<void **> &s.stay_blank, n, sizeof(double))
        resize(<void **> &s.stay_label, n, sizeof(double))
        s.beam_room = n
    return 0


cdef inline bint is_word(const Search *s, int word) noexcept nogil:
    """Whether a word ends at this node of the tree."""
    return word >= 0 and (word + 1 == s.tree_ends[word] or s.tree_words[word + 1] > s.tree_words[word])


cdef inline double arriving(const Beam *beam, int label, double value) noexcept nogil:
    """What a beam brings to its extension by a label, without the scorer."""
    if label != beam.label:
        return value + beam.score
    return value + beam.ends_blank if beam.ends_blank > NEVER else NEVER


cdef int commit(Search *s, Py_ssize_t n) except -1 nogil:
    """Candidates become beams."""
    cdef Py_ssize_t i
    cdef Candidate *candidate
    cdef Beam *old
    cdef Beam *new
    cdef Node *node
    cdef Node *parent
    cdef int number
    cdef int child
    make_beams(s, n)
    for i in range(s.n_beams):
        s.prefixes.nodes[s.beams[i].node].beam = -1
    for i in range(n):
        candidate = &s.found[i]
        old = &s.beams[candidate.beam]
        new = &s.next_beams[i]
        if candidate.label < 0:
            new[0] = old[0]
            new.ends_blank = s.stay_blank[candidate.beam]
            new.ends_label = s.stay_label[candidate.beam]
        else:
            number = find_prefix(&s.prefixes, old.node, candidate.label)
            if number < 0:
                number = add_prefix(&s.prefixes, old.node, candidate.label)
                node = &s.prefixes.nodes[number]
                parent = &s.prefixes.nodes[old.node]
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
            new.node = number
            new.label = candidate.label
            new.ends_blank = NEVER
            new.ends_label = candidate.score
        new.score = candidate.score
    for i in range(n):
        s.prefixes.nodes[s.next_beams[i].node].beam = <int> i
    for i in range(s.n_beams):
        let_go(&s.prefixes, s.beams[i].node)
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
        if s.prefixes.nodes is not NULL:
            raise ValueError("beams must be initialized once")
        if n_classes < 1 or n_classes > 0x7FFFFFFF or not 0 <= blank < n_classes or beam_width < 1 or cutoff_top_n < 1:
            raise ValueError("there must be a class, a blank among them, a beam, and a class a frame")
        s.n_classes = n_classes
        s.blank = blank
        s.width = min(beam_width, 1 << 30)
        s.cutoff_prob = cutoff_prob
        s.cutoff_top_n = cutoff_top_n
        s.is_log = is_log
        s.prefixes.unused = -1
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
        resize(<void **> &s.classes, n_classes, sizeof(Candidate))
        resize(<void **> &s.classes_merged, n_classes, sizeof(Candidate))
        resize(<void **> &s.logs, n_classes, sizeof(double))
        resize(<void **> &s.met, n_classes, sizeof(int))
        root = new_prefix(&s.prefixes)
        make_beams(s, 1)
        s.prefixes.nodes[root].depth = 0
        s.prefixes.nodes[root].beam = 0
        s.prefixes.nodes[root].state = scorer.start if scorer is not None else 0
        s.prefixes.nodes[root].timestep = 0
        s.n_beams = 1
        s.beams[0].node = root
        s.beams[0].label = -1
        s.beams[0].ends_blank = s.beams[0].score = 0.0
        s.beams[0].ends_label = NEVER

    def __dealloc__(self):
        cdef Search *s = &self.search
        free(s.prefixes.nodes)
        free(s.beams)
        free(s.next_beams)
        free(s.stay_blank)
        free(s.stay_label)
        free(s.found)
        free(s.merged)
        free(s.classes)
        free(s.classes_merged)
        free(s.logs)
        free(s.met)
        free(s.answers)

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
            longest = max(longest, s.prefixes.nodes[s.beams[i].node].depth)
        found = ScoredTexts(
            np.zeros((n, longest), np.int32), np.zeros((n, longest), np.int32), np.zeros(n, np.int32), np.zeros(n),
            np.zeros(n, np.int32),
        )
        cdef int32_t[:, ::1] labels = found.labels, timesteps = found.timesteps
        cdef int32_t[::1] lengths = found.lengths, states = found.states
        cdef double[::1] scores = found.scores
        for i in range(n):
            number = s.beams[i].node
            lengths[i] = s.prefixes.nodes[number].depth
            states[i] = s.prefixes.nodes[number].state
            scores[i] = s.beams[i].score
            while s.prefixes.nodes[number].parent >= 0:
                depth = s.prefixes.nodes[number].depth - 1
                labels[i, depth] = s.prefixes.nodes[number].label
                timesteps[i, depth] = s.prefixes.nodes[number].timestep
                number = s.prefixes.nodes[number].parent
        return found

    cdef int ask_word(self, int number) except -1 nogil:
        """What the scorer says to the word that ends at a prefix."""
        cdef Node *node = &self.search.prefixes.nodes[number]
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
            resize(<void **> &s.answers, room * s.n_classes, sizeof(Answer))
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
        cdef Py_ssize_t n = s.n_beams, n_counted = choose_classes(s, row)
        cdef double lowest = -INFINITY, of_blank
        if s.has_scorer and n == s.width:
            of_blank = row[s.blank]
            if not s.is_log:
                of_blank = log(of_blank) if of_blank > 0.0 else -INFINITY
            lowest = s.beams[n - 1].score + of_blank - (s.bonus if s.bonus > 0.0 else 0.0)
        make_room(s, min(n * s.n_classes, 2 * s.width + 64))
        self.score_stays(lowest)
        self.extend_beams(n_counted, lowest)
        sort_candidates(s.found, s.n_found, s.merged, stands_before, s)
        commit(s, min(s.n_found, s.width))
        look_after(&s.work, n * n_counted, SIGNAL_WORK)
        return 0

    cdef int score_stays(self, double lowest) except -1 nogil:
        """Beams that stay: by a blank, by the last label once more, and by what arrives from the prefix before."""
        cdef Search *s = &self.search
        cdef Py_ssize_t n = s.n_beams, i
        cdef Beam *beam
        cdef Node *node
        cdef Candidate *candidate
        cdef double value, score, weight
        cdef int child
        for i in range(n):
            s.stay_blank[i] = s.stay_label[i] = NEVER
        for i in range(n):
            beam = &s.beams[i]
            value = s.logs[s.blank]
            if not isnan(value) and not value + beam.score < lowest:
                s.stay_blank[i] = value + beam.score
            if beam.label >= 0 and beam.label != s.blank:
                value = s.logs[beam.label]
                if not isnan(value) and not value + beam.score < lowest:
                    s.stay_label[i] = add(s.stay_label[i], value + beam.ends_label)
            child = s.prefixes.nodes[beam.node].first_child
            while child >= 0:
                node = &s.prefixes.nodes[child]
                child = node.next
                value = s.logs[node.label]
                if isnan(value) or value + beam.score < lowest:
                    continue
                if node.peak < value:
                    node.peak = value
                    node.timestep = s.frame
                if node.beam >= 0:
                    score = arriving(beam, node.label, value)
                    if s.has_tree:
                        if node.label == s.space:
                            self.ask_word(beam.node)
                            score += s.prefixes.nodes[beam.node].word_score
                    elif s.has_scorer:
                        self.ask_class(s.prefixes.nodes[beam.node].state, node.label, &weight)
                        score += weight
                    s.stay_label[node.beam] = add(s.stay_label[node.beam], score)
        for i in range(n):
            candidate = &s.found[i]
            candidate.score = add(s.stay_blank[i], s.stay_label[i])
            candidate.beam = <int> i
            candidate.label = -1
        s.n_found = n
        return 0

    cdef int extend_beams(self, Py_ssize_t n_counted, double lowest) except -1 nogil:
        """Beams that are extended by a label, but to those that are beams already."""
        cdef Search *s = &self.search
        cdef Py_ssize_t i, k
        cdef double threshold = -INFINITY
        cdef Node *node
        cdef int child
        if s.n_beams == s.width:
            threshold = INFINITY
            for i in range(s.n_beams):
                threshold = min(threshold, s.found[i].score)
        for k in range(s.n_classes):
            s.met[k] = -1
        for i in range(s.n_beams):
            child = s.prefixes.nodes[s.beams[i].node].first_child
            while child >= 0:
                node = &s.prefixes.nodes[child]
                if node.beam >= 0:
                    s.met[node.label] = <int> i
                child = node.next
            if s.has_tree:
                self.extend_in_tree(i, lowest, &threshold)
            else:
                self.extend_by_classes(i, n_counted, lowest, &threshold)
        return 0

    cdef int extend_in_tree(self, Py_ssize_t i, double lowest, double *threshold) except -1 nogil:
        """Extend a beam by the labels that go on with its word, and by the space if that ends a word."""
        cdef Search *s = &self.search
        cdef const Beam *beam = &s.beams[i]
        cdef int word = s.prefixes.nodes[beam.node].word, child = word + 1, label
        cdef int end = s.tree_ends[word] if word >= 0 else s.n_tree
        cdef double value, score
        while child < end:
            label = s.tree_labels[child]
            child = s.tree_ends[child]
            value = s.logs[label]
            if label == s.blank or label == s.space or s.met[label] == i or isnan(value):
                continue
            if value + beam.score < lowest:
                continue
            threshold[0] = push(s, i, label, arriving(beam, label, value), threshold[0])
        value = s.logs[s.space]
        if (
            is_word(s, word) and s.space != s.blank and s.met[s.space] != i and not isnan(value)
            and not value + beam.score < lowest
        ):
            self.ask_word(beam.node)
            score = arriving(beam, s.space, value) + s.prefixes.nodes[beam.node].word_score
            threshold[0] = push(s, i, s.space, score, threshold[0])
        return 0

    cdef int extend_by_classes(
        self, Py_ssize_t i, Py_ssize_t n_counted, double lowest, double *threshold
    ) except -1 nogil:
        """Extend a beam by the classes that count, most probable first."""
        cdef Search *s = &self.search
        cdef const Beam *beam = &s.beams[i]
        cdef Py_ssize_t k
        cdef int label
        cdef double value, score, weight
        for k in range(n_counted):
            label = s.classes[k].label
            value = s.logs[label]
            if value + beam.score < lowest:
                break  # so are all that follow
            if not s.has_scorer and value + beam.score < threshold[0] and threshold[0] > NEVER:
                break
            if label == s.blank or s.met[label] == i:
                continue
            score = arriving(beam, label, value)
            if s.has_scorer:
                self.ask_class(s.prefixes.nodes[beam.node].state, label, &weight)
                score += weight
            threshold[0] = push(s, i, label, score, threshold[0])
        return 0


cdef double push(Search *s, Py_ssize_t i, int label, double score, double threshold) noexcept nogil:
    """Add a candidate that may get into the beam; returns what the next one must have."""
    if score < threshold:
        return threshold
    if s.n_found == s.room:
        sort_candidates(s.found, s.n_found, s.merged, stands_before, s)
        s.n_found = s.width
        threshold = s.found[s.width - 1].score
        if score < threshold:
            return threshold
    s.found[s.n_found].score = score
    s.found[s.n_found].beam = <int> i
    s.found[s.n_found].label = label
    s.n_found += 1
    return threshold
