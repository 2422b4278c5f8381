"""Lines of PAGE XML and ALTO files: which image, where on it, which text."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

from fastctc.htr.review import transcript

FARTHEST = 1_000_000  # pixels from the corner of a page
ABOVE, BELOW = 0.75, 0.35  # of the distance between lines: what a line takes above and below its base line


@dataclass(frozen=True)
class XmlLine:
    """A line as the file describes it."""

    name: str
    text: str
    outline: tuple[tuple[int, int], ...]


def read_lines(path: Path) -> tuple[Path, list[XmlLine]]:
    """The image that a file describes, and its lines.

    A polygon is taken where there is one, else the base line with what lines take above and below it. Of what
    ``fastctc review`` wrote, the lines are taken that a person has settled.

    Raises
    ------
    ValueError
        If it is no PAGE or ALTO XML, names no image, or a line's points are no numbers.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # also encodings that do not exist
        raise ValueError(f"the XML is damaged: {error}") from None
    kind = _name(root)
    if kind == "PcGts":
        name, lines = _page(root)
        if any(creator.text == transcript.CREATOR for creator in _all(root, "Creator")):
            lines = _settled(path)
    elif kind == "alto":
        name, lines = _alto(root)
    else:
        raise ValueError(f"must be PAGE or ALTO XML, but the root is {kind!r}")
    if not name:
        raise ValueError("names no image")
    image = path.parent / Path(name.replace("\\", "/")).name
    return image, [XmlLine(*line) for line in _with_outlines(lines)]


Found = tuple[str, str, list[tuple[int, int]], list[tuple[int, int]]]  # name, text, polygon, base line


def _name(element: ElementTree.Element) -> str:
    return element.tag.rsplit("}", 1)[-1]


def _all(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [found for found in element.iter() if _name(found) == name]


def _child(element: ElementTree.Element, name: str) -> ElementTree.Element | None:
    return next((found for found in element if _name(found) == name), None)


def _points(text: str | None) -> list[tuple[int, int]]:
    """``"1,2 3,4"`` as in PAGE, or ``"1 2 3 4"`` as in ALTO."""
    numbers = [float(number) for number in (text or "").replace(",", " ").split()]
    if len(numbers) % 2 or not all(abs(number) <= FARTHEST for number in numbers):
        raise ValueError(f"points must be pairs of numbers up to {FARTHEST}, got {text!r}")
    return [(round(x), round(y)) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]


def _page(root: ElementTree.Element) -> tuple[str, list[Found]]:
    pages = _all(root, "Page")
    lines: list[Found] = []
    for line in _all(root, "TextLine"):
        equivalent, coords, base = _child(line, "TextEquiv"), _child(line, "Coords"), _child(line, "Baseline")
        unicode_text = None if equivalent is None else _child(equivalent, "Unicode")
        text = "" if unicode_text is None else unicode_text.text or ""
        polygon = _points(coords.get("points")) if coords is not None else []
        lines.append((line.get("id", "?"), text, polygon, _points(base.get("points")) if base is not None else []))
    return (pages[0].get("imageFilename", "") if pages else ""), lines


def _settled(path: Path) -> list[Found]:
    """Lines that a person has settled, but for those that lie on their side: their pages were turned to be read."""
    found = transcript.Transcript.from_xml(path)
    return [
        (line.name, line.text, list(line.outline), [])
        for line in found.lines
        if line.words and line.settled(found.doubtful) and _runs_right(line.outline)
    ]


def _runs_right(outline: Sequence[tuple[int, int]]) -> bool:
    """Whether the upper edge of what was read, from the first corner to the second, leads to the right."""
    (left, top), (right, bottom) = outline[0], outline[min(1, len(outline) - 1)]
    return right - left >= abs(bottom - top)


def _alto(root: ElementTree.Element) -> tuple[str, list[Found]]:
    names = _all(root, "fileName")
    lines: list[Found] = []
    for line in _all(root, "TextLine"):
        text = " ".join(string.get("CONTENT", "") for string in _all(line, "String"))
        shapes = _child(line, "Shape")
        polygons = _all(shapes, "Polygon") if shapes is not None else []
        polygon = _points(polygons[0].get("POINTS")) if polygons else []
        if not polygon and line.get("HPOS") and line.get("WIDTH"):
            (x, y), (w, h) = _points(" ".join(line.get(key) or "0" for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT")))
            polygon = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        base = line.get("BASELINE", "")
        lines.append(
            (line.get("ID", "?"), text, polygon, _points(base) if len(base.split()) > 1 or "," in base else [])
        )
    return (names[0].text or "" if names else ""), lines


def _with_outlines(lines: list[Found]) -> list[tuple[str, str, tuple[tuple[int, int], ...]]]:
    """An outline for every line; one around its base line if it has nothing else."""
    heights = sorted(sum(y for _, y in base) / len(base) for *_, base in lines if base)
    gaps = sorted(b - a for a, b in pairwise(heights) if b - a > 5)
    pitch = gaps[len(gaps) // 2] if gaps else 60.0
    result = []
    for name, text, polygon, base in lines:
        outline = polygon
        if len(outline) < 3 and base:
            above = [(x, round(y - ABOVE * pitch)) for x, y in base]
            outline = above + [(x, round(y + BELOW * pitch)) for x, y in reversed(base)]
        if len(outline) >= 3:
            result.append((name, text, tuple(outline)))
    return result
