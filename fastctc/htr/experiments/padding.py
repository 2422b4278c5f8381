"""Where is the white pixel? A convolution and a sum cannot know, except from the padding.

The set-up of Scheidl, "Does padding matter in deep learning models?", 2021: images with one white pixel, a single
convolution, y = sum over all pixels of conv(x), trained to tell whether the pixel is in the upper left corner. What
such a network can know at all is in its coverage table: how often each weight of the kernel touches the pixel. With
zero padding that differs at the border; with circular padding it is the same everywhere, and nothing can be learned.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.htr.experiments.result import Report, Result, Table, mean_and_spread, quiet

MODES = ("zero", "valid", "reflect", "symmetric", "circular", "full")
SIZE, KERNEL = 8, 3
_PAD_MODES: dict[str, Any] = {"zero": "constant", "reflect": "reflect", "symmetric": "symmetric", "circular": "wrap",
                              "full": "constant", "valid": "constant"}  # fmt: skip

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Padding(Result):
    """One row for each padding."""

    modes: list[str]
    coverage: Doubles  # (modes, size², kernel²): how often each weight touches the pixel at each position
    classes: list[int]  # positions that a kernel can tell apart at most
    ranks: list[int]  # of the coverage table
    accuracy: Doubles  # (modes, seeds), balanced: 0.5 is guessing
    losses: Doubles  # (modes, seeds, steps)
    kernels: Doubles  # (modes, kernel, kernel), of the first seed
    biases: Doubles  # (modes,)
    outputs: (
        Doubles  # (modes, 2, rows, columns): conv(x) for the pixel at (0, 0) and at (2, 1), zeros where it is smaller
    )


def pads(mode: str) -> int:
    """Rows and columns that a padding adds on each side."""
    return {"valid": 0, "full": KERNEL - 1}.get(mode, KERNEL // 2)


def coverage(mode: str, size: int = SIZE) -> Doubles:
    """Position by weight: how often the weight touches a white pixel at the position, in the whole convolution."""
    n = pads(mode)
    result = np.zeros((size * size, KERNEL * KERNEL))
    for at, (y, x) in enumerate(product(range(size), repeat=2)):
        image = np.zeros((size, size))
        image[y, x] = 1
        padded = np.pad(image, n, mode=_PAD_MODES[mode])
        out = padded.shape[0] - KERNEL + 1
        for weight, (i, j) in enumerate(product(range(KERNEL), repeat=2)):
            result[at, weight] = padded[i : i + out, j : j + out].sum()
    return result


def convolution(image: Doubles, kernel: Doubles, mode: str) -> Doubles:
    """conv(x) with a padding: the definition."""
    padded = np.pad(image, pads(mode), mode=_PAD_MODES[mode])
    out = padded.shape[0] - KERNEL + 1
    return sum(
        (kernel[i, j] * padded[i : i + out, j : j + out] for i, j in product(range(KERNEL), repeat=2)),
        np.zeros((out, out)),
    )


def train(table: Doubles, steps: int, seed: int, rate: float = 0.05) -> tuple[Doubles, float, Doubles]:
    """Kernel, bias and losses of the corner detector: since the sum is linear, a logistic regression on the coverage.

    The corner weighs as much as all other positions together, or "never" would be right in 63 of 64 cases. Adam.
    """
    rng = np.random.default_rng(seed)
    weights = np.append(rng.normal(0, 0.1, table.shape[1]), 0.0)
    inputs = np.column_stack([table, np.ones(len(table))])
    truth = np.zeros(len(table))
    truth[0] = 1
    importance = np.where(truth == 1, 0.5, 0.5 / (len(table) - 1))
    first, second, losses = np.zeros_like(weights), np.zeros_like(weights), np.zeros(steps)
    for step in range(1, steps + 1):
        p = 1 / (1 + np.exp(-np.clip(inputs @ weights, -60, 60)))
        chosen = np.where(truth == 1, p, 1 - p)
        losses[step - 1] = -(importance * np.log(np.maximum(chosen, 1e-12))).sum()
        slope = inputs.T @ (importance * (p - truth))
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        weights -= rate * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return weights[:-1].reshape(KERNEL, KERNEL), float(weights[-1]), losses


def accuracy(table: Doubles, kernel: Doubles, bias: float) -> float:
    """Balanced: the mean of the share of corners and of other positions that are told right."""
    says = table @ kernel.ravel() + bias > 0
    return float((says[0] + np.mean(~says[1:])) / 2)


def run(*, steps: int = 600, seeds: int = 5, report: Report = quiet) -> Padding:
    """All paddings, several seeds."""
    tables = np.stack([coverage(mode) for mode in MODES])
    scores, losses = np.zeros((len(MODES), seeds)), np.zeros((len(MODES), seeds, steps))
    kernels, biases = np.zeros((len(MODES), KERNEL, KERNEL)), np.zeros(len(MODES))
    largest = SIZE + KERNEL - 1
    outputs = np.zeros((len(MODES), 2, largest, largest))
    for m, mode in enumerate(MODES):
        for seed in range(seeds):
            kernel, bias, losses[m, seed] = train(tables[m], steps, seed)
            scores[m, seed] = accuracy(tables[m], kernel, bias)
            if seed == 0:
                kernels[m], biases[m] = kernel, bias
        for k, place in enumerate(((0, 0), (2, 1))):
            image = np.zeros((SIZE, SIZE))
            image[place] = 1
            out = convolution(image, kernels[m], mode)
            outputs[m, k, : len(out), : len(out)] = out
        report(f"{mode}: balanced accuracy {scores[m].mean():.3f}")
    classes = [len(np.unique(table, axis=0)) for table in tables]
    ranks = [int(np.linalg.matrix_rank(table)) for table in tables]
    return Padding(list(MODES), tables, classes, ranks, scores, losses, kernels, biases, outputs)


def plot(result: Padding) -> Any:
    """For each padding: which positions can be told apart, the kernel, the outputs, the loss."""
    from fastctc.htr.plotting import figure

    n = len(result.modes)
    made, axes = figure(n, 5, figsize=(11, 2.2 * n))
    size = round(result.coverage.shape[1] ** 0.5)
    for m, mode in enumerate(result.modes):
        _, number = np.unique(result.coverage[m], axis=0, return_inverse=True)
        axes[m, 0].imshow(number.reshape(size, size), cmap="tab20", vmin=0, vmax=19 if result.classes[m] < 20 else 25)
        kinds = result.classes[m]
        axes[m, 0].set_title(f"{mode}: {kinds} kind{'s' * (kinds > 1)} of position", fontsize=9)
        limit = np.abs(result.kernels[m]).max() or 1.0
        axes[m, 1].imshow(result.kernels[m], cmap="RdBu_r", vmin=-limit, vmax=limit)
        for (i, j), weight in np.ndenumerate(result.kernels[m]):
            shade = "w" if abs(weight) > limit / 2 else "k"
            axes[m, 1].text(j, i, f"{weight:.1f}", ha="center", va="center", fontsize=7, color=shade)
        axes[m, 1].set_title("learned kernel", fontsize=9)
        out = size + 2 * pads(mode) - KERNEL + 1
        for k, place in enumerate(("(0, 0)", "(2, 1)")):
            picture = result.outputs[m, k, :out, :out]
            axes[m, 2 + k].imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit)
            axes[m, 2 + k].set_title(f"pixel at {place}: sum {picture.sum():+.1f}", fontsize=9)
        for losses in result.losses[m]:
            axes[m, 4].plot(losses, color="k", alpha=0.5, linewidth=0.8)
        axes[m, 4].axhline(np.log(2), color="0.5", linestyle="--", linewidth=0.8)
        axes[m, 4].set(
            title=f"accuracy {result.accuracy[m].mean():.2f}", ylim=(0, 1), xlabel="step", ylabel="loss (nats)"
        )
        for ax in axes[m, :4]:
            ax.set(xticks=[], yticks=[])
    return made


def table(result: Padding) -> Table:
    """What each padding lets a kernel know, and what it learned."""
    rows = [["padding", "kinds of position", "rank of the coverage", "balanced accuracy", "last loss (nats)"]]
    for mode, kinds, rank, accuracy, losses in zip(
        result.modes, result.classes, result.ranks, result.accuracy, result.losses[:, :, -1], strict=True
    ):
        shown = mean_and_spread(accuracy, "{:.3f}"), mean_and_spread(losses, "{:.3f}")
        rows.append([mode, str(kinds), str(rank), *shown])
    return rows


def findings(result: Padding) -> list[str]:
    """In words, and checked against what the coverage says must be."""
    said = []
    for m, mode in enumerate(result.modes):
        must = "can" if result.classes[m] > 1 else "cannot"
        said.append(
            f"{mode}: positions are of {result.classes[m]} kind{'s' * (result.classes[m] > 1)} for a kernel (rank "
            f"{result.ranks[m]}), so "
            f"the corner "
            f"{must} be found; trained, the balanced accuracy over {result.accuracy.shape[1]} seeds is "
            f"{result.accuracy[m].mean():.3f} ± {result.accuracy[m].std():.3f}."
        )
    k = result.kernels[result.modes.index("zero")]
    block, rest = k[:2, :2].sum(), k[:, -1].sum() + k[-1, :-1].sum()
    said.append(
        f"Zero padding: the right column and the bottom row of the kernel never touch the corner pixel, but one of "
        f"them touches every other one; they sum to {rest:+.1f}, the upper left 2 × 2 block to {block:+.1f}, "
        f"{'as' if block > 0 > rest else 'not as'} the article explains."
    )
    found = [mode for mode, row in zip(result.modes, result.accuracy, strict=True) if row.min() == 1]
    never = [mode for mode, row in zip(result.modes, result.accuracy, strict=True) if row.max() <= 0.5]
    agree = found == [mode for mode, n in zip(result.modes, result.classes, strict=True) if n > 1] and never == [
        mode for mode in result.modes if mode not in found
    ]
    said.append(
        f"The corner is always found with: {', '.join(found) or 'none'}; never with: {', '.join(never) or 'none'}. "
        f"That {'is' if agree else 'is not'} what the table of coverage says."
    )
    return said


RESULT = Padding  # what run() returns
