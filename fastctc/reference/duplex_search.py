"""Beam search for the text that two matrices of frames have in common.

J. Silvestre-Ryan, I. Holmes: Pair consensus decoding improves accuracy of neural network basecallers for nanopore
sequencing, Genome Biology 22, 2021, as the package fast-ctc-decode computes it: log probabilities in single precision,
and of the paths of a text the best one instead of their sum. The beam goes through the first matrix; what a text is
worth in the second one is the best that it reaches there in the rows of the envelope.
"""

from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc.reference.cut_search import NO_SUCH_STATE, NOT_COMPARABLE, NOTHING_LEFT

BAD_ENVELOPE = "Invalid envelope values"
SHRUNK = "an envelope must not end earlier than it has before and later again, as in row {}"
NONE = np.float32(-inf)  # log of 0
ONE = np.float32(0.0)


@dataclass(eq=False)
class _Second:
    """A text in the second matrix: for rows from ``offset`` on its best paths that end in its label, and in a blank."""

    offset: int
    label: list[Any] = field(default_factory=list)
    gap: list[Any] = field(default_factory=list)
    best: Any = NONE

    def at(self, row: int) -> tuple[Any, Any]:
        i = row - self.offset
        return (self.label[i], self.gap[i]) if 0 <= i < len(self.label) else (NONE, NONE)


@dataclass(frozen=True, eq=False)
class _Node:
    labels: tuple[int, ...]
    number: int
    state: int
    second: _Second


def duplex_search(
    log_probs_1: NDArray[np.float32],
    log_probs_2: NDArray[np.float32],
    envelope: NDArray[np.int64],
    beam_width: int,
    cut: float,
    collapse_repeats: bool,
) -> tuple[int, ...]:
    """Labels of the best text.

    Raises RuntimeError for an envelope with empty or unconnected rows, numbers that cannot be compared, or no class
    left in a frame; ValueError for an envelope that shrinks at its end and grows again.
    """
    return _search(log_probs_1[:, None], log_probs_2[:, None], None, 0, envelope, beam_width, cut, collapse_repeats)


def crf_duplex_search(
    log_probs_1: NDArray[np.float32],
    state_1: int,
    log_probs_2: NDArray[np.float32],
    state_2: int,
    envelope: NDArray[np.int64],
    beam_width: int,
    cut: float,
) -> tuple[int, ...]:
    """The same of matrices (frames, states, classes) that depend on the state the labels have led to."""
    return _search(log_probs_1, log_probs_2, state_1, state_2, envelope, beam_width, cut, False)


def _search(
    one: NDArray[np.float32],
    two: NDArray[np.float32],
    state_1: int | None,
    state_2: int,
    envelope: NDArray[np.int64],
    beam_width: int,
    cut: float,
    collapse_repeats: bool,
) -> tuple[int, ...]:
    threshold = np.float32(cut)
    n_states, n_labels = one.shape[1], one.shape[2] - 1
    last = 0  # row of the second matrix up to which texts are followed
    with np.errstate(all="ignore"):
        root = _Node((), -1, state_1 or 0, _empty_text(two, state_1, state_2, envelope))
        nodes: dict[tuple[int, ...], _Node] = {(): root}
        beams: list[tuple[_Node, Any, Any]] = [(root, NONE, ONE)]
        for t in range(len(one)):
            low, high = int(envelope[t, 0]), min(int(envelope[t, 1]), len(two))
            if low >= high or low > last:
                raise RuntimeError(BAD_ENVELOPE)
            if high > last:
                beams.sort(key=lambda beam: beam[0].number)  # texts after their beginnings
                for node, _, _ in beams:
                    if node.labels:
                        if node.second.offset + len(node.second.label) >= high:
                            raise ValueError(SHRUNK.format(t))
                        if state_1 is not None and node.state >= n_states:
                            raise ValueError(NO_SUCH_STATE.format(node.state, n_states))
                        _follow(node, nodes[node.labels[:-1]].second, two, state_1 is not None, low, high)
            last = high
            sums: dict[_Node, tuple[Any, Any]] = {}
            for node, label_sum, gap_sum in beams:
                if state_1 is not None and node.state >= n_states:
                    raise ValueError(NO_SUCH_STATE.format(node.state, n_states))
                row = one[t, node.state if state_1 is not None else 0]
                total = _add(label_sum, gap_sum)
                if row[0] > threshold:
                    _put(sums, node, NONE, total + row[0])
                for c in range(1, len(row)):
                    if row[c] < threshold:
                        continue
                    before = total
                    longer = (*node.labels, c)
                    repeats = collapse_repeats and node.labels[-1:] == (c,)
                    if repeats:
                        _put(sums, node, label_sum + row[c], NONE)
                        if longer not in nodes and not gap_sum > NONE:
                            continue
                        before = gap_sum
                    if longer not in nodes:
                        state = 0 if state_1 is None else (node.state * n_labels) % n_states + c - 1
                        child = _Node(longer, len(nodes) - 1, state, _Second(low))
                        _grow(
                            child.second,
                            node.second,
                            two[:, node.state if state_1 is not None else 0],
                            c,
                            repeats,
                            high,
                        )
                        nodes[longer] = child
                    _put(sums, nodes[longer], before + row[c], NONE)
            if not sums:
                raise RuntimeError(NOTHING_LEFT)
            totals = {node: _add(*both) + (node.second.best if node.labels else ONE) for node, both in sums.items()}
            if len(sums) > 1 and any(np.isnan(total) for total in totals.values()):
                raise RuntimeError(NOT_COMPARABLE)
            best = sorted(sums, key=lambda node: (-totals[node], node.number))[:beam_width]
            beams = [(node, *sums[node]) for node in best]
    return beams[0][0].labels


def _add(a: Any, b: Any) -> Any:
    """The better of two paths; NaN stays only if it comes first."""
    return b if a <= b else a


def _put(sums: dict[Any, tuple[Any, Any]], node: _Node, label: Any, gap: Any) -> None:
    if node in sums:
        label, gap = _add(sums[node][0], label), _add(sums[node][1], gap)
    sums[node] = label, gap


def _empty_text(two: NDArray[np.float32], state_1: int | None, state_2: int, envelope: NDArray[np.int64]) -> _Second:
    """Blanks only, up to the end of the envelope's first row; row -1 is before the first."""
    result = _Second(-1, [NONE], [ONE])
    state = 0 if state_1 is None else state_2
    for row in two[: int(envelope[0, 1])]:
        result.label.append(NONE)
        result.gap.append(result.gap[-1] + row[state, 0])
        state = (state * (two.shape[2] - 1)) % two.shape[1]
    return result


def _follow(node: _Node, before: _Second, two: NDArray[np.float32], has_states: bool, low: int, high: int) -> None:
    """Take in more rows of the second matrix, and forget those that lie before the envelope."""
    second = node.second
    if low > second.offset:
        keep = max(0, low - 1 - second.offset)
        del second.label[:keep], second.gap[:keep]
        second.offset = low - 1 if second.label else low
        second.best = NONE
        for i in range(low - second.offset, min(high - second.offset, len(second.label))):
            second.best = _larger(second.best, _add(second.label[i], second.gap[i]))
    repeats = not has_states and node.labels[-2:-1] == node.labels[-1:]
    _grow(second, before, two[:, node.state if has_states else 0], node.labels[-1], repeats, high)


def _grow(second: _Second, before: _Second, rows: NDArray[np.float32], label: int, repeats: bool, high: int) -> None:
    """Go on to row ``high``: from the text before by its label, behind a blank if the label is repeated."""
    last_label, last_gap = (second.label[-1], second.gap[-1]) if second.label else (NONE, NONE)
    for row in range(second.offset + len(second.label), high):
        gap = _add(last_label, last_gap) + rows[row, 0]
        before_label, before_gap = before.at(row - 1)
        last_label = rows[row, label] + _add(last_label, before_gap if repeats else _add(before_label, before_gap))
        last_gap = gap
        second.label.append(last_label)
        second.gap.append(last_gap)
        second.best = _larger(second.best, _add(last_label, last_gap))


def _larger(a: Any, b: Any) -> Any:
    return b if a < b else a
