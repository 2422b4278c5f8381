"""The handwriting network in plain NumPy: what fastctc.htr.model builds in Keras, with the same weights.

Shi, Bai, Yao: An End-to-End Trainable Neural Network for Image-Based Sequence Recognition, TPAMI 2017.
"""

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
    trace = {} if trace is None else trace
    x = images
    for i, pool in enumerate(config.pools, 1):
        x = trace[f"conv{i}"] = convolution(x, weights[f"conv{i}/kernel"], config.padding)
        x = pooled(x, pool, config.pooling)
        norm = {name: weights[f"norm{i}/{name}"] for name in ("gamma", "beta", "moving_mean", "moving_variance")}
        scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + EPSILON)
        x = trace[f"norm{i}"] = x * scale + (norm["beta"] - norm["moving_mean"] * scale)
        x = trace[f"relu{i}"] = np.maximum(x, 0)
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
        there, back = lstm(x, *forward), lstm(x[:, ::-1], *backward)
        x = trace[f"lstms{i}"] = np.concatenate([there, back[:, ::-1]], axis=2)
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
    result: Array = x.max(axis=(2, 4)) if pooling == "max" else x.mean(axis=(2, 4), dtype=np.float32)
    return result


def _everywhere(x: Array, pool: tuple[int, int], largest: bool) -> Array:
    """Maximum or average of every neighbourhood; what lies outside does not count."""
    before = (pool[0] - 1) // 2, (pool[1] - 1) // 2
    pads = ((0, 0), (before[0], pool[0] - 1 - before[0]), (before[1], pool[1] - 1 - before[1]), (0, 0))
    padded = np.pad(x, pads, constant_values=-np.inf if largest else np.nan)
    windows = sliding_window_view(padded, pool, axis=(1, 2))
    result: Array = windows.max(axis=(4, 5)) if largest else np.nanmean(windows, axis=(4, 5), dtype=np.float32)
    return result


def lstm(x: Array, kernel: Array, recurrent: Array, bias: Array) -> Array:
    """Long short-term memory over (B, T, features) (Hochreiter, Schmidhuber 1997), gates in Keras' order i, f, c, o."""
    batch, steps, _ = x.shape
    units = recurrent.shape[0]
    inputs = x @ kernel + bias
    result = np.empty((batch, steps, units), np.float32)
    h = c = np.zeros((batch, units), np.float32)
    for t in range(steps):
        z = inputs[:, t] + h @ recurrent
        gates = 1 / (1 + np.exp(-np.clip(z, -80, 80)))
        i, f, o = gates[:, :units], gates[:, units : 2 * units], gates[:, 3 * units :]
        c = f * c + i * np.tanh(z[:, 2 * units : 3 * units])
        h = result[:, t] = o * np.tanh(c)
    return result
