"""The binary format of KenLM: what is where in a file, read from its head.

Version 5 of the format: a line that says so, numbers that tell machines apart, the sizes, the vocabulary, the n-grams,
and at the end the words themselves, each with a zero byte behind it, which are not needed to ask for probabilities.
"""

import struct
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastctc.lm.tables import HIGHEST_ORDER
from fastctc.search_inputs import HashedLevel, KenLMTables, TrieLevel

START = b"mmap lm http://kheafield.com/code "
MAGIC = START + b"format version 5\n\0"
# Numbers that tell how a machine writes them: 0.0, 1.0, -0.5; 1 and the greatest of 32 bits; 1 of 64 bits.
SANITY = MAGIC.ljust(56, b"\0") + struct.pack("<fffIIIQ", 0.0, 1.0, -0.5, 1, 0xFFFFFFFF, 0, 1)
FIXED = struct.Struct("<B3xfIB3xI")  # order, probing multiplier, kind, whether the words are there, version
KINDS = (
    "hash tables",
    "hash tables with rest costs",
    "trie",
    "quantised trie",
    "trie of compressed places",
    "quantised trie of compressed places",
)
UNKNOWN = b"<unk>\0"
MOST = 1 << 57  # n-grams of one length, as integers of the file can say


def parsed(data: NDArray[np.uint8]) -> tuple[KenLMTables, str, int]:
    """What is where in a file, its kind, and the byte where its words begin: 0 if they are not there."""
    start = data[: len(SANITY)].tobytes()
    if not start.startswith(START):
        raise ValueError(f"must be a binary file of KenLM, but it begins with {start[:20]!r}")
    if start.startswith(START + b"incomplete"):
        raise ValueError("build_binary did not finish this file: build it again")
    if not start.startswith(MAGIC):
        said = start[len(START) :].split(b"\n")[0]
        raise ValueError(f"must be of format version 5, but says {said!r}: build it again with a newer KenLM")
    _check_size(data, len(SANITY))
    if start != SANITY or sys.byteorder != "little":
        raise ValueError("must have been built on a little-endian machine of 64 bits, and be read on one")
    place = len(SANITY)
    head = data[place : place + FIXED.size].tobytes()
    _check_size(data, place + FIXED.size)
    order, multiplier, kind, has_words, version = FIXED.unpack(head)
    place += FIXED.size
    if kind >= len(KINDS):
        raise ValueError(f"the kind of model must be 0 to {len(KINDS) - 1}, got {kind}")
    if not 2 <= order <= HIGHEST_ORDER:
        raise ValueError(f"n-grams must have 2 to {HIGHEST_ORDER} words (fastctc.lm.tables.HIGHEST_ORDER), got {order}")
    if version != (wanted := 0 if kind < 2 else 1):
        raise ValueError(f"{KINDS[kind]} must be of version {wanted}, got {version}")
    _check_size(data, place + 8 * order)
    counts = struct.unpack_from(f"<{order}Q", data.data, place)
    place = (place + 8 * order + 7) // 8 * 8
    if not 1 <= counts[0] < 1 << 32 or max(counts) >= min(MOST, 8 * len(data)):
        raise ValueError(
            f"there must be 1 to {min(MOST, 8 * len(data)) - 1} n-grams of each length in {len(data)} bytes, got "
            f"{', '.join(map(str, counts))}"
        )
    if kind < 2:
        if not 1.0 < multiplier < 1e6:
            raise ValueError(f"hash tables must have more than one slot for each n-gram, got {multiplier}")
        tables, place = _hashed(data, place, order, counts, multiplier, kind == 1)
    else:
        tables, place = _tries(data, place, order, counts, kind in (3, 5), kind >= 4)
    _check_size(data, place)
    if has_words and data[place : place + len(UNKNOWN)].tobytes() != UNKNOWN:
        raise ValueError(f"the words must begin with {UNKNOWN!r} at byte {place}: the file is truncated or damaged")
    return tables, KINDS[kind], place if has_words else 0


def _check_size(data: NDArray[np.uint8], size: int) -> None:
    if len(data) < size:
        raise ValueError(f"the file must have at least {size} bytes, but has {len(data)}: it is truncated or damaged")


def n_slots(count: int, multiplier: float) -> int:
    """The slots of a hash table of n-grams, in single precision, as the program computes it."""
    return max(count + 1, int(np.float32(multiplier) * np.float32(count)))


def _hashed(
    data: NDArray[np.uint8], place: int, order: int, counts: Sequence[int], multiplier: float, has_rests: bool
) -> tuple[KenLMTables, int]:
    """Tables of hashes, and where they end."""
    _check_size(data, place + 8)
    version, n_words = struct.unpack_from("<II", data.data, place)
    if version != 0:
        raise ValueError(f"the vocabulary must be of version 0, got {version}")
    if not 1 <= n_words <= counts[0] + 1:
        raise ValueError(f"the vocabulary must have 1 to {counts[0] + 1} words, got {n_words}")
    vocabulary = place + 8
    unigrams = vocabulary + 12 * n_slots(counts[0], multiplier)
    size = 12 if has_rests else 8
    place = unigrams + size * (counts[0] + 1)
    levels = []
    for n, count in enumerate(counts[1:], 2):
        levels.append(HashedLevel(place, n_slots(count, multiplier), 12 if n == order else 8 + size))
        place += levels[-1].n_slots * levels[-1].slot_size
    return KenLMTables(
        data, order, n_words, True, vocabulary, n_slots(counts[0], multiplier), unigrams, size, tuple(levels)
    ), place


def _tries(
    data: NDArray[np.uint8], place: int, order: int, counts: Sequence[int], quantised: bool, has_heads: bool
) -> tuple[KenLMTables, int]:
    """Tables of tries, and where they end."""
    _check_size(data, place + 8)
    (n_sorted,) = struct.unpack_from("<Q", data.data, place)
    if n_sorted > counts[0]:
        raise ValueError(f"the vocabulary must have at most {counts[0]} words, got {n_sorted}")
    vocabulary = place + 8
    place = vocabulary + 8 * counts[0]
    prob_bits, backoff_bits, centers = 31, 32, 0
    if quantised:
        _check_size(data, place + 8)
        version, prob_bits, backoff_bits = data[place : place + 3].tolist()
        if version != 2:
            raise ValueError(f"the quantisation must be of version 2, got {version}")
        if not (1 <= prob_bits <= 25 and 1 <= backoff_bits <= 25):
            raise ValueError(f"values must be quantised to 1 to 25 bits, got {prob_bits} and {backoff_bits}")
        centers = place + 8
        place = centers + (order - 2) * ((4 << prob_bits) + (4 << backoff_bits)) + (4 << prob_bits)
    unigrams = place
    place += 16 * (counts[0] + 2)
    _check_size(data, place)
    most_head_bits = 0
    if has_heads and order > 2:
        _check_size(data, place + 2)
        version, most_head_bits = data[place : place + 2].tolist()
        if version != 0:
            raise ValueError(f"the compressed places must be of version 0, got {version}")
    word_bits = counts[0].bit_length()
    levels = []
    for n, count in enumerate(counts[1:], 2):
        is_longest = n == order
        heads = n_heads = next_bits = 0
        if not is_longest:
            next_bits = counts[n].bit_length()
            if has_heads:
                chopped = _chopped(count + 1, counts[n], most_head_bits)
                n_heads = (counts[n] >> next_bits - chopped) + 1
                next_bits -= chopped
                heads = (place + 7) // 8 * 8 + 8
                place += 8 * (1 + n_heads) + 7
        of_backoff = 0 if is_longest else backoff_bits
        levels.append(TrieLevel(place, count, word_bits, prob_bits, of_backoff, next_bits, heads, n_heads, centers))
        place += ((1 + count) * sum(levels[-1][2:6]) + 7) // 8 + 8
        if centers:
            centers += (4 << prob_bits) + (4 << backoff_bits)
    tables = KenLMTables(data, order, n_sorted + 1, False, vocabulary, n_sorted, unigrams, 16, tuple(levels))
    return tables, place


def _chopped(n_entries: int, greatest: int, most: int) -> int:
    """How many upper bits of the places stand apart, so that the file is smallest."""
    bits = greatest.bit_length()
    costs = [(greatest >> bits - chop) * 64 - n_entries * chop for chop in range(min(bits, most) + 1)]
    return costs.index(min(costs))
