"""Twin of fastctc.reference.beam_search, without touching what cannot survive.

A beam is a node of the arena (arena.pxd) and two sums. Beams stand in descending order of their ranks. In each frame
the beams that merely stay, and those that go on by the most probable class, give a threshold: none of the survivors can
be smaller than the smallest of any beam_width candidates. Since beams and classes descend, the other extensions that
exceed it form a staircase, and only those are ever formed. Nothing is lost: an extension that was not formed is smaller
than beam_width candidates that were.

With models this holds for bounds. A model of characters (character_model.pxd) multiplies the class's probability by a
factor: in the bounds, by the greatest factor that it gives the class after any history. With a lexicon model
(lexicon_model.pxd) a beam is ranked by its total times a weight: in the bounds, times the greatest weight that it may
have after one more label.
"""

cimport cython
from libc.float cimport DBL_MAX
from libc.math cimport INFINITY, exp, frexp, ldexp, log
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

from fastctc.compiled.arena cimport Node, add_child, ancestor, attach, child_of, precedes, start_arena
from fastctc.compiled.character_model cimport char_factor, may_end, next_char_state
from fastctc.compiled.lexicon_model cimport (
    advance_state, check_lexicon_model, free_lexicon_model, init_state, take_lexicon_model, weigh_end
)
from fastctc.compiled.memo cimport forget_rows, free_memo, has_room, make_memo_room, start_memo
from fastctc.compiled.ngram cimport fill
from fastctc.compiled.tuples cimport as_tuple

cdef double LN2 = 0.693147180559945309417
cdef double SMALLEST = 5e-324  # of all numbers above 0
cdef Py_ssize_t LEAST_EXPONENT = -100000  # of what has any share in a sum of probabilities, and far below


cdef bint stands_before(const Search *s, const Candidate *a, const Candidate *b) noexcept nogil:
    """The order of equals: that of their texts. Not inline, since it is rare, and sorting is not."""
    return precedes(s.arena.nodes, s.beam_set.beams[a.beam].node, a.label, s.beam_set.beams[b.beam].node, b.label)


cdef inline bint ranks_above(const Search *s, const Candidate *a, const Candidate *b) noexcept nogil:
    return a.score > b.score or (a.score == b.score and stands_before(s, a, b))


cdef void sort(const Search *s, Candidate *items, Py_ssize_t n) noexcept nogil:
    """Best first. Runs of 32 by insertion, since beams of one frame are nearly in order; then merged."""
    cdef Py_ssize_t start = 0, stop, i, j, k, middle, run = 32
    cdef Candidate item
    cdef Candidate *source = items
    cdef Candidate *target = s.beam_set.sorted
    while start < n:
        stop = min(start + run, n)
        for i in range(start + 1, stop):
            if not ranks_above(s, &items[i], &items[i - 1]):
                continue
            item = items[i]
            j = i
            while j > start and ranks_above(s, &item, &items[j - 1]):
                items[j] = items[j - 1]
                j -= 1
            items[j] = item
        start = stop
    while run < n:
        start = 0
        while start < n:
            middle = min(start + run, n)
            stop = min(start + 2 * run, n)
            if middle == stop or not ranks_above(s, &source[middle], &source[middle - 1]):
                memcpy(&target[start], &source[start], (stop - start) * sizeof(Candidate))
                start += 2 * run
                continue
            i = start
            j = middle
            for k in range(start, stop):
                if j >= stop or (i < middle and ranks_above(s, &source[i], &source[j])):
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
    cdef int k = s.beam_set.first_child[i]
    while k >= 0:
        if s.beam_set.beams[k].label == label:
            return True
        k = s.beam_set.next_child[k]
    return False


cdef inline double arriving(const Beam *beam, const double *row, int label) noexcept nogil:
    """The paths of a beam that may be extended by a label, times its probability.

    After its own repetition a label needs a blank, or else the two are one.
    """
    return (beam.blank if label == beam.label else beam.total) * row[label]


cdef double weigh_words(Search *s, const Beam *beam, int label, double result) noexcept nogil:
    """What ranks the paths of a beam that arrive at a label; 0 if the label must not follow."""
    cdef PrefixState state
    if not advance_state(&s.words, &s.memo, &s.states[beam.node], label, &state):
        return 0.0
    return result * state.factor * state.weight


cdef inline double rank_of_extension(Search *s, const Beam *beam, const double *row, int label) noexcept nogil:
    """What ranks the beam extended by a label; 0 if it must not be."""
    cdef double result = arriving(beam, row, label)
    if s.has_characters and result > 0.0:
        result *= char_factor(&s.characters, &s.memo, &s.states[beam.node], label)
    if s.has_words and result > 0.0:
        return weigh_words(s, beam, label, result)
    return result


cdef inline void push_extension(Search *s, Py_ssize_t place, double score, Py_ssize_t i, int label) noexcept nogil:
    cdef Candidate *candidate = &s.beam_set.extensions[place]
    candidate.score = score
    candidate.beam = <int> i
    candidate.label = label


cdef inline void mark_beams(Search *s) noexcept nogil:
    """Let each prefix know the place of its beam."""
    cdef Py_ssize_t i
    cdef Node *node
    s.frame += 1
    for i in range(s.beam_set.n_beams):
        node = &s.arena.nodes[s.beam_set.beams[i].node]
        node.beam = <int> i
        node.frame = s.frame
        s.beam_set.first_child[i] = -1


cdef inline const double *link_beam(Search *s, Py_ssize_t i) noexcept nogil:
    """Make a beam a child of its parent, if that is a beam too; and return which sum of that arrives, NULL if none."""
    cdef BeamSet *beam_set = &s.beam_set
    cdef const Beam *beam = &beam_set.beams[i]
    cdef const Node *nodes = s.arena.nodes
    cdef const Node *above = &nodes[nodes[beam.node].parent]
    cdef const Beam *parent
    if above.frame != s.frame:
        return NULL
    parent = &beam_set.beams[above.beam]
    beam_set.next_child[i] = beam_set.first_child[above.beam]
    beam_set.first_child[above.beam] = <int> i
    # after its own repetition a label needs a blank
    return &parent.blank if parent.label == beam.label else &parent.total


cdef inline double find_stays(Search *s, const double *row, bint *descend) noexcept nogil:
    """Every beam may stay: by a blank, by its last label once more, or by a path of its parent that arrives just now.

    Returns the greatest reach of a beam; and whether the stays stand in their order already: they do if they descend,
    and equal ones were equal before, hence in the order of their texts.
    """
    cdef BeamSet *beam_set = &s.beam_set
    cdef const Beam *beam
    cdef const PrefixState *state
    cdef const double *source
    cdef double at_blank = row[s.blank], blank, nonblank, arrived, score, reach, before = INFINITY, farthest = 0.0
    cdef Py_ssize_t i, n = 0
    cdef bint linked = beam_set.linked
    if not linked:
        mark_beams(s)
    beam_set.linked = True
    descend[0] = True
    for i in range(beam_set.n_beams):
        beam = &beam_set.beams[i]
        blank = beam.total * at_blank
        nonblank = 0.0
        if beam.label >= 0:
            nonblank = beam.nonblank * row[beam.label]
            source = beam_set.sources[i] if linked else link_beam(s, i)
            beam_set.sources[i] = source
            if source is not NULL:
                arrived = source[0] * row[beam.label]
                if s.has_states:
                    arrived *= s.states[beam.node].factor
                nonblank += arrived
        score = blank + nonblank
        reach = beam.total
        beam_set.stay_blank[i] = blank
        beam_set.stay_nonblank[i] = nonblank
        if s.has_words:
            state = &s.states[beam.node]
            score *= state.weight
            reach *= state.bound
        beam_set.reach[i] = reach
        farthest = max(farthest, reach)
        if not score < before and (s.has_words or not score == before or beam.total != beam_set.beams[i - 1].total):
            descend[0] = False
        before = score
        if score > 0.0:
            beam_set.stays[n].score = score
            beam_set.stays[n].beam = <int> i
            beam_set.stays[n].label = -1
            n += 1
    beam_set.n_stays = n
    return farthest


cdef inline bint stay_as_they_are(Search *s, double highest) noexcept nogil:
    """Let all beams stay where they stand, if no extension can survive; whether it was so.

    Most frames of a sure network are of this kind. The totals must descend (find_stays), and `highest` be the highest
    probability of a class besides the blank. Then no extension has more than the first beam's total times that. Sources
    and children remain what they are, too, since all beams keep their places.
    """
    cdef BeamSet *beam_set = &s.beam_set
    cdef Py_ssize_t n = beam_set.n_beams, i
    cdef double first, last, lowest
    if n == 0:
        return False
    first = beam_set.stay_blank[0] + beam_set.stay_nonblank[0]
    last = beam_set.stay_blank[n - 1] + beam_set.stay_nonblank[n - 1]
    lowest = max(last if n == beam_set.width else SMALLEST, first * s.thresholds.beam_floor)
    if not (last > 0.0 and last >= lowest and beam_set.beams[0].total * highest < lowest):
        return False
    for i in range(n):
        beam_set.beams[i].blank = beam_set.stay_blank[i]
        beam_set.beams[i].nonblank = beam_set.stay_nonblank[i]
        beam_set.beams[i].total = beam_set.stay_blank[i] + beam_set.stay_nonblank[i]
    return True


cdef inline double highest_between(const double *row, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    """The highest number, 0 if none is above it. Four at a time, since each comparison waits for the one before."""
    cdef double a = 0.0, b = 0.0, c = 0.0, d = 0.0
    cdef Py_ssize_t i = start
    while i + 4 <= stop:
        a = row[i] if row[i] > a else a
        b = row[i + 1] if row[i + 1] > b else b
        c = row[i + 2] if row[i + 2] > c else c
        d = row[i + 3] if row[i + 3] > d else d
        i += 4
    while i < stop:
        a = row[i] if row[i] > a else a
        i += 1
    a = b if b > a else a
    c = d if d > c else c
    return c if c > a else a


cdef inline double highest_label(const Search *s, const double *row) noexcept nogil:
    """The highest probability of a class besides the blank."""
    return max(highest_between(row, 0, s.blank), highest_between(row, s.blank + 1, s.n_classes))


cdef inline int class_with(const Search *s, const double *row, double highest) noexcept nogil:
    """The first class besides the blank that has the highest probability; -1 if all have probability 0."""
    cdef Py_ssize_t c = 0
    if highest == 0.0:
        return -1
    while row[c] != highest or c == s.blank:
        c += 1
    return <int> c


cdef inline double total_of_beams(const Search *s) noexcept nogil:
    cdef double total = 0.0
    cdef Py_ssize_t i
    for i in range(s.beam_set.n_beams):
        total += s.beam_set.beams[i].total
    return total


cdef inline void drop_classes(Search *s, const double *row) noexcept nogil:
    """Take the probable classes of a frame over, and count what the others would have had."""
    cdef Thresholds *thresholds = &s.thresholds
    cdef double highest = max(highest_label(s, row), row[s.blank])
    cdef double floor = min(thresholds.class_floor, highest), kept = 0.0, lost = 0.0
    cdef Py_ssize_t c
    for c in range(s.n_classes):
        if row[c] >= floor:
            thresholds.row[c] = row[c]
            kept += row[c]
        else:
            thresholds.row[c] = 0.0
            lost += row[c]
    thresholds.row_sum = kept
    if lost > 0.0:
        thresholds.dropped += ldexp(lost * total_of_beams(s), <int> max(s.exponent, LEAST_EXPONENT))


cdef double mass_of_candidate(Search *s, const double *row, const Candidate *candidate) noexcept nogil:
    """The paths of a candidate, without what weighs them in its rank."""
    cdef PrefixState state
    cdef const Beam *beam = &s.beam_set.beams[candidate.beam]
    cdef double result
    if candidate.label < 0:
        return s.beam_set.stay_blank[candidate.beam] + s.beam_set.stay_nonblank[candidate.beam]
    result = arriving(beam, row, candidate.label)
    if s.has_characters:
        result *= char_factor(&s.characters, &s.memo, &s.states[beam.node], candidate.label)
    if s.has_words and advance_state(&s.words, &s.memo, &s.states[beam.node], candidate.label, &state):
        result *= state.factor
    return result


cdef inline void count_dropped_beams(Search *s, double before) noexcept nogil:
    """Without models: what the beams had before the frame, and have no more. Not dropped where the width is full."""
    cdef double lost = before * s.thresholds.row_sum - total_of_beams(s)
    if s.beam_set.n_beams < s.beam_set.width and lost > 0.0:
        s.thresholds.dropped += ldexp(lost, <int> max(s.exponent, LEAST_EXPONENT))


cdef inline Py_ssize_t extend_by_best_class(Search *s, const double *row, int best) noexcept nogil:
    """Form the extensions by one class that may survive; return their number.

    At most one a beam, and there are no more beams than `room`: they fit into half of the buffer.
    """
    cdef BeamSet *beam_set = &s.beam_set
    cdef Py_ssize_t n = beam_set.n_beams, n_extensions = 0, i
    cdef double lowest = beam_set.stays[beam_set.width - 1].score if beam_set.n_stays >= beam_set.width else 0.0, score
    for i in range(n):
        if beam_set.reach[i] * row[best] * s.ceilings[best] < lowest:
            # Without words, a beam's reach is its total, its rank too: the beams descend, and no other reaches farther.
            # With words they descend by another number than their reach.
            if s.has_words:
                continue
            break
        score = rank_of_extension(s, &beam_set.beams[i], row, best)
        if score >= lowest and score > 0.0 and not is_beam(s, i, best):
            push_extension(s, n_extensions, score, i, best)
            n_extensions += 1
    return n_extensions


cdef inline double find_threshold(const Search *s, Py_ssize_t n_extensions) noexcept nogil:
    """None of the survivors is smaller than the smallest of any `width` candidates, so of these; 0 if they are fewer.

    The stays are sorted, the extensions need not be. Whichever candidates the merge takes, they are `width` different
    ones, and the threshold is the smallest of them.
    """
    cdef const BeamSet *beam_set = &s.beam_set
    cdef Py_ssize_t i = 0, j = 0
    cdef double threshold = INFINITY, score
    if beam_set.n_stays + n_extensions < beam_set.width:
        return 0.0
    while i + j < beam_set.width:
        if j == n_extensions or (i < beam_set.n_stays and beam_set.stays[i].score >= beam_set.extensions[j].score):
            score = beam_set.stays[i].score
            i += 1
        else:
            score = beam_set.extensions[j].score
            j += 1
        threshold = min(threshold, score)
    return threshold


cdef inline double highest_of_four(const double *row, const double *ceilings) noexcept nogil:
    cdef double a = row[0] * ceilings[0], b = row[1] * ceilings[1], c = row[2] * ceilings[2], d = row[3] * ceilings[3]
    a = b if b > a else a
    c = d if d > c else c
    return c if c > a else a


cdef inline Py_ssize_t find_classes(
    Search *s, const double *row, int best, double threshold, double farthest
) noexcept nogil:
    """The other classes whose extensions may reach the threshold, most probable first; return their number.

    An extension is no greater than the farthest reach times the class's probability and ceiling. The quotient is
    lowered by more than its rounding. If nothing reaches anywhere, as where all words that may follow are impossible,
    no extension survives; 0 / 0 would say so too, but only because NaN exceeds nothing.
    """
    cdef Candidate *classes = s.beam_set.classes
    cdef const double *ceilings = s.ceilings
    cdef Py_ssize_t n_classes = 0, c = 0
    cdef double lowest, score
    if not farthest > 0.0:
        return 0
    lowest = max(threshold / farthest * (1.0 - 1e-12), SMALLEST)
    while c < s.n_classes:
        if c + 4 <= s.n_classes and highest_of_four(row + c, ceilings + c) < lowest:
            c += 4
            continue
        score = row[c] * ceilings[c]
        if score >= lowest and c != s.blank and c != best:
            classes[n_classes].score = score
            classes[n_classes].beam = 0
            classes[n_classes].label = <int> c
            n_classes += 1
        c += 1
    if n_classes:
        sort(s, classes, n_classes)
    return n_classes


cdef inline Py_ssize_t extend_by_classes(
    Search *s, const double *row, Py_ssize_t n_classes, double threshold, Py_ssize_t n_extensions
) noexcept nogil:
    """Form the other extensions that may survive; return the number of all.

    When the buffer of 2 * room is full, all but the `width` best are dropped: as many are left that are no smaller, so
    none of those dropped survives, and the threshold rises. Since width <= room, half of the buffer is free then.
    """
    cdef BeamSet *beam_set = &s.beam_set
    cdef const Candidate *classes = beam_set.classes
    cdef Py_ssize_t i, c
    cdef double score, reach
    for i in range(beam_set.n_beams):
        reach = beam_set.reach[i]
        if reach * classes[0].score < threshold:
            if s.has_words:  # as in extend_by_best_class
                continue
            break
        for c in range(n_classes):
            score = reach * classes[c].score
            if score < threshold or score == 0.0:
                break
            score = rank_of_extension(s, &beam_set.beams[i], row, classes[c].label)
            if score < threshold or score == 0.0 or is_beam(s, i, classes[c].label):
                continue
            push_extension(s, n_extensions, score, i, classes[c].label)
            n_extensions += 1
            if n_extensions >= 2 * beam_set.room:
                sort(s, beam_set.extensions, n_extensions)
                n_extensions = beam_set.width
                threshold = max(threshold, beam_set.extensions[n_extensions - 1].score)
        s.worked += n_classes
    return n_extensions


cdef void set_state(Search *s, int node, int parent, int label) noexcept nogil:
    """What the models know about a prefix that is new: its parent, extended by a label."""
    cdef PrefixState *state = &s.states[node]
    state.factor = 1.0
    if s.has_words:
        advance_state(&s.words, &s.memo, &s.states[parent], label, state)
    if s.has_characters:
        state.factor *= char_factor(&s.characters, &s.memo, &s.states[parent], label)
        state.char_state = next_char_state(&s.memo, &s.states[parent], label)
    state.word_row = state.char_row = -1


cdef inline int find_or_add(Search *s, int parent, int label) noexcept nogil:
    """The node of a prefix extended by a label."""
    cdef int node = child_of(&s.arena, parent, label)
    if node < 0:
        node = add_child(&s.arena, parent, label)
        if s.has_states:
            set_state(s, node, parent, label)
    return node


cdef inline void select_survivors(Search *s, const double *row, Py_ssize_t n_extensions) noexcept nogil:
    """Merge stays and extensions, both sorted, and make beams of the best."""
    cdef BeamSet *beam_set = &s.beam_set
    cdef Py_ssize_t i = 0, j = 0, k = 0, n_dropped = 0
    cdef double least = 0.0, dropped = 0.0
    cdef const Candidate *candidate
    cdef const Beam *old
    cdef Beam *beam
    while k + n_dropped < beam_set.width:
        if i < beam_set.n_stays and (
            j >= n_extensions or ranks_above(s, &beam_set.stays[i], &beam_set.extensions[j])
        ):
            candidate = &beam_set.stays[i]
            i += 1
        elif j < n_extensions:
            candidate = &beam_set.extensions[j]
            j += 1
        else:
            break
        if k == 0:
            least = candidate.score * s.thresholds.beam_floor
        elif candidate.score < least:
            if not s.has_states:  # those that follow are counted together
                break
            n_dropped += 1
            dropped += mass_of_candidate(s, row, candidate)
            continue
        old = &beam_set.beams[candidate.beam]
        beam = &beam_set.next_beams[k]
        k += 1
        if candidate.label < 0:
            beam.node = old.node
            beam.label = old.label
            beam.blank = beam_set.stay_blank[candidate.beam]
            beam.nonblank = beam_set.stay_nonblank[candidate.beam]
        else:
            # No path of a prefix that is new to the beams ends in a blank: without a weight its rank is its one sum.
            beam.node = find_or_add(s, old.node, candidate.label)
            beam.label = candidate.label
            beam.blank = 0.0
            beam.nonblank = candidate.score
            if s.has_words:
                beam.nonblank = arriving(old, row, candidate.label) * s.states[beam.node].factor
        beam.total = candidate.score if not s.has_words else beam.blank + beam.nonblank
    beam_set.beams, beam_set.next_beams = beam_set.next_beams, beam_set.beams
    beam_set.n_beams = k
    beam_set.linked = False
    if dropped > 0.0:
        s.thresholds.dropped += ldexp(dropped, <int> max(s.exponent, LEAST_EXPONENT))


cdef inline void rescale(Search *s) noexcept nogil:
    """Multiply all sums by the power of two that brings the best beam's total to 0.5 or more, below 1: exact."""
    cdef Beam *beams = s.beam_set.beams
    cdef Py_ssize_t i
    cdef double factor
    cdef int shift
    if s.beam_set.n_beams == 0:
        return
    frexp(beams[0].total, &shift)
    if shift == 0:
        return
    s.exponent += shift
    factor = ldexp(1.0, -shift)
    for i in range(s.beam_set.n_beams):
        beams[i].blank *= factor
        beams[i].nonblank *= factor
        beams[i].total *= factor


cdef int advance_frame(Search *s, const double *row) except -1 nogil:
    """Take in one frame."""
    cdef Py_ssize_t n_beams = s.beam_set.n_beams, n_extensions = 0, n_classes
    cdef double farthest, threshold, highest, before = 0.0
    cdef bint descend, counts = s.thresholds.given and s.thresholds.beam_floor > 0.0 and not s.has_states
    cdef int best
    if s.thresholds.given:
        drop_classes(s, row)
        row = s.thresholds.row
        before = total_of_beams(s) if counts else 0.0
    farthest = find_stays(s, row, &descend)
    highest = highest_label(s, row)
    if not (descend and not s.has_states and stay_as_they_are(s, highest)):
        if not descend:
            sort(s, s.beam_set.stays, s.beam_set.n_stays)
        best = class_with(s, row, highest)
        if best >= 0:
            n_extensions = extend_by_best_class(s, row, best)
        threshold = find_threshold(s, n_extensions)
        if counts and s.beam_set.n_stays:  # with models, all that the width would keep are counted, hence formed
            threshold = max(threshold, s.beam_set.stays[0].score * s.thresholds.beam_floor)
        n_classes = find_classes(s, row, best, threshold, farthest)
        if n_classes:
            n_extensions = extend_by_classes(s, row, n_classes, threshold, n_extensions)
        sort(s, s.beam_set.extensions, n_extensions)
        select_survivors(s, row, n_extensions)
    if counts:
        count_dropped_beams(s, before)
    rescale(s)
    return count_work(s, n_beams + n_extensions)


cdef int grow_arena(Search *s, Py_ssize_t capacity) except -1 nogil:
    cdef Node *nodes
    cdef PrefixState *states
    if capacity > 0x7fffffff:
        with gil:
            raise MemoryError("more than 2**31 prefixes: use a smaller beam width")
    nodes = <Node *> realloc(s.arena.nodes, capacity * sizeof(Node))
    if nodes is not NULL:
        s.arena.nodes = nodes
        if s.has_states:
            states = <PrefixState *> realloc(s.states, capacity * sizeof(PrefixState))
            if states is not NULL:
                s.states = states
    if nodes is NULL or (s.has_states and states is NULL):
        with gil:
            raise MemoryError()
    s.arena.capacity = capacity
    return 0


cdef void keep_roots(Search *s) noexcept nogil:
    """Cut every beam where it begins already."""
    cdef Py_ssize_t i
    for i in range(s.beam_set.n_beams):
        s.beam_set.cuts[i] = ancestor(s.arena.nodes, s.beam_set.beams[i].node, 0)


cdef int compact(Search *s) except -1 nogil:
    """Forget all prefixes that no beam begins with, and what stands before the cuts; see to it that a frame fits."""
    cdef BeamSet *beam_set = &s.beam_set
    cdef Py_ssize_t capacity = s.arena.capacity, live, i
    cdef const Node *old = s.arena.nodes
    cdef const PrefixState *old_states = s.states
    cdef Node *nodes
    cdef PrefixState *states = NULL
    cdef int *places
    cdef int node, roots = 1, root
    places = <int *> malloc(s.arena.n_nodes * sizeof(int))
    nodes = <Node *> malloc(capacity * sizeof(Node))
    if s.has_states:
        states = <PrefixState *> malloc(capacity * sizeof(PrefixState))
    if places is NULL or nodes is NULL or (s.has_states and states is NULL):
        free(places)
        free(nodes)
        free(states)
        with gil:
            raise MemoryError()
    for i in range(s.arena.n_nodes):
        places[i] = -1
    nodes[0] = old[0]
    nodes[0].child = -1
    # The best beam is below the main root, which comes first. No root is above another, so that they stand in the order
    # of any beams below them.
    for i in range(beam_set.n_beams):
        node = beam_set.cuts[i]
        if places[node] < 0:
            places[node] = roots
            beam_set.stays[roots - 1].score = 0.0  # scratch between two frames
            beam_set.stays[roots - 1].beam = <int> i
            beam_set.stays[roots - 1].label = -1
            roots += 1
    live = roots
    sort(s, beam_set.stays, roots - 1)
    for i in range(roots - 1):
        node = beam_set.cuts[beam_set.stays[i].beam]
        root = places[node]
        attach(nodes, root, 0, <int> i + 1)
        if s.has_states:
            states[root] = old_states[node]
    for i in range(beam_set.n_beams):
        node = beam_set.beams[i].node
        while places[node] < 0:
            places[node] = 0
            node = old[node].parent
    # Parents stand before their children, and keep doing so.
    for i in range(s.arena.n_nodes):
        if places[i] == 0:
            places[i] = <int> live
            attach(nodes, <int> live, places[old[i].parent], old[i].label)
            if s.has_states:
                states[live] = old_states[i]
            live += 1
    for i in range(beam_set.n_beams):
        beam_set.beams[i].node = places[beam_set.beams[i].node]
    beam_set.linked = False
    free(places)
    free(s.arena.nodes)
    free(s.states)
    s.arena.nodes = nodes
    s.arena.n_nodes = live
    s.states = states
    s.frame = 0
    while capacity < 2 * (live + beam_set.width):
        capacity *= 2
    return grow_arena(s, capacity) if capacity > s.arena.capacity else 0


cdef int forget_answers(Search *s) except -1 nogil:
    """Forget what the models have answered; see to it that the answers of a frame fit."""
    cdef Py_ssize_t i
    for i in range(s.arena.n_nodes):
        s.states[i].word_row = s.states[i].char_row = -1
    return make_memo_room(&s.memo, s.beam_set.width)


cdef void start(Search *s) noexcept nogil:
    """Only the empty prefix, and no frame yet."""
    cdef Beam *beam = &s.beam_set.beams[0]
    start_arena(&s.arena)
    if s.has_states:
        init_state(&s.words, &s.states[1])
        s.states[1].char_state = s.characters.start
        s.states[1].char_row = -1
        forget_rows(&s.memo)
    beam.node = 1
    beam.label = -1
    beam.blank = 1.0
    beam.nonblank = 0.0
    beam.total = 1.0
    s.beam_set.n_beams = 1
    s.beam_set.linked = False
    s.thresholds.dropped = 0.0
    s.exponent = 0
    s.frame = -1


cdef int extend(Search *s, const double *rows, Py_ssize_t n_frames) except -1 nogil:
    cdef Py_ssize_t t
    for t in range(n_frames):
        if s.beam_set.n_beams == 0:
            break
        # A frame adds no more prefixes than survive it.
        if s.arena.capacity - s.arena.n_nodes < s.beam_set.width or s.frame == 0x7fffffff:
            keep_roots(s)
            compact(s)
        if s.has_states and not has_room(&s.memo, s.beam_set.width):
            forget_answers(s)
        advance_frame(s, rows + t * s.n_classes)
    if s.has_words:
        check_lexicon_model(&s.words)
    return 0


cdef bint final_weight(Search *s, Py_ssize_t i, double *weight) noexcept nogil:
    """What weighs a beam if the text ends with it; false if the models allow no end there: then as if it went on."""
    cdef const PrefixState *state
    cdef double end = 1.0
    cdef bint allowed = True
    weight[0] = 1.0
    if not s.has_states:
        return True
    state = &s.states[s.beam_set.beams[i].node]
    if s.has_words:
        allowed = weigh_end(&s.words, state, weight)
    if s.has_characters and allowed:
        allowed = may_end(&s.characters, state, &end)
    weight[0] *= end
    if not allowed:
        weight[0] = state.weight if s.has_words else 1.0
    return allowed


cdef double log_score(Search *s, Py_ssize_t i) noexcept nogil:
    cdef double weight
    final_weight(s, i, &weight)
    return log(s.beam_set.beams[i].total) + s.exponent * LN2 + log(weight)


cdef Py_ssize_t rank_texts(Search *s, int *order) noexcept nogil:
    """The beams that are texts, best first; those that the models allow at no end of a text come last."""
    cdef Py_ssize_t i, n = 0, k
    cdef double rank, weight
    cdef double *ranks = s.beam_set.stay_blank  # scratch between two frames
    cdef bint allowed, is_sorted = not s.words.fused and not s.words.hot.n_nodes
    s.beam_set.linked = False  # the order may stand where the children did
    if s.has_characters and s.characters.end >= 0:
        is_sorted = False
    for i in range(s.beam_set.n_beams):
        if ancestor(s.arena.nodes, s.beam_set.beams[i].node, 0) != 1:
            continue
        k = n
        n += 1
        order[k] = <int> i
        if is_sorted:
            continue
        allowed = final_weight(s, i, &weight)
        rank = s.beam_set.beams[i].total * weight
        ranks[i] = rank if allowed else -1.0 / (1.0 + rank)  # in their order, below all others
        while k > 0 and ranks[order[k - 1]] < ranks[i]:
            order[k] = order[k - 1]
            k -= 1
        order[k] = <int> i
    return n


cdef tuple labels_of(const Search *s, int node):
    cdef list labels = []
    while s.arena.nodes[node].depth > 0:
        labels.append(s.arena.nodes[node].label)
        node = s.arena.nodes[node].parent
    labels.reverse()
    return tuple(labels)


cdef class Beams:
    def __cinit__(
        self, Py_ssize_t n_classes, int blank, character_model=None, lexicon_model=None, thresholds=None
    ):
        cdef Search *s = &self.search
        cdef Py_ssize_t c
        if not 0 <= blank < n_classes:
            raise ValueError(f"blank must be a class, 0 to {n_classes - 1}, got {blank}")
        s.n_classes = n_classes
        s.blank = blank
        s.beam_set.classes = <Candidate *> malloc(n_classes * sizeof(Candidate))
        s.ceilings = <double *> malloc(n_classes * sizeof(double))
        if s.beam_set.classes is NULL or s.ceilings is NULL:
            raise MemoryError()
        for c in range(n_classes):
            s.ceilings[c] = 1.0
        s.words.hot.most = 1.0
        if lexicon_model is not None:
            self.arrays = take_lexicon_model(&s.words, n_classes, lexicon_model)
            s.has_words = True
        if character_model is not None:
            self.take_character_model(character_model)
        s.has_states = s.has_characters or s.has_words
        if s.has_states:
            start_memo(&s.memo, n_classes)
        if thresholds is not None:
            self.take_thresholds(thresholds)
        grow_arena(s, 256)
        self.reserve(16)
        start(s)

    cdef int take_character_model(self, given) except -1:
        cdef Search *s = &self.search
        cdef CharacterModel *model = &s.characters
        cdef const int32_t[::1] tokens = given.tokens
        cdef Py_ssize_t c
        tables, ceilings = given.tables, given.ceilings
        model.start = given.start
        model.end = given.end
        model.weight = given.weight
        model.bonus = given.bonus
        if tokens.shape[0] != s.n_classes or len(ceilings) != s.n_classes:
            raise ValueError(f"a model must have {s.n_classes} tokens and ceilings, one a class")
        if not 0.0 < model.weight < INFINITY:
            raise ValueError(f"weight must be positive and finite, got {model.weight}")
        if not -INFINITY < model.bonus < INFINITY:
            raise ValueError(f"bonus must be finite, got {model.bonus}")
        fill(&model.ngram, tables)
        if not 0 <= model.start < model.ngram.n_nodes:
            raise ValueError(f"start must be a node, 0 to {model.ngram.n_nodes - 1}, got {model.start}")
        if not -1 <= model.end < model.ngram.children[1] - model.ngram.children[0]:
            raise ValueError(f"end must be a token of the model, or -1, got {model.end}")
        self.arrays = self.arrays, tables, tokens
        model.tokens = &tokens[0]
        s.has_characters = True
        for c in range(s.n_classes):  # raised by more than all roundings on the way; finite, so that no product is NaN
            s.ceilings[c] = min(exp(model.weight * <double> ceilings[c] + model.bonus) * (1.0 + 1e-12), DBL_MAX)
        return 0

    cdef int take_thresholds(self, given) except -1:
        cdef Thresholds *thresholds = &self.search.thresholds
        thresholds.class_floor, thresholds.beam_floor = given.class_floor, given.beam_floor
        if not (0.0 <= thresholds.class_floor <= 1.0 and 0.0 <= thresholds.beam_floor <= 1.0):
            raise ValueError(f"thresholds must be 0 to 1, got {given.class_floor} and {given.beam_floor}")
        thresholds.row = <double *> malloc(self.search.n_classes * sizeof(double))
        if thresholds.row is NULL:
            raise MemoryError()
        thresholds.given = True
        return 0

    cdef int reserve(self, Py_ssize_t beam_width) except -1:
        """See to it that so many beams fit."""
        cdef BeamSet *beam_set = &self.search.beam_set
        check_beam_width(beam_width)
        if beam_width > beam_set.room:
            beam_set.linked = False
            beam_set.sources = <const double **> resized(beam_set.sources, beam_width * sizeof(double *))
            beam_set.beams = <Beam *> resized(beam_set.beams, beam_width * sizeof(Beam))
            beam_set.next_beams = <Beam *> resized(beam_set.next_beams, beam_width * sizeof(Beam))
            beam_set.stays = <Candidate *> resized(beam_set.stays, beam_width * sizeof(Candidate))
            beam_set.extensions = <Candidate *> resized(beam_set.extensions, 2 * beam_width * sizeof(Candidate))
            beam_set.sorted = <Candidate *> resized(
                beam_set.sorted, max(2 * beam_width, self.search.n_classes) * sizeof(Candidate)
            )
            beam_set.stay_blank = <double *> resized(beam_set.stay_blank, beam_width * sizeof(double))
            beam_set.stay_nonblank = <double *> resized(beam_set.stay_nonblank, beam_width * sizeof(double))
            beam_set.reach = <double *> resized(beam_set.reach, beam_width * sizeof(double))
            beam_set.first_child = <int *> resized(beam_set.first_child, beam_width * sizeof(int))
            beam_set.next_child = <int *> resized(beam_set.next_child, beam_width * sizeof(int))
            beam_set.cuts = <int *> resized(beam_set.cuts, beam_width * sizeof(int))
            beam_set.room = beam_width
        beam_set.width = beam_width
        return 0

    def __dealloc__(self):
        cdef Search *s = &self.search
        free(s.arena.nodes)
        free(s.states)
        free(s.ceilings)
        free(s.thresholds.row)
        free(s.beam_set.sources)
        free_memo(&s.memo)
        free_lexicon_model(&s.words)
        free(s.beam_set.beams)
        free(s.beam_set.next_beams)
        free(s.beam_set.stays)
        free(s.beam_set.extensions)
        free(s.beam_set.classes)
        free(s.beam_set.sorted)
        free(s.beam_set.stay_blank)
        free(s.beam_set.stay_nonblank)
        free(s.beam_set.reach)
        free(s.beam_set.first_child)
        free(s.beam_set.next_child)
        free(s.beam_set.cuts)

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
        if probs.shape[1] != self.search.n_classes:
            raise ValueError(f"probs must have {self.search.n_classes} classes, got {probs.shape[1]}")
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

    def dropped(self) -> float:
        return min(1.0, self.search.thresholds.dropped)

    def best(self, Py_ssize_t n_best) -> list:
        cdef Search *s = &self.search
        cdef list result = []
        cdef Py_ssize_t i, n
        cdef int *order = s.beam_set.first_child  # scratch between two frames
        self.enter()
        try:
            with nogil:
                n = rank_texts(s, order)
            for i in range(min(n_best, n)):
                result.append((labels_of(s, s.beam_set.beams[order[i]].node), log_score(s, order[i])))
        finally:
            self.leave()
        return result


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
    double dropped
    Py_ssize_t n_results
    Result *results


cdef int run_task(Search *s, Task *task, Py_ssize_t n_best) except -1 nogil:
    """Search one sequence, and keep its best labels."""
    cdef Py_ssize_t i
    cdef int node, k
    cdef Result *result
    cdef int *order = s.beam_set.first_child  # scratch between two frames
    start(s)
    extend(s, task.rows, task.n_frames)
    task.dropped = min(1.0, s.thresholds.dropped)
    n_best = min(n_best, rank_texts(s, order))
    task.results = <Result *> calloc(n_best + 1, sizeof(Result))
    if task.results is NULL:
        with gil:
            raise MemoryError()
    for i in range(n_best):
        node = s.beam_set.beams[order[i]].node
        result = &task.results[i]
        result.score = log_score(s, order[i])
        result.n_labels = s.arena.nodes[node].depth
        result.labels = <int *> malloc((result.n_labels + 1) * sizeof(int))
        if result.labels is NULL:
            with gil:
                raise MemoryError()
        task.n_results += 1
        for k in range(result.n_labels - 1, -1, -1):
            result.labels[k] = s.arena.nodes[node].label
            node = s.arena.nodes[node].parent
    return 0


def prefix_beam_search(const double[:, ::1] probs, int blank, Py_ssize_t beam_width, Py_ssize_t n_best) -> list:
    return beam_search_batch([probs], blank, beam_width, n_best)[0]


def word_beam_search(
    const double[:, ::1] probs, int blank, Py_ssize_t beam_width, Py_ssize_t n_best, lexicon_model
) -> list:
    if lexicon_model.hot is not None or lexicon_model.fusion is not None:
        raise ValueError("the published word beam search knows no hot words and no shallow fusion")
    return beam_search_batch([probs], blank, beam_width, n_best, None, lexicon_model)[0]


def beam_search(
    const double[:, ::1] probs, int blank, Py_ssize_t beam_width, Py_ssize_t n_best, character_model=None,
    lexicon_model=None, thresholds=None
) -> list:
    return beam_search_batch([probs], blank, beam_width, n_best, character_model, lexicon_model, thresholds)[0]


def beam_search_batch(
    batch, int blank, Py_ssize_t beam_width, Py_ssize_t n_best, character_model=None, lexicon_model=None,
    thresholds=None, dropped=None
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
    beams = Beams(probs.shape[1], blank, character_model, lexicon_model, thresholds)
    beams.reserve(beam_width)
    tasks = <Task *> calloc(n, sizeof(Task))
    if tasks is NULL:
        raise MemoryError()
    try:
        for i in range(n):
            probs = sequences[i]
            kept.append(probs)
            if probs.shape[1] != beams.search.n_classes:
                raise ValueError(f"all sequences must have {beams.search.n_classes} classes, got {probs.shape[1]}")
            tasks[i].rows = &probs[0, 0] if probs.shape[0] else NULL
            tasks[i].n_frames = probs.shape[0]
        with nogil:
            for i in range(n):
                run_task(&beams.search, &tasks[i], n_best)
        for i in range(n):
            hypotheses = []
            for k in range(tasks[i].n_results):
                found = &tasks[i].results[k]
                hypotheses.append((as_tuple(<const int32_t *> found.labels, found.n_labels), found.score))
            result.append(hypotheses)
            if dropped is not None:
                dropped.append(tasks[i].dropped)
        return result
    finally:
        for i in range(n):
            for k in range(tasks[i].n_results):
                free(tasks[i].results[k].labels)
            free(tasks[i].results)
        free(tasks)
