"""Hypothesis: what a decoder found, with its true probability."""

from math import exp, nan
from typing import NamedTuple

from fastctc import backends
from fastctc.alphabet import Alphabet
from fastctc.frames import Probabilities


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

    Of many frames only the states near the best path of the text are summed over; ``bound`` says what the rest may add
    to ``log_prob`` at most. As a rule that is 0, for hours of speech too; where it is 0, no other path of the text is
    better than the one that ``timesteps`` show. ``word_bound`` says how far the logarithms of the words' probabilities
    may be off.
    """

    text: str
    log_prob: float  # natural logarithm of P(text | frames), summed over all paths
    score: float  # what ranked it: natural logarithm of a path's or a beam's probability, language model included
    labels: tuple[int, ...]  # class of each character
    timesteps: tuple[int, ...]  # first frame of each label, on the best path of this text
    words: tuple[Segment, ...]
    confidence: float  # in [0, 1]: P(text | frames)
    lm_log_prob: float | None = None  # what the language model gave, if there was one
    bound: float = 0.0  # how much greater than log_prob its true value may be; 0: not beyond rounding
    word_bound: float = 0.0  # by how many nats a word's probability may be too large or too small; 0: as above
    dropped: float = 0.0  # how much of all paths' probability the thresholds of a beam search have dropped, at most


# What a search returns, before the exact algorithms have looked at it: the frames, the labels, the score.
SearchResult = tuple[Probabilities, tuple[int, ...], float]


# Where each word of some labels begins and ends.
Spans = list[tuple[int, int]]


def hypotheses(
    alphabet: Alphabet, results: list[SearchResult], backend: str, places: list[Spans] | None = None
) -> list[Hypothesis]:
    """Everything that the frames tell about the labels found; the words are where the alphabet or ``places`` say.

    Frames behind a label are those of a stream: that label and its row are not part of what was found.
    """
    if places is None:
        places = [alphabet.words(labels) for _, labels, _ in results]
    notes = backends.load(backend, "annotation").annotate(
        [
            (
                f.probs,
                f.log_probs,
                f.behind + labels,
                [(start + 1, stop + 1) for start, stop in spans] if f.behind else spans,
            )
            for (f, labels, _), spans in zip(results, places, strict=True)
        ],
        alphabet.blank,
    )
    result = []
    for (f, labels, score), spans, note in zip(results, places, notes, strict=True):
        log_prob, first, last, probabilities, bound, word_bound = note
        if f.behind:
            first, last = tuple([t - 1 for t in first[1:]]), tuple([t - 1 for t in last[1:]])
        # A text that is impossible (a decoder may have completed it) stands in no frames.
        words = segments(alphabet, labels, spans, first, last, probabilities) if len(first) == len(labels) else ()
        text, confidence = alphabet.decode(labels), min(1.0, exp(log_prob))
        bounds = bound, word_bound if words else 0.0
        result.append(Hypothesis(text, log_prob, score, labels, first, words, confidence, None, *bounds))
    return result


def inexact(text: str, labels: tuple[int, ...], score: float) -> Hypothesis:
    """A hypothesis of a decoder that does not compute the exact numbers (``exact=False``)."""
    return Hypothesis(text, nan, score, labels, (), (), nan)


def unnormalized(found: list[Hypothesis], log_normalizer: float) -> list[Hypothesis]:
    """What was found in normalized frames, with the numbers that the scores give."""
    return [one._replace(log_prob=one.log_prob + log_normalizer, score=one.score + log_normalizer) for one in found]


def with_dropped(found: list[Hypothesis], dropped: float) -> list[Hypothesis]:
    """What was found by a search that has dropped so much."""
    return [one._replace(dropped=dropped) for one in found] if dropped else found


def segments(
    alphabet: Alphabet,
    labels: tuple[int, ...],
    spans: list[tuple[int, int]],
    first: tuple[int, ...],
    last: tuple[int, ...],
    probabilities: tuple[float, ...],
) -> tuple[Segment, ...]:
    """The parts of ``labels`` that the spans name, with the first and the last frames of the labels."""
    decode = alphabet.decode
    return tuple(
        [
            Segment(decode(labels[start:stop]), first[start], last[stop - 1], probability)
            for (start, stop), probability in zip(spans, probabilities, strict=True)
        ]
    )
