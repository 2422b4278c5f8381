"""Summary: a table of what was read, page by page, from which a run that was stopped goes on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from fastctc import storage

NAME = "summary.tsv"
BLANKS = str.maketrans("\t\r\n", "   ")
COLUMNS = ("image", "result", "lines", "words", "confidence", "warnings", "pages", "settings")


@dataclass(frozen=True)
class Row:
    """A page that was read, or, without a result, a file that could not be."""

    image: str  # the file, from the second page on with [2]
    result: str  # below the output folder
    lines: int
    words: int
    confidence: str  # mean of the words'; empty if there are none
    warnings: str
    pages: int  # of the file
    settings: str  # a digest of all that the result depends on beside the image

    @classmethod
    def parsed(cls, cells: Sequence[str]) -> Self:
        """Raises ValueError for cells that do not make a row."""
        image, result, lines, words, confidence, warnings, pages, settings = cells
        return cls(image, result, int(lines), int(words), confidence, warnings, int(pages), settings)

    def cells(self) -> list[str]:
        return [str(getattr(self, name)).translate(BLANKS) for name in COLUMNS]


class Summary:
    """The rows of an output folder's table, in which every finished file is written down at once.

    Parameters
    ----------
    out : Path
        The output folder.
    settings : str
        See :func:`settings_digest`.
    """

    def __init__(self, out: Path, settings: str) -> None:
        self.out, self.settings = out, settings
        self.rows: dict[str, list[Row]] = {}  # by file
        try:
            lines = (out / NAME).read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            lines = []
        for line in lines:
            try:
                row = Row.parsed(line.split("\t"))
            except ValueError:  # the heading, or a line that a stopped run has not finished
                continue
            self.rows.setdefault(_file_of(row.image), []).append(row)

    def finished(self, name: str, file: Path) -> list[Row]:
        """The rows of a file that need not be read again: its results are newer, and of the same settings."""
        rows = self.rows.get(name, [])
        try:
            changed = file.stat().st_mtime_ns
            fresh = all(
                row.result and row.settings == self.settings and (self.out / row.result).stat().st_mtime_ns >= changed
                for row in rows
            )
        except OSError:
            return []
        return rows if fresh and all(row.pages == len(rows) for row in rows) else []

    def add(self, name: str, rows: list[Row]) -> None:
        """Write down what a file has become."""
        rows = [replace(row, pages=len(rows)) for row in rows]
        self.rows[name] = rows
        place = self.out / NAME
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("a", encoding="utf-8", newline="") as file:
            file.write(_table(rows))

    def close(self) -> None:
        """Write the whole table, with its heading and every file once."""
        if self.rows:
            rows = [row for name in sorted(self.rows) for row in self.rows[name]]
            storage.write_text(self.out / NAME, "\t".join(COLUMNS) + "\n" + _table(rows))


def settings_digest(values: Sequence[object], files: Sequence[str | Path | None]) -> str:
    """A digest of values and of the files that are there, by their sizes and times."""
    states = [
        (str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in [Path(file) for file in files if file]
    ]
    return hashlib.sha256(repr((list(values), states)).encode()).hexdigest()[:12]


def _file_of(image: str) -> str:
    return image.rpartition("[")[0] if image.endswith("]") and image.rpartition("[")[2][:-1].isdigit() else image


def _table(rows: Sequence[Row]) -> str:
    return "".join("\t".join(row.cells()) + "\n" for row in rows)
