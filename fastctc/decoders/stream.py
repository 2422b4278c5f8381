"""Stream: decoding while the frames arrive."""

import sys
from math import inf, nan
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastctc import backends
from fastctc.alphabet import Alphabet
from fastctc.decoders.word_tracker import LMState
from fastctc.frames import Floats, Frames, Probabilities, Workspace, as_frames, as_probabilities
from fastctc.hypothesis import Hypothesis, hypotheses, inexact, with_dropped

Labels = tuple[int, ...]
SILENCE = 100  # frames that are kept before and after a pause, for labels that end or begin there
MEMORY = 1 << 28  # bytes that the alignment of what is kept may take beside what it must


class Search(Protocol):
    """What a stream needs of a decoder's search."""

    def extend(self, frames: Frames) -> None: ...

    def best(self) -> Labels: ...

    def prefixes(self) -> list[tuple[Labels, bool, bool]]: ...  # may they end in a blank, in their last label

    def whole(self, labels: Labels) -> int: ...  # how many of some stable labels may be let go as for the decoder

    def stable(self, limit: int | None = None) -> Labels: ...

    def commit(self, n_labels: int) -> None: ...

    def results(
        self, probabilities: Probabilities
    ) -> list[Hypothesis]: ...  # of these frames, those since the last commit


class BeamDecoder(Protocol):
    """What a stream of beams needs of its decoder."""

    @property
    def alphabet(self) -> Alphabet: ...

    @property
    def beam_width(self) -> int: ...

    @property
    def _n_beams(self) -> int: ...  # how many beams become hypotheses

    @property
    def _start_state(self) -> LMState: ...

    def _follow(self, state: LMState, labels: Labels) -> LMState: ...

    def _results(self, probabilities: Probabilities, found: Any, before: LMState) -> list[Hypothesis]: ...


class BeamStream:
    """The search of a stream whose decoder is a beam search."""

    def __init__(self, decoder: BeamDecoder, beams: Any, keeps_words: bool = False) -> None:
        self._decoder, self._beams = decoder, beams
        self._keeps_words = keeps_words  # whether the beginning of a word is needed until it ends
        self._committed = decoder._start_state  # of the text committed

    def extend(self, frames: Frames) -> None:
        self._beams.extend(as_probabilities([frames], Workspace())[0].probs, self._decoder.beam_width)

    def best(self) -> Labels:
        found = self._beams.best(1)
        return found[0][0] if found else ()

    def prefixes(self) -> list[tuple[Labels, bool, bool]]:
        found: list[tuple[Labels, bool, bool]] = self._beams.prefixes()
        return found

    def whole(self, labels: Labels) -> int:
        n, is_word = len(labels), self._decoder.alphabet.is_word
        while self._keeps_words and n and is_word[labels[n - 1]]:
            n -= 1
        return n

    def stable(self, limit: int | None = None) -> Labels:
        labels: Labels = self._beams.stable(sys.maxsize if limit is None else limit)
        return labels

    def commit(self, n_labels: int) -> None:
        self._committed = self._decoder._follow(self._committed, self.best()[:n_labels])
        self._beams.commit(n_labels)

    def results(self, probabilities: Probabilities) -> list[Hypothesis]:
        found = self._decoder._results(probabilities, self._beams.best(self._decoder._n_beams), self._committed)
        return with_dropped(found, self._beams.dropped())


class Stream:
    """A sequence that is decoded while its frames arrive, in pieces of any size.

    Made by the ``stream()`` of a decoder. Whatever the pieces, the result is that of decoding all frames at once.
    ``stable`` is the part of the text that can no longer change; :meth:`commit` returns it and frees the memory that
    was kept for it. So a stream that is committed from time to time takes as much memory after a day as after a minute.

    Threads must not share a stream.

    Notes
    -----
    What holds after commits, exactly:

    - The search goes on as if nothing had been committed: ``score``, and the text of the best hypothesis, are those of
      ``decode``, equal scores included. Two things may differ: with ``rescore`` or ``n_best`` above 1 only texts that
      begin with what was committed are left to choose from; and a word's ``completion`` "best" or "forced" is the most
      probable one given the frames that are left (the beginning of a word is never let go before its end).
    - A commit lets go of the frames up to ``first_frame``, the last of which is the last frame of the last label
      committed, on the best path of the best text then. From there on that is taken for granted: ``log_prob``,
      ``timesteps``, ``words`` and ``confidence`` are those of the rest of the text over the rest of the frames, behind
      that label. So the ``log_prob`` of all parts add up to that of the paths that pass through these labels in these
      frames, a lower bound of what ``decode`` gives for the whole. Every text that the search has reached remains
      possible; what ``completion`` adds to it need not be.

    Examples
    --------
    >>> from fastctc import Alphabet, BeamSearch
    >>> stream = BeamSearch(Alphabet("ab")).stream()
    >>> stream.push(probs=[[0.9, 0.0, 0.1], [0.0, 0.0, 1.0]])
    >>> stream.push(probs=[[0.1, 0.8, 0.1]])
    >>> stream.best, stream.stable
    ('ab', '')
    >>> stream.finish()[0].text
    'ab'
    """

    def __init__(self, alphabet: Alphabet, search: Search, exact: bool, backend: str) -> None:
        self._alphabet, self._search, self._exact, self._backend = alphabet, search, exact, backend
        self._kept: list[Floats] = []  # frames since the last commit, if the exact algorithms will need them
        self._log_normalizers: list[NDArray[np.float64]] = []  # of the frames kept
        self._log_normalizer = 0.0  # of all frames that have come
        self._is_log = True
        self._first = 0  # number of the first frame kept
        self._before: Labels = ()  # the label that stands in the frame before it, if anything was committed
        self._gaps: list[tuple[int, int]] = []  # of long pauses: before which of the frames kept, how many are left out
        self._n_frames = 0
        self._finished = False

    def push(self, log_probs: Any = None, *, probs: Any = None, logits: Any = None, scores: Any = None) -> None:
        """Take in more frames, (frames, classes) as in ``decode``; any number of them, 0 too.

        Raises
        ------
        ValueError
            As ``decode``; nothing of the piece has been taken in then. If one piece is of probabilities and another
            is not.
        """
        self._refuse_finished()
        frames = as_frames(self._alphabet.n_classes, log_probs, probs, logits, scores).checked()
        if self._alphabet.special:
            frames = frames.without(self._alphabet.special_classes, self._alphabet.blank)
        if self._n_frames and frames.is_log != self._is_log:
            raise ValueError("the pieces of a stream must all be probabilities, or none of them")
        self._is_log = frames.is_log
        self._search.extend(frames)
        self._n_frames += len(frames.values)
        self._log_normalizer += frames.log_normalizer
        if self._exact and len(frames.values):
            self._kept.append(frames.values.copy())
            known = frames.log_normalizers
            self._log_normalizers.append(np.zeros(len(frames.values)) if known is None else known)

    @property
    def n_frames(self) -> int:
        """How many frames have come."""
        return self._n_frames

    @property
    def first_frame(self) -> int:
        """Number of the first frame that is still kept."""
        return self._first if self._exact else self._n_frames

    @property
    def best(self) -> str:
        """The best text so far, since the last commit."""
        return self._alphabet.decode(self._search.best())

    @property
    def stable(self) -> str:
        """Its beginning that can no longer change, whatever comes.

        Either all texts in the beam begin so, or those that do not are worse in every respect than one that does and
        goes on as they do, so that they can never catch up.
        """
        return self._alphabet.decode(self._search.stable())

    def commit(self) -> Hypothesis:
        """Return the part of the text that can no longer change, and free its memory.

        Returns
        -------
        Hypothesis
            The text since the last commit; put together, these texts and the last one are what decoding all at once
            gives. ``log_prob``, ``words`` and ``confidence`` are those of its own frames, which end where the best
            alignment puts its last label, and of the paths that end in that label; frames are counted from the
            beginning of the stream. Where the decoder is not exact they are left out as always. A label that may still
            go on in the next frame stays for later, and so does what the rest of some text in the beam could not do
            without. The middle of a long pause behind what is left is let go alone: it is missing in ``log_prob``.
        """
        self._refuse_finished()
        labels = self._search.stable()
        if not self._exact:
            self._search.commit(len(labels))
            return inexact(self._alphabet.decode(labels), labels, nan)
        values = self._values()
        labels, end = self._boundary(labels, values)
        self._search.commit(len(labels))
        if not labels:
            self._leave_out_pause(values)
            return Hypothesis("", 0.0, nan, (), (), (), 1.0)
        probabilities = _ending_in(labels[-1], self._probabilities(values[:end]))
        [found] = hypotheses(self._alphabet, [(probabilities, labels, nan)], self._backend)
        found = self._moved(found)
        found = found._replace(log_prob=found.log_prob + self._log_normalizers[0][:end].sum())
        self._kept, self._log_normalizers = [values[end:].copy()], [self._log_normalizers[0][end:].copy()]
        self._before = labels[-1:]
        self._first, self._gaps = self._number(end), [(place - end, n) for place, n in self._gaps if place > end]
        return found

    def finish(self) -> list[Hypothesis]:
        """End the stream.

        Returns
        -------
        list of Hypothesis
            What ``decode`` gives, or without what was committed, if anything was; then ``score`` is still that of the
            whole, and frames are counted from the beginning of the stream.
        """
        self._refuse_finished()
        self._finished = True
        found = self._search.results(self._probabilities(self._values()))
        rest = float(sum(part.sum() for part in self._log_normalizers))
        self._kept, self._log_normalizers = [], []
        return [
            self._moved(one)._replace(log_prob=one.log_prob + rest, score=one.score + self._log_normalizer)
            for one in found
        ]

    def _refuse_finished(self) -> None:
        if self._finished:
            raise RuntimeError("the stream has been finished: begin a new one")

    def _values(self) -> Floats:
        if not self._kept:
            return np.empty((0, self._alphabet.n_classes))
        self._kept, self._log_normalizers = [np.concatenate(self._kept)], [np.concatenate(self._log_normalizers)]
        return self._kept[0]

    def _probabilities(self, values: Floats) -> Probabilities:
        """Frames that were kept, behind the label that stands before them."""
        plain = as_probabilities([Frames(values, self._is_log)], Workspace())[0]
        return behind(self._before[0], plain) if self._before else plain

    def _aligned(self, probabilities: Probabilities, labels: Labels) -> Labels:
        """The last frame of each label on the best path, among the frames kept; nothing if there is no path."""
        is_log = probabilities.log_probs is not None
        values = (
            probabilities.probs
            if probabilities.log_probs is None
            else probabilities.log_probs.astype(np.float64, copy=False)
        )
        align = backends.load(self._backend, "viterbi").best_alignment
        _, _, last, _, _ = align(
            values, probabilities.behind + labels, self._alphabet.blank, is_log, inf, inf, MEMORY, prove=False
        )
        n = len(probabilities.behind)
        return tuple([frame - n for frame in last[n:]])

    def _boundary(self, labels: Labels, values: Floats) -> tuple[Labels, int]:
        """How many of the stable labels can be let go, and the frame up to which they reach."""
        if not labels:
            return (), 0
        best, probabilities = self._search.best(), self._probabilities(values)
        last = self._aligned(probabilities, best)
        n, step = len(labels) if len(last) == len(best) else 0, 1
        while n > 0:
            labels = self._search.stable(n)
            n = self._search.whole(labels)
            if n < len(labels):
                continue
            if n == 0:
                break
            end = last[n - 1] + 1
            goes_on = n == len(best) and end == len(values)  # it may, in the next frame
            if not goes_on and self._can_do_without(labels, values[end:]):
                return labels, end
            n -= step
            step *= 2
        return (), 0

    def _can_do_without(self, labels: Labels, values: Floats) -> bool:
        """Whether all texts in the beam remain possible if only these frames are left, behind some labels."""
        probs = as_probabilities([Frames(values, self._is_log)], Workspace())[0].probs
        before = labels[-1:] or self._before
        n = len(labels)
        rests = [(text[n:], ends) for text, *ends in self._search.prefixes() if text[:n] == labels]
        if (probs > 0.0).all() and all(len(probs) > 2 * len(rest) for rest, *_ in rests):
            return True
        return all(_is_possible(probs, self._alphabet.blank, before, rest, *ends) for rest, ends in rests)

    def _leave_out_pause(self, values: Floats) -> None:
        """Let go of the middle of a pause after the best text, so that a pause of any length takes little memory."""
        best = self._search.best()
        last = self._aligned(self._probabilities(values), best)
        if len(last) < len(best):
            return
        start, stop = (last[-1] + 1 if last else 0) + SILENCE, len(values) - SILENCE
        if stop - start < SILENCE:
            return
        rest = np.concatenate([values[:start], values[stop:]])
        if not self._can_do_without((), rest):
            return
        self._kept, self._log_normalizers = [rest], [np.delete(self._log_normalizers[0], slice(start, stop))]
        before = [(place, n) for place, n in self._gaps if place < start]
        within = sum(n for place, n in self._gaps if start <= place <= stop)
        after = [(place - (stop - start), n) for place, n in self._gaps if place > stop]
        self._gaps = [*before, (start, stop - start + within), *after]

    def _number(self, frame: int) -> int:
        """Which frame of the stream one of those kept is."""
        return self._first + frame + sum(n for place, n in self._gaps if place <= frame)

    def _moved(self, found: Hypothesis) -> Hypothesis:
        number = self._number
        return found._replace(
            timesteps=tuple([number(step) for step in found.timesteps]),
            words=tuple([word._replace(first=number(word.first), last=number(word.last)) for word in found.words]),
        )


def behind(label: int, frames: Probabilities) -> Probabilities:
    """Frames that follow a frame known to be a label."""
    row = np.zeros((1, frames.probs.shape[1]))
    row[0, label] = 1.0
    with np.errstate(divide="ignore"):
        logs = None if frames.log_probs is None else np.concatenate([np.log(row), frames.log_probs])
    return Probabilities(np.concatenate([row, frames.probs]), logs, (label,))


def _ending_in(label: int, frames: Probabilities) -> Probabilities:
    """Frames whose paths count only if they end in a label."""
    others = np.arange(frames.probs.shape[1]) != label
    probs = frames.probs.copy()
    probs[-1, others] = 0.0
    logs = frames.log_probs
    if logs is not None:
        logs = logs.copy()
        logs[-1, others] = -np.inf
    return Probabilities(probs, logs, frames.behind)


def _is_possible(probs: Floats, blank: int, before: Labels, labels: Labels, in_blank: bool, in_label: bool) -> bool:
    """Whether paths of some labels, behind another, may end in a blank, and in the last label, as far as is asked for.

    The states of the alignment are bits of a number: the label before, a blank, the first label, a blank, and so on.
    """
    n = len(labels)
    places = {blank: sum(2 << 2 * i for i in range(n + 1))}
    for i, label in enumerate((*before, *labels), 1 - len(before)):
        places[label] = places.get(label, 0) | 1 << 2 * i
    previous = (*(before or (blank,)), *labels)  # of each label the one before it; between equal ones there is a blank
    skips = sum(1 << 2 * i for i in range(n) if previous[i] != labels[i])
    states = 1
    for row in probs:
        allowed = sum(mask for label, mask in places.items() if row[label] > 0.0)
        states = (states | states << 1 | (states & skips) << 2) & allowed
        if not states:
            return False
    return (not in_blank or bool(states >> 2 * n + 1 & 1)) and (not in_label or bool(states >> 2 * n & 1))
