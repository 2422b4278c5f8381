"""Batches as frameworks hold them: padded labels and lengths in, losses and gradients out."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc.alphabet import Alphabet
from fastctc.loss import ctc_loss

Floats = NDArray[np.floating[Any]]


@lru_cache(maxsize=16)
def numbered(n_classes: int, blank: int) -> Alphabet:
    """An alphabet for labels that are numbers."""
    return Alphabet([str(k) for k in range(n_classes - 1)], blank=blank)


def texts_of(labels: Any, lengths: Any) -> list[list[int]]:
    """The labels of each text: of rows that are padded, or of one row that holds all of them."""
    labels, lengths = np.asarray(labels), np.asarray(lengths).tolist()
    if labels.dtype.kind == "f":  # which Keras makes of whatever a loss is given
        if (labels != np.round(labels)).any():
            raise ValueError("labels must be integers, got fractions")
        labels = labels.astype(np.int64)
    if labels.ndim == 1:
        if sum(lengths) != len(labels):
            raise ValueError(
                f"labels in one row must be as many as their lengths say, {sum(lengths)}, got {len(labels)}"
            )
        stops = np.cumsum(lengths, dtype=np.int64)
        return [piece.tolist() for piece in np.split(labels, stops[:-1])] if lengths else []
    if labels.ndim != 2:
        raise ValueError(f"labels must be (batch, labels) or one row of all, got shape {labels.shape}")
    if len(lengths) != len(labels) or not all(0 <= n <= labels.shape[1] for n in lengths):
        raise ValueError(f"there must be {len(labels)} lengths of labels, 0 to {labels.shape[1]}, got {lengths}")
    return [row[:n] for row, n in zip(labels.tolist(), lengths, strict=True)]


def losses(
    form: str,
    frames: Any,
    texts: Sequence[Sequence[int]],
    lengths: Any,
    blank: int,
    threads: int | None,
    gradient: bool,
) -> tuple[Floats, Floats | None]:
    """The loss of each sequence, (batch,), and its gradient by the frames, (batch, frames, classes), in their type.

    ``form`` is the name under which :func:`fastctc.ctc_loss` takes such frames.
    """
    frames = np.asarray(frames)
    if frames.ndim != 3:
        raise ValueError(f"{form} must be (batch, frames, classes), got shape {frames.shape}")
    n_classes = frames.shape[2]
    if not -n_classes <= blank < n_classes:
        raise ValueError(f"the blank must be one of {n_classes} classes, got {blank}")
    alphabet = numbered(n_classes, blank % n_classes)
    given: dict[str, Any] = {form: frames}
    if not gradient:
        return np.asarray(ctc_loss(texts=texts, alphabet=alphabet, lengths=lengths, threads=threads, **given)), None
    loss, slope = ctc_loss(texts=texts, alphabet=alphabet, lengths=lengths, threads=threads, gradient=True, **given)
    return np.asarray(loss), np.asarray(slope)
