from collections.abc import Sequence
from typing import Any

REGISTERS: str

def annotate(
    batch: Sequence[tuple[Any, Any, Sequence[int], Sequence[tuple[int, int]]]], blank: int
) -> list[tuple[float, tuple[int, ...], tuple[int, ...], tuple[float, ...], float, float]]: ...
