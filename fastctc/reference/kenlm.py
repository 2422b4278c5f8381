"""Probabilities from the binary files of KenLM, which are asked where they lie.

K. Heafield: KenLM: Faster and Smaller Language Model Queries, WMT 2011. The unigrams stand in one array, by the numbers
of their words. Longer n-grams are looked for from their last word backwards: the last two words, then the last three,
until there is none. Two kinds of file differ in how:

* Hash tables, one for each length, from a hash of the words to the values. The words themselves are not there, so that
  such a model can be asked, and cannot be listed.
* Tries, whose entries (word, values, where the entries of the next length begin) are packed bit by bit. The entries
  below one entry are sorted by their words. Values may be quantised, and the upper bits of the places may stand in an
  array of their own.

Words are known by a hash of their text. All numbers are little-endian. Logarithms are to the base of 10, and single
precision, as the file has them.

Nothing in a file is trusted: whatever leads out of it is a ValueError.
"""

import struct
from bisect import bisect_right
from functools import total_ordering
from typing import Any, NamedTuple

from fastctc.search_inputs import HashedLevel, KenLMTables, TrieLevel

MASK = (1 << 64) - 1
GREATEST_BACKOFF = 8.0


# What a model remembers of the words before, the latest first: their numbers, each with the weight of backing off from
# the n-gram that begins there.
Context = tuple[tuple[int, float], ...]


class _Found(NamedTuple):
    prob: float
    backoff: float
    node: Any  # hash tables: the hash of the words; tries: from where to where the longer n-grams stand
    is_last: bool  # no longer n-gram ends so


def hash_of(word: bytes) -> int:
    """MurmurHash64A, by Austin Appleby, of a word's text."""
    multiplier = 0xC6A4A7935BD1E995
    result = len(word) * multiplier & MASK
    n_whole = len(word) // 8 * 8
    for (part,) in struct.iter_unpack("<Q", word[:n_whole]):
        part = part * multiplier & MASK
        part = (part ^ part >> 47) * multiplier & MASK
        result = (result ^ part) * multiplier & MASK
    if rest := word[n_whole:]:
        result = (result ^ int.from_bytes(rest, "little")) * multiplier & MASK
    result = (result ^ result >> 47) * multiplier & MASK
    return result ^ result >> 47


def number(tables: KenLMTables, word: bytes) -> int:
    """The number of a word, 0 if it is not in the vocabulary."""
    wanted = hash_of(word)
    if tables.hashed:
        slot = _slot(tables, tables.vocabulary, tables.n_slots, 12, wanted)
        found = 0 if slot is None else _read(tables, "<I", slot + 8)
    else:
        low, high = 0, tables.n_slots
        while low < high:
            middle = (low + high) // 2
            if _read(tables, "<Q", tables.vocabulary + 8 * middle) < wanted:
                low = middle + 1
            else:
                high = middle
        known = low < tables.n_slots and _read(tables, "<Q", tables.vocabulary + 8 * low) == wanted
        found = low + 1 if known else 0
    if found >= tables.n_words:
        raise ValueError(f"the file is damaged: words must have numbers below {tables.n_words}, got {found}")
    return found


def advance(tables: KenLMTables, context: Context, word: int) -> tuple[float, int, Context]:
    """How probable a word is after others, the length of the n-gram that says so, and the context for the next word.

    The longest n-gram of the model decides. What is longer in the context costs its back-off weights. The next context
    is the longest n-gram that may have a continuation: others have -0.0 for a weight.
    """
    if not 0 <= word < tables.n_words:
        raise ValueError(f"a word must have a number from 0 to {tables.n_words - 1}, got {word}")
    if len(context) >= tables.order:
        raise ValueError(f"a context must have at most {tables.order - 1} words, got {len(context)}")
    found = _unigram(tables, word)
    result, length = found.prob, 1
    after = [(word, found.backoff)]
    keep = int(_may_go_on(found.backoff))
    for index, (before, _) in enumerate(context):
        if found.is_last:
            break
        longer = _longer(tables, index, found.node, before)
        if longer is None:
            break
        found = longer
        result, length = found.prob, length + 1
        if length < tables.order:
            after.append((before, found.backoff))
            keep = length if _may_go_on(found.backoff) else keep
    for _, backoff in context[length - 1 :]:
        result = _single(result + backoff)
    return result, length, tuple(after[:keep])


@total_ordering
class State:
    """A context that changes, ordered as KenLM's states are: by length, then by the bytes of the words."""

    context: Context

    def __init__(self, context: Context = ()) -> None:
        self.context = tuple(context)

    def _key(self) -> tuple[int, bytes]:
        return len(self.context), b"".join(word.to_bytes(4, "little") for word, _ in self.context)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, State) else NotImplemented

    def __lt__(self, other: "State") -> bool:
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __copy__(self) -> "State":
        return State(self.context)


class Scorer:
    """A model that is asked in words and texts, UTF-8 or str, whose words stand between the white space of ASCII."""

    def __init__(self, tables: KenLMTables) -> None:
        self.tables = tables
        begin = number(tables, b"<s>")
        self.start = ((begin, _unigram(tables, begin).backoff),)

    def number(self, word: str | bytes) -> int:
        """The number of a word, 0 if it is not in the vocabulary."""
        return number(self.tables, word.encode() if isinstance(word, str) else word)

    def begin(self, state: State) -> None:
        """Let a state be that at the beginning of a sentence."""
        state.context = self.start

    def clear(self, state: State) -> None:
        """Let a state be that of nothing before."""
        state.context = ()

    def advance(self, in_state: State, word: str | bytes, out_state: State) -> float:
        """The log10 probability of a word; the state after it is written."""
        result, _, out_state.context = advance(self.tables, in_state.context, self.number(word))
        return result

    def full_score(self, in_state: State, word: str | bytes, out_state: State) -> tuple[float, int, bool]:
        """The same, with the length of the n-gram that says so, and whether the word is unknown."""
        known = self.number(word)
        result, length, out_state.context = advance(self.tables, in_state.context, known)
        return result, length, known == 0

    def full_scores(self, text: str | bytes, bos: bool = True, eos: bool = True) -> list[tuple[float, int, bool]]:
        """Of each word of a text."""
        words = (text.encode() if isinstance(text, str) else text).split()
        state = State(self.start if bos else ())
        return [self.full_score(state, word, state) for word in [*words, *[b"</s>"] * eos]]

    def score(self, text: str | bytes, bos: bool = True, eos: bool = True) -> float:
        """The sum over the words, in single precision."""
        total = 0.0
        for value, _, _ in self.full_scores(text, bos, eos):
            total = _single(total + value)
        return total


def _unigram(tables: KenLMTables, word: int) -> _Found:
    place = tables.unigrams + tables.unigram_size * word
    prob, backoff = _read(tables, "<f", place), _read(tables, "<f", place + 4)
    if tables.hashed:  # where the sign of a probability says whether longer n-grams end so
        return _found(-abs(prob), backoff, word, _is_negative(prob))
    below = _read(tables, "<Q", place + 8), _read(tables, "<Q", place + tables.unigram_size + 8)
    return _found(prob, backoff, _checked(tables, 0, *below), below[0] == below[1])


def _longer(tables: KenLMTables, index: int, node: Any, word: int) -> _Found | None:
    """The n-gram that has one more word in front, ``index + 2`` together."""
    level, is_longest = tables.levels[index], index == len(tables.levels) - 1
    if isinstance(level, HashedLevel):
        key = (node * 8978948897894561157 & MASK) ^ ((1 + word) * 17894857484156487943 & MASK)
        slot = _slot(tables, level.place, level.n_slots, level.slot_size, key)
        if slot is None:
            return None
        prob = _read(tables, "<f", slot + 8)
        if is_longest:
            return _found(prob, 0.0, key, True)
        return _found(-abs(prob), _read(tables, "<f", slot + 12), key, _is_negative(prob))
    low, high = node
    while low < high:
        middle = (low + high) // 2
        if _bits(tables, level.place, middle * _width(level), level.word_bits) < word:
            low = middle + 1
        else:
            high = middle
    start = low * _width(level)
    if low == node[1] or _bits(tables, level.place, start, level.word_bits) != word:
        return None
    prob, backoff = _values(tables, level, start + level.word_bits, is_longest)
    if is_longest:
        return _found(prob, 0.0, None, True)
    below = _next(tables, level, low), _next(tables, level, low + 1)
    return _found(prob, backoff, _checked(tables, index + 1, *below), below[0] == below[1])


def _slot(tables: KenLMTables, place: int, n_slots: int, size: int, key: int) -> int | None:
    """Linear probing: a key stands at its remainder, or in the next slot that was free; 0 is a free one."""
    for step in range(n_slots):
        slot = place + (key + step) % n_slots * size
        found = _read(tables, "<Q", slot)
        if found == key:
            return slot
        if found == 0:
            break
    return None


def _width(level: TrieLevel) -> int:
    """Bits of an entry."""
    return level.word_bits + level.prob_bits + level.backoff_bits + level.next_bits


def _values(tables: KenLMTables, level: TrieLevel, start: int, is_longest: bool) -> tuple[float, float]:
    """Probability and weight of an entry. Quantised, the weight stands first."""
    if not level.centers:
        prob = _bits(tables, level.place, start, 31) | 1 << 31
        backoff = 0 if is_longest else _bits(tables, level.place, start + 31, 32)
        return _float(prob), _float(backoff)
    backoff = _bits(tables, level.place, start, level.backoff_bits)
    prob = _bits(tables, level.place, start + level.backoff_bits, level.prob_bits)
    weights = level.centers + (4 << level.prob_bits)
    return (
        _read(tables, "<f", level.centers + 4 * prob),
        0.0 if is_longest else _read(tables, "<f", weights + 4 * backoff),
    )


def _next(tables: KenLMTables, level: TrieLevel, entry: int) -> int:
    """Where the entries below an entry begin; how many of the upper parts begin up to here is the upper part."""
    lower = _bits(tables, level.place, (entry + 1) * _width(level) - level.next_bits, level.next_bits)
    if not level.heads:
        return lower
    heads = range(level.heads, level.heads + 8 * level.n_heads, 8)
    return bisect_right(heads, entry, key=lambda place: _read(tables, "<Q", place)) - 1 << level.next_bits | lower


def _checked(tables: KenLMTables, level: int, start: int, stop: int) -> tuple[int, int]:
    most = tables.levels[level].n_entries  # type: ignore[union-attr]
    if not 0 <= start <= stop <= most:
        raise ValueError(f"the file is damaged: entries must lie between 0 and {most}, got {start} to {stop}")
    return start, stop


def _found(prob: float, backoff: float, node: Any, is_last: bool) -> _Found:
    if not (prob <= 0 and backoff <= GREATEST_BACKOFF):
        raise ValueError(
            "the file is damaged: logarithms of probabilities must be at most 0, of back-off weights at most "
            f"{GREATEST_BACKOFF}, got {prob} and {backoff}"
        )
    return _Found(prob, backoff, node, is_last)


def _may_go_on(backoff: float) -> bool:
    return backoff != 0 or not _is_negative(backoff)


def _is_negative(value: float) -> bool:
    return bool(struct.pack("<f", value)[3] & 0x80)


def _read(tables: KenLMTables, kind: str, place: int) -> Any:
    return struct.unpack_from(kind, tables.data, place)[0]


def _bits(tables: KenLMTables, place: int, start: int, n_bits: int) -> int:
    """An integer that begins at a bit of what begins at a byte."""
    return int(_read(tables, "<Q", place + start // 8)) >> start % 8 & (1 << n_bits) - 1


def _float(bits: int) -> float:
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])


def _single(value: float) -> float:
    """As single precision has it."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])
