"""OpenCL: the devices of this machine, and the kernels of fastctc on them."""

from fastctc.opencl.device import Device, DeviceInfo, devices
from fastctc.opencl.pipeline import Pipeline
from fastctc.opencl.source import kernel_source

__all__ = ["Device", "DeviceInfo", "Pipeline", "devices", "kernel_source"]
