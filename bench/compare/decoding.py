"""Best path and beam search without a language model: the same matrices for everybody, what was found and how fast."""

from collections.abc import Sequence

import numpy as np

from bench import workloads
from bench.compare import peers
from bench.compare.measure import EXACT, Candidate, Row, measure
from fastctc import Alphabet, BeamSearch, BestPath, log_probability

WIDTHS = (10, 25, 100)
SPEECH = {"30 s of speech, 1500x33": (1500, 33), "10 min of speech, 30000x33": (30000, 33)}  # frames of 20 ms


def _alphabet(n_classes: int) -> Alphabet:
    """No space among the characters: pyctcdecode takes spaces for more than characters."""
    return Alphabet([chr(0x100 + k) for k in range(n_classes - 1)])


def _found(frames: Sequence[np.ndarray], alphabet: Alphabet, ours: list[str]):
    """Mean exact ln p of the texts, and how many are those of fastctc."""

    def quality(texts: list[str]) -> Row:
        scores = [log_probability(f.astype(np.float64), t, alphabet) for f, t in zip(frames, texts, strict=True)]
        return {"log_prob": float(np.mean(scores)), "agreement": float(np.mean(np.equal(texts, ours)))}

    return quality


def best_path(seconds: float) -> list[Row]:
    rows = []
    works = [("100x80", (100, 80), 1), ("1000x32", (1000, 32), 1), ("64 of 100x80", (100, 80), 64)]
    for name, size, count in [*works, *((name, size, 1) for name, size in SPEECH.items())]:
        frames = [workloads.peaky(*size, seed) for seed in range(1, count + 1)]
        stacked, alphabet = np.stack(frames), _alphabet(size[1])
        plain, exact = BestPath(alphabet, exact=False), BestPath(alphabet)
        ours = [one[0].text for one in plain.decode_batch(stacked)]

        def run(decoder=plain, stacked=stacked):
            if len(stacked) == 1:
                return [decoder.decode(stacked[0])[0].text]
            return [one[0].text for one in decoder.decode_batch(stacked)]

        quality = _found(frames, alphabet, ours)
        candidates = [
            Candidate("fastctc", "BestPath(exact=False)", run, quality, count),
            Candidate("fastctc", f"BestPath, {EXACT}", lambda d=exact: run(d), quality, count),
            Candidate("numpy", "argmax alone: no text", lambda s=stacked: np.argmax(s, axis=2), None, count),
        ]
        candidates += [Candidate(w, s, r, quality, count) for w, s, r in peers.best_path(frames, alphabet)]
        rows += measure("best path", name, candidates, seconds)
    return rows


def beam_search(seconds: float, quick: bool) -> list[Row]:
    count = 2 if quick else 4
    rows = []
    for kind in ("peaky",) if quick else ("peaky", "flat"):
        frames = [getattr(workloads, kind)(100, 80, seed) for seed in range(1, count + 1)]
        for beam_width in WIDTHS[:2] if quick else WIDTHS:
            candidates = _searches(frames, beam_width)
            rows += measure("beam search", f"{kind} 100x80, beam width {beam_width}", candidates, seconds)
    for name, size in list(SPEECH.items())[: 1 if quick else None]:
        candidates = _searches([workloads.peaky(*size)], 25, patient=False)
        rows += measure("beam search", f"{name}, beam width 25", candidates, seconds / 3, least_rounds=1)
    return rows


def _searches(frames: Sequence[np.ndarray], beam_width: int, patient: bool = True) -> list[Candidate]:
    alphabet, count, about = _alphabet(frames[0].shape[1]), len(frames), {"beam_width": beam_width}
    plain, exact = (BeamSearch(alphabet, beam_width, exact=e) for e in (False, True))

    def run(decoder=plain):
        return [decoder.decode(f)[0].text for f in frames]

    quality = _found(frames, alphabet, run())
    return [
        Candidate("fastctc", "BeamSearch(exact=False)", run, quality, count, about),
        Candidate("fastctc", f"BeamSearch, {EXACT}", lambda: run(exact), quality, count, about),
        *(
            Candidate(who, settings, search, quality, count, about)
            for who, settings, search in peers.beam_search(frames, alphabet, beam_width, patient)
        ),
    ]
