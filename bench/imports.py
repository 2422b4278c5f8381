"""What a program pays for its imports: time, memory, and the modules that come along."""

import subprocess
import sys
from pathlib import Path


class Import:
    params = (["numpy", "fastctc", "fastctc.htr.reader"],)
    param_names = ("module",)

    def timeraw_import(self, name):
        return f"import {name}"

    def track_peakmem(self, name):
        """Of a process that does nothing else: asv's own, where peakmem_ looks, has imported before."""
        if not Path("/proc/self/status").exists():
            raise NotImplementedError("the peak is read from /proc")
        status = afterwards(name, "print(open('/proc/self/status').read())")
        return 1024 * int(status.split("VmHWM:")[1].split()[0])

    track_peakmem.unit = "bytes"

    def track_modules(self, name):
        return int(afterwards(name, "import sys; print(len(sys.modules))"))

    track_modules.unit = "modules"


def afterwards(name, then):
    """What a fresh interpreter prints that has imported the module."""
    command = [sys.executable, "-c", f"import {name}; {then}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
