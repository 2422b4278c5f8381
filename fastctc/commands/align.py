"""Find the frames of each character and word of known texts in matrices from files."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from fastctc.align import FORMATS, Alignment, Passage, as_format, forced_align
from fastctc.commands import inputs
from fastctc.commands.progress import Percent
from fastctc.commands.refusals import refuse

PARTS = ("characters", "words", "sentences")


def add_arguments(parser: ArgumentParser) -> None:
    inputs.add_arguments(parser)
    texts = parser.add_mutually_exclusive_group()
    texts.add_argument("--text", metavar="STR", help="the text of all matrices, or a file NAME.txt that holds it")
    texts.add_argument(
        "--texts", metavar="FOLDER", help="where the texts are, NAME.txt for NAME.npy (default: beside each file)"
    )
    parser.add_argument("--characters", action="store_true", help="show the characters, not the words")
    parser.add_argument("--frame-seconds", type=float, metavar="S", help="duration of a frame, for times in seconds")
    parser.add_argument("--format", choices=FORMATS, help="subtitles, labels or tables; needs --frame-seconds")
    prices = parser.add_argument_group("what the text does not say", "prices in nats; 2 suits most networks")
    prices.add_argument("--star", type=float, metavar="PRICE", help="what a frame costs in a word * of the text")
    prices.add_argument("--skip-text", type=float, metavar="PRICE", help="what a character costs of words left out")
    prices.add_argument("--skip-audio", type=float, metavar="PRICE", help="what a frame costs that is not in the text")
    prices.add_argument(
        "--alternatives", metavar="FILE", help="JSON: other forms of words, a string or a list of them for each"
    )
    parser.add_argument("--prove", action="store_true", help="search as widely as it takes to prove the alignment")


def run(options: Namespace) -> int:
    if options.format is not None and options.frame_seconds is None:
        options.parser.error("--format needs --frame-seconds, the duration of a frame")
    if options.format is not None and (options.json or options.characters):
        options.parser.error("--format goes without --json and --characters")
    try:
        alphabet = inputs.alphabet(options)
        alternatives = None if options.alternatives is None else read_alternatives(Path(options.alternatives))
    except (OSError, ValueError) as error:
        refuse(options, error)

    def work(name: str, frames: dict[str, Any]) -> Alignment:
        return forced_align(
            text=text_of(name, options),
            alphabet=alphabet,
            frame_seconds=options.frame_seconds,
            star=options.star,
            skip_text=options.skip_text,
            skip_audio=options.skip_audio,
            alternatives=alternatives,
            prove=options.prove,
            progress=Percent(name),
            **frames,
        )

    def show(name: str, found: Alignment) -> None:
        if options.format is not None:
            print(as_format(found, options.format, Path(name).stem), end="", flush=True)
            return
        if options.json:
            segments = {part: [s._asdict() for s in getattr(found, part)] for part in PARTS}
            print(json.dumps({"name": name, **found._asdict(), **segments}, ensure_ascii=False), flush=True)
            return
        for segment in found.characters if options.characters else found.words:
            missing = ["missing"] if isinstance(segment, Passage) and segment.missing else []
            columns = segment.first, segment.last, f"{segment.probability:.4f}", segment.text, *missing
            print(name, *columns, sep="\t", flush=True)

    return inputs.each_matrix(options, work, show)


def read_alternatives(path: Path) -> dict[str, Any]:
    """Other forms of words, from a file of JSON.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or does not map words to strings or lists of strings.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: must be JSON: {error}") from None
    lists = [forms if isinstance(forms, list) else [forms] for forms in getattr(found, "values", list)()]
    if not isinstance(found, dict) or not all(isinstance(form, str) for forms in lists for form in forms):
        raise ValueError(f"{path}: must map words to strings or lists of strings")
    return found


def text_of(name: str, options: Namespace) -> str:
    """The known text of a matrix."""
    if options.text is not None and not (options.text.endswith(".txt") and Path(options.text).is_file()):
        return str(options.text)
    if options.text is None and name.endswith("]"):
        raise ValueError("a file with several matrices needs --text, the text of all of them")
    path = Path(name).with_suffix(".txt") if options.text is None else Path(options.text)
    if options.texts is not None:
        path = Path(options.texts) / path.name
    try:
        return path.read_bytes().decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8 text: {error}") from None
