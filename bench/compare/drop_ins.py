"""The drop-ins for other decoders, each called as its original is, and beside it where that is installed."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench import workloads
from bench.compare import peers
from bench.compare.measure import Candidate, Row, measure
from fastctc.compat import ctcdecode, fast_ctc_decode

WORKS = {  # frames of a network that is sure of most of them, of one that is less so, and of one with pieces of words
    "speech 371x29": workloads.peaky(371, 29, least=5.0),
    "line 100x80": workloads.peaky(100, 80),
    "subwords 200x1025": workloads.peaky(200, 1025),
}
CUTS = (0.0, 9e-4)  # less than 1 / 1025 is allowed


def decoders(seconds: float, quick: bool) -> list[Row]:
    rows = []
    for name, frames in list(WORKS.items())[: 1 if quick else None]:
        probs = peers.blank_first(frames)
        rows += _fast_ctc_decode(name, probs, seconds, (5, 25) if quick else (5, 25, 100))
        rows += _ctcdecode(name, probs, seconds, (25,) if quick else (25, 100))
    return rows


def _fast_ctc_decode(name: str, probs: np.ndarray, seconds: float, widths: Sequence[int]) -> list[Row]:
    original = peers.optional("fast_ctc_decode")
    labels = "".join(chr(0x100 + k) for k in range(probs.shape[1]))
    calls: list[tuple[str, str, tuple[Any, ...]]] = [
        ("viterbi_search", "", (probs, labels)),
        ("viterbi_search", ", qstring", (probs, labels, True)),
        *(
            ("beam_search", f", beam_size={width}, beam_cut_threshold={cut:g}", (probs, labels, width, cut))
            for width in widths
            for cut in CUTS
        ),
    ]
    rows = []
    for function, how, arguments in calls:
        both = [("fastctc", "compat.fast_ctc_decode", partial(getattr(fast_ctc_decode, function), *arguments))]
        if original:
            both.append(("fast_ctc_decode", function, partial(getattr(original, function), *arguments)))
        rows += _beside(f"{name}, {function}{how}", both, seconds, lambda found: found)
    return rows


def _ctcdecode(name: str, probs: np.ndarray, seconds: float, widths: Sequence[int]) -> list[Row]:
    original, torch = peers.optional("ctcdecode"), peers.optional("torch")
    labels = [chr(0x100 + k) for k in range(probs.shape[1])]
    rows = []
    for width in widths:
        options: dict[str, Any] = {"beam_width": width, "num_processes": 1}
        ours = ctcdecode.CTCBeamDecoder(labels, **options)
        both = [("fastctc", "compat.ctcdecode", partial(ours.decode, probs[None]))]
        if original and torch:
            theirs = original.CTCBeamDecoder(labels, **options)
            both.append(("ctcdecode", "CTCBeamDecoder", partial(theirs.decode, torch.from_numpy(probs[None]))))
        rows += _beside(
            f"{name}, ctcdecode, beam_width={width}",
            both,
            seconds,
            lambda found: np.asarray(found[0][0, 0, : found[3][0, 0]]).tolist(),
        )
    return rows


def _beside(
    work: str, calls: Sequence[tuple[str, str, Callable[[], Any]]], seconds: float, answer: Callable[[Any], Any]
) -> list[Row]:
    ours = answer(calls[0][2]())

    def quality(found: Any) -> Row:
        return {"agreement": float(answer(found) == ours)}

    candidates = [Candidate(who, settings, run, quality) for who, settings, run in calls]
    return measure("drop-in decoders", work, candidates, seconds / 8)
