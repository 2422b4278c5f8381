"""The reference and the compiled modules, each against the enumeration of all paths."""

from itertools import groupby
from math import exp, inf, isclose, log

import pytest
from brute_force import all_paths, collapse, text_probabilities
from conftest import as_array, logs, matrices, width
from hypothesis import given
from hypothesis import strategies as st

from fastctc import backends
from fastctc.reference import frames, metrics

BACKENDS = ("reference", "compiled")
LOSSES = [backends.load(backend, "loss") for backend in BACKENDS]


@given(matrices())
def test_best_path_is_the_first_of_the_most_probable_paths(case):
    rows, blank = case
    n_classes = width(rows, blank)
    paths = dict(all_paths(rows, n_classes))
    array = logs(as_array(rows, n_classes))  # two numbers may have one logarithm
    best = tuple(int(row.argmax()) for row in array)
    assert isclose(paths[best], max(paths.values()), rel_tol=1e-12)
    runs, start = [], 0
    for label, run in groupby(best):
        if label != blank:
            runs.append(start)
        start += len(list(run))
    for backend in BACKENDS:
        labels, timesteps, score, _ = backends.load(backend, "best_path").best_path(array, blank)
        assert labels == collapse(best, blank)
        assert isclose(exp(score), paths[best], rel_tol=1e-11)
        assert timesteps == tuple(runs)


def beams(rows, blank, n_classes, beam_width):
    """What each of the twins finds."""
    array = as_array(rows, n_classes)
    return [backends.load(b, "beam_search").beam_search(array, blank, beam_width, beam_width) for b in BACKENDS]


@given(matrices())
def test_a_wide_enough_beam_finds_every_text(case):
    rows, blank = case
    texts = text_probabilities(rows, blank, width(rows, blank))
    possible = {labels: p for labels, p in texts.items() if p > 0}
    for found in beams(rows, blank, width(rows, blank), 10_000):
        assert {labels for labels, _ in found} == set(possible)
        for labels, score in found:
            assert isclose(exp(score), possible[labels], rel_tol=1e-9)
        assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)


def test_texts_of_equal_probability_stand_in_lexicographic_order():
    rows = [[0.25] * 4] * 4  # sums of powers of two are exact
    texts = text_probabilities(rows, 0, 4)
    for found in beams(rows, 0, 4, 10_000):
        assert [labels for labels, _ in found] == sorted(texts, key=lambda labels: (-texts[labels], labels))


@given(matrices(), st.integers(1, 4))
def test_a_beam_sums_at_most_the_true_probability(case, beam_width):
    rows, blank = case
    texts = text_probabilities(rows, blank, width(rows, blank))
    for found in beams(rows, blank, width(rows, blank), beam_width):
        assert 1 <= len(found) <= beam_width
        for labels, score in found:
            assert exp(score) <= texts[labels] * (1 + 1e-9)


@given(matrices())
def test_log_probability(case):
    rows, blank = case
    array = as_array(rows, width(rows, blank))
    for labels, probability in text_probabilities(rows, blank, width(rows, blank)).items():
        for loss in LOSSES:
            for is_log in (False, True):
                result = loss.log_probability(logs(array) if is_log else array, labels, blank, is_log)
                assert isclose(exp(result), probability, rel_tol=1e-9)


@given(matrices(max_frames=4, max_classes=3))
def test_posteriors(case):
    rows, blank = case
    n_classes = width(rows, blank)
    for labels, probability in text_probabilities(rows, blank, n_classes).items():
        expected = [[0.0] * len(labels) for _ in rows]
        for path, p in all_paths(rows, n_classes):
            if p and collapse(path, blank) == labels:
                position, previous = -1, blank
                for t, label in enumerate(path):
                    position += label not in (previous, blank)
                    if label != blank:
                        expected[t][position] += p / probability
                    previous = label
        for loss in LOSSES:
            found = loss.posteriors(as_array(rows, n_classes), labels, blank, False)
            for a, b in zip(found, expected, strict=True):
                assert list(a) == pytest.approx(b, rel=1e-9)


@given(matrices(max_frames=4, max_classes=3))
def test_forced_alignment_is_a_most_probable_path(case):
    rows, blank = case
    n_classes = width(rows, blank)
    paths = dict(all_paths(rows, n_classes))
    for labels in text_probabilities(rows, blank, n_classes):
        best = max(p for path, p in paths.items() if collapse(path, blank) == labels)
        for align in (backends.load(backend, "viterbi").best_alignment for backend in BACKENDS):
            arguments = as_array(rows, n_classes), labels, blank, False, inf, inf, 1 << 20, False
            score, first, last, _, _ = align(*arguments)
            assert isclose(exp(score), best, rel_tol=1e-9)
            if best == 0 or not rows:
                assert (first, last) == ((), ())
                continue
            path = [blank] * len(rows)
            for label, start, stop in zip(labels, first, last, strict=True):
                path[start : stop + 1] = [label] * (stop + 1 - start)
            assert isclose(paths[tuple(path)], best, rel_tol=1e-9)
            assert collapse(path, blank) == labels


@given(matrices(max_frames=4, max_classes=3))
def test_span_probabilities(case):
    rows, blank = case
    n_classes = width(rows, blank)
    texts = text_probabilities(rows, blank, n_classes)
    for labels, probability in texts.items():
        spans = [(i, j) for i in range(len(labels) + 1) for j in range(i, len(labels) + 1)]
        modules = [backends.load(backend, "spans") for backend in BACKENDS]
        found = [m.span_probabilities(as_array(rows, n_classes), labels, blank, False, spans) for m in modules]
        for (start, stop), *results in zip(spans, *found, strict=True):
            before, after = labels[:start], labels[stop:]
            place = sum(
                p
                for other, p in texts.items()
                if len(other) >= len(before) + len(after)
                and other[:start] == before
                and other[len(other) - len(after) :] == after
            )
            for result in results:
                assert isclose(result, probability / place if place else 0.0, rel_tol=1e-9)
        for module in modules:
            assert module.span_probabilities(as_array(rows, n_classes), labels, blank, False, []) == ()


def changes(text, alphabet):
    """All texts one edit away."""
    for i in range(len(text) + 1):
        for c in alphabet:
            yield text[:i] + c + text[i:]
            if i < len(text):
                yield text[:i] + c + text[i + 1 :]
        if i < len(text):
            yield text[:i] + text[i + 1 :]


@given(st.text("ab", max_size=4), st.text("ab", max_size=4))
def test_edit_distance_is_the_shortest_way(first, second):
    seen, edge, steps = {first}, {first}, 0
    while second not in seen:
        edge = {b for a in edge for b in changes(a, "ab") if len(b) <= 5} - seen
        seen |= edge
        steps += 1
    assert metrics.edit_distance(first, second) == steps


def test_first_bad_row():
    good = [log(0.25)] * 4
    for bad in ([float("nan"), 0, -inf, -inf], [inf, 0, 0, 0], [0.01] + [-9.0] * 3, [-inf] * 4, [0.0] * 4, [-3.0] * 4):
        assert frames.first_bad_row([good, bad, good]) == 1
    assert frames.first_bad_row([good, [0.0, -inf, -inf, -inf], [1e-4, -50.0, -1e30, -9.0]]) == -1
    assert frames.first_bad_row([]) == -1
