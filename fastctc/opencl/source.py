"""The text of the kernels: part of the package when it is installed, beside it in a checkout."""

from functools import cache
from importlib.resources import files
from pathlib import Path


@cache
def kernel_source(name: str) -> str:
    """The OpenCL C of a kernel file, ``"morphology"`` or ``"best_path"``.

    Raises
    ------
    FileNotFoundError
        If there is no such kernel.
    """
    try:
        installed = files("fastctc.kernels").joinpath(f"{name}.cl")
        if installed.is_file():
            return installed.read_text(encoding="utf-8")
    except ModuleNotFoundError:  # a checkout: the folder has no package around it
        pass
    beside = Path(__file__).parents[2] / "kernels" / f"{name}.cl"
    if not beside.is_file():
        raise FileNotFoundError(f"there is no kernel {name!r}, neither in fastctc.kernels nor at {beside}")
    return beside.read_text(encoding="utf-8")
