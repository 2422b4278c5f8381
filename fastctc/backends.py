"""The one place that turns a backend's name into code."""

from functools import cache
from importlib import import_module
from typing import Any

BACKENDS = ("compiled", "reference")
ON_DEVICES = {"morphology": "Morphology", "best_path": "BestPath"}  # what there are kernels for


@cache
def load(backend: str, module: str) -> Any:
    """The twin of ``module`` that ``backend`` names, imported at first use.

    Raises
    ------
    ValueError
        For a backend that does not exist.
    LookupError, ImportError
        For an OpenCL device that is not there, or without pyopencl.
    """
    if backend.startswith("opencl") and module in ON_DEVICES:
        device = import_module("fastctc.opencl").Device(backend)
        return getattr(import_module(f"fastctc.opencl.{module}"), ON_DEVICES[module])(device)
    if backend not in BACKENDS:
        devices = ", opencl:cpu, opencl:gpu, ..." if module in ON_DEVICES else ""
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}{devices}, got {backend!r}")
    return import_module(f"fastctc.{backend}.{module}")
