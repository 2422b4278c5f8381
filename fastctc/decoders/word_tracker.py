"""The words of a text that arrives piece by piece, and what a language model says about them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from fastctc import backends
from fastctc.lexicon import Lexicon
from fastctc.lm.word_model import WordModel

Labels = tuple[int, ...]


class LMState(NamedTuple):
    """What a language model knows about a text."""

    word: Labels  # the beginning of the word that has not ended, empty between words
    state: Any  # the model's state after the words that have ended
    n_words: int = 0  # how many words have ended
    log_prob: float = 0.0  # log probability of the words that have ended


@dataclass(frozen=True)
class WordTracker:
    """Follows texts whose words are those of a lexicon; with ``unknown``, any other words too."""

    lexicon: Lexicon
    model: WordModel | None
    unknown: float | None  # log probability of a word that is not in the lexicon
    backend: str

    @property
    def start(self) -> LMState:
        return LMState((), 0 if self.model is None else self.model.start)

    def follow(self, state: LMState, labels: Labels) -> LMState:
        """The state of a text after some more labels."""
        is_word, begins = self.lexicon.alphabet.is_word, self.lexicon.alphabet.begins_word
        for label in labels:
            if begins[label]:
                state = self.end(state)
            if is_word[label]:
                state = state._replace(word=(*state.word, label))
            elif state.word:
                state = self.end(state)
        return state

    def end(self, state: LMState) -> LMState:
        """The state of a text whose last word, if there is one, has ended."""
        word, lm_state, n_words, log_prob = state
        if not word:
            return state
        node = self.lexicon.find(word)
        known = node >= 0 and self.lexicon.is_whole(node)
        value = 0.0
        if self.model is not None:
            score = backends.load(self.backend, "ngram").score
            [value], lm_state = score(self.model.tables, lm_state, [int(self.lexicon.words[node]) if known else -1])
        if not known and self.unknown is not None:
            value = self.unknown
        return LMState((), lm_state, n_words + 1, log_prob + value)

    def ends_whole(self, state: LMState) -> bool:
        """Whether a text ends in a whole word, or in none."""
        if not state.word:
            return True
        node = self.lexicon.find(state.word)
        return node >= 0 and self.lexicon.is_whole(node)
