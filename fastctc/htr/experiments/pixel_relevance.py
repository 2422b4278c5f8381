"""Which pixels speak for the text that was read, and which against it?

Prediction difference analysis (Zintgraf, Cohen, Adel, Welling 2017, arXiv:1702.04595, simplified as in Scheidl,
"Intelligence of a text recognizer", 2018): a pixel's relevance is its weight of evidence, log2 odds(p) − log2 odds(p
without the pixel), p being the exact probability of the text. "Without the pixel" means: its grey value is unknown,
and p is the mean over the values it could have, weighted by how often they occur.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.alphabet import Alphabet
from fastctc.htr import network as plain
from fastctc.htr.config import Config
from fastctc.htr.experiments.result import Report, Result, Table, quiet
from fastctc.loss import log_probability

GREYS = (0, 63, 127, 191, 255)  # what a pixel could be
EDGES = (0, 31, 95, 159, 223, 256)  # the bins of the image's histogram, one for each
HIGHEST = -1e-7  # of ln p: at 1 the odds are infinite
AT_ONCE = 20_000  # columns of changed images that are computed together

Ink = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Relevance(Result):
    """Relevance in bits of every pixel (or patch): positive for, negative against the text."""

    ink: Ink  # (H, W), what the network sees: ink 255, paper 0
    relevance: Doubles  # (H, W)
    gradient: Doubles  # (H, W), d ln p / d ink, for comparison; empty without TensorFlow
    integrated: Doubles  # (H, W), integrated gradients from blank paper on, for comparison; empty without TensorFlow
    text: str
    log_prob: float
    patch: int
    prior: str
    evaluations: int


class Scorer:
    """ln p(text) of an image and of many images that differ from it in a few columns.

    A changed pixel reaches only the frames within the convolutions' receptive field; the features of all others are
    those of the unchanged image, so the convolutions run on a window of columns. That is exact: the window is wide
    enough for its own edges to reach no frame that is kept.
    """

    def __init__(
        self, config: Config, weights: dict[str, Any], ink: Ink, text: str, character: int | None = None
    ) -> None:
        self.config, self.weights, self.ink, self.text = config, weights, ink, text
        self.alphabet: Alphabet = config.alphabet
        self.character = character
        self.features = plain.features(config, weights, _as_images(ink[None]))
        self.evaluations = 0

    @property
    def reach(self) -> int:
        """Columns to either side of a frame's own that it depends on."""
        columns, total = 1, 0
        for (_, width), (_, pool) in zip(self.config.kernels, self.config.pools, strict=True):
            total += width // 2 * columns
            if self.config.pooling == "blur" and pool > 1:
                total += 2 * columns * (pool - 1)
            columns *= pool
        return total

    def window(self, left: int, right: int) -> tuple[int, int, int, int]:
        """Columns to compute and frames to take (first, last + 1) for changes in columns left .. right − 1."""
        stride, reach = self.config.stride, self.reach
        n_frames = self.ink.shape[1] // stride
        first = max(0, (left - reach) // stride)
        last = min(n_frames, -(-(right + reach) // stride))
        margin = -(-reach // stride)
        return max(0, first - margin) * stride, min(n_frames, last + margin) * stride, first, last

    def log_probs(self, images: Ink, left: int = 0, right: int | None = None) -> Doubles:
        """ln p of images (N, H, W) that are the unchanged one outside of columns left .. right − 1."""
        right = self.ink.shape[1] if right is None else right
        start, stop, first, last = self.window(left, right)
        if self.config.padding == "circular":  # there everything is near everything
            start, stop, first, last = 0, self.ink.shape[1], 0, self.ink.shape[1] // self.config.stride
        result = []
        for part in np.array_split(images, max(1, -(-images.shape[0] * images.shape[2] // AT_ONCE))):
            if not len(part):
                continue
            local = plain.features(self.config, self.weights, _as_images(part[:, :, start:stop]))
            features = np.repeat(self.features, len(part), axis=0)
            offset = first - start // self.config.stride
            features[:, first:last] = local[:, offset : offset + last - first]
            rows = plain.sequences(self.config, self.weights, list(features))
            result += [self._score(row) for row in rows]
        self.evaluations += len(images)
        return np.array(result)

    def _score(self, rows: Any) -> float:
        if self.character is None:
            return log_probability(rows.astype(np.float64), text=self.text, alphabet=self.alphabet)
        from fastctc.align import forced_align

        segment = forced_align(rows, text=self.text, alphabet=self.alphabet).characters[self.character]
        return float(np.log(max(segment.probability, 1e-300)))


def _as_images(inks: Ink) -> npt.NDArray[np.float32]:
    return (inks / np.float32(255))[..., None].astype(np.float32)


def log_odds(log_prob: npt.ArrayLike) -> Doubles:
    """log2 of p / (1 − p), from ln p, without loss near 0 and 1."""
    lp = np.minimum(np.asarray(log_prob, np.float64), HIGHEST)
    # ln(1 − e^lp): Mächler 2012
    rest = np.where(lp > -np.log(2), np.log(-np.expm1(lp)), np.log1p(-np.exp(lp)))
    bits: Doubles = (lp - rest) / np.log(2)
    return bits


def grey_prior(ink: Ink, prior: str) -> Doubles:
    """How probable each of GREYS is: as often as the image has it, equally, or paper only."""
    if prior == "uniform":
        return np.full(len(GREYS), 1 / len(GREYS))
    if prior == "paper":
        return np.array([float(grey == GREYS[-1]) for grey in GREYS])
    if prior != "histogram":
        raise ValueError(f"prior must be 'histogram', 'uniform' or 'paper', got {prior!r}")
    counts, _ = np.histogram(255 - ink, EDGES)
    shares: Doubles = counts / counts.sum()
    return shares


def run(
    config: Config,
    weights: dict[str, Any],
    ink: Ink,
    text: str,
    *,
    patch: int = 1,
    prior: str = "histogram",
    character: int | None = None,
    report: Report = quiet,
) -> Relevance:
    """The relevance of every pixel of what the network sees.

    Parameters
    ----------
    ink : (height, W) uint8
        Ink 255, paper 0, W a multiple of the network's stride; see :func:`fastctc.htr.preparation.prepared`.
    patch : int, default 1
        Rows and columns of the squares that are unknown together: larger ones are quicker, and say less.
    prior : {"histogram", "uniform", "paper"}
        What is known of an unknown pixel. ``"paper"``: it is covered, which is occlusion (Zeiler, Fergus 2014,
        arXiv:1311.2901) by squares of ``patch`` pixels.
    character : int, optional
        Explain this character of the text, in its place, not the whole text.
    """
    if patch < 1:
        raise ValueError(f"patch must be at least 1, got {patch}")
    scorer = Scorer(config, weights, ink, text, character)
    base = float(scorer.log_probs(ink[None])[0])
    chances = grey_prior(ink, prior)
    known = [k for k in range(len(GREYS)) if chances[k] > 0]
    height, width = ink.shape
    relevance = np.zeros(ink.shape)
    for left in range(0, width, patch):
        right = min(width, left + patch)
        tops = range(0, height, patch)
        images = np.repeat(ink[None], len(known) * len(tops), axis=0)
        for i, top in enumerate(tops):
            for j, k in enumerate(known):
                images[i * len(known) + j, top : top + patch, left:right] = 255 - GREYS[k]
        scores = scorer.log_probs(images, left, right).reshape(len(tops), len(known))
        without = np.log(np.exp(scores - base) @ chances[known]) + base
        for i, top in enumerate(tops):
            relevance[top : top + patch, left:right] = log_odds(base) - log_odds(without[i])
        if left % (8 * patch) == 0:
            report(f"column {left} of {width}")
    try:
        slopes = gradients(config, weights, ink, text) if character is None else (np.zeros((0, 0)), np.zeros((0, 0)))
    except ImportError as error:
        report(f"no gradients: {error}")
        slopes = np.zeros((0, 0)), np.zeros((0, 0))
    return Relevance(ink, relevance, *slopes, text, base, patch, prior, scorer.evaluations)


def gradients(config: Config, weights: dict[str, Any], ink: Ink, text: str, steps: int = 32) -> tuple[Doubles, Doubles]:
    """d ln p / d ink at the image, and integrated gradients along the way from blank paper to it.

    Integrated gradients (Sundararajan, Taly, Yan 2017, arXiv:1703.01365) sum to ln p(image) − ln p(blank paper).

    Raises
    ------
    ImportError
        Without TensorFlow, or with Keras on another backend.
    """
    from fastctc.htr import model as network

    if network.keras().backend.backend() != "tensorflow":
        raise ImportError("gradients need Keras on TensorFlow (KERAS_BACKEND=tensorflow)")
    import tensorflow as tf

    model = network.build_model(config)
    network.set_weights(model, weights)
    image = _as_images(ink[None])
    targets = network.targets([config.alphabet.encode(text)], [ink.shape[1] // config.stride])

    def slope(x: Any) -> Doubles:
        x = tf.convert_to_tensor(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = network.ctc_loss(targets, model(x, training=False))
        return np.asarray(-tape.gradient(loss, x), np.float64)[0, :, :, 0]

    along = [slope(image * np.float32((k + 0.5) / steps)) for k in range(steps)]
    return slope(image), np.mean(along, axis=0) * image[0, :, :, 0]


def plot(result: Relevance) -> Any:
    """The image, and over it in red what speaks for the text and in blue what speaks against it."""
    from fastctc.htr.plotting import figure

    extra = (
        [("Gradient of ln p", result.gradient), ("Integrated gradients", result.integrated)]
        if result.gradient.size
        else []
    )
    made, axes = figure(2 + len(extra), 1, figsize=(max(5.0, result.ink.shape[1] / 16), 2.2 * (2 + len(extra))))
    seen = axes[0].imshow(255 - result.ink, cmap="gray", vmin=0, vmax=255)
    made.colorbar(seen, ax=axes[0], label="grey value")
    axes[0].set(
        title=f"What the network sees; p({result.text!r}) = {np.exp(result.log_prob):.3f}", ylabel="row (pixels)"
    )
    maps = [("Relevance: red for the text, blue against it", result.relevance), *extra]
    for ax, (title, values), unit in zip(axes[1:], maps, ("bits", "nats per unit of ink", "nats"), strict=False):
        limit = float(np.percentile(np.abs(values), 99.5)) or 1.0
        shown = ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
        ax.contour(result.ink, levels=[127], colors="0.6", linewidths=0.6)
        if values is result.relevance:  # in grey, too: solid around what speaks for the text, dashed against it
            ax.contour(values, levels=[-limit / 3, limit / 3], colors="k", linewidths=0.7)
        ax.set(title=title, ylabel="row (pixels)")
        made.colorbar(shown, ax=ax, label=unit, extend="both")
    axes[-1].set(xlabel="column (pixels)")
    return made


def table(result: Relevance) -> Table:
    """The rows and columns with the most relevance, and how strong the maps are."""
    rows = [["map", "unit", "least", "greatest", "mean of absolute values"]]
    for name, unit, values in (
        ("relevance", "bits", result.relevance),
        ("gradient", "nats per unit of ink", result.gradient),
        ("integrated gradients", "nats", result.integrated),
    ):
        if values.size:
            rows.append([name, unit, *(f"{v:.3g}" for v in (values.min(), values.max(), np.abs(values).mean()))])
    return rows


def findings(result: Relevance) -> list[str]:
    """In words."""
    r = result.relevance
    y, x = np.unravel_index(int(np.argmax(r)), r.shape)
    v, u = np.unravel_index(int(np.argmin(r)), r.shape)
    ink_share = float(np.abs(r[result.ink > 127]).sum() / np.abs(r).sum())
    said = [
        f"The text {result.text!r} has p = {np.exp(result.log_prob):.4f}. {np.mean(r > 0):.0%} of the pixels "
        f"speak for it.",
        f"The strongest pixel for it, {r.max():.3f} bits, is at row {y}, column {x}; the strongest against it, "
        f"{r.min():.3f} "
        f"bits, at row {v}, column {u}.",
        f"Ink holds {ink_share:.0%} of all relevance on {np.mean(result.ink > 127):.0%} of the pixels, paper the "
        f"other {1 - ink_share:.0%}.",
        f"{result.evaluations} images were read: unknown are squares of {result.patch} × {result.patch} pixels, which "
        + {"paper": "are covered with paper (occlusion).", "uniform": "may have any of the grey values alike."}.get(
            result.prior, "have the image's grey values as often as it has them."
        ),
    ]
    if result.gradient.size:
        plain_one, integrated = (
            float(np.corrcoef(r.ravel(), other.ravel())[0, 1]) for other in (result.gradient, result.integrated)
        )
        said.append(
            f"For comparison, Pearson's correlation with the relevance, over all {r.size} pixels: the gradient's is "
            f"{plain_one:.2f}, that of integrated gradients {integrated:.2f} (1 would say the same)."
        )
    return said


RESULT = Relevance  # what run() returns
