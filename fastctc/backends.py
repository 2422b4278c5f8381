"""The one place that turns a backend's name into code."""

from functools import cache
from importlib import import_module
from types import ModuleType

BACKENDS = ("compiled", "reference")


@cache
def load(backend: str, module: str) -> ModuleType:
    """The twin of ``module`` that ``backend`` names, imported at first use.

    Raises
    ------
    ValueError
        For a backend that does not exist.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    return import_module(f"fastctc.{backend}.{module}")
