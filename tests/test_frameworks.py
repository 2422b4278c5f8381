"""The loss as a function of each framework, beside the framework's own."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastctc.frameworks.batches import texts_of


def a_batch(n_frames=30, n_classes=8, n_labels=6, size=5):
    """logits (batch, frames, classes), labels (batch, labels), the lengths of both. The blank is class 0."""
    rng = np.random.default_rng(11)
    logits = rng.normal(0, 2, (size, n_frames, n_classes))
    labels = rng.integers(1, n_classes, (size, n_labels))
    lengths, ends = rng.integers(20, n_frames + 1, size), rng.integers(1, n_labels + 1, size)
    lengths[0], ends[0] = n_frames, n_labels
    return logits, labels, lengths, ends


@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax"])
def test_a_framework_is_imported_when_it_is_called(name):
    code = f"import sys, fastctc.frameworks.{name}; print({name!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_labels_in_rows_and_in_one():
    assert texts_of([[1, 2, 0], [3, 9, 9]], [2, 1]) == texts_of([1, 2, 3], [2, 1]) == [[1, 2], [3]]
    assert texts_of(np.array([[1.0, 2.0]]), [2]) == [[1, 2]]
    assert texts_of(np.empty((0, 3)), []) == texts_of([], []) == []
    assert texts_of([[1, 2]], [0]) == texts_of([], [0]) == [[]]
    for labels, lengths, message in (
        ([1, 2], [1], "as many as their lengths say, 1, got 2"),
        ([[1, 2]], [3], "1 lengths of labels, 0 to 2"),
        ([[1, 2]], [-1], "1 lengths of labels"),
        ([[1, 2]], [1, 1], "1 lengths of labels"),
        ([[0.5]], [1], "labels must be integers"),
        ([[[1]]], [1], r"got shape \(1, 1, 1\)"),
    ):
        with pytest.raises(ValueError, match=message):
            texts_of(labels, lengths)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch", "tensorflow", "jax"])
def test_the_examples_of_the_page_run(name):
    pytest.importorskip(name, reason=f"{name} is not installed")
    page = (Path(__file__).parents[1] / "docs" / "train.md").read_text(encoding="utf-8")
    [example] = [e for e in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if e.startswith(f"import {name}")]
    exec(compile(example, f"train.md, {name}", "exec"), {"__name__": "example"})


class TestTorch:
    @pytest.fixture(autouse=True)
    def _torch(self):
        self.torch = pytest.importorskip("torch", reason="torch is not installed")

    def both(self, dtype=None, **options):
        """(loss, gradient by the logits) of theirs and ours."""
        from fastctc.frameworks.torch import ctc_loss

        torch = self.torch
        logits, labels, lengths, ends = a_batch()
        for function in (torch.nn.functional.ctc_loss, ctc_loss):
            x = torch.tensor(logits, dtype=dtype, requires_grad=True)
            loss = function(
                x.log_softmax(-1).transpose(0, 1), torch.tensor(labels), torch.tensor(lengths), torch.tensor(ends),
                **options,
            )  # fmt: skip
            (loss * torch.arange(1, loss.numel() + 1).reshape(loss.shape)).sum().backward()
            assert loss.dtype == x.dtype
            yield loss.detach().numpy(), x.grad.numpy()

    @pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
    @pytest.mark.parametrize(("kind", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
    def test_loss_and_gradient(self, reduction, kind, tolerance):
        (expected, slope), (found, gradient) = self.both(getattr(self.torch, kind), reduction=reduction)
        np.testing.assert_allclose(found, expected, rtol=tolerance)
        np.testing.assert_allclose(gradient, slope, atol=20 * tolerance)

    def test_differences(self):
        """By PyTorch's own check."""
        from fastctc.frameworks.torch import ctc_loss

        torch = self.torch
        frames = torch.randn(5, 2, 4, dtype=torch.float64, requires_grad=True)
        targets = torch.tensor([[1, 1], [2, 3]])
        assert torch.autograd.gradcheck(
            lambda x: ctc_loss(x, targets, (5, 4), (2, 2), reduction="none", threads=2), [frames]
        )

    def test_forms_of_input(self):
        from fastctc.frameworks.torch import ctc_loss

        torch = self.torch
        theirs = torch.nn.functional.ctc_loss
        frames = torch.randn(9, 2, 5).log_softmax(-1)
        one_row = frames, torch.tensor([1, 2, 3]), torch.tensor([9, 7]), torch.tensor([2, 1])
        single = frames[:, 0], torch.tensor([1, 2]), torch.tensor(9), torch.tensor(2)
        for arguments in (one_row, single, (frames, torch.tensor([[1, 2], [3, 0]]), (9, 7), (2, 1))):
            for reduction in ("mean", "none"):
                expected = theirs(*arguments, reduction=reduction)
                found = ctc_loss(*arguments, reduction=reduction)
                assert found.shape == expected.shape
                torch.testing.assert_close(found, expected)
        half = ctc_loss(frames.bfloat16(), *one_row[1:])
        assert half.dtype == torch.bfloat16
        torch.testing.assert_close(half.float(), theirs(*one_row), rtol=0.02, atol=0)
        with pytest.raises(ValueError, match="reduction must be"):
            ctc_loss(*one_row, reduction="median")
        with pytest.raises(ValueError, match="labels must be classes"):
            ctc_loss(frames, torch.tensor([[0, 2], [3, 0]]), (9, 7), (2, 1))

    def test_impossible_texts(self):
        from fastctc.frameworks.torch import ctc_loss

        torch = self.torch
        x = torch.zeros(2, 2, 3, requires_grad=True)
        rest = torch.tensor([[1, 1], [1, 2]]), (2, 2), (2, 2)
        assert ctc_loss(x.log_softmax(-1), *rest, reduction="none").tolist() == pytest.approx([float("inf"), np.log(9)])
        loss = ctc_loss(x.log_softmax(-1), *rest, reduction="none", zero_infinity=True)
        assert loss.tolist() == pytest.approx([0, np.log(9)])
        loss.sum().backward()
        assert not x.grad[:, 0].any()
        assert x.grad[:, 1].any()
        ctc_loss(x.log_softmax(-1), *rest).backward()  # inf, whose gradient is 0 all the same
        assert x.grad.isfinite().all()


class TestJax:
    @pytest.fixture(autouse=True)
    def _jax(self):
        self.jax = pytest.importorskip("jax", reason="JAX is not installed")

    def arguments(self):
        logits, labels, lengths, ends = a_batch()
        frames_out = (np.arange(logits.shape[1]) >= lengths[:, None]).astype(np.float32)
        labels_out = (np.arange(labels.shape[1]) >= ends[:, None]).astype(np.float32)
        return logits.astype(np.float32), frames_out, labels, labels_out

    @pytest.mark.parametrize("compiled", [False, True])
    def test_loss_and_gradient(self, compiled):
        from fastctc.frameworks.jax import ctc_loss

        optax = pytest.importorskip("optax", reason="optax is not installed")
        weights = np.arange(1, 6)
        results = []
        for function in (optax.ctc_loss, ctc_loss):
            both = self.jax.value_and_grad(lambda *x, f=function: (f(*x) * weights).sum())
            results.append((self.jax.jit(both) if compiled else both)(*self.arguments()))
        np.testing.assert_allclose(results[1][0], results[0][0], rtol=1e-5)
        np.testing.assert_allclose(results[1][1], results[0][1], atol=1e-3)

    def test_mapped_functions(self):
        from fastctc.frameworks.jax import ctc_loss

        twice = [np.stack([x, x[::-1]]) for x in self.arguments()]
        loss = self.jax.vmap(ctc_loss)(*twice)
        expected = ctc_loss(*self.arguments(), threads=2)
        np.testing.assert_allclose(loss, np.stack([expected, expected[::-1]]), rtol=1e-6)
        slopes = self.jax.vmap(self.jax.grad(lambda *x: ctc_loss(*x).sum()))(*twice)
        np.testing.assert_allclose(slopes[0], slopes[1][::-1], rtol=1e-6)
        one = [np.stack([x[:1] for x in [logits]])[0] for logits in self.arguments()]
        assert ctc_loss(*one).shape == (1,)


@pytest.mark.slow
class TestTensorFlow:
    @pytest.fixture(autouse=True)
    def _tensorflow(self):
        self.tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

    def gradient(self, function, x, *arguments, **options):
        tf = self.tf
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = function(arguments[0], x, *arguments[1:], **options)
            total = tf.reduce_sum(loss * tf.range(1, tf.size(loss) + 1, dtype=loss.dtype))
        return loss, tape.gradient(total, x)

    @pytest.mark.parametrize("eager", [True, False])
    @pytest.mark.parametrize("time_major", [True, False])
    @pytest.mark.parametrize("blank", [None, 0, 3, -1])
    def test_loss_and_gradient(self, eager, time_major, blank):
        from fastctc.frameworks.tensorflow import ctc_loss

        tf = self.tf
        logits, labels, lengths, ends = a_batch()
        labels = (labels + (blank or 0)) % 8
        x = tf.constant(logits.swapaxes(0, 1) if time_major else logits, tf.float32)
        arguments = [tf.constant(a, tf.int32) for a in (labels, ends, lengths)]
        results = []
        for function in (tf.nn.ctc_loss, ctc_loss):
            run = self.gradient if eager else tf.function(self.gradient)
            results.append(run(function, x, *arguments, logits_time_major=time_major, blank_index=blank))
        assert results[1][0].dtype == tf.float32
        np.testing.assert_allclose(results[1][0], results[0][0], rtol=1e-5)
        np.testing.assert_allclose(results[1][1], results[0][1], atol=1e-3)

    def test_sparse_labels_and_types(self):
        from fastctc.frameworks.tensorflow import ctc_loss

        tf = self.tf
        logits, labels, lengths, ends = a_batch()
        frames = tf.constant(logits.swapaxes(0, 1))
        dense = tf.where(tf.sequence_mask(ends, labels.shape[1]), labels, 0)
        sparse, lengths = tf.sparse.from_dense(tf.cast(dense, tf.int32)), tf.constant(lengths, tf.int32)
        expected = tf.nn.ctc_loss(sparse, frames, None, lengths, blank_index=0)
        found = ctc_loss(sparse, frames, None, lengths, blank_index=0, threads=2)
        assert found.dtype == tf.float64
        np.testing.assert_allclose(found, expected, rtol=1e-8)  # TensorFlow subtracts the greatest in single precision
        for dtype, tolerance in ((tf.float16, 0.01), (tf.bfloat16, 0.05)):
            loss, slope = self.gradient(ctc_loss, tf.cast(frames, dtype), labels, ends, lengths)
            assert loss.dtype == slope.dtype == dtype
            np.testing.assert_allclose(tf.cast(loss, tf.float64), expected, rtol=tolerance)
        with pytest.raises(ValueError, match="`blank_index` must be provided"):
            ctc_loss(sparse, frames, None, lengths)

    def test_what_graphs_know_of_shapes_and_errors(self):
        from fastctc.frameworks.tensorflow import ctc_loss

        tf = self.tf
        seen = []

        @tf.function(input_signature=[tf.TensorSpec([None, None, 8]), tf.TensorSpec([None, None], tf.int32)])
        def loss(x, labels):
            lengths = tf.fill([tf.shape(x)[1]], tf.shape(x)[0])
            with tf.GradientTape() as tape:
                tape.watch(x)
                found = ctc_loss(labels, x, tf.fill([tf.shape(x)[1]], 2), lengths)
            seen.append((found.shape.as_list(), tape.gradient(found, x).shape.as_list()))
            return found

        assert loss(tf.zeros((4, 3, 8)), tf.ones((3, 2), tf.int32)).shape == [3]
        assert seen == [([None], [None, None, 8])]
        with pytest.raises(tf.errors.InvalidArgumentError, match="labels must be classes"):
            loss(tf.zeros((4, 3, 8)), tf.zeros((3, 2), tf.int32))
        with pytest.raises(tf.errors.InvalidArgumentError, match="labels must be classes"):
            ctc_loss([[0]], tf.zeros((4, 1, 8)), [1], [4])
