import numpy as np
import numpy.typing as npt

NOT_COMPARABLE: str
NOTHING_LEFT: str
NO_SUCH_STATE: str
BAD_ENVELOPE: str
SHRUNK: str

def duplex_search(
    log_probs_1: npt.NDArray[np.float32],
    log_probs_2: npt.NDArray[np.float32],
    envelope: npt.NDArray[np.int64],
    beam_width: int,
    cut: float,
    collapse_repeats: bool,
) -> tuple[int, ...]: ...
def crf_duplex_search(
    log_probs_1: npt.NDArray[np.float32],
    state_1: int,
    log_probs_2: npt.NDArray[np.float32],
    state_2: int,
    envelope: npt.NDArray[np.int64],
    beam_width: int,
    cut: float,
) -> tuple[int, ...]: ...
