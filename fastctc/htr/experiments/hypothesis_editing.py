"""What if there were a dot here, or the letters did not touch there? Change the image, and look at the probability.

After Scheidl, "Intelligence of a text recognizer", 2018: a hypothesis about what the network looks at is tested by an
edit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.decoders import BeamSearch
from fastctc.htr import network as plain
from fastctc.htr.config import Config
from fastctc.htr.experiments.pixel_relevance import Scorer, _as_images
from fastctc.htr.experiments.result import Report, Result, Table, quiet

Ink = npt.NDArray[np.uint8]
Edit = Callable[[Ink], Ink]


@dataclass(frozen=True)
class Edits(Result):
    """The unchanged image first, then one row for every edit."""

    images: Ink  # (N, H, W)
    log_probs: npt.NDArray[np.float64]  # (N,), ln p of the text
    names: list[str]
    read: list[str]  # what is read instead
    text: str


def dot(x: int, y: int, radius: float = 2.0, ink: int = 255) -> Edit:
    """Draw a dot."""

    def edit(image: Ink) -> Ink:
        v, u = np.ogrid[: image.shape[0], : image.shape[1]]
        changed = image.copy()
        changed[(u - x) ** 2 + (v - y) ** 2 <= radius * radius] = ink
        return changed

    return edit


def cut(left: int, right: int, top: int = 0, bottom: int | None = None) -> Edit:
    """Whiten some columns: cut what joins two letters."""

    def edit(image: Ink) -> Ink:
        changed = image.copy()
        changed[top:bottom, left:right] = 0
        return changed

    return edit


def whiten(x: int, y: int, radius: float = 2.0) -> Edit:
    """Whiten a hole."""
    return dot(x, y, radius, ink=0)


def run(
    config: Config,
    weights: dict[str, Any],
    ink: Ink,
    text: str,
    edits: Sequence[tuple[str, Edit]],
    *,
    report: Report = quiet,
) -> Edits:
    """Score and reading for the image and for every edited one."""
    names = ["unchanged", *(name for name, _ in edits)]
    images = np.stack([ink, *(edit(ink) for _, edit in edits)])
    scorer = Scorer(config, weights, ink, text)
    rows = plain.network(config, weights, _as_images(images))
    found = BeamSearch(config.alphabet, 25).decode_batch(rows)
    report(f"{len(edits)} edits")
    return Edits(images, scorer.log_probs(images), names, [one[0].text for one in found], text)


def usual_edits(ink: Ink) -> list[tuple[str, Edit]]:
    """Edits that say something for most words: dots above it, cuts at its valleys, a hole in its thickest place."""
    height, width = ink.shape
    rows, columns = np.flatnonzero((ink > 127).any(1)), np.flatnonzero((ink > 127).any(0))
    if not len(columns):
        return []
    left, right, top = int(columns[0]), int(columns[-1]), int(rows[0])
    edits: list[tuple[str, Edit]] = []
    for k in (1, 3, 5):
        x = left + (right - left) * k // 6
        first = int(np.argmax(ink[:, x] > 127)) if (ink[:, x] > 127).any() else top
        edits.append((f"dot at column {x}", dot(x, max(2, first - 5))))
    weight = ink[:, left : right + 1].astype(float).sum(0)
    inner = np.arange(len(weight))[4:-4]
    for valley in sorted(inner[np.argsort(weight[inner], kind="stable")][:40:20]) if len(inner) else ():
        edits.append((f"cut at column {left + valley}", cut(left + int(valley) - 1, left + int(valley) + 2)))
    mass = np.add.reduceat(np.add.reduceat(ink.astype(int), range(0, height, 4), 0), range(0, width, 4), 1)
    v, u = np.unravel_index(int(np.argmax(mass)), mass.shape)
    edits.append((f"hole at row {4 * v + 2}, column {4 * u + 2}", whiten(4 * int(u) + 2, 4 * int(v) + 2)))
    return edits


def plot(result: Edits) -> Any:
    """One row for each edit: the image, what is read, the probability."""
    from fastctc.htr.plotting import figure

    n = len(result.names)
    made, axes = figure(n, 1, figsize=(7, 1.2 * n))
    for i, ax in enumerate(np.atleast_1d(axes)):
        ax.imshow(255 - result.images[i], cmap="gray", vmin=0, vmax=255)
        change = (result.log_probs[i] - result.log_probs[0]) / np.log(2)
        ax.set_title(
            f"{result.names[i]}: p({result.text!r}) = {np.exp(result.log_probs[i]):.4f} ({change:+.2f} bits), "
            f"read {result.read[i]!r}",
            fontsize=8,
        )
        ax.set(xticks=[], yticks=[])
    return made


def table(result: Edits) -> Table:
    """Every edit: the probability of the text, its change, and what is read."""
    rows = [["edit", "ln p", "p", "change (bits)", "read"]]
    for name, lp, read in zip(result.names, result.log_probs, result.read, strict=True):
        change = (lp - result.log_probs[0]) / np.log(2)
        rows.append([name, f"{lp:.3f}", f"{np.exp(lp):.4f}", f"{change:+.2f}", read])
    return rows


def findings(result: Edits) -> list[str]:
    """In words."""
    changes = (result.log_probs - result.log_probs[0]) / np.log(2)
    worst, best = int(np.argmin(changes)), int(np.argmax(changes))
    said = [
        f"{name}: p({result.text!r}) from {np.exp(result.log_probs[0]):.4f} to {np.exp(lp):.4f} ({c:+.2f} bits), "
        f"read {read!r}."
        for name, lp, c, read in zip(result.names[1:], result.log_probs[1:], changes[1:], result.read[1:], strict=True)
    ]
    if worst:
        said.append(f"What hurts most is: {result.names[worst]}.")
    if best:
        said.append(f"It is possible to help, too: {result.names[best]}.")
    return said


RESULT = Edits  # what run() returns
