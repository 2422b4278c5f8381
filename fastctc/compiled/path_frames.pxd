"""The frames of a search over paths: candidates are proposed, and the best are kept."""

from libc.math cimport INFINITY
from libc.string cimport memset

from fastctc.compiled.interrupts cimport look
from fastctc.compiled.path_candidates cimport add_up, most_of, push, rank, tighten
from fastctc.compiled.path_lexicon cimport arrive_in_tree, go_down
from fastctc.compiled.path_model cimport find_edge, follow, new_state
from fastctc.compiled.path_state cimport END, NOTHING, Candidate, Path, Search, resize
from fastctc.compiled.path_steps cimport allow, arrive, go_on, group_paths, stay

cdef enum:
    SIGNAL_WORK = 1 << 20


cdef inline int make_room(Search *s, Py_ssize_t n) except -1 nogil:
    """For the paths of another frame."""
    while s.n_paths + n > s.path_room:
        resize(<void **> &s.paths, 2 * <size_t> s.path_room * sizeof(Path))
        s.path_room *= 2
    if s.n_frames + 2 > s.frame_room:
        resize(<void **> &s.frames, 2 * <size_t> s.frame_room * sizeof(Py_ssize_t))
        s.frame_room *= 2
    return 0


cdef inline int select(Search *s, const float *row) except -1 nogil:
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
        if c.best < s.best - s.threshold:
            continue
        if s.log_add and (c.best >= least or most_of(s, c) >= least):
            add_up(s, c, s.best - s.threshold)
        if c.score >= least:
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


cdef inline int reset(Search *s) except -1 nogil:
    """Have no candidates."""
    s.n_candidates = s.n_raws = s.n_wanted = 0
    s.bound = s.best = -INFINITY
    memset(s.table, 0xff, <size_t> s.table_size * sizeof(int))
    return 0


cdef inline int propose(Search *s, const float *row) except -1 nogil:
    """List the candidates of a frame; what the model is to be asked first is wanted."""
    cdef const Path *paths = s.paths + s.frames[s.n_frames - 1]
    cdef int n = <int> (s.frames[s.n_frames] - s.frames[s.n_frames - 1])
    reset(s)
    allow(s, row)
    group_paths(s, paths, n)
    s.next_tightening = 0x7fffffff
    stay(s, paths, row)
    tighten(s)
    s.next_tightening = max(2 * s.n_candidates, 2 * s.beam_width)
    if s.log_add and not s.asking:
        if s.with_tree:
            arrive_in_tree(s, paths, n, row)
        else:
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


cdef inline int finish(Search *s) except -1 nogil:
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
        push(s, &new)
    return 0


cdef inline int extend(Search *s, const float *rows, Py_ssize_t n) except -1 nogil:
    cdef Py_ssize_t t
    for t in range(n):
        propose(s, rows + t * s.n_classes)
        select(s, rows + t * s.n_classes)
    return 0
