from typing import Any

from fastctc.search_inputs import ChosenLabels

REGISTERS: str

def choose_labels(rows: Any, is_probs: bool, floor: float) -> ChosenLabels: ...
