"""Prefix search: the most probable texts, provably.

A. Graves: Supervised Sequence Labelling with Recurrent Neural Networks, 2012, section 7.4.1 (algorithm 7.1).
"""

from collections.abc import Sequence
from heapq import heappop, heappush
from math import inf, log

Labels = tuple[int, ...]
Vector = list[float]


def ways_on(y: Sequence[Sequence[float]], blank: int) -> list[Vector]:
    """Of each frame and label: the probability that a path which shows the label there goes on to another one.

    So the texts that go on from a prefix have, all together, the probability of each path's arrival at the prefix times
    its ways on. It is a sum of what may follow, frame by frame, and no difference between a prefix and its whole text:
    that one vanishes where the network is sure that nothing follows.
    """
    if not len(y):
        return []
    after_blank: float = 0  # of the numbers' own kind after the first sum
    after_label: Vector = [0] * len(y[0])
    result = [after_label]
    for row in reversed(y[1:]):
        labels = [p if label != blank else 0 for label, p in enumerate(row)]
        most: float = 0  # the greatest
        rest: float = 0  # the sum of all others
        for p in labels:
            rest += min(p, most)
            most = max(p, most)
        everything = rest + most
        # What is subtracted here is never more than half.
        others = [rest if p == most else everything - p for p in labels]
        stops = row[blank] * after_blank
        after_label = [other + (p * on + stops) for other, p, on in zip(others, labels, after_label, strict=True)]
        after_label[blank] = 0
        after_blank = everything + stops
        result.append(after_label)
    return result[::-1]


def prefix_search(
    probs: Sequence[Sequence[float]], blank: int, n_best: int, max_prefixes: int
) -> tuple[list[tuple[Labels, float]], float]:
    """The ``n_best`` most probable label sequences with their log probabilities, best first.

    Best-first search over all prefixes: those with the most probability left to the texts that go on from them are
    extended first, until none of them can hold a text that belongs to the best, or ``max_prefixes`` have been extended.
    Equal texts stand in lexicographic order.

    Returns the texts, and the log of a bound on the probability of any other text: if it is above the score of one of
    them, the search was given up.
    """
    scale = sum(log(sum(row)) for row in probs)
    y = [[float(p) / sum(row) for p in row] for row in probs]
    found: list[tuple[float, Labels]] = []  # (-probability, labels), sorted

    def worst() -> float:
        return -found[n_best - 1][0] if len(found) >= n_best else 0.0

    def keep(probability: float, labels: Labels) -> None:
        if probability > 0.0 and probability >= worst():
            found.append((-probability, labels))
            found.sort()
            del found[n_best:]

    # Of a prefix: the probability of its paths up to each frame that end in a blank, and in its last label.
    in_blank, product = [], 1.0
    for row in y:
        product *= row[blank]
        in_blank.append(product)
    keep(product, ())
    on = ways_on(y, blank)
    queue: list[tuple[float, int, Labels, Vector, Vector]] = []
    count = 0
    if y:
        heappush(queue, (-inf, count, (), in_blank, [0.0] * len(y)))
    n_prefixes = 0
    while queue and -queue[0][0] >= worst() and n_prefixes < max_prefixes:
        _, _, prefix, blanks, labels = heappop(queue)
        n_prefixes += 1
        for label in range(len(y[0])):
            if label == blank:
                continue
            first = [y[0][label] if not prefix else 0.0]
            new_labels, new_blanks = [first[0]], [0.0]
            for t in range(1, len(y)):
                before = blanks[t - 1] + (labels[t - 1] if prefix[-1:] != (label,) else 0.0)
                first.append(y[t][label] * before)
                new_labels.append(first[t] + y[t][label] * new_labels[t - 1])
                new_blanks.append(y[t][blank] * (new_blanks[t - 1] + new_labels[t - 1]))
            whole = new_labels[-1] + new_blanks[-1]
            longer = (*prefix, label)
            keep(whole, longer)
            bound = 0.0  # what is left to the texts that go on from here
            for t, p in enumerate(first):
                bound += p * on[t][label]
            if bound > 0.0 and bound >= worst():
                count += 1
                heappush(queue, (-bound, count, longer, new_blanks, new_labels))
    rest = -queue[0][0] if queue else 0.0
    return (
        [(labels, log(-probability) + scale) for probability, labels in found],
        log(rest) + scale if rest > 0.0 else -inf,
    )
