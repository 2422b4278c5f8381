from collections.abc import Sequence

from numpy import float32, float64, int32
from numpy.typing import NDArray

def score(
    words: NDArray[int32],
    log_probs: NDArray[float32],
    backoffs: NDArray[float32],
    children: NDArray[int32],
    suffixes: NDArray[int32],
    uniform: bool,
    unknown: float,
    state: int,
    tokens: Sequence[int],
) -> tuple[list[float], int]: ...
def forecast(
    words: NDArray[int32],
    log_probs: NDArray[float32],
    backoffs: NDArray[float32],
    children: NDArray[int32],
    suffixes: NDArray[int32],
    uniform: bool,
    unknown: float,
    own: NDArray[float64],
    lower: NDArray[float64],
    state: int,
    first: int,
    last: int,
) -> float: ...
