"""Token passing: the best path through words of a list, one after the other.

A. Graves: Supervised Sequence Labelling with Recurrent Neural Networks, 2012, section 7.4.3 (algorithm 7.2).
"""

from collections.abc import Sequence
from itertools import pairwise
from math import inf

from fastctc.search_inputs import Bigrams


def token_passing(
    log_probs: Sequence[Sequence[float]],
    labels: Sequence[int],
    offsets: Sequence[int],
    blank: int,
    separator: int,
    bigrams: Bigrams | None,
) -> tuple[list[int], float]:
    """The words of the best path, as numbers, and its log probability, with that of the bigrams.

    ``labels`` and ``offsets`` are the words, as in :class:`fastctc.Lexicon`. Every word is a row of states: a blank,
    its first label, a blank, and so on to the last blank; then the ``separator``, if it is a class (0 or more). Tokens
    move along the states, and where a word ends, the best one moves on to the beginnings of all. Without a separator
    there must be a blank between two words.

    No words and -inf, if no word fits into the frames.
    """
    words = [[int(label) for label in labels[a:b]] for a, b in pairwise(offsets)]
    states = []  # the class of each state of each word
    for word in words:
        row = [blank]
        for label in word:
            row += [label, blank]
        states.append(row + [separator] * (separator >= 0))
    n_frames = len(log_probs)
    if n_frames == 0:
        return [], 0.0
    history: list[tuple[int, int]] = []  # tokens that have left a word: the word, and the place of the one before

    def transition(before: int, word: int, score: float) -> float:
        if bigrams is None:
            return score
        for place in range(bigrams.starts[before], bigrams.starts[before + 1]):
            if bigrams.successors[place] == word:
                return score + float(bigrams.log_probs[place])
        return (score + float(bigrams.backoffs[before])) + float(bigrams.single[word])

    # Of each state: the score of its token, and where in the history the word before this one stands.
    tokens: list[list[tuple[float, int]]] = []
    for number, row in enumerate(states):
        first = bigrams.first[number] if bigrams else 0.0
        tokens.append([(-inf, -1)] * len(row))
        for state in range(2):
            tokens[-1][state] = (first + float(log_probs[0][row[state]]), -1)
    for t in range(1, n_frames):
        ends = [_end(row, separator) for row in tokens]
        places: dict[int, int] = {}
        entries: list[tuple[float, int]] = []
        for number in range(len(words)):
            best, winner = -inf, -1
            for before, (score, _) in enumerate(ends):
                moved = transition(before, number, score)
                if moved > best:
                    best, winner = moved, before
            if winner >= 0 and winner not in places:
                places[winner] = len(history)
                history.append((winner, ends[winner][1]))
            entries.append((best, places.get(winner, -1)))
        for row, token, entry in zip(states, tokens, entries, strict=True):
            for state in range(len(row) - 1, -1, -1):
                best_token = token[state]
                if state >= 1 and token[state - 1][0] > best_token[0]:
                    best_token = token[state - 1]
                if state >= 2 and row[state] not in (blank, row[state - 2]) and token[state - 2][0] > best_token[0]:
                    best_token = token[state - 2]
                if (state == 0 or (state == 1 and separator >= 0)) and entry[0] > best_token[0]:
                    best_token = entry
                token[state] = (best_token[0] + float(log_probs[t][row[state]]), best_token[1])
    best, winner, place = -inf, -1, -1
    for number, token in enumerate(tokens):
        score, before = _end(token[: len(token) - (separator >= 0)], -1)
        if score > best:
            best, winner, place = score, number, before
    found = [winner] if winner >= 0 else []
    while winner >= 0 and place >= 0:
        found.append(history[place][0])
        place = history[place][1]
    return found[::-1], best


def _end(tokens: list[tuple[float, int]], separator: int) -> tuple[float, int]:
    """The token that may leave a word: of the separator, or of the last label and the last blank."""
    if separator >= 0 or tokens[-1][0] >= tokens[-2][0]:
        return tokens[-1]
    return tokens[-2]
