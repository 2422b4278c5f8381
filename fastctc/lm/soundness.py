"""Whether the arrays of a saved model are a model: what every walk through them relies on."""

from itertools import pairwise
from math import log
from operator import lt

import numpy as np
from numpy.typing import NDArray

from fastctc.lm import tables

SLIGHTLY_ABOVE = 1e-6  # log 1, as sums of probabilities may come out


def check_vocabulary(text: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
    """Refuse anything but a sorted list of different tokens in UTF-8.

    Raises
    ------
    ValueError
        With what must be.
    """
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(text) or (offsets[1:] < offsets[:-1]).any():
        raise ValueError("the tokens must follow each other, from the beginning of their text to its end")
    raw, ends = text.tobytes(), offsets.tolist()
    raw.decode()
    inside = offsets[offsets < len(text)]
    if ((text[inside] & 0xC0) == 0x80).any():
        raise ValueError("a token must begin where a character begins")
    tokens = [raw[start:stop] for start, stop in pairwise(ends)]
    if not all(map(lt, tokens, tokens[1:])):
        raise ValueError("tokens must be sorted and different")


def check_tables(
    order: int,
    n_tokens: int,
    words: NDArray[np.int32],
    log_probs: NDArray[np.float32],
    backoffs: NDArray[np.float32],
    children: NDArray[np.int32],
    suffixes: NDArray[np.int32],
) -> None:
    """Refuse arrays that are not a tree of n-grams, see :mod:`fastctc.reference.ngram`.

    Takes one pass and, beside the arrays, 16 bytes an n-gram. Suffixes lead to shorter n-grams only, so that no walk
    along them is longer than ``order``.

    Raises
    ------
    ValueError
        With what must be.
    """
    n_nodes, n_inner = len(words), len(backoffs)
    if not (1 <= n_inner <= n_nodes == len(log_probs) == len(suffixes) and len(children) == n_inner + 1):
        raise ValueError("the arrays must have one entry for each n-gram")
    if children[0] != 1 or children[-1] != n_nodes or (children[1:] < children[:-1]).any():
        raise ValueError("each n-gram but the empty one must stand below one other")
    starts = [0, 1]  # of the n-grams of each length
    while len(starts) < order + 2 and starts[-1] <= n_inner:
        starts.append(int(children[starts[-1]]))
        if starts[-1] < starts[-2]:
            raise ValueError("n-grams must stand behind shorter ones")
    if len(starts) != order + 2 or starts[order] != n_inner or starts[-1] != n_nodes:
        raise ValueError(f"the longest n-grams must have {order} tokens")
    if starts[2] != 1 + n_tokens or words[0] != -1 or not np.array_equal(words[1 : starts[2]], np.arange(n_tokens)):
        raise ValueError(f"the 1-grams must be the {n_tokens} tokens in their order")
    if words[1:].min() < 0 or words.max() >= n_tokens:
        raise ValueError(f"tokens must have numbers from 0 to {n_tokens - 1}")
    ascends = words[1:] > words[:-1]
    ascends[children[:-1][children[:-1] < n_nodes] - 1] = True
    if not ascends.all():
        raise ValueError("the tokens after a history must be sorted and different")
    if not (log_probs <= SLIGHTLY_ABOVE).all():
        raise ValueError("log probabilities must be 0 or less")
    if not (backoffs <= tables.GREATEST_BACKOFF * log(10) * (1 + SLIGHTLY_ABOVE)).all():
        raise ValueError(
            f"back-off weights must be at most 10**{tables.GREATEST_BACKOFF} (fastctc.lm.tables.GREATEST_BACKOFF), "
            f"got 10**{backoffs.max() / log(10):.6g}"
        )
    if suffixes[: starts[2]].any():
        raise ValueError("the 1-grams must have the empty suffix")
    parents = np.repeat(np.arange(n_inner, dtype=np.int32), np.diff(children))  # of the nodes from 1 on
    for start, stop in pairwise(starts[2:]):
        _check_suffixes(start, stop, words, suffixes, parents)


def _check_suffixes(
    start: int, stop: int, words: NDArray[np.int32], suffixes: NDArray[np.int32], parents: NDArray[np.int32]
) -> None:
    """Of the n-grams of one length: shorter ones that end them."""
    shorter = suffixes[start:stop]
    if start == stop:
        return
    if shorter.min() < 1 or shorter.max() >= start or (words[shorter] != words[start:stop]).any():
        raise ValueError("the suffix of an n-gram must be a shorter one with the same last token")
    # Without its last token, the suffix is among the suffixes of the n-gram without its last token.
    wanted = parents[shorter - 1]
    found = suffixes[parents[start - 1 : stop - 1]]
    apart = np.flatnonzero(found != wanted)
    found, wanted = found[apart], wanted[apart]
    while len(found):
        if not found.all():
            raise ValueError("the suffix of an n-gram must end it")
        found = suffixes[found]
        apart = np.flatnonzero(found != wanted)
        found, wanted = found[apart], wanted[apart]
