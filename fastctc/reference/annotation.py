"""What a text tells about itself, given its frames: its probability, and where its labels and words stand.

A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal Classification, ICML 2006, section 4.1.
"""

from collections.abc import Sequence
from math import inf

from fastctc.reference.lattice import Frames, Labels
from fastctc.reference.loss import log_probability
from fastctc.reference.spans import span_probabilities
from fastctc.reference.viterbi import best_alignment

Annotation = tuple[float, tuple[int, ...], tuple[int, ...], tuple[float, ...], float, float]


def annotate(
    batch: Sequence[tuple[Frames, Frames | None, Labels, Sequence[tuple[int, int]]]], blank: int
) -> list[Annotation]:
    """Annotate many texts.

    Of each (probabilities, their logarithms or None, labels, spans): the log probability, the first and the last
    frame of each label, the probability of each span, and two bounds: on how much too small the log probability may be,
    and on how far the logarithm of a span's probability may be off. Both are 0, since the whole lattice is gone
    through. (The compiled twin goes through a part of it, if it is long.)
    """
    result = []
    for probs, logs, labels, spans in batch:
        total = log_probability(probs, labels, blank, False)
        frames, is_log = (probs, False) if logs is None else (logs, True)
        _, first, last, _, _ = best_alignment(frames, labels, blank, is_log, inf, inf, 0, False)
        result.append((total, first, last, span_probabilities(probs, labels, blank, False, spans), 0.0, 0.0))
    return result
