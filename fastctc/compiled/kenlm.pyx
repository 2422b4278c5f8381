"""Twin of fastctc.reference.kenlm."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport Py_EQ, Py_GT, Py_LE, Py_LT, Py_NE
from libc.stdint cimport int32_t, uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from fastctc.search_inputs import HashedLevel

cdef extern from *:
    const char *PyUnicode_AsUTF8AndSize(object, Py_ssize_t *) except NULL

_DAMAGED = "the file is damaged: it leads out of itself, or to what is no probability"


def hash_of(bytes word) -> int:
    return hash_bytes(<const uint8_t *> PyBytes_AS_STRING(word), PyBytes_GET_SIZE(word))


def number(tables, bytes word) -> int:
    return Scorer(tables).number(word)


def advance(tables, context, word) -> tuple:
    cdef Scorer scorer = Scorer(tables)
    cdef State before = State(context), after = State()
    cdef int length
    cdef float result
    if not 0 <= word < scorer.model.n_words:
        raise ValueError(f"a word must have a number from 0 to {scorer.model.n_words - 1}, got {word}")
    if before.words.length >= scorer.model.order:
        raise ValueError(f"a context must have at most {scorer.model.order - 1} words, got {before.words.length}")
    result = advance_words(&scorer.model, &before.words, word, &after.words, &length)
    scorer.check()
    return result, length, after.context


cdef inline void copy_words(const Words *source, Words *target) noexcept nogil:
    target.length = source.length
    memcpy(target.words, source.words, source.length * sizeof(uint32_t))
    memcpy(target.backoffs, source.backoffs, source.length * sizeof(float))


cdef class State:
    """A context that changes, ordered as KenLM's states are: by length, then by the bytes of the words."""

    def __init__(self, context=()):
        cdef int i
        cdef tuple pairs = tuple(context)
        if len(pairs) > LONGEST:
            raise ValueError(f"a context must have at most {LONGEST} words, got {len(pairs)}")
        for i in range(len(pairs)):
            self.words.words[i], self.words.backoffs[i] = pairs[i]
        self.words.length = <int> len(pairs)

    @property
    def context(self) -> tuple:
        return tuple([(self.words.words[i], self.words.backoffs[i]) for i in range(self.words.length)])

    @context.setter
    def context(self, pairs):
        State.__init__(self, pairs)

    def __richcmp__(self, other, int op):
        cdef int order
        if not isinstance(other, State):
            return NotImplemented
        order = compare(&self.words, &(<State> other).words)
        if op == Py_EQ:
            return order == 0
        if op == Py_NE:
            return order != 0
        if op == Py_LT:
            return order < 0
        if op == Py_LE:
            return order <= 0
        if op == Py_GT:
            return order > 0
        return order >= 0

    def __hash__(self):
        return <Py_hash_t> (
            hash_bytes(<const uint8_t *> self.words.words, self.words.length * sizeof(uint32_t)) >> 1
        )

    def __copy__(self):
        cdef State result = State()
        copy_words(&self.words, &result.words)
        return result

    def __deepcopy__(self, memo):
        return self.__copy__()

    def __reduce__(self):
        return State, (self.context,)


cdef int compare(const Words *first, const Words *second) noexcept nogil:
    if first.length != second.length:
        return -1 if first.length < second.length else 1
    return memcmp(first.words, second.words, first.length * sizeof(uint32_t))


@cython.final
cdef class Scorer:
    """A model that is asked in words and texts, UTF-8 or str, whose words stand between the white space of ASCII."""

    def __init__(self, tables):
        cdef Found found
        fill(&self.model, tables)
        self.data = tables.data
        self.tables = tables
        self.start.length = 1
        self.start.words[0] = find_word(&self.model, b"<s>", 3)
        self.end = find_word(&self.model, b"</s>", 4)
        self.start.backoffs[0] = 0.0
        if find_unigram(&self.model, self.start.words[0], &found):
            self.start.backoffs[0] = found.backoff
        self.check()

    cdef int check(self) except -1:
        if self.model.damaged:
            raise ValueError(_DAMAGED)
        return 0

    def number(self, word) -> int:
        cdef Py_ssize_t n
        cdef const char *text = utf8(word, &n)
        cdef uint32_t result = find_word(&self.model, <const uint8_t *> text, n)
        self.check()
        return result

    def begin(self, State state not None):
        copy_words(&self.start, &state.words)

    def clear(self, State state not None):
        state.words.length = 0

    cdef float step(self, State before, object word, State after, int *length, uint32_t *found) except? 1:
        cdef Py_ssize_t n
        cdef const char *text = utf8(word, &n)
        cdef Words next_words
        cdef float result
        if before.words.length >= self.model.order:
            raise ValueError(f"a state must have at most {self.model.order - 1} words, got {before.words.length}")
        found[0] = find_word(&self.model, <const uint8_t *> text, n)
        if after is before:
            result = advance_words(&self.model, &before.words, found[0], &next_words, length)
            copy_words(&next_words, &after.words)
        else:
            result = advance_words(&self.model, &before.words, found[0], &after.words, length)
        if self.model.damaged:
            self.check()
        return result

    def advance(self, State in_state not None, word, State out_state not None) -> float:
        cdef int length
        cdef uint32_t found
        return self.step(in_state, word, out_state, &length, &found)

    def full_score(self, State in_state not None, word, State out_state not None) -> tuple:
        cdef int length
        cdef uint32_t found
        cdef float result = self.step(in_state, word, out_state, &length, &found)
        return result, length, found == 0

    cdef float walk(self, object text, bint begin, bint end, list rows) except? 1:
        """The sum over the words of a text; with a list, each word's score goes there."""
        cdef Py_ssize_t n
        cdef const uint8_t *place = <const uint8_t *> utf8(text, &n)
        cdef const uint8_t *stop = place + n
        cdef const uint8_t *word
        cdef Words states[2]
        cdef int now = 0, length
        cdef uint32_t found
        cdef float total = 0.0, value
        cdef Model *m = &self.model
        if begin:
            copy_words(&self.start, &states[0])
        else:
            states[0].length = 0
        while True:
            while place < stop and is_space(place[0]):
                place += 1
            if place == stop:
                break
            word = place
            while place < stop and not is_space(place[0]):
                place += 1
            found = find_word(m, word, place - word)
            value = advance_words(m, &states[now], found, &states[1 - now], &length)
            total += value
            now = 1 - now
            if rows is not None:
                rows.append((value, length, found == 0))
        if end:
            value = advance_words(m, &states[now], self.end, &states[1 - now], &length)
            total += value
            if rows is not None:
                rows.append((value, length, self.end == 0))
        if m.damaged:
            self.check()
        return total

    def full_scores(self, text, bint bos=True, bint eos=True) -> list:
        cdef list rows = []
        self.walk(text, bos, eos, rows)
        return rows

    def score(self, text, bint bos=True, bint eos=True) -> float:
        return self.walk(text, bos, eos, None)


cdef inline bint is_space(uint8_t c) noexcept nogil:
    return c == 32 or 9 <= c <= 13


cdef inline const char *utf8(object word, Py_ssize_t *n) except NULL:
    if isinstance(word, str):
        return PyUnicode_AsUTF8AndSize(word, n)
    if isinstance(word, bytes):
        n[0] = PyBytes_GET_SIZE(word)
        return PyBytes_AS_STRING(word)
    raise TypeError(f"must be str or bytes, got {type(word).__name__}")


cdef const uint8_t *section(const uint8_t[::1] data, object place, object size) except NULL:
    """A part of the file, which must lie in it."""
    if not 0 <= place <= place + size <= data.shape[0]:
        raise ValueError(f"the tables must lie in {data.shape[0]} bytes, but take those from {place} to {place + size}")
    return &data[0] + <Py_ssize_t> place


cdef int fill(Model *m, tables) except -1:
    """Point to the parts of KenLMTables, which the caller keeps alive."""
    cdef const uint8_t[::1] data = tables.data
    cdef Level *level
    if data.shape[0] == 0:
        raise ValueError("the file must not be empty")
    if not 2 <= tables.order <= LONGEST or len(tables.levels) != tables.order - 1:
        raise ValueError(f"order must be 2 to {LONGEST}, one more than there are levels, got {tables.order}")
    m.order = tables.order
    m.hashed = tables.hashed
    m.n_words = tables.n_words
    m.n_slots = tables.n_slots
    m.unigram_size = tables.unigram_size
    m.damaged = False
    if m.n_words < 1 or not 8 <= m.unigram_size <= 16 or (not m.hashed and m.unigram_size != 16):
        raise ValueError("there must be at least one word, and 8, 12 or 16 bytes for each")
    if m.hashed and m.n_slots < 1:
        raise ValueError("the vocabulary must have at least one slot")
    m.vocabulary = section(data, tables.vocabulary, (12 if m.hashed else 8) * tables.n_slots)
    m.unigrams = section(data, tables.unigrams, tables.unigram_size * (tables.n_words + 1 - m.hashed))
    for i, given in enumerate(tables.levels):
        level = &m.levels[i]
        is_longest = i == m.order - 2
        if isinstance(given, HashedLevel) != m.hashed:
            raise ValueError("all levels must be hash tables, or all tries")
        if m.hashed:
            if given.n_slots < 1 or given.slot_size < (12 if is_longest else 16):
                raise ValueError("a hash table must have at least one slot, of 12 or 16 bytes")
            level.n = given.n_slots
            level.slot_size = given.slot_size
            level.place = section(data, given.place, given.n_slots * given.slot_size)
            continue
        if not (
            0 <= given.word_bits <= 32 and 0 <= given.next_bits <= 57 and 0 <= given.n_entries < 1 << 57
            and (
                1 <= given.prob_bits <= 25 and 0 <= given.backoff_bits <= 25 if given.centers
                else given.prob_bits == 31 and given.backoff_bits == (0 if is_longest else 32)
            )
        ):
            raise ValueError("the parts of an entry must have numbers of bits that can be read")
        level.n = given.n_entries
        level.word_bits = given.word_bits
        level.prob_bits = given.prob_bits
        level.backoff_bits = given.backoff_bits
        level.next_bits = given.next_bits
        level.width = level.word_bits + level.prob_bits + level.backoff_bits + level.next_bits
        level.place = section(data, given.place, ((1 + given.n_entries) * level.width + 7) // 8 + 8)
        level.heads = NULL
        level.centers = NULL
        level.n_heads = given.n_heads
        if given.heads:
            if given.n_heads < 1:
                raise ValueError("compressed places must have at least one upper part")
            level.heads = section(data, given.heads, 8 * given.n_heads)
        if given.centers:
            size = (4 << given.prob_bits) + (0 if is_longest else 4 << given.backoff_bits)
            level.centers = section(data, given.centers, size)
    return 0


cdef Contexts *take_contexts(words) except NULL:
    """Point to the arrays of a search_inputs.KenLMWords, which the caller keeps alive."""
    cdef const int32_t[::1] numbers = words.numbers
    cdef Contexts *c = <Contexts *> calloc(1, sizeof(Contexts))
    if c == NULL:
        raise MemoryError()
    try:
        fill(&c.model, words.tables)
    except BaseException:
        free(c)
        raise
    c.numbers = &numbers[0] if numbers.shape[0] else NULL
    c.n_numbers = <int> numbers.shape[0]
    c.width = c.model.order - 1
    return c


cdef void free_contexts(Contexts *c) noexcept:
    if c != NULL:
        free(c.items)
        free(c.slots)
        free(c)


cdef int check_contexts(const Contexts *c) except -1 nogil:
    if c.is_full:
        with gil:
            raise MemoryError()
    if c.model.damaged:
        with gil:
            raise ValueError(_DAMAGED)
    return 0


cdef int number_of_context(Contexts *c, context) except -1:
    """The number of a context as Python has it."""
    cdef State state = State(context)
    if state.words.length > c.width:
        raise ValueError(f"a context must have at most {c.width} words, got {state.words.length}")
    return number_context(c, &state.words)


cdef tuple context_of(const Contexts *c, int number):
    cdef State state = State()
    if not 0 <= number < c.count:
        raise ValueError(f"a state must be 0 to {c.count - 1}, got {number}")
    unpack(c, number, &state.words)
    return state.context
