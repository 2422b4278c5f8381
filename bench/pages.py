"""How well lines are found on real pages whose lines are known, archive by archive.

    python -m bench.pages FOLDER [--split test val] [--pages] [--overlays FOLDER] [--fit]

FOLDER holds one folder an archive, with NAME.json beside NAME.jpg: width, height, split, and lines with a polygon each,
in pixels. A line counts as found if its box and that of a true line on the straightened page have an intersection over
union of at least 0.5, each with one other at most. Lines that the source left out count as false, found or not, so that
1 is not reached everywhere; a second F1 leaves out the found lines of which less than a tenth lies on true ones.

--fit fits what :mod:`fastctc.imaging.plausibility` knows of lines on the pages of the splits.
"""

import argparse
import json
import time
from math import cos, radians, sin
from pathlib import Path

import numpy as np

from fastctc.imaging.segmentation import Box, segment_page

IOU = 0.5


def straightened_box(points, angle, width, height):
    """The box of a polygon on the page that has been turned clockwise by an angle in degrees."""
    x, y = np.array(points, float).T - np.array([[width], [height]]) / 2
    c, s = cos(radians(angle)), sin(radians(angle))
    x, y = c * x - s * y + width / 2, s * x + c * y + height / 2
    return Box(int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1)


def matched(found, truth):
    """Pairs (found, true) of boxes that overlap enough, the best first, each box once."""
    pairs = sorted(((-a.iou(b), i, j) for i, a in enumerate(found) for j, b in enumerate(truth)))
    kept, used, taken = [], set(), set()
    for negative, i, j in pairs:
        if -negative >= IOU and i not in used and j not in taken:
            used.add(i)
            taken.add(j)
            kept.append((i, j))
    return kept


def away(found, truth):
    """How many boxes lie beside all true ones, but for a tenth of their area."""

    def on(a, b):
        wide, tall = min(a.right, b.right) - max(a.left, b.left), min(a.bottom, b.bottom) - max(a.top, b.top)
        return max(0, wide) * max(0, tall) / (a.width * a.height)

    return sum(all(on(a, b) < 0.1 for b in truth) for a in found)


def fit(folder, splits, ridge=1.0):
    """Weights of the properties of lines, and the constant: ridge regression on their standard scores, by Newton."""
    from unittest import mock

    from PIL import Image

    from fastctc.imaging import plausibility, segmentation

    known, right = [], []
    for about in sorted(Path(folder).glob("*/*.json")):
        page = json.loads(about.read_text(encoding="utf-8"))
        if page["split"] not in splits:
            continue
        image = np.asarray(Image.open(about.with_name(page["image"])).convert("L"))
        with mock.patch.object(segmentation, "plausible", side_effect=lambda lines, _: lines) as judged:
            layout = segment_page(image)
        lines, ridges = judged.call_args.args
        polygons = [line["polygon"] for line in page["lines"]]
        truth = [straightened_box(p, layout.angle, image.shape[1], image.shape[0]) for p in polygons]
        hits = {i for i, _ in matched([line.box for line in lines], truth)}
        known.append(plausibility.properties(lines, ridges))
        right += [i in hits for i in range(len(lines))]
    x, y = np.concatenate(known), np.array(right, float)
    mean, deviation = x.mean(0), x.std(0)
    z = np.column_stack([(x - mean) / deviation, np.ones(len(x))])
    weights, penalty = np.zeros(z.shape[1]), np.array([ridge] * x.shape[1] + [0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-z @ weights))
        slope = z.T @ (y - p) - penalty * weights
        weights += np.linalg.solve((z * (p * (1 - p))[:, None]).T @ z + np.diag(penalty + 1e-9), slope)
    own = weights[:-1] / deviation
    return *own, weights[-1] - own @ mean


def measure(folder, splits, overlays=None):
    """One row a page: archive, name, true lines, found lines, hits, found beside all true ones, angle, seconds."""
    from PIL import Image

    rows = []
    for about in sorted(Path(folder).glob("*/*.json")):
        page = json.loads(about.read_text(encoding="utf-8"))
        if page["split"] not in splits:
            continue
        image = np.asarray(Image.open(about.with_name(page["image"])).convert("L"))
        start = time.perf_counter()
        layout = segment_page(image)
        seconds = time.perf_counter() - start
        found = [line.box for line in layout.lines]
        polygons = [line["polygon"] for line in page["lines"]]
        truth = [straightened_box(p, layout.angle, image.shape[1], image.shape[0]) for p in polygons]
        hits = matched(found, truth)
        rows.append(
            (
                about.parent.name,
                about.stem,
                len(truth),
                len(found),
                len(hits),
                away(found, truth),
                layout.angle,
                seconds,
            )
        )
        if overlays:
            overlay(layout, truth, {i for i, _ in hits}).save(Path(overlays) / f"{about.parent.name}-{about.stem}.png")
    return rows


def overlay(layout, truth, hits):
    """The page with true lines (blue) and those that were found (green, or red if they are none)."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(layout.image).convert("RGB")
    draw = ImageDraw.Draw(picture)
    for box in truth:
        draw.rectangle((box.left, box.top, box.right, box.bottom), outline=(60, 90, 255), width=3)
    for number, line in enumerate(layout.lines):
        colour = (0, 150, 40) if number in hits else (230, 20, 20)
        draw.rectangle((line.box.left, line.box.top, line.box.right, line.box.bottom), outline=colour, width=4)
    return picture


def f1(n_true, n_found, n_hits):
    """The harmonic mean of precision and recall."""
    return 2 * n_hits / max(1, n_true + n_found)


def main():
    parser = argparse.ArgumentParser(description="How well lines are found on real pages")
    parser.add_argument("folder")
    parser.add_argument("--split", nargs="+", default=["train", "val", "test"])
    parser.add_argument("--overlays", metavar="FOLDER", help="a picture of every page with true and found lines")
    parser.add_argument("--pages", action="store_true", help="a row for every page")
    parser.add_argument("--fit", action="store_true", help="fit what lines look like on these pages instead")
    options = parser.parse_args()
    if options.fit:
        print("WEIGHTS =", tuple(round(float(w), 3) for w in fit(options.folder, options.split)))
        return
    if options.overlays:
        Path(options.overlays).mkdir(parents=True, exist_ok=True)
    rows = measure(options.folder, options.split, options.overlays)
    if options.pages:
        for archive, name, true, found, hits, _, angle, seconds in rows:
            score = f1(true, found, hits)
            print(f"{archive:14} {name:42} {true:3} {found:3} {hits:3}  F1 {score:.2f} {angle:5.1f}° {seconds:.1f} s")
    for archive in [*sorted({row[0] for row in rows}), "all"]:
        own = [row for row in rows if archive in (row[0], "all")]
        true, found, hits, beside = (sum(row[k] for row in own) for k in (2, 3, 4, 5))
        print(
            f"{archive:14} {len(own):3} pages, {true:4} lines, {found:4} found: precision {hits / max(1, found):.2f}, "
            f"recall {hits / max(1, true):.2f}, F1 {f1(true, found, hits):.3f}, without lines beside all true ones "
            f"{f1(true, found - beside, hits):.3f}"
        )


if __name__ == "__main__":
    main()
