"""The page's charts, as SVG."""

import io
from typing import Any

from bench.compare.measure import Row
from fastctc.htr.plotting import figure

LOOKS = {  # told apart without colour as well
    "fastctc": ("o", "#b30000"), "fast_ctc_decode": ("s", "#1f5fa8"), "pyctcdecode": ("^", "#2a7f3f"),
    "flashlight": ("v", "#b07800"), "tensorflow": ("D", "#555555"), "keras": ("P", "#7a3fa0"),
}  # fmt: skip
OTHER = ("o", "#888888")


def times(rows: list[Row], title: str) -> str:
    """Bars over a logarithmic axis, with quartiles."""
    made, axes = figure(1, 1, figsize=(9, 0.6 + 0.3 * len(rows)))
    for k, row in enumerate(rows):
        spread = [[row["ms"] - row["low"]], [row["high"] - row["ms"]]]
        axes.barh(k, row["ms"], color=LOOKS.get(row["who"], OTHER)[1], xerr=spread, capsize=2)
        axes.text(row["high"] * 1.1, k, f"{row['ms']:.3g} ms", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [f"{row['who']}, {row['settings']}" for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="ms an item", title=title)
    axes.set_xlim(right=3 * max(row["high"] for row in rows))
    return _svg(made)


def quality(rows: list[Row], key: str, title: str) -> str:
    """Speed against quality: a mark for each way and setting, up and left is better."""
    label = {"cer": "CER (%), better above", "log_prob": "mean exact ln p of the text found"}[key]
    rows = [row for row in rows if key in row]
    made, axes = figure(1, 1, figsize=(11, 5))
    numbers: dict[str, int] = {}
    for row in rows:
        name = f"{row['who']}, {row['settings']}"
        mark, colour = LOOKS.get(row["who"], OTHER)
        new = name not in numbers
        number = numbers.setdefault(name, len(numbers) + 1)
        value = 100 * row[key] if key == "cer" else row[key]
        axes.plot([row["ms"]], [value], mark, color=colour, label=f"{number} {name}" if new else None, alpha=0.8)
        axes.annotate(str(number), (row["ms"], value), (4, 4), textcoords="offset points", fontsize=7)
    axes.set(xscale="log", xlabel="ms an item", ylabel=label, title=title)
    if key == "cer":
        axes.invert_yaxis()
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)
    return _svg(made)


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
