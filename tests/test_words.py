"""Word beam search: as published, beside its reference, in streams, and with every completion."""

import re
from itertools import pairwise
from math import exp, log, nan

import numpy as np
import pytest
from brute_force import text_probabilities
from conftest import as_array, matrices, peaky, width
from hypothesis import given, settings
from hypothesis import strategies as st

from fastctc import Alphabet, Lexicon, NGram, WordBeamSearch, backends, compat
from fastctc.lm.word_model import WordModel
from fastctc.reference import word_beam_search
from fastctc.search_inputs import Fusion, PrefixTree

BACKENDS = ("reference", "compiled")
CHARACTERS = "abcd .1"
ALPHABET = Alphabet(CHARACTERS, word_characters="abcd")
TEXT = "a cab. bad dab, a bad cab add a dad. bad cabba"
WORDS = re.findall("[abcd]+", TEXT)
LEXICON = Lexicon.from_text(TEXT, ALPHABET)
BIGRAMS = NGram.train(" ".join(WORDS), 2, unit="word", smoothing="add-k", k=0.1)
TRIGRAMS = NGram.train(["a bad cab", "add a dad", "bad dab a cab"], 3, unit="word")
MODES = [("words", None), ("ngrams", BIGRAMS), ("ngrams_forecast", BIGRAMS), ("ngrams_forecast", TRIGRAMS)]
HOT = {"bad": 1.0, "a cab": 2.0, "dab": -1.0, "bad dad": 3.0}


def published(mat, blank, beam_width, mode, words, k, chars, word_chars):
    """Algorithm 1 of the paper, with texts and dictionaries: what the search is judged by.

    As the original program does it: words count once they have ended, P(text) is normalised by the number of words.
    """
    unique = sorted(set(words))
    pairs = list(pairwise(words))

    def unigram(word):
        return (words.count(word) + k) / (len(words) + k * len(unique))

    def bigram(first, second):
        following = sum(a == first for a, _ in pairs)
        if following == 0:
            return unigram(second)
        return (pairs.count((first, second)) + k) / (following + k * len(unique))

    def chance(history, word):
        return bigram(history[-1], word) if history else unigram(word)

    def text_of(text):
        """The words that have ended, the beginning of another, and the probability that ranks the text."""
        history = re.findall(f"[{word_chars}]+", text)
        begun = history.pop() if text and text[-1] in word_chars else ""
        p = 1.0
        for i, word in enumerate(history):
            p *= chance(history[:i], word)
        n = len(history)
        if mode == "ngrams_forecast" and begun:
            p *= sum(chance(history, word) for word in unique if word.startswith(begun))
            n += 1
        return begun, 1.0 if mode == "words" or n == 0 else p ** (1 / n)

    def allowed(text):
        begun = text_of(text)[0]
        for char in chars:
            if char in word_chars:
                if any(word.startswith(begun + char) for word in unique):
                    yield char
            elif not begun or begun in unique:
                yield char

    beams = {"": (1.0, 0.0)}
    for row in mat:
        new = {}
        for text, (ends_blank, ends_label) in beams.items():
            old = new.get(text, (0.0, 0.0))
            stays = ends_label * row[chars.index(text[-1])] if text else 0.0
            new[text] = old[0] + (ends_blank + ends_label) * row[blank], old[1] + stays
            for char in allowed(text):
                before = ends_blank if text[-1:] == char else ends_blank + ends_label
                old = new.get(text + char, (0.0, 0.0))
                new[text + char] = old[0], old[1] + before * row[chars.index(char)]
        rank = {text: sum(both) * text_of(text)[1] for text, both in new.items()}
        best = sorted((text for text in new if rank[text] > 0), key=lambda text: -rank[text])[:beam_width]
        beams = {text: new[text] for text in best}
    if not beams:
        return None
    best = next(iter(beams))
    score = log(sum(beams[best])) + log(text_of(best)[1])
    begun = text_of(best)[0]
    completions = [word for word in unique if begun and word.startswith(begun)]
    return (best + completions[0][len(begun) :] if len(completions) == 1 else best), score


@pytest.mark.parametrize("mode", ["words", "ngrams", "ngrams_forecast"])
@pytest.mark.parametrize("beam_width", [1, 3, 20])
@pytest.mark.parametrize("seed", range(5))
def test_the_search_is_the_published_one(mode, beam_width, seed, backend):
    rng = np.random.default_rng(seed)
    k = [0.0, 0.01, 0.5][seed % 3]
    lm = None if mode == "words" else NGram.train(" ".join(WORDS), 2, unit="word", smoothing="add-k", k=k)
    decoder = WordBeamSearch(LEXICON, beam_width, lm=lm, mode=mode, exact=False, backend=backend)
    for _ in range(3):
        mat = np.exp(peaky(rng, 14, 8) / 2)
        mat /= mat.sum(axis=1, keepdims=True)
        found = decoder.decode(probs=mat)
        expected = published(mat.tolist(), 7, beam_width, mode, WORDS, k, CHARACTERS, "abcd")
        if expected is None:
            assert found == []
        else:
            assert found[0].text == expected[0]
            assert found[0].score == pytest.approx(expected[1], rel=1e-6)


@pytest.mark.parametrize("number", range(4))
@settings(max_examples=300)
@given(matrices(max_frames=8, max_classes=8), st.integers(1, 12))
def test_twins(number, case, beam_width):
    rows, blank = case
    n_classes = width(rows, blank)
    if n_classes < 3:
        return
    characters = CHARACTERS[: n_classes - 1]
    alphabet = Alphabet(characters, blank, word_characters=set(characters) & set("abcd"))
    lexicon = Lexicon.from_words(list(dict.fromkeys(WORDS)), alphabet, unknown="skip")
    mode, lm = MODES[number]
    words = WordBeamSearch(lexicon, lm=lm, mode=mode)._lexicon_model
    probs = as_array(rows, n_classes)
    expected, found = (
        backends.load(b, "beam_search").beam_search(probs, blank, beam_width, beam_width, None, words) for b in BACKENDS
    )
    assert [labels for labels, _ in found] == [labels for labels, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], rel=1e-12)


@pytest.mark.parametrize("number", range(4))
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_the_published_search_of_the_reference(number, seed, beam_width):
    """It is the general search with a lexicon model, and both are the compiled one's judge."""
    rng = np.random.default_rng(seed)
    mode, lm = MODES[number]
    lexicon_model = WordBeamSearch(LEXICON, lm=lm, mode=mode)._lexicon_model
    probs = np.exp(peaky(rng, int(rng.integers(0, 9)), 8) / 2)
    if seed % 3 == 0:
        probs = np.round(probs * 4) / 4 + 1 / 64  # ties
    expected = word_beam_search.word_beam_search(probs, 7, beam_width, beam_width, lexicon_model)
    for found in (
        backends.load("compiled", "beam_search").word_beam_search(probs, 7, beam_width, beam_width, lexicon_model),
        backends.load("reference", "beam_search").beam_search(probs, 7, beam_width, beam_width, None, lexicon_model),
    ):
        assert [labels for labels, _ in found] == [labels for labels, _ in expected]
        assert [score for _, score in found] == pytest.approx([score for _, score in expected], rel=1e-12)


def test_the_published_search_refuses_what_was_not_published():
    for options in ({"hot_words": HOT}, {}):
        lexicon_model = WordBeamSearch(LEXICON, **options)._lexicon_model
        if not options:
            lexicon_model = lexicon_model._replace(fusion=Fusion(1.0, 0.0, 0.0))
        for module in (word_beam_search, backends.load("compiled", "beam_search")):
            with pytest.raises(ValueError, match="no hot words and no shallow fusion"):
                module.word_beam_search(
                    [[1.0] * 8] if module is word_beam_search else np.ones((1, 8)), 7, 1, 1, lexicon_model
                )


@pytest.mark.parametrize("hot_words", [None, HOT], ids=["plain", "hot"])
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("fusion", [None, Fusion(0.7, 0.5, nan), Fusion(0.7, -0.5, -8.0)])
def test_the_walk_of_a_prefix(number, fusion, hot_words):
    """State by state, through all labels that may follow."""
    rng = np.random.default_rng(number)
    mode, lm = MODES[number]
    words = WordBeamSearch(LEXICON, lm=lm, mode=mode, hot_words=hot_words)._lexicon_model._replace(fusion=fusion)
    reference, compiled = (backends.load(b, "lexicon_model") for b in BACKENDS)
    for _ in range(40):
        state = reference.start_state(words)
        assert compiled.start_state(words) == state
        for _ in range(12):
            found = {}
            for label in range(7):
                one, other = (module.next_state(words, state, label) for module in (reference, compiled))
                assert (one is None) == (other is None)
                if one is not None:
                    assert other[:3] == one[:3]
                    assert other[6] == one[6]
                    assert other[3:6] + other[7:] == pytest.approx(one[3:6] + one[7:], rel=1e-12)
                    found[label] = one
            if not found:
                break
            state = found[int(rng.choice(list(found)))]
            one, other = (module.final_weight(words, state) for module in (reference, compiled))
            assert other == (None if one is None else pytest.approx(one, rel=1e-12))


@pytest.mark.parametrize("hot_words", [None, HOT], ids=["plain", "hot"])
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("beam_width", [2, pytest.param(25, marks=pytest.mark.slow)])
@pytest.mark.parametrize("seed", range(3))
def test_twins_of_real_size(number, beam_width, seed, hot_words):
    rng = np.random.default_rng(seed)
    mode, lm = MODES[number]
    log_probs = peaky(rng, 80, 8) / [1, 2, 4][seed % 3]
    log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
    options = {"lm": lm, "mode": mode, "n_best": beam_width, "hot_words": hot_words}
    a, b = (WordBeamSearch(LEXICON, beam_width, backend=x, **options).decode(log_probs) for x in BACKENDS)
    assert [h.labels for h in a] == [h.labels for h in b]
    assert [h.score for h in a] == pytest.approx([h.score for h in b], rel=1e-12)
    assert [h.lm_log_prob for h in a] == [h.lm_log_prob for h in b]


@given(matrices(max_frames=5, max_classes=4))
def test_a_wide_beam_finds_every_text_of_words(case):
    """Against all paths. Beginnings of the words are words, so that none is completed at the end."""
    rows, blank = case
    n_classes = width(rows, blank)
    if n_classes < 3 or not rows:
        return
    alphabet = Alphabet("ab "[4 - n_classes :], blank, word_characters="ab"[4 - n_classes :])
    words = {"b", "bb"} if n_classes == 3 else {"a", "ab", "b", "ba", "bb"}
    sums = as_array(rows, n_classes).sum(axis=1, keepdims=True)
    texts = text_probabilities((as_array(rows, n_classes) / sums).tolist(), blank, n_classes)
    expected = {labels: p for labels, p in texts.items() if p > 0 and words.issuperset(alphabet.decode(labels).split())}
    for backend in ("reference", "compiled"):
        decoder = WordBeamSearch(
            Lexicon.from_words(words, alphabet), 4000, mode="words", n_best=4000, exact=False, backend=backend
        )
        found = {one.labels: one.score for one in decoder.decode(probs=as_array(rows, n_classes) / sums)}
        assert found.keys() == expected.keys()
        for labels, score in found.items():
            assert score == pytest.approx(log(expected[labels]), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("number", range(4))
def test_hot_words_add_to_the_score(number, backend):
    """With and without them the beam holds all texts, so that scores differ by what the hot words add."""
    mode, lm = MODES[number]
    alphabet = Alphabet("abd ", word_characters="abd")
    lexicon = Lexicon.from_words(["a", "bad", "dab"], alphabet)
    hot = {"a": 0.5, "a a": 2.0, "bad": 3.0}
    rng = np.random.default_rng(number)
    for _ in range(10):
        log_probs = peaky(rng, 4, 5) / 3
        log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
        options = {"lm": lm, "mode": mode, "n_best": 500, "exact": False, "backend": backend}
        plain = WordBeamSearch(lexicon, 500, **options).decode(log_probs)
        found = {h.text: h.score for h in WordBeamSearch(lexicon, 500, hot_words=hot, **options).decode(log_probs)}
        assert len(found) == len(plain)
        for one in plain:
            reward = 0.5 * (one.text.split(" ").count("a")) + 3.0 * one.text.split(" ").count("bad")
            reward += 2.0 * ("a a" in one.text and not one.text.endswith("a a ")) - 0.5 * ("a a" in one.text)
            if "a a " in one.text or "bad" in one.text:
                continue  # phrases that overlap are matched once: tested beside the reference
            assert found[one.text] == pytest.approx(one.score + reward, abs=1e-9)


@pytest.mark.parametrize("number", range(4))
def test_rescoring_orders_by_the_true_probability(number):
    mode, lm = MODES[number]
    rng = np.random.default_rng(number)
    log_probs = peaky(rng, 40, 8) / 2
    log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
    options = {"lm": lm, "mode": mode}

    def true(one):
        return one.log_prob + (one.lm_log_prob or 0.0) / max(1, len(re.findall("[abcd]+(?=[^abcd])", one.text)))

    every = WordBeamSearch(LEXICON, 20, n_best=20, **options).decode(log_probs)
    best = WordBeamSearch(LEXICON, 20, n_best=5, rescore=True, **options).decode(log_probs)
    assert [true(h) for h in best] == pytest.approx(sorted(map(true, every), reverse=True)[:5])


def test_words_stay_in_the_lexicon_and_the_rest_is_free():
    rng = np.random.default_rng(1)
    for mode, lm in MODES:
        for one in WordBeamSearch(LEXICON, 10, lm=lm, mode=mode, n_best=10).decode(peaky(rng, 60, 8)):
            *ended, last = re.findall("[abcd]+", one.text) or [""]
            assert all(word in LEXICON for word in ended)
            assert not last or any(word.startswith(last) for word in WORDS)
            assert [word.text for word in one.words] == re.findall("[abcd]+", one.text)


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("completion", ["unique", "best", "forced"])
def test_streams(number, exact, completion, backend):
    rng = np.random.default_rng(number)
    mode, lm = MODES[number]
    options = {"lm": lm, "mode": mode, "completion": completion, "exact": exact, "backend": backend}
    decoder = WordBeamSearch(LEXICON, 8, **options)
    log_probs = peaky(rng, 70, 8)
    [whole] = decoder.decode(log_probs)
    for commit in (False, True):
        stream, text = decoder.stream(), ""
        for piece in np.array_split(log_probs, 9):
            stream.push(piece)
            text += stream.commit().text if commit else ""
        [rest] = stream.finish()
        assert rest.score == pytest.approx(whole.score, rel=1e-9)
        assert rest.lm_log_prob == (None if lm is None else pytest.approx(whole.lm_log_prob))
        if not commit or completion == "unique":
            assert text + rest.text == whole.text


@pytest.mark.parametrize("number", range(4))
def test_streams_with_hot_words(number, backend):
    mode, lm = MODES[number]
    decoder = WordBeamSearch(LEXICON, 8, lm=lm, mode=mode, hot_words=HOT, backend=backend)
    log_probs = peaky(np.random.default_rng(7 + number), 70, 8)
    [whole] = decoder.decode(log_probs)
    stream, text = decoder.stream(), ""
    for piece in np.array_split(log_probs, 20):
        stream.push(piece)
        text += stream.commit().text
    [rest] = stream.finish()
    assert (text + rest.text, rest.score) == (whole.text, pytest.approx(whole.score))


def test_completions():
    lexicon = Lexicon.from_words(["cab", "cabba", "cad", "b"], ALPHABET)
    frames = np.full((3, 8), 1e-4)
    frames[[0, 1, 2], [2, 0, 7]] = 1  # c, a, blank
    frames[2, 1] = 0.01
    frames /= frames.sum(axis=1, keepdims=True)

    def texts(**options):
        return [h.text for h in WordBeamSearch(lexicon, 30, **options).decode(probs=frames)]

    assert texts() == ["ca"]
    assert texts(completion="best") == ["cab"]
    assert texts(n_best=3, completion="best")[:2] == ["cab", "cad"]
    forced = texts(n_best=5, completion="forced")
    assert len(forced) == 5
    assert all(word in lexicon for text in forced for word in re.findall("[abcd]+", text))
    assert WordBeamSearch(Lexicon.from_words(["cab"], ALPHABET)).decode(probs=frames)[0].text == "cab"
    lm = NGram.train("cad cad cad cab b", 1, unit="word")
    assert texts(lm=lm, mode="ngrams", completion="best") == ["cab"]  # the frames say b
    frames[2, 1] = 1e-4
    assert texts(lm=lm, mode="ngrams", completion="best") == ["cad"]


def test_no_underflow():
    rng = np.random.default_rng(0)
    log_probs = peaky(rng, 20_000, 8) / 3
    log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
    for mode, lm in MODES:
        [found] = WordBeamSearch(LEXICON, 3, lm=lm, mode=mode, exact=False).decode(log_probs)
        assert -1e6 < found.score < -1000
        assert len(found.text) > 1000


def test_a_model_in_the_order_of_the_lexicon():
    model = WordModel.of(LEXICON, TRIGRAMS)
    ngram = backends.load("compiled", "ngram")
    names = LEXICON.all_words()
    for history in ([], ["a"], ["a", "bad"], ["cabba"], ["bad", "dab"]):
        state = ngram.score(model.tables, 0, [names.index(word) for word in history])[1]
        values = []
        for number, name in enumerate(names):
            [value] = ngram.score(model.tables, state, [number])[0]
            assert value == pytest.approx(TRIGRAMS.log_probs_of([*history, name], begin=False)[-1], rel=1e-6)
            values.append(exp(value))
        for first in range(len(names)):
            for last in range(first, len(names) + 1):
                total = ngram.forecast(model.tables, model.sums, state, first, last)
                assert total == pytest.approx(sum(values[first:last]), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_width": 0}, "beam_width must be"),
        ({"n_best": 26}, "n_best must be"),
        ({"mode": "Words"}, "mode must be one of"),
        ({"mode": "ngrams"}, "lm must be given"),
        ({"lm": BIGRAMS, "mode": "words"}, "lm must be given"),
        ({"lm": NGram.train("ab", 2)}, "lm must be a model of words"),
        ({"completion": "none"}, "completion must be"),
        ({"rescore": True, "exact": False}, "rescore needs"),
        ({"rescore": True, "hot_words": {"cab": 1.0}}, "goes without hot_words"),
        ({"hot_words": {"abba": 1.0}}, "hot_words must consist of words of the lexicon"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        WordBeamSearch(LEXICON, **options)


def test_words_that_are_not_made_of_word_characters():
    with pytest.raises(ValueError, match=r"one has '\.'"):
        WordBeamSearch(Lexicon.from_words(["a.b"], ALPHABET))


def test_what_the_compiled_search_refuses():
    beams = backends.load("compiled", "beam_search").Beams
    words = WordBeamSearch(LEXICON, lm=BIGRAMS)._lexicon_model
    beams(8, 7, None, words)
    small = WordModel.of(Lexicon.from_words(["a"], ALPHABET), NGram.train("a", 1, unit="word"))
    for change, message in (
        ({"is_word_char": (True,)}, "8 entries"),
        ({"tree": words.tree._replace(ends=words.tree.ends[:-1].copy())}, "equally long"),
        ({"tables": None}, "must have a model"),
        ({"tables": small.tables, "sums": small.sums}, "must know all"),
        ({"start": 10**6}, "start must be"),
    ):
        with pytest.raises(ValueError, match=message):
            beams(8, 7, None, words._replace(**change))
    rng = np.random.default_rng(0)
    probs = np.exp(peaky(rng, 30, 8))
    for _ in range(200):  # arrays that are no tree: whatever comes out, nothing else happens
        wild = [rng.integers(-3, 40, len(words.tree.ends)).astype(np.int32) for _ in range(3)]
        wild[1][-1], wild[2][-1] = len(words.tree.ends) - 1, 5
        tree = PrefixTree(wild[0] % 8, wild[1], wild[2])
        beams(8, 7, None, words._replace(tree=tree, tables=None, forecast=False))
        search = beams(8, 7, None, words._replace(tree=tree, start=0))
        search.extend(probs, 10)


def test_lexicon_of_a_text():
    lexicon = Lexicon.from_text("Don't panic: don't 42", Alphabet("Donatpicds' 42", word_characters="Donatpicds'"))
    assert sorted(lexicon.all_words()) == ["Don't", "don't", "panic"]


@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize("lm_type", ["Words", "NGrams", "ngramsForecast", "NGramsForecastAndSample"])
def test_drop_in(lm_type, as_bytes):
    from fastctc.compat.word_beam_search import WordBeamSearch as Published

    assert "word_beam_search" in compat.ALIASES
    texts = [text.encode() if as_bytes else text for text in (TEXT, CHARACTERS, "abcdxyz")]
    search = Published(5, lm_type, 0.01, *texts)
    rng = np.random.default_rng(0)
    mat = np.exp(peaky(rng, 3 * 12, 8) / 2).reshape(12, 3, 8)
    mat /= mat.sum(axis=2, keepdims=True)
    mode = {"words": "words", "ngrams": "ngrams"}.get(lm_type.lower(), "ngrams_forecast")
    for i, labels in enumerate(search.compute(mat)):
        expected = published(mat[:, i].tolist(), 7, 5, mode, WORDS, 0.01, CHARACTERS, "abcd")
        assert "".join(CHARACTERS[label] for label in labels) == expected[0]
    with pytest.raises(ValueError, match="lm_type must be"):
        Published(5, "Bigrams", 0.01, *texts)
    with pytest.raises(ValueError, match="frames, batch, classes"):
        search.compute(mat[0])


@pytest.mark.parametrize("backend", ["compiled", pytest.param("reference", marks=pytest.mark.slow)])
def test_the_real_lines(real, shared, backend):
    letters = {c for c in real["iam_line"][1].characters if c.isalpha() or c == "'"}
    alphabet = Alphabet(real["iam_line"][1].characters, real["iam_line"][1].blank, letters)
    text = (shared / "text" / "english_corpus.txt").read_text(encoding="utf-8")
    lexicon = Lexicon.from_text(text, alphabet)
    words = re.findall(f"[{re.escape(''.join(sorted(letters)))}]+", text)
    lm = NGram.train(" ".join(words), 2, unit="word", smoothing="add-k", k=0.01)
    for mode in ("words", "ngrams", "ngrams_forecast"):
        decoder = WordBeamSearch(lexicon, lm=None if mode == "words" else lm, mode=mode, backend=backend)
        assert decoder.decode(real["iam_line"][0])[0].text == "the fake friend of the family haze te"
    characters = real["bentham_2"][1].characters
    alphabet = Alphabet(characters, real["bentham_2"][1].blank, {c for c in characters if c.isalpha() or c == "'"})
    corpus = (shared / "text" / "bentham_corpus.txt").read_text(encoding="utf-8")
    lexicon = Lexicon.from_text(corpus, alphabet)
    for beam_width, end in ((10, "fa"), (25, "idea"), (100, "idea")):
        [found] = WordBeamSearch(lexicon, beam_width, backend=backend).decode(real["bentham_2"][0])
        assert found.text == f"submitt both mental and corporeal, is far beyond any {end}"


@pytest.mark.parametrize(
    ("name", "corpus", "smoothing", "texts"),
    [
        ("iam_line", "english_corpus.txt", 0.01, ["the fake friend of the family haze te"] * 4),
        (
            "bentham_2",
            "bentham_corpus.txt",
            0.0,
            [
                "submitt both mental and corporeal, is far beyond any idea",
                "submitt both mental and corporeal, submitt",
                "submitt both mental and corporeal,     the",
                "submitt both mental and corporeal,     the",
            ],
        ),
    ],
    ids=["iam_line", "bentham_2"],
)
def test_what_the_published_program_reads(real, shared, name, corpus, smoothing, texts):
    """As measured with it; where the smoothing is 0 the bigrams that never occurred rule out what the frames say."""
    from fastctc.compat.word_beam_search import WordBeamSearch as Published

    log_probs, alphabet = real[name]
    characters = "".join(alphabet.characters)
    letters = "".join(c for c in characters if c.isalpha() or c == "'")
    text = (shared / "text" / corpus).read_text(encoding="utf-8")
    mat = np.exp(log_probs.astype(np.float64))[:, None]
    for lm_type, expected in zip(("Words", "NGrams", "NGramsForecast", "NGramsForecastAndSample"), texts, strict=True):
        [labels] = Published(25, lm_type, smoothing, text, characters, letters).compute(mat)
        assert alphabet.decode(labels) == expected
