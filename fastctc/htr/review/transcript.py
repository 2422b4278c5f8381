"""Transcripts: what was read on a page and what a person has said of it, as PAGE XML beside the scan.

Words have their alternatives as further ``TextEquiv``, which the format has a place for; what a person has settled is
marked in ``custom``: ``review {state:right;}``. A checksum tells files that were changed by other means.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import SequenceMatcher
from html import escape
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from fastctc.htr.places import Outline, Places
from fastctc.htr.reader import Alternative, Line

CREATOR = "fastctc review"
ENDING = ".review.xml"  # after the whole name of the scan, which no other scan has
LONGEST = 2000  # characters of a line
NAMESPACE = "http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"
STATES = ("", "right", "corrected", "kept")  # kept: changed by other means; nobody has said that it is right


class WordNow(NamedTuple):
    """A word as it stands."""

    name: str
    text: str
    outline: Outline
    confidence: float
    state: str = ""  # right: a person has confirmed it; corrected: has written it
    alternatives: tuple[Alternative, ...] = ()


class LineNow(NamedTuple):
    """A line as it stands. One without words is none: a person has said so."""

    name: str
    outline: Outline
    words: tuple[WordNow, ...]
    state: str = ""

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def touched(self) -> bool:
        """Whether a person has said anything of it, so that no machine may change it any more."""
        return bool(self.state) or any(word.state for word in self.words)

    def doubts(self, doubtful: float) -> list[WordNow]:
        """Words that are less sure than that, and that nobody has settled."""
        return [] if self.state else [word for word in self.words if not word.state and word.confidence < doubtful]

    def settled(self, doubtful: float) -> bool:
        """Whether a person has been here, and no doubt is left: what a network can learn from."""
        return self.touched and self.state != "kept" and not self.doubts(doubtful)


class Conflict(ValueError):
    """What was to be changed is not what it was any more, or belongs to somebody else."""


@dataclass(frozen=True)
class Transcript:
    """A page.

    Attributes
    ----------
    image : str
        The scan's file name.
    rows, columns : int
        Of the scan.
    read_with : str
        A digest of network and settings that have read what nobody has touched.
    doubtful : float
        Below this confidence a word is a doubt.
    """

    image: str
    rows: int
    columns: int
    read_with: str
    doubtful: float
    lines: tuple[LineNow, ...]

    @classmethod
    def of(
        cls, image: str, lines: Sequence[Line], places: Places, read_with: str, doubtful: float, first: int = 1
    ) -> "Transcript":
        """What was read; lines are numbered from ``first`` on."""
        found = []
        for number, line in enumerate(lines, first):
            words = tuple(
                WordNow(f"l{number}w{k}", clean(word.text), places.outline(word.box), word.confidence, "",
                        tuple(one._replace(text=clean(one.text)) for one in word.alternatives))
                for k, word in enumerate(line.words, 1)
                if clean(word.text)
            )  # fmt: skip
            if words:
                found.append(LineNow(f"l{number}", places.outline(line.box), words))
        return cls(image, places.rows, places.columns, read_with, doubtful, tuple(found))

    @property
    def touched(self) -> bool:
        """Whether a person has said anything of this page."""
        return any(line.touched for line in self.lines)

    @property
    def n_doubts(self) -> int:
        return sum(len(line.doubts(self.doubtful)) for line in self.lines)

    @property
    def n_settled(self) -> int:
        """Words that a person has settled."""
        return sum(bool(word.state) for line in self.lines for word in line.words)

    @property
    def finished(self) -> bool:
        """Whether nothing is left that another reading could make better."""
        return all(line.touched for line in self.lines)

    def with_word(self, line: str, word: str, before: str, text: str) -> "Transcript":
        """A person says what a word is: the same is a confirmation, nothing removes the word.

        Raises
        ------
        Conflict
            If the word is not ``before`` any more.
        """
        place, old = self._line(line)
        at = next((k for k, one in enumerate(old.words) if one.name == word), None)
        if at is None or old.words[at].text != before:
            raise Conflict(f"the word {before!r} has become another meanwhile")
        texts = [one.text for one in old.words]
        texts[at] = clean(text)
        if texts[at] == before:
            words = [*old.words]
            words[at] = words[at]._replace(state="right")
            return self._with_line(place, old._replace(words=tuple(words), state=_not_kept(old.state)))
        return self._with_line(place, _rewritten(old, " ".join(texts), old.state))

    def with_line(self, line: str, before: str, text: str) -> "Transcript":
        """A person says what a line is: the same is a confirmation, nothing removes all words.

        Raises
        ------
        Conflict
            If the line is not ``before`` any more.
        """
        place, old = self._line(line)
        if old.text != before:
            raise Conflict(f"the line {before!r} has become another meanwhile")
        new = _rewritten(old, clean(text), "right")
        return self._with_line(
            place, new._replace(words=tuple(one._replace(state=one.state or "right") for one in new.words))
        )

    def read_again(self, newer: "Transcript") -> "Transcript":
        """Another reading of the page for all that no person has touched."""
        kept = [line for line in self.lines if line.touched]
        left = list(kept)
        lines: list[LineNow] = []
        for line in newer.lines:
            same = [old for old in kept if _overlap(old.outline, line.outline) > 0.5]
            if not same:
                lines.append(line)
            for old in same:
                if old in left:
                    left.remove(old)
                    lines.append(old)
        for old in left:  # which the new reading does not find
            at = next((k for k, line in enumerate(lines) if _top(line.outline) > _top(old.outline)), len(lines))
            lines.insert(at, old)
        return replace(newer, lines=tuple(lines))

    def next_number(self) -> int:
        """A number that no line has."""
        numbers = [int(found[1]) for line in self.lines if (found := re.fullmatch(r"l(\d{1,9})", line.name))]
        return max(numbers, default=0) + 1

    def _line(self, name: str) -> tuple[int, LineNow]:
        for place, line in enumerate(self.lines):
            if line.name == name:
                return place, line
        raise Conflict(f"the line {name} is not there any more")

    def _with_line(self, place: int, line: LineNow) -> "Transcript":
        return replace(self, lines=(*self.lines[:place], line, *self.lines[place + 1 :]))

    # Files ------------------------------------------------------------------------------------------------------------

    def to_xml(self) -> str:
        """PAGE XML."""
        body = "\n".join(_line_xml(line) for line in self.lines)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        comment = f"read with {self.read_with}; doubtful {self.doubtful:g}; checksum {_checksum(self.lines)}"
        corners = f"0,0 {self.columns},0 {self.columns},{self.rows} 0,{self.rows}"
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<PcGts xmlns="{NAMESPACE}">\n'
            f" <Metadata><Creator>{CREATOR}</Creator><Created>{now}</Created><LastChange>{now}</LastChange>"
            f"<Comments>{escape(comment)}</Comments></Metadata>\n"
            f' <Page imageFilename={quoteattr(self.image)} imageWidth="{self.columns}" imageHeight="{self.rows}">\n'
            f'  <TextRegion id="region_1"><Coords points="{corners}"/>\n{body}\n'
            "  </TextRegion>\n </Page>\n</PcGts>\n"
        )

    @classmethod
    def from_xml(cls, path: Path) -> "Transcript":
        """What :meth:`to_xml` wrote, and perhaps a person changed by other means: then all that is there is kept.

        Raises
        ------
        Conflict
            If something else wrote it, or it is damaged.
        """
        try:
            root = ElementTree.parse(path).getroot()
            page = root.find(f"{{{NAMESPACE}}}Page")
            if root.findtext(f"{{{NAMESPACE}}}Metadata/{{{NAMESPACE}}}Creator") != CREATOR or page is None:
                raise Conflict(f"{path.name} was not written by {CREATOR}: it stays as it is")
            about = root.findtext(f"{{{NAMESPACE}}}Metadata/{{{NAMESPACE}}}Comments") or ""
            found = re.fullmatch(r"read with (\w*); doubtful ([\d.]+); checksum (\w+)", about)
            lines = tuple(_line_of(line) for line in page.iter(f"{{{NAMESPACE}}}TextLine"))
            if not found or found[3] != _checksum(lines):
                lines = tuple(line if line.touched else line._replace(state="kept") for line in lines)
            return cls(
                page.get("imageFilename", ""),
                int(page.get("imageHeight", "0")),
                int(page.get("imageWidth", "0")),
                found[1] if found else "",
                float(found[2]) if found else 0.5,
                lines,
            )
        except Conflict:
            raise
        except (ElementTree.ParseError, LookupError, ValueError) as error:
            raise Conflict(f"{path.name} is damaged, and stays as it is: {error}") from None


def clean(text: str) -> str:
    """One line of text that XML can hold: composed characters, single blanks, no control characters."""
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cs") and c not in "\ufffe\uffff").strip()


def _not_kept(state: str) -> str:
    return "" if state == "kept" else state


def _rewritten(line: LineNow, text: str, state: str) -> LineNow:
    """The line with another text: words that stay keep their places, others share those of what they replace."""
    if len(text) > LONGEST:
        raise ValueError(f"a line must have at most {LONGEST} characters, got {len(text)}")
    old, new = [word.text for word in line.words], text.split()
    used = {word.name for word in line.words}
    words: list[WordNow] = []
    for kind, first, last, begin, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            words += line.words[first:last]
            continue
        replaced = line.words[first:last]
        for k, one in enumerate(new[begin:end]):
            outline = _share(_around(line, first, last), new[begin:end], k)
            if len(replaced) == end - begin:  # word for word
                words.append(replaced[k]._replace(text=one, state="corrected", confidence=1.0))
                continue
            number = next(n for n in range(1, len(used) + 2) if f"{line.name}w{n}" not in used)
            used.add(f"{line.name}w{number}")
            words.append(WordNow(f"{line.name}w{number}", one, outline, 1.0, "corrected"))
    if not words:
        state = "right"  # that nothing is written here is all that can be said
    return line._replace(words=tuple(words), state=_not_kept(state))


def _around(line: LineNow, first: int, last: int) -> Outline:
    """Where words ``first`` to ``last`` lie, or, if there are none, the gap before the first."""
    words = line.words[first:last] or line.words[max(0, first - 1) : first + 1]
    if not words:
        return line.outline
    points = [point for word in words for point in word.outline]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    if len(words[0].outline) == 4 and len(words[-1].outline) == 4:
        return (words[0].outline[0], words[-1].outline[1], words[-1].outline[2], words[0].outline[3])
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _share(outline: Outline, texts: Sequence[str], k: int) -> Outline:
    """The k-th word's part of a place, by the lengths of the words."""
    lengths = [len(text) + 1 for text in texts]
    whole = sum(lengths) - 1
    begin, end = sum(lengths[:k]) / whole, (sum(lengths[: k + 1]) - 1) / whole
    (a, b, c, d) = outline if len(outline) == 4 else _corners(outline)

    def between(p: tuple[int, int], q: tuple[int, int], share: float) -> tuple[int, int]:
        return round(p[0] + share * (q[0] - p[0])), round(p[1] + share * (q[1] - p[1]))

    return between(a, b, begin), between(a, b, end), between(d, c, end), between(d, c, begin)


def _corners(outline: Outline) -> Outline:
    xs, ys = zip(*outline, strict=True) if outline else ((0, 0), (0, 0))
    return ((min(xs), min(ys)), (max(xs), min(ys)), (max(xs), max(ys)), (min(xs), max(ys)))


def _top(outline: Outline) -> int:
    return min(y for _, y in outline)


def _overlap(one: Outline, other: Outline) -> float:
    """What the smaller of two upright boxes shares with the other."""
    a, _, b, _ = _corners(one)
    c, _, d, _ = _corners(other)
    wide, high = min(b[0], d[0]) - max(a[0], c[0]), min(b[1], d[1]) - max(a[1], c[1])
    smaller = min((b[0] - a[0]) * (b[1] - a[1]), (d[0] - c[0]) * (d[1] - c[1]))
    return max(0, wide) * max(0, high) / max(1, smaller)


def _points(outline: Outline) -> str:
    return f'<Coords points="{" ".join(f"{x},{y}" for x, y in outline)}"/>'


def _state(state: str) -> str:
    return f' custom="review {{state:{state};}}"' if state else ""


def _word_xml(word: WordNow) -> str:
    texts = [Alternative(word.text, word.confidence), *word.alternatives]
    equivalents = "".join(
        f'<TextEquiv index="{k}" conf="{one.probability:.4f}"><Unicode>{escape(one.text)}</Unicode></TextEquiv>'
        for k, one in enumerate(texts)
    )
    return f'    <Word id="{word.name}"{_state(word.state)}>{_points(word.outline)}{equivalents}</Word>'


def _line_xml(line: LineNow) -> str:
    words = "".join(f"{_word_xml(word)}\n" for word in line.words)
    return (
        f'   <TextLine id="{line.name}"{_state(line.state)}>{_points(line.outline)}\n{words}'
        f"    <TextEquiv><Unicode>{escape(line.text)}</Unicode></TextEquiv>\n   </TextLine>"
    )


def _checksum(lines: Iterable[LineNow]) -> str:
    texts = [(line.name, line.state, [(word.name, word.text, word.state) for word in line.words]) for line in lines]
    return hashlib.sha256(repr(texts).encode()).hexdigest()[:16]


def _line_of(element: ElementTree.Element) -> LineNow:
    words = []
    for number, word in enumerate(element.findall(f"{{{NAMESPACE}}}Word"), 1):
        texts = [
            Alternative(one.findtext(f"{{{NAMESPACE}}}Unicode") or "", min(1.0, max(0.0, float(one.get("conf", "1")))))
            for one in word.findall(f"{{{NAMESPACE}}}TextEquiv")
        ]
        if texts and clean(texts[0].text):
            name = word.get("id") or f"w{number}"
            place = _outline_of(word)
            words.append(
                WordNow(name, clean(texts[0].text), place, texts[0].probability, _state_of(word), tuple(texts[1:]))
            )
    return LineNow(element.get("id", "?"), _outline_of(element), tuple(words), _state_of(element))


def _state_of(element: ElementTree.Element) -> str:
    found = re.search(r"review \{state:(\w+);\}", element.get("custom", ""))
    return found[1] if found and found[1] in STATES else ""


def _outline_of(element: ElementTree.Element) -> Outline:
    coords = element.find(f"{{{NAMESPACE}}}Coords")
    text = coords.get("points", "") if coords is not None else ""
    return tuple((int(x), int(y)) for x, y in (point.split(",") for point in text.split())) or ((0, 0),)
