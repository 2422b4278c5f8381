import io
import json
import signal
import subprocess
import sys
import types
from contextlib import suppress
from random import Random

import numpy as np
import pytest
from conftest import DATA, logs, peaky

import fastctc
from fastctc.__main__ import COMMANDS, main
from fastctc.commands.frame_files import MatrixError, read_matrices

A = logs(np.array([[0.4, 0.0, 0.6], [0.4, 0.0, 0.6]]))
B = logs(np.array([[0.1, 0.9, 0.0], [0.0, 0.1, 0.9]]))


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "a.npy", A.astype(np.float32))
    (tmp_path / "deeper").mkdir()
    np.savez(tmp_path / "deeper" / "b.npz", one=B, two=np.stack([A, B]))
    np.savetxt(tmp_path / "c.csv", A, delimiter=";")
    (tmp_path / "notes.txt").write_text("not a matrix")
    return tmp_path


def run(capsys, *arguments):
    status = main(["decode", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out.splitlines(), captured.err


def test_folders_files_and_stacks(folder, capsys):
    for threads in (1, 2, 7):
        status, out, err = run(capsys, folder, folder / "a.npy", "--chars", "ab", "--threads", threads)
        assert (status, err) == (0, "")
        names = [line.split("\t")[0].removeprefix(f"{folder}/") for line in out]
        b = "deeper/b.npz"
        assert names == ["a.npy", "c.csv", f"{b}[one]", f"{b}[two:0]", f"{b}[two:1]", "a.npy"]
        assert [line.split("\t")[2] for line in out] == ["a", "a", "b", "a", "b", "a"]


def test_json_is_complete_and_valid(folder, capsys):
    _, out, _ = run(capsys, folder / "a.npy", "--chars", "ab", "--json", "--n-best", 2, "--beam-width", 3)
    result = json.loads(out[0])
    assert result["name"].endswith("a.npy")
    best, second = result["hypotheses"]
    assert best["text"] == "a"
    assert best["confidence"] == pytest.approx(0.64)
    assert best["words"] == [{"text": "a", "first": 1, "last": 1, "probability": pytest.approx(0.64)}]
    assert second["text"] == ""
    assert set(best) == set(fastctc.Hypothesis._fields)


def test_options_reach_the_decoder(folder, capsys):
    assert run(capsys, folder / "a.npy", "--chars", "ab", "--decoder", "best-path")[1][0].split("\t")[2] == ""
    np.save(folder / "p.npy", np.exp(A)[:, [2, 0, 1]])
    assert run(capsys, folder / "p.npy", "--chars", "ab", "--probs", "--blank", 0)[1][0].split("\t")[2] == "a"
    np.save(folder / "l.npy", np.array([[4.0, 1.0, 5.0]]))
    (folder / "alphabet").write_text("x\ny\n")
    assert run(capsys, folder / "l.npy", "--alphabet", folder / "alphabet", "--logits")[1][0].split("\t")[2] == ""
    _, out, _ = run(capsys, folder / "a.npy", "--chars", "ab", "--n-best", 5)
    assert [line.split("\t")[1:] for line in out] == [["-0.4463", "a"], ["-1.0217", ""]]


def test_a_lexicon(folder, capsys):
    (folder / "words").write_text("b\na\nxx\n")
    status, out, err = run(
        capsys, folder / "a.npy", "--chars", "ab", "--decoder", "lexicon", "--words", folder / "words"
    )
    assert status == 0
    assert [line.split("\t")[1:] for line in out] == [["-0.4463", "a"]]
    assert "words: 1 words are left out, for characters that are not in the alphabet: xx" in err


def test_the_other_decoders(folder, capsys):
    (folder / "words").write_text("b\na\n")
    alphabet = fastctc.Alphabet("ab")
    fastctc.Lexicon.from_words(["a", "b"], alphabet).save(folder / "saved")
    fastctc.NGram.train("abab", 2, vocabulary="ab").save(folder / "model")
    fastctc.NGram.train("abab", 2, vocabulary="ab").to_arpa(folder / "model.arpa")
    for options in (
        ("--decoder", "prefix-search"),
        ("--decoder", "prefix-search", "--split", 0.9, "--n-best", 1),
        ("--decoder", "token-passing", "--words", folder / "words"),
        ("--decoder", "lexicon", "--words", folder / "saved"),
        ("--decoder", "lexicon", "--words", folder / "words", "--tolerance", 1),
        ("--lm", folder / "model", "--lm-weight", 0.1, "--character-bonus", 0.5, "--rescore"),
        ("--lm", folder / "model.arpa", "--lm-weight", 0.1, "--character-bonus", 0.5),
    ):
        status, out, err = run(capsys, folder / "a.npy", "--chars", "ab", *options)
        assert (status, err) == (0, "")
        assert [line.split("\t")[1:] for line in out] == [["-0.4463", "a"]], options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--decoder", "lexicon"], "--decoder lexicon needs --words"),
        (["--words", "x"], "--words goes with --decoder token-passing or lexicon or word-beam-search, not"),
        (["--decoder", "best-path", "--n-best", "2"], "--n-best goes with --decoder beam-search or prefix-search or"),
        (
            ["--decoder", "prefix-search", "--lm", "x"],
            "--lm goes with --decoder beam-search or token-passing or word-beam-search, not",
        ),
        (["--lm", "missing.arpa"], "missing.arpa"),
        (["--decoder", "prefix-search", "--split", "2"], "split must be a probability"),
        (["--lm-weight", "0.3"], "--lm-weight goes with --lm"),
        (["--character-bonus", "1"], "--character-bonus goes with --lm"),
        (["--unit", "word"], "--unit goes with --lm"),
        (["--word-bonus", "1"], "--word-bonus goes with --lm or --hotwords"),
        (["--word-chars", "ab"], "--word-chars goes with --decoder word-beam-search, not"),
    ],
    ids=lambda value: "".join(value),
)
def test_options_that_do_not_go_together(folder, capsys, options, message):
    with pytest.raises(SystemExit) as exit_info:
        run(capsys, folder / "a.npy", "--chars", "ab", *options)
    assert exit_info.value.code == 2
    assert message in capsys.readouterr().err


def test_word_beam_search(folder, capsys):
    (folder / "words").write_text("b\na\n")
    (folder / "corpus").write_text("a b, a b a")
    fastctc.NGram.train("a b a b a", 2, unit="word").to_arpa(folder / "model.arpa")
    for options in (
        ("--words", folder / "words"),
        ("--corpus", folder / "corpus", "--word-chars", "ab", "--n-best", 1, "--completion", "forced"),
        ("--corpus", folder / "corpus", "--lm", folder / "model.arpa", "--n-best", 2),
        ("--corpus", folder / "corpus", "--lm", folder / "model.arpa", "--mode", "ngrams"),
    ):
        status, out, err = run(
            capsys, folder / "a.npy", "--chars", "ab", "--decoder", "word-beam-search", "--beam-width", 5, *options
        )
        assert (status, err) == (0, "")
        assert "-0.4463\ta" in [line.split("\t", 1)[1] for line in out], options
    with pytest.raises(SystemExit):
        run(capsys, folder / "a.npy", "--chars", "ab", "--decoder", "word-beam-search")
    assert "needs --words or --corpus" in capsys.readouterr().err


def test_language_models(tmp_path, capsys, monkeypatch):
    (tmp_path / "text").write_text("a cat sat\n\nthe cat\n")

    def lm(*arguments):
        status = main(["lm", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    saved, arpa, back = tmp_path / "model", tmp_path / "model.arpa.gz", tmp_path / "back"
    status, _, err = lm("train", tmp_path / "text", "-o", saved, "--order", 2)
    assert status == 0
    assert "tokens, order 2" in err
    assert lm("convert", saved, arpa)[0] == lm("convert", arpa, back)[0] == 0
    expected = fastctc.NGram.train("a cat sat\nthe cat", 2, unit="word")
    for model in (saved, arpa, back):
        status, out, err = lm("query", model, tmp_path / "text")
        assert status == 0
        scores = [float(line.split("\t")[0]) * np.log(10) for line in out.splitlines()]
        assert scores == pytest.approx([expected.score("a cat sat"), expected.score("the cat")], abs=1e-3)
        assert err == f"perplexity {expected.perplexity(['a cat sat', 'the cat']):.2f}, 7 tokens, 0 unknown\n"
    binary = tmp_path / "model.bin"
    assert lm("convert", arpa, binary)[0] == 0
    status, out, err = lm("query", binary, tmp_path / "text")
    assert [float(line.split("\t")[0]) * np.log(10) for line in out.splitlines()] == pytest.approx(scores, abs=1e-3)
    assert err == f"perplexity {expected.perplexity(['a cat sat', 'the cat']):.2f}, 7 tokens, 0 unknown\n"
    assert "hash tables cannot be listed" in lm("convert", binary, saved)[2]
    trie = DATA / "kenlm" / "trie.bin"
    assert lm("convert", trie, saved)[0] == lm("convert", trie, tmp_path / "x.arpa")[0] == 0
    assert fastctc.NGram.load(saved).order == 4
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO((tmp_path / "x.arpa").read_bytes())))
    assert lm("convert", "-", back)[0] == 0
    assert len(fastctc.NGram.load(back)) == len(fastctc.NGram.load(saved))
    options = ("--unit", "character", "--smoothing", "add-k", "--k", 0.5, "--running")
    assert lm("train", tmp_path / "text", "-o", saved, *options)[0] == 0
    assert fastctc.NGram.load(saved).unit == "character"
    (tmp_path / "bad").write_bytes(b"a\nb \xff")
    assert "bad, line 2: the text must be UTF-8" in lm("train", tmp_path / "bad", "-o", saved)[2]
    assert lm("convert", saved, tmp_path / "x.arpa")[0] == 1
    assert lm("query", tmp_path / "missing", tmp_path / "text")[0] == 1


def test_a_lexicon_of_another_alphabet(folder, capsys):
    fastctc.Lexicon.from_words(["a"], fastctc.Alphabet("ba")).save(folder / "saved")
    with pytest.raises(SystemExit):
        run(capsys, folder / "a.npy", "--chars", "ab", "--decoder", "lexicon", "--words", folder / "saved")
    assert "saved for another alphabet" in capsys.readouterr().err


def test_align(folder, capsys):
    (folder / "c.txt").write_text("a\n")
    (folder / "texts").mkdir()
    (folder / "texts" / "a.txt").write_text("aa")
    (folder / "texts" / "c.txt").write_bytes(b"\xff")

    def align(*arguments):
        status = main(["align", *map(str, arguments), "--chars", "ab"])
        captured = capsys.readouterr()
        return status, captured.out.splitlines(), captured.err

    assert align(folder / "c.csv") == (0, [f"{folder}/c.csv\t1\t1\t0.6400\ta"], "")
    assert align(folder / "a.npy", "--text", "a", "--characters")[1] == [f"{folder}/a.npy\t1\t1\t0.6400\ta"]
    status, out, err = align(folder, "--text", "ab")
    assert (status, len(out)) == (1, 2)
    assert "b.npz[two:0]: the text has probability 0" in err
    status, out, err = align(folder / "a.npy", folder / "c.csv", "--texts", folder / "texts")
    assert (status, out) == (1, [])
    assert "a.npy: the text needs at least 3 frames" in err
    assert "c.txt must be UTF-8 text" in err
    status, _, err = align(folder / "a.npy", folder / "deeper")
    assert status == 1
    assert "a.npy: [Errno 2] No such file or directory" in err
    assert "b.npz[one]: a file with several matrices needs --text" in err
    _, out, _ = align(folder / "c.csv", "--json")
    result = json.loads(out[0])
    character = {"text": "a", "first": 1, "last": 1, "probability": pytest.approx(0.64)}
    assert result["characters"] == [character]
    assert result["words"] == [{**character, "missing": False, "spoken": None}]
    assert set(result) == {"name", *fastctc.Alignment._fields}


def test_broken_files_do_not_stop_the_others(folder, capsys):
    (folder / "a0.npy").write_bytes(b"\x93NUMPY\x01\x00 garbage")
    (folder / "a1.npz").write_bytes(b"PK\x03\x04 garbage")
    (folder / "a2.csv").write_text("1;2\n3\n")
    (folder / "a3.csv").write_text("1;x;3\n")
    (folder / "a4.csv").write_bytes(b"\xff\xfe\x00\x01")
    (folder / "a5.csv").write_text("")
    np.save(folder / "a6.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(folder / "a7.npy", np.zeros((2, 5)))
    np.save(folder / "a8.npy", np.zeros(3))
    status, out, err = run(capsys, folder, folder / "missing.npy", "--chars", "ab")
    assert status == 1
    assert len(out) == 5
    for name in [f"a{i}." for i in range(9)]:
        assert sum(f"/{name}" in line for line in err.splitlines()) == 1, name
    assert "missing.npy: No such file or directory" in err
    assert "a2.csv: line 2: must have 2 columns like the first, got 1" in err
    assert "a7.npy: log_probs must have 3 classes" in err
    assert "Traceback" not in err


@pytest.mark.filterwarnings("ignore")  # of NumPy, about what it finds in a damaged header
def test_damaged_files_are_refused_and_nothing_else_happens(tmp_path):
    random = Random(1)
    originals = []
    for save in (np.save, np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, np.stack([A, B]))
        originals.append(stream.getvalue())
    originals.append(b"1;2;3;\n4;5;6;\n\n7;8;9\n")
    path = tmp_path / "damaged"
    decoder = fastctc.BeamSearch(fastctc.Alphabet("ab"), 3)
    messages = []
    for _ in range(1500):
        content = bytearray(random.choice(originals))
        for _ in range(random.randint(1, 5)):
            place = random.randrange(len(content) + 1)
            content[place : place + random.randint(0, 3)] = random.randbytes(random.randint(0, 3))
        path.write_bytes(content)
        try:
            for matrix in read_matrices(str(path)):
                with suppress(ValueError):
                    decoder.decode(matrix.values)
        except MatrixError as error:
            messages.append(str(error))
    assert len(messages) > 500
    assert all(message.startswith(str(path)) for message in messages)


def test_small_files_that_ask_for_much(tmp_path, capsys):
    def header(shape, dtype="<f8"):
        text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
        return b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text.encode()

    for name, content, message in (
        ("x.npy", header((30_000_000, 0, 3)), "must hold at most 10000 matrices without numbers"),
        ("x.npy", header((1 << 40, 3)), f"which is {24 << 40} bytes, but has 128"),
        ("x.npy", header((1, 3), "<U99999"), "must hold numbers"),
        ("x.npy", header((1, 3), "|O"), "must hold numbers"),
    ):
        (tmp_path / name).write_bytes(content)
        status, _, err = run(capsys, tmp_path, "--chars", "ab")
        assert status == 1
        assert message in err
        assert "Traceback" not in err
    np.save(tmp_path / "x.npy", np.zeros((3, 0, 3)))
    assert run(capsys, tmp_path, "--chars", "ab")[0] == 0
    (tmp_path / "x.npy").unlink()
    np.savez_compressed(tmp_path / "x.npz", np.zeros(300 << 20, np.uint8))
    status, _, err = run(capsys, tmp_path, "--chars", "ab")
    assert status == 1
    assert "must unpack to at most 268435456 bytes, 200 times its size" in err


HUGE = ("-1", "9" * 24, "-" + "9" * 24, "9" * 5000, "1e23", "inf", "-inf", "nan")


@pytest.mark.parametrize("number", HUGE, ids=lambda number: f"{number[:2]}-{len(number)}")
@pytest.mark.parametrize(
    "option",
    ["--blank", "--beam-width", "--n-best", "--lm-weight", "--character-bonus", "--split", "--tolerance"],
)
def test_numbers_of_any_size(option, number, folder, capsys):
    words = folder / "words.txt"
    words.write_text("ab\n", encoding="utf-8")
    decoder = {"--split": ["prefix-search"], "--tolerance": ["lexicon", "--words", str(words)]}
    files = [str(folder), "--chars", "ab", "--decoder", *decoder.get(option, ["beam-search"])]
    with suppress(SystemExit):
        main(["decode", *files, f"{option}={number}"])
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, "[Infinity]", '["a", ["b"]]', "[1e999]"],
    ids=lambda content: content[:5],
)
def test_alphabets_that_are_none(content, tmp_path, capsys):
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["decode", "x.npy", "--alphabet", str(tmp_path / "a.json")])
    assert "a.json: " in capsys.readouterr().err


def test_an_alphabet_of_one_character_many_times(capsys):
    for characters in ("[" * 100_000, "".join(map(chr, range(0x10000, 0x20000))) * 2):
        with pytest.raises(SystemExit):
            main(["decode", "x.npy", "--chars", characters])
        assert "characters must be unique" in capsys.readouterr().err[-400:]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--border", "inf"),
        ("--border", "-inf"),
        ("--border", "nan"),
        ("--border", "1e400"),
        ("--border", "300"),
        ("--iterations", "9" * 24),
        ("--iterations", "-1"),
        ("--footprint", "disk:99999999"),
        ("--footprint", "disk:1e400"),
        ("--footprint", "disk:nan"),
        ("--footprint", "diamond:" + "9" * 24),
        ("--footprint", "cross:99999999"),
        ("--footprint", "line:99999999"),
        ("--footprint", "line:16000000:45"),
        ("--footprint", "line:9:inf"),
        ("--footprint", "99999999x99999999"),
        ("--footprint", "9" * 5000),
    ],
)
def test_numbers_of_any_size_for_images(option, value, tmp_path, capsys):
    pytest.importorskip("PIL")
    from fastctc.imaging import images

    images.save(tmp_path / "x.png", np.zeros((4, 4), np.uint8))
    try:
        status = main(["morph", "erode", str(tmp_path / "x.png"), str(tmp_path / "y.png"), f"{option}={value}"])
    except SystemExit as error:
        status = error.code
    assert status in (1, 2)
    assert "fastctc morph: " in capsys.readouterr().err
    assert not (tmp_path / "y.png").exists()


def test_orders_of_any_size(tmp_path, capsys):
    (tmp_path / "x.txt").write_text("a b", encoding="utf-8")
    for order in ("99999999999", "-1", "0", "9" * 24):
        assert main(["lm", "train", str(tmp_path / "x.txt"), "-o", str(tmp_path / "y"), f"--order={order}"]) == 1
        assert "order must be 1 to 32" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["x.npy"],
        ["x.npy", "--chars", "ab", "--beam-width", "0"],
        ["x.npy", "--chars", "aa"],
        ["x.npy", "--chars", "ab", "--blank", "9"],
        ["x.npy", "--chars", "ab", "--probs", "--logits"],
        ["x.npy", "--chars", "ab", "--threads", "0"],
        ["x.npy", "--chars", "ab", "--decoder", "best-path", "--n-best", "2"],
        ["x.npy", "--chars", "ab", "--decoder", "lexicon"],
        ["x.npy", "--chars", "ab", "--words", "words"],
        ["x.npy", "--chars", "ab", "--decoder", "magic"],
    ],
)
def test_usage_errors_are_2(arguments, capsys):
    with pytest.raises(SystemExit) as error:
        main(["decode", *arguments])
    assert error.value.code == 2
    assert "usage: fastctc decode" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["decode", "no such file", "--chars", "ab"], 1),
        (["decode", "x.npy", "--alphabet", "no such file"], 2),
        (["decode", "x.npy", "--chars", "ab", "--lm", "no such file"], 2),
        (["decode", "x.npy", "--chars", "ab", "--decoder", "lexicon", "--words", "no such file"], 2),
        (["align", "no such file", "--chars", "ab", "--text", "a"], 1),
        (["align", "x.npy", "--alphabet", "no such file"], 2),
        (["tune", "x.npy", "--chars", "ab", "--lm", "no such file"], 2),
        (["lm", "train", "no such file", "--output", "x.arpa"], 1),
        (["lm", "query", "no such file", "x.txt"], 1),
        (["read", "no such file"], 1),
        (["read", "x.png", "--weights", "no such file"], 2),
        (["review", "no such file"], 2),
        (["segment", "no such file", "--out", "x"], 1),
        (["morph", "erode", "no such file", "x.png"], 1),
        (["train", "--data", "no such file", "--out", "x"], 1),
        (["train", "--data", "x", "--init", "no such file", "--out", "x"], 1),
        (["experiment", "pixel_relevance", "--image", "no such file", "--text", "a", "--out", "x"], 1),
        (["synthesize", "--fonts", "no such file", "--text", "x.txt", "--out", "x.png"], 2),
    ],
)
def test_a_missing_file_has_one_line(arguments, status, tmp_path, monkeypatch, capsys):
    pytest.importorskip("PIL")
    monkeypatch.chdir(tmp_path)
    try:
        found = main(arguments)
    except SystemExit as end:
        found = end.code
    out, err = capsys.readouterr()
    assert (found, out) == (status, "")
    [line] = err.splitlines()
    assert line.startswith(f"fastctc {arguments[0]}")
    assert "no such file" in line
    assert "Errno" not in line


def test_no_command_lists_the_commands(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(f"\n    {name}" in out for name in COMMANDS)


def test_an_empty_folder_is_said_to_be_empty(tmp_path, capsys):
    status, out, err = run(capsys, tmp_path, "--chars", "ab")
    assert (status, out) == (1, [])
    assert "no .npy, .npz or .csv file" in err


@pytest.mark.parametrize("kind", ["npy", "npz", "csv"])
def test_standard_input(kind, capsys, monkeypatch):
    stream = io.BytesIO()
    if kind == "csv":
        np.savetxt(stream, A, delimiter=",")
    else:
        (np.save if kind == "npy" else np.savez)(stream, A)
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(stream.getvalue())))
    status, out, _ = run(capsys, "-", "--chars", "ab")
    assert status == 0
    assert out[0].startswith("standard input")
    assert out[0].endswith("\ta")


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("1;2;3;\n4;5;6;\n", [(2, 3)]),
        ("1,2,3\n4,5,6", [(2, 3)]),
        ("1, 2, 3,\r\n4, 5, 6,\r\n", [(2, 3)]),
        (" 1 2 3 \n", [(1, 3)]),
        ("1\t2\t\n", [(1, 2)]),
        ("-inf 2 3\n4 nan 6\n", [(2, 3)]),
        ("\ufeff1;2\n\n\n3;4\n;;\n5;6\n", [(1, 2), (1, 2), (1, 2)]),
    ],
)
def test_tables(tmp_path, text, shapes):
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert [matrix.values.shape for matrix in read_matrices(str(path))] == shapes


def test_results_come_in_input_order(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(60):
        np.save(tmp_path / f"{i:02}.npy", peaky(rng, 20 if i % 7 else 2000, 3))
    process = subprocess.run(
        [sys.executable, "-m", "fastctc", "decode", str(tmp_path), "--chars", "ab", "--threads", "3"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = [line.split("\t")[0] for line in process.stdout.splitlines()]
    assert names == [str(tmp_path / f"{i:02}.npy") for i in range(60)]


def test_a_closed_pipe_is_no_accident(tmp_path):
    np.save(tmp_path / "a.npy", np.stack([A] * 5000))
    process = subprocess.Popen(
        [sys.executable, "-m", "fastctc", "decode", str(tmp_path), "--chars", "ab"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert err == b""
    assert process.returncode == 1


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_is_answered_within_a_long_search(tmp_path, threads):
    """A minute of work in one matrix, which nothing but the signal ends."""
    np.save(tmp_path / "a.npy", peaky(np.random.default_rng(0), 50_000, 100, np.float32))
    command = [sys.executable, "-m", "fastctc", "decode", str(tmp_path), "--chars", "".join(map(chr, range(200, 299)))]
    # An interrupt is ignored by children of shells that run in the background; the test may be one.
    restore = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    ready = "from fastctc.__main__ import main; print('ready', flush=True); sys.exit(main())"
    command[1:3] = ["-c", restore + ready]
    process = subprocess.Popen(
        [*command, "--beam-width", "10000", "--threads", str(threads)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline() == b"ready\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (out, err, process.returncode) == (b"", b"interrupted\n", 130)


def test_version_and_help(capsys):
    for option in ("--version", "--help"):
        with pytest.raises(SystemExit) as error:
            main([option])
        assert error.value.code == 0
    out = capsys.readouterr().out
    assert f"fastctc {fastctc.__version__}" in out
    assert "decode" in out


def test_real_files(shared, capsys):
    frames = shared / "frames"
    table = json.loads((frames / "frames.json").read_text(encoding="utf-8"))
    chars = table["iam_line"]["alphabet"]
    for name, option in (("iam_line.npy", []), ("iam_line.csv", ["--logits"])):
        for decoder, text in (("best-path", "fomly"), ("beam-search", "fomcly")):
            status, out, _ = run(capsys, frames / name, "--chars", chars, "--decoder", decoder, *option)
            assert status == 0
            assert out[0].split("\t")[2] == f"the fak friend of the {text} hae tC"


def test_latin_names_the_weights_that_come_along(tmp_path, monkeypatch, capsys):
    pytest.importorskip("PIL")
    from fastctc.htr import checkpoint
    from fastctc.htr.reader import shipped_weights

    asked = []

    def load(path):
        asked.append(path)
        raise ValueError("enough is known")

    monkeypatch.setattr(checkpoint, "load_network", load)
    options = ["--data", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main(["train", *options, "--init", "latin"]) == 1
    assert main(["train", *options, "--init", "mine.fastctc"]) == 1
    assert asked == [shipped_weights(), "mine.fastctc"]
    assert asked[0].is_file()
    assert "enough is known" in capsys.readouterr().err
