from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

REGISTERS: str

_Images = npt.NDArray[Any]
_Mask = npt.NDArray[np.bool_]
_Place = tuple[int, int]

def runs(mask: _Mask) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]: ...
def extremes(
    images: _Images,
    mask: _Mask,
    anchor: _Place,
    border: str,
    fill: float,
    largest: bool,
    result: _Images | None = None,
) -> _Images: ...
def extremes_of_each(
    images: _Images,
    masks: Sequence[_Mask],
    anchors: Sequence[_Place],
    border: str,
    fill: float,
    largest: Sequence[bool],
) -> _Images: ...
def reconstruction(seed: _Images, mask: _Images, grow: bool, connectivity: int) -> _Images: ...
