from collections.abc import Sequence
from typing import Any

GROUP: int
REGISTERS: str

def bound_outside(
    probs: Any,
    labels: Sequence[int],
    blank: int,
    lost: Sequence[tuple[int, int, int, float]],
    sure: Sequence[tuple[int, int, int, float]],
    best: bool,
    backward: bool,
) -> tuple[float, list[float], float]: ...
