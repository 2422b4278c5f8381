"""The walk through a KenLM file, for this module and for searches that ask it in their loops.

Nothing in the file is trusted: what would lead out of it is not followed, and sets ``damaged``.
"""

cimport cython
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcmp, memcpy, memset

cdef enum:
    LONGEST = 32  # fastctc.lm.tables.HIGHEST_ORDER

cdef struct Level:
    const uint8_t *place
    uint64_t n                  # slots, or entries
    int slot_size               # the rest is of tries
    int word_bits
    int prob_bits
    int backoff_bits
    int next_bits
    int width                   # bits of an entry
    const uint8_t *heads        # NULL: there are none
    uint64_t n_heads
    const uint8_t *centers      # NULL: not quantised

cdef struct Model:
    int order
    uint32_t n_words
    bint hashed
    const uint8_t *vocabulary
    uint64_t n_slots
    const uint8_t *unigrams
    int unigram_size
    Level levels[LONGEST]       # of the lengths from 2 on
    bint damaged                # set when something in the file was no part of a model

cdef struct Words:  # what a model remembers of the words before: the latest first
    int length
    uint32_t words[LONGEST]
    float backoffs[LONGEST]

cdef struct Found:
    float prob
    float backoff
    uint64_t node               # of hash tables: the hash of the words
    uint64_t start, stop        # of tries: where the longer n-grams stand
    bint is_last                # no longer n-gram ends so


cdef inline uint64_t read64(const uint8_t *place) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, place, 8)
    return value


cdef inline uint32_t read32(const uint8_t *place) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, place, 4)
    return value


cdef inline float as_float(uint32_t bits) noexcept nogil:
    cdef float value
    memcpy(&value, &bits, 4)
    return value


cdef inline float read_float(const uint8_t *place) noexcept nogil:
    return as_float(read32(place))


cdef inline bint is_negative(float value) noexcept nogil:
    cdef uint32_t bits
    memcpy(&bits, &value, 4)
    return bits >> 31


cdef inline bint may_go_on(float backoff) noexcept nogil:
    return backoff != 0 or not is_negative(backoff)


cdef inline uint64_t read_bits(const uint8_t *place, uint64_t start, int n_bits) noexcept nogil:
    return read64(place + (start >> 3)) >> (start & 7) & ((<uint64_t> 1 << n_bits) - 1)


cdef inline uint64_t hash_bytes(const uint8_t *text, Py_ssize_t n) noexcept nogil:
    """MurmurHash64A, by Austin Appleby."""
    cdef uint64_t multiplier = <uint64_t> 0xc6a4a7935bd1e995, result = <uint64_t> n * multiplier, part
    cdef const uint8_t *end = text + (n & ~7)
    while text != end:
        part = read64(text) * multiplier
        part = (part ^ part >> 47) * multiplier
        result = (result ^ part) * multiplier
        text += 8
    n &= 7
    if n:
        part = 0
        memcpy(&part, text, n)
        result = (result ^ part) * multiplier
    result = (result ^ result >> 47) * multiplier
    return result ^ result >> 47


cdef inline const uint8_t *find_slot(
    const uint8_t *place, uint64_t n_slots, int size, uint64_t key
) noexcept nogil:
    """Linear probing; NULL if the key is not there. A table without a free slot is gone through once."""
    cdef uint64_t slot = key % n_slots, _step, found
    for _step in range(n_slots):
        found = read64(place + slot * size)
        if found == key:
            return place + slot * size
        if found == 0:
            break
        slot += 1
        if slot == n_slots:
            slot = 0
    return NULL


cdef inline uint32_t find_word(Model *m, const uint8_t *text, Py_ssize_t n) noexcept nogil:
    """The number of a word, 0 if it is not in the vocabulary."""
    cdef uint64_t wanted = hash_bytes(text, n), low, high, middle, found, below = 0, above = <uint64_t> -1
    cdef const uint8_t *slot
    cdef uint32_t number = 0
    cdef int steps = 0
    if m.hashed:
        slot = find_slot(m.vocabulary, m.n_slots, 12, wanted)
        if slot != NULL:
            number = read32(slot + 8)
    else:  # hashes are uniform, so that a place is guessed, a few times
        low, high = 0, m.n_slots
        while low < high:
            if steps < 16:
                middle = low + <uint64_t> (
                    <double> (wanted - below) / (<double> (above - below) + 1.0) * <double> (high - low)
                )
                if middle >= high:
                    middle = high - 1
            else:
                middle = low + (high - low) // 2
            steps += 1
            found = read64(m.vocabulary + 8 * middle)
            if found < wanted:
                low = middle + 1
                below = found
            elif found > wanted:
                high = middle
                above = found
            else:
                number = <uint32_t> (middle + 1)
                break
    if number >= m.n_words:
        m.damaged = True
        return 0
    return number


cdef inline bint is_sound(Model *m, const Found *found) noexcept nogil:
    if found.prob <= 0 and found.backoff <= 8.0:
        return True
    m.damaged = True
    return False


cdef inline bint find_unigram(Model *m, uint32_t word, Found *found) noexcept nogil:
    cdef const uint8_t *place = m.unigrams + <uint64_t> m.unigram_size * word
    found.prob = read_float(place)
    found.backoff = read_float(place + 4)
    found.node = word  # all is set, whatever the kind: compilers cannot know which of them is read
    found.start = 0
    found.stop = 0
    if m.hashed:
        found.is_last = is_negative(found.prob)
        if not found.is_last:
            found.prob = -found.prob
    else:
        found.start = read64(place + 8)
        found.stop = read64(place + m.unigram_size + 8)
        found.is_last = found.start == found.stop
        if found.start > found.stop or found.stop > m.levels[0].n:
            m.damaged = True
            return False
    return is_sound(m, found)


cdef inline uint64_t next_place(const Level *level, uint64_t entry) noexcept nogil:
    """Where the entries below an entry begin."""
    cdef uint64_t lower = read_bits(level.place, (entry + 1) * level.width - level.next_bits, level.next_bits)
    cdef uint64_t low = 0, high, middle
    if level.heads == NULL:
        return lower
    high = level.n_heads
    while low < high:
        middle = low + (high - low) // 2
        if read64(level.heads + 8 * middle) <= entry:
            low = middle + 1
        else:
            high = middle
    return (low - 1) << level.next_bits | lower


cdef inline bint find_longer(Model *m, int index, uint32_t word, Found *found) noexcept nogil:
    """Whether there is the n-gram with one more word in front, of index + 2 words."""
    cdef const Level *level = &m.levels[index]
    cdef bint is_longest = index == m.order - 2
    cdef const uint8_t *slot
    cdef uint64_t low, high, middle, start, at, below = 0, above = m.n_words
    cdef int steps = 0
    if m.hashed:
        found.node = (
            found.node * <uint64_t> 8978948897894561157
            ^ (1 + <uint64_t> word) * <uint64_t> 17894857484156487943
        )
        slot = find_slot(level.place, level.n, level.slot_size, found.node)
        if slot == NULL:
            return False
        found.prob = read_float(slot + 8)
        found.backoff = 0.0
        if is_longest:
            found.is_last = True
            return is_sound(m, found)
        found.backoff = read_float(slot + 12)
        found.is_last = is_negative(found.prob)
        if not found.is_last:
            found.prob = -found.prob
        return is_sound(m, found)
    low, high = found.start, found.stop
    start = high
    while low < high:
        if steps < 8 and below <= word <= above and high - low < 0x7fffffff:  # numbers are uniform, nearly
            middle = low + (word - below) * (high - low) // (above - below + 1)
        else:
            middle = low + (high - low) // 2
        steps += 1
        at = read_bits(level.place, middle * level.width, level.word_bits)
        if at < word:
            low = middle + 1
            below = at
        elif at > word:
            high = middle
            above = at
        else:
            start = middle
            break
    if low >= high:
        return False
    low = start
    start = low * level.width + level.word_bits
    found.backoff = 0.0
    if level.centers != NULL:
        found.prob = read_float(
            level.centers + 4 * read_bits(level.place, start + level.backoff_bits, level.prob_bits)
        )
        if not is_longest:
            found.backoff = read_float(
                level.centers + (<uint64_t> 4 << level.prob_bits)
                + 4 * read_bits(level.place, start, level.backoff_bits)
            )
    else:
        found.prob = as_float(<uint32_t> read_bits(level.place, start, 31) | <uint32_t> 0x80000000)
        if not is_longest:
            found.backoff = as_float(<uint32_t> read_bits(level.place, start + 31, 32))
    found.is_last = True
    if not is_longest:
        found.start = next_place(level, low)
        found.stop = next_place(level, low + 1)
        found.is_last = found.start == found.stop
        if found.start > found.stop or found.stop > m.levels[index + 1].n:
            m.damaged = True
            return False
    return is_sound(m, found)


cdef inline float advance_words(
    Model *m, const Words *before, uint32_t word, Words *after, int *length
) noexcept nogil:
    """Logarithm to the base of 10 of the probability of a word after others; after must not be before."""
    cdef Found found
    cdef float result
    cdef int i, n = 1, keep
    if word >= m.n_words or not find_unigram(m, word, &found):
        m.damaged = True
        after.length = 0
        length[0] = 1
        return -100.0
    result = found.prob
    after.words[0] = word
    after.backoffs[0] = found.backoff
    keep = may_go_on(found.backoff)
    for i in range(before.length):
        if found.is_last or i >= m.order - 1 or not find_longer(m, i, before.words[i], &found):
            break
        n = i + 2
        result = found.prob
        if n < m.order:
            after.words[i + 1] = before.words[i]
            after.backoffs[i + 1] = found.backoff
            if may_go_on(found.backoff):
                keep = n
    for i in range(n - 1, before.length):
        result += before.backoffs[i]
    after.length = keep
    length[0] = n
    return result


cdef struct Contexts:  # what a search has met, numbered, so that its states are integers
    Model model
    const int32_t *numbers      # the model's number of each word
    int n_numbers
    int width                   # the most words of a context
    uint8_t *items              # of each: its length, the words, the weights
    int count
    int capacity
    int *slots                  # a hash table, twice as large; -1 where there is none
    bint is_full                # there was no memory for more


cdef inline Py_ssize_t item_size(const Contexts *c) noexcept nogil:
    return 4 + 8 * c.width


cdef inline void unpack(const Contexts *c, int state, Words *context) noexcept nogil:
    cdef const uint8_t *item = c.items + state * item_size(c)
    memcpy(&context.length, item, 4)
    memcpy(context.words, item + 4, 4 * c.width)
    memcpy(context.backoffs, item + 4 + 4 * c.width, 4 * c.width)


cdef inline bint grow_contexts(Contexts *c) noexcept nogil:
    """Make room for twice as many."""
    cdef int capacity = 2 * c.capacity if c.capacity else 64, i, slot, mask = 2 * capacity - 1
    cdef Words context
    cdef uint8_t *items
    cdef int *slots
    if capacity > 1 << 28:
        return False
    items = <uint8_t *> realloc(c.items, capacity * item_size(c))
    if items == NULL:
        return False
    c.items = items
    slots = <int *> realloc(c.slots, 2 * capacity * sizeof(int))
    if slots == NULL:
        return False
    c.slots = slots
    c.capacity = capacity
    for i in range(2 * capacity):
        slots[i] = -1
    for i in range(c.count):
        unpack(c, i, &context)
        slot = <int> (hash_bytes(<const uint8_t *> context.words, 4 * context.length) & mask)
        while slots[slot] >= 0:
            slot = (slot + 1) & mask
        slots[slot] = i
    return True


cdef inline int number_context(Contexts *c, const Words *context) noexcept nogil:
    """The number of a context; 0 if there is no memory for it."""
    cdef int state, length, mask, slot
    cdef uint8_t *item
    if c.count == c.capacity and not grow_contexts(c):
        c.is_full = True
        return 0
    mask = 2 * c.capacity - 1
    slot = <int> (hash_bytes(<const uint8_t *> context.words, 4 * context.length) & mask)
    while c.slots[slot] >= 0:
        state = c.slots[slot]
        item = c.items + state * item_size(c)
        memcpy(&length, item, 4)
        if length == context.length and memcmp(item + 4, context.words, 4 * length) == 0:
            return state
        slot = (slot + 1) & mask
    state = c.count
    c.slots[slot] = state
    item = c.items + state * item_size(c)
    memcpy(item, &context.length, 4)
    memcpy(item + 4, context.words, 4 * c.width)
    memcpy(item + 4 + 4 * c.width, context.backoffs, 4 * c.width)
    c.count += 1
    return state


cdef inline double advance_context(Contexts *c, int *state, int word) noexcept nogil:
    """Natural log probability of a word, numbered as in the lexicon, after a state; it is never above 0."""
    cdef Words before, after
    cdef int length
    cdef double result
    if not 0 <= state[0] < c.count:
        c.model.damaged = True
        return 0.0
    unpack(c, state[0], &before)
    memset(&after, 0, sizeof(Words))
    result = 2.302585092994045684 * advance_words(
        &c.model, &before, <uint32_t> c.numbers[word] if 0 <= word < c.n_numbers else 0, &after, &length
    )
    state[0] = number_context(c, &after)
    return result if result < 0.0 else 0.0


cdef Contexts *take_contexts(words) except NULL
cdef void free_contexts(Contexts *c) noexcept
cdef int check_contexts(const Contexts *c) except -1 nogil
cdef int number_of_context(Contexts *c, context) except -1
cdef tuple context_of(const Contexts *c, int state)


cdef class State:
    cdef Words words


@cython.final
cdef class Scorer:
    cdef Model model
    cdef Words start            # the state at the beginning of a sentence
    cdef uint32_t end           # the number of the end of a sentence
    cdef const uint8_t[::1] data
    cdef object tables

    cdef int check(self) except -1
    cdef float step(self, State before, object word, State after, int *length, uint32_t *found) except? 1
    cdef float walk(self, object text, bint begin, bint end, list rows) except? 1
