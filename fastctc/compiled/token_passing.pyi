from typing import Any

def token_passing(
    log_probs: Any, labels: Any, offsets: Any, blank: int, separator: int, bigrams: Any
) -> tuple[list[int], float]: ...
