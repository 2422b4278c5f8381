from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

REGISTERS: str
NOT_COMPARABLE: str
NOTHING_LEFT: str
NO_SUCH_STATE: str

def cut_search(
    probs: npt.NDArray[np.float32], beam_width: int, cut: float, collapse_repeats: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]: ...
def crf_cut_search(
    probs: npt.NDArray[np.float32], state: int, start: float, beam_width: int, cut: float
) -> tuple[tuple[int, ...], tuple[int, ...]]: ...
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
