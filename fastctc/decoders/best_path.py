"""Best path decoding."""

from dataclasses import KW_ONLY, dataclass
from math import nan

import numpy as np

from fastctc import backends
from fastctc.alphabet import Alphabet
from fastctc.decoders.decoder import Decoder
from fastctc.decoders.stream import Stream
from fastctc.frames import Floats, Frames, Probabilities, Workspace, as_probabilities, new
from fastctc.hypothesis import Hypothesis, hypotheses

Path = tuple[tuple[int, ...], float]  # labels, score


@dataclass(frozen=True)
class BestPath(Decoder):
    """Best path (greedy) decoding: the best class of each frame, repeats merged, blanks dropped.

    The text of the most probable path, which need not be the most probable text. Takes O(T C) time for T frames of C
    classes. Of equal classes in a frame the first is taken.

    Parameters
    ----------
    alphabet : Alphabet
    exact : bool, default True
        Whether to compute ``log_prob``, ``words`` and ``confidence``, which cost several times the decoding.
    backend : str, default "compiled"
        "reference" runs the plain Python specification, "opencl:cpu", "opencl:gpu" and so on the kernel of an OpenCL
        device: what pays there is ``decode_batch`` with ``exact=False``.

    References
    ----------
    A. Graves, S. Fernández, F. Gomez, J. Schmidhuber: Connectionist Temporal Classification, ICML 2006.

    Examples
    --------
    >>> from fastctc import Alphabet, BestPath
    >>> BestPath(Alphabet("ab")).decode(probs=[[0.4, 0, 0.6], [0.4, 0, 0.6]])[0].text
    ''
    """

    alphabet: Alphabet
    _: KW_ONLY
    exact: bool = True
    backend: str = "compiled"

    def stream(self) -> Stream:
        """Begin to decode a sequence whose frames arrive in pieces."""
        return Stream(self.alphabet, _PathOfStream(self), self.exact, self.backend)

    def _decode(self, batch: list[Frames], workspace: Workspace) -> list[list[Hypothesis]]:
        twin, alphabet = backends.load(self.backend, "best_path"), self.alphabet
        if len(batch) == 1 and not self.exact:  # without lists, which would take as long as the scan
            [frames] = batch
            labels, timesteps, score, bad = twin.best_path(frames.log_probs(), alphabet.blank)
            if bad >= 0 and frames.is_log:
                frames.refuse(bad)
            return [
                [
                    new(
                        Hypothesis,
                        (alphabet.decode(labels), nan, score, labels, timesteps, (), nan, None, 0.0, 0.0, 0.0),
                    )
                ]
            ]
        paths = twin.best_paths([frames.log_probs() for frames in batch], alphabet.blank)
        for frames, path in zip(batch, paths, strict=True):
            if path[3] >= 0 and frames.is_log:
                frames.refuse(path[3])
        if self.exact:
            return self._hypotheses(
                as_probabilities(batch, workspace), [(labels, score) for labels, _, score, _ in paths]
            )
        texts = alphabet.decode_all([path[0] for path in paths])
        return [
            [new(Hypothesis, (text, nan, score, labels, timesteps, (), nan, None, 0.0, 0.0, 0.0))]
            for text, (labels, timesteps, score, _) in zip(texts, paths, strict=True)
        ]

    def _hypotheses(self, frames: list[Probabilities], found: list[Path]) -> list[list[Hypothesis]]:
        results = [(f, labels, score) for f, (labels, score) in zip(frames, found, strict=True)]
        backend = self.backend if self.backend in backends.BACKENDS else "compiled"  # there is no kernel for the rest
        return [[one] for one in hypotheses(self.alphabet, results, backend)]


class _PathOfStream:
    """The best path of the frames that have come; nothing of it ever changes."""

    def __init__(self, decoder: BestPath) -> None:
        self._decoder = decoder
        self._labels: list[int] = []
        self._timesteps: list[int] = []
        self._n_frames = 0
        self._score = 0.0
        self._row: Floats = np.empty((0, decoder.alphabet.n_classes))  # the last frame, whose class may go on

    def extend(self, frames: Frames) -> None:
        best_path, blank = backends.load(self._decoder.backend, "best_path").best_path, self._decoder.alphabet.blank
        rows = frames.log_probs()
        if not len(rows):
            return
        before, _, known, _ = best_path(self._row, blank)
        labels, timesteps, score, _ = best_path(np.concatenate([self._row, rows]), blank)
        start = self._n_frames - len(self._row)
        self._labels += labels[len(before) :]
        self._timesteps += [start + step for step in timesteps[len(before) :]]
        self._score += score - known
        self._n_frames += len(rows)
        self._row = rows[-1:].copy()

    def best(self) -> tuple[int, ...]:
        return tuple(self._labels)

    def prefixes(self) -> list[tuple[tuple[int, ...], bool, bool]]:
        best_path = backends.load(self._decoder.backend, "best_path").best_path
        in_label = bool(best_path(self._row, self._decoder.alphabet.blank)[0])
        return [(tuple(self._labels), not in_label, in_label)]

    def whole(self, labels: tuple[int, ...]) -> int:
        return len(labels)

    def stable(self, limit: int | None = None) -> tuple[int, ...]:
        return tuple(self._labels[:limit])

    def commit(self, n_labels: int) -> None:
        del self._labels[:n_labels]
        del self._timesteps[:n_labels]

    def results(self, probabilities: Probabilities) -> list[Hypothesis]:
        labels, decoder = tuple(self._labels), self._decoder
        if decoder.exact:
            return decoder._hypotheses([probabilities], [(labels, self._score)])[0]
        text = decoder.alphabet.decode(labels)
        return [Hypothesis(text, nan, self._score, labels, tuple(self._timesteps), (), nan)]
