"""Does it matter where the text stands? The image moves right pixel by pixel; what happens to its probability?

Scheidl, "Intelligence of a text recognizer", 2018, moved a word over 28 pixels, found that its score goes up and down
with a period of about four pixels, and left the reason open. Four columns are pooled to one frame: that is the period.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.decoders import BeamSearch, BestPath
from fastctc.htr import model as network
from fastctc.htr import network as plain
from fastctc.htr.config import Config
from fastctc.htr.experiments import toy
from fastctc.htr.experiments.result import Report, Result, Table, mean_and_spread, quiet, unlearnt
from fastctc.htr.preparation import as_input
from fastctc.loss import log_probability

ONE, ALL, BLURRED = "trained at one place, max pooling", "trained at all places, max pooling", \
                    "trained at all places, blurred pooling"  # fmt: skip
TOYS = ((ONE, "max", False), (ALL, "max", True), (BLURRED, "blur", True))

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
    toy_errors: Doubles  # (networks, seeds, shifts), CER; shift 0 is where "one place" was
    toy_swing: Doubles  # (networks, seeds), standard deviation of ln p over the shifts, mean over the words
    left_out: str = ""  # why no small networks were trained


def run(
    config: Config,
    weights: dict[str, Any],
    inks: Sequence[Ink],
    texts: Sequence[str],
    *,
    shifts: int = 28,
    steps: int = 800,
    seeds: int = 3,
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
    seeds : int
        How many small networks of each kind.
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
    kinds, left_out = TOYS if steps else (), ""
    if steps:
        try:
            network.keras()
        except ImportError as error:  # what NumPy computes is shown all the same
            kinds, left_out = (), str(error)
            report(f"small networks: left out: {error}")
    errors, swing = np.zeros((len(kinds), seeds, shifts)), np.zeros((len(kinds), seeds))
    for k, (name, pooling, shifted) in enumerate(kinds):
        shape = toy.config(pooling=pooling)
        for seed in range(seeds):
            trained = toy.train(shape, shifted=shifted, steps=steps, seed=seed)
            errors[k, seed] = [toy.error_rate(shape, trained, toy.PLACE + shift) for shift in range(shifts)]
            swing[k, seed] = _swing(shape, trained, shifts)
            report(f"{name}, seed {seed}: CER {errors[k, seed, 0]:.1%} at shift 0, {errors[k, seed].mean():.1%} in all")
    names = [name for name, _, _ in kinds]
    return Shifts(list(texts), scores, paths, beams, config.stride, shares, periods, names, errors, swing, left_out)


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
        rows = plain.network(
            shape, weights, as_input([toy.written(word, toy.PLACE + s) for s in range(shifts)], toy.WIDTH)
        )
        scores = [log_probability(row.astype(np.float64), text=word, alphabet=shape.alphabet) for row in rows]
        spread.append(float(np.std(scores)))
    return float(np.mean(spread))


def plot(result: Shifts) -> Any:
    """The probability over the shift, the spectrum, and what training does to it."""
    from fastctc.htr.plotting import STYLES, figure

    made, axes = figure(3 if result.toys else 2, 1, figsize=(9, 9 if result.toys else 6))
    for text, row, style in zip(result.texts, result.log_probs, cycle(STYLES), strict=False):
        axes[0].plot(row, markersize=4, label=repr(text), **style)
    for x in range(0, result.log_probs.shape[1], result.stride):
        axes[0].axvline(x, color="0.85", zorder=0)
    read = result.best_path[0]
    axes[0].set_xticks(
        range(len(read)), [f"{shift} {text}" for shift, text in enumerate(read)], fontsize=7, rotation=90
    )
    axes[0].set(title=f"ln p(true text) while the image moves right; grey: every {result.stride} pixels, one frame",
                xlabel=f"shift (pixels), and what best path reads of {result.texts[0]!r} there",
                ylabel="ln p (nats)")  # fmt: skip
    axes[0].legend(fontsize=8)
    mean = result.shares.mean(0)
    axes[1].bar(range(len(mean)), mean, color="0.5", edgecolor="k")
    axes[1].set_xticks(range(len(mean)), [f"{p:.3g}" for p in result.periods], fontsize=7, rotation=60)
    axes[1].set(title="Which periods the score has", xlabel="period (pixels)", ylabel="share of variance")
    if result.toys:
        for name, row, style in zip(result.toys, result.toy_errors, STYLES, strict=False):
            axes[2].plot(100 * row.mean(0), markersize=4, label=name, **style)
            axes[2].fill_between(
                range(row.shape[1]), 100 * row.min(0), 100 * row.max(0), color=style["color"], alpha=0.15
            )
        axes[2].set(
            title=f"Small networks, mean and range over the seeds ({result.toy_swing.shape[1]})",
            xlabel="shift from the one place (pixels)",
            ylabel="CER (%)",
            ylim=(0, None),
        )
        axes[2].legend(fontsize=8)
    return made


def table(result: Shifts) -> Table:
    """The texts on the network that comes along, and the small networks."""
    rows = [["text or network", "ln p or CER at shift 0", "over all shifts", "standard deviation of ln p"]]
    for text, scores in zip(result.texts, result.log_probs, strict=True):
        rows.append([repr(text), f"{scores[0]:.2f}", f"{scores.mean():.2f}", f"{scores.std():.2f}"])
    for name, errors, swing in zip(result.toys, result.toy_errors, result.toy_swing, strict=True):
        cells = mean_and_spread(errors[:, 0]), mean_and_spread(errors.mean(1)), mean_and_spread(swing, "{:.2f}")
        rows.append([name, *cells])
    return rows


def findings(result: Shifts) -> list[str]:
    """In words; what they say follows from the numbers."""
    fractions = [abs(result.stride / p - round(result.stride / p)) < 1e-9 for p in result.periods]
    mean = result.shares.mean(0)
    share, longest = float(mean[fractions].sum()), result.periods[int(np.argmax(mean))]
    same = np.mean([[text == row[0] for text in row] for row in result.best_path])
    right = np.mean([[text == t for text in row] for t, row in zip(result.texts, result.best_path, strict=True)])
    beam = np.mean([[text == t for text in row] for t, row in zip(result.texts, result.beam_search, strict=True)])
    alike = np.mean([autocorrelation(row, result.stride) for row in result.log_probs])
    ours = abs(result.stride / longest - round(result.stride / longest)) < 1e-9
    said = [
        f"The article's curve, of its own network and a written word moved over 28 pixels, went up and down with a "
        f"period of about four pixels. Ours, of {', '.join(map(repr, result.texts))} over "
        f"{result.log_probs.shape[1]} pixels, spans {np.ptp(result.log_probs, axis=1).max():.2f} nats at most.",
        f"{share:.0%} of what the score goes up and down is at the period of {result.stride} pixels, one frame, and "
        f"its fractions, which are {np.mean(fractions):.0%} of the periods there are; the autocorrelation of the true "
        f"text's ln p at that lag, over {result.log_probs.shape[1]} shifts without their linear trend, mean of "
        f"{len(result.texts)} texts, is {alike:.2f}. The strongest period is {longest:.3g} pixels: the score follows "
        f"the pooling's grid {'first of all' if ours else 'less than something else'}.",
        f"Over all shifts best path reads the true text {right:.0%} of the time, beam search {beam:.0%}; "
        f"{same:.0%} of best path's readings are those at shift 0.",
    ]
    far = result.toy_errors.shape[-1] // 2
    for name, rows, swing in zip(result.toys, result.toy_errors, result.toy_swing, strict=True):
        near, away = rows[:, 0], rows[:, far:].mean(1)
        said.append(
            f"Small networks {name} ({len(rows)} seeds): CER {near.mean():.1%} ± {near.std():.1%} at that one place, "
            f"{away.mean():.1%} ± {away.std():.1%} from {far} pixels on; ln p of a word varies by "
            f"{swing.mean():.2f} ± {swing.std():.2f} nats over the shifts."
        )
    if result.left_out:
        said.append(f"The small networks, which tell whether it has to be learned, were left out: {result.left_out}")
    reads = result.toy_errors[:, :, 0].mean(1) <= toy.LEARNT if result.toys else np.zeros(0, bool)
    if reason := unlearnt(result.toys, reads):
        said.append(reason)
    elif result.toys:
        one, everywhere, blurred = (result.toys.index(name) for name in (ONE, ALL, BLURRED))
        lost = result.toy_errors[one][:, far:].mean(1) - result.toy_errors[one][:, 0]
        kept = result.toy_errors[everywhere][:, far:].mean(1) - result.toy_errors[everywhere][:, 0]
        said.append(
            "Every network that saw text at one place only loses more by moving than any that saw it everywhere: "
            "reading text wherever it stands has to be learned, convolutions do not give it."
            if lost.min() > kept.max()
            else "Networks that saw text at one place do not all lose more by moving than those that saw it "
            "everywhere: these seeds do not show that it has to be learned."
        )
        calmer = result.toy_swing[blurred] < result.toy_swing[everywhere]
        said.append(
            f"Blurred pooling makes the score vary less over the shifts with {calmer.sum()} of {len(calmer)} seeds."
        )
    return said


RESULT = Shifts  # what run() returns
