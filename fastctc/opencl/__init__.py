"""OpenCL: the devices of this machine, and the kernels of fastctc on them."""

from fastctc.opencl.device import Device, devices
from fastctc.opencl.listing import DeviceInfo
from fastctc.opencl.opened import DeviceError
from fastctc.opencl.pipeline import Pipeline
from fastctc.opencl.source import kernel_source

__all__ = ["Device", "DeviceError", "DeviceInfo", "Pipeline", "devices", "kernel_source"]
