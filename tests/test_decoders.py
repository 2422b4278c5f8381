"""The public decoders: what they take, what they refuse, what they return."""

import pickle
from dataclasses import replace
from math import exp, isnan, log

import numpy as np
import pytest
from conftest import logs, peaky

from fastctc import Alphabet, BeamSearch, BestPath, Lexicon, LexiconSearch, PrefixSearch, TokenPassing, WordBeamSearch

AB = Alphabet("ab")
TWO_FRAMES = [[0.4, 0.0, 0.6], [0.4, 0.0, 0.6]]
WORDS = Lexicon.from_words(["a", "ab", "b", "ba"], AB)
EACH = [
    BestPath(AB),
    BeamSearch(AB),
    WordBeamSearch(WORDS),
    TokenPassing(WORDS),
    LexiconSearch(WORDS),
    PrefixSearch(AB),
]
DECODERS = [replace(decoder, backend=backend) for decoder in EACH for backend in ("compiled", "reference")]
decoders = pytest.mark.parametrize("decoder", DECODERS, ids=lambda d: f"{type(d).__name__}-{d.backend}")


def test_the_two_frame_example(backend):
    best = BestPath(AB, backend=backend).decode(probs=TWO_FRAMES)[0]
    assert (best.text, best.log_prob) == ("", pytest.approx(log(0.36)))
    best = BeamSearch(AB, backend=backend).decode(probs=TWO_FRAMES)[0]
    assert best.text == "a"
    assert best.confidence == exp(best.log_prob) == pytest.approx(0.64, rel=1e-15)


def test_the_two_frame_example_to_the_last_digit():
    assert exp(BeamSearch(AB).decode(probs=TWO_FRAMES)[0].log_prob) == 0.64
    assert exp(BeamSearch(AB).decode(logs(np.array(TWO_FRAMES)))[0].log_prob) == 0.64


def test_hypothesis_in_full(backend):
    alphabet = Alphabet("ab ")
    frames = np.full((9, 4), 0.01)
    for t, label in enumerate((3, 0, 0, 3, 2, 1, 3, 1, 3)):
        frames[t, label] = 0.97
    for decoder in (BestPath(alphabet, backend=backend), BeamSearch(alphabet, 5, backend=backend)):
        best = decoder.decode(probs=frames)[0]
        assert best.text == "a bb"
        assert best.labels == (0, 2, 1, 1)
        assert best.timesteps == (1, 4, 5, 7)
        assert [word[:3] for word in best.words] == [("a", 1, 2), ("bb", 5, 7)]
        assert all(0.8 < word.probability < 1 for word in best.words)
        assert best.confidence == exp(best.log_prob)
        assert best.score <= best.log_prob
        assert best.lm_log_prob is None


def test_without_the_exact_part(backend):
    for decoder in (BestPath(AB, exact=False, backend=backend), BeamSearch(AB, exact=False, backend=backend)):
        best = decoder.decode(probs=TWO_FRAMES)[0]
        assert isnan(best.log_prob)
        assert isnan(best.confidence)
        assert best.words == ()
    assert best.score == pytest.approx(log(0.64))


def test_n_best():
    found = BeamSearch(AB, 10, n_best=10).decode(probs=[[0.5, 0.3, 0.2]] * 2)
    assert [h.text for h in found[:4]] == ["a", "b", "ab", "ba"]
    assert sum(h.confidence for h in found) == pytest.approx(1.0)
    assert len(BeamSearch(AB, 10, n_best=3).decode(probs=[[0.5, 0.3, 0.2]] * 2)) == 3


@pytest.mark.parametrize("blank", [0, 1, 2])
def test_blank_anywhere(blank, backend):
    frames = np.insert(np.array(TWO_FRAMES)[:, :2], blank, 0.6, axis=1)
    decoder = BeamSearch(Alphabet("ab", blank), backend=backend)
    assert decoder.decode(probs=frames)[0].text == "a"


@decoders
def test_zero_frames_are_the_empty_text(decoder):
    for empty in (np.empty((0, 3)), np.empty((0, 3), np.float32), []):
        found = decoder.decode(empty)
        if isinstance(decoder, LexiconSearch):  # no word is possible
            assert found == []
            continue
        best = found[0]
        assert (best.text, best.log_prob, best.labels, best.timesteps, best.words) == ("", 0.0, (), (), ())
    assert decoder.decode_batch(np.empty((2, 0, 3))) == [decoder.decode([])] * 2
    assert decoder.decode_batch([]) == []


def forms(values):
    yield values
    yield values.tolist()
    yield values.astype(np.float32)
    yield values.astype(np.float16)
    yield values.astype(">f8")
    yield np.asfortranarray(values)
    yield np.repeat(values, 2, axis=1)[:, ::2]
    yield values[::-1].copy()[::-1]
    locked = values.copy()
    locked.setflags(write=False)
    yield locked
    yield memoryview(values)

    class Foreign:
        def __array__(self, dtype=None, copy=None):
            return values

    yield Foreign()


@decoders
def test_any_array_will_do(decoder):
    for form in forms(logs(np.array(TWO_FRAMES))):
        assert decoder.decode(form)[0].text == decoder.decode(probs=TWO_FRAMES)[0].text


@decoders
def test_the_same_from_scores_and_probabilities(decoder):
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 3, (7, 3))
    probs = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    a, b, c = decoder.decode(logits=scores), decoder.decode(probs=probs), decoder.decode(np.log(probs))
    assert a[0].text == b[0].text == c[0].text
    assert a[0].log_prob == pytest.approx(b[0].log_prob, rel=1e-12)


LOGS = [[-1.0986123] * 3] * 3


def changed(frame, label, value, rows=LOGS):
    array = np.array(rows)
    array[frame, label] = value
    return array


@decoders
@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ({"log_probs": np.zeros(3)}, r"\(frames, classes\), got 1 dimensions, shape \(3,\)"),
        ({"log_probs": np.zeros((1, 2, 3))}, r"\(frames, classes\), got 3 dimensions"),
        ({"log_probs": np.zeros((2, 4))}, r"must have 3 classes, .* got 4 \(shape \(2, 4\)\)"),
        ({"log_probs": changed(1, 2, np.nan)}, "must not hold NaN, got NaN in frame 1, class 2"),
        ({"log_probs": changed(2, 0, np.inf)}, "at most 0, got inf in frame 2, class 0"),
        ({"log_probs": changed(2, 0, 0.5)}, "at most 0, got 0.5 in frame 2, class 0 .*logits="),
        ({"log_probs": np.full((2, 3), -np.inf)}, "must sum to 1, got a sum of 0 in frame 0"),
        ({"log_probs": np.full((2, 3), -5.0)}, "must sum to 1, got a sum of 0.0202"),
        ({"log_probs": np.zeros((2, 3), np.float32)}, "must sum to 1, got a sum of 3"),
        ({"log_probs": [["a", "b", "c"]]}, "numbers"),
        ({"log_probs": np.zeros((2, 3), complex)}, "real numbers, got dtype complex128"),
        ({"log_probs": [[1, 2, 3], [1, 2]]}, "must be an array of numbers"),
        ({"probs": [[0.5, -0.1, 0.6]]}, "between 0 and 1, got -0.1 in frame 0, class 1"),
        ({"probs": [[0.5, 1.1, 0.6]]}, "between 0 and 1, got 1.1 in frame 0, class 1"),
        ({"probs": [[0.5, np.nan, 0.6]]}, "between 0 and 1, got nan in frame 0, class 1"),
        ({"probs": [[0.1, 0.1, 0.1]]}, "must sum to 1, got a sum of 0.3 in frame 0"),
        ({"probs": [[0.9, 0.9, 0.9]]}, "must sum to 1, got a sum of 2.7 in frame 0"),
        ({"logits": [[1, np.inf, 0]]}, "finite or -inf, got inf in frame 0, class 1"),
        ({"logits": [[1, np.nan, 0]]}, "finite or -inf, got nan in frame 0, class 1"),
        ({"logits": [[-np.inf] * 3]}, "must not all be -inf, got so in frame 0"),
    ],
)
def test_bad_frames(decoder, frames, message):
    with pytest.raises(ValueError, match=message):
        decoder.decode(**frames)
    name, values = next(iter(frames.items()))
    with pytest.raises(ValueError, match="sequence 1 of the batch: .*" + message):
        decoder.decode_batch(**{name: [np.empty((0, 3)), values]})


@decoders
def test_exactly_one_kind_of_frames(decoder):
    with pytest.raises(TypeError, match=r"exactly one of .*, got none"):
        decoder.decode()
    with pytest.raises(TypeError, match=r"exactly one of .*, got log_probs and probs"):
        decoder.decode(LOGS, probs=TWO_FRAMES)


@decoders
def test_rounding_and_masks_are_forgiven(decoder):
    decoder.decode(changed(0, 0, -1e30))
    decoder.decode([[1e-4, -30.0, -40.0]])
    decoder.decode(probs=np.array([[0.498, 0.249, 0.249]], np.float16))  # quantised: 0.996


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_width": 0}, r"beam_width must be 1 to 16777216 \(fastctc.decoders.decoder.WIDEST\), got 0"),
        ({"n_best": 0}, "n_best must be 1 to beam_width, which is 25, got 0"),
        ({"n_best": 26}, "n_best must be 1 to beam_width, which is 25, got 26"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        BeamSearch(AB, **options)


def test_unknown_backend():
    with pytest.raises(ValueError, match=r"backend must be one of compiled, reference.*, got 'cuda'"):
        BestPath(AB, backend="cuda").decode(LOGS)


@decoders
@pytest.mark.parametrize(
    "threads", [pytest.param(None, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.slow), 2, 5]
)
def test_a_batch_is_its_sequences(decoder, threads):
    rng = np.random.default_rng(5)
    batch = np.stack([peaky(rng, 12, 3, np.float32) for _ in range(40)])
    expected = [decoder.decode(frames) for frames in batch]
    assert decoder.decode_batch(batch, threads=threads) == expected
    assert decoder.decode_batch(list(batch), threads=threads) == expected
    assert decoder.decode_batch(iter(batch), threads=threads) == expected
    assert decoder.decode_batch(probs=np.exp(batch.astype(float)), threads=threads)[3][0].text == expected[3][0].text
    lengths = rng.integers(0, 13, 40)
    batch[np.arange(12) >= lengths[:, None]] = np.nan  # what lies behind the end is not looked at
    expected = [decoder.decode(frames[:n]) for frames, n in zip(batch, lengths, strict=True)]
    assert decoder.decode_batch(batch, lengths, threads) == expected
    assert decoder.decode_batch(batch, lengths.tolist(), threads) == expected


@decoders
def test_frames_out_of_the_middle_of_a_message(decoder):
    """Their addresses are no multiples of the numbers' size."""
    rng = np.random.default_rng(3)
    whole = [peaky(rng, 12, 3) for _ in range(3)]
    message = b"x" + b"".join(frames.tobytes() for frames in whole)
    array = np.frombuffer(message, whole[0].dtype, offset=1).reshape(3, 12, 3)
    assert not array.flags.aligned
    assert decoder.decode(array[0]) == decoder.decode(whole[0])
    assert decoder.decode_batch(array) == decoder.decode_batch(list(array)) == decoder.decode_batch(whole)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_an_error_in_any_part_of_a_batch_comes_out(threads):
    class Faulty(BestPath):
        def _decode(self, batch, workspace):
            if batch[0].number > 20:
                raise IndexError("of its own")
            return super()._decode(batch, workspace)

    rng = np.random.default_rng(0)
    batch = np.stack([peaky(rng, 2000, 10) for _ in range(30)])
    with pytest.raises(IndexError, match="of its own"):
        Faulty(Alphabet("abcdefghi")).decode_batch(batch, threads=threads)


@decoders
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"lengths": [1]}, ValueError, "lengths must be 2 numbers, one a sequence, got 1"),
        ({"lengths": [1, 4]}, ValueError, "sequence 1 of the batch: lengths must be at most .* 3, got 4"),
        ({"lengths": [1, -1]}, ValueError, "must not be negative, got -1"),
        ({"lengths": [1, 1.5]}, TypeError, "must be integers"),
        ({"lengths": 3}, TypeError, "must be integers"),
        ({"threads": 0}, ValueError, "threads must be 1 or more, got 0"),
    ],
)
def test_bad_batches(decoder, arguments, error, message):
    with pytest.raises(error, match=message):
        decoder.decode_batch([LOGS, LOGS], **arguments)
    with pytest.raises(ValueError, match=r"\(batch, frames, classes\) or a list .* got 2 dimensions"):
        decoder.decode_batch(np.array(LOGS))


@decoders
def test_decoders_are_values(decoder):
    copy = pickle.loads(pickle.dumps(decoder))
    if hasattr(decoder, "lexicon"):  # which is compared by identity
        copy = replace(copy, lexicon=decoder.lexicon)
        assert pickle.loads(pickle.dumps(decoder)).decode(LOGS) == decoder.decode(LOGS)
    assert copy == decoder
    assert hash(copy) == hash(decoder)
    assert copy.decode(LOGS) == decoder.decode(LOGS)
    with pytest.raises(AttributeError):
        decoder.alphabet = AB


def test_long_input_does_not_underflow():
    rng = np.random.default_rng(1)
    frames = peaky(rng, 20_000, 6)
    best = BeamSearch(Alphabet("abcde"), 5).decode(frames)[0]
    assert -60_000 < best.score <= best.log_prob < -1000
    assert len(best.timesteps) == len(best.labels) > 5000


@pytest.mark.parametrize("beam_width", [1, 10, 25, 100])
def test_real_frames(real, beam_width):
    frames, alphabet = real["iam_line"]
    assert BestPath(alphabet).decode(frames)[0].text == "the fak friend of the fomly hae tC"
    best = BeamSearch(alphabet, beam_width).decode(frames)[0]
    if beam_width > 1:
        assert best.text == "the fak friend of the fomcly hae tC"
        assert best.log_prob == pytest.approx(-11.541, abs=5e-4)
        assert best.score < best.log_prob
    if beam_width == 25:
        assert best.score == pytest.approx(-12.00, abs=5e-3)


def test_real_words(real_word):
    frames, alphabet = real_word
    assert BestPath(alphabet).decode(frames)[0].text == "aircrapt"


@pytest.mark.parametrize("name", ["iam_line", "bentham_2"])
def test_real_frames_by_the_reference(real, name):
    frames, alphabet = real[name]
    expected = BeamSearch(alphabet, 6, n_best=6, backend="reference").decode(frames)
    for a, b in zip(BeamSearch(alphabet, 6, n_best=6).decode(frames), expected, strict=True):
        assert a.labels == b.labels
        assert a.timesteps == b.timesteps
        assert a.score == pytest.approx(b.score, rel=1e-9)
        assert a.log_prob == pytest.approx(b.log_prob, rel=1e-9)
        assert [word[:3] for word in a.words] == [word[:3] for word in b.words]
        assert [word.probability for word in a.words] == pytest.approx([word.probability for word in b.words], rel=1e-9)
