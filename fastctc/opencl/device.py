"""Device: one OpenCL device that computes; devices: what there is, with a verdict on each."""

import atexit
import os
import shutil
import tempfile
import threading
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from fastctc.opencl.drivers import Driver, drivers, shown
from fastctc.opencl.listing import DeviceInfo, Found, facts, listed, pyopencl, refuse_forks
from fastctc.opencl.opened import DeviceError, Opened
from fastctc.opencl.verdict import Verdict, ask, remembered

OFF = "FASTCTC_OPENCL"
SETTINGS = ("OCL_ICD_", "OPENCL_", "POCL_DEVICES")  # variables that decide which drivers and devices are shown
AGAIN = "'fastctc devices --check' checks it again"


def devices(*, again: bool = False) -> list[DeviceInfo]:
    """All OpenCL devices of this machine, broken ones too; none if ``FASTCTC_OPENCL=0``.

    Each is checked before its first use: it builds and runs programs, one of our own kernels among them, in a process
    of its own that is stopped after a minute. The verdict is kept in the user's cache folder until the driver, the
    device or the processor changes.

    Parameters
    ----------
    again : bool, default False
        Check all devices now, whatever is known.

    Raises
    ------
    ImportError
        If pyopencl is not installed.
    """
    if os.environ.get(OFF) == "0":
        return []
    with _opening:
        here = _platforms(again=again)
        return [_judged(one, here.drivers, again=again) for one in here.found] + here.broken


@dataclass(frozen=True)
class Device:
    """An OpenCL device that computes, chosen by name; queue and kernels are made once for each device and kept.

    Parameters
    ----------
    name : str, default "opencl"
        ``"opencl:cpu"``, ``"opencl:gpu"``, ``"opencl:0.1"`` (platform and device, as ``fastctc devices`` lists them),
        or ``"opencl:"`` and a part of the device's or its platform's name: the first of these that computes.
        ``"opencl"`` takes a graphics card if there is one, else whatever there is.

    Raises
    ------
    ImportError
        If pyopencl is not installed.
    DeviceError
        A LookupError, if there is no such device or it does not compute. Three lines say what, why, and what to do.
    RuntimeError
        In a process that was forked after OpenCL had been used.

    Notes
    -----
    Safe to use from several threads: kernels run one after the other. Programs are cached on disk by the runtime.
    With the PoCL that pip brings, what is small is computed in the calling thread, unless POCL_DEVICES is set or
    pyopencl has been asked for platforms before: waking PoCL's threads may take 100 µs.
    """

    name: str = "opencl"

    def __post_init__(self) -> None:
        _open(self.name)

    @property
    def opened(self) -> Opened:
        """Its context, queues and kernels."""
        refuse_forks()
        return _open(self.name)

    @property
    def info(self) -> DeviceInfo:
        """What the device is."""
        return self.opened.info

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.name,)


@dataclass(frozen=True)
class _Platforms:
    """What the loader has told this process; it reads its settings only once."""

    found: list[Found]
    drivers: list[Driver]  # that may be asked
    broken: list[DeviceInfo]  # drivers that may not


_opening = threading.RLock()
_asked: _Platforms | None = None
_open_devices: dict[str, Opened] = {}


def _platforms(*, again: bool = False) -> _Platforms:
    """Ask the drivers for their devices, but no driver that crashes or hangs when another process asks it."""
    global _asked
    refuse_forks()
    if _asked is not None and not again:
        return _asked
    cl = pyopencl()
    everything = drivers()
    verdict = _can_be_asked(cl, everything, again=again)
    broken: list[DeviceInfo] = []
    sound = everything
    if not verdict.works:
        alone = [(one, _can_be_asked(cl, [one], again=again)) for one in everything]
        sound = [one for one, its_own in alone if its_own.works]
        broken = [_broken_driver(one, its_own) for one, its_own in alone if not its_own.works]
        if not broken:
            raise DeviceError(
                f"OpenCL's drivers cannot be asked for their devices\nwhy: {verdict.reason}\n"
                f"remedy: update or remove drivers; {OFF}=0 switches OpenCL off"
            )
    with shown(sound, _cache_for_pocl(sound)):
        _asked = _Platforms(listed(cl), sound, broken)
    return _asked


def _can_be_asked(cl: Any, some: list[Driver], *, again: bool) -> Verdict:
    settings = {name: value for name, value in os.environ.items() if name.startswith(SETTINGS)}
    about = ["drivers", cl.VERSION_TEXT, [one.stamp() for one in some], settings]
    return remembered(about, lambda: ask({"drivers": some, "device": None}), again=again)


def _judged(found: Found, some: list[Driver], *, again: bool = False) -> DeviceInfo:
    """The device with its verdict."""
    its_facts = facts(found)
    verdict = remembered(["device", *its_facts], lambda: ask({"drivers": some, "device": its_facts}), again=again)
    if verdict.works:
        return found.info
    return replace(found.info, works=False, reason=verdict.reason, remedy=_remedy(found.info))


def _broken_driver(driver: Driver, verdict: Verdict) -> DeviceInfo:
    info = DeviceInfo(driver.name, "other", driver.library, "", driver.name, "", "", 0, 0, 0, 0, 0, False)
    remedy = f"update or remove this driver; {AGAIN}"
    return replace(info, works=False, reason=verdict.reason, remedy=remedy)


def _remedy(info: DeviceInfo) -> str:
    if info.kind == "gpu":
        cure = f"install the present driver of {info.vendor}, or use opencl:cpu"
    elif "portable computing" in info.platform.lower():
        cure = (
            "this PoCL may be older than the processor: pip install intel-opencl-rt intel-cmplr-lib-rt (Linux x86-64), "
            "or a newer PoCL of the system (apt install pocl-opencl-icd)"
        )
    else:
        cure = (
            f"update the driver of {info.vendor or info.platform}, or install another one: apt install pocl-opencl-icd"
        )
    return f"{cure}; {AGAIN}"


def _cache_for_pocl(some: list[Driver]) -> str | None:
    """PoCL shows no device if it cannot write what it compiles; with an unwritable home that is a temporary folder."""
    if "POCL_CACHE_DIR" in os.environ or not any("pocl" in one.library.lower() for one in some):
        return None
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        place = (Path(named) if named else Path.home() / ".cache") / "pocl"
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return None
    except (OSError, RuntimeError):  # no permission; no home at all
        folder = tempfile.mkdtemp(prefix="fastctc-pocl-")
        atexit.register(partial(_remove, folder, os.getpid()))
        return folder


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # a fork leaves its parent's alone
        shutil.rmtree(folder, ignore_errors=True)


def _choose(name: str) -> Found:
    wanted = name.removeprefix("opencl").removeprefix(":").lower()
    if not name.startswith("opencl") or (name != "opencl" and not wanted):
        raise ValueError(
            f"a device must be named 'opencl', 'opencl:cpu', 'opencl:gpu', 'opencl:0.0' or by its name, got {name!r}"
        )
    if os.environ.get(OFF) == "0":
        raise DeviceError(f"there is no device {name!r}\nwhy: OpenCL is switched off by {OFF}=0\nremedy: unset {OFF}")
    here = _platforms()
    fitting = [one for one in here.found if _fits(one.info, wanted)]
    if not wanted:
        ranks = {"gpu": 0, "accelerator": 1, "cpu": 2, "other": 3}
        fitting.sort(key=lambda one: ranks[one.info.kind])
    broken = []
    for one in fitting:
        info = _judged(one, here.drivers)
        if info.works:
            return one
        broken.append(info)
    broken += [info for info in here.broken if _fits(info, wanted)]
    raise _not_usable(name, broken, [one.info for one in here.found])


def _fits(info: DeviceInfo, wanted: str) -> bool:
    if not wanted or wanted in (info.kind, info.index):
        return True
    return len(wanted) > 2 and wanted in f"{info.name} {info.platform}".lower()


def _not_usable(name: str, broken: list[DeviceInfo], found: list[DeviceInfo]) -> DeviceError:
    if not broken:
        there = ", ".join(f"opencl:{info.index} (the {info.kind} {info.name}, {info.platform})" for info in found)
        return DeviceError(
            f"there is no device {name!r}\nwhy: what there is: {there or 'no OpenCL device at all'}\n"
            'remedy: pip install "fastctc[opencl]" brings one for the processor on Linux x86-64; a graphics card needs '
            "its maker's driver"
        )
    named = ", ".join(f"opencl:{info.index} ({info.name}, {info.platform})" for info in broken)
    many = len(broken) > 1
    reasons = "; ".join(f"opencl:{info.index}: {info.reason}" if many else info.reason for info in broken)
    verb = "do" if many else "does"
    return DeviceError(f"{named} {verb} not compute\nwhy: {reasons}\nremedy: {broken[0].remedy}")


def _open(name: str) -> Opened:
    opened = _open_devices.get(name)
    if opened is None:
        with _opening:
            found = _choose(name)
            place = f"={found.info.index}"
            opened = _open_devices.get(place)
            if opened is None:
                opened = _open_devices[place] = Opened(found)
            _open_devices[name] = opened
    return opened
