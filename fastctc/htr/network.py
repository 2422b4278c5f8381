"""The handwriting network in plain NumPy: what fastctc.htr.model builds in Keras, with the same weights.

Shi, Bai, Yao: An End-to-End Trainable Neural Network for Image-Based Sequence Recognition, TPAMI 2017.
"""

from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Array = npt.NDArray[np.float32]
EPSILON = np.float32(1e-3)  # of the batch normalisation
_PAD_MODES: dict[str, Any] = {"zero": "constant", "reflect": "reflect", "symmetric": "symmetric", "circular": "wrap"}


def network(config: Any, weights: dict[str, Array], images: Array, trace: dict[str, Array] | None = None) -> Array:
    """Images (B, height, W, 1), ink 1 and paper 0, to log probabilities (B, frames, classes).

    ``config`` is a fastctc.htr.Config, of which pools, units, padding and pooling are needed; ``trace`` takes what
    every layer puts out, by the layer's name in Keras.
    """
    return sequence(config, weights, features(config, weights, images, trace), trace)


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
        x = x * scale
        x += norm["beta"] - norm["moving_mean"] * scale
        normalized = x
        x = np.maximum(x, 0, out=x if trace is None else None)
        if trace is not None:
            trace |= {f"conv{i}": convolved, f"norm{i}": normalized, f"relu{i}": x}
    batch, rows, columns, channels = x.shape
    return x.transpose(0, 2, 1, 3).reshape(batch, columns, rows * channels)


def sequence(config: Any, weights: dict[str, Array], x: Array, trace: dict[str, Array] | None = None) -> Array:
    """The LSTMs and the last layer: features to log probabilities."""
    trace = {} if trace is None else trace
    for i in range(1, len(config.units) + 1):
        forward, backward = (
            [weights[f"lstm{i}/{way}/{name}"] for name in ("kernel", "recurrent_kernel", "bias")]
            for way in ("forward", "backward")
        )
        x = trace[f"lstms{i}"] = lstms(x, forward, backward)
    scores = trace["classes"] = x @ weights["classes/kernel"] + weights["classes/bias"]
    scores = scores - scores.max(axis=2, keepdims=True)
    result: Array = scores - np.log(np.exp(scores).sum(axis=2, keepdims=True))
    trace["log_probs"] = result
    return result


def convolution(x: Array, kernel: Array, padding: str) -> Array:
    """Cross-correlation of (B, H, W, C) with (h, w, C, K): every neighbourhood as a row of a matrix, times kernel."""
    h, w, channels, out = kernel.shape
    padded = np.pad(x, ((0, 0), (h // 2, h // 2), (w // 2, w // 2), (0, 0)), mode=_PAD_MODES[padding])
    batch, height, width = x.shape[:3]
    # (B, H, W, C, h, w) -> (B, H, W, h, w, C)
    neighbours = sliding_window_view(padded, (h, w), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    rows = np.ascontiguousarray(neighbours).reshape(-1, h * w * channels)
    result: Array = (rows @ kernel.reshape(-1, out)).reshape(batch, height, width, out)
    return result


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


def lstms(x: Array, forward: list[Array], backward: list[Array]) -> Array:
    """Long short-term memory over (B, T, features), there and back (Hochreiter, Schmidhuber 1997; Graves 2005).

    Each direction has a kernel, a recurrent kernel and a bias, with gates in Keras' order i, f, c, o. The steps of both
    are taken together, and all gates by one tanh: sigmoid(z) = (1 + tanh(z / 2)) / 2.
    """
    batch, steps, features = x.shape
    units = forward[1].shape[0]
    i, f, c, o = np.split(np.arange(4 * units), 4)
    order = np.concatenate([i, f, o, c])
    halves = np.where(np.arange(4 * units) < 3 * units, np.float32(0.5), np.float32(1.0))
    kernels, recurrents, biases = (
        np.stack([there.take(order, -1), back.take(order, -1)]) * halves
        for there, back in zip(forward, backward, strict=True)
    )
    inputs = np.empty((steps, 2, batch, 4 * units), np.float32)
    rows = np.ascontiguousarray(x.swapaxes(0, 1)).reshape(-1, features)  # step by step
    for way, kernel in enumerate(kernels):
        seen = (rows @ kernel).reshape(steps, batch, 4 * units)
        np.add(seen[::-1] if way else seen, biases[way], out=inputs[:, way])
    result = np.empty((steps, 2, batch, units), np.float32)
    hidden, cell, new = (np.zeros((2, batch, units), np.float32) for _ in range(3))
    for z, out in zip(inputs, result, strict=True):
        z += hidden @ recurrents
        np.tanh(z, out=z)
        gates = z[..., : 3 * units]
        gates += 1
        gates *= 0.5
        cell *= gates[..., units : 2 * units]
        np.multiply(gates[..., :units], z[..., 3 * units :], out=new)
        cell += new
        np.tanh(cell, out=new)
        hidden = np.multiply(gates[..., 2 * units :], new, out=out)
    there, back = result[:, 0], result[::-1, 1]
    return np.ascontiguousarray(np.concatenate([there, back], axis=2).swapaxes(0, 1))
