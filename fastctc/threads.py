"""Work in parts, shared by threads."""

from collections import deque
from collections.abc import Callable, Iterable
from threading import Thread
from typing import TypeVar

from fastctc.compiled.interrupts import Stop, Stopped

__all__ = ["Stop", "share"]

Part = TypeVar("Part")
Result = TypeVar("Result")


def share(parts: Iterable[Part], begin: Callable[[], Callable[[Part], Result]], threads: int | None) -> list[Result]:
    """The results of all parts, in their order.

    Parameters
    ----------
    begin : callable
        Called once in each thread; returns the function that does a part, so that each may have memory of its own.
    threads : int, optional
        By default 1. The calling thread works too.

    Raises
    ------
    ValueError
        For threads below 1; and whatever a part raises. After an error, or Ctrl-C, the other threads do not finish
        their parts: compiled loops stop at their next look for signals.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be 1 or more, got {threads}")
    waiting = deque(enumerate(parts))
    done: dict[int, Result] = {}

    def work() -> None:
        function = begin()
        while True:
            try:
                number, part = waiting.popleft()
            except IndexError:  # nothing is left
                return
            done[number] = function(part)

    failures: list[BaseException] = []
    stop = Stop()

    def help_out() -> None:
        stop.watch()
        try:
            work()
        except Stopped:
            pass
        except BaseException as error:
            failures.append(error)
            waiting.clear()
            stop.set()

    # Not a pool of the library, which takes twice as long to begin and to end as plain threads do.
    helpers = [Thread(target=help_out) for _ in range(min(threads or 1, len(waiting)) - 1)]
    try:
        for helper in helpers:
            helper.start()
        work()
        for helper in helpers:
            helper.join()
    except BaseException:
        waiting.clear()
        stop.set()
        for helper in helpers:
            if helper.ident is not None:  # otherwise it has not begun
                helper.join()
        raise
    if failures:
        raise failures[0]
    return [done[number] for number in sorted(done)]
