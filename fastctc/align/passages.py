"""Words and sentences of an aligned text, and whether they seem to be there."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastctc.frames import Frames
from fastctc.loss import Doubles

AT_ONCE = 1 << 16  # frames that are looked at at once
WORD = 4.0  # nats a label: words that are there lose less (95 of 100), words that are not lose more (93 of 100)
SENTENCE = 2.5  # the same of longer texts, which fit another text at best by about so much
ENDS = ".!?…。！？"


class Passage(NamedTuple):
    """A word or a sentence of a known text, and the frames it takes on the most probable path of the text.

    What was left out stands in no frames: then ``last`` is ``first - 1``.
    """

    text: str
    first: int
    last: int
    probability: float  # posterior, given the text; 0.0 if left out
    missing: bool = False  # it does not seem to be in the frames: left out, or there against what they show
    spoken: str | None = None  # the form that was found, where that is not the text

    @property
    def n_frames(self) -> int:
        """How many frames it takes."""
        return self.last - self.first + 1


def losses(
    frames: Frames,
    labels: tuple[int, ...],
    blank: int,
    first: Sequence[int],
    last: Sequence[int],
    stars: Sequence[tuple[int, int, int]] = (),
) -> Doubles:
    """By how many nats the frames' best classes are better than the path of the labels, summed up to each frame.

    Frames + 1 sums, of which the first is 0. Stars (a junction, first and last frame) lose nothing.
    """
    n_frames = len(frames.values)
    path = np.full(n_frames, blank, np.intp)
    begins = np.array(first, np.intp)
    lengths = np.array(last, np.intp) + 1 - begins
    offsets = np.repeat(begins - (np.cumsum(lengths) - lengths), lengths)
    path[offsets + np.arange(len(offsets))] = np.repeat(np.array(labels, np.intp), lengths)
    sums = np.zeros(n_frames + 1)
    for start in range(0, n_frames, AT_ONCE):
        values = frames.values[start : start + AT_ONCE]
        best = values.max(axis=1).astype(np.float64)
        taken = values[np.arange(len(values)), path[start : start + AT_ONCE]].astype(np.float64)
        with np.errstate(divide="ignore"):  # where a star stands, its blank may be impossible
            sums[start + 1 : start + 1 + len(values)] = best - taken if frames.is_log else np.log(best / taken)
    for _, start, stop in stars:
        sums[start + 1 : stop + 2] = 0.0
    return sums.cumsum()


def seems_missing(lost: float, n_labels: int, is_sentence: bool) -> bool:
    """Whether a passage that loses so many nats does not seem to be there."""
    return lost > (SENTENCE if is_sentence else WORD) * n_labels


def ends_sentence(text: str) -> bool:
    """Whether a word with its punctuation ends a sentence."""
    return text.rstrip("\"'»”’)")[-1:] in tuple(ENDS)
