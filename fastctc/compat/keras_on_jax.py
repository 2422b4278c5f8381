"""The CTC functions of Keras 3 on JAX, those behind ``keras.ops``.

Where JAX traces a function, decoding is a callback to the CPU (``jax.pure_callback``).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from fastctc.compat.keras import check_strategy, decoded
from fastctc.frameworks.jax import ctc_loss as differentiable_loss

if TYPE_CHECKING:
    from jax import Array

__all__ = ["ctc_decode", "ctc_loss"]


def ctc_decode(
    inputs: "Array",
    sequence_lengths: "Array",
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int | None = 0,
) -> "tuple[Array, Array]":
    """Labels (paths, batch, frames) of int32, -1 behind the end, and scores, as ``keras.ops.ctc_decode``."""
    import jax

    check_strategy(strategy)
    blank = -1 if mask_index is None else mask_index
    inputs, sequence_lengths = _floats(inputs), jax.numpy.asarray(sequence_lengths)

    def decode(frames: Any, lengths: Any) -> tuple[Any, Any]:
        frames, lengths = np.asarray(frames), np.asarray(lengths)
        labels, scores = decoded(frames, lengths, strategy, beam_width, top_paths, merge_repeated, blank)
        return labels, scores

    if not any(isinstance(x, jax.core.Tracer) for x in (inputs, sequence_lengths)):
        labels, scores = decode(inputs, sequence_lengths)
        return jax.numpy.asarray(labels), jax.numpy.asarray(scores)
    n_paths = 1 if strategy == "greedy" else top_paths
    shapes = (
        jax.ShapeDtypeStruct((n_paths, *inputs.shape[:2]), np.int32),
        jax.ShapeDtypeStruct((inputs.shape[0], n_paths), inputs.dtype),
    )
    found: tuple[Array, Array] = jax.pure_callback(decode, shapes, inputs, sequence_lengths)
    return found


def ctc_loss(
    target: "Array", output: "Array", target_length: "Array", output_length: "Array", mask_index: int = 0
) -> "Array":
    """Loss (batch,) of labels (batch, labels) and logits (batch, frames, classes), as ``keras.ops.ctc_loss``."""
    import jax

    output, target = _floats(output), jax.numpy.asarray(target)

    def outside(length: Any, n: int) -> Any:
        return (jax.numpy.arange(n) >= jax.numpy.asarray(length)[:, None]).astype(output.dtype)

    return differentiable_loss(
        output,
        outside(output_length, output.shape[1]),
        target,
        outside(target_length, target.shape[1]),
        blank_id=mask_index,
    )


def _floats(value: Any) -> "Array":
    """In single precision, or double where it is."""
    import jax

    array = jax.numpy.asarray(value)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)
