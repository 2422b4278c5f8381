"""The most probable words of a lexicon, provably, without looking at most of them.

Best-first search over the prefix tree: A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal
Classification, ICML 2006, section 3.2 (prefix search), kept within a lexicon and weighted by prior probabilities.
"""

from collections.abc import Iterator, Sequence
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from heapq import heapify, heappop, heappush
from math import inf, log
from typing import Any

from fastctc.reference.prefix_search import ways_on

SURE = 1e-280  # scores below are not trusted: they may be sums of what doubles have rounded to 0
WIDE = Context(prec=28, Emin=MIN_EMIN, Emax=MAX_EMAX)

Number = Any  # float, or Decimal for numbers that no double can hold
Vector = list[Number]
Found = list[tuple[Number, int]]  # (-score, word), sorted
# Bound (negated), what all words below may hold, node, probabilities of its paths.
Entry = tuple[Number, Number, int, Vector, Vector]


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
    patience: int,
) -> tuple[list[tuple[int, float]], float, float]:
    """The ``n_best`` words with the greatest probability times prior, best first; equal ones in their order.

    The tree is that of :func:`fastctc.reference.lexicon.prefix_tree`, ``bounds`` the greatest prior below each node.

    What is below a node is bounded in two ways. No single word has more than the paths that begin with the node's
    prefix, if in every later frame they meet a blank and the two most probable labels, since a text offers no more than
    these: its own label again, a blank, the next label. And all words together have no more than the texts that go on
    from the prefix. Both times the greatest prior below.

    The node with the greatest bound for a single word comes next, until no such bound reaches the worst of the words to
    be returned. Then the one that holds most in all, until the words looked at hold at least the share ``certainty`` of
    all scores; but no more than ``patience`` nodes and twice as many as were seen before.

    The rows are divided by their sums, so that no sum of paths is above 1. Where fewer words are found than were asked
    for, or one that is next to nothing beside that, products may have vanished in doubles: the search is repeated with
    decimals, whose exponents have no bound.

    Returns (word, log score) pairs, the log of the sum of all scores that were computed, and the log of a bound on
    the sum of all others.
    """
    scale = sum(log(sum(row)) for row in probs)
    y = [[float(p) / sum(row) for p in row] for row in probs]
    n_best = min(n_best, len(priors))
    tree = node_labels, ends, words
    found, explored, rest = _search(y, *tree, bounds, priors, blank, n_best, certainty, patience)
    if (len(found) < n_best or -found[-1][0] < SURE) and _may_vanish([*y, [p for p in priors if p > 0]]):
        with localcontext(WIDE):
            wide = [[Decimal(p) for p in row] for row in y]
            weights = [Decimal(float(p)) for p in bounds], [Decimal(float(p)) for p in priors]
            found, explored, rest = _search(wide, *tree, *weights, blank, n_best, Decimal(certainty), patience)
    return (
        [(word, _log(-score) + scale) for score, word in found],
        _log(explored) + scale if explored > 0 else -inf,
        _log(rest) + scale if rest > 0 else -inf,
    )


def _may_vanish(rows: Sequence[Sequence[float]]) -> bool:
    """Whether some possible path, a number of each row, may have less than is sure."""
    return sum(log(min((float(p) for p in row if p > 0), default=1.0)) for row in rows) < log(SURE)


def _log(number: Number) -> float:
    return float(number.ln(WIDE)) if isinstance(number, Decimal) else log(number)


def _search(
    y: Sequence[Vector],
    node_labels: Sequence[int],
    ends: Sequence[int],
    words: Sequence[int],
    bounds: Sequence[Number],
    priors: Sequence[Number],
    blank: int,
    n_best: int,
    certainty: Number,
    patience: int,
) -> tuple[Found, Number, Number]:
    """Scores instead of their logarithms, of rows that have been divided by their sums."""
    n_frames = len(y)
    found: Found = []
    explored: Number = 0
    waiting: Number = 0
    rest: Number = 0
    n_seen = 0
    # Of a prefix: the probability of its paths up to each frame that end in a blank, and in its last label.
    in_blank: Vector = []
    product: Number = 1
    for row in y:
        product *= row[blank]
        in_blank.append(product)
    later: Vector = [1] * n_frames  # the most that a path can keep in the frames after each
    for t in range(n_frames - 1, 0, -1):
        labels_only = sorted((p for label, p in enumerate(y[t]) if label != blank), reverse=True)
        later[t - 1] = later[t] * min(1, y[t][blank] + sum(labels_only[:2]))
    on = ways_on(y, blank)
    queue: list[Entry] = []

    def worst() -> Number:
        return -found[n_best - 1][0] if len(found) >= n_best else 0

    def children(node: int) -> Iterator[int]:
        child, end = (0, len(node_labels) - 1) if node < 0 else (node + 1, ends[node])
        while child < end:
            yield child
            child = ends[child]

    def expand(entry: Entry) -> None:
        nonlocal explored, waiting, rest, n_seen
        node, blanks, labels = entry[2:]
        last = node_labels[node] if node >= 0 else -1
        for child in children(node):
            n_seen += 1
            label = node_labels[child]
            first = [y[0][label] if node < 0 else 0]
            new_labels, new_blanks = [first[0]], [0]
            for t in range(1, n_frames):
                first.append(y[t][label] * (blanks[t - 1] + (labels[t - 1] if label != last else 0)))
                new_labels.append(first[t] + y[t][label] * new_labels[t - 1])
                new_blanks.append(y[t][blank] * (new_blanks[t - 1] + new_labels[t - 1]))
            whole = new_labels[-1] + new_blanks[-1]
            below = child + 1
            if below == ends[child] or words[below] > words[child]:  # a word ends here
                score = whole * priors[words[child]]
                explored += score
                if score > 0 and score >= worst():
                    found.append((-score, int(words[child])))
                    found.sort()
                    del found[n_best:]
            mass = sum(p * row[label] for p, row in zip(first, on, strict=True)) * bounds[child]
            single = min(mass, sum(p * q for p, q in zip(first, later, strict=True)) * bounds[child])
            if below < ends[child] and mass > 0:
                if single >= worst() or certainty > 0:
                    waiting += mass
                    heappush(queue, (-single, mass, child, new_blanks, new_labels))
                else:
                    rest += mass

    if n_frames:
        heappush(queue, (-inf, 0, -1, in_blank, [0] * n_frames))
    while queue and -queue[0][0] >= worst():
        entry = heappop(queue)
        waiting -= entry[1]
        expand(entry)
    if certainty > 0:
        limit = 3 * n_seen + patience
        queue = [(-mass, mass, *others) for _, mass, *others in queue]
        heapify(queue)
        while queue and explored < certainty * (explored + waiting + rest) and n_seen < limit:
            entry = heappop(queue)
            waiting -= entry[1]
            expand(entry)
            queue = [(-mass, mass, *others) for _, mass, *others in queue]
            heapify(queue)
    rest += sum(entry[1] for entry in queue)
    return found, explored, rest
