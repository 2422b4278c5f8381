"""LanguageModel: what all models of words can be asked, whatever they are made of."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

State = TypeVar("State")


class LanguageModel(Protocol[State]):
    """The common part of :class:`fastctc.NGram` and :class:`fastctc.lm.kenlm.KenLM`. Logarithms are natural.

    States are values: they compare, have hashes, and stay as they are.
    """

    @property
    def order(self) -> int:
        """Length of the longest n-grams."""

    @property
    def unit(self) -> str:
        """What the tokens are: "word" or "character"."""

    def __contains__(self, token: object) -> bool:
        """Whether a token is in the vocabulary."""

    def state(self, begin: bool = True) -> State:
        """State at the beginning of a sentence, or of nothing before."""

    def advance(self, state: State, token: str, /) -> tuple[float, State]:
        """Log probability of a token after a state, and the next state."""

    def log_probs_of(self, text: str | Sequence[str], *, begin: bool = True, end: bool = False) -> list[float]:
        """Log probability of each token of a text, given those before it."""

    def score(self, text: str | Sequence[str], *, begin: bool = True, end: bool = True) -> float:
        """Log probability of a sentence."""
