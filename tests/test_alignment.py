"""Forced alignment: the band against the whole lattice, its bound and proof, long recordings, formats."""

import csv
import io
import json
from math import inf

import numpy as np
import pytest
from conftest import as_array, logs, matrices, peaky, width
from hypothesis import given
from hypothesis import strategies as st

from fastctc import Alphabet, backends, forced_align, forced_align_batch
from fastctc.align import FORMATS, alignment, as_format, probabilities

LETTERS = Alphabet("abcdefghijklmnopqrstuvwxyz .", blank=0)


def search(*arguments, backend="compiled"):
    return backends.load(backend, "viterbi").best_alignment(*arguments)


@st.composite
def texts(draw):
    rows, blank = draw(matrices(max_frames=40, max_classes=5))
    characters = [c for c in range(width(rows, blank)) if c != blank]
    labels = draw(st.lists(st.sampled_from(characters), max_size=25)) if characters else []
    return rows, labels, blank


@given(texts(), st.booleans())
def test_the_twins_agree_ties_included(case, is_log):
    rows, labels, blank = case
    frames = as_array(rows, width(rows, blank))
    frames = logs(frames) if is_log else frames
    arguments = (frames, labels, blank, is_log, inf, inf, 0, True)
    found, expected = search(*arguments), search(*arguments, backend="reference")
    assert found[0] == pytest.approx(expected[0], rel=1e-12)
    assert found[1:4] == (*expected[1:3], 0.0)


@pytest.mark.parametrize("reach", [3.0, 20.0, 100.0])
def test_a_narrow_band_says_how_much_it_may_miss(reach):
    rng = np.random.default_rng(int(reach))
    proven = 0
    for _ in range(300):
        frames = peaky(rng, int(rng.integers(20, 200)), 4)
        labels = rng.integers(0, 3, len(frames) // int(rng.integers(2, 6))).tolist()
        score, first, _, bound, _ = search(frames, labels, 3, True, reach, inf, 0, True)
        best, expected, _, _, _ = search(frames, labels, 3, True, inf, inf, 0, False)
        assert score <= best
        assert bound == inf or best <= score + bound
        if bound == 0.0:
            proven += 1
            assert score == best
            assert first == expected
    assert proven > (0 if reach > 3 else -1)


def test_check_points_change_nothing():
    """A little room and a large one; the little one has to be filled again many times."""
    rng = np.random.default_rng(2)
    frames = peaky(rng, 6000, 6)
    labels = rng.integers(0, 5, 1500).tolist()
    assert search(frames, labels, 5, True, inf, inf, 0, True) == search(
        frames, labels, 5, True, inf, inf, 1 << 30, True
    )


def speaker(n_sentences, seed=3):
    """Frames of a text that is spoken: silence, letters of one or two frames, a few of them wrong."""
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list("etaoinshrdlu"), int(rng.integers(2, 9)))) for _ in range(300)]
    text = " ".join(" ".join(rng.choice(words, int(rng.integers(4, 12)))) + "." for _ in range(n_sentences))
    path, starts = [], []
    for label in LETTERS.encode(text):
        path += [0] * int(rng.integers(1, 3))
        starts.append(len(path))
        path += [label] * int(rng.integers(1, 3))
    path += [0, 0]
    wrong = rng.random(len(path)) < 0.05
    shown = np.where(wrong, rng.integers(0, 29, len(path)), path)
    scores = rng.normal(0, 1, (len(path), 29)).astype(np.float32)
    scores[np.arange(len(path)), shown] += 7
    return text, scores - np.log(np.exp(scores).sum(1, keepdims=True)), np.array(starts)


def test_a_long_recording():
    text, frames, starts = speaker(300)
    assert len(frames) > 2 * probabilities.AT_ONCE  # the probabilities come in stretches
    found = forced_align(frames, text, LETTERS, frame_seconds=0.02)
    first = np.array([character.first for character in found.characters])
    assert np.mean(np.abs(first - starts) > 1) < 0.02
    assert np.abs(first - starts).max() < 30
    assert found.text == text
    assert [word.text for word in found.words] == text.split()
    assert len(found.sentences) == 300
    assert 0.0 < np.mean([word.probability for word in found.words]) < 1.0
    assert found.proven == (found.bound == 0.0)
    proven = forced_align(frames, text, LETTERS, prove=True)
    assert proven.proven
    assert [c.first for c in proven.characters] == first.tolist()


def test_stretches_hardly_change_probabilities(monkeypatch):
    text, frames, _ = speaker(100)
    whole = forced_align(frames, text, LETTERS)
    monkeypatch.setattr(probabilities, "AT_ONCE", 2000)
    monkeypatch.setattr(probabilities, "PIECES", 2)
    parts = forced_align(frames, text, LETTERS)
    assert len(frames) > 8000
    difference = [a.probability - b.probability for a, b in zip(whole.words, parts.words, strict=True)]
    assert 0.0 < np.abs(difference).max() < 1e-6


def test_where_the_whole_lattice_is_too_much_the_band_finds_the_same():
    text, frames, _ = speaker(120)
    labels = LETTERS.encode(text)
    whole = search(frames, labels, 0, True, inf, inf, 1 << 28, False)
    band = search(frames, labels, 0, True, 1000.0, inf, 1 << 28, True)
    assert band[:3] == whole[:3]
    assert band[4] < whole[4] // 2


def test_another_text():
    text, frames, _ = speaker(60, seed=4)
    other, _, _ = speaker(60, seed=5)
    found = forced_align(frames, other[: len(text) - 100], LETTERS)
    assert np.mean([word.probability < 0.1 for word in found.words]) > 0.8


@pytest.mark.slow
def test_another_text_of_a_long_recording(monkeypatch):
    """Where a wide search would be needed, it is said what is wrong; half of the text is enough of it."""
    text, frames, _ = speaker(500, seed=4)
    other, _, _ = speaker(480, seed=5)
    with pytest.raises(ValueError, match=r"does not seem to be what the frames show: .* 9.% of what they lose in any"):
        forced_align(frames, other, LETTERS)
    half = text[: len(text) // 2] + other[: len(text) // 2 - 2000]
    found = forced_align(frames, half, LETTERS)
    assert not found.proven
    quarter = len(text) // 4
    assert found.characters[:quarter] == forced_align(frames, text, LETTERS).characters[:quarter]
    monkeypatch.setattr(alignment, "MOST", 1 << 26)
    with pytest.raises(ValueError, match=r"labels are within 1000 nats of the best in a frame, and no such path"):
        forced_align(frames, other, LETTERS)


def test_threads_and_progress():
    text, frames, _ = speaker(300)
    shares = []
    found = forced_align(frames, text, LETTERS, threads=3, progress=shares.append)
    assert found == forced_align(frames, text, LETTERS)
    assert len(shares) > 4
    assert shares[0] > 0.0
    assert max(shares) == 1.0
    with pytest.raises(ValueError, match="threads must be 1 or more, got 0"):
        forced_align(frames, text, LETTERS, threads=0)
    with pytest.raises(ZeroDivisionError):
        forced_align(frames, text, LETTERS, progress=lambda _: 1 // 0)


def test_more_work_than_is_wanted_is_not_done():
    text, frames, _ = speaker(20)
    labels = LETTERS.encode(text)
    assert search(frames, labels, 0, True, inf, 1000.0, 0, True)[:4] == (-inf, (), (), inf)
    with pytest.raises(ValueError, match="reach must be positive"):
        search(frames, labels, 0, True, 0.0, inf, 0, True)


def test_a_batch_with_threads():
    cases = [speaker(n, seed=n) for n in (1, 3, 5, 2)]
    expected = [forced_align(frames, text, LETTERS) for text, frames, _ in cases]
    for threads in (None, 3):
        found = forced_align_batch([frames for _, frames, _ in cases], [c[0] for c in cases], LETTERS, threads=threads)
        assert found == expected
    with pytest.raises(ValueError, match="sequence 1 of the batch: the text needs"):
        forced_align_batch([cases[0][1]] * 2, [cases[0][0], cases[0][0] * 9], LETTERS)
    with pytest.raises(ValueError, match="one text a sequence, got 1 sequences and 2 texts"):
        forced_align_batch([cases[0][1]], ["a", "b"], LETTERS)


def test_seconds_and_formats():
    text, frames, _ = speaker(6)
    found = forced_align(frames, text, LETTERS, frame_seconds=0.02)
    word = found.words[3]
    assert found.seconds(word) == (word.first * 0.02, (word.last + 1) * 0.02)
    written = {kind: as_format(found, kind, "tape") for kind in FORMATS}
    assert [w["text"] for w in json.loads(written["json"])["words"]] == text.split()
    rows = list(csv.DictReader(io.StringIO(written["csv"])))
    assert len([row for row in rows if row["tier"] == "word"]) == len(found.words)
    assert written["ctm"].splitlines()[0].split()[:2] == ["tape", "1"]
    assert len(written["ctm"].splitlines()) == len(found.words)
    assert written["srt"].startswith("1\n00:00:00,")
    said = " ".join(line for line in written["srt"].splitlines() if line and line[0].isalpha())
    assert said == text
    assert written["vtt"].startswith("WEBVTT\n\n00:00:00.")
    assert written["textgrid"].count("IntervalTier") == 3
    with pytest.raises(ValueError, match="frame_seconds must be positive"):
        forced_align(frames, text, LETTERS, frame_seconds=0)
    with pytest.raises(ValueError, match="one of json, csv, srt, vtt, textgrid, ctm, got 'doc'"):
        as_format(found, "doc")
    with pytest.raises(ValueError, match="times need frame_seconds"):
        as_format(found._replace(frame_seconds=None), "srt")
