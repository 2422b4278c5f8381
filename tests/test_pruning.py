"""Pruned, mixed and rounded models: the formulas against the sums that they stand for, files, and what they refuse."""

from math import exp, inf, log, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastctc import NGram, storage
from fastctc.__main__ import main
from fastctc.lm import pruning, quantization
from fastctc.reference import mixing as reference_mixing
from fastctc.reference import pruning as reference
from fastctc.storage import StorageError

texts = st.lists(st.text("abcd ", min_size=1, max_size=25), min_size=1, max_size=4).filter(
    lambda lines: any(line.strip() for line in lines)
)


def ngrams(model):
    """The n-grams of each length, as tokens by their numbers."""
    result = [[()]]
    for parents, words, _, _ in model.levels():
        result.append([(*result[-1][p], int(word)) for p, word in zip(parents, words, strict=True)])
    return result[1:]


def tables(model):
    """The two tables of the reference."""
    probs, weights = {}, {}
    for n, (names, (_, _, log_probs, backoffs)) in enumerate(zip(ngrams(model), model.levels(), strict=True), 1):
        probs |= dict(zip(names, map(exp, log_probs), strict=True))
        weights |= dict(zip(names, map(exp, backoffs), strict=True)) if n < model.order else {}
    return probs, weights


def ends(model):
    return model.vocabulary.number("<s>"), model.vocabulary.number("</s>")


@given(texts, st.integers(2, 4), st.booleans())
def test_the_divergence_is_the_sum_over_all_tokens(lines, order, sentences):
    model = NGram.train(lines, order, sentences=sentences)
    (begin, end), size = ends(model), len(model.vocabulary)
    probs, weights = tables(model)
    found = pruning.divergences(model.levels(), size, begin, end)
    for names, values in zip(ngrams(model)[1:], found[1:], strict=True):
        for ngram, value in zip(names, values, strict=True):
            history = ngram[:-1]
            at = reference.history_prob(probs, history, begin, end)
            less = {other: p for other, p in probs.items() if other != ngram}
            left, lower_left = reference.rest(less, weights, history)
            refitted = {**weights, history: left / lower_left}
            total = 0.0
            for token in set(range(size)) - {begin}:
                p, q = (reference.prob(*one, history, token) for one in ((probs, weights), (less, refitted)))
                total += at * p * log(p / q)
            assert reference.divergence(probs, weights, ngram, at) == pytest.approx(total, rel=1e-4, abs=1e-6)
            assert value == pytest.approx(total, rel=1e-4, abs=1e-6)


@given(texts, st.integers(1, 4), st.booleans(), st.sampled_from([1e-4, 1e-3, 1e-2, 0.1, 10.0]))
def test_pruning_is_that_of_the_paper(lines, order, sentences, threshold):
    model = NGram.train(lines, order, sentences=sentences)
    probs, weights = tables(model)
    values = [reference.divergence(probs, weights, ngram, reference.history_prob(probs, ngram[:-1], *ends(model)))
              for ngram in probs if len(ngram) > 1]  # fmt: skip
    if any(abs(exp(value) - 1 - threshold) < 1e-6 for value in values):
        return  # rounding decides
    kept, refitted = reference.prune(probs, weights, threshold, *ends(model))
    pruned = model.prune(threshold)
    found, found_weights = tables(pruned)
    assert found.keys() == kept.keys()
    assert found == {ngram: pytest.approx(p, rel=1e-5) for ngram, p in kept.items()}
    for history, weight in found_weights.items():
        assert weight == pytest.approx(refitted.get(history, 1.0), rel=1e-3, abs=1e-6)


@given(texts, st.integers(1, 4), st.sampled_from([0.0, 1e-3, 0.05]), st.text("abcd ", max_size=4))
def test_probabilities_after_a_history_have_the_sum_one(lines, order, threshold, history):
    pruned = NGram.train(lines, order, sentences=True).prune(threshold)
    tokens = [token for token in pruned.vocabulary if token != "<s>"]
    total = sum(exp(pruned.log_probs_of([*history, token])[-1]) for token in tokens)
    assert total == pytest.approx(1, abs=1e-5)


ENDS = ("ate", "drank", "slept", "dreamt of mice", "thought of cheese")
PROSE = [f"the {a} cat {b} on the mat and {c}" for a in ("grey", "old") for b in ("sat", "slept") for c in ENDS]


def test_more_is_left_out_with_a_greater_threshold_at_a_greater_perplexity():
    model = NGram.train(PROSE, 5, sentences=True)
    pruned = [model.prune(threshold) for threshold in (0.0, 1e-5, 1e-4, 1e-3, 1e-2)]
    sizes, perplexities = [len(one) for one in pruned], [one.perplexity(PROSE) for one in pruned]
    assert sizes[0] <= len(model)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < len(model) / 3
    assert perplexities[-1] > model.perplexity(PROSE)
    assert len(model.prune(1e9)) == len(model.vocabulary)  # of single tokens all are left
    assert model.prune(1e9).order == 1


@given(st.lists(texts, min_size=1, max_size=3), st.lists(st.integers(1, 4), min_size=3, max_size=3), st.booleans())
def test_mixtures(corpora, orders, pruned):
    models = [
        NGram.train(lines, order, sentences=True, vocabulary="abcd ")
        for lines, order in zip(corpora, orders, strict=False)
    ]
    models = [model.prune(1e-2) for model in models] if pruned else models
    shares = [0.2, 0.3, 0.5][: len(models) - 1]
    shares.append(1 - sum(shares))
    mixed = NGram.mix(models, shares)
    wanted, wanted_weights = reference_mixing.mix([tables(model) for model in models], shares)
    probs, weights = tables(mixed)
    assert probs == {ngram: pytest.approx(p, rel=1e-5) for ngram, p in wanted.items()}
    for history, weight in weights.items():
        assert weight == pytest.approx(wanted_weights.get(history, 1.0), rel=1e-3, abs=1e-5)
    for history in ("", "a", "ab", "abc"):
        tokens = [token for token in mixed.vocabulary if token != "<s>"]
        assert sum(exp(mixed.log_probs_of([*history, token])[-1]) for token in tokens) == pytest.approx(1, abs=1e-5)


def test_mixtures_that_are_none():
    a, b = (NGram.train(text, 2, vocabulary="abc") for text in ("ab", "abc"))
    words, added = NGram.train("a b c", 2, unit="word"), NGram.train("abc", 2, smoothing="add-k")
    for models, shares, message in [
        ([a, words], [0.5, 0.5], "the same unit and the same vocabulary"),
        ([a, b], [0.5], "a share for each model, got 2 and 1"),
        ([], [], "a share for each model"),
        ([a, b], [0.5, 0.6], "with the sum 1"),
        ([a, b], [1.0, 0.0], "above 0"),
        ([a, b], [nan, 1.0], "above 0"),
        ([added, added], [0.5, 0.5], "add-k smoothing has no back-off weights"),
    ]:
        with pytest.raises(ValueError, match=message):
            NGram.mix(models, shares)


@pytest.mark.parametrize("threshold", [-1e-9, inf, nan])
def test_bad_thresholds(threshold):
    with pytest.raises(ValueError, match="threshold must be 0 or more, and finite"):
        NGram.train("ab", 2).prune(threshold)


def test_models_without_back_off_weights(tmp_path):
    model = NGram.train("abc", 2, smoothing="add-k")
    with pytest.raises(ValueError, match="add-k smoothing has no back-off weights"):
        model.prune(0.1)
    with pytest.raises(ValueError, match="add-k smoothing has no back-off weights"):
        model.save(tmp_path / "model.fastctc", bits=8)
    with pytest.raises(ValueError, match="bits must be 8 or 16, got 4"):
        NGram.train("abc", 2).save(tmp_path / "model.fastctc", bits=4)
    assert not list(tmp_path.iterdir())


@given(st.lists(st.floats(-30, 0), min_size=1, max_size=2000), st.booleans(), st.sampled_from([8, 16]))
def test_rounded_values_are_near(values, never, bits):
    values = np.array([*values, *[-99 * log(10)] * never])
    codes, means = quantization.steps(values, bits)
    assert len(means) <= 1 << bits
    assert codes.dtype.itemsize * 8 == bits
    usual = values[: len(values) - never]
    assert np.abs(means[codes][: len(usual)] - usual).max() <= 1e-5 + np.ptp(usual) / ((1 << bits) - 2)
    assert (np.diff(codes[np.argsort(values, kind="stable")].astype(int)) >= 0).all()
    if never:
        assert means[0] == np.float32(-99 * log(10))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("unit", "order"), [("character", 4), ("word", 2), ("word", 1)])
def test_small_files(tmp_path, bits, unit, order):
    model = NGram.train(PROSE, order, unit=unit, sentences=True)
    model.save(tmp_path / "small.fastctc", bits=bits)
    model.save(tmp_path / "large.fastctc")
    again = NGram.load(tmp_path / "small.fastctc")
    assert (again.order, again.unit, len(again)) == (model.order, model.unit, len(model))
    assert list(again.vocabulary) == list(model.vocabulary)
    wanted = model.log_probs_of("the old cat slept on the mat", end=True)
    found = again.log_probs_of("the old cat slept on the mat", end=True)
    assert found == pytest.approx(wanted, abs=0.3 if bits == 8 else 1e-3)
    assert (tmp_path / "small.fastctc").stat().st_size < (tmp_path / "large.fastctc").stat().st_size
    again.save(tmp_path / "again.fastctc", bits=bits)  # what is rounded stays


def spoilt(name, change):
    def spoil(arrays):
        arrays[name] = change(arrays[name])
        return arrays

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoilt("2/words", lambda a: a[:-1]), "2/counts must have a number for each"),
        (spoilt("2/words", lambda a: a[::-1].copy()), "2/words must be sorted"),
        (spoilt("3/words", lambda a: a + np.uint8(200)), "3/words must be sorted below each history, and below"),
        (spoilt("2/words", lambda a: a.astype(np.float32)), "2/words must be one row of unsigned integers"),
        (spoilt("2/counts", lambda a: a[:-1]), "2/counts must have a number for each"),
        (spoilt("2/log_probs", lambda a: a[:-1]), "a word, a probability and a weight for each"),
        (spoilt("2/log_probs", lambda a: a | np.uint8(255)), "with a value for each number of 2/log_probs"),
        (spoilt("1/backoff_means", lambda a: a * np.float32(nan)), "back-off weights must be"),
        (spoilt("2/log_prob_means", lambda a: a + np.float32(50)), "log probabilities must be 0 or less"),
        (lambda arrays: {k: v for k, v in arrays.items() if k != "3/counts"}, "3/counts must be one row"),
        (lambda arrays: arrays | {"more": np.zeros(2, np.uint8)}, "there must be no other arrays, got more"),
    ],
    ids=range(11),
)
def test_small_files_that_are_no_model(tmp_path, spoil, message):
    path = tmp_path / "model.fastctc"
    NGram.train(PROSE, 3, sentences=True).save(path, bits=8)
    about, arrays = storage.load(path, "n-gram model")
    storage.save(path, "n-gram model", about, spoil({name: array.copy() for name, array in arrays.items()}))
    with pytest.raises(StorageError, match=message):
        NGram.load(path)


def test_pruning_at_the_command_line(tmp_path, capsys):
    text, model, small = (str(tmp_path / name) for name in ("text.txt", "model.arpa", "small.fastctc"))
    (tmp_path / "text.txt").write_text("\n".join(PROSE), encoding="utf-8")
    arguments = ["--order", "5", "--unit", "character", "--sentences"]
    assert main(["lm", "train", text, "--output", model, *arguments]) == 0
    assert main(["lm", "prune", model, small, "--threshold", "1e-3", "--unit", "character", "--bits", "8"]) == 0
    assert "n-grams of" in capsys.readouterr().err
    expected = NGram.from_arpa(model, unit="character").prune(1e-3)
    found = NGram.load(small)
    assert len(found) == len(expected)
    assert found.perplexity(PROSE) == pytest.approx(expected.perplexity(PROSE), rel=0.02)
    assert main(["lm", "prune", model, small, "--threshold", "-1", "--unit", "character"]) == 1
    assert "threshold must be 0 or more" in capsys.readouterr().err
    assert main(["lm", "convert", model, str(tmp_path / "x.arpa"), "--bits", "8"]) == 1
    assert "--bits is for fastctc's own format" in capsys.readouterr().err
