from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc.search_inputs import PrefixTree

def prefix_tree(labels: Any, offsets: Any) -> PrefixTree: ...
def words_near(tree: PrefixTree, text: Any, tolerance: int) -> list[tuple[int, int]]: ...
def best_below(tree: PrefixTree, priors: Any) -> NDArray[np.float64]: ...
