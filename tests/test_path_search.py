"""Beam search over paths: the compiled search against the reference, and both against all paths there are."""

from functools import cache
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
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
