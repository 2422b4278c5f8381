"""What padding does to a trained recogniser. A reconstruction: of the article's second experiment only excerpts are
known.

Small networks are trained alike but for what their convolutions see outside of the image. Measured are the error on
text at other places, the response to a blank page, which positions of the feature maps deviate there, and how well a
linear probe tells the position from the features of each layer (after Islam, Jia, Bruce 2020, arXiv:2001.08248).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.htr import network as plain
from fastctc.htr.config import PADDINGS
from fastctc.htr.experiments import toy
from fastctc.htr.experiments.result import Report, Result, Table, mean_and_spread, quiet, unlearnt
from fastctc.htr.preparation import as_input

Doubles = npt.NDArray[np.float64]
PLACES = (2, 8, 16, 24, 34)  # columns at which words begin


@dataclass(frozen=True)
class TrainedPadding(Result):
    """One row for each padding, one column for each seed."""

    modes: list[str]
    places: list[int]
    errors: Doubles  # (modes, seeds, places), CER
    blank_page: Doubles  # (modes, seeds), largest probability of any character on an empty page
    deviating: (
        Doubles  # (modes, seeds, layers), share of columns whose features differ from the middle's on an empty page
    )
    probe: Doubles  # (modes, seeds, layers), R² of a linear probe for the column
    layers: list[str]


def run(
    *, steps: int = 800, seeds: int = 3, modes: tuple[str, ...] = PADDINGS, report: Report = quiet
) -> TrainedPadding:
    """Train and measure every padding with several seeds."""
    layers = ["relu1", "relu2", "relu3", "lstms1"]
    errors = np.zeros((len(modes), seeds, len(PLACES)))
    blank, deviating, probe = (
        np.zeros((len(modes), seeds)),
        np.zeros((len(modes), seeds, 4)),
        np.zeros((len(modes), seeds, 4)),
    )
    page = np.zeros((1, toy.HEIGHT, toy.WIDTH, 1), np.float32)
    for m, mode in enumerate(modes):
        shape = toy.config(padding=mode)
        for seed in range(seeds):
            weights = toy.train(shape, shifted=True, steps=steps, seed=seed)
            errors[m, seed] = [toy.error_rate(shape, weights, place) for place in PLACES]
            trace: dict[str, Any] = {}
            rows = plain.network(shape, weights, page, trace)
            blank[m, seed] = float(np.exp(rows[0, :, :-1]).max())
            rng = np.random.default_rng(seed)
            words = [toy.WORDS[k] for k in rng.integers(len(toy.WORDS), size=60)]
            seen: dict[str, Any] = {}
            plain.network(
                shape,
                weights,
                as_input([toy.written(w, int(rng.integers(2, 36)), rng) for w in words], toy.WIDTH),
                seen,
            )
            for k, layer in enumerate(layers):
                deviating[m, seed, k] = deviation(columns_of(trace[layer])[0])
                probe[m, seed, k] = position_probe(columns_of(seen[layer]))
            report(f"{mode}, seed {seed}: CER {errors[m, seed].mean():.1%}")
    return TrainedPadding(list(modes), list(PLACES), errors, blank, deviating, probe, layers)


def columns_of(features: Any) -> Any:
    """(B, rows, columns, channels) or (B, frames, features) to (B, columns, features)."""
    if features.ndim == 3:
        return features
    return features.transpose(0, 2, 1, 3).reshape(features.shape[0], features.shape[2], -1)


def deviation(columns: Any) -> float:
    """Share of the columns that differ from the middle one."""
    middle = columns[len(columns) // 2]
    return float(np.mean(np.abs(columns - middle).max(1) > 1e-5 * max(1.0, float(np.abs(middle).max()))))


def position_probe(features: Any) -> float:
    """R² on held-out images of the best linear guess of the column from its features (ridge regression)."""
    n, columns, _ = features.shape
    half = n // 2
    place = np.tile(np.linspace(-1, 1, columns), n)
    x = features.reshape(n * columns, -1).astype(np.float64)
    mean, spread = x[: half * columns].mean(0), x[: half * columns].std(0) + 1e-6
    x = np.column_stack([(x - mean) / spread, np.ones(len(x))])
    train, test = slice(0, half * columns), slice(half * columns, None)
    gram = x[train].T @ x[train] + 10.0 * np.eye(x.shape[1])
    guess = x[test] @ np.linalg.solve(gram, x[train].T @ place[train])
    return float(1 - np.mean((guess - place[test]) ** 2) / np.var(place[test]))


def plot(result: TrainedPadding) -> Any:
    """Mean and spread over the seeds, all paddings side by side."""
    from fastctc.htr.plotting import STYLES, figure

    made, axes = figure(2, 2, figsize=(10, 7))
    for m, mode in enumerate(result.modes):
        options = {**STYLES[m % len(STYLES)], "label": mode, "capsize": 2}
        axes[0, 0].errorbar(result.places, 100 * result.errors[m].mean(0), 100 * result.errors[m].std(0), **options)
        axes[1, 0].errorbar(range(4), 100 * result.deviating[m].mean(0), 100 * result.deviating[m].std(0), **options)
        axes[1, 1].errorbar(range(4), result.probe[m].mean(0), result.probe[m].std(0), **options)
    axes[0, 0].set(title="Error by place", xlabel="column where the word begins", ylabel="CER (%)", ylim=(0, None))
    axes[0, 1].bar(result.modes, result.blank_page.mean(1), yerr=result.blank_page.std(1), color="0.7", edgecolor="k")
    axes[0, 1].set(title="Empty page", ylabel="largest probability of a character", ylim=(0, 1))
    for ax in axes[1]:
        ax.set_xticks(range(4), result.layers)
    axes[1, 0].set(title="Empty page: columns unlike the middle", ylabel="share of columns (%)", xlabel="layer")
    axes[1, 1].set(title="Linear probe for the column", ylabel="R²", xlabel="layer")
    axes[0, 0].legend(fontsize=8)
    return made


def table(result: TrainedPadding) -> Table:
    """Mean and spread over the seeds."""
    what = [f"columns of {layer} unlike the middle" for layer in result.layers]
    rows = [
        ["padding", "CER", "p on an empty page", *what, *(f"R² of the place from {name}" for name in result.layers)]
    ]
    for m, mode in enumerate(result.modes):
        cells = [mean_and_spread(result.errors[m].mean(1)), mean_and_spread(result.blank_page[m], "{:.2f}")]
        cells += [mean_and_spread(result.deviating[m, :, k], "{:.0%}") for k in range(len(result.layers))]
        cells += [mean_and_spread(result.probe[m, :, k], "{:.2f}") for k in range(len(result.layers))]
        rows.append([mode, *cells])
    return rows


def findings(result: TrainedPadding) -> list[str]:
    """In words."""
    said = ["This is a reconstruction: only excerpts of the article's second experiment are known."]
    for m, mode in enumerate(result.modes):
        conv, lstm = result.probe[m, :, -2].mean(), result.probe[m, :, -1].mean()
        said.append(
            f"{mode}: CER {result.errors[m].mean():.1%} ± {result.errors[m].mean(1).std():.1%} over the places; "
            f"on an empty page "
            f"a character gets at most p = {result.blank_page[m].mean():.2f}; "
            f"{result.deviating[m, :, -2].mean():.0%} of the last "
            f"convolution's columns differ there from the middle; the column can be told from the last "
            f"convolution with "
            f"R² = {conv:.2f}, from the LSTM with R² = {lstm:.2f}."
        )
    if reason := unlearnt(result.modes, result.errors.mean((1, 2)) <= toy.LEARNT):
        return [*said, reason]
    convs, lstms = result.probe[:, :, :-1].mean(1), result.probe[:, :, -1].mean(1)
    said.append(
        f"The LSTM tells the position {'better than any convolution' if (lstms > convs.max(1)).all() else 'not better'}"
        f" {'with every padding' if (lstms > convs.max(1)).all() else 'with some padding'} (R² {lstms.min():.2f} to "
        f"{lstms.max():.2f}; convolutions {convs.min():.2f} to {convs.max():.2f})."
    )
    errors = result.errors.mean(2)
    best, worst = int(np.argmin(errors.mean(1))), int(np.argmax(errors.mean(1)))
    apart = errors[best].max() < errors[worst].min()
    said.append(
        f"Lowest error: {result.modes[best]}, highest: {result.modes[worst]}; the seeds' ranges "
        f"{'do not overlap' if apart else 'overlap, so that these seeds do not show that padding matters for reading'}."
    )
    return said


RESULT = TrainedPadding  # what run() returns
