"""Best path decoding.

A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal Classification, ICML 2006, section 3.2.
"""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from fastctc.reference.frames import first_bad_row

Matrix = Sequence[Sequence[float]]
Found = tuple[tuple[int, ...], tuple[int, ...], float, int]


def best_path(log_probs: Matrix, blank: int) -> Found:
    """Take the best class of each frame (the first of equals), merge repeats, drop blanks.

    Returns labels, the first frame of each, the log probability of the path, and the first frame that is no
    distribution, -1 if there is none: the frames are looked at only once.
    """
    labels, timesteps, score, previous = [], [], 0.0, blank
    for t, row in enumerate(log_probs):
        best = max(range(len(row)), key=row.__getitem__)
        if best != previous and best != blank:
            labels.append(best)
            timesteps.append(t)
        previous = best
        score += float(row[best])
    return tuple(labels), tuple(timesteps), score, first_bad_row(log_probs)


def best_paths(sequences: Sequence[Matrix], blank: int) -> list[Found]:
    return [best_path(log_probs, blank) for log_probs in sequences]


def first_of_rows(rows: Sequence[Sequence[int]], counts: Sequence[int]) -> list[tuple[int, ...]]:
    """The first so many numbers of each row: what a device has found, in Python's own form."""
    if len(counts) != len(rows):
        raise ValueError(f"there must be one count a row, got {len(counts)} for {len(rows)}")
    for row, count in zip(rows, counts, strict=True):
        if not 0 <= count <= len(row):
            raise ValueError(f"counts must be 0 to {len(row)}, got {count}")
    return [tuple(int(number) for number in row[:count]) for row, count in zip(rows, counts, strict=True)]


def are_rows_of(sequences: list[NDArray[Any]], whole: NDArray[Any]) -> bool:
    """Whether (frames, classes) arrays are the beginnings of the sequences of a contiguous (B, T, C), in its order."""
    if whole.ndim != 3 or len(sequences) != len(whole):
        return False
    return all(
        one.dtype == rows.dtype
        and one.ndim == 2
        and len(one) <= len(rows)
        and one.shape[1] == rows.shape[1]
        and one.ctypes.data == rows.ctypes.data
        for one, rows in zip(sequences, whole, strict=True)
    )
