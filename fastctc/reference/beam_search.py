"""Prefix beam search.

A. Y. Hannun, A. L. Maas, D. Jurafsky, A. Y. Ng: First-Pass Large Vocabulary Continuous Speech Recognition using
Bi-Directional Recurrent DNNs, 2014, without its language model; the two sums per prefix are those of A. Graves,
Supervised Sequence Labelling with Recurrent Neural Networks, 2012, section 7.5.
"""

from collections.abc import Sequence
from math import frexp, ldexp, log

Prefix = tuple[int, ...]


def beam_search(
    probs: Sequence[Sequence[float]], blank: int, beam_width: int, n_best: int
) -> list[tuple[Prefix, float]]:
    """The ``n_best`` label sequences with the largest sums over the paths that survived, best first.

    A beam is a prefix with two numbers: the probability of all its paths that end in a blank, and of those that end
    in its last label. Probabilities are kept linear: after each frame all of them are multiplied by the same power
    of two, which changes no digit, and the exponent is remembered.

    Returns (labels, log of the sum) pairs. Prefixes of equal probability stand in lexicographic order.
    """
    beams: dict[Prefix, tuple[float, float]] = {(): (1.0, 0.0)}
    exponent = 0
    for row in probs:
        p = [float(x) for x in row]
        ends_blank: dict[Prefix, float] = {}
        ends_label: dict[Prefix, float] = {}
        for prefix, (p_blank, p_label) in beams.items():
            ends_blank[prefix] = (p_blank + p_label) * p[blank]
            if prefix:
                ends_label[prefix] = ends_label.get(prefix, 0.0) + p_label * p[prefix[-1]]
            for label in range(len(p)):
                if label != blank:
                    # After its own repetition a label needs a blank, or else the two are one.
                    before = p_blank if prefix and prefix[-1] == label else p_blank + p_label
                    longer = (*prefix, label)
                    ends_label[longer] = ends_label.get(longer, 0.0) + before * p[label]
        sums = {
            prefix: (ends_blank.get(prefix, 0.0), ends_label.get(prefix, 0.0)) for prefix in ends_blank | ends_label
        }
        alive = [prefix for prefix, both in sums.items() if sum(both) > 0.0]
        if not alive:
            return []
        alive.sort(key=lambda prefix: (-sum(sums[prefix]), prefix))
        shift = -frexp(sum(sums[alive[0]]))[1]
        exponent -= shift
        beams = {
            prefix: (ldexp(sums[prefix][0], shift), ldexp(sums[prefix][1], shift)) for prefix in alive[:beam_width]
        }
    return [(prefix, log(sum(both)) + exponent * log(2.0)) for prefix, both in list(beams.items())[:n_best]]


def beam_search_batch(
    batch: Sequence[Sequence[Sequence[float]]], blank: int, beam_width: int, n_best: int
) -> list[list[tuple[Prefix, float]]]:
    return [beam_search(probs, blank, beam_width, n_best) for probs in batch]
