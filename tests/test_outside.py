"""Bounds on what has left a band: the twins, and what they bound, state by state."""

from math import exp, inf

import numpy as np
import pytest
from conftest import as_array, logs, matrices, peaky, width
from hypothesis import given
from hypothesis import strategies as st

from fastctc import backends

BACKENDS = ("reference", "compiled")
GROUP = backends.load("compiled", "outside").GROUP


@st.composite
def leaks(draw):
    rows, blank = draw(matrices(max_frames=30, max_classes=6))
    characters = [c for c in range(width(rows, blank)) if c != blank]
    labels = draw(st.lists(st.sampled_from(characters), max_size=25)) if characters else []
    frames = [t for t in range(len(rows) + 1) if t % GROUP == 0 or t == len(rows)]
    spots = st.tuples(st.integers(0, len(labels)), st.integers(1, 9))
    place = st.tuples(st.sampled_from(frames), spots, st.floats(-90, 0)).map(
        lambda p: (p[0], p[1][0], min(sum(p[1]), len(labels) + 1), p[2])
    )
    return rows, labels, blank, draw(st.lists(place, max_size=4))


def lattice(array, labels, blank, lost, backward):
    """All that arrives in each state in front of each frame, of what was lost: sums, and best paths.

    State 2 i is blank i, state 2 i - 1 label i.
    """
    used = sorted({blank, *labels})
    states = [blank, *(c for label in labels for c in (label, blank))]
    n_states, n_frames = len(states), len(array)

    def before(s):
        skip = s % 2 and s >= 3 and states[s] != states[s - 2]
        return [s, *([s - 1] if s else []), *([s - 2] if skip else [])]

    after = [[z for z in range(n_states) if s in before(z)] for s in range(n_states)]
    tables = []
    for add in (sum, max):
        here, found = np.zeros(n_states), {}
        for t in range(n_frames, -1, -1) if backward else range(n_frames + 1):
            # What was lost comes to each of its states, and is a bound on single ones.
            for frame, first, stop, value in lost:
                if frame == t:
                    for s in range(n_states):
                        if first <= (s + 1) // 2 < stop:
                            here[s] = max(here[s], exp(value))
            found[t] = here
            if t != (0 if backward else n_frames):
                row = array[t - 1 if backward else t]
                row = row / (row.sum() if add is sum else row[used].max() or 1.0)
                come = after if backward else [before(s) for s in range(n_states)]
                here = np.array([add([here[z] * row[states[z]] for z in come[s]] or [0.0]) for s in range(n_states)])
        tables.append(found)
    return tables


@given(leaks(), st.booleans())
def test_nothing_outside_is_more(case, backward):
    rows, labels, blank, lost = case
    array = as_array(rows, width(rows, blank))
    for best, table in zip((False, True), lattice(array, labels, blank, lost, backward), strict=True):
        greatest = np.max(list(table.values()), axis=0)
        last = table[0 if backward else len(rows)]
        for backend in BACKENDS:
            outside = backends.load(backend, "outside").bound_outside
            end, most, shares = outside(array, labels, blank, lost, [], best, backward)
            assert shares == 0.0
            group = 0 if backward else len(labels) // GROUP
            within = [s for s in range(2 * len(labels) + 1) if (s + 1) // 2 // GROUP == group]
            assert max(logs(last[within])) <= end + 1e-9
            for s, value in enumerate(logs(greatest)):
                assert value <= most[(s + 1) // 2 // GROUP] + 1e-9


@given(leaks(), st.booleans(), st.booleans())
def test_the_twins_agree(case, best, backward):
    """The compiled one rounds up: by less than a 1024th of a nat a frame, by a hundredth where the blank is sure."""
    rows, labels, blank, lost = case
    array = as_array(rows, width(rows, blank))
    expected, found = (
        backends.load(b, "outside").bound_outside(array, labels, blank, lost, [], best, backward) for b in BACKENDS
    )
    slack = 0.012 * (len(rows) + 1)
    for exact, value in zip([expected[0], *expected[1]], [found[0], *found[1]], strict=True):
        assert exact <= value + 1e-9
        assert value <= exact + slack or exact < -900.0  # a frame is taken for no less


def test_what_is_sure_takes_what_is_far_less():
    rng = np.random.default_rng(1)
    array = np.exp(peaky(rng, 32, 5))
    labels = rng.integers(0, 4, 14).tolist()
    for backend in BACKENDS:
        outside = backends.load(backend, "outside").bound_outside
        end, _, shares = outside(array, labels, 4, [(0, 0, 15, -80.0)], [(16, 0, 15, -20.0)], False, False)
        assert end == -inf
        assert 0.0 < shares <= 4 * exp(-60.0) * 1.01
        end, _, shares = outside(array, labels, 4, [(0, 0, 15, -80.0)], [(16, 0, 15, -79.0)], False, False)
        assert end > -inf
        assert shares == 0.0
    for place, message in (((3, 0, 15, 0.0), "multiples of 4, or the last, got 3"), ((0, 9, 9, 0.0), r"got \(9, 9\)")):
        with pytest.raises(ValueError, match=message):
            outside(array, labels, 4, [place], [], False, False)
