"""What was read, beside the image it was read from: one HTML file that needs nothing else, and the view of a review."""

import base64
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from math import exp, isfinite
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastctc.htr import jpeg
from fastctc.htr.places import Outline, Places
from fastctc.htr.reader import Alternative, Line

WIDEST = 1800  # columns of the image that is shown
QUALITY = 80  # of its JPEG
DOUBTFUL = 0.5


class ShownWord(NamedTuple):
    """A word of the view. Its ``mark`` is "doubtful", "right", "corrected" or nothing."""

    name: str
    text: str
    outline: Outline
    confidence: float
    mark: str = ""
    alternatives: tuple[Alternative, ...] = ()


class ShownLine(NamedTuple):
    """A line of the view, with the other texts that it may have as a whole."""

    name: str
    words: tuple[ShownWord, ...]
    mark: str = ""
    others: tuple[Alternative, ...] = ()
    outline: Outline = ()


def write(name: str, lines: Sequence[Line], image: npt.NDArray[np.uint8], doubtful: float = DOUBTFUL) -> str:
    """A page with the image, a frame around each word, and the text; what one points at is marked on both sides.

    Parameters
    ----------
    name : str
        The image's file name.
    image : array (rows, columns) or (rows, columns, 3) of uint8
        On which the lines' boxes lie.
    doubtful : float
        Words with a lower confidence are dashed. Each line has the other texts that its decoder offers.
    """
    doubtful = doubtful or DOUBTFUL
    shown = _shown(lines, Places(*image.shape[:2]), doubtful)
    n_words = sum(len(line.words) for line in shown)
    n_doubtful = sum(word.mark == "doubtful" for line in shown for word in line.words)
    picture = base64.b64encode(jpeg.encoded(image, QUALITY, WIDEST)).decode()
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(name)}</title>'
        f"<style>{asset('view.css')}</style></head><body><header><h1>{escape(name)}</h1>"
        f"<p>{len(shown)} lines, {n_words} words, {n_doubtful} of them doubtful (below {doubtful:g}) and dashed."
        " Point at a word to find it on the other side.</p></header>"
        f"<main>{view(name, shown, image.shape[1], image.shape[0], f'data:image/jpeg;base64,{picture}')}</main>"
        f"<script>{asset('view.js')}</script></body></html>\n"
    )


def view(name: str, lines: Sequence[ShownLine], columns: int, rows: int, source: str) -> str:
    """Image and text side by side: the part that reviews and files have in common.

    Parameters
    ----------
    columns, rows : int
        Of the image on which the outlines lie, whatever the size of the one that is shown.
    source : str
        Where the shown image is.
    """
    frames = "".join(_frame(word) for line in lines for word in line.words)
    texts = "".join(_text(line) for line in lines)
    return (
        f'<div class="page"><img alt="{escape(name)}" src="{escape(source)}" width="{columns}" height="{rows}">'
        f'<svg viewBox="0 0 {columns} {rows}" preserveAspectRatio="none">{frames}</svg></div>'
        f'<div class="text">{texts}</div>'
    )


def asset(name: str) -> str:
    """A style sheet or script of the view."""
    return files("fastctc.htr").joinpath("review", name).read_text(encoding="utf-8")


def _shown(lines: Sequence[Line], places: Places, doubtful: float) -> list[ShownLine]:
    result, number = [], 0
    for k, line in enumerate(lines, 1):
        words = []
        for word in line.words:
            number += 1
            mark = "" if word.confidence >= doubtful else "doubtful"
            words.append(
                ShownWord(f"w{number}", word.text, places.outline(word.box), word.confidence, mark, word.alternatives)
            )
        result.append(ShownLine(f"l{k}", tuple(words), others=_others(line)))
    return result


def _others(line: Line) -> tuple[Alternative, ...]:
    """What else the line may say, with each text's share of all that the decoder offers."""
    scores = [one.score for one in line.hypotheses]
    if len(scores) < 2 or not all(isfinite(score) for score in scores):
        return ()
    weights = [exp(score - scores[0]) for score in scores]
    return tuple(
        Alternative(one.text, weight / sum(weights)) for one, weight in zip(line.hypotheses, weights, strict=True)
    )


def _about(word: ShownWord) -> str:
    or_else = ", ".join(f"{other.text} ({other.probability:.2f})" for other in word.alternatives)
    return f"{word.text} ({word.confidence:.2f})" + (f"; or {or_else}" if or_else else "")


def _frame(word: ShownWord) -> str:
    points = " ".join(f"{x},{y}" for x, y in word.outline)
    about = escape(_about(word))
    return (
        f'<polygon class="{word.mark}" data-n="{escape(word.name)}" points="{points}"><title>{about}</title></polygon>'
    )


def _text(line: ShownLine) -> str:
    words = " ".join(
        f'<span class="word {word.mark}" data-n="{escape(word.name)}" data-c="{word.confidence:.4f}" '
        f'data-or="{escape(json.dumps(word.alternatives, ensure_ascii=False))}" title="{escape(_about(word))}">'
        f"{escape(word.text)}</span>"
        for word in line.words
    )
    items = "".join(f"<li>{escape(one.text)} <small>{one.probability:.2f}</small></li>" for one in line.others)
    others = f"<details><summary>or</summary><ol>{items}</ol></details>" if items else ""
    empty = "" if line.words else '<span class="none">nothing is written here</span>'
    points = " ".join(f"{x},{y}" for x, y in line.outline)
    return f'<div class="line {line.mark}" data-l="{escape(line.name)}" data-p="{points}">{words}{empty}{others}</div>'
