"""How one piece of writing could have looked as well: slant, width, waves, pen, paper. For training only."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.htr import paper
from fastctc.imaging import morphology

Ink = npt.NDArray[np.uint8]
PENS = ((2, 2), (2, 1), (1, 2), (3, 3), (3, 1))  # footprints that make strokes thicker or thinner


def distort(
    ink: Ink,
    height: int,
    rng: np.random.Generator,
    strength: float = 1.0,
    stretch: float = 1.0,
    other: Ink | None = None,
) -> Ink:
    """Another version of a writing, ``height`` pixels high.

    Parameters
    ----------
    ink : (H, W) uint8
        Ink 255, paper 0.
    height : int
        Rows of the result.
    strength : float
        0 only scales; 1 is what training uses.
    stretch : float
        How much wider than it was the writing becomes, about: the images of a batch share it, so that they stay of
        about one width and little paper has to be read.
    other : (H, W) uint8, optional
        Another writing, as high as this one: its edge or its back may show.
    """
    if strength and ink.shape[0] > 24:
        ink = pen(ink, rng, strength)
        ink = on_paper(ink, rng, strength, other)
    ink = warp(ink, height, rng, strength, stretch)
    return tone(ink, rng, strength) if strength else ink


def on_paper(ink: Ink, rng: np.random.Generator, strength: float = 1.0, other: Ink | None = None) -> Ink:
    """Fading, rules, neighbours, the other side, blots: each now and then."""
    chances = rng.random(6)
    if chances[0] < 0.15 * strength:
        ink = paper.faded(ink, rng)
    if other is not None and chances[1] < 0.15 * strength:
        ink = paper.with_neighbour(ink, other, rng)
    if other is not None and chances[2] < 0.08 * strength:
        ink = paper.bled_through(ink, other, rng)
    if chances[3] < 0.25 * strength:
        ink = paper.ruled(ink, rng)
    elif chances[4] < 0.05 * strength:
        ink = paper.squared(ink, rng)
    if chances[5] < 0.08 * strength:
        ink = paper.blotted(ink, rng)
    return ink


def pen(ink: Ink, rng: np.random.Generator, strength: float = 1.0) -> Ink:
    """Thicker strokes three times of ten, thinner ones sometimes."""
    chance = rng.random()
    footprint = PENS[rng.integers(len(PENS))]
    if chance < 0.3 * strength:
        return morphology.dilation(ink, footprint)
    if chance < 0.4 * strength:
        thinner: Ink = morphology.erosion(ink, footprint)
        return np.maximum(thinner, (ink * 0.4).astype(np.uint8))  # no stroke vanishes
    return ink


def warp(ink: Ink, height: int, rng: np.random.Generator, strength: float = 1.0, stretch: float = 1.0) -> Ink:
    """Slant, width, rotation, place and two waves of displacement, as one mesh that Pillow resamples."""
    from PIL import Image

    rows, columns = ink.shape
    fill = 1 - strength * rng.triangular(0.0, 0.06, 0.35)  # share of the height that the writing takes
    scale = height * fill / rows
    # Columns are scaled by themselves: the width does not follow from the share of the height.
    across = height / rows * (1 - 0.14 * strength) * stretch * float(np.exp(strength * rng.normal(0, 0.05)))
    slant = strength * rng.normal(0, 0.22)
    turn = strength * rng.normal(0, 0.012)
    margin = 4 + rng.integers(0, 1 + int(12 * strength), 2)
    lean = abs(slant) * rows * across  # what the slant adds to the width
    width = max(8, int(columns * across + lean) + int(margin.sum()))
    above = (height * (1 - fill)) * rng.random()
    # The source is shrunk first, so that resampling along the mesh skips no pixels.
    shrunk = min(1.0, 1.25 * scale)
    picture = Image.fromarray(ink)
    if shrunk < 1:
        size = max(1, round(columns * shrunk)), max(1, round(rows * shrunk))
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    # Corners of the mesh in the result, and where their pixels come from.
    xs = np.linspace(0, width, max(2, width // 12 + 1)).round()
    ys = np.linspace(0, height, 4).round()
    x, y = np.meshgrid(xs, ys)
    v = (y - above) / scale
    u = (x - margin[0] - lean / 2) / across + slant * (v - rows / 2)
    v = v + turn * (u - columns / 2)
    wave = strength * rows * 0.035
    u = u + _smooth(rng, x.shape, 3) * wave + _smooth(rng, x.shape, 1) * wave * 0.5
    v = v + _smooth(rng, x.shape, 4) * wave * 0.8 + _smooth(rng, x.shape, 1) * wave * 0.3
    u, v = u * shrunk, v * shrunk
    mesh = []
    for i in range(len(ys) - 1):
        for j in range(len(xs) - 1):
            box = (int(xs[j]), int(ys[i]), int(xs[j + 1]), int(ys[i + 1]))
            corners = ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1))
            mesh.append((box, tuple(float(c) for corner in corners for c in (u[corner], v[corner]))))
    size = (width, height)
    return np.asarray(picture.transform(size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR, fillcolor=0))


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], reach: int) -> npt.NDArray[np.float64]:
    """Noise that changes slowly along the line, of about unit size."""
    noise = rng.normal(size=(shape[0], shape[1] + 2 * reach))
    sums = np.cumsum(np.pad(noise, ((0, 0), (1, 0))), axis=1)
    n = 2 * reach + 1
    smooth: npt.NDArray[np.float64] = (sums[:, n:] - sums[:, :-n])[:, : shape[1]] / np.sqrt(n)
    return smooth


def tone(ink: Ink, rng: np.random.Generator, strength: float = 1.0) -> Ink:
    """Softer, fainter, noisier, on a paper that is not quite even."""
    from PIL import Image, ImageFilter

    if rng.random() < 0.25 * strength:
        blur = ImageFilter.GaussianBlur(float(rng.uniform(0.3, 0.9)))
        ink = np.asarray(Image.fromarray(ink).filter(blur))
    x: npt.NDArray[Any] = ink.astype(np.float32)
    if rng.random() < 0.5 * strength:
        x = 255 * (x / 255) ** np.float32(rng.uniform(0.6, 1.6))
    x *= np.float32(1 - strength * rng.uniform(0, 0.5))
    if rng.random() < 0.3 * strength:
        x += rng.normal(0, rng.uniform(2, 12), x.shape).astype(np.float32)
    if rng.random() < 0.15 * strength:
        slope = np.linspace(rng.uniform(0, 30), rng.uniform(0, 30), x.shape[1], dtype=np.float32)
        x += slope
    result: Ink = np.clip(x, 0, 255).astype(np.uint8)
    return paper.compressed(result, rng) if rng.random() < 0.1 * strength else result
