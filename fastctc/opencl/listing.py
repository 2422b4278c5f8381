"""What the OpenCL loader lists, as drivers describe it: whether it computes is another question."""

import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

INSTALL = 'OpenCL needs pyopencl: pip install "fastctc[opencl]"'
NO_CACHE = "PYOPENCL_NO_CACHE"
FORKED = (
    "OpenCL was used before this process was forked, and does not work in the fork: use the 'spawn' or 'forkserver' "
    "start method of multiprocessing, or backend='compiled'"
)


@dataclass(frozen=True)
class DeviceInfo:
    """What an OpenCL device is, and whether it computes."""

    index: str  # platform.device, as in "opencl:0.0"; of a driver that cannot even be asked, its name
    kind: str  # cpu, gpu, accelerator or other
    name: str
    vendor: str
    platform: str
    version: str  # of OpenCL
    driver: str
    compute_units: int
    clock_mhz: int
    global_memory: int  # bytes
    local_memory: int  # bytes, of a work-group
    largest_work_group: int  # work-items
    shares_memory: bool  # with the processor: arrays need no copy
    works: bool = True  # it has built and run programs, among them a kernel of ours
    reason: str = ""  # why it does not work
    remedy: str = ""  # what to install or to do then

    def to_dict(self) -> dict[str, Any]:
        """As JSON wants it."""
        return asdict(self)


class Found(NamedTuple):
    """A device, and another one that is the same processor without threads, if there is one."""

    info: DeviceInfo
    device: Any
    serial: Any = None


_used_by: int | None = None  # the process that has used OpenCL


def pyopencl() -> Any:
    """The package pyopencl, in a process that may use it.

    Raises
    ------
    ImportError
        If it is not installed.
    RuntimeError
        In a process that was forked from one that had used OpenCL: PoCL would wait there for ever for threads that the
        fork did not copy.
    """
    global _used_by
    refuse_forks()
    homeless = NO_CACHE not in os.environ and not _can_keep_files()
    if homeless:  # pyopencl reads this when it is imported, and raises OSError later where it cannot keep files
        os.environ[NO_CACHE] = "1"
    try:
        import pyopencl as package
    except ImportError as error:
        raise ImportError(f"{INSTALL} ({error})") from None
    finally:
        if homeless:
            del os.environ[NO_CACHE]
    _used_by = os.getpid()
    return package


def _can_keep_files() -> bool:
    """Whether the user's cache folder can be written, where pyopencl keeps files without asking."""
    if sys.platform != "linux":
        return True
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        place = (Path(named) if named else Path.home() / ".cache") / "pytools"
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return True
    except (OSError, RuntimeError):  # no permission; no home at all
        return False


def refuse_forks() -> None:
    """Raise RuntimeError in a fork of a process that had used OpenCL."""
    if _used_by not in (None, os.getpid()):
        raise RuntimeError(FORKED)


def listed(cl: Any) -> list[Found]:
    """All devices that the drivers name. A driver that fails politely has none."""
    try:
        platforms = cl.get_platforms()
    except cl.Error:  # there is none
        return []
    result = []
    for p, platform in enumerate(platforms):
        try:
            own = platform.get_devices()
            serial = next((device for device in own if len(own) > 1 and device.name.startswith("basic-")), None)
            for d, device in enumerate(one for one in own if one is not serial):
                info = _info(cl, f"{p}.{d}", platform, device)
                result.append(Found(info, device, serial if info.kind == "cpu" else None))
        except cl.Error:  # a driver without a device
            continue
    return result


def facts(found: Found) -> list[str]:
    """What a device is told apart by, and what changes when its driver does."""
    info, platform = found.info, found.device.platform
    serial = found.serial.name if found.serial else ""
    return [platform.name, platform.version, info.name, info.vendor, info.version, info.driver, serial]


def one_line(error: Exception) -> str:
    """What a driver's error says, without the options and sources that pyopencl adds."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    first = " - ".join(dict.fromkeys(lines[0].split(" - ")))  # pyopencl may say it twice
    told = [line for line in lines[1:] if "error" in line.lower()]
    return ": ".join([first, *told[:1]])[:300]


def _info(cl: Any, index: str, platform: Any, device: Any) -> DeviceInfo:
    kinds = {"cpu": cl.device_type.CPU, "gpu": cl.device_type.GPU, "accelerator": cl.device_type.ACCELERATOR}
    return DeviceInfo(
        index=index,
        kind=next((name for name, flag in kinds.items() if device.type & flag), "other"),
        name=device.name.strip(),
        vendor=device.vendor.strip(),
        platform=platform.name.strip(),
        version=device.version.strip(),
        driver=device.driver_version.strip(),
        compute_units=device.max_compute_units,
        clock_mhz=device.max_clock_frequency,
        global_memory=device.global_mem_size,
        local_memory=device.local_mem_size,
        largest_work_group=device.max_work_group_size,
        shares_memory=bool(device.host_unified_memory),
    )
