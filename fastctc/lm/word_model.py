"""WordModel: a lexicon and a language model of words, with one numbering."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc.lexicon import Lexicon
from fastctc.lm.kenlm import KenLM
from fastctc.lm.ngram import UNKNOWN, NGram
from fastctc.lm.sharing import Shared
from fastctc.lm.tables import MISSING, Level, running_sums, tree
from fastctc.search_inputs import KenLMWords, NGramTables, RunningSums


@dataclass(frozen=True, eq=False)
class WordModel:
    """The n-grams of a model, the words numbered as in a lexicon, so that all words below a prefix are a range.

    Words of the lexicon that the model lacks are unknown words to it; tokens that the lexicon lacks have numbers behind
    its words, and are left as histories only.
    """

    tables: NGramTables | KenLMWords
    sums: RunningSums | None  # KenLM's files have none: their words are weighed when they end
    start: Any  # state at the beginning of a text

    @classmethod
    def of(cls, lexicon: Lexicon, lm: NGram | KenLM) -> "WordModel":
        """Number a model's words as the lexicon does; once for all decoders that have both."""
        return _MADE.get(lm, lexicon, lambda: cls._made(lexicon, lm))

    @classmethod
    def _made(cls, lexicon: Lexicon, lm: NGram | KenLM) -> "WordModel":
        if isinstance(lm, KenLM):
            numbers = np.array([lm.scorer.number(word) for word in lexicon.all_words()], np.int32)
            return cls(KenLMWords(lm.tables, numbers), None, lm.state().context)
        return cls._of_ngram(lexicon, lm)

    @classmethod
    def _of_ngram(cls, lexicon: Lexicon, lm: NGram) -> "WordModel":
        names = lexicon.all_words()
        table = {name: number for number, name in enumerate(names)}
        tokens = list(lm.vocabulary)
        n_words = len(names)
        numbers: NDArray[np.int64] = np.array([table.get(token, -1) for token in tokens], dtype=np.int64)
        others = np.flatnonzero(numbers < 0)
        numbers[others] = n_words + np.arange(len(others))
        size = n_words + len(others)
        # Every number has a unigram: what the model lacks is an unknown word.
        unknown = lm.vocabulary.number(UNKNOWN)
        log_prob, backoff = MISSING, 0.0
        if lm.uniform:
            log_prob = float(lm.backoffs[0])
        elif unknown >= 0:
            log_prob = float(lm.log_probs[1 + unknown])
            backoff = float(lm.backoffs[1 + unknown]) if lm.order > 1 else 0.0
        log_probs, backoffs = np.full(size, log_prob), np.full(size, backoff)
        log_probs[numbers] = lm.log_probs[1 : 1 + len(tokens)]
        if lm.order > 1:
            backoffs[numbers] = lm.backoffs[1 : 1 + len(tokens)]
        levels: list[Level] = [(np.zeros(size, np.int64), np.arange(size), log_probs, backoffs)]
        places = numbers  # where each n-gram of the level before stands now
        start, stop = 1, 1 + len(tokens)
        for order in range(2, lm.order + 1):
            next_stop = int(lm.children[stop]) if order < lm.order else len(lm.words)
            counts = np.diff(lm.children[start : stop + 1])
            parents = places[np.repeat(np.arange(stop - start), counts)]
            words = numbers[lm.words[stop:next_stop]]
            sort = np.lexsort((words, parents))
            places = np.empty(len(sort), dtype=np.int64)
            places[sort] = np.arange(len(sort))
            rest = lm.backoffs[stop:next_stop][sort].astype(np.float64) if order < lm.order else np.zeros(len(sort))
            levels.append((parents[sort], words[sort], lm.log_probs[stop:next_stop][sort].astype(np.float64), rest))
            start, stop = stop, next_stop
        tables = tree(levels, size, float(lm.backoffs[0]))
        sums = running_sums(*tables[1:], lm.uniform)
        begin = 1 + int(numbers[lm.start - 1]) if lm.start else 0
        return cls(NGramTables(*tables, lm.uniform, lm.unknown), sums, begin)


_MADE: Shared[NGram | KenLM, Lexicon, WordModel] = Shared()
