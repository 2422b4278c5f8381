"""Prefix beam search without a language model.

A. Y. Hannun, A. L. Maas, D. Jurafsky, A. Y. Ng: First-Pass Large Vocabulary Continuous Speech Recognition using
Bi-Directional Recurrent DNNs, 2014, algorithm 1. Many paths collapse to one prefix. Of each prefix the search keeps two
probabilities: of its paths that end in a blank, and of its paths that end in its last label.
"""

from collections import defaultdict
from collections.abc import Sequence
from math import log

Labels = tuple[int, ...]
TWIN = "fastctc.compiled.beam_search"


def prefix_beam_search(
    probs: Sequence[Sequence[float]], blank: int, beam_width: int, n_best: int
) -> list[tuple[Labels, float]]:
    """The ``n_best`` label sequences with the largest sums over the paths that survived, best first.

    Returns (labels, log of the sum) pairs; prefixes of equal probability stand in lexicographic order. Products of more
    than some hundred frames leave the range of a double: :mod:`fastctc.reference.beam_search` scales them.
    """
    beams: dict[Labels, tuple[float, float]] = {(): (1.0, 0.0)}
    for row in probs:
        ends_blank: dict[Labels, float] = defaultdict(float)
        ends_label: dict[Labels, float] = defaultdict(float)
        for prefix, (p_blank, p_label) in beams.items():
            for label, p in enumerate(row):
                longer = (*prefix, label)
                if label == blank:
                    ends_blank[prefix] += (p_blank + p_label) * p
                elif prefix[-1:] == (label,):
                    ends_label[prefix] += p_label * p  # the repetition is merged with the label before it,
                    ends_label[longer] += p_blank * p  # unless a blank stands between the two
                else:
                    ends_label[longer] += (p_blank + p_label) * p
        sums = {prefix: (ends_blank[prefix], ends_label[prefix]) for prefix in ends_blank | ends_label}
        possible = [prefix for prefix, both in sums.items() if sum(both) > 0.0]
        possible.sort(key=lambda prefix: (-sum(sums[prefix]), prefix))
        beams = {prefix: sums[prefix] for prefix in possible[:beam_width]}
    return [(prefix, log(sum(both))) for prefix, both in beams.items()][:n_best]
