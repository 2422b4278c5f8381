"""Files: written whole or not at all, and believed only as far as they prove it."""

import json
import os
import resource
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from fastctc import Alphabet, Lexicon, NGram, storage
from fastctc.htr import plotting
from fastctc.htr.checkpoint import load_network, save_network, shapes
from fastctc.htr.config import Config
from fastctc.imaging import images

ROOT = Path(__file__).parents[1]
WRITE = """
import sys
from pathlib import Path
import numpy as np
from fastctc import storage

folder, own = Path(sys.argv[1]), int(sys.argv[2])
for number in range(1500):
    storage.save(folder / f"{number % 50}", "test", {"own": own}, {"numbers": np.full(1000, own, np.int32)})
"""


def test_two_processes_write_into_one_folder(tmp_path):
    both = [subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path), str(n)], cwd=ROOT) for n in (1, 2)]
    assert [one.wait() for one in both] == [0, 0]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(map(str, range(50)))
    for file in tmp_path.iterdir():
        about, arrays = storage.load(file, "test", {"numbers": "int32"})
        assert (arrays["numbers"] == about["own"]).all()


def test_what_was_there_stays_if_writing_fails(tmp_path):
    path = tmp_path / "x.txt"
    storage.write_text(path, "before")

    def write(error):
        with storage.replaced(path) as file:
            file.write(b"half")
            raise error

    for error in (ValueError("no"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            write(error)
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]
    assert path.read_text(encoding="utf-8") == "before"


def test_links_permissions_devices_and_long_names(tmp_path):
    path, link = tmp_path / ("ä" * 127), tmp_path / "link"
    storage.write_text(path, "before")
    path.chmod(0o600)
    link.symlink_to(path)
    storage.write_text(link, "after")
    assert link.is_symlink()
    assert path.read_text(encoding="utf-8") == "after"
    assert path.stat().st_mode & 0o777 == 0o600
    storage.write_text(os.devnull, "nothing")
    assert not Path(os.devnull).is_file()


def test_errors_name_the_file_that_was_to_be_written(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "none" / "x", tmp_path / "folder"):
        with pytest.raises(OSError, match=path.name) as caught:
            storage.write_text(path, "")
        assert ".part" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match="source"), storage.replaced(tmp_path / "x"):
        (tmp_path / "none" / "source").read_bytes()


def figure():
    made, ax = plotting.figure()
    ax.plot([0, 1])
    return made


NOISE = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
WRITERS = {
    "x.arpa": lambda path: NGram.train("abc" * 1000 + "".join(map(chr, range(0x4E00, 0x5800))), 3).to_arpa(path),
    "x.arpa.gz": lambda path: NGram.train("abc" * 1000 + "".join(map(chr, range(0x4E00, 0x8000))), 3).to_arpa(path),
    "x.lm": lambda path: NGram.train("".join(map(chr, range(0x4E00, 0x5800))), 3).save(path),
    "x.png": lambda path: images.save(path, NOISE),
    "x.tif": lambda path: images.save(path, NOISE),
    "y.png": lambda path: plotting.save(figure(), path),
    "x.txt": lambda path: storage.write_text(path, "x" * 20_000),
}


@pytest.mark.filterwarnings("ignore")  # what libraries leave open when the disk is full
@pytest.mark.parametrize("name", WRITERS)
def test_full_disks(name, tmp_path):
    """As a limit of what a file may take: the disk's own end cannot be had in a test."""
    if name.endswith((".png", ".tif")):
        pytest.importorskip("matplotlib" if name == "y.png" else "PIL")
    write = WRITERS[name]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    write(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(OSError, match=name):
            write(tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == whole


TINY = Config(characters="ab", height=4, kernels=((1, 1),), channels=(1,), pools=((4, 1),), units=(1,))
TEXT = "the cat sat on the mat and the rat sat on the cat"


def network(path):
    save_network(path, TINY, {name: np.full(shape, 0.5, np.float32) for name, shape in shapes(TINY).items()})


LEXICON = Lexicon.from_words(["ab", "cab", "abba", "b"], Alphabet("abc"), [1, 2, 3, 4])
NGRAM = NGram.train(TEXT, 4)
SAVED = {
    "lexicon": (LEXICON.save, Lexicon.load),
    "n-gram model": (NGRAM.save, NGram.load),
    "network": (network, load_network),
}


@pytest.mark.parametrize("kind", SAVED)
def test_no_bit_changes_unnoticed(kind, tmp_path):
    save, load = SAVED[kind]
    path = tmp_path / "x"
    save(path)
    load(path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(storage.StorageError, match="x: "):
            load(path)


@pytest.mark.parametrize("kind", SAVED)
def test_safetensors_opens_them(kind, tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    SAVED[kind][0](tmp_path / "x")
    _, arrays = storage.load(tmp_path / "x", kind)
    found = safetensors.load_file(tmp_path / "x")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def described(**entries):
    """A file whose header says that, and eight bytes of numbers."""
    zeros = f"{zlib.crc32(bytes(8)):08x}"
    digest = json.dumps({"__metadata__": f"{zlib.crc32(b'{}'):08x}", "x": zeros, "y": zeros})
    metadata = {"kind": "test", "about": "{}", "crc32": digest}
    text = entries.pop("text", None) or json.dumps({"__metadata__": metadata, **entries}).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + bytes(8)


def entry(dtype="F32", shape=(2,), data_offsets=(0, 8)):
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": data_offsets}}


def test_headers(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(described(**entry()))
    assert storage.load(path, "test")[1]["x"].tolist() == [0, 0]
    whole = described(**entry())
    for damaged in (
        b"",
        b"x" * 100,
        whole[:-1],
        whole + b"\0",
        (1 << 40).to_bytes(8, "little") + whole[8:],
        described(text=b"{" * 100_000),
        described(text=b'{"a": ' * 100_000),
        described(text=whole[8:-8].replace(b"[2]", b"[Infinity]")),
        described(text=whole[8:-8].replace(b"[2]", b"[NaN]")),
        described(text=whole[8:-8].replace(b"[2]", b"[1e999]")),
        described(text=whole[8:-8].replace(b"[2]", b"[" + b"9" * 5000 + b"]")),
        described(text=whole[8:-8].replace(b'"x": {', b'"x": {}, "x": {')),
        described(text=whole[8:-8].replace(b"__metadata__", b"__metadati__")),
        described(text=b"{}"),
        described(**entry(shape=[-2])),
        described(**entry(shape=[True, 2])),
        described(**entry(shape=[2.0])),
        described(**entry(shape=[1 << 62])),
        described(**entry(shape=[1 << 40, 1 << 40, 0])),
        described(**entry(shape=[1] * 33 + [2])),
        described(**entry(shape=2)),
        described(**entry(dtype="O")),
        described(**entry(dtype=["F32"])),
        described(**entry(data_offsets=[8, 16])),
        described(**entry(data_offsets=[-8, 0])),
        described(**entry(data_offsets=[0, 9])),
        described(**entry(data_offsets=[0])),
        described(**entry(data_offsets=None)),
        described(x=7),
        described(**entry(), y=entry()["x"]),  # both at the same place
        described(**entry(shape=[1], data_offsets=[4, 8])),  # a hole
    ):
        path.write_bytes(damaged)
        with pytest.raises(storage.StorageError, match="x: "):
            storage.load(path, "test")


def test_numbers_that_json_does_not_know(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        storage.save(tmp_path / "x", "test", {"loss": float("nan")}, {})
    assert not list(tmp_path.iterdir())


def changed(array, *places):
    copy = array.copy()
    for place, value in places:
        copy[place] = value
    return copy


NODES = len(NGRAM.words)
N_TOKENS = len(NGRAM.vocabulary)
CHAIN = np.maximum(np.arange(NODES) - 1, 0).astype(np.int32)
BAD_NGRAMS = {
    "a chain of suffixes": {"suffixes": CHAIN},
    "a suffix that is its own node": {"suffixes": changed(NGRAM.suffixes, (NODES - 1, NODES - 1))},
    "a suffix outside": {"suffixes": changed(NGRAM.suffixes, (NODES - 1, -5))},
    "no suffix": {"suffixes": changed(NGRAM.suffixes, (NODES - 1, 0))},
    "a suffix of another history": {
        "suffixes": changed(NGRAM.suffixes, (NODES - 1, int(np.flatnonzero(NGRAM.words == NGRAM.words[-1])[1])))
    },
    "the root's suffix": {"suffixes": changed(NGRAM.suffixes, (0, 1))},
    "NaN": {"log_probs": changed(NGRAM.log_probs, (5, np.nan))},
    "a positive log probability": {"log_probs": changed(NGRAM.log_probs, (5, 0.5))},
    "a weight of NaN": {"backoffs": changed(NGRAM.backoffs, (5, np.nan))},
    "an infinite weight": {"backoffs": changed(NGRAM.backoffs, (5, np.inf))},
    "a huge weight": {"backoffs": changed(NGRAM.backoffs, (5, 1e30))},
    "a word out of range": {"words": changed(NGRAM.words, (NODES - 1, N_TOKENS))},
    "a negative word": {"words": changed(NGRAM.words, (NODES - 1, -1))},
    "unsorted words": {"words": changed(NGRAM.words, (1, 1), (2, 0))},
    "children backwards": {"children": changed(NGRAM.children, (3, 2))},
    "children outside": {"children": changed(NGRAM.children, (-1, NODES + 9))},
    "too few nodes": {"words": NGRAM.words[:-1]},
    "no nodes": {name: getattr(NGRAM, name)[:0] for name in ("words", "log_probs", "backoffs", "suffixes")},
    "text that is no UTF-8": {"text": changed(NGRAM.vocabulary.text, (0, 0xFF))},
    "unsorted tokens": {"text": NGRAM.vocabulary.text[::-1]},
    "tokens out of range": {"offsets": changed(NGRAM.vocabulary.offsets, (1, 1 << 40))},
    "another order": {"order": 3},
    "a greater order": {"order": 5},
    "a huge order": {"order": 1 << 60},
    "an order that is no number": {"order": "4"},
    "an order of nothing": {"order": True},
    "another unit": {"unit": "sentence"},
    "units": {"unit": ["word"]},
    "uniform by number": {"uniform": 1},
}


@pytest.mark.parametrize("name", BAD_NGRAMS)
def test_models_that_are_none(name, tmp_path):
    path = tmp_path / "x"
    NGRAM.save(path)
    about, arrays = storage.load(path, "n-gram model")
    for key, value in BAD_NGRAMS[name].items():
        (arrays if key in arrays else about)[key] = value
    storage.save(path, "n-gram model", about, arrays)
    with pytest.raises(storage.StorageError, match="x: its parts do not fit together"):
        NGram.load(path)


BAD_LEXICA = {
    "labels outside the alphabet": {"labels": changed(LEXICON.labels, (-1, 9))},
    "negative labels": {"labels": changed(LEXICON.labels, (0, -1))},
    "the blank": {"labels": changed(LEXICON.labels, (-1, 3))},
    "NaN": {"priors": changed(LEXICON.priors, (0, np.nan))},
    "a negative prior": {"priors": changed(LEXICON.priors, (0, -1))},
    "no priors": {"priors": np.zeros(4)},
    "unsorted words": {"labels": LEXICON.labels[::-1]},
    "an empty word": {"offsets": changed(LEXICON.offsets, (1, 0))},
    "offsets outside": {"offsets": changed(LEXICON.offsets, (2, 1 << 40))},
    "another tree": {"node_labels": changed(LEXICON.node_labels, (0, 1))},
    "an end of itself": {"ends": changed(LEXICON.ends, (0, 0))},
    "an end outside": {"ends": changed(LEXICON.ends, (0, 1 << 30))},
    "words outside": {"words": changed(LEXICON.words, (0, 77))},
    "other bounds": {"bounds": changed(LEXICON.bounds, (0, 0.5))},
    "no words": {"offsets": LEXICON.offsets[:1], "priors": LEXICON.priors[:0]},
    "nothing": {name: getattr(LEXICON, name)[:0] for name in ("labels", "offsets", "priors", "ends", "bounds")},
    "no alphabet": {"characters": []},
    "characters by number": {"characters": 3},
    "numbers as characters": {"characters": ["a", "b", 7]},
    "a blank outside": {"blank": 9},
    "a blank that is no number": {"blank": "0"},
    "a mark that is no text": {"word_begin": 5},
    "a mark of nothing": {"word_begin": False},
    "word characters of another alphabet": {"word_characters": ["z"]},
    "left out by number": {"skipped": [5]},
}


@pytest.mark.parametrize("name", BAD_LEXICA)
def test_lexica_that_are_none(name, tmp_path):
    path = tmp_path / "x"
    LEXICON.save(path)
    about, arrays = storage.load(path, "lexicon")
    for key, value in BAD_LEXICA[name].items():
        (arrays if key in arrays else about)[key] = value
    storage.save(path, "lexicon", about, arrays)
    with pytest.raises(storage.StorageError, match="x: its parts do not fit together"):
        Lexicon.load(path)


BAD_NETWORKS = {
    "no config": {"config": None},
    "a list": {"config": []},
    "a field too many": {"config": {"colour": 1}},
    "height": {"config": {"height": "4"}},
    "no height": {"config": {"height": None}},
    "half a row": {"config": {"height": 4.5}},
    "kernels": {"config": {"kernels": 3}},
    "kernels of one number": {"config": {"kernels": [[1]]}},
    "kernels of text": {"config": {"kernels": ["ab"]}},
    "no channels": {"config": {"channels": None}},
    "channels of text": {"config": {"channels": ["1"]}},
    "characters": {"config": {"characters": ["a", "b"]}},
    "twice the same": {"config": {"characters": "aa"}},
    "dropout": {"config": {"dropout": "a lot"}},
    "padding": {"config": {"padding": []}},
    "width": {"config": {"width": {}}},
    "too much": {"config": {"width": 1 << 27}},
    "too high": {"config": {"height": 1 << 27}},
    "no dtype": {"dtype": []},
    "dtype": {"dtype": "f8"},
    "card": {"card": 5},
    "no temperature": {"card": {"temperature": 0}},
    "temperature": {"card": {"temperature": "warm"}},
    "temperatures": {"card": {"temperature": [1]}},
    "other weights": {"config": {"units": [2]}},
}


@pytest.mark.parametrize("name", BAD_NETWORKS)
def test_networks_that_are_none(name, tmp_path):
    path = tmp_path / "x"
    network(path)
    about, arrays = storage.load(path, "network")
    change = dict(BAD_NETWORKS[name])
    if change.get("config"):
        change["config"] = about["config"] | change["config"]
    storage.save(path, "network", about | change, arrays)
    with pytest.raises(storage.StorageError, match="x: "):
        load_network(path)
