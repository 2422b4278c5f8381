"""Make the example page and the example line: our own text, set in open handwriting fonts that training never sees.

Run from the checkout: ``python examples/make_page.py FONTS``, FONTS being a folder that fastctc synthesize or fastctc
train has filled. The same pictures come out every time.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from fastctc.htr import fonts
from fastctc.htr.distortion import warp

FOLDER = Path(__file__).parent / "handwriting"
PAGE = """Dear friend,
the letters that you left with me have
all been copied now. Some of them are
faded, and on others the rain has been
at work, but most can still be read.
I have written down every name and
every date that I could make out, and
where I was not sure I have said so.
The boxes will go back to the archive
on Monday. Please write to me soon.
"""
LINE = "to the archive on Monday morning"
PAGE_FONT, LINE_FONT = "kalam", "satisfy"


def line_of(text: str, font: object, rng: np.random.Generator) -> np.ndarray:
    """One line of ink, every word a little up or down, the whole a little bent."""
    left, top, right, bottom = font.getbbox(text, anchor="ls")
    picture = Image.new("L", (int(right - left) + 40 + 8 * len(text.split()), int(bottom - top) + 24))
    draw, x = ImageDraw.Draw(picture), 10.0 - left
    for word in text.split():
        draw.text((x, 12 - top + rng.normal(0, 1)), word, fill=255, font=font, anchor="ls")
        x += font.getlength(word + " ") * rng.uniform(0.97, 1.12)
    ink = np.asarray(picture)
    return warp(ink, ink.shape[0], rng, strength=0.35)


def on_paper(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ink of uneven strength on paper of uneven brightness."""
    rows, columns = ink.shape
    y, x = np.mgrid[0:rows, 0:columns]
    light = 232 - 18 * (x / columns) - 12 * (y / max(1, rows)) ** 2
    strength = 0.72 + 0.12 * np.sin(x / 190.0 + y / 70.0)
    return np.clip(light - ink * strength * (light / 255) + rng.normal(0, 2.5, ink.shape), 0, 255).astype(np.uint8)


def main() -> None:
    files = {fonts.family(path): path for path in fonts.find(sys.argv[1])}
    rng = np.random.default_rng(5)
    font = fonts.at_size(files[PAGE_FONT], 44)
    page = np.zeros((1000, 1100), np.uint8)
    for number, text in enumerate(PAGE.splitlines()):
        ink = line_of(text, font, rng)[:, :980]
        top, left = 60 + 88 * number, 70 + int(rng.integers(0, 14))
        region = page[top : top + ink.shape[0], left : left + ink.shape[1]]
        np.maximum(region, ink[: region.shape[0], : region.shape[1]], out=region)
    FOLDER.mkdir(exist_ok=True)
    Image.fromarray(on_paper(page, rng)).save(FOLDER / "page.jpg", quality=82)
    (FOLDER / "page.txt").write_text(PAGE, encoding="utf-8")
    line = line_of(LINE, fonts.at_size(files[LINE_FONT], 52), rng)
    Image.fromarray(on_paper(line, rng)).save(FOLDER / "line.jpg", quality=88)
    (FOLDER / "line.txt").write_text(LINE + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
