"""ARPA files: the text format in which n-gram models are exchanged."""

import gzip
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from math import log
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastctc import storage
from fastctc.lm.tables import Level
from fastctc.lm.vocabulary import Vocabulary

if TYPE_CHECKING:
    from fastctc.lm.ngram import NGram

LN10 = log(10.0)
SPACE = "<space>"  # how models of characters write the blank space, since white space separates the fields

Row = tuple[int, ...]


class ArpaError(ValueError):
    """A file that is no ARPA file, or a damaged one."""

    def __init__(self, path: str | PathLike[str], line: int, reason: str) -> None:
        super().__init__(f"{path}, line {line}: {reason}")


def read(path: str | PathLike[str], unit: str) -> tuple[list[Level], Vocabulary]:
    """The n-grams of every length and the tokens of a file; see :meth:`fastctc.NGram.from_arpa`."""
    return _Reader(path).model(unit)


class _Reader:
    """One pass over the lines of a file."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = path
        try:
            with gzip.open(path) if os.fspath(path).endswith(".gz") else Path(path).open("rb") as file:
                self.lines = file.read().splitlines()
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ArpaError(path, 1, f"the compressed file is damaged: {error}") from None
        self.place = 0

    def refuse(self, reason: str, place: int | None = None) -> ArpaError:
        return ArpaError(self.path, (self.place if place is None else place) + 1, reason)

    def next(self, what: str) -> bytes:
        """The next line that is not empty; what it must be, if there is none."""
        while self.place < len(self.lines):
            line = self.lines[self.place].strip()
            if line:
                return line
            self.place += 1
        raise self.refuse(f"the file ends where {what} must be: it is truncated")

    def model(self, unit: str) -> tuple[list[Level], Vocabulary]:
        while self.next("\\data\\") != b"\\data\\":  # whatever comes before is a comment
            self.place += 1
        self.place += 1
        counts: list[int] = []
        while match := re.fullmatch(rb"ngram\s+(\d+)\s*=\s*(\d+)", self.next("\\1-grams:")):
            if int(match[1]) != len(counts) + 1:
                raise self.refuse(f"must count the {len(counts) + 1}-grams, got {match[0]!r}")
            counts.append(int(match[2]))
            self.place += 1
        if not counts:
            raise self.refuse(f"must be 'ngram 1=COUNT', got {self.lines[self.place][:60]!r}")
        table: dict[bytes, int] = {}
        levels: list[Level] = []
        starts = []
        for order, expected in enumerate(counts, 1):
            if self.next(f"\\{order}-grams:") != b"\\%d-grams:" % order:
                raise self.refuse(f"must be '\\{order}-grams:', got {self.lines[self.place][:60]!r}")
            self.place += 1
            starts.append(self.place)
            stop = self._end(self.place + expected)
            if stop - self.place != expected:
                self.place = min(stop, len(self.lines) - 1)
                missing = ": the file is truncated" if stop == len(self.lines) else ""
                raise self.refuse(
                    f"there must be {expected} {order}-grams, as the head of the file says, but there are "
                    f"{stop - starts[-1]}{missing}"
                )
            levels.append(self._section(order, stop, table))
            self.place = stop
        if self.next("\\end\\") != b"\\end\\":
            raise self.refuse(f"must be '\\end\\', got {self.lines[self.place][:60]!r}")
        del self.lines
        if unit == "character" and SPACE.encode() in table:
            table = {b" " if token == SPACE.encode() else token: number for token, number in table.items()}
        tokens = sorted(table)
        vocabulary = Vocabulary.from_sorted(tokens)
        renumber = np.empty(len(table), dtype=np.int64)
        renumber[[table[token] for token in tokens]] = np.arange(len(tokens))
        return self._tree(levels, renumber, vocabulary, starts), vocabulary

    def _end(self, expected: int) -> int:
        """Where the n-grams of a section end: at an empty line, or a new section."""

        def ends(place: int) -> bool:
            return self.lines[place][:1] == b"\\" or not self.lines[place].strip()

        if self.place < expected < len(self.lines) and ends(expected) and not ends(expected - 1):
            return expected  # as it should be; what else may be wrong the lines will tell
        return next((place for place in range(self.place, len(self.lines)) if ends(place)), len(self.lines))

    def _section(self, order: int, stop: int, table: dict[bytes, int]) -> Level:
        """The n-grams of one length: a row of tokens each, nothing, log probabilities, log back-off weights."""
        first, last, full = 1, 1 + order, 2 + order
        fields = [line.split() for line in self.lines[self.place : stop]]
        if not {last, full}.issuperset(map(len, fields)):
            place = self.place + next(i for i, row in enumerate(fields) if len(row) not in (last, full))
            raise self.refuse(
                f"must be a log probability, {order} token{'s' * (order > 1)} and perhaps a back-off weight, got "
                f"{self.lines[place][:80]!r}",
                place,
            )
        probs = self._numbers([row[0] for row in fields])
        weights = self._numbers([row[last] if len(row) == full else b"0" for row in fields])
        tokens: list[int] = []
        if order == 1:
            table.update((row[1], number) for number, row in enumerate(fields))
            if len(table) < len(fields):
                known: set[bytes] = set()
                for place, row in enumerate(fields, self.place):
                    if row[1] in known:
                        raise self.refuse(f"tokens must be different, got {row[1]!r} again", place)
                    known.add(row[1])
            try:
                b" ".join(table).decode()
            except UnicodeDecodeError:
                for place, row in enumerate(fields, self.place):
                    try:
                        row[1].decode()
                    except UnicodeDecodeError as error:
                        raise self.refuse(f"a token must be UTF-8 text: {error}", place) from None
        else:
            try:
                tokens = [table[token] for row in fields for token in row[first:last]]
            except KeyError as error:
                place = self.place + next(i for i, row in enumerate(fields) if error.args[0] in row[first:last])
                raise self.refuse(f"tokens must be among the 1-grams, got {error.args[0]!r}", place) from None
        log_probs, backoffs = np.array(probs), np.array(weights)
        bad = ~((log_probs <= 0) & (backoffs < np.inf) & ~np.isnan(backoffs))
        if bad.any():
            place = self.place + int(np.argmax(bad))
            raise self.refuse(
                f"a log probability must be 0 or less, and a back-off weight finite, got {self.lines[place][:80]!r}",
                place,
            )
        rows = np.arange(len(fields)) if order == 1 else np.array(tokens, dtype=np.int64)
        return rows.reshape(-1, order), np.empty(0, dtype=np.int64), log_probs * LN10, backoffs * LN10

    def _numbers(self, texts: list[bytes]) -> list[float]:
        try:
            return list(map(float, texts))
        except ValueError:
            for place, text in enumerate(texts, self.place):
                try:
                    float(text)
                except ValueError as error:
                    raise self.refuse(f"must be a number: {error}", place) from None
            raise

    def _tree(
        self, levels: list[Level], renumber: NDArray[np.int64], vocabulary: Vocabulary, starts: list[int]
    ) -> list[Level]:
        """Sort the n-grams of every length below those without their last token."""
        size = len(vocabulary)
        rows = [renumber[level[0]] for level in levels]
        values = [(level[2], level[3]) for level in levels]
        _add_missing(rows, values)
        result: list[Level] = []
        keys: list[NDArray[np.int64]] = []
        for order, (row, (log_probs, backoffs)) in enumerate(zip(rows, values, strict=True)):
            parents = np.zeros(len(row), dtype=np.int64)
            for n in range(order):
                parents = np.searchsorted(keys[n], parents * size + row[:, n])
            key = parents * size + row[:, order]
            sort = np.argsort(key, kind="stable")
            keys.append(key[sort])
            if (again := np.flatnonzero(keys[-1][1:] == keys[-1][:-1])).size:
                place = starts[order] + int(sort[again[0] + 1])
                gram = " ".join(vocabulary[int(token)] for token in row[sort[again[0]]])
                raise self.refuse(f"n-grams must be different, got {gram!r} again", place)
            result.append((parents[sort], row[sort, order], log_probs[sort], backoffs[sort]))
        return result


def _add_missing(rows: list[NDArray[np.int64]], values: list[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> None:
    """Pruned models may lack the beginning of an n-gram; the tree has it, with the probability that back-off gives."""
    known = [set(map(tuple, row.tolist())) for row in rows[1:-1]] if len(rows) > 2 else []
    needed = [set(map(tuple, row[:, :-1].tolist())) for row in rows[2:]]
    for n in range(len(known) - 1, -1, -1):
        needed[n] -= known[n]
        if n:
            needed[n - 1] |= {row[:-1] for row in needed[n]}
    if not any(needed):
        return
    table: dict[Row, tuple[float, float]] = {
        row: value
        for level, pair in zip(rows, values, strict=True)
        for row, value in zip(map(tuple, level.tolist()), zip(*map(np.ndarray.tolist, pair), strict=True), strict=True)
    }

    def log_prob(row: Row) -> float:
        if row in table or len(row) == 1:
            return table[row][0]
        return table.get(row[:-1], (0.0, 0.0))[1] + log_prob(row[1:])

    for n, missing in enumerate(needed, 1):
        if missing:
            new = sorted(missing)
            rows[n] = np.concatenate([rows[n], np.array(new)])
            probs = np.concatenate([values[n][0], [log_prob(row) for row in new]])
            values[n] = probs, np.concatenate([values[n][1], np.zeros(len(new))])


def write(model: "NGram", path: str | PathLike[str]) -> None:
    """See :meth:`fastctc.NGram.to_arpa`."""
    if model.uniform:
        raise ValueError("an add-k model has no back-off weights, so that it cannot be written as ARPA; save() it")
    with storage.replaced(path) as file:
        packed = gzip.GzipFile(fileobj=file, mode="wb") if os.fspath(path).endswith(".gz") else nullcontext(file)
        with packed as lines:
            for line in _lines(model):
                lines.write(line.encode())


def _lines(model: "NGram") -> Iterator[str]:
    names = list(model.vocabulary)
    if model.unit == "character":
        names = [SPACE if name == " " else name for name in names]
    if bad := [name for name in names if not name or name.split() != [name]]:
        raise ValueError(f"tokens must be without white space in an ARPA file, got {bad[0]!r}")
    levels = [[0, 1]]  # the nodes of each length, from and to
    while levels[-1][1] < len(model.words):
        levels.append(
            [levels[-1][1], int(model.children[levels[-1][1]]) if len(levels) < model.order else len(model.words)]
        )
    yield "\\data\\\n"
    for order, (start, stop) in enumerate(levels[1:], 1):
        yield f"ngram {order}={stop - start}\n"
    grams = [""]
    for order, (start, stop) in enumerate(levels[1:], 1):
        yield f"\n\\{order}-grams:\n"
        before = levels[order - 1][0]
        counts = np.diff(model.children[before : start + 1])
        histories = np.repeat(np.arange(len(counts)), counts).tolist()
        grams = [
            f"{grams[history]} {names[word]}" if order > 1 else names[word]
            for history, word in zip(histories, model.words[start:stop].tolist(), strict=True)
        ]
        log_probs = (model.log_probs[start:stop] / LN10).tolist()
        if order == len(levels) - 1:
            for gram, log_prob in zip(grams, log_probs, strict=True):
                yield f"{log_prob:.7g}\t{gram}\n"
        else:
            for gram, log_prob, weight in zip(
                grams, log_probs, (model.backoffs[start:stop] / LN10).tolist(), strict=True
            ):
                yield f"{log_prob:.7g}\t{gram}\t{weight:.7g}\n"
    yield "\n\\end\\\n"
