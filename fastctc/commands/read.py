"""Read handwriting: images of words, lines or pages to text, with places and confidence."""

import contextlib
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any, NamedTuple

import fastctc
from fastctc import storage
from fastctc.commands.output_names import OutputNames
from fastctc.commands.progress import Progress
from fastctc.commands.refusals import refuse
from fastctc.commands.summary import Row, Summary, settings_digest
from fastctc.imaging import images

MANY = 8  # words, from which on the certainty of a reading tells something,
ALTERNATIVES = 5  # of a word, in the format that shows them
WAYS = ("", "lay on its side", "lay upside down", "lay on its side")
NOISE = 0.05  # ... and below which nothing of what was read is to be believed
SETTINGS = (
    "level",
    "network",
    "backend",
    "lm_weight",
    "n_views",
    "format",
    "min_confidence",
    "language",
)  # what results depend on, beside files
WITHOUT = "none"  # in place of a language model
SUFFIXES = {
    "text": ".txt",
    "json": ".json",
    "hocr": ".hocr",
    "alto": ".alto.xml",
    "page": ".page.xml",
    "html": ".html",
    "pdf": ".pdf",
}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="images (PNG, JPEG, TIFF, ...), PDF, or folders of them"
    )
    parser.add_argument(
        "--level", choices=("word", "line", "page"), default="page", help="what an image shows (default: page)"
    )
    add_reader(parser)
    parser.add_argument(
        "--format",
        choices=tuple(SUFFIXES),
        default="text",
        help="html: the text beside the image, to look at; pdf: the scan, to be searched (default: text)",
    )
    parser.add_argument(
        "--min-confidence", type=float, default=0.0, metavar="P", help="mark words that are less sure, 0 to 1"
    )
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        help="write a file for each image there, in folders as the images are, and a table of all, summary.tsv; what "
        "is newer there than image, weights and options is not read again (default: all to the terminal)",
    )
    parser.add_argument("--force", action="store_true", help="read again what is there")
    parser.add_argument(
        "--overlay", metavar="FILE", help="a picture of the (last) image with what was read drawn over it"
    )


def add_reader(parser: ArgumentParser) -> None:
    """What reads: network, language model, views."""
    parser.add_argument(
        "--weights", metavar="FILE", help="a network that fastctc train made (default: the one that comes along)"
    )
    parser.add_argument(
        "--network", metavar="FILE", help="any CTC network for lines as .onnx file, or rapidocr, if that is installed"
    )
    parser.add_argument(
        "--backend", choices=("numpy", "keras"), default="numpy", help="who computes it (default: numpy)"
    )
    parser.add_argument("--words", metavar="FILE", help="read only words of this text or word list")
    parser.add_argument(
        "--lm",
        metavar="FILE",
        help="a language model that fastctc lm train made, over characters, or, with --words, over words; none: read "
        "without that of the language",
    )
    parser.add_argument(
        "--language",
        default="",
        metavar="TAG",
        help="of the text, such as en or fr-CA: en and fr are read with a model of characters that comes along, en+fr "
        "and auto with the one that fits the page; hocr, alto, page, pdf say it",
    )
    parser.add_argument("--lm-weight", type=float, metavar="W", help="weight of a character model (default: 0.7)")
    parser.add_argument(
        "--views",
        dest="n_views",
        type=int,
        choices=range(1, 6),
        default=1,
        help="so many views of every image, slanted this way and that: what they agree on is read",
    )


def run(options: Namespace) -> int:
    check_reader(options)
    if options.format == "pdf" and not options.out:
        options.parser.error("--format pdf is written to files: it goes with --out")
    try:
        _check_language(options.language)
        reader = make_reader(options, n_alternatives=ALTERNATIVES if options.format == "html" else 0)
    except (OSError, ValueError, ImportError) as error:
        refuse(options, error)
    files = list(images.find(options.files, images.DOCUMENTS, options.out))
    results = _Results(options, files) if options.out else None
    failed = 0
    try:
        with Progress(len(files), "files") as progress:
            for file in files:
                if results and results.there(file):
                    progress.step()
                    continue
                rows: list[Row] = []
                try:
                    _read_file(options, reader, file, results, rows, progress)
                except (OSError, ValueError, ImportError, MemoryError) as error:
                    failed += 1
                    with progress.paused():
                        print(f"fastctc read: {file}: {error}", file=sys.stderr)
                    if results:
                        rows.append(results.failed(file, error))
                if results:
                    results.done(file, rows)
                progress.step()
    finally:
        if results:
            results.close()
    if not files:
        print("fastctc read: there are no images", file=sys.stderr)
    return 1 if failed or not files else 0


def check_reader(options: Namespace) -> None:
    """End with a message if the options do not go together."""
    if options.lm_weight is not None and (options.words or not (options.lm or options.language)):
        options.parser.error(
            "--lm-weight is that of a character model: it goes with --lm or --language, and without --words"
        )
    if not 0 <= options.min_confidence <= 1:
        options.parser.error(f"--min-confidence must be between 0 and 1, got {options.min_confidence}")


def _read_file(
    options: Namespace, reader: Any, file: Path, results: "_Results | None", rows: list[Row], progress: Progress
) -> None:
    """Read all pages of a file; ``rows`` get one for each that has a result."""
    with _pdf(options, file) as pdf:
        finished = []
        for number, picture in enumerate(images.read_all(file), 1):
            name = file.name if number == 1 else f"{file.name}[{number}]"
            found = _read(reader, options.level, picture)
            warning = _warning(found)
            with progress.paused():
                if warning:
                    print(f"fastctc read: {file}: {warning}", file=sys.stderr)
                if results is None:
                    print(_document(options, name, file, found), end="", flush=True)
                elif pdf is None:
                    rows.append(results.row(file, number, number, found.lines, warning))
                    results.write(rows[-1], _document(options, name, file, found).encode())
                else:
                    pdf.add(picture, found.lines, found.angle)
                    finished.append(results.row(file, number, 1, found.lines, warning))
            if options.overlay:
                _overlay(options, found)
        if results and pdf:  # one file for all pages
            results.write(finished[0], pdf.to_bytes())
            rows += finished


def _check_language(tags: str) -> None:
    from fastctc.htr.documents import check_language
    from fastctc.htr.languages import is_choice

    if not is_choice(tags):
        check_language(tags)


def _language(options: Namespace, found: "_Found") -> str:
    """The language to say of a page: as it was given, or as the reader chose."""
    from fastctc.htr.languages import is_choice

    said: str = found.lines[0].language if found.lines and is_choice(options.language) else options.language
    return "" if is_choice(said) else said


class _Results:
    """The output folder: a file for each page, and the table of all."""

    def __init__(self, options: Namespace, files: list[Path]) -> None:
        from fastctc.htr.reader import shipped_weights

        self.names = OutputNames(options.files, files, Path(options.out))
        self.suffix = SUFFIXES[options.format]
        self.again = options.force or options.overlay is not None  # a picture needs what was read
        asked = [*(getattr(options, name) for name in SETTINGS), options.lm == WITHOUT]
        used = [options.weights or shipped_weights(), options.words, lm_file(options)]
        self.summary = Summary(Path(options.out), settings_digest([fastctc.__version__, *asked], used))

    def there(self, file: Path) -> bool:
        """Whether a file has been read, as it is and as it is to be."""
        rows = [] if self.again else self.summary.finished(self.names.source(file, 1), file)
        for page in range(1, len(rows) + 1):
            self.names.name(file, page)  # no other may have it
        return bool(rows)

    def row(self, file: Path, page: int, part: int, lines: list[Any], warning: str) -> Row:
        """What the table says of a page whose result is the ``part``-th of its file's."""
        name = self.names.name(file, part)
        result = name.with_name(name.name + self.suffix)
        sure = [word.confidence for line in lines for word in line.words]
        mean = f"{sum(sure) / len(sure):.3f}" if sure else ""
        source = self.names.source(file, page)
        return Row(source, result.as_posix(), len(lines), len(sure), mean, warning, 1, self.summary.settings)

    def write(self, row: Row, document: bytes) -> None:
        with storage.replaced(self.names.place(row.result)) as place:
            place.write(document)

    def failed(self, file: Path, error: BaseException) -> Row:
        return Row(self.names.source(file, 1), "", 0, 0, "", f"not read: {error}", 1, self.summary.settings)

    def done(self, file: Path, rows: list[Row]) -> None:
        self.summary.add(self.names.source(file, 1), rows)

    def close(self) -> None:
        self.summary.close()


class _Found(NamedTuple):
    """What was read on a page."""

    lines: list[Any]
    seen: Any  # the page as it was read, straightened
    angle: float  # by which it was turned for that


def _pdf(options: Namespace, file: Path) -> Any:
    """The searchable PDF of a file, if it is to be one."""
    if options.format != "pdf":
        return contextlib.nullcontext()
    from fastctc.htr.languages import is_choice
    from fastctc.htr.searchable_pdf import SearchablePdf

    return SearchablePdf(file, "" if is_choice(options.language) else options.language)


def _document(options: Namespace, name: str, file: Path, found: _Found) -> str:
    from fastctc.htr import documents, html_view
    from fastctc.htr.places import on_its_side

    if options.format == "html":
        return html_view.write(name, found.lines, found.seen, options.min_confidence)
    return documents.write(
        options.format,
        name,
        found.lines,
        found.seen.shape[1::-1] if on_its_side(found.angle) else found.seen.shape[:2],
        options.level,
        options.min_confidence,
        found.angle,
        _language(options, found),
        images.dpi(file),
    )


def _warning(found: _Found) -> str:
    """What a reader of the result should know; empty if nothing."""
    turned = round(found.angle / 90) % 4
    said = f"the page {WAYS[turned]} and was turned" if turned else ""
    return "; ".join(filter(None, (said, _doubts(found.lines))))


def _doubts(lines: list[Any]) -> str:
    from fastctc.htr.reader import certainty

    words = sum(len(line.words) for line in lines)
    if not words:
        return "no writing was found"
    sure = certainty(lines)
    if words >= MANY and sure < NOISE:
        return f"this reads as noise (certainty {sure:.2f} of 1): is it handwriting, and large enough?"
    return ""


def lm_file(options: Namespace) -> str | None:
    """The file of the language model, if one is given."""
    return None if options.lm == WITHOUT else options.lm


def make_reader(options: Namespace, n_alternatives: int = 0) -> Any:
    """The reader that the options ask for."""
    from fastctc.commands.lm import read_model
    from fastctc.htr.languages import has_model, is_choice
    from fastctc.htr.reader import Reader
    from fastctc.lexicon import Lexicon
    from fastctc.lm.ngram import NGram

    plain = {name: getattr(options, name) for name in ("weights", "network", "backend", "n_views")}
    plain["n_alternatives"] = n_alternatives
    lm = lm_file(options)
    if not options.words and not lm:
        if options.lm is None and (is_choice(options.language) or has_model(options.language)):
            plain["language"] = options.language
        return Reader(**plain, lm_weight=options.lm_weight)
    if is_choice(options.language):
        raise ValueError("several languages are to choose a model among them: they go without --lm and --words")
    alphabet = Reader(weights=options.weights, network=options.network).word_alphabet
    lexicon = Lexicon.from_file(options.words, alphabet, unknown="skip") if options.words else None
    ngram = None
    if lm:
        model = read_model(lm, "word" if lexicon else "character")
        ngram = model if isinstance(model, NGram) else model.to_ngram()  # which says why it cannot
    return Reader(**plain, lexicon=lexicon, ngram=ngram, lm_weight=options.lm_weight)


def _read(reader: Any, level: str, picture: Any) -> _Found:
    if level == "page":
        page = reader.read_page(picture)
        return _Found(list(page.lines), page.layout.image, page.layout.angle)
    from fastctc.htr.preparation import grey

    read = reader.read_words if level == "word" else reader.read_lines
    return _Found(read([picture]), grey(picture), 0.0)


def _overlay(options: Namespace, found: _Found) -> None:
    from fastctc.htr.plotting import draw_overlay

    images.save(options.overlay, draw_overlay(found.seen, found.lines, options.min_confidence or 0.5))
