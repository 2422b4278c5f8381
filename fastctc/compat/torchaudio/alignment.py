"""Forced alignment, as ``torchaudio.functional`` and the aligner of its pipelines have it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from fastctc.align.alignment import align_labels
from fastctc.compat.torchaudio.tensors import as_array, as_tensor
from fastctc.frames import as_frames


@dataclass
class TokenSpan:
    """A token with its frames and its score."""

    token: int
    start: int  # the first frame
    end: int  # the one after the last
    score: float

    def __len__(self) -> int:
        return self.end - self.start


def forced_align(
    log_probs: Any, targets: Any, input_lengths: Any = None, target_lengths: Any = None, blank: int = 0
) -> tuple[Any, Any]:
    """The best path of a text: of each frame its class, and that class's score.

    Parameters
    ----------
    log_probs : tensor or array (batch, frames, classes)
        Log probabilities, or any scores: rows need not be distributions.
    targets : tensor or array (batch, labels)
        The texts.
    input_lengths, target_lengths : tensor or array (batch,), optional
        How many frames and labels each sequence has; behind them the result is blank, with a score of 0.
    blank : int, default 0

    Returns
    -------
    tuple of two tensors or arrays (batch, frames)
        Classes, in the type of the targets; scores, in the type of log_probs.

    Raises
    ------
    ValueError
        For targets that are the blank, or no classes; for a text that no path of finite score reads.
    RuntimeError
        For a text that is too long for its frames, for other shapes, and for lengths that do not fit.
    """
    scores, labels = as_array(log_probs), as_array(targets)
    if scores.ndim != 3 or labels.ndim != 2 or len(scores) != len(labels):
        raise RuntimeError(
            f"log_probs must be (batch, frames, classes) and targets (batch, labels), got {scores.shape} and "
            f"{labels.shape}"
        )
    n_frames = _lengths("input_lengths", input_lengths, scores)
    n_labels = _lengths("target_lengths", target_lengths, labels)
    paths = np.full(scores.shape[:2], blank, labels.dtype)
    found = np.zeros(scores.shape[:2], scores.dtype)
    for number, (text, length) in enumerate(zip(labels, n_labels, strict=True)):
        rows = scores[number, : n_frames[number]]
        path = best_path(rows, text[:length].tolist(), blank)
        paths[number, : len(rows)] = path
        found[number, : len(rows)] = rows[np.arange(len(rows)), path]
    return as_tensor(paths, targets), as_tensor(found, log_probs)


def merge_tokens(tokens: Any, scores: Any, blank: int = 0) -> list[TokenSpan]:
    """The tokens of a path of :func:`forced_align`: repeated ones are one, blanks none; the score is the frames' mean.

    Parameters
    ----------
    tokens, scores : tensors or arrays (frames,)

    Raises
    ------
    ValueError
        For other shapes, or of different lengths.
    """
    path, values = as_array(tokens), as_array(scores)
    if path.ndim != 1 or values.ndim != 1:
        raise ValueError("`tokens` and `scores` must be 1D Tensor.")
    if len(path) != len(values):
        raise ValueError("`tokens` and `scores` must be the same length.")
    cuts = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(path)] if len(path) else []
    return [
        TokenSpan(int(path[start]), start, end, float(values[start:end].mean()))
        for start, end in pairwise(cuts)
        if path[start] != blank
    ]


class Aligner:
    """The aligner of the forced-alignment pipelines (MMS_FA)."""

    def __init__(self, blank: int) -> None:
        self.blank = blank

    def __call__(self, emission: Any, tokens: Sequence[Sequence[int]]) -> list[list[TokenSpan]]:
        """The spans of the tokens, word by word, with probabilities as scores.

        Parameters
        ----------
        emission : tensor or array (frames, classes)
            Log probabilities.
        tokens : sequence of sequences of int
            The words, each by its tokens.
        """
        rows = as_array(emission)
        if rows.ndim != 2:
            raise ValueError(f"The input emission must be 2D. Found: {rows.shape}")
        flat = np.array([[token for word in tokens for token in word]], np.int64)
        path, scores = forced_align(rows[None], flat, blank=self.blank)
        spans = iter(merge_tokens(path[0], np.exp(scores[0]), self.blank))
        return [[next(spans) for _ in word] for word in tokens]


def best_path(rows: Any, labels: list[int], blank: int) -> Any:
    """The class of each frame."""
    n_frames, n_classes = rows.shape
    if blank in labels:
        raise ValueError(f"targets Tensor shouldn't contain blank index. Found {labels}.")
    if labels and not 0 <= min(labels) <= max(labels) < n_classes:
        raise ValueError("targets values must be less than the CTC dimension")
    if not 0 <= blank < n_classes:
        raise RuntimeError(f"blank must be within [0, {n_classes}), got {blank}")
    repeats = sum(a == b for a, b in pairwise(labels))
    if len(labels) + repeats > n_frames:
        raise RuntimeError(
            f"targets length is too long for CTC. Found log_probs length: {n_frames}, targets length: {len(labels)}, "
            f"and number of repeats: {repeats}"
        )
    path = np.full(n_frames, blank)
    if labels:
        frames = as_frames(n_classes, None, None, None, rows)
        _, first, last, _ = align_labels(frames, tuple(labels), blank)
        for label, start, stop in zip(labels, first, last, strict=True):
            path[start : stop + 1] = label
    return path


def _lengths(name: str, lengths: Any, padded: Any) -> list[int]:
    if lengths is None:
        return [padded.shape[1]] * len(padded)
    found: list[int] = as_array(lengths).reshape(-1).tolist()
    if len(found) != len(padded) or not all(0 <= length <= padded.shape[1] for length in found):
        raise RuntimeError(f"{name} must be {len(padded)} numbers from 0 to {padded.shape[1]}, got {found}")
    return found
