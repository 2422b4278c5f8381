"""The CTC functions of Keras 3 on TensorFlow: those behind ``keras.ops``, and the legacy backend's pair.

On PyTorch and JAX ``keras.ops`` has those of :mod:`fastctc.compat.keras_on_torch` and ``keras_on_jax``.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastctc.compat import tensorflow as ours
from fastctc.compat.tensorflow import Floats, Paths, beam_search, greedy, merged
from fastctc.frameworks.tensorflow import ctc_loss as differentiable_loss

if TYPE_CHECKING:
    from tensorflow import Tensor

__all__ = ["ctc_batch_cost", "ctc_decode", "ctc_loss", "legacy_ctc_decode"]

EPSILON = 1e-7  # what Keras adds to probabilities, unless told otherwise


def ctc_decode(
    inputs: "Tensor",
    sequence_lengths: "Tensor",
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int | None = 0,
) -> "tuple[Tensor, Tensor]":
    """Labels (paths, batch, frames) of int32, -1 behind the end, and scores, as ``keras.ops.ctc_decode``.

    ``inputs`` are logits (batch, frames, classes). Greedy scores are negated sums of the greatest logits, (batch, 1);
    the beam's are log probabilities, (batch, top_paths).
    """
    import tensorflow as tf

    check_strategy(strategy)
    blank = -1 if mask_index is None else mask_index
    if not isinstance(inputs, tf.Tensor):
        inputs = tf.convert_to_tensor(inputs)
    if inputs.dtype not in (tf.float32, tf.float64):
        inputs = tf.cast(inputs, tf.float32)

    def decode(frames: Floats, lengths: Any) -> list[Any]:
        return decoded(frames, lengths, strategy, beam_width, top_paths, merge_repeated, blank)

    n_paths = 1 if strategy == "greedy" else top_paths

    def results(tf: Any, inputs: Any) -> list[tuple[Any, Any]]:
        n_sequences, n_frames = inputs.shape[:2] if inputs.shape.rank == 3 else (None, None)
        return [(tf.int32, [n_paths, n_sequences, n_frames]), (inputs.dtype, [n_sequences, n_paths])]

    found: tuple[Tensor, Tensor] = tuple(ours.decode(decode, inputs, sequence_lengths, results))
    return found


def ctc_loss(
    target: "Tensor", output: "Tensor", target_length: "Tensor", output_length: "Tensor", mask_index: int = 0
) -> "Tensor":
    """Loss (batch,) of labels (batch, labels) and logits (batch, frames, classes), as ``keras.ops.ctc_loss``."""
    import tensorflow as tf

    output = tf.convert_to_tensor(output)
    if output.dtype not in (tf.float32, tf.float64):
        output = tf.cast(output, tf.float32)
    return differentiable_loss(
        tf.cast(target, tf.int32), output, target_length, output_length, logits_time_major=False, blank_index=mask_index
    )


def legacy_ctc_decode(
    y_pred: "Tensor", input_length: "Tensor", greedy: bool = True, beam_width: int = 100, top_paths: int = 1
) -> "tuple[list[Tensor], Tensor]":
    """Dense labels of int64 of each path, and scores, as ``ctc_decode`` of Keras' old backend.

    ``y_pred`` are probabilities (batch, frames, classes), the blank last. As there, the beam search merges equal
    neighbours in its result: "hello" becomes "helo".
    """
    import tensorflow as tf

    search, best = beam_search, ours.greedy
    n_paths = 1 if greedy else top_paths

    def decode(probs: Floats, lengths: Any) -> list[Any]:
        frames = np.log(np.moveaxis(probs, 0, 1) + probs.dtype.type(EPSILON)) if probs.ndim == 3 else probs
        if greedy:
            path, scores = best(frames, lengths, True, -1)
            paths = [path]
        else:
            paths, scores = search(frames, lengths, beam_width, top_paths, -1)
            paths = [list(map(merged, path)) for path in paths]
        return [*(padded(path, len(frames), np.int64) for path in paths), scores]

    def results(tf: Any, inputs: Any) -> list[tuple[Any, Any]]:
        n_sequences, n_frames = inputs.shape[:2] if inputs.shape.rank == 3 else (None, None)
        return [(tf.int64, [n_sequences, n_frames])] * n_paths + [(inputs.dtype, [n_sequences, n_paths])]

    *dense, scores = ours.decode(decode, y_pred, tf.cast(input_length, tf.int32), results)
    return dense, scores


def ctc_batch_cost(y_true: "Tensor", y_pred: "Tensor", input_length: "Tensor", label_length: "Tensor") -> "Tensor":
    """Loss (batch, 1) of labels and probabilities, the blank last, as ``ctc_batch_cost`` of Keras' old backend."""
    import tensorflow as tf

    logits = tf.math.log(tf.convert_to_tensor(y_pred) + EPSILON)
    label_length = tf.cast(tf.squeeze(label_length, axis=-1), tf.int32)
    input_length = tf.cast(tf.squeeze(input_length, axis=-1), tf.int32)
    loss = differentiable_loss(
        tf.cast(y_true, tf.int32), logits, label_length, input_length, logits_time_major=False, blank_index=-1
    )
    return tf.expand_dims(loss, 1)


def check_strategy(strategy: str) -> None:
    """Refuse other names, with Keras' words."""
    if strategy not in ("greedy", "beam_search"):
        raise ValueError(f"Invalid strategy {strategy}. Supported values are 'greedy' and 'beam_search'.")


def decoded(
    frames: Floats, lengths: Any, strategy: str, beam_width: int, top_paths: int, merge_repeated: bool, blank: int
) -> list[Any]:
    """Labels (paths, batch, frames) and scores (batch, paths) of arrays of logits (batch, frames, classes)."""
    frames = np.moveaxis(frames, 0, 1) if frames.ndim == 3 else frames
    if strategy == "greedy":
        path, scores = greedy(frames, lengths, merge_repeated, blank)
        paths = [path]
    else:
        paths, scores = beam_search(frames, lengths, beam_width, top_paths, blank)
    return [np.stack([padded(path, len(frames), np.int32) for path in paths]), scores]


def padded(paths: Paths, n_frames: int, kind: Any) -> NDArray[Any]:
    """Labels (batch, frames), -1 behind the end."""
    result = np.full((len(paths), n_frames), -1, kind)
    for row, path in zip(result, paths, strict=True):
        row[: len(path)] = path
    return result
