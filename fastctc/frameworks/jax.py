"""The CTC loss as a function of JAX, with the signature of ``optax.ctc_loss``."""

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from fastctc.frameworks.batches import losses, texts_of

if TYPE_CHECKING:
    from jax import Array


def ctc_loss(
    logits: "Array",
    logit_paddings: "Array",
    labels: "Array",
    label_paddings: "Array",
    blank_id: int = 0,
    *,
    threads: int | None = None,
) -> "Array":
    """CTC loss of a batch, to be differentiated, compiled and mapped as any function of JAX.

    Parameters
    ----------
    logits : Array (batch, frames, classes)
    logit_paddings : Array (batch, frames)
        0 where a frame counts, 1 behind the last one that does.
    labels : Array (batch, labels)
    label_paddings : Array (batch, labels)
        0 where a label counts, 1 behind the last one that does.
    blank_id : int, default 0
    threads : int, default 1
        Number of threads that share the batch.

    Returns
    -------
    Array (batch,)
        In the type of the logits. inf for an impossible text, the gradient of which is 0.

    Raises
    ------
    ImportError
        Without JAX.
    ValueError
        For what :func:`fastctc.ctc_loss` refuses; in a compiled function JAX makes an error of its own of it.

    Notes
    -----
    The computation is a callback to the CPU (``jax.pure_callback``). Derivatives of higher order, and forward mode, are
    not computed.

    Examples
    --------
    In place of ``optax.ctc_loss``::

        from fastctc.frameworks.jax import ctc_loss

        def mean_loss(parameters):
            return ctc_loss(network(parameters, images), frames_out, labels, labels_out).mean()

        slope = jax.jit(jax.grad(mean_loss))(parameters)
    """
    found: Array = _function(blank_id, threads)(logits, logit_paddings, labels, label_paddings)
    return found


@cache
def _function(blank: int, threads: int | None) -> Any:
    """The function that JAX differentiates, which only exists where JAX does."""
    import jax

    def compute(gradient: bool, logits: Any, *paddings_and_labels: Any) -> Any:
        """On the CPU. Mapped functions come with more axes in front."""
        frames = np.asarray(logits)
        if frames.dtype not in (np.float32, np.float64):
            frames = frames.astype(np.float32)
        frame_out, labels, label_out = (np.reshape(np.asarray(x), (-1, np.shape(x)[-1])) for x in paddings_and_labels)
        lengths, label_lengths = ((x.shape[-1] - x.sum(axis=-1)).round().astype(int) for x in (frame_out, label_out))
        found, slope = losses(
            "logits", frames.reshape(-1, *frames.shape[-2:]), texts_of(labels, label_lengths), lengths, blank, threads,
            gradient,
        )  # fmt: skip
        loss = found.reshape(frames.shape[:-2]).astype(logits.dtype)
        return loss if slope is None else (loss, slope.reshape(frames.shape).astype(logits.dtype))

    def call(gradient: bool, logits: Any, *rest: Any) -> Any:
        loss = jax.ShapeDtypeStruct(logits.shape[:-2], logits.dtype)
        result = (loss, jax.ShapeDtypeStruct(logits.shape, logits.dtype)) if gradient else loss
        return jax.pure_callback(
            lambda *arrays: compute(gradient, *arrays), result, logits, *rest, vmap_method="broadcast_all"
        )

    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def loss(logits: Any, *rest: Any) -> Any:
        return call(False, logits, *rest)

    def forward(logits: Any, *rest: Any) -> Any:
        return call(True, logits, *rest)

    def backward(slope: Any, grad: Any) -> Any:
        return slope * grad[..., None, None], None, None, None

    loss.defvjp(forward, backward)
    return loss
