"""The language models, against plain estimation, their own reference, and what files can hold."""

import gzip
import io
import os
import pickle
from itertools import product
from math import exp, inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastctc import NGram, backends
from fastctc.lm.vocabulary import Vocabulary
from fastctc.reference.estimation import KneserNey, add_k
from fastctc.storage import StorageError

texts = st.lists(st.text("abc d", min_size=1, max_size=30), min_size=1, max_size=4).filter(
    lambda lines: any(line.strip() for line in lines)
)


def numbered(model, lines, sentences):
    tokens = [list(line) for line in lines if line] if sentences else [list(" ".join(lines))]
    table = {token: number for number, token in enumerate(model.vocabulary)}
    return [[table[t] for t in (["<s>", *line, "</s>"] if sentences else line)] for line in tokens]


def prob(model, history, token):
    return exp(model.log_probs_of([*history, token], begin=False)[-1])


@given(texts, st.integers(1, 4), st.booleans(), st.data())
def test_kneser_ney_is_that_of_the_paper(lines, order, sentences, data):
    model = NGram.train(lines, order, sentences=sentences)
    names = list(model.vocabulary)
    numbers = numbered(model, lines, sentences)
    begin = names.index("<s>") if sentences else -1
    plain = KneserNey(numbers, order, len(names), begin)
    history = tuple(data.draw(st.lists(st.sampled_from(names), max_size=order - 1)))
    wanted = tuple(names.index(name) for name in history)
    total = 0.0
    for number, name in enumerate(names):
        if number != begin:
            found = prob(model, history, name)
            total += found
            assert found == pytest.approx(plain.prob(wanted, number), rel=1e-5)
    assert total == pytest.approx(1, rel=1e-5)


@given(texts, st.integers(1, 3), st.booleans(), st.sampled_from([0.0, 0.01, 1.0, 2.5]), st.data())
def test_add_k(lines, order, sentences, k, data):
    model = NGram.train(lines, order, sentences=sentences, smoothing="add-k", k=k, vocabulary="xy")
    names = list(model.vocabulary)
    numbers = numbered(model, lines, sentences)
    begin = names.index("<s>") if sentences else -1
    history = data.draw(st.lists(st.sampled_from(names), max_size=order - 1))
    for number, name in enumerate(names):
        if number != begin:
            wanted = add_k(numbers, tuple(map(names.index, history)), number, len(names), begin, k)
            assert prob(model, history, name) == pytest.approx(wanted, rel=1e-5)


@given(texts, st.integers(1, 4), st.sampled_from(["kneser-ney", "add-k"]), st.text("abcd xé", max_size=12))
def test_the_compiled_walk_is_that_of_the_reference(lines, order, smoothing, text):
    model = NGram.train(lines, order, smoothing=smoothing, k=0.5)
    for options in ({}, {"begin": False}, {"end": True}):
        assert model.log_probs_of(text, **options) == model.log_probs_of(text, backend="reference", **options)


@given(texts, st.integers(1, 4), st.booleans(), st.sampled_from([("kneser-ney", 1.0), ("add-k", 0.1)]), st.data())
def test_forecast_is_the_sum_over_the_range(lines, order, sentences, smoothing, data):
    kind, k = smoothing
    model = NGram.train(lines, order, sentences=sentences, smoothing=kind, k=k, vocabulary="xy")
    names = list(model.vocabulary)
    history = data.draw(st.lists(st.sampled_from([*names, "?"]), max_size=order))
    first = data.draw(st.integers(0, len(names)))
    last = data.draw(st.integers(0, len(names)))
    expected = sum(prob(model, history, name) for name in names[first:last])
    for backend in ("reference", "compiled"):
        assert model.forecast(history, first, last, backend) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_sentences_begin_and_end():
    model = NGram.train(["a cat", "a dog", "the cat"], 2, unit="word")
    assert model.log_probs_of("a") == [pytest.approx(log(prob(model, ["<s>"], "a")))]
    assert model.score("a dog") == pytest.approx(sum(model.log_probs_of("a dog", end=True)))
    assert model.score("a dog", end=False) > model.score("a dog")
    assert NGram.train("a cat\na dog", 2).start == 0  # characters: one long text


def test_perplexity():
    model = NGram.train("abcd" * 50, 1, smoothing="add-k", k=0)
    assert model.perplexity("abcd") == pytest.approx(4)
    assert model.perplexity(["ab", "cd"]) == inf  # the blank space between the lines
    with pytest.raises(ValueError, match="at least one token"):
        model.perplexity("")


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("", 2), {}, "at least one token"),
        (("ab", 0), {}, "order must be 1 to 32"),
        (("ab", 2), {"unit": "letter"}, "unit must be"),
        (("ab", 2), {"smoothing": "none"}, "smoothing must be"),
        (("ab", 2), {"smoothing": "add-k", "k": -1.0}, "k must be"),
        (("ab", 2), {"smoothing": "add-k", "k": float("nan")}, "k must be"),
    ],
)
def test_bad_training(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        NGram.train(*arguments, **options)


def same(a, b, text):
    assert a.vocabulary.text.tobytes() == b.vocabulary.text.tobytes()
    assert b.log_probs_of(text) == pytest.approx(a.log_probs_of(text), rel=1e-5)


@pytest.mark.parametrize("unit", ["word", "character"])
@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("ending", ["arpa", "arpa.gz"])
def test_arpa_there_and_back(tmp_path, unit, order, ending):
    text = "the cat sat on\nthe mat on the cat\r\nsat"
    model = NGram.train(text, order, unit=unit)
    path = tmp_path / f"model.{ending}"
    model.to_arpa(path)
    same(model, NGram.from_arpa(path, unit=unit), "the mat sat on a cat")
    assert list(tmp_path.iterdir()) == [path]


ARPA = """comment

\\data\\
ngram 1=4
ngram 2=2
ngram 3=1

\\1-grams:
-99\t<s>\t-0.5
-1.0\t</s>
-0.5\ta\t-0.25
-0.75 b -0.125

\\2-grams:
-0.25\t<s> a\t-0.5
-0.5\ta b

\\3-grams:
-0.125\tb a b

\\end\\
"""


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(("old", "new"), [("", ""), ("\n", "\r\n"), ("\t", "  ")], ids=["plain", "windows", "blanks"])
def test_an_arpa_file_of_all_kinds_of_lines(tmp_path, old, new):
    model = NGram.from_arpa(write(tmp_path / "x.arpa", ARPA.replace(old, new) if old else ARPA))
    ten = log(10)
    assert model.order == 3
    assert model.log_probs_of("a b") == pytest.approx([-0.25 * ten, (-0.5 - 0.5) * ten], rel=1e-6)
    # b a is not among the 2-grams, though b a b is among the 3-grams.
    assert model.log_probs_of("b a b", begin=False)[1:] == pytest.approx([(-0.125 - 0.5) * ten, -0.125 * ten], rel=1e-6)
    # Nothing is known about unknown words.
    assert model.log_probs_of("zebra", begin=False) == pytest.approx([-100 * ten])
    assert model.log_probs_of("a zebra b", begin=False)[1:] == pytest.approx([-100.25 * ten, -0.75 * ten], rel=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("\\end\\\n", "", 21, "truncated"),
        ("-0.125\tb a b\n\n\\end\\\n", "", 18, "there must be 1 3-grams.*truncated"),
        ("ngram 2=2", "ngram 2=3", 17, "there must be 3 2-grams.*but there are 2"),
        ("ngram 2=2", "ngram 3=2", 5, "must count the 2-grams"),
        ("ngram 1=4\nngram 2=2\nngram 3=1\n", "", 5, "must be 'ngram 1=COUNT'"),
        ("-0.5\ta b", "-0.5\ta c", 16, "tokens must be among the 1-grams, got b'c'"),
        ("-0.5\ta b", "-0.5\ta", 16, "must be a log probability, 2 tokens"),
        ("-0.5\ta b", "zero\ta b", 16, "must be a number"),
        ("-0.5\ta b", "0.5\ta b", 16, "a log probability must be 0 or less"),
        ("-0.5\ta\t-0.25", "-0.5\ta\tnan", 11, "a back-off weight at most 8"),
        ("-0.5\ta\t-0.25", "-0.5\ta\t1e30", 11, "a back-off weight at most 8"),
        ("-0.5\ta b", "nan\ta b", 16, "a log probability must be 0 or less"),
        ("-0.5\ta b", "-0.5\t<s> a", 16, "n-grams must be different, got '<s> a' again"),
        ("-0.5\ta\t", "-0.5\t</s>\t", 11, "tokens must be different, got b'</s>' again"),
        ("\\2-grams:", "\\4-grams:", 14, "must be '.2-grams:'"),
    ],
)
def test_a_bad_arpa_file_is_refused_with_its_line(tmp_path, old, new, line, message):
    assert old in ARPA
    path = write(tmp_path / "x.arpa", ARPA.replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"x.arpa, line {line}: .*{message}"):
        NGram.from_arpa(path)


def one_gram(order):
    """A file of one n-gram of so many tokens, and one shorter one."""
    counts = "".join(f"ngram {n}={int(n in (1, order))}\n" for n in range(1, order + 1))
    sections = (f"\n\\{n}-grams:\n" + f"-1 {'a ' * n}\n" * (n in (1, order)) for n in range(1, order + 1))
    return f"\\data\\\n{counts}{''.join(sections)}\n\\end\\\n"


def test_small_files_that_ask_for_much(tmp_path):
    assert NGram.from_arpa(write(tmp_path / "x.arpa", one_gram(32))).order == 32
    for order in (33, 2000):
        with pytest.raises(ValueError, match=r"x.arpa, line 34: n-grams must have at most 32 tokens .*HIGHEST_ORDER"):
            NGram.from_arpa(write(tmp_path / "x.arpa", one_gram(order)))
    with pytest.raises(ValueError, match=r"x.arpa, line 6: there must be at most 6 n-grams \(max_ngrams\), got 7"):
        NGram.from_arpa(write(tmp_path / "x.arpa", ARPA), max_ngrams=6)
    assert len(NGram.from_arpa(write(tmp_path / "x.arpa", ARPA), max_ngrams=7)) == 8
    for bad in ("ngram 1=" + "9" * 5000, "ngram " + "9" * 5000 + "=1", "ngram 1=-1", "ngram one=1"):
        with pytest.raises(ValueError, match=r"x.arpa, line 4: must be 'ngram 1=COUNT', got b'ngram"):
            NGram.from_arpa(write(tmp_path / "x.arpa", ARPA.replace("ngram 1=4", bad)))
    for many in (b"\n", b"a\n", b" ", b"ngram 1=1\n", b"\\data\\\n"):
        message = {
            b" ": r"line 1: a line must have at most 1048576 bytes",
            b"\\data\\\n": r"line 2: must be 'ngram 1=COUNT'",
        }.get(many, r"line 1: the file must unpack to at most 16777216 bytes")
        with pytest.raises(ValueError, match=rf"x.arpa.gz, {message}"):
            NGram.from_arpa(write(tmp_path / "x.arpa.gz", gzip.compress(many * ((40 << 20) // len(many)), 9)))
    for many in (b"\n", b"a\n", b" ", b"ngram 1=1\n", b"\\data\\\n", b"\\", b"\\data\\"):
        with pytest.raises(ValueError, match=r"x.arpa, line"):
            NGram.from_arpa(write(tmp_path / "x.arpa", many * ((4 << 20) // len(many))))


def test_training_of_long_n_grams():
    for order in (33, 99999999999):
        with pytest.raises(ValueError, match=r"order must be 1 to 32 .*HIGHEST_ORDER"):
            NGram.train("ab", order)


def test_long_files_are_read_in_parts(tmp_path, monkeypatch):
    from fastctc.lm import arpa

    model = NGram.train("the cat sat on the mat and the rat sat on the cat", 3)
    model.to_arpa(tmp_path / "x.arpa")
    whole = NGram.from_arpa(tmp_path / "x.arpa")
    text = (tmp_path / "x.arpa").read_text(encoding="utf-8")
    for size in (1, 7, 100):
        monkeypatch.setattr(arpa, "AT_ONCE", size)
        for found, array in zip(NGram.from_arpa(tmp_path / "x.arpa").tables[:5], whole.tables[:5], strict=True):
            np.testing.assert_array_equal(found, array)
        place = text.index("\\3-grams:") + 200
        line = text[:place].count("\n") + 2
        bad = text[:place] + text[place:].replace("\n", "\nx", 1)
        with pytest.raises(ValueError, match=f"y.arpa, line {line}: must be a"):
            NGram.from_arpa(write(tmp_path / "y.arpa", bad))


def test_other_bad_arpa_files(tmp_path):
    for content in (b"", b"\0\1\2", b"\\data\\", b"\\data\\\nngram 1=1\n\\1-grams:\n-1\t\xff\n\\end\\\n"):
        with pytest.raises(ValueError, match="line"):
            NGram.from_arpa(write(tmp_path / "x.arpa", content))
    whole = gzip.compress(ARPA.encode())
    for damaged in (b"no gzip", whole[:40], whole[:30] + b"xx" + whole[32:]):
        with pytest.raises(ValueError, match="damaged"):
            NGram.from_arpa(write(tmp_path / "x.arpa.gz", damaged))
    with pytest.raises(OSError, match="missing"):
        NGram.from_arpa(tmp_path / "missing.arpa")
    with pytest.raises(ValueError, match="add-k"):
        NGram.train("ab", 2, smoothing="add-k").to_arpa(tmp_path / "y.arpa")
    with pytest.raises(ValueError, match="without white space"):
        NGram.train("a b", 2, vocabulary=["d e"]).to_arpa(tmp_path / "y.arpa")
    assert not (tmp_path / "y.arpa").exists()


def test_saved_and_mapped(tmp_path):
    model = NGram.train("the cat sat on the mat", 3)
    path = tmp_path / "model"
    model.save(path)
    loaded = NGram.load(path)
    same(model, loaded, "the rat")
    same(model, pickle.loads(pickle.dumps(loaded)), "the rat")
    assert not loaded.words.flags.writeable
    whole = path.read_bytes()
    for n in range(0, len(whole) - 64, 7):
        with pytest.raises(StorageError):
            NGram.load(write(tmp_path / "cut", whole[:n]))
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=8):
            damaged[place] = rng.integers(256)
        try:
            found = NGram.load(write(tmp_path / "damaged", bytes(damaged)))
            found.log_probs_of(["t", "h", "e"], begin=False)
        except (ValueError, UnicodeDecodeError):
            pass


def test_arrays_that_are_no_model():
    from fastctc.compiled.ngram import score

    model = NGram.train("abcabd", 3)
    tables = model.tables
    rng = np.random.default_rng(1)
    for _ in range(200):
        wild = {
            name: rng.integers(-5, 60, len(getattr(tables, name))).astype(np.int32)
            for name in ("words", "children", "suffixes")
        }
        score(tables._replace(**wild), 0, list(rng.integers(-3, 9, 20)))
    with pytest.raises(ValueError, match="one entry a node"):
        score(tables._replace(words=tables.words[:-1].copy()), 0, [])
    for state in (-1, len(tables.words)):
        with pytest.raises(ValueError, match="state must be"):
            score(tables, state, [])


@given(st.sets(st.text(max_size=4)))
def test_vocabulary(tokens):
    vocabulary = Vocabulary.from_tokens(tokens)
    assert list(vocabulary) == sorted(tokens)
    assert [vocabulary[i] for i in range(len(vocabulary))] == sorted(tokens)
    for token in tokens | {"?", "a"}:
        assert (token in vocabulary) == (token in tokens)
        assert token not in tokens or vocabulary[vocabulary.number(token)] == token
    with pytest.raises(IndexError):
        vocabulary[len(tokens)]


@pytest.mark.parametrize(("order", "smoothing"), list(product((2, 3), ("kneser-ney", "add-k"))))
def test_ceilings_are_above_everything(order, smoothing):
    model = NGram.train("the cat sat on the mat and the rat sat on the cat", order, smoothing=smoothing, k=0.1)
    names = [*model.vocabulary, "?"]
    numbers = model.numbers(names)
    for history in product(names, repeat=order - 1):
        for name, number in zip(names, numbers, strict=True):
            assert log(prob(model, history, name)) <= model.ceilings[number] + 1e-6


def test_the_real_arpa_file(shared):
    model = NGram.from_arpa(shared / "lm" / "english_3gram.arpa")
    assert len(model) == 12823 + 56027 + 77622
    assert model.score("the cat sat") < model.score("the house")


@pytest.mark.parametrize("unit", ["word", "character"])
@pytest.mark.parametrize("smoothing", ["kneser-ney", "add-k"])
def test_texts_are_scored_alike_by_the_twins(unit, smoothing):
    model = NGram.train("the cat\nthé ✓ dog\nthe  cat ", 3, unit=unit, smoothing=smoothing, sentences=True)
    scorers = []
    for backend in ("reference", "compiled"):
        scorer, words = backends.load(backend, "ngram").Scorer, model.vocabulary
        scorers.append(scorer(model.tables, words.text, words.offsets, model.start, unit == "word"))
    texts = [
        "",
        " ",
        "the cat",
        "the\x1ccat\tthe",
        "thé\u2003dog",
        "zebra the",
        "a\0b",
        "</s> <unk>",
        ["the", "a b"],
        [],
    ]
    for text in texts:
        for begin in (True, False):
            for end in (True, False):
                values = [scorer.log_probs(text, begin, end) for scorer in scorers]
                assert values[0] == values[1]
                assert [scorer.score(text, begin, end) for scorer in scorers] == [sum(values[0])] * 2
    for token in ("the", "e", "zebra", "<unk>", ""):
        assert scorers[0].number(token) == scorers[1].number(token)
        assert scorers[0].advance(model.start, token) == scorers[1].advance(model.start, token)
    with pytest.raises(ValueError, match="state must be"):
        scorers[1].advance(10**6, "the")
    with pytest.raises(TypeError, match="must be str"):
        scorers[1].number(b"the")


def test_an_arpa_file_that_cannot_be_sought(tmp_path):
    """As standard input is, plain and compressed."""
    done = []
    for data in (ARPA.encode(), gzip.compress(ARPA.encode())):
        read, write = os.pipe()
        os.write(write, data)
        os.close(write)
        with os.fdopen(read, "rb") as file:
            model = NGram.from_arpa(file, progress=lambda *counts: done.append(counts))
        assert model.order == 3
        assert done[-1] == (7, 7)
    assert NGram.from_arpa(io.BytesIO(ARPA.encode())).order == 3
    path = write_line(tmp_path / "x.arpa", 3 << 20)
    with pytest.raises(ValueError, match=r"line 1: a line must have at most 1048576 bytes"):
        NGram.from_arpa(path)


def write_line(path, size):
    path.write_bytes(b"a" * size)
    return path


def test_a_forecast_of_numbers_that_no_token_has(backend):
    for smoothing in ("kneser-ney", "add-k"):
        model = NGram.train("abracadabra", 2, smoothing=smoothing)
        size = len(model.vocabulary)
        assert model.forecast("ab", 0, size, backend) == pytest.approx(1.0)
        assert model.forecast("ab", size, size, backend) == model.forecast("ab", 3, 1, backend) == 0.0
        for first, last in ((0, 1 << 30), (0, size + 1), (-1, 2), (0, 1 << 70), (1 << 40, 1 << 41), (0, -1)):
            with pytest.raises(ValueError, match=f"first and last must be 0 to {size}, got {first} and {last}"):
                model.forecast("ab", first, last, backend)
