"""Anybody's CTC line recogniser, as an ONNX file: onnxruntime computes it, and nothing else of it is run.

What a file does not say of itself a JSON file beside it may, ``model.json`` beside ``model.onnx``:

==================  ====================================================================================
``characters``      a text or a list, in the order of the classes, without the blank
``blank``           class of the blank, 0 by default
``height``          of the images, in pixels; by default what the input's shape says
``mean``, ``std``   of the grey values in [0, 1], 0.5 both by default: (grey - mean) / std goes in
==================  ====================================================================================

PaddleOCR's recognisers carry their characters with them; so RapidOCR's, which its wheel brings, need no such file.
"""

import importlib.util
import json
from collections.abc import Sequence
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.alphabet import Alphabet

INSTALL = 'networks in ONNX files need onnxruntime: pip install "fastctc[onnx]"'
KEYS = ("characters", "blank", "height", "mean", "std")
TRIAL = 320  # columns of the empty image that shows how many make a frame
TALLEST = 1024  # pixels
SUM = 1e-2  # by which rows of probabilities may miss 1

Ink = npt.NDArray[np.uint8]


class OnnxNetwork:
    """A network of a file, (1, channels, height, width) to (1, frames, classes) or (frames, 1, classes).

    Parameters
    ----------
    path : path
        An .onnx file, or "rapidocr": the recogniser of that package, if it is installed.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it is not a network for lines of text, or does not say which characters its classes are.
    ImportError
        If onnxruntime is not installed.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError(f"{INSTALL} ({error})") from None
        self.path = rapidocr_model() if str(path) == "rapidocr" else Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"{self.path}: there is no such file")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(self.path), options, ["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises exceptions of its own, which are not ValueErrors
            raise ValueError(f"{self.path} is no ONNX network: {str(error).splitlines()[0]}") from None
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            raise ValueError(
                f"{self.path} must take one image (batch, channels, height, width), got inputs of "
                f"{', '.join(str(one.shape) for one in inputs)}"
            )
        self._input, (_, channels, height, _) = inputs[0].name, inputs[0].shape
        about = self._about()
        self._channels = channels if channels in (1, 3) else 1
        self._mean, self._std = about.get("mean", 0.5), about.get("std", 0.5)
        self.height: int = about.get("height", height)
        if type(self.height) is not int or not 8 <= self.height <= TALLEST:
            raise ValueError(
                f"{self.path}: height must be 8 to {TALLEST} pixels, got {self.height!r}: {self._advice()}"
            )
        trial = self._output(np.zeros((self.height, TRIAL), np.uint8))
        self.alphabet = self._alphabet(about, trial.shape[1])
        self.stride = max(1, round(TRIAL / len(trial)))

    @property
    def characters(self) -> Sequence[str]:
        return self.alphabet.characters

    def log_probs(self, inks: Sequence[Ink]) -> list[npt.NDArray[np.float32]]:
        """Log probabilities (frames, classes) of lines, each (height, columns), 255 where there is ink."""
        return [self._output(ink) for ink in inks]

    def _output(self, ink: Ink) -> npt.NDArray[np.float32]:
        grey = ((1.0 - ink / 255.0 - self._mean) / self._std).astype(np.float32)
        image = np.repeat(grey[None, None], self._channels, axis=1)
        try:
            values = self._session.run(None, {self._input: image})[0]
        except Exception as error:
            raise ValueError(
                f"{self.path} cannot compute an image of {ink.shape[0]} x {ink.shape[1]} pixels: "
                f"{str(error).splitlines()[0]}"
            ) from None
        values = np.asarray(values)
        if values.ndim != 3 or 1 not in values.shape[:2] or not np.isfinite(values).all():
            raise ValueError(f"{self.path} must give (1, frames, classes) of finite numbers, got shape {values.shape}")
        return _as_log_probs(values[0] if values.shape[0] == 1 else values[:, 0])

    def _about(self) -> dict[str, Any]:
        file = self.path.with_suffix(".json")
        if not file.is_file():
            return {}
        try:
            about = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{file} is no JSON: {error}") from None
        if not isinstance(about, dict) or not set(about) <= set(KEYS):
            raise ValueError(f"{file} must hold an object with some of {', '.join(KEYS)}")
        for name in ("mean", "std"):
            value = about.get(name, 0.5)
            if type(value) not in (int, float) or not isfinite(value) or (name == "std" and value <= 0):
                raise ValueError(f"{file}: {name} must be a number, std above 0, got {value!r}")
        if type(about.get("blank", 0)) is not int:
            raise ValueError(f"{file}: blank must be the number of a class, got {about['blank']!r}")
        return about

    def _alphabet(self, about: dict[str, Any], n_classes: int) -> Alphabet:
        known = self._session.get_modelmeta().custom_metadata_map
        if "characters" in about:
            characters = list(about["characters"])
        elif "character" in known:  # PaddleOCR: one a line; the blank comes before, the space behind
            characters = known["character"].split("\n")
            characters = characters[: n_classes - 1]
            characters += [" "] * (n_classes - 1 - len(characters))
        else:
            raise ValueError(f"{self.path} does not say which characters its {n_classes} classes are: {self._advice()}")
        if len(characters) != n_classes - 1:
            raise ValueError(
                f"{self.path} has {n_classes} classes, the blank among them: there must be {n_classes - 1} characters, "
                f"got {len(characters)}"
            )
        return Alphabet(characters, about.get("blank", 0))

    def _advice(self) -> str:
        return f"write {self.path.with_suffix('.json').name} beside it, with some of {', '.join(KEYS)}"


def rapidocr_model() -> Path:
    """The recogniser that the package rapidocr brings, which is not imported."""
    found = importlib.util.find_spec("rapidocr")
    if found is None or not found.submodule_search_locations:
        raise ImportError("the network rapidocr comes with the package of that name: pip install rapidocr")
    models = sorted(Path(found.submodule_search_locations[0]).glob("models/*rec*.onnx"))
    if not models:
        raise FileNotFoundError("rapidocr is installed, but its recogniser is not in its folder models: name a file")
    return models[-1]


def _as_log_probs(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Of probabilities, their logarithms, or scores before the softmax, whichever a network gives."""
    scores: npt.NDArray[np.float32] = values.astype(np.float32)
    if (scores >= 0).all() and (np.abs(scores.sum(axis=1) - 1) < SUM).all():
        with np.errstate(divide="ignore"):
            scores = np.log(scores)
    scores = scores - scores.max(axis=1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return scores
