"""Twin of fastctc.reference.cut_search: what cannot survive a frame is never made, only when it would have been.

Candidates are compared by their probability, and equal ones by when their node came into the tree. A node that no beam
has become does not exist here, but when it would have been made is known: with the first frame in which the text before
it was extended at all, if no class is ever cut, and else written down.

Most frames are gone through with candidates as integers (see cut_keys.pxd). Where two of the best are equal, or a
number is none, the frame is done over here, by comparing candidates in full.
"""

from libc.math cimport INFINITY, isfinite, isnan
from libc.stdint cimport int32_t
from libc.stdlib cimport free
from libc.string cimport memset

from fastctc.compiled.candidates cimport Candidate
from fastctc.compiled.cut_beams cimport Search, commit, count_classes, make_beams, make_room, sort_found
from fastctc.compiled.cut_keys cimport quick_step
from fastctc.compiled.cut_tree cimport Beam, Node, appear, double_up, fell, plant, record, remember
from fastctc.compiled.interrupts cimport look_after
from fastctc.compiled.memory cimport resize
from fastctc.compiled.tuples cimport as_tuple

NOT_COMPARABLE = "Failed to compare values (NaNs in input?)"
NOTHING_LEFT = "Ran out of search space (beam_cut_threshold too high)"
NO_SUCH_STATE = "state {} must be below the number of states, {}"

cdef Py_ssize_t SIGNAL_WORK = 1 << 22  # candidates between two looks for Ctrl-C


cdef void extend(Search *s, int i, Py_ssize_t n, float *lowest) noexcept nogil:
    """Candidates of a beam that is extended by one of the n greatest classes, in their order."""
    cdef Beam *beam = &s.beams[i]
    cdef float total = beam.total, value
    cdef Py_ssize_t k
    cdef int label, j
    for k in range(n):
        value = total * s.values[k]
        if value < lowest[0]:
            break
        label = s.classes[k]
        if s.tree.collapse and label == beam.label:
            if not beam.gap_sum > 0.0 and not s.tree.nodes[beam.node].doubled >= 0:
                continue
            value = beam.gap_sum * s.values[k]
            if value < lowest[0]:
                continue
        j = beam.first
        while j >= 0 and s.beams[j].label != label:
            j = s.beams[j].next
        if j >= 0:
            continue  # added to that beam
        if s.n_found == s.room:
            sort_found(s, 0, s.n_found)
            s.n_found = s.width
            lowest[0] = <float> s.found[s.width - 1].score
            if value < lowest[0]:
                continue
        s.found[s.n_found].score = value
        s.found[s.n_found].beam = i
        s.found[s.n_found].label = label
        s.n_found += 1


cdef int step(Search *s, const float *frame, int t) except -1 nogil:
    """Take in one frame: (states, classes)."""
    cdef Py_ssize_t n = s.n_beams, n_classes = s.n_classes, count = 0, i, j, c
    cdef const float *row = frame
    cdef Beam *beam
    cdef Beam *beams = s.beams
    cdef Node *node
    cdef Candidate *found
    cdef float cut = s.cut, lowest = -INFINITY, gap, label_sum, greatest = 0.0, before
    cdef bint stays, careful = not isfinite(beams[0].total)
    cdef int done
    cdef int label
    s.n_found = 0
    if s.width < 1:
        s.wrong = 2
        return 0
    if s.plain and not careful:
        done = quick_step(s, frame, t)
        if done:
            return look_after(&s.work, 0, SIGNAL_WORK)
    if s.has_states:
        for i in range(n):
            if s.tree.nodes[beams[i].node].state >= s.n_states:
                s.wrong = 3
                s.state = s.tree.nodes[beams[i].node].state
                return 0
    make_room(s, min(n * n_classes, 2 * s.width + 64))
    for i in range(n):
        beam = &beams[i]
        beam.first = -1
        greatest = max(greatest, beam.total)
        appear(&s.tree, beam, t, <int> i)
    if not careful:
        for c in range(s.n_states * n_classes):
            if not -INFINITY < frame[c] < INFINITY:
                careful = True
    # Beams that stay: by a blank, by their last label once more, or by a path of the text before that arrives now.
    for i in range(n):
        beam = &beams[i]
        node = &s.tree.nodes[beam.node]
        if s.has_states:
            row = frame + node.state * n_classes
        stays = row[0] > cut
        gap = beam.total * row[0] if stays else 0.0
        label_sum = 0.0
        label = beam.label
        if label:
            if s.tree.collapse and not row[label] < cut:
                label_sum = beam.label_sum * row[label]
                stays = True
                double_up(&s.tree, beam, t, <int> i)
            if s.tree.nodes[node.parent].frame == t:
                j = s.tree.nodes[node.parent].place
                if s.has_states:
                    row = frame + s.tree.nodes[node.parent].state * n_classes
                if not row[label] < cut:
                    before = beams[j].gap_sum if s.tree.collapse and beams[j].label == label else beams[j].total
                    label_sum += before * row[label]
                    stays = True
                beam.next = beams[j].first
                beams[j].first = <int> i
        if stays:
            found = &s.found[s.n_found]
            found.score = <float> (label_sum + gap)
            found.beam = <int> i
            found.label = 0
            s.n_found += 1
            s.stay_label[i] = label_sum
            s.stay_gap[i] = gap
    if careful:
        make_room(s, n * n_classes)  # all are looked at
    elif s.n_found >= s.width:
        lowest = INFINITY
        for i in range(s.n_found):
            lowest = min(lowest, <float> s.found[i].score)
    for i in range(n):
        if i == 0 or s.has_states:
            if s.has_states:
                row = frame + s.tree.nodes[beams[i].node].state * n_classes
                greatest = beams[i].total
            count = count_classes(s, row, greatest, lowest if s.tree.never_cut else -INFINITY)
        if count == 0:
            continue
        if not s.tree.never_cut:
            remember(&s.tree, beams, n, t)
            record(&s.tree, s.tree.nodes[beams[i].node].state, t, s.classes, count)
        extend(s, <int> i, count, &lowest)
    s.work += n * (count + 1)
    if s.n_found == 0:
        s.wrong = 2
        return 0
    if careful and s.n_found > 1:
        for i in range(s.n_found):
            if isnan(s.found[i].score):
                s.wrong = 1
                return 0
    sort_found(s, 0, s.n_found)
    commit(s, min(s.n_found, s.width), t)
    return look_after(&s.work, 0, SIGNAL_WORK)


cdef bint is_finite(const float *probs, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef int bad = 0
    for i in range(n):
        bad |= not -INFINITY < probs[i] < INFINITY
    return not bad


cdef bint is_never_cut(const float *probs, Py_ssize_t n_rows, Py_ssize_t n_classes, float cut) noexcept nogil:
    cdef Py_ssize_t c
    cdef int below = 0
    if cut > 0.0:
        return False  # a few classes more or less would change how the search goes about it
    for _ in range(n_rows):
        for c in range(1, n_classes):
            below |= probs[c] < cut
        probs += n_classes
    return not below


cdef tuple search(const float *probs, Py_ssize_t n_frames, Search *s, int state, float start):
    """The text of the best beam, its labels' frames; probs (frames, states, classes)."""
    cdef Py_ssize_t t, depth = 0
    cdef int number
    cdef int32_t *labels = NULL
    try:
        s.tree.n_classes = s.n_classes
        s.tree.never_cut = is_never_cut(probs, n_frames * s.n_states, s.n_classes, s.cut)
        plant(&s.tree, n_frames, s.n_states, state)
        resize(<void **> &s.classes, s.n_classes + 1, sizeof(int32_t))
        resize(<void **> &s.values, s.n_classes + 1, sizeof(float))
        make_beams(s, 1)
        with nogil:
            s.n_beams = 1
            s.beams[0].node = 0
            s.beams[0].label = 0
            s.beams[0].label_sum = 0.0
            s.beams[0].gap_sum = start
            s.beams[0].total = start
            s.plain = (
                not s.has_states and 0.0 <= s.cut < INFINITY and s.width > 0
                and is_finite(probs, n_frames * s.n_classes)
            )
            s.shift = 1
            while s.n_classes >> s.shift:
                s.shift += 1
            for t in range(n_frames):
                step(s, probs, <int> t)
                if s.wrong:
                    break
                probs += s.n_states * s.n_classes
        if s.wrong == 1:
            raise RuntimeError(NOT_COMPARABLE)
        if s.wrong == 2:
            raise RuntimeError(NOTHING_LEFT)
        if s.wrong == 3:
            raise ValueError(NO_SUCH_STATE.format(s.state, s.n_states))
        number = s.beams[0].node
        while number:
            depth += 1
            number = s.tree.nodes[number].parent
        resize(<void **> &labels, 2 * depth + 1, sizeof(int32_t))
        number = s.beams[0].node
        for t in range(depth - 1, -1, -1):
            labels[t] = s.tree.nodes[number].label
            labels[depth + t] = s.tree.nodes[number].born
            number = s.tree.nodes[number].parent
        return as_tuple(labels, depth), as_tuple(labels + depth, depth)
    finally:
        fell(&s.tree)
        free(s.beams)
        free(s.next_beams)
        free(s.stay_label)
        free(s.stay_gap)
        free(s.found)
        free(s.merged)
        free(s.classes)
        free(s.values)
        free(s.keys)
        free(s.merged_keys)
        free(s.list)
        free(labels)


cdef void refuse_shape(Py_ssize_t n_frames, Py_ssize_t n_classes) except *:
    if n_classes < 1:
        raise ValueError("probs must have at least one class, got 0")
    if n_frames > 0x7FFFFFFF or n_classes > 0x7FFFFFFF:
        raise ValueError(f"probs must have fewer than 2**31 frames and classes, got {n_frames} and {n_classes}")


def cut_search(const float[:, ::1] probs, beam_width, float cut, bint collapse_repeats) -> tuple:
    cdef Search s
    memset(&s, 0, sizeof(Search))
    refuse_shape(probs.shape[0], probs.shape[1])
    s.n_classes = probs.shape[1]
    s.n_states = 1
    s.width = min(beam_width, 1 << 30)
    s.cut = cut
    s.tree.collapse = collapse_repeats
    s.has_states = False
    return search(&probs[0, 0] if probs.shape[0] else NULL, probs.shape[0], &s, 0, 1.0)


def crf_cut_search(const float[:, :, ::1] probs, int state, float start, beam_width, float cut) -> tuple:
    cdef Search s
    memset(&s, 0, sizeof(Search))
    refuse_shape(probs.shape[0], probs.shape[2])
    s.n_classes = probs.shape[2]
    s.n_states = probs.shape[1]
    s.width = min(beam_width, 1 << 30)
    s.cut = cut
    s.tree.collapse = False
    s.has_states = True
    return search(&probs[0, 0, 0] if probs.shape[0] and s.n_states else NULL, probs.shape[0], &s, state, start)
