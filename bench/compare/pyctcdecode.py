"""The drop-in for pyctcdecode beside the original, in one run: needs pyctcdecode and kenlm, thus NumPy below 2."""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.compare.measure import Candidate, Row, measure
from bench.compare.peers import optional
from fastctc import NGram
from fastctc.compat import pyctcdecode as ours

LETTERS = "abcdefghijklmnopqrstuvwxyz'"
SPEECH = [" ", *LETTERS, ""]  # 29 classes
EVERYTHING = {"token_min_logp": -1e9, "beam_prune_logp": -1e9}


def _words(rng: np.random.Generator, n: int) -> list[str]:
    return ["".join(rng.choice(list(LETTERS), rng.integers(2, 9))) for _ in range(n)]


def _spoken(rng: np.random.Generator, text: str, labels: list[str], n_frames: int, certainty: float) -> np.ndarray:
    """Logits of a text, each label in one frame of four."""
    path = [place for c in text for place in (labels.index(c), *[len(labels) - 1] * 3)][:n_frames]
    path += [len(labels) - 1] * (n_frames - len(path))
    logits = rng.normal(size=(n_frames, len(labels)))
    logits[np.arange(n_frames), path] += certainty
    return logits.astype(np.float32)


def _texts(beams: list[Any]) -> list[str]:
    return [beam[0] for beam in beams]


def _pair(theirs: Any, labels: list[str], call: Callable[[Any], Any], *model: Any, **about: Any) -> list[Candidate]:
    """Both, and how many of their texts are the same."""
    made = [module.build_ctcdecoder(labels, *model) for module in (ours, theirs)]
    expected = call(made[1])

    def quality(found: Any) -> Row:
        return {"agreement": float(np.mean(np.equal(found[: len(expected)], expected[: len(found)])))}

    who = ("fastctc", "pyctcdecode")
    return [
        Candidate(who[k], about["settings"], lambda decoder=decoder: call(decoder), quality)
        for k, decoder in enumerate(made)
    ]


def pyctcdecode(seconds: float, quick: bool) -> list[Row]:
    """Defaults and no pruning, with a language model and without, and hot words."""
    theirs = optional("pyctcdecode")
    if theirs is None or optional("kenlm") is None:
        return []
    logging.disable(logging.WARNING)
    rng = np.random.default_rng(1)
    words = _words(rng, 5000)
    sentences = [" ".join(rng.choice(words[:500], rng.integers(3, 12))) for _ in range(3000)]
    text = " ".join(rng.choice(words[:500], 20))
    speech, line = _spoken(rng, text, SPEECH, 371, 9.5), _spoken(rng, text, SPEECH, 371, 6.0)
    pieces = ["▁" + word for word in dict.fromkeys(words[:512])]
    pieces += [word for word in dict.fromkeys(_words(rng, 2000)) if word not in words][: 1024 - len(pieces)]
    pieces.append("")
    long = rng.normal(size=(200, len(pieces))).astype(np.float32)
    long[np.arange(200), rng.integers(0, len(pieces), 200)] += 12.0
    hand = [chr(0x100 + k) for k in range(78)] + [" ", ""]
    handwriting = rng.normal(size=(100, 80)).astype(np.float32) * 2
    handwriting[np.arange(100), rng.integers(0, 80, 100)] += 6.0
    rows: list[Row] = []

    def add(work: str, labels: list[str], settings: str, call: Callable[[Any], Any], *model: Any) -> None:
        candidates = _pair(theirs, labels, call, *model, settings=settings)
        rows.extend(measure("pyctcdecode", work, candidates, seconds / 4, least_rounds=3))

    with tempfile.TemporaryDirectory() as folder:
        arpa = str(Path(folder) / "words.arpa")
        NGram.train("\n".join(sentences), 3, unit="word").to_arpa(arpa)
        for name, labels, logits in (
            ("sure speech, 371x29", SPEECH, speech),
            ("unsure speech, 371x29", SPEECH, line),
            ("handwriting, 100x80", hand, handwriting),
            ("pieces, 200x1025", pieces, long),
        ):
            add(name, labels, "decode, defaults", lambda d, x=logits: [d.decode(x)])
            add(name, labels, "decode_beams, defaults", lambda d, x=logits: _texts(d.decode_beams(x)))
        if not quick:
            add("sure speech, 371x29", SPEECH, "no pruning", lambda d: [d.decode(speech, **EVERYTHING)])
        for name, logits in (("sure speech, 371x29", speech), ("unsure speech, 371x29", line)):
            add(f"{name}, 3-gram", SPEECH, "decode, defaults", lambda d, x=logits: [d.decode(x)], arpa)
            for n in (20, 200):
                add(f"{name}, 3-gram", SPEECH, f"{n} hot words",
                    lambda d, x=logits, n=n: [d.decode(x, hotwords=words[:n])], arpa)  # fmt: skip
    logging.disable(logging.NOTSET)
    return rows
