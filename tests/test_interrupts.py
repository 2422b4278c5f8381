"""Ctrl-C ends all threads, in the middle of what they do."""

import signal
import subprocess
import sys
import time

import pytest
from numpy.random import default_rng

from fastctc import Alphabet, BeamSearch, threads

PREPARE = """if True:
    import signal, threading
    import numpy as np
    from fastctc import *
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests may ignore it
    rng = np.random.default_rng(1)

    def noise(n_frames, n_classes):
        # Nothing is sure, so that no search gets away with little.
        logits = rng.normal(0, 0.3, (n_frames, n_classes))
        return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)

    alphabet = Alphabet("abcdefghijklmnopqrstuvwxyz ")
    words = sorted({"".join(rng.choice(list("abcdefghijklmnop"), rng.integers(3, 12))) for _ in range(3000)})
    lines = [" ".join(rng.choice(words, 8)) for _ in range(2000)]
    lexicon = Lexicon.from_words(words, alphabet)
"""
# Each takes minutes for its two sequences, one a thread.
WORK = {
    "beam search": "work = lambda x: BeamSearch(alphabet, 1000, exact=False).decode_batch(x, threads=2)",
    "beam search with words": (
        "work = lambda x: BeamSearch(alphabet, 1000, lexicon=lexicon, exact=False).decode_batch(x, threads=2)"
    ),
    "word beam search": "work = lambda x: WordBeamSearch(lexicon, 1000, exact=False).decode_batch(x, threads=2)",
    "token passing": "work = lambda x: TokenPassing(lexicon).decode_batch(x, threads=2)",
    "token passing with bigrams": (
        "lm = NGram.train(lines, 2, unit='word')\n"
        "    work = lambda x: TokenPassing(lexicon, lm=lm).decode_batch(x, threads=2)"
    ),
    "lexicon search": (
        "work = lambda x: LexiconSearch(lexicon, n_best=3000, certainty=0.999999, patience=10**9)"
        ".decode_batch([y[:60_000] for y in x], threads=2)"
    ),
    "prefix search": (
        "work = lambda x: PrefixSearch(alphabet, max_prefixes=10**9).decode_batch([y[:60] for y in x], threads=2)"
    ),
    "exact numbers of long lines": (
        "work = lambda x: BestPath(alphabet).decode_batch([x[0][:12_000]] * 40, threads=2)"
    ),
    "alignment of a long recording": (
        "text = ''.join(rng.choice(list('abcdefgh '), 50_000))\n"
        "    work = lambda x: forced_align_batch(x * 9, [text] * 18, alphabet, threads=2, prove=True)"
    ),
    "alignment of a text that may be left out": (
        "text = ''.join(rng.choice(list('abcdefgh '), 10_000))\n"
        "    work = lambda x: forced_align_batch(\n"
        "        x * 9, [text] * 18, alphabet, threads=2, prove=True, skip_text=2.0, skip_audio=2.0)"
    ),
    "gradients": (
        "texts = ['ab' * 20_000] * 16\n    work = lambda x: ctc_loss(x * 8, texts, alphabet, threads=2, gradient=True)"
    ),
    "losses": ("texts = ['ab' * 45_000] * 16\n    work = lambda x: ctc_loss(x * 8, texts, alphabet, threads=2)"),
}
INTERRUPT = """
    x = [noise(100_000, 28) for _ in range(2)]
    SETUP
    print("ready", flush=True)
    try:
        work(x)
    except KeyboardInterrupt:
        print("stopped", threading.active_count(), flush=True)
    else:
        print("finished", flush=True)
"""
PATIENCE = 60  # seconds until a process counts as hanging


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there SIGINT cannot be sent to one process")
@pytest.mark.parametrize("name", WORK)
def test_ctrl_c_ends_all_threads(name):
    """The work would take minutes; the process must not do it to the end, and no thread may be left."""
    script = PREPARE + INTERRUPT.replace("SETUP", WORK[name])
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert out == "stopped 1\n"


def test_a_failure_stops_the_others():
    """The calling thread and its helpers: who fails first is who is heard."""

    def part(number):
        if number == 3:
            raise ValueError("three")
        return number

    for n_threads in (1, 2, 5):
        with pytest.raises(ValueError, match="three"):
            threads.share(range(20), lambda: part, n_threads)
        assert threads.share(range(3), lambda: part, n_threads) == [0, 1, 2]


def test_helpers_of_one_call_do_not_stop_those_of_the_next():
    alphabet = Alphabet("ab")
    frames = default_rng(0).random((8, 500, 3))
    decoder = BeamSearch(alphabet, 5)
    expected = decoder.decode_batch(logits=frames)
    for _ in range(5):
        with pytest.raises(ValueError, match="got nan"):
            decoder.decode_batch(logits=[*frames, frames[0] * float("nan")], threads=4)
        assert decoder.decode_batch(logits=frames, threads=4) == expected
