"""Write the corpus: for each target a few good files, from which fuzzing begins, and all that was ever found.

``python tests/fuzz/make_corpus.py``. What fuzzing finds in bytes that nobody would write by hand is put beside these.
"""

import gzip
import io
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from fuzz.targets import CONFIG, Settings

from fastctc import Alphabet, Lexicon, NGram, storage
from fastctc.htr.checkpoint import save_network, save_state, shapes
from fastctc.htr.samples import HEIGHT, Samples

CORPUS = Path(__file__).parent / "corpus"


def put(name, content):
    path = CORPUS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def saved(save):
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / "x")
        return (Path(folder) / "x").read_bytes()


def changed(content, kind, about=(), **arrays):
    """A saved file with other contents."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(content)
        said, held = storage.load(path, kind)
        storage.save(path, kind, said | dict(about), held | arrays)
        return path.read_bytes()


def placed(array, place, value):
    copy = array.copy()
    copy[place] = value
    return copy


def arpa():
    model = NGram.train("the cat sat\non the mat", 3, unit="word")
    text = saved(lambda path: model.to_arpa(f"{path}.arpa") or Path(f"{path}.arpa").rename(path))
    characters = NGram.train("the cat", 2)
    put("arpa/words", text)
    put("arpa/characters", saved(lambda path: characters.to_arpa(f"{path}.arpa") or Path(f"{path}.arpa").rename(path)))
    put("arpa/found-count-of-5000-digits", text.replace(b"ngram 1=", b"ngram 1=" + b"9" * 5000))
    counts = "".join(f"ngram {n}={int(n in (1, 2000))}\n" for n in range(1, 2001))
    put("arpa/found-2000-gram", f"\\data\\\n{counts}\n\\1-grams:\n-1 a\n\n\\2000-grams:\n-1{' a' * 2000}\n\n\\end\\\n")
    put("arpa/found-nothing", "")
    put("arpa-gz/words", gzip.compress(text, mtime=0))
    put("arpa-gz/found-empty-lines", gzip.compress(b"\n" * (40 << 20), mtime=0))


def kenlm():
    for name in ("probing", "rest", "trie", "quantised", "array", "quantised_array"):
        put(f"kenlm/{name}", (Path(__file__).parents[1] / "data" / "kenlm" / f"{name}.bin").read_bytes())


def models():
    model = NGram.train("the cat sat on the mat", 3)
    good = saved(model.save)
    last = len(model.words) - 1
    put("ngram/characters", good)
    put("ngram/words", saved(NGram.train("the cat sat\non the mat", 2, unit="word", smoothing="add-k").save))
    bad = {
        "chain-of-suffixes": {"suffixes": np.maximum(np.arange(last + 1) - 1, 0).astype(np.int32)},
        "suffix-of-itself": {"suffixes": placed(model.suffixes, last, last)},
        "nan": {"log_probs": placed(model.log_probs, 3, np.nan)},
        "positive": {"log_probs": placed(model.log_probs, 3, 1)},
        "huge-weight": {"backoffs": placed(model.backoffs, 3, 1e30)},
        "word-out-of-range": {"words": placed(model.words, last, 1000)},
        "children-out-of-range": {"children": placed(model.children, 3, 1000)},
    }
    for name, arrays in bad.items():
        put(f"ngram/found-{name}", changed(good, "n-gram model", **arrays))
    lexicon = Lexicon.from_words(["ab", "cab", "abba", "b"], Alphabet("abc"), [1, 2, 3, 4])
    good = saved(lexicon.save)
    put("lexicon/words", good)
    bad = {
        "label-out-of-range": {"labels": placed(lexicon.labels, 0, 1000)},
        "nan": {"priors": placed(lexicon.priors, 0, np.nan)},
        "negative": {"priors": placed(lexicon.priors, 0, -1)},
        "end-of-itself": {"ends": placed(lexicon.ends, 0, 0)},
    }
    for name, arrays in bad.items():
        put(f"lexicon/found-{name}", changed(good, "lexicon", **arrays))
    put("lexicon/found-infinity", good.replace(b'"shape": [4]', b'"shape": [Infinity]'))


def networks():
    weights = {name: np.full(shape, 0.5, np.float32) for name, shape in shapes(CONFIG).items()}
    good = saved(lambda path: save_network(path, CONFIG, weights))
    put("network/tiny", good)
    config = json.loads(CONFIG.to_json())
    bad = {
        "wide": {"width": 32768, "height": 4096, "pools": [[4096, 1]]},
        "height-of-text": {"height": "4"},
        "no-channels": {"channels": None},
        "infinite-width": {"width": 1 << 62},
    }
    for name, change in bad.items():
        put(f"network/found-{name}", changed(good, "network", {"config": config | change}))
    put("samples/two", saved(Samples.collect([(np.zeros((HEIGHT, n), np.uint8), "ab", "w") for n in (3, 5)]).save))


def states():
    class Tensor(np.ndarray):
        """An array that goes for a variable."""

    def variable(shape, dtype):
        return np.zeros(shape, dtype).view(Tensor)

    class Holder:
        def __init__(self, *variables):
            self.variables = variables

    model = Holder(variable((2, 3), "float32"), variable((), "int64"))
    optimizer = Holder(variable((2,), "uint32"))
    mean = {name: np.zeros(shape, np.float32) for name, shape in shapes(CONFIG).items()}
    rows = [(1, 2.0, 3.0, 0.5, 0.6, 7.0, 0.001)]
    good = saved(lambda path: save_state(path, model, optimizer, CONFIG, Settings(), 1, rows, mean))
    put("state/tiny", good)
    for name, about in {"step": {"step": "1"}, "rows": {"rows": [[None]]}, "config": {"config": None}}.items():
        put(f"state/found-{name}", changed(good, "training state", about))


def frames():
    def npy(array, save=np.save, **options):
        stream = io.BytesIO()
        save(stream, array, **options)
        return stream.getvalue()

    def header(shape, dtype="<f8"):
        text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
        return b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text.encode()

    array = np.log(np.full((2, 2, 3), 1 / 3))
    put("frames/npy", npy(array[0]))
    put("frames/npz", npy(array, np.savez_compressed))
    put("frames/csv", "0;-1;-2;\n-3;-4;-5;\n\n1,2,3\n")
    put("frames/found-30-million-matrices", header((30_000_000, 0, 3)))
    put("frames/found-terabytes", header((1 << 40, 3)))
    put("frames/found-objects", header((1, 3), "|O"))
    put("frames/found-long-texts", header((1, 3), "<U99999"))


def texts():
    put("alphabet/list", '["a", "b", " "]')
    put("alphabet/object", '{"a": 1, "b": 0}')
    put("alphabet/found-100000-brackets", "[" * 100_000)
    put("alphabet/found-long-number", "9" * 5000)
    put("hot-words/two", "the cat\t2.5\nsat\n")
    put("tsv/header", "file\ttext\twriter\tsplit\nx.png\tthe cat\tme\ttrain\n")
    put("tsv/plain", "x.tsv\tthe cat\n")
    put("csv/header", "file;text\nx.csv;the cat\n")
    put("csv/quotes", 'x.csv,"the ""cat"""\n')
    put("csv/long-field", 'x.csv,"' + "a" * 140_000)


def pictures():
    from PIL import Image

    grey = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))

    def encoded(kind, picture=grey, **options):
        stream = io.BytesIO()
        picture.save(stream, kind, **options)
        return stream.getvalue()

    for kind in ("PNG", "JPEG", "BMP", "PPM", "WEBP"):
        put(f"image/{kind.lower()}", encoded(kind))
    put("image/palette", encoded("PNG", grey.convert("P"), transparency=3))
    put("image/found-postscript", "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    put("image/found-large", encoded("PNG", Image.new("1", (29_000, 6_100))))
    put("tiff/two-pages", encoded("TIFF", save_all=True, append_images=[grey]))
    put("tiff/packed", encoded("TIFF", compression="tiff_deflate"))
    put("pdf/one-page", encoded("PDF", creationDate=time.gmtime(0), modDate=time.gmtime(0)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 7190 7190]>>",
    ]
    put(
        "pdf/found-large",
        "%PDF-1.4\n" + "".join(f"{n} 0 obj{o}endobj\n" for n, o in enumerate(objects, 1)) + "trailer<</Root 1 0 R>>\n",
    )


def pages():
    page = """<PcGts><Page imageFilename="x.png"><TextLine id="a"><Coords points="5,5 20,5 20,15 5,15"/><TextEquiv>
    <Unicode>the cat</Unicode></TextEquiv></TextLine><TextLine id="b"><Baseline points="5,30 20,30"/></TextLine></Page>
    </PcGts>"""
    put("page/page", page)
    put(
        "page/alto",
        """<alto><Description><sourceImageInformation><fileName>x.png</fileName></sourceImageInformation></Description>
    <Layout><TextLine ID="a" HPOS="5" VPOS="5" WIDTH="9" HEIGHT="9"><String CONTENT="the"/></TextLine>
    <TextLine ID="b" BASELINE="5 30 20 30"><Shape><Polygon POINTS="5 5 9 5 9 9"/></Shape></TextLine></Layout></alto>""",
    )
    put("page/found-infinite", page.replace("5,30", "inf,1"))
    put("page/found-far", page.replace("5,30", "1e300,1"))


if __name__ == "__main__":
    for write in (arpa, kenlm, models, networks, states, frames, texts, pictures, pages):
        write()
