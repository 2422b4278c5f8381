"""The Python module ``kenlm`` (0.3.0), without its compiler: ARPA files and binary files of every kind.

Values are in logarithms to the base of 10 and single precision, and equal those of the original. Models are mapped and
read lazily, whatever ``Config`` says about loading. What an ARPA file says is put into the hash tables that the
original makes of it. Models of unigrams alone are refused, as there.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastctc.compiled.kenlm import State
from fastctc.lm.kenlm import KenLM, is_kenlm
from fastctc.search_inputs import KenLMTables

__all__ = ["ARPALoadComplain", "Config", "FullScoreReturn", "LanguageModel", "LoadMethod", "Model", "State"]


class LoadMethod:
    """How a file comes into memory: accepted, and always lazy."""

    LAZY, POPULATE_OR_LAZY, POPULATE_OR_READ, READ, PARALLEL_READ = range(5)


class ARPALoadComplain:
    """What to say about slow files: accepted, and never said."""

    ALL, EXPENSIVE, NONE = range(3)


class Config:
    """Accepted, and without an effect."""

    def __init__(self) -> None:
        self.load_method = LoadMethod.POPULATE_OR_READ
        self.show_progress = True
        self.arpa_complain = ARPALoadComplain.ALL


class FullScoreReturn:
    """What a model says about a word."""

    def __init__(self, log_prob: float, ngram_length: int, oov: bool) -> None:
        self._values = (float(log_prob), int(ngram_length), bool(oov))

    @property
    def log_prob(self) -> float:
        """Its log10 probability."""
        return self._values[0]

    @property
    def ngram_length(self) -> int:
        """Length of the n-gram that says it."""
        return self._values[1]

    @property
    def oov(self) -> bool:
        """Whether it is not in the vocabulary."""
        return self._values[2]

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._values!r}"


class Model:
    """A language model of words.

    Parameters
    ----------
    path : str, bytes or path-like
        An ARPA file, plain or compressed (.gz), or a binary file of KenLM.
    config : Config, optional
        Accepted, and without an effect.

    Raises
    ------
    OSError
        If the file cannot be read, or is no model.
    """

    def __init__(self, path: str | bytes | os.PathLike[str], config: Config | None = None) -> None:
        if config is not None and not isinstance(config, Config):
            raise TypeError(f"config must be a Config, got {type(config).__name__}")
        file = str(Path(os.fsdecode(path)).absolute())
        try:
            self._model = KenLM.load(file) if is_kenlm(file) else KenLM.from_arpa(file)
        except (ValueError, OSError) as error:
            raise OSError(f"Cannot read model '{os.fsdecode(path)}' ({error})") from error
        self.path: bytes = os.fsencode(file)
        self._scorer = self._model.scorer
        # What is called for every word goes straight to compiled code, but for classes that have their own.
        direct = {
            "BaseScore": self._scorer.advance,
            "BeginSentenceWrite": self._scorer.begin,
            "NullContextWrite": self._scorer.clear,
            "score": self._scorer.score,
        }
        for name, function in direct.items():
            if getattr(type(self), name) is getattr(Model, name):
                setattr(self, name, function)

    @property
    def tables(self) -> KenLMTables:
        """The file, and what is where in it."""
        return self._model.tables

    @property
    def order(self) -> int:
        """Length of the longest n-grams."""
        return self._model.order

    def score(self, sentence: str | bytes, bos: bool = True, eos: bool = True) -> float:
        """The log10 probability of a sentence; with its beginning and its end, unless told otherwise."""
        return float(self._scorer.score(sentence, bos, eos))

    def perplexity(self, sentence: str | bytes) -> float:
        """Perplexity of a sentence, per word and its end."""
        return float(10.0 ** (-self.score(sentence) / (len(sentence.split()) + 1)))

    def full_scores(
        self, sentence: str | bytes, bos: bool = True, eos: bool = True
    ) -> Iterator[tuple[float, int, bool]]:
        """Of each word: its log10 probability, the length of the n-gram that says it, whether it is unknown."""
        yield from self._scorer.full_scores(sentence, bos, eos)

    def BeginSentenceWrite(self, state: State) -> None:
        """Let a state be that at the beginning of a sentence."""
        self._scorer.begin(state)

    def NullContextWrite(self, state: State) -> None:
        """Let a state be that of nothing before."""
        self._scorer.clear(state)

    def BaseScore(self, in_state: State, word: str, out_state: State) -> float:
        """The log10 probability of a word after a state; the state after it is written."""
        return float(self._scorer.advance(in_state, word, out_state))

    def BaseFullScore(self, in_state: State, word: str, out_state: State) -> FullScoreReturn:
        """Of a word after a state; the state after it is written."""
        return FullScoreReturn(*self._scorer.full_score(in_state, word, out_state))

    def __contains__(self, word: str | bytes) -> bool:
        return bool(self._scorer.number(word))

    def __repr__(self) -> str:
        return f"<Model from {Path(os.fsdecode(self.path)).name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path,)


class LanguageModel(Model):
    """The name that older programs know a Model by."""
