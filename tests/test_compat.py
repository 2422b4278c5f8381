"""Programs written for other packages."""

import math
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import peaky
from hypothesis import given
from hypothesis import strategies as st

from fastctc import compat, edit_distance
from fastctc.compat import ctc_decoder
from fastctc.compat.ctc_decoder import (
    BKTree,
    LanguageModel,
    beam_search,
    best_path,
    lexicon_search,
    loss,
    prefix_search,
    prefix_search_heuristic_split,
    probability,
    token_passing,
)

MAT = np.array([[0.4, 0, 0.6], [0.4, 0, 0.6]])


def published_beam_search(mat, chars, beam_width, lm):
    """The search of ctc_decoder, from its description: sums in the log domain, the model normalised at last."""
    blank = len(chars)

    def add(a, b):
        return float(np.logaddexp(a, b))

    def score(beam):
        return add(beam[0], beam[1]) + beam[2]

    with np.errstate(divide="ignore"):
        logs = np.log(mat)
        last = {(): (0.0, -math.inf, 0.0)}  # ends in a blank, in a label, the model's share
        for row in logs:
            best = sorted(last, key=lambda labels: -score(last[labels]))[:beam_width]
            now = {}
            for labels in best:
                ends_blank, ends_label, text = last[labels]
                stays = ends_label + row[labels[-1]] if labels else -math.inf
                old = now.get(labels, (-math.inf, -math.inf, text))
                now[labels] = add(old[0], add(ends_blank, ends_label) + row[blank]), add(old[1], stays), text
                for c in range(blank):
                    longer = (*labels, c)
                    before = ends_blank if labels[-1:] == (c,) else add(ends_blank, ends_label)
                    p = lm.get_char_bigram(chars[labels[-1]], chars[c]) if labels else lm.get_char_unigram(chars[c])
                    share = text + 0.01 * float(np.log(p))
                    old = now.get(longer, (-math.inf, -math.inf, share))
                    now[longer] = old[0], add(old[1], before + row[c]), old[2]
            last = now
    best = max(last, key=lambda labels: score((*last[labels][:2], last[labels][2] / max(1, len(labels)))))
    return "".join(chars[label] for label in best)


def test_the_example_of_two_frames():
    assert probability(MAT, "a", "ab") == 0.64
    assert loss(MAT, "a", "ab") == -math.log(0.64)
    assert loss(MAT, "b", "ab") == math.inf
    assert probability(MAT, "b", "ab") == 0
    assert (best_path(MAT, "ab"), beam_search(MAT, "ab"), prefix_search(MAT, "ab")) == ("", "a", "a")
    assert prefix_search_heuristic_split(MAT, "ab") in ("", "a", "aa")


def test_all_names_and_parameters_are_there():
    names = {
        "best_path": "mat chars",
        "beam_search": "mat chars beam_width lm",
        "prefix_search": "mat chars",
        "prefix_search_heuristic_split": "mat chars",
        "token_passing": "mat chars words",
        "lexicon_search": "mat chars bk_tree tolerance",
        "probability": "mat gt chars",
        "loss": "mat gt chars",
        "LanguageModel": "txt chars",
        "BKTree": "txt_list",
    }
    assert set(names) == set(ctc_decoder.__all__)
    for name, parameters in names.items():
        assert " ".join(signature(getattr(ctc_decoder, name)).parameters) == parameters
    assert signature(beam_search).parameters["beam_width"].default == 25


def test_language_model():
    lm = LanguageModel("aabab ac!", "abc")
    assert lm.get_char_unigram("c") == 1 / 3
    assert lm.get_char_bigram("a", "b") == 2 / 4
    assert lm.get_char_bigram("a", "c") == lm.get_char_bigram("a", "a") == 1 / 4
    assert lm.get_char_bigram("c", "a") == 0
    with pytest.raises(KeyError):
        lm.get_char_bigram("!", "a")


@pytest.mark.parametrize("beam_width", [1, 5, 25])
@pytest.mark.parametrize("seed", range(6))
def test_beam_search_with_a_model_is_the_published_one(seed, beam_width):
    rng = np.random.default_rng(seed)
    chars = "abcde "
    text = "".join(rng.choice(list(chars), 60))
    lm = LanguageModel(text, chars)
    for n_frames in (1, 2, 20):
        mat = np.exp(peaky(rng, n_frames, 7) / 2)
        mat /= mat.sum(axis=1, keepdims=True)
        assert beam_search(mat, chars, beam_width, lm) == published_beam_search(mat, chars, beam_width, lm)


@given(st.lists(st.text("abc", max_size=5), max_size=12), st.text("abcd", max_size=5), st.integers(0, 6))
def test_bk_tree(texts, text, tolerance):
    assert BKTree(texts).query(text, tolerance) == [t for t in texts if edit_distance(t, text) <= tolerance]


def test_lexicon_search_is_the_most_probable_word_that_is_near():
    rng = np.random.default_rng(0)
    words = ["ab", "ba", "abc", "cab", "bb"]
    for _ in range(20):
        mat = np.exp(peaky(rng, 6, 4))
        for tolerance in (0, 1, 3):
            near = [w for w in words if edit_distance(w, best_path(mat, "abc")) <= tolerance]
            expected = max(near, key=lambda w: probability(mat, w, "abc")) if near else ""
            assert lexicon_search(mat, "abc", BKTree(words), tolerance) == expected


def test_a_sequence_is_split_at_sure_blanks():
    rng = np.random.default_rng(1)
    mat = np.exp(peaky(rng, 12, 4))
    mat[[3, 5, 9]] = [0.02, 0.02, 0.01, 0.95]
    parts = [prefix_search(mat[a:b], "abc") for a, b in pairwise([0, 3, 9, 12])]
    assert prefix_search_heuristic_split(mat, "abc") == "".join(parts)


def test_bad_input():
    with pytest.raises(ValueError, match="3 classes"):
        best_path(MAT[:, :2], "ab")
    with pytest.raises(ValueError, match="probs must"):
        beam_search(MAT * np.nan, "ab")
    with pytest.raises(ValueError, match="alphabet's characters"):
        token_passing(MAT, "ab", ["abc"])


def test_a_real_line(real):
    log_probs, alphabet = real["iam_line"]
    mat, chars = np.exp(log_probs.astype(np.float64)), "".join(alphabet.characters)
    corpus = "family, fake friend like of the the the"  # the line's own words, sorted
    words = corpus.replace(",", " ").split()
    assert best_path(mat, chars) == "the fak friend of the fomly hae tC"
    assert beam_search(mat, chars) == "the fak friend of the fomcly hae tC"
    assert beam_search(mat, chars, lm=LanguageModel(corpus, chars)) == "the fake friend of the family, lie th"
    assert prefix_search_heuristic_split(mat, chars) == "the fak friend of the fomcly hae tC"
    assert token_passing(mat, chars, words) == "the fake friend of the family fake the"


def test_a_real_word(real_word, shared):
    log_probs, alphabet = real_word
    mat, chars = np.exp(log_probs.astype(np.float64)), "".join(alphabet.characters)
    corpus = (shared / "text" / "iam_word_corpus.txt").read_text(encoding="utf-8")
    assert best_path(mat, chars) == "aircrapt"
    assert lexicon_search(mat, chars, BKTree(corpus.split()), 4) == "aircraft"


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "fastctc.compat", *arguments], capture_output=True, text=True, check=False, **options
    )


def imported(tmp_path, row, program):
    """What a program prints under a row of aliases."""
    script = tmp_path / "with_aliases.py"
    script.write_text(f"from fastctc.compat.aliases import AliasFinder\nAliasFinder.answer({row!r})\n{program}")
    here = {**os.environ, "PYTHONPATH": str(Path(compat.__file__).parents[2])}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=here)
    assert done.stderr == ""
    return done.stdout.split()


def foreign_package(tmp_path):
    """A package like those that drop-ins stand for."""
    (tmp_path / "foreign" / "inner").mkdir(parents=True)
    (tmp_path / "foreign" / "__init__.py").write_text("from foreign.inner import *\nname = 'theirs'")
    (tmp_path / "foreign" / "inner" / "__init__.py").write_text("")
    for name in ("kept", "replaced"):
        (tmp_path / "foreign" / "inner" / f"{name}.py").write_text(f"def loss(): return {name!r}")


def test_an_alias_is_the_module_itself_and_has_a_spec(tmp_path):
    row = {"shapes": "ctc_decoder"}
    program = """
import importlib.util, sys
assert importlib.util.find_spec("shapes").name == "shapes"
assert not any(name.startswith("fastctc.compat.ctc") for name in sys.modules)
import shapes, fastctc.compat.ctc_decoder as ours
assert shapes is ours is sys.modules["shapes"]
assert importlib.util.find_spec("shapes") is ours.__spec__ and ours.__spec__.name == ours.__name__
try:
    import shapes.more
except ModuleNotFoundError as error:
    print(error.name)
"""
    assert imported(tmp_path, row, program) == ["shapes.more"]


def test_submodules_are_imported_once(tmp_path):
    program = """
import importlib.util
from fastctc.compat import aliases
aliases.HOME = "fastctc."
AliasFinder.answer({"house": "align"})
assert importlib.util.find_spec("house.alignment").name == "house.alignment"
from house.alignment import Alignment as theirs
import house, fastctc.align
assert theirs is fastctc.align.Alignment and house.alignment is fastctc.align.alignment and house is fastctc.align
"""
    assert imported(tmp_path, {}, program) == []


def test_modules_that_only_the_foreign_package_has(tmp_path):
    foreign_package(tmp_path)
    program = """
from fastctc.compat import aliases
aliases.HOME = "fastctc."
AliasFinder.answer({"foreign": "align"})
import foreign.inner.kept, foreign
print(foreign.inner.kept.loss(), hasattr(foreign, 'name'), foreign.__name__)
"""
    assert imported(tmp_path, {}, program) == ["kept", "False", "fastctc.align"]


@pytest.mark.parametrize("before", ["", "import foreign.inner.replaced\n"])
def test_one_module_of_a_package_that_exists(tmp_path, before):
    foreign_package(tmp_path)
    row = {"foreign.inner.replaced": "ctc_decoder"}
    program = "from foreign.inner import replaced, kept\nimport foreign\nprint(replaced.__name__, foreign.name)"
    again = f"{before}AliasFinder.answer({row!r})\n{program}"
    assert imported(tmp_path, {}, again) == ["fastctc.compat.ctc_decoder", "theirs"]


def test_one_module_of_a_package_that_is_missing(tmp_path):
    program = "from no.such.package import loss\nimport no.such\nprint(loss.__module__, no.such.package.__name__)"
    found = imported(tmp_path, {"no.such.package": "ctc_decoder"}, program)
    assert found == ["fastctc.compat.ctc_decoder", "fastctc.compat.ctc_decoder"]


@pytest.mark.parametrize("before", ["", "import foreign.inner.replaced\n"])
def test_one_name_of_a_module(tmp_path, before):
    foreign_package(tmp_path)
    row = {"foreign.inner.replaced:loss": "ctc_decoder.loss"}
    program = "from foreign.inner.replaced import loss\nimport foreign.inner.kept\nprint(loss.__module__)"
    assert imported(tmp_path, {}, f"{before}AliasFinder.answer({row!r})\n{program}") == ["fastctc.compat.ctc_decoder"]


def test_install(tmp_path):
    program = (
        "from fastctc import compat\ncompat.install('ctc_decoder')\nimport ctc_decoder\nprint(ctc_decoder.__name__)"
    )
    assert imported(tmp_path, {}, program) == ["fastctc.compat.ctc_decoder"]
    with pytest.raises(ValueError, match=r"must be one of ctc_decoder, .*, got 'nonsense'"):
        compat.install("nonsense")


@pytest.mark.parametrize("row", compat.ALIASES)
def test_every_row_leads_somewhere(row):
    for foreign, ours in compat.ALIASES[row].items():
        module, attribute = ours.rsplit(".", 1) if ":" in foreign else (ours, None)
        assert find_spec(f"fastctc.compat.{module}")
        assert attribute is None or hasattr(import_module(f"fastctc.compat.{module}"), attribute)


def test_an_unmodified_program(tmp_path):
    (tmp_path / "helper.py").write_text("from ctc_decoder import probability\n")
    script = tmp_path / "program.py"
    script.write_text(
        "import sys\nimport numpy as np\nimport ctc_decoder\nimport helper\nif __name__ == '__main__':\n"
        "    mat = np.array([[0.4, 0, 0.6], [0.4, 0, 0.6]])\n"
        "    print(ctc_decoder.beam_search(mat, 'ab'), helper.probability(mat, 'a', 'ab'), sys.argv[1:])\n"
    )
    for program in ([str(script)], ["-m", "program"]):
        done = run("ctc_decoder", "--", *program, "--one", "two", cwd=tmp_path)
        assert (done.stdout, done.stderr) == ("a 0.64 ['--one', 'two']\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: NAME"),
        (["ctc_decoder"], "there must be -- and a program"),
        (["ctc_decoder", "--"], "there must be a program"),
        (["nonsense", "--", "x.py"], "invalid choice: 'nonsense' (choose from"),
        (["ctc_decoder", "--", "missing.py"], "the program must be a file, got 'missing.py'"),
    ],
    ids=lambda value: "-".join(value) or "nothing" if isinstance(value, list) else "",
)
def test_usage(arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
