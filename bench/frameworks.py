"""The drop-ins for other frameworks beside the originals, in one table.

    python -m bench.frameworks [--quick] [--seconds N] [--arpa FILE] [path_search] [drop_ins] [gradient]

flashlight's decoders without a lexicon, within one of 200 000 words, and with a 3-gram as well; the beam searches of
TensorFlow and Keras; loss and gradient beside those of torch, TensorFlow and optax. Who is not installed is left out:
``make compare`` makes an environment with everybody, .venv-peers. The same work, by the same functions, is part of the
whole comparison.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

from bench.compare import frameworks, paths

SECTIONS = ("path_search", "drop_ins", "gradient")


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Who takes how long, and how many times as long as fastctc, the first of each work."""
    lines = ["| work | who | ms | times fastctc |", "|---|---|---:|---:|"]
    work = None
    for row in rows:
        name = row["work"] if row["work"] != work else ""
        work = row["work"]
        lines.append(f"| {name} | {row['who']}: {row['settings']} | {row['ms']:.3g} | {row['ratio']:.3g} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="the drop-ins for other frameworks beside the originals")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"some of: {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="20 000 words, the narrowest beams")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each piece of work (default: %(default)s)")
    parser.add_argument("--arpa", metavar="FILE", help="a 3-gram of words, instead of one of Python's documentation")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"sections are {', '.join(SECTIONS)}; got {', '.join(sorted(unknown))}")
    run = {
        "path_search": partial(paths.path_search, arpa=options.arpa),
        "drop_ins": frameworks.drop_ins,
        "gradient": frameworks.gradient,
    }
    rows = [row for name in options.sections or SECTIONS for row in run[name](options.seconds, options.quick)]
    print(table(rows))


if __name__ == "__main__":
    main()
