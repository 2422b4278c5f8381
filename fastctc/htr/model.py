"""The network: an image of a line or a word in, log probabilities of characters, frame by frame, out.

Convolutions look at strokes and shrink the image to one row of features, two bidirectional LSTMs read along it, the
last layer says for every frame which character stands there (Shi, Bai, Yao 2017, doi:10.1109/TPAMI.2016.2646371;
Scheidl, SimpleHTR). Ink is 1 and paper is 0, so that the zeros with which a convolution continues its input are paper.

The same code runs under Keras' TensorFlow, JAX and torch backends (KERAS_BACKEND); weights go from one to another.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.htr.config import Config


def keras() -> Any:
    """Keras, or a message how to get it."""
    try:
        import keras
    except ImportError as error:
        raise ImportError(f'the network needs Keras: pip install "fastctc[train]" ({error})') from error
    return keras


def build_model(config: Config) -> Any:
    """The network as a ``keras.Model``: (B, height, W, 1) float32 to log probabilities (B, W // stride, classes)."""
    k = keras()
    layers = k.layers
    image = layers.Input((config.height, config.width, 1), name="image")  # (B, H, W, 1)
    x = image
    for i, (kernel, channels, pool) in enumerate(zip(config.kernels, config.channels, config.pools, strict=True), 1):
        mode = "same" if config.padding == "zero" else "valid"
        x = _padded(x, kernel, config.padding)
        x = layers.Conv2D(channels, kernel, padding=mode, use_bias=False, name=f"conv{i}")(
            x
        )  # (B, rows, columns, channels)
        # Pooled first, so that the rest has a quarter of the work; with the maximum that is the classic order's result.
        x = pooled(x, pool, config.pooling, i)  # (B, rows / pool, columns / pool, channels)
        x = layers.BatchNormalization(momentum=0.95, epsilon=1e-3, name=f"norm{i}")(x)
        x = layers.ReLU(name=f"relu{i}")(x)
    features = config.rows * config.channels[-1]
    x = layers.Permute((2, 1, 3), name="columns")(x)  # (B, T, rows, channels)
    frames = None if config.width is None else config.width // config.stride
    x = layers.Reshape((-1 if frames is None else frames, features), name="frames")(x)  # (B, T, features)
    for i, units in enumerate(config.units, 1):
        x = layers.Dropout(config.dropout, name=f"dropout{i}")(x)
        lstm = layers.LSTM(units, return_sequences=True, name=f"lstm{i}")
        x = layers.Bidirectional(lstm, name=f"lstms{i}")(x)  # (B, T, 2 units)
    x = layers.Dropout(config.dropout, name="dropout")(x)
    x = layers.Dense(config.alphabet.n_classes, name="classes")(x)  # (B, T, C)
    log_probs = layers.Activation("log_softmax", dtype="float32", name="log_probs")(x)
    return k.Model(image, log_probs, name="fastctc_htr")


def _padded(x: Any, kernel: tuple[int, int], padding: str) -> Any:
    """The input of a convolution, continued as its padding says; zeros are the convolution's own work."""
    ops = keras().ops
    if padding == "zero":
        return x
    rows, columns = kernel[0] // 2, kernel[1] // 2
    if padding != "circular":
        return ops.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)), mode=padding)
    if rows:
        x = ops.concatenate([x[:, -rows:], x, x[:, :rows]], axis=1)
    if columns:
        x = ops.concatenate([x[:, :, -columns:], x, x[:, :, :columns]], axis=2)
    return x


def pooled(x: Any, pool: tuple[int, int], pooling: str, i: int) -> Any:
    """One number for each pool of pixels."""
    layers = keras().layers
    if pool == (1, 1):
        return x
    if pooling == "max":
        return layers.MaxPooling2D(pool, name=f"pool{i}")(x)
    if pooling == "average":
        return layers.AveragePooling2D(pool, name=f"pool{i}")(x)
    # Zhang 2019 (arXiv:1904.11486): the maximum everywhere, then a low-pass filter (two averages), then every pool-th.
    x = layers.MaxPooling2D(pool, strides=1, padding="same", name=f"max{i}")(x)
    x = layers.AveragePooling2D(pool, strides=1, padding="same", name=f"blur{i}")(x)
    return layers.AveragePooling2D(pool, name=f"pool{i}")(x)


def ctc_loss(targets: Any, log_probs: Any) -> Any:
    """The mean over the batch of −ln p(text | image), the blank being the last class.

    ``targets`` is (B, 2 + L) int32: how many frames count, how many labels follow, the labels, padded with zeros.
    """
    ops = keras().ops
    targets = ops.cast(targets, "int32")  # Keras hands targets over as floats
    n_frames, n_labels, labels = targets[:, 0], targets[:, 1], targets[:, 2:]
    losses = ops.ctc_loss(labels, log_probs, n_labels, n_frames, mask_index=log_probs.shape[-1] - 1)
    return ops.mean(losses)


def targets(labels: list[tuple[int, ...]], n_frames: list[int]) -> npt.NDArray[np.int32]:
    """Labels of a batch as :func:`ctc_loss` takes them."""
    longest = -(-max(1, *map(len, labels)) // 16) * 16  # few shapes: TensorFlow prepares a network for each
    result = np.zeros((len(labels), 2 + longest), np.int32)
    for row, label, frames in zip(result, labels, n_frames, strict=True):
        row[0], row[1] = frames, len(label)
        row[2 : 2 + len(label)] = label
    return result


def weights(model: Any) -> dict[str, npt.NDArray[np.float32]]:
    """The weights of the network by name: ``conv1/kernel``, ``lstm2/backward/bias``, and so on."""
    return {name: np.asarray(keras().ops.convert_to_numpy(variable)) for name, variable in _variables(model)}


def set_weights(model: Any, values: dict[str, npt.NDArray[Any]]) -> None:
    """Give the network these weights.

    Raises
    ------
    ValueError
        If a weight is missing, unknown or of another shape: the weights are those of another config.
    """
    variables = dict(_variables(model))
    if variables.keys() != values.keys():
        missing, unknown = sorted(variables.keys() - values.keys()), sorted(values.keys() - variables.keys())
        raise ValueError(f"the weights are those of another network: missing {missing}, unknown {unknown}")
    for name, variable in variables.items():
        if tuple(variable.shape) != values[name].shape:
            raise ValueError(
                f"the weights are those of another network: {name} must be of shape {tuple(variable.shape)}, "
                f"got {values[name].shape}"
            )
        variable.assign(values[name].astype(np.float32))


def _variables(model: Any) -> list[tuple[str, Any]]:
    found = []
    for layer in model.layers:
        if layer.name.startswith("lstms"):
            name = layer.name.replace("lstms", "lstm")
            for way, part in (("forward", layer.forward_layer), ("backward", layer.backward_layer)):
                found += [
                    (f"{name}/{way}/{variable.name}", variable)
                    for variable in part.cell.variables
                    if variable.name != "seed_generator_state"
                ]
        elif layer.name.startswith(("conv", "norm", "classes")):
            found += [(f"{layer.name}/{variable.name}", variable) for variable in layer.variables]
    return found
