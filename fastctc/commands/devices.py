"""List the OpenCL devices of this machine, and whether they compute."""

import json
import sys
from argparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line, with everything that is known")
    parser.add_argument("--check", action="store_true", help="check all devices again, whatever was found before")


def run(options: Namespace) -> int:
    from fastctc.opencl import devices

    try:
        found = devices(again=options.check)
    except (ImportError, LookupError) as error:
        print(f"fastctc devices: {error}", file=sys.stderr)
        return 1
    for info in found:
        if options.json:
            print(json.dumps(info.to_dict(), ensure_ascii=False))
            continue
        print(f"opencl:{info.index}  {info.kind}  {info.name}{'' if info.works else '  DOES NOT WORK'}")
        if not info.works:
            print(f"    why: {info.reason}")
            print(f"    remedy: {info.remedy}")
        if info.version:
            print(f"    {info.platform}, {info.version}, driver {info.driver}")
            memory = "shares the processor's memory" if info.shares_memory else "has memory of its own"
            print(
                f"    {info.compute_units} compute units, {info.global_memory / 2**30:.1f} GiB, {memory}, "
                f"{info.local_memory // 1024} KiB local, work-groups of up to {info.largest_work_group}"
            )
    if not any(info.works for info in found):
        print(
            f"fastctc devices: {'none of them works' if found else 'no OpenCL device'}. On Linux x86-64 one of the "
            'processor comes with pip: pip install "fastctc[opencl]". FASTCTC_OPENCL=0 switches OpenCL off.',
            file=sys.stderr,
        )
        return 1
    return 0
