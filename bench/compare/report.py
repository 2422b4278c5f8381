"""The comparison as Markdown, as a page that needs nothing else, in the documentation, and as the README's table."""

import platform
import re
from collections.abc import Iterable
from datetime import date
from html import escape
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.compare import charts
from bench.compare.measure import EXACT, Row
from bench.machine import processor
from fastctc import storage

TITLES = {
    "best_path": "Best path",
    "beam_search": "Beam search without a language model",
    "path_search": "Beam search over paths, in the drop-in for flashlight",
    "accuracy": "Is the faster decoder also the better one?",
    "loss": "CTC loss",
    "gradient": "CTC loss and its gradient",
    "drop_ins": "Drop-ins beside what they stand for",
    "language_model": "Language models",
    "drop_in_decoders": "Drop-in decoders beside what they stand for",
    "morphology": "Dilation",
    "process": "Whole processes",
    "pyctcdecode": "The drop-in for pyctcdecode",
}
QUALITIES = {  # heading and format
    "log_prob": ("mean ln p of the text", "{:.4f}"),
    "agreement": ("same as fastctc", "{:.1%}"),
    "cer": ("CER", "{:.1%}"),
    "wer": ("WER", "{:.1%}"),
    "score": ("score", "{:.3f}"),
    "apart": ("apart from fastctc", "{:.1e}"),
    "peak": ("peak MB", "{:.0f}"),
    "per_second": ("a second", "{:.0f}"),
}
HOW = ("Milliseconds an item: median, and the quartiles in brackets. The ratio is the median over rounds in which "
       "everybody does the same work in turn, one thread each, to the first line. make compare "
       "makes all of it, the command under a title its section.")  # fmt: skip
TWO_LINES = """\
Best path and beam search of fastctc have two figures: `exact=False` gives the text and its score, which is what the
others return; the default also gives the exact probability, the alignment and the words."""
IN_SHORT = [  # section and work of each line of the README's table
    ("best_path", "100x80"),
    ("beam_search", "peaky 100x80, beam width 25"),
    ("beam_search", "30 s of speech, 1500x33, beam width 25"),
    ("beam_search", "10 min of speech, 30000x33, beam width 25"),
    ("loss", "64 of 100x80"),
    ("language_model", "sentence of 12 words, order 3"),
    ("morphology", "dilation 7x7, 512x512 uint8"),
]
BEGIN, END = "<!-- compare: begin -->", "<!-- compare: end -->"
PACKAGES = ("fastctc", "fast-ctc-decode", "pyctcdecode", "kenlm", "flashlight-text", "tensorflow-cpu", "keras",
            "torch", "jax", "optax", "opencv-python-headless", "scikit-image", "scipy", "numpy")  # fmt: skip


def machine() -> dict[str, Any]:
    """Where and when, and which versions."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {"processor": processor(), "system": platform.system(), "python": platform.python_version(),
            "date": str(date.today()), "versions": versions}  # fmt: skip


def markdown(results: dict[str, Any]) -> str:
    """All tables."""
    out = [
        "# fastctc beside the packages that people use",
        "",
        f"{_where(results)}.",
        "",
        _versions(results),
        "",
        HOW,
        "",
    ]
    for name, section in results["sections"].items():
        out += [f"## {TITLES[name]}", "", f"`{section['command']}`", ""]
        if section["quick"]:
            out += ["*A quick look: few items, few rounds.*", ""]
        for work, rows in _by_work(section["rows"]):
            out += [f"### {work[0].upper()}{work[1:]}", "", *_table(rows), ""]
        out += [*(f"- {line}" for line in lost(section["rows"])), ""]
    return "\n".join(out)


def _where(results: dict[str, Any]) -> str:
    return f"{results['processor']}, {results['system']}, Python {results['python']}, {results['date']}"


def _versions(results: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in results["versions"].items()) + "."


def _by_work(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    works: dict[str, list[Row]] = {}
    for row in rows:
        works.setdefault(row["work"], []).append(row)
    return list(works.items())


def _table(rows: list[Row]) -> list[str]:
    extra = [key for key in QUALITIES if any(key in row for row in rows)]
    lines = ["| who | how | ms | ratio | " + " | ".join(QUALITIES[key][0] for key in extra) + (" |" if extra else "")]
    lines.append("|---|---|---:|---:|" + "---:|" * len(extra))
    for row in rows:
        cells = [row["who"], row["settings"], f"{_number(row['ms'])} ({_number(row['low'])}–{_number(row['high'])})",
                 _number(row["ratio"]),
                 *(QUALITIES[key][1].format(row[key]) if key in row else "" for key in extra)]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def losses(rows: list[Row]) -> list[tuple[str, str, str]]:
    """Where a peer is quicker than the quickest of ours, or reads better than the best of ours: who, what, where."""
    found = []
    for work, some in _by_work(rows):
        if some[0]["section"] == "process" and not work.startswith("building"):
            quicker = [r for r in some if r["who"] not in ("fastctc", "(nothing: Python)") and r["ratio"] < 1]
        else:
            best = min(r["ratio"] for r in some if r["who"] == "fastctc")
            quicker = [r for r in some if r["who"] not in ("fastctc", "numpy") and r["ratio"] < best]
        found += [(f"**{row['who']}**{_how(row)}", "is quicker at", work) for row in quicker]
        for key, sign in (("cer", 1), ("log_prob", -1)):
            known = [r for r in some if key in r]
            if known:
                best = min(sign * r[key] for r in known if r["who"] == "fastctc")
                found += [(f"**{r['who']}**{_how(r)}", "finds better texts at", work) for r in known
                          if r["who"] != "fastctc" and sign * r[key] < best - 1e-6]  # fmt: skip
    return found


def lost(rows: list[Row]) -> list[str]:
    """The losses, a sentence each."""
    said = [f"{who} {what}: {work}." for who, what, work in losses(rows)]
    return said or ["No other package is quicker here, or better."]


def _lost_together(results: dict[str, Any]) -> list[str]:
    """All losses, those of one package in one sentence."""
    works: dict[tuple[str, str], list[str]] = {}
    for section in results["sections"].values():
        for who, what, work in losses(section["rows"]):
            works.setdefault((who, what), []).append(work)
    sentences = [f"- {who} {what}: {'; '.join(some)}." for (who, what), some in works.items()]
    return ["Where another package wins:", "", *sentences] if sentences else ["No other package wins here."]


def _name(row: Row) -> str:
    return f"{row['who']} {row['settings']}".strip()


def _how(row: Row) -> str:
    return f" ({row['settings']})" if row["settings"] else ""


def publish(results: dict[str, Any], readme: Path, page: Path) -> None:
    """Replace what stands between the marks of the README and of the documentation's page.

    Raises
    ------
    ValueError
        If a file does not hold the marks once each, or if something was measured in a quick look only.
    """
    quick = [name for name, section in results["sections"].items() if section["quick"]]
    if quick:
        raise ValueError(f"what is published must be measured in full, not in a quick look: {', '.join(quick)}")
    for file, new in ((readme, summary(results)), (page, short(results))):
        text = file.read_text(encoding="utf-8")
        if text.count(BEGIN) != 1 or text.count(END) != 1:
            raise ValueError(f"{file} must hold {BEGIN} and {END} once each")
        block = f"{BEGIN}\n{new}\n{END}"
        storage.write_text(file, re.sub(f"{BEGIN}.*?{END}", lambda _, block=block: block, text, flags=re.DOTALL))


def _ours(rows: list[Row]) -> tuple[str, str]:
    """The time of fastctc for the text alone, and with the exact numbers; the latter is empty where there are none."""
    ours = [row for row in rows if row["who"] == "fastctc"]
    exact = [row for row in ours if EXACT in row["settings"]]
    return _time(ours[0]["ms"]), _time(exact[0]["ms"]) if exact else ""


def summary(results: dict[str, Any]) -> str:
    """A line for one work of each kind, from the quickest to the slowest of the others, and every loss."""
    lines = [TWO_LINES, "", "| work | text alone | exact numbers too | the others, in multiples of the text alone |",
             "|---|---:|---:|---|"]  # fmt: skip
    for name, chosen in IN_SHORT:
        if name not in results["sections"]:
            continue
        for work, rows in _by_work(results["sections"][name]["rows"]):
            others = sorted((r for r in rows if r["who"] not in ("fastctc", "numpy")), key=lambda r: r["ratio"])
            if work == chosen and others:
                ends = dict.fromkeys(f"{_number(r['ratio'])} {r['who']}{_how(r)}" for r in (others[0], others[-1]))
                lines.append(f"| {TITLES[name]}: {work} | {' | '.join(_ours(rows))} | {' to '.join(ends)} |")
    return "\n".join([*lines, "", f"{_where(results)}.", "", *_lost_together(results)])


def short(results: dict[str, Any]) -> str:
    """One line for each peer and piece of work: how many times fastctc's time it takes."""
    lines = [TWO_LINES, "", "| work | text alone | exact numbers too | the others, in multiples of the text alone |",
             "|---|---:|---:|---|"]  # fmt: skip
    for name, section in results["sections"].items():
        if name in ("accuracy", "process"):
            continue
        for work, rows in _by_work(section["rows"]):
            others = ", ".join(f"{r['who']}{_how(r)} {_number(r['ratio'])}" for r in rows if r["who"] != "fastctc")
            lines.append(f"| {TITLES[name]}: {work} | {' | '.join(_ours(rows))} | {others} |")
    if "accuracy" in results["sections"]:  # the first set stands for the others, which the page has
        work, rows = _by_work(results["sections"]["accuracy"]["rows"])[0]
        lines += ["", f"{work[0].upper()}{work[1:]}, read by the network that comes along:", "",
                  "| who | how | CER | WER | ms |", "|---|---|---:|---:|---:|"]  # fmt: skip
        lines += [f"| {r['who']} | {r['settings']} | {r['cer']:.1%} | {r['wer']:.1%} | {_number(r['ms'])} |"
                  for r in sorted(rows, key=lambda r: r["cer"])]  # fmt: skip
    if "process" in results["sections"]:
        lines += ["", "| whole processes | | time | peak MB |", "|---|---|---:|---:|"]
        lines += [f"| {r['work']} | {_name(r)} | {_time(r['ms'])} | "
                  f"{format(r['peak'], '.0f') if 'peak' in r else ''} |"
                  for r in results["sections"]["process"]["rows"]]  # fmt: skip
    return "\n".join([*lines, "", f"{_where(results)}.", "", *_lost_together(results)])


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _time(ms: float) -> str:
    return f"{ms * 1e3:.3g} µs" if ms < 1 else f"{ms:.3g} ms" if ms < 1000 else f"{ms / 1e3:.3g} s"


STYLE = """body{font:15px/1.45 Helvetica,Arial,sans-serif;max-width:64em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:.6em 0 1.6em}td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}tr.ours td{background:#eef4fa}
.lost{border-left:3px solid #999;padding-left:.7em}
figure{margin:1em 0}svg{max-width:100%;height:auto}"""


def page(results: dict[str, Any]) -> str:
    """Everything, with a chart of speed against quality for each piece of work that has a quality."""
    out = ['<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>fastctc beside others</title>',
           f"<style>{STYLE}</style></head><body><h1>fastctc beside the packages that people use</h1>",
           f"<p>{escape(_where(results))}.</p><p>{escape(_versions(results))}</p><p>{HOW}</p>",
           ]  # fmt: skip
    for name, section in results["sections"].items():
        out.append(
            f'<section id="{name}"><h2>{escape(TITLES[name])}</h2><p><code>{escape(section["command"])}</code></p>'
        )
        if section["quick"]:
            out.append("<p><em>A quick look: few items, few rounds.</em></p>")
        if name == "beam_search":
            kinds = dict.fromkeys(row["work"].partition(",")[0] for row in section["rows"])
            for kind in kinds:
                some = [row for row in section["rows"] if row["work"].startswith(f"{kind},")]
                out.append(charts.quality(some, "log_prob", f"{kind}: one point for each beam width"))
        for work, rows in _by_work(section["rows"]):
            if name == "accuracy":
                out.append(charts.quality(rows, "cer", work))
            elif name not in ("beam_search", "process"):
                out.append(charts.times(rows, work))
            out.append(_html_table(work, rows))
        bold = [re.sub(r"[*][*](.*?)[*][*]", r"<b>\1</b>", escape(line)) for line in lost(section["rows"])]
        out += [f'<p class="lost">{line}</p>' for line in bold]
        out.append("</section>")
    return "\n".join(out) + "</body></html>\n"


def _html_table(work: str, rows: list[Row]) -> str:
    head, _, *body = _table(rows)
    html = "".join(f"<th>{escape(cell.strip())}</th>" for cell in head.strip("| ").split(" | "))
    lines = []
    for row, line in zip(rows, body, strict=True):
        cells = [cell.strip() for cell in line[2:-2].split(" | ")]
        marked = "".join(f"<td{' class=n' if k > 1 else ''}>{escape(c)}</td>" for k, c in enumerate(cells))
        lines.append(f"<tr{' class=ours' if row['who'] == 'fastctc' else ''}>{marked}</tr>")
    return f"<h3>{escape(work)}</h3><table><tr>{html}</tr>{''.join(lines)}</table>"
