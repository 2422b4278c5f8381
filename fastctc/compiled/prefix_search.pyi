from typing import Any

REGISTERS: str

def ways_on(y: Any, blank: int) -> list[list[float]]: ...
def prefix_search(
    probs: Any, blank: int, n_best: int, max_prefixes: int
) -> tuple[list[tuple[tuple[int, ...], float]], float]: ...
