"""Handwriting fonts with open licences: which there are, how to get them, what they can write."""

import json
import shutil
import subprocess
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

# Packages of the npm registry (https://fontsource.org); all under the SIL Open Font License 1.1, but homemade-apple,
# rock-salt and satisfy, which are under the Apache License 2.0.
FAMILIES = (
    "architects-daughter",
    "bad-script",
    "beth-ellen",
    "borel",
    "caveat",
    "cedarville-cursive",
    "covered-by-your-grace",
    "dancing-script",
    "dawning-of-a-new-day",
    "give-you-glory",
    "gloria-hallelujah",
    "gochi-hand",
    "handlee",
    "herr-von-muellerhoff",
    "homemade-apple",
    "indie-flower",
    "just-me-again-down-here",
    "kalam",
    "kristi",
    "la-belle-aurore",
    "loved-by-the-king",
    "marck-script",
    "mr-de-haviland",
    "mrs-saint-delafield",
    "nanum-pen-script",
    "nothing-you-could-do",
    "over-the-rainbow",
    "patrick-hand",
    "playwrite-us-trad",
    "reenie-beanie",
    "rock-salt",
    "satisfy",
    "sedgwick-ave",
    "shadows-into-light",
    "sue-ellen-francisco",
    "swanky-and-moo-moo",
    "the-girl-next-door",
    "waiting-for-the-sunrise",
    "zeyada",
)
PACKAGES = tuple(f"@fontsource/{name}" for name in FAMILIES)
ENDINGS = (".woff2", ".woff", ".ttf", ".otf")


def install(folder: str | PathLike[str]) -> None:
    """Fetch the fonts from the npm registry into a folder; those that are there already are not fetched again.

    Raises
    ------
    RuntimeError
        If there is no npm, or if it fails; its own words are in the message.
    """
    place = Path(folder)
    there = {f"@fontsource/{found.name}" for found in place.glob("node_modules/@fontsource/*")}
    missing = [package for package in PACKAGES if package not in there]
    if not missing:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(
            "the fonts come from the npm registry, and there is no npm on this machine: install Node.js, or name a "
            "folder of handwriting fonts of your own (.ttf, .otf, .woff2)"
        )
    place.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(place), *missing]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"npm could not install the fonts:\n{done.stderr.strip()}")


def find(folder: str | PathLike[str]) -> list[Path]:
    """One file for each font below a folder, in the order of their names.

    In folders that npm filled, that is the upright, regular, Latin one of each family.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    place = Path(folder)
    families: dict[str, list[Path]] = {}
    for path in sorted(place.rglob("*")):
        if path.suffix.lower() in ENDINGS:
            families.setdefault(family(path), []).append(path)
    chosen = [_regular(paths) for _, paths in sorted(families.items())]
    if not chosen:
        raise FileNotFoundError(f"{folder}: must hold fonts ({', '.join(ENDINGS)}), but there are none")
    return chosen


def family(path: Path) -> str:
    """The package of a font that npm brought, else the file's own name."""
    if path.parent.name == "files" and (path.parent.parent / "metadata.json").exists():
        return path.parent.parent.name
    return path.stem


def licence(path: Path) -> str:
    """What the font's package says of its licence."""
    try:
        about: dict[str, Any] = json.loads((path.parent.parent / "metadata.json").read_text(encoding="utf-8"))
        return str(about["license"]["type"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"


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
