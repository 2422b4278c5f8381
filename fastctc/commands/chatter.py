"""What libraries print when they are imported, kept from the terminal."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden() -> Iterator[None]:
    """Hide what is written to standard error in here, by C++ too; it is shown after all if something fails.

    TensorFlow greets with pages about processors and libraries. Of the log levels it knows some, but heeds none of them
    while it is imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(terminal, 2)
            kept.seek(0)
            with open(2, "wb", closefd=False) as screen:
                shutil.copyfileobj(kept, screen)
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
