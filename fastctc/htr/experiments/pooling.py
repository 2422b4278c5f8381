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
from fastctc.htr.experiments.result import Report, Result, quiet

SIZE = 64
CASES = ((0, "max"), (1, "max"), (2, "max"), (2, "average"), (2, "blur"))
HALF = 6  # of the rectangle that is moved over the image

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pooling(Result):
    """One row for each network."""

    names: list[str]
    pools: list[int]
    maps: Doubles  # (networks, SIZE, SIZE), the score by the rectangle's middle
    accuracy: list[float]
    swing: list[float]  # standard deviation of the score in the interior over its mean
    within_phase: list[float]  # the same among places that are alike but for whole periods


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
            x = network._pooled(x, (2, 2), kind, i)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Activation("sigmoid")(layers.Rescaling(30.0)(x)))


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


def run(*, steps: int = 300, cases: tuple[tuple[int, str], ...] = CASES, report: Report = quiet) -> Pooling:
    """Train each network, and move the rectangle over all its positions."""
    keras = network.keras()
    maps, accuracies, swings, phases, names = [], [], [], [], []
    for pools, kind in cases:
        keras.utils.set_random_seed(1)
        rng = np.random.default_rng(1)
        model = build(pools, kind)
        model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="binary_crossentropy", jit_compile=False)
        for _ in range(steps):
            model.train_on_batch(*images(rng, 64))
        x, y = images(np.random.default_rng(2), 400)
        accuracies.append(float(np.mean((np.asarray(model.predict_on_batch(x)) > 0.5) == (y > 0.5))))
        found = score_map(model.predict_on_batch)
        period, border = 2**pools, HALF + 3 * 2**pools + 2
        border += -border % period
        inner = found[border : SIZE - border, border : SIZE - border]
        inner = inner[: len(inner) // period * period, : len(inner) // period * period]
        tiles = inner.reshape(len(inner) // period, period, len(inner) // period, period)
        maps.append(found)
        swings.append(float(inner.std() / max(1e-9, inner.mean())))
        phases.append(float(tiles.std(axis=(0, 2)).max() / max(1e-9, inner.mean())))
        names.append("no pooling" if not pools else f"{pools} × {kind}")
        report(f"{names[-1]}: accuracy {accuracies[-1]:.2f}")
    return Pooling(names, [p for p, _ in cases], np.stack(maps), accuracies, swings, phases)


def plot(result: Pooling) -> Any:
    """The score by place, and an 8 x 8 piece of the interior."""
    from fastctc.plotting import figure

    n = len(result.names)
    made, axes = figure(2, n, figsize=(2.6 * n, 5.4))
    axes = np.asarray(axes).reshape(2, n)
    for i, name in enumerate(result.names):
        shown = axes[0, i].imshow(result.maps[i], cmap="gray")
        axes[0, i].set(
            title=f"{name}\naccuracy {result.accuracy[i]:.2f}", xlabel="column (pixels)", ylabel="row (pixels)"
        )
        made.colorbar(shown, ax=axes[0, i], label="p(disc)")
        piece = result.maps[i][28:36, 28:36]
        deviation = piece - piece.mean()
        limit = max(1e-9, float(np.abs(deviation).max()))
        shown = axes[1, i].imshow(deviation, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes[1, i].set(title="8 × 8 in the middle,\nfrom its mean", xlabel="column (pixels)")
        made.colorbar(shown, ax=axes[1, i])
    return made


def findings(result: Pooling) -> list[str]:
    """In words."""
    said = []
    for i, name in enumerate(result.names):
        period = 2 ** result.pools[i]
        said.append(
            f"{name} (accuracy {result.accuracy[i]:.0%}): away from the border the score varies by "
            f"{result.swing[i]:.2e} of "
            f"its mean with the place, among places a multiple of {period} pixels apart by "
            f"{result.within_phase[i]:.1e}."
        )
    said.append(
        "Without pooling the score is constant, with n poolings it repeats every 2^n pixels: the rest is the border."
    )
    return said
