"""Texts that say less, more or something else than their recordings."""

import csv
import io
import json

import numpy as np
import pytest

from bench import workloads
from fastctc import Alphabet, forced_align, forced_align_batch
from fastctc.__main__ import main
from fastctc.align import as_format, probabilities, reading

LETTERS = Alphabet("abcdefghijklmnopqrstuvwxyz .", blank=0)


def say(text, alphabet=LETTERS, price=6.0):
    """Frames of a text, a frame for each character and a blank behind it."""
    labels = alphabet.encode(text)
    scores = np.random.default_rng(len(text)).normal(0, 0.5, (2 * len(labels) + 1, alphabet.n_classes))
    scores[0::2, alphabet.blank] += price
    scores[np.arange(len(labels)) * 2 + 1, labels] += price
    return (scores - np.log(np.exp(scores).sum(1, keepdims=True))).astype(np.float32)


def starts(found):
    return [(word.text, word.first, word.n_frames > 0) for word in found.words]


SAID = "one two three four five"


def at(word):
    return 2 * SAID.index(word) + 1


def test_a_star_stands_for_anything_or_nothing():
    found = forced_align(say(SAID), "one * four * five", LETTERS, star=1.0)
    assert starts(found) == [("one", at("one"), True), ("four", at("four"), True), ("five", at("five"), True)]
    assert found.text == "one * four * five"
    # The second star stands for the blank space, the first for two words and the blank spaces around.
    assert found.stars == ((2 * 3 + 1, at("four") - 2), (at("five") - 2, at("five") - 2))
    assert found.proven
    at_ends = forced_align(say(SAID), "* two three *", LETTERS, star=1.0)
    assert [word.first for word in at_ends.words] == [at("two"), at("three")]
    assert len(at_ends.stars) == 2
    with pytest.raises(ValueError, match=r"got '\*' at position 4"):
        forced_align(say(SAID), "one * four", LETTERS)
    with pytest.raises(ValueError, match="star must be a price of 0 nats or more, got -1"):
        forced_align(say(SAID), "one * four", LETTERS, star=-1)


def test_text_that_is_not_said_is_left_out():
    found = forced_align(say(SAID), "one two and a half three four five", LETTERS, skip_text=2.0)
    expected = [(word, at(word), True) for word in ("one", "two")]
    expected += [(word, at("three") - 2, False) for word in ("and", "a", "half")]
    expected += [(word, at(word), True) for word in ("three", "four", "five")]
    assert starts(found) == expected
    assert [word.missing for word in found.words] == [False] * 2 + [True] * 3 + [False] * 3
    assert [word.probability for word in found.words if word.missing] == [0.0] * 3
    assert found.stars == ()
    assert [character.text for character in found.characters] == list(SAID)
    assert not found.sentences[0].missing


def test_audio_that_is_not_in_the_text_is_skipped():
    found = forced_align(say("so " + SAID + " and six"), "one two five", LETTERS, skip_audio=2.0)
    assert [word.first for word in found.words] == [6 + at(word) for word in ("one", "two", "five")]
    assert [word.missing for word in found.words] == [False] * 3
    assert len(found.stars) == 3
    assert all(word.probability > 0.4 for word in found.words)


def test_where_nothing_is_skipped_nothing_changes():
    plain = forced_align(say(SAID), SAID, LETTERS)
    found = forced_align(say(SAID), SAID, LETTERS, skip_audio=3.0, skip_text=3.0, star=3.0)
    assert found._replace(log_prob=plain.log_prob) == plain
    assert found.log_prob == pytest.approx(plain.log_prob, rel=1e-12)


def test_alternatives_and_spoken_forms():
    found = forced_align(
        say(SAID), "1 two 3, four 5", LETTERS, alternatives={"1": "one", "3": ["tree", "three"], "5": ["five"]}
    )
    assert [word.spoken for word in found.words] == ["one", None, "three", None, "five"]
    assert [word.first for word in found.words] == [at(word) for word in SAID.split()]
    assert [word.text for word in found.words] == ["1", "two", "3,", "four", "5"]
    # What is written comes first, where it can be spelled; a form may have several words.
    found = forced_align(say(SAID), "one 23 four five", LETTERS, alternatives={"23": "two three", "four": "for"})
    assert [word.spoken for word in found.words] == [None, "two three", None, None]
    said = {"1": "one", "-": "", "2": ("too", "two")}
    found = forced_align(say(SAID), "1 - 2 three four five", LETTERS, spoken=lambda word: said.get(word, word))
    assert [word.spoken for word in found.words] == ["one", "", "two", None, None, None]
    assert starts(found)[1] == ("-", at("two") - 2, False)
    assert not found.words[1].missing
    with pytest.raises(ValueError, match="got '7' at position 0 of '7'"):
        forced_align(say(SAID), "one 7", LETTERS, alternatives={"8": "eight"})
    with pytest.raises(TypeError, match="the forms of a word must be strings"):
        forced_align(say(SAID), "one two", LETTERS, spoken=lambda _: [1])


def test_other_alphabets_and_labels():
    pieces = Alphabet(["▁one", "▁tw", "o", "▁", "three"], word_begin="▁")
    found = forced_align(say("one two three", pieces), "one * three", pieces, star=1.0)
    assert [(word.text, word.first) for word in found.words] == [("one", 1), ("three", 7)]
    labels = LETTERS.encode("one two five")
    by_labels = forced_align(say(SAID), labels, LETTERS, skip_audio=2.0)
    assert by_labels == forced_align(say(SAID), "one two five", LETTERS, skip_audio=2.0)
    assert forced_align(say(SAID), (), LETTERS, skip_audio=2.0).stars == ((1, 2 * len(SAID) - 1),)


def test_words_that_are_not_there_are_flagged():
    found = forced_align(say(SAID), "one two zebra four five", LETTERS)
    assert [word.missing for word in found.words] == [False, False, True, False, False]
    assert not found.sentences[0].missing
    other = forced_align(say("say this. " + SAID), "say this. quack zebra who.", LETTERS)
    assert [sentence.missing for sentence in other.sentences] == [False, True]
    left_out = forced_align(say("say this."), "say this. who are you.", LETTERS, skip_text=1.0)
    assert [(s.text, s.missing) for s in left_out.sentences] == [("say this.", False), ("who are you.", True)]


def test_no_frames_and_no_way():
    nothing = np.empty((0, LETTERS.n_classes))
    assert starts(forced_align(nothing, "one two", LETTERS, skip_text=1.0)) == [("one", 0, False), ("two", 0, False)]
    with pytest.raises(ValueError, match="no path through the frames reads as the text"):
        forced_align(say("a"), "one two", LETTERS, skip_audio=1.0)


def judged(case, found):
    """Shares of the words that are said: those within a frame of their place, those flagged; and of the others."""
    said = case.starts[:, 0] >= 0
    off = np.abs(np.array([word.first for word in found.words])[:, None] - case.starts).min(axis=1)
    there = np.array([word.n_frames > 0 for word in found.words])
    missing = np.array([word.missing for word in found.words])
    return ((off <= 1) & there)[said].mean(), missing[said].mean(), missing[~said].mean() if not said.all() else None


def test_paragraphs_that_only_one_side_has():
    """Of the words that both have, nearly as many are found as where both have all."""
    whole = workloads.speaker(12, seed=5)
    placed, flagged, _ = judged(whole, forced_align(whole.frames, whole.text, workloads.SPEAKER))
    assert placed > 0.97
    assert flagged < 0.05
    case = workloads.speaker(16, seed=6, skipped=0.2, inserted=0.2, repeated=0.1)
    assert 0.6 < np.mean(case.starts[:, 0] >= 0) < 0.95
    found = forced_align(case.frames, case.text, workloads.SPEAKER, skip_text=2.0, skip_audio=2.0)
    here, flagged, known = judged(case, found)
    assert here > placed - 0.04
    assert flagged < 0.05
    assert known > 0.7  # the others were found in what only the recording has
    plain, _, _ = judged(case, forced_align(case.frames, case.text, workloads.SPEAKER))
    assert plain < here


def test_long_recordings_stay_within_the_memory(monkeypatch):
    """In a band the same is found, and it is said that it is not proven."""
    case = workloads.speaker(10, seed=7, skipped=0.2, inserted=0.2)
    arguments = case.frames, case.text, workloads.SPEAKER
    prices = {"skip_text": 2.0, "skip_audio": 2.0}
    whole = forced_align(*arguments, **prices, prove=True)
    assert whole.proven
    monkeypatch.setattr(reading, "WHOLE", 0)
    monkeypatch.setattr(probabilities, "AT_ONCE", 2000)
    shares = []
    band = forced_align(*arguments, **prices, memory=16 << 20, threads=2, progress=shares.append)
    assert not band.proven
    assert [word[:3] for word in band.words] == [word[:3] for word in whole.words]
    assert np.allclose([w.probability for w in band.words], [w.probability for w in whole.words], atol=1e-5)
    assert max(shares) == 1.0


def test_batches_take_the_same_options():
    texts = ["one * five", "one five"]
    options = {"star": 1.0, "skip_audio": 2.0}
    found = forced_align_batch([say(SAID)] * 2, texts, LETTERS, **options)
    assert found == [forced_align(say(SAID), text, LETTERS, **options) for text in texts]
    with pytest.raises(ValueError, match="sequence 0 of the batch: a text must"):
        forced_align_batch([say(SAID)], ["1"], LETTERS, **options)


def test_what_is_left_out_is_in_tables_and_in_no_subtitle():
    found = forced_align(say(SAID), "one two zebra three * five", LETTERS, star=1.0, skip_text=2.0, frame_seconds=0.5)
    record = json.loads(as_format(found, "json"))
    assert [word["missing"] for word in record["words"]] == [False, False, True, False, False]
    assert record["stars"] == [{"start": (2 * 13 + 1) * 0.5, "end": (2 * 18 + 2) * 0.5}]
    rows = list(csv.DictReader(io.StringIO(as_format(found, "csv"))))
    assert [row["missing"] for row in rows if row["tier"] == "word"] == ["0", "0", "1", "0", "0"]
    for kind in ("srt", "vtt", "ctm", "textgrid"):
        written = as_format(found, kind)
        assert "three" in written
        assert kind == "textgrid" or "zebra" not in written


def test_command(tmp_path, capsys):
    np.save(tmp_path / "a.npy", say(SAID))
    (tmp_path / "letters.txt").write_text("abcdefghijklmnopqrstuvwxyz .")
    (tmp_path / "forms.json").write_text('{"2": ["to", "two"], "1": "one"}')
    arguments = ["align", str(tmp_path / "a.npy"), "--alphabet", str(tmp_path / "letters.txt"), "--blank", "0"]
    options = ["--star", "1", "--skip-text", "2", "--skip-audio", "2", "--alternatives", str(tmp_path / "forms.json")]
    assert main([*arguments, "--text", "1 2 zebra * five", *options]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[4:] for row in rows] == [["1"], ["2"], ["zebra", "missing"], ["five"]]
    for content, message in (("{", "must be JSON"), ("[1]", "must map words"), ('{"a": 1}', "must map words")):
        (tmp_path / "forms.json").write_text(content)
        with pytest.raises(SystemExit):
            main([*arguments, "--text", "a", *options])
        assert message in capsys.readouterr().err
