"""Beam search over paths: the compiled search against the reference, and both against all paths there are."""

from functools import cache
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from conftest import peaky
from hypothesis import given
from hypothesis import strategies as st

from fastctc import NGram, backends
from fastctc.compat.flashlight.spelling import spelling_tree
from fastctc.lm.kenlm import KenLM
from fastctc.search_inputs import AskedModel, PathKenLM, PathOptions

TEXT = "ab ba aab abba b a bab ab aba\n" * 3 + "a b ab\n" * 2

OPTIONS = PathOptions(
    beam_width=8,
    tokens_per_frame=9,
    threshold=50.0,
    lm_weight=1.3,
    word_bonus=0.3,
    unknown_bonus=-inf,
    silence_bonus=-0.2,
    log_add=False,
    token_model=False,
)


def searches(*arguments):
    return [backends.load(backend, "path_search").PathSearch(*arguments) for backend in ("reference", "compiled")]


def found(search, look_back=-1):
    n, length = search.size(look_back)
    scores, tokens, words = np.zeros((n, 3)), np.zeros((n, length), np.int32), np.zeros((n, length), np.int32)
    search.fill(look_back, scores, tokens, words)
    return scores, tokens.tolist(), words.tolist()


def run(search, *parts):
    search.begin()
    for part in parts:
        search.extend(np.ascontiguousarray(part, np.float32))
    search.end()
    return found(search)


@cache
def kenlm(unit):
    """A model of words, or of characters."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.arpa")
        text = TEXT if unit == "word" else "\n".join(" ".join(line) for line in TEXT.splitlines())
        NGram.train(text, 3, unit="word", sentences=True).to_arpa(path)
        return KenLM.from_arpa(path)


def asked(model, seen=None, ceiling=inf):
    """KenLM as a model that is asked."""
    module = backends.load("compiled", "kenlm")
    beginning, contexts, table = module.State(), [], {}
    module.Scorer(model.tables).begin(beginning)

    def step(key, number):
        if key not in table:
            score, _, context = module.advance(model.tables, contexts[key[0]], number)
            table[key] = len(contexts), score
            contexts.append(context)
        return table[key]

    def score(keys):
        if seen is not None:
            seen.extend(keys)
        return [step(key, int(model.numbers[key[1]])) for key in keys]

    def start():
        table.clear()
        contexts[:] = [beginning.context]
        return 0

    end = module.number(model.tables, b"</s>")
    return AskedModel(start, score, lambda states: [step((state, -1), end) for state in states], ceiling)


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    n_classes = draw(st.integers(3, 6))
    kind = draw(st.sampled_from(["normal", "ties", "zeros", "sure"]))
    n_frames = draw(st.integers(0, 9))
    emissions = rng.normal(0, 2, (n_frames, n_classes))
    if kind == "ties":
        emissions = np.round(emissions)
    elif kind == "zeros":
        emissions[rng.random(emissions.shape) < 0.4] = -inf
    elif kind == "sure" and n_frames:
        emissions[np.arange(n_frames), rng.integers(n_classes, size=n_frames)] += 30
    options = OPTIONS._replace(
        beam_width=draw(st.sampled_from([1, 2, 3, 8, 40])),
        tokens_per_frame=draw(st.sampled_from([1, 2, 3, 9, 9, 9])),
        threshold=draw(st.sampled_from([0.0, 2.0, 50.0, 50.0, inf])),
        lm_weight=draw(st.sampled_from([0.0, 0.5, 2.0, -0.7])),
        unknown_bonus=draw(st.sampled_from([-inf, -inf, -1.0])),
        log_add=draw(st.booleans()),
        token_model=draw(st.booleans()),
    )
    tree, n_words = None, 0
    if draw(st.booleans()):
        n_words = draw(st.integers(1, 6))
        spellings = [
            (rng.integers(0 if rng.random() < 0.1 else 1, n_classes, size=rng.integers(1, 4)).tolist(), word)
            for word in list(range(n_words)) + rng.integers(n_words, size=rng.integers(0, 4)).tolist()
        ]
        smearing = draw(st.sampled_from(["none", "max", "logadd"]))
        values = rng.choice([-inf, -0.5, -1.0, -2.0], size=len(spellings), p=[0.1, 0.3, 0.3, 0.3])
        tree = spelling_tree([s for s, _ in spellings], [w for _, w in spellings], values, smearing)
    of_words = tree is not None and not options.token_model
    tokens = ["a", "b", " ", "c", "<unk>", "d", "e"]
    names = ["ab", "ba", "zz", "b", "aab", "a", "<unk>"] if of_words else tokens[:n_classes]
    ngram = None
    if draw(st.booleans()):
        model = kenlm("word" if of_words else "character")
        ngram = PathKenLM(model.tables, np.array([model.scorer.number(name) for name in names], np.int32))
    return emissions, draw(st.sampled_from([0, 1])), 6, options, tree, ngram


def assert_same(first, second, exact):
    for one, other in zip(first[1:], second[1:], strict=True):
        assert one == other
    np.testing.assert_allclose(second[0], first[0], rtol=0 if exact else 1e-12, atol=0 if exact else 1e-12)


@given(cases())
def test_twins(case):
    emissions, silence, unknown, options, tree, model = case
    arguments = emissions.shape[1], 0, silence, unknown, options, tree
    reference, compiled = searches(*arguments, model)
    expected = run(reference, emissions)
    assert_same(expected, run(compiled, emissions), not options.log_add)
    half = len(emissions) // 2
    assert_same(expected, run(compiled, emissions[:half], emissions[half:]), not options.log_add)
    if model is not None:
        for ceiling in (0.0, inf):
            for search in searches(*arguments, asked(model, ceiling=ceiling)):
                assert_same(expected, run(search, emissions), not options.log_add)


@pytest.mark.parametrize("log_add", [False, True])
@pytest.mark.parametrize("with_model", [False, True])
@pytest.mark.parametrize("n_words", [0, 300])
def test_twins_where_most_candidates_are_left_out(log_add, with_model, n_words):
    rng = np.random.default_rng(n_words)
    emissions = peaky(rng, 40, 20, np.float32)
    tree = None
    if n_words:
        spellings = [[*rng.integers(2, 20, size=rng.integers(1, 6)).tolist(), 1] for _ in range(n_words)]
        tree = spelling_tree(spellings, range(n_words), -rng.random(n_words) * 3)
    model = None
    if with_model:
        tables = kenlm("word" if n_words else "character").tables
        model = PathKenLM(tables, rng.integers(tables.n_words, size=max(n_words, 20), dtype=np.int32))
    for beam_width in (5, 30):
        options = OPTIONS._replace(beam_width=beam_width, log_add=log_add)
        reference, compiled = searches(20, 0, 1, 0, options, tree, model)
        expected = run(reference, emissions)
        assert len(expected[1]) == beam_width or n_words
        assert_same(expected, run(compiled, emissions), not log_add)


def test_no_silence_and_what_is_refused():
    rows = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    reference, compiled = searches(4, 0, -1, -1, OPTIONS)
    assert_same(run(reference, rows), run(compiled, rows), True)
    search = backends.load("compiled", "path_search").PathSearch
    tree = spelling_tree([[1, 2], [1, 3]], [0, 1], [0.0, 0.0])
    for arguments, message in (
        ((0, 0, 0, 0, OPTIONS), "blank and silence must be classes"),
        ((4, 4, 1, 0, OPTIONS), "blank and silence must be classes"),
        ((4, 0, -1, 0, OPTIONS, tree), "blank and silence must be classes"),
        ((4, 0, 1, 0, OPTIONS._replace(beam_width=0)), "beam_width must be 1"),
        ((4, 0, 1, 0, OPTIONS._replace(tokens_per_frame=0)), "tokens_per_frame must be 1"),
        ((4, 0, 1, 0, OPTIONS._replace(threshold=np.nan)), "threshold must be 0"),
        ((4, 0, 1, 0, OPTIONS._replace(lm_weight=inf)), "lm_weight must be finite"),
        ((4, 0, 1, 0, OPTIONS._replace(word_bonus=np.nan)), "bonuses must be numbers"),
        ((4, 0, 1, -1, OPTIONS._replace(unknown_bonus=0.0), tree), "the unknown word must have a number"),
        ((3, 0, 1, 0, OPTIONS, tree), "tokens of spellings must be classes"),
        ((4, 0, 1, 0, OPTIONS, tree._replace(children=tree.children[:-1])), "do not fit together"),
        ((4, 0, 1, 0, OPTIONS, tree._replace(tokens=tree.tokens[::-1].copy())), "no part of a tree|must be classes"),
        ((4, 0, 1, 0, OPTIONS, tree._replace(parents=tree.parents * 0)), "no part of a tree"),
        ((4, 0, 1, 0, OPTIONS, tree._replace(words=-1 - tree.words)), "words must be numbers from 0"),
        ((4, 0, 1, 0, OPTIONS, None, PathKenLM(kenlm("word").tables, np.zeros(3, np.int32))), "numbers for 4 classes"),
        ((4, 0, 1, 0, OPTIONS, None, PathKenLM(kenlm("word").tables, np.full(4, 99, np.int32))), "words must be the"),
    ):
        with pytest.raises(ValueError, match=message):
            search(*arguments)
    found = search(4, 0, 1, 0, OPTIONS)
    for call in (found.end, lambda: found.extend(rows), lambda: found.prune(0)):
        with pytest.raises(RuntimeError, match="must begin"):
            call()
    found.begin()
    with pytest.raises(ValueError, match="emissions must have 4 classes, got 3"):
        found.extend(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="results must be"):
        found.fill(-1, np.zeros((2, 3)), np.zeros((2, 1), np.int32), np.zeros((2, 1), np.int32))
    with pytest.raises(RuntimeError, match="initialised once"):
        found.__init__(4, 0, 1, 0, OPTIONS)


@given(st.binary(max_size=4096), st.booleans(), st.booleans())
def test_any_bits_as_emissions_do_no_harm(data, log_add, with_tree):
    rows = np.frombuffer(data[: len(data) // 20 * 20], np.float32).reshape(-1, 5)
    tree = spelling_tree([[1, 2], [1, 3], [4]], [0, 1, 1], [0.0, -1.0, -2.0]) if with_tree else None
    search = backends.load("compiled", "path_search").PathSearch(5, 0, 1, 2, OPTIONS._replace(log_add=log_add), tree)
    search.begin()
    search.extend(rows)
    search.end()
    n, length = search.size(-1)
    assert n <= OPTIONS.beam_width
    assert length == len(rows) + 2
