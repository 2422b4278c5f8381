"""ARPA files: the text format in which n-gram models are exchanged."""

import gzip
import io
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from math import log
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fastctc import storage
from fastctc.compiled.arpa import TokenTable, section_end
from fastctc.lm import tables
from fastctc.lm.rows import Again, Rows, add_beginnings, sorted_levels
from fastctc.lm.tables import Level
from fastctc.lm.vocabulary import Vocabulary

if TYPE_CHECKING:
    from fastctc.lm.ngram import NGram

LN10 = log(10.0)
SPACE = "<space>"  # how models of characters write the blank space, since white space separates the fields

MOST_EXPANSION = 50  # of a compressed file: those of models unpack to three to ten times their size
MUCH = 1 << 24  # bytes to which any file may unpack
AT_ONCE = 1 << 20  # bytes that are read
LONGEST_LINE = 1 << 20  # bytes

HEAD = re.compile(rb"^[ \t\r]*\\data\\[ \t\r]*$", re.M)
NOT_EMPTY = re.compile(rb"\S[^\n]*")
COUNT = re.compile(rb"ngram\s+(\d{1,4})\s*=\s*(\d{1,18})")

Part = tuple[Rows, NDArray[np.float64], NDArray[np.float64]]


class ArpaError(ValueError):
    """Raised for a file that is not an ARPA file, or is damaged."""

    def __init__(self, path: str | PathLike[str], line: int, reason: str) -> None:
        super().__init__(f"{path}, line {line}: {reason}")


Source = str | PathLike[str] | BinaryIO
Progress = Callable[[int, int], None]


def read(
    source: Source, unit: str, max_ngrams: int = tables.MOST_NGRAMS, progress: Progress | None = None
) -> tuple[list[Level], Vocabulary]:
    """The n-grams of every length and the tokens of a file; see :meth:`fastctc.NGram.from_arpa`."""
    if isinstance(source, str | PathLike):
        with Path(source).open("rb") as file:
            return _Reader(source, file, os.fspath(source).endswith(".gz"), progress).model(unit, max_ngrams)
    buffered = source if isinstance(source, io.BufferedReader) else io.BufferedReader(_Raw(source))
    packed = buffered.peek(2)[:2] == b"\x1f\x8b"
    return _Reader(getattr(source, "name", "the file"), buffered, packed, progress).model(unit, max_ngrams)


class _Raw(io.RawIOBase):
    """Adapts an object with ``read`` to what a buffered reader asks for."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        data = self.file.read(len(target))
        target[: len(data)] = data
        return len(data)


class _Counted:
    """A file that counts the bytes read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.count += len(data)
        return data


class _Lines:
    """The lines of a file, read ``AT_ONCE`` bytes at a time."""

    def __init__(self, path: Any, file: BinaryIO, packed: bool) -> None:
        self.path = path
        self.counted = _Counted(file)
        self.file: Any = gzip.GzipFile(fileobj=self.counted) if packed else file  # type: ignore[call-overload]
        self.packed = packed
        self.unpacked = 0
        self.data = b""  # whole lines
        self.place = 0  # what comes next there
        self.line = 1  # its number
        self.rest = b""  # the beginning of a line
        self.unended = False  # whether the last line had no end

    def refuse(self, reason: str, more: int = 0) -> ArpaError:
        """An error in the next line, or so many lines after it."""
        return ArpaError(self.path, self.line + more, reason)

    def _read(self) -> bytes:
        try:
            data: bytes = self.file.read(AT_ONCE)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ArpaError(self.path, 1, f"the compressed file is damaged: {error}") from None
        self.unpacked += len(data)
        most = max(MUCH, MOST_EXPANSION * self.counted.count)
        if self.packed and self.unpacked > most:
            raise ArpaError(
                self.path, 1, f"the file must unpack to at most {most} bytes, {MOST_EXPANSION} times its size "
                "(fastctc.lm.arpa.MOST_EXPANSION): unpack it before"
            )  # fmt: skip
        return data

    def more(self) -> bool:
        """Whether there are lines left."""
        if self.place < len(self.data):
            return True
        self.data, self.place = b"", 0
        parts = [self.rest]
        size = len(self.rest)
        while block := self._read():
            end = block.rfind(b"\n") + 1
            parts.append(block[:end] if end else block)
            if end:
                self.data, self.rest = b"".join(parts), block[end:]
                return True
            size += len(block)
            if size > LONGEST_LINE:
                raise self.refuse(
                    f"a line must have at most {LONGEST_LINE} bytes (fastctc.lm.arpa.LONGEST_LINE), got more"
                )
        self.rest = b""
        if size:
            self.unended = True
            self.data = b"".join([*parts, b"\n"])
        return size > 0

    def next(self, what: str) -> bytes:
        """The next line that is not empty. An error names ``what`` it must be if there is none."""
        while self.more():
            found = NOT_EMPTY.search(self.data, self.place)
            self.go_to(len(self.data) if found is None else found.start())
            if found is not None:
                return found[0].rstrip()
        raise self.refuse(f"the file ends where {what} must be: it is truncated", -self.unended)

    def go_to(self, place: int) -> None:
        """Skip everything before a place."""
        self.line += self.data.count(b"\n", self.place, place)
        self.place = place

    def skip(self) -> None:
        """Go to the next line."""
        self.go_to(self.data.index(b"\n", self.place) + 1)

    def find(self, pattern: re.Pattern[bytes], what: str) -> None:
        """Skip everything up to the first line that matches a pattern, and that line."""
        while self.more():
            found = pattern.search(self.data, self.place)
            self.go_to(len(self.data) if found is None else found.start())
            if found is not None:
                return self.skip()
        raise self.refuse(f"the file ends where {what} must be: it is truncated", -self.unended)


class _Reader:
    """One pass over the lines of a file; memory grows with its n-grams, whatever else stands in it."""

    def __init__(self, path: Any, file: BinaryIO, packed: bool, progress: Progress | None) -> None:
        self.path = path
        self.lines = _Lines(path, file, packed)
        self.refuse = self.lines.refuse
        self.progress = progress
        self.done = 0
        self.total = 0

    def model(self, unit: str, max_ngrams: int) -> tuple[list[Level], Vocabulary]:
        lines = self.lines
        lines.find(HEAD, "\\data\\")  # whatever comes before is a comment
        counts: list[int] = []
        while (line := lines.next("\\1-grams:")).startswith(b"ngram"):
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
            lines.skip()
        if not counts:
            raise self.refuse(f"must be 'ngram 1=COUNT', got {line[:60]!r}")
        self.total = sum(counts)
        table = TokenTable()
        rows: list[Rows] = []
        log_probs: list[NDArray[np.float64]] = []
        backoffs: list[NDArray[np.float64]] = []
        starts = []  # the line in which the n-grams of each length begin
        for order, expected in enumerate(counts, 1):
            if (line := lines.next(f"\\{order}-grams:")) != b"\\%d-grams:" % order:
                raise self.refuse(f"must be '\\{order}-grams:', got {line[:60]!r}")
            lines.skip()
            starts.append(lines.line)
            for columns, column in zip((rows, log_probs, backoffs), self._section(order, expected, table), strict=True):
                columns.append(column)
        if (line := lines.next("\\end\\")) != b"\\end\\":
            raise self.refuse(f"must be '\\end\\', got {line[:60]!r}")
        read = table.tokens()
        if unit == "character":
            read = [b" " if token == SPACE.encode() else token for token in read]
        order_of = sorted(range(len(read)), key=read.__getitem__)
        tokens = [read[number] for number in order_of]
        vocabulary = Vocabulary.from_sorted(tokens)
        renumber = np.empty(len(tokens), dtype=np.int32)
        renumber[order_of] = np.arange(len(tokens), dtype=np.int32)
        del table, read
        for n in range(len(rows)):
            rows[n] = renumber[rows[n]]
        add_beginnings(rows, log_probs, backoffs)
        try:
            return sorted_levels(rows, log_probs, backoffs, len(tokens)), vocabulary
        except Again as again:
            gram = " ".join(vocabulary[int(token)] for token in again.row)
            line_number = starts[len(again.row) - 1] + again.place
            raise ArpaError(self.path, line_number, f"n-grams must be different, got {gram!r} again") from None

    def _section(self, order: int, expected: int, table: TokenTable) -> Part:
        """The n-grams of one length: a row of tokens each, log probabilities, log back-off weights."""
        lines = self.lines
        parts: list[Part] = []
        found, end = 0, -1
        while end < 0 and lines.more():
            end = section_end(lines.data, lines.place)
            stop = len(lines.data) if end < 0 else end
            n_lines = lines.data.count(b"\n", lines.place, stop)
            found += n_lines
            if n_lines and found <= expected:
                part = table.ngrams(lines.data, lines.place, stop, order, tables.GREATEST_BACKOFF)
                if part is None:
                    part = self._part(order, lines.data[lines.place : stop - 1].split(b"\n"), table)
                parts.append(part)
            lines.go_to(stop)
            self.done += n_lines
            if self.progress is not None:
                self.progress(self.done, self.total)
        if found != expected:
            missing = ": the file is truncated" if end < 0 else ""
            raise self.refuse(
                f"there must be {expected} {order}-grams, as the head of the file says, but there are {found}{missing}",
                -1 if end < 0 else 0,
            )
        rows = np.empty((found, order), np.int32)
        log_probs, backoffs = np.empty(found), np.empty(found)
        parts.reverse()
        start = 0
        while parts:  # each is freed when it has been copied
            part = parts.pop()
            stop = start + len(part[0])
            rows[start:stop], log_probs[start:stop], backoffs[start:stop] = part
            start = stop
        log_probs *= LN10
        backoffs *= LN10
        return rows, log_probs, backoffs

    def _part(self, order: int, lines: list[bytes], table: TokenTable) -> Part:
        """The same as ``TokenTable.ngrams`` for lines that are not as usual: slower, and says what is wrong."""
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
            tokens = [table.number(token) for row in fields for token in row[first:last]]
            if min(tokens) < 0:
                place = next(i for i, token in enumerate(tokens) if token < 0)
                number, column = divmod(place, order)
                token = fields[number][first + column]
                raise self.refuse(f"tokens must be among the 1-grams, got {token!r}", more=number)
        bad = ~((log_probs <= 0) & (backoffs <= tables.GREATEST_BACKOFF))
        if bad.any():
            number = int(np.argmax(bad))
            raise self.refuse(
                "a log probability must be 0 or less, and a back-off weight at most "
                f"{tables.GREATEST_BACKOFF} (fastctc.lm.tables.GREATEST_BACKOFF), got {lines[number][:80]!r}",
                more=number,
            )
        return np.array(tokens, dtype=np.int32).reshape(-1, order), log_probs, backoffs

    def _new_tokens(self, tokens: list[bytes], table: TokenTable) -> list[int]:
        """The numbers of tokens, which go into the table."""
        known: set[bytes] = set()
        for number, token in enumerate(tokens):
            if token in known or table.number(token) >= 0:
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
        start = len(table)
        table.add(tokens)
        return list(range(start, len(table)))

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
