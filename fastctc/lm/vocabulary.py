"""Vocabulary: the tokens of a language model, characters or words, and their numbers."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fastctc.value import Value

REMEMBERED = 100_000  # tokens whose numbers are cached: texts repeat their words


@dataclass(frozen=True, eq=False)
class Vocabulary(Value, Sequence[str]):
    """Tokens in the order of their code points, as one array of UTF-8 text, so that it maps from disk.

    >>> words = Vocabulary.from_tokens(["the", "cat"])
    >>> list(words), words.number("the"), words.number("dog")
    (['cat', 'the'], 1, -1)
    """

    text: NDArray[np.uint8]  # all tokens in UTF-8, one after the other
    offsets: NDArray[np.int64]  # where in text each begins, and the end

    @classmethod
    def from_tokens(cls, tokens: Iterable[str]) -> "Vocabulary":
        """The different ones of the tokens."""
        return cls.from_sorted(sorted({token.encode() for token in tokens}))

    @classmethod
    def from_sorted(cls, encoded: Sequence[bytes]) -> "Vocabulary":
        """Different tokens in UTF-8, in their order."""
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum(np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded)), out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def _bytes(self, number: int) -> bytes:
        return self.text[self.offsets[number] : self.offsets[number + 1]].tobytes()

    def __getitem__(self, number: int) -> str:  # type: ignore[override]  # no slices
        if not 0 <= number < len(self):
            raise IndexError(f"a token's number must be 0 to {len(self) - 1}, got {number}")
        return self._bytes(number).decode()

    def __iter__(self) -> Iterator[str]:
        text, offsets = self.text.tobytes(), self.offsets.tolist()
        for start, stop in pairwise(offsets):
            yield text[start:stop].decode()

    def __contains__(self, token: object) -> bool:
        return isinstance(token, str) and self.number(token) >= 0

    @cached_property
    def _asked(self) -> dict[str, int]:
        """Cache of numbers. Threads may share it; any of them may clear it."""
        return {}

    def number(self, token: str) -> int:
        """The number of a token, -1 if it is not here; takes O(log size) for tokens that are not cached."""
        known = self._asked.get(token)
        if known is not None:
            return known
        wanted = token.encode()
        place = bisect_left(range(len(self)), wanted, key=self._bytes)
        found = place if place < len(self) and self._bytes(place) == wanted else -1
        if len(self._asked) >= REMEMBERED:
            self._asked.clear()
        self._asked[token] = found
        return found
