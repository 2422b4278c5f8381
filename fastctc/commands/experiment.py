"""Look inside the handwriting network: pixel relevance, edits, translation, padding, pooling; or all on one page."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from fastctc.commands.refusals import in_one_line


def add_arguments(parser: ArgumentParser) -> None:
    from fastctc.htr.experiments import NAMES

    parser.add_argument("name", choices=("all", *NAMES), metavar="NAME", help=f"all, {', '.join(NAMES)}")
    parser.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        help="where results, pictures and report.html go; what is there is not done again",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a look in about a minute: coarse, networks hardly trained"
    )
    parser.add_argument(
        "--image", metavar="FILE", help="your own image of a word, for relevance, edits and translation"
    )
    parser.add_argument("--text", metavar="STR", help="what the image says (needed with --image)")
    parser.add_argument("--weights", metavar="FILE", help="a network that fastctc train made")
    parser.add_argument(
        "--character", type=int, metavar="N", help="explain this character of the text (0 is the first), not all of it"
    )
    parser.add_argument(
        "--prior",
        choices=("histogram", "uniform", "paper"),
        default="histogram",
        help="what an unknown pixel may be: as the image has it, anything alike, or paper (occlusion; see --patch)",
    )
    parser.add_argument("--patch", type=int, metavar="N", help="explain squares of N x N pixels (default: 1)")


def run(options: Namespace) -> int:
    from dataclasses import replace

    from fastctc.htr.experiments import NAMES, report
    from fastctc.htr.reader import Reader

    if (options.image is None) != (options.text is None):
        options.parser.error("--image and --text belong together")
    effort = report.QUICK if options.quick else report.FULL
    if options.patch is not None:
        if options.patch < 1:
            options.parser.error(f"--patch must be 1 or more, got {options.patch}")
        effort = replace(effort, patch=options.patch)
    if options.character is not None:
        text = options.text or effort.word
        if not 0 <= options.character < len(text):
            options.parser.error(f"--character must be one of the {len(text)} of {text!r}, got {options.character}")
    effort = replace(effort, character=options.character, prior=options.prior)
    names = NAMES if options.name == "all" else (options.name,)
    try:
        reader = Reader(weights=options.weights)
        image = _image(options.image) if options.image else None
        if options.text is not None:
            reader.alphabet.encode(options.text)
        page = report.run(
            names, Path(options.out), reader=reader, effort=effort, image=image, text=options.text,
            report=lambda line: print(line, file=sys.stderr, flush=True),
        )  # fmt: skip
    except (OSError, ValueError, ImportError) as error:
        print(f"fastctc experiment: {in_one_line(error)}", file=sys.stderr)
        return 1
    print(page)
    return 0


def _image(file: str) -> Any:
    """The user's image, or an error that names it."""
    from fastctc.imaging import images

    try:
        return images.read(file)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
