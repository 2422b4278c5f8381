"""The lexicon, and the search in it, against scoring every word."""

import pickle
from itertools import pairwise
from math import comb, exp, inf, isclose, log

import numpy as np
import pytest
from brute_force import text_probabilities
from conftest import logs, matrices, peaky, width
from hypothesis import given
from hypothesis import strategies as st

from fastctc import Alphabet, Lexicon, LexiconSearch, backends, edit_distance, log_probability
from fastctc.reference import lexicon as reference
from fastctc.storage import StorageError

ABC = Alphabet("abc", 0)


def arrays(words):
    """(labels, offsets) of sorted words, each a tuple of labels."""
    labels = np.array([label for word in words for label in word], dtype=np.int32)
    return labels, np.cumsum([0, *map(len, words)]).astype(np.int64)


sorted_words = st.sets(st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple), min_size=1, max_size=30).map(
    sorted
)


@given(sorted_words, st.randoms(use_true_random=False))
def test_prefix_tree(words, random):
    labels, offsets = arrays(words)
    priors = np.array([random.choice([0.0, 0.5, 1.0, 2.0]) for _ in words])
    tree = reference.prefix_tree(labels, offsets)
    compiled = backends.load("compiled", "lexicon")
    for a, b in zip(tree, compiled.prefix_tree(labels, offsets), strict=True):
        np.testing.assert_array_equal(a, b)
    node_labels, ends, firsts = tree
    bounds = reference.best_below(tree, priors)
    np.testing.assert_array_equal(compiled.best_below(tree, priors), bounds)
    # Every prefix is a node; its words are a range, and its bound the best of them.
    prefixes = sorted({word[:n] for word in words for n in range(1, len(word) + 1)})
    assert len(node_labels) - 1 == len(prefixes)
    for node, prefix in enumerate(prefixes):
        assert node_labels[node] == prefix[-1]
        below = [i for i, word in enumerate(words) if word[: len(prefix)] == prefix]
        assert below == list(range(firsts[node], firsts[ends[node]]))
        assert bounds[node] == max(priors[below])


def test_trees_that_are_none():
    for module in (reference, backends.load("compiled", "lexicon")):
        for words in ([(2,), (1,)], [(1,), (1,)], [(1, 2), (1,)]):
            with pytest.raises(ValueError, match="sorted and different"):
                module.prefix_tree(*arrays(words))
    compiled = backends.load("compiled", "lexicon")
    labels, offsets = arrays([(1,), (2,)])
    for bad in (offsets[:-1], offsets[::-1].copy(), offsets + 1):
        with pytest.raises(ValueError, match="offsets must"):
            compiled.prefix_tree(labels, bad)
    tree = compiled.prefix_tree(labels, offsets)
    with pytest.raises(ValueError, match="no part of a prefix tree"):
        compiled.best_below(tree._replace(words=tree.words + 5), np.ones(2))
    search = backends.load("compiled", "lexicon_search").lexicon_search
    probs = np.full((3, 4), 0.25)
    for nodes in (
        (tree[0] + 7, tree[1], tree[2]),
        (tree[0] - 1, tree[1], tree[2]),
        (tree[0], tree[1] - 1, tree[2]),
        (tree[0], tree[1] + 9, tree[2]),
        (tree[0], tree[1], tree[2] + 9),
    ):
        with pytest.raises(ValueError, match="no part of a prefix tree"):
            search(probs, *nodes, np.ones(3), np.ones(2), 0, 1, 0.0, 0)
    with pytest.raises(ValueError, match="equally long"):
        search(probs, *tree, np.ones(2), np.ones(2), 0, 1, 0.0, 0)
    for arguments in ((4, 1, 0.0, 0), (0, 0, 0.0, 0), (0, 1, 1.0, 0), (0, 1, float("nan"), 0), (0, 1, 0.0, -1)):
        with pytest.raises(ValueError, match="must be"):
            search(probs, *tree, np.ones(3), np.ones(2), *arguments)


@given(matrices(max_frames=5, max_classes=4), st.data())
def test_search_finds_the_best_words(case, data):
    rows, blank = case
    n_classes = width(rows, blank)
    characters = [c for c in range(n_classes) if c != blank]
    if not characters or not rows:
        return
    word = st.lists(st.sampled_from(characters), min_size=1, max_size=4).map(tuple)
    words = sorted(data.draw(st.sets(word, min_size=1, max_size=20)))
    priors = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=len(words), max_size=len(words)))
    n_best = data.draw(st.integers(1, 6))
    certainty = data.draw(st.sampled_from([0.0, 0.5, 0.99]))
    labels, offsets = arrays(words)
    tree = reference.prefix_tree(labels, offsets)
    arguments = (
        *tree,
        reference.best_below(tree, priors),
        np.array(priors),
        blank,
        n_best,
        certainty,
        10**6,
    )
    texts = text_probabilities(rows, blank, n_classes)
    scores = [texts.get(word, 0.0) * prior for word, prior in zip(words, priors, strict=True)]
    best = sorted((s for s in scores if s > 0), reverse=True)[:n_best]
    for backend in ("reference", "compiled"):
        search = backends.load(backend, "lexicon_search").lexicon_search
        found, explored, rest = search(np.array(rows), *arguments)
        assert [exp(score) for _, score in found] == pytest.approx(best, rel=1e-9)
        for number, score in found:
            assert isclose(exp(score), scores[number], rel_tol=1e-9)
        assert exp(explored) <= sum(scores) * (1 + 1e-9)
        assert exp(explored) + exp(rest) >= sum(scores) * (1 - 1e-9)
        assert exp(explored) >= certainty * (exp(explored) + exp(rest)) * (1 - 1e-9)


@pytest.mark.parametrize("n_best", [pytest.param(1, marks=pytest.mark.slow), 5])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_search_equals_scoring_every_word(n_best, temperature):
    rng = np.random.default_rng(8)
    alphabet = Alphabet("abcdefgh")
    words = sorted({"".join(rng.choice(list("abcdefgh"), size=rng.integers(1, 9))) for _ in range(5000)})
    priors = rng.random(len(words))
    lexicon = Lexicon.from_words(words, alphabet, priors)
    for _ in range(5):
        frames = peaky(rng, 24, 9) / temperature
        frames -= np.log(np.exp(frames).sum(axis=1, keepdims=True))
        scores = np.array([log_probability(frames, word, alphabet) for word in words]) + np.log(priors)
        order = sorted(range(len(words)), key=lambda i: (-scores[i], words[i]))[:n_best]
        found = LexiconSearch(lexicon, n_best=n_best).decode(frames)
        assert [h.text for h in found] == [words[i] for i in order]
        assert [h.score for h in found] == pytest.approx(scores[order], rel=1e-9)
        assert [h.log_prob + h.lm_log_prob for h in found] == pytest.approx(scores[order], rel=1e-9)
        share = np.exp(scores[order] - np.logaddexp.reduce(scores))
        assert all(h.confidence <= s * (1 + 1e-9) for h, s in zip(found, share, strict=True))
        expected = LexiconSearch(lexicon, n_best=n_best, backend="reference").decode(frames)
        assert [h.text for h in expected] == [h.text for h in found]
        assert [h.confidence for h in expected] == pytest.approx([h.confidence for h in found], rel=1e-6)


@pytest.mark.parametrize("sure", [40.0, 80.0, 170.0])
def test_a_network_that_is_sure_of_a_text_outside_the_lexicon(sure, backend):
    scores = np.zeros((4, 4))
    scores[[0, 1, 2, 3], [3, 1, 3, 3]] = sure
    lexicon = Lexicon.from_words(["ba"], ABC)
    [found] = LexiconSearch(lexicon, backend=backend).decode(logits=scores)
    assert found.text == "ba"
    assert found.log_prob == pytest.approx(log_probability(logits=scores, text="ba", alphabet=ABC))
    assert 0 < found.confidence <= 1


def uniform(n_frames, n_classes, text):
    """Log probability: all paths have the same, and as many are paths of the text as there are ways to place it."""
    needed = len(text) + sum(a == b for a, b in pairwise(text))
    return log(comb(n_frames + 2 * len(text) - needed, 2 * len(text))) - n_frames * log(n_classes)


@pytest.mark.parametrize("n_frames", [100, 160, 1000])
def test_words_below_what_a_double_can_hold(n_frames, backend):
    n_frames = min(n_frames, 200) if backend == "reference" else n_frames
    alphabet = Alphabet("".join(map(chr, range(0x4E00, 0x4E00 + 79))))
    words = [alphabet.decode(labels) for labels in ([0], [1], [4, 4], [1, 2, 3], [5, 4, 0], [5, 5, 5], [5, 4, 3, 2])]
    scores = [uniform(n_frames, 80, word) for word in words]
    order = sorted(range(len(words)), key=lambda i: (-scores[i], i))
    lexicon = Lexicon.from_words(words, alphabet)
    for n_best in (1, 3, 9):
        found = LexiconSearch(lexicon, n_best=n_best, certainty=0.999, backend=backend).decode(
            probs=np.full((n_frames, 80), 1 / 80)
        )
        assert [one.text for one in found] == [words[i] for i in order[:n_best]]
        assert [one.score for one in found] == pytest.approx([scores[i] for i in order[:n_best]], rel=1e-12)
        shares = np.exp(np.array(scores) - np.logaddexp.reduce(scores))[order[:n_best]]
        assert all(
            share * 0.99 <= one.confidence <= share * (1 + 1e-9) for one, share in zip(found, shares, strict=True)
        )


@pytest.mark.parametrize("kind", ["flat", "long", "mixture", "zeros"])
def test_improbable_words_are_found_as_if_all_were_scored(kind, backend):
    """Against the sum over all paths of every word, which falls back to logarithms."""
    rng = np.random.default_rng(len(kind))
    words = sorted({"".join(rng.choice(list("abcdef"), size=rng.integers(1, 8))) for _ in range(30)})
    alphabet, priors = Alphabet("abcdef"), 10.0 ** -rng.uniform(0, 200, len(words))
    for n_frames in (7, 300) if backend == "compiled" else (7, 50):
        probs = 1 + 1e-3 * rng.random((n_frames, 7))
        if kind == "long":  # a wrong text, and sure of it
            probs = np.full((n_frames, 7), 1e-9)
            probs[np.arange(n_frames), rng.integers(7, size=n_frames)] = 1
        elif kind == "mixture":  # all that a double can hold, in each frame
            probs = 10.0 ** -rng.uniform(0, 300, (n_frames, 7))
        elif kind == "zeros":
            probs = 10.0 ** -rng.uniform(0, 100, (n_frames, 7)) * (rng.random((n_frames, 7)) < 0.9)
            probs[:, 6] = 1e-80
        probs /= probs.sum(axis=1, keepdims=True)
        scores = np.array([log_probability(probs=probs, text=word, alphabet=alphabet) for word in words])
        for weights in (None, priors):
            scores = scores if weights is None else scores + np.log(weights)
            order = [i for i in sorted(range(len(words)), key=lambda i: -scores[i]) if scores[i] > -np.inf]
            lexicon = Lexicon.from_words(words, alphabet, weights)
            for n_best in (1, 5, 99):
                found = LexiconSearch(lexicon, n_best=n_best, exact=False, backend=backend).decode(probs=probs)
                assert [one.text for one in found] == [words[i] for i in order[:n_best]]
                assert [one.score for one in found] == pytest.approx(scores[order[:n_best]], rel=1e-9)


def test_a_handful_of_candidates():
    lexicon = Lexicon.from_words(["ba", "ab", "c"], ABC)
    found = LexiconSearch(lexicon, n_best=3).decode(probs=[[0.1, 0.6, 0.2, 0.1], [0.1, 0.2, 0.6, 0.1]])
    assert [h.text for h in found] == ["ab", "ba", "c"]
    assert sum(h.confidence for h in found) == pytest.approx(1.0)
    assert found[0].words[0].text == "ab"
    assert found[0].lm_log_prob is None
    assert LexiconSearch(lexicon, exact=False).decode(probs=[[0.1, 0.6, 0.2, 0.1]])[0].text == "c"


def test_no_word_fits():
    lexicon = Lexicon.from_words(["abc"], ABC)
    assert LexiconSearch(lexicon).decode(probs=[[0.25] * 4] * 2) == []
    assert LexiconSearch(lexicon).decode(np.empty((0, 4))) == []
    assert LexiconSearch(lexicon).decode_batch(logs(np.full((3, 2, 4), 0.25))) == [[], [], []]


def test_equal_words_stand_in_their_order():
    lexicon = Lexicon.from_words(["cb", "ab", "ba", "ca"], ABC)
    for backend in ("compiled", "reference"):
        found = LexiconSearch(lexicon, n_best=4, backend=backend).decode(probs=[[0.25] * 4] * 4)
        assert [h.text for h in found] == ["ab", "ba", "ca", "cb"]


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        ([], {}, "at least one word"),
        (["a", ""], {}, "empty, got an empty one at position 1"),
        (["a", "b", "a"], {}, "different, got 'a' twice"),
        (["a", "x", "y"], {}, "2 of 3 do not: 'x', 'y'"),
        (["x"], {"unknown": "skip"}, "at least one word"),
        (["a"], {"priors": [-1]}, "not negative, got -1.0 for 'a'"),
        (["a", "b"], {"priors": [1, float("nan")]}, "got nan for 'b'"),
        (["a"], {"priors": [inf]}, "got inf for 'a'"),
        (["a"], {"priors": [0]}, "not all be 0"),
        (["a"], {"priors": [1, 2]}, "1 numbers, one a word"),
        (["a"], {"unknown": "ignore"}, "'raise' or 'skip', got 'ignore'"),
    ],
)
def test_bad_lexicons(words, options, message):
    with pytest.raises(ValueError, match=message):
        Lexicon.from_words(words, ABC, **options)


def test_words_that_cannot_be_spelled_are_reported():
    lexicon = Lexicon.from_words(["ax", "b", "é"], ABC, [1.0, 2.0, 3.0], unknown="skip")
    assert (len(lexicon), lexicon.skipped) == (1, ("ax", "é"))
    assert lexicon.priors.tolist() == [2.0]


def test_priors_follow_their_words():
    lexicon = Lexicon.from_words(["c", "a", "b"], ABC, [3.0, 1.0, 2.0])
    assert [(lexicon.word(i), lexicon.priors[i]) for i in range(3)] == [("a", 1.0), ("b", 2.0), ("c", 3.0)]
    best = LexiconSearch(lexicon).decode(probs=[[0.25] * 4])[0]
    assert best.text == "c"
    assert best.lm_log_prob == log(3.0)


def test_pieces_and_many_classes():
    alphabet = Alphabet(["▁the", "▁c", "at", "a", "t", "s"], word_begin="▁")
    lexicon = Lexicon.from_words(["cat", "cats", "the"], alphabet)
    assert "cats" in lexicon
    assert "cars" not in lexicon
    many = Alphabet([chr(0x4E00 + i) for i in range(20_000)])
    assert chr(0x4E00 + 19_999) * 2 in Lexicon.from_words([chr(0x4E00 + 19_999) * 2], many)


def test_files(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffab\r\n\r\nba\nab\n".encode())
    assert len(Lexicon.from_file(path, ABC)) == 2
    path.write_bytes(b"ab\n\xe9a\n")
    with pytest.raises(ValueError, match=r"words.txt, line 2: a word list must be UTF-8"):
        Lexicon.from_file(path, ABC)
    path.write_bytes(b"ab\nxy\n")
    with pytest.raises(ValueError, match=r"words.txt: words must consist .* 'xy'"):
        Lexicon.from_file(path, ABC)


def test_lexicons_travel():
    decoder = LexiconSearch(Lexicon.from_words(["ab", "ba"], ABC))
    copy = pickle.loads(pickle.dumps(decoder))
    frames = np.full((4, 4), 0.25)
    assert copy.decode(probs=frames) == decoder.decode(probs=frames)
    assert decoder.decode_batch(probs=[frames] * 30, threads=2) == [decoder.decode(probs=frames)] * 30


def test_bad_options():
    lexicon = Lexicon.from_words(["a"], ABC)
    with pytest.raises(ValueError, match=r"n_best must be 1 to .*, got 0"):
        LexiconSearch(lexicon, n_best=0)
    with pytest.raises(ValueError, match="certainty must be 0 or more and below 1, got 1"):
        LexiconSearch(lexicon, certainty=1)


def test_real_word(real_word, shared):
    frames, alphabet = real_word
    lexicon = Lexicon.from_file(shared / "text" / "words_370k.txt", alphabet)
    best = LexiconSearch(lexicon, certainty=0).decode(frames)[0]
    sure = LexiconSearch(lexicon, certainty=0.999, patience=10**6).decode(frames)[0]
    assert best.text == sure.text == "aircraft"
    assert best.log_prob == sure.log_prob
    assert 0.1 < best.confidence <= sure.confidence
    assert sure.confidence > 0.998


@given(sorted_words, st.lists(st.integers(-1, 3), max_size=6), st.integers(0, 7))
def test_words_near_a_text(words, text, tolerance):
    tree = reference.prefix_tree(*arrays(words))
    expected = [(i, d) for i, word in enumerate(words) if (d := edit_distance(word, tuple(text))) <= tolerance]
    for backend in ("reference", "compiled"):
        assert backends.load(backend, "lexicon").words_near(tree, text, tolerance) == expected


def test_similar_words():
    lexicon = Lexicon.from_words(["cab", "ab", "abba", "acca"], ABC)
    assert lexicon.similar("abba", 2) == [("abba", 0), ("ab", 2), ("acca", 2)]
    assert lexicon.similar("xyz", 2) == []
    assert lexicon.similar("xab") == [("ab", 1), ("cab", 1)]
    pieces = Lexicon.from_words([["abc"], ["abc", "d"]], Alphabet(["abc", "d"]))
    assert pieces.similar("abcdd") == [("abcd", 1)]
    near = backends.load("compiled", "lexicon").words_near
    tree = lexicon.tree
    for wrong, tolerance in ((tree, -1), (tree._replace(node_labels=tree.node_labels[:-1].copy()), 1)):
        with pytest.raises(ValueError, match="must be"):
            near(wrong, [1], tolerance)
    for ends in (tree.ends - 1, tree.ends + 3):
        with pytest.raises(ValueError, match="no part of a prefix tree"):
            near(tree._replace(ends=ends), [1, 2], 5)


@pytest.mark.parametrize("priors", [None, [1.0, 0.0, 3.0, 0.5]])
def test_approximate_search(priors, backend):
    rng = np.random.default_rng(3)
    words = ["cab", "ab", "abba", "acca"]
    lexicon = Lexicon.from_words(words, ABC, priors)
    for _ in range(20):
        frames = peaky(rng, 7, 4)
        wide = LexiconSearch(lexicon, n_best=4, tolerance=10, backend=backend).decode(frames)
        whole = LexiconSearch(lexicon, n_best=4, backend=backend).decode(frames)
        assert [h.text for h in wide] == [h.text for h in whole]
        assert [h.score for h in wide] == pytest.approx([h.score for h in whole])
        assert [h.lm_log_prob for h in wide] == [h.lm_log_prob for h in whole]
        best = "".join(ABC.decode([label]) for label in backends.load(backend, "best_path").best_path(frames, 0)[0])
        near = LexiconSearch(lexicon, n_best=4, tolerance=1, exact=False, backend=backend).decode(frames)
        assert {h.text for h in near} <= {word for word, _ in lexicon.similar(best, 1)}


@pytest.mark.parametrize(("name", "value"), [("tolerance", -1), ("patience", -1), ("n_best", 0), ("certainty", 1.0)])
def test_bad_options_of_the_search(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        LexiconSearch(Lexicon.from_words(["a"], ABC), **{name: value})


def test_the_alphabet_is_saved_too(tmp_path):
    alphabet = Alphabet(["▁a", "b", "▁é"], 1, word_begin="▁")
    Lexicon.from_words(["ab", "a", "é"], alphabet).save(tmp_path / "words")
    loaded = Lexicon.load(tmp_path / "words")
    assert loaded.alphabet == alphabet
    assert sorted(map(loaded.word, range(3))) == ["a", "ab", "é"]


def test_saved_and_mapped(tmp_path):
    alphabet = Alphabet(["a", "b", "c", "é"], 2, ["a", "b"])
    lexicon = Lexicon.from_words(["ab", "ba", "é", "x"], alphabet, [1, 2, 3, 4], unknown="skip")
    path = tmp_path / "words"
    lexicon.save(path)
    loaded = Lexicon.load(path)
    assert loaded.alphabet == alphabet
    assert [loaded.word(i) for i in range(len(loaded))] == [lexicon.word(i) for i in range(len(lexicon))]
    assert (loaded.has_priors, loaded.skipped) == (True, ("x",))
    assert "ba" in pickle.loads(pickle.dumps(loaded))
    assert list(tmp_path.iterdir()) == [path]
    frames = np.full((3, 5), 0.2)
    assert LexiconSearch(loaded, n_best=3).decode(probs=frames) == LexiconSearch(lexicon, n_best=3).decode(probs=frames)
    whole = path.read_bytes()
    for n in range(0, len(whole) - 64, 11):
        (tmp_path / "cut").write_bytes(whole[:n])
        with pytest.raises(StorageError):
            Lexicon.load(tmp_path / "cut")
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=8):
            damaged[place] = rng.integers(256)
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            found = Lexicon.load(tmp_path / "damaged")
            assert "zz" not in found
            found.similar("ab", 2)
            LexiconSearch(found).decode(probs=frames)
        except (ValueError, IndexError, KeyError):
            pass


def test_files_that_hold_something_else(tmp_path):
    from fastctc import NGram

    NGram.train("ab", 2).save(tmp_path / "model")
    with pytest.raises(ValueError, match="must hold a lexicon, but holds a n-gram model"):
        Lexicon.load(tmp_path / "model")
    (tmp_path / "text").write_text("word\n")
    with pytest.raises(ValueError, match="must be a file that fastctc saved"):
        Lexicon.load(tmp_path / "text")
    with pytest.raises(OSError, match="missing"):
        Lexicon.load(tmp_path / "missing")
