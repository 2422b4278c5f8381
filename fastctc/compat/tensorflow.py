"""The CTC functions of TensorFlow 2: decoders and losses with the same signatures, results and errors.

Inputs are logits (frames, batch, classes), unnormalised, float32 or float64; -inf is legal. Results are SparseTensors.
Beam searches and losses run at once or, inside a ``tf.function``, as a ``tf.numpy_function``: in the process that made
the graph, without XLA, and not in a saved model. They refuse NaN, and beam searches a frame of nothing but -inf.
"""

from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastctc.compiled.beam_search import beam_search_batch
from fastctc.frameworks.tensorflow import ctc_loss, run

if TYPE_CHECKING:
    from tensorflow import SparseTensor, Tensor

    Decoded = tuple[list[SparseTensor], Tensor]

__all__ = [
    "ctc_beam_search_decoder",
    "ctc_beam_search_decoder_v1",
    "ctc_greedy_decoder",
    "ctc_loss",
    "ctc_loss_v1",
]

Paths = list[list[int]]  # of each sequence
Floats = NDArray[np.floating[Any]]


_KNOWN = {"_indices", "_values", "_dense_shape", "_dense_shape_default"}  # attributes of a SparseTensor
_PARTS: list[bool] = []  # whether it has no others, once one was made


class UnmetError(ValueError):
    """What TensorFlow calls a failed precondition."""


def ctc_greedy_decoder(
    inputs: "Tensor", sequence_length: "Tensor", merge_repeated: bool = True, blank_index: int | None = None
) -> "Decoded":
    """The best path, as ``tf.nn.ctc_greedy_decoder``: its labels, and the negated sum of the greatest logits.

    It takes microseconds in TensorFlow's own kernel, fewer than the way out of TensorFlow and back; so that one runs.
    """
    import tensorflow as tf

    blank = -1 if blank_index is None else blank_index
    *path, scores = tf.raw_ops.CTCGreedyDecoder(
        inputs=tf.convert_to_tensor(inputs),
        sequence_length=tf.convert_to_tensor(sequence_length, tf.int32),
        merge_repeated=merge_repeated,
        blank_index=blank,
    )
    return [tf.SparseTensor(*path)], scores


def ctc_beam_search_decoder(
    inputs: "Tensor", sequence_length: "Tensor", beam_width: int = 100, top_paths: int = 1
) -> "Decoded":
    """The best texts of a beam, as ``tf.nn.ctc_beam_search_decoder``, and the logarithms of what it summed for them."""

    def decode(frames: Floats, lengths: Any) -> list[Any]:
        paths, scores = beam_search(frames, lengths, beam_width, top_paths, -1)
        return [array for path in paths for array in sparse(path)] + [scores]

    return _decoded(decode, inputs, sequence_length, top_paths)


def ctc_beam_search_decoder_v1(
    inputs: "Tensor", sequence_length: "Tensor", beam_width: int = 100, top_paths: int = 1, merge_repeated: bool = True
) -> "Decoded":
    """The same as ``tf.compat.v1.nn.ctc_beam_search_decoder``, which by default merges equal neighbours in the result.

    So "hello" becomes "helo", and different texts of the beam may come out as the same: call it with
    ``merge_repeated=False``.
    """

    def decode(frames: Floats, lengths: Any) -> list[Any]:
        paths, scores = beam_search(frames, lengths, beam_width, top_paths, -1)
        if merge_repeated:
            paths = [list(map(merged, path)) for path in paths]
        return [array for path in paths for array in sparse(path)] + [scores]

    return _decoded(decode, inputs, sequence_length, top_paths)


def ctc_loss_v1(
    labels: "SparseTensor",
    inputs: "Tensor | None" = None,
    sequence_length: "Tensor | None" = None,
    preprocess_collapse_repeated: bool = False,
    ctc_merge_repeated: bool = True,
    ignore_longer_outputs_than_inputs: bool = False,  # noqa: ARG001
    time_major: bool = True,
    logits: "Tensor | None" = None,
) -> "Tensor":
    """The loss as ``tf.compat.v1.nn.ctc_loss``: sparse labels, the blank last.

    Texts longer than their sequences have the loss inf and no gradient, as there, whatever
    ``ignore_longer_outputs_than_inputs`` says. Losses without merged repeats (``ctc_merge_repeated=False``) or of texts
    without them (``preprocess_collapse_repeated=True``) are not computed.
    """
    import tensorflow as tf

    if not isinstance(labels, tf.SparseTensor):
        raise TypeError(
            "Expected argument `labels` to be a SparseTensor. "
            f"Received labels={labels} of type: {type(labels).__name__}"
        )
    if preprocess_collapse_repeated or not ctc_merge_repeated:
        raise tf.errors.UnimplementedError(
            None, None, "preprocess_collapse_repeated must be False and ctc_merge_repeated True"
        )
    given = inputs if logits is None else logits
    return ctc_loss(labels, given, None, sequence_length, logits_time_major=time_major, blank_index=-1)


def greedy(frames: Floats, lengths: Any, merge_repeated: bool, blank: int) -> tuple[Paths, Floats]:
    """The labels of the best paths, and the negated sums of their logits, (batch, 1)."""
    _check(frames, lengths)
    n_frames, n_sequences, n_classes = frames.shape
    if not -n_classes <= blank < n_classes:
        raise ValueError(f"blank_index expected to be between {-n_classes} and {n_classes - 1} but was {blank}")
    best = frames.argmax(axis=2)
    top = np.take_along_axis(frames, best[..., None], axis=2)[..., 0]
    counts = np.arange(n_frames)[:, None] < lengths
    sums = np.where(counts, top, 0).sum(axis=0, dtype=np.float64)
    if np.isnan(sums).any():
        raise ValueError("inputs must not hold NaN")
    kept = counts & (best != blank % n_classes)
    if merge_repeated:
        kept[1:] &= best[1:] != best[:-1]
    paths = [best[kept[:, b], b].tolist() for b in range(n_sequences)]
    return paths, (0.0 - sums)[:, None].astype(frames.dtype)


def beam_search(
    frames: Floats, lengths: Any, beam_width: int, top_paths: int, blank: int
) -> tuple[list[Paths], Floats]:
    """For each rank the labels of all sequences; and the scores, (batch, top_paths)."""
    _check(frames, lengths)
    for name, value in (("beam_width", beam_width), ("top_paths", top_paths)):
        if value < 1:
            raise ValueError(f"Value for attr '{name}' of {value} must be at least minimum 1")
    if top_paths > beam_width:
        raise ValueError("requested more paths than the beam width.")
    n_classes = frames.shape[2]
    lengths = lengths.tolist()
    rows = np.concatenate([frames[:n, b] for b, n in enumerate(lengths)], dtype=np.float64)
    top = rows.max(axis=1, keepdims=True)
    if not np.isfinite(top).all():
        raise ValueError("inputs must not hold NaN or inf, nor a frame of nothing but -inf")
    rows -= top
    np.exp(rows, out=rows)
    rows /= rows.sum(axis=1, keepdims=True)
    sequences = [rows[stop - n : stop] for stop, n in zip(accumulate(lengths), lengths, strict=True)]
    found = beam_search_batch(sequences, blank % n_classes, beam_width, top_paths)
    if any(len(beams) < top_paths for beams in found):
        raise ValueError("Less leaves in the beam search than requested.")
    scores = np.array([[score for _, score in beams] for beams in found], frames.dtype)
    return [[list(beams[rank][0]) for beams in found] for rank in range(top_paths)], scores


def merged(path: list[int]) -> list[int]:
    """A path without labels that equal the one before."""
    return [label for k, label in enumerate(path) if k == 0 or label != path[k - 1]]


def sparse(paths: Paths) -> list[NDArray[np.int64]]:
    """Indices, values and shape of a sparse matrix with a path in each row."""
    values = np.array([label for path in paths for label in path], np.int64)
    places = np.array([(row, place) for row, path in enumerate(paths) for place in range(len(path))], np.int64)
    return [places.reshape(-1, 2), values, np.array([len(paths), max(map(len, paths))], np.int64)]


def decode(function: Any, inputs: Any, sequence_length: Any, results: Any) -> Any:
    """Tensors of what a decoder of arrays finds, with TensorFlow's own errors."""
    import tensorflow as tf

    if not isinstance(inputs, tf.Tensor):  # which to ask costs 20 us
        inputs = tf.convert_to_tensor(inputs)
    if not isinstance(sequence_length, tf.Tensor):
        sequence_length = tf.convert_to_tensor(sequence_length)
    if inputs.dtype not in (tf.float32, tf.float64):
        name = "half" if inputs.dtype == tf.float16 else inputs.dtype.name
        raise tf.errors.InvalidArgumentError(
            None, None, f"Value for attr 'T' of {name} is not in the list of allowed values: float, double"
        )
    try:
        return run(function, [inputs, sequence_length], lambda: results(tf, inputs))
    except tf.errors.InvalidArgumentError as error:
        if isinstance(error.__cause__, UnmetError):
            raise tf.errors.FailedPreconditionError(None, None, str(error.__cause__)) from error.__cause__
        raise


def _decoded(function: Any, inputs: Any, sequence_length: Any, top_paths: int) -> "Decoded":
    import tensorflow as tf

    def results(tf: Any, inputs: Any) -> list[tuple[Any, Any]]:
        n_sequences = inputs.shape[1] if inputs.shape.rank == 3 else None
        parts = [(tf.int64, [None, 2]), (tf.int64, [None]), (tf.int64, [2])]
        return parts * max(top_paths, 1) + [(inputs.dtype, [n_sequences, max(top_paths, 1)])]

    *arrays, scores = decode(function, inputs, sequence_length, results)
    make = _assembled if tf.executing_eagerly() else tf.SparseTensor
    return [make(*arrays[k : k + 3]) for k in range(0, len(arrays), 3)], scores


def _assembled(indices: Any, values: Any, dense_shape: Any) -> "SparseTensor":
    """A SparseTensor of eager tensors that fit together.

    Its constructor converts and compares them in 40 us, a third of what a narrow search takes; so the attributes that
    it would set are set here, unless they are others than those known.
    """
    import tensorflow as tf

    if not _PARTS:
        _PARTS.append(set(vars(tf.SparseTensor(indices, values, dense_shape))) == _KNOWN)
    if not _PARTS[0]:
        return tf.SparseTensor(indices, values, dense_shape)
    result = tf.SparseTensor.__new__(tf.SparseTensor)
    result._indices, result._values, result._dense_shape = indices, values, dense_shape
    result._dense_shape_default = tf.TensorShape(dense_shape.numpy().tolist())
    return result


def _check(frames: Floats, lengths: Any) -> None:
    """Refuse what TensorFlow refuses, with its words."""
    if frames.ndim != 3:
        raise ValueError("inputs is not a 3-Tensor")
    if lengths.ndim != 1:
        raise ValueError("sequence_length is not a vector")
    if not frames.size:
        raise ValueError("inputs must not be empty")
    n_frames, n_sequences, _ = frames.shape
    if len(lengths) != n_sequences:
        raise UnmetError(
            f"len(sequence_length) != batch_size.  len(sequence_length):  {len(lengths)} batch_size: {n_sequences}"
        )
    if lengths.max() > n_frames:
        raise UnmetError(f"sequence_length({int((lengths > n_frames).argmax())}) <= {n_frames}")
    if lengths.min() < 0:
        raise ValueError(f"sequence_length must not be negative, got {int(lengths.min())}")
