"""Does it matter where the text stands? The image moves right pixel by pixel; what happens to its probability?

Scheidl, "Intelligence of a text recognizer", 2018, found that the score of a text goes up and down with a period of
about four pixels and left the reason open. Four columns are pooled to one frame: that is the period.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.decoders import BeamSearch, BestPath
from fastctc.htr.config import Config
from fastctc.htr.distortion import as_input
from fastctc.htr.experiments import toy
from fastctc.htr.experiments.result import Report, Result, quiet
from fastctc.loss import log_probability
from fastctc.reference import network as plain

Ink = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shifts(Result):
    """One row for each text; the columns are shifts 0, 1, 2 … pixels."""

    texts: list[str]
    log_probs: Doubles  # (texts, shifts)
    best_path: list[list[str]]
    beam_search: list[list[str]]
    stride: int
    shares: Doubles  # (texts, periods), share of the variance at each period
    periods: list[float]
    toys: list[str]  # networks trained for this: how
    toy_errors: Doubles  # (networks, shifts), CER
    toy_swing: Doubles  # (networks,), standard deviation of ln p over the shifts, mean over the words


def run(
    config: Config,
    weights: dict[str, Any],
    inks: Sequence[Ink],
    texts: Sequence[str],
    *,
    shifts: int = 32,
    steps: int = 500,
    report: Report = quiet,
) -> Shifts:
    """Move each text to the right; then train three small networks, to see whether it has to be learned.

    Parameters
    ----------
    inks : sequence of (height, W) uint8
        What the network sees of each text.
    shifts : int
        How many pixels; a multiple of the network's stride, so that its period fits.
    steps : int
        Of training each small network; 0: none.
    """
    scores, paths, beams = np.zeros((len(inks), shifts)), [], []
    for i, (ink, text) in enumerate(zip(inks, texts, strict=True)):
        width = -(-(ink.shape[1] + shifts) // config.stride) * config.stride
        moved = np.zeros((shifts, ink.shape[0], width), np.uint8)
        for shift in range(shifts):
            moved[shift, :, shift : shift + ink.shape[1]] = ink
        rows = plain.network(config, weights, as_input(list(moved)))
        scores[i] = [log_probability(row.astype(np.float64), text=text, alphabet=config.alphabet) for row in rows]
        paths.append([one[0].text for one in BestPath(config.alphabet, exact=False).decode_batch(rows)])
        beams.append([one[0].text for one in BeamSearch(config.alphabet, 25, exact=False).decode_batch(rows)])
        report(f"{text!r} moved")
    shares = np.array([spectrum(row) for row in scores])
    periods = [shifts / k for k in range(1, shifts // 2 + 1)]
    names, errors, swing = [], [], []
    if steps:
        for name, pooling, shifted in (
            ("trained at one place, max pooling", "max", False),
            ("trained at all places, max pooling", "max", True),
            ("trained at all places, blurred pooling", "blur", True),
        ):
            shape = toy.config(pooling=pooling)
            trained = toy.train(shape, shifted=shifted, steps=steps, seed=1)
            names.append(name)
            errors.append([toy.error_rate(shape, trained, 2 + shift) for shift in range(shifts)])
            swing.append(_swing(shape, trained, shifts))
            report(name)
    return Shifts(
        list(texts), scores, paths, beams, config.stride, shares, periods, names, np.array(errors), np.array(swing)
    )  # fmt: skip


def spectrum(values: Doubles) -> Doubles:
    """Share of the detrended variance at periods n, n/2, n/3, … pixels."""
    x = np.arange(len(values))
    trend = np.polyval(np.polyfit(x, values, 1), x)
    power = np.abs(np.fft.rfft(values - trend)[1:]) ** 2
    if len(values) % 2 == 0:
        power[-1] /= 2  # the shortest period stands alone, the others for themselves and their mirror images
    total = power.sum()
    shares: Doubles = power / total if total else power
    return shares


def autocorrelation(values: Doubles, lag: int) -> float:
    """How much the detrended values are like themselves ``lag`` pixels on: 1 for a perfect period."""
    x = np.arange(len(values))
    rest = values - np.polyval(np.polyfit(x, values, 1), x)
    one, other = rest[:-lag], rest[lag:]
    norm = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum() / norm) if norm else 0.0


def _swing(shape: Config, weights: dict[str, Any], shifts: int) -> float:
    spread = []
    for word in toy.WORDS[:12]:
        rows = plain.network(shape, weights, as_input([toy.written(word, 2 + s) for s in range(shifts)], toy.WIDTH))
        scores = [log_probability(row.astype(np.float64), text=word, alphabet=shape.alphabet) for row in rows]
        spread.append(float(np.std(scores)))
    return float(np.mean(spread))


def plot(result: Shifts) -> Any:
    """The probability over the shift, the spectrum, and what training does to it."""
    from fastctc.plotting import figure

    made, axes = figure(3 if result.toys else 2, 1, figsize=(9, 9 if result.toys else 6))
    styles = ["-", "--", ":", "-."]
    for i, (text, row) in enumerate(zip(result.texts, result.log_probs, strict=True)):
        shade = str(0.6 * i / max(1, len(result.texts) - 1))
        axes[0].plot(row, styles[i % 4], marker=".", color=shade, label=repr(text))
    for x in range(0, result.log_probs.shape[1], result.stride):
        axes[0].axvline(x, color="0.85", zorder=0)
    axes[0].set(title=f"ln p(true text) while the image moves right; grey: every {result.stride} pixels, one frame",
                xlabel="shift (pixels)", ylabel="ln p (nats)")  # fmt: skip
    axes[0].legend(fontsize=8)
    mean = result.shares.mean(0)
    axes[1].bar(range(len(mean)), mean, color="0.5", edgecolor="k")
    axes[1].set_xticks(range(len(mean)), [f"{p:.3g}" for p in result.periods], fontsize=7, rotation=60)
    axes[1].set(title="Which periods the score has", xlabel="period (pixels)", ylabel="share of variance")
    if result.toys:
        for name, row, style in zip(result.toys, result.toy_errors, ["-", "--", ":"], strict=False):
            axes[2].plot(100 * row, style, color="k", label=name)
        axes[2].set(title="Small networks: what has to be learned", xlabel="shift (pixels)", ylabel="CER (%)")
        axes[2].legend(fontsize=8)
    return made


def findings(result: Shifts) -> list[str]:
    """In words."""
    near = [
        i
        for i, p in enumerate(result.periods)
        if any(abs(p - result.stride / k) < 1e-9 for k in range(1, result.stride))
    ]
    share = float(result.shares[:, near].sum(1).mean())
    same = np.mean([[text == row[0] for text in row] for row in result.best_path])
    right = np.mean([[text == t for text in row] for t, row in zip(result.texts, result.best_path, strict=True)])
    beam = np.mean([[text == t for text in row] for t, row in zip(result.texts, result.beam_search, strict=True)])
    said = [
        f"{share:.0%} of what the score goes up and down is at the period of {result.stride} pixels, one frame, "
        f"and its "
        "fractions: the period that the article saw is the pooling's. The autocorrelation at that lag is "
        f"{np.mean([autocorrelation(row, result.stride) for row in result.log_probs]):.2f}.",
        f"Over all shifts best path reads the true text {right:.0%} of the time, beam search {beam:.0%}; "
        f"{same:.0%} of best "
        "path's readings are those at shift 0.",
    ]
    for name, row, swing in zip(result.toys, result.toy_errors, result.toy_swing, strict=True):
        said.append(
            f"A small network {name}: CER {row[:4].mean():.1%} where the text began in training (shifts 0 to 3), "
            f"{row[len(row) // 2 :].mean():.1%} from {len(row) // 2} pixels on; ln p of a word varies by "
            f"{swing:.2f} nats over the shifts."
        )
    if result.toys:
        said.append(
            "Reading text wherever it stands is learned from text that stands everywhere, not given by convolutions."
        )
    return said
