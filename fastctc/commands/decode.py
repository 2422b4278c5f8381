"""Decode matrices from files into text."""

import json
import math
import os
import sys
from argparse import ArgumentParser, Namespace
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from fastctc.alphabet import Alphabet
from fastctc.commands.progress import Progress
from fastctc.decoders import BeamSearch, BestPath, Decoder, LexiconSearch
from fastctc.hypothesis import Hypothesis
from fastctc.lexicon import Lexicon
from fastctc.matrices import Matrix, MatrixError, find_files, read_matrices

DECODERS = ("best-path", "beam-search", "lexicon")

Outcome = tuple[str, list[Hypothesis] | str]  # the matrix's name, and its hypotheses or what is wrong with it


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
    parser.add_argument("--blank", type=int, default=-1, metavar="N", help="class of the blank (default: the last)")
    parser.add_argument("--decoder", choices=DECODERS, default="beam-search", help="default: %(default)s")
    parser.add_argument("--words", metavar="FILE", help="the words for the decoder lexicon, one a line")
    parser.add_argument("--beam-width", type=int, default=25, metavar="N", help="default: %(default)s")
    parser.add_argument("--n-best", type=int, default=1, metavar="N", help="texts to show of each matrix (default: 1)")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--probs", action="store_true", help="the numbers are probabilities, not their logarithms")
    kind.add_argument("--logits", action="store_true", help="the numbers are scores before the softmax")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with everything that is known")
    parser.add_argument("--threads", type=int, metavar="N", help="default: the number of cores")


def run(options: Namespace) -> int:
    try:
        decoder = _decoder(options)
        threads = _cores() if options.threads is None else options.threads
        if threads < 1:
            raise ValueError(f"threads must be 1 or more, got {threads}")
    except (OSError, ValueError) as error:
        options.parser.error(str(error))
    kind = "probs" if options.probs else "logits" if options.logits else "log_probs"
    show = _show_json if options.json else _show_texts

    def work(matrix: Matrix) -> Outcome:
        try:
            return matrix.name, decoder.decode(**{kind: matrix.values})
        except ValueError as error:
            return matrix.name, str(error)

    failed = 0
    files = list(find_files(options.files))
    with Progress(len(files), "files") as progress:
        for name, found in _in_order(files, work, threads, progress.step):
            with progress.paused():
                if isinstance(found, str):
                    failed += 1
                    print(f"fastctc decode: {name}: {found}" if name else f"fastctc decode: {found}", file=sys.stderr)
                else:
                    show(name, found)
    if not files:
        print(f"fastctc decode: no .npy, .npz or .csv file in {', '.join(options.files)}", file=sys.stderr)
        return 1
    return 1 if failed else 0


def _decoder(options: Namespace) -> Decoder:
    if options.alphabet is not None:
        alphabet = Alphabet.load(options.alphabet, options.blank)
    else:
        alphabet = Alphabet(options.chars, options.blank)
    if (options.words is None) == (options.decoder == "lexicon"):
        raise ValueError("--words FILE goes with --decoder lexicon, and the other way round")
    if options.decoder == "best-path":
        if options.n_best != 1:
            raise ValueError(f"best path knows one text: --n-best must be 1, got {options.n_best}")
        return BestPath(alphabet)
    if options.decoder == "lexicon":
        return LexiconSearch(_lexicon(options.words, alphabet), n_best=options.n_best)
    return BeamSearch(alphabet, options.beam_width, n_best=options.n_best)


def _lexicon(file: str, alphabet: Alphabet) -> Lexicon:
    lexicon = Lexicon.from_file(file, alphabet, unknown="skip")
    if lexicon.skipped:
        some = ", ".join(lexicon.skipped[:5])
        print(
            f"fastctc decode: {file}: {len(lexicon.skipped)} words are left out, for characters that are not in the "
            f"alphabet: {some}{', …' if len(lexicon.skipped) > 5 else ''}",
            file=sys.stderr,
        )
    return lexicon


def _in_order(
    files: list[str], work: Callable[[Matrix], Outcome], threads: int, step: Callable[[], None]
) -> Iterator[Outcome]:
    """Outcomes in the order of the input, as soon as they are known; a few matrices are read ahead for the threads."""
    waiting: deque[Future[Outcome] | Outcome] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for file in files:
            try:
                for matrix in read_matrices(file):
                    waiting.append(pool.submit(work, matrix) if threads > 1 else work(matrix))
                    while len(waiting) > 4 * threads or _is_done(waiting[0] if waiting else None):
                        yield _result(waiting.popleft())
            except MatrixError as error:
                waiting.append(("", str(error)))
            step()
        while waiting:
            yield _result(waiting.popleft())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _is_done(item: Future[Outcome] | Outcome | None) -> bool:
    return item is not None and (not isinstance(item, Future) or item.done())


def _result(item: Future[Outcome] | Outcome) -> Outcome:
    return item.result() if isinstance(item, Future) else item


def _show_texts(name: str, found: list[Hypothesis]) -> None:
    for hypothesis in found:
        print(name, f"{hypothesis.log_prob:.4f}", hypothesis.text, sep="\t", flush=True)


def _show_json(name: str, found: list[Hypothesis]) -> None:
    hypotheses = [
        {key: _finite(value) for key, value in h._asdict().items()} | {"words": [w._asdict() for w in h.words]}
        for h in found
    ]
    print(json.dumps({"name": name, "hypotheses": hypotheses}, ensure_ascii=False), flush=True)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
