"""Places on the scan as it is, in searchable PDF and in the other formats; languages and resolutions."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("PIL")
pytest.importorskip("scipy")
from PIL import Image, ImageDraw

from fastctc.__main__ import main
from fastctc.htr import documents, page_xml
from fastctc.htr.places import Places
from fastctc.htr.reader import Line, Reader, Word
from fastctc.imaging import images
from fastctc.imaging.segmentation import Box, straightened

EXAMPLE = Path(__file__).parents[1] / "examples" / "handwriting" / "page.jpg"


def line_of(words):
    """A line as it would have been read; words are (text, box)."""
    found = tuple(Word(text, box, 0.9, ()) for text, box in words)
    whole = found[0].box
    for word in found:
        whole = whole | word.box
    return Line(" ".join(word.text for word in found), whole, found, -1.0, 0.4, ())


@pytest.mark.parametrize("angle", [-4.5, -0.6, 0.0, 0.04, 2.0, 5.0])
def test_what_lies_on_the_straightened_page_is_found_on_the_scan(angle):
    for x, y in ((700, 90), (40, 500), (400, 300)):
        scan = Image.new("L", (800, 600), 255)
        ImageDraw.Draw(scan).rectangle((x - 3, y - 3, x + 3, y + 3), fill=0)
        seen = straightened(np.asarray(scan), angle)
        rows, columns = np.nonzero(seen < 128)
        if not len(rows):  # turned out of the page
            continue
        back = Places(600, 800, angle).point(columns.mean(), rows.mean())
        assert back == pytest.approx((x, y), abs=0.7)


def test_outlines_stay_on_the_scan():
    places = Places(600, 800, 5.0)
    for box in (Box(0, 0, 800, 600), Box(790, 0, 800, 10), Box(0, 590, 4, 600)):
        assert all(0 <= x <= 800 and 0 <= y <= 600 for x, y in places.outline(box))
        assert places.box(box).width >= 1
        assert places.box(box).height >= 1
    assert Places(600, 800).box(Box(1, 2, 3, 4)) == Box(1, 2, 3, 4)
    assert Places(600, 800).outline(Box(1, 2, 3, 4)) == ((1, 2), (3, 2), (3, 4), (1, 4))


@pytest.fixture(scope="module")
def askew(tmp_path_factory):
    """A page that lies askew, and what was read on it."""
    place = tmp_path_factory.mktemp("askew") / "askew.png"
    scan = Image.fromarray(images.read(EXAMPLE)).rotate(2.5, Image.Resampling.BICUBIC, fillcolor=255, expand=True)
    scan.save(place, dpi=(300, 300))
    page = Reader().read_page(images.read(place))
    assert page.layout.angle == pytest.approx(2.5, abs=0.3)
    return place, page


@pytest.mark.parametrize("kind", ["page", "alto"])
def test_outlines_of_documents_lie_on_the_ink_of_the_scan(kind, askew, tmp_path):
    place, page = askew
    text = documents.write(kind, place.name, page.lines, page.layout.image.shape[:2], angle=page.layout.angle)
    xml = tmp_path / "page.xml"
    xml.write_text(text, encoding="utf-8")
    _, lines = page_xml.read_lines(xml)
    dark = np.asarray(Image.open(place).convert("L")) < 100
    inside = Image.new("1", dark.shape[::-1])
    for line in lines:
        ImageDraw.Draw(inside).polygon(line.outline, fill=1)
    covered = np.asarray(inside)
    assert [line.text for line in lines] == [line.text for line in page.lines]
    assert dark[covered].sum() > 0.95 * dark.sum()
    assert covered.mean() < 0.6
    assert "\n".join(line.text for line in lines) == page.text


def test_languages_and_resolutions_are_said():
    lines = [line_of([("très", Box(10, 10, 60, 30)), ("bien", Box(70, 10, 120, 30))])]
    for kind in ("hocr", "alto", "page"):
        text = documents.write(kind, "x.png", lines, (50, 150), language="fr-CA", dpi=300.4)
        ElementTree.fromstring(text.encode())
        assert "fr-CA" in text
        assert re.search(r"\b300\b", text)
        assert "300.4" not in text
        assert "dpi" not in documents.write(kind, "x.png", lines, (50, 150))
    assert 'LANG="fr-CA"' in documents.write("alto", "x.png", lines, (50, 150), language="fr-CA")
    for tag in ('"><b>', "french language", "f"):
        with pytest.raises(ValueError, match="must be a tag"):
            documents.write("alto", "x.png", lines, (50, 150), language=tag)


def test_resolutions_of_files(tmp_path):
    picture = Image.new("L", (30, 20), 200)
    for name in ("a.png", "a.jpg", "a.tif"):
        picture.save(tmp_path / name, dpi=(300, 300))
        assert images.dpi(tmp_path / name) == pytest.approx(300, abs=0.1)
    picture.save(tmp_path / "screen.jpg", dpi=(72, 72))
    (tmp_path / "junk.jpg").write_bytes(b"junk")
    assert images.dpi(tmp_path / "screen.jpg") == images.dpi(tmp_path / "junk.jpg") == 0
    assert images.dpi(tmp_path / "none.png") == 0


def rectangles(page):
    """The place of each word of a PDF's page: left, top, right, bottom from its upper left corner, in points."""
    text = page.get_textpage()
    height, found, word = page.get_height(), [], []
    for i, character in enumerate(text.get_text_bounded()):
        if character.isspace():
            found.append(word)
            word = []
        else:
            left, bottom, right, top = text.get_charbox(i)
            word.append((left, height - top, right, height - bottom))
    return [
        (min(b[0] for b in word), min(b[1] for b in word), max(b[2] for b in word), max(b[3] for b in word))
        for word in [*found, word]
        if word
    ]


def test_the_scan_can_be_searched(tmp_path, pdfium):
    assert main(["read", str(EXAMPLE), "--format", "pdf", "--language", "en", "--out", str(tmp_path)]) == 0
    result = tmp_path / "page.pdf"
    assert EXAMPLE.read_bytes() in result.read_bytes()  # the scan is not compressed again
    page = Reader().read_page(EXAMPLE)
    with pdfium.PdfDocument(result) as document:
        [sheet] = document
        assert sheet.get_textpage().get_text_bounded().split() == page.text.split()
        scale = 72 / (images.dpi(EXAMPLE) or images.DPI)
        wanted = [
            [scale * side for side in (word.box.left, word.box.top, word.box.right, word.box.bottom)]
            for line in page.lines
            for word in line.words
        ]
        np.testing.assert_allclose(rectangles(sheet), wanted, atol=0.25)
        assert sheet.get_size() == pytest.approx([scale * side for side in page.layout.image.shape[::-1]])
        drawn = sheet.render(scale=1 / scale).to_numpy()[..., 0].astype(float)
    scan = images.read(EXAMPLE).astype(float)
    scan = scan if scan.ndim == 2 else scan.mean(2)
    shown = drawn[: scan.shape[0], : scan.shape[1]]
    assert np.abs(shown - scan).mean() < 2  # and nothing is seen over it


@pytest.fixture
def pdfium():
    return pytest.importorskip("pypdfium2")


def test_words_lie_as_the_lines_of_the_scan_do(askew, pdfium):
    from fastctc.htr.searchable_pdf import SearchablePdf

    place, page = askew
    with SearchablePdf(place) as made:
        made.add(images.read(place), page.lines, page.layout.angle)
        data = made.to_bytes()
    places = Places(*page.layout.image.shape[:2], page.layout.angle)
    boxes = [places.box(word.box) for line in page.lines for word in line.words]
    with pdfium.PdfDocument(data) as document:
        assert document[0].get_textpage().get_text_bounded().split() == page.text.split()
        wanted = [[0.24 * side for side in (box.left, box.top, box.right, box.bottom)] for box in boxes]
        np.testing.assert_allclose(rectangles(document[0]), wanted, atol=0.5)


def test_any_character_can_be_found(tmp_path, pdfium):
    from fastctc.htr.searchable_pdf import SearchablePdf

    texts = ["œuvre", "你好", "𝒜𝒷", "()\\<>", *(chr(0x400 + i) for i in range(120))]
    lines = [line_of([(text, Box(10, 10 + 20 * i, 60, 28 + 20 * i))]) for i, text in enumerate(texts)]
    picture = np.full((20 * len(texts) + 40, 100), 255, np.uint8)
    images.save(tmp_path / "a.png", picture)
    with SearchablePdf(tmp_path / "a.png") as made:
        made.add(picture, lines)
        made.add(picture, [])  # an empty page
        data = made.to_bytes()
    with pdfium.PdfDocument(data) as document:
        assert document[0].get_textpage().get_text_range().split() == texts
        assert document[1].get_textpage().get_text_range() == ""


def test_pages_of_a_file_stay_together(tmp_path, pdfium):
    pages = [Image.fromarray(images.read(EXAMPLE)), Image.new("L", (300, 200), 255)]
    pages[0].save(tmp_path / "two.tif", save_all=True, append_images=pages[1:])
    (tmp_path / "bad.png").write_bytes(b"junk")
    out = tmp_path / "out"
    assert main(["read", str(tmp_path), "--format", "pdf", "--out", str(out)]) == 1
    assert sorted(path.name for path in out.iterdir()) == ["summary.tsv", "two.pdf"]
    before = (out / "two.pdf").stat().st_mtime_ns
    assert main(["read", str(tmp_path), "--format", "pdf", "--out", str(out)]) == 1
    assert (out / "two.pdf").stat().st_mtime_ns == before  # it was there
    with pdfium.PdfDocument(out / "two.pdf") as document:
        assert ["Dear" in page.get_textpage().get_text_bounded() for page in document] == [True, False]


@pytest.mark.parametrize("turn", [0, 90])
def test_a_pdf_stays_what_it_is(turn, tmp_path, pdfium):
    """Pages of a PDF get their text, also where they are turned or cropped to be shown."""
    picture = images.read(EXAMPLE)
    with pdfium.PdfDocument.new() as document:
        page = document.new_page(picture.shape[1] / 4, picture.shape[0] / 4)
        image = pdfium.PdfImage.new(document)
        image.load_jpeg(EXAMPLE, inline=True)
        image.set_matrix(pdfium.PdfMatrix().scale(picture.shape[1] / 4, picture.shape[0] / 4))
        page.insert_obj(image)
        page.gen_content()
        page.set_cropbox(5, 5, picture.shape[1] / 4 - 5, picture.shape[0] / 4 - 5)
        if turn:
            page.set_rotation(turn)
        document.save(tmp_path / "scan.pdf")
    from fastctc.htr.searchable_pdf import SearchablePdf

    [seen] = images.read_all(tmp_path / "scan.pdf")
    columns = seen.shape[1]
    lines = [line_of([("first", Box(40, 60, 300, 100)), ("last", Box(columns - 300, 60, columns - 40, 100))])]
    with SearchablePdf(tmp_path / "scan.pdf") as made:
        made.add(seen, lines)
        data = made.to_bytes()
    assert EXAMPLE.read_bytes() in data
    with pdfium.PdfDocument(data) as document:
        text = document[0].get_textpage()
        assert text.get_text_range().split() == ["first", "last"]
        left, bottom, right, top = text.get_charbox(0)
        # Where the page that is shown has its upper left corner, its own coordinates have a corner that `turn` chooses.
        width, height = picture.shape[1] / 4, picture.shape[0] / 4
        x, y = (40 * 0.24 + 5, height - 5 - 100 * 0.24) if not turn else (60 * 0.24 + 5, 40 * 0.24 + 5)
        assert (left, bottom) == pytest.approx((x, y), abs=0.3)
        assert right < width
        assert top < height


def test_a_broken_pdf_is_refused(tmp_path, pdfium):
    from fastctc.htr.searchable_pdf import SearchablePdf

    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.7 junk")
    with pytest.raises(ValueError, match="the PDF cannot be opened"):
        SearchablePdf(tmp_path / "bad.pdf")
    assert pdfium


@pytest.mark.parametrize("arguments", [["--format", "pdf"], ["--format", "alto", "--language", "not a tag"]])
def test_what_cannot_be_is_said_beforehand(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["read", str(EXAMPLE), *arguments])
    assert re.search("goes with --out|must be a tag", capsys.readouterr().err)


def test_the_font_of_invisible_text_has_one_glyph():
    """``FontBuilder`` of fontTools has made it: a box of 500 x 1000 units, for no character of its own."""
    ttf = pytest.importorskip("fontTools.ttLib")
    from importlib.resources import files

    with files("fastctc.htr").joinpath("glyphless.ttf").open("rb") as file:
        font = ttf.TTFont(file)
        assert font["hmtx"].metrics == {".notdef": (500, 0), "glyph00001": (500, 0)}
        assert font["head"].unitsPerEm == 1000
        assert not font["cmap"].getBestCmap()
