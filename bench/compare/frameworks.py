"""The drop-ins for TensorFlow and Keras, and the loss of each framework with its gradient, each beside its original."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bench import workloads
from bench.compare import peers
from bench.compare.decoding import WIDTHS
from bench.compare.measure import Candidate, Row, measure

BATCHES = (1, 16)


def drop_ins(seconds: float, quick: bool) -> list[Row]:
    """Beam searches of batches as programs call them: tensors in, tensors out."""
    tf, keras = peers.optional("tensorflow"), peers.optional("keras")
    if not tf or not keras:
        return []
    from fastctc.compat import keras as our_keras
    from fastctc.compat import tensorflow as ours

    rows = []
    for size in BATCHES:
        frames = np.stack([workloads.peaky(100, 80, seed) for seed in range(1, size + 1)])
        by_time, by_batch, lengths = tf.constant(frames.swapaxes(0, 1)), tf.constant(frames), tf.fill([size], 100)
        for width in WIDTHS[:1] if quick else WIDTHS:
            work = f"batch of {size}, 100x80, beam width {width}"
            rows += _pair(f"{work}, TensorFlow", size, seconds, [
                ("fastctc", "compat.tensorflow", partial(ours.ctc_beam_search_decoder, by_time, lengths, width)),
                ("tensorflow", "tf.nn.ctc_beam_search_decoder",
                 partial(tf.nn.ctc_beam_search_decoder, by_time, lengths, width)),
            ], lambda found: found[0][0].values.numpy())  # fmt: skip
            options = {"strategy": "beam_search", "beam_width": width, "mask_index": 79}
            rows += _pair(f"{work}, Keras", size, seconds, [
                ("fastctc", "compat.keras", partial(our_keras.ctc_decode, by_batch, lengths, **options)),
                ("keras", "ops.ctc_decode", partial(keras.ops.ctc_decode, by_batch, lengths, **options)),
            ], lambda found: np.asarray(found[0]))  # fmt: skip
    return rows


def _pair(
    work: str, size: int, seconds: float, pair: list[tuple[str, str, Callable[[], Any]]], labels: Callable[[Any], Any]
) -> list[Row]:
    best = labels(pair[0][2]())

    def quality(found: Any) -> Row:
        return {"agreement": float(np.array_equal(labels(found), best))}

    candidates = [Candidate(who, settings, run, quality, size) for who, settings, run in pair]
    return measure("drop-ins", work, candidates, seconds, least_rounds=1)


def gradient(seconds: float, quick: bool = True) -> list[Row]:
    """Loss and gradient by the logits of lines, 100 x 80 with 30 labels, and of long texts; softmax and all."""
    rows = _gradient(64, 100, 30, seconds)
    return rows if quick else rows + _gradient(16, 1000, 300, seconds)


def _gradient(size: int, n_frames: int, n_labels: int, seconds: float) -> list[Row]:
    from fastctc import ctc_loss

    rng = np.random.default_rng(1)
    texts = rng.integers(0, 79, (size, n_labels))
    alphabet, given = workloads.alphabet(80), [tuple(text) for text in texts.tolist()]
    logits = np.stack([workloads.spelled(text, n_frames, 80, seed) for seed, text in enumerate(given)])
    expected = ctc_loss(logits=logits.astype(np.float64), texts=given, alphabet=alphabet, gradient=True)[1]

    def quality(found: Any) -> Row:
        return {"apart": float(np.max(np.abs(np.asarray(found, np.float64) - expected)))}

    def ours() -> Any:
        return ctc_loss(logits=logits, texts=given, alphabet=alphabet, gradient=True)[1]

    candidates = [Candidate("fastctc", "ctc_loss(gradient=True), NumPy in and out", ours, quality, size)]
    if torch := peers.optional("torch"):
        from fastctc.frameworks.torch import ctc_loss as ours_in_torch

        lengths, targets = (torch.full((size,), n_frames), torch.full((size,), n_labels)), torch.tensor(texts)
        for who, how, loss in (
            ("fastctc", "frameworks.torch", ours_in_torch),
            ("torch", "functional.ctc_loss", torch.nn.functional.ctc_loss),
        ):

            def run(loss: Callable[..., Any] = loss) -> Any:
                x = torch.from_numpy(logits).requires_grad_()
                loss(x.log_softmax(-1).transpose(0, 1), targets, *lengths, 79, "sum").backward()
                return x.grad.numpy()

            candidates.append(Candidate(who, f"{how}, log_softmax, backward", run, quality, size))
    if tf := peers.optional("tensorflow"):
        from fastctc.frameworks.tensorflow import ctc_loss as ours_in_tf

        variable, labels = tf.constant(logits.swapaxes(0, 1)), tf.constant(texts, tf.int32)
        ends = tf.fill([size], n_labels), tf.fill([size], n_frames)
        for who, how, loss in (
            ("fastctc", "frameworks.tensorflow", ours_in_tf),
            ("tensorflow", "nn.ctc_loss", tf.nn.ctc_loss),
        ):

            @tf.function
            def slope(x: Any, loss: Callable[..., Any] = loss) -> Any:
                with tf.GradientTape() as tape:
                    tape.watch(x)
                    total = tf.reduce_sum(loss(labels, x, *ends, blank_index=79))
                return tape.gradient(total, x)

            def run_graph(slope: Callable[..., Any] = slope) -> Any:
                return slope(variable).numpy().swapaxes(0, 1)

            candidates.append(Candidate(who, f"{how} in a tf.function", run_graph, quality, size))
    if (jax := peers.optional("jax")) and (optax := peers.optional("optax")):
        from fastctc.frameworks.jax import ctc_loss as ours_in_jax

        nothing = np.zeros((size, n_frames), np.float32), np.zeros((size, n_labels), np.float32)
        for who, how, loss in (("fastctc", "frameworks.jax", ours_in_jax), ("optax", "ctc_loss", optax.ctc_loss)):
            slope = jax.jit(jax.grad(lambda x, f=loss: f(x, nothing[0], texts, nothing[1], blank_id=79).sum()))
            candidates.append(Candidate(who, f"{how}, jit", lambda s=slope: np.asarray(s(logits)), quality, size))
    return measure("gradient", f"{size} of {n_frames}x80, {n_labels} labels", candidates, seconds)
