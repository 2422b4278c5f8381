from typing import Any

REGISTERS: str

def lexicon_search(
    probs: Any,
    node_labels: Any,
    ends: Any,
    words: Any,
    bounds: Any,
    priors: Any,
    blank: int,
    n_best: int,
    certainty: float,
    patience: int,
) -> tuple[list[tuple[int, float]], float, float]: ...
