"""The interface of ``ctc_segmentation`` 1.7: utterances found in a long recording.

The table is the original's, window and rounding included, and so are the results; it takes the memory of some hundred
columns instead of all.
"""

import logging
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc.compiled.utterance_path import best_utterance_path

logger = logging.getLogger("ctc_segmentation")

LEAST = -1e10  # of what is impossible
Doubles = NDArray[np.float64]
Matrix = NDArray[np.int64]


class CtcSegmentationParameters:
    """What segmentation goes by; parameters are keywords, and those that do not exist are ignored."""

    max_prob = LEAST
    skip_prob = LEAST
    min_window_size = 8000  # frames
    max_window_size = 100000
    index_duration = 0.025  # seconds of a frame
    score_min_mean_over_L = 30
    space = "·"
    blank = 0
    replace_spaces_with_blanks = False
    blank_transition_cost_zero = False
    preamble_transition_cost_zero = True
    backtrack_from_max_t = False
    self_transition = "ε"
    start_of_ground_truth = "#"
    excluded_characters = ".,»«•❍·"
    tokenized_meta_symbol = "▁"
    char_list: Any = None
    subsampling_factor: int | None = None
    frame_duration_ms: float | None = None

    def __init__(self, **kwargs: Any) -> None:
        self.set(**kwargs)

    def set(self, **kwargs: Any) -> None:
        """Change parameters; None and names that do not exist change nothing."""
        for name, value in kwargs.items():
            if value is not None and not name.startswith("_") and hasattr(self, name):
                setattr(self, name, value)

    @property
    def index_duration_in_seconds(self) -> float:
        """Duration of a frame: of subsampling and frame duration, where both are given."""
        if self.subsampling_factor and self.frame_duration_ms:
            return self.frame_duration_ms * self.subsampling_factor / 1000
        return self.index_duration

    @property
    def flags(self) -> int:
        """Which transitions cost nothing, as a number."""
        return int(self.blank_transition_cost_zero) + 2 * int(self.preamble_transition_cost_zero)

    def update_excluded_characters(self) -> None:
        """Exclude no characters that the network has."""
        self.excluded_characters = "".join([c for c in self.excluded_characters if c not in list(self.char_list)])

    def __repr__(self) -> str:
        return f"CtcSegmentationParameters( {''.join(f'{name}={value}, ' for name, value in vars(self).items())})"


def ctc_segmentation(
    config: CtcSegmentationParameters, lpz: NDArray[Any], ground_truth: Matrix
) -> tuple[Doubles, Doubles, list[str]]:
    """The time of each character, and the log probability and the character of each frame.

    Parameters
    ----------
    config : CtcSegmentationParameters
    lpz : array (frames, classes)
        Log probabilities.
    ground_truth : array (positions, longest)
        What the ``prepare_`` functions make.

    Raises
    ------
    AssertionError
        If the text has more positions than there are frames.
    IndexError
        If no window up to ``max_window_size`` holds the way back.
    """
    if len(ground_truth) > len(lpz) and config.skip_prob <= config.max_prob:
        raise AssertionError("Audio is shorter than text!")
    scores = np.ascontiguousarray(lpz, None if lpz.dtype in (np.float32, np.float64) else np.float64)
    text, window, seconds = ground_truth.tolist(), config.min_window_size, config.index_duration_in_seconds
    while True:
        try:
            places, gains, classes = best_utterance_path(
                scores, text, config.blank, window, config.flags, config.backtrack_from_max_t
            )
            break
        except IndexError:
            window *= 2
            if window >= config.max_window_size:
                logger.exception("no window up to %s frames holds the way back", config.max_window_size)
                raise
            logger.warning("the way back leaves the window; it is now of %s frames", window)
    names = {-2: "", -1: config.self_transition}
    states = [names[label] if label < 0 else config.char_list[label] for label in classes]
    return np.array(places, np.float64) * seconds, np.array(gains), states


def prepare_text(
    config: CtcSegmentationParameters, text: Iterable[str], char_list: Any = None
) -> tuple[Matrix, list[int]]:
    """The matrix of a text, and where each utterance begins, and the end; unknown characters are left out."""
    if isinstance(config.blank, str):
        config.blank = 0
    if char_list is not None:
        config.char_list = char_list
    characters, begins = config.start_of_ground_truth, []
    for utterance in text:
        characters = _spaced(characters, config.space)
        begins.append(len(characters) - 1)
        for character in utterance:
            if character.isspace() and config.replace_spaces_with_blanks:
                characters = _spaced(characters, config.space)
            elif character in config.char_list and character not in config.excluded_characters:
                characters += character
    characters = _spaced(characters, config.space)
    begins.append(len(characters) - 1)
    classes: dict[str, int] = {}
    for label, name in enumerate(config.char_list):
        classes.setdefault(name, label)
    longest, blank = max(map(len, config.char_list)), config.char_list[config.blank]
    matrix = np.full((len(characters), longest), -1, np.int64)
    for end in range(len(characters)):
        for before in range(min(longest, end + 1)):
            piece = characters[end - before : end + 1].replace(config.space, blank)
            matrix[end, before] = classes.get(piece, -1)
    return matrix, begins


def prepare_tokenized_text(config: CtcSegmentationParameters, text: Iterable[str]) -> tuple[Matrix, list[int]]:
    """The same of tokens with blank spaces between."""
    space, tokens, begins = config.space, [config.start_of_ground_truth], []
    for utterance in text:
        tokens += [] if tokens[-1] == space else [space]
        begins.append(len(tokens) - 1)
        for token in utterance.split():
            if token in config.char_list:
                if config.replace_spaces_with_blanks and not token.startswith(config.tokenized_meta_symbol):
                    tokens.append(space)
                tokens.append(token)
    tokens += [] if tokens[-1] == space else [space]
    begins.append(len(tokens) - 1)
    names = list(config.char_list)
    labels = [-1, *(config.blank if token == space else names.index(token) for token in tokens[1:])]
    return np.array(labels, np.int64)[:, None], begins


def prepare_token_list(config: CtcSegmentationParameters, text: Iterable[NDArray[Any]]) -> tuple[Matrix, list[int]]:
    """The same of arrays of classes."""
    labels, begins = [-1], []
    for utterance in text:
        labels += [] if labels[-1] == config.blank else [config.blank]
        begins.append(len(labels) - 1)
        labels += utterance.tolist()
    labels += [] if labels[-1] == config.blank else [config.blank]
    begins.append(len(labels) - 1)
    return np.array(labels, np.int64)[:, None], begins


def determine_utterance_segments(
    config: CtcSegmentationParameters,
    utt_begin_indices: Sequence[int],
    char_probs: Doubles,
    timings: Doubles,
    text: Sequence[Any],
) -> list[tuple[float, float, float]]:
    """Start and end of each utterance in seconds, and its confidence: the worst mean of so many frames in a row."""
    seconds, length = config.index_duration_in_seconds, config.score_min_mean_over_L
    segments: list[tuple[float, float, float]] = []
    for begin, behind in pairwise(utt_begin_indices[: len(text) + 1]):
        start = max(timings[begin + 1] - 0.5, (timings[begin] + timings[begin - 1]) / 2)
        end = min(timings[behind - 1] + 0.5, (timings[behind] + timings[behind - 1]) / 2)
        first, stop = round(start / seconds), round(end / seconds)
        if stop <= first:
            confidence = LEAST
        elif stop - first <= length:
            confidence = char_probs[first:stop].mean()
        else:
            frames = char_probs[first : stop - 1]
            windows = np.lib.stride_tricks.sliding_window_view(frames, length) if len(frames) >= length else frames[:0]
            confidence = min(0.0, windows.mean(axis=1).min()) if len(windows) else 0.0
        segments.append((start, end, np.float64(confidence)))
    return segments


def get_partitions(
    t: int = 100000,
    max_len_s: float = 1280.0,
    fs: int = 16000,
    samples_to_frames_ratio: int = 512,
    overlap: int = 0,
) -> dict[str, Any]:
    """Where to cut a recording of ``t`` samples for a network that cannot take it whole, and which frames come twice.

    Raises
    ------
    ValueError
        If ``max_len_s`` is too short for the overlap.
    """
    ratio, overlap = samples_to_frames_ratio, max(0, int(overlap))
    longest, cut = (int(length * fs) // ratio * ratio for length in (max_len_s, max_len_s / 1.25))
    if longest - cut <= ratio * (2 + overlap):
        raise ValueError(
            f"max_len_s must be longer for an overlap of {overlap} frames of {ratio} samples, got {max_len_s}"
        )
    partitions: list[tuple[int, int | None]] = []
    twice: list[int] = []
    start = frames = 0
    while t > longest:
        partitions.append((max(0, start - ratio * overlap), start + cut + ratio * (1 + overlap) - 1))
        frames += cut // ratio
        twice += [place for i in range(overlap) for place in (frames - i, frames + 1 + i)]
        t -= cut
        start += cut
    partitions.append((max(0, start - ratio * overlap), None))
    return {
        "partitions": partitions,
        "overlap": overlap,
        "delete_overlap_list": twice,
        "samples_to_frames_ratio": ratio,
        "max_length": longest,
        "cut_length": cut,
        "cut_time_s": max_len_s / 1.25,
    }


def _spaced(characters: str, space: str) -> str:
    return characters if characters.endswith(space) else characters + space
