"""List the OpenCL devices of this machine."""

import json
import sys
from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with everything that is known")


def run(options: Namespace) -> int:
    from fastctc.opencl import devices

    try:
        found = devices()
    except ImportError as error:
        print(f"fastctc devices: {error}", file=sys.stderr)
        return 1
    for info in found:
        if options.json:
            print(json.dumps(info.to_dict(), ensure_ascii=False))
            continue
        print(f"opencl:{info.index}  {info.kind}  {info.name}")
        print(f"    {info.platform}, {info.version}, driver {info.driver}")
        memory = "shares the processor's memory" if info.shares_memory else "has memory of its own"
        print(
            f"    {info.compute_units} compute units, {info.global_memory / 2**30:.1f} GiB, {memory}, "
            f"{info.local_memory // 1024} KiB local, work-groups of up to {info.largest_work_group}"
        )
    if not found:
        print(
            "fastctc devices: no OpenCL device. PoCL makes one of the processor, and comes with pip on Linux x86-64: "
            'pip install "fastctc[opencl]". FASTCTC_OPENCL=0 switches OpenCL off.',
            file=sys.stderr,
        )
    return 0 if found else 1
