"""The best path of CTC segmentation: characters one after the other, each waited for in blanks or in itself.

L. Kürzinger, D. Winkelbauer, L. Li, T. Watzel, G. Rigoll: CTC-Segmentation of Large Corpora for German End-to-end
Speech Recognition, SPECOM 2020.

A column of the table is a position of the text, a row a frame of a window that moves on
with the text. What the window leaves out, and how the way back is told from differences of rounded numbers, is that of
the published program, so that results are the same.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST = np.float32(-1e9)  # of a way that does not exist
UNFILLED = np.float32(-1e10)  # of a place that no way leads to
SPARE_BLANKS, FREE_PREAMBLE = 1, 2  # flags: staying costs nothing where the blank is the text, and before the text

Path = tuple[list[int], list[float], list[int]]


def best_utterance_path(
    scores: NDArray[Any], text: Sequence[Sequence[int]], blank: int, window: int, flags: int, at_end: bool
) -> Path:
    """The frame of each position of the text; the score of each frame, and its class, -1 where it stays, -2 before.

    ``text`` has, for each position, the class of what ends there and is one position long, two, and so on, or -1. The
    path ends in the best frame of the last position, or ``at_end`` of the window.

    Raises
    ------
    IndexError
        If the way back leaves the window.
    """
    n_frames, n, longest = len(scores), len(text), len(text[0])
    window = min(window, n_frames)
    single = np.asarray(scores, np.float32)
    table = np.full((window, n), UNFILLED, np.float32)
    table[0, 0] = 0.0
    offsets = [0] * n  # of the window
    shifts = [-1] * longest  # against the columns before
    advance = int((n_frames - window) / n) + 1  # frames that the window moves on at most
    best, moved = -1, 0
    for c in range(n):
        if c > 0:
            step = min(max(0, best - window // 2), min(advance, n_frames - window - moved))
            for s in range(longest - 1):
                shifts[s + 1] = shifts[s] + step
            shifts[0] = step
            moved += step
        offsets[c] = moved
        spare = bool(flags & SPARE_BLANKS) and 0 in text[c]
        best = -1
        for t in range(1 if c == 0 else 0, window):
            switch = own = LEAST
            for s, label in enumerate(text[c]):
                if label == -1:
                    continue
                own = max(own, single[t + moved, label])
                if c > s and t < window - (shifts[s] - 1) and t - 1 + shifts[s] >= 0:
                    switch = max(switch, table[t - 1 + shifts[s], c - (s + 1)] + single[t + moved, label])
            if t == 0:
                stay = LEAST
            elif c == 0 and flags & FREE_PREAMBLE:
                stay = np.float32(0.0)
            elif spare:
                stay = table[t - 1, c]
            else:
                stay = table[t - 1, c] + max(single[t + moved, blank], own)
            table[t, c] = max(switch, stay)
            if best == -1 or table[best, c] < table[t, c]:
                best = t
    return _way_back(scores, text, blank, table, offsets, window - 1 if at_end else int(table[:, n - 1].argmax()))


def _way_back(
    scores: NDArray[Any],
    text: Sequence[Sequence[int]],
    blank: int,
    table: NDArray[np.float32],
    offsets: list[int],
    t: int,
) -> Path:
    """From row ``t`` of the last column: by whichever difference is next to the score that would explain it."""
    n_frames, n = len(scores), len(text)
    window = len(table)
    places, gains, classes = [0] * n, [0.0] * n_frames, [-2] * n_frames
    c, offset = n - 1, 0
    while t != 0 or c != 0:
        switched, least = -1, np.inf
        own = scores.dtype.type(UNFILLED)
        frame = _inside(t + offsets[c], n_frames)
        here = table[_inside(t, window), c]
        for s, label in enumerate(text[c]):
            if label == -1:
                continue
            offset = offsets[c] - (offsets[c - 1 - s] if c - s > 0 else 0)
            gain = scores[frame, label] if c > 0 else scores.dtype.type(UNFILLED)
            before = table[_inside(t - 1 + offset, window), c - 1 - s] if c > s else UNFILLED
            apart = abs(gain - (here - before))
            if apart < least:
                least, switched = apart, s
            own = max(own, gain)
        gain = max(scores[frame, blank], own) if t > 0 else scores.dtype.type(UNFILLED)
        if abs(gain - (here - table[_inside(t - 1, window), c])) > least:
            if c <= switched:
                raise IndexError("the way back leaves the text")
            for s in range(switched + 1):
                places[c - s] = t + offsets[c]
            gains[frame], classes[frame] = float(own), text[c][switched]
            c -= 1 + switched
            t -= 1 - offset
        else:
            gains[frame], classes[frame] = float(gain), -1
            t -= 1
    return places, gains, classes


def _inside(place: int, n: int) -> int:
    """A place counted from the end if it is negative."""
    if not -n <= place < n:
        raise IndexError("the way back leaves the window")
    return place % n
