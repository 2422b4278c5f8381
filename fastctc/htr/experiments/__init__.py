"""Experiments that look inside the network: each module has run(), which computes, and plot(), which shows."""

from importlib import import_module
from typing import Any

NAMES = ("pixel_relevance", "hypothesis_editing", "translation_invariance", "padding", "trained_padding", "pooling")


def load(name: str) -> Any:
    """The module of an experiment.

    Raises
    ------
    ValueError
        If there is no such experiment.
    """
    if name not in NAMES:
        raise ValueError(f"an experiment must be one of {', '.join(NAMES)}, got {name!r}")
    return import_module(f"fastctc.htr.experiments.{name}")
