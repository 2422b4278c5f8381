"""A frame of a search over paths: the groups of paths, those that stay, and without a lexicon those that go on."""

from libc.math cimport INFINITY
from libc.stdint cimport uint32_t
from libc.string cimport memset

from fastctc.compiled.path_candidates cimport add, append, kth_largest, lowest, push
from fastctc.compiled.path_model cimport follow, most_of_model
from fastctc.compiled.path_state cimport NOTHING, Candidate, Edge, Group, Path, Search, mixed


cdef inline void allow(Search *s, const float *row) noexcept nogil:
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


cdef inline double most_of_sum(double x) noexcept nogil:
    """No less than log(1 + exp(-x)), for x from 0: exp(x) >= 1 + x + x**2 / 2."""
    return min(0.6931472, 1.0 / (1.0 + x + 0.5 * x * x))


cdef inline void group_paths(Search *s, const Path *paths, int n) noexcept nogil:
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
        s.groups[group].most = high + most_of_sum(high - low) if s.log_add and low > -INFINITY else high


cdef inline double emitted(const Search *s, const Path *path, const float *row, int token) noexcept nogil:
    cdef double score = path.score + row[token]
    return score + s.silence_bonus if token == s.silence else score


cdef inline int stay(Search *s, const Path *paths, const float *row) except -1 nogil:
    """List the blank and the same class again. Only paths of one group meet in a blank."""
    cdef Candidate new
    cdef const Path *path
    cdef int i, j, token, blank
    new.label = NOTHING
    new.word = -1
    new.gain = 0.0
    for i in range(s.n_groups):
        new.lm = s.groups[i].lm
        new.node = s.groups[i].node
        blank = -1
        j = s.groups[i].first
        while j >= 0:
            path = &paths[j]
            new.parent = j
            s.stays[j] = -1
            token = path.token
            if s.with_tree:
                if new.node == 0:
                    token = s.silence
                elif path.is_blank:
                    token = -1
            elif path.is_blank or token == s.blank or token < 0 or not s.allowed[token]:
                token = -1
            if token >= 0:
                new.token = token
                new.is_blank = False
                new.best = new.score = emitted(s, path, row, token)
                s.stays[j] = push(s, &new)
            if s.with_tree or s.allowed[s.blank]:
                new.token = s.blank
                new.is_blank = True
                # Where silence is the blank, within a lexicon it has no bonus as such.
                new.best = new.score = path.score + row[s.blank] if s.with_tree else emitted(s, path, row, s.blank)
                if blank < 0:
                    blank = append(s, &new)
                else:
                    add(s, blank, &new)
            j = s.next_in_group[j]
    return 0


cdef inline int come_from(
    Search *s, const Path *paths, int group, const float *row, int token, double gain, int place
) except -1 nogil:
    """Let the paths of a group come to a candidate by a token."""
    cdef Candidate new
    cdef int j = s.groups[group].first
    new.token = token
    new.word = -1
    new.gain = gain
    new.node = s.candidates[place].node
    while j >= 0:
        if paths[j].is_blank or paths[j].token != token:
            new.parent = j
            new.best = new.score = emitted(s, &paths[j], row, token) + s.lm_weight * gain
            add(s, place, &new)
        j = s.next_in_group[j]
    return 0


cdef inline int arrive(Search *s, const Path *paths, int n, const float *row) except -1 nogil:
    """Without a lexicon: add the paths that come to the state of another path, however small they are."""
    cdef const Edge *edge
    cdef int i, group
    cdef uint32_t slot
    for i in range(n):
        if paths[i].is_blank or s.stays[i] < 0 or paths[i].lm == 0:
            continue
        edge = &s.edges[paths[i].lm - 1]
        if edge.label != paths[i].token:
            continue
        group = find_group(s, edge.origin, 0, &slot)
        if group >= 0 and s.allowed[edge.label]:
            come_from(s, paths, group, row, edge.label, edge.score, s.stays[i])
        s.candidates[s.stays[i]].settled = True
    return 0


cdef inline int go_on(Search *s, const Path *paths, const float *row) except -1 nogil:
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
                    push(s, &new)
                j = s.next_in_group[j]
            s.work += 1
    return 0
