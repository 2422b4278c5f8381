"""Posterior probabilities of the parts of an aligned text, of long recordings stretch by stretch."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import NamedTuple

import numpy as np

from fastctc.compiled.annotation import annotate
from fastctc.frames import Frames
from fastctc.threads import share

Span = tuple[int, int]
Stretch = tuple[int, int, int, int, list[int]]  # frames start to stop - 1, labels low to high - 1, numbers of spans

AT_ONCE = 1 << 14  # frames whose probabilities are computed at a stretch; where there are more,
PIECE = 1 << 9  # ... stretches are made of pieces of at least so many frames,
PIECES = 8  # ... so many of them, and one more before and behind, for what may stand there


class Island(NamedTuple):
    """Frames start to stop - 1 that show the labels low to high - 1, and nothing else."""

    start: int
    stop: int
    low: int
    high: int


def probabilities_of(
    frames: Frames,
    labels: tuple[int, ...],
    blank: int,
    spans: list[Span],
    words: list[Span],
    first: tuple[int, ...],
    last: tuple[int, ...],
    islands: Sequence[Island] | None = None,
    threads: int | None = None,
    progress: Callable[[float], object] | None = None,
) -> tuple[float, ...]:
    """Posterior of each span; of long recordings, within a stretch that begins and ends in pauses between words.

    A span that reaches over several islands has the product of the posteriors of its parts. ``progress`` hears the
    share that is done.
    """
    whole = Island(0, len(frames.values), 0, len(labels))
    order = sorted(range(len(spans)), key=lambda number: spans[number][0])
    begins = sorted(begin for begin, _ in words)
    stretches: list[Stretch] = []
    going_on: list[int] = []  # spans that began in islands before
    place = 0
    for island in [whole] if islands is None else islands:
        begun = place
        while place < len(order) and spans[order[place]][0] < island.high:
            place += 1
        here = going_on + order[begun:place]
        going_on = [number for number in here if spans[number][1] > island.high]
        cuts = begins[bisect_right(begins, island.low) : bisect_left(begins, island.high)]
        stretches += _stretches(island, cuts, first, last, spans, here)
    result = [1.0] * len(spans)
    done = count(1)

    def work(stretch: Stretch) -> list[tuple[int, float]]:
        start, stop, low, high, numbers = stretch
        # A long sentence may go on behind: what counts then is its part in here.
        inner = [(max(spans[k][0], low) - low, min(spans[k][1], high) - low) for k in numbers]
        values = frames.values[start:stop]
        probs = np.exp(values, dtype=np.float64) if frames.is_log else values.astype(np.float64, copy=False)
        logs = np.ascontiguousarray(values) if frames.is_log else None
        [note] = annotate([(probs, logs, labels[low:high], inner)], blank)
        if progress is not None:
            progress(next(done) / len(stretches))
        return list(zip(numbers, note[3], strict=True))

    for found in share(stretches, lambda: work, threads):
        for number, probability in found:
            result[number] *= probability
    return tuple(result)


def _stretches(
    island: Island,
    begins: list[int],
    first: tuple[int, ...],
    last: tuple[int, ...],
    spans: list[Span],
    order: list[int],
) -> Iterator[Stretch]:
    """Frames and labels of each stretch of an island, and the spans in ``order`` that begin there, or before it."""
    place = 0
    cuts = [(island.start, island.low)]
    if island.stop - island.start > AT_ONCE:
        for begin in begins:
            frame = (last[begin - 1] + first[begin] + 1) // 2
            pause = first[begin] - last[begin - 1] > 1
            if pause and frame - cuts[-1][0] >= PIECE and island.stop - frame >= PIECE:
                cuts.append((frame, begin))
    cuts.append((island.stop, island.high))
    for piece in range(0, len(cuts) - 1, PIECES):
        following = min(piece + PIECES, len(cuts) - 1)
        start, low = cuts[max(0, piece - 1)]
        stop, high = cuts[min(following + 1, len(cuts) - 1)]
        begun = place
        while place < len(order) and (following == len(cuts) - 1 or spans[order[place]][0] < cuts[following][1]):
            place += 1
        yield start, stop, low, high, order[begun:place]
