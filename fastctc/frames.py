"""Frames: the output of a network, checked, whatever form it came in."""

from collections.abc import Iterator, Sequence
from operator import index
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from fastctc.compiled.frames import first_bad, first_bad_row

HIGHEST = 1e-3  # probabilities may exceed 1, and their logarithms 0, by the rounding of half precision
SUM = (0.5, 1.5)  # what a frame's probabilities may sum to; quantised and truncated outputs stray from 1

PLAIN = (np.dtype(np.float32), np.dtype(np.float64))

Floats = NDArray[np.floating[Any]]

new = tuple.__new__  # takes half as long as a named tuple's own __new__, which counts where a line takes microseconds


class Frames(NamedTuple):
    """One sequence: (frames, classes), C-contiguous, float32 or float64, probabilities or their logarithms.

    Its form has been checked. Whether log probabilities are distributions :meth:`checked` tells: it costs a pass over
    them, which best path decoding has to make anyway.
    """

    values: Floats
    is_log: bool
    number: int = -1  # which sequence of a batch, for messages
    log_normalizers: NDArray[np.float64] | None = None  # of scores: (frames,), what made each row a distribution

    @property
    def log_normalizer(self) -> float:
        """What all paths of the normalized frames lack, in nats, beside their scores."""
        return 0.0 if self.log_normalizers is None else float(self.log_normalizers.sum())

    def checked(self) -> "Frames":
        if self.is_log:
            bad = first_bad_row(self.values)
            if bad >= 0:
                self.refuse(bad)
        return self

    def refuse(self, bad: int) -> NoReturn:
        """Say what is wrong with a frame."""
        which = f"sequence {self.number} of the batch: " if self.number >= 0 else ""
        raise ValueError(which + _what_is_wrong(self.values[bad], bad))

    def without(self, classes: Sequence[int], blank: int) -> "Frames":
        """The same, with the probability of some classes given to the others; to the blank where nothing is left."""
        self.checked()
        values = self.values.copy() if self.is_log else self.log_probs()
        values[:, list(classes)] = -np.inf
        highest = values.max(axis=1)
        values[highest == -np.inf, blank] = 0.0
        highest[highest == -np.inf] = 0.0
        rest = highest + np.log(np.exp(values - highest[:, None]).sum(axis=1))
        normalizers = None if self.log_normalizers is None else self.log_normalizers + rest
        return Frames(np.ascontiguousarray(values - rest[:, None]), True, self.number, normalizers)

    def doubles(self) -> NDArray[np.float64]:
        return self.values.astype(np.float64, copy=False)

    def log_probs(self) -> Floats:
        if self.is_log:
            return self.values
        with np.errstate(divide="ignore"):
            return np.log(self.values)


class Probabilities(NamedTuple):
    """One sequence as probabilities in double precision."""

    probs: NDArray[np.float64]
    log_probs: Floats | None  # if it came so
    behind: tuple[int, ...] = ()  # the label that the first row stands for, if it belongs to what came before


class Workspace:
    """Memory for the probabilities of one batch after the other: to allocate it takes as long as to fill it."""

    _array: NDArray[np.float64] | None = None

    def reserve(self, n_frames: int, n_classes: int) -> NDArray[np.float64]:
        """An array of this shape. What it held before is lost."""
        if self._array is None or len(self._array) < n_frames or self._array.shape[1] != n_classes:
            self._array = np.empty((n_frames, n_classes))
        return self._array[:n_frames]


def as_probabilities(batch: list[Frames], workspace: Workspace) -> list[Probabilities]:
    """Check the frames of a batch and convert them, all in one call: so threads wait for each other less often.

    The result lies in the workspace, until it is used again.
    """
    is_log = batch[0].is_log
    if is_log:
        number, bad = first_bad([frames.values for frames in batch])
        if bad >= 0:
            batch[number].refuse(bad)
    if len(batch) == 1:
        one = batch[0]
        if not is_log:
            return [Probabilities(one.doubles(), None)]
        return [Probabilities(np.exp(one.values, dtype=np.float64), one.values)]
    stops = np.cumsum([len(frames.values) for frames in batch]).tolist()
    probs = workspace.reserve(stops[-1], batch[0].values.shape[1])
    np.concatenate([frames.values for frames in batch], out=probs)
    if is_log:
        np.exp(probs, out=probs)
    return [
        Probabilities(probs[stop - len(frames.values) : stop], frames.values if is_log else None)
        for frames, stop in zip(batch, stops, strict=True)
    ]


def as_frames(n_classes: int, log_probs: Any, probs: Any, logits: Any, scores: Any = None) -> Frames:
    """One sequence, given as exactly one of the four."""
    if probs is None and logits is None and scores is None and _is_plain(log_probs, n_classes, 2):
        return new(Frames, (log_probs, True, -1, None))  # the usual case, without its microseconds of questions
    name, value = _the_one(log_probs=log_probs, probs=probs, logits=logits, scores=scores)
    return _formed(name, _as_floats(name, value), n_classes)


def as_batch(n_classes: int, log_probs: Any, probs: Any, logits: Any, lengths: Any, scores: Any = None) -> list[Frames]:
    """A batch: (batch, frames, classes), or a sequence of (frames, classes) of any lengths."""
    if _is_plain(log_probs, n_classes, 3) and probs is None and logits is None and scores is None and lengths is None:
        return [new(Frames, (values, True, number, None)) for number, values in enumerate(log_probs)]
    name, value = _the_one(log_probs=log_probs, probs=probs, logits=logits, scores=scores)
    if not isinstance(value, list | tuple | Iterator):
        value = _as_floats(name, value)
        if value.ndim != 3:
            raise ValueError(
                f"{name} must be (batch, frames, classes) or a list of (frames, classes), got {_form(value)}"
            )
    sequences = list(value)
    if lengths is not None:
        lengths = _as_lengths(lengths, len(sequences))
    batch = []
    for number, sequence in enumerate(sequences):
        try:
            values = _as_floats(name, sequence)
            if lengths is not None and values.ndim == 2:
                if lengths[number] > len(values):
                    raise ValueError(
                        f"lengths must be at most the number of frames {len(values)}, got {lengths[number]}"
                    )
                values = values[: lengths[number]]
            batch.append(_formed(name, values, n_classes)._replace(number=number))
        except ValueError as error:
            raise ValueError(f"sequence {number} of the batch: {error}") from None
    return batch


def _the_one(**forms: Any) -> tuple[str, Any]:
    given = [(name, value) for name, value in forms.items() if value is not None]
    if len(given) != 1:
        names = " and ".join(name for name, _ in given) or "none"
        raise TypeError(f"exactly one of log_probs, probs, logits and scores must be given, got {names}")
    return given[0]


def _as_floats(name: str, value: Any) -> Floats:
    if hasattr(value, "detach"):  # a torch tensor that asks for its gradient has no __array__
        value = value.detach()
        if "bfloat16" in str(value.dtype):
            value = value.float()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of numbers: {error}") from None
    if array.dtype != np.float32 and array.dtype != np.float64:
        if array.dtype.name in ("float16", "bfloat16"):
            array = array.astype(np.float32)
        elif array.dtype.kind in "fiub" or (array.dtype.kind == "O" and array.size == 0):
            array = array.astype(np.float64)
        else:
            raise ValueError(f"{name} must be real numbers, got dtype {array.dtype}")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _formed(name: str, values: Floats, n_classes: int) -> Frames:
    if values.ndim != 2:
        if values.shape == (0,):
            values = values.reshape(0, n_classes)
        else:
            raise ValueError(f"{name} must be (frames, classes), got {_form(values)}")
    if values.shape[1] != n_classes:
        raise ValueError(
            f"{name} must have {n_classes} classes, the alphabet's {n_classes - 1} characters and the blank, "
            f"got {values.shape[1]} (shape {values.shape})"
        )
    values = np.ascontiguousarray(values)
    if not values.flags.aligned:  # out of the middle of a file or a message
        values = values.copy()
    if name == "probs":
        _check_probs(values)
        return Frames(values, False)
    if name == "log_probs":
        return Frames(values, True)
    log_probs, log_normalizers = _log_softmax(name, values)
    return Frames(log_probs, True, log_normalizers=log_normalizers if name == "scores" else None)


def _is_plain(value: Any, n_classes: int, n_dimensions: int) -> bool:
    """Whether nothing has to be asked or converted."""
    if type(value) is not np.ndarray or value.dtype not in PLAIN:
        return False
    shape, flags = value.shape, value.flags
    return len(shape) == n_dimensions and shape[-1] == n_classes and flags.c_contiguous and flags.aligned


def _check_probs(values: Floats) -> None:
    with np.errstate(invalid="ignore"):
        wrong = ~((values >= 0) & (values <= 1 + HIGHEST))
        sums = values.sum(axis=1, dtype=np.float64)
    if wrong.any():
        frame, label = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"probs must lie between 0 and 1, got {values[frame, label]} in frame {frame}, class {label}"
            " (pass log probabilities without a name, raw scores as logits=)"
        )
    if ((sums <= SUM[0]) | (sums >= SUM[1])).any():
        frame = int(np.argmax((sums <= SUM[0]) | (sums >= SUM[1])))
        raise ValueError(f"probs of a frame must sum to 1, got a sum of {sums[frame]:.4g} in frame {frame}")


def _log_softmax(name: str, values: Floats) -> tuple[Floats, NDArray[np.float64]]:
    """Logarithms of each frame's softmax, and what was taken from the frame's numbers to come to them."""
    top = values.max(axis=1, keepdims=True)
    if not np.isfinite(top).all():
        wrong = np.isnan(values) | np.isposinf(values)
        if wrong.any():
            frame, label = (int(i) for i in np.argwhere(wrong)[0])
            raise ValueError(
                f"{name} must be finite or -inf, got {values[frame, label]} in frame {frame}, class {label}"
            )
        raise ValueError(f"{name} of a frame must not all be -inf, got so in frame {int(np.argmin(top))}")
    scores = np.subtract(values, top, dtype=np.float64)
    rest = np.log(np.exp(scores).sum(axis=1, keepdims=True))
    scores -= rest
    return scores, (top + rest).ravel()


def _what_is_wrong(row: Floats, frame: int) -> str:
    if np.isnan(row).any():
        return f"log_probs must not hold NaN, got NaN in frame {frame}, class {int(np.argmax(np.isnan(row)))}"
    label = int(np.argmax(row))
    if row[label] > HIGHEST:
        return (
            f"log_probs must be at most 0, got {row[label]:.6g} in frame {frame}, class {label}"
            " (pass raw scores as logits=, probabilities as probs=)"
        )
    total = np.exp(row, dtype=np.float64).sum()
    return (
        f"log_probs must be a distribution: the probabilities of a frame must sum to 1, got a sum of {total:.4g} in "
        f"frame {frame} (pass raw scores as logits=)"
    )


def _as_lengths(lengths: Any, n: int) -> Sequence[int]:
    if hasattr(lengths, "tolist"):
        lengths = lengths.tolist()
    try:
        lengths = [index(length) for length in lengths]
    except TypeError:
        raise TypeError(f"lengths must be integers, one a sequence, got {lengths!r}") from None
    if len(lengths) != n:
        raise ValueError(f"lengths must be {n} numbers, one a sequence, got {len(lengths)}")
    if any(length < 0 for length in lengths):
        raise ValueError(f"lengths must not be negative, got {min(lengths)}")
    return list(lengths)


def _form(array: Floats) -> str:
    return f"{array.ndim} dimensions, shape {array.shape}"
