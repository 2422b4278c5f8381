"""The drop-in for fast-ctc-decode: its answers, quality strings, frame numbers and errors; and the searches' twins."""

import json
import subprocess
import sys

import numpy as np
import pytest
from fast_ctc_cases import ANSWERS, SEEDS, answer, calls
from hypothesis import given, settings
from hypothesis import strategies as st

from fastctc import backends
from fastctc.compat import fast_ctc_decode
from fastctc.compat.fast_ctc_decode import (
    beam_search,
    beam_search_duplex,
    crf_beam_search,
    crf_beam_search_duplex,
    crf_greedy_search,
    viterbi_search,
)

RUNS = np.array(
    [[0.1, 0.8, 0.1], [0.1, 0.6, 0.3], [0.9, 0.1, 0], [0.1, 0.7, 0.2], [0.1, 0.2, 0.7], [0.1, 0, 0.5]], np.float32
)
TWO = np.array([[0.6, 0.4], [0.6, 0.4]], np.float32)
CRF = np.array([[[0.1, 0.3, 0.6], [0.2, 0.7, 0.1]], [[0.05, 0.05, 0.9], [0.8, 0.1, 0.1]]], np.float32)
INIT = np.array([0.3, 0.7], np.float32)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_originals_answers(seed):
    expected = json.loads(ANSWERS.read_text(encoding="utf-8"))[seed]
    found = [answer(getattr(fast_ctc_decode, name), arguments) for name, arguments in calls(seed)]
    assert json.loads(json.dumps(found)) == expected


def test_all_seven_names():
    namespace = {}
    exec("from fastctc.compat.fast_ctc_decode import *", namespace)
    functions = {name for name in namespace if "search" in name}
    assert functions == {
        "viterbi_search",
        "beam_search",
        "beam_search_duplex",
        "crf_greedy_search",
        "crf_beam_search",
        "crf_beam_search_duplex",
    }
    assert namespace["__version__"] == "0.3.7"


def test_first_frame_of_each_run():
    assert viterbi_search(RUNS, "Nab") == ("aab", [0, 3, 4])
    assert viterbi_search(RUNS, "Nab", collapse_repeats=False) == ("aaabb", [0, 1, 3, 4, 5])


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ([0.5, 0.5, 0.5], ""),
        ([0.1, 0.5, 0.5], "a"),
        ([np.nan, 0.4, 0.5], ""),
        ([0.4, np.nan, 0.5], "b"),
        ([-1, -2, -0.5], "b"),
        ([-np.inf] * 3, ""),
        ([0.0, -0.0, 0.0], ""),
        ([-0.0, 0.0, 0.0], ""),
    ],
)
def test_the_first_of_equals_and_nan(row, text):
    assert viterbi_search(np.array([row], np.float32), "Nab") == (text, [0] * len(text))


def test_the_greatest_in_every_place_of_a_row():
    rng = np.random.default_rng(3)
    for n in [2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 80]:
        probs = rng.random((n, n), np.float32) / 2
        probs[np.arange(n), np.arange(n)] = 0.75
        probs[:, -1] = np.where(np.arange(n) % 2, 0.75, probs[:, -1])  # an equal one behind it, which does not count
        text, frames = viterbi_search(probs, [str(i) + "," for i in range(n)])
        assert text == "".join(f"{i}," for i in range(1, n))
        assert frames == list(range(1, n))


@pytest.mark.parametrize(
    ("p", "character"), [(0, "!"), (0.5, "$"), (0.9, "+"), (0.99, "5"), (0.999, "?"), (0.9999, "I"), (1, "I"), (9, "I")]
)
def test_qualities(p, character):
    assert viterbi_search(np.array([[-1, p]], np.float32), "Na", True) == ("a" + character, [0])


def test_quality_strings():
    assert viterbi_search(RUNS, "Nab", True) == ("aab&&%", [0, 3, 4])
    assert viterbi_search(RUNS, "Nab", True, collapse_repeats=False) == ("aaabb(%&&$", [0, 1, 3, 4, 5])
    assert viterbi_search(RUNS, "Nab", True, 2.0, 3.0)[0] == "aab..,"
    assert viterbi_search(RUNS, "Nab", True, 1.0, -100.0)[0] == "aab!!!"
    assert viterbi_search(RUNS, "Nab", True, float("nan"))[0] == "aab!!!"
    assert viterbi_search(RUNS, "Nab", True, 1.0, 1e6)[0] == "aab\U000f4266\U000f4266\U000f4265"
    assert crf_greedy_search(CRF, INIT, "Nab", True) == ("ab&+", [0, 1])


@pytest.mark.parametrize(("scale", "bias"), [(0.0, 0xD800 - 33.0), (1e9, 3.0), (1.0, 2.0**21)])
def test_a_quality_that_is_no_character(scale, bias):
    with pytest.raises(ValueError, match="numbers of characters"):
        viterbi_search(RUNS, "Nab", True, scale, bias)


def test_sums_of_paths_and_of_pairs_the_best():
    assert beam_search(TWO, "Na") == ("a", [0])
    assert beam_search_duplex(TWO, TWO, "Na") == ""


def test_a_frame_is_that_of_the_nodes_making():
    """Which is the first in which any beam could have been extended so, even by a probability of 0."""
    sure = np.eye(3, dtype=np.float32)[[1, 0, 2, 0, 1]]
    assert beam_search(sure, ["", "abc", "xyz"]) == ("abcxyzabc", [0, 1, 2])
    stays = np.zeros((20, 5), np.float32)
    stays[:, 0] = 0.5
    for frame in [6, 13, 18]:
        stays[frame, :2] = 0, 1
    assert beam_search(stays, "NACGT", 5, 0.1) == ("AAA", [6, 13, 18])


def test_what_the_cut_leaves():
    probs = np.array([[0.2, 0.3, 0.5]], np.float32)
    assert beam_search(probs, "Nab", 5, 0.3)[0] == "b"
    at_the_cut = np.array([[0.25, 0.25]], np.float32)
    assert beam_search(at_the_cut, "Na", 5, 0.25) == ("a", [0])  # the label counts, the blank does not
    assert beam_search(np.array([[0.0, 0.0]], np.float32), "Na") == ("a", [0])
    with pytest.raises(RuntimeError, match=r"Ran out of search space \(beam_cut_threshold too high\)"):
        beam_search(np.full((3, 3), 0.001, np.float32), "Nab", 5, 0.3)
    with pytest.raises(RuntimeError, match="Ran out of search space"):
        crf_beam_search(CRF, INIT, "Nab", 0)


def test_labels_of_several_characters():
    labels = ["", "ab", "xyz"]
    assert viterbi_search(RUNS, labels) == ("ababxyz", [0, 3, 4])
    assert beam_search_duplex(RUNS, RUNS, labels, beam_cut_threshold=0.1) == "ababxyz"
    assert beam_search(RUNS, (0, 1, 2))[0] == "112"
    assert viterbi_search(RUNS, (0, 1, 2), True)[0] == "112&&%"
    for plain in (["", "a", "b"], ("blank", "a", "b")):
        assert viterbi_search(RUNS, plain, True) == ("aab&&%", [0, 3, 4])
    assert viterbi_search(RUNS, ["", "", "bb"]) == ("bb", [0, 3, 4])
    assert crf_greedy_search(CRF, INIT, labels)[0] == "abxyz"
    assert crf_beam_search(CRF, INIT, labels)[0] == "abxyz"


def test_arrays_of_any_strides():
    turned = np.asfortranarray(RUNS)[::-1]
    assert beam_search(turned, "Nab") == beam_search(turned.copy(), "Nab")
    assert viterbi_search(turned, "Nab") == viterbi_search(turned.copy(), "Nab")
    fixed = RUNS.copy()
    fixed.setflags(write=False)
    assert beam_search(fixed, "Nab")[0] == "aab"


F64 = RUNS.astype(np.float64)
SHORT = np.array([[0, 1], [0, 2]], np.uint64)


ERRORS = [
    (lambda: viterbi_search(RUNS, ""), ValueError, "Empty alphabet given"),
    (lambda: viterbi_search(RUNS, "Na"), ValueError, "alphabet size does not match probability matrix dimensions"),
    (lambda: beam_search(RUNS, "Na"), ValueError, "alphabet size 2 does not match probability matrix inner dim"),
    (lambda: beam_search(RUNS, ""), ValueError, "alphabet size 0 does not match"),
    (lambda: beam_search(RUNS, "Nab", 0), ValueError, "beam_size cannot be 0"),
    (lambda: beam_search(RUNS, "Nab", -1), OverflowError, "can't convert negative int to unsigned"),
    (lambda: beam_search(RUNS, "Nab", 2**64), OverflowError, "int too big"),
    (lambda: beam_search(RUNS, "Nab", 2.0), TypeError, "'float' object cannot be interpreted as an integer"),
    (lambda: beam_search(RUNS, "Nab", 5, -0.1), ValueError, "beam_cut_threshold must be at least 0.0"),
    (lambda: beam_search(TWO, "Na", 5, 0.5), ValueError, "beam_cut_threshold cannot be more than 0.5"),
    (lambda: beam_search(RUNS, "Nab", 5, 1.1), ValueError, "beam_cut_threshold cannot be more than 0.33"),
    (lambda: beam_search(RUNS, "Nab", 5, "a"), TypeError, "must be real number, not str"),
    (lambda: beam_search(RUNS, "Nab", 5, 0.0, 1), TypeError, "cannot be converted to 'PyBool'"),
    (lambda: beam_search(RUNS * np.nan, "Nab"), RuntimeError, r"Failed to compare values \(NaNs in input\?\)"),
    (lambda: beam_search(RUNS), TypeError, "alphabet"),
    (lambda: beam_search(RUNS, None), TypeError, "'NoneType' object cannot be converted to 'Sequence'"),
    (lambda: beam_search(RUNS, {"a", "b", "c"}), TypeError, "'set' object cannot be converted to 'Sequence'"),
    (lambda: beam_search(RUNS.tolist(), "Nab"), TypeError, "'list' object cannot be converted to 'PyArray"),
    (lambda: beam_search(F64, "Nab"), TypeError, "type mismatch:\n from=float64, to=float32"),
    (lambda: beam_search(RUNS[0], "Nab"), TypeError, "dimensionality mismatch:\n from=1, to=2"),
    (lambda: viterbi_search(F64, "Nab"), TypeError, "type mismatch"),
    (lambda: viterbi_search(RUNS, "Nab", 1), TypeError, "argument 'qstring'"),
    (lambda: viterbi_search(RUNS, "Nab", qscale=None), TypeError, "must be real number, not NoneType"),
    (lambda: beam_search_duplex(RUNS, TWO, "Nab"), ValueError, "inner axes of the network outputs do not match"),
    (lambda: beam_search_duplex(RUNS, RUNS, "Nab", SHORT), ValueError, "lengths of network_output_1 and envelope"),
    (lambda: beam_search_duplex(TWO, TWO, "Na", SHORT[:, :1]), ValueError, "inner axis of envelope must have size 2"),
    (lambda: beam_search_duplex(TWO, TWO, "Na", SHORT.astype(int)), TypeError, "from=int64, to=uint64"),
    (lambda: beam_search_duplex(TWO, TWO, "Na", np.array([[1, 2], [0, 2]], np.uint64)), RuntimeError, "Invalid env"),
    (lambda: beam_search_duplex(TWO, TWO, "Na", np.array([[0, 1], [2, 2]], np.uint64)), RuntimeError, "Invalid env"),
    (lambda: crf_beam_search(RUNS, INIT, "Nab"), TypeError, "from=2, to=3"),
    (lambda: crf_beam_search(CRF, [0, 1], "Nab"), TypeError, "argument 'init_state'"),
    (lambda: crf_greedy_search(CRF, INIT, ""), ValueError, "Empty alphabet given"),
    (lambda: crf_greedy_search(CRF, INIT, "Nabc"), ValueError, "alphabet size does not match"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS, ids=map(str, range(len(ERRORS))))
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


EMPTY, NO_STATES = np.zeros((0, 3), np.float32), np.zeros((2, 0, 3), np.float32)
ODD = np.full((2, 3, 3), 1 / 3, np.float32)  # whose transitions lead to a fourth of three states
SHRINKS = np.array([[0, 6], [0, 5], [0, 6], [0, 6], [0, 6], [0, 6]], np.uint64)


ENDS = [
    lambda: viterbi_search(EMPTY, "Nab"),
    lambda: beam_search(np.zeros((2, 0), np.float32), ""),
    lambda: beam_search_duplex(EMPTY, RUNS, "Nab"),
    lambda: beam_search_duplex(TWO, TWO, "Na", np.array([[0, 9], [0, 9]], np.uint64)),
    lambda: beam_search_duplex(RUNS, RUNS, "Nab", SHRINKS),
    lambda: crf_greedy_search(CRF, np.array([0, 0, 1], np.float32), "Nab"),
    lambda: crf_greedy_search(CRF * np.nan, INIT, "Nab"),
    lambda: crf_greedy_search(CRF, INIT * np.nan, "Nab"),
    lambda: crf_greedy_search(NO_STATES, INIT, "Nab"),
    lambda: crf_greedy_search(CRF[:0], INIT, "Nab"),
    lambda: crf_beam_search(CRF, INIT[:0], "Nab"),
    lambda: crf_beam_search(CRF[:0], INIT, "Nab"),
    lambda: crf_beam_search(ODD, np.array([0, 1, 0], np.float32), "Nab"),
    lambda: crf_beam_search(CRF, np.array([0, 0, 1], np.float32), "Nab"),
    lambda: crf_beam_search_duplex(CRF, INIT, ODD, INIT, "Nab"),
    lambda: crf_beam_search_duplex(CRF, INIT, CRF, np.array([0, 0, 1], np.float32), "Nab"),
    lambda: crf_beam_search_duplex(CRF, INIT[:0], CRF, INIT, "Nab"),
]


@pytest.mark.parametrize("call", ENDS, ids=map(str, range(len(ENDS))))
def test_what_ends_the_originals_process_is_a_value_error(call):
    with pytest.raises(ValueError, match=r"must|Empty"):
        call()


def test_no_frames_are_the_empty_text():
    assert beam_search(EMPTY, "Nab") == ("", [])
    with pytest.raises(RuntimeError, match="Invalid envelope"):
        beam_search_duplex(RUNS, EMPTY, "Nab")


def test_a_program_runs_unchanged(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy as np\nimport fast_ctc_decode\nfrom fast_ctc_decode import *\n"
        "print(beam_search(np.array([[.6, .4], [.6, .4]], np.float32), 'Na'), fast_ctc_decode.__version__)\n"
    )
    command = [sys.executable, "-m", "fastctc.compat", "fast_ctc_decode", "--", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("('a', [0]) 0.3.7\n", "")


def outcome(function, *arguments):
    try:
        return function(*arguments)
    except (RuntimeError, ValueError) as error:
        return type(error), str(error)


@st.composite
def rows(draw, *axes):
    """Probabilities with ties and zeros, of very sure networks, and some that are none at all."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = [draw(axis) for axis in axes]
    kind = draw(st.sampled_from(["random", "sure", "halves", "one", "negative"]))
    values = rng.random(shape)
    if kind == "sure":
        values = values**60
    if kind == "halves":
        values = rng.integers(0, 3, shape) / 2
    if kind == "one":
        values = (values == values.max(-1, keepdims=True)).astype(float)
    if kind == "negative":
        values -= 0.3
    if draw(st.integers(0, 15)) == 0:
        values[tuple(rng.integers(0, n) for n in shape)] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    return values.astype(np.float32)


FRAMES, CLASSES = st.integers(1, 12), st.integers(1, 7)
WIDTHS, CUTS = st.integers(1, 9), st.sampled_from([0.0, 0.01, 0.1, np.nan])


@pytest.mark.parametrize("backend", ["reference", "compiled"])
def test_both_backends_have_the_names(backend):
    for module, names in {
        "cut_search": ["cut_search", "crf_cut_search"],
        "best_path_quality": ["best_path_text", "best_path_means", "crf_best_path_means", "quality_string"],
        "duplex_search": ["duplex_search", "crf_duplex_search"],
    }.items():
        assert all(callable(getattr(backends.load(backend, module), name)) for name in names)


@settings(max_examples=80)
@given(rows(FRAMES, CLASSES), WIDTHS, CUTS, st.booleans())
def test_cut_search_twins(probs, width, cut, collapse):
    one, two = (backends.load(b, "cut_search") for b in ("reference", "compiled"))
    assert outcome(one.cut_search, probs, width, cut, collapse) == outcome(two.cut_search, probs, width, cut, collapse)


@settings(max_examples=80)
@given(rows(FRAMES, CLASSES), st.booleans())
def test_best_path_quality_twins(probs, collapse):
    one, two = (backends.load(b, "best_path_quality") for b in ("reference", "compiled"))
    a, b = one.best_path_means(probs, collapse), two.best_path_means(probs, collapse)
    assert a[:2] == b[:2]
    np.testing.assert_array_equal(a[2], b[2])
    alphabet = "Nabcdéf日"[: probs.shape[1]]
    for qualities in (False, True):
        arguments = probs, alphabet, collapse, qualities, 1.3, 2.0
        assert one.best_path_text(*arguments) == two.best_path_text(*arguments)
    assert one.quality_string(a[2], 1.3, 2.0) == two.quality_string(b[2], 1.3, 2.0)


@settings(max_examples=20)
@given(rows(st.integers(70, 90), st.integers(65, 80)), st.sampled_from([3, 40]), CUTS)
def test_cut_search_twins_with_many_classes(probs, width, cut):
    one, two = (backends.load(b, "cut_search") for b in ("reference", "compiled"))
    probs = probs[:6]
    assert outcome(one.cut_search, probs, width, cut, True) == outcome(two.cut_search, probs, width, cut, True)


@settings(max_examples=80)
@given(st.data(), st.integers(2, 5), WIDTHS, st.sampled_from([0.0, 0.1, -0.5, np.nan]))
def test_crf_twins(data, n_classes, width, cut):
    n_states = data.draw(st.sampled_from([n_classes - 1, (n_classes - 1) ** 2, 3]))
    probs = data.draw(rows(FRAMES, st.just(n_states), st.just(n_classes)))
    state = data.draw(st.integers(0, n_states - 1))
    one, two = (backends.load(b, "cut_search") for b in ("reference", "compiled"))
    arguments = probs, state, 1.25, width, cut
    assert outcome(one.crf_cut_search, *arguments) == outcome(two.crf_cut_search, *arguments)
    one, two = (backends.load(b, "best_path_quality") for b in ("reference", "compiled"))
    a, b = outcome(one.crf_best_path_means, probs, state), outcome(two.crf_best_path_means, probs, state)
    assert a[:2] == b[:2]


@settings(max_examples=80)
@given(st.data(), st.integers(2, 5), WIDTHS, st.booleans())
def test_duplex_twins(data, n_classes, width, collapse):
    one, two = (backends.load(b, "duplex_search") for b in ("reference", "compiled"))
    n_states = data.draw(st.sampled_from([n_classes - 1, 3]))
    n_frames, n_rows = data.draw(FRAMES), data.draw(FRAMES)
    with np.errstate(all="ignore"):
        first = np.log(data.draw(rows(st.just(n_frames), st.just(n_states), st.just(n_classes))))
        second = np.log(data.draw(rows(st.just(n_rows), st.just(n_states), st.just(n_classes))))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    high = rng.integers(1, n_rows + 1, n_frames)
    if data.draw(st.integers(0, 3)):
        high = np.sort(high)
    envelope = np.stack([rng.integers(0, high), high], 1).astype(np.int64)
    if data.draw(st.booleans()):
        envelope[:] = 0, n_rows
    cut = data.draw(st.sampled_from([-np.inf, -2.0]))
    plain = first[:, 0].copy(), second[:, 0].copy(), envelope, width, cut, collapse
    assert outcome(one.duplex_search, *plain) == outcome(two.duplex_search, *plain)
    states = first, 0, second, n_states - 1, envelope, width, cut
    assert outcome(one.crf_duplex_search, *states) == outcome(two.crf_duplex_search, *states)
