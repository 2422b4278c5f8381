"""What was read, beside the image it was read from: one HTML file that needs nothing else."""

import base64
from collections.abc import Sequence
from html import escape
from math import exp, isfinite

import numpy as np
import numpy.typing as npt

from fastctc.htr import jpeg
from fastctc.htr.reader import Line, Word

WIDEST = 1800  # columns of the image that is shown
QUALITY = 80  # of its JPEG
DOUBTFUL = 0.5
STYLE = """body{margin:0;font:16px/1.5 system-ui,sans-serif;color:#222;background:#f4f4f2}
header{padding:.6em 1em;background:#fff;border-bottom:1px solid #ddd}h1{font-size:1.05em;margin:0}
header p{margin:.2em 0 0;color:#555;font-size:.9em}main{display:flex;gap:1em;padding:1em;align-items:flex-start}
.page{position:relative;flex:3 1 0;line-height:0}.page img{width:100%;background:#fff}
.page a{position:absolute;border:1px solid rgba(0,114,178,.45);box-sizing:border-box}
.page a.doubtful{border:2px dashed #D55E00}.page a.on,.page a:hover{background:rgba(0,114,178,.25)}
.text{flex:2 1 0;background:#fff;padding:1em 1.2em;border:1px solid #ddd;position:sticky;top:1em;max-height:94vh;
overflow:auto;overflow-wrap:anywhere}.line{margin:.1em 0}.line span.word{border-radius:3px;cursor:default}
.line .doubtful{text-decoration:underline dashed #D55E00;text-underline-offset:.25em}
.line .on,.line .word:hover{background:#cfe6f5}details{display:inline-block;vertical-align:top;margin-left:.5em}
summary{color:#777;font-size:.8em;cursor:pointer}details ol{margin:.2em 0;padding-left:1.4em;font-size:.85em}
@media(max-width:60em){main{flex-direction:column}.text{position:static;max-height:none}
.page,.text{flex:none;width:100%;box-sizing:border-box}}"""
SCRIPT = """document.addEventListener("mouseover",function(e){var n=e.target.dataset&&e.target.dataset.n;
document.querySelectorAll(".on").forEach(function(x){x.classList.remove("on")});
if(n)document.querySelectorAll('[data-n="'+n+'"]').forEach(function(x){x.classList.add("on")})});"""


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
    boxes, texts, number = [], [], 0
    for line in lines:
        words = []
        for word in line.words:
            number += 1
            sure = "" if word.confidence >= doubtful else " doubtful"
            about = f"{word.text} ({word.confidence:.2f})"
            boxes.append(_frame(word, number, sure, about, image.shape))
            words.append(
                f'<span class="word{sure}" id="w{number}" data-n="{number}" title="{escape(about)}">'
                f"{escape(word.text)}</span>"
            )
        texts.append(f'<div class="line">{" ".join(words)}{_others(line)}</div>')
    picture = base64.b64encode(jpeg.encoded(image, QUALITY, WIDEST)).decode()
    n_doubtful = sum(word.confidence < doubtful for line in lines for word in line.words)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(name)}</title>'
        f"<style>{STYLE}</style></head><body><header><h1>{escape(name)}</h1>"
        f"<p>{len(lines)} lines, {number} words, {n_doubtful} of them doubtful (below {doubtful:g}) and dashed."
        f' Point at a word to find it on the other side.</p></header><main><div class="page">'
        f'<img alt="{escape(name)}" src="data:image/jpeg;base64,{picture}">{"".join(boxes)}</div>'
        f'<div class="text">{"".join(texts)}</div></main><script>{SCRIPT}</script></body></html>\n'
    )


def _frame(word: Word, number: int, sure: str, about: str, shape: tuple[int, ...]) -> str:
    rows, columns = shape[:2]
    box = word.box
    place = (
        f"left:{100 * box.left / columns:.2f}%;top:{100 * box.top / rows:.2f}%;"
        f"width:{100 * box.width / columns:.2f}%;height:{100 * box.height / rows:.2f}%"
    )
    return f'<a class="{sure.strip()}" href="#w{number}" data-n="{number}" title="{escape(about)}" style="{place}"></a>'


def _others(line: Line) -> str:
    """What else the line may say, with each text's share of all that the decoder offers."""
    scores = [one.score for one in line.hypotheses]
    if len(scores) < 2 or not all(isfinite(score) for score in scores):
        return ""
    weights = [exp(score - scores[0]) for score in scores]
    items = "".join(
        f"<li>{escape(one.text)} <small>{weight / sum(weights):.2f}</small></li>"
        for one, weight in zip(line.hypotheses, weights, strict=True)
    )
    return f"<details><summary>or</summary><ol>{items}</ol></details>"
