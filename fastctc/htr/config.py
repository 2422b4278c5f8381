"""Config: the shape of the handwriting network and what it writes."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from fastctc.alphabet import Alphabet

# What English and French hands write; the blank comes after the last.
CHARACTERS = " !\"#&'()*+,-./0123456789:;=?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz°ÀÇÉÈàâçèéêëîïôöùûœ"
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
    padding: str = "zero"  # what stands outside a convolution's input: zero (paper), reflect, symmetric, circular
    pooling: str = "max"  # max, average, or blur: max of every neighbourhood, smoothed before it is thinned out

    def __post_init__(self) -> None:
        for field in ("kernels", "pools"):
            object.__setattr__(self, field, tuple((int(rows), int(columns)) for rows, columns in getattr(self, field)))
        for field in ("channels", "units"):
            object.__setattr__(self, field, tuple(int(size) for size in getattr(self, field)))
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

    def to_json(self) -> str:
        """As text; :meth:`from_json` reads it."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """From the text that :meth:`to_json` wrote.

        Raises
        ------
        ValueError
            For text that is no JSON object, for a field that does not exist, for values out of range.
        """
        values: Any = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"a config must be a JSON object, got {type(values).__name__}")
        unknown = sorted(values.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"a config has no field {', '.join(unknown)}")
        return cls(**values)
