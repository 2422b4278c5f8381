"""Pictures of any kind as JPEG, to be shown."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.htr.preparation import grey

QUALITY = 85


def encoded(picture: npt.NDArray[Any], quality: int = QUALITY, widest: int = 0) -> bytes:
    """A picture as a JPEG file: in colour if it is of (H, W, 3) uint8, else grey.

    Parameters
    ----------
    quality : int
        1 to 95.
    widest : int
        Columns to which wider pictures are shrunk; 0: they are not.
    """
    from PIL import Image

    colour = picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    image = Image.fromarray(picture if colour else grey(picture))
    if widest:
        image.thumbnail((widest, 4 * widest))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return data.getvalue()
