"""Matrices from files, and what is done with each: what the commands that read them share."""

import os
import re
import sys
from argparse import ArgumentParser, Namespace
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from fastctc.alphabet import Alphabet
from fastctc.commands.frame_files import Matrix, MatrixError, find_files, read_matrices
from fastctc.commands.progress import Progress
from fastctc.threads import Stop

Outcome = tuple[str, Any]  # the matrix's name, and what was made of it or the error


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help=".npy, .npz or .csv with a matrix (frames, classes) or a stack of them; a folder of such files; "
        "- for standard input",
    )
    characters = parser.add_mutually_exclusive_group(required=True)
    characters.add_argument(
        "--alphabet",
        metavar="FILE",
        help="the characters without the blank: text, all in one line or one a line, or JSON",
    )
    characters.add_argument("--chars", metavar="STR", help="the characters without the blank")
    parser.add_argument(
        "--blank", type=_class, metavar="N", help="class of the blank (default: the last, or as a vocabulary says)"
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--probs", action="store_true", help="the numbers are probabilities, not their logarithms")
    kind.add_argument("--logits", action="store_true", help="the numbers are scores before the softmax")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with everything that is known")
    parser.add_argument("--threads", type=int, metavar="N", help="default: the number of cores")


def alphabet(options: Namespace) -> Alphabet:
    if options.alphabet is not None:
        return Alphabet.load(options.alphabet, options.blank)
    if isinstance(options.blank, str):
        raise ValueError(f"--blank must be the number of a class beside --chars, got {options.blank}")
    return Alphabet(options.chars, -1 if options.blank is None else options.blank)


def _class(value: str) -> int | str:
    """A class by its number, or by its token in a vocabulary."""
    return int(value) if re.fullmatch(r"-?\d+", value) else value


def each_matrix(
    options: Namespace, work: Callable[[str, dict[str, Any]], Any], show: Callable[[str, Any], None]
) -> int:
    """Do the work with every matrix, by its name and what names its numbers, and show the results in the order of the
    input. What fails is reported and does not stop the others.

    Returns the exit status.
    """
    command = f"fastctc {options.command}"
    threads = _cores() if options.threads is None else options.threads
    if threads < 1:
        options.parser.error(f"threads must be 1 or more, got {threads}")
    kind = "probs" if options.probs else "logits" if options.logits else "log_probs"

    def attempt(matrix: Matrix) -> Outcome:
        try:
            return matrix.name, work(matrix.name, {kind: matrix.values})
        except (ValueError, OSError) as error:
            return matrix.name, error

    failed = 0
    files = list(find_files(options.files))
    with Progress(len(files), "files") as progress:
        for name, found in _in_order(files, attempt, threads, progress.step):
            with progress.paused():
                if isinstance(found, Exception):
                    failed += 1
                    print(f"{command}: {name}: {found}" if name else f"{command}: {found}", file=sys.stderr)
                else:
                    show(name, found)
    if not files:
        print(f"{command}: no .npy, .npz or .csv file in {', '.join(options.files)}", file=sys.stderr)
        return 1
    return 1 if failed else 0


def _in_order(
    files: list[str], work: Callable[[Matrix], Outcome], threads: int, step: Callable[[], None]
) -> Iterator[Outcome]:
    """Outcomes in the order of the input, as soon as they are known; a few matrices are read ahead for the threads."""
    waiting: deque[Future[Outcome] | Outcome] = deque()
    stop = Stop()
    pool = ThreadPoolExecutor(threads, initializer=stop.watch)
    try:
        for file in files:
            try:
                for matrix in read_matrices(file):
                    waiting.append(pool.submit(work, matrix) if threads > 1 else work(matrix))
                    while len(waiting) > 4 * threads or _is_done(waiting[0] if waiting else None):
                        yield _result(waiting.popleft())
            except MatrixError as error:
                waiting.append(("", error))
            step()
        while waiting:
            yield _result(waiting.popleft())
    finally:
        stop.set()  # after Ctrl-C, nothing is waited for
        pool.shutdown(wait=False, cancel_futures=True)


def _is_done(item: Future[Outcome] | Outcome | None) -> bool:
    return item is not None and (not isinstance(item, Future) or item.done())


def _result(item: Future[Outcome] | Outcome) -> Outcome:
    return item.result() if isinstance(item, Future) else item


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
