"""The interface of pyctcdecode: its search, its names and its files."""

import itertools
import json
import logging
import math
import multiprocessing
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fastctc import NGram, backends
from fastctc.compat import kenlm, pyctcdecode
from fastctc.compat.pyctcdecode import Alphabet, BeamSearchDecoderCTC, LanguageModel, build_ctcdecoder, constants
from fastctc.compat.pyctcdecode.alphabet import BLANK_TOKEN_PTN, UNK_TOKEN_PTN, tokens, verify_alphabet_coverage
from fastctc.compat.pyctcdecode.decoder import (
    EMPTY_START_BEAM,
    NULL_FRAMES,
    Beam,
    LMBeam,
    OutputBeam,
    _merge_beams,
    _normalize_whitespace,
    _prune_history,
    _sort_and_trim_beams,
    _sum_log_scores,
)
from fastctc.compat.pyctcdecode.language_model import (
    AbstractLanguageModel,
    HotwordScorer,
    KenlmState,
    MultiLanguageModel,
    MultiLanguageModelState,
    load_unigram_set_from_arpa,
)
from fastctc.compiled.label_choice import choose_labels
from fastctc.search_inputs import PartBeam, PreferredWords, Pruning

LABELS = [" ", "a", "b", "c", ""]
PIECES = ["▁a", "▁b", "a", "ab", "▁ab", "", "▁⁇▁", "▁"]
WORDS = "\n".join(["a b", "b a", "ab a", "ab c b", "cab a b", "a cab", "b b c"])
START = [PartBeam("", "", -1, [], NULL_FRAMES, 0.0, 0.0, 0.0, 0)]
EVERYTHING = {"beam_prune_logp": -math.inf, "token_min_logp": -math.inf, "beam_width": 10**6}


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def warnings(caplog):
    """What is logged, from warnings up."""
    logging.disable(logging.NOTSET)
    return caplog


@pytest.fixture(scope="module")
def ngram():
    return NGram.train(WORDS, 3, unit="word")


@pytest.fixture(scope="module")
def arpa(ngram, tmp_path_factory):
    path = tmp_path_factory.mktemp("arpa") / "words.arpa"
    ngram.to_arpa(path)
    return str(path)


@pytest.fixture(scope="module")
def binary(arpa):
    """The model, as that of KenLM."""
    return kenlm.Model(arpa)


def model(ngram, **options):
    return LanguageModel(ngram, ["a", "b", "ab", "cab"], **options)


def decoder(labels=LABELS, lm=None):
    return BeamSearchDecoderCTC(Alphabet.build_alphabet(labels), lm)


def spoken(text, labels=LABELS, certainty=8.0, rng=None):
    """Logits of a text, three frames a label, the last of them a blank."""
    blank = labels.index("")
    ways = [label for character in text for label in [labels.index(character)] * 2 + [blank]]
    logits = np.zeros((len(ways), len(labels))) if rng is None else rng.normal(size=(len(ways), len(labels)))
    logits[np.arange(len(ways)), ways] += certainty
    return logits


# --- the search ---------------------------------------------------------------------------------------------------


def random_case(rng, ngram, binary):
    labels = PIECES if rng.random() < 0.4 else list(rng.permutation(LABELS))
    alphabet = Alphabet(labels, labels is PIECES)
    if rng.random() < 0.2:
        alphabet = Alphabet(["a", "", "ab", " ", "b", "a", "", "c"][: len(labels)], False)
    if rng.random() < 0.3:
        labels = [*PIECES, *(f"x{k}" for k in range(rng.integers(0, 60)))]
        alphabet = Alphabet(labels, True)
    frames = rng.normal(size=(rng.integers(0, 12), len(labels))) * rng.choice([0.0, 1.0, 4.0])
    chosen = choose_labels(frames, False, float(rng.choice([-math.inf, -5.0, -1.0])))
    pruning = Pruning(
        int(rng.choice([1, 2, 5, 50])),
        float(rng.choice([-math.inf, -10.0, -2.0, 0.0])),
        int(rng.integers(0, 3)),
    )
    lm = model(ngram, alpha=0.7, unk_score_offset=-2.0, score_boundary=bool(rng.integers(2)))
    if rng.random() < 0.5:
        lm = LanguageModel([ngram, binary][rng.integers(2)])
    words = [None, lm.weights, lm][rng.integers(3)]
    hot = PreferredWords(tokens(["a", "abc", "cab"]), float(rng.choice([3.0, -1.0])))
    preferred = [None, hot, HotwordScorer.build_scorer(["ab", "bca"], 2.0)][rng.integers(3)]
    start = START
    if words is lm:
        start = [START[0]._replace(state=lm.get_start_state())]
    elif isinstance(lm._kenlm_model, kenlm.Model):
        start = [START[0]._replace(state=lm.get_start_state().state.context)]
    return chosen, alphabet.pieces, pruning, words, preferred, start


def raw(state):
    state = state.state if isinstance(state, KenlmState) else state
    return state.context if isinstance(state, kenlm.State) else state


def check(found, expected, case=""):
    assert len(found) == len(expected), case
    for one, other in zip(found, expected, strict=True):
        assert one[:5] == other[:5], case
        assert one[5:8] == pytest.approx(other[5:8], rel=1e-9, abs=1e-9), case
        assert raw(one.state) == raw(other.state), case


@pytest.mark.parametrize("seed", range(100))
def test_the_twins_agree(seed, ngram, binary):
    rng = np.random.default_rng(seed)
    chosen, pieces, pruning, words, preferred, start = random_case(rng, ngram, binary)
    n_frames = len(chosen.offsets) - 1
    compiled, plain = (backends.load(name, "pruned_search").pruned_search for name in ("compiled", "reference"))
    for closes, ends, most in ((True, True, 0), (True, False, 1), (False, False, 0)):
        case = chosen, pieces, pruning, words, preferred, start, 7, closes, ends, most
        found, expected = compiled(*case), plain(*case)
        check(found, expected)
        if not closes and n_frames:  # go on from there
            more = choose_labels(rng.normal(size=(4, len(pieces.kinds))), False, -5.0)
            case = more, pieces, pruning, words, preferred, found, 7 + n_frames
            check(compiled(*case), plain(*case))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("labels", [[" ", "a", "b", ""], ["▁a", "a", "▁b", ""]])
def test_everything_sums_to_the_probability_of_each_text(labels, seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(4, 4)) * 2
    log_probs = choose_labels(logits, False, -math.inf).log_probs.reshape(4, 4)
    sums = {}
    for path in itertools.product(range(4), repeat=4):
        merged = "".join(labels[label] for label, _ in itertools.groupby(path))
        text = " ".join(merged.replace("▁", " ").split())
        p = math.exp(sum(log_probs[t, label] for t, label in enumerate(path)))
        sums[text] = sums.get(text, 0.0) + p
    found = decoder(labels).decode_beams(logits, **EVERYTHING)
    assert {beam.text: pytest.approx(math.exp(beam.logit_score)) for beam in found} == sums
    assert [beam.lm_score for beam in found] == sorted((beam.logit_score for beam in found), reverse=True)


def test_a_beam_that_ends_in_the_blank_is_another_one():
    """The best prefix is "a", 0.64 of the paths, but each of its two beams has less than the empty one."""
    probs = np.array([[0.4, 0.6], [0.4, 0.6]])
    assert decoder(["a", ""]).decode(probs, beam_width=2) == "a"
    assert decoder(["a", ""]).decode(probs, beam_width=1) == ""


def test_thresholds():
    logits = np.log([[0.9, 0.08, 0.02], [0.05, 0.05, 0.9]])
    labels = ["a", "b", ""]
    texts = [beam.text for beam in decoder(labels).decode_beams(logits, token_min_logp=math.log(0.06))]
    assert texts == ["a", "b"]
    texts = [beam.text for beam in decoder(labels).decode_beams(logits, beam_prune_logp=math.log(0.06))]
    assert texts[0] == "a"
    assert "b" in texts
    assert "ab" not in texts
    only = decoder(labels).decode_beams(logits, token_min_logp=0.0)  # the most probable label is always there
    assert [beam.text for beam in only] == ["a"]


def test_history():
    labels = [" ", "a", "b", ""]
    logits = np.eye(4)[[1, 0, 2, 0]] * 20
    logits[0] = [0.0, 18.0, 17.0, 0.0]
    options = {"beam_prune_logp": -5.0}
    assert [beam.text for beam in decoder(labels).decode_beams(logits, **options)] == ["a b", "b b"]
    assert [beam.text for beam in decoder(labels).decode_beams(logits, prune_history=True, **options)] == ["a b"]


def test_frames_of_words():
    """From a word's first label to its last, the frame after it; the blanks around are not counted."""
    labels = [" ", "a", "b", ""]
    path = [3, 1, 1, 3, 2, 0, 3, 1, 2, 2, 3]
    beam = decoder(labels).decode_beams(np.eye(4)[path] * 20)[0]
    assert beam.text == "ab ab"
    assert beam.text_frames == [("ab", (1, 5)), ("ab", (7, 10))]
    pieces = decoder(["▁a", "b", "▁b", ""]).decode_beams(np.eye(4)[[3, 0, 1, 3, 2, 2]] * 20)[0]
    assert pieces.text_frames == [("ab", (1, 3)), ("b", (4, 6))]


def test_unknown_pieces_stand_alone():
    labels = ["▁a", "b", "▁⁇▁", ""]
    assert decoder(labels).decode(np.eye(4)[[0, 2, 1, 3]] * 20) == "a ⁇ b"


def test_labels_of_several_characters():
    assert decoder(["<s>", "a", "</s>", ""]).decode(np.eye(4)[[0, 1, 1, 2]] * 20) == "<s>a</s>"


def test_pieces_that_spell_the_same_meet():
    logits = np.log([[0.4, 0.5, 0.05, 0.05], [0.05, 0.05, 0.5, 0.4]])  # ▁a b and ▁ab
    labels = ["▁a", "▁ab", "b", ""]
    found = {beam.text: math.exp(beam.logit_score) for beam in decoder(labels).decode_beams(logits, **EVERYTHING)}
    assert found["ab"] == pytest.approx(0.4 * 0.5 + 0.5 * 0.4 + 0.05 * 0.05 + 0.5 * 0.05)


def test_zero_frames():
    assert decoder().decode(np.zeros((0, 5))) == ""
    assert decoder().decode_beams(np.zeros((0, 5)))[0][2] == []


def test_long_input():
    """Memory does not depend on what was dropped on the way."""
    logits = np.tile(spoken("ab cab "), (3000, 1))
    assert decoder().decode(logits) == " ".join(["ab", "cab"] * 3000)


# --- input --------------------------------------------------------------------------------------------------------


def test_logits_and_probabilities_are_guessed():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(9, 5))
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = decoder().decode_beams(logits)
    for same in (probs, np.log(probs), logits + 3.0):
        found = decoder().decode_beams(same)
        assert [beam.text for beam in found] == [beam.text for beam in expected]
        assert [beam[3] for beam in found] == pytest.approx([beam[3] for beam in expected])


def test_probabilities_are_clipped():
    for probs, is_probs in (([[1.0, 0.0]], True), ([[0.0, -1e9]], False)):
        chosen = choose_labels(np.array(probs), is_probs, -math.inf)
        assert chosen.log_probs.tolist() == [0.0, math.log(1e-15)]


def random_rows(rng):
    """Logits or probabilities: ties, zeros, -inf, networks very sure, rows shorter and longer than registers."""
    width = int(rng.choice([1, 2, 7, 15, 16, 17, 29, 63, 64, 65, 130, 1025]))
    rows = rng.normal(size=(rng.integers(0, 9), width)) * rng.choice([0.0, 1.0, 5.0, 200.0])
    if rng.random() < 0.3:
        rows = np.round(rows)
    is_probs = bool(rng.integers(2))
    if is_probs:
        rows = np.exp(rows - rows.max(axis=1, keepdims=True, initial=-math.inf))
        rows /= rows.sum(axis=1, keepdims=True)
        rows[rows < rng.choice([0.0, 1e-3])] = 0.0
    elif width > 1:
        rows[:, 1:][rng.random((len(rows), width - 1)) < rng.choice([0.0, 0.5])] = -math.inf
    floor = float(rng.choice([-math.inf, -40.0, -5.0, -1.0, -0.1, 0.0, 1.0]))
    return rows.astype(rng.choice([np.float32, np.float64])), is_probs, floor


@pytest.mark.parametrize("seed", range(60))
def test_the_twins_choose_the_same_labels(seed):
    rng = np.random.default_rng(seed)
    compiled, plain = (backends.load(name, "label_choice").choose_labels for name in ("compiled", "reference"))
    for _ in range(20):
        rows, is_probs, floor = random_rows(rng)
        found, expected = compiled(rows, is_probs, floor), plain(rows, is_probs, floor)
        # Sums are added in another order: a logarithm may differ in its last digit, and so lie on the other side of the
        # floor, or of the one that is the greatest.
        near = 1e-5 if rows.dtype == np.float32 else 1e-13
        logs = plain(rows, is_probs, -math.inf)
        for t in range(len(rows)):
            every = dict(zip(*(part[logs.offsets[t] : logs.offsets[t + 1]] for part in logs[:2]), strict=True))
            ours, theirs = (
                dict(zip(*(part[one.offsets[t] : one.offsets[t + 1]] for part in one[:2]), strict=True))
                for one in (found, expected)
            )
            if list(ours) != list(theirs):
                top = max(every.values())
                for label in set(ours) ^ set(theirs):
                    assert min(abs(every[label] - floor), abs(every[label] - top)) <= near * max(1.0, abs(floor))
            for label, log_prob in ours.items():
                assert log_prob == pytest.approx(every[label], rel=near, abs=near)


def test_chosen_labels_stand_as_in_a_set():
    rng = np.random.default_rng(1)
    for _ in range(200):
        n = int(rng.integers(1, 300))
        rows = np.where(rng.random((1, n)) < rng.random(), 1.0, -50.0)
        probable = {int(label) for label in np.flatnonzero(rows[0] > 0)}
        chosen = choose_labels(rows, False, -10.0 if probable else 1.0)
        assert chosen.labels.tolist() == list(probable | {int(np.argmax(rows[0]))})


def test_bad_labels_of_frames():
    one = choose_labels(np.zeros((2, 3)), False, -5.0)
    pieces = Alphabet(["a", "b", ""], False).pieces
    search = backends.load("compiled", "pruned_search").pruned_search
    call = pieces, Pruning(5, -10.0, 0), None, None, START
    for change, message in (
        ({"labels": one.labels + 1}, "a label must be 0 to 2, got 3"),
        ({"labels": one.labels - 1}, "a label must be 0 to 2, got -1"),
        ({"labels": one.labels[:-1]}, "must begin with 0 and end with their number"),
        ({"offsets": one.offsets + 1}, "must begin with 0 and end with their number"),
        ({"offsets": np.array([0, 7, 6])}, "each frame must have a chosen label, got offsets 0, 7"),
        ({"offsets": np.array([0, 0, 6])}, "each frame must have a chosen label, got offsets 0, 0"),
        ({"log_probs": one.log_probs * math.nan}, "must be numbers, got NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            search(one._replace(**change), *call)
    with pytest.raises(ValueError, match="entries for 2 labels"):
        search(one, pieces._replace(kinds=pieces.kinds[:2]), *call[1:])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, ">f4"])
def test_dtypes(dtype):
    logits = (np.eye(5)[[1, 4, 2]] * 9).astype(dtype)
    assert decoder().decode(np.asfortranarray(logits)) == "ab"


def test_bad_input():
    with pytest.raises(ValueError, match=re.escape("Input logits have 3 dimensions, but need 2: (time, vocabulary)")):
        decoder().decode(np.zeros((1, 2, 5)))
    with pytest.raises(ValueError, match=re.escape("Input logits shape is (2, 4), but vocabulary is size 5")):
        decoder().decode_beams(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="but vocabulary is size 5"):
        decoder().decode_batch(None, [np.zeros((2, 5)), np.zeros((2, 4))])
    for bad in (math.nan, math.inf):
        logits = np.zeros((3, 5))
        logits[1, 2] = bad
        with pytest.raises(ValueError, match="NaN"), np.errstate(invalid="ignore"):
            decoder().decode(logits)
    with pytest.raises(ValueError, match="beam_width"):
        decoder().decode(np.zeros((2, 5)), beam_width=0)


def test_a_model_that_gives_no_number():
    class Broken(LanguageModel):
        def score(self, prev_state, *_, **__):
            return math.nan, prev_state

    lm = Broken(NGram.train(WORDS, 2, unit="word"))
    with pytest.raises(ValueError, match="a model has given NaN"):
        decoder(lm=lm).decode(spoken("a b"))


def test_errors_of_a_model_come_through():
    class Broken(LanguageModel):
        def score(self, _state, word, *_, **__):
            raise LookupError(word)

    lm = Broken(NGram.train(WORDS, 2, unit="word"))
    with pytest.raises(LookupError, match="ab"):
        decoder(lm=lm).decode(spoken("ab b"))


# --- alphabets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "expected", "is_bpe"),
    [
        ([" ", "a", ""], [" ", "a", ""], False),
        (["|", "a", "<pad>"], [" ", "a", ""], False),
        (["|", " ", "a"], ["|", " ", "a", ""], False),
        (["a", "_"], ["a", ""], False),
        (["a", "_", "[PAD]"], ["a", "_", ""], False),
        (["a", "_", ""], ["a", "_", ""], False),
        (["a", "<UNK>", "<s>", "</s>"], ["a", "⁇", "<s>", "</s>", ""], False),
        (["the", "##s", "[UNK]", "[PAD]"], ["▁the", "s", "▁⁇▁", ""], True),
        (["▁a", "b", "<unk>"], ["▁a", "b", "▁⁇▁", ""], True),
        (["##a", "<s>", "▁"], ["a", "<s>", "▁", ""], True),
    ],
)
def test_labels(labels, expected, is_bpe):
    before = list(labels)
    alphabet = Alphabet.build_alphabet(labels)
    assert (alphabet.labels, alphabet.is_bpe) == (expected, is_bpe)
    assert labels == before
    alphabet.labels.clear()
    assert alphabet.labels == expected
    assert json.loads(alphabet.dumps()) == {"labels": expected, "is_bpe": is_bpe}
    again = Alphabet.loads(alphabet.dumps())
    assert (again.labels, again.is_bpe) == (expected, is_bpe)


def test_bad_labels():
    with pytest.raises(ValueError, match=re.escape("Alphabet contains duplicate entries, this is not allowed.")):
        Alphabet.build_alphabet(["a", "a"])
    with pytest.raises(ValueError, match="Space token ' ' found in vocabulary even though it looks like BPE"):
        Alphabet.build_alphabet(["▁a", " "])
    for content in ("{}", '{"labels": []}', "[]", '{"labels": [], "is_bpe": true, "more": 1}'):
        with pytest.raises(ValueError, match="unexpected keys found"):
            Alphabet.loads(content)
    with pytest.raises(ValueError, match="list of strings"):
        Alphabet.loads('{"labels": [1], "is_bpe": false}')


def test_warnings_about_labels(warnings):
    Alphabet.build_alphabet(["ab", "c"])
    Alphabet.build_alphabet(["▁a", "b"])
    verify_alphabet_coverage(Alphabet(["a", " "], False), ["ab", "xyz"])
    text = warnings.text
    assert "Found entries of length > 1" in text
    assert "Space token ' ' missing" in text
    assert "UNK token ▁⁇▁ not found" in text
    assert "Unigrams and labels don't seem to agree." in text


def test_patterns_and_defaults():
    assert all(BLANK_TOKEN_PTN.match(label) for label in ("<pad>", "[PAD]", "<Pad>"))
    assert not BLANK_TOKEN_PTN.match("<padded>")
    assert UNK_TOKEN_PTN.match("[UNK]")
    assert pyctcdecode.alphabet.SPECIAL_TOKEN_PTN.match("</s>")
    assert (pyctcdecode.alphabet.BPE_TOKEN, pyctcdecode.alphabet.UNK_BPE_TOKEN) == ("▁", "▁⁇▁")
    assert (constants.DEFAULT_ALPHA, constants.DEFAULT_BETA, constants.DEFAULT_UNK_LOGP_OFFSET) == (0.5, 1.5, -10.0)
    assert (constants.DEFAULT_BEAM_WIDTH, constants.DEFAULT_HOTWORD_WEIGHT) == (100, 10.0)
    assert (constants.DEFAULT_PRUNE_LOGP, constants.DEFAULT_MIN_TOKEN_LOGP) == (-10.0, -5.0)
    assert (constants.DEFAULT_PRUNE_BEAMS, constants.DEFAULT_SCORE_LM_BOUNDARY) == (False, True)
    assert (constants.AVG_TOKEN_LEN, constants.MIN_TOKEN_CLIP_P) == (6, 1e-15)
    assert math.isclose(constants.LOG_BASE_CHANGE_FACTOR, math.log(10))


# --- models -------------------------------------------------------------------------------------------------------


def test_a_word_is_weighed_when_it_ends(ngram):
    lm = model(ngram, alpha=0.7, beta=0.4, unk_score_offset=-3.0)
    values = ngram.log_probs_of(["ab", "c", "b"], end=True)
    score, state = lm.score(lm.get_start_state(), "ab")
    assert score == pytest.approx(0.7 * values[0] + 0.4)
    score, state = lm.score(state, "c")  # in the model, but no unigram
    assert score == pytest.approx(0.7 * (values[1] - 3.0 * math.log(10)) + 0.4)
    score, after = lm.score(state, "b", is_last_word=True)
    assert score == pytest.approx(0.7 * (values[2] + values[3]) + 0.4)
    assert after.state == lm.score(state, "b")[1].state
    assert lm.order == 3


def test_scores_of_a_decoded_text(ngram):
    lm = model(ngram, alpha=0.7, beta=0.4)
    logits = spoken("ab cab", certainty=20)
    beam = decoder(lm=lm).decode_beams(logits)[0]
    expected = 0.7 * sum(ngram.log_probs_of(["ab", "cab"], end=True)) + 2 * 0.4
    assert beam.text == "ab cab"
    assert beam.lm_score - beam.logit_score == pytest.approx(expected, abs=1e-5)
    assert isinstance(beam.last_lm_state, KenlmState)
    without = decoder(lm=model(ngram, alpha=0.7, beta=0.4, score_boundary=False)).decode_beams(logits)[0]
    expected = 0.7 * sum(ngram.log_probs_of(["ab", "cab"], begin=False)) + 2 * 0.4
    assert without.lm_score - without.logit_score == pytest.approx(expected, abs=1e-5)


def test_beginnings_of_words(ngram):
    lm = model(ngram, unk_score_offset=-3.0)
    assert lm.score_partial_token("ca") == 0.0
    assert lm.score_partial_token("b") == 0.0
    assert lm.score_partial_token("c") == 0.0
    assert lm.score_partial_token("bc") == -3.0
    assert lm.score_partial_token("bcabcabcabca") == -6.0
    blind = LanguageModel(ngram, unk_score_offset=-3.0)
    assert blind.score_partial_token("ca") == -3.0


def test_unigrams(ngram, warnings):
    assert model(ngram)._unigram_set == {"a", "b", "ab", "cab"}
    lm = LanguageModel(ngram, ["a", *(f"x{n}" for n in range(50))])
    assert lm._unigram_set == {"a"}
    LanguageModel(ngram)
    assert "Only 51 unigrams passed as vocabulary" in warnings.text
    assert "Only 2.0% of unigrams in vocabulary found in kenlm model" in warnings.text
    assert "No known unigrams provided" in warnings.text


def test_reset_params(ngram):
    lm = model(ngram)
    one = decoder(lm=lm)
    one.reset_params(alpha=1.0, beta=0.0, unk_score_offset=-1.0, lm_score_boundary=False)
    assert (lm.alpha, lm.beta, lm.unk_score_offset, lm.score_boundary) == (1.0, 0.0, -1.0, False)
    one.reset_params()
    assert lm.alpha == 1.0
    for name, value in (("alpha", 1), ("beta", "x"), ("unk_score_offset", 2)):
        with pytest.raises(ValueError, match=f"{name} must be a float. Got "):
            lm.reset_params(**{name: value})
    with pytest.raises(ValueError, match=r"score_boundary must be a bool\. Got "):
        lm.reset_params(score_boundary=1.0)
    decoder().reset_params(alpha=1.0)  # without a model
    lm.score_boundary = -7.0  # set without a check, as some do
    assert one.decode(spoken("ab")) == "ab"


class Slow(AbstractLanguageModel):
    """What a program may write: as another model, but asked word for word."""

    def __init__(self, lm):
        self.lm = lm

    @property
    def order(self):
        return self.lm.order

    def get_start_state(self):
        return self.lm.get_start_state()

    def score_partial_token(self, partial_token):
        return self.lm.score_partial_token(partial_token)

    def score(self, prev_state, word, is_last_word=False):
        return self.lm.score(prev_state, word, is_last_word=is_last_word)


@pytest.mark.parametrize("seed", range(10))
def test_a_model_in_python_gives_the_same(seed, ngram):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(15, 5)) * 2
    lm = model(ngram)
    expected = decoder(lm=lm).decode_beams(logits, hotwords=["cab"], hotword_weight=1.0)
    for other in (Slow(lm), MultiLanguageModel([lm, lm])):
        found = decoder(lm=other).decode_beams(logits, hotwords=["cab"], hotword_weight=1.0)
        assert [(b.text, b.text_frames) for b in found] == [(b.text, b.text_frames) for b in expected]
        assert [b.lm_score for b in found] == pytest.approx([b.lm_score for b in expected])


def test_several_models(ngram):
    first, second = model(ngram), model(NGram.train("a a\nb b", 2, unit="word"))
    both = MultiLanguageModel([first, second])
    assert both.order == 3
    state = both.get_start_state()
    assert isinstance(state, MultiLanguageModelState)
    score, after = both.score(state, "a", True)
    expected = [lm.score(lm.get_start_state(), "a", True) for lm in (first, second)]
    assert score == pytest.approx((expected[0][0] + expected[1][0]) / 2)
    assert [s.state for s in after.states] == [s.state for _, s in expected]
    assert both.score_partial_token("ca") == pytest.approx(constants.DEFAULT_UNK_LOGP_OFFSET / 2)
    with pytest.raises(ValueError, match=re.escape("This class is meant to contain at least 2 language models.")):
        MultiLanguageModel([first])


def test_going_on_with_a_state(ngram):
    lm = model(ngram, score_boundary=False)
    one = decoder(lm=lm)
    first = one.decode_beams(spoken("ab", certainty=20))[0]
    second = one.decode_beams(spoken("c", certainty=20), lm_start_state=first.last_lm_state)[0]
    whole = one.decode_beams(spoken("ab c", certainty=20))[0]
    assert first.lm_score + second.lm_score - first.logit_score - second.logit_score == pytest.approx(
        whole.lm_score - whole.logit_score
    )
    assert decoder().decode(spoken("c"), lm_start_state=first.last_lm_state) == "c"  # without a model it says nothing


@pytest.mark.parametrize("seed", range(5))
def test_a_model_of_kenlm_is_the_same(seed, ngram, binary):
    logits = np.random.default_rng(seed).normal(size=(20, 5)) * 2
    found = [decoder(lm=model(lm)).decode_beams(logits, hotwords=["cab"], hotword_weight=1.0) for lm in (ngram, binary)]
    assert [b.text for b in found[0]] == [b.text for b in found[1]]
    assert [b.lm_score for b in found[0]] == pytest.approx([b.lm_score for b in found[1]], abs=1e-4)
    first = decoder(lm=model(binary)).decode_beams(logits[:10])[0]
    assert isinstance(first.last_lm_state.state, kenlm.State)
    again = decoder(lm=model(binary)).decode_beams(logits[10:], lm_start_state=first.last_lm_state)
    assert again == decoder(lm=model(binary)).decode_beams(logits[10:], lm_start_state=first.last_lm_state.state)


def test_states_that_are_none(ngram, binary):
    with pytest.raises(ValueError, match="a state must be 0 to"):
        decoder(lm=model(ngram)).decode(spoken("a"), lm_start_state=KenlmState(10**6))
    with pytest.raises(ValueError, match="a state must have at most 2 words"):
        decoder(lm=model(binary)).decode(spoken("a"), lm_start_state=kenlm.State(((1, 0.0),) * 3))


def test_build_ctcdecoder(arpa, ngram, tmp_path, warnings):
    one = build_ctcdecoder(LABELS, arpa, alpha=0.7, beta=0.2, unk_score_offset=-5.0, lm_score_boundary=False)
    lm = one._language_model
    assert (lm.alpha, lm.beta, lm.unk_score_offset, lm.score_boundary) == (0.7, 0.2, -5.0, False)
    assert lm._unigram_set == {word for word in ngram.vocabulary if word != "<unk>"}
    assert one.decode(spoken("ab cab")) == "ab cab"
    other = build_ctcdecoder(LABELS, arpa, ["ab", "cab", "unheard"])
    assert other._language_model._unigram_set == {"ab", "cab"}
    path = tmp_path / "words.gz"
    ngram.to_arpa(path)
    assert build_ctcdecoder(LABELS, str(path))._language_model._unigram_set == set()
    assert "Unigrams not provided and cannot be automatically determined" in warnings.text
    assert build_ctcdecoder(LABELS)._language_model is None
    assert build_ctcdecoder(["a", "b"], unigrams=["xyz"]).decode(np.eye(3)[[0, 2, 1]] * 9) == "ab"
    assert "Unigrams and labels don't seem to agree." in warnings.text
    with pytest.raises(OSError, match="Cannot read model"):
        build_ctcdecoder(LABELS, str(tmp_path / "missing.arpa"))


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", [None, "utf-8"])
def test_files(arpa, tmp_path, encoding):
    one = build_ctcdecoder(LABELS, arpa, ["ab", "cab", "b"], alpha=0.7)
    one.save_to_dir(str(tmp_path))
    (tmp_path / ".hidden").touch()
    (tmp_path / "language_model" / "__pycache__").mkdir()
    assert json.loads((tmp_path / "alphabet.json").read_text()) == {"labels": LABELS, "is_bpe": False}
    folder = tmp_path / "language_model"
    expected = {"alpha": 0.7, "beta": 1.5, "unk_score_offset": -10.0, "score_boundary": True}
    assert json.loads((folder / "attrs.json").read_text()) == expected
    assert (folder / "unigrams.txt").read_text() == "ab\nb\ncab\n"
    assert (folder / "words.arpa").read_bytes() == Path(arpa).read_bytes()
    again = BeamSearchDecoderCTC.load_from_dir(str(tmp_path), unigram_encoding=encoding)
    logits = np.random.default_rng(0).normal(size=(20, 5))
    assert [b[:1] + b[2:] for b in again.decode_beams(logits)] == [b[:1] + b[2:] for b in one.decode_beams(logits)]
    assert again._language_model._kenlm_model.path.decode().endswith("words.arpa")
    with pytest.raises(FileExistsError):
        one.save_to_dir(str(tmp_path))


def test_files_without_a_model(tmp_path):
    decoder().save_to_dir(str(tmp_path))
    assert BeamSearchDecoderCTC.parse_directory_contents(str(tmp_path))["language_model"] is None
    assert BeamSearchDecoderCTC.load_from_dir(str(tmp_path)).decode(spoken("ab")) == "ab"
    (tmp_path / "more").mkdir()
    with pytest.raises(ValueError, match="Count not find language model directory"):
        BeamSearchDecoderCTC.load_from_dir(str(tmp_path))
    (tmp_path / "alphabet.json").unlink()
    with pytest.raises(ValueError, match=r"Could not find alphabet file alphabet\.json\. Found \['more'\]"):
        BeamSearchDecoderCTC.load_from_dir(str(tmp_path))


def test_bad_files_of_a_model(arpa, tmp_path):
    build_ctcdecoder(LABELS, arpa, ["ab"]).save_to_dir(str(tmp_path))
    folder = tmp_path / "language_model"
    load = LanguageModel.load_from_dir
    (folder / "attrs.json").write_text('{"alpha": 1.0}')
    with pytest.raises(ValueError, match="Expected json serialized attributes to be"):
        load(str(folder))
    (folder / "words.arpa").rename(folder / "words.pickle")
    with pytest.raises(ValueError, match="Explected kenlm file to end in"):
        load(str(folder))
    (folder / "more").touch()
    with pytest.raises(ValueError, match="Found wrong number of files in directory"):
        load(str(folder))
    for name in ("attrs.json", "unigrams.txt"):
        (folder / "more").unlink(missing_ok=True)
        (folder / name).rename(folder / "more")
        with pytest.raises(ValueError, match=f"did not find {'attributes' if name[0] == 'a' else 'unigrams'} file"):
            load(str(folder))
        (folder / "more").rename(folder / name)
    lm = LanguageModel(kenlm.Model(arpa), ["ab"])
    lm.alpha = None
    with pytest.raises(ValueError, match="attribute alpha not found"):
        lm.save_to_dir(str(tmp_path))


def test_a_folder_of_the_hub(arpa, tmp_path, monkeypatch):
    build_ctcdecoder(LABELS, arpa, ["ab"]).save_to_dir(str(tmp_path))
    asked = {}

    def snapshot_download(model_id, **options):
        asked.update(options, model_id=model_id)
        return str(tmp_path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=snapshot_download))
    one = BeamSearchDecoderCTC.load_from_hf_hub("some/model", allow_patterns=["*"])
    assert one.decode(spoken("ab")) == "ab"
    assert asked["model_id"] == "some/model"
    assert asked["allow_patterns"] == ["*"]
    assert Path(asked["cache_dir"]).parts[-2:] == (".cache", "pyctcdecode")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match="pip install huggingface_hub"):
        BeamSearchDecoderCTC.load_from_hf_hub("some/model")


def test_unigrams_of_an_arpa_file(tmp_path):
    path = tmp_path / "x.arpa"
    path.write_text(
        "\\data\\\nngram 1=3\n\n\\1-grams:\n-1\t<unk>\n-1\ta\t-0.5\n-1\tbé\n\n\\2-grams:\n-1\ta bé\n\\end\\\n"
    )
    assert load_unigram_set_from_arpa(str(path)) == {"<unk>", "a", "bé"}
    path.write_text("nothing")
    with pytest.raises(ValueError, match=r"No unigrams found in arpa file\. Something is wrong with the file\."):
        load_unigram_set_from_arpa(str(path))


# --- preferred words ----------------------------------------------------------------------------------------------


def test_preferred_words():
    scorer = HotwordScorer.build_scorer(["bugs bunny", "bunnies ", " "], weight=10.0)
    assert scorer.score("bugs is bugs bunny") == 30.0
    assert scorer.score("bugsy, bunny.") == 0.0
    assert scorer._match_ptn.findall("a bunnies bunny") == ["bunnies", "bunny"]
    assert "bun" in scorer
    assert "bunny" in scorer
    assert "unny" not in scorer
    assert scorer.score_partial_token("bun") == 10.0 * 3 / 5  # of the shortest
    assert scorer.score_partial_token("bunni") == 10.0 * 5 / 7
    assert scorer.score_partial_token("x") == 0.0
    none = HotwordScorer.build_scorer()
    assert (none.score("bugs"), none.score_partial_token(""), "" in none) == (0.0, 0.0, False)
    assert HotwordScorer.build_scorer(["a"]).score("a") == 10.0


def test_preferred_words_with_another_tree():
    class Tree:
        def has_node(self, token):
            return 2 if "ab".startswith(token) else 0

        def iterkeys(self, _token, shallow=False):
            assert shallow
            return iter(["ab"])

    other = HotwordScorer(re.compile(r"(?<!\S)ab(?!\S)"), Tree(), 4.0)
    one = HotwordScorer.build_scorer(["ab"], 4.0)
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(8, 5))
    found = []
    for scorer in (one, other):
        beams, caches, parts = decoder().get_starting_state()
        found.append(decoder().partial_decode_beams(logits, caches, parts, beams, 0, hotword_scorer=scorer))
    assert [b[:5] for b in found[0]] == [b[:5] for b in found[1]]
    assert [b.lm_score for b in found[0]] == pytest.approx([b.lm_score for b in found[1]])


def test_preferred_words_in_the_search(ngram):
    rng = np.random.default_rng(1)
    logits = spoken("ab cb", certainty=2.5, rng=rng)
    assert decoder().decode(logits) == "ab cb"
    assert decoder().decode(logits, hotwords=["ab cab"], hotword_weight=3.0) == "ab cab"
    best = decoder(lm=model(ngram)).decode_beams(logits, hotwords=("cbb",), hotword_weight=14.0)[0]
    assert best.text.split()[-1] == "cbb"  # though the model does not know it
    assert decoder().decode(logits, hotwords=iter(["cab"]), hotword_weight=3.0) == "ab cab"


# --- beams --------------------------------------------------------------------------------------------------------


def test_beams_are_tuples_with_names():
    beam = decoder().decode_beams(spoken("ab c"))[0]
    text, state, frames, logit_score, lm_score = beam
    assert (beam.text, beam.last_lm_state, beam.text_frames) == (text, state, frames) == (beam[0], beam[1], beam[2])
    assert (beam.logit_score, beam.lm_score) == (logit_score, lm_score) == (beam[-2], beam[-1])
    assert beam == OutputBeam(*beam) == tuple(beam)
    short = decoder().decode_beams_batch(None, [spoken("ab c")])[0][0]
    assert tuple(short) == (text, frames, logit_score, lm_score) == short
    assert (short[0], short[1], short[-2], short[-1], len(short)) == (text, frames, logit_score, lm_score, 4)
    assert short.last_lm_state is None
    assert short == OutputBeam(text, None, frames, logit_score, lm_score)
    assert pickle.loads(pickle.dumps(short)) == short
    with pytest.raises(AttributeError):
        beam.text = "x"


def test_the_steps_of_the_search():
    """The functions that the original's search consists of, for beams with names and without."""
    assert _normalize_whitespace("  a \t b ") == "a b"
    assert _sum_log_scores(0.0, 0.0) == pytest.approx(math.log(2))
    assert _sum_log_scores(-3.0, -math.inf) == _sum_log_scores(-math.inf, -3.0) == -3.0
    beams = [
        ("a", "", "b", "b", [], (0, 1), -1.0),
        ("a b", "", "", " ", [], (0, 1), -2.0),
        ("a", "b", "", " ", [(0, 1)], (-1, -1), -2.0),
        ("a", "", "b", "", [], (0, 1), -1.0),
    ]
    merged = [beams[0], (*beams[2][:-1], pytest.approx(-2 + math.log(2))), beams[3]]
    assert _merge_beams(beams) == merged
    assert _merge_beams([Beam(*beam) for beam in beams])[0] == Beam(*beams[0])
    scored = [(*beam, score) for beam, score in zip(beams, (-1.0, -3.0, -0.5, -1.0), strict=True)]
    assert _sort_and_trim_beams([LMBeam(*beam) for beam in scored], 3) == [scored[2], scored[0], scored[3]]
    texts = ["a b c", "x b c", "a b d"]
    scored = [LMBeam(text, "", "p", "p", [], (0, 1), -1.0, -1.0) for text in texts]
    assert [beam.text for beam in _prune_history(scored, 3)] == ["a b c", "a b d"]
    assert [beam[0] for beam in _prune_history([tuple(beam) for beam in scored], 1)] == ["a b c", "a b d"]
    assert [beam.text for beam in _prune_history(scored, 4)] == texts
    assert Beam.from_lm_beam(scored[0]) == scored[0][:7]
    assert EMPTY_START_BEAM == ("", "", "", None, [], NULL_FRAMES, 0.0)


# --- piece by piece -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [LABELS, ["▁a", "b", "▁b", "▁c", ""]])
@pytest.mark.parametrize("with_model", [False, True])
def test_pieces_of_a_sequence(labels, with_model, ngram):
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(30, 5)) * 2
    one = decoder(labels, model(ngram) if with_model else None)
    scorer = HotwordScorer.build_scorer(["ab"], 2.0)
    beams, caches, parts = one.get_starting_state()
    assert beams == [EMPTY_START_BEAM]
    for start in range(0, 30, 7):
        piece = logits[start : start + 7]
        ends = start + 7 >= 30
        beams = one.partial_decode_beams(piece, caches, parts, beams, start, hotword_scorer=scorer, is_end=ends)
    whole = one.decode_beams(logits, hotwords=["ab"], hotword_weight=2.0)
    assert [b.text for b in beams] == [b.text for b in whole]
    assert [b.text_frames for b in beams] == [[span for _, span in b.text_frames] for b in whole]
    assert [b.lm_score for b in beams] == pytest.approx([b.lm_score for b in whole])
    if with_model:
        assert [caches[b.text, True][2].state for b in beams] == [b.last_lm_state.state for b in whole]


def test_a_piece_that_ends_a_word(ngram):
    one = decoder(lm=model(ngram))
    beams, caches, parts = one.get_starting_state()
    beams = one.partial_decode_beams(spoken("ab", certainty=20), caches, parts, beams, 0, force_next_word=True)
    assert (beams[0].text, beams[0].partial_word, beams[0].last_char) == ("ab", "", None)
    beams = one.partial_decode_beams(spoken("c", certainty=20), caches, parts, beams, 6, is_end=True)
    assert (beams[0].text, beams[0].text_frames) == ("ab c", [(0, 5), (6, 8)])
    beam = Beam("a", "b", "c", "c", [(0, 1), (2, 3)], (4, 5), 0.0)  # a word that the model has yet to weigh
    caches["a", False] = 0.0, 0.0, one._language_model.get_start_state()
    beams = one.partial_decode_beams(np.eye(5)[[4]] * 20, caches, parts, [beam], 5)
    assert beams[0][:4] == ("a b", "", "c", "")


# --- many sequences -----------------------------------------------------------------------------------------------


class Counting:
    """A pool that is none, of processes that were forked."""

    def __init__(self, method):
        self._ctx = multiprocessing.get_context(method)
        self.calls = 0

    def map(self, function, items):
        self.calls += 1
        return [pickle.loads(pickle.dumps(function(item))) for item in items]


def test_pools(ngram, warnings):
    one = decoder(lm=model(ngram))
    many = [spoken("ab c"), spoken("cab"), spoken("a")]
    texts = ["ab c", "cab", "a"]
    assert one.decode_batch(None, many) == texts
    forked = Counting("fork")
    assert one.decode_batch(forked, many) == texts
    assert [beams[0][0] for beams in one.decode_beams_batch(forked, many, hotwords=iter(["c"]))] == texts
    assert forked.calls == 2
    assert "spawn" not in warnings.text
    spawned = Counting("spawn")
    assert one.decode_batch(spawned, many) == texts
    assert [beams[0].text for beams in one.decode_beams_batch(spawned, many)] == texts
    assert spawned.calls == 0
    assert "spawn context" in warnings.text


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_pool_of_processes(ngram):
    one = decoder(lm=model(ngram))
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert one.decode_batch(pool, [spoken("ab c")] * 2) == ["ab c"] * 2
        assert one.decode_beams_batch(pool, [spoken("ab c")])[0] == one.decode_beams_batch(None, [spoken("ab c")])[0]


def test_models_are_kept_by_the_class(ngram):
    one = decoder(lm=model(ngram))
    assert BeamSearchDecoderCTC.model_container[one._model_key] is one._language_model
    one.cleanup()
    one.cleanup()
    with pytest.raises(KeyError):
        one.decode(spoken("a"))
    other = decoder()
    kept = BeamSearchDecoderCTC.model_container
    try:
        BeamSearchDecoderCTC.clear_class_models()
        with pytest.raises(KeyError):
            other.decode(spoken("a"))
    finally:
        BeamSearchDecoderCTC.model_container = kept


# --- under its own name -------------------------------------------------------------------------------------------


def test_the_alias_is_whole(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(
        "import importlib.util, sys\n"
        "for name in ('pyctcdecode', 'pyctcdecode.constants', 'pyctcdecode.decoder'):\n"
        "    assert importlib.util.find_spec(name).name == name\n"
        "import pyctcdecode.decoder\n"
        "from pyctcdecode import Alphabet, BeamSearchDecoderCTC, LanguageModel, build_ctcdecoder\n"
        "from pyctcdecode.alphabet import BPE_TOKEN, Alphabet as other\n"
        "from pyctcdecode.constants import DEFAULT_BEAM_WIDTH\n"
        "from pyctcdecode.language_model import HotwordScorer\n"
        "assert other is Alphabet and BeamSearchDecoderCTC is sys.modules['pyctcdecode.decoder'].BeamSearchDecoderCTC\n"
        "assert isinstance(build_ctcdecoder([' ', 'a', '']), BeamSearchDecoderCTC)\n"
        "print(Alphabet.__module__)\n"
    )
    here = str(Path(pyctcdecode.__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-m", "fastctc.compat", "pyctcdecode", "--", str(script)],
        capture_output=True, text=True, check=False, cwd=here,
    )  # fmt: skip
    assert done.stdout == "fastctc.compat.pyctcdecode.alphabet\n", done.stderr


@pytest.mark.slow
def test_what_is_forgotten_does_not_matter(ngram):
    """Many labels, all of them probable enough: with a million prefixes the search begins anew with its beams."""
    labels = [*("▁" + chr(0x400 + k) for k in range(300)), *(chr(0x400 + k) for k in range(699)), ""]
    logits = np.random.default_rng(0).normal(size=(24, 1000))
    options = {"beam_prune_logp": -1e9, "token_min_logp": -1e9}
    for lm in (None, model(ngram)):
        one = decoder(labels, lm)
        whole = one.decode_beams(logits, **options)
        beams, caches, parts = one.get_starting_state()
        for start in range(0, 24, 6):
            piece = logits[start : start + 6]
            beams = one.partial_decode_beams(piece, caches, parts, beams, start, is_end=start == 18, **options)
        assert [b.text for b in beams] == [b.text for b in whole]
        assert [b.text_frames for b in beams] == [[span for _, span in b.text_frames] for b in whole]
        assert [b.lm_score for b in beams] == pytest.approx([b.lm_score for b in whole])
