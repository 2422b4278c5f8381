"""Thresholds of the beam search: what they drop, and what they say of it."""

import itertools
from math import exp, inf, log, nan

import numpy as np
import pytest

from fastctc import Alphabet, BeamSearch, Lexicon, NGram, backends
from fastctc.search_inputs import Thresholds

BACKENDS = ("reference", "compiled")
LETTERS = Alphabet("abc ")
WORDS = "\n".join(["a b", "b a", "ab a", "ab c b", "cab a b", "a cab", "b b c"])


def random_rows(rng, n_classes):
    """Frames with zeros, ties, one frame, none, and networks that are very sure."""
    rows = rng.random((rng.integers(0, 9), n_classes)) ** rng.choice([1, 4, 20])
    if rng.random() < 0.3:
        rows = np.round(rows, 1)
    rows[rng.random(rows.shape) < rng.choice([0.0, 0.4])] = 0.0
    rows[:, -1] += 1e-3
    return rows / rows.sum(axis=1, keepdims=True)


def random_thresholds(rng):
    return Thresholds(float(rng.choice([0.0, 1e-3, 0.05, 0.3, 1.0])), float(rng.choice([0.0, 1e-4, 0.02, 0.5, 1.0])))


def models(rng):
    """No model, one of characters, words."""
    lm = NGram.train(WORDS, 2, unit=str(rng.choice(["character", "word"])))
    options = [{}, {}, {"lm": lm}, {"lexicon": Lexicon.from_words(["a", "b", "ab", "cab"], LETTERS)}][rng.integers(4)]
    decoder = BeamSearch(LETTERS, **options)
    return decoder._character_model, decoder._lexicon_model


@pytest.mark.parametrize("seed", range(150))
def test_the_twins_agree(seed):
    rng = np.random.default_rng(seed)
    batch = [random_rows(rng, 5) for _ in range(3)]
    width, thresholds, both = int(rng.choice([1, 2, 4, 30])), random_thresholds(rng), models(rng)
    results = []
    for backend in BACKENDS:
        dropped = []
        search = backends.load(backend, "beam_search").beam_search_batch
        found = search(batch, 4, width, width, *both, thresholds, dropped)
        results.append((found, dropped))
    (expected, lost), (found, also_lost) = results
    assert [[labels for labels, _ in beams] for beams in found] == [
        [labels for labels, _ in beams] for beams in expected
    ]
    for one, other in zip(itertools.chain(*found), itertools.chain(*expected), strict=True):
        assert one[1] == pytest.approx(other[1], rel=1e-9, abs=1e-9)
    assert also_lost == pytest.approx(lost, rel=1e-9, abs=1e-12)
    assert all(0 <= x <= 1 for x in lost)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("backend", BACKENDS)
def test_no_text_has_lost_more_than_is_said(backend, seed):
    """With all paths enumerated, and room for all prefixes."""
    rng = np.random.default_rng(seed)
    rows = random_rows(rng, 4)[:5]
    sums = {}
    for path in itertools.product(range(4), repeat=len(rows)):
        labels = tuple(label for label, _ in itertools.groupby(path) if label != 3)
        sums[labels] = sums.get(labels, 0.0) + np.prod([rows[t, label] for t, label in enumerate(path)])
    dropped = []
    search = backends.load(backend, "beam_search").beam_search_batch
    [found] = search([rows], 3, 10_000, 10_000, None, None, random_thresholds(rng), dropped)
    kept = {labels: exp(score) for labels, score in found}
    for labels, p in sums.items():
        assert kept.get(labels, 0.0) <= p + 1e-12
        assert p - kept.get(labels, 0.0) <= dropped[0] + 1e-12
    # Nothing else is lost: here the number is not only a bound.
    assert sum(sums.values()) - sum(kept.values()) == pytest.approx(dropped[0], abs=1e-12)


def test_thresholds_are_off_by_default():
    rng = np.random.default_rng(0)
    rows = random_rows(rng, 5)
    plain, off = BeamSearch(LETTERS), BeamSearch(LETTERS, token_min_log_prob=-inf, beam_prune_log_prob=-inf)
    assert plain == off
    assert plain.decode(probs=rows) == off.decode(probs=rows)
    assert plain.decode(probs=rows)[0].dropped == 0.0


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_dropped(backend):
    probs = [[0.9, 0.06, 0.0, 0.0, 0.04], [0.02, 0.0, 0.0, 0.0, 0.98]]
    found = BeamSearch(LETTERS, token_min_log_prob=log(0.05), n_best=9, backend=backend).decode(probs=probs)
    assert [one.text for one in found] == ["a", "b"]
    assert [one.dropped for one in found] == [pytest.approx(0.04 + 0.96 * 0.02)] * 2
    found = BeamSearch(LETTERS, beam_prune_log_prob=log(0.05), n_best=9, backend=backend).decode(probs=probs)
    assert [one.text for one in found] == ["a", "b"]
    # the empty prefix in the first frame, "ba" in the second
    assert [one.dropped for one in found] == [pytest.approx(0.04 + 0.06 * 0.02)] * 2
    found = BeamSearch(LETTERS, token_min_log_prob=0.0, backend=backend).decode(probs=probs)
    assert [one.text for one in found] == ["a"]  # the most probable class always counts
    assert found[0].dropped == pytest.approx(0.1 + 0.9 * 0.02)
    assert found[0].log_prob == pytest.approx(BeamSearch(LETTERS).decode(probs=probs)[0].log_prob)


@pytest.mark.parametrize("backend", BACKENDS)
def test_streams_and_batches(backend):
    rng = np.random.default_rng(3)
    rows = [random_rows(rng, 5) for _ in range(6)]
    decoder = BeamSearch(LETTERS, 4, token_min_log_prob=-3.0, beam_prune_log_prob=-4.0, n_best=4, backend=backend)
    found = [decoder.decode(probs=one) for one in rows]
    batched = decoder.decode_batch(probs=rows, threads=2)
    assert [[one.labels for one in beams] for beams in batched] == [[one.labels for one in beams] for beams in found]
    assert [beams[0].dropped for beams in batched] == [beams[0].dropped for beams in found]
    assert any(beams[0].dropped > 0 for beams in found)
    for one, expected in zip(rows, found, strict=True):
        stream = decoder.stream()
        for row in one:
            stream.push(probs=row[None])
        whole = stream.finish()
        assert [(h.labels, h.dropped) for h in whole] == [(h.labels, h.dropped) for h in expected]


@pytest.mark.parametrize("value", [0.5, nan, inf])
@pytest.mark.parametrize("name", ["token_min_log_prob", "beam_prune_log_prob"])
def test_thresholds_above_one(name, value):
    with pytest.raises(ValueError, match=f"{name} must not be above 0, got {value}"):
        BeamSearch(LETTERS, **{name: value})
    for bad in (Thresholds(value + 1, 0.0), Thresholds(0.0, value + 1), Thresholds(-0.1, 0.0)):
        with pytest.raises(ValueError, match="thresholds must be 0 to 1"):
            backends.load("compiled", "beam_search").beam_search(np.ones((1, 2)), 0, 1, 1, None, None, bad)


def test_long_sequences_keep_their_place():
    """Frames in which all beams stay where they are, between others, and beams whose texts are equally probable."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        rows = rng.random((60, 5)) ** 12
        sure = rng.random(60) < 0.7
        rows[sure] = [1e-9, 1e-9, 1e-12, 0.0, 1.0]
        rows[~sure] = np.round(rows[~sure], 1) + np.array([0.1, 0.1, 0.0, 0.0, 0.1])
        rows /= rows.sum(axis=1, keepdims=True)
        width, thresholds = int(rng.choice([1, 3, 20])), [None, random_thresholds(rng)][rng.integers(2)]
        expected, found = (
            backends.load(b, "beam_search").beam_search(rows, 4, width, width, None, None, thresholds) for b in BACKENDS
        )
        assert [labels for labels, _ in found] == [labels for labels, _ in expected]
        assert [score for _, score in found] == pytest.approx([score for _, score in expected], rel=1e-9)
