"""Run a program with imports of other packages answered by this one."""

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from fastctc.compat import ALIASES, install


def main(arguments: Sequence[str] | None = None) -> None:
    """Put the modules named in place of those they stand for, and run the program behind ``--``."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="python -m fastctc.compat",
        usage="%(prog)s NAME [NAME ...] -- SCRIPT.py|-m MODULE [ARGUMENT ...]",
        description="Run a program with imports of other packages answered by fastctc.",
    )
    parser.add_argument("names", nargs="+", choices=ALIASES, metavar="NAME", help=f"one of {', '.join(ALIASES)}")
    if "--" not in arguments:
        parser.parse_args(arguments)  # --help, or what is wrong with the names
        parser.error("there must be -- and a program behind the names")
    place = arguments.index("--")
    names = parser.parse_args(arguments[:place]).names
    program = arguments[place + 1 :]
    if not program or program == ["-m"]:
        parser.error("there must be a program behind --")
    if program[0] != "-m" and not Path(program[0]).is_file():
        parser.error(f"the program must be a file, got {program[0]!r}")
    install(*names)
    if program[0] == "-m":
        sys.argv = program[1:]
        sys.path[0] = str(Path.cwd())
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = program
        sys.path[0] = str(Path(program[0]).resolve().parent)
        runpy.run_path(program[0], run_name="__main__")


if __name__ == "__main__":
    main()
