"""N-gram estimation as the papers write it, with dictionaries: what the vectorised one is judged by."""

from collections import Counter


def grams(lines, order):
    return Counter(tuple(line[i : i + order]) for line in lines for i in range(len(line) - order + 1))


def add_k(lines, history, token, size, begin, k):
    """(count + k) / (count of the history + k V); a history that nothing ever followed is shortened."""
    while True:
        counts = grams(lines, len(history) + 1)
        if not history or any(gram[:-1] == history for gram in counts):
            break
        history = history[1:]
    following = size - (begin >= 0)
    total = sum(n for gram, n in counts.items() if gram[:-1] == history and gram[-1] != begin)
    if total + k * following == 0:
        return 0.0
    return (counts[(*history, token)] + k) / (total + k * following)


class KneserNey:
    """Interpolated modified Kneser-Ney (Chen and Goodman 1998, section 3)."""

    def __init__(self, lines, order, size, begin):
        self.size, self.begin = size, begin
        self.counts = []
        for n in range(1, order + 1):
            raw = grams(lines, n)
            if n < order:
                longer = dict.fromkeys(grams(lines, n + 1))
                before = Counter(gram[1:] for gram in longer)
                before.update({tuple(line[:n]) for line in lines if len(line) >= n})
                raw = Counter({gram: raw[gram] if gram[0] == begin else before[gram] for gram in raw})
            if n == 1:
                raw.pop((begin,), None)
            self.counts.append(raw)
        self.discounts = [self._discounts(counts) for counts in self.counts]

    @staticmethod
    def _discounts(counts):
        n = [sum(c == times for c in counts.values()) for times in range(5)]
        if min(n[1:]) > 0:
            y = n[1] / (n[1] + 2 * n[2])
            found = [0, *(times - (times + 1) * y * n[times + 1] / n[times] for times in (1, 2, 3))]
            if all(0 < d < times for times, d in enumerate(found[1:], 1)):
                return found
        return [0, 0.5, 1.0, 1.5]

    def prob(self, history, token):
        n = len(history)
        lower = self.prob(history[1:], token) if n else 1 / (self.size - (self.begin >= 0))
        following = {gram: c for gram, c in self.counts[n].items() if gram[:-1] == history}
        total = sum(following.values())
        if not total:
            return lower
        discount = self.discounts[n]
        rest = sum(discount[min(c, 3)] for c in following.values()) / total
        count = following.get((*history, token), 0)
        return max(count - discount[min(count, 3)], 0) / total + rest * lower
