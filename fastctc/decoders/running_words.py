"""Words of a text that comes piece by piece, as a language model weighs them."""

from dataclasses import dataclass
from typing import NamedTuple

from fastctc import backends
from fastctc.lexicon import Lexicon
from fastctc.lm.word_model import WordModel

Labels = tuple[int, ...]


class History(NamedTuple):
    """What a text has come to."""

    word: Labels  # the beginning of a word that has not ended
    state: int  # of the model
    n_words: int = 0  # that have ended
    log_prob: float = 0.0  # of these


@dataclass(frozen=True)
class RunningWords:
    """Follows texts whose words are those of a lexicon, or, with ``unknown``, others too."""

    lexicon: Lexicon
    model: WordModel | None
    unknown: float | None  # log probability of a word that is not in the lexicon
    backend: str

    @property
    def start(self) -> History:
        return History((), 0 if self.model is None else self.model.start)

    def follow(self, history: History, labels: Labels) -> History:
        """The history of a text after some more labels."""
        is_word, begins = self.lexicon.alphabet.is_word, self.lexicon.alphabet.begins_word
        for label in labels:
            if begins[label]:
                history = self.end(history)
            if is_word[label]:
                history = history._replace(word=(*history.word, label))
            elif history.word:
                history = self.end(history)
        return history

    def end(self, history: History) -> History:
        """The same when its last word has ended."""
        word, state, n_words, log_prob = history
        if not word:
            return history
        node = self.lexicon.find(word)
        known = node >= 0 and self.lexicon.is_whole(node)
        value = 0.0
        if self.model is not None:
            score = backends.load(self.backend, "ngram").score
            [value], state = score(self.model.tables, state, [int(self.lexicon.words[node]) if known else -1])
        if not known and self.unknown is not None:
            value = self.unknown
        return History((), state, n_words + 1, log_prob + value)

    def is_whole(self, history: History) -> bool:
        """Whether a text ends in a whole word, or in none."""
        if not history.word:
            return True
        node = self.lexicon.find(history.word)
        return node >= 0 and self.lexicon.is_whole(node)
