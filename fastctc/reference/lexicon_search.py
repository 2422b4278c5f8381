"""The most probable words of a lexicon, provably, without looking at most of them.

Best-first search over the prefix tree: A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal
Classification, ICML 2006, section 3.2 (prefix search), kept within a lexicon and weighted by prior probabilities.
"""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from math import inf, log

Vector = list[float]


def lexicon_search(
    probs: Sequence[Sequence[float]],
    node_labels: Sequence[int],
    ends: Sequence[int],
    words: Sequence[int],
    bounds: Sequence[float],
    priors: Sequence[float],
    blank: int,
    n_best: int,
    certainty: float,
) -> tuple[list[tuple[int, float]], float, float]:
    """The ``n_best`` words with the greatest probability times prior, best first; equal ones in their order.

    The tree is that of :func:`fastctc.reference.lexicon.prefix_tree`, ``bounds`` the greatest prior below each node.

    The paths that begin with a prefix bound all words that do: what is below a node has at most the probability of
    the node's prefix, less that of the prefix as a whole text, times the greatest prior below. The node with the
    greatest bound comes next, until no bound reaches the worst of the words to be returned, and the words looked at
    hold at least the share ``certainty`` of all scores.

    Returns (word, log score) pairs, the log of the sum of all scores that were computed, and the log of a bound on
    the sum of all others.
    """
    scale = sum(log(sum(row)) for row in probs)
    y = [[float(p) / sum(row) for p in row] for row in probs]
    n_frames = len(y)
    found: list[tuple[float, int]] = []  # (-score, word), sorted
    explored, waiting, rest, count = 0.0, 0.0, 0.0, 0
    # Of a prefix: the probability of its paths up to each frame that end in a blank, and in its last label.
    in_blank, product = [], 1.0
    for row in y:
        product *= row[blank]
        in_blank.append(product)
    queue: list[tuple[float, int, int, Vector, Vector]] = []

    def worst() -> float:
        return -found[n_best - 1][0] if len(found) >= n_best else 0.0

    def children(node: int) -> Iterator[int]:
        child, end = (0, len(node_labels) - 1) if node < 0 else (node + 1, ends[node])
        while child < end:
            yield child
            child = ends[child]

    if n_frames:
        heappush(queue, (-inf, -1, count, in_blank, [0.0] * n_frames))
    while queue:
        bound, node, _, blanks, labels = heappop(queue)
        waiting -= -bound if node >= 0 else 0.0
        if -bound < worst() and certainty * (explored + waiting + rest - bound) <= explored:
            rest -= bound
            continue
        last = node_labels[node] if node >= 0 else -1
        for child in children(node):
            label = node_labels[child]
            first = [y[0][label] if node < 0 else 0.0]
            new_labels, new_blanks = [first[0]], [0.0]
            for t in range(1, n_frames):
                first.append(y[t][label] * (blanks[t - 1] + (labels[t - 1] if label != last else 0.0)))
                new_labels.append(first[t] + y[t][label] * new_labels[t - 1])
                new_blanks.append(y[t][blank] * (new_blanks[t - 1] + new_labels[t - 1]))
            whole = new_labels[-1] + new_blanks[-1]
            below = child + 1
            if below == ends[child] or words[below] > words[child]:  # a word ends here
                score = whole * priors[words[child]]
                explored += score
                if score > 0.0 and score >= worst():
                    found.append((-score, int(words[child])))
                    found.sort()
                    del found[n_best:]
            bound = max(0.0, sum(first) - whole) * bounds[child]
            if below < ends[child] and bound > 0.0:
                if bound >= worst() or certainty > 0.0:
                    count += 1
                    waiting += bound
                    heappush(queue, (-bound, child, count, new_blanks, new_labels))
                else:
                    rest += bound
    return (
        [(word, log(-score) + scale) for score, word in found],
        log(explored) + scale if explored > 0.0 else -inf,
        log(rest) + scale if rest > 0.0 else -inf,
    )
