from collections.abc import Sequence
from typing import Any

from fastctc.search_inputs import ChosenLabels, PartBeam, Pieces, PreferredWords, Pruning, WordWeights

def pruned_search(
    chosen: ChosenLabels,
    pieces: Pieces,
    pruning: Pruning,
    words: WordWeights | Any | None = None,
    preferred: PreferredWords | Any | None = None,
    start: Sequence[PartBeam] = (),
    first_frame: int = 0,
    closes: bool = True,
    ends: bool = True,
    most: int = 0,
) -> list[PartBeam]: ...
