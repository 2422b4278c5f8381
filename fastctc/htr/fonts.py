"""Handwriting fonts with open licences: which there are, how to get them, what they can write."""

import csv
import json
import shutil
import tempfile
from functools import cache
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from fastctc.htr import npm

ENDINGS = (".woff2", ".woff", ".ttf", ".otf")
SCOPE = "@fontsource"  # of the npm registry (https://fontsource.org)
# What the weights that ship have never seen, so that it shows how well unseen writing is read.
HELD_OUT = frozenset({"borel", "gloria-hallelujah", "kalam", "nanum-pen-script", "satisfy", "zeyada"})


class Package(NamedTuple):
    """A font as the npm registry has it: one row of ``fonts.tsv``."""

    family: str
    version: str
    integrity: str  # the digest of the package, as npm writes it
    licence: str  # SPDX


@cache
def packages() -> tuple[Package, ...]:
    """The fonts that :func:`install` fetches, in the order of their names."""
    table = (files("fastctc.htr") / "fonts.tsv").read_text(encoding="utf-8")
    _, *rows = csv.reader(table.splitlines(), delimiter="\t")
    return tuple(Package(*row) for row in rows)


def install(folder: str | PathLike[str]) -> None:
    """Fetch the fonts of :func:`packages` from the npm registry into a folder, if they are not there already.

    The versions and the digests of ``fonts.tsv`` hold. Fonts of other origin in the folder stay, and it is changed only
    when all have arrived.

    Raises
    ------
    RuntimeError
        If there is no npm, or if it fails; its own words are in the message.
    """
    place = Path(folder).absolute()
    there = place / "node_modules" / SCOPE
    wanted = packages()
    if all(_version(there / package.family) == package.version for package in wanted):
        return
    with tempfile.TemporaryDirectory() as beside:
        pins = {f"{SCOPE}/{package.family}": (package.version, package.integrity) for package in wanted}
        try:
            fetched = npm.install(Path(beside), pins) / SCOPE
        except RuntimeError as error:
            raise RuntimeError(
                f"{error}\nA folder of handwriting fonts of your own (.ttf, .otf, .woff2) does as well"
            ) from None
        for package in wanted:
            shutil.rmtree(there / package.family, ignore_errors=True)
            shutil.copytree(fetched / package.family, there / package.family)


def _version(package: Path) -> str | None:
    try:
        return str(json.loads((package / "package.json").read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find(folder: str | PathLike[str]) -> list[Path]:
    """One file for each font below a folder, in the order of their names.

    In folders that npm filled, that is the upright, regular, Latin one of each family.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no font in it.
    """
    place = Path(folder)
    if not place.is_dir():
        raise FileNotFoundError(f"there is no folder {folder} with fonts ({', '.join(ENDINGS)})")
    families: dict[str, list[Path]] = {}
    for path in sorted(place.rglob("*")):
        if path.suffix.lower() in ENDINGS:
            families.setdefault(family(path), []).append(path)
    chosen = [_regular(paths) for _, paths in sorted(families.items())]
    if not chosen:
        raise FileNotFoundError(f"{folder} must hold fonts ({', '.join(ENDINGS)}), but there is none")
    return chosen


def family(path: Path) -> str:
    """The package of a font that npm brought, else the file's own name."""
    if path.parent.name == "files" and (path.parent.parent / "metadata.json").exists():
        return path.parent.parent.name
    return path.stem


def _regular(paths: list[Path]) -> Path:
    def rank(path: Path) -> tuple[bool, bool, int, int]:
        name = path.stem
        weight = next((abs(int(part) - 400) for part in name.split("-") if part.isdigit()), 0)
        return (
            "italic" in name,
            "-latin-" not in f"{name}-" or "latin-ext" in name,
            weight,
            ENDINGS.index(path.suffix.lower()),
        )

    return min(paths, key=rank)


@cache
def at_size(path: Path, size: int) -> Any:
    """The font, opened by Pillow."""
    from PIL import ImageFont

    return ImageFont.truetype(str(path), size)


@cache
def x_height(path: Path) -> float:
    """The height of an x as a share of the font's size."""
    _, top, _, bottom = at_size(path, 200).getbbox("x", anchor="ls")
    return max(0.1, float(bottom - top) / 200)


@cache
def writes(path: Path, characters: str) -> frozenset[str]:
    """Those of the characters that the font has a picture for."""
    font = at_size(path, 32)
    nothing = bytes(font.getmask("\U0010fffd"))
    return frozenset(c for c in characters if c == " " or bytes(font.getmask(c)) not in (nothing, b""))
