"""Searchable PDF: scans as they are, and over them the text that was read, invisible, to be found and copied.

The font of that text has one glyph, an empty box half as wide as high, for all characters: its file is 0.6 kB, and any
alphabet can be written. What a character is, a table says that goes along (ToUnicode). Each word is stretched over its
place on the scan.
"""

import contextlib
import ctypes
import io
from collections.abc import Sequence
from importlib.resources import files
from math import hypot
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy.typing as npt

from fastctc.htr import jpeg
from fastctc.htr.places import Places, Point
from fastctc.htr.reader import Line
from fastctc.imaging import images

INSTALL = 'PDF needs pypdfium2: pip install "fastctc[pdf]"'
ADVANCE = 0.5  # of the font's glyph, in heights
POINTS = 72  # of an inch
FINE = 8  # parts of a pixel: PDFium takes whole numbers
ORIENTATION = 0x0112  # of EXIF
SMALLEST, LARGEST = 3.0, 14_400.0  # points that a page's sides have in PDF


class SearchablePdf:
    """The pages of a file with what was read on them.

    Parameters
    ----------
    file : path
        The image or the PDF that was read. Of a PDF the pages stay what they are; a JPEG is put in as it is.
    language : str
        Of the text, as its tag; "" if it is not known.

    Raises
    ------
    ImportError
        Without pypdfium2.
    ValueError
        If the file is no PDF although it is called so.
    """

    def __init__(self, file: str | PathLike[str], language: str = "") -> None:
        try:
            import pypdfium2
            from pypdfium2 import raw
        except ImportError as error:
            raise ImportError(f"{INSTALL} ({error})") from None
        self.file, self.is_pdf = Path(file), Path(file).suffix.lower() == ".pdf"
        self.pdfium, self.raw = pypdfium2, raw
        self.fonts: list[Any] = []
        try:
            self.document = pypdfium2.PdfDocument(file) if self.is_pdf else pypdfium2.PdfDocument.new()
        except Exception as error:
            raise ValueError(f"the PDF cannot be opened: {error}") from None
        self.n_pages = 0
        if language:
            text = (ctypes.c_ushort * (len(language) + 1))(*language.encode("ascii"), 0)
            raw.FPDFCatalog_SetLanguage(self.document.raw, text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for font in self.fonts:
            self.raw.FPDFFont_Close(font)
        self.document.close()

    def add(self, picture: npt.NDArray[Any], lines: Sequence[Line], angle: float = 0.0) -> None:
        """The next page, and what was read on it.

        Parameters
        ----------
        picture : array
            As :func:`images.read_all` gives it.
        angle : float
            By how many degrees the page was turned: :attr:`PageLayout.angle`.
        """
        places = Places(picture.shape[0], picture.shape[1], angle)
        with contextlib.closing(self.document[self.n_pages] if self.is_pdf else self._scan(picture)) as page:
            self.n_pages += 1
            words = [
                (word.text + " " * (word is not line.words[-1]), len(word.text), places.corners(word.box))
                for line in lines
                for word in line.words
            ]
            if words:
                codes, font = self._font("".join(text for text, *_ in words))
                for text, length, corners in words:
                    self._write(page, places, font, [codes[c] for c in text], length, corners)
                page.gen_content()

    def to_bytes(self) -> bytes:
        """The whole file."""
        data = io.BytesIO()
        self.document.save(data)
        return data.getvalue()

    def _scan(self, picture: npt.NDArray[Any]) -> Any:
        """A new page with the picture all over it."""
        inch = images.dpi(self.file) or images.DPI
        height, width = (min(max(side * POINTS / inch, SMALLEST), LARGEST) for side in picture.shape[:2])
        page = self.document.new_page(width, height)
        image = self.pdfium.PdfImage.new(self.document)
        image.load_jpeg(io.BytesIO(_jpeg(self.file, picture, first=not self.n_pages)), inline=True, autoclose=True)
        image.set_matrix(self.pdfium.PdfMatrix().scale(width, height))
        page.insert_obj(image)
        page.gen_content()
        return page

    def _font(self, text: str) -> tuple[dict[str, int], Any]:
        """The code of each character, and the font that says what they are."""
        codes = {character: code for code, character in enumerate(sorted(set(text)), 1)}
        glyphs = b"\0\0" + b"\0\1" * len(codes)  # two bytes for each code: glyph 1 for all but code 0
        font = files("fastctc.htr").joinpath("glyphless.ttf").read_bytes()
        c_font = (ctypes.c_uint8 * len(font)).from_buffer_copy(font)
        c_glyphs = (ctypes.c_uint8 * len(glyphs)).from_buffer_copy(glyphs)
        found = self.raw.FPDFText_LoadCidType2Font(
            self.document.raw, c_font, len(font), _to_unicode(codes).encode(), c_glyphs, len(glyphs)
        )
        if not found:
            raise ValueError("PDFium did not take the font of the invisible text")
        self.fonts.append(found)
        return codes, found

    def _write(
        self, page: Any, places: Places, font: Any, codes: list[int], length: int, corners: Sequence[Point]
    ) -> None:
        """A word over its place: its box, which may lie askew, ``length`` characters wide."""
        top_left, _, right, left = (self._on_page(page, places, corner) for corner in corners)
        wide, high = hypot(right.x - left.x, right.y - left.y), hypot(top_left.x - left.x, top_left.y - left.y)
        if min(wide, high) <= 0:
            return
        word = self.raw.FPDFPageObj_CreateTextObj(self.document.raw, font, high)
        numbers = (ctypes.c_uint32 * len(codes))(*codes)
        stretch = wide / (ADVANCE * high * length)
        if not self.raw.FPDFText_SetCharcodes(word, numbers, len(codes)):
            raise ValueError("PDFium did not take the invisible text")
        self.raw.FPDFTextObj_SetTextRenderMode(word, self.raw.FPDF_TEXTRENDERMODE_INVISIBLE)
        along = Point((right.x - left.x) / wide, (right.y - left.y) / wide)
        up = Point((top_left.x - left.x) / high, (top_left.y - left.y) / high)
        matrix = self.pdfium.PdfMatrix(stretch * along.x, stretch * along.y, up.x, up.y, left.x, left.y)
        self.raw.FPDFPageObj_SetMatrix(word, matrix.to_raw())
        self.raw.FPDFPage_InsertObject(page.raw, word)

    def _on_page(self, page: Any, places: Places, point: Point) -> Point:
        """A point of the picture in the page's own coordinates, however its PDF turns and crops it."""
        x, y = ctypes.c_double(), ctypes.c_double()
        whole = (places.columns * FINE, places.rows * FINE)
        pixel = (round(point.x * FINE), round(point.y * FINE))
        self.raw.FPDF_DeviceToPage(page.raw, 0, 0, *whole, 0, *pixel, ctypes.byref(x), ctypes.byref(y))
        return Point(x.value, y.value)


def _to_unicode(codes: dict[str, int]) -> str:
    """The table of what each code means, at most a hundred in a block, as the format wants."""
    rows = [f"<{code:04X}> <{character.encode('utf-16-be').hex().upper()}>" for character, code in codes.items()]
    blocks = [rows[i : i + 100] for i in range(0, len(rows), 100)]
    body = "".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar\n" for block in blocks)
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        f"1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n{body}"
        "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    )


def _jpeg(file: Path, picture: npt.NDArray[Any], first: bool) -> bytes:
    """The file itself, if it is a JPEG that stands upright; else the picture as one."""
    from PIL import Image

    if first:
        with contextlib.suppress(OSError), Image.open(file, formats=images.FORMATS) as found:
            upright = found.getexif().get(ORIENTATION, 1) == 1
            if found.format == "JPEG" and found.mode in ("L", "RGB") and upright:
                return file.read_bytes()
    return jpeg.encoded(picture)
