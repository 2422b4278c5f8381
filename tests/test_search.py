"""Prefix search and token passing, against brute force and their references."""

import warnings
from itertools import groupby, pairwise, product
from math import exp, inf, log

import numpy as np
import pytest
from brute_force import all_paths, collapse, text_probabilities
from conftest import as_array, logs, matrices, peaky, width
from hypothesis import given
from hypothesis import strategies as st

from fastctc import Alphabet, BeamSearch, Lexicon, NGram, PrefixSearch, TokenPassing, backends, log_probability
from fastctc.search_inputs import Bigrams

BACKENDS = ("reference", "compiled")


@given(matrices(max_frames=5, max_classes=4), st.integers(1, 6))
def test_prefix_search_finds_the_most_probable_texts(case, n_best):
    rows, blank = case
    n_classes = width(rows, blank)
    texts = text_probabilities(rows, blank, n_classes)
    best = sorted((p for p in texts.values() if p > 0), reverse=True)[:n_best]
    results = [
        backends.load(b, "prefix_search").prefix_search(as_array(rows, n_classes), blank, n_best, 10**6)
        for b in BACKENDS
    ]
    assert results[0] == results[1]
    found, rest = results[0]
    assert [exp(score) for _, score in found] == pytest.approx(best, rel=1e-9)
    for labels, score in found:
        assert exp(score) == pytest.approx(texts[labels], rel=1e-9)
    if len(found) == n_best:
        assert exp(rest) <= best[-1] * (1 + 1e-9)


@given(matrices(max_frames=5, max_classes=4))
def test_ways_on_are_the_paths_that_show_another_label(case):
    rows, blank = case
    n_classes = width(rows, blank)
    twins = [backends.load(b, "prefix_search").ways_on(as_array(rows, n_classes), blank) for b in BACKENDS]
    assert twins[0] == twins[1]
    for t, found in enumerate(twins[0]):
        for label in range(n_classes):
            paths = all_paths(rows[t + 1 :], n_classes) if label != blank else ()
            expected = sum(p for path, p in paths if len(collapse((label, *path), blank)) > 1)
            if all(abs(sum(row) - 1) < 1e-12 for row in rows[t + 1 :]):
                assert found[label] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n_frames", "n_classes", "n_best"), [(30, 80, 1), (25, 20, 5), (40, 6, 3), (1, 300, 4)])
def test_prefix_search_of_real_size(n_frames, n_classes, n_best):
    rng = np.random.default_rng(n_classes)
    probs = np.exp(peaky(rng, n_frames, n_classes))
    for limit in (1, 7, 200):
        a, b = (backends.load(x, "prefix_search").prefix_search(probs, 2, n_best, limit) for x in BACKENDS)
        assert a == b


def test_a_possible_text_below_the_precision_of_its_prefix(backend):
    rows = np.full((4, 4), 1e-20)
    rows[[0, 1, 2, 3], [3, 1, 3, 3]] = 1.0
    found = PrefixSearch(Alphabet("abc"), n_best=400, backend=backend).decode(probs=rows)
    texts = {labels: p for labels, p in text_probabilities(rows, 3, 4).items() if p > 0}
    assert [exp(one.score) for one in found] == pytest.approx(sorted(texts.values(), reverse=True))
    assert {one.labels for one in found} == set(texts)


def test_prefix_search_of_a_tie():
    for backend in BACKENDS:
        found, _ = backends.load(backend, "prefix_search").prefix_search(np.full((2, 4), 0.25), 3, 5, 100)
        assert [labels for labels, _ in found] == [(0,), (1,), (2,), (), (0, 1)]


def test_sections(backend):
    rng = np.random.default_rng(1)
    alphabet = Alphabet("abcd")
    probs = np.exp(peaky(rng, 14, 5))
    probs[[4, 5, 9]] = [0.01, 0.01, 0.01, 0.01, 0.96]
    whole = PrefixSearch(alphabet, n_best=3, backend=backend).decode(probs=probs)
    split = PrefixSearch(alphabet, n_best=3, split=0.9, backend=backend).decode(probs=probs)
    assert split[0].text == whole[0].text
    assert split[0].log_prob == whole[0].log_prob == pytest.approx(whole[0].score)
    assert split[0].score <= split[0].log_prob
    assert [h.score for h in split] == sorted([h.score for h in split], reverse=True)
    fast = PrefixSearch(alphabet, split=0.9, exact=False, backend=backend).decode(probs=probs)
    assert (fast[0].labels, fast[0].words) == (split[0].labels, ())
    assert PrefixSearch(alphabet, split=0.9).decode(probs=np.empty((0, 5)))[0].text == ""


def test_sections_are_joined_as_texts_are(backend):
    """Against tuples, with ties: texts that are put together differently are one, equal ones stand in their order."""
    rng = np.random.default_rng(5)
    alphabet = Alphabet("abc")
    search = backends.load(backend, "prefix_search").prefix_search
    for n_best in (1, 3, 7):
        for _ in range(20):
            probs = rng.choice([0.125, 0.25, 0.5], (20, 4))
            probs /= probs.sum(axis=1, keepdims=True)
            probs[3::4] = [1 / 64, 1 / 64, 0, 62 / 64]
            cuts = np.flatnonzero((probs[1:, 3] > 0.9) & ~(probs[:-1, 3] > 0.9)) + 1
            best = [((), 0.0)]
            for section in np.split(probs, cuts):
                sums = {}
                for before, score in best:
                    for labels, more in search(section, 3, n_best, 10**6)[0]:
                        text = before + labels
                        total = score + more
                        sums[text] = float(np.logaddexp(sums[text], total)) if text in sums else total
                best = sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:n_best]
            found = PrefixSearch(alphabet, split=0.9, n_best=n_best, exact=False, backend=backend).decode(probs=probs)
            assert [(one.labels, one.score) for one in found] == best


def test_a_search_that_gives_up_says_so(backend):
    probs = np.full((12, 5), 0.2)
    with pytest.warns(RuntimeWarning, match="gave up after 20 prefixes"):
        PrefixSearch(Alphabet("abcd"), max_prefixes=20, backend=backend).decode(probs=probs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PrefixSearch(Alphabet("abcd"), backend=backend).decode(probs=probs[:5])


@pytest.mark.parametrize("n_frames", [160, 1000])
def test_a_search_that_finds_nothing_returns_the_best_path(n_frames, backend):
    n_frames = min(n_frames, 200) if backend == "reference" else n_frames
    alphabet = Alphabet("".join(map(chr, range(0x4E00, 0x4E00 + 79))))
    probs = np.full((n_frames, 80), 1 / 80)
    probs[n_frames // 2, 7] *= 1.01
    for options in ({}, {"exact": False}):
        with pytest.warns(RuntimeWarning, match="gave up after 3 prefixes"):
            [found] = PrefixSearch(alphabet, max_prefixes=3, backend=backend, **options).decode(probs=probs)
        assert found.score == pytest.approx(log_probability(probs=probs, text=found.text, alphabet=alphabet), rel=1e-12)
        assert found.score > -n_frames * log(80) - 1e-9


def test_texts_that_are_too_improbable_to_be_found_are_announced(backend):
    probs = np.full((12, 3), 1e-100)
    probs[:, 2] = 1
    with pytest.warns(RuntimeWarning, match="less than 1e-280"):
        found = PrefixSearch(Alphabet("ab"), n_best=100, backend=backend).decode(probs=probs)
    assert {"", "a", "b", "aa", "ab", "ba", "bb"} <= {one.text for one in found}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PrefixSearch(Alphabet("ab"), n_best=7, backend=backend).decode(probs=probs)
        assert len(PrefixSearch(Alphabet("ab"), n_best=10, backend=backend).decode(probs=probs[:1])) == 3


@pytest.mark.parametrize(("name", "value"), [("split", 1.0), ("split", 0.3), ("n_best", 0), ("max_prefixes", 0)])
def test_bad_options_of_prefix_search(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        PrefixSearch(Alphabet("ab"), **{name: value})


def test_what_the_compiled_searches_refuse():
    probs = np.full((3, 4), 0.25)
    search = backends.load("compiled", "prefix_search").prefix_search
    for arguments in ((4, 1, 1), (-1, 1, 1), (0, 0, 1), (0, 1, 0), (0, 1 << 40, 1), (0, 1, 1 << 40)):
        with pytest.raises(ValueError, match="must be"):
            search(probs, *arguments)
    passing = backends.load("compiled", "token_passing").token_passing
    labels, offsets = np.array([1, 2], np.int32), np.array([0, 1, 2])
    empty = np.empty(0, np.int32), np.empty(0)
    bigrams = Bigrams(np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(3, np.int64), *empty)
    passing(probs, labels, offsets, 0, 3, bigrams)
    for arguments in (
        (labels, offsets, 4, -1, None),
        (labels, offsets, 0, 0, None),
        (labels, offsets, 0, 4, None),
        (labels, offsets, 0, 2, None),
        (labels, offsets, 1, -1, None),
        (labels + 2, offsets, 0, -1, None),
        (labels - 2, offsets, 0, -1, None),
        (labels, offsets[::-1].copy(), 0, -1, None),
        (labels, offsets + 1, 0, -1, None),
        (labels, np.array([0, 3, 2]), 0, -1, None),
        (labels, np.array([0, 0, 2]), 0, -1, None),
        (labels, offsets[:1], 0, -1, None),
        (labels, offsets, 0, -1, bigrams._replace(first=np.zeros(1))),
        (labels, offsets, 0, -1, bigrams._replace(starts=np.array([0, 2, 0]))),
        (labels, offsets, 0, -1, Bigrams(*bigrams[:3], np.array([0, 0, 1]), np.array([2], np.int32), np.zeros(1))),
    ):
        with pytest.raises(ValueError, match="must"):
            passing(probs, *arguments)


def best_words(rows, words, blank, separator, transition):
    """Every path that can be read as words: the score of the best, and its words."""
    n_classes = len(rows[0])
    number = {word: i for i, word in enumerate(words)}
    best = {}

    def readings(chunks):
        """Ways to put neighbouring chunks together to words."""
        if not chunks:
            yield ()
        for n in range(1, len(chunks) + 1):
            first = number.get(tuple(label for chunk in chunks[:n] for label in chunk))
            if first is not None:
                for rest in readings(chunks[n:]):
                    yield (first, *rest)

    for path in product(range(n_classes), repeat=len(rows)):
        p = 1.0
        for row, label in zip(rows, path, strict=True):
            p *= row[label]
        if p == 0:
            continue
        # Labels between blanks; with a separator, labels between separators.
        merged = [label for label, _ in groupby(path)]
        if separator >= 0:
            text = [label for label in merged if label != blank]
            parts = [tuple(part) for is_sep, part in groupby(text, lambda c: c == separator) if not is_sep]
            found = [tuple(number[part] for part in parts)] if all(part in number for part in parts) else []
            if [label for label in text if label == separator] != [separator] * (len(parts) - 1) or not parts:
                found = []
        else:
            chunks = [tuple(part) for is_blank, part in groupby(merged, lambda c: c == blank) if not is_blank]
            found = [reading for reading in readings(chunks) if reading]
        for reading in found:
            score = log(p) + transition(reading)
            best[reading] = max(best.get(reading, -inf), score)
    return best


@given(matrices(max_frames=5, max_classes=4), st.booleans(), st.booleans(), st.data())
def test_token_passing_finds_the_best_path(case, separated, with_bigrams, data):
    rows, blank = case
    n_classes = width(rows, blank)
    characters = [c for c in range(n_classes) if c != blank]
    separator = characters.pop() if separated and characters else -1
    if not characters or not rows:
        return
    word = st.lists(st.sampled_from(characters), min_size=1, max_size=3).map(tuple)
    words = sorted(data.draw(st.sets(word, min_size=1, max_size=5)))
    n = len(words)
    value = st.sampled_from([0.0, -0.5, -1.25, -3.0]) | st.floats(-5, 0)
    bigrams = None

    def transition(reading):
        if bigrams is None:
            return 0.0
        seen = {(w, s): p for w in range(n) for s, p in after[w].items()}
        total = bigrams.first[reading[0]]
        for pair in pairwise(reading):
            total += seen.get(pair, bigrams.backoffs[pair[0]] + bigrams.single[pair[1]])
        return total

    if with_bigrams:
        after = [data.draw(st.dictionaries(st.integers(0, n - 1), value, max_size=3)) for _ in words]
        numbers = st.lists(value, min_size=n, max_size=n).map(np.array)
        bigrams = Bigrams(
            data.draw(numbers),
            data.draw(numbers),
            data.draw(numbers),
            np.cumsum([0, *map(len, after)]),
            np.array([s for a in after for s in sorted(a)], np.int32),
            np.array([a[s] for a in after for s in sorted(a)], np.float64),
        )
    best = best_words(rows, words, blank, separator, transition)
    labels = np.array([label for w in words for label in w], np.int32)
    offsets = np.cumsum([0, *map(len, words)])
    for backend in BACKENDS:
        search = backends.load(backend, "token_passing").token_passing
        found, score = search(logs(as_array(rows, n_classes)), labels, offsets, blank, separator, bigrams)
        if best:
            assert score == pytest.approx(max(best.values()), rel=1e-9, abs=1e-12)
            assert best[tuple(found)] == pytest.approx(score, rel=1e-9, abs=1e-12)
        else:
            assert (found, score) == ([], -inf)


@pytest.mark.parametrize("separator", [-1, 9])
@pytest.mark.parametrize("with_bigrams", [False, True])
@pytest.mark.parametrize("temperature", [1, 4])
def test_token_passing_of_real_size(separator, with_bigrams, temperature):
    rng = np.random.default_rng(temperature)
    alphabet = Alphabet("abcdefgh ", 0)
    words = {"".join(rng.choice(list("abcdefgh"), rng.integers(1, 7))) for _ in range(40)}
    lexicon = Lexicon.from_words(sorted(words), alphabet)
    frames = peaky(rng, 60, 10) / temperature
    frames -= np.log(np.exp(frames).sum(axis=1, keepdims=True))
    lm = None
    if with_bigrams:
        text = [" ".join(rng.choice(sorted(words), 12)) for _ in range(9)]
        lm = NGram.train(text, 2, unit="word")
    options = {"separator": " " if separator > 0 else "", "lm": lm, "lm_weight": 0.7}
    [a], [b] = (TokenPassing(lexicon, backend=backend, **options).decode(frames) for backend in BACKENDS)
    assert a.labels == b.labels
    assert a.score == pytest.approx(b.score, rel=1e-12)
    if lm:
        names = [word.text for word in a.words]
        assert a.lm_log_prob == pytest.approx(lm.score(names, end=False), rel=1e-6)
    assert a.score <= a.log_prob + 0.7 * (a.lm_log_prob or 0.0)


def test_words_of_token_passing(backend):
    lexicon = Lexicon.from_words(["ab", "b"], Alphabet("ab"))
    probs = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]]
    [found] = TokenPassing(lexicon, backend=backend).decode(probs=probs)
    assert found.text == "abb"
    assert [word.text for word in found.words] == ["ab", "b"]
    assert [word.first for word in found.words] == [0, 3]
    assert found.log_prob == pytest.approx(log_probability(np.log(probs), "abb", Alphabet("ab")))
    assert TokenPassing(lexicon, backend=backend).decode(probs=[[0.9, 0, 0.1]]) == []
    assert TokenPassing(lexicon, backend=backend).decode(probs=np.empty((0, 3)))[0].text == ""
    [fast] = TokenPassing(lexicon, exact=False, backend=backend).decode(probs=probs)
    assert (fast.text, fast.words) == ("abb", ())


def test_bad_options_of_token_passing():
    alphabet = Alphabet("ab -")
    lexicon = Lexicon.from_words(["a-b"], alphabet)
    for options, message in (
        ({"separator": "-"}, "must not be part of a word"),
        ({"separator": "a-"}, "must be one character"),
        ({"separator": "x"}, "alphabet's characters"),
        ({"lm_weight": 0.0}, "lm_weight must be"),
        ({"lm": NGram.train("ab", 2)}, "got one of characters"),
        ({"lm": NGram.train("ab", 2, unit="word", smoothing="add-k")}, "got an add-k model"),
    ):
        with pytest.raises(ValueError, match=message):
            TokenPassing(lexicon, **options)


def test_the_real_line(real):
    log_probs, alphabet = real["iam_line"]
    lexicon = Lexicon.from_words(["family", "fake", "friend", "like", "of", "the"], alphabet)
    [published] = TokenPassing(lexicon, separator="").decode(log_probs)
    assert [word.text for word in published.words] == ["the", "fake", "friend", "of", "the", "family", "fake", "the"]
    assert TokenPassing(lexicon).decode(log_probs)[0].text == "the fake friend of the family fake the"
    [split] = PrefixSearch(alphabet, split=0.9).decode(log_probs)
    assert split.text == BeamSearch(alphabet).decode(log_probs)[0].text
