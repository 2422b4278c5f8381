"""What was read, as text, JSON, hOCR, ALTO and PAGE XML."""

import json
from collections.abc import Sequence
from html import escape
from xml.sax.saxutils import quoteattr

from fastctc.htr.reader import Line
from fastctc.imaging.segmentation import Box

FORMATS = ("text", "json", "hocr", "alto", "page")


def write(
    kind: str, name: str, lines: Sequence[Line], size: tuple[int, int], level: str = "page", doubtful: float = 0.0
) -> str:
    """A document of one image.

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
    """
    writers = {"text": _text, "json": _json, "hocr": _hocr, "alto": _alto, "page": _page}
    return writers[kind](name, lines, size, level, doubtful)


def _text(name: str, lines: Sequence[Line], size: tuple[int, int], level: str, doubtful: float) -> str:  # noqa: ARG001
    if not doubtful:
        return "".join(f"{line.text}\n" for line in lines)
    return "".join(
        " ".join(f"?{word.text}?" if word.confidence < doubtful else word.text for word in line.words) + "\n"
        for line in lines
    )


def _json(name: str, lines: Sequence[Line], size: tuple[int, int], level: str, doubtful: float) -> str:
    def place(box: Box) -> list[int]:
        return [box.left, box.top, box.right, box.bottom]

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
                    **({"doubtful": word.confidence < doubtful} if doubtful else {}),
                    "characters": [[c.text, c.box.left, c.box.right, round(c.confidence, 4)] for c in word.characters],
                }
                for word in line.words
            ],
        }
        for line in lines
    ]
    about = {"file": name, "level": level, "height": size[0], "width": size[1], "lines": found}
    return json.dumps(about, ensure_ascii=False) + "\n"


def _hocr(name: str, lines: Sequence[Line], size: tuple[int, int], level: str, doubtful: float) -> str:  # noqa: ARG001
    def box(b: Box) -> str:
        return f"bbox {b.left} {b.top} {b.right} {b.bottom}"

    body = []
    for i, line in enumerate(lines, 1):
        words = " ".join(
            f'<span class="ocrx_word{" doubtful" if word.confidence < doubtful else ""}" id="word_{i}_{j}" '
            f'title="{box(word.box)}; x_wconf {round(100 * word.confidence)}">{escape(word.text)}</span>'
            for j, word in enumerate(line.words, 1)
        )
        body.append(f'   <span class="ocr_line" id="line_{i}" title="{box(line.box)}">{words}</span>')
    title = f"image {escape(name)}; bbox 0 0 {size[1]} {size[0]}"
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" '
        '"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'
        '<html xmlns="http://www.w3.org/1999/xhtml">\n <head>\n'
        f"  <title>{escape(name)}</title>\n"
        '  <meta http-equiv="content-type" content="text/html; charset=utf-8"/>\n'
        '  <meta name="ocr-system" content="fastctc"/>\n'
        '  <meta name="ocr-capabilities" content="ocr_page ocr_line ocrx_word"/>\n </head>\n <body>\n'
    )
    return (
        f'{head}  <div class="ocr_page" id="page_1" title={quoteattr(title)}>\n'
        + "\n".join(body)
        + "\n  </div>\n </body>\n</html>\n"
    )


def _alto(name: str, lines: Sequence[Line], size: tuple[int, int], level: str, doubtful: float) -> str:  # noqa: ARG001
    def box(b: Box) -> str:
        return f'HPOS="{b.left}" VPOS="{b.top}" WIDTH="{b.width}" HEIGHT="{b.height}"'

    rows = []
    for i, line in enumerate(lines, 1):
        rows.append(f'     <TextLine ID="line_{i}" {box(line.box)}>')
        for j, word in enumerate(line.words, 1):
            if j > 1:
                before = line.words[j - 2].box.right
                rows.append(
                    f'      <SP HPOS="{before}" VPOS="{word.box.top}" WIDTH="{max(0, word.box.left - before)}"/>'
                )
            doubt = ' TAGREFS="doubtful"' if word.confidence < doubtful else ""
            rows.append(
                f'      <String ID="word_{i}_{j}" CONTENT={quoteattr(word.text)} WC="{word.confidence:.4f}"{doubt} '
                f"{box(word.box)}/>"
            )
        rows.append("     </TextLine>")
    tags = ' <Tags>\n  <OtherTag ID="doubtful" LABEL="doubtful"/>\n </Tags>\n' if doubtful else ""
    whole = f'HPOS="0" VPOS="0" WIDTH="{size[1]}" HEIGHT="{size[0]}"'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<alto xmlns="http://www.loc.gov/standards/alto/ns-v4#">\n'
        " <Description>\n  <MeasurementUnit>pixel</MeasurementUnit>\n"
        f"  <sourceImageInformation><fileName>{escape(name)}</fileName></sourceImageInformation>\n"
        '  <Processing ID="fastctc"><processingSoftware><softwareName>fastctc</softwareName>'
        "</processingSoftware></Processing>\n"
        f" </Description>\n{tags} <Layout>\n"
        f'  <Page ID="page_1" PHYSICAL_IMG_NR="1" WIDTH="{size[1]}" HEIGHT="{size[0]}">\n   <PrintSpace {whole}>\n'
        f'    <TextBlock ID="block_1" {whole}>\n'
        + "\n".join(rows)
        + "\n    </TextBlock>\n   </PrintSpace>\n  </Page>\n </Layout>\n</alto>\n"
    )


def _page(name: str, lines: Sequence[Line], size: tuple[int, int], level: str, doubtful: float) -> str:  # noqa: ARG001
    def coords(b: Box) -> str:
        return f'<Coords points="{b.left},{b.top} {b.right},{b.top} {b.right},{b.bottom} {b.left},{b.bottom}"/>'

    def text(value: str, confidence: float) -> str:
        return f'<TextEquiv conf="{confidence:.4f}"><Unicode>{escape(value)}</Unicode></TextEquiv>'

    rows = []
    for i, line in enumerate(lines, 1):
        rows.append(f'   <TextLine id="line_{i}">{coords(line.box)}')
        for j, word in enumerate(line.words, 1):
            doubt = ' custom="doubtful"' if word.confidence < doubtful else ""
            rows.append(
                f'    <Word id="word_{i}_{j}"{doubt}>{coords(word.box)}{text(word.text, word.confidence)}</Word>'
            )
        rows.append(f"    {text(line.text, line.confidence)}\n   </TextLine>")
    whole = Box(0, 0, size[1], size[0])
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">\n'
        " <Metadata><Creator>fastctc</Creator></Metadata>\n"
        f' <Page imageFilename={quoteattr(name)} imageWidth="{size[1]}" imageHeight="{size[0]}">\n'
        f'  <TextRegion id="region_1">{coords(whole)}\n' + "\n".join(rows) + "\n  </TextRegion>\n </Page>\n</PcGts>\n"
    )
