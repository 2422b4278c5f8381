"""Prefix beam search in single precision, over the classes that a frame does not rule out.

What the package fast-ctc-decode computes: all numbers are float32, the best beam is 1 after every frame, a class whose
probability is below the cut is left out of its frame, and every label carries the frame in which any beam was first
extended by it. The search is that of A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal
Classification, ICML 2006, section 3.2; transitions that depend on the labels before are those of a conditional random
field. The blank is class 0.
"""

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
