"""KenLM's files, and the module of that name: against what KenLM itself says."""

import copy
import json
import pickle
from math import log

import pytest
from conftest import DATA

from fastctc import NGram, backends
from fastctc.compat import kenlm
from fastctc.lm.kenlm import KenLM, is_kenlm

FILES = DATA / "kenlm"
BINARIES = sorted(path.name for path in FILES.glob("*.bin"))
SCORES = json.loads((FILES / "scores.json").read_text(encoding="utf-8"))


def expected(name):
    rows = SCORES["scores"].get(name, SCORES["scores"]["probing.bin"])
    return [[[tuple(row) for row in half] for half in sentence] for sentence in rows]


def walk(model, sentence):
    """The scores of words, by states."""
    state = kenlm.State()
    model.BeginSentenceWrite(state)
    for word in [*sentence.split(), "</s>"]:
        after = kenlm.State()
        result = model.BaseFullScore(state, word, after)
        assert model.BaseScore(state, word, state) == result.log_prob
        assert state == after
        yield result.log_prob, result.ngram_length, result.oov


@pytest.mark.parametrize("name", [*BINARIES, "tiny.arpa"])
def test_scores_are_those_of_kenlm(name):
    model = kenlm.Model(FILES / name)
    assert model.order == 4
    for sentence, (whole, part) in zip(SCORES["sentences"], expected(name), strict=True):
        for found, wanted in (
            (model.full_scores(sentence), whole),
            (model.full_scores(sentence, bos=False, eos=False), part),
            (walk(model, sentence), [(*row[:2], row[2] and i < len(whole) - 1) for i, row in enumerate(whole)]),
        ):
            rows = list(found)
            assert [row[1:] for row in rows] == [row[1:] for row in wanted]
            assert [row[0] for row in rows] == pytest.approx([row[0] for row in wanted], abs=1e-6)
        assert model.score(sentence) == pytest.approx(sum(row[0] for row in whole), abs=1e-5)
        assert model.score(sentence, bos=False, eos=False) == pytest.approx(sum(row[0] for row in part), abs=1e-5)


@pytest.mark.parametrize("name", BINARIES)
def test_the_twins_agree_to_the_last_bit(name):
    tables = KenLM.load(FILES / name).tables
    reference, compiled = (backends.load(backend, "kenlm") for backend in ("reference", "compiled"))
    first, second = reference.Scorer(tables), compiled.Scorer(tables)
    for sentence in SCORES["sentences"]:
        for bos, eos in ((True, True), (False, True), (True, False), (False, False)):
            assert first.full_scores(sentence, bos, eos) == second.full_scores(sentence, bos, eos)
            assert first.score(sentence.encode(), bos, eos) == second.score(sentence.encode(), bos, eos)
        context = ()
        for word in sentence.encode().split():
            assert reference.hash_of(word) == compiled.hash_of(word)
            number = reference.number(tables, word)
            assert compiled.number(tables, word) == number
            result = reference.advance(tables, context, number)
            assert compiled.advance(tables, context, number) == result
            context = result[2]
    for module in (reference, compiled):
        for context, word in (((), tables.n_words), ((), -1), (((1, 0.0),) * 4, 1)):
            with pytest.raises(ValueError, match="must have"):
                module.advance(tables, context, word)


@pytest.mark.parametrize("n", range(20))
def test_hashes_of_words_of_any_length(n):
    """Known values of MurmurHash64A are those of the vocabularies above; here the twins, at all lengths."""
    reference, compiled = (backends.load(backend, "kenlm") for backend in ("reference", "compiled"))
    word = bytes(range(200, 200 + n))
    assert reference.hash_of(word) == compiled.hash_of(word)


def test_states():
    model = kenlm.Model(FILES / "probing.bin")
    begin, nothing, after = kenlm.State(), kenlm.State(), kenlm.State()
    model.BeginSentenceWrite(begin)
    model.NullContextWrite(nothing)
    assert begin != nothing == kenlm.State()
    assert nothing < begin <= begin
    assert begin > nothing >= nothing
    assert hash(nothing) == hash(kenlm.State())
    model.BaseScore(begin, "the", after)
    copied = copy.copy(after)
    assert copied == after == copy.deepcopy(after) == pickle.loads(pickle.dumps(after))
    assert hash(copied) == hash(after) != hash(begin)
    model.BaseScore(after, "zebra", after)  # the same state in and out
    assert after != copied
    assert after == nothing  # nothing is known about what follows an unknown word
    assert after != "state"
    with pytest.raises(TypeError):
        model.BaseScore(None, "the", after)


def test_the_module(tmp_path):
    model = kenlm.LanguageModel(str(FILES / "trie.bin"), kenlm.Config())
    assert isinstance(model, kenlm.Model)
    assert model.path == str((FILES / "trie.bin").resolve()).encode()
    assert "trie.bin" in repr(model)
    assert "cat" in model
    assert "zebra" not in model
    assert "über" in model
    assert b"cat" in model
    assert model.perplexity("the cat sat") == pytest.approx(10 ** (-model.score("the cat sat") / 4))
    assert model.score("the \t cat\nsat\x0b") == model.score(b"the cat sat")
    again = pickle.loads(pickle.dumps(model))
    assert type(again) is kenlm.LanguageModel
    assert again.score("the cat") == model.score("the cat")
    assert kenlm.FullScoreReturn(-1.0, 2, False).ngram_length == 2
    with pytest.raises(OSError, match="Cannot read model"):
        kenlm.Model(str(tmp_path / "missing.arpa"))
    (tmp_path / "text.arpa").write_text("no model")
    with pytest.raises(OSError, match="truncated"):
        kenlm.Model(str(tmp_path / "text.arpa"))

    class Mine(kenlm.Model):
        def score(self, *_):
            return 1.0

    assert Mine(str(FILES / "trie.bin")).score("the") == 1.0


def test_our_own_interface():
    model = KenLM.load(FILES / "probing.bin")
    assert is_kenlm(FILES / "probing.bin")
    assert not is_kenlm(FILES / "tiny.arpa")
    assert model.order == 4
    assert model.kind == "hash tables"
    assert model.score("the cat") == pytest.approx(kenlm.Model(FILES / "probing.bin").score("the cat") * log(10))
    assert model.score(["the", "cat"]) == model.score("the cat")
    assert model.log_probs_of("the cat", end=True) == pytest.approx(
        [log(10) * row[0] for row in model.scorer.full_scores("the cat")]
    )
    assert "cat" in model
    assert "zebra" not in model
    assert pickle.loads(pickle.dumps(model)).score("the cat") == model.score("the cat")


def test_hash_tables_made_of_an_arpa_file_are_those_of_kenlm(tmp_path):
    made = KenLM.from_arpa(FILES / "tiny.arpa")
    made.save(tmp_path / "made.bin")
    again, built = KenLM.load(tmp_path / "made.bin"), KenLM.load(FILES / "probing.bin")
    assert len(again.tables.data) == len(built.tables.data)
    for sentence in SCORES["sentences"]:
        assert again.scorer.full_scores(sentence) == made.scorer.full_scores(sentence)
        assert [row[1:] for row in made.scorer.full_scores(sentence)] == [
            row[1:] for row in built.scorer.full_scores(sentence)
        ]
    assert pickle.loads(pickle.dumps(made)).score("the cat") == made.score("the cat")


@pytest.mark.parametrize("name", ["trie.bin", "quantised.bin", "array.bin", "quantised_array.bin"])
def test_tries_are_listed(name):
    trie = KenLM.load(FILES / name)
    listed = trie.to_ngram()
    assert listed.order == 4
    assert len(listed) == len(NGram.from_arpa(FILES / "tiny.arpa"))
    for sentence in SCORES["sentences"]:
        for whole in (True, False):
            found = listed.log_probs_of(sentence, begin=whole, end=whole)
            assert found == pytest.approx(trie.log_probs_of(sentence, begin=whole, end=whole), abs=2e-6)
    assert listed.forecast(["the"], 0, len(listed.vocabulary)) > 0
    hashed = KenLM.from_ngram(listed)
    assert hashed.score("the cat sat") == pytest.approx(trie.score("the cat sat"), abs=1e-5)


def test_what_cannot_be_listed_says_so():
    with pytest.raises(ValueError, match="hash tables cannot be listed"):
        KenLM.load(FILES / "probing.bin").to_ngram()
    with pytest.raises(ValueError, match="built without them"):
        KenLM.load(FILES / "trie_no_words.bin").to_ngram()
    with pytest.raises(ValueError, match="back-off weights"):
        KenLM.from_ngram(NGram.train("a b", 2, unit="word", smoothing="add-k"))
    with pytest.raises(ValueError, match="at least 2 words"):
        KenLM.from_ngram(NGram.train("a b", 1, unit="word"))


def test_damaged_tries_are_not_listed():
    trie = KenLM.load(FILES / "trie.bin")
    levels = trie.tables.levels
    places = [trie.tables.unigrams + 8 + 16 * 3, *(level.place for level in levels), trie.words_at + 5]
    for place in places:
        data = trie.tables.data.copy()
        data[place] |= 0x7F
        with pytest.raises(ValueError, match="must"):
            KenLM(trie.tables._replace(data=data), trie.kind, trie.words_at).to_ngram()


@pytest.mark.parametrize("name", ["probing.bin", "trie.bin", "tiny.arpa"])
def test_one_interface(name):
    """What every model of words can be asked."""
    model = NGram.from_arpa(FILES / name) if name.endswith("arpa") else KenLM.load(FILES / name)
    assert "cat" in model
    assert "zebra" not in model
    state, total = model.state(), 0.0
    for word in ["the", "cat", "zebra", "</s>"]:
        before = state
        log_prob, state = model.advance(state, word)
        assert model.advance(before, word) == (log_prob, state)  # states stay as they are
        total += log_prob
    assert model.score("the cat zebra") == pytest.approx(total, abs=1e-5)
    assert model.advance(model.state(begin=False), "the")[0] == pytest.approx(
        model.log_probs_of("the", begin=False)[0], abs=1e-6
    )


def test_an_arpa_file_without_endings(tmp_path):
    """Pruning may leave n-grams whose endings are not there; back-off gives them, as in KenLM."""
    arpa = "\\data\\\nngram 1=4\nngram 2=2\nngram 3=1\n\n\\1-grams:\n-1\t<s>\t-0.5\n-1\t</s>\n-0.5\ta\t-0.25\n"
    arpa += "-2\tb\t-0.125\n\n\\2-grams:\n-0.5\t<s> a\t-0.0625\n-0.75\ta a\t-0.03125\n\n"
    arpa += "\\3-grams:\n-0.25\t<s> a b\n\n\\end\\\n"
    (tmp_path / "model.arpa").write_text(arpa)
    model = kenlm.Model(str(tmp_path / "model.arpa"))
    assert list(model.full_scores("a b", eos=False)) == [(-0.5, 2, False), (-0.25, 3, False)]
    assert list(model.full_scores("a b", bos=False, eos=False))[1][0] == -2.25  # a, b
    assert list(model.full_scores("a a b", bos=False, eos=False))[2][0] == pytest.approx(-2.25 - 0.03125)
    assert list(model.full_scores("zebra", bos=False, eos=False)) == [(-100.0, 1, True)]


@pytest.mark.parametrize("name", BINARIES)
def test_truncated_files_say_so(name, tmp_path):
    data = (FILES / name).read_bytes()
    path = tmp_path / "model.bin"
    has_words = "no_words" not in name
    text = data.index(b"<unk>\0") if has_words else len(data)
    for size in [0, 1, 40, 60, 90, 110, 140, text - 1, text + 3 if has_words else text // 2]:
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match="must"):
            KenLM.load(path)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, b"nnap", "must be a binary file"),
        (49, b"4", "format version 5"),
        (34, b"incomplete\n", "did not finish"),
        (60, b"\0\0\0\0", "little-endian"),
        (88, b"\1", "2 to 32 words"),
        (88, b"\xff", "2 to 32 words"),
        (92, b"\0\0\0\0", "more than one slot"),
        (92, b"\0\0\xc0\x7f", "more than one slot"),
        (96, b"\6", "kind of model"),
        (104, b"\7", "version 0"),
        (108, b"\xff" * 8, "n-grams of each length"),
        (108, b"\0" * 8, "n-grams of each length"),
        (116, b"\xff\1", "must have at least"),
    ],
)
def test_damaged_heads_say_what_must_be(place, value, message, tmp_path):
    data = bytearray((FILES / "probing.bin").read_bytes())
    data[place : place + len(value)] = value
    (tmp_path / "model.bin").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        KenLM.load(tmp_path / "model.bin")


@pytest.mark.parametrize("name", BINARIES)
def test_damaged_numbers_are_found_when_they_are_asked_for(name):
    """Every byte of what is behind the head, 255: no crash, and the twins agree about what can still be said."""
    tables = KenLM.load(FILES / name).tables
    reference, compiled = (backends.load(backend, "kenlm") for backend in ("reference", "compiled"))
    data = tables.data.copy()
    data[tables.unigrams :] = 255
    damaged = tables._replace(data=data)
    for module in (reference, compiled):
        with pytest.raises(ValueError, match="damaged"):
            module.Scorer(damaged).full_scores("the cat sat on the mat")


def test_against_the_package(tmp_path, shared):
    """Where kenlm is installed: real text, with unknown words, through a file of our making."""
    theirs = pytest.importorskip("kenlm", reason="the package kenlm is not installed")
    if theirs is kenlm:
        pytest.skip("the package kenlm is answered by ours")
    arpa = shared / "lm" / "english_3gram.arpa"
    KenLM.from_arpa(arpa).save(tmp_path / "english.bin")
    text = (shared / "text" / "english_corpus.txt").read_text(encoding="utf-8").split()
    for path in (tmp_path / "english.bin", arpa):
        first, second = theirs.Model(str(path)), kenlm.Model(str(path))
        for start in range(0, 12_000, 12):
            words = text[start : start + 12]
            words[start % 12] += "zq" * (start % 5 == 0)
            pairs = zip(first.full_scores(" ".join(words)), second.full_scores(" ".join(words)), strict=True)
            for one, other in pairs:
                assert one[1:] == other[1:]
                assert other[0] == pytest.approx(one[0], abs=1e-6)
