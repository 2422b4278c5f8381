"""The public functions of given texts."""

import subprocess
import sys
from math import exp, inf, log
from pathlib import Path

import numpy as np
import pytest
from conftest import logs, peaky

from fastctc import Alphabet, BeamSearch, ctc_loss, forced_align, log_probability, posteriors

AB = Alphabet("ab")
TWO_FRAMES = [[0.4, 0.0, 0.6], [0.4, 0.0, 0.6]]
TRUTH = "the fake friend of the family, like the"


def test_the_two_frame_example():
    assert exp(log_probability(probs=TWO_FRAMES, text="a", alphabet=AB)) == 0.64
    assert ctc_loss(probs=TWO_FRAMES, texts="a", alphabet=AB) == -log(0.64)
    assert log_probability(logs(np.array(TWO_FRAMES)), (0,), AB) == pytest.approx(log(0.64), rel=1e-15)


def test_texts_that_are_impossible():
    for text in ("aa", "ab", "b", "aaa"):
        assert log_probability(probs=TWO_FRAMES, text=text, alphabet=AB) == -inf
        assert ctc_loss(probs=TWO_FRAMES, texts=text, alphabet=AB) == inf
    for function in (posteriors, forced_align):
        with pytest.raises(ValueError, match=r"needs at least 3 frames .* got 2: its probability is 0"):
            function(probs=TWO_FRAMES, text="aa", alphabet=AB)
        with pytest.raises(ValueError, match="probability 0: every path"):
            function(probs=TWO_FRAMES, text="b", alphabet=AB)


def test_zero_frames_and_empty_texts():
    nothing = np.empty((0, 3))
    assert log_probability(nothing, "", AB) == 0.0
    assert log_probability(nothing, "a", AB) == -inf
    assert exp(log_probability(probs=TWO_FRAMES, text="", alphabet=AB)) == pytest.approx(0.36)
    assert posteriors(probs=TWO_FRAMES, text="", alphabet=AB).shape == (2, 0)
    assert forced_align(nothing, "", AB)[:4] == ("", 0.0, (), ())
    aligned = forced_align(logs(np.array(TWO_FRAMES)), "", AB)
    assert aligned[:4] == ("", pytest.approx(log(0.36)), (), ())


def test_no_labels_are_a_text():
    one = logs(np.array(TWO_FRAMES))
    for text in ("", [], (), np.array([], int)):
        assert log_probability(one, text, AB) == pytest.approx(log(0.36))
        for frames in (one, one.tolist()):
            assert ctc_loss(frames, text, AB) == pytest.approx(-log(0.36))
        assert ctc_loss(probs=TWO_FRAMES, texts=text, alphabet=AB) == pytest.approx(-log(0.36))
    assert ctc_loss(np.empty((0, 3)), [], AB) == 0.0
    for batch in (np.empty((0, 2, 3)), [], iter([])):
        assert ctc_loss(batch, [], AB).shape == (0,)
    for batch in (one[None], [one], [TWO_FRAMES]):
        with pytest.raises(ValueError, match="got 1 sequences and 0 texts"):
            ctc_loss(batch, [], AB)


def test_batches():
    rng = np.random.default_rng(2)
    batch = np.stack([peaky(rng, 8, 3) for _ in range(9)])
    texts = ["", "a", "ab", "ba", "aa", "bb", "abab", "aaaaa", (0, 1, 0)]
    lengths = rng.integers(0, 9, 9)
    expected = [-log_probability(f[:n], t, AB) for f, n, t in zip(batch, lengths, texts, strict=True)]
    for threads in (None, 1, 3):
        np.testing.assert_array_equal(ctc_loss(batch, texts, AB, lengths, threads), expected)
    with pytest.raises(ValueError, match="one text a sequence, got 9 sequences and 2 texts"):
        ctc_loss(batch, ["a", "b"], AB)
    with pytest.raises(ValueError, match="lengths go with a batch"):
        ctc_loss(batch[0], "a", AB, [1])
    with pytest.raises(ValueError, match="threads must be"):
        ctc_loss(batch, texts, AB, threads=0)


def test_posteriors_sum_to_what_is_not_blank():
    rng = np.random.default_rng(4)
    found = posteriors(peaky(rng, 30, 3), "abba", AB)
    assert found.shape == (30, 4)
    assert (found.sum(axis=1) <= 1 + 1e-12).all()
    assert (found.sum(axis=0) >= 1 - 1e-12).all()  # each label takes at least one frame


def test_posteriors_take_the_memory_of_their_result():
    """Counted in a process of its own, by its greatest size."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("only Linux tells the greatest size of a process since it began")
    code = """
import numpy as np
from fastctc import Alphabet, posteriors

def peak():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) * 1024

alphabet = Alphabet("ab")
posteriors(probs=np.full((9, 3), 1 / 3), text="ab", alphabet=alphabet)
before = peak()
found = posteriors(probs=np.full((4000, 3), 1 / 3), text="ab" * 800, alphabet=alphabet)
print((peak() - before) / found.nbytes)
"""
    grown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 0.9 < float(grown) < 1.3


def test_alignment():
    alphabet = Alphabet("ab ")
    frames = np.full((9, 4), 0.01)
    for t, label in enumerate((3, 0, 0, 3, 2, 1, 3, 1, 3)):
        frames[t, label] = 0.97
    aligned = forced_align(probs=frames, text="a bb", alphabet=alphabet)
    assert aligned.log_prob == pytest.approx(9 * log(0.97))
    assert [c[:3] for c in aligned.characters] == [("a", 1, 2), (" ", 4, 4), ("b", 5, 5), ("b", 7, 7)]
    assert [w[:3] for w in aligned.words] == [("a", 1, 2), ("bb", 5, 7)]
    assert all(0.8 < segment.probability < 1 for segment in aligned.characters + aligned.words)


def test_bad_texts():
    with pytest.raises(ValueError, match="got 'x' at position 0"):
        log_probability(probs=TWO_FRAMES, text="x", alphabet=AB)
    with pytest.raises(ValueError, match="labels must be classes"):
        log_probability(probs=TWO_FRAMES, text=[2], alphabet=AB)


@pytest.mark.parametrize("label", [3, -1, 1 << 31, 1 << 40, 1 << 70, -(1 << 40)])
def test_labels_of_any_size_are_refused(label):
    for function in (log_probability, ctc_loss, posteriors, forced_align):
        with pytest.raises(ValueError, match=f"labels must be classes.*got {label}"):
            function(np.log(np.full((2, 3), 1 / 3)), [label], AB)


def test_what_must_be_given():
    for function in (log_probability, ctc_loss, posteriors, forced_align):
        with pytest.raises(TypeError, match=r"texts? must be given"):
            function(probs=TWO_FRAMES, alphabet=AB)
        with pytest.raises(TypeError, match="alphabet must be given"):
            function(logs(np.array(TWO_FRAMES)), "a")


@pytest.mark.slow
def test_twenty_thousand_frames():
    rng = np.random.default_rng(1)
    frames = peaky(rng, 20_000, 6)
    alphabet = Alphabet("abcde")
    text = BeamSearch(alphabet, 2, exact=False).decode(frames)[0].text[:3000]
    value = log_probability(frames, text, alphabet)
    assert -inf < value < -10_000
    assert forced_align(frames, text, alphabet).characters[-1].last < 20_000


def test_real_frames(real, shared):
    alphabet = real["iam_line"][1]
    scores = np.genfromtxt(shared / "frames" / "iam_line.csv", delimiter=";")[:, :-1]
    exact = log(6.31472642886565e-13)
    assert log_probability(logits=scores, text=TRUTH, alphabet=alphabet) == pytest.approx(exact, rel=1e-12)
    assert exp(log_probability(real["iam_line"][0], TRUTH, alphabet)) == pytest.approx(6.314725e-13, rel=1e-6)
    # With the text the best path knows the best label of each of its frames.
    aligned = forced_align(real["iam_line"][0], TRUTH, alphabet)
    assert "".join(character.text for character in aligned.characters) == TRUTH
    assert [word.text for word in aligned.words] == TRUTH.split()
