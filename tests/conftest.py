"""Shared by all tests: where the real data lies, and matrices made at random."""

import json
from doctest import DocTest
from pathlib import Path

import numpy as np
import pytest
from adversarial import adversarial_rows
from hypothesis import settings
from hypothesis import strategies as st

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).parents[2] / "shared" / "data"

# How far float32 outputs of the tests' networks may be apart where products are added up in another order, by another
# library or on another processor. A sum of n products errs like a random walk, by sqrt(n) 2^-24 of its size (Higham,
# Mary 2019, doi:10.1137/18M1226312), and every layer adds its own: sums of 9 to 1152 products in 7 layers, of numbers
# up to 10, make 10 * 2^-24 * 170 = 1e-4.
FLOAT32_NOISE = 1e-4

settings.register_profile("fastctc", deadline=None, derandomize=True, max_examples=200)
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("fastctc")


def pytest_addoption(parser):
    parser.addoption("--long-runs", action="store_true", help="count memory over 100 000 decodes, not 1000")


@pytest.fixture(scope="session")
def long_runs(request):
    return request.config.getoption("--long-runs")


@pytest.fixture(scope="session")
def shared():
    """The folder of real data beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the real data (../shared/data) is not there")
    return SHARED


@pytest.fixture(scope="session")
def real():
    """name -> (log_probs as float32, alphabet), of two lines as real networks saw them."""
    return outputs_in(DATA)


@pytest.fixture(scope="session")
def real_word(shared):
    """The same of a word."""
    return outputs_in(shared / "frames")["iam_word"]


def outputs_in(folder):
    from fastctc import Alphabet

    table = json.loads((folder / "frames.json").read_text(encoding="utf-8"))
    return {
        name: (np.load(folder / f"{name}.npy"), Alphabet(entry["alphabet"], entry["blank"]))
        for name, entry in table.items()
    }


@pytest.fixture(params=["compiled", "reference"])
def backend(request):
    return request.param


# Probabilities that meet each other: zeros, ties, and powers of two, so that sums are exact and ties stay ties.
ENTRIES = st.sampled_from([0.0, 0.0, 0.125, 0.25, 0.25, 0.5, 1.0]) | st.floats(1e-9, 1.0)


@st.composite
def matrices(draw, max_frames=5, max_classes=4):
    """(probabilities as lists, blank): rows need not sum to 1, but are not all zeros. Half of them are adversarial."""
    n_classes = draw(st.integers(1, max_classes))
    if draw(st.booleans()):
        rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
        rows = adversarial_rows(rng, draw(st.integers(0, max_frames)), n_classes).tolist()
        return rows, draw(st.integers(0, n_classes - 1))
    row = st.lists(ENTRIES, min_size=n_classes, max_size=n_classes).filter(any)
    return draw(st.lists(row, max_size=max_frames)), draw(st.integers(0, n_classes - 1))


def as_array(rows, n_classes):
    return np.array(rows, dtype=np.float64).reshape(len(rows), n_classes)


def width(rows, blank):
    """Number of classes, also of a matrix without rows."""
    return len(rows[0]) if rows else blank + 1


def logs(array):
    with np.errstate(divide="ignore"):
        return np.log(array)


def peaky(rng, n_frames, n_classes, dtype=np.float64):
    """Log probabilities with a few sharp peaks and long tails."""
    scores = rng.normal(0, 3, (n_frames, n_classes))
    scores[np.arange(n_frames), rng.integers(n_classes, size=n_frames)] += rng.gamma(2, 4, n_frames)
    scores -= scores.max(axis=1, keepdims=True)
    return (scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))).astype(dtype)


def pytest_collection_modifyitems(items):
    """Skip examples that need an OpenCL device, with the reason, where none works; the others beside them run."""
    for place, item in reversed(list(enumerate(items))):
        if not hasattr(item, "dtest"):
            continue
        rest = without_opencl(item.dtest)
        if len(rest) == len(item.dtest.examples):
            continue
        reason = why_no_device_works()
        if reason is None:
            continue
        item.add_marker(pytest.mark.skip(reason=reason))
        if rest:
            about = item.dtest
            test = DocTest(rest, about.globs.copy(), about.name, about.filename, about.lineno, about.docstring)
            name = f"{item.name} without OpenCL"
            items.insert(place, type(item).from_parent(item.parent, name=name, runner=item.runner, dtest=test))


def without_opencl(test):
    """The examples outside of blocks that speak of OpenCL. Blocks are between fences; a docstring is one block."""
    lines = test.docstring.splitlines()
    block = {one.lineno: sum(line.startswith("```") for line in lines[: one.lineno]) for one in test.examples}
    with_opencl = {block[one.lineno] for one in test.examples if "opencl" in one.source}
    return [one for one in test.examples if block[one.lineno] not in with_opencl]


def why_no_device_works():
    """None if one does."""
    from fastctc.opencl import Device

    try:
        Device("opencl")
    except (ImportError, LookupError) as error:
        return str(error)
    return None
