"""Is a device worth it? Dilation and best path on every OpenCL device, beside the compiled code, NumPy and OpenCV.

All runtimes that are found stand in one table. A device that does not work, or fails at some piece of work, is reported
with its reason; what was measured stays.

    python -m bench.devices [--quick] [--out DIR] [--merge OTHER.json …]

Writes devices.md, devices.json and devices.html. Kernel times come from the device's own clock, totals are from NumPy
array to NumPy array; bandwidths count every byte once in and once out, and stand beside the device's own copy. Needs no
TensorFlow.
"""

import argparse
import json
import platform
import time
from contextlib import contextmanager
from datetime import date
from html import escape
from itertools import chain
from pathlib import Path

import numpy as np

from bench import workloads
from bench.compare import charts
from bench.machine import processor
from fastctc import backends, storage
from fastctc.imaging import footprints, morphology
from fastctc.opencl import Device, Pipeline, devices
from fastctc.opencl.best_path import BestPath
from fastctc.storage import write_text

FOOTPRINTS = {"3x3": (3, 3), "7x7": (7, 7), "31x31": (31, 31), "101x101": (101, 101), "disk 15": footprints.disk(15)}
SIZES = (64, 128, 256, 512, 1024, 2048, 4096)
BATCHES = (1, 16, 128, 1024)


def median(run, repeats):
    """Seconds, of the median call."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def numpy_dilation(image, rows, columns):
    """The best that NumPy alone does for rectangles: windows by doubling, along the rows and down the columns."""
    result = np.pad(image, ((rows // 2, rows - 1 - rows // 2), (columns // 2, columns - 1 - columns // 2)))
    for axis, length in ((1, columns), (0, rows)):
        done = 1
        while done < length:
            step = min(done, length - done)
            n = result.shape[axis] - step
            first = [slice(None)] * 2
            second = [slice(None)] * 2
            first[axis], second[axis] = slice(0, n), slice(step, n + step)
            result = np.maximum(result[tuple(first)], result[tuple(second)])
            done += step
    return result


def copy_bandwidth(device):
    """Bytes a second, in and out, of the device's own copy of 64 MB."""
    opened = device.opened
    n = 1 << 26
    flags = opened.cl.mem_flags
    a, b = (opened.cl.Buffer(opened.context, flags.READ_WRITE, n) for _ in range(2))
    best = np.inf
    for _ in range(6):
        event = opened.cl.enqueue_copy(opened.profiling_queue, b, a, byte_count=n)
        event.wait()
        best = min(best, (event.profile.end - event.profile.start) * 1e-9)
    return 2 * n / best


def dilations(found, repeats, sizes):
    """For each image size and footprint the rows of all who do it."""
    for size in sizes:
        image = np.random.default_rng(0).integers(0, 255, (size, size), dtype=np.uint8)
        some = FOOTPRINTS if size >= 512 else {"3x3": (3, 3), "31x31": (31, 31)}
        for name, footprint in some.items():
            about = {"work": "dilation", "size": f"{size}x{size}", "footprint": name, "bytes": 2 * image.nbytes}
            compiled = median(lambda f=footprint, a=image: morphology.dilation(a, f), repeats)
            rows = [{**about, "who": "compiled", "total": compiled}]
            if isinstance(footprint, tuple):
                rows.append(
                    {
                        **about,
                        "who": "NumPy",
                        "total": median(lambda f=footprint, a=image: numpy_dilation(a, *f), repeats),
                    }
                )
            try:
                import cv2

                cv2.setNumThreads(1)
                mask = footprints.as_mask(footprint).astype(np.uint8)
                rows.append(
                    {
                        **about,
                        "who": "OpenCV, 1 thread",
                        "total": median(lambda k=mask, a=image: cv2.dilate(a, k), repeats),
                    }
                )
            except ImportError:
                pass
            for measured in found:
                with measured.at(f"dilation {name} of {size}x{size}"):
                    device, kernel = measured.device, []
                    total = median(
                        lambda f=footprint, a=image, d=device: morphology.dilation(a, f, backend=d.name), repeats
                    )
                    for _ in range(repeats):
                        with Pipeline(device, profile=True) as p:
                            p.upload(image).dilation(footprint)
                            kernel.append(sum(seconds for _, seconds in p.seconds))
                    rows.append(measured.row(about, total, kernel))
            yield rows


def best_paths(found, repeats, batches):
    """Batches of 100 frames of 80 classes: for each size the rows of all who decode it."""
    compiled = backends.load("compiled", "best_path").best_path
    for n in batches:
        frames = workloads.batch(n).astype(np.float32)
        about = {"work": "best path", "size": f"{n} x 100 x 80", "footprint": "", "bytes": frames.nbytes}
        total = median(lambda f=frames: [compiled(one, 79) for one in f], repeats)
        rows = [{**about, "who": "compiled", "total": total}]
        rows.append({**about, "who": "numpy.argmax alone", "total": median(lambda f=frames: f.argmax(2), repeats)})
        for measured in found:
            with measured.at(f"best path of {about['size']}"):
                twin, kernel = BestPath(measured.device), []
                total = median(lambda f=frames, t=twin: t.batch(f), repeats)
                for _ in range(repeats):
                    twin.batch(frames, None, -1, kernel)
                rows.append(measured.row(about, total, kernel))
        yield rows


class Measured:
    """A device, and at what it has failed."""

    def __init__(self, info):
        self.info = info
        self.device = Device(f"opencl:{info.index}")
        self.copies = copy_bandwidth(self.device)
        self.failures = []

    @contextmanager
    def at(self, work):
        """A piece of work, after whose failure the next one follows."""
        try:
            yield
        except Exception as error:
            self.failures.append(f"{work}: {' '.join(str(error).split())}")
            print(f"{self.info.name} failed at {self.failures[-1]}")

    def row(self, about, total, kernel):
        """What a piece of work took, as the table wants it."""
        seconds = float(np.median(kernel))
        share = about["bytes"] / seconds / self.copies
        return {**about, "who": column(self.info), "total": total, "kernel": seconds, "share_of_copy": share}

    def to_dict(self):
        """As JSON wants it."""
        described = {**self.info.to_dict(), "who": column(self.info)}
        return {**described, "copy_bandwidth": self.copies, "failures": self.failures}


def column(info):
    """Its name in the table: several runtimes may call the same processor the same."""
    return f"{info.name} ({info.platform})"


def those_that_work():
    """Devices to measure, and descriptions of those that do not work."""
    try:
        infos = devices()
    except (ImportError, LookupError) as error:
        print(f"no device is measured: {error}")
        return [], []
    found, broken = [], []
    for info in infos:
        reason = info.reason
        if info.works:
            try:
                found.append(Measured(info))
                print(f"{column(info)}: copies {found[-1].copies / 1e9:.1f} GB/s")
                continue
            except Exception as error:
                reason = " ".join(str(error).split())
        broken.append({**info.to_dict(), "who": column(info), "failures": [reason]})
        print(f"{column(info)} is left out: {reason}")
    return found, broken


def measure(quick, keep):
    """Everything, as JSON wants it; kept after each piece of work, for a driver may end the process."""
    found, broken = those_that_work()
    repeats = 3 if quick else 9
    sizes, batches = (SIZES[3:5], BATCHES[:3]) if quick else (SIZES, BATCHES)
    result = {
        "machine": {"system": platform.platform(), "processor": processor(), "date": str(date.today())},
        "devices": [],
        "rows": [],
    }
    for more in chain(dilations(found, repeats, sizes), best_paths(found, repeats, batches)):
        result["rows"] += more
        result["devices"] = [measured.to_dict() for measured in found] + broken
        keep(result)
    return result


def table(measured):
    """Markdown: one row for each piece of work, one column for who did it, best in bold."""
    out = []
    for result in measured:
        machine = result["machine"]
        out.append(f"\n### {machine['processor']}, {machine['system']}, {machine['date']}\n")
        for device in result["devices"]:
            line = f"- {device['name']} ({device['platform']}, driver {device['driver']})"
            copies = f": copies {device['copy_bandwidth'] / 1e9:.1f} GB/s" if "copy_bandwidth" in device else ""
            out += [line + copies, *(f"  - FAILED: {failure}" for failure in device.get("failures", ()))]
        who = list(dict.fromkeys(row["who"] for row in result["rows"]))
        out.append(
            "\nMilliseconds from array to array, median; in brackets the kernel and its share of the copy's speed.\n"
        )
        out.append("| work | size | footprint | " + " | ".join(who) + " |")
        out.append("|" + "---|" * (3 + len(who)))
        keys = dict.fromkeys((row["work"], row["size"], row["footprint"]) for row in result["rows"])
        for key in keys:
            mine = {row["who"]: row for row in result["rows"] if (row["work"], row["size"], row["footprint"]) == key}
            best = min(row["total"] for row in mine.values())
            cells = [_cell(mine.get(name), best) for name in who]
            out.append("| " + " | ".join([*key, *cells]) + " |")
        out += ["", *pays(result)]
    return "\n".join(out) + "\n"


def _cell(row, best):
    if row is None:
        return ""
    text = f"{row['total'] * 1e3:.3g}"
    text = f"**{text}**" if row["total"] == best else text
    return text + (f" ({row['kernel'] * 1e3:.3g}, {row['share_of_copy']:.0%})" if "kernel" in row else "")


def pays(result):
    """From which size on each device is quicker than the compiled code, array to array."""
    said = []
    for device in result["devices"]:
        who = device.get("who", device["name"])
        for work, footprint in dict.fromkeys((row["work"], row["footprint"]) for row in result["rows"]):
            rows = [row for row in result["rows"] if (row["work"], row["footprint"]) == (work, footprint)]
            compiled = {row["size"]: row["total"] for row in rows if row["who"] == "compiled"}
            mine = {row["size"]: row["total"] for row in rows if row["who"] == who}
            if not mine:
                continue
            wins = [size for size in mine if mine[size] < compiled[size]]
            what = f"{work} {footprint}".strip()
            said.append(f"- {what} on {who}: " + (f"pays at {', '.join(wins)}" if wins else "never pays here"))
    return said


def pictures(result):
    """The same as curves: array to array, and the kernel alone; none where matplotlib is not installed."""
    made = []
    for work, footprint in dict.fromkeys((row["work"], row["footprint"]) for row in result["rows"]):
        lines = {}
        for row in result["rows"]:
            if (row["work"], row["footprint"]) != (work, footprint):
                continue
            size = int(row["size"].partition("x")[0])
            for key, name in (("total", row["who"]), ("kernel", f"{row['who']}, kernel alone")):
                if key in row:
                    sizes, times = lines.setdefault(name, ([], []))
                    sizes.append(size)
                    times.append(1e3 * row[key])
        if max(len(sizes) for sizes, _ in lines.values()) > 1:
            label = "sequences of 100 frames, 80 classes" if work == "best path" else "side of the image (pixels)"
            try:
                made.append(charts.curves(lines, f"{work} {footprint}".strip(), label))
            except ImportError as error:
                return [f"<p>No curves: {escape(str(error))}</p>"]
    return made


def page(markdown, measured):
    """The same as a page of its own."""
    rows = []
    results = iter(measured)
    for line in markdown.splitlines():
        if line.startswith("### "):
            rows.append(f"<h2>{escape(line[4:])}</h2>")
            rows += pictures(next(results))
        elif line.startswith("|---"):
            continue
        elif line.startswith("|"):
            cells = [escape(cell.strip()) for cell in line.strip("|").split("|")]
            cells = [f"<b>{c.replace('**', '', 1).replace('**', '</b>', 1)}" if "**" in c else c for c in cells]
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        elif line.strip():
            rows.append(f"<p>{escape(line.removeprefix('- '))}</p>")
    body = "\n".join(rows).replace("</p>\n<tr>", "</p>\n<table><tr>").replace("</tr>\n<p>", "</tr></table>\n<p>")
    style = (
        "body{font:15px/1.4 sans-serif;margin:2em}td{border:1px solid #bbb;padding:.2em .6em}"
        "table{border-collapse:collapse}svg{max-width:100%;height:auto}"
    )
    return f'<!DOCTYPE html><meta charset="utf-8"><title>Devices</title><style>{style}</style><h1>Devices</h1>{body}\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few sizes, few repetitions")
    parser.add_argument("--out", default=".", help="where devices.md, devices.json and devices.html go (default: here)")
    parser.add_argument("--merge", nargs="+", default=[], metavar="FILE", help="devices.json of other machines")
    options = parser.parse_args()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)

    def keep(result):
        write_text(out / "devices.json", json.dumps(result, indent=1) + "\n")

    mine = measure(options.quick, keep)
    others = [json.loads(Path(file).read_text(encoding="utf-8")) for file in options.merge]
    markdown = table([mine, *others])
    storage.write_text(out / "devices.json", json.dumps(mine, indent=1) + "\n")
    storage.write_text(out / "devices.md", markdown)
    storage.write_text(out / "devices.html", page(markdown, [mine, *others]))
    print(markdown)


if __name__ == "__main__":
    main()
