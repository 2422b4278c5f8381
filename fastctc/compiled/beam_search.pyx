"""Twin of fastctc.reference.beam_search, without touching what cannot survive.

Prefixes are nodes of a tree in one block of memory; a beam is a node and two sums. Beams stand in descending order. In
each frame the beams that merely stay, and those that go on by the most probable class, give a threshold: none of the
beam_width survivors can be smaller than the smallest of any beam_width candidates. Since beams and classes descend,
the other extensions that exceed it form a staircase, and only those are ever formed. Nothing is lost: what is skipped
would have been sorted out. With a model of characters the class's probability times the greatest that the model gives
it after any history takes the place of the class's probability in these bounds. With words, what ranks a beam is its
total times a weight, and the greatest weight that it may have after one more label stands in the bounds.
"""

cimport cython
from libc.math cimport INFINITY, NAN, exp, frexp, ldexp, log
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

from fastctc.compiled.interrupts cimport look
from fastctc.compiled.ngram cimport Model, advance, fill, fill_sums, forecast_sum

cdef double LN2 = 0.693147180559945309417
cdef Py_ssize_t SIGNAL_WORK = 1 << 20  # candidates between two looks for Ctrl-C
cdef Py_ssize_t ROWS = 3  # of that table, that a beam may need in a frame
cdef Py_ssize_t ROOM = 1 << 20  # numbers that the table of the model's answers may hold

# A prefix. Below node 0, which stands for none, are the roots: node 1, where the texts begin, and the others that are
# left of branches which can no longer win (see ``commit``); the labels of roots are numbers in the order of the texts
# before them, so that all nodes stand in the order of their whole texts. jump is an ancestor, chosen such that any
# ancestor is reached in O(log depth) steps (E. W. Myers: An applicative random-access stack, 1983).
cdef struct Node:
    int parent
    int label
    int child       # first of the children, -1 if none
    int sibling     # next child of the parent
    int depth
    int jump
    int beam        # its place among the beams ...
    int frame       # ... of this frame

# What a model of characters, or the words, know about a prefix.
cdef struct Note:
    int letters         # state of the model of characters
    int letters_row     # where its answers about the next label stand in the table, -1 if nowhere yet
    int tree            # node in the tree of the words, -1 between words, -2 in a word that is not in the tree
    int row             # where the next labels and their chances stand in the table, -1 if nowhere yet
    double factor       # what its last label has multiplied the sums by
    int words_state     # of the model of words
    int n_words         # that have ended
    double text         # their log probability
    double base         # what ranks it, besides its paths and hot words,
    double weight       # and with these
    double reach        # the greatest weight that it may have after one more label, times that label's factor
    int hot             # node among the hot words, -1 if it is in none

cdef struct Beam:
    int node
    int label           # last label, -1 for the empty prefix
    double blank        # probability of its paths that end in a blank
    double nonblank     # ... in its last label
    double total

# What may become a beam: a beam that stays (label -1) or is extended by a label.
cdef struct Candidate:
    double score
    int beam
    int label

cdef struct Search:
    Py_ssize_t width            # classes
    Py_ssize_t beam_width
    Py_ssize_t room             # the greatest beam width for which there is memory
    int blank
    Node *nodes
    Note *notes                 # one a node, if there is a model, or words
    Py_ssize_t n_nodes
    Py_ssize_t capacity
    Beam *beams                 # beam_width of them
    Beam *next_beams
    Py_ssize_t n_beams
    Candidate *stays            # one a beam
    Candidate *extensions       # up to 2 * beam_width
    Candidate *classes          # the frame's classes, their probabilities as scores
    Candidate *sorted           # scratch of the sort, for the largest of these
    double *stay_blank          # a beam's sums if it stays
    double *stay_nonblank
    double *reach               # a beam's total, times the greatest weight that it may have after one more label
    int *first_child            # of each beam the children that are beams themselves,
    int *next_child             # as linked lists of places among the beams
    int *cuts                   # of each beam, the node behind which a commit leaves it
    Py_ssize_t exponent         # all probabilities are to be multiplied by 2**exponent
    int frame
    Py_ssize_t worked
    bint has_notes
    bint has_model
    bint has_words
    bint scored                 # whether there is a model of words,
    bint forecast               # and whether it weighs the beginnings of words
    Model words_model
    const int32_t *tree_labels
    const int32_t *tree_ends
    const int32_t *tree_words
    int n_tree                  # nodes
    int n_words
    char *is_word               # of each class
    char *begins                # of each class, whether it begins a word even within another (for pieces of words)
    bint fused                  # shallow fusion, see fastctc.reference.beam_search.Fusion
    bint is_open
    double words_weight
    double words_bonus
    double unknown
    int n_hot                   # nodes of the tree of hot words
    const int32_t *hot_labels
    const int32_t *hot_ends
    const double *hot_partial
    const double *hot_whole
    double hottest              # the greatest factor by which a hot word may raise a beam in a frame
    Model model
    int end                     # number of the end of a text for the model of characters, -1 if it knows none
    int start                   # its state at the beginning,
    int words_start             # and of that of words
    double weight
    double bonus
    const int32_t *tokens       # the model's number of each class
    double *ceilings            # the greatest factor of each class, 1 without a model
    double *factors             # a row for each state that was asked for: its factor of each class, NaN if not asked
    int *next_states            # and the state behind that class
    int *row_states             # what a row is for: a state of the model of characters, or a node of the tree,
    int *row_words_states       # with a state of the model of words; -1 for the model of characters
    int *slots                  # a hash table: rows by their states
    Py_ssize_t n_rows
    Py_ssize_t row_capacity
    Py_ssize_t max_rows


include "tuples.pxi"
include "beam_tree.pxi"
include "beam_notes.pxi"
include "beam_commit.pxi"


cdef bint precedes(const Search *s, const Candidate *a, const Candidate *b) noexcept nogil:
    """Lexicographic order of two different label sequences."""
    cdef const Node *nodes = s.nodes
    cdef int x = s.beams[a.beam].node, y = s.beams[b.beam].node
    if x == y:
        return a.label < b.label
    cdef int depth = min(nodes[x].depth, nodes[y].depth)
    cdef int p = ancestor(nodes, x, depth), q = ancestor(nodes, y, depth)
    if p == q:
        # One prefix begins with the other: its next label meets the label that extends the shorter one, if any.
        if nodes[x].depth == depth:
            return a.label <= nodes[ancestor(nodes, y, depth + 1)].label
        return b.label > nodes[ancestor(nodes, x, depth + 1)].label
    while nodes[p].parent != nodes[q].parent:
        if nodes[p].jump != nodes[q].jump:
            p = nodes[p].jump
            q = nodes[q].jump
        else:
            p = nodes[p].parent
            q = nodes[q].parent
    return nodes[p].label < nodes[q].label


cdef inline bint better(const Search *s, const Candidate *a, const Candidate *b) noexcept nogil:
    return a.score > b.score or (a.score == b.score and precedes(s, a, b))


cdef void sort(const Search *s, Candidate *items, Py_ssize_t n) noexcept nogil:
    """Best first. Runs of 32 by insertion, since beams of one frame are nearly in order; then merged."""
    cdef Py_ssize_t start = 0, stop, i, j, k, middle, run = 32
    cdef Candidate item
    cdef Candidate *source = items
    cdef Candidate *target = s.sorted
    while start < n:
        stop = min(start + run, n)
        for i in range(start + 1, stop):
            item = items[i]
            j = i
            while j > start and better(s, &item, &items[j - 1]):
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
            for k in range(start, stop):
                if j >= stop or (i < middle and better(s, &source[i], &source[j])):
                    target[k] = source[i]
                    i += 1
                else:
                    target[k] = source[j]
                    j += 1
            start += 2 * run
        source, target = target, source
        run *= 2
    if source != items:
        memcpy(items, source, n * sizeof(Candidate))


cdef inline bint is_beam(const Search *s, Py_ssize_t i, int label) noexcept nogil:
    """Whether beam i extended by a label is a beam already, to which that extension has been added."""
    cdef int k = s.first_child[i]
    while k >= 0:
        if s.beams[k].label == label:
            return True
        k = s.next_child[k]
    return False


cdef inline double plainly(const Search *s, const Beam *beam, const double *row, int label) noexcept nogil:
    """After its own repetition a label needs a blank, or else the two are one."""
    return (beam.blank if label == beam.label else beam.total) * row[label]


cdef inline double extended(Search *s, const Beam *beam, const double *row, int label) noexcept nogil:
    """The same with what a model of characters says."""
    cdef double result = plainly(s, beam, row, label)
    if s.has_model and result > 0.0:
        result *= factor(s, beam.node, label)
    return result


cdef inline double ranked(Search *s, const Beam *beam, const double *row, int label) noexcept nogil:
    """What ranks the beam extended by a label; 0 if it must not be."""
    cdef double result = extended(s, beam, row, label)
    cdef Note note
    if s.has_words and result > 0.0:
        return result * note.factor * note.weight if after(s, beam.node, label, &note) else 0.0
    return result


cdef inline void put(Search *s, Py_ssize_t place, double score, Py_ssize_t i, int label) noexcept nogil:
    cdef Candidate *candidate = &s.extensions[place]
    candidate.score = score
    candidate.beam = <int> i
    candidate.label = label


cdef inline int notice(Search *s, Py_ssize_t work) except -1 nogil:
    """Count what has been done, and look for Ctrl-C now and then."""
    s.worked += work
    if s.worked > SIGNAL_WORK:
        s.worked = 0
        look()
    return 0


cdef int step(Search *s, const double *row) except -1 nogil:
    """Take in one frame."""
    cdef Py_ssize_t n = s.n_beams, n_extensions = 0, n_classes = 0, limit = 2 * s.room, i, j, k, c
    cdef Beam *beams = s.beams
    cdef Beam *beam
    cdef Candidate *stays = s.stays
    cdef Candidate *extensions = s.extensions
    cdef Candidate *candidate
    cdef Node *nodes = s.nodes
    cdef double blank = row[s.blank], threshold = 0.0, lowest, top, score, nonblank, before, farthest = 0.0
    cdef const double *ceilings = s.ceilings
    cdef int parent, shift
    cdef Candidate best
    s.frame += 1
    for i in range(n):
        nodes[beams[i].node].beam = <int> i
        nodes[beams[i].node].frame = s.frame
        s.first_child[i] = -1

    # Every beam may stay: by a blank, by its last label once more, or by a path of its parent that arrives just now.
    for i in range(n):
        beam = &beams[i]
        nonblank = 0.0
        if beam.label >= 0:
            nonblank = beam.nonblank * row[beam.label]
            parent = nodes[beam.node].parent
            if nodes[parent].frame == s.frame:
                j = nodes[parent].beam
                before = beams[j].blank if beams[j].label == beam.label else beams[j].total
                before *= row[beam.label]
                if s.has_notes and before > 0.0:
                    before *= s.notes[beam.node].factor
                nonblank += before
                s.next_child[i] = s.first_child[j]
                s.first_child[j] = <int> i
        s.stay_blank[i] = beam.total * blank
        s.stay_nonblank[i] = nonblank
        stays[i].score = s.stay_blank[i] + nonblank
        s.reach[i] = beam.total
        if s.has_words:
            stays[i].score *= s.notes[beam.node].weight
            s.reach[i] *= s.notes[beam.node].reach
        farthest = max(farthest, s.reach[i])
        stays[i].beam = <int> i
        stays[i].label = -1
    sort(s, stays, n)

    # Every beam may go on by the most probable class.
    best.label = -1
    best.score = 0.0
    for c in range(s.width):
        if row[c] > best.score and c != s.blank:
            best.score = row[c]
            best.label = <int> c
    if best.label >= 0:
        lowest = stays[s.beam_width - 1].score if n >= s.beam_width else 0.0
        for i in range(n):
            if s.reach[i] * best.score * ceilings[best.label] < lowest:
                if s.has_words:
                    continue
                break  # the others reach no farther
            score = ranked(s, &beams[i], row, best.label)
            if score >= lowest and score > 0.0 and not is_beam(s, i, best.label):
                put(s, n_extensions, score, i, best.label)
                n_extensions += 1

    # None of the survivors can be smaller than the smallest of any beam_width candidates, so of the best of these.
    if n + n_extensions >= s.beam_width:
        threshold = INFINITY
        i = j = 0
        while i + j < s.beam_width:
            if j == n_extensions or (i < n and stays[i].score >= extensions[j].score):
                score = stays[i].score
                i += 1
            else:
                score = extensions[j].score
                j += 1
            threshold = min(threshold, score)

    # The other classes: their extensions are no greater than the farthest reach times the class.
    lowest = threshold / farthest * (1.0 - 1e-12)
    for c in range(s.width):
        score = row[c] * ceilings[c]
        if score >= lowest and score > 0.0 and c != s.blank and c != best.label:
            s.classes[n_classes].score = score
            s.classes[n_classes].beam = 0
            s.classes[n_classes].label = <int> c
            n_classes += 1
    if n_classes:
        sort(s, s.classes, n_classes)
        for i in range(n):
            beam = &beams[i]
            if s.reach[i] * s.classes[0].score < threshold:
                if s.has_words:
                    continue
                break
            for c in range(n_classes):
                score = s.reach[i] * s.classes[c].score
                if score < threshold or score == 0.0:
                    break
                score = ranked(s, beam, row, s.classes[c].label)
                if score < threshold or score == 0.0 or is_beam(s, i, s.classes[c].label):
                    continue
                put(s, n_extensions, score, i, s.classes[c].label)
                n_extensions += 1
                if n_extensions >= limit:
                    sort(s, extensions, n_extensions)
                    n_extensions = s.beam_width
                    threshold = max(threshold, extensions[n_extensions - 1].score)
            s.worked += n_classes
    sort(s, extensions, n_extensions)

    # The best of both.
    i = 0
    j = 0
    k = 0
    while k < s.beam_width:
        if i < n and (j >= n_extensions or better(s, &stays[i], &extensions[j])):
            candidate = &stays[i]
            i += 1
        elif j < n_extensions:
            candidate = &extensions[j]
            j += 1
        else:
            break
        if not candidate.score > 0.0:
            continue
        beam = &s.next_beams[k]
        k += 1
        if candidate.label < 0:
            beam.node = beams[candidate.beam].node
            beam.label = beams[candidate.beam].label
            beam.blank = s.stay_blank[candidate.beam]
            beam.nonblank = s.stay_nonblank[candidate.beam]
        else:
            beam.node = find_or_add(s, beams[candidate.beam].node, candidate.label)
            beam.label = candidate.label
            beam.blank = 0.0
            beam.nonblank = candidate.score
            if s.has_words:
                beam.nonblank = plainly(s, &beams[candidate.beam], row, candidate.label) * s.notes[beam.node].factor
        beam.total = candidate.score if not s.has_words else beam.blank + beam.nonblank
    s.beams, s.next_beams = s.next_beams, s.beams
    s.n_beams = k
    if k == 0:
        return 0
    frexp(s.beams[0].total, &shift)
    if shift:
        s.exponent += shift
        top = ldexp(1.0, -shift)
        for i in range(k):
            s.beams[i].blank *= top
            s.beams[i].nonblank *= top
            s.beams[i].total *= top
    return notice(s, n + n_extensions)


cdef void start(Search *s) noexcept nogil:
    """Only the empty prefix, and no frame yet."""
    s.nodes[0].parent = s.nodes[0].jump = 0
    s.nodes[0].label = s.nodes[0].depth = s.nodes[0].child = s.nodes[0].sibling = s.nodes[0].frame = -1
    attach(s.nodes, 1, 0, 1)
    s.n_nodes = 2
    if s.has_notes:
        s.notes[1].letters = s.start
        s.notes[1].tree = -1
        s.notes[1].words_state = s.words_start
        s.notes[1].n_words = 0
        s.notes[1].text = 0.0
        s.notes[1].base = s.notes[1].weight = s.notes[1].factor = 1.0
        s.notes[1].hot = -1
        s.notes[1].reach = s.hottest * max(1.0, exp(s.words_bonus)) * (1.0 + 1e-9)
        forget_rows(s)
    s.beams[0].node = 1
    s.beams[0].label = -1
    s.beams[0].blank = 1.0
    s.beams[0].nonblank = 0.0
    s.beams[0].total = 1.0
    s.n_beams = 1
    s.exponent = 0
    s.frame = -1


cdef int extend(Search *s, const double *rows, Py_ssize_t n_frames) except -1 nogil:
    cdef Py_ssize_t t
    for t in range(n_frames):
        if s.n_beams == 0:
            break
        if s.capacity - s.n_nodes < s.beam_width or s.frame == 0x7fffffff:
            keep_roots(s)
            make_room(s)
        if s.has_notes and s.row_capacity - s.n_rows < ROWS * s.beam_width:
            more_rows(s)
        step(s, rows + t * s.width)
    return 0


cdef double score_of(Search *s, Py_ssize_t i) noexcept nogil:
    cdef double weight
    final_weight(s, i, &weight)
    return log(s.beams[i].total) + s.exponent * LN2 + log(weight)


cdef Py_ssize_t ranking(Search *s, int *order) noexcept nogil:
    """The beams that are texts, best first. Texts that must not end so come last."""
    cdef Py_ssize_t i, n = 0, k
    cdef double rank, weight
    cdef bint finished
    for i in range(s.n_beams):
        if ancestor(s.nodes, s.beams[i].node, 0) != 1:
            continue
        k = n
        n += 1
        order[k] = <int> i
        if not s.fused and not s.n_hot and not (s.has_model and s.end >= 0):
            continue  # they stand in this order already
        finished = final_weight(s, i, &weight)
        rank = s.beams[i].total * weight
        s.stay_blank[i] = rank if finished else -1.0 / (1.0 + rank)  # scratch between two frames
        while k > 0 and s.stay_blank[order[k - 1]] < s.stay_blank[i]:
            order[k] = order[k - 1]
            k -= 1
        order[k] = <int> i
    return n


cdef tuple labels_of(const Search *s, int node):
    cdef list labels = []
    while s.nodes[node].depth > 0:
        labels.append(s.nodes[node].label)
        node = s.nodes[node].parent
    labels.reverse()
    return tuple(labels)


cdef class Beams:
    cdef Search search
    cdef object arrays      # what the model's pointers point to
    cdef bint busy          # a thread is at it
    cdef bint broken        # an error, or Ctrl-C, has left a frame half done

    def __cinit__(self, Py_ssize_t n_classes, int blank, model=None, words=None):
        cdef Search *s = &self.search
        cdef const int32_t[::1] tokens
        cdef Py_ssize_t c
        cdef double weight, bonus
        if not 0 <= blank < n_classes:
            raise ValueError(f"blank must be a class, 0 to {n_classes - 1}, got {blank}")
        s.width = n_classes
        s.blank = blank
        s.capacity = 256
        s.classes = <Candidate *> malloc(n_classes * sizeof(Candidate))
        s.ceilings = <double *> malloc(n_classes * sizeof(double))
        if s.classes is NULL or s.ceilings is NULL:
            raise MemoryError()
        for c in range(n_classes):
            s.ceilings[c] = 1.0
        if words is not None:
            self.take_words(words)
        if model is not None:
            tables, tokens, ceilings, weight, bonus = (
                model.tables, model.tokens, model.ceilings, model.weight, model.bonus
            )
            s.start = model.start
            s.end = model.end
            if tokens.shape[0] != n_classes or len(ceilings) != n_classes:
                raise ValueError(f"a model must have {n_classes} tokens and ceilings, one a class")
            if not 0.0 < weight < INFINITY:
                raise ValueError(f"weight must be positive and finite, got {weight}")
            if not -INFINITY < bonus < INFINITY:
                raise ValueError(f"bonus must be finite, got {bonus}")
            fill(&s.model, tables)
            if not 0 <= s.start < s.model.n_nodes:
                raise ValueError(f"start must be a node, 0 to {s.model.n_nodes - 1}, got {s.start}")
            if not -1 <= s.end < s.model.children[1] - s.model.children[0]:
                raise ValueError(f"end must be a token of the model, or -1, got {s.end}")
            self.arrays = tables, tokens
            s.has_model = True
            s.tokens = &tokens[0]
            s.weight = weight
            s.bonus = bonus
            for c in range(n_classes):
                s.ceilings[c] = exp(weight * <double> ceilings[c] + bonus) * (1.0 + 1e-12)  # for roundings on the way
        s.has_notes = s.has_model or s.has_words
        if s.has_notes:
            s.row_capacity = 64
            s.max_rows = max(64, ROOM // n_classes)
            s.factors = <double *> malloc(s.row_capacity * n_classes * sizeof(double))
            s.next_states = <int *> malloc(s.row_capacity * n_classes * sizeof(int))
            s.row_states = <int *> malloc(2 * s.row_capacity * sizeof(int))
            s.row_words_states = s.row_states + s.row_capacity
            s.slots = <int *> malloc(2 * s.row_capacity * sizeof(int))
            if s.factors is NULL or s.next_states is NULL or s.row_states is NULL or s.slots is NULL:
                raise MemoryError()
        grow(s, s.capacity)
        self.reserve(16)
        start(s)

    cdef int take_words(self, words) except -1:
        cdef Search *s = &self.search
        tree, tables, is_word, begins = words.tree, words.tables, words.is_word_char, words.starts_word
        cdef const int32_t[::1] tree_labels = tree.node_labels, tree_ends = tree.ends, tree_words = tree.words
        cdef Py_ssize_t c
        s.forecast = words.forecast
        s.words_start = words.start
        s.n_tree = <int> tree_ends.shape[0] - 1
        if s.n_tree < 1 or tree_labels.shape[0] != s.n_tree + 1 or tree_words.shape[0] != s.n_tree + 1:
            raise ValueError("the tables of the tree must be equally long, and hold a node")
        if len(is_word) != s.width or len(begins) != s.width:
            raise ValueError(f"is_word_char and starts_word must have {s.width} entries, one a class")
        s.n_words = tree_words[s.n_tree]
        if tables is not None:
            fill(&s.words_model, tables)
            fill_sums(&s.words_model, words.sums)
            if s.words_model.children[1] - s.words_model.children[0] < s.n_words:
                raise ValueError(f"the model must know all {s.n_words} words")
            if not 0 <= s.words_start < s.words_model.n_nodes:
                raise ValueError(f"start must be a node, 0 to {s.words_model.n_nodes - 1}, got {s.words_start}")
            s.scored = True
        elif s.forecast:
            raise ValueError("a forecast must have a model of words")
        self.arrays = tree_labels, tree_ends, tree_words, tables, words.sums
        s.is_word = <char *> malloc(2 * s.width)
        if s.is_word is NULL:
            raise MemoryError()
        s.begins = s.is_word + s.width
        for c in range(s.width):
            s.is_word[c] = bool(is_word[c])
            s.begins[c] = bool(begins[c])
        s.tree_labels = &tree_labels[0]
        s.tree_ends = &tree_ends[0]
        s.tree_words = &tree_words[0]
        s.has_words = True
        s.hottest = 1.0
        if words.hot is not None:
            self.take_hot(words.hot)
        if words.fusion is not None:
            self.take_fusion(words.fusion)
        return 0

    cdef int take_fusion(self, fusion) except -1:
        cdef Search *s = &self.search
        s.words_weight = fusion.weight
        s.words_bonus = fusion.bonus
        s.unknown = fusion.unknown
        s.is_open = s.unknown == s.unknown
        if not 0.0 <= s.words_weight < INFINITY or not -INFINITY < s.words_bonus < INFINITY:
            raise ValueError(f"weight and bonus must be finite, got {s.words_weight} and {s.words_bonus}")
        if s.unknown > 0.0:
            raise ValueError(f"unknown must be a log probability, got {s.unknown}")
        s.fused = True
        s.forecast = s.scored  # rows of the table are for a state of the model too
        return 0

    cdef int take_hot(self, hot) except -1:
        cdef Search *s = &self.search
        cdef const int32_t[::1] labels = hot.node_labels, ends = hot.ends
        cdef const double[::1] partial = hot.partial, whole = hot.whole
        cdef double most = 0.0, highest = 0.0
        cdef Py_ssize_t i
        s.n_hot = <int> ends.shape[0] - 1
        if s.n_hot < 1 or not labels.shape[0] == partial.shape[0] == whole.shape[0] == s.n_hot + 1:
            raise ValueError("the tables of the hot words must be equally long, and hold a node")
        for i in range(s.n_hot):
            if not i < ends[i] <= s.n_hot or not -1e3 < partial[i] < 1e3 or not -1e3 < whole[i] < 1e3:
                raise ValueError(f"node {i} is no part of a tree of hot words")
            most = max(most, partial[i])
            highest = max(highest, whole[i])
        s.hottest = exp(most + highest)
        s.hot_labels = &labels[0]
        s.hot_ends = &ends[0]
        s.hot_partial = &partial[0]
        s.hot_whole = &whole[0]
        self.arrays = self.arrays, labels, ends, partial, whole
        return 0

    cdef int reserve(self, Py_ssize_t beam_width) except -1:
        """See to it that so many beams fit."""
        cdef Search *s = &self.search
        cdef Py_ssize_t room = s.room
        check_beam_width(beam_width)
        if beam_width <= room and room:
            s.beam_width = beam_width
            return 0
        s.beams = <Beam *> resized(s.beams, beam_width * sizeof(Beam))
        s.next_beams = <Beam *> resized(s.next_beams, beam_width * sizeof(Beam))
        s.stays = <Candidate *> resized(s.stays, beam_width * sizeof(Candidate))
        s.extensions = <Candidate *> resized(s.extensions, 2 * beam_width * sizeof(Candidate))
        s.sorted = <Candidate *> resized(s.sorted, max(2 * beam_width, s.width) * sizeof(Candidate))
        s.stay_blank = <double *> resized(s.stay_blank, beam_width * sizeof(double))
        s.stay_nonblank = <double *> resized(s.stay_nonblank, beam_width * sizeof(double))
        s.reach = <double *> resized(s.reach, beam_width * sizeof(double))
        s.first_child = <int *> resized(s.first_child, beam_width * sizeof(int))
        s.next_child = <int *> resized(s.next_child, beam_width * sizeof(int))
        s.cuts = <int *> resized(s.cuts, beam_width * sizeof(int))
        s.room = s.beam_width = beam_width
        return 0

    def __dealloc__(self):
        cdef Search *s = &self.search
        free(s.nodes)
        free(s.notes)
        free(s.beams)
        free(s.next_beams)
        free(s.stays)
        free(s.extensions)
        free(s.classes)
        free(s.sorted)
        free(s.stay_blank)
        free(s.stay_nonblank)
        free(s.reach)
        free(s.is_word)
        free(s.first_child)
        free(s.next_child)
        free(s.cuts)
        free(s.ceilings)
        free(s.factors)
        free(s.next_states)
        free(s.row_states)
        free(s.slots)

    cdef int enter(self) except -1:
        """Keep all other threads out, until ``leave``."""
        with cython.critical_section(self):  # where there is no GIL
            if self.busy:
                raise RuntimeError("beams must be used by one thread at a time")
            if self.broken:
                raise RuntimeError("beams must not be used any more after an error")
            self.busy = True
        return 0

    cdef void leave(self) noexcept:
        with cython.critical_section(self):
            self.busy = False

    def extend(self, const double[:, ::1] probs, Py_ssize_t beam_width):
        if probs.shape[1] != self.search.width:
            raise ValueError(f"probs must have {self.search.width} classes, got {probs.shape[1]}")
        check_beam_width(beam_width)
        self.enter()
        try:
            self.reserve(beam_width)
            if probs.shape[0]:
                self.broken = True
                with nogil:
                    extend(&self.search, &probs[0, 0], probs.shape[0])
                self.broken = False
        finally:
            self.leave()

    def best(self, Py_ssize_t n_best) -> list:
        cdef Search *s = &self.search
        cdef list result = []
        cdef Py_ssize_t i, n
        self.enter()
        try:
            with nogil:
                n = ranking(s, s.first_child)
            for i in range(min(n_best, n)):
                result.append((labels_of(s, s.beams[s.first_child[i]].node), score_of(s, s.first_child[i])))
        finally:
            self.leave()
        return result

    def prefixes(self) -> list:
        cdef Search *s = &self.search
        cdef list result = []
        cdef const Beam *beam
        cdef Py_ssize_t i
        self.enter()
        try:
            for i in range(s.n_beams):
                beam = &s.beams[i]
                if ancestor(s.nodes, beam.node, 0) == 1:
                    result.append((labels_of(s, beam.node), beam.blank > 0.0, beam.nonblank > 0.0))
        finally:
            self.leave()
        return result

    def stable(self, Py_ssize_t limit) -> tuple:
        cdef int node
        self.enter()
        try:
            with nogil:
                node = stable_prefix(&self.search, limit)
            return labels_of(&self.search, node)
        finally:
            self.leave()

    def commit(self, Py_ssize_t n_labels):
        cdef Search *s = &self.search
        cdef bint can = True
        self.enter()
        try:
            with nogil:
                can = 0 <= n_labels <= (s.nodes[s.beams[0].node].depth if s.n_beams else 0)
                if can and n_labels:
                    can = find_cuts(s, ancestor(s.nodes, s.beams[0].node, <int> n_labels))
                if can and s.n_beams:
                    if n_labels == 0:
                        keep_roots(s)
                    make_room(s)
        finally:
            self.leave()
        if not can:
            raise ValueError(f"n_labels must be a number of labels that can no longer change, got {n_labels}")


cdef int check_beam_width(Py_ssize_t beam_width) except -1:
    if not 1 <= beam_width <= 1 << 24:
        raise ValueError(f"beam_width must be 1 to {1 << 24}, got {beam_width}")
    return 0


cdef void *resized(void *memory, size_t size) except NULL:
    cdef void *result = realloc(memory, size)
    if result is NULL:
        raise MemoryError()
    return result


cdef struct Result:
    double score
    int n_labels
    int *labels

cdef struct Task:
    const double *rows
    Py_ssize_t n_frames
    Py_ssize_t n_results
    Result *results


cdef int run(Search *s, Task *task, Py_ssize_t n_best) except -1 nogil:
    """Search one sequence, and keep its best labels."""
    cdef Py_ssize_t i
    cdef int node, k
    cdef Result *result
    start(s)
    extend(s, task.rows, task.n_frames)
    n_best = min(n_best, ranking(s, s.first_child))
    task.results = <Result *> calloc(n_best + 1, sizeof(Result))
    if task.results is NULL:
        with gil:
            raise MemoryError()
    for i in range(n_best):
        node = s.beams[s.first_child[i]].node
        result = &task.results[i]
        result.score = score_of(s, s.first_child[i])
        result.n_labels = s.nodes[node].depth
        result.labels = <int *> malloc((result.n_labels + 1) * sizeof(int))
        if result.labels is NULL:
            with gil:
                raise MemoryError()
        task.n_results += 1
        for k in range(result.n_labels - 1, -1, -1):
            result.labels[k] = s.nodes[node].label
            node = s.nodes[node].parent
    return 0


def beam_search(
    const double[:, ::1] probs, int blank, Py_ssize_t beam_width, Py_ssize_t n_best, model=None, words=None
) -> list:
    return beam_search_batch([probs], blank, beam_width, n_best, model, words)[0]


def beam_search_batch(
    batch, int blank, Py_ssize_t beam_width, Py_ssize_t n_best, model=None, words=None
) -> list:
    """All sequences in one stretch without the GIL, and in the same memory, so that threads do not wait for each other
    in between and the cache stays warm."""
    cdef list sequences = list(batch), kept = [], result = []
    cdef Py_ssize_t i, k, n = len(sequences)
    cdef const double[:, ::1] probs
    cdef Beams beams
    cdef Result *found
    cdef Task *tasks
    if n == 0:
        return []
    probs = sequences[0]
    beams = Beams(probs.shape[1], blank, model, words)
    beams.reserve(beam_width)
    tasks = <Task *> calloc(n, sizeof(Task))
    if tasks is NULL:
        raise MemoryError()
    try:
        for i in range(n):
            probs = sequences[i]
            kept.append(probs)
            if probs.shape[1] != beams.search.width:
                raise ValueError(f"all sequences must have {beams.search.width} classes, got {probs.shape[1]}")
            tasks[i].rows = &probs[0, 0] if probs.shape[0] else NULL
            tasks[i].n_frames = probs.shape[0]
        with nogil:
            for i in range(n):
                run(&beams.search, &tasks[i], n_best)
        for i in range(n):
            hypotheses = []
            for k in range(tasks[i].n_results):
                found = &tasks[i].results[k]
                hypotheses.append((as_tuple(<const int32_t *> found.labels, found.n_labels), found.score))
            result.append(hypotheses)
        return result
    finally:
        for i in range(n):
            for k in range(tasks[i].n_results):
                free(tasks[i].results[k].labels)
            free(tasks[i].results)
        free(tasks)
