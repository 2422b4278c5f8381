"""Twin of fastctc.reference.token_passing.

Without bigrams the best token that leaves a word is the same for all words, and found once a frame. With bigrams a word
is entered from one of its seen predecessors, or from the best of all others with its back-off weight: these are tried
from the best one down, and nearly every word is content with the first that it never followed.

The search is done twice. At first only tokens near the best of their frame are kept, which takes little time and finds
a good path, mostly the best. Then a token is dropped only if its path cannot reach that score even if it meets the
most probable class in every frame to come: nothing is lost, and most words are not looked at behind their first labels.
"""

from libc.math cimport INFINITY, fabs
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc

from fastctc.compiled.heap cimport Entry, Heap, append, free_heap, pop, restore
from fastctc.compiled.interrupts cimport look
from fastctc.compiled.memory cimport resize

cdef double MARGIN = 20.0  # how far below the best, in nats, tokens are kept at first
cdef Py_ssize_t SIGNAL_WORK = 1 << 22  # states between two looks for Ctrl-C

cdef struct Token:
    double score
    int history         # where the word before this one stands, -1 if there is none

cdef struct End:
    double score
    int history
    int word

cdef struct Left:
    int word
    int before

cdef struct Search:
    Py_ssize_t worked           # since the last look for Ctrl-C
    Py_ssize_t n_words
    Py_ssize_t n_classes
    int blank
    int separator
    const int64_t *starts       # of each word its first label, and the end
    int32_t *classes            # of each label; its complement if it is that of the label before
    double *scores              # of the token in each label's state,
    int *histories              # and where the word before stands
    double *blank_scores        # the same of the blank after each label,
    int *blank_histories
    Token *begins               # of the blank before each word,
    Token *separators           # and of the separator after it
    int *alive                  # how many of each word's first labels may hold tokens; -1 if the word holds none at all
    double *future              # of each frame, the most that the frames after it may add
    Token *ends                 # of each word, the token that may leave it
    Token *entries              # of each word, the token that may enter it
    int *places                 # where in the history the tokens that left in this frame stand, -1 if not yet
    Left *history
    Py_ssize_t n_history
    Py_ssize_t room
    bint has_bigrams
    const double *first
    const double *single
    const double *backoffs
    const int64_t *successor_starts
    const int32_t *successors
    const double *log_probs
    Heap heap                   # words, the one that is best with its back-off weight first
    int *pending                # words that have not found their predecessor yet


cdef inline Token end_of(const Search *s, Py_ssize_t word, bint separated) noexcept nogil:
    cdef Py_ssize_t last = s.starts[word + 1] - 1
    cdef Token end
    if separated:
        return s.separators[word]
    if s.alive[word] < last + 1 - s.starts[word]:
        end.score = -INFINITY
        end.history = -1
    elif s.blank_scores[last] >= s.scores[last]:
        end.score = s.blank_scores[last]
        end.history = s.blank_histories[last]
    else:
        end.score = s.scores[last]
        end.history = s.histories[last]
    return end


cdef int leave(Search *s, int word) except -2 nogil:
    """Note a token that leaves its word; where."""
    if word < 0:
        return -1
    if s.places[word] < 0:
        if s.n_history == s.room:
            if s.room >= 1 << 30:
                with gil:
                    raise MemoryError()
            resize(<void **> &s.history, 2 * s.room, sizeof(Left))
            s.room *= 2
        s.history[s.n_history].word = word
        s.history[s.n_history].before = s.ends[word].history
        s.places[word] = <int> s.n_history
        s.n_history += 1
    return s.places[word]


cdef inline double weakened(const Search *s, int word) noexcept nogil:
    return s.ends[word].score + s.backoffs[word]


cdef inline bint follows(const Search *s, int word, int after) noexcept nogil:
    cdef int64_t low = s.successor_starts[after], high = s.successor_starts[after + 1], middle
    while low < high:
        middle = low + (high - low) // 2
        if s.successors[middle] < word:
            low = middle + 1
        else:
            high = middle
    return low < s.successor_starts[after + 1] and s.successors[low] == word


cdef int enter(Search *s) except -1 nogil:
    """Find the best token to enter each word."""
    cdef Py_ssize_t w, i, kept, n_pending
    cdef int64_t k
    cdef int winner = -1, word
    cdef double best = -INFINITY, score
    cdef Entry entry
    for w in range(s.n_words):
        s.places[w] = -1
    if not s.has_bigrams:
        for w in range(s.n_words):
            if s.ends[w].score > best:
                best = s.ends[w].score
                winner = <int> w
        i = leave(s, winner)
        for w in range(s.n_words):
            s.entries[w].score = best
            s.entries[w].history = <int> i
        return 0
    # The words are used as history until it is clear which of them are left.
    n_pending = s.n_words
    s.heap.n = 0
    for w in range(s.n_words):
        s.entries[w].score = -INFINITY
        s.entries[w].history = -1
        s.pending[w] = <int> w
        score = weakened(s, <int> w)
        if score > -INFINITY:
            append(&s.heap, score, w, <int> w, -1)
    restore(&s.heap)
    while s.heap.n and n_pending:
        entry = pop(&s.heap)
        winner = entry.node
        score = entry.bound
        kept = 0
        for i in range(n_pending):
            word = s.pending[i]
            if follows(s, word, winner):
                s.pending[kept] = word
                kept += 1
            else:
                s.entries[word].score = score + s.single[word]
                s.entries[word].history = winner
        n_pending = kept
        count_work(s, 4 * n_pending + 16)  # a binary search each
    for w in range(s.n_words):
        if s.ends[w].score == -INFINITY:
            continue
        count_work(s, s.successor_starts[w + 1] - s.successor_starts[w])
        for k in range(s.successor_starts[w], s.successor_starts[w + 1]):
            word = s.successors[k]
            score = s.ends[w].score + s.log_probs[k]
            if score > s.entries[word].score or (score == s.entries[word].score and w < s.entries[word].history):
                s.entries[word].score = score
                s.entries[word].history = <int> w
    for w in range(s.n_words):
        if s.entries[w].score == -INFINITY:
            s.entries[w].history = -1
        s.entries[w].history = leave(s, s.entries[w].history)
    return 0


cdef End winner_of(const Search *s) noexcept nogil:
    """The best token that stands at the end of a word."""
    cdef Py_ssize_t w
    cdef Token token
    cdef End best
    best.score = -INFINITY
    best.word = best.history = -1
    for w in range(s.n_words):
        token = end_of(s, w, False)
        if token.score > best.score:
            best.score = token.score
            best.history = token.history
            best.word = <int> w
    return best


cdef bint restrained(const Search *s) noexcept nogil:
    """Whether no word adds to the score of a path, as it is with logarithms of probabilities."""
    cdef Py_ssize_t w
    cdef int64_t k
    cdef double highest = -INFINITY
    for w in range(s.n_words):
        if s.first[w] > 0.0 or s.single[w] > 0.0:
            return False
        highest = max(highest, s.backoffs[w])
        for k in range(s.successor_starts[w], s.successor_starts[w + 1]):
            if s.log_probs[k] > 0.0:
                return False
    return highest <= 0.0


cdef inline Token better_token(Token token, Token other) noexcept nogil:
    return other if other.score > token.score else token


cdef inline double move(Search *s, Py_ssize_t w, const double *row, double lowest) noexcept nogil:
    """Move the tokens of a word by a frame, and drop those below the lowest score; the score of the best."""
    cdef Py_ssize_t start = s.starts[w], stop = s.starts[w + 1], i
    cdef double blank = row[s.blank], score, other, best = -INFINITY
    cdef bint separated = s.separator >= 0
    cdef int history, label
    cdef Token token, last
    if separated:
        token = s.separators[w]
        if s.alive[w] == stop - start:
            last.score = s.blank_scores[stop - 1]
            last.history = s.blank_histories[stop - 1]
            token = better_token(token, last)
            last.score = s.scores[stop - 1]
            last.history = s.histories[stop - 1]
            token = better_token(token, last)
        token.score += row[s.separator]
        if token.score < lowest:
            token.score = -INFINITY
        s.separators[w] = token
        best = token.score
    stop = min(stop, start + s.alive[w] + 1)
    # Conditional moves, no branches: which token wins cannot be predicted.
    for i in range(stop - 1, start, -1):
        score = s.scores[i]
        history = s.histories[i]
        other = s.blank_scores[i]
        s.blank_histories[i] = history if score > other else s.blank_histories[i]
        s.blank_scores[i] = (score if score > other else other) + blank
        other = s.blank_scores[i - 1]
        history = s.blank_histories[i - 1] if other > score else history
        score = other if other > score else score
        label = s.classes[i]
        other = s.scores[i - 1] if label >= 0 else -INFINITY
        history = s.histories[i - 1] if other > score else history
        score = other if other > score else score
        score += row[label if label >= 0 else ~label]
        s.scores[i] = score
        s.histories[i] = history
        best = score if score > best else best
    if stop > start:
        token.score = s.scores[start]
        token.history = s.histories[start]
        if token.score > s.blank_scores[start]:
            s.blank_scores[start] = token.score
            s.blank_histories[start] = token.history
        s.blank_scores[start] += blank
        token = better_token(token, s.begins[w])
        if separated:
            token = better_token(token, s.entries[w])
        s.scores[start] = token.score + row[s.classes[start]]
        s.histories[start] = token.history
        best = max(best, s.scores[start])
    token = better_token(s.begins[w], s.entries[w])
    token.score += blank
    best = max(best, token.score)
    while stop > start and s.scores[stop - 1] < lowest and s.blank_scores[stop - 1] < lowest:
        stop -= 1
        s.scores[stop] = s.blank_scores[stop] = -INFINITY
    s.alive[w] = <int> (stop - start)
    if token.score < lowest:
        token.score = -INFINITY
        if stop == start and (not separated or s.separators[w].score == -INFINITY):
            s.alive[w] = -1
    s.begins[w] = token
    return best


cdef inline int count_work(Search *s, Py_ssize_t work) except -1 nogil:
    """Count what has been done, and look for Ctrl-C now and then."""
    s.worked += work
    if s.worked > SIGNAL_WORK:
        s.worked = 0
        look()
    return 0


cdef int search(Search *s, const double[:, ::1] log_probs, double margin, double goal) except -1 nogil:
    """Keep the tokens that are within the margin from the best, and can reach the goal."""
    cdef Py_ssize_t w, i, t, worked
    cdef bint separated = s.separator >= 0
    cdef const double *row = &log_probs[0, 0]
    cdef double first, lowest, best = INFINITY, next_best
    s.n_history = 0
    for i in range(s.starts[s.n_words]):
        s.scores[i] = s.blank_scores[i] = -INFINITY
        s.histories[i] = s.blank_histories[i] = -1
    for w in range(s.n_words):
        first = s.first[w] if s.has_bigrams else 0.0
        s.scores[s.starts[w]] = first + row[s.classes[s.starts[w]]]
        s.begins[w].score = first + row[s.blank]
        s.separators[w].score = -INFINITY
        s.begins[w].history = s.separators[w].history = -1
        s.alive[w] = 1
    for t in range(1, log_probs.shape[0]):
        row += s.n_classes
        for w in range(s.n_words):
            s.ends[w] = end_of(s, w, separated)
        enter(s)
        lowest = goal - s.future[t]
        lowest -= 1e-9 * max(1.0, fabs(goal))  # the sums on both sides are rounded differently
        if margin < INFINITY:
            lowest = max(lowest, best - margin if best < INFINITY else -INFINITY)
        next_best = -INFINITY
        worked = s.n_words
        for w in range(s.n_words):
            if s.alive[w] < 0:
                if s.entries[w].score < lowest:
                    continue
                s.alive[w] = 0
            next_best = max(next_best, move(s, w, row, lowest))
            worked += s.alive[w]
        best = next_best
        count_work(s, worked)
    return 0


def token_passing(
    const double[:, ::1] log_probs, const int32_t[::1] labels, const int64_t[::1] offsets, int blank, int separator,
    bigrams
) -> tuple:
    cdef Py_ssize_t n_frames = log_probs.shape[0], n_classes = log_probs.shape[1], n_words = offsets.shape[0] - 1
    cdef Py_ssize_t n_labels = labels.shape[0], w, i
    cdef const double[::1] first, single, backoffs, values
    cdef const int64_t[::1] starts
    cdef const int32_t[::1] successors
    cdef double best, most, goal
    cdef int winner, place
    cdef End end
    cdef list found = []
    cdef Search s
    if not 0 <= blank < n_classes:
        raise ValueError(f"blank must be a class, 0 to {n_classes - 1}, got {blank}")
    if separator == blank or separator >= n_classes:
        raise ValueError(f"separator must be a class below {n_classes} that is not the blank, or negative")
    if n_words < 1 or offsets[0] != 0 or offsets[n_words] != labels.shape[0] or n_words >= 1 << 30:
        raise ValueError("offsets must begin with 0 and end with the number of labels")
    for w in range(n_words):
        if not offsets[w] < offsets[w + 1] <= labels.shape[0]:
            raise ValueError("offsets must ascend")
    for i in range(labels.shape[0]):
        if not 0 <= labels[i] < n_classes or labels[i] == blank or labels[i] == separator:
            raise ValueError(f"labels must be classes, neither blank nor separator, got {labels[i]}")
    look()  # a batch of short sequences never gets as far as the next look
    if n_frames == 0:
        return [], 0.0
    s.worked = 0
    s.n_words = n_words
    s.n_classes = n_classes
    s.blank = blank
    s.separator = separator
    s.has_bigrams = bigrams is not None
    if s.has_bigrams:
        first, single, backoffs = bigrams.first, bigrams.single, bigrams.backoffs
        starts, successors, values = bigrams.starts, bigrams.successors, bigrams.log_probs
        if (
            first.shape[0] != n_words or single.shape[0] != n_words or backoffs.shape[0] != n_words
            or starts.shape[0] != n_words + 1 or starts[0] != 0 or starts[n_words] != successors.shape[0]
            or successors.shape[0] != values.shape[0]
        ):
            raise ValueError(f"bigrams must have {n_words} entries, one a word, and one a successor")
        for w in range(n_words):
            if starts[w] > starts[w + 1] or starts[w + 1] > successors.shape[0]:
                raise ValueError("the starts of the bigrams must ascend")
        for i in range(successors.shape[0]):
            if not 0 <= successors[i] < n_words:
                raise ValueError(f"successors must be words, 0 to {n_words - 1}, got {successors[i]}")
        s.first = &first[0]
        s.single = &single[0]
        s.backoffs = &backoffs[0]
        s.successor_starts = &starts[0]
        s.successors = &successors[0] if successors.shape[0] else NULL
        s.log_probs = &values[0] if values.shape[0] else NULL
    s.starts = &offsets[0]
    s.n_history = 0
    s.room = 1024
    s.heap.n = s.heap.room = 0
    s.heap.entries = NULL
    s.classes = <int32_t *> malloc(n_labels * sizeof(int32_t))
    s.scores = <double *> malloc(2 * n_labels * sizeof(double))
    s.histories = <int *> malloc(2 * n_labels * sizeof(int))
    s.begins = <Token *> malloc(4 * n_words * sizeof(Token))
    s.places = <int *> malloc(3 * n_words * sizeof(int))
    s.future = <double *> malloc(n_frames * sizeof(double))
    s.history = <Left *> malloc(s.room * sizeof(Left))
    try:
        if (
            s.classes is NULL or s.scores is NULL or s.histories is NULL or s.begins is NULL or s.places is NULL
            or s.history is NULL or s.future is NULL
        ):
            raise MemoryError()
        s.blank_scores = s.scores + n_labels
        s.blank_histories = s.histories + n_labels
        s.separators = s.begins + n_words
        s.ends = s.separators + n_words
        s.entries = s.ends + n_words
        s.pending = s.places + n_words
        s.alive = s.pending + n_words
        with nogil:
            for w in range(n_words):
                for i in range(offsets[w], offsets[w + 1]):
                    s.classes[i] = ~labels[i] if i > offsets[w] and labels[i] == labels[i - 1] else labels[i]
            goal = 0.0
            for i in range(n_frames - 1, -1, -1):
                s.future[i] = goal
                most = -INFINITY
                for w in range(n_classes):
                    most = max(most, log_probs[i, w])
                goal += most
            search(&s, log_probs, MARGIN, -INFINITY)
            best = winner_of(&s).score
            search(&s, log_probs, INFINITY, best if not s.has_bigrams or restrained(&s) else -INFINITY)
            end = winner_of(&s)
        winner = end.word
        best = end.score
        place = end.history
        if winner >= 0:
            found.append(winner)
        while place >= 0:
            found.append(s.history[place].word)
            place = s.history[place].before
        found.reverse()
        return found, best
    finally:
        free(s.classes)
        free(s.scores)
        free(s.histories)
        free(s.begins)
        free(s.places)
        free(s.history)
        free(s.future)
        free_heap(&s.heap)
