"""Limits against what asks for much: each message says the limit, what was, and the name that raises it."""

import gzip
import importlib

import numpy as np
import pytest

from fastctc import Alphabet, BeamSearch, Lexicon, LexiconSearch, NGram, PrefixSearch, storage
from fastctc.commands import frame_files
from fastctc.htr import preparation
from fastctc.htr.config import Config
from fastctc.imaging import footprints, images, morphology

ALPHABET = Alphabet("ab ")
ARPA = "\\data\\\nngram 1=4\nngram 2=1\n\\1-grams:\n-1 <unk>\n-1 a 0.5\n-1 b -0.25\n-1 c\n\\2-grams:\n-1 a b\n\\end\\\n"


def arpa(path):
    (path / "x.arpa").write_text(ARPA)
    return NGram.from_arpa(path / "x.arpa")


def packed_arpa(path):
    with gzip.open(path / "x.arpa.gz", "wt") as file:
        file.write("a comment " * 1000 + "\n" + ARPA)
    return NGram.from_arpa(path / "x.arpa.gz")


def saved_model(path):
    if not (path / "x.lm").exists():
        arpa(path).save(path / "x.lm")
    return NGram.load(path / "x.lm")


def saved_arrays(path):
    storage.save(path / "x", "thing", {}, {"a": np.zeros((1, 2, 3))})
    return storage.load(path / "x", "thing")


def stack(path):
    np.save(path / "x.npy", np.zeros((7, 0, 3)))
    return list(frame_files.read_matrices(str(path / "x.npy")))


def archive(path):
    np.savez_compressed(path / "x.npz", np.full((200, 10), np.log(0.1)))
    return list(frame_files.read_matrices(str(path / "x.npz")))


def picture(path):
    pytest.importorskip("PIL")
    images.save(path / "x.png", np.zeros((20, 30), np.uint8))
    return images.read(path / "x.png")


def line(_):
    pytest.importorskip("PIL")
    return preparation.prepared(np.eye(90), 64)


# The name, a limit that is too low, what asks for more, how much that is.
CASES = [
    ("fastctc.lm.tables.HIGHEST_ORDER", 1, lambda _: NGram.train(["a b"], 2, unit="word"), "2"),
    ("fastctc.lm.tables.HIGHEST_ORDER", 1, arpa, "2"),
    ("fastctc.lm.tables.GREATEST_BACKOFF", 0.25, arpa, "-1 a 0.5"),
    ("fastctc.lm.tables.GREATEST_BACKOFF", 0.25, saved_model, "10**0.5"),
    ("fastctc.lm.arpa.MOST_EXPANSION", 2, packed_arpa, "unpack it before"),
    ("fastctc.storage.LONGEST_HEADER", 20, saved_arrays, "says it is"),
    ("fastctc.storage.MOST_DIMENSIONS", 2, saved_arrays, "3"),
    ("fastctc.commands.frame_files.MOST_EMPTY", 6, stack, "(7, 0, 3)"),
    ("fastctc.commands.frame_files.MOST_EXPANSION", 3, archive, "takes 16128"),
    ("fastctc.imaging.images.WIDEST", 29, picture, "30 x 20"),
    ("fastctc.imaging.images.LARGEST", 599, picture, "30 x 20"),
    ("fastctc.imaging.footprints.MOST_PIXELS", 99, lambda _: footprints.disk(5), "11 x 11"),
    (
        "fastctc.imaging.morphology.MOST_ITERATIONS",
        1,
        lambda _: morphology.dilation(np.zeros((9, 9), np.uint8), 3, iterations=2),
        "2",
    ),
    ("fastctc.htr.config.MOST_NUMBERS", 1000, lambda _: Config("ab"), "takes"),
    ("fastctc.htr.preparation.WIDEST", 30, line, "columns"),
    ("fastctc.decoders.decoder.WIDEST", 3, lambda _: BeamSearch(ALPHABET, 4), "4"),
    ("fastctc.decoders.hot_words.HOTTEST", 1, lambda _: BeamSearch(ALPHABET, hot_words={"ab": 2.0}), "2.0"),
    ("fastctc.decoders.prefix_search.MOST", 3, lambda _: PrefixSearch(ALPHABET, n_best=4), "4"),
    (
        "fastctc.decoders.lexicon_search.MOST",
        3,
        lambda _: LexiconSearch(Lexicon.from_words(["ab"], ALPHABET), n_best=4, patience=1),
        "4",
    ),
]


@pytest.mark.parametrize(("name", "low", "ask", "was"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)])
def test_the_name_in_the_message_raises_the_limit(name, low, ask, was, tmp_path, monkeypatch):
    module = importlib.import_module(name.rpartition(".")[0])
    constant = name.rpartition(".")[2]
    ask(tmp_path)
    monkeypatch.setattr(module, constant, low)
    if hasattr(module, "MUCH"):
        monkeypatch.setattr(module, "MUCH", 100)
    with pytest.raises(ValueError, match="must") as refused:
        ask(tmp_path)
    message = str(refused.value)
    assert name in message
    assert str(low) in message
    assert was in message


def test_the_parameter_in_the_message_raises_the_limit(tmp_path):
    (tmp_path / "x.arpa").write_text(ARPA)
    with pytest.raises(ValueError, match=r"at most 4 n-grams \(max_ngrams\), got 5"):
        NGram.from_arpa(tmp_path / "x.arpa", max_ngrams=4)
    assert NGram.from_arpa(tmp_path / "x.arpa", max_ngrams=5).order == 2
