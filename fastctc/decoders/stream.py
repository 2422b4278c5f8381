"""Stream: decoding while the frames arrive."""

from math import nan
from typing import Any, Protocol

import numpy as np

from fastctc import backends
from fastctc.alphabet import Alphabet
from fastctc.frames import Doubles, Floats, Frames, Workspace, as_doubles, as_frames
from fastctc.hypothesis import Hypothesis, hypotheses

Labels = tuple[int, ...]
SILENCE = 100  # frames that are kept before and after a pause, for labels that end or begin there


class Search(Protocol):
    """What a stream needs of a decoder's search."""

    def extend(self, frames: Frames) -> None: ...

    def best(self) -> Labels: ...

    def stable(self, limit: int | None = None) -> Labels: ...

    def commit(self, n_labels: int) -> None: ...

    def results(self, doubles: Doubles) -> list[Hypothesis]: ...  # of these frames, those since the last commit


class Stream:
    """A sequence that is decoded while its frames arrive, in pieces of any size.

    Made by the ``stream()`` of a decoder. Whatever the pieces, the result is that of decoding all frames at once.
    What can no longer change is ``stable``; :meth:`commit` hands it out and lets it go, with all memory that was
    kept for it. So a stream that is committed from time to time takes as much memory after a day as after a minute.

    Between threads a stream is not to be shared.

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
        self._is_log = True
        self._first = 0  # number of the first frame kept
        self._gaps: list[tuple[int, int]] = []  # of long pauses: before which of the frames kept, how many are left out
        self._n_frames = 0
        self._finished = False

    def push(self, log_probs: Any = None, *, probs: Any = None, logits: Any = None) -> None:
        """Take in more frames, (frames, classes) as in ``decode``; any number of them, 0 too.

        Raises
        ------
        ValueError
            As ``decode``; nothing of the piece has been taken in then. If one piece is of probabilities and another
            is not.
        """
        self._refuse_finished()
        frames = as_frames(self._alphabet.n_classes, log_probs, probs, logits).checked()
        if self._n_frames and frames.is_log != self._is_log:
            raise ValueError("the pieces of a stream must all be probabilities, or none of them")
        self._is_log = frames.is_log
        self._search.extend(frames)
        self._n_frames += len(frames.values)
        if self._exact and len(frames.values):
            self._kept.append(frames.values.copy())

    @property
    def n_frames(self) -> int:
        """How many frames have come."""
        return self._n_frames

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
        """Hand out what can no longer change, and let it go.

        Returns
        -------
        Hypothesis
            The text since the last commit; put together, these texts and the last one are what decoding all at once
            gives. ``log_prob``, ``words`` and ``confidence`` are those of its own frames, which end where the best
            alignment puts its last label; frames are counted from the beginning of the stream. Where the decoder is
            not exact they are left out as always. A label that may still go on in the next frame stays for later. Where
            what came before a long pause may still change, the middle of the pause is let go alone: it is missing in
            ``log_prob``.
        """
        self._refuse_finished()
        labels = self._search.stable()
        if not self._exact:
            self._search.commit(len(labels))
            return Hypothesis(self._alphabet.decode(labels), nan, nan, labels, (), (), nan)
        values = self._values()
        labels, end = self._boundary(labels, values)
        self._search.commit(len(labels))
        self._kept = [values[end:].copy()]
        doubles = self._doubles(values[:end])
        [found] = hypotheses(self._alphabet, [(doubles, labels, nan)], self._backend)
        found = self._moved(found)
        self._first, self._gaps = self._number(end), [(place - end, n) for place, n in self._gaps if place > end]
        if not end:
            self._leave_out_pause(values)
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
        found = self._search.results(self._doubles(self._values()))
        self._kept = []
        return [self._moved(one) for one in found]

    def _refuse_finished(self) -> None:
        if self._finished:
            raise RuntimeError("the stream has been finished: begin a new one")

    def _values(self) -> Floats:
        if not self._kept:
            return np.empty((0, self._alphabet.n_classes))
        self._kept = [np.concatenate(self._kept)]
        return self._kept[0]

    def _doubles(self, values: Floats) -> Doubles:
        return as_doubles([Frames(values, self._is_log)], Workspace())[0]

    def _boundary(self, labels: Labels, values: Floats) -> tuple[Labels, int]:
        """How many of the stable labels can be let go, and the frame up to which they reach."""
        best = self._search.best()
        if not best:
            return (), max(0, len(values) - SILENCE)
        if not labels:
            return (), 0
        align = backends.load(self._backend, "loss").forced_align
        values = values.astype(np.float64, copy=False)
        _, first, last = align(values, best, self._alphabet.blank, self._is_log)
        if len(first) < len(best):  # the frames let go were those of another text that was the best then
            return (), 0
        if len(best) == len(labels) and last[-1] + 1 == len(values):
            labels = self._search.stable(len(labels) - 1)  # the last label may go on
            if not labels:
                return (), 0
        return labels, last[len(labels) - 1] + 1

    def _leave_out_pause(self, values: Floats) -> None:
        """Let go of the middle of a pause after the best text, so that a pause of any length takes little memory."""
        best = self._search.best()
        align = backends.load(self._backend, "loss").forced_align
        _, _, last = align(values.astype(np.float64, copy=False), best, self._alphabet.blank, self._is_log)
        if len(last) < len(best):
            return
        start, stop = (last[-1] + 1 if last else 0) + SILENCE, len(values) - SILENCE
        if stop - start < SILENCE:
            return
        self._kept = [np.concatenate([values[:start], values[stop:]])]
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
