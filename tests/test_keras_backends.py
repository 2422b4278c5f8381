"""The drop-ins for Keras on PyTorch, beside Keras' own functions, and on JAX, beside those for arrays."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from brute_force import text_probabilities

from fastctc import compat
from fastctc.compat.keras import check_strategy, decoded

PROGRAM = """
import numpy as np
import keras
from keras.src import backend

theirs = backend.nn.ctc_decode, backend.nn.ctc_loss
from fastctc import compat
compat.install("keras")
from fastctc.compat.keras import decoded
print(keras.backend.backend(), backend.nn.ctc_decode.__module__, backend.nn.ctc_loss.__module__)

numpy, tensor = keras.ops.convert_to_numpy, keras.ops.convert_to_tensor


def same(found, expected, tolerance=1e-4):
    for one, other in zip(map(numpy, found), map(numpy, expected), strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape), (one, other)
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


rng = np.random.default_rng(0)
logits, lengths = rng.normal(0, 2, (2, 5, 4)).astype(np.float32), np.array([5, 3], np.int32)
for options in ({}, {"merge_repeated": False}, {"mask_index": None}):
    found = keras.ops.ctc_decode(logits, lengths, **options)
    same(found, theirs[0](tensor(logits), tensor(lengths), **options))
options = {"strategy": "beam_search", "beam_width": 100, "top_paths": 2}
found = keras.ops.ctc_decode(tensor(logits), tensor(lengths), **options)
same(found, [tensor(x) for x in decoded(logits, lengths, merge_repeated=True, blank=0, **options)])
half = keras.ops.ctc_decode(keras.ops.cast(logits, "float16"), lengths, **options)
assert np.array_equal(numpy(half[0]), numpy(found[0]))
try:
    keras.ops.ctc_decode(logits, lengths, strategy="best")
except ValueError as error:
    assert "Supported values are 'greedy' and 'beam_search'" in str(error)
else:
    raise AssertionError("no error")

labels, ends = np.array([[1, 2, 3], [2, 2, 0]]), np.array([3, 1])
given = [tensor(x) for x in (labels, logits, ends, lengths)]
same([keras.ops.ctc_loss(labels, logits, ends, lengths)], [theirs[1](*given)])
slopes = []
for function in (theirs[1], keras.ops.ctc_loss):
    x = given[1].clone().requires_grad_()
    function(given[0], x, *given[2:]).sum().backward()
    slopes.append(x.grad)
same(slopes[:1], slopes[1:])
print("whole")
"""


def test_arrays():
    """Labels and scores of a wide beam, against all texts."""
    rng = np.random.default_rng(1)
    logits, lengths = rng.normal(0, 2, (2, 4, 3)), np.array([4, 2])
    labels, scores = decoded(logits, lengths, "beam_search", 200, 2, True, 0)
    assert (labels.dtype, labels.shape, scores.shape) == (np.int32, (2, 2, 4), (2, 2))
    for b, n in enumerate(lengths):
        probs = np.exp(logits[b, :n])
        texts = text_probabilities((probs / probs.sum(axis=1, keepdims=True)).tolist(), 0, 3)
        best = sorted(texts.items(), key=lambda item: -item[1])[:2]
        assert [tuple(path[b][path[b] >= 0]) for path in labels] == [text for text, _ in best]
        np.testing.assert_allclose(scores[b], np.log([p for _, p in best]), rtol=1e-12)
    path, score = decoded(logits, lengths, "greedy", 1, 1, True, 0)
    assert (path.shape, score.shape) == ((1, 2, 4), (2, 1))
    with pytest.raises(ValueError, match="Supported values are 'greedy' and 'beam_search'"):
        check_strategy("best")


@pytest.mark.slow
def test_a_program_on_torch(tmp_path):
    for name in ("keras", "torch"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    here = {**os.environ, "PYTHONPATH": str(Path(compat.__file__).parents[2]), "KERAS_BACKEND": "torch"}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=here)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["torch", *["fastctc.compat.keras_on_torch"] * 2, "whole"]


@pytest.mark.slow
def test_on_jax():
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    from fastctc import Alphabet
    from fastctc import ctc_loss as loss_of_arrays
    from fastctc.compat.keras_on_jax import ctc_decode, ctc_loss

    rng = np.random.default_rng(0)
    logits, lengths = rng.normal(0, 2, (2, 5, 4)).astype(np.float32), np.array([5, 3], np.int32)
    options = {"strategy": "beam_search", "beam_width": 100, "top_paths": 2}
    expected = decoded(logits, lengths, merge_repeated=True, blank=0, **options)
    for function in (ctc_decode, jax.jit(ctc_decode, static_argnames=tuple(options))):
        for one, other in zip(function(logits, lengths, **options), expected, strict=True):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            np.testing.assert_array_equal(one, other)
    labels, ends = np.array([[1, 2, 3], [2, 2, 0]]), np.array([3, 1])
    texts = [(1, 2, 3), (2,)]
    loss, slope = loss_of_arrays(
        logits=logits.astype(np.float64), texts=texts, alphabet=Alphabet("abc", blank=0), lengths=lengths, gradient=True
    )
    np.testing.assert_allclose(ctc_loss(labels, logits, ends, lengths), loss, rtol=1e-5)
    found = jax.grad(lambda x: ctc_loss(labels, x, ends, lengths).sum())(logits)
    np.testing.assert_allclose(found, slope, atol=1e-5)
    with pytest.raises(ValueError, match="Invalid strategy"):
        ctc_decode(logits, lengths, "best")
