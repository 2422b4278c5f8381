"""Pictures of what was found: matplotlib for curves and maps, Pillow for boxes on images."""

import unicodedata
from collections.abc import Sequence
from functools import cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastctc import storage

if TYPE_CHECKING:
    from fastctc.htr.reader import Line
    from fastctc.imaging.segmentation import TextLine

INSTALL = 'plots need matplotlib: pip install "fastctc[plot]"'

# Okabe and Ito's colours, which people with any sight tell apart, each with a line style and a mark of its own.
STYLES = [
    {"color": color, "linestyle": line, "marker": mark}
    for color, line, mark in zip(
        ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000"], ["-", "--", ":", "-.", "-"], "os^xD", strict=True
    )
]

# Of Linux, Windows and macOS, as Pillow finds them by name: the font that Pillow brings has no accents.
FONTS = ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "arial.ttf", "Arial.ttf", "Helvetica.ttc")


def figure(rows: int = 1, columns: int = 1, **options: Any) -> tuple[Any, Any]:
    """A figure and its axes that no window shows; it is freed with the caller's last reference."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f"{INSTALL} ({error})") from None
    made = Figure(layout="constrained", **options)
    FigureCanvasAgg(made)
    return made, made.subplots(rows, columns)


def save(made: Any, path: str | PathLike[str], dpi: int = 110) -> None:
    """Write a figure; the ending says in which format."""
    with storage.replaced(path) as file:
        made.savefig(file, format=Path(path).suffix.removeprefix("."), dpi=dpi)


def plot_learning_curves(rows: Sequence[Sequence[float]], ax: Any = None) -> Any:
    """Loss, CER and WER over the steps of a training; rows as in curves.csv."""
    if ax is None:
        _, ax = figure(figsize=(7, 4))
    table = np.array([row[:5] for row in rows], float)
    ax.plot(table[:, 0], 100 * table[:, 3], "k-", marker="o", markersize=3, label="CER (%)")
    ax.plot(table[:, 0], 100 * table[:, 4], color="0.5", linestyle="--", label="WER (%)")
    ax.set(xlabel="step", ylabel="error rate (%)", ylim=(0, None), title="Validation errors and training loss")
    ax.legend(loc="upper left")
    right = ax.twinx()
    right.plot(table[:, 0], table[:, 2], "k:", label="loss")
    right.set(ylabel="loss (nats per image)", ylim=(0, None))
    right.legend(loc="upper right")
    return ax


def plot_reliability(
    confidence: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_], bins: int = 10, ax: Any = None
) -> Any:
    """How often what was read with some confidence is right; on the diagonal confidence is what it says."""
    if ax is None:
        _, ax = figure(figsize=(4.5, 4.5))
    edges = np.linspace(0, 1, bins + 1)
    number = np.clip((confidence * bins).astype(int), 0, bins - 1)
    ax.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="what it should be")
    counts = np.bincount(number, minlength=bins)
    right = np.bincount(number, weights=correct.astype(float), minlength=bins)
    filled = counts > 0
    ax.bar(
        edges[:-1][filled],
        (right / np.maximum(counts, 1))[filled],
        width=1 / bins,
        align="edge",
        color="0.8",
        edgecolor="k",
    )
    for left, height, count in zip(
        edges[:-1][filled], (right / np.maximum(counts, 1))[filled], counts[filled], strict=True
    ):
        ax.text(left + 0.5 / bins, height + 0.01, str(count), ha="center", fontsize=7)
    ax.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.05), title="Reliability")
    ax.legend(loc="upper left")
    return ax


def draw_boxes(image: npt.NDArray[np.uint8], lines: "Sequence[TextLine]") -> npt.NDArray[np.uint8]:
    """The image with its lines, numbered in reading order, and their words."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(image).convert("RGB")
    scale = max(1, round(min(picture.size) / 900))
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines, 1):
        b = line.box
        draw.rectangle((b.left, b.top, b.right, b.bottom), outline=(30, 80, 180), width=scale)
        font = ImageFont.load_default(float(np.clip(b.height * 0.35, 11, 40)))
        draw.text((b.left - 3 * scale, b.top), str(number), fill=(30, 80, 180), font=font, anchor="rt")
        for word in line.words:
            draw.rectangle((word.left, word.top, word.right, word.bottom), outline=(200, 90, 0), width=scale)
    return np.asarray(picture)


@cache
def system_font(size: int) -> Any:
    """A font of the system that has accents, or None."""
    from PIL import ImageFont

    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return None


def lettering(text: str, size: int) -> tuple[str, Any]:
    """Text and a font to write it in: without accents, if the system has no font that is known to have them."""
    from PIL import ImageFont

    font = system_font(size)
    if font is not None:
        return text, font
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return plain, ImageFont.load_default(size)


def draw_overlay(image: npt.NDArray[np.uint8], lines: "Sequence[Line]", doubtful: float = 0.5) -> npt.NDArray[np.uint8]:
    """The image with boxes around its words and what was read above them; doubtful words in red, with a ?."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(image).convert("RGB")
    scale = max(1, round(min(picture.size) / 900))
    draw = ImageDraw.Draw(picture)
    for line in lines:
        for word in line.words:
            b = word.box
            sure = word.confidence >= doubtful
            colour = (0, 110, 60) if sure else (200, 30, 30)
            draw.rectangle((b.left, b.top, b.right, b.bottom), outline=colour, width=scale)
            size = int(np.clip(b.height * 0.35, 11, 40))
            text, font = lettering(word.text if sure else f"{word.text} ?", size)
            left, top, right, bottom = draw.textbbox((b.left, max(0, b.top - 1.1 * size)), text, font=font)
            draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=(255, 255, 235))
            draw.text((b.left, max(0, b.top - 1.1 * size)), text, fill=colour, font=font)
    return np.asarray(picture)
