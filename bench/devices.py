"""Is a device worth it? Dilation and best path on every OpenCL device, beside the compiled code, NumPy and OpenCV.

    python -m bench.devices [--quick] [--out DIR] [--merge OTHER.json …]

Writes devices.md, devices.json and devices.html. Kernel times come from the device's own clock, totals are from NumPy
array to NumPy array; bandwidths count every byte once in and once out, and stand beside the device's own copy. Needs no
TensorFlow.
"""

import argparse
import json
import platform
import time
from datetime import date
from html import escape
from pathlib import Path

import numpy as np

from bench import workloads
from bench.compare import charts
from bench.machine import processor
from fastctc import backends, storage
from fastctc.imaging import footprints, morphology
from fastctc.opencl import Device, devices
from fastctc.opencl.best_path import BestPath

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
    opened = device._opened
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
    """A row for each image size, footprint and who does it."""
    rows = []
    for size in sizes:
        image = np.random.default_rng(0).integers(0, 255, (size, size), dtype=np.uint8)
        some = FOOTPRINTS if size >= 512 else {"3x3": (3, 3), "31x31": (31, 31)}
        for name, footprint in some.items():
            about = {"work": "dilation", "size": f"{size}x{size}", "footprint": name, "bytes": 2 * image.nbytes}
            compiled = median(lambda f=footprint, a=image: morphology.dilation(a, f), repeats)
            rows.append({**about, "who": "compiled", "total": compiled})
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
            for device, info in found:
                total = median(
                    lambda f=footprint, a=image, d=device: morphology.dilation(a, f, backend=d.name), repeats
                )
                kernel = []
                for _ in range(repeats):
                    with device.pipeline(profile=True) as p:
                        p.upload(image).dilation(footprint)
                        kernel.append(sum(seconds for _, seconds in p.seconds))
                row = {**about, "who": info.name, "total": total, "kernel": float(np.median(kernel))}
                row["share_of_copy"] = about["bytes"] / row["kernel"] / device_copy[info.index]
                rows.append(row)
    return rows


def best_paths(found, repeats, batches):
    """Batches of 100 frames of 80 classes."""
    rows = []
    compiled = backends.load("compiled", "best_path").best_path
    for n in batches:
        frames = workloads.batch(n).astype(np.float32)
        about = {"work": "best path", "size": f"{n} x 100 x 80", "footprint": "", "bytes": frames.nbytes}
        rows.append(
            {**about, "who": "compiled", "total": median(lambda f=frames: [compiled(one, 79) for one in f], repeats)}
        )
        rows.append({**about, "who": "numpy.argmax alone", "total": median(lambda f=frames: f.argmax(2), repeats)})
        for device, info in found:
            twin, kernel = BestPath(device), []
            total = median(lambda f=frames, t=twin: t.batch(f), repeats)
            for _ in range(repeats):
                twin.batch(frames, None, -1, kernel)
            row = {**about, "who": info.name, "total": total, "kernel": float(np.median(kernel))}
            row["share_of_copy"] = about["bytes"] / row["kernel"] / device_copy[info.index]
            rows.append(row)
    return rows


device_copy = {}


def measure(quick):
    """Everything, as JSON wants it."""
    try:
        infos = devices()
    except ImportError as error:
        infos = []
        print(f"no device is measured: {error}")
    found = [(Device(f"opencl:{info.index}"), info) for info in infos]
    for device, info in found:
        device_copy[info.index] = copy_bandwidth(device)
        print(f"{info.name}: copies {device_copy[info.index] / 1e9:.1f} GB/s")
    repeats = 3 if quick else 9
    sizes, batches = (SIZES[3:5], BATCHES[:3]) if quick else (SIZES, BATCHES)
    return {
        "machine": {"system": platform.platform(), "processor": processor(), "date": str(date.today())},
        "devices": [{**info.to_dict(), "copy_bandwidth": device_copy[info.index]} for _, info in found],
        "rows": dilations(found, repeats, sizes) + best_paths(found, repeats, batches),
    }


def table(measured):
    """Markdown: one row for each piece of work, one column for who did it, best in bold."""
    out = []
    for result in measured:
        machine = result["machine"]
        out.append(f"\n### {machine['processor']}, {machine['system']}, {machine['date']}\n")
        for device in result["devices"]:
            out.append(f"- {device['name']} ({device['platform']}, driver {device['driver']}): copies "
                       f"{device['copy_bandwidth'] / 1e9:.1f} GB/s")  # fmt: skip
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
        for work, footprint in dict.fromkeys((row["work"], row["footprint"]) for row in result["rows"]):
            rows = [row for row in result["rows"] if (row["work"], row["footprint"]) == (work, footprint)]
            compiled = {row["size"]: row["total"] for row in rows if row["who"] == "compiled"}
            mine = {row["size"]: row["total"] for row in rows if row["who"] == device["name"]}
            wins = [size for size in mine if mine[size] < compiled[size]]
            what = f"{work} {footprint}".strip()
            said.append(
                f"- {what} on {device['name']}: " + (f"pays at {', '.join(wins)}" if wins else "never pays here")
            )
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
    mine = measure(options.quick)
    others = [json.loads(Path(file).read_text(encoding="utf-8")) for file in options.merge]
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    markdown = table([mine, *others])
    storage.write_text(out / "devices.json", json.dumps(mine, indent=1) + "\n")
    storage.write_text(out / "devices.md", markdown)
    storage.write_text(out / "devices.html", page(markdown, [mine, *others]))
    print(markdown)


if __name__ == "__main__":
    main()
