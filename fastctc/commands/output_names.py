"""Where the results of many files go: folders are kept below the output, and no two results have one name."""

import os
from collections import Counter
from collections.abc import Sequence
from os import PathLike
from pathlib import Path


class OutputNames:
    """A name below the output folder, without ending, for each page of each file.

    A file's result is named after it: ``a/x.png`` gives ``a/x``, where folders count from the one that was given, or
    that all that were given have in common. Files that differ in the ending only, or in capitals, keep the ending:
    ``a/x.png`` and ``a/x.tif``. The pages of a file after the first have numbers: ``a/x_2``, or, where a file of that
    name exists, ``a/x.tif_2``.

    Parameters
    ----------
    given : sequence of path
        The files and folders that were given.
    files : sequence of Path
        All files there that will be read: the names follow from them, not from their order.
    out : Path
        The output folder.
    """

    def __init__(self, given: Sequence[str | PathLike[str]], files: Sequence[Path], out: Path) -> None:
        self.out = out
        self.sources = {_absolute(file) for file in files}
        folder = _common_folder([Path(path) for path in given])
        self.relative = {file: _below(file, folder) for file in files}
        stems = Counter(_key(path.with_suffix("")) for path in self.relative.values())
        self.first = {
            file: path.with_suffix("") if stems[_key(path.with_suffix(""))] == 1 else path
            for file, path in self.relative.items()
        }
        self.taken: set[str] = set()
        for file, path in sorted(self.first.items()):
            self.first[file] = self._unused(path)

    def source(self, file: Path, page: int) -> str:
        """What a table says of where a result comes from: ``a/x.tif[2]``."""
        name = self.relative[file].as_posix()
        return name if page == 1 else f"{name}[{page}]"

    def name(self, file: Path, page: int) -> Path:
        """The path below the output, without ending, of a page's results. Ask once for each page."""
        first = self.first[file]
        if page == 1:
            return first
        numbered = first.with_name(f"{first.name}_{page}")
        return self._unused(numbered if _key(numbered) not in self.taken else Path(f"{self.relative[file]}_{page}"))

    def place(self, name: str | Path) -> Path:
        """The path of a result, in a folder that exists.

        Raises
        ------
        ValueError
            If one of the files that are read is there.
        """
        place = self.out / name
        if _absolute(place) in self.sources:
            raise ValueError(f"the result would replace {place}, which is read itself: name another folder")
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def _unused(self, path: Path) -> Path:
        found, number = path, 1
        while _key(found) in self.taken:
            number += 1
            found = path.with_name(f"{path.name}-{number}")
        self.taken.add(_key(found))
        return found


def _key(path: Path) -> str:
    """Equal for paths that some file systems do not tell apart."""
    return str(path).casefold()


def _absolute(path: Path) -> Path:
    """Without dots, but with links as they are: a link's own name is the user's name for it."""
    return Path(os.path.normpath(path.absolute()))


def _common_folder(given: Sequence[Path]) -> str | None:
    """The folder below which all is that was given; None where drives have letters, and several are meant."""
    try:
        return os.path.commonpath([_absolute(path if path.is_dir() else path.parent) for path in given])
    except ValueError:
        return None


def _below(file: Path, folder: str | None) -> Path:
    whole = _absolute(file)
    if folder is not None:
        return whole.relative_to(folder)
    return Path(whole.drive.strip(":\\/") or "_", whole.relative_to(whole.anchor))
