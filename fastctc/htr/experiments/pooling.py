"""Max, average, or blurred pooling: how much does the answer depend on where the thing is?

After Scheidl's analyze_pooling: a rectangle or a disc somewhere on a black image, three convolutions with 0, 1 or 2
poolings by two between them, the mean over all pixels, and the question "is it a disc?". With n poolings the score
away from the border repeats exactly every 2^n pixels: that can be computed, not only seen.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.htr import model as network
from fastctc.htr.experiments.result import Report, Result, Table, mean_and_spread, quiet, unlearnt

SIZE = 64
CASES = ((0, "max"), (1, "max"), (2, "max"), (2, "average"), (2, "blur"))
GAIN = 30.0  # of the mean before the sigmoid: a small thing on a large image moves the mean little
EXACT = 1e-5  # of the mean: what float32 leaves of "equal"
LEARNT = 0.75  # accuracy, of which guessing has a half
HALF = 6  # of the rectangle that is moved over the image

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pooling(Result):
    """One row for each kind of network, one column for each seed."""

    names: list[str]
    pools: list[int]
    maps: Doubles  # (kinds, SIZE, SIZE), the first seed's score by the rectangle's middle
    accuracy: Doubles  # (kinds, seeds)
    swing: Doubles  # (kinds, seeds), standard deviation of the score in the interior over its mean
    within_phase: Doubles  # the same among places that are alike but for whole periods


def images(rng: np.random.Generator, n: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Rectangles (0) and discs (1) anywhere."""
    result, labels = np.zeros((n, SIZE, SIZE, 1), np.float32), rng.integers(0, 2, n)
    y, x = np.mgrid[:SIZE, :SIZE]
    for image, label in zip(result, labels, strict=True):
        v, u, a, b = rng.integers(0, SIZE), rng.integers(0, SIZE), rng.integers(4, 9), rng.integers(4, 9)
        inside = (x - u) ** 2 + (y - v) ** 2 <= a * a if label else (abs(x - u) <= a) & (abs(y - v) <= b)
        image[inside, 0] = 1
    return result, labels.astype(np.float32)[:, None]


def build(pools: int, kind: str) -> Any:
    """Three convolutions of 3, 3 and 1 channels, poolings after the first ``pools`` of them, mean, sigmoid."""
    keras = network.keras()
    layers = keras.layers
    x = image = layers.Input((SIZE, SIZE, 1))
    for i, channels in enumerate((3, 3, 1)):
        x = layers.Conv2D(channels, 3, padding="same", activation="relu" if i < 2 else None)(x)
        if i < pools:
            x = network.pooled(x, (2, 2), kind, i)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Activation("sigmoid")(layers.Rescaling(GAIN)(x)))


def score_map(predict: Any) -> Doubles:
    """The score of a rectangle with its middle at every pixel."""
    y, x = np.mgrid[:SIZE, :SIZE]
    result = np.zeros((SIZE, SIZE))
    for v in range(SIZE):
        row = np.zeros((SIZE, SIZE, SIZE, 1), np.float32)
        for u in range(SIZE):
            row[u, (abs(x - u) <= HALF) & (abs(y - v) <= HALF), 0] = 1
        result[v] = np.asarray(predict(row))[:, 0]
    return result


def variation(scores: Doubles, pools: int) -> tuple[float, float]:
    """How much a map of scores varies away from the border: over all places, and among those alike but for periods.

    Both are standard deviations over the mean; the second is the largest of any phase.
    """
    period, border = 2**pools, HALF + 3 * 2**pools + 2
    border += -border % period
    inner = scores[border : SIZE - border, border : SIZE - border]
    whole = len(inner) // period
    inner = inner[: whole * period, : whole * period]
    phases = inner.reshape(whole, period, whole, period)
    mean = max(1e-9, float(inner.mean()))
    return float(inner.std()) / mean, float(phases.std(axis=(0, 2)).max()) / mean


def run(
    *, steps: int = 300, seeds: int = 3, cases: tuple[tuple[int, str], ...] = CASES, report: Report = quiet
) -> Pooling:
    """Train each network, and move the rectangle over all its positions."""
    keras = network.keras()
    names = ["no pooling" if not pools else f"{pools} × {kind}" for pools, kind in cases]
    maps = np.zeros((len(cases), SIZE, SIZE))
    accuracy, swing, within = (np.zeros((len(cases), seeds)) for _ in range(3))
    for i, (pools, kind) in enumerate(cases):
        for seed in range(seeds):
            keras.utils.set_random_seed(seed)
            rng = np.random.default_rng(seed)
            model = build(pools, kind)
            model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="binary_crossentropy", jit_compile=False)
            for _ in range(steps):
                model.train_on_batch(*images(rng, 64))
            x, y = images(np.random.default_rng(1000), 400)
            accuracy[i, seed] = np.mean((np.asarray(model.predict_on_batch(x)) > 0.5) == (y > 0.5))
            scores = score_map(model.predict_on_batch)
            swing[i, seed], within[i, seed] = variation(scores, pools)
            if seed == 0:
                maps[i] = scores
            report(f"{names[i]}, seed {seed}: accuracy {accuracy[i, seed]:.2f}")
    return Pooling(names, [pools for pools, _ in cases], maps, accuracy, swing, within)


def plot(result: Pooling) -> Any:
    """The score by place, and an 8 x 8 piece of the interior."""
    from fastctc.htr.plotting import figure

    n = len(result.names)
    made, axes = figure(2, n, figsize=(2.6 * n, 6.8))
    axes = np.asarray(axes).reshape(2, n)
    for i, name in enumerate(result.names):
        shown = axes[0, i].imshow(result.maps[i], cmap="gray")
        axes[0, i].set_title(f"{name}\naccuracy {result.accuracy[i, 0]:.2f}", fontsize=9)
        made.colorbar(shown, ax=axes[0, i], label="p(disc)", location="bottom").ax.tick_params(rotation=45, labelsize=7)
        piece = result.maps[i][28:36, 28:36]
        deviation = piece - piece.mean()
        limit = max(1e-9, float(np.abs(deviation).max()))
        shown = axes[1, i].imshow(deviation, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=(27.5, 35.5, 35.5, 27.5))
        for (row, column), value in np.ndenumerate(deviation):  # readable in grey, too
            if value < -limit / 3:
                axes[1, i].text(28 + column, 28 + row, "−", ha="center", va="center", color="w")
        axes[1, i].set_title("8 × 8 in the middle,\nfrom its mean", fontsize=9)
        bar = made.colorbar(shown, ax=axes[1, i], label="change of p(disc)", location="bottom")
        bar.ax.tick_params(rotation=45, labelsize=7)
        for ax in axes[:, i]:
            ax.set(xlabel="column (pixels)", ylabel="row (pixels)" if i == 0 else "")
    return made


def table(result: Pooling) -> Table:
    """How the score varies with the place, away from the border, over its mean."""
    rows = [["network", "accuracy", "over all places", "among places whole periods apart"]]
    for name, accuracy, swing, within in zip(
        result.names, result.accuracy, result.swing, result.within_phase, strict=True
    ):
        shown = mean_and_spread(swing, "{:.1e}"), f"at most {within.max():.1e}"
        rows.append([name, mean_and_spread(accuracy, "{:.0%}"), *shown])
    return rows


def findings(result: Pooling) -> list[str]:
    """In words; what they say follows from the numbers."""
    said = []
    for i, name in enumerate(result.names):
        period, swing, within = 2 ** result.pools[i], result.swing[i], result.within_phase[i].max()
        repeats = f"it {'repeats' if within < EXACT else 'does not repeat'} exactly every {period} pixels"
        if swing.max() < EXACT:
            repeats = "it is constant"
        said.append(
            f"{name} (accuracy {result.accuracy[i].mean():.0%}, {len(swing)} seeds): away from the border the score "
            f"varies with the place by {swing.mean():.1e} ± {swing.std():.1e} of its mean, among places a multiple of "
            f"{period} pixels apart by at most {within:.1e}: {repeats}."
        )
    if reason := unlearnt(result.names, result.accuracy.mean(1) >= LEARNT):
        return [*said, reason]
    most = max(result.pools)
    kinds = [i for i, pools in enumerate(result.pools) if pools == most]
    if len(kinds) > 1:
        order = sorted(kinds, key=lambda i: float(np.median(result.swing[i])))
        said.append(
            f"With {most} poolings the least shift-sensitive in the middle of the seeds is {result.names[order[0]]}, "
            f"the most {result.names[order[-1]]}; the seeds' ranges "
            f"{'do not overlap' if result.swing[order[0]].max() < result.swing[order[-1]].min() else 'overlap'}."
        )
    return said


RESULT = Pooling  # what run() returns
