"""Image files: found, read without losing bits, written beside and renamed. Pillow and PDFium do the work."""

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc import storage

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".pgm")
DOCUMENTS = (*ENDINGS, ".pdf")
DPI = 300  # at which the pages of a PDF are drawn
WIDEST = 30_000  # pixels in a row or column: more is no picture of writing
INSTALL = 'images need Pillow: pip install "fastctc[htr]"'


def find(paths: Iterable[str | PathLike[str]], endings: tuple[str, ...] = ENDINGS) -> Iterator[Path]:
    """The paths themselves, and the image files below those that are folders, in the order of their names."""
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix.lower() in endings)
        else:
            yield path


def read(path: str | PathLike[str]) -> npt.NDArray[Any]:
    """The (first) picture of a file: (H, W) or (H, W, channels), uint8, uint16 or bool.

    Raises
    ------
    ValueError
        If it cannot be decoded, or is larger than 30 000 pixels in a direction.
    """
    return next(read_all(path))


def read_all(path: str | PathLike[str]) -> Iterator[npt.NDArray[Any]]:
    """All pictures of a file, which may have several (TIFF, PDF)."""
    if Path(path).suffix.lower() == ".pdf":
        yield from _pages(path)
        return
    try:
        from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError
    except ImportError as error:
        raise ImportError(f"{INSTALL} ({error})") from None
    try:
        with Image.open(path) as file:
            for picture in ImageSequence.Iterator(file):
                if max(picture.size) > WIDEST:
                    raise ValueError(
                        f"must be at most {WIDEST} pixels wide and high, got {picture.width} x {picture.height}"
                    )
                upright = ImageOps.exif_transpose(picture) or picture
                yield _as_array(upright)
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    except (UnidentifiedImageError, OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f"the image cannot be decoded: {error}") from None


def _pages(path: str | PathLike[str]) -> Iterator[npt.NDArray[Any]]:
    try:
        import pypdfium2
    except ImportError as error:
        raise ImportError(f'PDF needs pypdfium2: pip install "fastctc[pdf]" ({error})') from None
    try:
        document = pypdfium2.PdfDocument(path)
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    except pypdfium2.PdfiumError as error:
        raise ValueError(f"the PDF cannot be opened: {error}") from None
    for page in document:
        if max(page.get_size()) * DPI / 72 > WIDEST:
            raise ValueError(f"pages must be at most {WIDEST} pixels wide and high at {DPI} DPI")
        yield page.render(scale=DPI / 72, grayscale=True).to_numpy().squeeze()


def _as_array(picture: Any) -> npt.NDArray[Any]:
    if picture.mode in ("1", "L", "LA", "RGB", "RGBA", "F"):
        return np.asarray(picture)
    if picture.mode.startswith("I"):  # 16 bits, sometimes handed over as 32
        values = np.asarray(picture)
        if values.dtype != np.uint16 and (values.min() < 0 or values.max() > 65535):
            raise ValueError(f"pixels must be of 8 or 16 bits, got values from {values.min()} to {values.max()}")
        return values.astype(np.uint16)
    return np.asarray(picture.convert("RGBA" if "transparency" in picture.info else "RGB"))


def save(path: str | PathLike[str], image: npt.NDArray[Any]) -> None:
    """Write a picture; the ending says in which format. What was there is replaced only when all is written."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(f"{INSTALL} ({error})") from None
    place = Path(path)
    with storage.replaced(place) as file:
        try:
            Image.fromarray(image).save(file, Image.registered_extensions()[place.suffix.lower()])
        except (KeyError, ValueError, TypeError, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise ValueError(
                f"{place.name} cannot be written as {image.dtype} of shape {image.shape}: {error}"
            ) from None
