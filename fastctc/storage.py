"""Arrays in a file that is mapped into memory instead of read: a line of JSON says what is where, then the numbers.

Nothing in such a file is ever executed, and a damaged one is refused. Many processes that map the same file share its
memory.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

MAGIC = b"fastctc "
ALIGNMENT = 64  # bytes: a cache line
LONGEST_HEADER = 1 << 26


class StorageError(ValueError):
    """A file that does not hold what it should."""


@contextmanager
def replaced(path: str | PathLike[str]) -> Iterator[BinaryIO]:
    """A new file, open for reading and writing, that takes the place of ``path`` when all is written.

    Until then it has a name of its own beside that place, so that no reader sees half a file and other processes may
    write the same path: the last one wins. If the block raises, the new file is removed and the old one stays. The
    bytes are on the disk before the name is given. A link is followed, permissions are kept, and what is no file (a
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
    """Write arrays and whatever JSON can say about them."""
    table, place = {}, 0
    for name, array in arrays.items():
        table[name] = [array.dtype.newbyteorder("<").str, list(array.shape), place]
        place += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    header = MAGIC + json.dumps({"kind": kind, "about": about, "arrays": table}).encode()
    header += b" " * (-(len(header) + 1) % ALIGNMENT) + b"\n"
    with replaced(path) as file:
        file.write(header)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)
            file.write(bytes(-array.nbytes % ALIGNMENT))


def load(
    path: str | PathLike[str], kind: str, expected: dict[str, str]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What :func:`save` wrote: what it says about itself, and the arrays, mapped and not writable.

    Parameters
    ----------
    kind : str
        What the file must hold.
    expected : dict
        Name and dtype of the arrays that it must hold; all have one dimension.

    Raises
    ------
    OSError
        If there is no such file.
    StorageError
        If it is no file of this kind, or damaged.
    """
    with Path(path).open("rb") as file:
        line = file.readline(LONGEST_HEADER)
        size = os.fstat(file.fileno()).st_size
    if not line.startswith(MAGIC):
        raise StorageError(f"{path}: must be a file that fastctc saved, but it begins with {line[:16]!r}")
    try:
        header = json.loads(line[len(MAGIC) :])
        found, about = header["kind"], dict(header["about"])
        table = {name: (str(t), [int(n) for n in shape], int(at)) for name, (t, shape, at) in header["arrays"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StorageError(f"{path}: the header is damaged: {error}") from None
    if found != kind:
        raise StorageError(f"{path}: must hold a {kind}, but holds a {found}")
    arrays = {}
    data: NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r").view(np.ndarray)
    for name, dtype in expected.items():
        if name not in table:
            raise StorageError(f"{path}: {name} is missing")
        written, shape, at = table[name]
        if written != np.dtype(dtype).newbyteorder("<").str or len(shape) != 1:
            raise StorageError(f"{path}: {name} must be one row of {dtype}, but is {shape} of {written}")
        start, n_bytes = len(line) + at, shape[0] * np.dtype(dtype).itemsize
        if shape[0] < 0 or at < 0 or at % ALIGNMENT or start + n_bytes > size:
            raise StorageError(f"{path}: {name} must take {n_bytes} bytes from {start} on, but the file has {size}")
        arrays[name] = data[start : start + n_bytes].view(np.dtype(dtype).newbyteorder("<"))
    return about, arrays
