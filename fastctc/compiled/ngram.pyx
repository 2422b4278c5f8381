"""Twin of fastctc.reference.ngram."""

cimport cython
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp

import numpy as np

from fastctc.compiled.kenlm cimport (
    Contexts, advance_context, check_contexts, context_of, free_contexts, hash_bytes, number_of_context, take_contexts
)

from fastctc.search_inputs import KenLMWords

cdef extern from *:
    bint PyUnicode_IS_ASCII(object)


def score(tables, state, tokens) -> tuple:
    if isinstance(tables, KenLMWords):
        return score_words(tables, state, tokens)
    return score_tokens(tables, state, tokens)


cdef tuple score_words(words, context, tokens):
    cdef Contexts *c = take_contexts(words)
    cdef int state
    cdef list values = []
    try:
        state = number_of_context(c, context)
        for token in tokens:
            values.append(advance_context(c, &state, token))
        check_contexts(c)
        return values, context_of(c, state)
    finally:
        free_contexts(c)


cdef tuple score_tokens(tables, int state, tokens):
    cdef Model m
    cdef list numbers = list(tokens)
    cdef Py_ssize_t i, n = len(numbers)
    cdef int32_t *items
    cdef double *results
    fill(&m, tables)
    if not 0 <= state < m.n_nodes:
        raise ValueError(f"state must be a node, 0 to {m.n_nodes - 1}, got {state}")
    items = <int32_t *> malloc((n + 1) * sizeof(int32_t))
    results = <double *> malloc((n + 1) * sizeof(double))
    try:
        if items is NULL or results is NULL:
            raise MemoryError()
        for i in range(n):
            items[i] = numbers[i]
        with nogil:
            for i in range(n):
                results[i] = advance(&m, &state, items[i])
        return [results[i] for i in range(n)], state
    finally:
        free(items)
        free(results)


@cython.final
cdef class Scorer:
    """A model that is asked in tokens and texts; the numbers of tokens stand in a hash table."""

    cdef Model model
    cdef object tables
    cdef const uint8_t[::1] text
    cdef const int64_t[::1] offsets
    cdef int32_t[::1] slots
    cdef uint64_t mask
    cdef int start, unknown, end
    cdef bint is_of_words

    def __init__(self, tables, const uint8_t[::1] text, const int64_t[::1] offsets, int start, bint is_of_words):
        cdef Py_ssize_t n = offsets.shape[0] - 1, i
        cdef uint64_t slot, size = 4
        fill(&self.model, tables)
        self.tables = tables
        if not 0 <= start < self.model.n_nodes:
            raise ValueError(f"start must be a node, 0 to {self.model.n_nodes - 1}, got {start}")
        if n < 0 or n >= 0x7fffffff or offsets[0] != 0 or offsets[n] != text.shape[0]:
            raise ValueError("offsets must begin with 0 and end with the length of the text")
        for i in range(n):
            if offsets[i + 1] < offsets[i]:
                raise ValueError("offsets must not descend")
        while size < 2 * <uint64_t> n:
            size *= 2
        self.text, self.offsets, self.start, self.is_of_words = text, offsets, start, is_of_words
        self.slots = np.full(size, -1, np.int32)
        self.mask = size - 1
        self.unknown = self.end = -1
        for i in range(n):
            slot = hash_bytes(self.token(i), offsets[i + 1] - offsets[i]) & self.mask
            while self.slots[slot] >= 0:
                slot = (slot + 1) & self.mask
            self.slots[slot] = <int32_t> i
        self.unknown = self.find(b"<unk>", 5)
        self.end = self.find(b"</s>", 4)

    cdef inline const uint8_t *token(self, Py_ssize_t number) noexcept:
        return &self.text[0] + self.offsets[number] if self.text.shape[0] else NULL

    cdef inline int find(self, const uint8_t *token, Py_ssize_t n) noexcept:
        """The number of a token, or that of unknown ones."""
        cdef uint64_t slot = hash_bytes(token, n) & self.mask
        cdef int number
        while True:
            number = self.slots[slot]
            if number < 0:
                return self.unknown
            if self.offsets[number + 1] - self.offsets[number] == n and memcmp(self.token(number), token, n) == 0:
                return number
            slot = (slot + 1) & self.mask

    cdef int number_of(self, object token) except -2:
        cdef Py_ssize_t n
        cdef const char *text
        if not isinstance(token, str):
            raise TypeError(f"a token must be str, got {type(token).__name__}")
        text = PyUnicode_AsUTF8AndSize(token, &n)
        return self.find(<const uint8_t *> text, n)

    def number(self, token) -> int:
        return self.number_of(token)

    def advance(self, int state, token) -> tuple:
        cdef double result
        cdef int number = self.number_of(token)
        if not 0 <= state < self.model.n_nodes:
            raise ValueError(f"state must be a node, 0 to {self.model.n_nodes - 1}, got {state}")
        result = advance(&self.model, &state, number)
        return result, state

    cdef double walk(self, object text, bint begin, bint end, list values) except? 1:
        cdef int state = self.start if begin else 0
        cdef double total = 0.0, value
        cdef const uint8_t *place
        cdef const uint8_t *stop
        cdef const uint8_t *word
        cdef Py_ssize_t n
        if isinstance(text, str) and self.is_of_words and PyUnicode_IS_ASCII(text):
            place = <const uint8_t *> PyUnicode_AsUTF8AndSize(text, &n)
            stop = place + n
            while True:
                while place < stop and is_space(place[0]):
                    place += 1
                if place == stop:
                    break
                word = place
                while place < stop and not is_space(place[0]):
                    place += 1
                value = advance(&self.model, &state, self.find(word, place - word))
                total += value
                if values is not None:
                    values.append(value)
        else:
            for token in text.split() if isinstance(text, str) and self.is_of_words else text:
                value = advance(&self.model, &state, self.number_of(token))
                total += value
                if values is not None:
                    values.append(value)
        if end:
            value = advance(&self.model, &state, self.end)
            total += value
            if values is not None:
                values.append(value)
        return total

    def log_probs(self, text, bint begin, bint end) -> list:
        cdef list values = []
        self.walk(text, begin, end, values)
        return values

    def score(self, text, bint begin, bint end) -> float:
        return self.walk(text, begin, end, None)


cdef inline bint is_space(uint8_t c) noexcept nogil:
    """As str.split() has it."""
    return c == 32 or 9 <= c <= 13 or 28 <= c <= 31


def forecast(tables, sums, int state, int first, int last) -> float:
    cdef Model m
    fill(&m, tables)
    fill_sums(&m, sums)
    if not 0 <= state < m.n_nodes:
        raise ValueError(f"state must be a node, 0 to {m.n_nodes - 1}, got {state}")
    return forecast_sum(&m, state, first, last)
