"""What hypotheses tell about themselves: the band of the compiled code against the whole lattice of the reference."""

from itertools import pairwise
from math import inf, log

import numpy as np
import pytest
from adversarial import adversarial_rows
from conftest import as_array, logs, matrices, peaky, width
from hypothesis import given
from hypothesis import strategies as st

from fastctc import Alphabet, BeamSearch, BestPath, backends


def both(frames, log_frames, labels, blank, spans):
    case = [(frames, log_frames, tuple(labels), spans)]
    return [backends.load(name, "annotation").annotate(case, blank)[0] for name in ("reference", "compiled")]


def assert_same(expected, found):
    assert found[0] == pytest.approx(expected[0], rel=1e-12, abs=1e-9)
    assert found[1:3] == expected[1:3]
    np.testing.assert_allclose(found[3], expected[3], rtol=1e-9, atol=1e-300)
    assert found[4:] == (0.0, 0.0)


@st.composite
def texts(draw):
    rows, blank = draw(matrices(max_frames=20, max_classes=5))
    characters = [c for c in range(width(rows, blank)) if c != blank]
    labels = draw(st.lists(st.sampled_from(characters), max_size=14)) if characters else []
    return rows, labels, blank


@given(texts(), st.booleans(), st.sampled_from([1.0, 1e-10, 1e-60, 1e-290]))
def test_the_band_gives_what_the_lattice_gives(case, given_logs, factor):
    rows, labels, blank = case
    """Rows may sum to anything; of 1e-290 some entries are no normal numbers any more."""
    frames = as_array(rows, width(rows, blank)) * factor
    spans = [(i, j) for i in range(len(labels) + 1) for j in range(i, len(labels) + 1)][:40]
    assert_same(*both(frames, logs(frames) if given_logs else None, labels, blank, spans))


@pytest.mark.parametrize("seed", range(8))
def test_more_frames_than_one_stretch(seed):
    """With texts that fit and texts that do not, and with ties."""
    rng = np.random.default_rng(seed)
    n_frames, n_classes = int(rng.integers(40, 120)), int(rng.integers(2, 9))
    log_frames = peaky(rng, n_frames, n_classes)
    if seed % 2:
        log_frames = np.log(np.exp(np.round(log_frames)) / np.exp(np.round(log_frames)).sum(1, keepdims=True))
    blank = n_classes - 1
    fitting = backends.load("compiled", "best_path").best_path(log_frames, blank)[0]
    strange = rng.integers(0, blank, n_frames // 4).tolist() if blank else []
    for labels in (fitting, strange):
        cuts = sorted({0, len(labels), *rng.integers(0, len(labels) + 1, 6).tolist()})
        spans = list(pairwise(cuts))
        frames = np.exp(log_frames)
        for given_logs in (log_frames, None):
            assert_same(*both(frames, given_logs, labels, blank, spans))


def speech(n_frames, n_classes=33):
    """Log probabilities, float32: a label in every third frame or so, the blank in the others, most of them sure."""
    rng = np.random.default_rng(n_frames)
    path = np.where(rng.random(n_frames) < 0.35, rng.integers(0, n_classes - 1, n_frames), n_classes - 1)
    scores = rng.normal(0, 1.5, (n_frames, n_classes))
    scores[np.arange(n_frames), path] += rng.gamma(4, 3, n_frames)
    return (scores - np.log(np.exp(scores).sum(1, keepdims=True))).astype(np.float32)


def test_the_whole_lattice_says_the_same_of_a_long_text():
    """Long enough for check-points; the judge goes through every state."""
    values = speech(6000)
    alphabet = Alphabet("".join(map(chr, range(97, 128))) + " ")
    [found] = BestPath(alphabet).decode(values)
    loss, frames = backends.load("compiled", "loss"), np.exp(values.astype(np.float64))
    assert found.bound == found.word_bound == 0.0
    assert found.log_prob == pytest.approx(loss.log_probability(frames, found.labels, 32, False), rel=1e-13)
    judge = backends.load("compiled", "viterbi").best_alignment
    first = judge(values.astype(np.float64), found.labels, 32, True, inf, inf, 1 << 28, False)[1]
    assert found.timesteps == first
    span_probabilities = backends.load("compiled", "spans").span_probabilities
    expected = span_probabilities(frames, found.labels, 32, False, alphabet.words(found.labels)[:40])
    np.testing.assert_allclose([word.probability for word in found.words[:40]], expected, rtol=1e-9)


@pytest.mark.parametrize("decoder", [BestPath, BeamSearch])
def test_an_hour(decoder):
    """An hour is as exact as a line: nothing that the band leaves out can count."""
    values = np.concatenate([speech(6000)] * 30)
    alphabet = Alphabet("".join(map(chr, range(97, 128))) + " ")
    [found] = decoder(alphabet).decode(values)
    assert len(found.timesteps) == len(found.labels)
    assert -len(values) < found.log_prob < 0.0
    assert found.bound == 0.0
    assert all(0.0 < word.probability <= 1.0 for word in found.words)


def bounded(frames, labels, blank, spans):
    """Checks what is bounded against the whole lattice; returns both bounds."""
    found = backends.load("compiled", "annotation").annotate([(frames, None, labels, spans)], blank)[0]
    loss = backends.load("compiled", "loss")
    exact = loss.log_probability(frames, labels, blank, False)
    total, first, _, probabilities, bound, span_bound = found
    assert total - 1e-9 <= exact <= total + bound + 1e-9
    if bound == 0.0:
        align = backends.load("compiled", "viterbi").best_alignment
        assert first == align(frames, labels, blank, False, inf, inf, 1 << 28, False)[1]
    if bound < np.inf:
        expected = backends.load("compiled", "spans").span_probabilities(frames, labels, blank, False, spans)
        for probability, true in zip(probabilities, expected, strict=True):
            assert true == pytest.approx(probability, rel=1e-9) or abs(log(probability / true)) <= span_bound + 1e-9
    return bound, span_bound


def test_a_bound_is_one():
    """Where the band loses something, the bounds tell how much at most."""
    rng, bounds = np.random.default_rng(5), []
    for _ in range(30):
        frames = rng.random((600, 3)) ** 3
        frames /= frames.sum(1, keepdims=True)
        labels = tuple(rng.integers(0, 2, 290).tolist())
        cuts = sorted({0, 290, *rng.integers(0, 291, 6).tolist()})
        bounds.append(bounded(frames, labels, 2, list(pairwise(cuts))))
    assert max(bounds)[1] > 0.0


def test_a_bound_is_one_of_frames_that_are_hard_on_sums():
    """Kinds of frames in turn, too many of them for the whole lattice to stand in where the band promises little."""
    rng, bounds = np.random.default_rng(6), []
    for _ in range(40):
        n_classes, blank = int(rng.integers(2, 5)), 0
        pieces = [adversarial_rows(rng, int(rng.integers(1, 60)), n_classes) for _ in range(20)]
        frames = np.concatenate(pieces) * rng.choice([1.0, 1e-60])
        labels = list(backends.load("compiled", "best_path").best_path(logs(frames), blank)[0])
        for place in rng.integers(0, len(labels), 3).tolist():
            labels[place : place + 2] = rng.integers(1, n_classes, 1).tolist()
        cuts = sorted({0, len(labels), *rng.integers(0, len(labels) + 1, 8).tolist()})
        bounds.append(bounded(frames, labels, blank, list(pairwise(cuts))))
    assert sum(one == (0.0, 0.0) for one in bounds) > 3
    assert sum(0.0 < span_bound < np.inf for _, span_bound in bounds) > 3


def test_an_impossible_text_has_no_place():
    frames = np.full((40, 3), 1 / 3)
    annotate = backends.load("compiled", "annotation").annotate
    assert annotate([(frames, None, (0,) * 21, [(0, 1)])], 2)[0] == (-np.inf, (), (), (0.0,), 0.0, 0.0)
    found = annotate([(frames, None, (0,) * 20, [(0, 1)])], 2)[0]
    assert len(found[1]) == 20
