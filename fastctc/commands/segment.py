"""Cut pages into lines or words: an image for each, and a table that says where it was."""

import csv
import io
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from fastctc import storage
from fastctc.commands.output_names import OutputNames
from fastctc.commands.progress import Progress
from fastctc.imaging import images

COLUMNS = ("image", "page", "line", "word", "left", "top", "right", "bottom")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="pages (PNG, JPEG, TIFF, ...), PDF, or folders of them"
    )
    parser.add_argument(
        "--out", required=True, metavar="FOLDER", help="where the images and boxes.tsv, the table of their places, go"
    )
    parser.add_argument("--level", choices=("line", "word"), default="line", help="default: line")
    parser.add_argument(
        "--margin", type=float, default=0.25, metavar="M", help="paper around each, in x-heights (default: 0.25)"
    )
    parser.add_argument(
        "--overlay", action="store_true", help="also the straightened pages, with the boxes drawn on them"
    )


def run(options: Namespace) -> int:
    from fastctc.htr.preparation import grey
    from fastctc.imaging.segmentation import segment_page

    if not 0 <= options.margin <= 10:
        options.parser.error(f"--margin must be between 0 and 10, got {options.margin}")
    out = Path(options.out)
    files = list(images.find(options.files, images.DOCUMENTS, options.out))
    names = OutputNames(options.files, files, out)
    rows: list[tuple[Any, ...]] = []
    failed = 0
    with Progress(len(files), "files") as progress:
        for file in files:
            try:
                for number, picture in enumerate(images.read_all(file), 1):
                    layout = segment_page(grey(picture))
                    rows += _cut(layout, names, names.name(file, number), names.source(file, number), options)
            except (OSError, ValueError, ImportError, MemoryError) as error:
                failed += 1
                with progress.paused():
                    print(f"fastctc segment: {file}: {error}", file=sys.stderr)
            progress.step()
    if rows:
        _table(out / "boxes.tsv", rows)
    elif not failed:
        print("fastctc segment: there is no writing", file=sys.stderr)
    return 1 if failed or not rows else 0


def _cut(layout: Any, names: OutputNames, name: Path, page: str, options: Namespace) -> list[tuple[Any, ...]]:
    margin = round(options.margin * layout.x_height)
    height, width = layout.image.shape
    rows: list[tuple[Any, ...]] = []
    for number, line in enumerate(layout.lines, 1):
        pieces = [(0, line.box)] if options.level == "line" else list(enumerate(line.words, 1))
        for word, b in pieces:
            own = f"{name.name}_{number:03d}.png" if not word else f"{name.name}_{number:03d}_{word:02d}.png"
            file = name.with_name(own)
            left, top = max(0, b.left - margin), max(0, b.top - margin)
            right, bottom = min(width, b.right + margin), min(height, b.bottom + margin)
            images.save(names.place(file), layout.image[top:bottom, left:right])
            rows.append((file.as_posix(), page, number, word or "", b.left, b.top, b.right, b.bottom))
    if options.overlay:
        from fastctc.htr.plotting import draw_boxes

        images.save(names.place(name.with_name(f"{name.name}_boxes.png")), draw_boxes(layout.image, layout.lines))
    return rows


def _table(place: Path, rows: list[tuple[Any, ...]]) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows([COLUMNS, *rows])
    storage.write_text(place, text.getvalue())
