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
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fastctc import storage
from fastctc.lm import tables
from fastctc.lm.tables import Level
from fastctc.lm.vocabulary import Vocabulary

if TYPE_CHECKING:
    from fastctc.lm.ngram import NGram

LN10 = log(10.0)
SPACE = "<space>"  # how models of characters write the blank space, since white space separates the fields

MOST_EXPANSION = 50  # of a compressed file: those of models unpack to three to ten times their size
MUCH = 1 << 24  # bytes to which any file may unpack
AT_ONCE = 1 << 20  # bytes of n-grams

HEAD = re.compile(rb"^[ \t\r]*\\data\\[ \t\r]*$", re.M)
NOT_EMPTY = re.compile(rb"\S[^\n]*")
COUNT = re.compile(rb"ngram\s+(\d{1,4})\s*=\s*(\d{1,18})")
SECTION_END = re.compile(rb"^(?:\\|[ \t\r]*$)", re.M)

Row = tuple[int, ...]
Part = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


class ArpaError(ValueError):
    """A file that is no ARPA file, or a damaged one."""

    def __init__(self, path: str | PathLike[str], line: int, reason: str) -> None:
        super().__init__(f"{path}, line {line}: {reason}")


def read(path: str | PathLike[str], unit: str, max_ngrams: int = tables.MOST_NGRAMS) -> tuple[list[Level], Vocabulary]:
    """The n-grams of every length and the tokens of a file; see :meth:`fastctc.NGram.from_arpa`."""
    return _Reader(path).model(unit, max_ngrams)


class _Reader:
    """One pass over the bytes of a file; memory grows with its n-grams, whatever else stands in it."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = path
        with Path(path).open("rb") as file:
            self.data = self._unpacked(file) if os.fspath(path).endswith(".gz") else file.read()
        self.place = 0

    def _unpacked(self, file: BinaryIO) -> bytes:
        most = max(MUCH, MOST_EXPANSION * os.fstat(file.fileno()).st_size)
        try:
            with gzip.GzipFile(fileobj=file) as lines:
                data = lines.read(most + 1)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ArpaError(self.path, 1, f"the compressed file is damaged: {error}") from None
        if len(data) > most:
            raise ArpaError(
                self.path, 1, f"the file must unpack to at most {most} bytes, {MOST_EXPANSION} times its size "
                "(fastctc.lm.arpa.MOST_EXPANSION): unpack it before"
            )  # fmt: skip
        return data

    def refuse(self, reason: str, place: int | None = None, more: int = 0) -> ArpaError:
        """An error in the line at a place, or so many lines after it."""
        return ArpaError(self.path, self._line(self.place if place is None else place) + more, reason)

    def _line(self, place: int) -> int:
        return self.data.count(b"\n", 0, place) + 1

    def next(self, what: str) -> bytes:
        """The next line that is not empty; what it must be, if there is none. Its end becomes the place."""
        found = NOT_EMPTY.search(self.data, self.place)
        if found is None:
            self.place = len(self.data)
            raise self.refuse(f"the file ends where {what} must be: it is truncated")
        self.place = found.start()
        return found[0].rstrip()

    def skip(self) -> None:
        """Go to the next line."""
        end = self.data.find(b"\n", self.place)
        self.place = len(self.data) if end < 0 else end + 1

    def model(self, unit: str, max_ngrams: int) -> tuple[list[Level], Vocabulary]:
        head = HEAD.search(self.data)  # whatever comes before is a comment
        if head is None:
            self.place = len(self.data)
            raise self.refuse("the file ends where \\data\\ must be: it is truncated")
        self.place = head.end()
        counts: list[int] = []
        while (line := self.next("\\1-grams:")).startswith(b"ngram"):
            match = COUNT.fullmatch(line)
            if match is None:
                raise self.refuse(f"must be 'ngram {len(counts) + 1}=COUNT', got {line[:60]!r}")
            if int(match[1]) != len(counts) + 1:
                raise self.refuse(f"must count the {len(counts) + 1}-grams, got {match[0]!r}")
            counts.append(int(match[2]))
            if len(counts) > tables.HIGHEST_ORDER:
                raise self.refuse(
                    f"n-grams must have at most {tables.HIGHEST_ORDER} tokens (fastctc.lm.tables.HIGHEST_ORDER), "
                    f"got {len(counts)}"
                )
            if sum(counts) > max_ngrams:
                raise self.refuse(f"there must be at most {max_ngrams} n-grams (max_ngrams), got {sum(counts)}")
            self.skip()
        if not counts:
            raise self.refuse(f"must be 'ngram 1=COUNT', got {line[:60]!r}")
        table: dict[bytes, int] = {}
        levels: list[Level] = []
        starts = []  # the line in which the n-grams of each length begin
        for order, expected in enumerate(counts, 1):
            if (line := self.next(f"\\{order}-grams:")) != b"\\%d-grams:" % order:
                raise self.refuse(f"must be '\\{order}-grams:', got {line[:60]!r}")
            self.skip()
            starts.append(self._line(self.place))
            end = SECTION_END.search(self.data, self.place)
            stop = len(self.data) if end is None else end.start()
            unended = stop > self.place and self.data[stop - 1 : stop] != b"\n"
            found = self.data.count(b"\n", self.place, stop) + unended
            if found != expected:
                missing = ": the file is truncated" if stop == len(self.data) else ""
                raise self.refuse(
                    f"there must be {expected} {order}-grams, as the head of the file says, but there are "
                    f"{found}{missing}",
                    min(stop, len(self.data) - 1),
                )
            levels.append(self._section(order, stop, table))
        if (line := self.next("\\end\\")) != b"\\end\\":
            raise self.refuse(f"must be '\\end\\', got {line[:60]!r}")
        del self.data
        if unit == "character" and SPACE.encode() in table:
            table = {b" " if token == SPACE.encode() else token: number for token, number in table.items()}
        tokens = sorted(table)
        vocabulary = Vocabulary.from_sorted(tokens)
        renumber = np.empty(len(table), dtype=np.int64)
        renumber[[table[token] for token in tokens]] = np.arange(len(tokens))
        return self._tree(levels, renumber, vocabulary, starts), vocabulary

    def _section(self, order: int, stop: int, table: dict[bytes, int]) -> Level:
        """The n-grams of one length: a row of tokens each, nothing, log probabilities, log back-off weights."""
        parts = [(np.empty((0, order), np.int64), np.empty(0), np.empty(0))]
        while self.place < stop:
            end = self.data.find(b"\n", min(self.place + AT_ONCE, stop), stop)
            end = stop if end < 0 else end
            parts.append(self._part(order, self.data[self.place : end].removesuffix(b"\n").split(b"\n"), table))
            self.place = min(end + 1, stop)
        rows, log_probs, backoffs = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return rows, np.empty(0, dtype=np.int64), log_probs * LN10, backoffs * LN10

    def _part(self, order: int, lines: list[bytes], table: dict[bytes, int]) -> Part:
        """Some n-grams of one length: tokens, and the logarithms to the base of 10 as they stand there."""
        first, last, full = 1, 1 + order, 2 + order
        fields = [line.split() for line in lines]
        if not {last, full}.issuperset(map(len, fields)):
            number = next(i for i, row in enumerate(fields) if len(row) not in (last, full))
            raise self.refuse(
                f"must be a log probability, {order} token{'s' * (order > 1)} and perhaps a back-off weight, got "
                f"{lines[number][:80]!r}",
                more=number,
            )
        log_probs = self._numbers([row[0] for row in fields])
        backoffs = self._numbers([row[last] if len(row) == full else b"0" for row in fields])
        if order == 1:
            tokens = self._new_tokens([row[1] for row in fields], table)
        else:
            try:
                tokens = [table[token] for row in fields for token in row[first:last]]
            except KeyError as error:
                number = next(i for i, row in enumerate(fields) if error.args[0] in row[first:last])
                raise self.refuse(f"tokens must be among the 1-grams, got {error.args[0]!r}", more=number) from None
        bad = ~((log_probs <= 0) & (backoffs <= tables.GREATEST_BACKOFF))
        if bad.any():
            number = int(np.argmax(bad))
            raise self.refuse(
                "a log probability must be 0 or less, and a back-off weight at most "
                f"{tables.GREATEST_BACKOFF} (fastctc.lm.tables.GREATEST_BACKOFF), got {lines[number][:80]!r}",
                more=number,
            )
        return np.array(tokens, dtype=np.int64).reshape(-1, order), log_probs, backoffs

    def _new_tokens(self, tokens: list[bytes], table: dict[bytes, int]) -> list[int]:
        """The numbers of tokens, which go into the table."""
        new = dict(zip(tokens, range(len(table), len(table) + len(tokens)), strict=True))
        if len(new) < len(tokens) or not table.keys().isdisjoint(new):
            known = set(table)
            for number, token in enumerate(tokens):
                if token in known:
                    raise self.refuse(f"tokens must be different, got {token!r} again", more=number)
                known.add(token)
        try:
            b" ".join(tokens).decode()
        except UnicodeDecodeError:
            for number, token in enumerate(tokens):
                try:
                    token.decode()
                except UnicodeDecodeError as error:
                    raise self.refuse(f"a token must be UTF-8 text: {error}", more=number) from None
        table.update(new)
        return list(new.values())

    def _numbers(self, texts: list[bytes]) -> NDArray[np.float64]:
        try:
            return np.array(list(map(float, texts)))
        except ValueError:
            for number, text in enumerate(texts):
                try:
                    float(text)
                except ValueError as error:
                    raise self.refuse(f"must be a number: {str(error)[:80]}", more=number) from None
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
                line = starts[order] + int(sort[again[0] + 1])
                gram = " ".join(vocabulary[int(token)] for token in row[sort[again[0]]])
                raise ArpaError(self.path, line, f"n-grams must be different, got {gram!r} again")
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
