"""The drop-ins for TensorFlow and Keras, beside the originals."""

import os
import subprocess
import sys
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from brute_force import text_probabilities

from fastctc import compat
from fastctc.compat.tensorflow import beam_search, greedy, merged, sparse

PARTS = ("indices", "values", "dense_shape")


def random_logits(rng, k, max_classes=7):
    """Offsets, ties, -inf, unequal lengths."""
    shape = int(rng.integers(1, 12)), int(rng.integers(1, 4)), int(rng.integers(2, max_classes))
    logits = rng.normal(0, rng.choice([0.5, 2, 5]), shape)
    if k % 4 == 0:
        logits = np.round(logits)
    if k % 7 == 0:
        logits[rng.random(shape) < 0.2] = -np.inf
        logits[..., int(rng.integers(shape[2]))] = 0.5
    if k % 3 == 0:
        logits += rng.normal(0, 50)
    return logits, rng.integers(0, shape[0] + 1, shape[1]).astype(np.int32)


def test_sparse_matrices():
    indices, values, shape = sparse([[3, 4], [], [5]])
    assert indices.tolist() == [[0, 0], [0, 1], [2, 0]]
    assert values.tolist() == [3, 4, 5]
    assert shape.tolist() == [3, 2]
    indices, values, shape = sparse([[], []])
    assert (indices.shape, values.shape, shape.tolist()) == ((0, 2), (0,), [2, 0])
    assert merged([1, 1, 2, 1, 1, 1]) == [1, 2, 1]


@pytest.mark.parametrize("seed", range(12))
def test_a_wide_beam_sums_all_paths(seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (4, 2, 3)) + 30
    lengths = np.array([4, 2])
    for blank in (0, -1):
        paths, scores = beam_search(logits, lengths, 200, 2, blank)
        for b, n in enumerate(lengths):
            probs = np.exp(logits[:n, b])
            texts = text_probabilities((probs / probs.sum(axis=1, keepdims=True)).tolist(), blank % 3, 3)
            best = sorted(texts.items(), key=lambda item: -item[1])[:2]
            assert [tuple(path[b]) for path in paths] == [labels for labels, _ in best]
            np.testing.assert_allclose(scores[b], np.log([p for _, p in best]), rtol=1e-12)


def test_greedy_paths():
    frames = np.array([[5.0, 1, 0], [5, 1, 0], [0, 1, 5], [5, 1, 0], [0, 1.5, 0], [np.nan] * 3])[:, None]
    for merge, expected in ((True, [0, 0, 1]), (False, [0, 0, 0, 1])):
        paths, scores = greedy(frames, np.array([5]), merge, -1)
        assert (paths, scores.tolist()) == ([expected], [[-21.5]])


DECODERS = {
    "greedy": partial(greedy, merge_repeated=True, blank=-1),
    "beam": partial(beam_search, beam_width=9, top_paths=1, blank=-1),
}


@pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)
def test_bad_input(decode):
    good = np.zeros((4, 2, 3))
    for frames, lengths, message in (
        (good[0], [4, 4], "inputs is not a 3-Tensor"),
        (good, [[4, 4]], "sequence_length is not a vector"),
        (good[:0], [0, 0], "inputs must not be empty"),
        (good, [4], r"len\(sequence_length\) != batch_size.  len\(sequence_length\):  1 batch_size: 2"),
        (good, [4, 5], r"sequence_length\(1\) <= 4"),
        (good, [4, -1], "must not be negative, got -1"),
        (good * np.nan, [4, 4], "NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            decode(frames, np.array(lengths))
    for width, top_paths, message in (
        (0, 1, "'beam_width' of 0 must be at least minimum 1"),
        (3, 0, "'top_paths' of 0 must"),
        (2, 3, "requested more paths than the beam width."),
        (200, 200, "Less leaves in the beam search than requested."),
    ):
        with pytest.raises(ValueError, match=message):
            beam_search(good, np.array([4, 4]), width, top_paths, -1)
    with pytest.raises(ValueError, match="nothing but -inf"):
        beam_search(np.full((2, 1, 3), -np.inf), np.array([2]), 5, 1, -1)
    with pytest.raises(ValueError, match="blank_index expected to be between -3 and 2 but was 3"):
        greedy(good, np.array([4, 4]), True, 3)


def run(program, tmp_path):
    script = tmp_path / "program.py"
    script.write_text(program)
    here = {**os.environ, "PYTHONPATH": str(Path(compat.__file__).parents[2])}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=here)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
class TestBesideTheOriginals:
    @pytest.fixture(autouse=True)
    def _tensorflow(self):
        self.tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

    def assert_equal(self, found, expected, tolerance):
        assert len(found[0]) == len(expected[0])
        for one, other in zip(found[0], expected[0], strict=True):
            for part in PARTS:
                a, b = getattr(one, part), getattr(other, part)
                assert (a.dtype, a.shape) == (b.dtype, b.shape)
                np.testing.assert_array_equal(a, b)
        assert found[1].dtype == expected[1].dtype
        np.testing.assert_allclose(found[1], expected[1], rtol=tolerance, atol=tolerance)

    def test_greedy(self):
        from fastctc.compat.tensorflow import ctc_greedy_decoder

        tf, rng = self.tf, np.random.default_rng(0)
        for k in range(150):
            logits, lengths = random_logits(rng, k)
            x = tf.constant(logits, (tf.float32, tf.float64)[k % 2])
            for merge, blank in product((True, False), (None, 0, -logits.shape[2])):
                arguments = x, lengths, merge, blank
                self.assert_equal(ctc_greedy_decoder(*arguments), tf.nn.ctc_greedy_decoder(*arguments), 1e-5)

    @pytest.mark.parametrize("top_paths", [1, 2, 5])
    def test_beams_that_are_not_full(self, top_paths):
        """With room for all prefixes there is one answer, apart from ties."""
        from fastctc.compat import tensorflow as ours

        tf, rng = self.tf, np.random.default_rng(top_paths)
        compared = 0
        for _ in range(150):
            logits, lengths = random_logits(rng, 1, max_classes=4)
            logits, lengths = logits[:6], np.minimum(lengths, 6)
            for dtype, tolerance in ((tf.float32, 1e-4), (tf.float64, 1e-5)):  # theirs sums in single precision
                arguments = tf.constant(logits, dtype), lengths, 4000, top_paths
                try:
                    expected = tf.nn.ctc_beam_search_decoder(*arguments)
                except tf.errors.InvalidArgumentError:
                    with pytest.raises(tf.errors.InvalidArgumentError, match="Less leaves in the beam search than"):
                        ours.ctc_beam_search_decoder(*arguments)
                    continue
                compared += 1
                self.assert_equal(ours.ctc_beam_search_decoder(*arguments), expected, tolerance)
                expected = tf.compat.v1.nn.ctc_beam_search_decoder(*arguments)
                self.assert_equal(ours.ctc_beam_search_decoder_v1(*arguments), expected, tolerance)
        assert compared > 30

    @pytest.mark.parametrize("beam_width", [10, 25, 100])
    def test_real_lines(self, real, beam_width):
        """Texts are equal; of the sums each search leaves out others."""
        from fastctc.compat.tensorflow import ctc_beam_search_decoder

        tf = self.tf
        for log_probs, _ in real.values():
            arguments = tf.constant(log_probs[:, None] + np.float32(7)), [len(log_probs)], beam_width, 1
            self.assert_equal(ctc_beam_search_decoder(*arguments), tf.nn.ctc_beam_search_decoder(*arguments), 0.06)

    def test_tensors_are_the_same_where_tensorflow_has_to_be_asked(self, monkeypatch):
        from fastctc.compat import tensorflow as ours
        from fastctc.frameworks import tensorflow as layer

        tf = self.tf
        logits, lengths = random_logits(np.random.default_rng(5), 1)
        arguments = tf.constant(logits), lengths, 5
        expected = tf.nn.ctc_beam_search_decoder(*arguments)
        self.assert_equal(ours.ctc_beam_search_decoder(*arguments), expected, 1e-5)
        monkeypatch.setattr(ours, "_PARTS", [False])
        monkeypatch.setattr(layer, "_tensor", lambda array, _, make=layer._tensor: make(array, object()))
        found = ours.ctc_beam_search_decoder(*arguments)
        self.assert_equal(found, expected, 1e-5)
        assert vars(found[0][0]).keys() == ours._KNOWN
        assert found[0][0].shape == expected[0][0].shape
        for one in (found, expected):
            np.testing.assert_array_equal(tf.sparse.to_dense(one[0][0]), tf.sparse.to_dense(expected[0][0]))

    def test_errors_have_the_same_types(self):
        from fastctc.compat import tensorflow as ours

        tf = self.tf
        x = tf.zeros((5, 2, 4))
        for name, arguments in product(
            ("ctc_greedy_decoder", "ctc_beam_search_decoder"),
            ((x, [5]), (x, [5, 6]), (x[0], [5, 5]), (x, [[5, 5]]), (x[:0], [0, 0]), (tf.cast(x, tf.float16), [5, 5])),
        ):
            with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.FailedPreconditionError)) as theirs:
                getattr(tf.nn, name)(*arguments)
            with pytest.raises(type(theirs.value)) as found:
                getattr(ours, name)(*arguments)
            message = found.value.message.split("}} ")[-1].split(" [Op")[0]
            assert message.strip() in theirs.value.message

    def test_graphs(self):
        from fastctc.compat import tensorflow as ours

        tf = self.tf
        logits, lengths = random_logits(np.random.default_rng(1), 1)
        for function, options in (
            (ours.ctc_greedy_decoder, {}),
            (ours.ctc_beam_search_decoder, {"top_paths": 2}),
            (ours.ctc_beam_search_decoder_v1, {"beam_width": 7}),
        ):
            seen = []

            def traced(x, n):
                paths, scores = function(x, n, **options)  # noqa: B023
                shapes = [[getattr(path, part).shape.as_list() for part in PARTS] for path in paths]
                seen[:] = shapes, scores.shape.as_list()  # noqa: B023
                return paths, scores

            n = options.get("top_paths", 1)
            signature = [tf.TensorSpec([None, None, logits.shape[2]], tf.float64), tf.TensorSpec([None], tf.int32)]
            found = tf.function(traced, input_signature=signature)(logits, lengths)
            self.assert_equal(found, function(tf.constant(logits), lengths, **options), 1e-12)
            assert seen == [[[[None, 2], [None], [2]]] * n, [None, n]]
        with pytest.raises(tf.errors.InvalidArgumentError, match="requested more paths than the beam width"):
            tf.function(lambda: ours.ctc_beam_search_decoder(logits, lengths, 2, 3))()

    def test_losses_of_version_1(self):
        from fastctc.compat.tensorflow import ctc_loss_v1

        tf = self.tf
        rng = np.random.default_rng(2)
        logits = tf.constant(rng.normal(size=(9, 3, 5)), tf.float32)
        labels = tf.SparseTensor([[0, 0], [0, 1], [1, 0], [1, 1], [2, 0]], tf.constant([1, 1, 0, 3, 2]), [3, 2])
        for function in (ctc_loss_v1, tf.compat.v1.nn.ctc_loss):
            with tf.GradientTape() as tape:
                tape.watch(logits)
                loss = function(labels, logits, [9, 3, 8])
            slope = tape.gradient(loss, logits)
            if function is ctc_loss_v1:
                expected = loss, slope
            else:
                np.testing.assert_allclose(expected[0], loss, rtol=1e-5)
                np.testing.assert_allclose(expected[1], slope, atol=1e-5)
        same = ctc_loss_v1(labels, sequence_length=[9, 3, 8], logits=tf.transpose(logits, [1, 0, 2]), time_major=False)
        np.testing.assert_array_equal(same, expected[0])
        with pytest.raises(TypeError, match="Expected argument `labels` to be a SparseTensor"):
            ctc_loss_v1([[1]], logits, [9, 3, 8])
        with pytest.raises(tf.errors.UnimplementedError, match="preprocess_collapse_repeated must be False"):
            ctc_loss_v1(labels, logits, [9, 3, 8], preprocess_collapse_repeated=True)


@pytest.mark.slow
class TestKeras:
    @pytest.fixture(autouse=True)
    def _keras(self):
        self.tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
        self.keras = pytest.importorskip("keras", reason="Keras is not installed")
        if self.keras.backend.backend() != "tensorflow":
            pytest.skip("Keras is on another backend")

    @pytest.mark.parametrize("strategy", ["greedy", "beam_search"])
    def test_decode(self, strategy):
        from fastctc.compat.keras import ctc_decode

        tf, rng = self.tf, np.random.default_rng(3)
        for _ in range(60):
            logits, lengths = random_logits(rng, 1, max_classes=4)
            logits, lengths = logits[:5].swapaxes(0, 1), np.minimum(lengths, 5)
            for mask, kind in ((0, np.float32), (1, np.float64), (None, np.float32)):
                options = {"strategy": strategy, "beam_width": 2000, "mask_index": mask}
                arguments = logits.astype(kind), lengths
                labels, scores = self.keras.ops.ctc_decode(*arguments, **options)
                if mask is None and strategy == "greedy":
                    options["merge_repeated"] = True
                found, found_scores = ctc_decode(*arguments, **options)
                assert (found.dtype, found.shape) == (labels.dtype, labels.shape)
                np.testing.assert_array_equal(found, labels)
                assert found_scores.dtype == scores.dtype
                np.testing.assert_allclose(found_scores, scores, rtol=1e-4, atol=1e-4)
        graph = tf.function(lambda x, n: ctc_decode(x, n, strategy, 2000))
        np.testing.assert_array_equal(graph(logits, lengths)[0], ctc_decode(logits, lengths, strategy, 2000)[0])
        with pytest.raises(ValueError, match="Supported values are 'greedy' and 'beam_search'"):
            ctc_decode(logits, lengths, "best")

    def test_loss(self):
        from keras.src.legacy import backend as legacy

        from fastctc.compat.keras import ctc_batch_cost, ctc_loss

        rng = np.random.default_rng(4)
        logits = rng.normal(size=(3, 8, 5)).astype(np.float32)
        labels, ends, lengths = np.array([[1, 2, 3], [4, 4, 0], [1, 0, 0]]), np.array([3, 2, 1]), np.array([8, 7, 5])
        expected = self.keras.ops.ctc_loss(labels, logits, ends, lengths)
        np.testing.assert_allclose(ctc_loss(labels, logits, ends, lengths), expected, rtol=1e-5)
        probs = self.tf.nn.softmax(logits)
        arguments = (labels - 1) % 4, probs, lengths[:, None], ends[:, None]
        found = ctc_batch_cost(*arguments)
        assert found.shape == (3, 1)
        np.testing.assert_allclose(found, legacy.ctc_batch_cost(*arguments), rtol=1e-5)

    def test_the_old_backend(self):
        from keras.src.legacy import backend as legacy

        from fastctc.compat.keras import legacy_ctc_decode

        rng = np.random.default_rng(6)
        for k in range(40):
            probs = self.tf.nn.softmax(rng.normal(0, 3, (2, 6, 4)).astype(np.float32))
            arguments = probs, np.array([6, 1 + k % 6]), k % 3 == 0, 500, 1 + k % 2
            expected, found = legacy.ctc_decode(*arguments), legacy_ctc_decode(*arguments)
            assert len(found[0]) == len(expected[0])
            for one, other in zip(found[0], expected[0], strict=True):
                assert one.dtype == other.dtype
                np.testing.assert_array_equal(one, other)
            np.testing.assert_allclose(found[1], expected[1], rtol=1e-4, atol=1e-4)


TRAIN = """
{before}
import numpy as np
import tensorflow as tf
import keras
{after}
names = tf.nn.ctc_loss, tf.nn.ctc_greedy_decoder, tf.nn.ctc_beam_search_decoder, tf.compat.v1.nn.ctc_beam_search_decoder
print(*(function.__module__ for function in names), keras.src.backend.nn.ctc_decode.__module__)

rng = np.random.default_rng(0)
labels = rng.integers(1, 4, (64, 3))
frames = np.eye(4, dtype=np.float32)[np.repeat(np.insert(labels, [1, 2, 3], 0, axis=1), 2, axis=1)]
data = tf.data.Dataset.from_tensor_slices((frames + rng.normal(0, 0.1, frames.shape).astype(np.float32), labels))


class ErrorRate(keras.metrics.Mean):
    def update_state(self, truth, logits, sample_weight=None):
        lengths = tf.fill([tf.shape(logits)[0]], tf.shape(logits)[1])
        paths, _ = keras.ops.ctc_decode(logits, lengths, strategy="beam_search", beam_width=10, mask_index=0)
        path = tf.pad(paths[0], [[0, 0], [0, 3]], constant_values=-1)[:, :3]
        super().update_state(tf.cast(path != tf.cast(truth, tf.int32), tf.float32))


keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((12, 4)), keras.layers.Dense(4)])
model.compile(keras.optimizers.Adam(0.1), keras.losses.CTC(), metrics=[ErrorRate(name="errors")], jit_compile=False)
history = model.fit(data.batch(16), epochs=12, verbose=0).history
print(round(history["loss"][0], 2) > 3 * round(history["loss"][-1], 2), history["errors"][-1] < 0.05)


def decoded(x, y):
    paths, _ = tf.nn.ctc_beam_search_decoder(tf.transpose(x, [1, 0, 2]), tf.fill([tf.shape(x)[0]], 12), beam_width=5)
    return tf.sparse.to_dense(paths[0]), y


flipped = data.batch(16).map(lambda x, y: (model(x)[:, :, ::-1], y)).map(decoded, num_parallel_calls=2)
print(np.mean([np.array_equal(3 - row, truth) for rows, y in flipped for row, truth in zip(rows[:, :3], y)]) > 0.9)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from fastctc import compat\ncompat.install('tensorflow')", ""),
        ("", "from fastctc import compat\ncompat.install('tensorflow')"),
    ],
    ids=["before", "after"],
)
def test_a_program_that_trains_and_decodes(before, after, tmp_path):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    pytest.importorskip("keras", reason="Keras is not installed")
    *modules, falls, learns, decodes = run(TRAIN.format(before=before, after=after), tmp_path)
    assert modules == ["fastctc.frameworks.tensorflow", *["fastctc.compat.tensorflow"] * 3, "fastctc.compat.keras"]
    assert (falls, learns, decodes) == ("True", "True", "True")
