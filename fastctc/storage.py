"""Arrays in files: written whole or not at all, mapped into memory instead of read, and checked before use.

The format is that of safetensors (https://github.com/huggingface/safetensors), which other tools can open: the length
of a header in eight bytes, a header in JSON that says what is where, then the numbers. Its metadata hold the kind of
the file, what JSON can say about it, and a CRC-32 of each array. Nothing in such a file is ever executed. Many
processes that map the same file share its memory.
"""

import json
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64  # bytes, of the numbers in the file: a cache line
LONGEST_HEADER = 1 << 26  # bytes
MOST_DIMENSIONS = 32
DTYPES = {
    "F64": "f8", "I64": "i8", "U64": "u8", "F32": "f4", "I32": "i4", "U32": "u4",
    "F16": "f2", "I16": "i2", "U16": "u2", "I8": "i1", "U8": "u1",
}  # fmt: skip
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}


class StorageError(ValueError):
    """A file that does not hold what it should."""


@contextmanager
def replaced(path: str | PathLike[str]) -> Iterator[BinaryIO]:
    """A new file, open for reading and writing, that takes the place of ``path`` when all is written.

    Until then it has a name of its own beside that place, so that no reader sees half a file and other processes may
    write the same path: the last one wins. If the block raises, the new file is removed and the old one stays. The
    bytes are on the disk before the name is given. A link is followed, permissions are kept, and anything but a file (a
    device, a pipe) is written to directly.

    Raises
    ------
    OSError
        If the file cannot be written; the error names ``path``.
    """
    place = Path(os.path.realpath(path))
    try:
        if place.exists() and not place.is_file():
            with place.open("wb") as file:
                yield file
            return
        beside = place.with_name(f".{place.name[:40]}.{os.getpid()}-{os.urandom(4).hex()}.part")
        try:
            with beside.open("x+b") as file:
                if place.exists():
                    beside.chmod(place.stat().st_mode)
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.replace(place)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.filename is None or Path(error.filename).parent == place.parent:  # not what the block has read
            raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error
        raise


def write_text(path: str | PathLike[str], text: str) -> None:
    """Replace a file by a text in UTF-8."""
    with replaced(path) as file:
        file.write(text.encode())


def save(path: str | PathLike[str], kind: str, about: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays and what JSON can say about them.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If ``about`` holds a number that is not finite.
    """
    names = sorted(arrays, key=lambda name: -arrays[name].itemsize)  # so that each begins at a multiple of its numbers
    raw = {name: np.ascontiguousarray(arrays[name], arrays[name].dtype.newbyteorder("<")) for name in names}
    said = json.dumps(about, allow_nan=False)
    digests = {"__metadata__": _digest(said.encode())} | {name: _digest(array.data) for name, array in raw.items()}
    header: dict[str, Any] = {"__metadata__": {"kind": kind, "about": said, "crc32": json.dumps(digests)}}
    stop = 0
    for name, array in raw.items():
        start, stop = stop, stop + array.nbytes
        dtype = NAMES[array.dtype.newbyteorder("=")]
        header[name] = {"dtype": dtype, "shape": arrays[name].shape, "data_offsets": (start, stop)}
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % ALIGNMENT)
    with replaced(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in raw.values():
            file.write(array.data)


def is_saved(path: str | PathLike[str]) -> bool:
    """Whether a file begins as those that :func:`save` writes, as no text does."""
    with Path(path).open("rb") as file:
        start = file.read(9)
    return start[4:] == b"\0\0\0\0{"


def load(
    path: str | PathLike[str], kind: str, expected: dict[str, str] | None = None
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What :func:`save` wrote: what it says about itself, and the arrays, mapped and not writable.

    Every byte is checked, which reads the file once: about a second for each gigabyte or two.

    Parameters
    ----------
    kind : str
        What the file must hold.
    expected : dict, optional
        Name and dtype of the arrays that it must hold, all of one dimension; by default any arrays.

    Raises
    ------
    OSError
        If there is no such file.
    StorageError
        If the file is of another kind, or damaged.
    """
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(9)
        if len(start) < 9 or start[8:] != b"{":
            raise StorageError(f"{path}: must be a file that fastctc saved, but it begins with {start!r}")
        length = int.from_bytes(start[:8], "little")
        if length > min(LONGEST_HEADER, size - 8):
            raise StorageError(
                f"{path}: the header must be at most {min(LONGEST_HEADER, size - 8)} bytes "
                f"(fastctc.storage.LONGEST_HEADER, and the size of the file), but says it is {length}"
            )
        text = start[8:] + file.read(length - 1)
        data: NDArray[np.uint8] = np.memmap(file, np.uint8, "r").view(np.ndarray)
    try:
        header = parsed(text)
        metadata = header.pop("__metadata__")
        found, said, digests = metadata["kind"], metadata["about"], parsed(metadata["crc32"])
        arrays = _arrays(header, data, 8 + length)
        damaged = [name for name, array in arrays.items() if _digest(array.data) != digests[name]]
        if _digest(said.encode()) != digests["__metadata__"]:
            damaged.insert(0, "what it says about itself")
        about = parsed(said)
        if not isinstance(about, dict):
            raise ValueError(f"must say about itself a JSON object, but says {said[:60]}")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StorageError(f"{path}: the header is damaged: {str(error) or type(error).__name__}") from None
    if found != kind:
        raise StorageError(f"{path}: must hold a {kind}, but holds a {found}")
    if damaged:
        raise StorageError(f"{path}: damaged, the checksum of {damaged[0]!r} is another: copy or make the file anew")
    if expected is not None:
        check(path, arrays, {name: (dtype, None) for name, dtype in expected.items()})
    return about, arrays


def check(
    path: str | PathLike[str],
    arrays: dict[str, NDArray[Any]],
    expected: dict[str, tuple[str, tuple[int, ...] | None]],
) -> None:
    """Refuse arrays that are not those expected: names, dtypes, shapes, where None is one dimension of any length.

    Raises
    ------
    StorageError
        With what must be and what was.
    """
    if arrays.keys() != expected.keys():
        raise StorageError(f"{path}: must hold {', '.join(sorted(expected))}, but holds {', '.join(sorted(arrays))}")
    for name, (dtype, shape) in expected.items():
        array = arrays[name]
        if array.dtype != np.dtype(dtype) or (array.ndim != 1 if shape is None else array.shape != shape):
            wanted = "one row" if shape is None else f"shape {shape}"
            raise StorageError(f"{path}: {name} must be {wanted} of {dtype}, but is {array.shape} of {array.dtype}")


def parsed(text: str | bytes) -> Any:
    """JSON as the standard has it: no NaN or Infinity, no number too large for a double, no name twice.

    Raises
    ------
    ValueError, RecursionError
        If the text is not such JSON.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("names must be different")
        return found

    def finite(number: str) -> float:
        if not math.isfinite(value := float(number)):
            raise ValueError(f"numbers must be finite, got {number[:20]}")
        return value

    return json.loads(text, object_pairs_hook=unique, parse_float=finite, parse_constant=finite)


def _digest(data: Any) -> str:
    return f"{zlib.crc32(data):08x}"


def _arrays(header: dict[str, Any], data: NDArray[np.uint8], start: int) -> dict[str, NDArray[Any]]:
    """The arrays that a header describes: side by side, without a hole, from ``start`` to the end of the file."""
    arrays = {}
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype = np.dtype(DTYPES[entry["dtype"]]).newbyteorder("<")
        shape, (first, stop) = entry["shape"], entry["data_offsets"]
        if not all(type(n) is int and 0 <= n < 1 << 62 for n in (*shape, first, stop)):
            raise ValueError(f"{name}: sizes and places must be numbers of 0 or more")
        if len(shape) > MOST_DIMENSIONS:
            raise ValueError(
                f"{name} must have at most {MOST_DIMENSIONS} dimensions (fastctc.storage.MOST_DIMENSIONS), "
                f"got {len(shape)}"
            )
        if first != end or stop - first != math.prod(shape) * dtype.itemsize or (start + first) % dtype.itemsize:
            raise ValueError(f"{name} of {dtype} and shape {shape} must begin at {end}, but takes {first} to {stop}")
        end = stop
        if start + end > len(data):
            raise ValueError(f"{name} must take the bytes {first} to {stop}, but there are {len(data) - start}")
        arrays[name] = data[start + first : start + stop].view(dtype).reshape(shape)
    if start + end != len(data):
        raise ValueError(f"must describe {len(data) - start} bytes, but describes {end}")
    return arrays
