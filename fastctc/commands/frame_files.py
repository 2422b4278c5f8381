"""Matrices in files: the outputs of networks as they are stored, .npy, .npz and .csv."""

import io
import math
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

SUFFIXES = (".csv", ".npy", ".npz")
MOST_EXPANSION = 200  # of an archive: networks' outputs unpack to a few times their size
MUCH = 1 << 28  # bytes to which any array may unpack
MOST_EMPTY = 10_000  # matrices without a number in one stack
STANDARD_INPUT = "-"


class Matrix(NamedTuple):
    """A matrix and where it came from: its file, and its place there if the file holds several."""

    file: str
    place: str
    values: NDArray[Any]

    @property
    def name(self) -> str:
        return f"{self.file}[{self.place}]" if self.place else self.file


class MatrixError(ValueError):
    """A file that cannot be read as matrices; the message begins with its name."""


def find_files(paths: Iterable[str]) -> Iterator[str]:
    """The files that ``paths`` name; of folders, the .npy, .npz and .csv files below, by name."""
    for path in paths:
        if path != STANDARD_INPUT and Path(path).is_dir():
            for file in sorted(Path(path).rglob("*")):
                if file.suffix.lower() in SUFFIXES and file.is_file():
                    yield str(file)
        else:
            yield path


def read_matrices(file: str) -> Iterator[Matrix]:
    """Read the matrices of a file one by one; ``-`` is standard input.

    What a file is shows in its first bytes, not in its name. A .npz file holds one or more arrays, a .csv file one or
    more tables with an empty line between two; a three-dimensional array is a stack of matrices. Numbers of a table
    are separated by ``;``, ``,``, tabs or blanks; a separator at the end of a line does not begin a column.

    Raises
    ------
    MatrixError
        If the file cannot be read, or holds something else.
    """
    try:
        if file == STANDARD_INPUT:
            yield from _unstacked("standard input", _arrays(io.BytesIO(sys.stdin.buffer.read())))
        else:
            with Path(file).open("rb") as stream:
                yield from _unstacked(file, _arrays(stream))
    except OSError as error:
        raise MatrixError(f"{file}: {error.strerror or error}") from error
    except Exception as error:  # a damaged file makes NumPy, zipfile and zlib raise whatever they stumble over
        name = "standard input" if file == STANDARD_INPUT else file
        raise MatrixError(f"{name}: {str(error) or type(error).__name__}") from error


def _unstacked(file: str, arrays: Iterable[tuple[str, NDArray[Any]]]) -> Iterator[Matrix]:
    for place, array in arrays:
        if array.ndim == 2:
            yield Matrix(file, place, array)
        elif array.ndim == 3:
            for number, values in enumerate(array):
                yield Matrix(file, f"{place}{':' if place else ''}{number}", values)
        else:
            raise ValueError(
                f"must hold matrices (frames, classes) or stacks of them, got {array.ndim} dimensions, "
                f"shape {array.shape}"
            )


def _arrays(stream: BinaryIO) -> Iterator[tuple[str, NDArray[Any]]]:
    magic = stream.read(6)
    stream.seek(0)
    if magic == b"\x93NUMPY":
        yield "", _loaded(stream, stream.seek(0, io.SEEK_END))
    elif magic[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        with zipfile.ZipFile(stream) as archive:
            for member in archive.infolist():
                most = max(MUCH, MOST_EXPANSION * member.compress_size)
                if member.file_size > most:
                    raise ValueError(
                        f"{member.filename} must unpack to at most {most} bytes, {MOST_EXPANSION} times its size "
                        f"(fastctc.commands.frame_files.MOST_EXPANSION), but takes {member.file_size}: unpack it before"
                    )
                with archive.open(member) as inner:
                    yield member.filename.removesuffix(".npy"), _loaded(inner, member.file_size)
    else:
        yield from _tables(stream)


def _loaded(stream: Any, size: int) -> NDArray[Any]:
    """The array of a .npy file of so many bytes, which says beforehand how many numbers it has."""
    stream.seek(0)
    version, _ = npy.read_magic(stream)
    if version not in (1, 2):
        raise ValueError(f"must be a .npy file of version 1 or 2, got {version}")
    shape, _, dtype = npy.read_array_header_1_0(stream) if version == 1 else npy.read_array_header_2_0(stream)
    if dtype.kind not in "biuf":
        raise ValueError(f"must hold numbers, got {dtype}")
    if (n_bytes := math.prod(shape) * dtype.itemsize) > size:
        raise ValueError(f"must hold shape {shape} of {dtype}, which is {n_bytes} bytes, but has {size}")
    if len(shape) == 3 and not n_bytes and shape[0] > MOST_EMPTY:
        raise ValueError(
            f"must hold at most {MOST_EMPTY} matrices without numbers (fastctc.commands.frame_files.MOST_EMPTY), "
            f"got shape {shape}"
        )
    stream.seek(0)
    array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    return array


def _tables(stream: BinaryIO) -> Iterator[tuple[str, NDArray[Any]]]:
    try:
        lines = stream.read().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError("neither .npy nor .npz nor text") from None
    tables: list[list[tuple[int, str]]] = [[]]
    for number, line in enumerate(lines, 1):
        if line.strip(" \t,;"):
            tables[-1].append((number, line))
        elif tables[-1]:
            tables.append([])
    if not tables[-1]:
        tables.pop()
    if not tables:
        raise ValueError("empty")
    for number, table in enumerate(tables):
        yield (str(number) if len(tables) > 1 else ""), _table(table)


def _table(lines: list[tuple[int, str]]) -> NDArray[np.float64]:
    first = lines[0][1]
    separator = next((s for s in ";,\t" if s in first), None)
    rows = []
    for number, line in lines:
        row = line.strip(" ").removesuffix(separator or "").split(separator)
        try:
            rows.append(np.array(list(map(float, row))))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if len(rows[-1]) != len(rows[0]):
            raise ValueError(f"line {number}: must have {len(rows[0])} columns like the first, got {len(rows[-1])}")
    return np.array(rows)
