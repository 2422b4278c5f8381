"""Twin of fastctc.reference.path_search.

The reference forms every candidate of a frame; here only those are formed that may be kept. To stay costs nothing to
list. The beam_width-th best of those candidates, and of all that come later, is a bound that the others have to reach:
a path with the most that its language model may add is left out if it does not. Where paths are added up, smaller ones
count too: they are looked for from the side of the states that are there already.
"""

from cython cimport critical_section
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from fastctc.compiled.kenlm cimport Scorer
from fastctc.compiled.path_candidates cimport SORT_BINS
from fastctc.compiled.path_frames cimport extend, finish, propose, select
from fastctc.compiled.path_model cimport add_edge, keep_words
from fastctc.compiled.path_state cimport END, RECENT, Answer, Candidate, Edge, Group, Path, Rank, Raw, Search
from fastctc.compiled.path_tree cimport take_tree

cdef enum:
    LOOK_BACK = 100     # frames that are searched for the end of a word, before those asked for


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
            self.arrays = take_tree(s, tree)
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
        s.bins = <int *> malloc((SORT_BINS + 1) * sizeof(int))
        s.raws = <Raw *> malloc(s.raw_room * sizeof(Raw))
        s.groups = <Group *> malloc(s.beam_width * sizeof(Group))
        s.group_table = <int *> malloc(s.group_table_size * sizeof(int))
        s.next_in_group = <int *> malloc(s.beam_width * sizeof(int))
        s.stays = <int *> malloc(s.beam_width * sizeof(int))
        s.allowed = <char *> malloc(s.n_classes)
        s.likely = <int *> malloc(s.n_classes * sizeof(int))
        s.reach = <double *> malloc(3 * s.n_classes * sizeof(double))
        s.wanted = <int *> malloc(2 * s.wanted_room * sizeof(int))
        s.answers = <Answer *> calloc(RECENT, sizeof(Answer))
        if (
            s.paths is NULL or s.frames is NULL or s.edges is NULL or s.edge_table is NULL or s.states is NULL
            or s.candidates is NULL or s.table is NULL or s.ranked is NULL or s.spare is NULL or s.bins is NULL
            or s.scores is NULL or s.raws is NULL or s.groups is NULL or s.group_table is NULL
            or s.next_in_group is NULL or s.stays is NULL or s.allowed is NULL or s.likely is NULL or s.reach is NULL
            or s.wanted is NULL or s.answers is NULL
        ):
            raise MemoryError()
        s.row_reach = s.reach + s.n_classes
        s.last_reach = s.row_reach + s.n_classes
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
        free(s.bins)
        free(s.scores)
        free(s.raws)
        free(s.groups)
        free(s.group_table)
        free(s.next_in_group)
        free(s.stays)
        free(s.allowed)
        free(s.likely)
        free(s.reach)
        free(s.wanted)
        free(s.answers)
        free(s.nodes)
        free(s.children)
        free(s.first_nodes)
        free(s.is_spelt)
        free(s.places)
        free(s.ends)

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
            s.text += 1
            if s.text == 0x7fffffff:
                s.text = 1
                memset(s.answers, 0, RECENT * sizeof(Answer))
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
