"""What commands say when they cannot begin: one line."""

import sys
from argparse import ArgumentParser, Namespace
from typing import NoReturn


def in_one_line(error: Exception) -> str:
    """The message; of what the system refused, the file and the reason."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def refuse(options: Namespace, error: Exception) -> NoReturn:
    """Say what is wrong and end with status 2; the usage comes before it, unless a file is the reason."""
    parser: ArgumentParser = options.parser
    if isinstance(error, OSError):
        print(f"{parser.prog}: {in_one_line(error)}", file=sys.stderr)
        sys.exit(2)
    parser.error(str(error))
