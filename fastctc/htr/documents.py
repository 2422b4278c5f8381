"""What was read, as text, JSON, hOCR, ALTO and PAGE XML."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from xml.sax.saxutils import quoteattr

from fastctc.htr.places import Places
from fastctc.htr.reader import Line
from fastctc.imaging.segmentation import Box

FORMATS = ("text", "json", "hocr", "alto", "page")
LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True)
class _Sheet:
    """A page that was read, and what is known of it."""

    name: str
    lines: Sequence[Line]
    places: Places
    level: str
    doubtful: float
    language: str
    dpi: float

    @property
    def size(self) -> str:
        """In the words of ALTO."""
        return f'WIDTH="{self.places.columns}" HEIGHT="{self.places.rows}"'


def write(
    kind: str,
    name: str,
    lines: Sequence[Line],
    size: tuple[int, int],
    level: str = "page",
    doubtful: float = 0.0,
    angle: float = 0.0,
    language: str = "",
    dpi: float = 0.0,
) -> str:
    """A document of one image. Boxes are those of the image as it is, also where it was straightened to be read.

    Parameters
    ----------
    kind : {"text", "json", "hocr", "alto", "page"}
    name : str
        The image's file name.
    size : (int, int)
        Rows and columns of the image.
    level : {"page", "line", "word"}
        What the image shows; only JSON says it.
    doubtful : float
        Words with a lower confidence are marked: ``?word?`` in text, ``"doubtful": true`` in JSON, a class or an
        attribute elsewhere.
    angle : float
        By how many degrees the page was turned: :attr:`PageLayout.angle`.
    language : str
        Of the text, as its IETF tag: ``"en"``, ``"fr-CA"``. hOCR, ALTO and PAGE say it.
    dpi : float
        Of the scan; 0: not known. The same say it.

    Raises
    ------
    ValueError
        For a language that is no tag.
    """
    check_language(language)
    writers = {"text": _text, "json": _json, "hocr": _hocr, "alto": _alto, "page": _page}
    return writers[kind](_Sheet(name, lines, Places(size[0], size[1], angle), level, doubtful, language, dpi))


def check_language(tag: str) -> None:
    """Raises ValueError for what is no language tag (BCP 47)."""
    if tag and not LANGUAGE.fullmatch(tag):
        raise ValueError(f"a language must be a tag such as en, fr or de-AT, got {tag!r}")


def _text(sheet: _Sheet) -> str:
    if not sheet.doubtful:
        return "".join(f"{line.text}\n" for line in sheet.lines)
    return "".join(
        " ".join(f"?{word.text}?" if word.confidence < sheet.doubtful else word.text for word in line.words) + "\n"
        for line in sheet.lines
    )


def _json(sheet: _Sheet) -> str:
    def place(found: Box) -> list[int]:
        box = sheet.places.box(found)
        return [box.left, box.top, box.right, box.bottom]

    def character(text: str, found: Box, confidence: float) -> list[str | int | float]:
        box = sheet.places.box(found)
        return [text, box.left, box.right, round(confidence, 4)]

    found = [
        {
            "text": line.text,
            "box": place(line.box),
            "log_prob": round(line.log_prob, 6),
            "confidence": round(line.confidence, 6),
            "words": [
                {
                    "text": word.text,
                    "box": place(word.box),
                    "confidence": round(word.confidence, 6),
                    **({"doubtful": word.confidence < sheet.doubtful} if sheet.doubtful else {}),
                    "characters": [character(c.text, c.box, c.confidence) for c in word.characters],
                }
                for word in line.words
            ],
        }
        for line in sheet.lines
    ]
    about = {
        "file": sheet.name,
        "level": sheet.level,
        "height": sheet.places.rows,
        "width": sheet.places.columns,
        "lines": found,
    }
    return json.dumps(about, ensure_ascii=False) + "\n"


def _hocr(sheet: _Sheet) -> str:
    def box(found: Box) -> str:
        b = sheet.places.box(found)
        return f"bbox {b.left} {b.top} {b.right} {b.bottom}"

    body = []
    for i, line in enumerate(sheet.lines, 1):
        words = " ".join(
            f'<span class="ocrx_word{" doubtful" if word.confidence < sheet.doubtful else ""}" id="word_{i}_{j}" '
            f'title="{box(word.box)}; x_wconf {round(100 * word.confidence)}">{escape(word.text)}</span>'
            for j, word in enumerate(line.words, 1)
        )
        body.append(f'   <span class="ocr_line" id="line_{i}" title="{box(line.box)}">{words}</span>')
    title = f"image {escape(sheet.name)}; bbox 0 0 {sheet.places.columns} {sheet.places.rows}"
    if sheet.dpi:
        title += f"; scan_res {sheet.dpi:.0f} {sheet.dpi:.0f}"
    language = f' lang="{sheet.language}"' if sheet.language else ""
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" '
        '"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'
        '<html xmlns="http://www.w3.org/1999/xhtml">\n <head>\n'
        f"  <title>{escape(sheet.name)}</title>\n"
        '  <meta http-equiv="content-type" content="text/html; charset=utf-8"/>\n'
        '  <meta name="ocr-system" content="fastctc"/>\n'
        '  <meta name="ocr-capabilities" content="ocr_page ocr_line ocrx_word"/>\n </head>\n <body>\n'
    )
    return (
        f'{head}  <div class="ocr_page" id="page_1"{language} title={quoteattr(title)}>\n'
        + "\n".join(body)
        + "\n  </div>\n </body>\n</html>\n"
    )


def _alto(sheet: _Sheet) -> str:
    def box(found: Box) -> str:
        b = sheet.places.box(found)
        return f'HPOS="{b.left}" VPOS="{b.top}" WIDTH="{b.width}" HEIGHT="{b.height}"'

    def shape(found: Box) -> str:
        if not sheet.places.turned:
            return ""
        points = " ".join(f"{x},{y}" for x, y in sheet.places.outline(found))
        return f'<Shape><Polygon POINTS="{points}"/></Shape>'

    language = f' LANG="{sheet.language}"' if sheet.language else ""

    rows = []
    for i, line in enumerate(sheet.lines, 1):
        rows.append(f'     <TextLine ID="line_{i}" {box(line.box)}{language}>{shape(line.box)}')
        for j, word in enumerate(line.words, 1):
            if j > 1:
                before, after = sheet.places.box(line.words[j - 2].box).right, sheet.places.box(word.box)
                rows.append(f'      <SP HPOS="{before}" VPOS="{after.top}" WIDTH="{max(0, after.left - before)}"/>')
            doubt = ' TAGREFS="doubtful"' if word.confidence < sheet.doubtful else ""
            rows.append(
                f'      <String ID="word_{i}_{j}" CONTENT={quoteattr(word.text)} WC="{word.confidence:.4f}"{doubt} '
                f"{box(word.box)}" + (f">{shape(word.box)}</String>" if sheet.places.turned else "/>")
            )
        rows.append("     </TextLine>")
    tags = ' <Tags>\n  <OtherTag ID="doubtful" LABEL="doubtful"/>\n </Tags>\n' if sheet.doubtful else ""
    # ALTO has no place for the resolution of an image in pixels: what processed it knows.
    resolution = f"<processingStepSettings>dpi: {sheet.dpi:.0f}</processingStepSettings>" if sheet.dpi else ""
    whole = f'HPOS="0" VPOS="0" {sheet.size}'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#">\n'
        " <Description>\n  <MeasurementUnit>pixel</MeasurementUnit>\n"
        f"  <sourceImageInformation><fileName>{escape(sheet.name)}</fileName></sourceImageInformation>\n"
        f'  <Processing ID="fastctc">{resolution}<processingSoftware><softwareName>fastctc</softwareName>'
        "</processingSoftware></Processing>\n"
        f" </Description>\n{tags} <Layout>\n"
        f'  <Page ID="page_1" PHYSICAL_IMG_NR="1" {sheet.size}>\n   <PrintSpace {whole}>\n'
        f'    <TextBlock ID="block_1" {whole}{language}>\n'
        + "\n".join(rows)
        + "\n    </TextBlock>\n   </PrintSpace>\n  </Page>\n </Layout>\n</alto>\n"
    )


def _page(sheet: _Sheet) -> str:
    def coords(found: Box) -> str:
        return f'<Coords points="{" ".join(f"{x},{y}" for x, y in sheet.places.outline(found))}"/>'

    def text(value: str, confidence: float) -> str:
        return f'<TextEquiv conf="{confidence:.4f}"><Unicode>{escape(value)}</Unicode></TextEquiv>'

    rows = []
    for i, line in enumerate(sheet.lines, 1):
        rows.append(f'   <TextLine id="line_{i}">{coords(line.box)}')
        for j, word in enumerate(line.words, 1):
            doubt = ' custom="doubtful"' if word.confidence < sheet.doubtful else ""
            rows.append(
                f'    <Word id="word_{i}_{j}"{doubt}>{coords(word.box)}{text(word.text, word.confidence)}</Word>'
            )
        rows.append(f"    {text(line.text, line.confidence)}\n   </TextLine>")
    height, width = sheet.places.rows, sheet.places.columns
    about = f'imageFilename={quoteattr(sheet.name)} imageWidth="{width}" imageHeight="{height}"'
    if sheet.dpi:
        dpi = f"{sheet.dpi:.0f}"
        about += f' imageXResolution="{dpi}" imageYResolution="{dpi}" imageResolutionUnit="PPI"'
    if sheet.language:  # primaryLanguage wants the English names of a list, which has not all of them
        about += f' custom="language {{tag:{sheet.language};}}"'
    corners = f"0,0 {width},0 {width},{height} 0,{height}"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">\n'
        " <Metadata><Creator>fastctc</Creator></Metadata>\n"
        f" <Page {about}>\n"
        f'  <TextRegion id="region_1"><Coords points="{corners}"/>\n'
        + "\n".join(rows)
        + "\n  </TextRegion>\n </Page>\n</PcGts>\n"
    )
