"""Language models, and words to be preferred."""

import abc
import json
import logging
import re
import shutil
import sys
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

from fastctc.compat import kenlm
from fastctc.compat.pyctcdecode.alphabet import tokens
from fastctc.compat.pyctcdecode.constants import (
    AVG_TOKEN_LEN,
    DEFAULT_ALPHA,
    DEFAULT_BETA,
    DEFAULT_HOTWORD_WEIGHT,
    DEFAULT_SCORE_LM_BOUNDARY,
    DEFAULT_UNK_LOGP_OFFSET,
    LOG_BASE_CHANGE_FACTOR,
)
from fastctc.compiled.kenlm import number
from fastctc.compiled.ngram import score
from fastctc.lm.ngram import END, UNKNOWN, NGram
from fastctc.search_inputs import KenLMTables, NGramTables, PreferredWords, Tokens, WordWeights

logger = logging.getLogger("pyctcdecode.language_model")  # by which programs silence it


class AbstractLMState(abc.ABC):  # noqa: B024  # as in the original, nothing has to be overridden
    """State of a language model."""

    def get_mp_safe_state(self) -> "AbstractLMState | None":
        """What of it may go to another process: nothing."""
        return None


class KenlmState(AbstractLMState):
    """State of one model."""

    def __init__(self, state: Any) -> None:
        self._state = state

    @property
    def state(self) -> Any:
        """The state as the model below knows it."""
        return self._state

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KenlmState) and bool(self._state == other._state)

    def __hash__(self) -> int:
        return hash(self._state)


class MultiLanguageModelState(AbstractLMState):
    """States of several models."""

    def __init__(self, states: Sequence[Any]) -> None:
        self._states = states

    @property
    def states(self) -> Sequence[Any]:
        """One of each."""
        return self._states


def load_unigram_set_from_arpa(arpa_path: str) -> set[str]:
    """Read the words of an ARPA file, those without a back-off weight too.

    Raises
    ------
    ValueError
        If there are none.
    """
    words: set[str] = set()
    with Path(arpa_path).open(encoding="utf-8") as file:
        for line in file:
            if line.strip() == "\\1-grams:":
                break
        for line in file:
            if line.startswith("\\"):
                break
            fields = line.strip().split("\t")
            if len(fields) > 1:
                words.add(fields[1])
    if not words:
        raise ValueError("No unigrams found in arpa file. Something is wrong with the file.")
    return words


class Prefixes:
    """Beginnings of words: what is asked of a tree of characters."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = sorted(set(words))

    def has_node(self, beginning: str) -> bool:
        """Whether a word begins so."""
        place = bisect_left(self.words, beginning)
        return place < len(self.words) and self.words[place].startswith(beginning)

    def iterkeys(self, beginning: str, shallow: bool = False) -> Iterator[str]:
        """The words that begin so, the shortest first; it alone if shallow."""
        place = bisect_left(self.words, beginning)
        stop = place
        while stop < len(self.words) and self.words[stop].startswith(beginning):
            stop += 1
        found = sorted(self.words[place:stop], key=len)
        return iter(found[:1] if shallow else found)


class HotwordScorer:
    """Words to be preferred.

    Parameters
    ----------
    match_ptn : re.Pattern
        Matches each of them in a text.
    char_trie : CharTrie of the package pygtrie, or alike
        Their beginnings: ``has_node`` and ``iterkeys`` are asked.
    weight : float
        What each of them adds to the score, in nats.
    """

    def __init__(self, match_ptn: re.Pattern[str], char_trie: Any, weight: float = DEFAULT_HOTWORD_WEIGHT) -> None:
        self._match_ptn = match_ptn
        self._char_trie = char_trie
        self._weight = weight
        self.preferred: PreferredWords | HotwordScorer | None = self

    def __contains__(self, item: str) -> bool:
        return bool(self._char_trie.has_node(item))

    def score(self, text: str) -> float:
        """What the words of a text add."""
        return self._weight * len(self._match_ptn.findall(text))

    def score_partial_token(self, token: str) -> float:
        """What the beginning of a word adds: its share of the shortest word that it may become."""
        if token not in self:
            return 0.0
        return self._weight * len(token) / len(next(iter(self._char_trie.iterkeys(token, shallow=True))))

    @classmethod
    def build_scorer(
        cls, hotwords: Iterable[str] | None = None, weight: float = DEFAULT_HOTWORD_WEIGHT
    ) -> "HotwordScorer":
        """Prefer words, and the words of phrases."""
        words = tuple(word for phrase in hotwords or () for word in phrase.split())
        pattern, prefixes, encoded = _looked_up(words)
        scorer = cls(pattern, prefixes, weight)
        if cls is HotwordScorer:
            scorer.preferred = PreferredWords(encoded, float(weight)) if words else None
        return scorer


@lru_cache(maxsize=16)  # programs prefer the same words in every call
def _looked_up(words: tuple[str, ...]) -> tuple[re.Pattern[str], Prefixes, Tokens]:
    longest_first = sorted(words, key=len, reverse=True)
    pattern = "|".join(rf"(?<!\S){re.escape(word)}(?!\S)" for word in longest_first) or r"^\b$"
    prefixes = Prefixes(words)
    return re.compile(pattern), prefixes, tokens(prefixes.words)


class AbstractLanguageModel(abc.ABC):
    """What a decoder asks of a language model."""

    @property
    @abc.abstractmethod
    def order(self) -> int:
        """Length of the longest n-grams."""

    @abc.abstractmethod
    def get_start_state(self) -> Any:
        """State of the empty text."""

    @abc.abstractmethod
    def score_partial_token(self, partial_token: str) -> float:
        """What the beginning of a word adds to the score for the time being."""

    @abc.abstractmethod
    def score(self, prev_state: Any, word: str, is_last_word: bool = False) -> tuple[float, Any]:
        """What a word adds to the score after a state, and the state after it."""

    def save_to_dir(self, filepath: str) -> None:
        """Write the model to a directory."""
        raise NotImplementedError

    @classmethod
    def load_from_dir(cls, filepath: str) -> "AbstractLanguageModel":
        """Read a model from a directory."""
        raise NotImplementedError

    def reset_params(self, **params: Any) -> None:  # noqa: B027  # a model may have none
        """Change some of the parameters."""


class LanguageModel(AbstractLanguageModel):
    """A word n-gram model with weights.

    Parameters
    ----------
    kenlm_model : kenlm.Model, of this package or the original, or NGram
    unigrams : collection of str, optional
        The words that are known. Without them only those that have ended are told from unknown ones.
    alpha : float, default 0.5
        Weight of the model's log probabilities.
    beta : float, default 1.5
        Added for each word.
    unk_score_offset : float, default -10
        Added to the logarithm, to the base of 10, of the probability of a word that is not known.
    score_boundary : bool, default True
        Whether beginnings and ends of sentences count.
    """

    JSON_ATTRS = ("alpha", "beta", "unk_score_offset", "score_boundary")
    _ATTRS_SERIALIZED_FILENAME = "attrs.json"
    _UNIGRAMS_SERIALIZED_FILENAME = "unigrams.txt"

    def __init__(
        self,
        kenlm_model: Any,
        unigrams: Collection[str] | None = None,
        alpha: float = DEFAULT_ALPHA,
        beta: float = DEFAULT_BETA,
        unk_score_offset: float = DEFAULT_UNK_LOGP_OFFSET,
        score_boundary: bool = DEFAULT_SCORE_LM_BOUNDARY,
    ) -> None:
        self._kenlm_model = kenlm_model
        self._has_unigrams = unigrams is not None
        self._unigram_set: set[str] = set()
        if unigrams is None:
            logger.warning("No known unigrams provided, decoding results might be a lot worse.")
        else:
            self._unigram_set = self._known(unigrams)
        self.alpha = alpha
        self.beta = beta
        self.unk_score_offset = unk_score_offset
        self.score_boundary = score_boundary

    def _known(self, unigrams: Collection[str]) -> set[str]:
        """The words that the model has."""
        if len(unigrams) < 1000:
            logger.warning("Only %s unigrams passed as vocabulary. Is this small or artificial data?", len(unigrams))
        found = {word for word in set(unigrams) if self._has(word)}
        share = len(found) / len(unigrams) if unigrams else 1.0
        if share < 0.1:
            logger.warning(
                "Only %s%% of unigrams in vocabulary found in kenlm model-- this might mean that your "
                "vocabulary and language model are incompatible. Is this intentional?",
                round(share * 100, 1),
            )
        return found

    def _has(self, word: str) -> bool:
        """Whether the model has a word."""
        if self._ngram is not None:
            return word != UNKNOWN and word in self._ngram.vocabulary
        return word in self._kenlm_model

    @cached_property
    def _ngram(self) -> NGram | None:
        """The model as arrays, where it is ours."""
        model = self._kenlm_model
        return model if isinstance(model, NGram) else None

    @cached_property
    def _prefixes(self) -> Prefixes:
        return Prefixes(self._unigram_set)

    def reset_params(self, **params: Any) -> None:
        """Change alpha, beta, unk_score_offset or score_boundary; None leaves one as it is.

        Raises
        ------
        ValueError
            For what is no float, and a score_boundary that is no bool.
        """
        for name in self.JSON_ATTRS:
            value = params.get(name)
            kind = bool if name == "score_boundary" else float
            if value is not None and not isinstance(value, kind):
                raise ValueError(f"{name} must be a {kind.__name__}. Got {type(value)}.")
            if value is not None:
                setattr(self, name, value)

    @property
    def order(self) -> int:
        """Length of the longest n-grams."""
        order: int = self._kenlm_model.order
        return order

    def get_start_state(self) -> Any:
        """State of the empty text."""
        if self._ngram is not None:
            return KenlmState(self._ngram.start if self.score_boundary else 0)
        state = self._new_state()
        write = self._kenlm_model.BeginSentenceWrite if self.score_boundary else self._kenlm_model.NullContextWrite
        write(state)
        return KenlmState(state)

    def _new_state(self) -> Any:
        """A state of the module that the model is from."""
        return sys.modules[type(self._kenlm_model).__module__].State()

    def _base_score(self, state: Any, word: str) -> tuple[float, Any]:
        """Logarithm of a word's probability, to the base of 10, and the state after it."""
        if self._ngram is not None:
            values, after = score(self._ngram.tables, state, self._ngram.numbers([word]))
            return values[0] / LOG_BASE_CHANGE_FACTOR, after
        end_state = self._new_state()
        return self._kenlm_model.BaseScore(state, word, end_state), end_state

    def score_partial_token(self, partial_token: str) -> float:
        """What the beginning of a word adds: something only if no known word begins so."""
        if self._has_unigrams and self._prefixes.has_node(partial_token):
            return 0.0
        return self.unk_score_offset * max(1.0, len(partial_token) / AVG_TOKEN_LEN)

    def score(self, prev_state: Any, word: str, is_last_word: bool = False) -> tuple[float, Any]:
        """What a word adds to the score after a state, and the state after it.

        Of the last word, the end of the sentence counts too; the state is that before it.
        """
        state = prev_state.state if isinstance(prev_state, KenlmState) else prev_state
        lm_score, end_state = self._base_score(state, word)
        if (self._unigram_set and word not in self._unigram_set) or not self._has(word):
            lm_score += self.unk_score_offset
        if is_last_word and self.score_boundary:
            lm_score += self._base_score(end_state, END)[0]
        return self.alpha * lm_score * LOG_BASE_CHANGE_FACTOR + self.beta, KenlmState(end_state)

    @cached_property
    def _end_number(self) -> int:
        """What a model of KenLM calls the end of a sentence."""
        return number(self._kenlm_model.tables, END.encode())

    @cached_property
    def _known_tokens(self) -> Tokens:
        return tokens(sorted(self._unigram_set))

    @property
    def weights(self) -> WordWeights | None:
        """The model as the search takes it; None where only its methods can tell."""
        asked = (type(self).score, type(self).score_partial_token, type(self).get_start_state)
        if asked != (LanguageModel.score, LanguageModel.score_partial_token, LanguageModel.get_start_state):
            return None
        tables: NGramTables | KenLMTables
        words, unknown_number = None, 0
        if self._ngram is not None:
            vocabulary = self._ngram.vocabulary
            tables, words = self._ngram.tables, Tokens(vocabulary.text, vocabulary.offsets)
            unknown_number, end = vocabulary.number(UNKNOWN), vocabulary.number(END)
        elif type(self._kenlm_model) in (kenlm.Model, kenlm.LanguageModel):
            tables, end = self._kenlm_model.tables, self._end_number
        else:
            return None
        return WordWeights(
            tables=tables,
            words=words,
            known=self._known_tokens if self._has_unigrams else None,
            weight=float(self.alpha),
            bonus=float(self.beta),
            unknown=float(self.unk_score_offset),
            usual=AVG_TOKEN_LEN,
            unknown_number=unknown_number,
            end=end if self.score_boundary else -1,
        )

    @property
    def serializable_attrs(self) -> dict[str, Any]:
        """The weights, as ``attrs.json`` holds them.

        Raises
        ------
        ValueError
            If one of them is None.
        """
        for name in self.JSON_ATTRS:
            if getattr(self, name) is None:
                raise ValueError(f"attribute {name} not found. Cannot serialize")
        return {name: getattr(self, name) for name in self.JSON_ATTRS}

    def save_to_dir(self, filepath: str, unigram_encoding: str | None = None) -> None:
        """Write ``attrs.json``, ``unigrams.txt`` and a copy of the model's file to a directory."""
        directory = Path(filepath)
        model = Path(self._kenlm_model.path.decode("utf-8"))
        (directory / self._ATTRS_SERIALIZED_FILENAME).write_text(json.dumps(self.serializable_attrs), encoding="utf-8")
        unigrams = "".join(f"{word}\n" for word in sorted(self._unigram_set))
        (directory / self._UNIGRAMS_SERIALIZED_FILENAME).write_text(unigrams, encoding=unigram_encoding or "utf-8")
        logger.info("copying kenlm model from %s to %s. This may take some time", model, directory / model.name)
        shutil.copy2(model, directory / model.name)

    @staticmethod
    def parse_directory_contents(filepath: str) -> dict[str, str]:
        """The files of a directory that :meth:`save_to_dir` wrote.

        Raises
        ------
        ValueError
            If there are others, or some are missing. Hidden files do not count.
        """
        contents = [p.name for p in Path(filepath).iterdir() if not p.name.startswith((".", "__"))]
        if len(contents) != 3:
            raise ValueError(f"Found wrong number of files in directory. Expected 3 files, found {contents}")
        for name, what in (
            (LanguageModel._ATTRS_SERIALIZED_FILENAME, "attributes"),
            (LanguageModel._UNIGRAMS_SERIALIZED_FILENAME, "unigrams"),
        ):
            if name not in contents:
                raise ValueError(f"did not find {what} file in files: {contents}")
            contents.remove(name)
        if Path(contents[0]).suffix not in {".arpa", ".bin", ".binary"}:
            raise ValueError(f"Explected kenlm file to end in `.arpa` or `.bin(ary)`. Found {contents[0]}")
        return {
            "json_attrs": str(Path(filepath, LanguageModel._ATTRS_SERIALIZED_FILENAME)),
            "unigrams": str(Path(filepath, LanguageModel._UNIGRAMS_SERIALIZED_FILENAME)),
            "kenlm": str(Path(filepath, contents[0])),
        }

    @classmethod
    def load_from_dir(cls, filepath: str, unigram_encoding: str | None = None) -> "LanguageModel":
        """Read what :meth:`save_to_dir` wrote.

        Raises
        ------
        ValueError
            For other files, or other attributes.
        """
        names = cls.parse_directory_contents(filepath)
        attributes = json.loads(Path(names["json_attrs"]).read_text(encoding="utf-8"))
        if not isinstance(attributes, dict) or set(attributes) != set(cls.JSON_ATTRS):
            raise ValueError(
                f"Expected json serialized attributes to be {cls.JSON_ATTRS} but found {sorted(attributes)}"
            )
        unigrams = Path(names["unigrams"]).read_text(encoding=unigram_encoding or "utf-8").splitlines()
        return cls(load_model(names["kenlm"]), unigrams, **attributes)


def load_model(path: str | PathLike[str]) -> Any:
    """A model from an ARPA file or one of KenLM's binary files."""
    return kenlm.Model(path)


class MultiLanguageModel(AbstractLanguageModel):
    """Several models, of which the mean counts.

    Raises
    ------
    ValueError
        For less than two.
    """

    def __init__(self, language_models: list[LanguageModel]) -> None:
        if len(language_models) < 2:
            raise ValueError("This class is meant to contain at least 2 language models.")
        self._language_models = language_models

    @property
    def order(self) -> int:
        """Length of the longest n-grams of any."""
        return max(model.order for model in self._language_models)

    def get_start_state(self) -> Any:
        """States of the empty text."""
        return MultiLanguageModelState([model.get_start_state() for model in self._language_models])

    def score_partial_token(self, partial_token: str) -> float:
        """The mean of what the beginning of a word adds."""
        values = [model.score_partial_token(partial_token) for model in self._language_models]
        return float(sum(values) / len(values))

    def score(self, prev_state: Any, word: str, is_last_word: bool = False) -> tuple[float, Any]:
        """The mean of what a word adds, and the states after it."""
        states = prev_state.states if isinstance(prev_state, MultiLanguageModelState) else prev_state
        found = [
            model.score(state, word, is_last_word=is_last_word)
            for model, state in zip(self._language_models, states, strict=True)
        ]
        total = sum(score for score, _ in found)
        return total / len(found), MultiLanguageModelState([state for _, state in found])
