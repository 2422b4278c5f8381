"""The alignment of ``ctc_forced_aligner`` (MahmoudAshraf97): path, segments, spans and times, without torch.

Audio, models and the preparation of texts stay the original's. Tensors and arrays go in; arrays come out, as there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc.compat.torchaudio.alignment import best_path
from fastctc.compat.torchaudio.tensors import as_array

STAR = "<star>"


@dataclass
class Segment:
    """A run of frames of one label: the first frame and the last."""

    label: str
    start: int
    end: int

    def __repr__(self) -> str:
        return f"{self.label}: [{self.start:5d}, {self.end:5d})"

    @property
    def length(self) -> int:
        return self.end - self.start


def forced_align(
    log_probs: Any, targets: Any, input_lengths: Any = None, target_lengths: Any = None, blank: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The best path of a text: of each frame its class, and that class's score.

    Parameters
    ----------
    log_probs : array (1, frames, classes) of float32
        Log probabilities, or any scores.
    targets : array (1, labels)
    input_lengths, target_lengths
        Not looked at, as in the original.
    blank : int, default 0

    Returns
    -------
    array (1, frames) of int64, array (frames,) of float32

    Raises
    ------
    ValueError
        For targets that are the blank, or no classes; for a text that no path of finite score reads.
    AssertionError
        For scores that are not float32.
    RuntimeError
        For a text that is too long for its frames, and other shapes.
    """
    del input_lengths, target_lengths
    scores, labels = as_array(log_probs), as_array(targets)
    if scores.ndim != 3 or labels.ndim != 2 or len(scores) != 1 or len(labels) != 1:
        raise RuntimeError(
            f"log_probs must be (1, frames, classes) and targets (1, labels), got {scores.shape} and {labels.shape}"
        )
    if not 0 <= blank < scores.shape[2]:
        raise ValueError(f"blank must be within [0, {scores.shape[2]}), got {blank}")
    if scores.dtype != np.float32:
        raise AssertionError(f"log_probs must be float32, got {scores.dtype}")
    path = best_path(scores[0], labels[0].tolist(), blank)
    return path[None].astype(np.int64), scores[0][np.arange(len(path)), path]


def get_alignments(
    emissions: Any, tokens: Sequence[str], dictionary: Mapping[str, int]
) -> tuple[list[Segment], NDArray[np.float32], int]:
    """Align words with frames.

    Parameters
    ----------
    emissions : tensor or array (frames, classes)
        Log probabilities; a column of zeros is the star.
    tokens : sequence of str
        The words, each by its letters with blank spaces between, or ``<star>``.
    dictionary : mapping of str to int
        The class of each letter; ``<blank>`` or ``<pad>`` is the blank. Letters that it does not have are left out.

    Returns
    -------
    tuple
        Segments of the path, the scores of its frames, the class of the blank.

    Raises
    ------
    AssertionError
        If there are no tokens.
    ValueError, RuntimeError
        As :func:`forced_align`.
    """
    if not len(tokens):
        raise AssertionError("Empty transcript")
    labels = [dictionary[letter] for letter in " ".join(tokens).split(" ") if letter in dictionary]
    blank = dictionary["<blank>"] if "<blank>" in dictionary else dictionary["<pad>"]
    rows = as_array(emissions).astype(np.float32, copy=False)
    path, scores = forced_align(rows[None], np.array([labels], np.int64), blank=blank)
    return merge_repeats(path[0].tolist(), {label: letter for letter, label in dictionary.items()}), scores, blank


def merge_repeats(path: Sequence[int], idx_to_token_map: Mapping[int, str]) -> list[Segment]:
    """The runs of equal classes of a path; the end of each is its last frame."""
    if not len(path):
        return []
    cuts = [0, *(np.flatnonzero(np.diff(np.asarray(path))) + 1).tolist(), len(path)]
    return [Segment(idx_to_token_map[int(path[start])], start, stop - 1) for start, stop in pairwise(cuts)]


def get_spans(tokens: Sequence[str], segments: Sequence[Segment], blank: str) -> list[list[Segment]]:
    """The segments of each token, with its share of the blanks around: half of them, all at the ends of the text.

    Parameters
    ----------
    tokens : sequence of str
        Words as :func:`get_alignments` takes them; an empty one, but the first, stands where the one before ends.
    segments : sequence of Segment
    blank : str
        The label of the blank.

    Raises
    ------
    AssertionError
        If the segments do not spell the tokens.
    """
    places = iter([number for number, segment in enumerate(segments) if segment.label != blank])
    intervals: list[tuple[int, int]] = []
    for number, token in enumerate(tokens):
        if number and not token:
            intervals.append((intervals[-1][1], intervals[-1][1]))
            continue
        found = [_next(places, segments, letter) for letter in token.split(" ")]
        intervals.append((found[0], found[-1]))
    rest = next(places, None)
    if rest is not None:
        raise AssertionError(f"the segments must spell the tokens, got {segments[rest].label!r} behind the last")
    return [_span(k, intervals, segments, blank) for k in range(len(intervals))]


def postprocess_results(
    text_starred: Sequence[str],
    spans: Sequence[Sequence[Segment]],
    stride: float,
    scores: Any,
    merge_threshold: float = 0.0,
) -> list[dict[str, Any]]:
    """Start and end in seconds, text and summed score of each token that is no star; ``stride`` is in milliseconds."""
    values, results = as_array(scores), []
    for text, span in zip(text_starred, spans, strict=False):
        if text != STAR:
            start, end = span[0].start, span[-1].end
            score = values[start:end].sum()
            results.append({"start": start * stride / 1000, "end": end * stride / 1000, "text": text, "score": score})
    merge_segments(results, merge_threshold)
    return results


def merge_segments(segments: Sequence[dict[str, Any]], threshold: float = 0.0) -> None:
    """Let each segment begin where the one before ends, if less than so many seconds lie between."""
    for before, after in pairwise(segments):
        if after["start"] - before["end"] < threshold:
            after["start"] = before["end"]


def _next(places: Iterator[int], segments: Sequence[Segment], letter: str) -> int:
    """The next segment that is no blank, which must be this letter."""
    place = next(places, None)
    if place is None or segments[place].label != letter:
        label = "nothing" if place is None else segments[place].label
        raise AssertionError(f"{label} != {letter}")
    return place


def _span(k: int, intervals: Sequence[tuple[int, int]], segments: Sequence[Segment], blank: str) -> list[Segment]:
    start, end = intervals[k]
    span = list(segments[start : end + 1])
    if start > 0 and segments[start - 1].label == blank:
        before = segments[start - 1]
        pad = before.start if k == 0 else (before.start + before.end) // 2
        span.insert(0, Segment(blank, pad, span[0].start))
    if end + 1 < len(segments) and segments[end + 1].label == blank:
        after = segments[end + 1]
        pad = after.end if k == len(intervals) - 1 else (after.start + after.end) // 2
        span.append(Segment(blank, span[-1].end, pad))
    return span
