"""Best path decoding.

A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal Classification, ICML 2006, section 3.2.
"""

from collections.abc import Sequence


def best_path(log_probs: Sequence[Sequence[float]], blank: int) -> tuple[tuple[int, ...], tuple[int, ...], float]:
    """Take the best class of each frame (the first of equals), merge repeats, drop blanks.

    Returns labels, the first frame of each, and the log probability of the path.
    """
    labels, timesteps, score, previous = [], [], 0.0, blank
    for t, row in enumerate(log_probs):
        best = max(range(len(row)), key=row.__getitem__)
        if best != previous and best != blank:
            labels.append(best)
            timesteps.append(t)
        previous = best
        score += float(row[best])
    return tuple(labels), tuple(timesteps), score
