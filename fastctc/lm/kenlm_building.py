"""KenLM's hash tables, made of the n-grams of a model: what ``build_binary probing`` writes."""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastctc.compiled.kenlm import hash_of
from fastctc.lm.arpa import LN10
from fastctc.lm.kenlm_format import FIXED, SANITY, UNKNOWN, n_slots
from fastctc.lm.rows import Keys, Rows, Values, add_endings, among, keys
from fastctc.lm.tables import MISSING, Level
from fastctc.lm.vocabulary import Vocabulary

MULTIPLIER = 1.5  # slots for each n-gram, as build_binary has it
VALUES = np.dtype([("prob", "<f4"), ("backoff", "<f4")])
SLOT = np.dtype([("key", "<u8"), ("prob", "<f4"), ("backoff", "<f4")])
LAST_SLOT = np.dtype([("key", "<u8"), ("prob", "<f4")])
WORD_SLOT = np.dtype([("key", "<u8"), ("number", "<u4")])


def build(levels: Sequence[Level], vocabulary: Vocabulary) -> NDArray[np.uint8]:
    """The bytes of a file with the n-grams of each length, of which the first are all tokens in their order.

    Raises
    ------
    ValueError
        For a model of unigrams alone, which the format does not know.
    """
    if len(levels) < 2:
        raise ValueError(f"KenLM's files hold n-grams of at least 2 words, got {len(levels)}")
    tokens = [token.encode() for token in vocabulary]
    numbers, words = _numbered(tokens)
    rows, probs, backoffs = _rows(levels, numbers, len(words))
    add_endings(rows, probs, backoffs)
    counts = [len(level) for level in rows]
    head = SANITY + FIXED.pack(len(counts), MULTIPLIER, 0, True, 0) + struct.pack(f"<{len(counts)}Q", *counts)
    head = head.ljust((len(head) + 7) // 8 * 8, b"\0") + struct.pack("<II", 0, len(words))
    slots = [n_slots(count, MULTIPLIER) for count in counts]
    text = b"".join(word + b"\0" for word in words)
    parts = [len(head), 12 * slots[0], 8 * (counts[0] + 1), *(16 * n for n in slots[1:-1]), 12 * slots[-1], len(text)]
    data = np.zeros(sum(parts), dtype=np.uint8)
    pieces = np.split(data, np.cumsum(parts)[:-1])
    pieces[0][:] = np.frombuffer(head, np.uint8)
    pieces[-1][:] = np.frombuffer(text, np.uint8)
    hashes = np.array([hash_of(word) for word in words[1:]], dtype=np.uint64)
    _fill(pieces[1].view(WORD_SLOT), hashes, number=np.arange(1, len(words), dtype=np.uint32))
    continued = [np.unique(keys(longer[:, :-1])) for longer in rows[1:]]  # what something follows
    extended = [np.unique(keys(longer[:, 1:])) for longer in rows[1:]]  # what ends a longer n-gram
    for n, (level, piece) in enumerate(zip(rows, pieces[2:-1], strict=True)):
        found = keys(level)
        prob = np.abs(probs[n].astype(np.float32))
        if n + 1 == len(rows):
            _fill(piece.view(LAST_SLOT), found, prob=-prob)
            continue
        prob = np.where(among(found, extended[n]), prob, -prob)
        backoff = backoffs[n].astype(np.float32)
        backoff[backoff == 0] = np.where(among(found, continued[n]), np.float32(0.0), np.float32(-0.0))[backoff == 0]
        if n == 0:
            unigrams = piece.view(VALUES)[: len(level)]
            unigrams["prob"][level[:, 0]], unigrams["backoff"][level[:, 0]] = prob, backoff
        else:
            _fill(piece.view(SLOT), found, prob=prob, backoff=backoff)
    return data


def _numbered(tokens: list[bytes]) -> tuple[Keys, list[bytes]]:
    """The number of each token, and the words by number; what is unknown is 0."""
    unknown = {UNKNOWN[:-1], UNKNOWN[:-1].upper()}
    words = [UNKNOWN[:-1], *(token for token in tokens if token not in unknown)]
    numbers = np.cumsum([token not in unknown for token in tokens], dtype=np.uint64)
    numbers[[number for number, token in enumerate(tokens) if token in unknown]] = 0
    return numbers, words


def _rows(levels: Sequence[Level], numbers: Keys, n_words: int) -> tuple[list[Rows], list[Values], list[Values]]:
    """The words of the n-grams of each length, their log10 probabilities and back-off weights."""
    rows = [numbers[levels[0][1]][:, None]]
    for parents, tokens, _, _ in levels[1:]:
        rows.append(np.concatenate([rows[-1][parents], numbers[tokens][:, None]], axis=1))
    probs, backoffs = ([level[n] / LN10 for level in levels] for n in (2, 3))
    if n_words > len(rows[0]):  # the model says nothing about unknown words
        rows[0] = np.concatenate([rows[0], np.zeros((1, 1), np.uint64)])
        probs[0], backoffs[0] = np.append(probs[0], MISSING / LN10), np.append(backoffs[0], 0.0)
    return rows, probs, backoffs


def _fill(table: NDArray[np.void], hashes: Keys, **values: NDArray[np.generic]) -> None:
    """Put keys into a table by linear probing: in the order of their remainders, each has the next slot."""
    if not len(hashes):
        return
    ideal = (hashes % np.uint64(len(table))).astype(np.int64)
    order = np.argsort(ideal, kind="stable")
    steps = np.arange(len(hashes))
    slots = np.maximum.accumulate(ideal[order] - steps) + steps
    late = slots >= len(table)  # go on at the beginning
    if late.any():
        used = np.zeros(len(table), dtype=bool)
        used[slots[~late]] = True
        slots[late] = np.flatnonzero(~used)[: np.count_nonzero(late)]
    for name, column in (("key", hashes), *values.items()):
        table[name][slots] = column[order]
