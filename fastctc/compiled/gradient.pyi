from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

def gradients(
    batch: Sequence[tuple[Any, Sequence[int]]], blank: int, is_log: bool
) -> list[tuple[float, NDArray[np.float64]]]: ...
