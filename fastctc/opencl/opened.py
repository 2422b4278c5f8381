"""Opened: what is kept for a device while a process uses it."""

import threading
import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import numpy as np

from fastctc.opencl.listing import DeviceInfo, Found, one_line, pyopencl
from fastctc.opencl.source import kernel_source

KEPT_PLANS = 256
KEPT_BYTES = 1 << 28  # of buffers for later work
SMALL = 1 << 22  # bytes to compare: less is done before PoCL's threads wake up


class DeviceError(LookupError):
    """A device that is not there or does not compute: what, why, and what to do, a line each."""


class BoundKernel:
    """A kernel and its arguments. Buffers among them live as long as it does: OpenCL does not see to that."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self._arguments: tuple[Any, ...] = ()

    def set(self, *arguments: Any) -> None:
        """All arguments; None for those that stay as they are."""
        for place, argument in enumerate(arguments):
            if argument is not None:
                self.kernel.set_arg(place, np.int32(argument) if isinstance(argument, int) else argument)
        self._arguments = arguments


@dataclass(frozen=True)
class Launch:
    """A kernel with its arguments, but for the first two: where to read and where to write."""

    kernel: BoundKernel
    items: tuple[int, ...]
    group: tuple[int, ...] | None


class Opened:
    """Context, queues and kernels of a device.

    ``with opened:`` is work on it: no other thread's, and an error of its driver becomes a :exc:`DeviceError`.
    """

    def __init__(self, found: Found) -> None:
        cl = pyopencl()
        info, device, self._serial_device = found
        self.cl = cl
        self.info: DeviceInfo = info
        self.device = device
        self.context = cl.Context([device])
        self.queue = cl.CommandQueue(self.context, device)
        self.programs: dict[tuple[str, tuple[str, ...]], Any] = {}
        self.plans: dict[Any, list[Launch]] = {}
        self._lock = threading.RLock()
        self._free: dict[int, list[Any]] = {}
        self._free_bytes = 0
        self._profiling_queue: Any = None
        # PoCL's processors read and write a NumPy array where it lies; others may copy it behind the scenes, slowly.
        self.zero_copy = info.shares_memory and info.kind == "cpu" and "portable computing" in info.platform.lower()
        self.streams = info.kind == "cpu"  # whole rows for processors, tiles for all others

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
        if isinstance(error, self.cl.Error):
            raise DeviceError(
                f"opencl:{self.info.index} ({self.info.name}, {self.info.platform}) failed at work\n"
                f"why: {one_line(error)}\n"
                "remedy: smaller images or batches if its memory was full; else update its driver, or use "
                "backend='compiled', which needs no device"
            ) from None

    def for_work(self, size: int) -> "Opened":
        """Itself, or, for little work or a single core, the same processor without threads that must be woken up."""
        threads_pay = size > SMALL and self.info.compute_units > 1
        return self if threads_pay or self.serial is None else self.serial

    @cached_property
    def serial(self) -> "Opened | None":
        """The same processor without threads, if the driver offers it."""
        if self._serial_device is None:
            return None
        with self:
            return Opened(Found(replace(self.info, compute_units=1), self._serial_device))

    @property
    def profiling_queue(self) -> Any:
        """A queue whose events know their times; those of the ordinary one do not, which saves a microsecond a call."""
        if self._profiling_queue is None:
            flag = self.cl.command_queue_properties.PROFILING_ENABLE
            self._profiling_queue = self.cl.CommandQueue(self.context, self.device, properties=flag)
        return self._profiling_queue

    def kernel(self, source: str, defines: tuple[str, ...], *arguments: Any) -> BoundKernel:
        """A kernel of a file, built with these definitions, and its arguments: None for those that every call sets.

        Programs are kept; a kernel is the caller's own, since its arguments are part of it.
        """
        key = source, defines
        program = self.programs.get(key)
        if program is None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", self.cl.CompilerWarning)
                program = self.cl.Program(self.context, kernel_source(source))
                program.build([f"-D{define}" for define in defines])
            self.programs[key] = program
        kernel = BoundKernel(self.cl.Kernel(program, source))
        kernel.set(*arguments)
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
        buffer = self.borrow(array.nbytes)
        self.cl.enqueue_copy(self.queue, buffer, array)
        return buffer

    def output(self, array: Any) -> Any:
        """A buffer for results that :meth:`fetch` brings into the array."""
        flags = self.cl.mem_flags
        if self.zero_copy:
            return self.cl.Buffer(self.context, flags.READ_WRITE | flags.USE_HOST_PTR, hostbuf=array)
        return self.borrow(array.nbytes)

    def done(self, array: Any, *buffers: Any) -> None:
        """What :meth:`input` and :meth:`output` gave for arrays of this size is needed no more, by any queue."""
        if not self.zero_copy:
            self.give_back(array.nbytes, *buffers)

    def borrow(self, size: int) -> Any:
        """A buffer of so many bytes, with anything in it.

        One that was used before where there is one: the first touch of new memory, a page at a time, takes Intel's
        runtime five times as long as a dilation by 3 x 3.
        """
        free = self._free.get(size)
        if free:
            self._free_bytes -= size
            return free.pop()
        return self.cl.Buffer(self.context, self.cl.mem_flags.READ_WRITE, size)

    def give_back(self, size: int, *buffers: Any) -> None:
        """Keep borrowed buffers of so many bytes each for later work; no queue may still use them."""
        for buffer in buffers:
            if self._free_bytes + size > KEPT_BYTES:
                self._free.clear()
                self._free_bytes = 0
            if size <= KEPT_BYTES:
                self._free.setdefault(size, []).append(buffer)
                self._free_bytes += size

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
