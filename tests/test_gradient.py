"""The gradient of the loss, judged by all paths, by differences, by posteriors, and by other packages' losses."""

from math import inf, log

import numpy as np
import pytest
from brute_force import all_paths, collapse
from conftest import as_array, logs, matrices, peaky, width
from hypothesis import given
from hypothesis import strategies as st

from fastctc import Alphabet, ctc_loss
from fastctc.backends import load

AB = Alphabet("ab")


def by_all_paths(rows, blank, n_classes, labels):
    """P(labels), and its derivative by each probability: the sum over paths through it, without its factor."""
    total, slope = 0.0, np.zeros((len(rows), n_classes))
    for path, probability in all_paths(rows, n_classes):
        if collapse(path, blank) == labels:
            total += probability
            for t, label in enumerate(path):
                others = [row[c] for u, (row, c) in enumerate(zip(rows, path, strict=True)) if u != t]
                slope[t, label] += np.prod(others)
    return total, slope


@given(matrices(), st.data())
def test_all_paths(case, data):
    rows, blank = case
    n_classes = width(rows, blank)
    characters = [c for c in range(n_classes) if c != blank]
    labels = tuple(data.draw(st.lists(st.sampled_from(characters), max_size=4))) if characters else ()
    total, slope = by_all_paths(rows, blank, n_classes, labels)
    probs = as_array(rows, n_classes)
    for backend in ("reference", "compiled"):
        for is_log, frames, growth in ((False, probs, slope), (True, logs(probs), slope * probs)):
            [(log_probability, found)] = load(backend, "gradient").gradients([(frames, labels)], blank, is_log)
            assert log_probability == pytest.approx(log(total) if total else -inf, rel=1e-9, abs=1e-13)
            expected = growth / total if total else np.zeros_like(growth)
            np.testing.assert_allclose(np.reshape(found, expected.shape), expected, rtol=1e-8, atol=1e-12)


def differences(loss, values, step=1e-6):
    """The derivative of a function of one array by each of its numbers."""
    result = np.zeros_like(values)
    for place in np.ndindex(values.shape):
        for sign in (1, -1):
            moved = values.copy()
            moved[place] += sign * step
            result[place] += sign * loss(moved) / (2 * step)
    return result


@pytest.mark.parametrize("form", ["log_probs", "probs", "logits", "scores"])
@pytest.mark.parametrize("text", ["", "a", "abba"])
def test_finite_differences(form, text):
    values = peaky(np.random.default_rng(len(text)), 7, 3) / 3
    if form in ("log_probs", "probs"):
        values -= np.log(np.exp(values).sum(axis=1, keepdims=True))
    if form == "probs":
        values = np.exp(values)

    def loss(moved):
        return ctc_loss(**{form: moved}, texts=text, alphabet=AB)

    value, found = ctc_loss(**{form: values}, texts=text, alphabet=AB, gradient=True)
    assert value == pytest.approx(loss(values), rel=1e-14)
    np.testing.assert_allclose(found, differences(loss, values), atol=1e-7)


def test_a_probability_of_0_has_the_derivative_of_its_limit():
    probs = np.array([[0.4, 0.0, 0.6], [0.4, 0.0, 0.6]])
    _, found = ctc_loss(probs=probs, texts="a", alphabet=AB, gradient=True)
    np.testing.assert_allclose(found, -np.array([[1.0, 0, 0.4], [1.0, 0, 0.4]]) / 0.64)
    _, found = ctc_loss(probs=[[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], texts="a", alphabet=AB, gradient=True)
    np.testing.assert_array_equal(found, -np.array([[1.0, 0, 0], [1.0, 0, 1.0]]))


def test_impossible_texts_have_no_gradient():
    probs = np.array([[0.4, 0.0, 0.6], [0.4, 0.0, 0.6]])
    for form, values in (
        ("probs", probs),
        ("log_probs", logs(probs)),
        ("logits", logs(probs)),
        ("scores", logs(probs)),
    ):
        for text in ("aa", "b"):
            loss, found = ctc_loss(**{form: values}, texts=text, alphabet=AB, gradient=True)
            assert loss == inf
            np.testing.assert_array_equal(found, np.zeros((2, 3)))
    for text, loss in (("", 0.0), ("a", inf)):
        value, found = ctc_loss(np.empty((0, 3)), text, AB, gradient=True)
        assert (value, found.shape) == (loss, (0, 3))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("form", ["log_probs", "logits"])
def test_batches(threads, form):
    rng = np.random.default_rng(5)
    batch = np.stack([peaky(rng, 9, 3) for _ in range(20)]).astype(np.float32)
    texts = ["", "a", "ab", "ba", "aabbaabbaa", (0, 1, 0), "bb", "abab", "b", "aa"] * 2
    lengths = rng.integers(0, 10, 20)
    single = [
        ctc_loss(**{form: f[:n]}, texts=t, alphabet=AB, gradient=True)
        for f, t, n in zip(batch, texts, lengths, strict=True)
    ]
    loss, found = ctc_loss(**{form: batch}, texts=texts, alphabet=AB, lengths=lengths, threads=threads, gradient=True)
    assert loss.tolist() == [one for one, _ in single]
    assert found.shape == batch.shape
    assert found.dtype == np.float64
    for one, (_, expected), n in zip(found, single, lengths, strict=True):
        np.testing.assert_array_equal(one[:n], expected)
        assert not one[n:].any()
    listed = [f[: n + k % 2] for k, (f, n) in enumerate(zip(batch, lengths, strict=True))]
    lengths = [min(n, len(f)) for n, f in zip(lengths, listed, strict=True)]
    for sequences in (listed, iter(listed)):
        losses, slopes = ctc_loss(
            **{form: sequences}, texts=texts, alphabet=AB, lengths=lengths, threads=threads, gradient=True
        )
        np.testing.assert_array_equal(losses, loss)
        assert isinstance(slopes, list)
        for one, frames, whole in zip(slopes, listed, found, strict=True):
            assert one.shape == frames.shape
            np.testing.assert_array_equal(one, whole[: len(frames)])
    assert ctc_loss([], [], AB, gradient=True)[1] == []
    assert ctc_loss(np.empty((0, 4, 3)), [], AB, gradient=True)[1].shape == (0, 4, 3)


def by_posteriors(frames, labels, blank):
    result = np.zeros_like(frames)
    for number, share in zip(labels, load("compiled", "loss").posteriors(frames, labels, blank, True).T, strict=True):
        result[:, number] += share
    result[:, blank] = 1 - result.sum(axis=1)
    return result


@pytest.mark.parametrize(
    ("n_frames", "n_labels", "spread"), [(500, 40, 1), (20_000, 240, 3), (600, 250, 9), (300, 300, 0.3), (1, 1, 1)]
)
def test_posteriors_of_classes(n_frames, n_labels, spread):
    """Long ones are computed in stretches; in very wrong ones sums vanish, and logarithms take over."""
    rng = np.random.default_rng(n_labels)
    frames = spread * rng.normal(size=(n_frames, 6))
    frames -= np.log(np.exp(frames).sum(axis=1, keepdims=True))
    labels = tuple(k % 5 for k in range(n_labels))
    [(total, found)] = load("compiled", "gradient").gradients([(frames, labels)], 5, True)
    assert total == pytest.approx(load("compiled", "loss").log_probability(frames, labels, 5, True), rel=1e-12)
    np.testing.assert_allclose(found, by_posteriors(frames, labels, 5), atol=1e-9)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-9)


@pytest.mark.parametrize("is_log", [False, True])
def test_a_network_that_sees_blanks_only(is_log):
    """As in the first hours of training: what is far from likely holds all the probability that counts."""
    probs = np.full((900, 4), 1e-5)
    probs[:, 3] = 1 - 3e-5
    labels = (0, 1, 2) * 90
    [(total, found)] = load("compiled", "gradient").gradients([(logs(probs) if is_log else probs, labels)], 3, is_log)
    assert total < -1900
    shares = found if is_log else found * probs
    np.testing.assert_allclose(shares, by_posteriors(logs(probs), labels, 3), atol=1e-9)
    np.testing.assert_allclose(shares, shares[::-1][:, [2, 1, 0, 3]], atol=1e-12)


def test_log_probabilities_below_any_double():
    frames = np.array([[-2000.0, 0.0, -800.0], [0.0, -3000.0, -1e30]])
    reference, compiled = load("reference", "gradient"), load("compiled", "gradient")
    for labels in ((), (0,), (1,), (0, 1), (1, 0)):
        [(a, expected)], [(b, found)] = (m.gradients([(frames, labels)], 2, True) for m in (reference, compiled))
        assert b == pytest.approx(a, rel=1e-12)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_blank_anywhere_and_tensors_of_other_packages():
    class Tensor:
        def __init__(self, values):
            self.values, self.shape, self.dtype = values, values.shape, values.dtype

        def __array__(self, dtype=None, copy=None):
            return np.array(self.values, dtype)

        def __len__(self):
            return len(self.values)

    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 6, 3))
    first, last = Alphabet("ab", blank=0), Alphabet("ab")
    expected = ctc_loss(logits=logits, texts=["ab", "a"], alphabet=first, gradient=True)
    rolled = ctc_loss(logits=Tensor(np.roll(logits, -1, axis=2)), texts=["ab", "a"], alphabet=last, gradient=True)
    np.testing.assert_allclose(rolled[0], expected[0], rtol=1e-14)
    np.testing.assert_allclose(np.roll(rolled[1], 1, axis=2), expected[1], atol=1e-15)


def a_batch(n_frames=30, n_classes=8, n_labels=6, size=5):
    """logits (batch, frames, classes), labels (batch, labels), the lengths of both. The blank is class 0."""
    rng = np.random.default_rng(11)
    logits = rng.normal(0, 2, (size, n_frames, n_classes))
    labels = rng.integers(1, n_classes, (size, n_labels))
    lengths, ends = rng.integers(20, n_frames + 1, size), rng.integers(1, n_labels + 1, size)
    lengths[0], ends[0] = n_frames, n_labels
    return logits, labels, lengths, ends


def ours(logits, labels, lengths, ends):
    texts = [row[:n].tolist() for row, n in zip(labels, ends, strict=True)]
    return ctc_loss(logits=logits, texts=texts, alphabet=Alphabet("abcdefg", blank=0), lengths=lengths, gradient=True)


def test_against_torch():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    logits, labels, lengths, ends = a_batch()
    x = torch.tensor(logits, requires_grad=True)
    loss = torch.nn.functional.ctc_loss(
        x.log_softmax(-1).transpose(0, 1), torch.tensor(labels), torch.tensor(lengths), torch.tensor(ends),
        reduction="none",
    )  # fmt: skip
    loss.sum().backward()
    found, gradient = ours(logits, labels, lengths, ends)
    np.testing.assert_allclose(found, loss.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(gradient, x.grad.numpy(), atol=1e-12)


@pytest.mark.slow
def test_against_tensorflow():
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    logits, labels, lengths, ends = a_batch()
    x = tf.constant(logits, tf.float32)  # all that its loss knows
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.nn.ctc_loss(
            tf.constant(labels, tf.int32), x, tf.constant(ends, tf.int32), tf.constant(lengths, tf.int32),
            logits_time_major=False, blank_index=0,
        )  # fmt: skip
    found, gradient = ours(logits, labels, lengths, ends)
    np.testing.assert_allclose(found, loss, rtol=1e-5)
    np.testing.assert_allclose(gradient, tape.gradient(loss, x), atol=1e-4)


def test_against_optax():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    optax = pytest.importorskip("optax", reason="optax is not installed")
    logits, labels, lengths, ends = a_batch()
    frames_out = (np.arange(logits.shape[1]) >= lengths[:, None]).astype(np.float32)
    labels_out = (np.arange(labels.shape[1]) >= ends[:, None]).astype(np.float32)

    def total(x):
        return optax.ctc_loss(x, frames_out, labels, labels_out, blank_id=0).sum()

    loss, slope = jax.value_and_grad(total)(logits.astype(np.float32))
    found, gradient = ours(logits, labels, lengths, ends)
    assert float(loss) == pytest.approx(found.sum(), rel=1e-5)
    np.testing.assert_allclose(gradient, slope, atol=1e-4)
