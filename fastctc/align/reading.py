"""The best path through a text with stars, words left out or alternatives, and what it says."""

from collections.abc import Callable
from math import inf, sqrt
from typing import NamedTuple

from fastctc.align.passages import Passage, ends_sentence, losses, seems_missing
from fastctc.align.probabilities import Island, Span, probabilities_of
from fastctc.align.wording import Elements
from fastctc.alphabet import Alphabet
from fastctc.compiled.text_graph import best_reading
from fastctc.frames import Frames
from fastctc.hypothesis import Segment, segments
from fastctc.loss import Doubles
from fastctc.search_inputs import TextGraph

WHOLE = 1 << 26  # labels of all frames that are looked at in any case
MOST = 1 << 34  # ... where a proof is wanted, or no path is found otherwise
REACH = 2000.0  # nats by which a state may be worse than the best of its frame, at first
NUMBERS = 7  # of a row for each junction, and two for each label
SEARCH = 0.6  # of the work, which the search is

Best = tuple[float, tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[tuple[int, int, int], ...], float, int]


class Reading(NamedTuple):
    """What the frames say of a text."""

    score: float
    characters: tuple[Segment, ...]
    words: tuple[Passage, ...]
    sentences: tuple[Passage, ...]
    stars: tuple[Span, ...]  # first and last frames of what the text does not say
    bound: float


def read(
    frames: Frames,
    elements: Elements,
    alphabet: Alphabet,
    memory: int,
    prove: bool,
    threads: int | None,
    progress: Callable[[float], object] | None,
) -> Reading:
    """Find the best path, and look at its words.

    Raises
    ------
    ValueError
        If no path reads as the text.
    """
    graph, blank = elements.graph, alphabet.blank
    score, chosen, first, last, runs, bound, _ = search(frames, graph, blank, memory, prove)
    if progress is not None:
        progress(SEARCH)
    labels: list[int] = []
    places: list[Span] = []  # of the elements, among the labels that were found
    for forms, form in zip(graph.forms, chosen, strict=True):
        start = len(labels)
        labels += forms[form] if form >= 0 else ()
        places.append((start, len(labels)))
    found = tuple(labels)
    spans = _spans(elements, places)
    sentences = _sentences(elements, spans)
    spans_of_sentences = [(spans[a][0], spans[b - 1][1]) for a, b in sentences]
    all_spans = [(i, i + 1) for i in range(len(found))] + spans + spans_of_sentences

    def later(share: float) -> None:
        if progress is not None:
            progress(SEARCH + (1.0 - SEARCH) * share)

    probabilities = probabilities_of(
        frames, found, blank, all_spans, spans, first, last, _islands(len(frames.values), first, runs), threads, later
    )
    sums = losses(frames, found, blank, first, last, runs)
    where = _Places(first, last, len(frames.values), sums)
    n, m = len(found), len(found) + len(spans)
    words = []
    for (text, element), span, probability in zip(elements.words, spans, probabilities[n:m], strict=True):
        said = alphabet.decode(found[span[0] : span[1]])
        left_out = len(text) if element >= 0 and chosen[element] < 0 else 0
        words.append(
            where.passage(text, span, probability, left_out, False, None if left_out or said == text else said)
        )
    passages = []
    for (a, b), span, probability in zip(sentences, spans_of_sentences, probabilities[m:], strict=True):
        text = " ".join(text for text, _ in elements.words[a:b])
        left_out = sum(len(text) for text, element in elements.words[a:b] if element >= 0 and chosen[element] < 0)
        passages.append(where.passage(text, span, probability, left_out, True, None))
    characters = segments(alphabet, found, all_spans[:n], first, last, probabilities[:n])
    return Reading(score, characters, tuple(words), tuple(passages), _stars(frames, blank, first, runs), bound)


class _Places(NamedTuple):
    """Where labels stand, and what is lost up to each frame."""

    first: tuple[int, ...]
    last: tuple[int, ...]
    n_frames: int
    sums: Doubles

    def passage(
        self, text: str, span: Span, probability: float, left_out: int, is_sentence: bool, spoken: str | None
    ) -> Passage:
        """A word or a sentence of which so many characters were left out."""
        start, stop = span
        if start == stop:
            place = self.first[start] if start < len(self.first) else self.n_frames
            return Passage(text, place, place - 1, 0.0, left_out > 0, spoken)
        first, last = self.first[start], self.last[stop - 1]
        lost = float(self.sums[last + 1] - self.sums[first])
        missing = seems_missing(lost, stop - start, is_sentence) or (is_sentence and left_out > stop - start)
        return Passage(text, first, last, probability, missing, spoken)


def search(frames: Frames, graph: TextGraph, blank: int, memory: int, prove: bool) -> Best:
    """The best path: of all where that is little work or is to be proven, else near the best place in each frame."""
    n_frames, n_labels = len(frames.values), sum(len(form) for forms in graph.forms for form in forms) + 1
    row = 2 * n_labels + NUMBERS * len(graph.star_prices)
    fits = row <= max(1 << 12, memory / (16.0 * sqrt(n_frames + 1.0)))  # as many numbers as a row of a band may have
    work = n_frames * n_labels
    reach = inf if fits and work <= (MOST if prove else WHOLE) else REACH
    while True:
        found = best_reading(frames.values, graph, blank, frames.is_log, reach, MOST, memory)
        if found[0] > -inf:
            return found
        if reach == inf:
            raise ValueError(
                "no path through the frames reads as the text: it needs more frames, or meets a class of probability 0"
            )
        if reach >= 64 * REACH or found[6] * n_frames > MOST:
            raise ValueError(
                f"the text does not seem to be what the frames show: no path within {reach:.0f} nats of the best "
                "beginnings reads so (skip_text lets words be left out, and more memory lets it look further)"
            )
        reach = inf if fits and work <= MOST // 16 else 8 * reach


def _spans(elements: Elements, places: list[Span]) -> list[Span]:
    """The labels of each word; none where a word is left out, or not spoken."""
    spans, end = [], 0
    for _, element in elements.words:
        start, end = places[element] if element >= 0 else (end, end)
        spans.append((start, end))
    return spans


def _sentences(elements: Elements, spans: list[Span]) -> list[Span]:
    """First word and the one behind the last of each sentence."""
    found, start = [], 0
    for number, (text, _) in enumerate(elements.words, 1):
        if ends_sentence(text) or number == len(spans):
            found.append((start, number))
            start = number
    return found


def _islands(n_frames: int, first: tuple[int, ...], runs: tuple[tuple[int, int, int], ...]) -> list[Island]:
    """What stands between stars."""
    islands, start, low = [], 0, 0
    for _, begin, end in [*runs, (0, n_frames, n_frames)]:
        high = low
        while high < len(first) and first[high] < begin:
            high += 1
        if high > low:
            islands.append(Island(start, begin, low, high))
        start, low = end + 1, high
    return islands


def _stars(
    frames: Frames, blank: int, first: tuple[int, ...], runs: tuple[tuple[int, int, int], ...]
) -> tuple[Span, ...]:
    """Frames between two labels that stars stand for, from the first that is no blank to the last."""
    found: list[Span] = []
    low = before = 0
    for _, start, stop in runs:
        said = (frames.values[start : stop + 1].argmax(axis=1) != blank).nonzero()[0]
        while low < len(first) and first[low] < start:
            low += 1
        if len(said):
            begin = found.pop()[0] if found and low == before else start + int(said[0])
            found.append((begin, start + int(said[-1])))
            before = low
    return tuple(found)
