"""Work in parts, shared by threads."""

from collections import deque
from collections.abc import Callable, Iterable
from threading import Thread
from typing import TypeVar

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
        For threads below 1; and whatever a part raises.
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

    def help_out() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
            waiting.clear()

    # Not a pool of the library, which takes twice as long to begin and to end as plain threads do.
    helpers = [Thread(target=help_out) for _ in range(min(threads or 1, len(waiting)) - 1)]
    for helper in helpers:
        helper.start()
    try:
        work()
    finally:
        waiting.clear()  # after an error or Ctrl-C the others have nothing to go on with
        for helper in helpers:
            helper.join()
    if failures:
        raise failures[0]
    return [done[number] for number in sorted(done)]
