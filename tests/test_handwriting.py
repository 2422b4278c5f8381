"""Data in all layouts, synthesis, segmentation, reading, documents, confidence and the commands around them."""

import csv
import json
import os
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import FLOAT32_NOISE

pytest.importorskip("PIL")
from PIL import Image, ImageDraw, ImageFont

from fastctc import log_probability
from fastctc.__main__ import main
from fastctc.commands.output_names import OutputNames
from fastctc.decoders import BeamSearch, BestPath
from fastctc.htr import data, documents, fonts, preparation, synthesis
from fastctc.htr.config import CHARACTERS, Config
from fastctc.htr.distortion import distort
from fastctc.htr.reader import Line, Reader, Word, shipped_weights
from fastctc.htr.samples import HEIGHT
from fastctc.imaging import images
from fastctc.imaging.segmentation import Box, binarize, segment_page, skew, straightened
from fastctc.lexicon import Lexicon
from fastctc.lm.ngram import NGram


@pytest.fixture(scope="module")
def font_file():
    """A font that comes with matplotlib: no handwriting, but open, and always there."""
    matplotlib = pytest.importorskip("matplotlib")
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Oblique.ttf"


def written(text, font_file, size=28, paper=245, ink=30):
    font = ImageFont.truetype(str(font_file), size)
    _, _, right, bottom = font.getbbox(text)
    picture = Image.new("L", (right + 20, bottom + 20), paper)
    ImageDraw.Draw(picture).text((10, 10), text, fill=ink, font=font)
    return np.asarray(picture)


def page(font_file, n_lines=8, seed=0, size=26):
    """A page of words at known places."""
    rng = np.random.default_rng(seed)
    font = ImageFont.truetype(str(font_file), size)
    picture = Image.new("L", (1000, 120 + 52 * n_lines), 240)
    draw, boxes = ImageDraw.Draw(picture), []
    for k in range(n_lines):
        x, line = 60, []
        while True:
            word = "".join(rng.choice(list("aeinorstlmuhdgpy"), rng.integers(2, 9)))
            if x + font.getlength(word) > 940:
                break
            draw.text((x, 90 + 52 * k), word, fill=40, font=font, anchor="ls")
            left, top, right, bottom = font.getbbox(word, anchor="ls")
            line.append(Box(x + left, 90 + 52 * k + top, x + right, 90 + 52 * k + bottom))
            x += int(font.getlength(word)) + 14
        boxes.append(line)
    return np.asarray(picture), boxes


# Data -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b", "c"):
        images.save(tmp_path / f"{name}.png", np.full((20, 30), 200, np.uint8))
    return tmp_path


def found(path):
    items, problems = data.read(path)
    return {item.image.stem: (item.text, item.group, item.split) for item in items}, [str(p) for p in problems]


def test_tables(folder):
    (folder / "t.tsv").write_text("a.png\tone\nb.png\ttwo\nmissing.png\tthree\nc.png\t \nc.png\n", encoding="utf-8")
    items, problems = found(folder)
    assert items == {"a": ("one", "a", ""), "b": ("two", "b", "")}
    assert [p.split(": ")[1] for p in problems] == [
        "there is no such image", "the text is empty", "row 5 must have a file and a text, got ['c.png']",
    ]  # fmt: skip
    (folder / "meta.tsv").write_text("file\thand\tsplit\na.png\tAnn\ttest\nb.png\tBob\tnever\n", encoding="utf-8")
    items, problems = found(folder)
    assert items == {"a": ("one", "Ann", "test")}
    assert "split must be one of train, val, test, got 'never'" in problems[0]


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_csv_with_a_header(folder, delimiter):
    rows = [["text", "writer", "image"], ['"one, two"', "W", "a.png"], ["x", "V", "b.png"]]
    (folder / "t.csv").write_text("\n".join(delimiter.join(row) for row in rows), encoding="utf-8-sig")
    assert found(folder / "t.csv")[0] == {"a": ("one, two", "W", ""), "b": ("x", "V", "")}


def test_pairs(folder):
    (folder / "a.gt.txt").write_text("first\n", encoding="utf-8")
    (folder / "b.txt").write_text("second", encoding="utf-8")
    (folder / "c.txt").write_text("two\nlines", encoding="utf-8")
    (folder / "lost.txt").write_text("no image", encoding="utf-8")
    items, problems = found(folder)
    assert {name: text for name, (text, *_) in items.items()} == {"a": "first", "b": "second"}
    assert any("one line of text, got 2" in p for p in problems)
    assert any("there is no image lost" in p for p in problems)


def test_iam(tmp_path):
    for name in ("a01-000u-00-00", "a01-000u-00-01", "a01-117-05-02"):
        place = tmp_path / "words" / "a01" / "-".join(name.split("-")[:2])
        place.mkdir(parents=True, exist_ok=True)
        images.save(place / f"{name}.png", np.zeros((9, 9), np.uint8))
    (tmp_path / "words.txt").write_text(
        "# comment\na01-000u-00-00 ok 154 408 768 27 51 AT A\na01-000u-00-01 err 154 507 766 213 48 NN MOVE\n"
        "a01-117-05-02 ok 154 1 2 3 4 NN broken\na01-000u-00-09 ok 154 1 2 3 4 NN lost\n",
        encoding="utf-8",
    )
    items, problems = found(tmp_path)
    assert items == {"a01-000u-00-00": ("A", "a01-000u", "")}
    assert [p.split(": ")[1] for p in problems] == [
        "the segmentation is marked as wrong", "the image is known to be broken", "there is no such image",
    ]  # fmt: skip


PAGE_XML = """<?xml version="1.0"?><PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">
<Page imageFilename="p.png" imageWidth="100" imageHeight="80"><TextRegion id="r">
<TextLine id="l1"><Coords points="5,5 60,5 60,25 5,25"/><TextEquiv><Unicode>polygon</Unicode></TextEquiv></TextLine>
<TextLine id="l2"><Coords points=""/><Baseline points="5,60 90,60"/>
<TextEquiv><Unicode>base</Unicode></TextEquiv></TextLine>
<TextLine id="l3"><Coords points="1,1 2,1 2,2"/></TextLine>
<TextLine id="l4"><Coords points="500,500 600,500 600,520"/><TextEquiv><Unicode>outside</Unicode></TextEquiv></TextLine>
</TextRegion></Page></PcGts>"""
ALTO = """<?xml version="1.0"?><alto xmlns="http://www.loc.gov/standards/alto/ns-v4#">
<Description><sourceImageInformation><fileName>p.png</fileName></sourceImageInformation></Description><Layout><Page>
<TextLine ID="l1" HPOS="5" VPOS="5" WIDTH="55" HEIGHT="20">
<String CONTENT="two"/><SP/><String CONTENT="words"/></TextLine>
<TextLine ID="l2" BASELINE="5 60 90 60"><Shape><Polygon POINTS="5 40 90 40 90 70 5 70"/></Shape>
<String CONTENT="b"/></TextLine>
</Page></Layout></alto>"""


def test_page_and_alto(tmp_path):
    images.save(tmp_path / "p.png", np.full((80, 100), 230, np.uint8))
    (tmp_path / "p.xml").write_text(PAGE_XML, encoding="utf-8")
    items, problems = data.read(tmp_path)
    assert [item.text for item in items] == ["polygon", "base", "outside"]
    assert items[0].outline == ((5, 5), (60, 5), (60, 25), (5, 25))
    assert len(items[1].outline) == 4
    assert "line l3 has no text" in str(problems[0])
    assert data.sample(items[0]).shape[0] == HEIGHT
    with pytest.raises(ValueError, match="outside of the image of 100 x 80"):
        data.sample(items[2])
    (tmp_path / "p.xml").write_text(ALTO, encoding="utf-8")
    items, _ = data.read(tmp_path)
    assert [item.text for item in items] == ["two words", "b"]
    for text in (
        "",
        "<PcGts",
        "<html/>",
        PAGE_XML.replace("p.png", "gone.png"),
        PAGE_XML.replace("5,5 60", "5,5 x"),
        PAGE_XML.replace("5,5 60", "inf,5 60"),
        PAGE_XML.replace("5,5 60", "nan,5 60"),
        PAGE_XML.replace("5,5 60", "5 60"),
        PAGE_XML.replace('<?xml version="1.0"?>', '<?xml version="1.0" encoding="none-such"?>'),
        PAGE_XML.replace('<?xml version="1.0"?>', '<?xml version="1.0" encoding="utf-32"?>'),
        ALTO.replace('HPOS="5"', 'HPOS="inf"'),
        ALTO.replace('WIDTH="55"', 'WIDTH="1e400"'),
    ):
        (tmp_path / "p.xml").write_text(text, encoding="utf-8")
        items, problems = data.read(tmp_path)
        assert items == []
        assert len(problems) == (2 if "gone.png" in text else 1)  # a page that can be read has a line without text


def test_nothing_known(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such"):
        data.read(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="none of these"):
        data.read(tmp_path)


def test_splits_do_not_change_and_keep_groups_together():
    items = [data.Item(Path(f"{k}.png"), "x", f"writer {k % 50}") for k in range(500)]
    parts = data.split(items)
    assert {name: len(part) for name, part in parts.items()} == {"train": 350, "val": 70, "test": 80}
    groups = [{item.group for item in part} for part in parts.values()]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]


def test_lines_are_divided_where_there_are_few_pages():
    items = [data.Item(Path("p.png"), f"line {k}", "p", outline=((k, 0), (k + 9, 0), (k, 9))) for k in range(20)]
    parts = data.split_lines(items, 0.2)
    assert {name: len(part) for name, part in parts.items()} == {"train": 16, "val": 4, "test": 0}
    again = data.split_lines(reversed(items), 0.2)
    assert parts == again
    assert {item.text for part in parts.values() for item in part} == {item.text for item in items}
    assert [len(part) for part in data.split_lines(items[:2], 0.9).values()] == [1, 1, 0]
    with pytest.raises(ValueError, match=r"two lines or more, .* got 1"):
        data.split_lines(items[:1])


def test_images_of_xml_may_lie_elsewhere(font_file, tmp_path):
    image, _ = page(font_file, n_lines=2)
    found = Reader().read_page(image)
    for name in ("scans/a", "texts"):
        (tmp_path / name).mkdir(parents=True)
    images.save(tmp_path / "scans" / "a" / "0001.png", image)
    xml = tmp_path / "texts" / "0001.alto.xml"
    xml.write_text(documents.write("alto", "0001.png", found.lines, image.shape), encoding="utf-8")
    items, problems = data.read(tmp_path / "texts", [tmp_path / "scans"])
    assert [item.text for item in items] == [line.text for line in found.lines]
    assert {item.image for item in items} == {tmp_path / "scans" / "a" / "0001.png"}
    assert problems == []
    items, [problem] = data.read(tmp_path / "texts")
    assert items == []
    assert problem.reason == "there is no such image"
    images.save(tmp_path / "scans" / "0001.png", image)
    items, [problem] = data.read(tmp_path / "texts", [tmp_path / "scans"])
    assert problem.reason == "there is no such image, but 2 elsewhere that are called so"


@pytest.mark.slow
def test_a_single_page_can_be_trained_on(font_file, tmp_path):
    pytest.importorskip("keras")
    image, _ = page(font_file, n_lines=3)
    images.save(tmp_path / "0001.png", image)
    assert fastctc("read", "0001.png", "--format", "alto", "--out", ".", cwd=tmp_path).returncode == 0
    options = ("--data", ".", "--init", "latin", "--out", "run", "--steps", 1, "--columns", 500)
    done = fastctc("train", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert "too few pages or writers to divide (1): single lines validate" in said
    assert "2 images to train on, 1 to validate" in said
    assert any(line.startswith("before the first step, CER ") for line in said)
    assert not any("oneDNN" in line or "absl" in line for line in said)
    assert (tmp_path / "run" / "best.fastctc").is_file()
    done = fastctc("train", "--data", ".", "--validate", ".", "--out", "other", "--val", 1, cwd=tmp_path)
    assert done.returncode == 2
    assert "--val must be above 0 and at most 0.9" in done.stderr


def test_unknown_characters_are_counted():
    items = [data.Item(Path("a"), "naïve"), data.Item(Path("b"), "“ok”"), data.Item(Path("c"), "“”")]
    kept, strange = data.known_texts(items, "abcdefghijklmnopqrstuvwxyzï")
    assert [item.text for item in kept] == ["naïve"]
    assert strange == {"“": 2, "”": 2}
    kept, _ = data.known_texts(items, "abcdefghijklmnopqrstuvwxyzï", "remove")
    assert [item.text for item in kept] == ["naïve", "ok"]


def test_the_real_sets(shared):
    for name, counts in (("stanford1905", (252, 20, 34)), ("poilus", (2385, 331, 263))):
        items, problems = data.read(shared / "handwriting" / name)
        assert problems == []
        assert tuple(len(part) for part in data.split(items).values()) == counts


# Images ---------------------------------------------------------------------------------------------------------------


def test_images_of_all_kinds_look_the_same(font_file):
    dark = written("hat", font_file)
    expected = preparation.ink(dark)
    assert expected.max() == 255
    colour = np.stack([dark] * 3, axis=2)
    alpha = np.dstack([colour, np.full(dark.shape, 255, np.uint8)])
    for same in (
        255 - dark,
        colour,
        alpha,
        dark.astype(np.uint16) * 257,
        dark / np.float32(255),
        Image.fromarray(dark),
    ):
        assert np.abs(preparation.ink(same).astype(int) - expected).max() <= 2
    glass = np.dstack([np.zeros_like(colour), 255 - dark])  # black ink on nothing
    assert np.abs(preparation.grey(glass).astype(int) - dark).max() <= 1


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((0, 5), np.uint8), "must have pixels"),
        (np.zeros(5, np.uint8), r"got \(5,\)"),
        (np.zeros((4, 4, 5), np.uint8), "channels"),
        (np.full((4, 4), np.nan, np.float32), "float"),
        (np.full((4, 4), 3.0), r"\[0, 1\]"),
        (np.zeros((4, 4), np.int64), "int64"),
        (np.full((2, 30_000), 200, np.uint8), "too wide"),
    ],
    ids=range(7),
)
def test_what_is_no_image(image, message):
    with pytest.raises(ValueError, match=message):
        Reader().read_lines([image])


def test_awkward_images_are_read():
    white = np.full((50, 300), 255, np.uint8)
    speck = white.copy()
    speck[20, 100] = 0
    lines = Reader().read_lines(
        [white, np.zeros((40, 90), np.uint8), np.full((60, 1), 255, np.uint8), speck, white[:1]]
    )
    assert [line.text for line in lines[:3]] == ["", "", ""]
    assert all(len(line.words) == len(line.text.split()) for line in lines)


def test_broken_files_are_refused(tmp_path):
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n junk")
    (tmp_path / "y.jpg").write_text("text")
    for name in ("x.png", "y.jpg"):
        with pytest.raises(ValueError, match=f"{name}.*cannot be decoded"):
            Reader().read_lines([tmp_path / name])


def damaged(tmp_path):
    """Files of every kind that begin well, by name."""
    picture = Image.fromarray((np.random.default_rng(0).random((60, 80)) * 255).astype(np.uint8))
    for name in ("a.png", "b.jpg", "c.tif", "d.bmp", "e.webp", "f.pgm", "g.pdf", "h.tif"):
        file = tmp_path / name
        several = {"save_all": True, "append_images": [picture] * 2} if name == "h.tif" else {}
        picture.save(file, Image.registered_extensions()[file.suffix], **several)
    return sorted(tmp_path.iterdir())


def test_damaged_files_give_nothing_but_value_errors(tmp_path):
    pytest.importorskip("pypdfium2")
    rng = np.random.default_rng(0)
    outcomes = set()
    for file in damaged(tmp_path):
        whole = file.read_bytes()
        for _ in range(60):
            data_ = bytearray(whole)
            for place in rng.integers(0, min(len(data_), rng.choice([30, 300, 100_000])), rng.choice([1, 4, 20])):
                data_[place] = rng.integers(256)
            file.write_bytes(data_[: rng.integers(len(data_))] if rng.random() < 0.2 else data_)
            try:
                for picture in images.read_all(file):
                    preparation.grey(picture)
                outcomes.add((file.suffix, "read"))
            except ValueError as error:
                outcomes.add((file.suffix, "refused" if str(error) else "refused without a word"))
    assert {suffix for suffix, outcome in outcomes if outcome == "refused"} == {p.suffix for p in tmp_path.iterdir()}
    assert {outcome for _, outcome in outcomes} == {"read", "refused"}


# What made Pillow raise KeyError and TypeError: a TIFF without a strip, and one whose strips are no numbers.
def tiff(*entries):
    """A little-endian TIFF of one directory: (tag, type, count, value)."""
    rows = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + rows + bytes(4)


SIZE = ((256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1))
DAMAGED_TIFFS = {
    "no-strip": tiff(*SIZE),
    "strip-of-text": tiff(*SIZE, (273, 2, 4, 0x41424344), (279, 4, 1, 64)),
    "no-size": tiff((258, 3, 1, 8), (273, 4, 1, 8)),
    "colours-unknown": tiff(*SIZE[:4], (262, 3, 1, 99), (273, 4, 1, 8)),
    "directory-in-itself": b"II*\0\x08\0\0\0" + struct.pack("<H", 0) + struct.pack("<I", 8),
}


@pytest.mark.parametrize("name", DAMAGED_TIFFS)
def test_damaged_tiffs(name, tmp_path):
    (tmp_path / "x.tif").write_bytes(DAMAGED_TIFFS[name])
    with pytest.raises(ValueError, match=r"decoded|must"):
        list(images.read_all(tmp_path / "x.tif"))


def test_the_first_pages_of_a_damaged_document_are_read(tmp_path):
    picture = Image.fromarray((np.random.default_rng(0).random((60, 80)) * 255).astype(np.uint8))
    picture.save(tmp_path / "x.tif", save_all=True, append_images=[picture] * 2)
    whole = (tmp_path / "x.tif").read_bytes()
    (tmp_path / "x.tif").write_bytes(whole[: len(whole) * 9 // 10])
    pages = images.read_all(tmp_path / "x.tif")
    assert next(pages).shape == (60, 80)
    with pytest.raises(ValueError, match="decoded"):
        list(pages)


def test_postscript_starts_no_program(tmp_path, monkeypatch):
    from PIL import EpsImagePlugin

    def started(*_, **__):
        raise AssertionError("a program was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", started)
    monkeypatch.setattr(subprocess, "check_call", started)
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n%%EOF\n"
    for start in (eps, b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 30, len(eps)) + bytes(18) + eps):
        for name in ("x.png", "x.eps", "x"):
            (tmp_path / name).write_bytes(start)
            with pytest.raises(ValueError, match="PostScript is a program"):
                images.read(tmp_path / name)
    for kind in ("PCX", "TGA", "ICO", "SGI"):  # of no use here, and the less code reads strangers' files the better
        Image.new("L", (9, 9)).save(tmp_path / "x.png", kind)
        with pytest.raises(ValueError, match="none of PNG, JPEG"):
            images.read(tmp_path / "x.png")


@pytest.mark.filterwarnings("error")
def test_pictures_of_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    def png(width, height):
        def chunk(name, data):
            return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
        (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))

    for size in ((15_000, 12_000), (29_000, 29_000)):
        png(*size)
        with pytest.raises(ValueError, match=r"at most 150000000 pixels \(fastctc\.imaging\.images\.LARGEST\)"):
            images.read(tmp_path / "x.png")
    png(31_000, 2)
    with pytest.raises(
        ValueError, match=r"at most 30000 pixels wide and high \(fastctc\.imaging\.images\.WIDEST\), got 31000 x 2"
    ):
        images.read(tmp_path / "x.png")
    Image.new("1", (10_000, 9_500)).save(tmp_path / "x.png")  # Pillow would warn
    assert images.read(tmp_path / "x.png").shape == (9_500, 10_000)


def test_only_documents_have_pages(tmp_path):
    pictures = [Image.fromarray(np.full((40, 90), shade, np.uint8)) for shade in (10, 200)]
    for name, count in (("x.png", 1), ("x.webp", 1), ("x.gif", 1), ("x.tif", 2)):
        pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:])
        assert len(list(images.read_all(tmp_path / name))) == count


def test_sixteen_bits_stay(tmp_path):
    deep = (np.arange(600, dtype=np.uint16) * 100).reshape(20, 30)
    for name in ("a.png", "a.tif"):
        images.save(tmp_path / name, deep)
        np.testing.assert_array_equal(images.read(tmp_path / name), deep)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "a.tif"]
    with pytest.raises(ValueError, match="cannot be written"):
        images.save(tmp_path / "a.jpg", deep)


# Synthesis ------------------------------------------------------------------------------------------------------------


def test_synthesis_follows_from_its_seed(font_file):
    options = {"font_files": [font_file], "texts": ["the quick brown fox é"], "characters": CHARACTERS}
    one, other = synthesis.Synthesizer(**options, seed=1), synthesis.Synthesizer(**options, seed=1)
    for number in (0, 5, 3):
        np.testing.assert_array_equal(one.sample(number)[0], other.sample(number)[0])
        assert one.sample(number)[1] == other.sample(number)[1]
        assert one.sample(number)[0].shape[0] == 60
    another = synthesis.Synthesizer(**options, seed=2)
    assert any(not np.array_equal(another.sample(k)[0], one.sample(k)[0]) for k in range(5))
    texts = {one.sample(k)[1] for k in range(30)}
    assert len(texts) > 10
    assert set("".join(texts)) <= set(CHARACTERS)


def test_distortions_follow_from_their_seed(font_file):
    ink = preparation.ink(written("distort", font_file))
    one, other = (distort(ink, 40, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert one.shape[0] == 40
    assert not np.array_equal(one, distort(ink, 40, np.random.default_rng(8)))


def test_fonts(font_file, tmp_path):
    assert fonts.writes(font_file, "aé中") >= {"a", "é"}
    assert 0.3 < fonts.x_height(font_file) < 0.7
    with pytest.raises(FileNotFoundError, match="must hold fonts"):
        fonts.find(tmp_path)
    assert font_file in fonts.find(font_file.parent)


@pytest.fixture
def pretended_npm(tmp_path, monkeypatch):
    """A program npm that fetches nothing: it keeps what it was asked, and makes the packages of the lock file."""
    asked = tmp_path / "asked.json"
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(
        f"""#!{sys.executable}
import json, pathlib, sys
folder = pathlib.Path(sys.argv[sys.argv.index("--prefix") + 1])
lock = json.loads((folder / "package-lock.json").read_text())
pathlib.Path({str(asked)!r}).write_text(json.dumps([sys.argv[1:], lock]))
for name, about in lock["packages"].items():
    if name:
        (folder / name / "files").mkdir(parents=True)
        (folder / name / "package.json").write_text(json.dumps(about))
        (folder / name / "metadata.json").write_text("{{}}")
        (folder / name / "files" / "x-latin-400-normal.woff2").write_bytes(b"")
""",
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return asked


def test_fonts_are_fetched_in_pinned_versions_with_digests(pretended_npm, tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "mine.ttf").write_bytes(b"")
    fonts.install(tmp_path / "f")
    arguments, lock = json.loads(pretended_npm.read_text(encoding="utf-8"))
    assert arguments[0] == "ci"
    assert "--ignore-scripts" in arguments
    pins = {name: about for name, about in lock["packages"].items() if name}
    assert len(pins) == len(fonts.packages()) > 30
    for about in pins.values():
        assert about["version"][0].isdigit()
        assert about["integrity"].startswith("sha512-")
        assert len(about["integrity"]) == 95
    assert sorted(fonts.family(path) for path in fonts.find(tmp_path / "f")) == sorted(
        ["mine", *(package.family for package in fonts.packages())]
    )
    pretended_npm.unlink()
    fonts.install(tmp_path / "f")  # all are there
    assert not pretended_npm.exists()


@pytest.mark.usefixtures("pretended_npm")
def test_fonts_that_cannot_be_fetched_leave_nothing_behind(tmp_path):
    (tmp_path / "bin" / "npm").write_text("#!/bin/sh\necho no such digest >&2; exit 1\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="no such digest"):
        fonts.install(tmp_path / "f")
    assert not (tmp_path / "f").exists()
    (tmp_path / "bin" / "npm").unlink()
    with pytest.raises(RuntimeError, match="no npm on this machine"):
        fonts.install(tmp_path / "f")


@pytest.mark.usefixtures("pretended_npm")
@pytest.mark.parametrize("command", ["synthesize", "train"])
def test_a_mistyped_folder_of_fonts_is_an_error(command, tmp_path):
    (tmp_path / "t.txt").write_text("some words to write", encoding="utf-8")
    before = sorted(path.name for path in tmp_path.iterdir())
    done = fastctc(command, "--fonts", "gone", "--text", "t.txt", "--out", "out", cwd=tmp_path)
    assert done.returncode
    assert "there is no folder gone" in done.stderr
    assert "--fetch-fonts" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_nothing_to_synthesize(font_file):
    with pytest.raises(ValueError, match="at least one word"):
        synthesis.Synthesizer([font_file], ["中"], "abc")
    with pytest.raises(ValueError, match="at least one font"):
        synthesis.Synthesizer([], ["abc"], "abc")


# Segmentation ---------------------------------------------------------------------------------------------------------


def test_words_and_lines_of_a_page(font_file):
    for seed in range(3):
        image, truth = page(font_file, seed=seed)
        layout = segment_page(image)
        assert len(layout.lines) == len(truth)
        hits = sum(
            any(word.iou(other) >= 0.5 for other in line.words)
            for words, line in zip(truth, layout.lines, strict=True)
            for word in words
        )
        assert hits >= 0.95 * sum(map(len, truth))


def test_a_turned_page_is_straightened(font_file):
    image, truth = page(font_file)
    for angle in (-3.0, 2.0):
        turned = np.asarray(Image.fromarray(image).rotate(angle, Image.Resampling.BICUBIC, fillcolor=240))
        layout = segment_page(turned)
        assert layout.angle == pytest.approx(angle, abs=0.3)
        assert len(layout.lines) == len(truth)
        assert skew(binarize(straightened(turned, layout.angle))) == pytest.approx(0, abs=0.3)


@pytest.fixture(scope="module")
def large_page(font_file):
    """A sharp page as scanners deliver them: 3000 x 2500, black and white, 23 lines of words."""
    rng = np.random.default_rng(0)
    font = ImageFont.truetype(str(font_file), 52)
    picture = Image.new("L", (2500, 3000), 255)
    draw = ImageDraw.Draw(picture)
    for y in range(300, 2750, 110):
        x = 250
        while x < 2000:
            word = "".join(rng.choice(list("aeinorstlmuhdgpy"), rng.integers(2, 9)))
            draw.text((x, y), word, fill=0, font=font, anchor="ls")
            x += int(font.getlength(word)) + 26
    return picture


@pytest.mark.parametrize("angle", [-5.0, -4.3, -3.0, -2.2, -1.0, -0.4, 0.0, 0.3, 1.0, 1.7, 2.5, 3.6, 4.0, 5.0])
def test_large_sharp_pages_are_as_straight_as_they_are(angle, large_page):
    ink = np.asarray(large_page.rotate(angle, Image.Resampling.NEAREST, fillcolor=255)) < 128
    assert skew(ink) == pytest.approx(angle, abs=0.3)
    assert skew(ink[:2000, :2499]) == pytest.approx(angle, abs=0.3)  # no whole number of blocks


def test_what_has_no_direction_is_not_turned():
    rng = np.random.default_rng(0)
    assert skew(rng.random((900, 700)) < 0.1) == 0
    assert skew(np.zeros((900, 700), bool)) == 0
    assert skew(np.ones((3, 2), bool)) == 0
    assert skew(np.zeros((0, 5), bool)) == 0


@pytest.mark.parametrize("image", [np.full((300, 200), 255, np.uint8), np.zeros((5, 5), np.uint8),
                                   np.zeros((0, 9), np.uint8), np.full((1, 1), 9, np.uint8)], ids=str)  # fmt: skip
def test_pages_without_writing(image):
    assert segment_page(image).lines == ()


def test_what_is_no_page():
    with pytest.raises(ValueError, match="uint8"):
        segment_page(np.zeros((5, 5)))


# Reading --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lines(font_file):
    return [written(text, font_file) for text in ("the house", "minute", "and so on")]


def float32_noise(reader):
    """How far a log probability may move where products are added up in another order.

    A sum of n products rounds like a random walk: by sqrt(n) units of 2^-24 of its size (Higham, Mary 2019,
    doi:10.1137/18M1226312). Each layer adds its own, and passes on what it gets: nothing grows in a trained network,
    whose gates and rectifiers have slopes up to 1. Sizes are those of the log probabilities, up to 64.
    """
    terms = [int(np.prod(kernel.shape[:-1])) for kernel in reader._network[1].values() if kernel.ndim > 1]
    return 64 * 2.0**-24 * sum(np.sqrt(terms))


def test_confidence_is_the_probability_of_the_text(lines):
    reader = Reader(temperature=1.0)
    bare = Reader(temperature=1.0, decoder=BeamSearch(reader.alphabet, 10)).read_lines(lines)  # nothing is fitted to it
    for image, line, posteriors, together in zip(
        lines, reader.read_lines(lines), bare, reader.log_probs(lines), strict=True
    ):
        assert line.confidence == pytest.approx(np.exp(line.log_prob))
        assert line.confidence == pytest.approx(
            np.exp(log_probability(together, text=line.text, alphabet=reader.alphabet)), rel=1e-12
        )
        # Alone, the line's matrices have another shape, and products are added up in another order, in float32. Where
        # no entry of frame t moves by more than e_t, every path's log probability, and so the text's, moves by their
        # sum at most.
        [alone] = reader.log_probs([image])
        moved = np.abs(alone.astype(float) - together).max(axis=1)
        assert moved.max() < float32_noise(reader)
        apart = abs(np.log(reader.probability(image, line.text)) - line.log_prob)
        assert apart <= moved.sum() + 1e-9
        assert line.text == posteriors.text
        assert line.confidence <= min(word.confidence for word in posteriors.words) + 1e-6
        assert "".join(c.text for word in line.words for c in word.characters) == line.text.replace(" ", "")
        for word in line.words:
            assert 0 <= word.box.left < word.box.right <= image.shape[1]
            assert 0 <= word.box.top < word.box.bottom <= image.shape[0]
        rights = [word.box.left for word in line.words]
        assert rights == sorted(rights)


def test_what_is_read_does_not_depend_on_the_batch(lines):
    reader = Reader()
    together = reader.read_lines(lines)
    for image, line in zip(lines, together, strict=True):
        alone = reader.read_lines([image])[0]
        assert (alone.text, alone.box) == (line.text, line.box)
        assert alone.log_prob == pytest.approx(line.log_prob, abs=FLOAT32_NOISE)


def test_views_agree_on_the_text_with_the_best_mean(lines):
    """Every candidate of any view is judged by the mean of its log probabilities in all; places are upright ones."""
    from fastctc.htr.reader import SLANTS, _sheared

    reader = Reader(n_views=3)
    for image, line, upright in zip(lines, reader.read_lines(lines), Reader().read_lines(lines), strict=True):
        views = [reader._calibrated(reader.log_probs([_sheared(image, slant)]))[0] for slant in SLANTS[:3]]
        texts = {one.text for view in views for one in reader._decoder.decode(view)}
        means = {
            text: np.mean([log_probability(view, text=text, alphabet=reader.alphabet) for view in views])
            for text in texts
        }
        assert len(line.hypotheses) == min(10, len(texts))
        for one in line.hypotheses:
            assert one.log_prob == pytest.approx(means[one.text], abs=FLOAT32_NOISE)
            assert one.words
        assert max(means.values()) == pytest.approx(line.log_prob, abs=FLOAT32_NOISE)
        assert line.log_prob == pytest.approx(means[line.hypotheses[0].text], abs=FLOAT32_NOISE)
        scores = [one.score for one in line.hypotheses]
        assert scores == sorted(scores, reverse=True)
        if line.text == upright.text:
            assert [word.box for word in line.words] == [word.box for word in upright.words]
        assert all(0 <= word.confidence <= 1 for word in line.words)


def test_views_agree_with_a_language_model():
    """What the model gave stays part of the score, and a text that one view excludes is out."""
    from fastctc import Alphabet, BeamSearch, NGram
    from fastctc.htr.views import combine_views

    alphabet = Alphabet("ab")
    views = [np.log([[0.5, 0.4, 0.1]]), np.log([[0.3, 0.6, 0.1]])]
    lm = NGram.train("aaab", 1)
    decoder = BeamSearch(alphabet, lm=lm, lm_weight=1.0, n_best=3)
    found = combine_views(alphabet, views, [decoder.decode(rows) for rows in views])
    for one in found:
        p = [0.1, 0.1] if not one.text else [0.5, 0.3] if one.text == "a" else [0.4, 0.6]
        assert one.log_prob == pytest.approx(np.mean(np.log(p)))
        assert one.score == pytest.approx(one.log_prob + lm.score(one.text))
    with np.errstate(divide="ignore"):
        blind = np.log([[1.0, 0.0, 0.0]])
    plain = BeamSearch(alphabet, n_best=3)
    found = combine_views(alphabet, [views[1], blind], [plain.decode(views[1]), plain.decode(blind)])
    assert [one.log_prob > -np.inf for one in found] == [True, False, False]
    assert found[0].text == "a"


def test_the_share_of_a_word_is_that_of_the_texts_that_have_it():
    from fastctc.htr.confidence import matches, word_shares
    from fastctc.hypothesis import Hypothesis

    alphabet = Reader().alphabet

    def found(text, p):
        return Hypothesis(text, np.log(p), np.log(p), alphabet.encode(text), (), (), p)

    texts = [found("the old house", 0.5), found("the house", 0.25), found("the old horse", 0.25)]
    assert word_shares(alphabet, texts) == pytest.approx([1.0, 0.75, 0.75])
    assert word_shares(alphabet, [found("", 1.0)]) == []
    assert matches(["a", "b", "a"], ["b", "a"]) == [False, True, True]
    assert matches(["a"], []) == [False]


def test_confidence_is_fitted_to_what_was_right():
    from fastctc.htr import confidence

    rng = np.random.default_rng(6)
    posterior, share, length = rng.uniform(0, 1, 40000), rng.uniform(0, 1, 40000), rng.integers(1, 12, 40000)
    rows = np.array([confidence.features(*values) for values in zip(posterior, share, length, strict=True)])
    truth = np.array([-0.5, 0.6, 0.3, 0.2])
    correct = rng.uniform(0, 1, 40000) < 1 / (1 + np.exp(-rows @ truth))
    fitted = confidence.fit(rows, correct)
    assert fitted == pytest.approx(truth, abs=0.15)
    sure = confidence.probability(fitted, posterior[0], share[0], length[0])
    assert sure == pytest.approx(1 / (1 + np.exp(-rows[0] @ np.array(fitted))))
    assert all(np.isfinite(confidence.fit(rows[:3], np.ones(3, bool))))  # all of them right
    assert 0 <= confidence.probability((-1e9, 0, 0, 0), 0.5, 0.5, 1) < 1e-9
    for bad in ([1], {"image": [1, 2, 3]}, {"image": [1, 2, 3, np.nan]}, {"image": [1, 2, 3, "4"]}):
        with pytest.raises(ValueError, match="must be 4 finite numbers"):
            confidence.checked(bad)


def test_words_say_what_their_confidence_was_fitted_for(lines):
    from fastctc import Lexicon, NGram

    ngram = NGram.train(["the house", "the old horse"], 3, sentences=True, vocabulary=Reader().config.characters)
    lexicon = Lexicon.from_words(["the", "house"], Reader().word_alphabet)
    for options, name in (
        ({}, "image, one view"),
        ({"n_views": 3}, "image, several views"),
        ({"ngram": ngram}, "characters, one view"),
        ({"lexicon": lexicon, "n_views": 2}, "words, several views"),
        ({"decoder": BestPath(Reader().alphabet)}, ""),
    ):
        [line, *_] = Reader(**options).read_lines(lines)
        assert {word.fitted_for for word in line.words} == {name}
        assert all(0 < word.confidence < 1 for word in line.words)
    reader = Reader()
    reader.card["confidence"] = {"image, one view": [0.0, 1.0, 0.0, 0.0]}  # the posterior as it is
    [line, *_] = reader.read_lines(lines)
    [plain, *_] = Reader(decoder=BeamSearch(reader.alphabet, 10)).read_lines(lines)
    assert [w.confidence for w in line.words] == pytest.approx([w.confidence for w in plain.words], abs=2e-4)
    [word] = Reader().read_words([lines[0]])
    assert word.words[0].fitted_for == "image, one view"


def test_a_text_that_no_frames_can_hold_breaks_nothing():
    from fastctc import Lexicon, WordBeamSearch

    lexicon = Lexicon.from_words(["incomprehensibilities"], Reader().word_alphabet)
    image = np.full((40, 12), 255, np.uint8)
    image[10:30, 5] = 0
    for n_views in (1, 3):
        [line] = Reader(decoder=WordBeamSearch(lexicon, 5), n_views=n_views).read_lines([image])
        assert line.text in ("", "incomprehensibilities")


def test_words_have_no_blanks(lines):
    for line in Reader().read_words(lines):
        assert " " not in line.text


def test_a_lexicon_and_a_language_model(lines):
    from fastctc import Alphabet, Lexicon, NGram

    alphabet = Reader().word_alphabet
    lexicon = Lexicon.from_words(["the", "house", "minute", "and", "so", "on"], alphabet)
    found = Reader(lexicon=lexicon).read_lines(lines)
    for line in found:
        words = "".join(c if c.isalpha() else " " for c in line.text).split()
        assert set(words) <= {"the", "house", "minute", "and", "so", "on"}
    ngram = NGram.train("the house and the minute and so on " * 20, order=3, unit="character")
    assert all(line.hypotheses[0].lm_log_prob is not None for line in Reader(ngram=ngram).read_lines(lines))
    other = Lexicon.from_words(["a"], Alphabet("ab"))
    with pytest.raises(ValueError, match="another alphabet"):
        Reader(lexicon=other)


def test_reader_refuses():
    with pytest.raises(ValueError, match="backend"):
        Reader(backend="cuda")
    with pytest.raises(ValueError, match="n_views"):
        Reader(n_views=6)
    with pytest.raises(OSError, match="nowhere"):
        Reader(weights="nowhere")


def test_the_shipped_weights_are_small_and_have_a_card():
    assert shipped_weights().stat().st_size <= 10e6
    card = Reader().card
    assert {"data", "licences", "settings", "results", "temperature"} <= card.keys()


@pytest.mark.parametrize("kind", documents.FORMATS)
def test_documents_say_what_was_read(font_file, kind):
    image, _ = page(font_file, n_lines=3)
    found = Reader().read_page(image)
    text = documents.write(kind, 'a<b>&".png', found.lines, image.shape, doubtful=0.5)
    words = [word.text for line in found.lines for word in line.words]
    if kind == "json":
        assert [w["text"] for line in json.loads(text)["lines"] for w in line["words"]] == words
    elif kind == "text":
        assert text.replace("?", "").split() == [w.replace("?", "") for w in words]
    else:
        root = ElementTree.fromstring(text.encode())
        by_kind = {
            "hocr": [e.text for e in root.iter() if e.get("class", "").startswith("ocrx_word")],
            "alto": [e.get("CONTENT") for e in root.iter() if e.tag.endswith("}String")],
            "page": [e[1][0].text for e in root.iter() if e.tag.endswith("}Word")],
        }
        assert by_kind[kind] == words


def test_a_page_to_look_at(font_file):
    from html.parser import HTMLParser

    from fastctc.htr import html_view

    image, _ = page(font_file, n_lines=2)
    lines = Reader().read_page(image).lines
    text = html_view.write('a<b>&".png', lines, image, 0.7)
    found = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.append((tag, dict(attributes)))

    Parser().feed(text)
    words = [word for line in lines for word in line.words]
    shown = [f"{word.text} ({word.confidence:.2f})" for word in words]
    spans = [about for tag, about in found if tag == "span"]
    assert [about["title"].partition(";")[0] for about in spans] == shown
    for frames in (spans, [about for tag, about in found if tag == "polygon"]):
        assert ["doubtful" in about["class"] for about in frames] == [word.confidence < 0.7 for word in words]
    assert 'alt="a&lt;b&gt;&amp;&quot;.png"' in text
    sources = [about["src"] for tag, about in found if "src" in about]
    assert [source[:23] for source in sources] == ["data:image/jpeg;base64,"]  # nothing is asked of the network
    assert not any("href" in about for tag, about in found if tag == "link")
    assert "0 lines, 0 words" in html_view.write("empty.png", (), image)


def test_our_own_page_xml_can_be_trained_on(font_file, tmp_path):
    image, _ = page(font_file, n_lines=3)
    images.save(tmp_path / "p.png", image)
    found = Reader().read_page(image)
    for kind in ("page", "alto"):
        (tmp_path / "p.xml").write_text(documents.write(kind, "p.png", found.lines, image.shape), encoding="utf-8")
        items, _ = data.read(tmp_path)
        assert [item.text for item in items] == [line.text for line in found.lines]


def test_what_is_no_file_is_no_image(tmp_path):
    images.save(tmp_path / "a.png", np.full((9, 9), 200, np.uint8))
    (tmp_path / "b.png").symlink_to("nowhere")
    (tmp_path / "folder.png").mkdir()
    images.save(tmp_path / "folder.png" / "c.png", np.full((9, 9), 200, np.uint8))
    images.save(tmp_path / ".hidden.png", np.full((9, 9), 200, np.uint8))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")  # reading it would wait for ever
        with pytest.raises(ValueError, match="must be a file"):
            images.read(tmp_path / "pipe.png")
    found = [file.relative_to(tmp_path).as_posix() for file in images.find([tmp_path])]
    assert found == ["a.png", "b.png", "folder.png/c.png"]
    with pytest.raises(ValueError, match="there is no such file"):
        images.read(tmp_path / "b.png")


def fastctc(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "fastctc", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_read_from_the_command_line(font_file, tmp_path):
    image, _ = page(font_file, n_lines=2)
    images.save(tmp_path / "p.png", image)
    (tmp_path / "bad.png").write_bytes(b"junk")
    Image.fromarray(image).save(tmp_path / "two.tif", save_all=True, append_images=[Image.fromarray(image)])
    done = fastctc("read", "p.png", "bad.png", "two.tif", "--out", "out", "--overlay", "o.png", cwd=tmp_path)
    assert done.returncode == 1
    assert "bad.png: the image cannot be decoded" in done.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["p.txt", "summary.tsv", "two.txt", "two_2.txt"]
    assert images.read(tmp_path / "o.png").shape == (*image.shape, 3)
    done = fastctc("read", "p.png", "--level", "line", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["level"] == "line"
    assert fastctc("read", "p.png", "--min-confidence", "2", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize("level", ["line", "word"])
def test_segment_from_the_command_line(level, font_file, tmp_path):
    image, _ = page(font_file, n_lines=2)
    for folder in ("a", "b"):  # two pages of the same name
        (tmp_path / folder).mkdir()
        images.save(tmp_path / folder / "p.png", image)
    (tmp_path / "b" / "bad.png").write_bytes(b"junk")
    done = fastctc("segment", "a", "b", "--out", "out", "--overlay", "--level", level, cwd=tmp_path)
    assert done.returncode == 1
    assert "bad.png: the image cannot be decoded" in done.stderr
    with (tmp_path / "out" / "boxes.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    layout = segment_page(image)
    boxes = [line.box for line in layout.lines] if level == "line" else [w for line in layout.lines for w in line.words]
    assert [[int(row[side]) for side in ("left", "top", "right", "bottom")] for row in rows] == 2 * [
        [b.left, b.top, b.right, b.bottom] for b in boxes
    ]
    assert len({row["image"] for row in rows}) == len(rows)
    for row in rows:
        cut = images.read(tmp_path / "out" / row["image"])
        assert cut.shape[0] >= int(row["bottom"]) - int(row["top"])
        assert cut.min() < 100
    assert {row["image"].split("/")[0] for row in rows} == {"a", "b"}
    assert {row["page"] for row in rows} == {"a/p.png", "b/p.png"}
    assert images.read(tmp_path / "out" / "a" / "p_boxes.png").shape == (*layout.image.shape, 3)
    assert images.read(tmp_path / "out" / "b" / "p_boxes.png").shape == (*layout.image.shape, 3)
    assert fastctc("segment", "a", "--out", "out", "--margin", "-1", cwd=tmp_path).returncode == 2


# Pages of one name, of one name with a number, with other endings, in other folders.
SAME_NAMES = ("a/x.png", "b/x.png", "a/x.tif", "a/x_2.png", "a/X.jpg", "b/c/x.png", "b/y.tif")
RESULTS = ("a/X.jpg", "a/x.png", "a/x.tif", "a/x.tif_2", "a/x_2", "b/c/x", "b/x", "b/y", "b/y_2")


@pytest.fixture
def pages_of_one_name(tmp_path):
    shades = [Image.fromarray(np.full((40, 90), shade, np.uint8)) for shade in range(150, 250)]
    for name in SAME_NAMES:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".tif"):
            shades.pop().save(tmp_path / "in" / name, save_all=True, append_images=[shades.pop()])
        else:
            shades.pop().save(tmp_path / "in" / name)
    return tmp_path


def below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.slow) for kind in documents.FORMATS])
def test_no_result_replaces_another(kind, pages_of_one_name):
    ending = {"text": ".txt", "json": ".json", "hocr": ".hocr", "alto": ".alto.xml", "page": ".page.xml"}[kind]
    options = ("--level", "line", "--format", kind)
    done = fastctc("read", "in", *options, "--out", "out", cwd=pages_of_one_name)
    assert done.returncode == 0, done.stderr
    assert below(pages_of_one_name / "out") == sorted([*(name + ending for name in RESULTS), "summary.tsv"])
    if kind == "json":
        done = fastctc("read", "in/b", "in/a", "in/a/x.png", *options, "--out", "again", cwd=pages_of_one_name)
        assert done.returncode == 0, done.stderr
        assert below(pages_of_one_name / "again") == sorted([*(name + ending for name in RESULTS), "summary.tsv"])
        sizes = [json.loads(line)["height"] for line in done.stdout.splitlines()]
        assert sizes == []


def test_names_of_results_do_not_follow_from_the_order(pages_of_one_name):
    files = [pages_of_one_name / "in" / name for name in SAME_NAMES]
    found = []
    for order in (files, files[::-1]):
        names = OutputNames(order, order, pages_of_one_name / "out")
        found.append({(file, page): names.name(file, page) for file in order for page in (1, 2, 3)})
        assert len({str(name).casefold() for name in found[-1].values()}) == 3 * len(files)
    assert found[0] == found[1]


def test_results_never_replace_what_is_read(font_file, tmp_path):
    image, _ = page(font_file, n_lines=2)
    images.save(tmp_path / "p.png", image)
    images.save(tmp_path / "p_001.png", image)
    before = (tmp_path / "p_001.png").read_bytes()
    done = fastctc("segment", "p.png", "p_001.png", "--out", ".", cwd=tmp_path)
    assert done.returncode == 1
    assert "would replace p_001.png, which is read itself" in done.stderr
    assert (tmp_path / "p_001.png").read_bytes() == before


def test_a_second_run_does_not_read_the_results_of_the_first(font_file, tmp_path):
    image, _ = page(font_file, n_lines=2)
    images.save(tmp_path / "p.png", image)
    for _ in range(2):
        assert fastctc("segment", ".", "--out", "lines", cwd=tmp_path).returncode == 0
        assert below(tmp_path / "lines") == ["boxes.tsv", "p_001.png", "p_002.png"]


def test_segment_an_empty_page(tmp_path):
    images.save(tmp_path / "p.png", np.full((300, 300), 255, np.uint8))
    done = fastctc("segment", "p.png", "--out", "out", cwd=tmp_path)
    assert done.returncode == 1
    assert "there is no writing" in done.stderr


def test_reading_goes_on_where_it_stopped(font_file, monkeypatch, tmp_path, capsys):
    image, _ = page(font_file, n_lines=2)
    for name in ("a.png", "b.png"):
        images.save(tmp_path / name, image)
    (tmp_path / "bad.png").write_bytes(b"junk")
    Image.fromarray(image).save(tmp_path / "two.tif", save_all=True, append_images=[Image.fromarray(image)])
    out = tmp_path / "out"
    read, seen = Reader.read_page, []
    monkeypatch.setattr(Reader, "read_page", lambda *given: (seen.append(1), read(*given))[1])

    def run(*more, status=1):
        seen.clear()
        assert main(["read", str(tmp_path), "--out", str(out), *more]) == status
        assert "bad.png: the image cannot be decoded" in capsys.readouterr().err
        rows = [line.split("\t") for line in (out / "summary.tsv").read_text(encoding="utf-8").splitlines()]
        assert rows[0] == ["image", "result", "lines", "words", "confidence", "warnings", "pages", "settings"]
        names = {row[0]: row[1] for row in rows[1:]}
        assert names == {
            "a.png": "a.txt", "b.png": "b.txt", "bad.png": "", "two.tif": "two.txt", "two.tif[2]": "two_2.txt",
        }  # fmt: skip
        assert all(row[2] == "2" and 0 < float(row[4]) < 1 for row in rows[1:] if row[1])
        return len(seen)

    assert run() == 4
    assert run() == 0
    assert run("--force") == 4
    assert run("--min-confidence", "0.5") == 4
    assert run() == 4  # other settings than the last ones
    (out / "b.txt").unlink()
    assert run() == 1
    images.save(tmp_path / "a.png", image)
    assert run() == 1
    table = (out / "summary.tsv").read_text(encoding="utf-8")
    (out / "summary.tsv").write_text(table[:-20], encoding="utf-8")  # a run that was killed while it wrote
    assert run() == 2


def test_a_page_without_writing_ends_in_a_warning(tmp_path, capsys):
    images.save(tmp_path / "paper.png", np.full((300, 400), 230, np.uint8))
    assert main(["read", str(tmp_path / "paper.png"), "--out", str(tmp_path / "out")]) == 0
    assert "paper.png: no writing was found" in capsys.readouterr().err
    rows = (tmp_path / "out" / "summary.tsv").read_text(encoding="utf-8")
    assert "no writing was found" in rows


def test_what_reads_as_noise_ends_in_a_warning():
    from fastctc.commands.read import _Found, _warning

    box = Box(0, 0, 9, 9)

    def said(text, sure, n_words=10, angle=0.0):
        words = tuple(Word(text, box, sure, ()) for _ in range(n_words))
        return _warning(_Found([Line("x", box, words, -1.0, 0.3, ())], None, angle))

    assert said("word", 0.03).startswith("this reads as noise (certainty 0.03 of 1)")
    assert said("x", 0.9).startswith("this reads as noise (certainty 0.00 of 1)")  # strokes are read as letters
    assert said("word", 0.4) == said("word", 0.03, n_words=3) == said("word", 0.4, angle=-14.0) == ""
    assert said("word", 0.4, angle=178.0) == "the page lay upside down and was turned"
    assert said("word", 0.4, angle=-91.0) == "the page lay on its side and was turned"


def test_read_a_pdf(font_file, tmp_path):
    pytest.importorskip("pypdfium2")
    image, _ = page(font_file, n_lines=2)
    Image.fromarray(image).save(tmp_path / "p.pdf", resolution=150)
    done = fastctc("read", "p.pdf", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_synthesize_from_the_command_line(font_file, tmp_path):
    (tmp_path / "t.txt").write_text("some words to write", encoding="utf-8")
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / font_file.name).write_bytes(font_file.read_bytes())
    done = fastctc("synthesize", "--fonts", "f", "--text", "t.txt", "--count", 3, "--out", "s.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert images.read(tmp_path / "s.png").ndim == 2
    done = fastctc("synthesize", "--fonts", "f", "--text", "t.txt", "--count", 3, "--out", "d", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    items, problems = data.read(tmp_path / "d")
    assert (len(items), problems) == (3, [])
    done = fastctc("synthesize", "--fonts", "f", "--text", "t.txt", "--count", 2, "--out", "d", cwd=tmp_path)
    assert done.returncode == 2
    assert "must be a picture, or an empty folder" in done.stderr


def test_options_of_a_reader_that_would_be_ignored():
    alphabet = Reader().alphabet
    lexicon = Lexicon.from_words(["are"], Reader().word_alphabet)
    ngram = NGram.train("are", 2, vocabulary=alphabet.characters)
    decoder = BestPath(alphabet)
    for more in ({"lexicon": lexicon}, {"ngram": ngram}, {"lm_weight": 0.5}, {"lexicon": lexicon, "ngram": ngram}):
        with pytest.raises(ValueError, match="go without decoder"):
            Reader(decoder=decoder, **more)
    for more in ({}, {"lexicon": lexicon}, {"lexicon": lexicon, "ngram": ngram}):
        with pytest.raises(ValueError, match="lm_weight is that of a character model"):
            Reader(lm_weight=0.5, **more)
    assert Reader(ngram=ngram, lm_weight=0.5).lm_weight == 0.5


@pytest.mark.parametrize("more", [(), ("--words", "w.txt"), ("--words", "w.txt", "--lm", "m.arpa")])
def test_a_weight_without_a_character_model(more, tmp_path):
    done = fastctc("read", "p.png", "--lm-weight", "0.5", *more, cwd=tmp_path)
    assert done.returncode == 2
    assert "--lm-weight is that of a character model" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--init", "w.fastctc", "--units", "64"), "goes without --model and --units"),
        (("--init", "w.fastctc", "--model", "simple"), "goes without --model and --units"),
        (("--units", "0"), "--units must be 1 or more"),
        (("--text", "t.txt"), "--fonts and --text belong together"),
        (("--fonts", "f"), "--fonts and --text belong together"),
        (("--fetch-fonts",), "--fetch-fonts fills the folder of --fonts"),
    ],
)
def test_options_of_training_that_do_not_go_together(options, message, tmp_path):
    done = fastctc("train", "--data", "d", *options, "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), Config()),
        (("--units", "64"), replace(Config(), units=(64, 64))),
        (("--model", "simple"), Config.simple()),
        (("--model", "simple", "--units", "64"), replace(Config.simple(), units=(64, 64))),
    ],
)
@pytest.mark.slow
def test_the_network_that_training_was_asked_for(options, expected, monkeypatch, tmp_path, capsys):
    trained = []

    def as_if_trained(config, *_):
        trained.append(config)
        raise RuntimeError("enough")

    pytest.importorskip("keras")
    train = pytest.importorskip("fastctc.htr.train")
    monkeypatch.setattr(train, "train", as_if_trained)
    for name in "abcdefghij":
        images.save(tmp_path / f"{name}.png", np.full((20, 30), 200, np.uint8))
    rows = [f"{name}.png\tx\t{'val' if name == 'a' else 'train'}" for name in "abcdefghij"]
    (tmp_path / "t.tsv").write_text("\n".join(["file\ttext\tsplit", *rows]), encoding="utf-8")
    command = ["train", "--data", str(tmp_path), "--out", str(tmp_path / "run"), *options]
    assert main(command) == 1
    assert trained == [expected]
    kept = sorted((tmp_path / "run" / "cache").iterdir())
    assert main(command) == 1
    assert sorted((tmp_path / "run" / "cache").iterdir()) == kept
    assert "not those of the run" not in capsys.readouterr().err
    if not options:  # an image more, another picture or another text are noticed
        for change in ("more", "picture", "text"):
            if change == "more":
                images.save(tmp_path / "k.png", np.full((20, 30), 200, np.uint8))
                (tmp_path / "t.tsv").write_text(
                    "\n".join(["file\ttext\tsplit", *rows, "k.png\tx\ttrain"]), encoding="utf-8"
                )
            elif change == "picture":
                images.save(tmp_path / "k.png", np.full((21, 30), 100, np.uint8))
            else:
                text = (tmp_path / "t.tsv").read_text(encoding="utf-8")
                (tmp_path / "t.tsv").write_text(text.replace("k.png\tx", "k.png\ty"), encoding="utf-8")
            assert main(command) == 1
            assert "not those of the run that is there" in capsys.readouterr().err, change


@pytest.mark.slow
def test_train_from_the_command_line(font_file, tmp_path):
    pytest.importorskip("keras")
    (tmp_path / "t.txt").write_text("ab ba aa bb " * 9, encoding="utf-8")
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / font_file.name).write_bytes(font_file.read_bytes())
    options = ("--fonts", "f", "--text", "t.txt", "--synthetic", 30, "--units", 8, "--columns", 500, "--out", "run")
    done = fastctc("train", *options, "--steps", 2, "--validate-every", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == Path("run/best.fastctc")
    assert "step 2: loss" in done.stderr
    done = fastctc("train", *options, "--steps", 3, "--validate-every", 1, cwd=tmp_path)
    assert done.returncode == 1
    assert "training with other steps" in done.stderr
    done = fastctc("train", "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
