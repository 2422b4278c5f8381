"""Settle doubtful words of a folder of scans on a local page; `fastctc train --from-review` learns from them."""

import asyncio
import errno
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import fastctc
from fastctc.commands import read
from fastctc.commands.refusals import refuse
from fastctc.commands.summary import settings_digest

DOUBTFUL = 0.5
ALTERNATIVES = 8
SETTINGS = ("network", "lm_weight", "n_views", "language")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "folder", metavar="FOLDER", help="of scans: what is said of them is written beside them, at once"
    )
    read.add_reader(parser)
    parser.add_argument(
        "--min-confidence",
        type=float,
        default=DOUBTFUL,
        metavar="P",
        help=f"words that are less sure are doubts, 0 to 1 (default: {DOUBTFUL})",
    )
    parser.add_argument("--port", type=int, metavar="N", help="of this machine (default: 8423, or one that is free)")
    parser.add_argument("--no-browser", action="store_true", help="print the address, and open nothing")


def run(options: Namespace) -> int:
    from fastctc.htr.review.folder import Folder, Reading
    from fastctc.htr.review.server import PORT, Server

    read.check_reader(options)
    root = Path(options.folder)
    if not root.is_dir():
        refuse(options, NotADirectoryError(errno.ENOTDIR, "must be a folder of scans", options.folder))
    if options.port is not None and not 0 <= options.port <= 65535:
        options.parser.error(f"--port must be 0 to 65535, got {options.port}")

    def reading(weights: Path | None) -> Reading:
        asked = Namespace(**vars(options))
        if weights is not None and not options.weights and not options.network:
            asked.weights = str(weights)
        return Reading(read.make_reader(asked, n_alternatives=ALTERNATIVES), _digest(asked))

    try:
        folder = Folder(root, reading, options.min_confidence)
        server = _server(Server, folder, options.port, PORT)
    except (OSError, ValueError, ImportError) as error:
        refuse(options, error)
    if not folder.scans:
        print("fastctc review: there are no images", file=sys.stderr)
        return 1
    print(server.url, flush=True)
    print(f"{len(folder.scans)} scans; Ctrl-C ends it", file=sys.stderr)
    if not options.no_browser:
        import webbrowser

        webbrowser.open(server.url)
    folder.start()
    try:
        asyncio.run(server.run(asyncio.Event()))
    except KeyboardInterrupt:
        print("what was said is saved", file=sys.stderr)
    finally:
        folder.stop()
    return 0


def _server(make: Any, folder: Any, port: int | None, usual: int) -> Any:
    """On the port that is asked for, or the usual one, or one that is free."""
    if port is not None:
        return make(folder, port)
    try:
        return make(folder, usual)
    except OSError:
        return make(folder, 0)


def _digest(options: Namespace) -> str:
    """Another one for other weights, models or settings."""
    from fastctc.htr.reader import shipped_weights

    asked = [*(getattr(options, name) for name in SETTINGS), options.lm == read.WITHOUT]
    used = [options.weights or shipped_weights(), options.words, read.lm_file(options)]
    return settings_digest([fastctc.__version__, *asked], used)
