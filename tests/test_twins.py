"""The compiled modules against the reference: results to the last digit that arithmetic leaves, and exceptions."""

import ast
import inspect
from importlib import import_module
from math import inf
from pathlib import Path

import numpy as np
import pytest
from conftest import as_array, logs, matrices, peaky, width
from hypothesis import given
from hypothesis import strategies as st

import fastctc
from fastctc import backends
from fastctc.reference.prefix_beam_search import prefix_beam_search

ROOT = Path(fastctc.__file__).parent
MODULES = sorted(path.stem for path in (ROOT / "reference").glob("[!_]*.py"))
NO_ALGORITHM = {"interrupts"}  # how compiled loops are stopped
COMPILED = sorted({path.stem for path in (ROOT / "compiled").glob("*.pyx")} - NO_ALGORITHM)


def twins(module):
    return backends.load("reference", module), backends.load("compiled", module)


def twin_of(module):
    """The compiled module of the same name, or the one that the reference names."""
    return getattr(import_module(f"fastctc.reference.{module}"), "TWIN", f"fastctc.compiled.{module}")


def public(module):
    """The functions and classes of a module by their names, those that it imports left out."""
    return {
        name: thing
        for name, thing in vars(module).items()
        if not name.startswith("_") and callable(thing) and getattr(thing, "__module__", None) == module.__name__
    }


def parameters(thing):
    return list(inspect.signature(thing).parameters)


def constructor(module, name):
    """The parameters of a compiled class, by its stub: extension types have no signature."""
    stub = ast.parse((ROOT / "compiled" / f"{module}.pyi").read_text(encoding="utf-8"))
    [found] = [node for node in stub.body if isinstance(node, ast.ClassDef) and node.name == name]
    new = [node for node in found.body if isinstance(node, ast.FunctionDef) and node.name in ("__new__", "__init__")]
    return [argument.arg for argument in new[0].args.args][1:] if new else constructor(*BASES[name])


BASES = {"StreamBeams": ("beam_search", "Beams")}  # of classes that inherit their constructors


def test_every_compiled_module_has_its_reference():
    assert {twin_of(module) for module in MODULES} >= {f"fastctc.compiled.{module}" for module in COMPILED}
    assert sorted(path.stem for path in (ROOT / "compiled").glob("*.pyi")) == sorted({*COMPILED, *NO_ALGORITHM})


@pytest.mark.parametrize("module", COMPILED)
def test_the_compiled_module_is_compiled(module):
    loaded = backends.load("compiled", module)
    assert not loaded.__file__.endswith(".py")
    assert loaded is import_module(f"fastctc.compiled.{module}")


@pytest.mark.parametrize("module", COMPILED)
def test_names_and_parameters_are_the_same(module):
    """In both directions, classes and their methods included."""
    reference = {}
    for name in MODULES:
        if twin_of(name) == f"fastctc.compiled.{module}":
            reference |= public(import_module(f"fastctc.reference.{name}"))
    compiled = public(backends.load("compiled", module))
    assert set(compiled) == set(reference)
    for name, thing in reference.items():
        if inspect.isclass(thing):
            assert constructor(module, name) == parameters(thing)
            attributes = set(getattr(thing, "__annotations__", ()))
            methods = {k for k in dir(thing) if not k.startswith("_")} - attributes
            assert {k for k in dir(compiled[name]) if not k.startswith("_")} == methods | attributes
            for method in methods:
                assert parameters(getattr(compiled[name], method)) == parameters(getattr(thing, method))
        else:
            assert parameters(compiled[name]) == parameters(thing)


def test_rows_for_a_device():
    rng = np.random.default_rng(0)
    reference, compiled = twins("best_path")
    rows, counts = rng.integers(0, 9, (5, 4), dtype=np.int32), np.array([0, 4, 2, 1, 3], np.int32)
    assert compiled.first_of_rows(rows, counts) == reference.first_of_rows(rows, counts)
    for module in (reference, compiled):
        for bad in ([0, 5, 0, 0, 0], [0, -1, 0, 0, 0], [1]):
            with pytest.raises(ValueError, match=r"counts must be|one count a row"):
                module.first_of_rows(rows, np.array(bad, np.int32))
    whole = rng.random((3, 4, 5))
    cases = [
        (list(whole), True),
        ([rows[:n] for rows, n in zip(whole, (4, 0, 2), strict=True)], True),
        (list(whole[:2]), False),
        ([whole[0], whole[2], whole[1]], False),
        ([rows.copy() for rows in whole], False),
        ([rows[1:] for rows in whole], False),
        ([rows.view(np.int64) for rows in whole], False),
        ([], False),
    ]
    for sequences, expected in cases:
        assert [module.are_rows_of(sequences, whole) for module in (reference, compiled)] == [expected, expected]


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 10**6), st.sampled_from([0.2, 0.7, 1.0]))
def test_runs(height, width, seed, share):
    mask = np.random.default_rng(seed).random((height, width)) < share
    (expected, lengths), (found, kinds) = (module.runs(mask) for module in twins("morphology"))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(kinds, lengths)
    covered = np.zeros_like(mask)
    for row, first, length, _ in found:
        covered[row, first : first + length] = True
    np.testing.assert_array_equal(covered, mask)


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5).map(tuple), min_size=1, max_size=12, unique=True))
def test_walks_of_the_prefix_tree(words):
    words.sort()
    labels = np.array([label for word in words for label in word], np.int32)
    offsets = np.cumsum([0, *map(len, words)]).astype(np.int64)
    reference, compiled = twins("lexicon")
    tree = reference.prefix_tree(labels, offsets)
    for node in range(-1, len(tree.ends) - 1):
        for label in range(5):
            assert compiled.find_child(tree, node, label) == reference.find_child(tree, node, label)
        if node >= 0:
            assert compiled.ends_word(tree, node) == reference.ends_word(tree, node)
            assert compiled.words_below(tree, node) == reference.words_below(tree, node)
    for number, word in enumerate(words):
        node = -1
        for label in word:
            node = reference.find_child(tree, node, label)
        assert reference.ends_word(tree, node)
        first, last = reference.words_below(tree, node)
        assert [other[: len(word)] == word for other in words[first:last]] == [True] * (last - first)
        assert first == number
    for node in (-2, len(tree.ends) - 1, 10**6):
        for function, rest in ((compiled.find_child, (0,)), (compiled.ends_word, ()), (compiled.words_below, ())):
            with pytest.raises(ValueError, match="node must be"):
                function(tree, node, *rest)


@given(matrices(max_frames=12, max_classes=8))
def test_best_path(case):
    rows, blank = case
    reference, compiled = twins("best_path")
    array = logs(as_array(rows, width(rows, blank)))
    for dtype in (np.float32, np.float64):
        values = array.astype(dtype)
        labels, timesteps, score, bad = reference.best_path(values, blank)
        assert compiled.best_path(values, blank) == (labels, timesteps, pytest.approx(score, rel=1e-12), bad)


@pytest.mark.parametrize("n_classes", [*range(1, 20), 31, 32, 33, 80, 257, 1000])
def test_best_path_and_rows_of_any_width(n_classes):
    rng = np.random.default_rng(n_classes)
    best_path, frames = twins("best_path"), twins("frames")
    for dtype in (np.float32, np.float64):
        values = peaky(rng, 40, n_classes, dtype)
        values[::3] = np.round(values[::3])  # ties
        a, b = (m.best_path(values, n_classes - 1) for m in best_path)
        assert a[:2] == b[:2]
        assert a[2] == pytest.approx(b[2], rel=1e-12)
        for change in (0.0, 1.0, np.nan, inf, -inf, -0.3, 0.3):
            changed = values.copy()
            changed[20:] += change
            changed[20 + n_classes % 7, n_classes // 2] += 3 * change
            bad = frames[0].first_bad_row(changed)
            assert frames[1].first_bad_row(changed) == bad
            assert best_path[1].best_path(changed, 0)[3] == bad


@pytest.mark.parametrize("n_sequences", [0, 1, 5, 40])
def test_best_paths_of_many_sequences(n_sequences):
    """Few keep the GIL, many do not."""
    rng = np.random.default_rng(n_sequences)
    reference, compiled = twins("best_path")
    lines = [peaky(rng, int(rng.integers(0, 90)), 80, (np.float32, np.float64)[k % 2]) for k in range(n_sequences)]
    if n_sequences > 4:
        lines[4][-1:] = np.nan
    found, expected = compiled.best_paths(lines, 79), reference.best_paths(lines, 79)
    for one, other in zip(found, expected, strict=True):
        assert one[3] == other[3]
        if other[3] < 0:
            assert one == (*other[:2], pytest.approx(other[2], rel=1e-12), -1)
    with pytest.raises(ValueError, match="float32 or float64"):
        compiled.best_paths([*lines, np.zeros((2, 3), np.int32)], 0)
    symbols = "".join(map(chr, range(33, 113)))
    reference, compiled = twins("spelling")
    labels = [one[0] for one in found if one[3] < 0]
    assert compiled.spell_all(labels, symbols, 79) == reference.spell_all(labels, symbols, 79)


@pytest.mark.parametrize("n_classes", [4, 9, 11, 16, 22, 23, 44, 80])
def test_rows_whose_sum_is_near_the_bounds(n_classes):
    """Where the rough sum of the vectorised pass is not to be trusted."""
    rng = np.random.default_rng(n_classes)
    best_path, frames = twins("best_path"), twins("frames")
    for total in [*np.linspace(0.48, 0.57, 40), *np.linspace(1.42, 1.53, 40)]:
        for spread in (0.0, 1.0, 4.0):
            weights = np.exp(rng.normal(0, spread, n_classes))
            probs = np.minimum(weights / weights.sum() * total, 1.0)
            for dtype in (np.float32, np.float64):
                row = np.log(probs)[None].astype(dtype)
                bad = frames[0].first_bad_row(row)
                assert frames[1].first_bad_row(row) == bad
                assert best_path[1].best_path(row, 0)[3] == bad


@pytest.mark.parametrize("n_frames", [0, 1, 300])
def test_the_first_bad_row_of_many_sequences(n_frames):
    rng = np.random.default_rng(n_frames)
    reference, compiled = twins("frames")
    for bad in (None, 0, 3, 6):
        sequences = [peaky(rng, n_frames + k % 2, 80, (np.float32, np.float64)[k % 2]) for k in range(7)]
        if bad is not None and len(sequences[bad]):
            sequences[bad][-1, 5] = np.nan
        expected = reference.first_bad(sequences)
        assert expected == ((-1, -1) if bad is None or not len(sequences[bad]) else (bad, len(sequences[bad]) - 1))
        assert compiled.first_bad(sequences) == expected
    assert compiled.first_bad([]) == (-1, -1)
    assert compiled.first_bad([np.empty((2, 0))]) == reference.first_bad([[[], []]]) == (0, 0)
    with pytest.raises(ValueError, match="sequence 1 must be"):
        compiled.first_bad([np.zeros((1, 2)), np.zeros((1, 2), np.int32)])


@given(matrices(max_frames=10, max_classes=5), st.integers(1, 12))
def test_beam_search(case, beam_width):
    rows, blank = case
    reference, compiled = twins("beam_search")
    expected = prefix_beam_search(rows, blank, beam_width, beam_width)
    array = as_array(rows, width(rows, blank))
    for search in (reference.beam_search, compiled.beam_search, compiled.prefix_beam_search):
        found = search(array, blank, beam_width, beam_width)
        assert [labels for labels, _ in found] == [labels for labels, _ in expected]
        assert [score for _, score in found] == pytest.approx([score for _, score in expected], rel=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("beam_width", [1, 2, 3, 7, 20, 50])
def test_beam_search_where_everything_ties(n_classes, beam_width):
    reference, compiled = twins("beam_search")
    probs = np.full((14, n_classes), 1 / 4)
    expected = reference.beam_search(probs, 0, beam_width, beam_width)
    assert compiled.beam_search(probs, 0, beam_width, beam_width) == expected


@pytest.mark.parametrize(
    ("n_frames", "n_classes", "beam_width"), [(60, 80, 10), (60, 30, 25), (40, 12, 100), (300, 8, 4)]
)
@pytest.mark.parametrize("temperature", [1.0, 3.0, 30.0])
def test_beam_search_of_real_size(n_frames, n_classes, beam_width, temperature):
    rng = np.random.default_rng(7)
    reference, compiled = twins("beam_search")
    probs = np.exp(peaky(rng, n_frames, n_classes) / temperature)
    probs /= probs.sum(axis=1, keepdims=True)
    expected = reference.beam_search(probs, 3, beam_width, beam_width)
    found = compiled.beam_search(probs, 3, beam_width, beam_width)
    assert [labels for labels, _ in found] == [labels for labels, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], rel=1e-9)


def test_a_batch_is_its_sequences():
    rng = np.random.default_rng(3)
    for module in twins("beam_search"):
        batch = [np.exp(peaky(rng, n, 6)) for n in (5, 0, 9)]
        assert module.beam_search_batch(batch, 5, 4, 2) == [module.beam_search(probs, 5, 4, 2) for probs in batch]
    for module in twins("annotation"):
        frames = np.exp(peaky(rng, 9, 6))
        items = [(frames, None, (0, 1), [(0, 1)]), (frames, np.log(frames), (2, 2), []), (frames, None, (), [])]
        for item, result in zip(items, module.annotate(items, 5), strict=True):
            assert result == module.annotate([item], 5)[0]


@st.composite
def texts(draw, **sizes):
    rows, blank = draw(matrices(**sizes))
    characters = [c for c in range(width(rows, blank)) if c != blank]
    labels = draw(st.lists(st.sampled_from(characters), max_size=8)) if characters else []
    return rows, tuple(labels), blank


@given(texts(max_frames=12, max_classes=6), st.booleans(), st.sampled_from([1.0, 1e-100, 1e-200]))
def test_loss(case, is_log, factor):
    rows, labels, blank = case
    frames = as_array(rows, width(rows, blank)) * factor
    frames = logs(frames) if is_log else frames
    spans = [(i, j) for i in range(len(labels) + 1) for j in range(i, len(labels) + 1)]
    reference, compiled = twins("loss")
    arguments = (frames, labels, blank, is_log)
    assert compiled.log_probability(*arguments) == pytest.approx(reference.log_probability(*arguments), rel=1e-9)
    expected = np.array(reference.posteriors(*arguments)).reshape(len(rows), len(labels))
    np.testing.assert_allclose(compiled.posteriors(*arguments), expected, atol=1e-9)
    reference, compiled = twins("viterbi")
    whole = inf, inf, 1 << 20, False  # of the lattice
    found = (module.best_alignment(*arguments, *whole) for module in (reference, compiled))
    (a, *first, _, _), (b, *second, _, _) = found
    assert b == pytest.approx(a, rel=1e-9)
    assert second == first
    reference, compiled = twins("gradient")
    [(total, expected)] = reference.gradients([(frames, labels)], blank, is_log)
    [(found_total, found)] = compiled.gradients([(frames, labels)], blank, is_log)
    assert found_total == pytest.approx(total, rel=1e-9, abs=1e-13)
    np.testing.assert_allclose(found, np.reshape(expected, frames.shape), rtol=1e-8, atol=1e-12)
    reference, compiled = twins("spans")
    expected = reference.span_probabilities(*arguments, spans)
    np.testing.assert_allclose(compiled.span_probabilities(*arguments, spans), expected, rtol=1e-9)


@pytest.mark.parametrize("is_log", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_very_improbable_text_keeps_its_probability(is_log):
    """The sums vanish in linear arithmetic: 400 labels of a billionth each."""
    probs = np.full((450, 4), 1e-9)
    probs[:, 3] = 1 - 3e-9
    frames = np.log(probs) if is_log else probs
    reference, compiled = twins("loss")
    for labels in ((0, 1, 2) * 133, (0, 1, 2) * 20):
        expected = reference.log_probability(frames, labels, 3, is_log)
        assert compiled.log_probability(frames, labels, 3, is_log) == pytest.approx(expected, rel=1e-12)
        assert expected < -350
    labels = (0, 1, 2) * 133
    np.testing.assert_allclose(
        compiled.posteriors(frames, labels, 3, is_log), reference.posteriors(frames, labels, 3, is_log), atol=1e-9
    )


def test_log_probabilities_below_any_double():
    frames = np.array([[-2000.0, 0.0, -800.0], [0.0, -3000.0, -1e30]])
    reference, compiled = twins("loss")
    for labels in ((), (0,), (1,), (0, 1), (1, 0)):
        expected = reference.log_probability(frames, labels, 2, True)
        assert compiled.log_probability(frames, labels, 2, True) == pytest.approx(expected, rel=1e-12)


@given(st.text("abc", max_size=12), st.text("abc", max_size=12))
def test_edit_distance(first, second):
    reference, compiled = twins("metrics")
    for a, b in ((first, second), (list(first), tuple(second))):
        assert compiled.edit_distance(a, b) == reference.edit_distance(a, b)


@given(st.lists(st.integers(-1, 5), max_size=300), st.integers(0, 4))
def test_spell(labels, blank):
    reference, compiled = twins("spelling")
    for given_labels in (labels, tuple(labels), iter(labels)):
        try:
            expected = reference.spell(list(labels), "aé\u4e00😀\0", blank)
        except IndexError as error:
            with pytest.raises(IndexError, match=str(error)):
                compiled.spell(given_labels, "aé\u4e00😀\0", blank)
        else:
            assert compiled.spell(given_labels, "aé\u4e00😀\0", blank) == expected


def test_what_compiled_modules_refuse():
    """Whatever they are called with, the process survives and the caller learns what was wrong."""
    probs = np.full((3, 4), 0.25)
    beam_search, loss = backends.load("compiled", "beam_search"), backends.load("compiled", "loss")
    annotation, gradient = backends.load("compiled", "annotation"), backends.load("compiled", "gradient")
    span_probabilities = backends.load("compiled", "spans").span_probabilities
    for blank, beam_width in ((4, 2), (-1, 2), (0, 0), (0, -3), (0, 1 << 60)):
        with pytest.raises(ValueError, match="must be"):
            beam_search.beam_search(probs, blank, beam_width, 1)
    for labels, blank in (((4,), 3), ((-1,), 3), ((3,), 3), ((0,), 4), ((0,), -1)):
        for function in (loss.log_probability, loss.posteriors):
            with pytest.raises(ValueError, match="must be"):
                function(probs, labels, blank, False)
        with pytest.raises(ValueError, match="must be"):
            gradient.gradients([(probs, labels)], blank, False)
        with pytest.raises(ValueError, match="must be"):
            annotation.annotate([(probs, None, labels, [])], blank)
    for span in ((-1, 1), (0, 2), (1, 0)):
        with pytest.raises(ValueError, match="spans must lie"):
            span_probabilities(probs, (0,), 3, False, [span])
    with pytest.raises(ValueError, match="the same shape"):
        annotation.annotate([(probs, probs[:2], (0,), [])], 3)
    with pytest.raises(ValueError, match="at least one class"):
        backends.load("compiled", "best_path").best_path(np.empty((3, 0)), 0)
    for wrong in (probs[:, ::2], probs[0], probs.astype(np.int64), "text", None):
        with pytest.raises((ValueError, TypeError)):
            beam_search.beam_search(wrong, 0, 1, 1)
        with pytest.raises((ValueError, TypeError)):
            loss.log_probability(wrong, (), 0, False)


class Liar:
    """A sequence that is longer than it says."""

    def __len__(self):
        return 1

    def __iter__(self):
        return iter(range(100_000))


def test_a_sequence_that_lies_about_its_length_does_no_harm():
    for module in twins("metrics")[1:]:
        assert module.edit_distance(Liar(), "") == 100_000
