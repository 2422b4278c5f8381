"""Calls of fast_ctc_decode made from seeds, for the answers that fast-ctc-decode 0.3.7 has given to them.

``python tests/fast_ctc_cases.py`` writes these answers anew, where that package is installed.
"""

import json
from pathlib import Path

import numpy as np

ANSWERS = Path(__file__).parent / "data" / "fast_ctc_decode.json"
SEEDS = range(60)
LABELS = "NABCDEFGHIJKLMNOPQRSTUVWXYZ"


def matrix(rng, *shape):
    """Probabilities of networks that are unsure, sure, or very sure of something in every frame."""
    values = rng.random(shape) ** rng.choice([1, 4, 40])
    return (values / values.sum(-1, keepdims=True)).astype(np.float32)


def calls(seed):
    """Name and arguments of one call of each function; no NumPy generator has changed these methods since 1.17."""
    rng = np.random.Generator(np.random.PCG64(seed))
    n_frames, n_rows, n_classes = int(rng.integers(1, 20)), int(rng.integers(1, 20)), int(rng.integers(3, 7))
    # Of at most 20 candidates the original keeps equal ones in the order in which they were found.
    width, cut = int(rng.integers(1, 20 // n_classes + 1)), float(rng.choice([0.0, 0.01, 0.1]))
    collapse, alphabet = bool(rng.integers(2)), LABELS[:n_classes]
    one, two = matrix(rng, n_frames, n_classes), matrix(rng, n_rows, n_classes)
    n_states = (n_classes - 1) ** int(rng.integers(1, 3))
    crf_one, crf_two = matrix(rng, n_frames, n_states, n_classes), matrix(rng, n_rows, n_states, n_classes)
    init_one, init_two = matrix(rng, n_states), matrix(rng, n_states)
    high = np.sort(rng.integers(1, n_rows + 1, n_frames))
    low = np.minimum(np.concatenate([[0], high[:-1]]), np.maximum(high - int(rng.integers(1, 6)), 0))
    envelope = np.stack([low, high], 1).astype(np.uint64) if rng.integers(2) else None
    yield "viterbi_search", (one, alphabet, True, 1.5, 2.0, collapse)
    yield "beam_search", (one, alphabet, width, cut, collapse)
    yield "beam_search_duplex", (one, two, alphabet, envelope, width, cut, collapse)
    yield "crf_greedy_search", (crf_one, init_one, alphabet, True, 0.7, 1.0)
    yield "crf_beam_search", (crf_one, init_one, alphabet, width, cut)
    yield "crf_beam_search_duplex", (crf_one, init_one, crf_two, init_two, alphabet, envelope, width, cut)


def answer(function, arguments):
    try:
        return function(*arguments)
    except RuntimeError as error:
        return str(error)


if __name__ == "__main__":
    import fast_ctc_decode

    rows = [[answer(getattr(fast_ctc_decode, name), arguments) for name, arguments in calls(s)] for s in SEEDS]
    ANSWERS.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")
