"""Tensors, where the program has torch."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_array(tensor: Any) -> NDArray[Any]:
    """A tensor's numbers, or an array as it is."""
    if hasattr(tensor, "detach"):
        return np.asarray(tensor.detach().cpu())
    return np.asarray(tensor)


def as_tensor(array: NDArray[Any], like: Any = None) -> Any:
    """A tensor where the program has imported torch, on the device of another; otherwise the array."""
    torch = sys.modules.get("torch")
    if torch is None or (like is not None and not hasattr(like, "detach")):
        return array
    return torch.from_numpy(array).to(getattr(like, "device", "cpu"))
