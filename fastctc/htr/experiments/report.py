"""All experiments on one page: what was asked, done and found, with pictures, in a file that needs nothing else."""

import base64
import hashlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

import fastctc
from fastctc import storage
from fastctc.htr import experiments
from fastctc.htr.experiments.result import Report, Table, quiet
from fastctc.htr.preparation import prepared
from fastctc.htr.reader import Reader

QUESTIONS = {
    "pixel_relevance": (
        "Which pixels does the network look at?",
        "Every pixel in turn is taken as unknown: the probability of the text is averaged over five grey values, "
        "weighted "
        "as the image has them, and compared with the probability as it is, in bits of evidence (prediction difference "
        "analysis, Zintgraf et al. 2017).",
    ),
    "hypothesis_editing": (
        "What if there were a dot here?",
        "The image is edited, as a person would who wants to know what the network reacts to: a dot is drawn, a "
        "ligature cut, "
        "a hole whitened.",
    ),
    "translation_invariance": (
        "Does it matter where the text stands?",
        "The image is moved right pixel by pixel, on the network that comes with the package; then small networks are "
        "trained with text at one place and at all places, with max pooling and with blurred pooling.",
    ),
    "padding": (
        "Can a convolution and a sum know where a pixel is?",
        "One white pixel on 8 × 8, y = sum of conv(x), trained to find the upper left corner, with every padding "
        "and several "
        "seeds; beside it the exact table of how often each weight of the kernel touches the pixel.",
    ),
    "trained_padding": (
        "What does padding do to a trained recogniser?",
        "Small networks, alike but for the padding of their convolutions, several seeds.",
    ),
    "pooling": (
        "Max, average, or blurred pooling?",
        "Three convolutions learn to tell discs from rectangles; a rectangle is moved over every position.",
    ),
}
STYLE = """body{font:16px/1.5 Georgia,serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}
h1,h2{font-family:Helvetica,Arial,sans-serif}figure{margin:1em 0}img{max-width:100%}
table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.2em .6em;text-align:left;font-size:.85em}
.asked{color:#555}footer{color:#777;font-size:.85em;margin-top:3em}"""


@dataclass(frozen=True)
class Effort:
    """How much is computed."""

    word: str
    patch: int
    shifts: int
    steps: int
    seeds: int
    modes: tuple[str, ...]
    cases: tuple[tuple[int, str], ...]
    character: int | None = None
    prior: str = "histogram"


FULL = Effort("are", 1, 28, 700, 3, ("zero", "reflect", "symmetric", "circular"),
              ((0, "max"), (1, "max"), (2, "max"), (2, "average"), (2, "blur")))  # fmt: skip
QUICK = Effort("are", 8, 8, 3, 1, ("zero", "circular"), ((0, "max"), (1, "max")))


def example(reader: Reader, text: str) -> Any:
    """A picture of a text as the network sees it, set in the font that comes with Pillow."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(48)
    left, top, right, bottom = font.getbbox(text)
    picture = Image.new("L", (int(right - left) + 40, int(bottom - top) + 30), 255)
    ImageDraw.Draw(picture).text((20 - left, 15 - top), text, fill=0, font=font)
    return framed_example(reader, np.asarray(picture))


def framed_example(reader: Reader, image: Any) -> Any:
    """An image as the network sees it, continued with paper to a multiple of 32 columns."""
    ink = prepared(image, reader.config.height).ink
    return np.pad(ink, ((0, 0), (0, -ink.shape[1] % 32)))


def tasks(reader: Reader, effort: Effort, image: Any, text: str) -> dict[str, Callable[[Report], Any]]:
    """What to run for each experiment."""
    config, weights, _ = reader._network
    ink = example(reader, text) if image is None else framed_example(reader, image)

    def editing(report: Report) -> Any:
        module = experiments.load("hypothesis_editing")
        return module.run(config, weights, ink, text, module.usual_edits(ink), report=report)

    def shifting(report: Report) -> Any:
        words = [text, "little", "house"] if image is None else [text]
        inks = [ink] if image is not None else [example(reader, word) for word in words]
        return experiments.load("translation_invariance").run(
            config, weights, inks, words, shifts=effort.shifts, steps=effort.steps, seeds=effort.seeds, report=report
        )

    return {
        "pixel_relevance": lambda report: experiments.load("pixel_relevance").run(
            config,
            weights,
            ink,
            text,
            patch=effort.patch,
            prior=effort.prior,
            character=effort.character,
            report=report,
        ),
        "hypothesis_editing": editing,
        "translation_invariance": shifting,
        "padding": lambda report: experiments.load("padding").run(report=report),
        "trained_padding": lambda report: experiments.load("trained_padding").run(
            steps=effort.steps, seeds=effort.seeds, modes=effort.modes, report=report
        ),
        "pooling": lambda report: experiments.load("pooling").run(
            steps=max(4, effort.steps * 3 // 7), seeds=effort.seeds, cases=effort.cases, report=report
        ),
    }


def run(
    names: tuple[str, ...],
    out: Path,
    *,
    reader: Reader,
    effort: Effort = FULL,
    image: Any = None,
    text: str | None = None,
    report: Report = quiet,
) -> Path:
    """Run experiments, keep what they find, and write ``report.html``.

    Results that are there already, of the same weights, image and effort, are not computed again.
    """
    out.mkdir(parents=True, exist_ok=True)
    text = text or effort.word
    weights = Path(reader.weights) if reader.weights else None
    from fastctc.htr.reader import shipped_weights

    about = hashlib.sha256((weights or shipped_weights()).read_bytes() + fastctc.__version__.encode())
    about.update(repr((effort, text, None if image is None else np.asarray(image).tobytes())).encode())
    key = about.hexdigest()[:12]
    sections = []
    work = tasks(reader, effort, image, text)
    for name in names:
        module = experiments.load(name)
        file = f"{name}-{key}"
        start = time.monotonic()
        try:
            result = module.RESULT.load(out, file)
            report(f"{name}: kept from before")
        except (OSError, ValueError):
            report(f"{name} ...")
            try:
                result = work[name](partial(_named, report, name))
            except ImportError as error:
                sections.append(_section(name, [f"Left out: {error}"], None, []))
                report(f"{name}: left out: {error}")
                continue
            result.save(out, file)
            report(f"{name}: {time.monotonic() - start:.0f} s")
        picture = io.BytesIO()
        module.plot(result).savefig(picture, format="png", dpi=110)
        with storage.replaced(out / f"{name}.png") as place:
            place.write(picture.getvalue())
        sections.append(_section(name, module.findings(result), picture.getvalue(), module.table(result)))
    page = out / "report.html"
    storage.write_text(page, _page(sections, reader, effort))
    return page


def _named(report: Report, name: str, line: str) -> None:
    report(f"{name}: {line}")


def _section(name: str, found: list[str], picture: bytes | None, table: Table) -> str:
    title, asked = QUESTIONS[name]
    shown = ""
    if picture is not None:
        data = base64.b64encode(picture).decode()
        shown = f'<figure><img alt="{escape(title)}" src="data:image/png;base64,{data}"></figure>'
    items = "".join(f"<li>{escape(line)}</li>" for line in found)
    if table:
        lines = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in table]
        lines[0] = lines[0].replace("td>", "th>")
        shown += "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
    return (
        f'<section id="{name}"><h2>{escape(title)}</h2><p class="asked">{escape(asked)}</p>{shown}'
        f"<h3>Found</h3><ul>{items}</ul></section>"
    )


def _page(sections: list[str], reader: Reader, effort: Effort) -> str:
    how = "quick, for a look only: networks are hardly trained" if effort == QUICK else "full"
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Looking inside a handwriting '
        "recogniser</title>"
        f"<style>{STYLE}</style></head><body><h1>Looking inside a handwriting recogniser</h1>"
        f"<p>Experiments after H. Scheidl's articles, on "
        f"{'the network of fastctc' if reader.weights is None else 'a network'} "
        f"({escape(str(reader.config.height))} pixels high, {reader.config.stride} columns a frame). Effort: {how}.</p>"
        + "".join(sections)
        + "<footer>Made by <code>fastctc experiment</code>.</footer></body></html>\n"
    )
