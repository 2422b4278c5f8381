"""The page's charts, as SVG."""

import io
from typing import Any

from bench.compare.measure import Row
from fastctc.htr.plotting import figure

# Okabe and Ito's colours, one for each package; each setting of a package has a mark of its own.
COLOURS = {"fastctc": "#0072B2", "fast_ctc_decode": "#D55E00", "pyctcdecode": "#009E73", "flashlight": "#E69F00",
           "tensorflow": "#CC79A7", "keras": "#56B4E9"}  # fmt: skip
OTHER = "#777777"
MARKS = "osD^vP*Xh<>pd8"
FREE = [(6, 4), (6, -10), (-12, 4), (-12, -10), (12, 0), (-18, 0), (0, 10), (0, -16), (14, 10), (-20, 10), (14, -16)]


def times(rows: list[Row], title: str) -> str:
    """A dot for each row over a logarithmic axis, with quartiles. Bars would have to begin at 0, which is not there."""
    made, axes = figure(1, 1, figsize=(9, 0.9 + 0.3 * len(rows)))
    for k, row in enumerate(rows):
        spread = [[row["ms"] - row["low"]], [row["high"] - row["ms"]]]
        axes.errorbar(row["ms"], k, xerr=spread, fmt="o", color=COLOURS.get(row["who"], OTHER), capsize=2)
        axes.text(row["high"] * 1.15, k, f"{row['ms']:.3g} ms", va="center", fontsize=8)
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    axes.set_yticks(range(len(rows)), [f"{row['who']}, {row['settings']}" for row in rows], fontsize=8)
    axes.set(xscale="log", xlabel="ms an item", title=title, ylim=(len(rows) - 0.4, -0.6))
    axes.set_xlim(right=3 * max(row["high"] for row in rows))
    return _svg(made)


def quality(rows: list[Row], key: str, title: str) -> str:
    """Speed against quality: a mark for each way and setting, up and left is better."""
    label = {"cer": "CER (%), better above", "log_prob": "mean exact ln p of the text found"}[key]
    rows = [row for row in rows if key in row]
    made, axes = figure(1, 1, figsize=(11, 5))
    numbers: dict[str, int] = {}
    points = []
    for row in rows:
        name = f"{row['who']}, {row['settings']}"
        new = name not in numbers
        number = numbers.setdefault(name, len(numbers) + 1)
        value = 100 * row[key] if key == "cer" else row[key]
        mark, colour = MARKS[(number - 1) % len(MARKS)], COLOURS.get(row["who"], OTHER)
        axes.plot([row["ms"]], [value], mark, color=colour, label=f"{number} {name}" if new else None, alpha=0.8)
        points.append((str(number), row["ms"], value))
    axes.set(xscale="log", xlabel="ms an item", ylabel=label, title=title)
    if key == "cer":
        axes.invert_yaxis()
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    _number_points(made, axes, points)
    return _svg(made)


def _number_points(made: Any, axes: Any, points: list[tuple[str, float, float]]) -> None:
    """Write each number where it covers neither a mark nor another number, as far as there is such a place."""
    made.draw_without_rendering()
    places = axes.transData.transform([(x, y) for _, x, y in points])
    scale = made.dpi / 72
    taken = [(x - 4 * scale, y - 4 * scale, x + 4 * scale, y + 4 * scale) for x, y in places]
    for (number, x, y), (left, bottom) in zip(points, places, strict=True):
        width, height = 5 * len(number) * scale, 7 * scale
        boxes = [
            (left + dx * scale, bottom + dy * scale, left + dx * scale + width, bottom + dy * scale + height)
            for dx, dy in FREE
        ]
        best = min(range(len(boxes)), key=lambda k: sum(_overlap(boxes[k], other) for other in taken))
        taken.append(boxes[best])
        axes.annotate(number, (x, y), FREE[best], textcoords="offset points", fontsize=7)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two boxes, left, bottom, right, top, have a place in common."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def curves(lines: dict[str, tuple[list[float], list[float]]], title: str, xlabel: str) -> str:
    """Milliseconds over sizes, both logarithmic, a line for each name."""
    made, axes = figure(1, 1, figsize=(8, 4))
    for k, (name, (sizes, times)) in enumerate(lines.items()):
        axes.plot(sizes, times, ("-", "--", "-.", ":")[k % 4], marker="os^vDP"[k % 6], label=name, markersize=4)
    axes.set(xscale="log", yscale="log", xlabel=xlabel, ylabel="ms", title=title)
    sizes = sorted({size for known, _ in lines.values() for size in known})
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.set_xticks([], minor=True)
    axes.legend(fontsize=8)
    return _svg(made)


def _svg(made: Any) -> str:
    text = io.StringIO()
    made.savefig(text, format="svg", bbox_inches="tight")
    return "<figure>" + text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2] + "</figure>"
