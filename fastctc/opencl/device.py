"""Device: one OpenCL device with its queue and its built kernels; devices: what there is."""

import os
import tempfile
import threading
import warnings
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from fastctc.opencl.source import kernel_source

if TYPE_CHECKING:
    from fastctc.opencl.pipeline import Pipeline

OFF = "FASTCTC_OPENCL"
KEPT_PLANS = 256
SMALL = 1 << 22  # bytes to compare: less is done before PoCL's threads wake up
INSTALL = 'OpenCL needs pyopencl: pip install "fastctc[opencl]"'
_used = False
_forked = False


def _after_fork() -> None:
    global _forked
    _forked = _used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@dataclass(frozen=True)
class DeviceInfo:
    """What an OpenCL device is and can do."""

    index: str  # platform.device, as in "opencl:0.0"
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

    def to_dict(self) -> dict[str, Any]:
        """As JSON wants it."""
        return asdict(self)


def _opencl() -> Any:
    """pyopencl, ready to be asked for platforms.

    Raises
    ------
    ImportError
        If it is not installed.
    RuntimeError
        In a process that was forked from one that had used OpenCL: PoCL would wait there for ever for threads that the
        fork did not copy.
    """
    global _used
    if _forked:
        raise RuntimeError(
            "OpenCL was used before this process was forked, and does not work in the fork: use the 'spawn' or "
            "'forkserver' start method of multiprocessing, or backend='compiled'"
        )
    if not _used:
        _give_pocl_a_cache()
        _let_pocl_work_in_the_calling_thread()
    try:
        import pyopencl
    except ImportError as error:
        raise ImportError(f"{INSTALL} ({error})") from None
    _used = True
    return pyopencl


def _give_pocl_a_cache() -> None:
    """PoCL shows no device if it cannot write what it compiles; with an unwritable home that is a temporary folder."""
    if "POCL_CACHE_DIR" in os.environ:
        return
    named = os.environ.get("XDG_CACHE_HOME")
    place = (Path(named) if named else Path.home() / ".cache") / "pocl"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return
    except OSError:
        os.environ["POCL_CACHE_DIR"] = tempfile.mkdtemp(prefix="fastctc-pocl-")


def _let_pocl_work_in_the_calling_thread() -> None:
    """Have PoCL show a second device for the processor, without threads of its own, for small images.

    Only the PoCL that pip brings: others may know their devices by other names, and show none then.
    """
    try:
        known = metadata.version("pocl-binary-distribution").startswith("3.")
    except metadata.PackageNotFoundError:
        return
    if known:
        os.environ.setdefault("POCL_DEVICES", "pthread basic")


class Found(NamedTuple):
    """A device, and another one that is the same processor without threads, if there is one."""

    info: DeviceInfo
    device: Any
    serial: Any = None


def _found() -> list[Found]:
    if os.environ.get(OFF) == "0":
        return []
    cl = _opencl()
    try:
        platforms = cl.get_platforms()
    except cl.Error:  # there is none
        return []
    result = []
    for p, platform in enumerate(platforms):
        try:
            own = platform.get_devices()
        except cl.Error:  # a driver without a device
            continue
        serial = next((device for device in own if len(own) > 1 and device.name.startswith("basic-")), None)
        for d, device in enumerate(one for one in own if one is not serial):
            info = _info(cl, f"{p}.{d}", platform, device)
            result.append(Found(info, device, serial if info.kind == "cpu" else None))
    return result


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


def devices() -> list[DeviceInfo]:
    """All OpenCL devices of this machine; none if ``FASTCTC_OPENCL=0``.

    Raises
    ------
    ImportError
        If pyopencl is not installed.
    """
    return [one.info for one in _found()]


@dataclass(frozen=True)
class Device:
    """An OpenCL device, chosen by name; queue and kernels are made once for each device and kept.

    Parameters
    ----------
    name : str, default "opencl"
        ``"opencl:cpu"``, ``"opencl:gpu"``, ``"opencl:0.1"`` (platform and device, as ``fastctc devices`` lists them),
        or ``"opencl:"`` and a part of the device's or its platform's name. ``"opencl"`` takes a graphics card if there
        is one, else whatever there is.

    Raises
    ------
    ImportError
        If pyopencl is not installed.
    LookupError
        If there is no such device; the message says which there are.
    RuntimeError
        In a process that was forked after OpenCL had been used.

    Notes
    -----
    Safe to use from several threads: kernels run one after the other. Programs are cached on disk by the runtime.
    With the PoCL that pip brings, what is small is computed in the calling thread, if nobody has set POCL_DEVICES and
    nobody has asked pyopencl for platforms before: to wake PoCL's threads may take 100 µs.
    """

    name: str = "opencl"

    def __post_init__(self) -> None:
        self._opened  # noqa: B018 - a device that is missing is missed here

    @property
    def _opened(self) -> "Opened":
        if _forked:
            _opencl()
        return _open(self.name)

    @property
    def info(self) -> DeviceInfo:
        """What the device is."""
        return self._opened.info

    def pipeline(self, *, profile: bool = False) -> "Pipeline":
        """A chain of operations whose images stay on the device; see :class:`fastctc.opencl.Pipeline`."""
        from fastctc.opencl.pipeline import Pipeline

        return Pipeline(self, profile=profile)

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.name,)


def _choose(name: str) -> Found:
    found = _found()
    wanted = name.removeprefix("opencl").removeprefix(":")
    if not name.startswith("opencl") or (name != "opencl" and not wanted):
        raise ValueError(
            f"a device must be named 'opencl', 'opencl:cpu', 'opencl:gpu', 'opencl:0.0' or by its name, got {name!r}"
        )
    if not wanted:
        ranks = {"gpu": 0, "accelerator": 1, "cpu": 2, "other": 3}
        fitting = sorted(found, key=lambda one: ranks[one.info.kind])
    else:
        fitting = [
            one
            for one in found
            if wanted.lower() in (one.info.kind, one.info.index)
            or (len(wanted) > 2 and wanted.lower() in f"{one.info.name} {one.info.platform}".lower())
        ]
    if fitting:
        return fitting[0]
    if os.environ.get(OFF) == "0":
        raise LookupError(f"there is no device {name!r}: OpenCL is switched off by {OFF}=0")
    there = "; ".join(f"opencl:{info.index} is the {info.kind} {info.name} ({info.platform})" for info, _, _ in found)
    raise LookupError(f"there is no device {name!r}; found: {there or 'no OpenCL device at all'}")


_opening = threading.Lock()
_open_devices: dict[str, "Opened"] = {}


def _open(name: str) -> "Opened":
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


@dataclass(frozen=True)
class Launch:
    """A kernel with its arguments, but for the first two: where to read and where to write."""

    kernel: Any
    items: tuple[int, ...]
    group: tuple[int, ...] | None


def set_arguments(kernel: Any, *arguments: Any) -> None:
    """All arguments of a kernel, None for those that stay as they are."""
    for place, argument in enumerate(arguments):
        if argument is not None:
            kernel.set_arg(place, np.int32(argument) if isinstance(argument, int) else argument)
    kernel.its_arguments = arguments  # buffers among them live as long as the kernel: OpenCL does not see to that


class Opened:
    """What is kept for a device: context, queues, kernels. Use it with :attr:`lock` held."""

    def __init__(self, found: Found) -> None:
        cl = _opencl()
        info, device, self._serial_device = found
        self.cl = cl
        self.info = info
        self.device = device
        self.context = cl.Context([device])
        self.queue = cl.CommandQueue(self.context, device)
        self.lock = threading.RLock()
        self.programs: dict[tuple[str, tuple[str, ...]], Any] = {}
        self.plans: dict[Any, list[Launch]] = {}
        self._profiling_queue: Any = None
        # PoCL's processors read and write a NumPy array where it lies; others may copy it behind the scenes, slowly.
        self.zero_copy = info.shares_memory and info.kind == "cpu" and "portable computing" in info.platform.lower()
        self.streams = info.kind == "cpu"  # whole rows for processors, tiles for all others

    def for_work(self, size: int) -> "Opened":
        """Itself, or, for little work or a single core, the same processor without threads that must be woken up."""
        threads_pay = size > SMALL and self.info.compute_units > 1
        return self if threads_pay or self._serial is None else self._serial

    @cached_property
    def _serial(self) -> "Opened | None":
        if self._serial_device is None:
            return None
        with self.lock:
            return Opened(Found(replace(self.info, compute_units=1), self._serial_device))

    @property
    def profiling_queue(self) -> Any:
        """A queue whose events know their times; those of the ordinary one do not, which saves a microsecond a call."""
        if self._profiling_queue is None:
            flag = self.cl.command_queue_properties.PROFILING_ENABLE
            self._profiling_queue = self.cl.CommandQueue(self.context, self.device, properties=flag)
        return self._profiling_queue

    def kernel(self, source: str, defines: tuple[str, ...], *arguments: Any) -> Any:
        """A kernel of a file, built with these definitions, and its arguments: None for those that every call sets.

        Programs are kept; a kernel is the caller's own, since its arguments are part of it.
        """
        key = source, defines
        program = self.programs.get(key)
        if program is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", self.cl.CompilerWarning)
                program = self.cl.Program(self.context, kernel_source(source))
                try:
                    program.build([f"-D{define}" for define in defines])
                except self.cl.Error as error:
                    raise RuntimeError(
                        f"{self.info.name} could not build {source} ({' '.join(defines)}): {error}"
                    ) from None
            self.programs[key] = program
        kernel = self.cl.Kernel(program, source)
        set_arguments(kernel, *arguments)
        return kernel

    def keep(self, key: Any, plan: "list[Launch]") -> "list[Launch]":
        """Keep the launches for a task in :attr:`plans`."""
        if len(self.plans) >= KEPT_PLANS:
            self.plans.clear()
        self.plans[key] = plan
        return plan

    def input(self, array: Any) -> Any:
        """A buffer that holds an array, or is the array itself where that costs nothing."""
        flags = self.cl.mem_flags
        if self.zero_copy:
            return self.cl.Buffer(self.context, flags.READ_ONLY | flags.USE_HOST_PTR, hostbuf=array)
        return self.cl.Buffer(self.context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=array)

    def output(self, array: Any) -> Any:
        """A buffer for results that :meth:`fetch` brings into the array."""
        flags = self.cl.mem_flags
        if self.zero_copy:
            return self.cl.Buffer(self.context, flags.READ_WRITE | flags.USE_HOST_PTR, hostbuf=array)
        return self.cl.Buffer(self.context, flags.READ_WRITE, array.nbytes)

    def fetch(self, buffer: Any, array: Any, queue: Any = None) -> None:
        """Wait for the results, and bring them into the array if they are not there."""
        queue = queue or self.queue
        if self.zero_copy:
            queue.finish()
        else:
            self.cl.enqueue_copy(queue, array, buffer)

    def table(self, numbers: Any) -> Any:
        """A constant table on the device."""
        flags = self.cl.mem_flags
        return self.cl.Buffer(
            self.context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=np.ascontiguousarray(numbers)
        )
