"""The handwriting network in plain NumPy: what fastctc.htr.model builds in Keras, with the same weights.

Shi, Bai, Yao: An End-to-End Trainable Neural Network for Image-Based Sequence Recognition, TPAMI 2017.
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Array = npt.NDArray[np.float32]
BAND = 100_000  # numbers of neighbourhoods at a time
EPSILON = np.float32(1e-3)  # of the batch normalisation
_PAD_MODES: dict[str, Any] = {"reflect": "reflect", "symmetric": "symmetric", "circular": "wrap"}


class Steps(NamedTuple):
    """The order in which recurrent layers take the frames of several sequences: step by step, the longest first.

    ``frames`` are numbers of frames, those on the way back counted on behind all on the way there: in each step so many
    sequences as ``counts`` says have a frame there, and then one back.
    """

    frames: npt.NDArray[np.intp]
    counts: list[int]


def network(config: Any, weights: dict[str, Array], images: Array, trace: dict[str, Array] | None = None) -> Array:
    """Images (B, height, W, 1), ink 1 and paper 0, to log probabilities (B, frames, classes).

    ``config`` is a fastctc.htr.Config, of which pools, units, padding and pooling are needed; ``trace`` takes what
    every layer puts out, by the layer's name in Keras.
    """
    return np.stack(sequences(config, weights, list(features(config, weights, images, trace)), trace))


def networks(config: Any, weights: dict[str, Array], images: Sequence[Array]) -> list[Array]:
    """Images (height, W, 1) of any widths to log probabilities (frames, classes).

    Each is convolved alone, which stays in the processor's cache; the recurrent layers take a step of all at once, so
    that their weights are read once for all.
    """
    return sequences(config, weights, [features(config, weights, image[None])[0] for image in images])


def features(config: Any, weights: dict[str, Array], images: Array, trace: dict[str, Array] | None = None) -> Array:
    """The convolutions: images to features (B, frames, rows * channels)."""
    if trace is None and len(images) > 1:  # one image after the other stays in the processor's cache
        return np.concatenate([features(config, weights, image[None]) for image in images])
    x = images
    for i, pool in enumerate(config.pools, 1):
        convolved = convolution(x, weights[f"conv{i}/kernel"], config.padding)
        x = pooled(convolved, pool, config.pooling)
        norm = {name: weights[f"norm{i}/{name}"] for name in ("gamma", "beta", "moving_mean", "moving_variance")}
        scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + EPSILON)
        x = np.multiply(x, scale, out=x if trace is None else None)
        x += norm["beta"] - norm["moving_mean"] * scale
        normalized = x
        x = np.maximum(x, 0, out=x if trace is None else None)
        if trace is not None:
            trace |= {f"conv{i}": convolved, f"norm{i}": normalized, f"relu{i}": x}
    batch, rows, columns, channels = x.shape
    return x.transpose(0, 2, 1, 3).reshape(batch, columns, rows * channels)


def sequences(
    config: Any, weights: dict[str, Array], found: Sequence[Array], trace: dict[str, Array] | None = None
) -> list[Array]:
    """The LSTMs and the last layer: features (frames, channels) of each image to log probabilities.

    With ``trace`` all must have as many frames.
    """
    order = sorted(range(len(found)), key=lambda i: -len(found[i]))
    lengths = [len(found[i]) for i in order]
    x, steps = np.concatenate([found[i] for i in order]), steps_of(lengths)
    layers = {}
    for i in range(1, len(config.units) + 1):
        forward, backward = (
            [weights[f"lstm{i}/{way}/{name}"] for name in ("kernel", "recurrent_kernel", "bias")]
            for way in ("forward", "backward")
        )
        x = layers[f"lstms{i}"] = lstms(x, steps, forward, backward)
    scores = layers["classes"] = x @ weights["classes/kernel"] + weights["classes/bias"]
    scores = scores - scores.max(axis=1, keepdims=True)
    x = layers["log_probs"] = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    if trace is not None:
        trace |= {name: rows.reshape(len(found), lengths[0], -1) for name, rows in layers.items()}
    parts = np.split(x, np.cumsum(lengths)[:-1])
    return [part for _, part in sorted(zip(order, parts, strict=True), key=lambda one: one[0])]


def steps_of(lengths: list[int]) -> Steps:
    """Of sequences one after the other, the longest first."""
    step = np.arange(lengths[0])[:, None]
    stops = np.cumsum(lengths)
    frames = np.concatenate([stops - lengths + step, stops[-1] + stops - 1 - step], axis=1)
    taken = step < np.array(lengths)
    return Steps(frames[np.concatenate([taken, taken], axis=1)], taken.sum(axis=1).tolist())


def convolution(x: Array, kernel: Array, padding: str) -> Array:
    """Cross-correlation of (B, H, W, C) with (h, w, C, K): every neighbourhood as a row of a matrix, times kernel.

    The matrix is that of some rows of the image at a time, which stays in the processor's cache.
    """
    h, w, channels, out = kernel.shape
    batch, height, width = x.shape[:3]
    padded = _padded(x, h // 2, w // 2, padding)
    matrix = kernel.reshape(-1, out)
    result = np.empty((batch, height, width, out), np.float32)
    at_once = max(1, BAND // (width * len(matrix)))  # rows of the image
    rows = np.empty((min(at_once, height), width, h, w, channels), np.float32)
    for image, convolved in zip(padded, result, strict=True):
        # (H, W, C, h, w) -> (H, W, h, w, C)
        neighbours = sliding_window_view(image, (h, w), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
        for start in range(0, height, at_once):
            part = rows[: min(at_once, height - start)]
            np.copyto(part, neighbours[start : start + at_once])
            np.matmul(part.reshape(-1, len(matrix)), matrix, out=convolved[start : start + at_once].reshape(-1, out))
    return result


def _padded(x: Array, rows: int, columns: int, padding: str) -> Array:
    """With so many more rows and columns on all sides."""
    if padding != "zero":
        return np.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)), mode=_PAD_MODES[padding])
    batch, height, width, channels = x.shape
    padded = np.empty((batch, height + 2 * rows, width + 2 * columns, channels), np.float32)
    padded[:, :rows] = padded[:, rows + height :] = 0
    padded[:, :, :columns] = padded[:, :, columns + width :] = 0
    padded[:, rows : rows + height, columns : columns + width] = x
    return padded


def pooled(x: Array, pool: tuple[int, int], pooling: str) -> Array:
    """One number for each pool; rows and columns that do not fill one are left over."""
    if pool == (1, 1):
        return x
    if pooling == "blur":
        x = _everywhere(x, pool, largest=True)
        x = _everywhere(x, pool, largest=False)
    batch, height, width, channels = x.shape
    rows, columns = height // pool[0], width // pool[1]
    x = x[:, : rows * pool[0], : columns * pool[1]].reshape(batch, rows, pool[0], columns, pool[1], channels)
    if pooling == "max":  # of whole rows, then of whole columns: several times as fast as over both axes
        x = reduce(np.maximum, (x[:, :, i] for i in range(pool[0])))
        return reduce(np.maximum, (x[:, :, :, j] for j in range(pool[1])))
    result: Array = x.mean(axis=(2, 4), dtype=np.float32)
    return result


def _everywhere(x: Array, pool: tuple[int, int], largest: bool) -> Array:
    """Maximum or average of every neighbourhood; what lies outside does not count."""
    before = (pool[0] - 1) // 2, (pool[1] - 1) // 2
    pads = ((0, 0), (before[0], pool[0] - 1 - before[0]), (before[1], pool[1] - 1 - before[1]), (0, 0))
    padded = np.pad(x, pads, constant_values=-np.inf if largest else np.nan)
    windows = sliding_window_view(padded, pool, axis=(1, 2))
    result: Array = windows.max(axis=(4, 5)) if largest else np.nanmean(windows, axis=(4, 5), dtype=np.float32)
    return result


def lstms(x: Array, steps: Steps, forward: list[Array], backward: list[Array]) -> Array:
    """Long short-term memory over frames (N, features), there and back (Hochreiter, Schmidhuber 1997; Graves 2005).

    Each direction has a kernel, a recurrent kernel and a bias, with gates in Keras' order i, f, c, o. The steps of both
    are taken together, and all gates by one tanh: sigmoid(z) = (1 + tanh(z / 2)) / 2. Halves are left for later, which
    changes no digit.
    """
    units = forward[1].shape[0]
    halves = np.full(4 * units, np.float32(0.5))
    halves[2 * units : 3 * units] = 1
    seen = [(x @ kernel + bias) * halves for kernel, _, bias in (forward, backward)]
    inputs = np.concatenate(seen)[steps.frames]
    recurrents = np.stack([forward[1], backward[1]]) * (np.float32(0.5) * halves)  # of twice the hidden state
    result = np.empty((2 * len(x), units), np.float32)
    hidden = np.zeros((2, steps.counts[0], units), np.float32)
    cells, news = np.zeros_like(hidden), np.empty_like(hidden)
    product = np.empty((2, steps.counts[0], 4 * units), np.float32)
    start = 0
    for count in steps.counts:
        if count < hidden.shape[1]:
            hidden, cells, news, product = (
                np.ascontiguousarray(one[:, :count]) for one in (hidden, cells, news, product)
            )
        stop = start + 2 * count
        z = inputs[start:stop].reshape(2, count, 4 * units)
        z += np.matmul(hidden, recurrents, out=product)
        np.tanh(z, out=z)
        new, forget, candidate, output = (z[..., k : k + units] for k in range(0, 4 * units, units))
        forget += 1
        cells *= forget
        new += 1
        np.multiply(new, candidate, out=news)
        cells += news
        cells *= 0.5
        np.tanh(cells, out=news)
        output += 1
        hidden = np.multiply(output, news, out=result[start:stop].reshape(2, count, units))
        start = stop
    result *= 0.5
    found = np.empty_like(result)
    found[steps.frames] = result
    return np.concatenate([found[: len(x)], found[len(x) :]], axis=1)
