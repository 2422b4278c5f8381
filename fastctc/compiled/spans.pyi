from collections.abc import Sequence
from typing import Any

def span_probabilities(
    frames: Any, labels: Sequence[int], blank: int, is_log: bool, spans: Sequence[tuple[int, int]]
) -> tuple[float, ...]: ...
