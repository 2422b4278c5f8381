"""The command line."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

import fastctc
from fastctc.commands import (
    align,
    decode,
    devices,
    experiment,
    lm,
    morph,
    read,
    review,
    segment,
    synthesize,
    train,
    tune,
)

COMMANDS = {
    "decode": decode,
    "align": align,
    "lm": lm,
    "tune": tune,
    "experiment": experiment,
    "morph": morph,
    "devices": devices,
    "read": read,
    "review": review,
    "segment": segment,
    "train": train,
    "synthesize": synthesize,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, 1 if some of the work failed, 2 for a wrong command line."""
    parser = argparse.ArgumentParser(prog="fastctc", description="Turn the output of CTC-trained networks into text.")
    parser.add_argument("--version", action="version", version=f"fastctc {fastctc.__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        summary = (command.__doc__ or "").splitlines()[0]
        subparser = subparsers.add_parser(name, help=summary, description=command.__doc__)
        command.add_arguments(subparser)
        subparser.set_defaults(parser=subparser)
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        status: int = COMMANDS[options.command].run(options)
        return status
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python would complain again while it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.stdout.flush()
        # Signals reach the main thread only, and Python would wait for the others; they have nothing to lose.
        os._exit(128 + signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
