"""The drop-in for ctcdecode: batches, streams, models, cuts, errors; and its search's twins."""

import inspect
import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastctc import backends
from fastctc.compat.ctcdecode import CTCBeamDecoder, DecoderState, OnlineCTCBeamDecoder
from fastctc.lm.kenlm import KenLM
from fastctc.reference.lexicon import prefix_tree
from fastctc.search_inputs import ExternalScorer

LABELS = ["'", " ", "a", "b", "c", "d", "_"]
# Two matrices that programs for ctcdecode are often tried on, and what it reads in them.
ACDC = np.array(
    [
        [0.06390443, 0.21124858, 0.27323887, 0.06870235, 0.0361254, 0.18184413, 0.16493624],
        [0.03309247, 0.22866108, 0.24390638, 0.09699597, 0.31895462, 0.0094893, 0.06890021],
        [0.218104, 0.19992557, 0.18245131, 0.08503348, 0.14903535, 0.08424043, 0.08120984],
        [0.12094152, 0.19162472, 0.01473646, 0.28045061, 0.24246305, 0.05206269, 0.09772094],
        [0.1333387, 0.00550838, 0.00301669, 0.21745861, 0.20803985, 0.41317442, 0.01946335],
        [0.16468227, 0.1980699, 0.1906545, 0.18963251, 0.19860937, 0.04377724, 0.01457421],
    ]
)
BA = np.array(
    [
        [0.08034842, 0.22671944, 0.05799633, 0.36814645, 0.11307441, 0.04468023, 0.10903471],
        [0.09742457, 0.12959763, 0.09435383, 0.21889204, 0.15113123, 0.10219457, 0.20640612],
        [0.45033529, 0.09091417, 0.15333208, 0.07939558, 0.08649316, 0.12298585, 0.01654384],
        [0.02512238, 0.22079203, 0.19664364, 0.11906379, 0.07816055, 0.22538587, 0.13483174],
        [0.17928453, 0.06065261, 0.41153005, 0.1172041, 0.11880313, 0.07113197, 0.04139363],
        [0.15882358, 0.1235788, 0.23376776, 0.20510435, 0.00279306, 0.05294827, 0.22298418],
    ]
)
OPTIONS = {"beam_width": 20, "blank_id": 6}
TINY = float(np.finfo(np.float32).tiny)

WORDS = """
\\data\\
ngram 1=6
ngram 2=3

\\1-grams:
-99\t<s>\t-0.5
-1.0\t</s>
-2.0\t<unk>
-0.7\ta\t-0.3
-0.9\tab\t-0.2
-1.1\tzebra

\\2-grams:
-0.4\t<s> a
-0.2\ta ab
-0.3\tab </s>

\\end\\
"""
CHARACTERS = WORDS.replace("\tab", "\tb").replace(" ab", " b").replace("ab </s>", "b </s>").replace("zebra", "z")


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.arpa"
    path.write_text(WORDS)
    return str(path)


@pytest.fixture
def characters(tmp_path):
    path = tmp_path / "characters.arpa"
    path.write_text(CHARACTERS)
    return str(path)


def texts(results, labels=LABELS):
    """Of each sequence the texts of its beams."""
    return [
        ["".join(labels[i] for i in row[:n]) for row, n in zip(rows, lengths, strict=False)]
        for rows, lengths in zip(results[0], results[3], strict=True)
    ]


def best(results, labels=LABELS):
    return [found[0] for found in texts(results, labels)]


def collapsed(path, blank):
    return tuple(c for c, _ in itertools.groupby(path) if c != blank)


def test_the_originals_texts(words):
    decoder = CTCBeamDecoder(LABELS, num_processes=24, **OPTIONS)
    assert best(decoder.decode(np.array([ACDC, BA]))) == ["acdc", "b'a"]
    logs = CTCBeamDecoder(LABELS, log_probs_input=True, **OPTIONS)
    assert best(logs.decode(np.log([ACDC, BA]))) == ["acdc", "b'a"]
    assert best(CTCBeamDecoder(LABELS, model_path=words, **OPTIONS).decode(BA[None])) == ["a a"]


def test_parameters_and_their_defaults():
    expected = {
        "labels": inspect.Parameter.empty,
        "model_path": None,
        "alpha": 0,
        "beta": 0,
        "cutoff_top_n": 40,
        "cutoff_prob": 1.0,
        "beam_width": 100,
        "num_processes": 4,
        "blank_id": 0,
        "log_probs_input": False,
    }
    for decoder in (CTCBeamDecoder, OnlineCTCBeamDecoder):
        assert {name: p.default for name, p in inspect.signature(decoder).parameters.items()} == expected
    assert list(inspect.signature(CTCBeamDecoder.decode).parameters) == ["self", "probs", "seq_lens"]
    assert list(inspect.signature(OnlineCTCBeamDecoder.decode).parameters) == [
        "self",
        "probs",
        "states",
        "is_eos_s",
        "seq_lens",
    ]


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_all_sums_of_paths(scale):
    """Of rows that may have any sum, as long as the beam has room for all texts."""
    rng = np.random.default_rng(4)
    probs = rng.random((5, 3)).astype(np.float32) * np.float32(scale)
    sums = {}
    for path in itertools.product(range(3), repeat=5):
        p = math.prod(float(probs[t, c]) + TINY for t, c in enumerate(path))
        sums[collapsed(path, 0)] = sums.get(collapsed(path, 0), 0.0) + p
    labels, scores, _, lengths = CTCBeamDecoder("_ab", beam_width=500).decode(probs[None])
    found = {}
    for row, n, score in zip(labels[0], lengths[0], scores[0], strict=True):
        found.setdefault(tuple(row[:n].tolist()), -score)  # behind the last text all are empty
    for text, total in sums.items():
        assert found[text] == pytest.approx(math.log(total), abs=1e-5)
    assert np.all(np.diff(scores[0, : len(sums)]) >= 0)  # negated: smaller is better


def test_shapes_types_and_what_is_missing():
    results = CTCBeamDecoder("_a", beam_width=9).decode(np.full((2, 3, 2), 0.5))
    assert [r.shape for r in results] == [(2, 9, 3), (2, 9), (2, 9, 3), (2, 9)]
    assert [r.dtype for r in results] == [np.int32, np.float32, np.int32, np.int32]
    # Texts of at most three frames: one of two labels needs three of them, and one of three is impossible, but there.
    assert sorted(results[3][0].tolist()) == [0, 0, 0, 0, 0, 0, 1, 2, 3]
    assert results[1][0, 3] == np.finfo(np.float32).max


def test_a_label_has_the_frame_of_its_greatest_probability():
    rows = np.array([[0.1, 0.8, 0.1], [0.05, 0.9, 0.05], [0.9, 0.05, 0.05], [0.6, 0.1, 0.3], [0.1, 0.1, 0.8]])
    results = CTCBeamDecoder("_ab").decode(rows[None])
    assert best(results, "_ab") == ["ab"]
    assert results[2][0, 0, :2].tolist() == [1, 4]


def test_lengths_are_cut():
    decoder = CTCBeamDecoder(LABELS, **OPTIONS)
    batch = np.array([ACDC, BA])
    parts = decoder.decode(batch, np.array([3, 99]))
    assert texts(parts)[0] == texts(decoder.decode(batch[:1, :3]))[0]
    assert texts(parts)[1] == texts(decoder.decode(batch[1:]))[0]
    assert best(decoder.decode(batch, [0, 6])) == ["", "b'a"]


def test_labels_of_several_characters_and_strings():
    rows = np.array([[[0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]])
    assert best(CTCBeamDecoder(["", "the", "re"]).decode(rows), ["", "the", "re"]) == ["there"]
    assert best(CTCBeamDecoder("_ab").decode(rows), "_ab") == ["ab"]


def test_the_most_probable_classes_count():
    rows = np.array([[[0.4, 0.35, 0.25]]])
    assert sorted(texts(CTCBeamDecoder("_ab", cutoff_top_n=2, beam_width=3).decode(rows), "_ab")[0]) == ["", "", "a"]
    without_blank = CTCBeamDecoder("_ab", cutoff_top_n=1, blank_id=2, beam_width=3).decode(rows)
    assert best(without_blank, "_ab") == ["_"]


@pytest.mark.parametrize(("cutoff", "n"), [(0.7, 3), (0.69, 3), (0.6, 3), (0.55, 2), (0.3, 1), (0.0, 1)])
def test_probabilities_are_added_up_as_logarithms_of_one_more(cutoff, n):
    """ln(1 + 0.4) is 0.34, ln(1 + 0.75) is 0.56, ln 2 is 0.69: what is above, cuts nothing."""
    rows = np.array([[[0.4, 0.35, 0.25]]])
    for decoder, values in (
        (CTCBeamDecoder("_ab", cutoff_prob=cutoff, beam_width=5), rows),
        (CTCBeamDecoder("_ab", cutoff_prob=cutoff, beam_width=5, log_probs_input=True), np.log(rows)),
    ):
        assert (decoder.decode(values)[3] > 0).sum() == n - 1


def test_words_are_hard_and_weighed(words):
    decoder = CTCBeamDecoder(LABELS, model_path=words, alpha=0.5, beta=1.5, **OPTIONS)
    assert (decoder.character_based(), decoder.max_order(), decoder.dict_size()) == (False, 2, 2)  # no z, e, r here
    results = decoder.decode(np.array([BA, ACDC]))
    for found in texts(results):
        for text in filter(None, found):
            whole = text.split(" ")
            assert set(whole[:-1]) <= {"a", "ab"}
            assert any(word.startswith(whole[-1]) for word in ("a", "ab"))


def test_scores_of_words(words):
    """What ranks a text, less a bonus a label, and less the model's share of the sentence with its end."""
    alpha, beta, ln10 = 0.5, 1.5, math.log(10)
    rows = np.full((5, 7), 1e-6, np.float32)
    for t, c in enumerate("a ab_"):
        rows[t, LABELS.index(c)] = 1.0
    decoder = CTCBeamDecoder(LABELS, model_path=words, alpha=alpha, beta=beta, **OPTIONS)
    labels, scores, _, lengths = decoder.decode(rows[None])
    found = {text: s for text, s in zip(texts((labels, 0, 0, lengths))[0], scores[0], strict=True) if text}
    first, second, end = -0.4 * ln10, -0.2 * ln10, -0.3 * ln10
    plain = math.log(sum_of_text(rows, "a ab"))
    ranked = plain + alpha * first + beta + alpha * second + beta
    assert found["a ab"] == pytest.approx(-(ranked - 4 * beta - alpha * (first + second + end)), abs=1e-4)
    # A word that is none is worth -1000, in the text and in the sentence, where the end follows it.
    plain = math.log(sum_of_text(rows, "a "))
    ranked = plain + alpha * first + beta
    after_a = (-0.3 - 1.0) * ln10
    assert found["a "] == pytest.approx(-(ranked - 2 * beta - alpha * (first + after_a)), abs=1e-4)


def sum_of_text(rows, text):
    total = 0.0
    for path in itertools.product(range(7), repeat=len(rows)):
        if "".join(LABELS[c] for c in collapsed(path, 6)) == text:
            total += math.prod(float(rows[t, c]) for t, c in enumerate(path))
    return total


def test_characters(characters):
    decoder = CTCBeamDecoder(LABELS, model_path=characters, alpha=1.0, beta=0.25, **OPTIONS)
    assert (decoder.character_based(), decoder.max_order(), decoder.dict_size()) == (True, 2, 0)
    rows = np.full((2, 7), 0.01, np.float32)
    rows[0, LABELS.index("a")] = rows[1, LABELS.index("b")] = 0.9
    labels, scores, _, lengths = decoder.decode(rows[None])
    assert best((labels, scores, 0, lengths)) == ["ab"]
    ranked = 2 * math.log(0.9) + (-0.4 - 0.2) * math.log(10) + 2 * 0.25
    removed = 2 * 0.25 + (-0.4 - 0.2 - 0.3) * math.log(10)
    assert scores[0, 0] == pytest.approx(-(ranked - removed), abs=1e-5)
    # The blank space is no word of the model: n-grams with it are all but impossible.
    rows[0, 1] = 0.9
    assert " " not in best(decoder.decode(rows[None]))[0]


def test_without_a_model():
    decoder = CTCBeamDecoder(LABELS, **OPTIONS)
    assert decoder.character_based() is decoder.max_order() is decoder.dict_size() is None
    decoder.reset_params(1.0, 2.0)


@pytest.mark.parametrize("text", [WORDS, CHARACTERS], ids=["words", "characters"])
def test_binary_models_of_kenlm(text, tmp_path):
    plain, binary = tmp_path / "model.arpa", tmp_path / "model.binary"
    plain.write_text(text)
    KenLM.from_arpa(plain).save(binary)
    options = {**OPTIONS, "alpha": 0.8, "beta": 0.5}
    one = CTCBeamDecoder(LABELS, model_path=str(plain), **options)
    two = CTCBeamDecoder(LABELS, model_path=str(binary), **options)
    assert (one.character_based(), one.max_order(), one.dict_size()) == (
        two.character_based(),
        two.max_order(),
        two.dict_size(),
    )
    first, second = one.decode(np.array([ACDC, BA])), two.decode(np.array([ACDC, BA]))
    assert texts(first) == texts(second)
    np.testing.assert_allclose(first[1], second[1], rtol=1e-5)
    np.testing.assert_array_equal(first[2], second[2])


def test_weights_change(words):
    decoder = CTCBeamDecoder(LABELS, model_path=words, alpha=1.0, beta=-9.0, **OPTIONS)
    strict = texts(decoder.decode(ACDC[None]))[0]
    decoder.reset_params(0.0, 9.0)
    assert texts(decoder.decode(ACDC[None]))[0] != strict
    same = CTCBeamDecoder(LABELS, model_path=words, alpha=0.0, beta=9.0, **OPTIONS)
    assert texts(decoder.decode(ACDC[None])) == texts(same.decode(ACDC[None]))


@pytest.mark.parametrize("with_model", [False, True])
def test_pieces_of_sequences(with_model, words):
    options = {**OPTIONS, "model_path": words, "alpha": 0.3, "beta": 0.5} if with_model else OPTIONS
    whole = CTCBeamDecoder(LABELS, **options).decode(np.array([ACDC, BA]))
    decoder = OnlineCTCBeamDecoder(LABELS, **options)
    states = [DecoderState(decoder), DecoderState(decoder)]
    first = decoder.decode(np.array([ACDC[:2], BA[:2]]), states, [False, False])
    assert [r.shape for r in first] == [(2, 0, 0), (2, 20), (2, 0, 0), (2, 20)]
    assert not first[3].any()
    last = decoder.decode(np.array([ACDC[2:], BA[2:]]), states, [True, True])
    n = last[0].shape[1]  # texts: as many as any sequence has
    assert texts(last) == [found[:n] for found in texts(whole)]
    assert not whole[3][:, n:].any()
    np.testing.assert_array_equal(last[1], whole[1])
    assert last[0].shape[2] == last[3].max()
    assert (decoder.character_based(), decoder.dict_size()) == ((False, 2) if with_model else (None, None))


def test_many_pieces():
    decoder = OnlineCTCBeamDecoder(LABELS, **OPTIONS)
    state = DecoderState(decoder)
    for _ in range(1000):
        decoder.decode(ACDC[None], [state], [False, False])
    results = decoder.decode(ACDC[None], [state], [True, True])
    assert results[0].shape[2] >= results[3].max() > 1000
    decoder.reset_state(state)
    assert best(decoder.decode(ACDC[None], [state], [True])) == ["acdc"]


ERRORS = [
    (lambda: CTCBeamDecoder([]), "number of labels must be 1 or more, got 0"),
    (lambda: CTCBeamDecoder("ab", blank_id=2), "blank_id must be 0 to 1, got 2"),
    (lambda: CTCBeamDecoder("ab", beam_width=0), "beam_width must be 1 or more, got 0"),
    (lambda: CTCBeamDecoder("ab", cutoff_top_n=0), "cutoff_top_n must be"),
    (lambda: CTCBeamDecoder("ab", num_processes=0), "num_processes must be"),
    (lambda: CTCBeamDecoder("ab").decode(np.zeros((1, 2, 3))), r"\(batch, frames, 2\), got shape \(1, 2, 3\)"),
    (lambda: CTCBeamDecoder("ab").decode(np.zeros((2, 2))), r"got shape \(2, 2\)"),
    (lambda: CTCBeamDecoder("ab").decode(np.zeros((1, 2, 2)), [1, 2]), "seq_lens must be 1 numbers"),
    (lambda: CTCBeamDecoder("ab").decode(np.zeros((1, 2, 2)), [-1]), "seq_lens must be 1 numbers from 0 on"),
    (lambda: CTCBeamDecoder("ab").decode(np.full((1, 2, 2), np.nan)), "without NaN"),
    (lambda: CTCBeamDecoder("ab").decode(np.full((1, 2, 2), -1.0)), "from 0 on and finite"),
    (lambda: CTCBeamDecoder("ab").decode(np.full((1, 2, 2), np.inf)), "from 0 on and finite"),
    (lambda: CTCBeamDecoder("ab", log_probs_input=True).decode(np.full((1, 2, 2), np.nan)), "logarithms below inf"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS, ids=map(str, range(len(ERRORS))))
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_errors_of_states():
    decoder = OnlineCTCBeamDecoder("_a")
    state, rows = DecoderState(decoder), np.full((2, 1, 2), 0.5)
    with pytest.raises(ValueError, match="there must be 2 states and is_eos_s, got 1 and 2"):
        decoder.decode(rows, [state], [True, True])
    with pytest.raises(ValueError, match="got one twice"):
        decoder.decode(rows, [state, state], [True, True])


def test_errors_of_models(words, tmp_path):
    with pytest.raises(FileNotFoundError):
        CTCBeamDecoder(LABELS, model_path=str(tmp_path / "missing.arpa"))
    with pytest.raises(ValueError, match="labels must have a blank space"):
        CTCBeamDecoder("_ab", model_path=words)
    (tmp_path / "no.arpa").write_text("\\data\\\nngram 1=2\n\n\\1-grams:\n-1\tab\n-1\tcd\n\n\\end\\\n")
    with pytest.raises(ValueError, match="must have <s> and </s>"):
        CTCBeamDecoder(LABELS, model_path=str(tmp_path / "no.arpa"))


def test_logarithms_of_zero_are_legal():
    with np.errstate(divide="ignore"):
        rows = np.log(np.eye(3)[[1, 0, 2, 2, 0, 2]])[None]
    results = CTCBeamDecoder("_ab", log_probs_input=True, beam_width=5).decode(rows)
    assert best(results, "_ab") == ["abb"]
    assert results[1][0, 0] == 0.0
    assert np.isfinite(results[1]).all()


def test_tensors_go_in_and_out():
    torch = pytest.importorskip("torch")
    decoder = CTCBeamDecoder(LABELS, **OPTIONS)
    probs = torch.tensor(np.array([ACDC, BA]), requires_grad=True)
    results = decoder.decode(probs, torch.tensor([6, 6]))
    assert all(isinstance(r, torch.Tensor) for r in results)
    assert [r.dtype for r in results] == [torch.int32, torch.float32, torch.int32, torch.int32]
    assert "".join(LABELS[i] for i in results[0][0][0][0 : results[3][0][0]]) == "acdc"
    assert isinstance(decoder.decode(np.array([ACDC]))[0], np.ndarray)
    online = OnlineCTCBeamDecoder(LABELS, **OPTIONS)
    found = online.decode(probs.bfloat16(), [DecoderState(online), DecoderState(online)], [True, True])
    assert found[0].shape[2] >= found[3].max()


def test_a_program_runs_unchanged(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy as np\nimport ctcdecode\nfrom ctcdecode import CTCBeamDecoder\n"
        "print(CTCBeamDecoder('_a').decode(np.array([[[.4, .6], [.4, .6]]]))[3][0, 0], ctcdecode.__name__)\n"
    )
    command = [sys.executable, "-m", "fastctc.compat", "ctcdecode", "--", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("1 fastctc.compat.ctcdecode\n", "")


def scorers(rng, n):
    """Models with states, tokens and words at random."""

    def advance(state, token):
        answers = np.random.default_rng([state, token + 5])
        return (float(-4 * answers.random()) if answers.random() < 0.9 else -1000.0), int(answers.integers(5))

    weight, bonus = float(rng.choice([0.0, 0.5, 2.0, -1.0])), float(rng.choice([0.0, 1.0, -1.0]))
    if rng.integers(2):
        return ExternalScorer(advance, 0, weight, bonus, np.arange(n, dtype=np.int32), None, -1)
    words = sorted({tuple(rng.integers(0, n, rng.integers(1, 4)).tolist()) for _ in range(rng.integers(1, 12))})
    tree = prefix_tree([c for word in words for c in word], [0, *np.cumsum([len(word) for word in words]).tolist()])
    tokens = rng.permutation(len(words)).astype(np.int32)
    return ExternalScorer(advance, 0, weight, bonus, tokens, tree, int(rng.integers(n)))


@settings(max_examples=150)
@given(st.integers(0, 2**32), st.integers(0, 10), st.integers(1, 6), st.sampled_from([1, 2, 3, 5, 20, 60]))
def test_twins(seed, n_frames, n, width):
    rng = np.random.default_rng(seed)
    rows = rng.random((n_frames, n)) ** float(rng.choice([1, 4, 30]))
    kind, is_log = rng.integers(4), bool(rng.integers(2))
    rows = np.round(rows * 2) / 2 if kind == 1 else (rows == rows.max(1, keepdims=True)) * 1.0 if kind == 2 else rows
    if is_log:
        with np.errstate(divide="ignore"):
            rows = np.log(rows)
    cuts = float(rng.choice([1.0, 0.5, 0.3, 0.69, 2.0, 0.0, -1.0])), int(rng.choice([40, 1, 2, 3]))
    arguments = n, int(rng.integers(n)), width, *cuts, is_log, scorers(rng, n) if rng.integers(3) else None
    place = rng.integers(0, n_frames + 1)
    found = []
    for backend in ("reference", "compiled"):
        beams = backends.load(backend, "scored_search").ScoredBeams(*arguments)
        beams.extend(np.ascontiguousarray(rows[:place]))
        beams.extend(np.ascontiguousarray(rows[place:]))
        found.append(beams.best())
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "arguments",
    [
        (0, 0, 1, 1.0, 1, False, None),
        (2, 2, 1, 1.0, 1, False, None),
        (2, 0, 0, 1.0, 1, False, None),
        (2, 0, 1, 1.0, 0, False, None),
        (2, 0, 1, 1.0, 1, False, ExternalScorer(divmod, 0, 1.0, 0.0, np.zeros(1, np.int32), None, -1)),
    ],
    ids=["no classes", "no blank", "no beam", "no class a frame", "too few tokens"],
)
def test_the_compiled_search_checks_what_it_relies_on(arguments):
    with pytest.raises(ValueError, match="there must be"):
        backends.load("compiled", "scored_search").ScoredBeams(*arguments)


def test_what_a_scorer_raises_comes_through():
    scorer = ExternalScorer(divmod, 0, 1.0, 0.0, np.zeros(2, np.int32), None, -1)
    beams = backends.load("compiled", "scored_search").ScoredBeams(2, 0, 5, 1.0, 40, False, scorer)
    with pytest.raises(ZeroDivisionError):
        beams.extend(np.full((3, 2), 0.5))
