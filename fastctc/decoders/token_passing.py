"""Token passing."""

from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from itertools import pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

from fastctc import backends
from fastctc.alphabet import Alphabet
from fastctc.decoders.decoder import Decoder
from fastctc.frames import Frames, Probabilities, Workspace, as_probabilities
from fastctc.hypothesis import Hypothesis, hypotheses, inexact
from fastctc.lexicon import Lexicon
from fastctc.lm.ngram import BEGIN, NGram
from fastctc.search_inputs import Bigrams


@dataclass(frozen=True)
class TokenPassing(Decoder):
    """The best path through words of a lexicon, one after the other, and nothing between them but separators.

    Takes O(T L) time for T frames and L characters in the whole lexicon, with bigrams also as much as words were seen
    after others, and O(L) memory; most of both is spared where the frames rule a word out.

    Parameters
    ----------
    lexicon : Lexicon
        Its priors are not used.
    separator : str, optional
        The character between words, as the network writes it. By default the blank space, if the alphabet has one.
        Empty for networks that write none (and as published): then there must be a blank between two words.
    lm : NGram, optional
        A model of words, of which the bigrams are used.
    lm_weight : float, default 1
        Greater than 0; ``score`` is log P(best path | frames) + lm_weight ``lm_log_prob``.
    exact : bool, default True
        Whether to compute ``log_prob``, the sum over all paths of the words found, ``timesteps``, ``words`` and
        ``confidence``.
    backend : str, default "compiled"
        "reference" runs the plain Python specification.

    Raises
    ------
    ValueError
        For a separator that is not a character of the alphabet or is part of a word, a weight that is not positive and
        finite, a model of characters or one without back-off weights (add-k).

    Notes
    -----
    Returns one hypothesis, or none where no word fits into the frames.

    References
    ----------
    A. Graves: Supervised Sequence Labelling with Recurrent Neural Networks, 2012, section 7.4.3.

    Examples
    --------
    >>> from fastctc import Alphabet, Lexicon, TokenPassing
    >>> lexicon = Lexicon.from_words(["ab", "ba"], Alphabet("ab "))
    >>> frames = [[0.9, 0, 0, 0.1], [0.6, 0.4, 0, 0], [0, 0, 0.9, 0.1], [0, 0.8, 0, 0.2], [0.7, 0, 0.2, 0.1]]
    >>> TokenPassing(lexicon).decode(probs=frames)[0].text
    'ab ba'
    """

    lexicon: Lexicon
    _: KW_ONLY
    separator: str | None = None
    lm: NGram | None = None
    lm_weight: float = 1.0
    exact: bool = True
    backend: str = "compiled"

    def __post_init__(self) -> None:
        if self.separator is None:
            object.__setattr__(self, "separator", " " if " " in self.alphabet.symbols else "")
        if self.separator:
            if len(self.alphabet.encode(self.separator)) != 1:
                raise ValueError(f"separator must be one character of the alphabet, got {self.separator!r}")
            if (self.lexicon.labels == self._separator).any():
                raise ValueError(f"separator must not be part of a word, but {self.separator!r} is")
        if not 0 < self.lm_weight < inf:
            raise ValueError(f"lm_weight must be positive and finite, got {self.lm_weight}")
        if self.lm is not None and (self.lm.unit != "word" or self.lm.uniform):
            kind = "an add-k model" if self.lm.uniform else "one of characters"
            raise ValueError(f"lm must be a model of words with back-off weights, got {kind}")

    @property
    def alphabet(self) -> Alphabet:  # type: ignore[override]
        return self.lexicon.alphabet

    @cached_property
    def _separator(self) -> int:
        return self.alphabet.encode(self.separator)[0] if self.separator else -1

    @cached_property
    def _bigrams(self) -> Bigrams | None:
        return None if self.lm is None else _bigrams(self.lexicon, self.lm, self.lm_weight)

    def _prepare(self) -> None:
        _ = self._bigrams

    def _decode(self, batch: list[Frames], workspace: Workspace) -> list[list[Hypothesis]]:
        probabilities = as_probabilities(batch, workspace)
        return [self._decode_one(f, d) for f, d in zip(batch, probabilities, strict=True)]

    def _decode_one(self, frames: Frames, probabilities: Probabilities) -> list[Hypothesis]:
        search = backends.load(self.backend, "token_passing").token_passing
        lexicon = self.lexicon
        log_probs = frames.log_probs().astype(np.float64, copy=False)
        words, score = search(
            log_probs, lexicon.labels, lexicon.offsets, self.alphabet.blank, self._separator, self._bigrams
        )
        if score == -inf:
            return []
        labels: tuple[int, ...] = ()
        spans = []
        for word in words:
            if labels and self._separator >= 0:
                labels += (self._separator,)
            spans.append((len(labels), len(labels) + len(lexicon.word_labels(word))))
            labels += lexicon.word_labels(word)
        if self.exact:
            [found] = hypotheses(self.alphabet, [(probabilities, labels, score)], self.backend, [spans])
        else:
            found = inexact(self.alphabet.decode(labels), labels, score)
        return [found if self.lm is None else found._replace(lm_log_prob=self._weigh(words))]

    def _weigh(self, words: list[int]) -> float:
        """Log probability of the words by their bigrams."""
        table = self._bigrams
        assert table is not None
        total: float = table.first[words[0]] if words else 0.0
        for before, word in pairwise(words):
            start, stop = table.starts[before], table.starts[before + 1]
            place = start + int(np.searchsorted(table.successors[start:stop], word))
            if place < stop and table.successors[place] == word:
                total += table.log_probs[place]
            else:
                total += table.backoffs[before] + table.single[word]
        return float(total) / self.lm_weight


def _bigrams(lexicon: Lexicon, lm: NGram, weight: float) -> Bigrams:
    """The bigrams of a model, as numbers of the lexicon's words."""
    names = [lexicon.word(number) for number in range(len(lexicon))]
    tokens = np.array(lm.numbers(names))
    known = tokens >= 0
    nodes = np.where(known, 1 + tokens, 0)
    single = np.where(known, lm.log_probs[nodes], lm.unknown).astype(np.float64)
    longer = lm.order > 1
    backoffs = np.where(known, lm.backoffs[nodes], 0.0) if longer else np.zeros(len(names))
    # Words that the model does not know share the token <unk>: only what it says about known ones is used.
    word_of = np.full(len(lm.vocabulary), -1)
    exact = np.array(
        [number >= 0 and lm.vocabulary[number] == name for number, name in zip(tokens, names, strict=True)]
    )
    word_of[tokens[exact]] = np.flatnonzero(exact)

    def followers(node: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        start, stop = int(lm.children[node]), int(lm.children[node + 1])
        words = word_of[lm.words[start:stop]]
        order = np.argsort(words, kind="stable")
        order = order[words[order] >= 0]
        return words[order], lm.log_probs[start:stop][order]

    empty = np.empty(0, np.int64), np.empty(0, np.float32)
    after = [followers(node) if longer and e else empty for node, e in zip(nodes.tolist(), exact, strict=True)]
    first = single.copy()
    begin = lm.vocabulary.number(BEGIN)
    if longer and begin >= 0:
        first += float(lm.backoffs[1 + begin])
        words, values = followers(1 + begin)
        first[words] = values
    return Bigrams(
        weight * first,
        weight * single,
        weight * backoffs.astype(np.float64),
        np.cumsum([0, *(len(words) for words, _ in after)]).astype(np.int64),
        np.concatenate([words for words, _ in after]).astype(np.int32),
        weight * np.concatenate([values for _, values in after]).astype(np.float64),
    )
