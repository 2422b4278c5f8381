"""Words fused into the beam search: against adding everything up for every text, the reference, and in streams."""

import json
from itertools import product
from math import exp, inf, log

import numpy as np
import pytest
from adversarial import adversarial_rows
from brute_force import text_probabilities
from conftest import ENTRIES, as_array, peaky
from hypothesis import given, settings
from hypothesis import strategies as st

from fastctc import Alphabet, BeamSearch, Lexicon, NGram, backends, edit_distance, tune
from fastctc.__main__ import main

ADVERSARIAL = st.builds(
    lambda seed, n_frames: adversarial_rows(np.random.default_rng(seed), n_frames, 5).tolist(),
    st.integers(0, 1 << 32),
    st.integers(0, 5),
)
FRAMES = st.lists(st.lists(ENTRIES, min_size=5, max_size=5).filter(any), max_size=5) | ADVERSARIAL
BACKENDS = ("reference", "compiled")
CHARACTERS = "abc "
ALPHABET = Alphabet(CHARACTERS)
LEXICON = Lexicon.from_words(["a", "ab", "abc", "ca", "bb"], ALPHABET)
LM = NGram.train(["a ab ca", "ca a", "abc a ca", "bb a ab", "cc ca"], 2, unit="word")
CASES = {
    "closed": {"lm": LM, "lexicon": LEXICON, "lm_weight": 0.7, "word_bonus": 0.5},
    "the model's words": {"lm": LM, "lm_weight": 1.3},
    "open": {"lm": LM, "lexicon": LEXICON, "unknown_log_prob": -4.0, "word_bonus": -0.5},
    "lexicon alone": {"lexicon": LEXICON, "word_bonus": 0.3},
    "hot words": {"hot_words": {"ab": 2.0, "ca a": 3.0, "b": -1.0}},
    "everything": {"lm": LM, "unknown_log_prob": -6.0, "word_bonus": 0.4, "hot_words": {"abc": 1.5, "a ca": 2.0}},
    "closed and hot": {"lm": LM, "lexicon": LEXICON, "hot_words": {"cab": 2.0, "ca": 0.5}},
}


def hot_reward(text, hot):
    """Phrases are matched from the beginning of a word on, as far as it goes; longer ones go on from shorter ones."""
    total, now = 0.0, None
    labels = list(text)
    for i, label in enumerate([*labels, None]):
        is_word = label is not None and label != " "
        starts = is_word and (i == 0 or labels[i - 1] == " ")
        ends = not is_word and i > 0 and labels[i - 1] != " "
        if ends and now in hot:
            total += hot[now]
        if now is not None and label is not None and any(phrase.startswith(now + label) for phrase in hot):
            now = now + label
        elif starts and any(phrase.startswith(label) for phrase in hot):
            now = label
        else:
            now = None
    return total


def expected_score(text, log_prob, options):
    """log P(text) and everything that is added to it; None if the text must not be."""
    lm, lexicon, unknown = options.get("lm"), options.get("lexicon"), options.get("unknown_log_prob")
    hot = options.get("hot_words", {})
    words = [word for word in text.split(" ") if word]
    allowed = (
        set(lexicon.all_words()) if lexicon else {w for w in lm.vocabulary if set(w) <= set("abc")} if lm else None
    )
    if allowed is not None:
        allowed |= {word for phrase in hot for word in phrase.split(" ")}
    score = log_prob + hot_reward(text, hot) + options.get("word_bonus", 0.0) * len(words)
    lm_log_prob = 0.0
    for i, word in enumerate(words):
        known = allowed is None or word in allowed
        if not known and unknown is None:
            return None
        if lm is not None:
            # What is not in the lexicon is unknown to the model too, as history.
            history = [w if allowed is None or w in allowed else "?" for w in words[:i]]
            lm_log_prob += lm.log_probs_of([*history, word])[-1] if known else unknown
    return score + options.get("lm_weight", 0.5) * lm_log_prob if lm else score


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=40)
@given(FRAMES)
def test_a_wide_beam_finds_the_best_texts(case, rows):
    blank, options = 4, CASES[case]
    texts = text_probabilities(rows, blank, 5)
    scores = {}
    for labels, p in texts.items():
        text = ALPHABET.decode(labels)
        score = expected_score(text, log(p), options) if p > 0 else None
        if score is not None and score > -inf:
            scores[text] = score
    for backend in BACKENDS:
        decoder = BeamSearch(ALPHABET, 2000, n_best=2000, exact=False, backend=backend, **options)
        found = {h.text: h.score for h in decoder.decode(probs=normalised(rows)[0])}
        scale = normalised(rows)[1]
        finished = {text: score for text, score in found.items() if text in scores}
        assert finished.keys() == scores.keys()
        for text, score in finished.items():
            assert score + scale == pytest.approx(scores[text], rel=1e-5, abs=1e-5)
        # Those that end within a word come last.
        assert list(found)[: len(finished)] == sorted(finished, key=lambda text: list(found).index(text))


def normalised(rows):
    sums = [sum(row) for row in rows]
    return [[p / total for p in row] for row, total in zip(rows, sums, strict=True)], sum(map(log, sums))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("beam_width", [1, 6, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("seed", range(4))
def test_twins(case, beam_width, seed):
    rng = np.random.default_rng(seed)
    log_probs = peaky(rng, 50, 5) / [1, 2][seed % 2]
    log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
    a, b = (
        BeamSearch(ALPHABET, beam_width, n_best=beam_width, backend=x, **CASES[case]).decode(log_probs)
        for x in BACKENDS
    )
    assert [h.labels for h in a] == [h.labels for h in b]
    assert [h.score for h in a] == pytest.approx([h.score for h in b], rel=1e-12)
    assert [h.lm_log_prob for h in a] == [h.lm_log_prob for h in b]
    options = CASES[case]
    for one in a[:3]:
        expected = expected_score(one.text, one.log_prob, options)
        if expected is not None:
            assert one.score <= expected + 1e-6


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_streams(case, seed, backend):
    rng = np.random.default_rng(seed)
    log_probs = peaky(rng, 60, 5)
    decoder = BeamSearch(ALPHABET, 8, backend=backend, **CASES[case])
    [whole] = decoder.decode(log_probs)
    for commit in (False, True):
        stream, text = decoder.stream(), ""
        for piece in np.array_split(log_probs, 7):
            stream.push(piece)
            text += stream.commit().text if commit else ""
        [rest] = stream.finish()
        assert text + rest.text == whole.text
        assert rest.score == pytest.approx(whole.score, rel=1e-9)
        assert rest.lm_log_prob == (None if whole.lm_log_prob is None else pytest.approx(whole.lm_log_prob))


@given(FRAMES, st.integers(1, 9), st.sampled_from(sorted(CASES)))
def test_twins_on_odd_matrices(rows, beam_width, name):
    words = BeamSearch(ALPHABET, **CASES[name])._lexicon_model
    a, b = (
        backends.load(x, "beam_search").beam_search(as_array(rows, 5), 4, beam_width, beam_width, None, words)
        for x in BACKENDS
    )
    assert [labels for labels, _ in b] == [labels for labels, _ in a]
    assert [score for _, score in b] == pytest.approx([score for _, score in a], rel=1e-12)


PIECES = Alphabet(["▁a", "▁ca", "b", "c"], word_begin="▁")
PIECE_CASES = {
    "closed": {"lm": LM, "lexicon": Lexicon.from_words(["a", "ab", "ca", "cac"], PIECES), "word_bonus": 0.5},
    "open": {"lm": LM, "unknown_log_prob": -3.0},
    "hot": {"hot_words": {"ab": 1.0, "a ca": 2.0}, "word_bonus": -0.3},
    "both": {"lm": LM, "unknown_log_prob": -3.0, "character_lm": NGram.train("ab ca cab", 2), "character_bonus": 0.2},
    "ends": {"lm": LM, "character_lm": NGram.train(["ab", "ca cab"], 2, sentences=True)},
}
LETTERS = NGram.train("a ab ca ca a abc a ca bb a ab", 3)
BOTH = {"lm": LM, "lm_weight": 0.6, "character_lm": LETTERS, "character_lm_weight": 0.4, "character_bonus": 0.1}


@pytest.mark.parametrize("case", ["closed", "open"])
@settings(max_examples=40)
@given(FRAMES)
def test_pieces_make_words(case, rows):
    options = PIECE_CASES[case]
    decoder = BeamSearch(PIECES, 2000, n_best=2000, exact=False, **options)
    lexicon = decoder._tracker.lexicon
    known = {lexicon.word_labels(i) for i in range(len(lexicon))}
    scale = normalised(rows)[1]
    scores = {}
    for labels, p in text_probabilities(rows, 4, 5).items():
        words = [labels[a:b] for a, b in PIECES.words(labels)]
        if p == 0 or (case == "closed" and not known.issuperset(words)):
            continue
        total = 0.0
        for i, word in enumerate(words):
            history = [PIECES.decode(w) if w in known else "?" for w in words[:i]]
            value = LM.log_probs_of([*history, PIECES.decode(word)])[-1]
            total += value if word in known else options["unknown_log_prob"]
        scores[labels] = log(p) + 0.5 * total + options.get("word_bonus", 0.0) * len(words)
    found = {h.labels: h.score for h in decoder.decode(probs=normalised(rows)[0])}
    assert scores.keys() <= found.keys()
    for labels, score in scores.items():
        assert found[labels] + scale == pytest.approx(score, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("case", PIECE_CASES)
@pytest.mark.parametrize("seed", range(4))
def test_twins_of_pieces(case, seed):
    rng = np.random.default_rng(seed)
    log_probs = peaky(rng, 40, 5) / 2
    log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
    a, b = (BeamSearch(PIECES, 12, n_best=12, backend=x, **PIECE_CASES[case]).decode(log_probs) for x in BACKENDS)
    assert [h.labels for h in a] == [h.labels for h in b]
    assert [h.score for h in a] == pytest.approx([h.score for h in b], rel=1e-12)
    assert [h.lm_log_prob for h in a] == [h.lm_log_prob for h in b]


@pytest.mark.parametrize("letters", [LETTERS, NGram.train(["a ab", "ca", "abc a", "ca bb"], 3, sentences=True)])
@settings(max_examples=60)
@given(rows=FRAMES)
def test_words_and_characters_together(letters, rows):
    probs, scale = normalised(rows)
    words = {"lm": LM, "lm_weight": 0.6}
    options = BOTH | {"character_lm": letters}
    texts = text_probabilities(rows, 4, 5)
    for backend in BACKENDS:
        for one in BeamSearch(ALPHABET, 2000, n_best=50, exact=False, backend=backend, **options).decode(probs=probs):
            expected = expected_score(one.text, log(texts[one.labels]), words)
            if expected is not None:
                expected += 0.4 * letters.score(one.text) + 0.1 * len(one.text)
                assert one.score + scale == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_streams_of_words_and_characters(backend):
    log_probs = peaky(np.random.default_rng(0), 60, 5)
    decoder = BeamSearch(ALPHABET, 8, backend=backend, **BOTH)
    [whole] = decoder.decode(log_probs)
    stream, text = decoder.stream(), ""
    for piece in np.array_split(log_probs, 7):
        stream.push(piece)
        text += stream.commit().text
    [rest] = stream.finish()
    assert (text + rest.text, rest.score) == (whole.text, pytest.approx(whole.score))


def test_a_hot_word_survives_a_narrow_beam():
    """Letter by letter the name is a little worse than what the network prefers."""
    letters = [[0.1, 0.3, 0.6, 0, 0], [0.4, 0, 0.6, 0, 0], [0.1, 0.3, 0.6, 0, 0]]
    blank = [0, 0, 0, 0, 1.0]
    probs = [row for letter in letters for row in (letter, blank)]
    assert BeamSearch(ALPHABET, 2).decode(probs=probs)[0].text == "ccc"
    assert BeamSearch(ALPHABET, 2, hot_words={"bab": 4.0}).decode(probs=probs)[0].text == "bab"
    assert BeamSearch(ALPHABET, 2, hot_words={"baba": 4.0}).decode(probs=probs)[0].text == "ccc"  # taken back


def test_rescoring():
    rng = np.random.default_rng(1)
    log_probs = peaky(rng, 40, 5) / 2
    log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
    options = CASES["open"]
    for one in BeamSearch(ALPHABET, 20, rescore=True, **options).decode(log_probs):
        expected = expected_score(one.text, one.log_prob, options)
        best = max(
            expected_score(h.text, h.log_prob, options)
            for h in BeamSearch(ALPHABET, 20, n_best=20, **options).decode(log_probs)
        )
        assert expected == pytest.approx(best)


def test_what_the_compiled_search_refuses():
    beams = backends.load("compiled", "beam_search").Beams
    words = BeamSearch(ALPHABET, **CASES["everything"])._lexicon_model
    beams(5, 4, None, words)
    hot = words.hot
    for change, message in (
        ({"fusion": words.fusion._replace(weight=-1.0)}, "weight and bonus"),
        ({"fusion": words.fusion._replace(bonus=inf)}, "weight and bonus"),
        ({"fusion": words.fusion._replace(unknown=1.0)}, "unknown must be"),
        ({"hot": hot._replace(ends=hot.ends[1:])}, "equally long"),
        ({"hot": hot._replace(ends=hot.ends - 1)}, "no part of a tree"),
        ({"hot": hot._replace(partial=hot.partial * np.nan)}, "no part of a tree"),
    ):
        with pytest.raises(ValueError, match=message):
            beams(5, 4, None, words._replace(**change))


def test_the_real_line(real, shared):
    log_probs, alphabet = real["iam_line"]
    letters = {c for c in alphabet.characters if c.isalpha() or c == "'"}
    alphabet = Alphabet(alphabet.characters, alphabet.blank, letters)
    lm = NGram.from_arpa(shared / "lm" / "english_3gram.arpa")
    for beam_width, (weight, bonus) in product((25, 100), ((0.5, 1.5), (1.0, 3.0))):
        [found] = BeamSearch(alphabet, beam_width, lm=lm, lm_weight=weight, word_bonus=bonus).decode(log_probs)
        assert found.text.startswith("the fake friend of the family")
        assert all(word.text in lm.vocabulary for word in found.words)
    assert exp(found.log_prob) == pytest.approx(found.confidence)


def made_lines(n):
    """Frames of sentences, in which some letters are nearly as probable as the true ones."""
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(["a", "ab", "abc", "ca", "bb"], 4)) for _ in range(n)]
    frames = []
    for text in texts:
        scores = rng.normal(0, 1, (2 * len(text), 5))
        scores[1::2, 4] += 6
        scores[np.arange(0, 2 * len(text), 2), ALPHABET.encode(text)] += 2.5
        frames.append(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))
    return frames, texts


@pytest.mark.parametrize("lm", [LM, NGram.train("a ab ca ca a abc a ca bb a ab", 3)], ids=["words", "characters"])
def test_tuning(lm):
    frames, texts = made_lines(8)
    decoder = BeamSearch(ALPHABET, 6, lm=lm, lm_weight=2.9, n_best=2)
    seen = []
    found = tune(decoder, frames, texts, n_trials=12, seed=1, report=seen.append)
    assert found.trials == tuple(seen)
    assert len(seen) == 12
    assert seen[0].lm_weight == 2.9
    assert found.best.cer == min(trial.cer for trial in seen) < seen[0].cer
    assert tune(decoder, frames, texts, n_trials=12, seed=1, threads=2).trials == found.trials
    assert tune(decoder, frames, texts, n_trials=12, seed=2).trials != found.trials
    texts_found = [best[0].text for best in found.decoder.decode_batch(frames)]
    errors = sum(edit_distance(a, b) for a, b in zip(texts_found, texts, strict=True))
    assert found.best.cer == errors / sum(map(len, texts))
    assert found.decoder.n_best == 2
    worst = tune(decoder, frames, texts, n_trials=12, seed=1, measure="wer")
    assert worst.best.wer == min(trial.wer for trial in worst.trials)


def test_bad_tuning():
    frames, texts = made_lines(2)
    decoder = BeamSearch(ALPHABET, 3, lm=LM)
    for arguments, options, message in (
        ((BeamSearch(ALPHABET), frames, texts), {}, "must have a language model"),
        ((decoder, frames, texts[:1]), {}, "one text a sequence"),
        ((decoder, [], []), {}, "some text"),
        ((decoder, frames, texts), {"measure": "ter"}, "measure must be"),
        ((decoder, frames, texts), {"n_trials": 0}, "n_trials must be"),
    ):
        with pytest.raises(ValueError, match=message):
            tune(*arguments, **options)


def test_the_command_that_tunes(tmp_path, capsys):
    frames, texts = made_lines(4)
    for i, (values, text) in enumerate(zip(frames, texts, strict=True)):
        np.save(tmp_path / f"{i}.npy", values)
        (tmp_path / f"{i}.txt").write_text(text + "\n")
    LM.save(tmp_path / "model")
    arguments = ["tune", str(tmp_path), "--chars", CHARACTERS, "--lm", str(tmp_path / "model"), "--trials", "5"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert lines[-1].startswith("best: --lm-weight ")
    assert "--word-bonus" in lines[-1]
    assert main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert len(result["trials"]) == 5
    assert result["best"] in result["trials"]
    (tmp_path / "0.txt").unlink()
    assert main(arguments) == 1
    assert "0.npy" in capsys.readouterr().err
    (tmp_path / "hot").write_text("ca\t3\nab\n")
    options = ["--lm", str(tmp_path / "model"), "--word-bonus", "0.5", "--hotwords", str(tmp_path / "hot")]
    assert main(["decode", str(tmp_path / "1.npy"), "--chars", CHARACTERS, *options]) == 0
    decoder = BeamSearch(ALPHABET, lm=LM, word_bonus=0.5, hot_words={"ca": 3.0, "ab": 2.0})
    assert capsys.readouterr().out.rstrip("\n").split("\t")[2] == decoder.decode(frames[1])[0].text
    (tmp_path / "hot").write_text("ca\tmuch\n")
    with pytest.raises(SystemExit):
        main(["decode", str(tmp_path / "1.npy"), "--chars", CHARACTERS, *options])
    assert "line 1: must be a phrase, a tab and a number" in capsys.readouterr().err
