"""Networks and training states in files: numbers and JSON, nothing that could be executed."""

import json
import math
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc import storage
from fastctc.htr.config import Config

N_COLUMNS = 7  # of the learning curves
Weights = dict[str, npt.NDArray[Any]]


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """The name and the shape of every weight of a network."""
    result: dict[str, tuple[int, ...]] = {}
    channels = 1
    for i, (kernel, out) in enumerate(zip(config.kernels, config.channels, strict=True), 1):
        result[f"conv{i}/kernel"] = (*kernel, channels, out)
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            result[f"norm{i}/{name}"] = (out,)
        channels = out
    features = config.rows * channels
    for i, units in enumerate(config.units, 1):
        for way in ("forward", "backward"):
            result[f"lstm{i}/{way}/kernel"] = (features, 4 * units)
            result[f"lstm{i}/{way}/recurrent_kernel"] = (units, 4 * units)
            result[f"lstm{i}/{way}/bias"] = (4 * units,)
        features = 2 * units
    result["classes/kernel"] = (features, config.alphabet.n_classes)
    result["classes/bias"] = (config.alphabet.n_classes,)
    return result


def save_network(
    path: str | PathLike[str], config: Config, weights: Weights, card: dict[str, Any] | None = None, dtype: str = "f4"
) -> None:
    """Write a network's config and weights, and a card that says where they come from."""
    arrays = {name: weights[name].astype(dtype) for name in shapes(config)}
    about = {"config": json.loads(config.to_json()), "dtype": dtype, "card": card or {}}
    storage.save(path, "network", about, arrays)


def load_network(path: str | PathLike[str]) -> tuple[Config, Weights, dict[str, Any]]:
    """Config, weights (float32) and card of a network.

    Raises
    ------
    OSError
        If there is no such file.
    StorageError
        If it is damaged, holds something else, or weights that do not fit its config.
    """
    about, arrays = storage.load(path, "network")
    try:
        config = Config.from_json(json.dumps(about["config"]))
        dtype = {"f2": "f2", "f4": "f4"}[about["dtype"]]
        card = dict(about.get("card", {}))
        if not 0 < float(card.get("temperature", 1.0)) < np.inf:
            raise ValueError(f"the temperature must be positive, got {card['temperature']}")
    except (KeyError, TypeError, ValueError) as error:
        raise storage.StorageError(f"{path}: its parts do not fit together: {error}") from None
    expected = shapes(config)
    storage.check(path, arrays, {name: (dtype, shape) for name, shape in expected.items()})
    weights: Weights = {}
    for name, array in arrays.items():
        weights[name] = array.astype(np.float32)
        if not np.isfinite(weights[name]).all():
            raise storage.StorageError(f"{path}: {name} holds numbers that are not finite")
    return config, weights, card


def save_state(
    path: Path,
    model: Any,
    optimizer: Any,
    config: Config,
    settings: Any,
    step: int,
    rows: list[tuple[float, ...]],
    mean: Weights | None = None,
    images: str = "",
) -> None:
    """Everything that the next step of a training depends on: the mean of the weights too, and the images' digest."""
    variables = everything(model, optimizer)
    arrays = {f"{i}": np.asarray(variable).astype(_kind(variable)).ravel() for i, variable in enumerate(variables)}
    arrays |= {f"mean/{name}": np.asarray(values, np.float32).ravel() for name, values in (mean or {}).items()}
    about = {
        "config": json.loads(config.to_json()),
        "settings": asdict(settings),
        "images": images,
        "step": step,
        "rows": _plain(rows),
    }
    storage.save(path, "training state", about, arrays)


def load_state(
    path: Path, model: Any, optimizer: Any, config: Config, settings: Any, images: str = ""
) -> tuple[int, list[tuple[float, ...]], Weights]:
    """Give model and optimizer the saved state; the step, the learning curves and the mean of the weights so far.

    Without a file these are 0, none and none.

    Raises
    ------
    StorageError
        If the state is damaged.
    ValueError
        If it belongs to another config, other settings or other images.
    """
    if not path.exists():
        return 0, [], {}
    about, _ = storage.load(path, "training state")
    _check_progress(path, about)
    for name, mine in (("config", json.loads(config.to_json())), ("settings", asdict(settings))):
        different = sorted(key for key in mine if about[name].get(key) != mine[key])
        if different:
            raise ValueError(
                f"{path} is the state of a training with other {', '.join(different)}: continue with the same, "
                "or train into an empty folder"
            )
    if about.get("images", "") != images:
        raise ValueError(
            f"{path} is the state of a training on other images or texts: continue with the same, or train into an "
            "empty folder, with the best weights of this one to begin with"
        )
    variables = everything(model, optimizer)
    expected = shapes(config) if settings.average else {}
    dtypes = {f"{i}": _kind(v) for i, v in enumerate(variables)} | {f"mean/{name}": "f4" for name in expected}
    _, arrays = storage.load(path, "training state", dtypes)
    for i, variable in enumerate(variables):
        if arrays[f"{i}"].size != math.prod(variable.shape):
            raise storage.StorageError(f"{path}: {i} must hold {variable.shape} numbers, but has {arrays[f'{i}'].size}")
    for name, shape in expected.items():
        if arrays[f"mean/{name}"].size != math.prod(shape):
            raise storage.StorageError(f"{path}: mean/{name} must hold {shape} numbers")
    for i, variable in enumerate(variables):
        variable.assign(arrays[f"{i}"].reshape(tuple(variable.shape)))
    mean = {name: arrays[f"mean/{name}"].reshape(shape) for name, shape in expected.items()}
    for name, values in mean.items():
        if not np.isfinite(values).all():
            raise storage.StorageError(f"{path}: the mean of {name} holds numbers that are not finite")
    return int(about["step"]), [tuple(np.nan if v is None else v for v in row) for row in about["rows"]], mean


def _plain(rows: list[tuple[float, ...]]) -> list[list[float | None]]:
    """As JSON can say it, which knows no NaN and no infinity."""
    return [[value if math.isfinite(value) else None for value in row] for row in rows]


def _check_progress(path: Path, about: dict[str, Any]) -> None:
    step, rows = about.get("step"), about.get("rows")
    sound = type(step) is int and step >= 0 and isinstance(rows, list)
    sound = sound and all(isinstance(about.get(name), dict) for name in ("config", "settings"))
    if not sound or not all(
        isinstance(row, list) and len(row) == N_COLUMNS and all(type(v) in (int, float, type(None)) for v in row)
        for row in rows or []
    ):
        raise storage.StorageError(f"{path}: its parts do not fit together: steps and learning curves are none")


def everything(model: Any, optimizer: Any) -> list[Any]:
    """Weights, seeds of dropout, moments of the optimizer."""
    return [*model.variables, *optimizer.variables]


def _kind(variable: Any) -> str:
    return {"float32": "f4", "int64": "i8", "int32": "i4", "uint32": "u4"}[str(variable.dtype)]
