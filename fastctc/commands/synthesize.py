"""Show handwriting rendered from fonts and texts: a sheet, or a folder of images with their texts."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from fastctc import storage
from fastctc.commands.progress import Progress
from fastctc.commands.refusals import refuse
from fastctc.imaging import images


def add_arguments(parser: ArgumentParser) -> None:
    add_source(parser)
    parser.add_argument("--count", type=int, default=24, metavar="N", help="how many examples (default: 24)")
    parser.add_argument("--plain", action="store_true", help="as rendered, without what training does to them")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, other examples")
    parser.add_argument(
        "--out", required=True, metavar="FILE|FOLDER", help="a sheet (.png), or a folder for images and texts.tsv"
    )


def add_source(parser: ArgumentParser) -> None:
    """What to render: also for training."""
    parser.add_argument("--fonts", metavar="FOLDER", help="fonts (.ttf, .otf, .woff2)")
    parser.add_argument(
        "--fetch-fonts", action="store_true", help="first fill that folder with open handwriting fonts, by npm"
    )
    parser.add_argument("--text", nargs="+", default=[], metavar="FILE", help="text files from which words are taken")
    parser.add_argument("--most-words", type=int, default=7, metavar="N", help="of an example (default: 7)")


def run(options: Namespace) -> int:
    from fastctc.htr.config import CHARACTERS
    from fastctc.htr.distortion import distort

    if not options.fonts or not options.text:
        options.parser.error("--fonts and --text are needed")
    if options.count < 1:
        options.parser.error(f"--count must be 1 or more, got {options.count}")
    if options.seed < 0:
        options.parser.error(f"--seed must be 0 or more, got {options.seed}")
    out = Path(options.out)
    sheet = out.suffix.lower() in images.ENDINGS
    if not sheet and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        options.parser.error(f"--out must be a picture, or an empty folder, so that nothing is mixed up; got {out}")
    try:
        made = synthesizer(options, CHARACTERS, options.seed)
    except (OSError, ValueError, RuntimeError) as error:
        refuse(options, error)
    rng = np.random.default_rng(options.seed)
    rows, texts = [], []
    if not sheet:
        out.mkdir(parents=True, exist_ok=True)
    with Progress(options.count, "images") as progress:
        for number in range(options.count):
            ink, text = made.sample(number)
            paper = 255 - (ink if options.plain else distort(ink, ink.shape[0], rng))
            if sheet:
                rows.append(paper)
            else:
                images.save(out / f"{number:06}.png", paper)
            texts.append((f"{number:06}.png", text))
            progress.step()
    if sheet:
        width = min(1600, max(row.shape[1] for row in rows))
        page = np.full((sum(row.shape[0] + 8 for row in rows), width), 255, np.uint8)
        y = 0
        for row in rows:
            page[y : y + row.shape[0], : row.shape[1]] = row[:, :width]
            y += row.shape[0] + 8
        images.save(out, page)
    else:
        storage.write_text(out / "texts.tsv", "".join(f"{name}\t{text}\n" for name, text in texts))
    print(f"{options.count} examples in {out}", file=sys.stderr)
    return 0


def synthesizer(options: Namespace, characters: str, seed: int, hold_out: int = 0, held_out: bool = False):  # type: ignore[no-untyped-def]
    """The source of examples that the options describe; every ``hold_out``-th font is left out, or is all there is."""
    from fastctc.htr import fonts, synthesis

    if options.fetch_fonts:
        print(f"fetching {len(fonts.packages())} handwriting fonts into {options.fonts} ...", file=sys.stderr)
        fonts.install(options.fonts)
    try:
        found = fonts.find(options.fonts)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}; --fetch-fonts fills one with open handwriting fonts") from None
    if hold_out and len(found) > 1:
        found = [f for i, f in enumerate(found) if (i % hold_out == hold_out // 2) == held_out] or found
    texts = synthesis.read_texts(options.text)
    words = (1, 1) if held_out else (1, options.most_words)
    return synthesis.Synthesizer(found, texts, characters, words=words, seed=seed)
