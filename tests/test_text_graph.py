"""The best path through texts with stars, words left out and alternatives: against all paths, and the twins."""

from itertools import product
from math import inf, log

import numpy as np
import pytest
from conftest import as_array, logs, matrices, width
from hypothesis import given
from hypothesis import strategies as st

from fastctc import backends
from fastctc.search_inputs import TextGraph

STAR = "*"


def search(*arguments, backend="compiled"):
    return backends.load(backend, "text_graph").best_reading(*arguments)


def best_of_all(rows, graph, blank):
    """The score of the best path, by trying every sequence of classes and stars with every reading of the graph."""
    readings = {}  # labels and junctions in their order: the price of what is left out
    choices = [
        [*forms, None] if price < inf else forms for forms, price in zip(graph.forms, graph.skip_prices, strict=True)
    ]
    for chosen in product(*choices):
        items, price = [("junction", 0)], 0.0
        for e, form in enumerate(chosen):
            items += [("label", label) for label in form or ()]
            items.append(("junction", e + 1))
            price += graph.skip_prices[e] if form is None else 0.0
        readings[tuple(items)] = min(price, readings.get(tuple(items), inf))
    symbols = [*range(len(rows[0])), STAR]
    best = -inf
    for path in product(symbols, repeat=len(rows)):
        score = sum(max(row) if symbol == STAR else row[symbol] for row, symbol in zip(rows, path, strict=True))
        if score == -inf:
            continue
        tokens = [s for t, s in enumerate(path) if s != blank and (s == STAR or t == 0 or path[t - 1] != s)]
        for items, price in readings.items():
            best = max(best, score - price - least_price(tokens, items, graph.star_prices))
    return best


def least_price(tokens, items, stars):
    """The price of the stars of a sequence of labels and stars (each of one frame), if these items may say it."""
    if not items:
        return 0.0 if not tokens else inf
    (kind, number), *rest = items
    if kind == "label":
        return least_price(tokens[1:], rest, stars) if tokens and tokens[0] == number else inf
    least = least_price(tokens, rest, stars)
    if tokens and tokens[0] == STAR:
        least = min(least, stars[number] + least_price(tokens[1:], items, stars))
    return least


def score_of(rows, graph, blank, chosen, first, last, stars):
    """The score of a path that is told by its places; the frames of labels and stars must not overlap."""
    symbols, gains = [blank] * len(rows), [row[blank] for row in rows]
    score, place = 0.0, 0
    for e, form in enumerate(chosen):
        if form < 0:
            score -= graph.skip_prices[e]
            continue
        for label in graph.forms[e][form]:
            for t in range(first[place], last[place] + 1):
                assert symbols[t] == blank
                symbols[t], gains[t] = label, rows[t][label]
            place += 1
    assert place == len(first) == len(last)
    for junction, start, stop in stars:
        for t in range(start, stop + 1):
            assert symbols[t] == blank
            gains[t] = max(rows[t][blank], max(rows[t]) - graph.star_prices[junction])
    return score + sum(gains)


@st.composite
def graphs(draw, labels, most=5, forms=2):
    label = st.sampled_from(labels)
    form = st.lists(label, min_size=1, max_size=2).map(tuple)
    elements = draw(st.lists(st.lists(form, min_size=1, max_size=forms).map(tuple), max_size=most)) if labels else []
    price = st.sampled_from([inf, 0.0, 0.5, 1.0, 2.0, 7.0])
    skips = draw(st.lists(price, min_size=len(elements), max_size=len(elements)))
    stars = draw(st.lists(price, min_size=len(elements) + 1, max_size=len(elements) + 1))
    return TextGraph(tuple(elements), tuple(skips), tuple(stars))


@st.composite
def cases(draw, most=5, forms=2, **sizes):
    rows, blank = draw(matrices(**sizes))
    return rows, blank, draw(graphs([c for c in range(width(rows, blank)) if c != blank], most, forms))


@given(cases(most=3, max_frames=5, max_classes=3))
def test_the_reference_finds_the_best_of_all_paths(case):
    rows, blank, graph = case
    probs = as_array(rows, width(rows, blank)).tolist()
    values = [[log(p) if p > 0 else -inf for p in row] for row in probs]
    score, chosen, first, last, stars, bound, _ = search(probs, graph, blank, False, inf, inf, 0, backend="reference")
    expected = best_of_all(values, graph, blank) if values else -sum(graph.skip_prices)
    assert score == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert bound == 0.0
    if score > -inf:
        assert len(chosen) == len(graph.forms)
        found = score_of(values, graph, blank, chosen, first, last, stars)
        assert found == pytest.approx(score, rel=1e-12, abs=1e-12)


@given(cases(most=12, forms=3, max_frames=50, max_classes=5), st.booleans())
def test_the_twins_agree_ties_included(case, is_log):
    rows, blank, graph = case
    frames = as_array(rows, width(rows, blank))
    frames = logs(frames) if is_log else frames
    found, expected = (search(frames, graph, blank, is_log, inf, inf, 0, backend=b) for b in ("compiled", "reference"))
    assert found[0] == pytest.approx(expected[0], rel=1e-12)
    assert found[1:6] == expected[1:6]


@given(cases(most=12, forms=1, max_frames=50, max_classes=5))
def test_a_text_without_stars_and_prices_is_a_text(case):
    """The plain search finds the same frames."""
    rows, blank, graph = case
    frames = as_array(rows, width(rows, blank))
    labels = [label for (form,) in graph.forms for label in form]
    n = len(graph.forms)
    rigid = TextGraph(graph.forms, (inf,) * n, (inf,) * (n + 1))
    plain = backends.load("compiled", "viterbi").best_alignment(frames, labels, blank, False, inf, inf, 0, False)
    found = search(frames, rigid, blank, False, inf, inf, 0)
    assert found[0] == pytest.approx(plain[0], rel=1e-12)
    assert found[2:4] == plain[1:3]


def long_case(rng, n_words):
    """A text of words, of which some are not spoken, while something else is; as frames of one label or blank each."""
    forms, shown = [], []
    for number in range(n_words):
        word = tuple(rng.integers(0, 9, int(rng.integers(1, 6))).tolist())
        other = tuple(rng.integers(0, 9, 3).tolist())
        forms.append((word, other) if number % 7 == 0 else (word,))
        spoken = other if number % 14 == 0 else () if number % 11 == 5 else word
        spoken += tuple(rng.integers(0, 9, 20).tolist()) if number % 40 == 20 else ()
        for label in spoken:
            shown += [9, label]
    frames = rng.normal(0, 1.0, (len(shown), 10)) + 6.0 * (np.array(shown)[:, None] == np.arange(10))
    frames -= np.log(np.exp(frames).sum(axis=1, keepdims=True))
    prices = tuple(2.0 * min(map(len, element)) for element in forms)
    return frames, TextGraph(tuple(forms), prices, (0.5,) * (n_words + 1))


@pytest.mark.parametrize("reach", [5.0, 20.0, 80.0, inf])
def test_a_narrow_band_says_how_much_it_may_miss(reach):
    rng = np.random.default_rng(int(min(reach, 99)))
    equal = 0
    for n_words in (1, 3, 30, 80):
        for _ in range(5):
            frames, graph = long_case(rng, n_words)
            best = search(frames, graph, 9, True, inf, inf, 0)
            found = search(frames, graph, 9, True, reach, inf, 0)
            assert found[0] <= best[0]
            assert best[0] <= found[0] + found[5]
            assert found[6] <= best[6]
            equal += found[:5] == best[:5]
            assert found[5] > 0.0 or found[:5] == best[:5]
    assert equal == 20 if reach > 50 else equal > 0


def test_check_points_change_nothing():
    frames, graph = long_case(np.random.default_rng(3), 900)
    whole = search(frames, graph, 9, True, inf, inf, 1 << 30)
    assert len(whole[2]) > 2000
    assert len(frames) * whole[6] * 2 > 40 << 18  # the room is filled again and again
    assert search(frames, graph, 9, True, inf, inf, 0) == whole
    narrow = search(frames, graph, 9, True, 200.0, inf, 0)
    assert narrow[:5] == whole[:5]
    assert 0.0 < narrow[5] < inf
    assert narrow[6] < whole[6]
    assert search(frames, graph, 9, True, inf, 1000.0, 0)[:5] == (-inf, (), (), (), ())


def test_single_precision_is_read_as_it_is():
    frames, graph = long_case(np.random.default_rng(4), 40)
    single = frames.astype(np.float32)
    assert search(single, graph, 9, True, inf, inf, 0) == search(single.astype(float), graph, 9, True, inf, inf, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blank": 4}, "blank must be a class, 0 to 3, got 4"),
        ({"forms": (((0, 9),),)}, "labels must be classes, 0 to 3, other than the blank 3, got 9"),
        ({"forms": (((3,),),)}, "other than the blank 3, got 3"),
        ({"forms": (((),),)}, "every form must have a label, got an empty one of element 0"),
        ({"forms": ((),)}, "every element must have a form, got none of element 0"),
        ({"skips": (-1.0,)}, "prices must be 0 or more, got -1.0 for leaving out element 0"),
        ({"stars": (0.0, float("nan"))}, "prices must be 0 or more, got nan for the star of junction 1"),
        ({"stars": (0.0,)}, "a price for each of 1 elements and 2 junctions, got 1 and 1"),
        ({"reach": 0.0}, "reach must be positive, got 0.0"),
    ],
)
def test_bad_arguments(change, message):
    given = {"forms": (((0,),),), "skips": (1.0,), "stars": (1.0, 1.0), "blank": 3, "reach": inf} | change
    graph = TextGraph(given["forms"], given["skips"], given["stars"])
    with pytest.raises(ValueError, match=message):
        search(np.zeros((2, 4)), graph, given["blank"], True, given["reach"], inf, 0)
