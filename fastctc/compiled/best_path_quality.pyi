from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

REGISTERS: str
NO_SUCH_STATE: str

def best_path_text(
    probs: npt.NDArray[np.float32],
    alphabet: str,
    collapse_repeats: bool,
    with_qualities: bool,
    scale: float,
    bias: float,
) -> tuple[str, list[int]]: ...
def best_path_means(
    probs: npt.NDArray[np.float32], collapse_repeats: bool
) -> tuple[list[int], list[int], list[float]]: ...
def crf_best_path_means(probs: npt.NDArray[np.float32], state: int) -> tuple[list[int], list[int], list[float]]: ...
def quality_string(means: Sequence[float], scale: float, bias: float) -> str: ...
