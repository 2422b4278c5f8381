"""Lines and words as people might have written them: texts set in handwriting fonts, no two alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fastctc.htr import fonts
from fastctc.htr.preparation import cut, resized

Ink = npt.NDArray[np.uint8]
X_HEIGHT = (17, 25)  # pixels in which the fonts are rendered


@dataclass(frozen=True)
class Synthesizer:
    """Renders example after example; the same number gives the same example.

    Parameters
    ----------
    font_files : sequence of paths
        Anything that Pillow opens: .ttf, .otf, .woff2.
    texts : sequence of str
        Running text; words are taken from it as they stand.
    characters : str
        What may be written; other characters of the texts are left out.
    height : int
        Rows of the pictures.
    words : (int, int)
        The fewest and the most words of an example.
    seed : int
        Another seed, other examples.
    """

    font_files: Sequence[Path]
    texts: Sequence[str]
    characters: str
    height: int = 60
    words: tuple[int, int] = (1, 8)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.font_files:
            raise ValueError("font_files must name at least one font, got none")
        if not any(self._tokens):
            raise ValueError("texts must hold at least one word of the alphabet's characters, got none")

    @cached_property
    def _tokens(self) -> list[list[str]]:
        known = set(self.characters)
        return [
            [kept for word in text.split() if (kept := "".join(c for c in word if c in known))] for text in self.texts
        ]

    def sample(self, number: int) -> tuple[Ink, str]:
        """An image (height, W), ink 255 and paper 0, and its text."""
        rng = np.random.default_rng((self.seed, number))
        path = self.font_files[int(rng.integers(len(self.font_files)))]
        can = fonts.writes(path, self.characters)
        for _ in range(20):
            words = [kept for word in self._words(rng) if (kept := "".join(c for c in word if c in can))]
            if words:
                break
        else:
            raise ValueError(f"{path}: the font has none of the characters of the texts")
        ink = self._written(words, path, rng)
        if rng.random() < 0.12:
            self._neighbours(ink, path, rng)
        if rng.random() < 0.05:
            self._rules(ink, rng)
        top, bottom, left, right = cut(ink)
        ink = ink[top:bottom, left:right]
        width = max(4, round(ink.shape[1] * self.height / ink.shape[0]))
        return resized(ink, self.height, width), " ".join(words)

    def _words(self, rng: np.random.Generator) -> list[str]:
        """Some words of the texts in a row, now and then a number, capitals, or any characters at all."""
        tokens: list[str] = []
        while not tokens:
            tokens = self._tokens[rng.integers(len(self._tokens))]
        fewest, most = self.words
        n = fewest if rng.random() < 0.3 else int(rng.integers(fewest, most + 1))
        start = int(rng.integers(len(tokens)))
        words = tokens[start : start + n]
        for i, word in enumerate(words):
            chance = rng.random()
            if chance < 0.03:
                words[i] = word.upper()
            elif chance < 0.06:
                words[i] = word.capitalize()
            elif chance < 0.10:
                words[i] = _number(rng)
            elif chance < 0.12:
                others = self.characters.replace(" ", "")
                words[i] = "".join(others[k] for k in rng.integers(len(others), size=rng.integers(1, 7)))
        return words

    def _written(self, words: list[str], path: Path, rng: np.random.Generator) -> Ink:
        """Word after word along a base line that no hand keeps quite."""
        from PIL import Image, ImageDraw

        size = int(rng.uniform(*X_HEIGHT) / fonts.x_height(path))
        font = fonts.at_size(path, size)
        space = rng.uniform(0.18, 0.45) * size
        boxes = [font.getbbox(word, anchor="ls") for word in words]
        places, x = [], 8.0
        for word, box in zip(words, boxes, strict=True):
            x -= box[0]
            places.append((x, rng.normal(0, 0.02) * size))
            x += max(font.getlength(word), box[2]) + space * rng.uniform(0.7, 1.5)
        above, below = -min(box[1] for box in boxes) + size // 4, max(box[3] for box in boxes) + size // 4
        picture = Image.new("L", (int(x) + size, above + below))
        draw = ImageDraw.Draw(picture)
        for (left, rise), word in zip(places, words, strict=True):
            draw.text((left, above + rise), word, fill=255, font=font, anchor="ls")
        return np.array(picture)

    def _neighbours(self, ink: Ink, path: Path, rng: np.random.Generator) -> None:
        """The feet of the line above, or the heads of the one below."""
        other = self._written(self._words(rng)[:3], path, rng)
        depth = int(rng.integers(2, 2 + ink.shape[0] // 6))
        width = min(ink.shape[1], other.shape[1])
        at = int(rng.integers(0, ink.shape[1] - width + 1))
        rows = np.flatnonzero(other.max(1))
        if not rows.size:
            return
        if rng.random() < 0.5:
            edge, part = ink[:depth], other[max(0, rows[-1] + 1 - depth) : rows[-1] + 1]
            edge = edge[: len(part)]
        else:
            edge, part = ink[-depth:], other[rows[0] : rows[0] + depth]
            edge = edge[-len(part) :]
        region = edge[:, at : at + width]
        np.maximum(region, part[: len(region), :width], out=region)

    def _rules(self, ink: Ink, rng: np.random.Generator) -> None:
        """The printed line that the writer followed."""
        row = int(rng.integers(ink.shape[0] // 2, ink.shape[0]))
        region = ink[row : row + int(rng.integers(1, 3))]
        np.maximum(region, np.uint8(rng.integers(60, 200)), out=region)


def _number(rng: np.random.Generator) -> str:
    """A year, a day, a sum, an hour."""
    kind = rng.integers(4)
    if kind == 0:
        return str(rng.integers(1500, 2030))
    if kind == 1:
        return f"{rng.integers(1, 32)}.{rng.integers(1, 13)}.{rng.integers(1, 100)}"
    if kind == 2:
        return f"{rng.integers(1, 1000)},{rng.integers(100):02d}"
    return str(rng.integers(0, 100))


def read_texts(paths: Sequence[str | PathLike[str]]) -> list[str]:
    """The lines of text files that hold anything."""
    return [line for path in paths for line in Path(path).read_text(encoding="utf-8").splitlines() if line.strip()]
