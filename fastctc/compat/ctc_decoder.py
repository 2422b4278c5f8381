"""The interface of the package ``ctc_decoder`` (CTCDecoder 1.0): the same names, signatures and results.

Matrices are probabilities, (frames, classes), as the softmax makes them; the blank is the last class, after the
characters in ``chars``. Rows that are not distributions are refused with a ValueError; what was too improbable to be
told from 0 has its probability now; and long input works.
"""

from collections import Counter
from itertools import pairwise
from math import exp, inf, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc import backends
from fastctc.alphabet import Alphabet
from fastctc.compiled.beam_search import Beams
from fastctc.decoders import BeamSearch, BestPath, PrefixSearch, TokenPassing
from fastctc.frames import Workspace, as_frames, as_probabilities
from fastctc.lexicon import Lexicon
from fastctc.lm.ngram import NGram
from fastctc.lm.vocabulary import Vocabulary
from fastctc.loss import log_probability

__all__ = [
    "BKTree",
    "LanguageModel",
    "beam_search",
    "best_path",
    "lexicon_search",
    "loss",
    "prefix_search",
    "prefix_search_heuristic_split",
    "probability",
    "token_passing",
]

LM_WEIGHT = 0.01
SURE = 0.9  # how probable a blank must be to split a sequence there

Matrix = NDArray[np.floating[Any]]


class LanguageModel:
    """Bigrams of characters, counted in a text.

    As in the original every single character is equally probable, and a bigram that does not occur is impossible.
    """

    def __init__(self, txt: str, chars: str) -> None:
        known = set(chars)
        pairs = Counter((a, b) for a, b in pairwise(txt) if a in known and b in known)
        totals = Counter[str]()
        for (first, _), times in pairs.items():
            totals[first] += times
        self._chars = known
        self._bigrams = {pair: times / totals[pair[0]] for pair, times in pairs.items()}
        self._lowest = min((log(p) for p in self._bigrams.values()), default=0.0) - log(len(known))
        names = Vocabulary.from_tokens(chars)
        number = {name: i for i, name in enumerate(names)}
        size = len(names)
        # What nothing follows is followed by itself with probability 0, so that it is no unknown history.
        table = {(number[c], number[c]): -inf for c in known} | {
            (number[a], number[b]): log(p) for (a, b), p in self._bigrams.items()
        }
        rows = np.array(sorted(table)).reshape(-1, 2)
        values = np.array([table[pair] for pair in sorted(table)])
        single = np.zeros(size, np.int64), np.arange(size), np.full(size, -log(size)), np.full(size, -inf)
        double = rows[:, 0], rows[:, 1], values, np.zeros(len(values))
        self._model = NGram.from_levels([single, double], names, "character", -inf, True)

    def get_char_unigram(self, c: str) -> float:
        """Probability of a character."""
        self._refuse_unknown(c)
        return 1 / len(self._chars)

    def get_char_bigram(self, c: str, d: str) -> float:
        """Probability of character d after c."""
        self._refuse_unknown(c, d)
        return self._bigrams.get((c, d), 0.0)

    def _refuse_unknown(self, *characters: str) -> None:
        for character in characters:
            if character not in self._chars:
                raise KeyError(character)


class BKTree:
    """Texts, to be asked for those that are similar to another one."""

    def __init__(self, txt_list: list[str]) -> None:
        self._texts = list(txt_list)
        characters = sorted(set("".join(self._texts)))
        words = sorted({text for text in self._texts if text})
        self._lexicon = Lexicon.from_words(words, Alphabet(characters)) if words else None

    def query(self, txt: str, tolerance: int) -> list[str]:
        """The texts whose edit distance to ``txt`` is at most ``tolerance``, in the order of the list."""
        near = {word for word, _ in self._lexicon.similar(txt, tolerance)} if self._lexicon else set()
        if len(txt) <= tolerance:
            near.add("")
        return [text for text in self._texts if text in near]


def best_path(mat: Matrix, chars: str) -> str:
    """The text of the most probable path."""
    return BestPath(Alphabet(chars), exact=False).decode(probs=mat)[0].text


def beam_search(mat: Matrix, chars: str, beam_width: int = 25, lm: LanguageModel | None = None) -> str:
    """The most probable text that a beam finds, with the model's bigrams at a fixed weight of 0.01.

    As in the original all texts of the last frame are compared, their model score divided by their length.
    """
    alphabet = Alphabet(chars)
    if lm is None:
        found = BeamSearch(alphabet, beam_width, exact=False).decode(probs=mat)
        return found[0].text if found else ""
    decoder = BeamSearch(alphabet, beam_width, lm=lm._model, lm_weight=LM_WEIGHT)
    probs = as_probabilities([as_frames(alphabet.n_classes, None, mat, None)], Workspace())[0].probs
    beams = Beams(alphabet.n_classes, alphabet.blank, decoder._character_model)
    beams.extend(probs[:-1], beam_width)
    beams.extend(probs[-1:], beam_width * alphabet.n_classes)
    best, text = -inf, ""
    most = -LM_WEIGHT * lm._lowest * len(probs)  # that the division may add to a score
    for labels, score in beams.best(beam_width * alphabet.n_classes):
        if score + most < best:
            break
        weighed = LM_WEIGHT * decoder._follow(decoder._start_state, labels).log_prob
        score += weighed / max(1, len(labels)) - weighed
        if score > best:
            best, text = score, alphabet.decode(labels)
    return text


def prefix_search(mat: Matrix, chars: str) -> str:
    """The most probable text; exact, and so only for short or sure sequences."""
    found = PrefixSearch(Alphabet(chars), exact=False).decode(probs=mat)
    return found[0].text if found else ""


def prefix_search_heuristic_split(mat: Matrix, chars: str) -> str:
    """Prefix search in three sections, which begin at sure blanks near the first and the second third."""
    mat = np.asarray(mat)
    n_frames = len(mat)
    targets = [int(n_frames * 1 / 3), int(n_frames * 2 / 3)]
    cuts, distances = list(targets), [n_frames, n_frames]
    for t in range(n_frames):
        for i, target in enumerate(targets):
            if mat[t, len(chars)] > SURE and abs(t - target) < distances[i]:
                distances[i], cuts[i] = abs(t - target), t
                break
    stops = [0, *cuts, n_frames]
    return "".join([prefix_search(mat[start:stop], chars) for start, stop in pairwise(stops)])


def token_passing(mat: Matrix, chars: str, words: list[str]) -> str:
    """The best path through words of a list, put together with blank spaces."""
    lexicon = Lexicon.from_words(list(dict.fromkeys(words)), Alphabet(chars))
    log_probs = as_frames(lexicon.alphabet.n_classes, None, mat, None).log_probs().astype(np.float64)
    decoder = TokenPassing(lexicon, separator="")
    search = backends.load(decoder.backend, "token_passing").token_passing
    found, _ = search(log_probs, lexicon.labels, lexicon.offsets, lexicon.alphabet.blank, -1, None)
    return " ".join(map(lexicon.word, found))


def lexicon_search(mat: Matrix, chars: str, bk_tree: BKTree, tolerance: int) -> str:
    """The most probable word near the text of the best path; the empty text if there is none near enough."""
    words = bk_tree.query(best_path(mat, chars), tolerance)
    return max(words, key=lambda word: probability(mat, word, chars), default="")


def probability(mat: Matrix, gt: str, chars: str) -> float:
    """Probability of a text."""
    return exp(-loss(mat, gt, chars))


def loss(mat: Matrix, gt: str, chars: str) -> float:
    """Negative logarithm of the probability of a text; inf if it is 0."""
    return -log_probability(probs=mat, text=gt, alphabet=Alphabet(chars))
