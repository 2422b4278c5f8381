from collections.abc import Sequence
from typing import Any

REGISTERS: str

def best_alignment(
    frames: Any, labels: Sequence[int], blank: int, is_log: bool, reach: float, work: float, memory: int, prove: bool
) -> tuple[float, tuple[int, ...], tuple[int, ...], float, int]: ...
