"""Probabilities of an n-gram model with back-off.

S. M. Katz: Estimation of Probabilities from Sparse Data for the Language Model Component of a Speech Recognizer, IEEE
ASSP 1987. The n-grams stand in a tree, each below the n-gram without its last token; a node is also a state, the
longest history the model knows something about.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from math import exp, log
from typing import Any

from fastctc.reference import kenlm
from fastctc.search_inputs import KenLMWords, NGramTables, RunningSums


def score(tables: NGramTables | KenLMWords, state: Any, tokens: Sequence[int]) -> tuple[list[float], Any]:
    """Log probability of each token given the state and the tokens before it, and the state after the last.

    Node 0 is the empty n-gram. Of every node, ``words`` is its last token, ``log_probs`` that of its last token given
    the others, ``suffixes`` the longest n-gram of the model that ends it. The first ``len(backoffs)`` nodes may have
    children, ``children[i]`` to ``children[i + 1]``, sorted by their tokens.

    A token that never followed a history has the probability that the shorter history gives it, times the history's
    back-off weight; or, where ``uniform`` is set (add-k), the same as every such token, which then stands in
    ``backoffs``, unless nothing ever followed the history. ``unknown`` is the log probability of a token that is not
    in the model.

    Of a KenLM file the state is a context, and no log probability is above 0.
    """
    if isinstance(tables, KenLMWords):
        return _score_words(tables, state, tokens)
    words, log_probs, backoffs, children, suffixes, uniform, unknown = tables

    def find(node: int, token: int) -> int:
        if node < len(backoffs):
            for child in range(children[node], children[node + 1]):
                if words[child] == token:
                    return child
        return -1

    results = []
    for token in tokens:
        result, settled = 0.0, False
        while True:
            node = find(state, token)
            if node >= 0 or state == 0:
                break
            inner = state < len(backoffs)
            if inner and not settled and (not uniform or children[state] < children[state + 1]):
                result += float(backoffs[state])
                settled = uniform
            state = suffixes[state]
        if not settled:
            result += float(log_probs[node]) if node >= 0 else float(backoffs[0]) if uniform else unknown
        results.append(result)
        state = max(node, 0)
        if state >= len(backoffs):
            state = suffixes[state]
    return results, int(state)


def _score_words(words: KenLMWords, context: kenlm.Context, tokens: Sequence[int]) -> tuple[list[float], kenlm.Context]:
    values = []
    for token in tokens:
        number = int(words.numbers[token]) if token >= 0 else 0
        log10_prob, _, context = kenlm.advance(words.tables, context, number)
        values.append(min(0.0, log(10.0) * log10_prob))
    return values, context


class Scorer:
    """A model that is asked in tokens and texts.

    ``text`` and ``offsets`` are those of its vocabulary, ``start`` its state at the beginning of a text; words stand
    between white space, and characters are tokens each.
    """

    def __init__(
        self, tables: NGramTables, text: Sequence[int], offsets: Sequence[int], start: int, is_of_words: bool
    ) -> None:
        self.tables, self.start, self.is_of_words = tables, start, is_of_words
        raw = bytes(text)
        self.numbers = {raw[begin:end].decode(): number for number, (begin, end) in enumerate(pairwise(offsets))}

    def number(self, token: str) -> int:
        """The number of a token; unknown ones have that of <unk>, or -1 where the model has none."""
        return self.numbers.get(token, self.numbers.get("<unk>", -1))

    def advance(self, state: int, token: str) -> tuple[float, int]:
        """Log probability of a token after a state, and the next state."""
        (result,), state = score(self.tables, state, [self.number(token)])
        return result, state

    def log_probs(self, text: str | Sequence[str], begin: bool, end: bool) -> list[float]:
        """Log probability of each token of a text, and of its end."""
        tokens = [*text] if not (isinstance(text, str) and self.is_of_words) else text.split()
        numbers = [self.number(token) for token in [*tokens, *["</s>"] * end]]
        return score(self.tables, self.start if begin else 0, numbers)[0]

    def score(self, text: str | Sequence[str], begin: bool, end: bool) -> float:
        """The sum of them."""
        total = 0.0
        for value in self.log_probs(text, begin, end):
            total += value
        return total


def forecast(tables: NGramTables, sums: RunningSums, state: int, first: int, last: int) -> float:
    """Sum of the probabilities, given the state, of all tokens from ``first`` to before ``last``.

    ``sums`` run over the children of each node: over their own probabilities, and over the lower ones that the shorter
    history gives the same tokens. So the sum over what followed the history is a difference, and the rest
    is what the shorter history gives the range, less what it gives those that did follow, times the back-off weight:
    order times a look-up, whatever the range. Differences of doubles near 1 are exact to about 1e-15, however small
    they are: a bound of their own size would take a sum over all tokens that did not follow.
    """
    if first >= last:
        return 0.0
    backoffs, children = tables.backoffs, tables.children
    start, stop = (children[state], children[state + 1]) if state < len(backoffs) else (0, 0)
    low = start + bisect_left(tables.words[start:stop], first)
    high = start + bisect_left(tables.words[start:stop], last)

    def seen(values: Sequence[float]) -> float:
        if low == high:
            return 0.0
        return float(values[high - 1]) - (float(values[low - 1]) if low > start else 0.0)

    if state == 0:
        return seen(sums.own)
    if tables.uniform and start < stop:
        return seen(sums.own) + exp(float(backoffs[state])) * ((last - first) - (high - low))
    weight = exp(float(backoffs[state])) if state < len(backoffs) and not tables.uniform else 1.0
    shorter = forecast(tables, sums, tables.suffixes[state], first, last)
    return seen(sums.own) + weight * max(0.0, shorter - seen(sums.lower))
