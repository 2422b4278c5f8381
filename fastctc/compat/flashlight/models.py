"""Language models of the decoders: states, the interface for models of one's own, none, and n-grams."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from os import PathLike
from typing import Any

import numpy as np

from fastctc.compat.flashlight.dictionary import Dictionary
from fastctc.compiled.kenlm import Scorer, State
from fastctc.lm import kenlm as tables
from fastctc.search_inputs import AskedModel, PathKenLM


class LMState:
    """A state of a language model, with the states that tokens lead to; equal is what is the same object."""

    def __init__(self) -> None:
        self.children: dict[int, LMState] = {}

    def child(self, usr_index: int) -> LMState:
        """The state that a token leads to, made when it is first asked for."""
        state = self.children.get(usr_index)
        if state is None:
            state = self.children[usr_index] = self._new()
        return state

    def compare(self, state: LMState) -> int:
        """0 for the same state, otherwise -1 or 1, always the same for the same two."""
        if state is None:
            raise RuntimeError("a state is null")
        return 0 if state is self else -1 if id(self) < id(state) else 1

    def _new(self) -> LMState:
        return LMState()


class LM:
    """A language model. Subclasses of one's own define the three methods.

    ``max_score``, the highest score that the model ever gives, spares it questions: set it to 0 where scores are
    logarithms of probabilities. By default nothing is known, and every state is asked for every token that may follow,
    once. A model that also has ``score_batch(pairs)``, for a list of (state, token), is asked once a frame; it returns
    what ``score`` returns, in a list.
    """

    max_score = inf

    def start(self, start_with_nothing: bool) -> LMState:
        """The state of the empty text."""
        raise NotImplementedError("a language model must define start(start_with_nothing)")

    def score(self, state: LMState, usr_token_idx: int) -> tuple[LMState, float]:
        """The state behind a token, and the score of the token."""
        raise NotImplementedError("a language model must define score(state, usr_token_idx)")

    def finish(self, state: LMState) -> tuple[LMState, float]:
        """The state behind the end of the text, and its score."""
        raise NotImplementedError("a language model must define finish(state)")


class ZeroLM(LM):
    """No language model."""

    def start(self, start_with_nothing: bool) -> LMState:  # noqa: ARG002
        """A new state."""
        return LMState()

    def score(self, state: LMState, usr_token_idx: int) -> tuple[LMState, float]:
        """The child, and 0."""
        return state.child(usr_token_idx), 0.0

    def finish(self, state: LMState) -> tuple[LMState, float]:
        """The state, and 0."""
        return state, 0.0


class KenLMState(LMState):
    """A state of a text, with what the model remembers of it."""

    def __init__(self) -> None:
        super().__init__()
        self.context = State()

    def _new(self) -> KenLMState:
        return KenLMState()


class KenLM(LM):
    """An n-gram model, an ARPA file, plain or compressed, or a binary file of KenLM's, in logarithms to base 10.

    Parameters
    ----------
    path : str
    usr_token_dict : Dictionary
        The words, or the tokens, by the indices that the decoder uses.

    Raises
    ------
    OSError
        For a file that cannot be read.
    ValueError
        For one that is no model, or one of unigrams alone.
    """

    max_score = 0.0

    def __init__(self, path: str | PathLike[str], usr_token_dict: Dictionary) -> None:
        model = tables.KenLM.load(path) if tables.is_kenlm(path) else tables.KenLM.from_arpa(path)
        self._scorer: Scorer = model.scorer
        self._entries = usr_token_dict.map_indices_to_entries(range(usr_token_dict.index_size()))
        numbers = np.fromiter(map(self._scorer.number, self._entries), np.int32, len(self._entries))
        self.inputs = PathKenLM(model.tables, numbers)

    def start(self, start_with_nothing: bool) -> LMState:
        """The state at the beginning of a sentence, or in the middle of nowhere."""
        state = KenLMState()
        if not start_with_nothing:
            self._scorer.begin(state.context)
        return state

    def score(self, state: LMState, usr_token_idx: int) -> tuple[LMState, float]:
        """The child, and the logarithm to base 10 of the token's probability."""
        if not 0 <= usr_token_idx < len(self._entries):
            raise RuntimeError(f"[KenLM] Invalid user token index: {usr_token_idx}")
        return self._step(state, usr_token_idx, self._entries[usr_token_idx])

    def finish(self, state: LMState) -> tuple[LMState, float]:
        """The last state, and the logarithm to base 10 of the probability that the sentence ends."""
        return self._step(state, -1, "</s>")

    def first_scores(self, n: int) -> list[float]:
        """The scores of the first words at the beginning of a sentence."""
        start, after = State(), State()
        self._scorer.begin(start)
        return [self._scorer.advance(start, word, after) for word in self._entries[:n]]

    def _step(self, state: LMState, index: int, word: str) -> tuple[LMState, float]:
        child = state.child(index)
        if not (isinstance(state, KenLMState) and isinstance(child, KenLMState)):
            raise TypeError("the state must be one of this model")
        return child, self._scorer.advance(state.context, word, child.context)


def first_scores(model: LM, n: int) -> list[float]:
    """The scores of all words at the beginning of a text."""
    if type(model) is ZeroLM:
        return [0.0] * n
    if type(model) is KenLM:
        return model.first_scores(n)
    start = model.start(False)
    return [as_single(model.score(start, word)[1]) for word in range(n)]


def as_single(score: Any) -> float:
    """A score in single precision, in which the decoders take them."""
    return float(np.float32(float(score)))


def search_model(model: LM) -> PathKenLM | AskedModel | None:
    """What the search asks: tables where it knows the model, otherwise the model."""
    if type(model) is ZeroLM:
        return None
    return model.inputs if type(model) is KenLM else Asked(model).inputs()


class Asked:
    """A model in Python, whose states get numbers, the same for the same object."""

    def __init__(self, model: LM) -> None:
        self._model = model
        self._states: list[LMState] = []
        self._numbers: dict[int, int] = {}

    def inputs(self) -> AskedModel:
        """What the search takes."""
        return AskedModel(self._start, self._score, self._finish, float(getattr(self._model, "max_score", inf)))

    def _number(self, state: LMState) -> int:
        number = self._numbers.setdefault(id(state), len(self._states))
        if number == len(self._states):
            self._states.append(state)
        return number

    def _start(self) -> int:
        self._states.clear()
        self._numbers.clear()
        return self._number(self._model.start(False))

    def _score(self, keys: Sequence[tuple[int, int]]) -> list[tuple[int, float]]:
        pairs = [(self._states[state], token) for state, token in keys]
        if hasattr(self._model, "score_batch"):
            answers = self._model.score_batch(pairs)
        else:
            answers = [self._model.score(state, token) for state, token in pairs]
        return [(self._number(state), as_single(score)) for state, score in answers]

    def _finish(self, states: Sequence[int]) -> list[tuple[int, float]]:
        answers = [self._model.finish(self._states[state]) for state in states]
        return [(self._number(state), as_single(score)) for state, score in answers]
