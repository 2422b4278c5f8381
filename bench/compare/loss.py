"""The CTC loss, and the log probabilities of a language model: numbers that must be equal, and how fast."""

import math
import tempfile
from pathlib import Path

import numpy as np

from bench import workloads
from bench.compare import material, peers
from bench.compare.measure import Candidate, Row, measure
from fastctc import NGram, ctc_loss


def loss(seconds: float) -> list[Row]:
    """Batches of 100 x 80 with 40 characters; double precision is what fastctc computes in."""
    rows = []
    alphabet = workloads.alphabet(80)
    for size in (1, 64):
        rng = np.random.default_rng(1)
        texts = [tuple(int(label) for label in rng.integers(0, 79, 40)) for _ in range(size)]
        frames = np.stack([workloads.spelled(text, 100, 80, seed) for seed, text in enumerate(texts)])
        ours = np.array(ctc_loss(frames.astype(np.float64), texts, alphabet))

        def quality(values, ours=ours) -> Row:
            return {"apart": float(np.max(np.abs(np.asarray(values, np.float64) - ours) / ours))}

        candidates = [Candidate("fastctc", "ctc_loss", lambda f=frames, t=texts: ctc_loss(f, t, alphabet), quality,
                                size)]  # fmt: skip
        if torch := peers.optional("torch"):
            lengths, targets = (torch.full((size,), 100), torch.full((size,), 40)), torch.tensor(texts)
            for kind in ("float32", "float64"):
                x = torch.from_numpy(np.ascontiguousarray(frames.transpose(1, 0, 2))).to(getattr(torch, kind))
                candidates.append(Candidate("torch", f"ctc_loss, {kind}", lambda x=x, n=lengths, t=targets:
                    torch.nn.functional.ctc_loss(x, t, *n, blank=79, reduction="none").numpy(), quality, size)
                )  # fmt: skip
        if tf := peers.optional("tensorflow"):
            x, labels = tf.constant(frames.transpose(1, 0, 2)), tf.constant(texts, tf.int32)
            ends = tf.fill([size], 40), tf.fill([size], 100)
            graph = tf.function(lambda y, x, n, t: tf.nn.ctc_loss(y, x, n, t, blank_index=79))
            candidates.append(Candidate("tensorflow", "tf.nn.ctc_loss in a tf.function, float32",
                lambda x=x, y=labels, e=ends, g=graph: g(y, x, *e).numpy(), quality, size))  # fmt: skip
        rows += measure("loss", f"{size} of 100x80", candidates, seconds)
    return rows


def language_model(seconds: float) -> list[Row]:
    """log10 p of sentences by the same ARPA file."""
    corpus, unread = material.prose()
    words = unread.split()
    sentences = [words[start : start + 12] for start in range(0, 1200, 12)]
    with tempfile.TemporaryDirectory() as folder:
        arpa = str(Path(folder) / "words.arpa")
        NGram.train(corpus, 3, unit="word").to_arpa(arpa)
        model = NGram.from_arpa(arpa)

        def ours():
            return [model.score(s) / math.log(10) for s in sentences]

        expected = np.array(ours())

        def quality(values) -> Row:
            return {"apart": float(np.max(np.abs(np.array(values) - expected) / -expected))}

        candidates = [Candidate("fastctc", "NGram.score", ours, quality, len(sentences))]
        if kenlm := peers.optional("kenlm"):
            theirs, joined = kenlm.Model(arpa), [" ".join(s) for s in sentences]
            candidates.append(Candidate("kenlm", "Model.score", lambda: [theirs.score(s) for s in joined], quality,
                                        len(sentences)))  # fmt: skip
        return measure("language model", "sentence of 12 words, order 3", candidates, seconds)
