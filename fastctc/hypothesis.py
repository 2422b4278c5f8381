"""Hypothesis: what a decoder found, with its true probability."""

from math import exp, nan
from typing import Any, NamedTuple

from fastctc import backends
from fastctc.alphabet import Alphabet
from fastctc.frames import Frames


class Segment(NamedTuple):
    """A character or a word, and the frames it takes on the best path of its text.

    ``probability`` is the posterior: the probability of this segment in its place among all that could stand there,
    the rest of the text being what it is. It is exact, not a product of the frames' maxima.
    """

    text: str
    first: int  # first frame of its first label
    last: int  # last frame of its last label
    probability: float


class Hypothesis(NamedTuple):
    """A text that may have been written or spoken.

    ``log_prob``, ``words`` and ``confidence`` need the forward algorithm; a decoder with ``exact=False`` leaves them
    out (nan, empty), and the timesteps too where it does not know them anyway.
    """

    text: str
    log_prob: float  # natural logarithm of P(text | frames), summed over all paths
    score: float  # what ranked it: natural logarithm of a path's or a beam's probability, language model included
    labels: tuple[int, ...]  # class of each character
    timesteps: tuple[int, ...]  # first frame of each label, on the best path of this text
    words: tuple[Segment, ...]
    confidence: float  # in [0, 1]: P(text | frames)
    lm_log_prob: float | None = None  # what the language model gave, if there was one


class Finding(NamedTuple):
    """What a search returns, before the exact algorithms have looked at it."""

    frames: Frames
    probs: Any  # the frames as probabilities
    labels: tuple[int, ...]
    timesteps: tuple[int, ...]  # empty if the search does not know them
    score: float


def hypotheses(alphabet: Alphabet, findings: list[Finding], exact: bool, backend: str) -> list[Hypothesis]:
    """Everything that the frames tell about the labels found."""
    if not exact:
        return [Hypothesis(alphabet.decode(f.labels), nan, f.score, f.labels, f.timesteps, (), nan) for f in findings]
    places = [alphabet.words(f.labels) for f in findings]
    notes = backends.load(backend, "loss").annotate(
        [
            (f.probs, f.frames.doubles() if f.frames.is_log else None, f.labels, spans)
            for f, spans in zip(findings, places, strict=True)
        ],
        alphabet.blank,
    )
    result = []
    for f, spans, (log_prob, first, last, probabilities) in zip(findings, places, notes, strict=True):
        words = segments(alphabet, f.labels, spans, first, last, probabilities)
        text = alphabet.decode(f.labels)
        result.append(Hypothesis(text, log_prob, f.score, f.labels, first, words, min(1.0, exp(log_prob))))
    return result


def segments(
    alphabet: Alphabet,
    labels: tuple[int, ...],
    spans: list[tuple[int, int]],
    first: tuple[int, ...],
    last: tuple[int, ...],
    probabilities: tuple[float, ...],
) -> tuple[Segment, ...]:
    """The parts of ``labels`` that the spans name, with the first and the last frames of the labels."""
    return tuple(
        [
            Segment(alphabet.decode(labels[start:stop]), first[start], last[stop - 1], probability)
            for (start, stop), probability in zip(spans, probabilities, strict=True)
        ]
    )
