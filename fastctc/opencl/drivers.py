"""Drivers: which OpenCL runtimes there are, those of pip included, and how the loader comes to know them."""

import ctypes
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

VENDORS = Path("/etc/OpenCL/vendors")  # where drivers register themselves on Linux
CHOSEN = "OCL_ICD_VENDORS"  # a folder in its place, or a single driver
HOME = "PYOPENCL_HOME"  # the loader in pyopencl's wheel also reads the .icd files of .libs there
INTEL = "intel-opencl-rt"
INTEL_LIBRARIES = "intel-cmplr-lib-rt"  # which Intel's runtime needs and its wheel does not ask for


class Driver(NamedTuple):
    """A runtime as an .icd file names it."""

    name: str
    library: str  # its file, or a name that the linker knows
    by_pip: bool = False

    def stamp(self) -> list[object]:
        """What changes when the driver does."""
        try:
            state = Path(self.library).stat()
        except OSError:
            return [*self]
        return [*self, state.st_size, state.st_mtime_ns]


def drivers() -> list[Driver]:
    """All that the loader is shown on Linux; elsewhere the system keeps the list, and this one is empty.

    Those of pip come first, PoCL before Intel's: where it works it is the faster one.
    """
    if sys.platform != "linux":
        return []
    chosen = os.environ.get(CHOSEN)
    if chosen and not Path(chosen).is_dir():
        return [Driver(Path(chosen).stem, chosen)]
    return [*_of_pip(), *_registered(Path(chosen) if chosen else VENDORS)]


def _registered(folder: Path) -> list[Driver]:
    found = []
    for file in sorted(folder.glob("*.icd")):
        with suppress(OSError, UnicodeDecodeError):
            found.append(Driver(file.stem, file.read_text(encoding="utf-8").strip()))
    return found


def _of_pip() -> list[Driver]:
    """PoCL in pyopencl's folder, and Intel's, whose .icd file names a folder that does not exist."""
    libs = _loader_home()
    if libs is None:
        return []
    found = []
    for driver in _registered(libs):
        beside = libs / driver.library
        found.append(Driver(driver.name, str(beside) if beside.exists() else driver.library, True))
    intel = _file_of(INTEL, "libintelocl.so")
    if intel is not None:
        found.append(Driver("intel-cpu", str(intel), True))
    return found


def _loader_home() -> Path | None:
    """The folder whose .icd files the loader in pyopencl's wheel reads; other builds of pyopencl have none."""
    spec = find_spec("pyopencl")
    libs = Path(spec.origin).parent / ".libs" if spec and spec.origin else None
    return libs if libs and libs.is_dir() else None


def _file_of(distribution: str, name: str) -> Path | None:
    """A library that pip installed, wherever it put it."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return None
    places = (Path(str(file.locate())).resolve() for file in files if file.name == name)
    return next((place for place in places if place.is_file()), None)


@contextmanager
def shown(some: Iterable[Driver], cache: str | None = None) -> Iterator[None]:
    """The environment in which the loader finds these drivers and no others; put back as it was at the end.

    The loader reads it once in a process, when it is first asked for platforms.

    Parameters
    ----------
    some : of :func:`drivers`
    cache : str, optional
        A folder for what PoCL compiles.
    """
    some, everything = list(some), drivers()
    with tempfile.TemporaryDirectory(prefix="fastctc-opencl-") as folder:
        change = {} if cache is None else {"POCL_CACHE_DIR": cache}
        if "POCL_DEVICES" not in os.environ and _knows_serial(some):
            # a second device for the processor, without threads that must be woken up, for small images
            change["POCL_DEVICES"] = "pthread basic"
        single = everything and not everything[0].by_pip and everything[0].library == os.environ.get(CHOSEN)
        if everything and not single:
            if some != everything:
                change[CHOSEN] = _register(Path(folder), "vendors", [one for one in some if not one.by_pip])
            of_pip = [one for one in some if one.by_pip]
            if of_pip != _registered_by_pyopencl():
                _preload(of_pip)
                change[HOME] = str(Path(_register(Path(folder), ".libs", of_pip)).parent)
        before = {name: os.environ.get(name) for name in change}
        os.environ.update(change)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _registered_by_pyopencl() -> list[Driver]:
    return [one for one in _of_pip() if one.name != "intel-cpu"]


def _register(folder: Path, name: str, some: list[Driver]) -> str:
    place = folder / name
    place.mkdir()
    for number, driver in enumerate(some):
        (place / f"{number}-{driver.name}.icd").write_text(f"{driver.library}\n", encoding="utf-8")
    return str(place)


def _knows_serial(some: list[Driver]) -> bool:
    """Only PoCL 3 calls its devices so; another one beside it would show none."""
    try:
        known = metadata.version("pocl-binary-distribution").startswith("3.")
    except metadata.PackageNotFoundError:
        return False
    pocl = [one for one in some if "pocl" in one.library.lower()]
    return known and len(pocl) == 1 and pocl[0].by_pip


def _preload(some: list[Driver]) -> None:
    """Let the linker find what Intel's runtime needs, where it is not beside it."""
    for driver in some:
        if driver.name != "intel-cpu":
            continue
        for name in ("libintlc.so.5", "libirng.so", "libsvml.so", "libimf.so"):
            place = _file_of(INTEL_LIBRARIES, name)
            if place is not None and not (Path(driver.library).parent / name).exists():
                with suppress(OSError):  # then the loader leaves the runtime out
                    ctypes.CDLL(str(place), mode=ctypes.RTLD_GLOBAL)
