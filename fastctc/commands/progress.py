"""How far long work has come, in one line of a terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

EVERY = 0.2  # seconds between two looks


class Percent:
    """A line on standard error, if that is a terminal, about one piece of work that takes long."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.shown = time.monotonic()
        self.visible = False

    def __call__(self, share: float) -> None:
        now = time.monotonic()
        if share >= 1.0 and self.visible:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
            self.visible = False
        elif share < 1.0 and now - self.shown > EVERY and sys.stderr.isatty():
            self.shown = now
            self.visible = True
            print(f"\r\033[K{self.name}: {share:.0%}", end="", file=sys.stderr, flush=True)


class Progress:
    """A line on standard error, if that is a terminal: done of total, rate, time left."""

    def __init__(self, total: int, unit: str) -> None:
        self.total = total
        self.unit = unit
        self.done = 0
        self.started = self.shown = time.monotonic()
        self.visible = False
        self.wanted = sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._hide()

    def step(self) -> None:
        self.reach(self.done + 1, self.total)

    def reach(self, done: int, total: int) -> None:
        """So many are done, of so many."""
        self.done, self.total = done, total
        now = time.monotonic()
        if self.wanted and now - self.shown > EVERY:
            self.shown = now
            self._show(now - self.started)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Clear the line while something else is printed."""
        self._hide()
        yield

    def _show(self, seconds: float) -> None:
        rate = self.done / seconds
        left = (self.total - self.done) / rate
        speed = f"{rate:.0f} a second" if rate >= 1 else f"{1 / rate:.1f} s each"
        rest = f"{left:.0f} s" if left < 100 else f"{left / 60:.0f} min"
        line = f"{self.done} of {self.total} {self.unit}, {speed}, {rest} left"
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        self.visible = True

    def _hide(self) -> None:
        if self.visible:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
            self.visible = False
