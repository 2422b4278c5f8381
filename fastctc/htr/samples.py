"""Samples: prepared images of writing with their texts, mapped from one file."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fastctc import storage

Ink = npt.NDArray[np.uint8]
HEIGHT = 60  # rows in which samples are kept: more than networks see, so that distortions have something to work with
_ARRAYS = {"pixels": "u1", "starts": "i8", "texts": "u1"}


@dataclass(frozen=True, eq=False)
class Samples:
    """Images of ``HEIGHT`` rows with their texts.

    Attributes
    ----------
    pixels : uint8, one row after the other, one image after the other
    starts : (N + 1,) int64, where the images begin
    texts : tuple of str
    groups : tuple of str
        Writer or page of each.
    """

    pixels: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    texts: tuple[str, ...]
    groups: tuple[str, ...]

    @classmethod
    def collect(cls, samples: Iterable[tuple[Ink, str, str]]) -> Self:
        """From (image, text, group)."""
        pixels, starts, texts, groups = [], [0], [], []
        for ink, text, group in samples:
            if ink.shape[0] != HEIGHT:
                raise ValueError(f"samples must have {HEIGHT} rows, got {ink.shape[0]}")
            pixels.append(np.ascontiguousarray(ink).ravel())
            starts.append(starts[-1] + ink.size)
            texts.append(text)
            groups.append(group)
        whole = np.concatenate(pixels) if pixels else np.zeros(0, np.uint8)
        return cls(whole, np.array(starts, np.int64), tuple(texts), tuple(groups))

    def __len__(self) -> int:
        return len(self.texts)

    def digest(self) -> str:
        """SHA-256 of images, texts and groups: others have another."""
        about = json.dumps([self.texts, self.groups]).encode()
        found = hashlib.sha256(about)
        for array in (self.starts, self.pixels):
            found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()

    def image(self, number: int) -> Ink:
        """An image (HEIGHT, W), not writable if it is mapped."""
        return self.pixels[self.starts[number] : self.starts[number + 1]].reshape(HEIGHT, -1)

    def width(self, number: int) -> int:
        """Columns of an image."""
        return int(self.starts[number + 1] - self.starts[number]) // HEIGHT

    def save(self, path: str | PathLike[str]) -> None:
        """Write them; :meth:`load` maps them."""
        about = json.dumps([self.texts, self.groups], ensure_ascii=False).encode()
        arrays: dict[str, npt.NDArray[Any]] = {"pixels": self.pixels, "starts": self.starts}
        arrays["texts"] = np.frombuffer(about, np.uint8)
        storage.save(path, "samples", {"height": HEIGHT}, arrays)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Map what :meth:`save` wrote.

        Raises
        ------
        OSError
            If there is no such file.
        StorageError
            If it is damaged, or holds something else.
        """
        about, arrays = storage.load(path, "samples", _ARRAYS)
        try:
            texts, groups = map(tuple, storage.parsed(bytes(arrays["texts"])))
            if not all(isinstance(text, str) for text in (*texts, *groups)):
                raise ValueError("must be two lists of texts")
        except (ValueError, TypeError, RecursionError) as error:
            raise storage.StorageError(f"{path}: the texts are damaged: {error}") from None
        pixels, starts = arrays["pixels"], arrays["starts"]
        lengths = np.diff(starts)
        sound = about.get("height") == HEIGHT and len(starts) == len(texts) + 1 == len(groups) + 1 and starts[0] == 0
        if not sound or starts[-1] != pixels.size or np.any(lengths < 0) or np.any(lengths % HEIGHT):
            raise storage.StorageError(f"{path}: images and texts do not fit together")
        return cls(pixels, starts, texts, groups)
