from typing import Any

import numpy as np
from numpy.typing import NDArray

def prefix_tree(labels: Any, offsets: Any) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]: ...
def best_below(ends: Any, words: Any, priors: Any) -> NDArray[np.float64]: ...
