"""Memory does not grow, however often one decodes: what is allocated is counted, not timed.

By default a taste of it, in seconds, which any leak of one object a call fails; ``make long`` runs all of it.
"""

import ctypes
import gc
import sys
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from conftest import peaky
from test_values import ALPHABET, CHARACTERS, DECODERS, LEXICON, WORDS

from fastctc import BeamSearch, BestPath, WordBeamSearch

pytestmark = pytest.mark.slow

PIECES = [peaky(np.random.default_rng(seed), 12, 5) for seed in range(20)]
BLOCKS = 150  # of Python's that may come and go: what libraries keep at hand,
BYTES = 1 << 16  # and of the C library's
STREAMS = {
    "best path": BestPath(ALPHABET),
    "beam": BeamSearch(ALPHABET, 5),
    "characters": BeamSearch(ALPHABET, 5, lm=CHARACTERS),
    "fused": BeamSearch(ALPHABET, 5, lm=WORDS, lexicon=LEXICON, hot_words={"cab": 1.0}),
    "words": WordBeamSearch(LEXICON, 5, lm=WORDS),
    "words, best": WordBeamSearch(LEXICON, 5, lm=WORDS, completion="best"),
}


class MallInfo(ctypes.Structure):
    """What glibc's mallinfo2 returns."""

    NAMES = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = [(name, ctypes.c_size_t) for name in NAMES]


@pytest.fixture(scope="module")
def in_use():
    """Returns (Python's blocks, the C library's bytes) that are in use."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallinfo2"):
        pytest.skip("only glibc 2.33 and later counts what is allocated")
    libc.mallinfo2.restype = MallInfo

    def counted():
        gc.collect()
        info = libc.mallinfo2()
        return sys.getallocatedblocks(), info.uordblks + info.hblkhd

    return counted


def check_flat(work, n, in_use):
    for _ in range(max(n // 10, 100)):
        work()
    before = in_use()
    for _ in range(n):
        work()
    blocks, size = (int(b) - int(a) for a, b in zip(before, in_use(), strict=True))
    assert blocks <= BLOCKS
    assert size <= BYTES


def test_the_count_sees_what_is_kept(in_use):
    """One object or ten bytes a call are found."""
    kept = []
    with pytest.raises(AssertionError):
        check_flat(lambda: kept.append(object()), 1000, in_use)
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    pointers = np.zeros(10_000, np.int64)
    numbers = count()

    def leak():
        pointers[next(numbers)] = libc.malloc(100)

    with pytest.raises(AssertionError):
        check_flat(leak, 1000, in_use)
    for pointer in pointers[: next(numbers)].tolist():
        libc.free(pointer)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("name", DECODERS)
def test_decoding(name, exact, in_use, long_runs):
    decoder, numbers = replace(DECODERS[name], exact=exact), count()
    check_flat(lambda: decoder.decode(PIECES[next(numbers) % 20]), 100_000 if long_runs else 1000, in_use)


@pytest.mark.parametrize("name", STREAMS)
def test_streams(name, in_use, long_runs):
    numbers = count()

    def work():
        stream, number = STREAMS[name].stream(), next(numbers)
        for k in range(number % 4):
            stream.push(PIECES[(number + k) % 20])
            stream.commit()
        if number % 3:
            stream.finish()

    check_flat(work, 10_000 if long_runs else 500, in_use)


@pytest.mark.parametrize("name", STREAMS)
def test_one_stream(name, in_use, long_runs):
    stream, numbers = STREAMS[name].stream(), count()

    def work():
        for _ in range(10):
            stream.push(PIECES[next(numbers) % 20])
            stream.commit()

    check_flat(work, 1_000_000 // 120 if long_runs else 100, in_use)
    assert stream.first_frame > stream.n_frames - 1000


def test_failures(in_use, long_runs):
    """Whatever is refused gives back what it has taken."""
    bad = np.full((3, 5), np.nan)

    def work():
        for decoder in DECODERS.values():
            with pytest.raises(ValueError, match="NaN"):
                decoder.decode_batch([PIECES[0], bad])

    check_flat(work, 10_000 if long_runs else 100, in_use)
