"""What reads files, given bytes: each target may raise ValueError, and nothing else, whatever the bytes are."""

import contextlib
import json
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from fastctc import Alphabet, BeamSearch, Lexicon, LexiconSearch, NGram
from fastctc.commands.decode import _hot_words
from fastctc.commands.frame_files import read_matrices
from fastctc.htr import checkpoint, data, page_xml
from fastctc.htr.config import Config
from fastctc.htr.network import network as run_network
from fastctc.htr.samples import Samples
from fastctc.imaging import images
from fastctc.lm.kenlm import KenLM
from fastctc.reference import kenlm as reference_kenlm

FRAMES = np.full((4, 4), 0.25)
CONFIG = Config(characters="ab", height=4, kernels=((1, 1),), channels=(1,), pools=((4, 1),), units=(1,))


def arpa(path):
    for unit in ("word", "character"):
        _use(NGram.from_arpa(path, unit=unit))


def ngram(path):
    _use(NGram.load(path))


def kenlm(path):
    """Whatever the tables say, both twins answer or refuse, and tries are listed or not."""
    model = KenLM.load(path)
    text = "the cat sat on a mat </s> zebra <s> über den wolken"
    for scorer in (model.scorer, reference_kenlm.Scorer(model.tables)):
        with contextlib.suppress(ValueError):
            for value, length, _ in scorer.full_scores(text):
                assert value <= 8.0 * len(text)
                assert 1 <= length <= model.order
    if model.tables.hashed:
        model.words()
    else:
        _use(model.to_ngram())


def _use(model):
    model.log_probs_of(["the", "a", "?"])
    assert 0 <= model.forecast(["the", "a"], 0, len(model.vocabulary)) < np.inf or model.backoffs.max() > 0
    assert model.ceilings.shape == (len(model.vocabulary) + 1,)
    list(model.vocabulary)
    # Tokens with white space, and add-k models, cannot be written.
    with contextlib.suppress(ValueError), tempfile.TemporaryDirectory() as folder:
        model.to_arpa(Path(folder) / "x.arpa")


def lexicon(path):
    found = Lexicon.load(path)
    words = found.all_words()
    assert all(word in found for word in words[:100]) or found.alphabet.word_begin or max(map(len, words)) > 1
    found.similar("ab", 2)
    if found.alphabet.n_classes == 4:
        LexiconSearch(found).decode(probs=FRAMES)


def network(path):
    config, weights, _ = checkpoint.load_network(path)
    width = config.width or 8 * config.stride
    if config.numbers(width) < 1 << 20:
        with np.errstate(all="ignore"):  # weights of any size
            run_network(config, weights, np.zeros((1, config.height, width, 1), np.float32))


class Variable:
    """As much of a Keras variable as a training state asks for."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, dtype

    def assign(self, values):
        assert values.shape == self.shape


def state(path):
    model = SimpleNamespace(variables=[Variable((2, 3), "float32"), Variable((), "int64")])
    optimizer = SimpleNamespace(variables=[Variable((2,), "uint32")])
    checkpoint.load_state(path, model, optimizer, CONFIG, Settings())


@dataclass(frozen=True)
class Settings:
    """As much of a training's settings as its state asks for."""

    steps: int = 4000
    average: float = 0.9


def samples(path):
    found = Samples.load(path)
    for number in range(min(10, len(found))):
        assert found.image(number).shape[1] == found.width(number)


def frames(path):
    decoder = BeamSearch(Alphabet("ab"), 3)
    for number, matrix in enumerate(read_matrices(str(path))):
        with contextlib.suppress(ValueError):
            decoder.decode(matrix.values[:1000])
        if number == 10:
            break


def alphabet(path):
    found = Alphabet.load(path)
    found.decode(found.encode(found.characters[:10]))


def hot_words(path):
    _hot_words(str(path))


def picture(path):
    for number, image in enumerate(images.read_all(path)):
        assert image.ndim in (2, 3)
        if number == 3:
            break


def page(path):
    _, lines = page_xml.read_lines(path)
    for line in lines[:10]:
        data.cut_out(np.full((50, 50), 255, np.uint8), line.outline)


def table(path):
    data.read(path)


# The name of each target, what the file is called, and whether checksums are put right, so that more than them is met.
TARGETS = {
    "arpa": (arpa, "x.arpa", False),
    "arpa-gz": (arpa, "x.arpa.gz", False),
    "kenlm": (kenlm, "x.bin", False),
    "ngram": (ngram, "x", True),
    "lexicon": (lexicon, "x", True),
    "network": (network, "x", True),
    "state": (state, "x", True),
    "samples": (samples, "x", True),
    "frames": (frames, "x", False),
    "alphabet": (alphabet, "x.json", False),
    "hot-words": (hot_words, "x", False),
    "image": (picture, "x.png", False),
    "tiff": (picture, "x.tif", False),
    "pdf": (picture, "x.pdf", False),
    "page": (page, "x.xml", False),
    "tsv": (table, "x.tsv", False),
    "csv": (table, "x.csv", False),
}


def attempt(name, content, folder):
    """Read the bytes as a target does; True if they were taken, False if they were refused."""
    read, file, saved = TARGETS[name]
    path = Path(folder) / file
    path.write_bytes(with_checksums(content) if saved else content)
    try:
        read(path)
    except ValueError:
        return False
    return True


def with_checksums(content):
    """A saved file whose checksums are those of what it holds, as far as its header can be read."""
    try:
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        metadata = header["__metadata__"]
        digests = {"__metadata__": f"{zlib.crc32(metadata['about'].encode()):08x}"}
        for array, entry in header.items():
            if array != "__metadata__":
                start, stop = entry["data_offsets"]
                digests[array] = f"{zlib.crc32(content[8 + length + start : 8 + length + stop]):08x}"
        metadata["crc32"] = json.dumps(digests)
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text + content[8 + length :]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return content
