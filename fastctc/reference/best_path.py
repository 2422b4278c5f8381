"""Best path decoding.

A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal Classification, ICML 2006, section 3.2.
"""

from collections.abc import Sequence

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
