"""Beam search with thresholds over labels, and words weighed as they end: what the package pyctcdecode does.

A beam is a text of whole words, the part of a word behind it, and the last label. So the paths of one text that end in
the blank and those that end in a label are two beams, which compete for places: a prefix search keeps them together.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from fastctc.reference import kenlm, ngram
from fastctc.search_inputs import (
    ChosenLabels,
    KenLMTables,
    PartBeam,
    Pieces,
    PreferredWords,
    Pruning,
    Tokens,
    WordWeights,
)

BLANK, ENDS, BEGINS, GOES_ON = range(4)
LN10 = math.log(10)
Span = tuple[int, int]
Key = tuple[str, str, int]


def _strings(tokens: Tokens) -> list[str]:
    """Tokens as a list."""
    text, offsets = bytes(tokens.text), list(map(int, tokens.offsets))
    return [text[start:stop].decode() for start, stop in pairwise(offsets)]


class _NGramWords:
    """Words weighed by an n-gram model."""

    def __init__(self, weights: WordWeights) -> None:
        self.weights = weights
        self.numbers: dict[str, int] = {}
        if weights.words is not None:
            self.numbers = {word: number for number, word in enumerate(_strings(weights.words))}
        self.known = None if weights.known is None else set(_strings(weights.known))

    def number(self, word: str) -> int:
        """The model's number of a word."""
        if not word:
            return self.weights.unknown_number
        if isinstance(self.weights.tables, KenLMTables):
            return kenlm.number(self.weights.tables, word.encode())
        return self.numbers.get(word, self.weights.unknown_number)

    def advance(self, state: Any, number: int) -> tuple[float, Any]:
        """Log probability of a word after a state, and the next state."""
        if isinstance(self.weights.tables, KenLMTables):
            value, _, after = kenlm.advance(self.weights.tables, state, number)
            return LN10 * value, after
        values, next_state = ngram.score(self.weights.tables, state, [number])
        return values[0], next_state

    def score(self, state: Any, word: str, is_last_word: bool) -> tuple[float, Any]:
        """What a word that has ended adds, and the state after it; the end of the text adds to it if it is there."""
        w = self.weights
        number = self.number(word)
        value, after = self.advance(state, number)
        if number == w.unknown_number or (self.known and word not in self.known):
            value += w.unknown * LN10
        if is_last_word and w.end >= 0:
            value += self.advance(after, w.end)[0]
        return w.weight * value + w.bonus, after

    def score_partial_token(self, part: str) -> float:
        """What the beginning of a word adds for the time being."""
        w = self.weights
        if self.known is not None and any(word.startswith(part) for word in self.known):
            return 0.0
        return w.unknown * max(1.0, len(part) / w.usual)


class _Preferred:
    """Preferred words."""

    def __init__(self, preferred: PreferredWords | None) -> None:
        self.words = [] if preferred is None else _strings(preferred.words)
        self.weight = 0.0 if preferred is None else preferred.weight

    def __contains__(self, part: str) -> bool:
        return any(word.startswith(part) for word in self.words)

    def score(self, text: str) -> float:
        """What the words of a text add."""
        return self.weight * sum(word in self.words for word in text.split())

    def score_partial_token(self, part: str) -> float:
        """What a beginning adds: its share of the shortest word that it may become."""
        lengths = [len(word) for word in self.words if word.startswith(part)]
        return self.weight * len(part) / min(lengths) if lengths else 0.0


def pruned_search(
    chosen: ChosenLabels,
    pieces: Pieces,
    pruning: Pruning,
    words: WordWeights | Any | None = None,
    preferred: PreferredWords | Any | None = None,
    start: Sequence[PartBeam] = (),
    first_frame: int = 0,
    closes: bool = True,
    ends: bool = True,
    most: int = 0,
) -> list[PartBeam]:
    """The beams after some frames, best first.

    Parameters
    ----------
    chosen : ChosenLabels
        The labels that may go on, one or more in each frame, and their log probabilities, none of them NaN; see
        :func:`fastctc.reference.label_choice.choose_labels`.
    pieces : Pieces
    pruning : Pruning
    words : WordWeights, or an object with ``score`` and ``score_partial_token`` as :class:`_NGramWords`, optional
    preferred : PreferredWords, or an object with the methods of :class:`_Preferred`, optional
    start : sequence of PartBeam
        Where to go on; at least one.
    first_frame : int
        The number of the first frame.
    closes, ends : bool
        Whether the last part of a word is a word; whether the text has come to its end.
    most : int
        How many beams to return at most; 0: all.

    Raises
    ------
    ValueError
        For NaN.

    Notes
    -----
    Scores that are equal keep the order in which they arose: labels as they are given, under each the beams as they
    stood. It also decides which beam breaks its word after a piece that ends one.
    """
    model = _NGramWords(words) if isinstance(words, WordWeights) else words
    hot = preferred if not isinstance(preferred, PreferredWords | None) else _Preferred(preferred)
    on, first = _strings(pieces.on), _strings(pieces.first)
    scores: dict[tuple[str, bool], tuple[float, Any]] = {(b.text, False): (b.lm_score, b.state) for b in start}

    def weighed(text: str, word: str, last: bool) -> float:
        whole = _joined(text, word)
        if model is None:
            return 0.0
        if (whole, last) not in scores:
            before, state = scores[text, False]
            value, after = model.score(state, word, last)
            scores[whole, last] = before + value, after
        return scores[whole, last][0]

    def knowledge(text: str, word: str, part: str, last: bool = False) -> float:
        value = weighed(text, word, last) + float(hot.score(_joined(text, word)))
        if not part:
            return value
        if model is None or part in hot:
            return value + float(hot.score_partial_token(part))
        return value + float(model.score_partial_token(part))

    def best(found: Iterable[PartBeam]) -> list[PartBeam]:
        """The beams that the thresholds leave."""
        ordered = sorted(found, key=lambda beam: -beam.score)
        return [b for b in ordered if b.score >= ordered[0].score + pruning.beam_floor][: pruning.beam_width]

    beams, breaks = list(start), False
    for frame, (begins, ends_before) in enumerate(pairwise(chosen.offsets), first_frame):
        row = dict(zip(chosen.labels[begins:ends_before], chosen.log_probs[begins:ends_before], strict=True))
        if any(math.isnan(value) for value in row.values()):
            raise ValueError("log probabilities of chosen labels must be numbers, got NaN")
        found: dict[Key, tuple[PartBeam, str]] = {}  # with the word that has just ended
        labels = list(row)
        if any(label != same for label, same in enumerate(pieces.same)):
            labels.sort(key=lambda label: pieces.same[label])
        for label in labels:
            log_prob, kind, same = row[label], pieces.kinds[label], pieces.same[label]
            for beam in beams:
                text, part, spans, (begin, stop) = beam.text, beam.part, beam.frames, beam.part_frames
                ended = ""
                if kind == BLANK:
                    pass
                elif beam.label == same:
                    stop = frame + 1
                elif kind == ENDS:
                    ended, part, spans, (begin, stop) = part, "", _closed(beam), (-1, -1)
                elif kind == BEGINS or breaks:
                    breaks = bool(pieces.closes[label])
                    ended, part, spans, (begin, stop) = part, first[label], _closed(beam), (frame, frame + 1)
                else:
                    part, begin, stop = part + on[label], frame if begin < 0 else begin, frame + 1
                score = beam.log_prob + float(log_prob)
                new = PartBeam(text, part, int(same), spans, (begin, stop), score, 0.0, 0.0, None)
                _merge(found, new, ended)
        scored = []
        for new, ended in found.values():
            value = new.log_prob + knowledge(new.text, ended, new.part)
            scored.append(new._replace(text=_joined(new.text, ended), score=value))
        beams = best(scored)
        if pruning.history:
            beams = _without_twins(beams, pruning.history)

    found = {}
    for beam in beams:
        if closes or ends:
            _merge(found, beam._replace(part="", label=-1, frames=_closed(beam), part_frames=(-1, -1)), beam.part)
        else:
            found[beam.text, beam.part, beam.label] = beam, ""
    scored = []
    for beam, ended in found.values():
        value = beam.log_prob + knowledge(beam.text, ended, beam.part, ends)
        text = _joined(beam.text, ended)
        lm_score, state = scores[text, ends] if model is not None else (0.0, None)
        scored.append(beam._replace(text=text, score=value, lm_score=lm_score, state=state))
    return best(scored)[: most or None]


def _joined(text: str, word: str) -> str:
    """A text and one more word."""
    return f"{text} {word}" if text and word else text or word


def _closed(beam: PartBeam) -> list[Span]:
    """The frames of a beam's words once its part has become one."""
    return [*beam.frames, beam.part_frames] if beam.part else beam.frames


def _merge(found: dict[Key, tuple[PartBeam, str]], new: PartBeam, ended: str) -> None:
    """Add a beam; one that has the same text, part and label gives it its place and its paths, not its frames."""
    key = _joined(new.text, ended), new.part, new.label
    if key in found:
        old = found[key][0]
        high, low = max(old.log_prob, new.log_prob), min(old.log_prob, new.log_prob)
        total = high if low == -math.inf else high + math.log(1 + math.exp(low - high))
        found[key] = new._replace(log_prob=total), ended
    else:
        found[key] = new, ended


def _without_twins(beams: list[PartBeam], history: int) -> list[PartBeam]:
    """Of beams that end in the same words, part and label, the best."""
    seen = set()
    kept = []
    for beam in beams:
        key = tuple(beam.text.split()[-history:]), beam.part, beam.label
        if key not in seen:
            seen.add(key)
            kept.append(beam)
    return kept
