import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

from fastctc.search_inputs import ExternalScorer, ScoredTexts

@disjoint_base
class ScoredBeams:
    def __init__(
        self,
        n_classes: int,
        blank: int,
        beam_width: int,
        cutoff_prob: float,
        cutoff_top_n: int,
        is_log: bool,
        scorer: ExternalScorer | None,
    ) -> None: ...
    def extend(self, rows: npt.NDArray[np.float64]) -> None: ...
    def best(self) -> ScoredTexts: ...
