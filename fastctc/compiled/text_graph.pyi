from typing import Any

from fastctc.search_inputs import TextGraph

REGISTERS: str

def best_reading(
    frames: Any, graph: TextGraph, blank: int, is_log: bool, reach: float, work: float, memory: int
) -> tuple[float, tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[tuple[int, int, int], ...], float, int]: ...
