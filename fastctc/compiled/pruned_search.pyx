"""Twin of fastctc.reference.pruned_search.

Texts and parts of words are numbers: a part is a node of a tree over the bytes of UTF-8, so that pieces that spell the
same string meet in one node; a text is one shorter by a word, and that word's part; a prefix is a text and a part. What
models and preferred words say of a prefix is found once, when it first arises. A candidate of a frame is a prefix with
a label, and all that merge arise under one label: a stamp at the prefix finds the candidate, without a table.
"""

from libc.math cimport INFINITY, exp, log
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from fastctc.compiled.interrupts cimport look
from fastctc.compiled.kenlm cimport Scorer, State, Words, advance_words, find_word
from fastctc.compiled.ngram cimport Model, advance, fill
from fastctc.search_inputs import KenLMTables, PartBeam, PreferredWords, WordWeights

cdef extern from "pairs.h":
    ctypedef struct Pairs:
        size_t size, used
        uint64_t *keys
    int pairs_make(Pairs *table, size_t size) nogil
    void pairs_free(Pairs *table) nogil
    int32_t pairs_get(const Pairs *table, int a, int b) nogil
    int pairs_set(Pairs *table, int a, int b, int value) nogil

cdef double LN10 = log(10.0)
cdef int BLANK = 0, ENDS = 1, BEGINS = 2, GOES_ON = 3
cdef int MODEL = 0, KNOWN = 1, PREFERRED = 2  # what a part is looked up in
cdef Py_ssize_t SIGNAL_WORK = 1 << 22  # candidates between two looks for Ctrl-C
cdef int MOST = 1 << 30
cdef Py_ssize_t FULL = 1 << 20  # prefixes, above which the search begins anew with its beams, and forgets all others
cdef int ABSENT = -1

cdef struct Strings:
    const uint8_t *text
    const int64_t *offsets
    int n
    int64_t n_bytes

cdef struct Part:
    int parent
    int n_bytes
    int n_characters
    int byte
    bint is_weighed
    double weight       # what the beginning of a word adds
    int low[3]          # which strings of each table begin so
    int high[3]

cdef struct Text:
    int before
    int word            # the part that is its last word, -1 of the start
    int history         # the number of its last words, taken together
    int state           # of an n-gram model; otherwise where the state stands among those that were met
    double lm_score
    double preferred

cdef struct Prefix:
    int text
    int part
    double knowledge    # what models and preferred words add
    int64_t stamp       # of the label under which it was last met, and the candidate that it is there
    int candidate
    int block           # where its children stand while it is a beam, -1 if they stand nowhere
    int64_t lease       # its number, for every time that a block has been given
    int64_t frame       # in which it was last a beam

cdef struct Child:
    int64_t lease       # of its block; what an older one has left behind means nothing
    int prefix          # that a label leads to, or ABSENT
    int candidate       # while it is absent, as of a prefix
    int64_t stamp
    double knowledge

cdef struct Closed:
    int before
    int first
    int last

cdef struct Frames:
    Py_ssize_t n
    const int64_t *offsets      # where the labels of each frame begin
    int32_t *labels
    double *log_probs

cdef struct Beam:
    int prefix          # ABSENT: the child of the parent by the label, which will be made if it is kept
    int parent
    int label
    int closed          # the frames of its words, -1 if there are none
    int first
    int last
    bint closes         # whether the frames of a part are still to be added to those of words,
    int part_first      # and which
    int part_last
    double log_prob
    double knowledge
    double score


cdef class _Array:
    """Room for items of one size."""

    cdef char *items
    cdef Py_ssize_t n, room, size

    def __cinit__(self, Py_ssize_t size):
        self.size = size

    def __dealloc__(self):
        free(self.items)

    cdef int more(self) except -1 nogil:
        """Make room for one more."""
        cdef Py_ssize_t room
        cdef char *items
        if self.n == self.room:
            room = 2 * self.room if self.room else 64
            items = <char *> realloc(self.items, room * self.size)
            if items == NULL or room >= MOST:
                with gil:
                    raise MemoryError("the search needs more memory than there is")
            self.items = items
            self.room = room
        memset(self.items + self.n * self.size, 0, self.size)
        self.n += 1
        return 0


cdef int strings(Strings *s, tokens, bint check) except -1:
    """Point to the arrays of Tokens, which the caller keeps alive. What is only compared needs no check."""
    cdef const int64_t[::1] offsets = tokens.offsets
    cdef const uint8_t[::1] text = tokens.text
    cdef Py_ssize_t i, n = offsets.shape[0] - 1
    if n < 0 or n > MOST or offsets[0] != 0 or offsets[n] != text.shape[0]:
        raise ValueError("the offsets of strings must begin with 0 and end where their text does")
    for i in range(n if check else 0):
        if offsets[i] > offsets[i + 1]:
            raise ValueError(f"the offsets of strings must ascend, got {offsets[i]}, {offsets[i + 1]}")
    s.n_bytes = text.shape[0]
    s.text = &text[0] if text.shape[0] else NULL
    s.offsets = &offsets[0]
    s.n = <int> n
    return 0


cdef inline int byte_at(const Strings *s, int i, int depth) noexcept nogil:
    """A byte of a string, -1 behind its end."""
    cdef int64_t place = s.offsets[i] + depth
    return s.text[place] if 0 <= place < s.offsets[i + 1] and place < s.n_bytes else -1


cdef int lower(const Strings *s, int low, int high, int depth, int byte) noexcept nogil:
    """The first of some sorted strings, alike before depth, whose byte there is not below this one."""
    cdef int middle
    while low < high:
        middle = low + (high - low) // 2
        if byte_at(s, middle, depth) < byte:
            low = middle + 1
        else:
            high = middle
    return low


cdef class _Search:
    cdef Pairs parts_of, texts_of, prefixes_of, histories_of, seen
    cdef _Array parts, texts, prefixes, closed, candidates, beams, order, holders, spare
    cdef Strings tables[3]
    cdef bint has[3]
    cdef int *shortest          # characters of each preferred word
    cdef Strings on, first
    cdef Model ngram
    cdef bint has_ngram, has_kenlm, has_words, asks, asks_preferred
    cdef Scorer scorer
    cdef _Array contexts, letters
    cdef double weight, bonus, unknown, preferred_weight
    cdef int usual, unknown_number, end, history, n_histories, n_labels
    cdef object words, preferred, kept
    cdef list states
    cdef int64_t stamp, frame
    cdef Child *children        # blocks of one for each label
    cdef int n_blocks
    cdef int64_t leases
    cdef bint breaks            # whether the next label begins a word
    cdef bint is_lazy           # whether only one prefix leads to another by a label that goes on

    def __cinit__(self):
        if (
            pairs_make(&self.parts_of, 64) or pairs_make(&self.texts_of, 64) or pairs_make(&self.prefixes_of, 64)
            or pairs_make(&self.histories_of, 64) or pairs_make(&self.seen, 64)
        ):
            raise MemoryError

    def __dealloc__(self):
        pairs_free(&self.parts_of)
        pairs_free(&self.texts_of)
        pairs_free(&self.prefixes_of)
        pairs_free(&self.histories_of)
        pairs_free(&self.seen)
        free(self.shortest)
        free(self.children)

    def __init__(self, pieces, pruning, words, preferred):
        cdef Part *root
        cdef int i, k
        cdef int64_t j
        self.parts, self.texts = _Array(sizeof(Part)), _Array(sizeof(Text))
        self.prefixes, self.closed = _Array(sizeof(Prefix)), _Array(sizeof(Closed))
        self.candidates = _Array(sizeof(Beam))
        self.beams, self.order = _Array(sizeof(Beam)), _Array(sizeof(int))
        self.holders, self.spare = _Array(sizeof(int)), _Array(sizeof(int))
        self.is_lazy = pieces.is_prefix_code
        self.states = []
        self.kept = [pieces, words, preferred]
        strings(&self.on, pieces.on, True)
        strings(&self.first, pieces.first, True)
        self.n_labels = self.on.n
        self.history = pruning.history
        self.words, self.preferred = words, preferred
        self.has_words = words is not None
        self.asks = self.has_words and not isinstance(words, WordWeights)
        self.has_kenlm = self.has_words and not self.asks and isinstance(words.tables, KenLMTables)
        self.has_ngram = self.has_words and not self.asks and not self.has_kenlm
        self.contexts, self.letters = _Array(sizeof(Words)), _Array(1)
        if self.has_kenlm:
            self.scorer = Scorer(words.tables)
        if self.has_ngram:
            fill(&self.ngram, words.tables)
            strings(&self.tables[MODEL], words.words, False)
            self.has[MODEL] = True
        if self.has_words and not self.asks:
            if words.known is not None:
                strings(&self.tables[KNOWN], words.known, False)
                self.has[KNOWN] = True
            self.weight, self.bonus, self.unknown = words.weight, words.bonus, words.unknown
            self.usual, self.unknown_number, self.end = words.usual, words.unknown_number, words.end
        self.asks_preferred = preferred is not None and not isinstance(preferred, PreferredWords)
        if isinstance(preferred, PreferredWords):
            strings(&self.tables[PREFERRED], preferred.words, True)
            self.has[PREFERRED] = True
            self.preferred_weight = preferred.weight
            self.shortest = <int *> calloc(self.tables[PREFERRED].n + 1, sizeof(int))
            if self.shortest == NULL:
                raise MemoryError
            for i in range(self.tables[PREFERRED].n):
                for j in range(self.tables[PREFERRED].offsets[i], self.tables[PREFERRED].offsets[i + 1]):
                    self.shortest[i] += (self.tables[PREFERRED].text[j] & 0xc0) != 0x80
        self.parts.more()
        root = <Part *> self.parts.items
        root.parent = -1
        for k in range(3):
            root.high[k] = self.tables[k].n if self.has[k] else 0

    cdef inline Part *part(self, int i) noexcept nogil:
        return <Part *> self.parts.items + i

    cdef inline Text *text(self, int i) noexcept nogil:
        return <Text *> self.texts.items + i

    cdef inline Prefix *prefix(self, int i) noexcept nogil:
        return <Prefix *> self.prefixes.items + i

    cdef int put(self, Pairs *table, int a, int b, int value) except -1 nogil:
        if pairs_set(table, a, b, value):
            with gil:
                raise MemoryError
        return 0

    cdef int longer(self, int part, const uint8_t *text, int64_t n) except -1 nogil:
        """The part that has some more bytes."""
        cdef int64_t i
        cdef int found
        cdef Part *new
        for i in range(n):
            found = pairs_get(&self.parts_of, part, text[i])
            if found < 0:
                found = <int> self.parts.n
                self.parts.more()
                self.put(&self.parts_of, part, text[i], found)
                new = self.part(found)
                new[0] = self.part(part)[0]
                new.parent, new.byte, new.is_weighed = part, text[i], False
                self.lengthen(new, text[i])
            part = found
        return part

    cdef void lengthen(self, Part *part, int byte) noexcept nogil:
        """Look a part up with one more byte."""
        cdef int k
        for k in range(3):
            if part.low[k] < part.high[k]:
                part.low[k] = lower(&self.tables[k], part.low[k], part.high[k], part.n_bytes, byte)
                part.high[k] = lower(&self.tables[k], part.low[k], part.high[k], part.n_bytes, byte + 1)
        part.n_bytes += 1
        part.n_characters += (byte & 0xc0) != 0x80

    cdef int longer_by(self, int part, const Strings *s, int i) except -1 nogil:
        return self.longer(part, s.text + s.offsets[i], s.offsets[i + 1] - s.offsets[i])

    cdef inline int number(self, int part, int k) noexcept nogil:
        """The number of a part among the strings of a table, -1 if it is none of them."""
        cdef Part *p = self.part(part)
        if p.low[k] < p.high[k] and byte_at(&self.tables[k], p.low[k], p.n_bytes) < 0 and p.n_bytes > 0:
            return p.low[k]
        return -1

    cdef inline Words *context(self, int i) noexcept nogil:
        return <Words *> self.contexts.items + i

    cdef double ended_by_kenlm(self, int word, int *state, bint last) except? -1 nogil:
        """What a word that has ended adds by a model of KenLM, and the state after it."""
        cdef int length, after = <int> self.contexts.n, n = self.part(word).n_bytes, i, at = word
        cdef uint32_t number
        cdef double value
        cdef bint is_unknown
        cdef Words unused
        self.letters.n = 0
        for _i in range(n):
            self.letters.more()
        for i in range(n - 1, -1, -1):
            self.letters.items[i] = <char> self.part(at).byte
            at = self.part(at).parent
        number = find_word(&self.scorer.model, <const uint8_t *> self.letters.items, n) if n else 0
        self.contexts.more()
        value = advance_words(&self.scorer.model, self.context(state[0]), number, self.context(after), &length)
        is_unknown = number == 0
        if self.has[KNOWN] and self.tables[KNOWN].n:
            is_unknown = is_unknown or self.number(word, KNOWN) < 0
        if is_unknown:
            value += self.unknown
        if last and self.end >= 0:
            value += advance_words(&self.scorer.model, self.context(after), <uint32_t> self.end, &unused, &length)
        state[0] = after
        return self.weight * LN10 * value + self.bonus

    cdef double ended(self, int word, int *state, bint last) except? -1 nogil:
        """What a word that has ended adds by the model, and the state after it."""
        cdef int number = self.number(word, MODEL), after
        cdef double value
        if self.has_kenlm:
            return self.ended_by_kenlm(word, state, last)
        if number < 0:
            number = self.unknown_number
        value = advance(&self.ngram, state, number)
        if number == self.unknown_number or (self.has[KNOWN] and self.tables[KNOWN].n and self.number(word, KNOWN) < 0):
            value += self.unknown * LN10
        if last and self.end >= 0:
            after = state[0]
            value += advance(&self.ngram, &after, self.end)
        return self.weight * value + self.bonus

    cdef double weigh(self, int part) except? -1 nogil:
        """What the beginning of a word adds."""
        cdef Part *p = self.part(part)
        cdef double value = 0.0
        if p.is_weighed:
            return p.weight
        if self.asks_preferred or (self.asks and not self.may_be_preferred(p)):
            if p.n_bytes:
                with gil:
                    value = self.ask_part(part)
                    p = self.part(part)
        else:
            value = self.worth(p)
        p.is_weighed, p.weight = True, value
        return value

    cdef inline bint may_be_preferred(self, const Part *p) noexcept nogil:
        return self.has[PREFERRED] and p.low[PREFERRED] < p.high[PREFERRED]

    cdef double worth(self, const Part *p) noexcept nogil:
        """The same, where no object is to be asked."""
        cdef int i, least = MOST
        if p.n_bytes == 0:
            return 0.0
        if self.may_be_preferred(p):
            for i in range(p.low[PREFERRED], p.high[PREFERRED]):
                least = min(least, self.shortest[i])
            return self.preferred_weight * p.n_characters / least
        return self.unknown_part(p) if self.has_words else 0.0

    cdef double unknown_part(self, const Part *p) noexcept nogil:
        if self.has[KNOWN] and p.low[KNOWN] < p.high[KNOWN]:
            return 0.0
        return self.unknown * (max(1.0, p.n_characters / <double> self.usual))

    cdef double ask_part(self, int part) except? -1:
        cdef str spelled = self.spelled(part)
        if self.asks_preferred and (not self.has_words or spelled in self.preferred):
            return self.preferred.score_partial_token(spelled)
        if not self.asks:
            return self.unknown_part(self.part(part))
        return self.words.score_partial_token(spelled)

    cdef str spelled(self, int part):
        """A part as a string."""
        cdef Part *p = self.part(part)
        cdef bytearray text = bytearray(p.n_bytes)
        cdef int i
        for i in range(p.n_bytes - 1, -1, -1):
            text[i] = p.byte
            p = self.part(p.parent)
        return text.decode("utf-8", "surrogatepass")

    cdef str whole(self, int text, dict known):
        """A text as a string."""
        cdef list way = []
        cdef int i = text
        while i >= 0 and i not in known:
            way.append(i)
            i = self.text(i).before
        cdef str found = known[i] if i >= 0 else ""
        cdef str word
        for i in reversed(way):
            if self.text(i).word > 0:
                word = self.spelled(self.text(i).word)
                found = f"{found} {word}" if found else word
            known[i] = found
        return found

    cdef int follow(self, int text, int word) except -1 nogil:
        """The text with one more word: it, if the word is empty."""
        cdef int found, state
        cdef double value
        cdef Text *new
        cdef Text *old
        if word == 0:
            return text
        found = pairs_get(&self.texts_of, text, word)
        if found >= 0:
            return found
        found = <int> self.texts.n
        self.texts.more()
        self.put(&self.texts_of, text, word, found)
        new, old = self.text(found), self.text(text)
        new.before, new.word = text, word
        new.lm_score, new.state = old.lm_score, old.state
        new.preferred = old.preferred
        if self.has[PREFERRED] and self.number(word, PREFERRED) >= 0:
            new.preferred += self.preferred_weight
        if self.history:
            new.history = self.last_words(found)
        if self.has_ngram or self.has_kenlm:
            state = new.state
            value = self.ended(word, &state, False)
            new = self.text(found)
            new.lm_score += value
            new.state = state
        if self.asks or self.asks_preferred:
            with gil:
                self.ask_text(text, word, found)
        return found

    cdef int last_words(self, int text) except -1 nogil:
        """One number for the last words of a text, told from the last one back."""
        cdef int _i, key = 0, found, at = text
        for _i in range(self.history):
            if at < 0 or self.text(at).word <= 0:
                break
            found = pairs_get(&self.histories_of, key, self.text(at).word)
            if found < 0:
                self.n_histories += 1
                found = self.n_histories
                self.put(&self.histories_of, key, self.text(at).word, found)
            key = found
            at = self.text(at).before
        return key

    cdef int ask_text(self, int text, int word, int found) except -1:
        """Ask objects what a word adds."""
        if self.asks:
            value, state = self.words.score(self.states[self.text(text).state], self.spelled(word), False)
            self.text(found).lm_score = self.text(text).lm_score + value
            self.text(found).state = <int> len(self.states)
            self.states.append(state)
        if self.asks_preferred:
            self.text(found).preferred = self.preferred.score(self.whole(found, {}))
        return 0

    cdef int find_prefix(self, int text, int part) except -1 nogil:
        cdef int found = pairs_get(&self.prefixes_of, text, part)
        cdef Prefix *new
        cdef double value
        if found >= 0:
            return found
        value = self.text(text).lm_score + self.text(text).preferred + self.weigh(part)
        found = <int> self.prefixes.n
        self.prefixes.more()
        self.put(&self.prefixes_of, text, part, found)
        new = self.prefix(found)
        new.text, new.part, new.knowledge, new.block = text, part, value, -1
        return found

    cdef int step(self, int prefix, int label, int kind) except -1 nogil:
        """The prefix after one more label."""
        cdef int text = self.prefix(prefix).text, part = self.prefix(prefix).part
        if kind == ENDS:
            return self.find_prefix(self.follow(text, part), 0)
        if kind == BEGINS:
            text = self.follow(text, part)
            return self.find_prefix(text, self.longer_by(0, &self.first, label))
        return self.find_prefix(text, self.longer_by(part, &self.on, label))

    cdef int resolve(self, Child *child, int prefix, int label, int kind) except -1 nogil:
        """Where a label leads. If it is the only way there, a prefix that is not there yet is not made."""
        cdef int text, part, at
        cdef int64_t i
        cdef double value
        child.lease, child.stamp = self.prefix(prefix).lease, 0
        if kind == ENDS or kind == BEGINS or not self.is_lazy:
            child.prefix = self.step(prefix, label, kind)
            child.knowledge = self.prefix(child.prefix).knowledge
            return 0
        text, part = self.prefix(prefix).text, self.prefix(prefix).part
        at = part
        if self.asks or self.asks_preferred:
            at = self.longer_by(part, &self.on, label)
        else:
            for i in range(self.on.offsets[label], self.on.offsets[label + 1]):
                at = pairs_get(&self.parts_of, at, self.on.text[i])
                if at < 0:
                    break
        child.prefix = ABSENT
        if at >= 0:
            child.prefix = pairs_get(&self.prefixes_of, text, at)
            value = self.weigh(at)
        else:
            value = self.weigh_absent(part, label)
        child.knowledge = self.text(text).lm_score + self.text(text).preferred + value
        return 0

    cdef double weigh_absent(self, int part, int label) noexcept nogil:
        """What the beginning of a word would add with one more label."""
        cdef Part longer = self.part(part)[0]
        cdef int64_t i
        for i in range(self.on.offsets[label], self.on.offsets[label + 1]):
            self.lengthen(&longer, self.on.text[i])
        return self.worth(&longer)

    cdef int hold(self, int prefix) except -1 nogil:
        """Give a beam's prefix a block of children, of which none is known."""
        cdef int block, n
        cdef Child *children
        if self.spare.n:
            self.spare.n -= 1
            block = (<int *> self.spare.items)[self.spare.n]
        else:
            block = self.holders.n
            if block >= self.n_blocks:
                n = 2 * self.n_blocks if self.n_blocks else 16
                children = <Child *> calloc(<size_t> n * self.n_labels, sizeof(Child))  # untouched: no page is taken
                if children == NULL:
                    with gil:
                        raise MemoryError("the search needs more memory than there is")
                if self.n_blocks:
                    memcpy(children, self.children, <size_t> self.n_blocks * self.n_labels * sizeof(Child))
                free(self.children)
                self.children, self.n_blocks = children, n
        self.leases += 1
        self.prefix(prefix).lease = self.leases
        self.holders.more()
        (<int *> self.holders.items)[self.holders.n - 1] = prefix
        self.prefix(prefix).block = block
        return 0

    cdef int make_absent(self) except -1 nogil:
        """Make the prefixes of new beams."""
        cdef Beam *beam
        cdef int i
        for i in range(self.beams.n):
            beam = <Beam *> self.beams.items + i
            if beam.prefix == ABSENT:
                beam.prefix = self.step(beam.parent, beam.label, GOES_ON)
                self.child(beam.parent, beam.label).prefix = beam.prefix
        return 0

    cdef inline Child *child(self, int prefix, int label) noexcept nogil:
        return self.children + <Py_ssize_t> self.prefix(prefix).block * self.n_labels + label

    cdef int settle(self) except -1 nogil:
        """Give new beams blocks of children, and take those of the prefixes that are beams no more."""
        cdef Prefix *prefix
        cdef int i, kept = 0
        cdef int *holders
        self.frame += 1
        for i in range(self.beams.n):
            self.prefix((<Beam *> self.beams.items)[i].prefix).frame = self.frame
        holders = <int *> self.holders.items
        for i in range(self.holders.n):
            prefix = self.prefix(holders[i])
            if prefix.frame == self.frame:
                holders[kept] = holders[i]
                kept += 1
            else:
                self.spare.more()
                (<int *> self.spare.items)[self.spare.n - 1] = prefix.block
                prefix.block = -1
        self.holders.n = kept
        for i in range(self.beams.n):
            if self.prefix((<Beam *> self.beams.items)[i].prefix).block < 0:
                self.hold((<Beam *> self.beams.items)[i].prefix)
        return 0

    cdef int add(self, const Beam *new) except -1 nogil:
        """Add a candidate; one that has the same prefix and label gives it its place and its paths."""
        cdef Beam *old
        cdef double high, low
        cdef int64_t *stamp
        cdef int *candidate
        if new.prefix == ABSENT:
            stamp = &self.child(new.parent, new.label).stamp
            candidate = &self.child(new.parent, new.label).candidate
        else:
            stamp, candidate = &self.prefix(new.prefix).stamp, &self.prefix(new.prefix).candidate
        if stamp[0] == self.stamp:
            old = <Beam *> self.candidates.items + candidate[0]
            high, low = max(old.log_prob, new.log_prob), min(old.log_prob, new.log_prob)
            old[0] = new[0]
            old.log_prob = high if low == -INFINITY else high + log(1.0 + exp(low - high))
            return 0
        stamp[0] = self.stamp
        candidate[0] = <int> self.candidates.n
        self.candidates.more()
        (<Beam *> self.candidates.items)[candidate[0]] = new[0]
        return 0

    cdef int known_text(self, str text, dict known) except -1:
        """The text that a beam begins with. What is shorter may stand for its words, but has no score of its own."""
        cdef str before = text.rpartition(" ")[0]
        cdef list words = text.split()
        cdef bytes word
        cdef int at = 0, found, number, i
        if text in known:
            return known[text]
        if before in known:
            at = known[before]
            words = [text.rpartition(" ")[2]]
        for i in range(len(words)):
            word = words[i].encode("utf-8", "surrogatepass")
            number = self.longer(0, <const uint8_t *> word, len(word))
            found = <int> self.texts.n
            self.texts.more()
            if before in known:
                self.put(&self.texts_of, at, number, found)
            self.text(found).before, self.text(found).word = at, number
            if self.history:
                self.text(found).history = self.last_words(found)
            at = found
        known[text] = at
        return at

    cdef int begin(self, beams) except -1:
        """Beams to go on with, as candidates."""
        cdef Beam new
        cdef Text *text
        cdef State state
        cdef bytes part
        cdef int i, at, first, last
        cdef dict known = {"": 0}
        self.texts.more()
        self.text(0).before = -1
        for words in sorted({beam.text for beam in beams}, key=len):
            self.known_text(words, known)
        for beam in beams:
            at = known[beam.text]
            text = self.text(at)
            text.lm_score = beam.lm_score if self.has_words else 0.0
            if self.has_ngram:
                text.state = beam.state
                if not 0 <= text.state < self.ngram.n_nodes:
                    raise ValueError(f"a state must be 0 to {self.ngram.n_nodes - 1}, got {beam.state}")
            elif self.has_kenlm:
                state = State(beam.state)
                if state.words.length >= self.scorer.model.order:
                    raise ValueError(f"a state must have at most {self.scorer.model.order - 1} words, got {beam.state}")
                text.state = <int> self.contexts.n
                self.contexts.more()
                self.context(text.state)[0] = state.words
            elif self.asks:
                text.state = <int> len(self.states)
                self.states.append(beam.state)
            text.preferred = 0.0
            if self.has[PREFERRED]:
                i = at
                while i > 0:
                    if self.number(self.text(i).word, PREFERRED) >= 0:
                        text.preferred += self.preferred_weight
                    i = self.text(i).before
            elif self.asks_preferred:
                text.preferred = self.preferred.score(beam.text)
            memset(&new, 0, sizeof(Beam))
            part = beam.part.encode("utf-8", "surrogatepass")
            new.prefix = self.find_prefix(at, self.longer(0, <const uint8_t *> part, len(part)))
            new.label, new.log_prob, new.closed = beam.label, beam.log_prob, -1
            new.first, new.last = beam.part_frames
            for first, last in beam.frames:
                new.closed = self.close(new.closed, first, last)
            new.knowledge = self.prefix(new.prefix).knowledge
            self.stamp += 1  # beams that are given are not merged
            self.add(&new)
        return 0

    cdef int close(self, int before, int first, int last) except -1 nogil:
        """One more word's frames."""
        cdef int found = <int> self.closed.n
        cdef Closed *new
        self.closed.more()
        new = <Closed *> self.closed.items + found
        new.before, new.first, new.last = before, first, last
        return found

    cdef int take_candidates(self) except -1:
        """Make all candidates the beams, as they stand."""
        while self.beams.n < self.candidates.n:
            self.beams.more()
        memcpy(self.beams.items, self.candidates.items, self.beams.n * sizeof(Beam))
        return 0

    cdef int select(self, int width, double floor) except -1 nogil:
        """Make the best candidates the beams, best first. Of equal ones the first."""
        cdef Beam *all = <Beam *> self.candidates.items
        cdef Beam *beams
        cdef int *order
        cdef int n = <int> self.candidates.n, i, kept = 0
        cdef double most = -INFINITY
        self.beams.n = self.order.n = 0
        while self.beams.n < min(n, width):
            self.beams.more()
            self.order.more()
        beams, order = <Beam *> self.beams.items, <int *> self.order.items
        for i in range(n):
            most = max(most, all[i].score)
        for i in range(n):
            if not all[i].score >= most + floor:
                continue
            if kept < width:
                order[kept] = i
                kept += 1
                if kept == width:
                    heapify(order, kept, all)
            elif all[i].score > all[order[0]].score:
                order[0] = i
                sink(order, 0, kept, all)
        if kept < width:
            heapify(order, kept, all)
        for i in range(kept - 1, 0, -1):
            order[0], order[i] = order[i], order[0]
            sink(order, 0, i, all)
        for i in range(kept):
            beams[i] = all[order[i]]
            if beams[i].closes:
                beams[i].closed = self.close(beams[i].closed, beams[i].part_first, beams[i].part_last)
                beams[i].closes = False
        if not kept:
            with gil:
                raise ValueError("scores of beams must be numbers: a model has given NaN")
        self.beams.n = kept
        return 0


cdef inline bint worse(int a, int b, const Beam *all) noexcept nogil:
    return all[a].score < all[b].score or (all[a].score == all[b].score and a > b)


cdef void sink(int *order, int at, int n, const Beam *all) noexcept nogil:
    """Restore a heap with the worst candidate on top."""
    cdef int child, item = order[at]
    while True:
        child = 2 * at + 1
        if child >= n:
            break
        if child + 1 < n and worse(order[child + 1], order[child], all):
            child += 1
        if not worse(order[child], item, all):
            break
        order[at] = order[child]
        at = child
    order[at] = item


cdef void heapify(int *order, int n, const Beam *all) noexcept nogil:
    cdef int i
    for i in range(n // 2 - 1, -1, -1):
        sink(order, i, n, all)


cdef int without_twins(_Search s) except -1 nogil:
    """Of beams that end in the same words, part and label, keep the best."""
    cdef int i, kept = 0, pair
    cdef Prefix *prefix
    cdef Beam *beams = <Beam *> s.beams.items
    memset(s.seen.keys, 0, s.seen.size * sizeof(uint64_t))
    s.seen.used = 0
    for i in range(s.beams.n):
        prefix = s.prefix(beams[i].prefix)
        pair = pairs_get(&s.seen, s.text(prefix.text).history, prefix.part)
        if pair < 0:
            pair = i
            s.put(&s.seen, s.text(prefix.text).history, prefix.part, pair)
        # one more step, by the label: its pairs are told from the others by their second number
        if pairs_get(&s.seen, pair, MOST + beams[i].label + 1) < 0:
            s.put(&s.seen, pair, MOST + beams[i].label + 1, 0)
            beams[kept] = beams[i]
            kept += 1
    s.beams.n = kept
    return 0


cdef int sort_labels(int32_t *labels, double *log_probs, Py_ssize_t n, const int32_t[::1] same) noexcept nogil:
    """Put labels that are the same side by side; mostly none are."""
    cdef Py_ssize_t i, j
    cdef int32_t label
    cdef double log_prob
    for i in range(1, n):
        label, log_prob, j = labels[i], log_probs[i], i
        while j and same[labels[j - 1]] > same[label]:
            labels[j], log_probs[j] = labels[j - 1], log_probs[j - 1]
            j -= 1
        labels[j], log_probs[j] = label, log_prob
    return 0


cdef Py_ssize_t search(
    _Search s, Py_ssize_t t, const Frames *frames, const int8_t[::1] kinds, const uint8_t[::1] closes,
    const int32_t[::1] same, double beam_floor, int width, int first_frame
) except -1 nogil:
    """Go on from a frame. Returns the one to go on from anew, or the number of frames."""
    cdef Py_ssize_t worked = 0
    cdef int64_t i
    cdef int frame, b, label, kind, n
    cdef bint forced
    cdef double log_prob
    cdef Child *child
    cdef Beam new
    cdef Beam *old
    cdef Beam *all
    while t < frames.n:
        frame = first_frame + <int> t
        s.candidates.n = 0
        for i in range(frames.offsets[t], frames.offsets[t + 1]):
            label, log_prob = frames.labels[i], frames.log_probs[i]
            kind = kinds[label]
            if i == frames.offsets[t] or new.label != same[label]:
                s.stamp += 1
            for b in range(s.beams.n):
                old = <Beam *> s.beams.items + b
                new = old[0]
                new.log_prob = old.log_prob + log_prob
                new.label = same[label]
                if kind == BLANK:
                    pass
                elif old.label == new.label:
                    new.last = frame + 1
                else:
                    forced = s.breaks and kind == GOES_ON
                    if kind == ENDS or kind == BEGINS or forced:
                        new.closes = s.part(s.prefix(old.prefix).part).n_bytes > 0
                        new.part_first, new.part_last = old.first, old.last
                        new.first = new.last = -1
                    if kind != ENDS:
                        if new.first < 0:
                            new.first = frame
                        new.last = frame + 1
                    if kind == BEGINS or forced:
                        s.breaks = closes[label]
                    if forced:
                        new.prefix = s.step(old.prefix, label, BEGINS)
                        new.knowledge = s.prefix(new.prefix).knowledge
                    else:
                        child = s.child(old.prefix, label)
                        if child.lease != s.prefix(old.prefix).lease:
                            s.resolve(child, old.prefix, label, kind)
                        new.parent, new.prefix, new.knowledge = old.prefix, child.prefix, child.knowledge
                s.add(&new)
        n = <int> s.candidates.n
        all = <Beam *> s.candidates.items
        for b in range(n):
            all[b].score = all[b].log_prob + all[b].knowledge
        s.select(width, beam_floor)
        s.make_absent()
        if s.history and s.beams.n > 1:
            without_twins(s)
        s.settle()
        worked += n + 1
        if worked > SIGNAL_WORK:
            worked = 0
            look()
        t += 1
        if s.prefixes.n >= FULL:
            break
    return t


cdef dict finish(_Search s, int width, double beam_floor, bint closes, bint ends):
    """The last choice. Of each prefix that has come to its end, the model's score and state."""
    cdef int b, i, text, word
    cdef Beam new
    cdef Beam *all
    cdef dict ways = {}  # the text and the word by which each prefix was last met
    cdef dict scores = {}
    s.candidates.n = 0
    s.stamp += 1
    for b in range(s.beams.n):
        new = (<Beam *> s.beams.items)[b]
        if closes:
            text, word = s.prefix(new.prefix).text, s.prefix(new.prefix).part
            new.closes = word > 0
            new.part_first, new.part_last = new.first, new.last
            new.first = new.last = new.label = -1
            new.prefix = s.find_prefix(s.follow(text, word), 0)
            ways[new.prefix] = text, word
        else:
            s.stamp += 1
        s.add(&new)
    if ends and s.has_words:
        for prefix, (text, word) in ways.items():
            scores[prefix] = last_word(s, prefix, text, word)
    all = <Beam *> s.candidates.items
    for i in range(s.candidates.n):
        all[i].score = all[i].log_prob + s.prefix(all[i].prefix).knowledge
    s.select(width, beam_floor)
    return scores


cdef object state_of(_Search s, int state):
    """A state as Python sees it."""
    cdef State context
    if s.has_kenlm:
        context = State()
        context.words = s.context(state)[0]
        return context.context
    return state if s.has_ngram else s.states[state] if s.asks else None


cdef tuple last_word(_Search s, int prefix, int text, int word):
    """Weigh a text's last word as such, and the end after it."""
    cdef int whole = s.prefix(prefix).text, state = s.text(text).state
    cdef double score
    if not s.asks:
        score = s.text(text).lm_score + s.ended(word, &state, True)
        after = state_of(s, state)
    else:
        value, after = s.words.score(s.states[state], s.spelled(word), True)
        score = s.text(text).lm_score + value
    s.prefix(prefix).knowledge += score - s.text(whole).lm_score
    return score, after


cdef list results(_Search s, dict scores, int most):
    cdef int b, n = <int> s.beams.n, at
    cdef Beam *beam
    cdef Text *text
    cdef Closed *closed
    cdef dict known = {}
    cdef list frames, found = []
    if 0 < most < n:
        n = most
    for b in range(n):
        beam = <Beam *> s.beams.items + b
        text = s.text(s.prefix(beam.prefix).text)
        frames, at = [], beam.closed
        while at >= 0:
            closed = <Closed *> s.closed.items + at
            frames.append((closed.first, closed.last))
            at = closed.before
        frames.reverse()
        if beam.prefix in scores:
            lm_score, state = scores[beam.prefix]
        else:
            lm_score = text.lm_score
            state = state_of(s, text.state)
        found.append(PartBeam(
            s.whole(s.prefix(beam.prefix).text, known), s.spelled(s.prefix(beam.prefix).part), beam.label, frames,
            (beam.first, beam.last), beam.log_prob, beam.score, lm_score, state
        ))
    return found


cdef int take_frames(Frames *frames, chosen, const int32_t[::1] same, bint has_twins) except -1:
    """Copy the labels of all frames; where labels come twice, those that are the same side by side."""
    cdef const int32_t[::1] labels = chosen.labels
    cdef const double[::1] log_probs = chosen.log_probs
    cdef const int64_t[::1] offsets = chosen.offsets
    cdef Py_ssize_t n = labels.shape[0], i, t
    if log_probs.shape[0] != n or offsets.shape[0] < 1 or offsets[0] != 0 or offsets[offsets.shape[0] - 1] != n:
        raise ValueError("the offsets of chosen labels must begin with 0 and end with their number")
    frames.n = offsets.shape[0] - 1
    frames.offsets = &offsets[0]
    for t in range(frames.n):
        if not offsets[t] < offsets[t + 1] <= n:
            raise ValueError(f"each frame must have a chosen label, got offsets {offsets[t]}, {offsets[t + 1]}")
    for i in range(n):
        if not 0 <= labels[i] < same.shape[0]:
            raise ValueError(f"a label must be 0 to {same.shape[0] - 1}, got {labels[i]}")
        if log_probs[i] != log_probs[i]:
            raise ValueError("log probabilities of chosen labels must be numbers, got NaN")
    frames.labels = <int32_t *> malloc((n + 1) * sizeof(int32_t))
    frames.log_probs = <double *> malloc((n + 1) * sizeof(double))
    if frames.labels is NULL or frames.log_probs is NULL:
        raise MemoryError
    if n:
        memcpy(frames.labels, &labels[0], n * sizeof(int32_t))
        memcpy(frames.log_probs, &log_probs[0], n * sizeof(double))
    for t in range(frames.n if has_twins else 0):
        sort_labels(frames.labels + offsets[t], frames.log_probs + offsets[t], offsets[t + 1] - offsets[t], same)
    return 0


def pruned_search(
    chosen, pieces, pruning, words=None, preferred=None, start=(), int first_frame=0, bint closes=True, bint ends=True,
    int most=0
):
    """See the reference."""
    cdef const int8_t[::1] kinds = pieces.kinds
    cdef const uint8_t[::1] closing = pieces.closes
    cdef const int32_t[::1] same = pieces.same
    cdef Py_ssize_t n_labels = kinds.shape[0]
    cdef int width = min(MOST, pruning.beam_width)
    cdef double beam_floor = pruning.beam_floor
    cdef _Search s = _Search(pieces, pruning, words, preferred)
    cdef Frames frames
    cdef Py_ssize_t i, t = 0
    cdef bint has_twins = False, breaks = False
    if not 0 < n_labels < MOST // 4 or s.on.n != n_labels or s.first.n != n_labels:
        raise ValueError(f"all fields of pieces must have entries for {n_labels} labels")
    if closing.shape[0] != n_labels or same.shape[0] != n_labels:
        raise ValueError(f"all fields of pieces must have {n_labels} entries")
    for i in range(n_labels):
        if not 0 <= same[i] < n_labels:
            raise ValueError(f"a label must be 0 to {n_labels - 1}, got {same[i]}")
        has_twins |= same[i] != i
    if not start:
        raise ValueError("start must hold at least one beam")
    if width < 1:
        raise ValueError(f"beam_width must be at least 1, got {width}")
    frames.labels, frames.log_probs = NULL, NULL
    try:
        take_frames(&frames, chosen, same, has_twins)
        if first_frame < 0 or frames.n > MOST - first_frame:
            raise ValueError(f"frames must have numbers from 0 to {MOST}, got {first_frame} and {frames.n} more")
        while True:
            s.breaks = breaks
            s.begin(start)
            s.take_candidates()
            s.settle()
            with nogil:
                t = search(s, t, &frames, kinds, closing, same, beam_floor, width, first_frame)
            if s.has_kenlm:
                s.scorer.check()
            if t == frames.n:
                break
            start, breaks = results(s, {}, 0), s.breaks
            s = _Search(pieces, pruning, words, preferred)
    finally:
        free(frames.labels)
        free(frames.log_probs)
    return results(s, finish(s, width, beam_floor, closes or ends, ends), most)
