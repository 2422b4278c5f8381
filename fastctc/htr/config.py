"""Config: the shape of the handwriting network and what it writes."""

import json
from dataclasses import asdict, dataclass, fields
from operator import index
from typing import Any, Self

from fastctc.alphabet import Alphabet

# What English and French hands write; the blank comes after the last.
CHARACTERS = " !\"#&'()*+,-./0123456789:;=?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz°ÀÇÉÈàâçèéêëîïôöùûœ"
COLUMNS = 4096  # of an image that is wide
MOST_NUMBERS = 1 << 26  # that one layer may have in hand for one image: 256 MB
PADDINGS = ("zero", "reflect", "symmetric", "circular")
POOLINGS = ("max", "average", "blur")


@dataclass(frozen=True)
class Config:
    """The shape of the network; two networks of the same config can exchange their weights."""

    characters: str = CHARACTERS  # what it can write, one class each, in this order; the blank is the class after them
    height: int = 40  # rows of every image
    width: int | None = None  # columns of every image; None: any width
    kernels: tuple[tuple[int, int], ...] = (
        (3, 3),
        (3, 3),
        (3, 3),
        (3, 3),
        (1, 3),
    )  # of each convolution: rows, columns
    channels: tuple[int, ...] = (16, 32, 64, 128, 128)  # that each convolution puts out
    pools: tuple[tuple[int, int], ...] = ((2, 2), (2, 2), (2, 1), (5, 1), (1, 1))  # after each: rows, columns
    units: tuple[int, ...] = (128, 128)  # of each bidirectional LSTM, in either direction
    dropout: float = 0.1  # share of the features that training hides before each LSTM and before the last layer
    padding: str = "zero"  # what lies outside a convolution's input: zero (paper), reflect, symmetric, circular
    pooling: str = "max"  # max, average, or blur: max of every neighbourhood, smoothed before it is thinned out

    def __post_init__(self) -> None:
        try:
            for field in ("kernels", "pools"):
                pairs = tuple((index(rows), index(columns)) for rows, columns in getattr(self, field))
                object.__setattr__(self, field, pairs)
            for field in ("channels", "units"):
                object.__setattr__(self, field, tuple(map(index, getattr(self, field))))
            object.__setattr__(self, "height", index(self.height))
            object.__setattr__(self, "width", None if self.width is None else index(self.width))
            object.__setattr__(self, "dropout", float(self.dropout))
        except (TypeError, OverflowError) as error:
            raise ValueError(f"sizes must be whole numbers, and dropout a number: {error}") from None
        if not all(isinstance(text, str) for text in (self.characters, self.padding, self.pooling)):
            raise ValueError("characters, padding and pooling must be texts")
        self.alphabet  # noqa: B018  # refuses characters that are none, or twice the same
        if not len(self.kernels) == len(self.channels) == len(self.pools) >= 1:
            raise ValueError(
                "kernels, channels and pools must have one entry for each convolution, got "
                f"{len(self.kernels)}, {len(self.channels)} and {len(self.pools)}"
            )
        if not self.units:
            raise ValueError("units must name at least one LSTM, got none")
        sizes = [
            self.height,
            *self.channels,
            *self.units,
            *(size for pair in self.kernels + self.pools for size in pair),
        ]
        if min(sizes) < 1:
            raise ValueError(f"sizes must be at least 1, got {min(sizes)}")
        if any(size % 2 == 0 for pair in self.kernels for size in pair):
            raise ValueError(f"kernels must be odd, so that they have a middle, got {self.kernels}")
        if self.padding not in PADDINGS:
            raise ValueError(f"padding must be one of {', '.join(PADDINGS)}, got {self.padding!r}")
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, got {self.pooling!r}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {self.dropout}")
        if self.rows < 1:
            raise ValueError(
                f"height must be at least {self.height_ratio}, the product of the pools, got {self.height}"
            )
        if self.width is not None and (self.width < self.stride or self.width % self.stride):
            raise ValueError(f"width must be a multiple of {self.stride}, the columns of a frame, got {self.width}")
        if (numbers := self.numbers(self.width or COLUMNS)) > MOST_NUMBERS:
            raise ValueError(
                f"an image of {self.height} x {self.width or COLUMNS} pixels must take a layer at most {MOST_NUMBERS} "
                f"numbers (fastctc.htr.config.MOST_NUMBERS), but takes {numbers}"
            )

    @classmethod
    def simple(cls, characters: str = CHARACTERS) -> Self:
        """The classic network for words: 128 × 32 pixels, five convolutions, two LSTMs of 256, 32 frames."""
        return cls(
            characters=characters,
            height=32,
            width=128,
            kernels=((5, 5), (5, 5), (3, 3), (3, 3), (3, 3)),
            channels=(32, 64, 128, 128, 256),
            pools=((2, 2), (2, 2), (2, 1), (2, 1), (2, 1)),
            units=(256, 256),
        )

    @property
    def alphabet(self) -> Alphabet:
        """The classes of the network's output."""
        return Alphabet(self.characters)

    @property
    def stride(self) -> int:
        """Columns of the image that make one frame."""
        product = 1
        for _, columns in self.pools:
            product *= columns
        return product

    @property
    def height_ratio(self) -> int:
        """Rows of the image that make one row after the last pooling."""
        product = 1
        for rows, _ in self.pools:
            product *= rows
        return product

    @property
    def rows(self) -> int:
        """Rows that are left after the last pooling."""
        left = self.height
        for rows, _ in self.pools:
            left //= rows
        return left

    def numbers(self, width: int) -> int:
        """How many numbers the largest layer has in hand for one image so many columns wide."""
        largest, rows, channels = 0, self.height, 1
        for kernel, out, pool in zip(self.kernels, self.channels, self.pools, strict=True):
            padded = (rows + kernel[0]) * (width + kernel[1])
            largest = max(largest, padded * max(kernel[0] * kernel[1] * channels, out))
            rows, width, channels = rows // pool[0], width // pool[1], out
        return max(largest, width * max(rows * channels, *(4 * units for units in self.units)))

    def to_json(self) -> str:
        """As text; :meth:`from_json` reads it."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """From the text that :meth:`to_json` wrote.

        Raises
        ------
        ValueError
            For text that is not a JSON object, for a field that does not exist, for values out of range.
        """
        values: Any = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"a config must be a JSON object, got {type(values).__name__}")
        unknown = sorted(values.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"a config has no field {', '.join(unknown)}")
        return cls(**values)
