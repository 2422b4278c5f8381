"""The interface of the package ``fast_ctc_decode`` (fast-ctc-decode 0.3.7): the same functions, results and errors.

Probabilities are float32 arrays of (frames, classes), with the blank as class 0, and (frames, states, classes) for the
functions of conditional random fields. Texts, frame numbers and quality strings are the original's, in its arithmetic.

What differs: input that ends the original's process is a ValueError; labels of several characters come out as they are
from the searches of conditional random fields, which turn them round there; of equally probable beams that text comes
first which was found first, also where the original has no order, among more than 20.
"""

from collections.abc import Sequence
from ctypes import c_float
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc.compiled import best_path_quality, cut_search, duplex_search

__all__ = [
    "__version__",
    "beam_search",
    "beam_search_duplex",
    "crf_beam_search",
    "crf_beam_search_duplex",
    "crf_greedy_search",
    "viterbi_search",
]
__version__ = "0.3.7"

FLOAT32 = np.dtype(np.float32)
MOST = 2**64 - 1  # that a beam size may be

Frames = NDArray[np.float32]
Alphabet = Sequence[Any]


def viterbi_search(
    network_output: Frames,
    alphabet: Alphabet,
    qstring: bool = False,
    qscale: float = 1.0,
    qbias: float = 0.0,
    collapse_repeats: bool = True,
) -> tuple[str, list[int]]:
    """The text of the best path and the first frame of each label.

    Parameters
    ----------
    network_output : float32 array (frames, classes)
        Probabilities, the blank first.
    alphabet : str or sequence
        The labels, that of the blank included and ignored.
    qstring : bool
        Append a quality string to the text: of each label's mean probability p, ``-10 log10(1 - p)`` as a character.
    qscale, qbias : float
        Factor and summand of the qualities.
    collapse_repeats : bool
        Whether a label that stays for some frames is one.

    Raises
    ------
    ValueError
        For an alphabet of another length, no frames, a quality that is no character.
    TypeError
        For another dtype or number of dimensions.
    """
    probs = _array("network_output", network_output, 2)
    _refuse_no_sequence(alphabet)
    qstring, scale, bias = _flag("qstring", qstring), _number("qscale", qscale), _number("qbias", qbias)
    _refuse_other_size(probs, alphabet)
    collapse = _flag("collapse_repeats", collapse_repeats)
    characters = _characters(alphabet)
    if characters is not None:
        return best_path_quality.best_path_text(probs, characters, collapse, qstring, scale, bias)
    labels, frames, means = best_path_quality.best_path_means(probs, collapse)
    text = _text(alphabet, labels)
    return (text + best_path_quality.quality_string(means, scale, bias) if qstring else text), frames


def crf_greedy_search(
    network_output: Frames,
    init_state: Frames,
    alphabet: Alphabet,
    qstring: bool = False,
    qscale: float = 1.0,
    qbias: float = 0.0,
) -> tuple[str, list[int]]:
    """The labels along the best transitions, from the greatest initial state on.

    Parameters
    ----------
    network_output : float32 array (frames, states, classes)
        Scores of staying in a state (class 0), and of each label from there. The label number n, counted from 0, leads
        from state s to ``s * labels % states + n``.
    init_state : float32 array (states,)
    alphabet, qstring, qscale, qbias
        As of :func:`viterbi_search`.

    Raises
    ------
    ValueError, TypeError
        As there; besides, for NaN, and where a transition leads to no state.
    """
    probs = _array("network_output", network_output, 3)
    state = _array("init_state", init_state, 1)
    _refuse_no_sequence(alphabet)
    qstring, scale, bias = _flag("qstring", qstring), _number("qscale", qscale), _number("qbias", qbias)
    _refuse_other_size(probs, alphabet)
    if np.isnan(probs).any():
        raise ValueError("network_output must have an order, got NaN")
    labels, frames, means = best_path_quality.crf_best_path_means(probs, _greatest(state))
    text = _text(alphabet, labels)
    return (text + best_path_quality.quality_string(means, scale, bias) if qstring else text), frames


def beam_search(
    network_output: Frames,
    alphabet: Alphabet,
    beam_size: int = 5,
    beam_cut_threshold: float = 0.0,
    collapse_repeats: bool = True,
) -> tuple[str, list[int]]:
    """The most probable text that a beam finds, and the frame in which each label was first tried there.

    Parameters
    ----------
    network_output, alphabet
        As of :func:`viterbi_search`.
    beam_size : int
        Texts that survive a frame.
    beam_cut_threshold : float
        Probabilities below are left out of their frame: at least 0, and less than ``1 / len(alphabet)``.
    collapse_repeats : bool
        Whether labels count once until a blank comes between.

    Raises
    ------
    ValueError
        For an alphabet of another length, a beam size of 0, a threshold out of range.
    TypeError
        For another dtype or number of dimensions.
    RuntimeError
        For NaN, or if a frame has nothing above the threshold.
    """
    probs = _array("network_output", network_output, 2)
    _refuse_no_sequence(alphabet)
    width, cut = _size(beam_size), _number("beam_cut_threshold", beam_cut_threshold)
    collapse = _flag("collapse_repeats", collapse_repeats)
    _refuse_search(probs, alphabet, width, cut)
    labels, frames = cut_search.cut_search(probs, width, cut, collapse)
    return _text(alphabet, labels), list(frames)


def crf_beam_search(
    network_output: Frames,
    init_state: Frames,
    alphabet: Alphabet,
    beam_size: int = 5,
    beam_cut_threshold: float = 0.0,
) -> tuple[str, list[int]]:
    """The same as :func:`beam_search` with transitions as of :func:`crf_greedy_search`.

    Raises
    ------
    ValueError, TypeError
        As of :func:`crf_greedy_search`.
    RuntimeError
        For NaN, a beam size of 0, or if nothing is above the threshold.
    """
    probs = _array("network_output", network_output, 3)
    state = _array("init_state", init_state, 1)
    _refuse_no_sequence(alphabet)
    width, cut = _size(beam_size), _number("beam_cut_threshold", beam_cut_threshold)
    _refuse_other_size(probs, alphabet)
    first = _greatest(state)
    labels, frames = cut_search.crf_cut_search(probs, first, float(state[first] + state[0]), width, cut)
    return _text(alphabet, labels), list(frames)


def beam_search_duplex(
    network_output_1: Frames,
    network_output_2: Frames,
    alphabet: Alphabet,
    envelope: NDArray[np.uint64] | None = None,
    beam_size: int = 5,
    beam_cut_threshold: float = 0.0,
    collapse_repeats: bool = True,
) -> str:
    """The text that two matrices have in common.

    Parameters
    ----------
    network_output_1, network_output_2 : float32 arrays (frames, classes)
        Probabilities, the blank first; they may differ in length.
    envelope : uint64 array (frames of the first, 2), optional
        For each frame of the first matrix the first row of the second one to look at, and the row after the last.
    alphabet, beam_size, beam_cut_threshold, collapse_repeats
        As of :func:`beam_search`.

    Raises
    ------
    ValueError
        As there; besides, for different classes, an envelope of another shape, one that ends behind the second matrix
        at once, or that ends earlier and then later again.
    RuntimeError
        As there; besides, for an envelope with empty rows or gaps.
    """
    one, two = _array("network_output_1", network_output_1, 2), _array("network_output_2", network_output_2, 2)
    _refuse_no_sequence(alphabet)
    rows = None if envelope is None else _array("envelope", envelope, 2, np.dtype(np.uint64))
    width, cut = _size(beam_size), _number("beam_cut_threshold", beam_cut_threshold)
    collapse = _flag("collapse_repeats", collapse_repeats)
    if one.shape[1] != two.shape[1]:
        raise ValueError("inner axes of the network outputs do not match")
    _refuse_search(one, alphabet, width, cut)
    rows = _envelope(rows, len(one), len(two))
    labels = duplex_search.duplex_search(_logs(one), _logs(two), rows, width, _log(cut), collapse)
    return _text(alphabet, labels)


def crf_beam_search_duplex(
    network_output_1: Frames,
    init_state_1: Frames,
    network_output_2: Frames,
    init_state_2: Frames,
    alphabet: Alphabet,
    envelope: NDArray[np.uint64] | None = None,
    beam_size: int = 5,
    beam_cut_threshold: float = 0.0,
) -> str:
    """The same as :func:`beam_search_duplex` with transitions as of :func:`crf_greedy_search`.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        As these.
    """
    one, two = _array("network_output_1", network_output_1, 3), _array("network_output_2", network_output_2, 3)
    state_1, state_2 = _array("init_state_1", init_state_1, 1), _array("init_state_2", init_state_2, 1)
    _refuse_no_sequence(alphabet)
    rows = None if envelope is None else _array("envelope", envelope, 2, np.dtype(np.uint64))
    width, cut = _size(beam_size), _number("beam_cut_threshold", beam_cut_threshold)
    if one.shape[2] != two.shape[2]:
        raise ValueError("inner axes of the network outputs do not match")
    _refuse_search(one, alphabet, width, cut)
    if one.shape[1] != two.shape[1]:
        raise ValueError(f"network outputs must have the same states, got {one.shape[1]} and {two.shape[1]}")
    rows = _envelope(rows, len(one), len(two))
    labels = duplex_search.crf_duplex_search(
        _logs(one), _greatest(state_1), _logs(two), _greatest(state_2), rows, width, _log(cut)
    )
    return _text(alphabet, labels)


def _array(name: str, value: Any, n_dimensions: int, dtype: np.dtype[Any] = FLOAT32) -> NDArray[Any]:
    """The array, contiguous; as in the original nothing else is turned into one."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"argument '{name}': '{type(value).__name__}' object cannot be converted to 'PyArray<T, D>'")
    if value.ndim != n_dimensions:
        raise TypeError(f"argument '{name}': dimensionality mismatch:\n from={value.ndim}, to={n_dimensions}")
    if value.dtype != dtype:
        raise TypeError(f"argument '{name}': type mismatch:\n from={value.dtype}, to={dtype}")
    return np.ascontiguousarray(value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"argument '{name}': '{type(value).__name__}' object cannot be converted to 'PyBool'")
    return bool(value)


def _number(name: str, value: Any) -> float:
    """Rounded as the original does."""
    try:
        return c_float(value).value
    except TypeError as error:
        raise TypeError(f"argument '{name}': {error}") from None


def _size(value: Any) -> int:
    try:
        size = index(value)
    except TypeError as error:
        raise TypeError(f"argument 'beam_size': {error}") from None
    if size < 0:
        raise OverflowError("can't convert negative int to unsigned")
    if size > MOST:
        raise OverflowError("int too big to convert")
    return size


def _refuse_no_sequence(alphabet: Any) -> None:
    if not isinstance(alphabet, str | list | tuple | Sequence):  # the first of these are found at once
        name = type(alphabet).__name__
        raise TypeError(f"argument 'alphabet': '{name}' object cannot be converted to 'Sequence'")


def _refuse_other_size(probs: Frames, alphabet: Alphabet) -> None:
    if len(alphabet) == 0:
        raise ValueError("Empty alphabet given")
    if len(alphabet) != probs.shape[-1]:
        raise ValueError("alphabet size does not match probability matrix dimensions")
    if probs.size == 0:
        raise ValueError(f"network_output must not be empty, got shape {probs.shape}")


def _refuse_search(probs: Frames, alphabet: Alphabet, width: int, cut: float) -> None:
    n_classes = probs.shape[-1]
    if len(alphabet) != n_classes:
        raise ValueError(f"alphabet size {len(alphabet)} does not match probability matrix inner dimension {n_classes}")
    if n_classes == 0:
        raise ValueError("Empty alphabet given")
    if width == 0:
        raise ValueError("beam_size cannot be 0")
    if cut < 0.0:
        raise ValueError("beam_cut_threshold must be at least 0.0")
    most = np.float32(1.0) / np.float32(n_classes)
    if cut >= most:
        raise ValueError(f"beam_cut_threshold cannot be more than {most}")


def _envelope(rows: NDArray[np.uint64] | None, n_frames: int, n_rows: int) -> NDArray[np.int64]:
    if n_frames == 0:
        raise ValueError("network_output_1 must have at least one frame, got 0")
    if rows is None:
        return np.tile(np.array([0, n_rows], np.int64), (n_frames, 1))
    if len(rows) != n_frames:
        raise ValueError("the lengths of network_output_1 and envelope do not match")
    if rows.shape[1] != 2:
        raise ValueError("the inner axis of envelope must have size 2")
    if rows[0, 1] > n_rows:
        raise ValueError(f"the envelope's first row must end at {n_rows} or before, got {rows[0, 1]}")
    return np.minimum(rows, np.uint64(2**62)).astype(np.int64)


def _greatest(state: Frames) -> int:
    if len(state) == 0 or np.isnan(state).any():
        raise ValueError("init_state must have a greatest entry, got " + ("NaN" if len(state) else "none"))
    return int(np.argmax(state))


def _logs(probs: Frames) -> Frames:
    """To the last digit: NumPy's own logarithm of float32 may be off by one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(probs.astype(np.float64)).astype(np.float32)


def _log(cut: float) -> float:
    return float(_logs(np.array([cut], np.float32))[0])


def _characters(alphabet: Alphabet) -> str | None:
    """The labels as one string, if each is a character; that of the blank is of no account."""
    if isinstance(alphabet, str):
        return alphabet
    if type(alphabet) not in (list, tuple) or not all(type(label) is str for label in alphabet):
        return None
    characters = "".join(["_", *alphabet[1:]])
    return characters if len(characters) == len(alphabet) and "" not in alphabet[1:] else None


def _text(alphabet: Alphabet, labels: Sequence[int]) -> str:
    if isinstance(alphabet, str):
        return "".join(map(alphabet.__getitem__, labels))
    return "".join([str(alphabet[label]) for label in labels])
