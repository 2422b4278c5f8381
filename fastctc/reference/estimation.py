"""Estimation of n-gram models, as the papers write it.

S. F. Chen, J. Goodman: An Empirical Study of Smoothing Techniques for Language Modeling, TR-10-98, Harvard, 1998.

Lines are tokens by their numbers, 0 to ``size`` - 1. ``begin`` is the number of <s>, which stands before lines and
follows nothing, or -1. The fast twin, fastctc.lm.estimation, counts the n-grams of a length all at once.
"""

from collections import Counter
from collections.abc import Sequence

Lines = Sequence[Sequence[int]]
NGram = tuple[int, ...]


def ngrams(lines: Lines, order: int) -> Counter[NGram]:
    """How often each n-gram occurs."""
    return Counter(tuple(line[i : i + order]) for line in lines for i in range(len(line) - order + 1))


def add_k(lines: Lines, history: NGram, token: int, size: int, begin: int, k: float) -> float:
    """(count + k) / (count of the history + k V); a history that nothing ever followed is shortened."""
    while True:
        counts = ngrams(lines, len(history) + 1)
        if not history or any(ngram[:-1] == history for ngram in counts):
            break
        history = history[1:]
    following = size - (begin >= 0)
    total = sum(n for ngram, n in counts.items() if ngram[:-1] == history and ngram[-1] != begin)
    if total + k * following == 0:
        return 0.0
    return (counts[(*history, token)] + k) / (total + k * following)


class KneserNey:
    """Interpolated modified Kneser-Ney smoothing (section 3).

    The longest n-grams count as often as they occur, shorter ones as often as there are different tokens before them,
    the beginning of a line among these. An n-gram that begins with <s> has nothing before it: it counts as it occurs.
    """

    def __init__(self, lines: Lines, order: int, size: int, begin: int) -> None:
        self.size, self.begin = size, begin
        self.counts: list[Counter[NGram]] = []
        for n in range(1, order + 1):
            counts = ngrams(lines, n)
            if n < order:
                before = Counter(longer[1:] for longer in ngrams(lines, n + 1))
                before.update({tuple(line[:n]) for line in lines if len(line) >= n})
                counts = Counter({ngram: counts[ngram] if ngram[0] == begin else before[ngram] for ngram in counts})
            if n == 1:
                counts.pop((begin,), None)
            self.counts.append(counts)
        self.discounts = [self._discounts(counts) for counts in self.counts]

    @staticmethod
    def _discounts(counts: Counter[NGram]) -> list[float]:
        """What is taken from n-grams that were counted 0, 1, 2, and 3 or more times (equation 26)."""
        n = [sum(count == times for count in counts.values()) for times in range(5)]
        if min(n[1:]) > 0:
            y = n[1] / (n[1] + 2 * n[2])
            found = [times - (times + 1) * y * n[times + 1] / n[times] for times in (1, 2, 3)]
            if all(0 < discount < times for times, discount in enumerate(found, 1)):
                return [0.0, *found]
        return [0.0, 0.5, 1.0, 1.5]  # too little text to tell

    def prob(self, history: NGram, token: int) -> float:
        """Probability of a token after a history: what its count leaves, and a share of the shorter history's."""
        n = len(history)
        lower = self.prob(history[1:], token) if n else 1 / (self.size - (self.begin >= 0))
        following = {ngram: count for ngram, count in self.counts[n].items() if ngram[:-1] == history}
        total = sum(following.values())
        if not total:
            return lower
        discount = self.discounts[n]
        rest = sum(discount[min(count, 3)] for count in following.values()) / total
        count = following.get((*history, token), 0)
        return max(count - discount[min(count, 3)], 0.0) / total + rest * lower
