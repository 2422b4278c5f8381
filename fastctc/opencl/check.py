"""What a process of its own does to find out whether a device computes; :mod:`fastctc.opencl.verdict` starts it."""

import json
import os
import sys
from typing import Any

import numpy as np

from fastctc.compiled import morphology
from fastctc.opencl.drivers import Driver, shown
from fastctc.opencl.listing import facts, listed, one_line, pyopencl
from fastctc.opencl.morphology import enqueue
from fastctc.opencl.opened import Opened
from fastctc.opencl.verdict import MARK

SMALLEST = "__kernel void check(__global int *numbers) { numbers[get_global_id(0)] = 3 * get_global_id(0) + 1; }"


def main(task: dict[str, Any]) -> None:
    """Ask the drivers of a task for their devices, or have the device that it names compute; say each step before."""
    _leave_no_core_dump()
    judge(task)
    os._exit(0)  # nothing is to be tidied up, and drivers may hang at that


def judge(task: dict[str, Any]) -> None:
    """Say whether the task's device, or without one its drivers, work."""
    chosen = [Driver(*one) for one in task["drivers"]]
    cl = pyopencl()
    say(step="asking the drivers for their devices")
    with shown(chosen):
        found = listed(cl)
    if task["device"] is None:
        say(works=True)
        return
    wanted = [one for one in found if facts(one) == task["device"]]
    if not wanted:
        say(works=False, reason="it was not there when another process asked for it")
        return
    opened = Opened(wanted[0])
    reason = problem(opened) or (problem(opened.serial) if opened.serial else "")
    say(works=not reason, reason=reason)


def say(**about: Any) -> None:
    """A line for the process that waits; what was said stands even if the next step is a crash."""
    print(MARK + json.dumps(about), flush=True)


def problem(opened: Opened) -> str:
    """Why a device does not compute; empty if it does."""
    cl = opened.cl
    step = ""
    try:
        step = "building the smallest program"
        say(step=step)
        kernel = cl.Kernel(cl.Program(opened.context, SMALLEST).build(), "check")
        numbers = np.zeros(100, np.int32)
        step = "running the smallest program"
        say(step=step)
        buffer = opened.output(numbers)
        kernel.set_arg(0, buffer)
        cl.enqueue_nd_range_kernel(opened.queue, kernel, numbers.shape, None)
        opened.fetch(buffer, numbers)
        if not np.array_equal(numbers, 3 * np.arange(100) + 1):
            return "the smallest program gave wrong numbers"
        step = "building and running a dilation"
        say(step=step)
        images = np.random.default_rng(0).integers(0, 255, (1, 37, 53), dtype=np.uint8)
        arguments = np.ones((3, 3), bool), (1, 1), "ignore", 0.0, True
        result = np.zeros_like(images)
        source, target = opened.input(images), opened.output(result)
        enqueue(opened, opened.queue, source, target, images.shape, images.dtype, *arguments)
        opened.fetch(target, result)
        if not np.array_equal(result, morphology.extremes(images, *arguments)):
            return "a dilation gave wrong pixels"
    except (cl.Error, RuntimeError, ValueError) as error:
        return f"{step} failed: {one_line(error)}"
    return ""


def _leave_no_core_dump() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
