"""Hot words: words and phrases that are to be preferred."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

import numpy as np

from fastctc.alphabet import Alphabet
from fastctc.compiled.lexicon import prefix_tree
from fastctc.search_inputs import HotWordTree

HOTTEST = 100  # that a hot word may add to a score

Bonuses = tuple[tuple[str, float], ...]  # phrases in their order, and what each adds to the score
HotWords = Mapping[str, float] | Bonuses | Iterable[str] | None


def frozen_bonuses(alphabet: Alphabet, hot_words: HotWords, weight: float) -> Bonuses:
    """The hot words as a value: what becomes of the caller's mapping later does not matter.

    Raises
    ------
    ValueError
        For a bonus that is not finite or too large, an empty phrase, characters that are not in the alphabet.
    """
    if isinstance(hot_words, str):
        raise ValueError(f"hot_words must be a list of words, or words with what they add, got {hot_words!r}")
    if hot_words is not None and not isinstance(hot_words, Mapping):
        hot_words = dict([(item, weight) if isinstance(item, str) else item for item in hot_words])
    bonuses = tuple(sorted(dict(hot_words or ()).items()))
    for phrase, bonus in bonuses:
        if not isfinite(bonus) or abs(bonus) > HOTTEST:
            raise ValueError(
                f"hot_words must add at most {HOTTEST} (fastctc.decoders.hot_words.HOTTEST), got {bonus} for {phrase!r}"
            )
        if not alphabet.encode(phrase):
            raise ValueError("hot_words must not be empty")
    return bonuses


def words_of(alphabet: Alphabet, phrases: Iterable[str]) -> list[str]:
    """The words that some phrases consist of."""
    encoded = [alphabet.encode(phrase) for phrase in phrases]
    return [alphabet.decode(labels[a:b]) for labels in encoded for a, b in alphabet.words(labels)]


def hot_tree(alphabet: Alphabet, hot_words: Bonuses | None) -> Any:
    """The prefix tree of the hot words and phrases, see fastctc.search_inputs.HotWordTree."""
    if not hot_words:
        return None
    phrases = sorted((alphabet.encode(phrase), bonus) for phrase, bonus in dict(hot_words).items())
    labels = np.array([label for phrase, _ in phrases for label in phrase], dtype=np.int32)
    offsets = np.cumsum([0, *(len(phrase) for phrase, _ in phrases)]).astype(np.int64)
    node_labels, ends, _ = prefix_tree(labels, offsets)
    partial, whole = np.zeros(len(ends)), np.zeros(len(ends))
    for phrase, bonus in phrases:
        node = 0
        for depth, label in enumerate(phrase, 1):
            while node_labels[node] != label:
                node = int(ends[node])
            partial[node] = max(partial[node], bonus * depth / len(phrase))
            if depth == len(phrase):
                whole[node] = bonus
            node += 1
    return HotWordTree(node_labels, ends, partial, whole)
