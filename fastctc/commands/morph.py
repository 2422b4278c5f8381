"""Erode and dilate images: make strokes thinner or thicker, remove specks and rules, flatten paper."""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import numpy as np

from fastctc.commands.progress import Progress
from fastctc.imaging import footprints, images, morphology

OPERATIONS = {
    "erode": morphology.erosion,
    "dilate": morphology.dilation,
    "open": morphology.opening,
    "close": morphology.closing,
    "gradient": morphology.gradient,
    "white-tophat": morphology.white_tophat,
    "black-tophat": morphology.black_tophat,
}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("operation", choices=OPERATIONS, help="what is bright grows with dilate and shrinks with erode")
    parser.add_argument("input", metavar="IN", help="an image (PNG, JPEG, TIFF, ...) or a folder of them")
    parser.add_argument("output", metavar="OUT", help="an image, or a folder if IN is one")
    parser.add_argument(
        "--footprint", default="3", metavar="F",
        help="5, 3x7 (rows x columns), disk:5, diamond:2, cross:1, line:9:45, or an image whose bright pixels are the "
        "footprint (default: 3)",
    )  # fmt: skip
    parser.add_argument("--iterations", type=int, default=1, metavar="N", help="how often (default: 1)")
    parser.add_argument("--border", default="ignore", metavar="B", help="ignore, edge, reflect, or a grey value")
    parser.add_argument("--backend", default="compiled", help="compiled, reference, opencl:cpu, opencl:gpu, ...")


def run(options: Namespace) -> int:
    try:
        footprint = _footprint(options.footprint)
        border = options.border if options.border in ("ignore", "edge", "reflect") else float(options.border)
        if options.iterations < 0:
            raise ValueError(f"iterations must be 0 or more, got {options.iterations}")
        morphology.erosion(np.zeros((1, 1), np.uint8), footprint, backend=options.backend)
    except ValueError as error:
        options.parser.error(str(error))
    except (LookupError, ImportError, RuntimeError) as error:  # no device that computes
        print(f"fastctc morph: {error}", file=sys.stderr)
        return 1
    source, target = Path(options.input), Path(options.output)
    folder = source.is_dir()
    files = list(images.find([source], out=target))
    failed = 0
    if folder and not files:
        print(f"fastctc morph: {source}: there are no images in this folder", file=sys.stderr)
        return 1
    with Progress(len(files), "images") as progress:
        for file in files:
            to = target / file.relative_to(source) if folder else target
            try:
                image = images.read(file)
                work: Any = OPERATIONS[options.operation]
                done = work(
                    image, footprint, iterations=options.iterations, border=border, backend=options.backend,
                    **({"channel_axis": 2} if image.ndim == 3 else {}),
                )  # fmt: skip
                to.parent.mkdir(parents=True, exist_ok=True)
                images.save(to, done)
            except (OSError, ValueError, TypeError, LookupError) as error:
                failed += 1
                with progress.paused():
                    print(f"fastctc morph: {file}: {error}", file=sys.stderr)
            progress.step()
    return 1 if failed else 0


def _footprint(text: str) -> np.ndarray:
    if Path(text).suffix.lower() in images.ENDINGS:
        image = images.read(text)
        return footprints.as_mask(image.reshape(*image.shape[:2], -1)[..., 0] > image.max() // 2)
    return footprints.parse(text)
