"""Work in parts, shared by threads."""

from collections import deque
from collections.abc import Callable, Iterable
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

    if threads is None or threads == 1 or len(waiting) < 2:
        work()
    else:
        from concurrent.futures import ThreadPoolExecutor  # not at the top, so that `import fastctc` is quick

        with ThreadPoolExecutor(threads - 1) as pool:
            try:
                others = [pool.submit(work) for _ in range(threads - 1)]
                work()
                for other in others:
                    other.result()
            finally:
                waiting.clear()  # after an error or Ctrl-C the others have nothing to go on with
    return [done[number] for number in sorted(done)]
