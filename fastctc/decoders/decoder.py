"""What all decoders share: a sequence or a batch goes in, hypotheses come out, and threads share the work."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastctc.alphabet import Alphabet
from fastctc.backends import BACKENDS
from fastctc.frames import Frames, Workspace, as_batch, as_frames
from fastctc.hypothesis import Hypothesis, unnormalized
from fastctc.threads import share
from fastctc.value import Value

LARGEST = 1 << 19  # numbers that are decoded at a time: more do not fit into the cache, fewer let threads wait
LEAST = 1 << 14  # enough to outweigh a change of threads
WIDEST = 1 << 24  # beams


class Decoder(Value, ABC):
    """What all decoders share."""

    alphabet: Alphabet
    backend: str

    def decode(
        self, log_probs: Any = None, *, probs: Any = None, logits: Any = None, scores: Any = None
    ) -> list[Hypothesis]:
        """Decode one sequence.

        Parameters
        ----------
        log_probs : array-like (frames, classes), float32 or float64
            Natural log probabilities. -inf is allowed. NumPy arrays, and whatever converts to them, are read without
            a copy where they are contiguous.
        probs, logits : array-like (frames, classes)
            The same as probabilities, or as raw scores before the softmax.
        scores : array-like (frames, classes)
            Any finite numbers or -inf, added up along a path as they are: ``log_prob`` and ``score`` are then
            logarithms of sums over paths, not of probabilities, and ``confidence`` is what it would be for ``logits``.
            Give exactly one of the four.

        Returns
        -------
        list of Hypothesis
            Best first. Zero frames give the empty text.

        Raises
        ------
        ValueError
            For a wrong rank or number of classes, NaN, +inf, a value above log 1, a frame that is not a distribution.
        """
        frames = as_frames(self.alphabet.n_classes, log_probs, probs, logits, scores)
        if self.alphabet.special:
            frames = frames.without(self.alphabet.special_classes, self.alphabet.blank)
        found = self._decode([frames], Workspace())[0]
        return found if scores is None else unnormalized(found, frames.log_normalizer)

    def decode_batch(
        self,
        log_probs: Any = None,
        lengths: Sequence[int] | None = None,
        threads: int | None = None,
        *,
        probs: Any = None,
        logits: Any = None,
        scores: Any = None,
    ) -> list[list[Hypothesis]]:
        """Decode many sequences.

        Parameters
        ----------
        log_probs : array-like (batch, frames, classes), or a sequence of (frames, classes)
            Natural log probabilities.
        lengths : sequence of int, optional
            How many frames of each sequence count; what follows is not looked at.
        threads : int, default 1
            Number of threads that share the work. The compiled code does not hold the GIL.
        probs, logits, scores
            As in :meth:`decode`.

        Returns
        -------
        list of lists of Hypothesis
            One list a sequence, in their order.

        Raises
        ------
        ValueError
            As :meth:`decode`, with the number of the sequence; for lengths out of range and threads below 1.
        """
        batch = as_batch(self.alphabet.n_classes, log_probs, probs, logits, lengths, scores)
        if self.alphabet.special:
            batch = [frames.without(self.alphabet.special_classes, self.alphabet.blank) for frames in batch]
        self._prepare()

        def begin() -> Callable[[list[Frames]], list[list[Hypothesis]]]:
            workspace = Workspace()
            return lambda part: self._decode(part, workspace)

        # A device takes all in one launch.
        parts = _parts(batch, threads or 1) if self.backend in BACKENDS or not batch else iter([batch])
        found = [found for part in share(parts, begin, threads) for found in part]
        if scores is None:
            return found
        return [unnormalized(one, frames.log_normalizer) for one, frames in zip(found, batch, strict=True)]

    def _prepare(self) -> None:
        """Compute what all sequences need: once, and in the thread that hears Ctrl-C."""

    @abstractmethod
    def _decode(self, batch: list[Frames], workspace: Workspace) -> list[list[Hypothesis]]: ...


def _parts(batch: list[Frames], threads: int) -> Iterator[list[Frames]]:
    """Large parts first, then smaller ones: threads change rarely, and none waits long for the others at last."""
    rest = sum([frames.values.size for frames in batch])
    if batch and threads == 1 and rest <= LARGEST:
        yield batch
        return
    part, size = [], 0
    for frames in batch:
        part.append(frames)
        size += frames.values.size
        if size >= min(LARGEST, max(LEAST, rest // (2 * threads))):
            yield part
            rest -= size
            part, size = [], 0
    if part:
        yield part


def check_beams(beam_width: int, n_best: int) -> None:
    """Refuse widths that no beam search can have, and more results than beams."""
    if not 1 <= beam_width <= WIDEST:
        raise ValueError(f"beam_width must be 1 to {WIDEST} (fastctc.decoders.decoder.WIDEST), got {beam_width}")
    if not 1 <= n_best <= beam_width:
        raise ValueError(f"n_best must be 1 to beam_width, which is {beam_width}, got {n_best}")
