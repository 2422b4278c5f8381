import numpy as np
import numpy.typing as npt

NOT_COMPARABLE: str
NOTHING_LEFT: str
NO_SUCH_STATE: str

def cut_search(
    probs: npt.NDArray[np.float32], beam_width: int, cut: float, collapse_repeats: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]: ...
def crf_cut_search(
    probs: npt.NDArray[np.float32], state: int, start: float, beam_width: int, cut: float
) -> tuple[tuple[int, ...], tuple[int, ...]]: ...
