"""The CTC loss as a function of TensorFlow, with the signature of ``tf.nn.ctc_loss``."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastctc.frameworks.batches import losses, texts_of

if TYPE_CHECKING:
    from tensorflow import SparseTensor, Tensor


def ctc_loss(
    labels: "Tensor | SparseTensor",
    logits: "Tensor",
    label_length: "Tensor | None",
    logit_length: "Tensor",
    logits_time_major: bool = True,
    unique: Any = None,  # noqa: ARG001
    blank_index: int | None = None,
    name: str | None = None,
    *,
    threads: int | None = None,
) -> "Tensor":
    """CTC loss of a batch, to be differentiated, at once or in a ``tf.function``.

    Parameters
    ----------
    labels : Tensor (batch, labels) of integers, padded with anything, or SparseTensor
    logits : Tensor (frames, batch, classes) of float16, bfloat16, float32 or float64
    label_length : Tensor (batch,) of integers, or None beside a SparseTensor
    logit_length : Tensor (batch,) of integers
    logits_time_major : bool, default True
        False for logits of the form (batch, frames, classes).
    unique
        Not looked at: it is for TPUs.
    blank_index : int, default 0
        Negative numbers count from the end. Must be given beside a SparseTensor.
    name : str, optional
        Of the operation.
    threads : int, default 1
        Number of threads that share the batch.

    Returns
    -------
    Tensor (batch,)
        In the type of the logits. inf for an impossible text, the gradient of which is 0.

    Raises
    ------
    ImportError
        Without TensorFlow.
    ValueError
        Beside a SparseTensor without ``blank_index``.
    tensorflow.errors.InvalidArgumentError
        For what :func:`fastctc.ctc_loss` refuses.

    Notes
    -----
    In a ``tf.function`` the computation is a ``tf.numpy_function``: it runs in the process that made it, and XLA cannot
    compile it (Keras models need ``compile(jit_compile=False)``, their own choice on a CPU). Derivatives of higher
    order are not computed.

    Examples
    --------
    In place of ``tf.nn.ctc_loss``::

        from fastctc.frameworks.tensorflow import ctc_loss

        with tf.GradientTape() as tape:
            loss = ctc_loss(labels, network(images), label_length, logit_length)
        slope = tape.gradient(loss, network.trainable_variables)
    """
    import tensorflow as tf

    sparse = isinstance(labels, tf.SparseTensor)
    if sparse and blank_index is None:
        raise ValueError("Argument `blank_index` must be provided when `labels` is a `SparseTensor`.")
    blank = int(blank_index or 0)
    logits = tf.convert_to_tensor(logits)
    dtype = logits.dtype
    if dtype not in (tf.float32, tf.float64):
        logits = tf.cast(logits, tf.float32)
    lengths = tf.convert_to_tensor(logit_length)
    if sparse:
        parts = [labels.indices, labels.values]
    else:
        parts = [tf.convert_to_tensor(labels), tf.convert_to_tensor(label_length)]

    def compute(gradient: bool, frames: Any, lengths: Any, labels: Any, others: Any) -> Any:
        frames = frames.swapaxes(0, 1) if logits_time_major else frames
        texts = _texts_of_sparse(labels, others, len(frames)) if sparse else texts_of(labels, others)
        loss, slope = losses("logits", frames, texts, lengths, blank, threads, gradient)
        if slope is None:
            return [loss.astype(frames.dtype)]
        return [(slope.swapaxes(0, 1) if logits_time_major else slope).astype(frames.dtype)]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def differentiable(frames: Any) -> Any:
        batch = frames.shape[1 if logits_time_major else 0]
        [loss] = run(lambda *x: compute(False, *x), [frames, lengths, *parts], lambda: [(frames.dtype, [batch])])

        def backward(grad: Any) -> Any:
            results = [(frames.dtype, frames.shape)]
            [slope] = run(lambda *x: compute(True, *x), [frames, lengths, *parts], lambda: results)
            return slope * (grad[None, :, None] if logits_time_major else grad[:, None, None])

        return loss, backward

    with tf.name_scope(name or "ctc_loss"):
        return tf.cast(differentiable(logits), dtype)


def run(
    function: Callable[..., Sequence[Any]], inputs: Sequence[Any], results: Callable[[], Sequence[tuple[Any, Any]]]
) -> Sequence[Any]:
    """Tensors of what a function of arrays makes of tensors: at once, or whenever the graph around it runs.

    ``results`` says the type and shape of each, for graphs. A ValueError becomes an InvalidArgumentError either way.
    """
    import tensorflow as tf

    if tf.executing_eagerly():
        try:
            return [_tensor(array, inputs[0]) for array in function(*map(np.asarray, inputs))]
        except ValueError as error:
            raise tf.errors.InvalidArgumentError(None, None, str(error)) from error
    expected = results()
    tensors: Sequence[Any] = tf.numpy_function(function, inputs, [dtype for dtype, _ in expected])
    for tensor, (_, shape) in zip(tensors, expected, strict=True):
        tensor.set_shape(shape)
    return tensors


def _tensor(array: Any, like: Any) -> Any:
    """An eager tensor beside another one, of an array that nobody changes any more: it shares its memory.

    ``tf.constant`` makes the same call, after copies and questions that cost five times as much.
    """
    try:
        return type(like)(array, like.device, None)
    except (AttributeError, TypeError):  # it is called otherwise in this TensorFlow
        import tensorflow as tf

        return tf.constant(array)


def _texts_of_sparse(indices: Any, values: Any, n: int) -> list[list[int]]:
    """The labels of each row of a sparse matrix; places that it leaves out are left out."""
    texts: list[list[int]] = [[] for _ in range(n)]
    order = np.lexsort((indices[:, 1], indices[:, 0]))
    for row, value in zip(indices[order, 0].tolist(), values[order].tolist(), strict=True):
        if not 0 <= row < n:
            raise ValueError(f"labels must belong to one of {n} sequences, got row {row}")
        texts[row].append(value)
    return texts
