"""The beams of a stream."""

import sys
from typing import Any, Protocol

from fastctc.alphabet import Alphabet
from fastctc.decoders.running_words import History
from fastctc.frames import Doubles, Frames, Workspace, as_doubles
from fastctc.hypothesis import Hypothesis

Labels = tuple[int, ...]

WIDEST = 1 << 24  # beams


class BeamDecoder(Protocol):
    """What the beams ask of their decoder."""

    @property
    def alphabet(self) -> Alphabet: ...

    @property
    def beam_width(self) -> int: ...

    @property
    def _wanted(self) -> int: ...  # how many beams it looks at in the end

    @property
    def _start(self) -> History: ...

    def _follow(self, history: History, labels: Labels) -> History: ...

    def _results(self, doubles: Doubles, found: Any, before: History) -> list[Hypothesis]: ...


class BeamsOfStream:
    """What a stream asks of the beams."""

    def __init__(self, decoder: BeamDecoder, beams: Any, keeps_words: bool = False) -> None:
        self._decoder, self._beams = decoder, beams
        self._keeps_words = keeps_words  # whether the beginning of a word is needed until it ends
        self._history = decoder._start  # of what was committed

    def extend(self, frames: Frames) -> None:
        self._beams.extend(as_doubles([frames], Workspace())[0].probs, self._decoder.beam_width)

    def best(self) -> Labels:
        found = self._beams.best(1)
        return found[0][0] if found else ()

    def prefixes(self) -> list[tuple[Labels, bool, bool]]:
        found: list[tuple[Labels, bool, bool]] = self._beams.prefixes()
        return found

    def whole(self, labels: Labels) -> int:
        n, is_word = len(labels), self._decoder.alphabet.is_word
        while self._keeps_words and n and is_word[labels[n - 1]]:
            n -= 1
        return n

    def stable(self, limit: int | None = None) -> Labels:
        labels: Labels = self._beams.stable(sys.maxsize if limit is None else limit)
        return labels

    def commit(self, n_labels: int) -> None:
        self._history = self._decoder._follow(self._history, self.best()[:n_labels])
        self._beams.commit(n_labels)

    def results(self, doubles: Doubles) -> list[Hypothesis]:
        return self._decoder._results(doubles, self._beams.best(self._decoder._wanted), self._history)


def check_beams(beam_width: int, n_best: int) -> None:
    """Refuse a beam that is none."""
    if not 1 <= beam_width <= WIDEST:
        raise ValueError(f"beam_width must be 1 to {WIDEST}, got {beam_width}")
    if not 1 <= n_best <= beam_width:
        raise ValueError(f"n_best must be 1 to beam_width, which is {beam_width}, got {n_best}")
