"""The lines of ARPA files: n-grams as rows of numbers."""

import re
from typing import Any

import numpy as np

SECTION_END = re.compile(rb"^(?:\\|[ \t\r]*\n)", re.M)


def section_end(data: bytes, start: int) -> int:
    """Where the first line begins that is no n-gram: one that is empty, or begins with a backslash. -1: nowhere.

    ``start`` must be the beginning of a line.
    """
    found = SECTION_END.search(data, start)
    return -1 if found is None else found.start()


class TokenTable:
    """The tokens of a model, numbered in the order in which they came."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, token: bytes) -> int:
        """The number of a token, -1 if it is not there."""
        return self._numbers.get(token, -1)

    def add(self, tokens: list[bytes]) -> None:
        """Add tokens that are not there yet."""
        for token in tokens:
            if token in self._numbers:
                raise ValueError(f"tokens must be different, got {token!r} again")
            self._numbers[token] = len(self._numbers)

    def tokens(self) -> list[bytes]:
        """All tokens."""
        return list(self._numbers)

    def ngrams(self, data: bytes, start: int, stop: int, order: int, most: float) -> tuple[Any, Any, Any] | None:
        """The n-grams of some lines: a log probability, ``order`` tokens, and perhaps a back-off weight.

        Returns
        -------
        rows : int32 (lines, order)
            The numbers of the tokens. Those of 1-grams are new, and are added.
        log_probs, backoffs : float64 (lines,)
            As they stand there: logarithms to the base of 10. A weight that is not there is 0.

        None if a line is not as it should be, or not written as usual. Then nothing is added, and the caller is to look
        closer: a log probability must not be above 0, a weight not above ``most``.
        """
        new = dict(self._numbers)
        rows, log_probs, backoffs = [], [], []
        for line in data[start:stop].split(b"\n")[:-1]:
            fields = line.split()
            if len(fields) not in (order + 1, order + 2):
                return None
            tokens = fields[1 : order + 1]
            try:
                values = float(fields[0]), float(fields[order + 1]) if len(fields) > order + 1 else 0.0
                b" ".join(tokens).decode()
            except ValueError:  # that of text that is not UTF-8 is one too
                return None
            if order == 1 and tokens[0] not in new:
                new[tokens[0]] = len(new)
            elif order == 1 or not new.keys() >= set(tokens):
                return None
            if not (values[0] <= 0 and values[1] <= most):
                return None
            rows.append([new[token] for token in tokens])
            log_probs.append(values[0])
            backoffs.append(values[1])
        self._numbers = new
        return np.array(rows, np.int32).reshape(-1, order), np.array(log_probs, float), np.array(backoffs, float)
