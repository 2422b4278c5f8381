"""The best path of a matrix, and how sure it is of its labels.

What the package fast-ctc-decode computes in single precision: a label's quality is made of the mean probability of its
frames, as the Phred score of B. Ewing, P. Green: Base-Calling of Automated Sequencer Traces Using Phred II, Genome
Research 8, 1998. The blank is class 0.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ZERO = np.float32(0.0)
NO_SUCH_STATE = "state {} must be below the number of states, {}"


def best_path_text(
    probs: NDArray[np.float32],
    alphabet: str,
    collapse_repeats: bool,
    with_qualities: bool,
    scale: float,
    bias: float,
) -> tuple[str, list[int]]:
    """The best path as a text, with a character for each class, and a quality string if wanted; the first frames."""
    if len(alphabet) != probs.shape[1]:
        raise ValueError(f"alphabet must have {probs.shape[1]} characters, got {len(alphabet)}")
    labels, frames, means = best_path_means(probs, collapse_repeats)
    text = "".join([alphabet[label] for label in labels])
    return text + (quality_string(means, scale, bias) if with_qualities else ""), frames


def best_path_means(probs: NDArray[np.float32], collapse_repeats: bool) -> tuple[list[int], list[int], list[float]]:
    """Labels of the best path, the first frame of each, and the mean probability of its frames.

    The frames of a label are all frames but blanks until the next label begins. NaN is never the greatest, unless it
    comes first; of equals the first counts.
    """
    labels: list[int] = []
    frames: list[int] = []
    totals: list[Any] = []
    counts: list[int] = []
    previous = 0
    for t, row in enumerate(probs):
        best = 0
        for c in range(1, len(row)):
            if row[c] > row[best]:
                best = c
        if best != 0 and not (collapse_repeats and best == previous):
            labels.append(best)
            frames.append(t)
            totals.append(ZERO)
            counts.append(0)
        if best != 0:
            totals[-1] = totals[-1] + row[best]
            counts[-1] += 1
        previous = best
    with np.errstate(all="ignore"):
        return labels, frames, [float(total / np.float32(n)) for total, n in zip(totals, counts, strict=True)]


def crf_best_path_means(probs: NDArray[np.float32], state: int) -> tuple[list[int], list[int], list[float]]:
    """The same of probabilities (frames, states, classes) that depend on the state: all labels count, a frame each."""
    labels, frames, means = [], [], []
    n_states, n_labels = probs.shape[1], probs.shape[2] - 1
    for t in range(len(probs)):
        if not 0 <= state < n_states:
            raise ValueError(NO_SUCH_STATE.format(state, n_states))
        row = probs[t, state]
        best = max(range(len(row)), key=row.__getitem__)
        if best:
            labels.append(best)
            frames.append(t)
            means.append(float(row[best]))
            state = (state * n_labels) % n_states + best - 1
    return labels, frames, means


def quality_string(means: Sequence[float], scale: float, bias: float) -> str:
    """Phred qualities of probabilities: one character each, ``!`` for 0, ``I`` for 0.9999 and above.

    Raises ValueError where the number is that of no character.
    """
    result = []
    with np.errstate(all="ignore"):
        for mean in means:
            error = np.float32(1.0) - np.float32(mean)
            if error < np.float32(1e-4):
                error = np.float32(1e-4)
            logarithm = np.float32(np.log10(np.float64(error)))
            quality = np.float32(-10.0) * logarithm * np.float32(scale) + np.float32(bias)
            number = int(min(np.floor(np.float64(quality) + 0.5), 2**32 - 1)) if quality > 0.0 else 0
            number += 33
            if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
                raise ValueError(f"qualities must be numbers of characters, got {number}")
            result.append(chr(number))
    return "".join(result)
