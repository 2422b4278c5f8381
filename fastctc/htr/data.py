"""The user's own images and texts, in the layouts in which people keep them."""

import csv
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np

from fastctc.htr import preparation
from fastctc.htr.samples import HEIGHT, Ink
from fastctc.imaging import images

SPLITS = ("train", "val", "test")
OTHER_TABLES = ("meta.tsv", "summary.tsv")  # columns of another table, and what fastctc read writes beside its results
# Two images of the IAM words that cannot be decoded, as its users know.
IAM_BROKEN = frozenset({"a01-117-05-02", "r06-022-03-05"})


@dataclass(frozen=True)
class Item:
    """An image, or a part of one, and what is written there."""

    image: Path
    text: str
    group: str = ""  # the writer, or else the page: what must not be on both sides of a split
    split: str = ""  # train, val or test; "" if the data does not say
    outline: tuple[tuple[int, int], ...] = ()  # corners (x, y) of the part; none: the whole image


@dataclass(frozen=True)
class Problem:
    """What could not be used, and why."""

    file: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


def read(path: str | PathLike[str], images_in: Iterable[str | PathLike[str]] = ()) -> tuple[list[Item], list[Problem]]:
    """All items below a folder, or of a table, whichever layout it has.

    An image that PAGE or ALTO XML names stands beside the file, or else anywhere below the folder or ``images_in``:
    what was read may lie in a folder of its own.

    Known are: tables (.tsv, .csv) of file and text, with a header that names ``file``, ``text`` and perhaps ``writer``
    (or ``hand``, ``group``), ``page``, ``split``, or without one, and a ``meta.tsv`` beside them that adds columns;
    pairs ``name.png`` with ``name.gt.txt`` or ``name.txt``; the IAM database (``words.txt``, ``lines.txt``); PAGE XML
    and ALTO with polygons or baselines.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder, or nothing in it that is known.
    """
    place = Path(path)
    if not place.exists():
        raise FileNotFoundError(f"{place}: there is no such file or folder")
    items: list[Item] = []
    problems: list[Problem] = []
    found = False
    for layout in (_iam, _tables, _xml, _pairs):
        files = list(layout.files(place)) if place.is_dir() else [place] if layout.takes(place) else []
        for file in files:
            found = True
            try:
                for one in layout.read(file):
                    (items if isinstance(one, Item) else problems).append(one)  # type: ignore[arg-type]
            except (OSError, ValueError, csv.Error) as error:
                problems.append(Problem(file, str(error)))
        if files:
            break
    if not found:
        raise FileNotFoundError(
            f"{place}: must hold a table of files and texts (.tsv, .csv), images with a .txt or .gt.txt beside them, "
            "PAGE or ALTO XML, or the IAM database; none of these is there"
        )
    return _with_images(items, problems, [place, *map(Path, images_in)])


def _with_images(items: list[Item], problems: list[Problem], folders: list[Path]) -> tuple[list[Item], list[Problem]]:
    """Items whose images are there, be it elsewhere; the others are problems, one for each image."""
    there = {image: image.is_file() for image in {item.image for item in items}}
    if all(there.values()):
        return items, problems
    elsewhere: dict[str, set[Path]] = {}
    for folder in folders:
        for file in folder.rglob("*") if folder.is_dir() else ():
            elsewhere.setdefault(file.name, set()).add(file)
    found: dict[Path, Path] = {}
    for image in sorted(image for image, is_there in there.items() if not is_there):
        known = sorted(elsewhere.get(image.name, ()))
        if len(known) == 1:
            found[image] = known[0]
        else:
            several = f", but {len(known)} elsewhere that are called so" if known else ""
            problems.append(Problem(image, f"there is no such image{several}"))
    return [
        replace(item, image=found.get(item.image, item.image))
        for item in items
        if there[item.image] or item.image in found
    ], problems


@dataclass(frozen=True)
class Layout:
    """One way to keep images and texts."""

    takes: Callable[[Path], bool]
    files: Callable[[Path], Iterable[Path]]
    read: Callable[[Path], Iterator[Item | Problem]]


# Tables ---------------------------------------------------------------------------------------------------------------


def _table_rows(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        if file.suffix.lower() == ".tsv":
            return [line.rstrip("\r\n").split("\t") for line in lines if line.strip()]
        sample = lines.read(4096)
        lines.seek(0)
        delimiter = ";" if sample.count(";") > sample.count(",") else ","
        return [row for row in csv.reader(lines, delimiter=delimiter) if row]


def _table(file: Path) -> Iterator[Item | Problem]:
    rows = _table_rows(file)
    if not rows:
        raise ValueError("the table is empty")
    header = [name.strip().lower() for name in rows[0]]
    if "text" in header and {"file", "image"} & set(header):
        rows = rows[1:]
    else:
        header = ["file", "text"]
    column = {name: i for i, name in enumerate(header)}
    column.setdefault("file", column.get("image", 0))
    more = _meta(file)
    for number, row in enumerate(rows, 1):
        if len(row) <= max(column["file"], column["text"]):
            yield Problem(file, f"row {number} must have a file and a text, got {row}")
            continue
        name, text = row[column["file"]], row[column["text"]]
        image = file.parent / name
        values = {key: row[i] for key, i in column.items() if i < len(row)} | more.get(name, {})
        group = next((values[key] for key in ("writer", "hand", "group", "page") if values.get(key)), image.stem)
        split = values.get("split", "").lower()
        if split and split not in SPLITS:
            yield Problem(file, f"row {number}: split must be one of {', '.join(SPLITS)}, got {split!r}")
        elif not image.is_file():
            yield Problem(image, "there is no such image")
        elif not text.strip():
            yield Problem(image, "the text is empty")
        else:
            yield Item(image, text.strip(), group, split)


def _meta(file: Path) -> dict[str, dict[str, str]]:
    """The columns of meta.tsv by file name."""
    beside = file.parent / "meta.tsv"
    if beside == file or not beside.is_file():
        return {}
    header, *rows = _table_rows(beside)
    if "file" not in header:
        raise ValueError(f"{beside}: must have a column file, got {header}")
    at = header.index("file")
    return {row[at]: dict(zip(header, row, strict=False)) for row in rows if len(row) > at}


_tables = Layout(
    lambda path: path.suffix.lower() in (".tsv", ".csv"),
    lambda folder: sorted(p for kind in ("*.tsv", "*.csv") for p in folder.glob(kind) if p.name not in OTHER_TABLES),
    _table,
)

# Pairs ----------------------------------------------------------------------------------------------------------------


def _pair(text_file: Path) -> Iterator[Item | Problem]:
    stem = text_file.name.removesuffix(".txt").removesuffix(".gt")
    image = next((p for ending in images.ENDINGS if (p := text_file.with_name(stem + ending)).is_file()), None)
    if image is None:
        yield Problem(text_file, f"there is no image {stem} with one of {', '.join(images.ENDINGS)} beside it")
        return
    text = text_file.read_text(encoding="utf-8-sig").strip()
    if not text or "\n" in text:
        yield Problem(text_file, f"must hold one line of text, got {len(text.splitlines())}")
    else:
        yield Item(image, text, text_file.parent.name)


_pairs = Layout(lambda path: path.suffix == ".txt", lambda folder: sorted(folder.rglob("*.txt")), _pair)

# The IAM database -----------------------------------------------------------------------------------------------------


def _iam_list(file: Path) -> Iterator[Item | Problem]:
    """words.txt: id ok|err grey x y w h tag text; lines.txt: id ok|err grey parts x y w h text, | between words."""
    lines = file.stem == "lines"
    for row in file.read_text(encoding="utf-8").splitlines():
        if not row or row.startswith("#"):
            continue
        fields = row.split(" ")
        if len(fields) < 9:
            yield Problem(file, f"must have at least 9 columns, got {row!r}")
            continue
        name, state, text = fields[0], fields[1], " ".join(fields[8:])
        if lines:
            text = text.replace("|", " ")
        form = "-".join(name.split("-")[:2])
        image = file.parent / file.stem / name.split("-")[0] / form / f"{name}.png"
        if name in IAM_BROKEN:
            yield Problem(image, "the image is known to be broken")
        elif state != "ok":
            yield Problem(image, "the segmentation is marked as wrong")
        elif not image.is_file():
            yield Problem(image, "there is no such image")
        else:
            yield Item(image, text, form)


def _iam_files(folder: Path) -> list[Path]:
    found = [folder / name for name in ("lines.txt", "words.txt")]
    return [file for file in found if file.is_file() and (folder / file.stem).is_dir()]


_iam = Layout(lambda path: path.name in ("words.txt", "lines.txt"), _iam_files, _iam_list)

# PAGE and ALTO --------------------------------------------------------------------------------------------------------


def _xml_lines(file: Path) -> Iterator[Item | Problem]:
    from fastctc.htr.page_xml import read_lines

    image, lines = read_lines(file)
    for line in lines:
        if line.text.strip():
            yield Item(image, line.text.strip(), file.stem, outline=line.outline)
        else:
            yield Problem(file, f"line {line.name} has no text")


_xml = Layout(lambda path: path.suffix == ".xml", lambda folder: sorted(folder.rglob("*.xml")), _xml_lines)

# What all have in common ----------------------------------------------------------------------------------------------


def split(items: Iterable[Item], val: float = 0.1, test: float = 0.1) -> dict[str, list[Item]]:
    """Training, validation and test items: as the data says, else by a checksum of the group, the same for ever.

    Of few groups none may fall into training or validation: :func:`split_lines` divides them.
    """
    parts: dict[str, list[Item]] = {name: [] for name in SPLITS}
    for item in items:
        share = zlib.crc32(item.group.encode()) / 2**32
        name = item.split or ("test" if share < test else "val" if share < test + val else "train")
        parts[name].append(replace(item, split=name))
    return parts


def split_lines(items: Iterable[Item], val: float = 0.1) -> dict[str, list[Item]]:
    """Training and validation items: single lines, in the order of a checksum of what they are; one of either at least.

    Lines of one page know each other: validation shows how well this hand will be read, not how well others will.

    Raises
    ------
    ValueError
        If there are fewer than two lines.
    """
    order = sorted(items, key=lambda item: zlib.crc32(repr((item.image.name, item.outline, item.text)).encode()))
    if len(order) < 2:
        raise ValueError(f"there must be two lines or more, one to train on and one to validate, got {len(order)}")
    n = min(len(order) - 1, max(1, round(val * len(order))))
    named = {"val": order[:n], "train": order[n:], "test": []}
    return {name: [replace(item, split=name) for item in named[name]] for name in SPLITS}


def hold_out(items: Iterable[Item], val: float) -> list[Item]:
    """Training and validation items by a checksum of each line's place: a line that was held out once always is.

    With more lines no other moves to the other side, so that a network is never judged by what it has learnt. Of a few
    lines none may fall on one of the sides: then they are divided by their number.
    """
    named = [
        replace(
            item, split="val" if zlib.crc32(repr((item.image.name, item.outline)).encode()) / 2**32 < val else "train"
        )
        for item in items
    ]
    if len({item.split for item in named}) == 2:
        return named
    parts = split_lines(items, val)
    return [*parts["val"], *parts["train"]]


def sample(item: Item) -> Ink:
    """The item's image, prepared and scaled to the height in which samples are kept."""
    image = preparation.grey(images.read(item.image))
    if item.outline:
        image = cut_out(image, item.outline)
    return normalized(preparation.ink(image))


def normalized(ink: Ink, height: int = HEIGHT) -> Ink:
    """Cut to the writing and scaled to a height."""
    top, bottom, left, right = preparation.cut(ink)
    ink = ink[top:bottom, left:right]
    width = min(images.WIDEST, max(4, round(ink.shape[1] * height / ink.shape[0])))
    return preparation.resized(ink, height, width)


def cut_out(image: Ink, outline: tuple[tuple[int, int], ...]) -> Ink:
    """The part of an image inside of an outline; around it is paper.

    Raises
    ------
    ValueError
        If the outline lies outside of the image.
    """
    from PIL import Image, ImageDraw

    xs, ys = [x for x, _ in outline], [y for _, y in outline]
    left, right = max(0, min(xs)), min(image.shape[1], max(xs) + 1)
    top, bottom = max(0, min(ys)), min(image.shape[0], max(ys) + 1)
    if right <= left or bottom <= top:
        raise ValueError(f"the outline lies outside of the image of {image.shape[1]} x {image.shape[0]} pixels")
    part = image[top:bottom, left:right]
    mask = Image.new("1", (right - left, bottom - top))
    ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in outline], fill=1, outline=1)
    inside = np.asarray(mask)
    return np.where(inside, part, np.uint8(np.median(part)))


def known_texts(items: Iterable[Item], characters: str, unknown: str = "skip") -> tuple[list[Item], Counter[str]]:
    """Items whose texts the network can write, and how often each other character occurred.

    Parameters
    ----------
    unknown : {"skip", "remove"}
        Leave out the items with other characters, or those characters.
    """
    if unknown not in ("skip", "remove"):
        raise ValueError(f"unknown must be 'skip' or 'remove', got {unknown!r}")
    known, kept, strange = set(characters), [], Counter[str]()
    for item in items:
        text = unicodedata.normalize("NFC", item.text)
        others = [c for c in text if c not in known]
        strange.update(others)
        if others and unknown == "skip":
            continue
        text = "".join(c for c in text if c in known).strip()
        if text:
            kept.append(replace(item, text=text))
    return kept, strange
