from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

def log_probability(frames: Any, labels: Sequence[int], blank: int, is_log: bool) -> float: ...
def posteriors(frames: Any, labels: Sequence[int], blank: int, is_log: bool) -> NDArray[np.float64]: ...
def forced_align(
    frames: Any, labels: Sequence[int], blank: int, is_log: bool
) -> tuple[float, tuple[int, ...], tuple[int, ...]]: ...
def span_probabilities(
    frames: Any, labels: Sequence[int], blank: int, is_log: bool, spans: Sequence[tuple[int, int]]
) -> tuple[float, ...]: ...
def annotate(
    batch: Sequence[tuple[Any, Any, Sequence[int], Sequence[tuple[int, int]]]], blank: int
) -> list[tuple[float, tuple[int, ...], tuple[int, ...], tuple[float, ...]]]: ...
