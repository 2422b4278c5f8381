"""A frame of a cut search with candidates as integers, which put the bits of a probability above what it belongs to.

Beams that stay are nearly in order, and so are those extended by one class: these lists are merged, no further than the
beam is wide and one more. That one tells whether the last that survives has an equal among those that do not. Where two
of the best are equal, or a number is none, there is no order among integers, and the frame is left to cut_search.
"""

from libc.math cimport INFINITY
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from fastctc.compiled.cut_beams cimport Search, commit, count_classes, make_room, sort_found
from fastctc.compiled.cut_tree cimport Beam, Node, appear, double_up, record, remember
from fastctc.compiled.memory cimport resize


cdef inline int make_keys(Search *s, Py_ssize_t room) except -1 nogil:
    if room > s.key_room:
        room = max(room, 2 * s.key_room)
        resize(<void **> &s.keys, room, sizeof(uint64_t))
        resize(<void **> &s.merged_keys, room, sizeof(uint64_t))
        resize(<void **> &s.list, room, sizeof(uint64_t))
        s.key_room = room
    return 0


cdef inline uint64_t key_of(float total, uint32_t what) noexcept nogil:
    """Numbers that are not negative have the order of their bits."""
    cdef uint32_t bits
    total += 0.0  # no -0.0
    memcpy(&bits, &total, sizeof(bits))
    return <uint64_t> bits << 32 | what


cdef inline float total_of(uint64_t key) noexcept nogil:
    cdef uint32_t bits = <uint32_t> (key >> 32)
    cdef float total
    memcpy(&total, &bits, sizeof(total))
    return total


cdef inline Py_ssize_t put(uint64_t *keys, Py_ssize_t n, uint64_t key) noexcept nogil:
    """Into its place among n keys, the greatest first; most are the smallest."""
    cdef Py_ssize_t j = n
    while j > 0 and keys[j - 1] < key:
        keys[j] = keys[j - 1]
        j -= 1
    keys[j] = key
    return n + 1


cdef inline Py_ssize_t merge(Search *s, Py_ssize_t n, Py_ssize_t n_list, Py_ssize_t limit) noexcept nogil:
    """The first of the keys and of the list, as the keys from now on."""
    cdef uint64_t *source = s.keys
    cdef uint64_t *list = s.list
    cdef uint64_t *target = s.merged_keys
    cdef Py_ssize_t i = 0, j = 0, k, total = min(n + n_list, limit)
    cdef uint64_t a, b
    cdef bint first
    source[n] = list[n_list] = 0  # below all keys
    for k in range(total):
        a = source[i]
        b = list[j]
        first = a > b
        target[k] = a if first else b
        i += first
        j += not first
    s.keys, s.merged_keys = target, source
    return total


cdef inline bint blanks_only(Search *s, float blank) noexcept nogil:
    """A frame in which nothing but the blank counts, unless the beams' order may change."""
    cdef Beam *beams = s.beams
    cdef float top = beams[0].total * blank, last = INFINITY, value
    cdef Py_ssize_t i
    for i in range(s.n_beams):
        value = beams[i].total * blank
        if not value < last:
            return False
        last = value
    for i in range(s.n_beams):
        beams[i].label_sum = 0.0
        beams[i].gap_sum = beams[i].total = beams[i].total * blank / top
    return True


cdef inline int quick_step(Search *s, const float *row, int t) except -1 nogil:
    """Take in a frame, if candidates have an order: 1. Otherwise 0, and nothing has changed."""
    cdef Py_ssize_t n = s.n_beams, n_keys = 0, n_list, n_all, n_positive = 0, limit, count = 0, i, j, k
    cdef Beam *beams = s.beams
    cdef Beam *beam
    cdef Node *node
    cdef float cut = s.cut, blank = row[0], greatest = 0.0, lowest = 0.0, label_sum, gap, value, before, p
    cdef bint blank_stays = blank > cut, stays
    cdef int label, some = 0
    cdef uint64_t key
    cdef uint32_t what
    if not s.tree.never_cut:
        for i in range(1, s.n_classes):
            some |= row[i] >= cut
        if not some and blank_stays and blanks_only(s, blank):
            return 1
    limit = min(s.width + 1, n * s.n_classes)
    if n >= <Py_ssize_t> 1 << (32 - s.shift):
        return 0
    make_keys(s, max(limit, n) + 2)
    for i in range(n):
        beam = &beams[i]
        beam.first = -1
        greatest = beam.total if beam.total > greatest else greatest
        appear(&s.tree, beam, t, <int> i)
    for i in range(n):
        beam = &beams[i]
        label = beam.label
        stays = blank_stays
        gap = beam.total * blank if blank_stays else 0.0
        label_sum = 0.0
        if label and not row[label] < cut:
            p = row[label]
            if s.tree.collapse:
                label_sum = beam.label_sum * p
                stays = True
                double_up(&s.tree, beam, t, <int> i)
            node = &s.tree.nodes[s.tree.nodes[beam.node].parent]
            if node.frame == t:
                j = node.place
                before = beams[j].gap_sum if s.tree.collapse and beams[j].label == label else beams[j].total
                label_sum += before * p
                stays = True
                beam.next = beams[j].first
                beams[j].first = <int> i
        if stays:
            s.stay_label[i] = label_sum
            s.stay_gap[i] = gap
            key = key_of(label_sum + gap, <uint32_t> i << s.shift)
            if key == 0:
                return 0
            n_keys = put(s.keys, n_keys, key)
    if n_keys >= s.width:
        lowest = total_of(s.keys[s.width - 1])
    if s.tree.never_cut:
        count = count_classes(s, row, greatest, lowest)
    elif some:
        count = count_classes(s, row, greatest, -INFINITY)
        remember(&s.tree, beams, n, t)
        record(&s.tree, 0, t, s.classes, count)
    for k in range(count):
        p = s.values[k]
        label = s.classes[k]
        if greatest * p < lowest:
            break
        n_list = 0
        for i in range(n):
            beam = &beams[i]
            value = beam.total * p
            if value < lowest:
                if value < lowest * <float> 0.9999:
                    break  # totals are in order, but for roundings
                continue
            if s.tree.collapse and label == beam.label:
                if not beam.gap_sum > 0.0 and not s.tree.nodes[beam.node].doubled >= 0:
                    continue
                value = beam.gap_sum * p
                if value < lowest:
                    continue
            j = beam.first
            while j >= 0 and beams[j].label != label:
                j = beams[j].next
            if j < 0:
                what = <uint32_t> i << s.shift | <uint32_t> label
                n_list = put(s.list, n_list, key_of(value, what))
        if n_list:
            n_keys = merge(s, n_keys, n_list, limit)
            if n_keys >= s.width:
                lowest = total_of(s.keys[s.width - 1])
    if n_keys == 0:
        return 0
    some = 0
    for k in range(1, n_keys):
        some |= s.keys[k] >> 32 == s.keys[k - 1] >> 32 and s.keys[k] >> 32 != 0
    if some:
        return 0
    if n_keys > 1 and s.keys[n_keys - 2] >> 32 == 0:  # the last are impossible, and in the order of their making
        if n_keys == limit:
            return 0
        while n_positive < n_keys and s.keys[n_positive] >> 32:
            n_positive += 1
    else:
        n_positive = n_keys
    n_all = n_keys
    n_keys = min(n_keys, s.width)
    make_room(s, n_all)
    for k in range(n_all):
        # Impossible beams are in the order of their making already, most of them.
        what = <uint32_t> s.keys[k if k < n_positive else n_all - 1 - (k - n_positive)]
        s.found[k].score = total_of(s.keys[k])
        s.found[k].beam = <int> (what >> s.shift)
        s.found[k].label = <int> (what & ((<uint32_t> 1 << s.shift) - 1))
    sort_found(s, n_positive, n_all - n_positive)
    s.work += n * (count + 1)
    commit(s, n_keys, t)
    return 1
