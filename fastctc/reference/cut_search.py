"""Prefix beam search in single precision, over the classes that a frame does not rule out.

What the package fast-ctc-decode computes: all numbers are float32, the best beam is 1 after every frame, a class whose
probability is below the cut is left out of its frame, and every label carries the frame in which any beam was first
extended by it. The search is that of A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal
Classification, ICML 2006, section 3.2; transitions that depend on the labels before are those of a conditional random
field. The blank is class 0.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Found = tuple[tuple[int, ...], tuple[int, ...]]
ZERO = np.float32(0.0)
NOT_COMPARABLE = "Failed to compare values (NaNs in input?)"
NOTHING_LEFT = "Ran out of search space (beam_cut_threshold too high)"
NO_SUCH_STATE = "state {} must be below the number of states, {}"


class _Node(NamedTuple):
    """A text of the prefix tree; ``born`` orders them as they came into it, its first number is the frame."""

    labels: tuple[int, ...]
    born: tuple[int, int, int]


def cut_search(probs: NDArray[np.float32], beam_width: int, cut: float, collapse_repeats: bool) -> Found:
    """The best text and the frame of each label.

    Raises RuntimeError if numbers cannot be compared, or no class is left in a frame.
    """
    return _search(probs[:, None, :], None, np.float32(1.0), beam_width, cut, collapse_repeats)


def crf_cut_search(probs: NDArray[np.float32], state: int, start: float, beam_width: int, cut: float) -> Found:
    """The same where the probabilities (frames, states, classes) depend on the state that the labels have led to.

    All labels count, repeated ones too. ``start`` is what the empty text is worth before the first frame.
    """
    return _search(probs, state, np.float32(start), beam_width, cut, False)


def _search(
    probs: NDArray[np.float32], state: int | None, start: Any, beam_width: int, cut: float, collapse_repeats: bool
) -> Found:
    threshold = np.float32(cut)
    nodes: dict[tuple[int, ...], _Node] = {(): _Node((), (-1, -1, -1))}
    states: dict[tuple[int, ...], int | None] = {(): state}
    beams: list[tuple[_Node, Any, Any]] = [(nodes[()], ZERO, start)]  # sums of the paths that end in a label, or not
    n_states, n_labels = probs.shape[1], probs.shape[2] - 1
    with np.errstate(all="ignore"):
        for t in range(len(probs)):
            sums: dict[_Node, list[Any]] = {}
            for place, (node, label_sum, gap_sum) in enumerate(beams):
                number = states[node.labels]
                if number is not None and number >= n_states:
                    raise ValueError(NO_SUCH_STATE.format(number, n_states))
                row = probs[t, number or 0]
                total = label_sum + gap_sum
                if row[0] > threshold:
                    _add(sums, node, 1, total * row[0])
                for c in range(1, len(row)):
                    if row[c] < threshold:
                        continue
                    before = total
                    longer = (*node.labels, c)
                    if collapse_repeats and node.labels[-1:] == (c,):
                        _add(sums, node, 0, label_sum * row[c])
                        if longer not in nodes and not gap_sum > 0.0:
                            continue
                        before = gap_sum
                    if longer not in nodes:
                        nodes[longer] = _Node(longer, (t, place, c))
                        states[longer] = None if number is None else (number * n_labels) % n_states + c - 1
                    _add(sums, nodes[longer], 0, before * row[c])
            if not sums:
                raise RuntimeError(NOTHING_LEFT)
            totals = {node: both[0] + both[1] for node, both in sums.items()}
            if len(sums) > 1 and any(np.isnan(total) for total in totals.values()):
                raise RuntimeError(NOT_COMPARABLE)
            best = sorted(sums, key=lambda node: (-totals[node], node.born))[:beam_width]
            if not best:
                raise RuntimeError(NOTHING_LEFT)
            top = totals[best[0]]
            beams = [(node, sums[node][0] / top, sums[node][1] / top) for node in best]
    labels = beams[0][0].labels
    return labels, tuple(nodes[labels[: i + 1]].born[0] for i in range(len(labels)))


def _add(sums: dict[_Node, list[Any]], node: _Node, which: int, value: Any) -> None:
    both = sums.setdefault(node, [ZERO, ZERO])
    both[which] = both[which] + value


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

    The frames of a label are all that are no blank until the next label begins. NaN is never the greatest, unless it
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
