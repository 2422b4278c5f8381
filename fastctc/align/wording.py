"""What a text allows its recording to say: stars, words left out, other forms of words."""

import re
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import NamedTuple

from fastctc.alphabet import Alphabet
from fastctc.loss import Text
from fastctc.search_inputs import TextGraph

MARK = "*"  # the word of a text that stands for anything
CORE = re.compile(r"^(\W*)(.*?)(\W*)$", re.DOTALL)

Forms = str | Sequence[str]
Piece = tuple[str, bool, tuple[int, ...] | None]  # text, whether it is a word, and its labels where these were given


class Wording(NamedTuple):
    """The options of :func:`fastctc.forced_align` that make a text say less, more or something else."""

    star: float | None = None
    skip_text: float | None = None
    skip_audio: float | None = None
    alternatives: Mapping[str, Forms] | None = None
    spoken: Callable[[str], Forms] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the text says exactly what was said."""
        return all(option is None for option in self)

    def check(self) -> None:
        """Refuse prices below 0."""
        for name in ("star", "skip_text", "skip_audio"):
            price = getattr(self, name)
            if price is not None and not 0 <= price < inf:
                raise ValueError(f"{name} must be a price of 0 nats or more, got {price}")


class Elements(NamedTuple):
    """A text as a graph, and its words: what they are and which element each is; -1 if it is not spoken."""

    graph: TextGraph
    words: tuple[tuple[str, int], ...]
    text: str


def elements_of(text: Text, alphabet: Alphabet, wording: Wording) -> Elements:
    """The graph of a text: words, and what stands between them, of which each may be left out if any text may.

    A star takes in the blank spaces beside it. Frames may be skipped in front of words and behind the last.
    """
    pieces = _pieces(text, alphabet)
    is_star = [wording.star is not None and is_word and piece == MARK for piece, is_word, _ in pieces]
    forms: list[tuple[tuple[int, ...], ...]] = []
    skips: list[float] = []
    stars, words = [inf], []
    any_text = inf if wording.skip_text is None else wording.skip_text
    any_frames = inf if wording.skip_audio is None else wording.skip_audio
    silent = False  # whether the last word is not spoken
    for number, (piece, is_word, labels) in enumerate(pieces):
        if is_star[number]:
            stars[-1] = min(stars[-1], inf if wording.star is None else wording.star)
            continue
        if is_word:
            stars[-1] = min(stars[-1], any_frames)
            element = tuple(dict.fromkeys(_forms(piece, labels, alphabet, wording)))
            words.append((piece, len(forms) if element else -1))
            silent = not element
        elif not silent and not any(is_star[max(0, number - 1) : number + 2]):
            element = (_encoded(piece, labels, alphabet),)
        else:
            continue
        if not element:
            continue
        forms.append(element)
        skips.append(any_text * min(map(len, element)) if any_text else 0.0)
        stars.append(inf)
    stars[-1] = min(stars[-1], any_frames)
    graph = TextGraph(tuple(forms), tuple(skips), tuple(stars))
    return Elements(graph, tuple(words), text if isinstance(text, str) else alphabet.decode(text))


def _pieces(text: Text, alphabet: Alphabet) -> list[Piece]:
    """The words and what stands between them; with the labels, where these were given."""
    if isinstance(text, str):
        pattern = r"\S+" if alphabet.word_begin is not None else r"\s+|\S+"
        return [(piece, not piece.isspace(), None) for piece in re.findall(pattern, text)]
    labels, end = tuple(text), 0
    pieces: list[Piece] = []
    for start, stop in [*alphabet.words(labels), (len(labels), len(labels))]:
        if start > end:
            pieces.append((alphabet.decode(labels[end:start]), False, labels[end:start]))
        if stop > start:
            pieces.append((alphabet.decode(labels[start:stop]).strip(), True, labels[start:stop]))
        end = stop
    return pieces


def _encoded(piece: str, labels: tuple[int, ...] | None, alphabet: Alphabet) -> tuple[int, ...]:
    if labels is not None:
        return labels
    try:
        return alphabet.encode(piece)
    except ValueError as error:
        raise ValueError(f"{error} of {piece!r}") from None


def _forms(word: str, labels: tuple[int, ...] | None, alphabet: Alphabet, wording: Wording) -> list[tuple[int, ...]]:
    """The label strings of a word: as it is written if that can be spelled, then as it may be said."""
    said = _alternatives(word, alphabet, wording.alternatives or {})
    if wording.spoken is not None:
        said += _as_list(wording.spoken(word))
        forms = [_encoded(form, None, alphabet) for form in said]
        return [form for form in forms if form]
    others = [_encoded(form, None, alphabet) for form in said]
    if others and labels is None and not _is_spelled(word, alphabet):
        return others
    return [_encoded(word, labels, alphabet), *others]


def _alternatives(word: str, alphabet: Alphabet, alternatives: Mapping[str, Forms]) -> list[str]:
    """Other forms of a word, or of what stands between its punctuation."""
    if word in alternatives:
        return _as_list(alternatives[word])
    before, core, behind = CORE.match(word).groups()  # type: ignore[union-attr]  # it matches anything
    before, behind = (side if _is_spelled(side, alphabet) else "" for side in (before, behind))
    return [before + form + behind for form in _as_list(alternatives.get(core, []))]


def _is_spelled(text: str, alphabet: Alphabet) -> bool:
    try:
        alphabet.encode(text)
    except ValueError:
        return False
    return True


def _as_list(forms: Forms) -> list[str]:
    found = [forms] if isinstance(forms, str) else list(forms)
    if not all(isinstance(form, str) for form in found):
        raise TypeError(f"the forms of a word must be strings, got {found!r}")
    return found
