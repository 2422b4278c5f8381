"""What the experiments of fastctc.htr.experiments compute, one number after the other."""

from collections.abc import Callable, Sequence
from math import exp, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def relevance(score: Callable[[Array], float], ink: Array, greys: Sequence[int], chances: Sequence[float]) -> Array:
    """By how many bits each pixel raises the log-odds of a text whose log probability ``score`` tells.

    The pixel is taken away by averaging the text's probability over the greys that it could have, each with its chance.
    """
    result = np.zeros(ink.shape)
    for y, x in np.ndindex(ink.shape):
        changed, p = ink.copy(), 0.0
        for grey, chance in zip(greys, chances, strict=True):
            changed[y, x] = 255 - grey
            p += chance * exp(score(changed))
        result[y, x] = _log_odds(exp(score(ink))) - _log_odds(p)
    return result


def _log_odds(p: float) -> float:
    return log2(p / (1 - p))


def deviation(columns: Array) -> float:
    """Share of columns that differ from the middle one in any feature."""
    middle = columns[len(columns) // 2]
    largest = max(1.0, *(abs(float(value)) for value in middle))
    unlike = [any(abs(float(a) - float(b)) > 1e-5 * largest for a, b in zip(c, middle, strict=True)) for c in columns]
    return sum(unlike) / len(unlike)


def position_probe(features: Array) -> float:
    """R² on held-out images of the best linear guess of the column from its features, (images, columns, features).

    Ridge regression as least squares with the penalty as rows of its own.
    """
    images, columns, width = features.shape
    half, ridge = images // 2, np.sqrt(10.0)
    places = np.linspace(-1, 1, columns)
    seen = [(row, place) for image in features[:half] for place, row in zip(places, image, strict=True)]
    values = np.array([row for row, _ in seen], np.float64)
    mean, spread = values.mean(0), values.std(0) + 1e-6
    rows = np.vstack([np.column_stack([(values - mean) / spread, np.ones(len(values))]), ridge * np.eye(width + 1)])
    weights = np.linalg.lstsq(rows, np.array([place for _, place in seen] + [0.0] * (width + 1)), rcond=None)[0]
    wrong = total = 0.0
    for image in features[half:]:
        for place, row in zip(places, image, strict=True):
            guess = ((row - mean) / spread) @ weights[:-1] + weights[-1]
            wrong, total = wrong + (guess - place) ** 2, total + place**2  # the places' mean is 0
    return float(1 - wrong / total)


def pooling_score(weights: Sequence[Array], image: Array, pools: int, kind: str, gain: float) -> float:
    """Answer of a network of convolutions, the first ``pools`` of them followed by a pooling by two.

    ``weights`` holds kernels (h, w, channels, channels after) and biases in turn. All convolutions but the last are
    followed by max(0, x); the answer is the logistic function of the mean of what is left, times a gain.
    """
    x = image[:, :, None].astype(np.float64)
    layers = list(zip(weights[::2], weights[1::2], strict=True))
    for number, (kernel, bias) in enumerate(layers):
        x = _convolution(x, kernel) + bias
        if number + 1 < len(layers):
            x = np.maximum(x, 0)
        if number < pools:
            x = _pooled(x, kind)
    return 1 / (1 + exp(-gain * x.mean()))


def _convolution(x: Array, kernel: Array) -> Array:
    """Each place is the sum over its neighbourhood, with zeros outside the image."""
    h, w, _, n_out = kernel.shape
    padded = np.pad(x, ((h // 2, h // 2), (w // 2, w // 2), (0, 0)))
    result = np.empty((*x.shape[:2], n_out))
    for i, j in np.ndindex(x.shape[:2]):
        result[i, j] = np.tensordot(padded[i : i + h, j : j + w], kernel, 3)
    return result


def _pooled(x: Array, kind: str) -> Array:
    """One number for each square of two by two; "blur" smooths before, by the largest and then the mean of four."""
    if kind == "blur":
        x = _each(x, np.max)
        x = _each(x, np.mean)
    summary: Callable[..., Any] = np.max if kind == "max" else np.mean
    return _each(x, summary)[: x.shape[0] // 2 * 2 : 2, : x.shape[1] // 2 * 2 : 2]


def _each(x: Array, summary: Callable[..., Any]) -> Array:
    """A summary of each place and its neighbours to the right and below, as far as there are any."""
    result = np.empty_like(x)
    for i, j in np.ndindex(x.shape[:2]):
        result[i, j] = summary(x[i : i + 2, j : j + 2], axis=(0, 1))
    return result
