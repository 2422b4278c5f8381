"""Lines and words as people might have written them: texts set in handwriting fonts, no two alike."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.htr import fonts, phrases
from fastctc.htr.preparation import cut, resized

Ink = npt.NDArray[np.uint8]
X_HEIGHT = (17, 25)  # pixels in which the fonts are rendered
PHRASES = 0.25  # share of names, dates, addresses and the like, where a language is named
PASSAGES = 3  # of which the one with the rarest characters is written


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
    language : {"en", "fr"}, optional
        Of names, dates, amounts and addresses between the words of the texts; by default there are none.
    """

    font_files: Sequence[Path]
    texts: Sequence[str]
    characters: str
    height: int = 60
    words: tuple[int, int] = (1, 8)
    seed: int = 0
    language: str | None = None

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

    @cached_property
    def _rarity(self) -> dict[str, float]:
        """-ln of the share of each character in the texts."""
        counts = Counter(c for words in self._tokens for word in words for c in word)
        total = sum(counts.values())
        return {c: log((total + len(self.characters)) / (counts[c] + 1)) for c in self.characters}

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
        top, bottom, left, right = cut(ink)
        ink = ink[top:bottom, left:right]
        width = max(4, round(ink.shape[1] * self.height / ink.shape[0]))
        return resized(ink, self.height, width), " ".join(words)

    def _words(self, rng: np.random.Generator) -> list[str]:
        """Some words of the texts in a row, now and then a name, a number, capitals, or any characters at all."""
        if self.language is not None and rng.random() < PHRASES:
            found = phrases.phrase(rng, self.language)
            while len(found) < self.words[1] and rng.random() < 0.5:
                found += phrases.phrase(rng, self.language)
            start = int(rng.integers(max(1, len(found) - self.words[1] + 1)))
            return found[start : start + self.words[1]]
        # Of some passages the one with the rarest characters, so that k, w and capitals are not forgotten.
        fewest, most = self.words
        n = fewest if rng.random() < 0.3 else int(rng.integers(fewest, most + 1))
        passages = [self._passage(n, rng) for _ in range(1 if self.language is None else PASSAGES)]
        words = max(passages, key=self._mean_rarity)
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

    def _passage(self, n: int, rng: np.random.Generator) -> list[str]:
        tokens: list[str] = []
        while not tokens:
            tokens = self._tokens[rng.integers(len(self._tokens))]
        start = int(rng.integers(len(tokens)))
        return tokens[start : start + n]

    def _mean_rarity(self, words: list[str]) -> float:
        letters = [c for word in words for c in word if c.isalnum()]
        return sum(self._rarity[c] for c in letters) / max(1, len(letters))

    def _written(self, words: list[str], path: Path, rng: np.random.Generator) -> Ink:
        """Word after word along a base line that no hand keeps quite."""
        size = int(rng.uniform(*X_HEIGHT) / fonts.x_height(path))
        hand = Hand.draw(path, size, rng)
        space = rng.uniform(0.18, 0.45) * size
        boxes = [hand.font.getbbox(word, anchor="ls") for word in words]
        above, below = -min(box[1] for box in boxes) + size // 4, max(box[3] for box in boxes) + size // 4
        pictures = [hand.word(word, above, below, rng) for word in words]
        gaps = [int(space * rng.uniform(0.7, 1.5)) for _ in words]
        width = sum(picture.shape[1] for picture, _, _ in pictures) + sum(gaps)
        line, x = np.zeros((above + below, width), np.uint8), 0
        for (picture, left, advance), gap in zip(pictures, gaps, strict=True):
            start = max(0, x - left)
            part = line[:, start : start + picture.shape[1]]
            np.maximum(part, picture[:, : part.shape[1]], out=part)
            x = start + left + advance + gap
        return line


@dataclass(frozen=True)
class Hand:
    """How the letters of a line stand: all of one font, more or less close, joined or not, each word with its slant."""

    font: Any
    size: int
    x_height: float  # pixels
    spread: float | None  # pixels that are added between letters; None: as the font sets them
    joined: bool  # a stroke from each small letter to the next
    slants: float  # standard deviation of the words' slants
    rises: float  # and of their places above the base line, pixels

    @classmethod
    def draw(cls, path: Path, size: int, rng: np.random.Generator) -> "Hand":
        """Some hand that writes with this font."""
        joined = bool(rng.random() < 0.2)
        spread = rng.uniform(0.02, 0.14) * size if joined else rng.normal(0, 0.03) * size
        return cls(
            font=fonts.at_size(path, size),
            size=size,
            x_height=fonts.x_height(path) * size,
            spread=float(spread) if joined or rng.random() < 0.25 else None,
            joined=joined,
            slants=float(abs(rng.normal(0, 0.06))),
            rises=float(abs(rng.normal(0, 0.025)) * size),
        )

    def word(self, word: str, above: int, below: int, rng: np.random.Generator) -> tuple[Ink, int, int]:
        """A picture of a word, the column where it begins, and how many columns farther the next may begin."""
        from PIL import Image, ImageDraw

        slant, rise = rng.normal(0, self.slants), rng.normal(0, self.rises)
        box = self.font.getbbox(word, anchor="ls")
        left = max(0, -int(box[0])) + self.size // 3
        long = self.font.getlength(word) + max(0.0, self.spread or 0.0) * len(word)
        width = left + int(max(long, box[2])) + self.size
        picture = Image.new("L", (width, above + below))
        draw = ImageDraw.Draw(picture)
        base = above + rise
        if self.spread is None:
            draw.text((left, base), word, fill=255, font=self.font, anchor="ls")
            advance = int(max(long, box[2]))
        else:
            advance = int(self._letters(draw, word, left, base, rng) - left)
        if abs(slant) > 0.01:
            matrix = (1, slant, -slant * above, 0, 1, 0)
            picture = picture.transform(picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        return np.asarray(picture), left, max(1, advance)

    def _letters(self, draw: Any, word: str, x: float, base: float, rng: np.random.Generator) -> float:
        """Letter by letter; returns where the last one ends."""
        spread = self.spread or 0.0
        pen = max(1, round(self.x_height * rng.uniform(0.05, 0.12)))
        end: tuple[float, float] | None = None
        for k, letter in enumerate(word):
            rise = rng.normal(0, 0.015) * self.size
            draw.text((x, base + rise), letter, fill=255, font=self.font, anchor="ls")
            box = self.font.getbbox(letter, anchor="ls")
            small = self.joined and letter.isalpha() and letter.islower()
            if small and end is not None:
                start = x + box[0] + 0.1 * (box[2] - box[0]), base - self.x_height * rng.uniform(0.35, 0.8)
                if start[0] > end[0] + pen:
                    _curve(draw, end, start, pen, dip=min(0.2 * self.x_height, 0.4 * (start[0] - end[0])))
            end = (x + 0.95 * box[2], base - 0.12 * self.x_height) if small else None
            x += self.font.getlength(word[k : k + 2]) - self.font.getlength(word[k + 1 : k + 2])
            x += spread * rng.uniform(0.5, 1.5)
        return x


def _curve(draw: Any, begin: tuple[float, float], end: tuple[float, float], pen: int, dip: float) -> None:
    """A stroke that goes down a little before it rises."""
    t = np.linspace(0, 1, 8)
    middle = (begin[0] + end[0]) / 2, max(begin[1], end[1]) + dip
    x, y = ((1 - t) ** 2 * a + 2 * t * (1 - t) * m + t**2 * b for a, m, b in zip(begin, middle, end, strict=True))
    draw.line([(float(u), float(v)) for u, v in zip(x, y, strict=True)], fill=255, width=pen, joint="curve")


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
