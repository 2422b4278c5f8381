"""Twin of fastctc.reference.arpa: a table of tokens, and lines read without an object for each field."""

from cpython.exc cimport PyErr_Clear, PyErr_Occurred
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memchr, memcmp, memcpy

import numpy as np

cdef extern from *:
    double to_double "PyOS_string_to_double"(const char *, char **, void *)

cdef double POWERS[23]
cdef int _k
for _k in range(23):
    POWERS[_k] = float(10**_k)  # exact, as is every integer below 2**53: so is the one rounding of their quotient
cdef uint64_t EXACT = 1 << 53
cdef enum:
    LONGEST_NUMBER = 63
cdef int32_t MOST_TOKENS = 1 << 30

cdef struct Slot:
    uint32_t tag        # of the hash
    int32_t number      # of the token, plus one; 0: free


cdef inline bint is_white(uint8_t c) noexcept nogil:
    return c == 32 or 9 <= c <= 13


cdef uint64_t hash_of(const uint8_t *text, Py_ssize_t n) noexcept nogil:
    """FNV-1a, and its upper half on the lower one."""
    cdef uint64_t h = 14695981039346656037U
    cdef Py_ssize_t i
    for i in range(n):
        h = (h ^ text[i]) * 1099511628211U
    return h ^ (h >> 32)


cdef bint read_slowly(const uint8_t *text, Py_ssize_t n, double *value) noexcept nogil:
    """A number as Python's float() reads it; whether it is one."""
    cdef char copy[LONGEST_NUMBER + 1]
    cdef char *end
    cdef bint is_number
    if not 0 < n <= LONGEST_NUMBER:
        return False
    memcpy(copy, text, n)
    copy[n] = 0
    with gil:
        value[0] = to_double(copy, &end, NULL)
        is_number = not PyErr_Occurred() and end == copy + n
        PyErr_Clear()
    return is_number


cdef bint read_number(const uint8_t *text, Py_ssize_t n, double *value) noexcept nogil:
    """The same; where digits and power of ten are exact, by one division or multiplication: rounded as by float()
    (W. D. Clinger: How to read floating point numbers accurately, 1990)."""
    cdef uint64_t digits = 0
    cdef Py_ssize_t i = 0
    cdef int power = 0, exponent = 0, n_digits = 0
    cdef bint negative = False, negative_exponent = False, fraction = False
    if i < n and (text[i] == 45 or text[i] == 43):
        negative = text[i] == 45
        i += 1
    while i < n:
        if 48 <= text[i] <= 57:
            if digits > EXACT // 10 - 1:
                return read_slowly(text, n, value)
            digits = digits * 10 + (text[i] - 48)
            n_digits += 1
            power -= fraction
        elif text[i] == 46 and not fraction:
            fraction = True
        else:
            break
        i += 1
    if n_digits == 0:
        return read_slowly(text, n, value)
    if i < n:
        if text[i] != 101 and text[i] != 69:
            return read_slowly(text, n, value)
        i += 1
        if i < n and (text[i] == 45 or text[i] == 43):
            negative_exponent = text[i] == 45
            i += 1
        if i == n or n - i > 3:
            return read_slowly(text, n, value)
        while i < n:
            if not 48 <= text[i] <= 57:
                return read_slowly(text, n, value)
            exponent = exponent * 10 + (text[i] - 48)
            i += 1
        power += -exponent if negative_exponent else exponent
    if not -22 <= power <= 22:
        return read_slowly(text, n, value)
    value[0] = <double> digits / POWERS[-power] if power < 0 else <double> digits * POWERS[power]
    if negative:
        value[0] = -value[0]
    return True


def section_end(const uint8_t[::1] data, Py_ssize_t start):
    cdef Py_ssize_t n = data.shape[0], at = start, i
    cdef const uint8_t *found
    if not 0 <= start <= n:
        raise ValueError(f"start must be 0 to {n}, got {start}")
    while at < n:
        if data[at] == 92:
            return at
        i = at
        while i < n and (data[i] == 32 or data[i] == 9 or data[i] == 13):
            i += 1
        if i < n and data[i] == 10:
            return at
        found = <const uint8_t *> memchr(&data[0] + i, 10, n - i) if i < n else NULL
        if found is NULL:
            break
        at = found - &data[0] + 1
    return -1


cdef class TokenTable:
    cdef uint8_t *text
    cdef int64_t *offsets       # of each token, and the end; behind each token stands a blank space
    cdef Slot *slots
    cdef int64_t n_bytes, bytes_room
    cdef int32_t n, room
    cdef size_t mask

    def __cinit__(self):
        self.make_slots(64)
        self.make_room(0)
        self.offsets[0] = 0

    def __dealloc__(self):
        free(self.text)
        free(self.offsets)
        free(self.slots)

    def __len__(self):
        return self.n

    cdef int make_slots(self, size_t n) except -1 nogil:
        """A table of so many places, with all tokens."""
        cdef int32_t k
        cdef Slot *slots = <Slot *> calloc(n, sizeof(Slot))
        if slots is NULL:
            with gil:
                raise MemoryError
        free(self.slots)
        self.slots, self.mask = slots, n - 1
        for k in range(self.n):
            self.enter(k)
        return 0

    cdef void enter(self, int32_t k) noexcept nogil:
        cdef uint64_t h = hash_of(self.text + self.offsets[k], self.offsets[k + 1] - self.offsets[k] - 1)
        cdef size_t at = h & self.mask
        while self.slots[at].number:
            at = (at + 1) & self.mask
        self.slots[at].number, self.slots[at].tag = k + 1, <uint32_t> (h >> 32)

    cdef int make_room(self, Py_ssize_t more) except -1 nogil:
        """See to it that one more token of so many bytes fits."""
        cdef int64_t n_bytes = max(2 * self.bytes_room, self.n_bytes + more + 1024)
        cdef int32_t room = max(2 * self.room, 1024)
        cdef uint8_t *text
        cdef int64_t *offsets
        if self.n_bytes + more + 1 > self.bytes_room:
            text = <uint8_t *> realloc(self.text, n_bytes)
            if text is NULL:
                with gil:
                    raise MemoryError
            self.text, self.bytes_room = text, n_bytes
        if self.n + 2 > self.room:
            offsets = <int64_t *> realloc(self.offsets, room * sizeof(int64_t)) if self.n < MOST_TOKENS else NULL
            if offsets is NULL:
                with gil:
                    raise MemoryError
            self.offsets, self.room = offsets, room
        return 0

    cdef int32_t find(self, const uint8_t *token, Py_ssize_t n) noexcept nogil:
        """The number of a token, -1 if it is not there."""
        cdef uint64_t h = hash_of(token, n)
        cdef size_t at = h & self.mask
        cdef int32_t k
        while self.slots[at].number:
            k = self.slots[at].number - 1
            if self.slots[at].tag == <uint32_t> (h >> 32) and self.offsets[k + 1] - self.offsets[k] - 1 == n:
                if memcmp(self.text + self.offsets[k], token, n) == 0:
                    return k
            at = (at + 1) & self.mask
        return -1

    cdef int append(self, const uint8_t *token, Py_ssize_t n) except -1 nogil:
        """Add a token that is not there yet."""
        self.make_room(n)
        memcpy(self.text + self.n_bytes, token, n)
        self.text[self.n_bytes + n] = 32
        self.n_bytes += n + 1
        self.offsets[self.n + 1] = self.n_bytes
        self.n += 1
        if 2 * <size_t> self.n > self.mask:
            self.make_slots(2 * (self.mask + 1))
        else:
            self.enter(self.n - 1)
        return 0

    cdef int forget(self, int32_t n) except -1:
        """Take back all tokens but the first ones."""
        self.n, self.n_bytes = n, self.offsets[n]
        self.make_slots(self.mask + 1)
        return 0

    def number(self, bytes token) -> int:
        return self.find(<const uint8_t *> <char *> token, len(token))

    def add(self, list tokens):
        cdef bytes token
        for token in tokens:
            if self.find(<const uint8_t *> <char *> token, len(token)) >= 0:
                raise ValueError(f"tokens must be different, got {token!r} again")
            self.append(<const uint8_t *> <char *> token, len(token))

    def tokens(self) -> list:
        cdef int32_t k
        return [
            (<char *> self.text)[self.offsets[k] : self.offsets[k + 1] - 1] for k in range(self.n)
        ]

    def ngrams(self, const uint8_t[::1] data, Py_ssize_t start, Py_ssize_t stop, int order, double most):
        cdef Py_ssize_t n_lines = 0, at = start
        cdef const uint8_t *found
        cdef int32_t before = self.n
        cdef bint usual
        if not 0 <= start <= stop <= data.shape[0] or (start < stop and data[stop - 1] != 10) or order < 1:
            raise ValueError(f"lines must lie within the data and end there, got {start} to {stop}, order {order}")
        while at < stop:
            found = <const uint8_t *> memchr(&data[0] + at, 10, stop - at)
            at = found - &data[0] + 1
            n_lines += 1
        rows = np.empty((n_lines, order), np.int32)
        log_probs, backoffs = np.empty(n_lines), np.empty(n_lines)
        cdef int32_t[:, ::1] numbers = rows
        cdef double[::1] first = log_probs
        cdef double[::1] last = backoffs
        if n_lines == 0:
            return rows, log_probs, backoffs
        with nogil:
            usual = self.take_lines(&data[0] + start, n_lines, order, most, &numbers[0, 0], &first[0], &last[0])
        if usual and self.n > before:
            try:
                (<char *> self.text)[self.offsets[before] : self.n_bytes].decode("utf-8")
            except UnicodeDecodeError:
                usual = False
        if not usual:
            self.forget(before)
            return None
        return rows, log_probs, backoffs

    cdef bint take_lines(
        self, const uint8_t *p, Py_ssize_t n_lines, int order, double most, int32_t *numbers, double *log_probs,
        double *backoffs
    ) except -1 nogil:
        """Whether all lines are as they usually are. The last character is the end of a line."""
        cdef Py_ssize_t i
        cdef int k
        cdef const uint8_t *field
        for i in range(n_lines):
            for k in range(order + 2):
                while p[0] != 10 and is_white(p[0]):
                    p += 1
                field = p
                while not is_white(p[0]):
                    p += 1
                if p == field:
                    if k <= order:
                        return False
                    backoffs[i] = 0.0
                elif k == 0:
                    if not read_number(field, p - field, &log_probs[i]):
                        return False
                elif k <= order:
                    numbers[0] = self.find(field, p - field)
                    if order == 1:
                        if numbers[0] >= 0:
                            return False
                        numbers[0] = self.n
                        self.append(field, p - field)
                    elif numbers[0] < 0:
                        return False
                    numbers += 1
                elif not read_number(field, p - field, &backoffs[i]):
                    return False
            while p[0] != 10 and is_white(p[0]):
                p += 1
            if p[0] != 10 or not (log_probs[i] <= 0.0 and backoffs[i] <= most):
                return False
            p += 1
        return True
