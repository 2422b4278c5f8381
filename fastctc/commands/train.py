"""Train the handwriting network on your own images, on handwriting made of fonts, or on both."""

import sys
import zlib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastctc.commands import chatter
from fastctc.commands.progress import Progress
from fastctc.commands.refusals import in_one_line
from fastctc.commands.synthesize import add_source, synthesizer

SHIPPED = "latin"  # the name of the weights in the package
FROM_NOTHING = {"steps": 4000, "columns": 18_000, "learning_rate": 2e-3, "validate_every": 250}
FROM_REVIEW = {
    "steps": 300,
    "columns": 6000,
    "learning_rate": 3e-4,
    "validate_every": 50,
    "warm_up": 30,
    "short": 0,
    "keep_norms": True,
}
REVIEW_VAL = 0.2  # share of the lines of a review to validate on
FROM_WEIGHTS = {"steps": 800, "columns": 9000, "learning_rate": 5e-4, "validate_every": 100, "warm_up": 50, "short": 0}
HOLD_OUT = 7  # every seventh font is for validation only


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--data", nargs="+", default=[], metavar="PATH", help="folders or tables of images and texts")
    parser.add_argument(
        "--from-review",
        metavar="FOLDER",
        help="scans of fastctc review: learn from what was settled there, beginning with what the review reads with, "
        "and let it read on with the result if that reads the lines held out better",
    )
    parser.add_argument(
        "--validate", nargs="+", default=[], metavar="PATH", help="others to validate on (default: a share of --data)"
    )
    parser.add_argument(
        "--val",
        type=float,
        metavar="P",
        help="share of --data to validate on, by page or writer, or else by line (default: 0.1; another tenth is left "
        f"for a test); of a review's lines (default: {REVIEW_VAL})",
    )
    add_source(parser)
    parser.add_argument(
        "--synthetic", type=int, default=30_000, metavar="N", help="how many examples to render once (default: 30000)"
    )
    parser.add_argument(
        "--mix",
        type=float,
        default=0.5,
        metavar="P",
        help="share of rendered images if there are others too (default: 0.5)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="where weights, curves and the state go; a run that is there is continued (--from-review has a place)",
    )
    parser.add_argument("--init", metavar="FILE", help=f"begin with these weights; {SHIPPED}: those that come along")
    parser.add_argument(
        "--model",
        choices=("default", "simple"),
        help="of a new network; simple: the classic 128 x 32 network for words",
    )
    parser.add_argument("--units", type=int, metavar="N", help="of each LSTM of a new network: fewer are faster")
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="default: 4000; with --init 800, some ten minutes on two cores; from a review 300",
    )
    parser.add_argument(
        "--columns", type=int, metavar="N", help="columns of images in a batch (default: 18000, with --init 9000)"
    )
    parser.add_argument(
        "--learning-rate", type=float, metavar="R", help="at its highest (default: 0.002, with --init 0.0005)"
    )
    parser.add_argument(
        "--patience",
        type=int,
        default=0,
        metavar="N",
        help="stop after N validations without progress (default: never)",
    )
    parser.add_argument("--validate-every", type=int, metavar="N", help="steps (default: 250, with --init 100)")
    parser.add_argument(
        "--unknown",
        choices=("skip", "remove"),
        default="skip",
        help="texts with characters that the network cannot write: leave them out, or those characters (default: skip)",
    )
    parser.add_argument("--seed", type=int, default=0)


def run(options: Namespace) -> int:
    from fastctc.htr.checkpoint import load_network
    from fastctc.htr.config import Config
    from fastctc.htr.model import keras
    from fastctc.htr.reader import shipped_weights
    from fastctc.htr.samples import Samples
    from fastctc.htr.train import Settings, Source, train

    if options.from_review:
        _begin_with_a_review(options)
    if not options.data and not (options.fonts and options.text):
        options.parser.error("there must be something to train on: --data, --from-review, or --fonts and --text")
    if not options.out:
        options.parser.error("--out is missing: where weights, curves and the state go")
    if options.val is None:
        options.val = REVIEW_VAL if options.from_review else 0.1
    if bool(options.fonts) != bool(options.text):
        options.parser.error("--fonts and --text belong together: what is rendered is a text in a font")
    if options.fetch_fonts and not options.fonts:
        options.parser.error("--fetch-fonts fills the folder of --fonts: name one")
    if options.init and (options.model or options.units is not None):
        options.parser.error("--init begins with a network as it is: it goes without --model and --units")
    if options.units is not None and options.units < 1:
        options.parser.error(f"--units must be 1 or more, got {options.units}")
    if options.validate and not options.data:
        options.parser.error("--validate goes with --data: what is rendered has fonts of its own to validate on")
    if not 0 < options.val <= 0.9:
        options.parser.error(f"--val must be above 0 and at most 0.9, got {options.val}")
    if not 0 <= options.mix <= 1:
        options.parser.error(f"--mix must be between 0 and 1, got {options.mix}")
    out = Path(options.out)
    try:
        initial = None
        card: dict[str, Any] = {}
        config = Config.simple() if options.model == "simple" else Config()
        if options.units:
            config = replace(config, units=(options.units,) * len(config.units))
        if options.init:
            config, initial, card = load_network(shipped_weights() if options.init == SHIPPED else options.init)
        usual = FROM_REVIEW if options.from_review else FROM_WEIGHTS if options.init else FROM_NOTHING
        asked = {name: getattr(options, name) for name in usual if getattr(options, name, None) is not None}
        settings = Settings(**{**usual, **asked}, patience=options.patience, seed=options.seed)
        if options.init and options.data and not options.fonts and not options.from_review:
            print("what the weights know may be forgotten: --fonts and --text mix rendered text in", file=sys.stderr)
        sources, validation = [], []
        if options.data:
            parts = _data(options, config)
            print(f"{len(parts['train'])} images to train on, {len(parts['val'])} to validate", file=sys.stderr)
            sources.append(Source(parts["train"], 1 - options.mix if options.fonts else 1.0))
            validation.append(parts["val"])
        if options.fonts and options.text:
            rendered = _rendered(options, config, "train", options.synthetic, held_out=False)
            sources.append(Source(rendered, options.mix if options.data else 1.0))
            validation.append(_rendered(options, config, "val", 300, held_out=True))
        together = Samples.collect((s.image(i), s.texts[i], s.groups[i]) for s in validation for i in range(len(s)))
        if not len(together):
            raise ValueError("there must be images to validate on, but none of the data says that it is for that")
        with chatter.hidden():
            keras()
        best = train(config, settings, sources, together, out, initial)
        if options.from_review:
            assert initial is not None
            best = _let_it_read(options, best, validation[0], initial, card)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        print(f"fastctc train: {in_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("the same command goes on from there", file=sys.stderr)
        return 130
    print(best)
    return 0


def _begin_with_a_review(options: Namespace) -> None:
    """Set what follows from the folder of a review."""
    from fastctc.htr.review.folder import WEIGHTS
    from fastctc.htr.review.transcript import ENDING

    if options.data or options.validate:
        options.parser.error("--from-review has images of its own: it goes without --data and --validate")
    if options.model or options.units is not None:
        options.parser.error("--from-review begins with a network as it is: it goes without --model and --units")
    folder = Path(options.from_review)
    files = sorted(file for file in folder.rglob(f"*{ENDING}") if not file.name.startswith("."))
    if not files:
        options.parser.error(f"nothing has been settled in {folder}: fastctc review {folder} comes first")
    options.data = [str(file) for file in files]
    there = folder / WEIGHTS
    options.init = options.init or (str(there) if there.exists() else SHIPPED)
    if not options.out:
        # Other corrections are another run; the same command goes on with the one that was stopped.
        state = repr([(str(file), file.read_bytes()) for file in files] + [options.init, _version(there)]).encode()
        options.out = str(folder / ".review-training" / f"{zlib.crc32(state):08x}")


def _let_it_read(options: Namespace, best: Path, held_out: Any, initial: dict[str, Any], card: dict[str, Any]) -> Path:
    """Say what was gained on the lines held out, and give the review the weights if it is anything."""
    from fastctc.htr.checkpoint import load_network, save_network
    from fastctc.htr.review.folder import WEIGHTS
    from fastctc.htr.train import blended

    config, trained, found = load_network(best)
    blend = blended(config, initial, trained, held_out)
    before, after = blend.before.cer, blend.after.cer
    print(f"CER on {len(held_out)} lines held out: {before:.1%} before, {after:.1%} after", file=sys.stderr)
    if after >= before:
        print("that is not better: the review reads on as before", file=sys.stderr)
        return best
    print(f"{blend.share:.0%} of the way from the weights before, so that less is forgotten", file=sys.stderr)
    place = Path(options.from_review) / WEIGHTS
    # How sure the network is has hardly changed, so that what was fitted to it is the best that there is.
    kept = {name: card[name] for name in ("temperature", "confidence") if name in card}
    save_network(place, config, blend.weights, found | kept | {"cer": after, "share": blend.share})
    print(f"the review reads on with {place}", file=sys.stderr)
    return place


def _data(options: Namespace, config: Any) -> dict[str, Any]:
    """The user's images, prepared once and kept."""
    from fastctc.htr import data
    from fastctc.htr.samples import Samples

    items, problems = [], []
    places = [*options.data, *options.validate]
    for path in places:
        found, bad = data.read(path, places)
        if options.validate:
            found = [replace(item, split="val" if path in options.validate else "train") for item in found]
        items += found
        problems += bad
    items, strange = data.known_texts(items, config.characters, options.unknown)
    key = zlib.crc32(repr([options.val, [(item, *_version(item.image)) for item in items]]).encode())
    cache = Path(options.out) / "cache"
    files = {part: cache / f"data-{key:08x}-{part}.samples" for part in ("train", "val")}
    if not all(file.exists() for file in files.values()):
        if any(cache.glob("data-*.samples")):
            print("the images or their texts are not those of the run that is there", file=sys.stderr)
        for character, count in strange.most_common():
            print(f"character {character!r} is not in the alphabet: {count} times ({options.unknown})", file=sys.stderr)
        if options.from_review:
            items = data.hold_out(items, options.val)
        parts = data.split(items, options.val)
        if not (parts["train"] and parts["val"]) and not any(item.split for item in items):
            groups = len({item.group for item in items})
            print(f"too few pages or writers to divide ({groups}): single lines validate", file=sys.stderr)
            parts = data.split_lines(items, options.val)
        with Progress(len(parts["train"]) + len(parts["val"]), "images") as progress:

            def prepared(part: str) -> Iterator[tuple[Any, str, str]]:
                for item in parts[part]:
                    try:
                        yield data.sample(item), item.text, item.group
                    except ValueError as error:
                        problems.append(data.Problem(item.image, str(error)))
                    progress.step()

            for part, file in files.items():
                file.parent.mkdir(parents=True, exist_ok=True)
                Samples.collect(prepared(part)).save(file)
        for problem in problems[:20]:
            print(f"left out: {problem}", file=sys.stderr)
        if len(problems) > 20:
            print(f"and {len(problems) - 20} more", file=sys.stderr)
    return {part: Samples.load(file) for part, file in files.items()}


def _version(image: Path) -> tuple[int, int]:
    """Another one if the file has been written since; that it is missing is said when it is read."""
    try:
        about = image.stat()
    except OSError:
        return 0, 0
    return about.st_size, about.st_mtime_ns


def _rendered(options: Namespace, config: Any, part: str, count: int, held_out: bool) -> Any:
    """Handwriting made of fonts, rendered once and kept."""
    from fastctc.htr.samples import Samples

    about = [options.fonts, options.text, options.most_words, options.seed, count, config.characters, part]
    file = Path(options.out) / "cache" / f"rendered-{zlib.crc32(repr(about).encode()):08x}-{part}.samples"
    if not file.exists():
        source = synthesizer(options, config.characters, options.seed, HOLD_OUT, held_out)
        with Progress(count, "images rendered") as progress:

            def made() -> Iterator[tuple[Any, str, str]]:
                for number in range(count):
                    yield (*source.sample(number), "")
                    progress.step()

            file.parent.mkdir(parents=True, exist_ok=True)
            Samples.collect(made()).save(file)
    return Samples.load(file)
