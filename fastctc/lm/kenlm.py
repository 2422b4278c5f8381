"""KenLM: a language model in a binary file of that program, asked where it lies."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import log
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc import storage
from fastctc.compiled.kenlm import Scorer, State
from fastctc.lm import arpa, kenlm_building, kenlm_listing
from fastctc.lm.kenlm_format import START, parsed
from fastctc.lm.ngram import NGram
from fastctc.lm.tables import MOST_NGRAMS
from fastctc.search_inputs import KenLMTables
from fastctc.storage import StorageError

LN10 = log(10.0)


def is_kenlm(path: str | PathLike[str]) -> bool:
    """Whether a file begins as KenLM's binary files do, whatever their version."""
    with Path(path).open("rb") as file:
        return file.read(len(START)) == START


@dataclass(frozen=True, eq=False)
class KenLM:
    """A word n-gram model in KenLM's binary format, of any of its six kinds.

    Made by :meth:`load`, which maps the file and reads no more than its head. So a model of many gigabytes is loaded
    at once, and processes that load the same file share its memory. Words have numbers, but their n-grams cannot be
    listed in files of hash tables (the default of ``build_binary``), so that a search weighs a word when it has ended.
    Tries can be listed: :meth:`to_ngram` makes a model of them that also knows what may follow.
    """

    tables: KenLMTables = field(repr=False)
    kind: str
    words_at: int = field(repr=False)  # the byte where the words begin; 0: they are not there
    path: str | None = None

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "KenLM":
        """Map a file that ``build_binary`` wrote.

        The head of the file is checked at once, everything else when it is asked for.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If the file is of another kind, truncated or damaged; the message says what must be and what was.
        """
        size = Path(path).stat().st_size
        if size == 0:
            raise StorageError(f"{path}: must be a binary file of KenLM, but it is empty")
        data: NDArray[np.uint8] = np.memmap(path, np.uint8, "r").view(np.ndarray)
        try:
            return cls(*parsed(data), os.fspath(path))
        except ValueError as error:
            raise StorageError(f"{path}: {error}") from None

    @classmethod
    def from_arpa(cls, path: str | PathLike[str], *, max_ngrams: int = MOST_NGRAMS) -> "KenLM":
        """Build hash tables in memory from an ARPA file, plain or compressed (.gz), as ``build_binary`` does.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            For a file that is truncated or contradicts itself, and for one of unigrams alone.
        """
        try:
            return cls(*parsed(kenlm_building.build(*arpa.read(path, "word", max_ngrams))))
        except arpa.ArpaError:
            raise
        except ValueError as error:
            raise StorageError(f"{path}: {error}") from None

    @classmethod
    def from_ngram(cls, model: NGram) -> "KenLM":
        """Build hash tables in memory from a model of words.

        Raises
        ------
        ValueError
            For an add-k model, which has no back-off weights, a model of characters, and one of unigrams alone.
        """
        if model.uniform or model.unit != "word":
            raise ValueError("must be a model of words with back-off weights (ARPA, Kneser-Ney)")
        return cls(*parsed(kenlm_building.build(model.levels(), model.vocabulary)))

    def to_ngram(self) -> NGram:
        """List the n-grams of a trie, as a model that also knows the probability of all words below a prefix.

        Raises
        ------
        ValueError
            For hash tables, which hold no words of n-grams, for files without the words (``build_binary -v``), and
            damaged ones.
        """
        if self.tables.hashed:
            raise ValueError(
                "the n-grams of hash tables cannot be listed: take the ARPA file, or a trie (build_binary trie)"
            )
        try:
            return NGram.from_levels(*kenlm_listing.levels(self.tables, self.words()), "word", 0.0, False)
        except ValueError as error:
            raise StorageError(f"{self.path}: {error}") from None

    def words(self) -> list[bytes]:
        """The words in UTF-8, by their numbers; the first stands for unknown ones.

        Raises
        ------
        ValueError
            For a file without them (``build_binary -v``).
        """
        if not self.words_at:
            raise ValueError(
                "the file must hold its words, but was built without them (build_binary -v): give a lexicon, or build "
                "it again"
            )
        text: bytes = self.tables.data[self.words_at :].tobytes()
        words = text.split(b"\0")
        if len(words) != self.tables.n_words + 1 or words.pop():
            raise ValueError(f"there must be {self.tables.n_words} words at the end of the file, got {len(words)}")
        return words

    @cached_property
    def vocabulary(self) -> Sequence[str]:
        """The words, those for unknown words and for the beginning and the end of sentences among them.

        Raises
        ------
        ValueError
            For a file without them (``build_binary -v``), or if they are not UTF-8.
        """
        return [word.decode() for word in self.words()]

    def save(self, path: str | PathLike[str]) -> None:
        """Write a file that :meth:`load`, and KenLM itself, map into memory."""
        with storage.replaced(path) as file:
            file.write(self.tables.data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (KenLM.load, (self.path,)) if self.path else (KenLM, (self.tables, self.kind, self.words_at))

    @property
    def unit(self) -> str:
        """What the tokens are."""
        return "word"

    @property
    def order(self) -> int:
        """Length of the longest n-grams."""
        return self.tables.order

    @cached_property
    def scorer(self) -> Scorer:
        """The compiled walk through the tables."""
        return Scorer(self.tables)

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self.scorer.number(word) != 0

    def state(self, begin: bool = True) -> State:
        """State at the beginning of a sentence, or of nothing before."""
        state = State()
        (self.scorer.begin if begin else self.scorer.clear)(state)
        return state

    def advance(self, state: State, word: str) -> tuple[float, State]:
        """Natural log probability of a word after a state, and the next state."""
        after = State()
        return LN10 * self.scorer.advance(state, word, after), after

    def log_probs_of(self, text: str | Sequence[str], *, begin: bool = True, end: bool = False) -> list[float]:
        """Natural log probability of each word of a text, given those before it.

        Parameters
        ----------
        text : str or sequence of str
            A text, whose words stand between white space, or its words.
        begin : bool, default True
            Whether the text is the beginning of a sentence.
        end : bool, default False
            Whether to go on with the end of the sentence.
        """
        text = text if isinstance(text, str) else " ".join(text)
        return [LN10 * row[0] for row in self.scorer.full_scores(text, begin, end)]

    def score(self, text: str | Sequence[str], *, begin: bool = True, end: bool = True) -> float:
        """Natural log probability of a sentence; ``begin`` and ``end`` as in :meth:`log_probs_of`."""
        text = text if isinstance(text, str) else " ".join(text)
        return LN10 * self.scorer.score(text, begin, end)
