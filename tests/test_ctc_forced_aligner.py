"""The drop-in for ctc_forced_aligner: paths, segments, spans and times."""

import numpy as np
import pytest

from fastctc import Alphabet, forced_align
from fastctc.compat import ctc_forced_aligner as ours

DICTIONARY = {"<blank>": 0, "a": 1, "b": 2, "c": 3, "<star>": 4}


def emissions(shown, rng=None):
    """Frames of letters, "_" for the blank; with the star's column of zeros."""
    scores = np.full((len(shown), 4), np.log(0.02), np.float32)
    scores[np.arange(len(shown)), ["_abc".index(letter) for letter in shown]] = np.log(0.94)
    if rng is not None:
        scores += rng.normal(0, 1, scores.shape).astype(np.float32)
        scores -= np.log(np.exp(scores).sum(1, keepdims=True))
    return np.hstack([scores, np.zeros((len(shown), 1), np.float32)])


def test_words_and_stars():
    tokens = ["<star>", "a b", "<star>", "c"]
    rows = emissions("__aab_b_c__c_")
    segments, scores, blank = ours.get_alignments(rows, tokens, DICTIONARY)
    assert blank == 0
    assert segments[0].start == 0
    assert segments[-1].end == len(rows) - 1
    assert [s.label for s in segments if s.label != "<blank>"] == ["<star>", "a", "b", "<star>", "c"]
    spans = ours.get_spans(tokens, segments, "<blank>")
    assert [[s.label for s in span if s.label != "<blank>"] for span in spans] == [
        ["<star>"],
        ["a", "b"],
        ["<star>"],
        ["c"],
    ]
    found = ours.postprocess_results(["<star>", "Ab", "<star>", "C"], spans, 20, scores)
    assert [word["text"] for word in found] == ["Ab", "C"]
    assert found[0]["start"] == spans[1][0].start * 0.02
    assert found[0]["end"] == spans[1][-1].end * 0.02
    assert found[0]["score"] == scores[spans[1][0].start : spans[1][-1].end].sum()


def test_blanks_are_shared():
    """Half of the blanks between two words belongs to each; all of them at the ends of the text."""
    shown = [("<blank>", 0, 3), ("a", 4, 4), ("<blank>", 5, 5), ("b", 6, 6), ("<blank>", 7, 10), ("c", 11, 12)]
    segments = [ours.Segment(*one) for one in [*shown, ("<blank>", 13, 19)]]
    spans = ours.get_spans(["a b", "c"], segments, "<blank>")
    assert [(span[0].start, span[-1].end) for span in spans] == [(0, 8), (8, 19)]
    with_empty = ours.get_spans(["a b", "", "c"], segments, "<blank>")
    assert [(span[0].start, span[-1].end) for span in with_empty] == [(0, 8), (5, 8), (8, 19)]
    assert repr(segments[1]) == "a: [    4,     4)"
    assert segments[0].length == 3
    for tokens in (["a"], ["a b", "b"], ["a b", "c", "a"]):
        with pytest.raises(AssertionError):
            ours.get_spans(tokens, segments, "<blank>")


def test_the_path_is_the_best():
    rng = np.random.default_rng(0)
    alphabet = Alphabet("abc*", blank=0)
    for _ in range(50):
        rows = emissions("".join(rng.choice(list("_abc"), 30)), rng)
        labels = rng.integers(1, 5, 8)
        paths, scores = ours.forced_align(rows[None], labels[None])
        best = forced_align(scores=rows, text=labels.tolist(), alphabet=alphabet)
        assert scores.sum() == pytest.approx(best.log_prob, rel=1e-5)
        assert paths.shape == (1, 30)
        assert paths.dtype == np.int64
        letters = {number: letter for letter, number in DICTIONARY.items()}
        merged = ours.merge_repeats(paths[0].tolist(), letters)
        assert [DICTIONARY[s.label] for s in merged if s.label != "<blank>"] == labels.tolist()
        assert sum(s.length + 1 for s in merged) == 30


def test_errors():
    rows = emissions("abc")
    for arguments, kind, message in (
        ((rows[None], np.array([[1, 0]])), ValueError, "shouldn't contain blank"),
        ((rows[None], np.array([[7]])), ValueError, "less than the CTC dimension"),
        ((rows[None], np.array([[1, 1, 2]])), RuntimeError, "targets length is too long for CTC"),
        ((rows, np.array([[1]])), RuntimeError, "log_probs must be"),
        ((rows[None].astype(float), np.array([[1]])), AssertionError, "float32"),
        ((rows[None], np.array([[1]]), None, None, 9), ValueError, "blank must be within"),
    ):
        with pytest.raises(kind, match=message):
            ours.forced_align(*arguments)
    with pytest.raises(AssertionError, match="Empty transcript"):
        ours.get_alignments(rows, [], DICTIONARY)
    assert ours.merge_repeats([], {}) == []


def test_close_segments_are_joined():
    found = [{"start": 0.0, "end": 1.0}, {"start": 1.2, "end": 2.0}, {"start": 4.0, "end": 5.0}]
    ours.merge_segments(found, 0.5)
    assert [segment["start"] for segment in found] == [0.0, 1.0, 4.0]
