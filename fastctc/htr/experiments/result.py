"""Result: what an experiment found, in arrays and plain values, kept in two files."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fastctc import storage

Report = Callable[[str], None]
Table = list[list[str]]  # the first row is the heading


def quiet(_: str) -> None:
    """Says nothing."""


@dataclass(frozen=True)
class Result:
    """Arrays go to an .npz, everything else to a .json beside it."""

    def save(self, folder: Path, name: str) -> None:
        """Write both files."""
        folder.mkdir(parents=True, exist_ok=True)
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays: dict[str, Any] = {key: value for key, value in values.items() if isinstance(value, np.ndarray)}
        with storage.replaced(folder / f"{name}.npz") as file:
            np.savez_compressed(file, **arrays)
        rest = {key: value for key, value in values.items() if key not in arrays}
        storage.write_text(folder / f"{name}.json", json.dumps(rest, ensure_ascii=False, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path, name: str) -> Self:
        """What :meth:`save` wrote.

        Raises
        ------
        OSError, ValueError
            If the files are not there, damaged, or of another experiment.
        """
        values: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
            values |= {key: arrays[key] for key in arrays.files}
        if values.keys() != {field.name for field in fields(cls)}:
            raise ValueError(f"{folder / name}.json holds another experiment's result")
        return cls(**values)


def unlearnt(names: Sequence[str], learnt: Sequence[bool] | npt.NDArray[np.bool_]) -> str | None:
    """The sentence that stands in place of conclusions where small networks have not learnt their task."""
    left = [name for name, can in zip(names, learnt, strict=True) if not can]
    if not left:
        return None
    return f"Not trained enough to tell: {', '.join(left)}. Run the experiment without --quick, or with more steps."


def mean_and_spread(values: npt.NDArray[np.float64], form: str = "{:.1%}") -> str:
    """As a table shows what several seeds found."""
    return f"{form.format(values.mean())} ± {form.format(values.std())}"
