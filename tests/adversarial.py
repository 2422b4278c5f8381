"""Matrices that are hard on sums: what the brute-force tests of every decoder are given besides those at random.

No path that is possible has less than 1e-290, so that the enumeration, which multiplies doubles, can judge them all.
"""

import numpy as np

SMALLEST = 290.0  # digits after the point that all frames of a path have together

KINDS = ("sure", "steps", "ties", "zeros", "one-hot", "uniform", "runs", "far")


def adversarial_rows(rng, n_frames, n_classes):
    """(frames, classes) of probabilities that sum to 1, of a kind drawn at random."""
    kind = KINDS[rng.integers(len(KINDS))]
    rows = np.empty((n_frames, n_classes))
    runs = np.repeat(rng.integers(n_classes, size=n_frames), rng.integers(1, 4, n_frames))[:n_frames]
    digits = SMALLEST / max(1, n_frames)
    for t in range(n_frames):
        if kind in ("sure", "runs"):  # of one text, and each other class has 1e-16 to 1e-300, its own or the same
            top = runs[t] if kind == "runs" else rng.integers(n_classes)
            rows[t] = 10.0 ** -rng.uniform(16 if digits > 16 else 0, digits, n_classes if rng.random() < 0.5 else 1)
            rows[t, top] = 1.0
        elif kind == "steps":  # classes far below each other, and ties among them
            rows[t] = 10.0 ** -rng.choice([0.0, 8.0, 16.0, 17.0, min(50.0, digits), digits], n_classes)
        elif kind == "ties":
            rows[t] = rng.choice([0.125, 0.25, 0.5], n_classes)
        elif kind == "zeros":
            rows[t] = rng.random(n_classes) * (rng.random(n_classes) < 0.5)
        elif kind == "one-hot":
            rows[t] = 0.0
        elif kind == "uniform":
            rows[t] = 1.0
        else:  # a single frame holds all that a double can
            rows[t] = 10.0 ** -(rng.uniform(0, 280, n_classes) if t == n_frames // 2 else rng.uniform(0, 1, n_classes))
        if not rows[t].any():
            rows[t, rng.integers(n_classes)] = 1.0
    return rows / rows.sum(axis=1, keepdims=True)
