from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Place = tuple[int, int]

def runs(mask: Mask) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]: ...
def extremes(images: Images, mask: Mask, anchor: Place, border: str, fill: float, largest: bool) -> Images: ...
def extremes_into(
    images: Images, mask: Mask, anchor: Place, border: str, fill: float, largest: bool, result: Images
) -> None: ...
def extremes_of_each(
    images: Images, masks: Sequence[Mask], anchors: Sequence[Place], border: str, fill: float, largest: Sequence[bool]
) -> Images: ...
def reconstruction(seed: Images, mask: Images, grow: bool, connectivity: int) -> Images: ...
