"""The dashboard's first page: a table of all that asv has published, one row a case.

Each row shows what the newest commit takes, how that has changed, all commits as a sparkline on a log axis, and how
many times less it is than the reference takes. asv's own page, with its curves, moves to graphs.html.
"""

import json
from dataclasses import dataclass
from html import escape
from itertools import product
from math import isfinite, log
from urllib.parse import quote

from fastctc import storage

STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:75em;margin:1.5em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;width:100%;margin-bottom:2em}th{text-align:left;font-weight:600}
td,th{padding:.2em .8em .2em 0;border-bottom:1px solid #ddd;vertical-align:middle}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}h2{font-size:1.1em;margin:1.6em 0 .3em}
svg{display:block}.quick{background:#fff3cd;padding:.5em .8em;border-radius:4px}footer{color:#666;font-size:.9em}
@media(max-width:40em){.s{display:none}th.n{white-space:normal}td,th{padding-right:.4em}body{font-size:13px}}"""
SPARK = 120, 22  # pixels
SCALES = {
    "seconds": [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")],
    "bytes": [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")],
}
ORDER = ["time", "peakmem", "mem", "track", "timeraw"]  # what asv calls the kinds of a benchmark
SAME = 0.05  # a change below is what the same code measured twice may show


@dataclass(frozen=True)
class Case:
    """One benchmark with one choice of parameters."""

    benchmark: str
    unit: str
    parameters: tuple[tuple[str, str], ...]  # names and values
    values: tuple[float, ...]  # of the commits that have one, oldest first
    reference: float | None  # what the plain Python takes at the newest commit

    @property
    def change(self):
        """Relative to the commit before; None if there is none."""
        return self.values[-1] / self.values[-2] - 1 if len(self.values) > 1 and self.values[-2] else None


def cases(folder):
    """All cases that asv has published into a folder, in its order."""
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    found = []
    for name, benchmark in index["benchmarks"].items():
        files = [file for file in folder.glob(f"graphs/**/{name}.json") if "summary" not in file.parts]
        if files:
            newest = max(files, key=lambda file: file.stat().st_mtime)
            found += _cases_of(name, benchmark, json.loads(newest.read_text(encoding="utf-8")))
    return found


def _cases_of(name, benchmark, history):
    names = benchmark["param_names"]
    choices = list(product(*[[plain(value) for value in values] for values in benchmark["params"]]))
    rows = [value if choices != [()] else [value] for _, value in sorted(history)]
    series = {choice: _numbers(row[place] for row in rows) for place, choice in enumerate(choices)}
    for choice, values in series.items():
        twin = tuple("reference" if name == "backend" else value for name, value in zip(names, choice, strict=True))
        reference = series.get(twin) if twin != choice else None
        if values and "reference" not in choice:
            parameters = tuple(zip(names, choice, strict=True))
            yield Case(name, benchmark["unit"], parameters, values, reference[-1] if reference else None)


def _numbers(values):
    return tuple(value for value in values if value is not None and isfinite(value))


def plain(value):
    """asv keeps the repr of a parameter's value."""
    return value[1:-1] if value[:1] in "'\"" else value


def page(found, quick):
    """The whole page as HTML."""
    groups = {}
    for case in found:
        groups.setdefault(case.benchmark.rpartition(".")[0], []).append(case)
    for group in groups.values():
        group.sort(key=lambda case: ORDER.index(case.benchmark.rpartition(".")[2].partition("_")[0]))
    sections = "".join(_section(name, group) for name, group in groups.items())
    warning = (
        '<p class="quick">A quick run: everything was measured once. Do not compare these figures with others.</p>'
        if quick
        else ""
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>fastctc: benchmarks</title><style>{STYLE}</style></head><body><h1>Benchmarks</h1>{warning}"
        f"<p>The newest commit, {len(found)} cases. Less is better everywhere. A change of less than {SAME:.0%} is not "
        'shown: the same code measured twice differs as much. The names lead to <a href="graphs.html">curves</a>.</p>'
        f"{sections}<footer>Made by <code>make bench</code>.</footer></body></html>\n"
    )


def _section(name, group):
    rows = "".join(
        f'<tr><td><a href="graphs.html#{quote(case.benchmark)}?y-axis-scale=log">'
        f"{escape(case.benchmark.rpartition('.')[2])}</a></td>"
        f"<td>{escape(', '.join(value for _, value in case.parameters))}</td>"
        f'<td class="n">{shown(case.values[-1], case.unit)}</td><td class="n">{_change(case.change)}</td>'
        f'<td class="s">{sparkline(case.values)}</td><td class="n">{_times(case)}</td></tr>'
        for case in group
    )
    parameters = ", ".join(name for name, _ in group[0].parameters)
    return (
        f"<h2>{escape(name)}</h2><table><tr><th>what</th><th>{escape(parameters)}</th><th class=n>now</th>"
        f'<th class="n">change</th><th class="s">commits</th><th class="n">reference takes</th></tr>{rows}</table>'
    )


def shown(value, unit):
    """Three digits and a unit that fits."""
    if unit not in SCALES:
        return f"{value:.4g} {escape(unit)}" if unit != "unit" else f"{value:.4g}"  # asv's word for none
    factor, name = next((scale for scale in SCALES[unit] if value >= scale[0]), SCALES[unit][-1])
    return f"{value / factor:.3g} {name}"


def _change(change):
    return "" if change is None or abs(change) < SAME else f"{change:+.0%}".replace("-", "−")


def _times(case):
    if case.reference is None or case.values[-1] <= 0 or case.reference <= 0:
        return ""
    return f"{case.reference / case.values[-1]:.3g} ×"


def sparkline(values):
    """All commits on a log axis of at least a factor of two, so that noise stays flat."""
    if len(values) < 2 or min(values) <= 0:
        return ""
    width, height = SPARK
    logs = [log(value) for value in values]
    middle, reach = (max(logs) + min(logs)) / 2, max(max(logs) - min(logs), log(2)) / 2
    step = (width - 6) / (len(logs) - 1)
    points = [(3 + i * step, height / 2 - (v - middle) / reach * (height / 2 - 3)) for i, v in enumerate(logs)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    return (
        f'<svg width="{width}" height="{height}" role="img" aria-label="{len(values)} commits">'
        f'<polyline points="{line}" fill="none" stroke="#0072B2" stroke-width="1.5"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="#0072B2"/></svg>'
    )


def write(folder, quick):
    """Make the table the folder's first page."""
    curves = folder / "graphs.html"
    curves.write_bytes((folder / "index.html").read_bytes())
    storage.write_text(folder / "index.html", page(cases(folder), quick))
