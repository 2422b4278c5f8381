"""``cuda_ctc_decoder`` and its classes, on the processor."""

from collections.abc import Sequence
from math import inf, log
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastctc.alphabet import Alphabet
from fastctc.compat.torchaudio.tensors import as_array
from fastctc.decoders import BeamSearch

__all__ = ["CUCTCDecoder", "CUCTCHypothesis", "cuda_ctc_decoder"]

BLANK_SKIP_THRESHOLD = 0.95


class CUCTCHypothesis(NamedTuple):
    """A hypothesis: tokens, their names, and the score."""

    tokens: list[int]
    words: list[str]
    score: float


class CUCTCDecoder:
    """Prefix beam search that leaves out frames which are blank for sure; made by :func:`cuda_ctc_decoder`."""

    def __init__(
        self,
        vocab_list: Sequence[str],
        blank_id: int = 0,
        beam_size: int = 10,
        nbest: int = 1,
        blank_skip_threshold: float = BLANK_SKIP_THRESHOLD,
        cuda_stream: Any = None,  # noqa: ARG002
    ) -> None:
        if blank_id != 0:
            raise AssertionError("blank_id must be 0")
        if not 0 <= blank_skip_threshold <= 1:
            raise AssertionError("blank_skip_threshold must be between 0 and 1")
        self.blank_id = blank_id
        self.vocab_list = list(vocab_list)
        self.nbest = nbest
        self.blank_skip_threshold = log(blank_skip_threshold) if blank_skip_threshold else -inf
        self.beam_size = min(beam_size, len(self.vocab_list))
        names = Alphabet([str(token) for token in range(1, len(self.vocab_list))], blank=0)
        self._search = BeamSearch(names, self.beam_size, n_best=min(nbest, self.beam_size), exact=False)

    def __call__(self, log_prob: Any, encoder_out_lens: Any) -> list[list[CUCTCHypothesis]]:
        """Decode a batch: (batch, frames, tokens) log probabilities, and how many frames each sequence has."""
        rows = as_array(log_prob)
        found = []
        for sequence, length in zip(rows, as_array(encoder_out_lens).tolist(), strict=True):
            frames = sequence[:length]
            sure = frames[:, 0] > self.blank_skip_threshold
            kept = ~sure
            kept[1:] |= sure[1:] & ~sure[:-1]  # one blank of a run, for equal tokens before and behind
            blank = np.full(frames.shape[1], -inf, frames.dtype)
            blank[0] = 0.0
            best = self._search.decode(scores=np.where(sure[:, None], blank, frames)[kept])
            found.append([self._hypothesis(one.labels, one.score) for one in best])
        return found

    def _hypothesis(self, labels: Sequence[int], score: float) -> CUCTCHypothesis:
        return CUCTCHypothesis(list(labels), [self.vocab_list[label] for label in labels], score)


def cuda_ctc_decoder(
    tokens: str | PathLike[str] | Sequence[str],
    nbest: int = 1,
    beam_size: int = 10,
    blank_skip_threshold: float = BLANK_SKIP_THRESHOLD,
) -> CUCTCDecoder:
    """Make a decoder of the tokens in a file, the first of each line, or in a list; the blank is the first."""
    if isinstance(tokens, str | PathLike):
        lines = Path(tokens).read_text(encoding="utf-8").splitlines()
        tokens = [line.split()[0] for line in lines if line.split()]
    return CUCTCDecoder(tokens, beam_size=beam_size, nbest=nbest, blank_skip_threshold=blank_skip_threshold)
