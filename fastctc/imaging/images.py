"""Image files: found, read without losing bits, written beside and renamed. Pillow and PDFium do the work."""

import contextlib
import warnings
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc import storage

# The formats that Pillow decodes by itself; for others, EPS among them, it starts programs.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM", "GIF", "JPEG2000")
ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".pgm")
DOCUMENTS = (*ENDINGS, ".pdf")
DPI = 300  # at which the pages of a PDF are drawn
SOUND_DPI = (100, 4800)  # what scanners do; 72 and 96 mean that nobody knows
WIDEST = 30_000  # pixels in a row or column: more is no picture of writing
LARGEST = 150_000_000  # pixels of a picture: an A2 sheet at 600 DPI
INSTALL = 'images need Pillow: pip install "fastctc[htr]"'


def find(
    paths: Iterable[str | PathLike[str]],
    endings: tuple[str, ...] = ENDINGS,
    out: str | PathLike[str] | None = None,
) -> Iterator[Path]:
    """The paths themselves, and the image files below those that are folders, in the order of their names; each once.

    In folders, what begins with a dot is left out, and what is no file: a pipe would never end.

    What is below ``out``, a folder for results inside of one that was given, is left out.
    """
    results = None if out is None else Path(out).absolute()
    found = set()
    for path in map(Path, paths):
        inside = results is not None and path.absolute() in results.parents
        for file in sorted(_below(path, endings)) if path.is_dir() else [path]:
            place = file.absolute()
            if place not in found and not (inside and results in place.parents):
                found.add(place)
                yield file


def _below(folder: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    for file in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.suffix.lower() in endings and not hidden and (file.is_file() or not file.exists()):  # or leads nowhere
            yield file


def read(path: str | PathLike[str]) -> npt.NDArray[Any]:
    """The (first) picture of a file: (H, W) or (H, W, channels), uint8, uint16 or bool.

    Raises
    ------
    ValueError
        If it is no file of the FORMATS, cannot be decoded, has more than 30 000 pixels in a direction or more than
        LARGEST in all.
    """
    return next(read_all(path))


def read_all(path: str | PathLike[str]) -> Iterator[npt.NDArray[Any]]:
    """All pictures of a file, which may have several (TIFF, PDF)."""
    if Path(path).exists() and not Path(path).is_file():
        raise ValueError("must be a file, and is a folder, a pipe or a device")
    try:
        yield from _pages(path) if Path(path).suffix.lower() == ".pdf" else _pictures(path)
    except (ValueError, ImportError):
        raise
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    # Decoders of damaged files raise whatever their parsers stumble over: KeyError, TypeError, struct.error, ...
    except Exception as error:
        raise ValueError(f"the image cannot be decoded: {str(error) or type(error).__name__}") from None


def _pictures(path: str | PathLike[str]) -> Iterator[npt.NDArray[Any]]:
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise ImportError(f"{INSTALL} ({error})") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of size LARGEST decides; what is damaged is said once, as an error
            file = Image.open(path, formats=FORMATS)
    except UnidentifiedImageError:
        raise ValueError(_unknown(path)) from None
    except Image.DecompressionBombError as error:
        limit = f"must have at most {LARGEST} pixels (fastctc.imaging.images.LARGEST)"
        raise ValueError(f"{limit}, and at most twice PIL.Image.MAX_IMAGE_PIXELS: {error}") from None
    with file:
        # The second picture of a JPEG is a preview or another exposure, those of PNG, GIF and WebP are moving pictures.
        for number in range(getattr(file, "n_frames", 1) if file.format == "TIFF" else 1):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    if number:
                        file.seek(number)
                    _check_size(file.width, file.height)
                    picture = _as_array(ImageOps.exif_transpose(file) or file)
            except Exception as error:
                where = f"picture {number + 1}: " if number else ""
                cause = str(error) or type(error).__name__
                if isinstance(error, ValueError) and cause.startswith("must"):
                    raise ValueError(f"{where}{cause}") from None
                raise ValueError(f"{where}the image cannot be decoded: {cause}") from None
            yield picture


def dpi(path: str | PathLike[str]) -> float:
    """Pixels of an inch, as the file says; 0 if it does not, or says what programs write that do not know."""
    if Path(path).suffix.lower() == ".pdf":
        return DPI
    try:
        from PIL import Image

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as file:
                found = float(file.info.get("dpi", (0, 0))[0])
    except Exception:  # of damaged files: that there is no picture is said where it is read
        return 0.0
    return found if SOUND_DPI[0] <= found <= SOUND_DPI[1] else 0.0


def _unknown(path: str | PathLike[str]) -> str:
    """What to say of a file that is none of the formats."""
    with Path(path).open("rb") as file:
        start = file.read(4)
    if start.startswith((b"%!", b"\xc5\xd0\xd3\xc6")):
        return "PostScript is a program and not opened: save the page as PNG or TIFF"
    return f"the image cannot be decoded: it is damaged, or none of {', '.join(FORMATS)}"


def _check_size(width: float, height: float) -> None:
    if max(width, height) > WIDEST:
        limit = f"must be at most {WIDEST} pixels wide and high (fastctc.imaging.images.WIDEST)"
    elif width * height > LARGEST:
        limit = f"must have at most {LARGEST} pixels (fastctc.imaging.images.LARGEST)"
    else:
        return
    raise ValueError(f"{limit}, got {width:.0f} x {height:.0f}")


def _pages(path: str | PathLike[str]) -> Iterator[npt.NDArray[Any]]:
    try:
        import pypdfium2
    except ImportError as error:
        raise ImportError(f'PDF needs pypdfium2: pip install "fastctc[pdf]" ({error})') from None
    try:
        document = pypdfium2.PdfDocument(path)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"the PDF cannot be opened: {error}") from None
    with contextlib.closing(document):
        for number in range(len(document)):
            try:
                page = document[number]
                _check_size(*(side * DPI / 72 for side in page.get_size()))
                picture = page.render(scale=DPI / 72, grayscale=True).to_numpy().squeeze()
            except Exception as error:
                raise ValueError(f"page {number + 1} of the PDF cannot be drawn at {DPI} DPI: {error}") from None
            yield picture


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
