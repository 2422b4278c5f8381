from collections.abc import Sequence
from typing import Any

def best_utterance_path(
    scores: Any, text: Sequence[Sequence[int]], blank: int, window: int, flags: int, at_end: bool
) -> tuple[list[int], list[float], list[int]]: ...
