"""The n-grams of KenLM's tries, listed; hash tables cannot be."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc.lm.arpa import LN10
from fastctc.lm.rows import Rows, add_beginnings, sorted_levels
from fastctc.lm.tables import GREATEST_BACKOFF, Level
from fastctc.lm.vocabulary import Vocabulary
from fastctc.search_inputs import KenLMTables, TrieLevel


def levels(tables: KenLMTables, words: list[bytes]) -> tuple[list[Level], Vocabulary]:
    """The n-grams of each length, and their words, which are given by number.

    Raises
    ------
    ValueError
        For a damaged file.
    """
    if len(words) != tables.n_words or len(set(words)) != len(words):
        raise ValueError(f"there must be {tables.n_words} different words, got {len(set(words))}")
    vocabulary = Vocabulary.from_tokens(word.decode() for word in words)
    known = {word.encode(): number for number, word in enumerate(vocabulary)}
    numbers = np.array([known[word] for word in words], np.int32)
    unigrams = tables.data[tables.unigrams : tables.unigrams + 16 * (tables.n_words + 1)]
    table = unigrams.view([("prob", "<f4"), ("backoff", "<f4"), ("next", "<u8")])
    order = np.argsort(numbers)
    rows: list[Rows] = [np.arange(len(words), dtype=np.int32)[:, None]]
    log_probs = [table["prob"][:-1][order].astype(np.float64)]
    backoffs = [table["backoff"][:-1][order].astype(np.float64)]
    places = table["next"]
    before: Rows = numbers[:, None]  # n-grams from the last word backwards, as they stand in the file
    for index, level in enumerate(tables.levels):
        assert isinstance(level, TrieLevel)
        is_longest = index == len(tables.levels) - 1
        if int(places[0]) != 0 or int(places[-1]) != level.n_entries or (places[1:] < places[:-1]).any():
            raise ValueError(f"the {index + 2}-grams must stand below the shorter ones, {level.n_entries} of them")
        parents = np.repeat(np.arange(len(before)), np.diff(places).astype(np.int64))
        found = _bits(tables, level, 0, level.word_bits)
        if len(found) and int(found.max()) >= len(words):
            raise ValueError(f"words must have numbers below {len(words)}, got {found.max()}")
        before = np.concatenate([before[parents], numbers[found.astype(np.int64)][:, None]], axis=1)
        rows.append(before[:, ::-1])
        prob, backoff = _values(tables, level, is_longest)
        log_probs.append(prob.astype(np.float64))
        backoffs.append(backoff.astype(np.float64))
        if not is_longest:
            places = _places(tables, level)
    for prob, backoff in zip(log_probs, backoffs, strict=True):
        if not ((prob <= 0).all() and (backoff <= GREATEST_BACKOFF).all()):
            raise ValueError(f"log probabilities must be at most 0, and back-off weights at most {GREATEST_BACKOFF}")
        prob *= LN10
        backoff *= LN10
    add_beginnings(rows, log_probs, backoffs)
    return sorted_levels(rows, log_probs, backoffs, len(words)), vocabulary


def _bits(tables: KenLMTables, level: TrieLevel, start: int, n_bits: int, n_entries: int | None = None) -> NDArray[Any]:
    """The same bits of all entries."""
    width = level.word_bits + level.prob_bits + level.backoff_bits + level.next_bits
    bits = np.arange(level.n_entries if n_entries is None else n_entries, dtype=np.uint64) * np.uint64(width)
    bits += np.uint64(start)
    size = ((1 + level.n_entries) * width + 7) // 8
    raw = tables.data[level.place : level.place + size + 8]
    words: NDArray[np.uint64] = np.ndarray(size + 1, "<u8", raw.data, strides=(1,))  # one at each byte
    result: NDArray[np.uint64] = words[(bits >> np.uint64(3)).astype(np.int64)] >> (bits & np.uint64(7))
    return result & np.uint64((1 << n_bits) - 1)


def _values(tables: KenLMTables, level: TrieLevel, is_longest: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Probabilities and back-off weights of all entries; see :mod:`fastctc.reference.kenlm`."""
    start = level.word_bits
    none = np.zeros(level.n_entries, np.float32)
    if not level.centers:
        prob = (_bits(tables, level, start, 31) | np.uint64(1 << 31)).astype(np.uint32).view(np.float32)
        if is_longest:
            return prob, none
        return prob, _bits(tables, level, start + 31, 32).astype(np.uint32).view(np.float32)
    n_probs, n_backoffs = 1 << level.prob_bits, 0 if is_longest else 1 << level.backoff_bits
    centers = tables.data[level.centers : level.centers + 4 * (n_probs + n_backoffs)].view("<f4")
    prob = centers[_bits(tables, level, start + level.backoff_bits, level.prob_bits).astype(np.int64)]
    if is_longest:
        return prob, none
    return prob, centers[n_probs + _bits(tables, level, start, level.backoff_bits).astype(np.int64)]


def _places(tables: KenLMTables, level: TrieLevel) -> NDArray[Any]:
    """Where the entries below each entry begin, and the end."""
    start = level.word_bits + level.prob_bits + level.backoff_bits
    lower = _bits(tables, level, start, level.next_bits, level.n_entries + 1)
    if not level.heads:
        return lower
    heads = tables.data[level.heads : level.heads + 8 * level.n_heads].view("<u8")
    upper = np.searchsorted(heads, np.arange(level.n_entries + 1, dtype=np.uint64), side="right") - 1
    places: NDArray[np.uint64] = (upper.astype(np.uint64) << np.uint64(level.next_bits)) | lower
    return places
