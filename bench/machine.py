"""The machine that is measured."""

import platform
from pathlib import Path


def processor() -> str:
    """Its name, as Linux knows it, or else as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
