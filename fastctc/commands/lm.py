"""Train a language model from text, ask it, prune it, or convert it."""

import sys
from argparse import ArgumentParser, Namespace
from math import exp, log
from pathlib import Path

from fastctc.commands.progress import Progress
from fastctc.commands.refusals import in_one_line
from fastctc.lm.kenlm import KenLM, is_kenlm
from fastctc.lm.ngram import NGram

READ = ".arpa, .arpa.gz, a binary file of KenLM, or fastctc's own format; - for ARPA from standard input"


def add_arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    train = actions.add_parser("train", help="count the n-grams of text files", description="Train a model from text.")
    train.add_argument("files", nargs="+", metavar="FILE", help="UTF-8 text; - for standard input")
    train.add_argument("--output", "-o", required=True, metavar="FILE", help=".arpa, .arpa.gz, or fastctc's own format")
    train.add_argument("--order", type=int, default=3, metavar="N", help="length of the n-grams (default: %(default)s)")
    train.add_argument("--unit", choices=("word", "character"), default="word", help="default: %(default)s")
    train.add_argument(
        "--smoothing", choices=("kneser-ney", "add-k"), default="kneser-ney", help="default: %(default)s"
    )
    train.add_argument("--k", type=float, default=1.0, metavar="K", help="for add-k (default: %(default)s)")
    lines = train.add_mutually_exclusive_group()
    lines.add_argument(
        "--sentences", action="store_true", default=None, help="each line is a sentence (default for words)"
    )
    lines.add_argument("--running", dest="sentences", action="store_false", help="the text runs on over lines")
    query = actions.add_parser("query", help="weigh sentences", description="Weigh the lines of a text.")
    query.add_argument("model", metavar="MODEL", help=READ)
    query.add_argument("files", nargs="+", metavar="FILE", help="UTF-8 text, a sentence a line; - for standard input")
    convert = actions.add_parser(
        "convert", help="to fastctc's own format, ARPA, or KenLM's hash tables", description="Convert a model."
    )
    convert.add_argument("model", metavar="MODEL", help=READ)
    convert.add_argument(
        "output", metavar="FILE", help=".arpa, .arpa.gz, .bin or .binary (KenLM's hash tables), or fastctc's own format"
    )
    prune = actions.add_parser(
        "prune",
        help="leave out n-grams that change the model little",
        description="Leave out the n-grams without which the perplexity grows by less than a share of T each.",
    )
    prune.add_argument("model", metavar="MODEL", help=READ)
    prune.add_argument("output", metavar="FILE", help="as of convert")
    prune.add_argument("--threshold", type=float, required=True, metavar="T", help="such as 1e-7; more leaves out more")
    for action in (convert, prune):
        action.add_argument(
            "--bits", type=int, choices=(8, 16), help="round values, for small files in fastctc's own format"
        )
    for action in (query, convert, prune):
        action.add_argument(
            "--unit", choices=("word", "character"), default="word", help="of an ARPA file (%(default)s)"
        )


def run(options: Namespace) -> int:
    try:
        if options.action == "train":
            text = "\n".join(map(read_text, options.files))
            model = NGram.train(
                text,
                options.order,
                unit=options.unit,
                smoothing=options.smoothing,
                k=options.k,
                sentences=options.sentences,
            )
            _write(model, options.output, options.unit)
        elif options.action == "convert":
            _write(read_model(options.model, options.unit), options.output, options.unit, options.bits)
        elif options.action == "prune":
            read = read_model(options.model, options.unit)
            whole = read.to_ngram() if isinstance(read, KenLM) else read
            _write(whole.prune(options.threshold), options.output, options.unit, options.bits)
        else:
            _query(options)
    except (OSError, ValueError) as error:
        print(f"fastctc lm {options.action}: {in_one_line(error)}", file=sys.stderr)
        return 1
    return 0


def read_model(file: str, unit: str) -> NGram | KenLM:
    """A model in any format. KenLM's tries are listed.

    How far an ARPA file has been read is told on standard error, if that is a terminal.
    """
    if file == "-" or file.endswith((".arpa", ".arpa.gz")):
        with Progress(0, "n-grams") as progress:
            return NGram.from_arpa(sys.stdin.buffer if file == "-" else file, unit=unit, progress=progress.reach)
    if not is_kenlm(file):
        return NGram.load(file)
    model = KenLM.load(file)
    return model if model.tables.hashed else model.to_ngram()


def _write(model: NGram | KenLM, file: str, unit: str, bits: int | None = None) -> None:
    if bits is not None and file.endswith((".arpa", ".arpa.gz", ".bin", ".binary")):
        raise ValueError(f"--bits is for fastctc's own format, not for {file}")
    if isinstance(model, KenLM):
        model = model.to_ngram()
    if file.endswith((".arpa", ".arpa.gz")):
        model.to_arpa(file)
    elif file.endswith((".bin", ".binary")) and unit == "word":
        KenLM.from_ngram(model).save(file)
    else:
        model.save(file, bits=bits)
    print(f"{file}: {len(model)} n-grams of {len(model.vocabulary)} tokens, order {model.order}", file=sys.stderr)


def _query(options: Namespace) -> None:
    asked = options.model != "-" and is_kenlm(options.model)
    model = KenLM.load(options.model) if asked else read_model(options.model, options.unit)
    total, n_tokens, n_unknown = 0.0, 0, 0
    ends = "</s>" in model
    for file in options.files:
        for line in read_text(file).splitlines():
            values = model.log_probs_of(line, end=ends)
            tokens = line.split() if model.unit == "word" else list(line)
            if not tokens:
                continue
            total += sum(values)
            n_tokens += len(values)
            n_unknown += sum(token not in model for token in tokens)
            print(f"{sum(values) / log(10):.4f}\t{line}", flush=True)
    if n_tokens:
        print(f"perplexity {exp(-total / n_tokens):.2f}, {n_tokens} tokens, {n_unknown} unknown", file=sys.stderr)


def read_text(file: str) -> str:
    """A UTF-8 text, or standard input."""
    content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{file}, line {line}: the text must be UTF-8: {error}") from None
