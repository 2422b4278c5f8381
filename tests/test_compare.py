"""bench.compare: what is measured is put together right, and what the page says follows from it."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bench import devices, overview, workloads
from bench.compare import decoding, drop_ins, loss, measure, peers, recordings, report
from fastctc import Alphabet
from fastctc.opencl import DeviceInfo


def row(work, who, ms, ratio, section="beam_search", **more):
    return {"section": section, "work": work, "who": who, "settings": "as it is", "ms": ms, "low": ms, "high": 2 * ms,
            "ratio": ratio, "rounds": 3, **more}  # fmt: skip


def results(rows, name="beam_search", quick=True):
    section = {"rows": rows, "seconds": 1.0, "quick": quick, "command": f"python -m bench.compare --quick {name}"}
    return {"sections": {name: section}, **report.machine()}


def test_rounds_and_ratios():
    runs = []

    def slow(seconds, name):
        def run():
            runs.append(name)
            time.sleep(seconds)
            return name

        return run

    rows = measure.measure("s", "w", [
        measure.Candidate("a", "", slow(0.011, "a"), lambda found: {"cer": len(found)}),
        measure.Candidate("b", "", slow(0.033, "b"), None, 3),
    ], 0.0)  # fmt: skip
    assert rows[0]["cer"] == 1
    assert rows[0]["ratio"] == 1
    assert rows[1]["ratio"] > 1
    assert rows[1]["ms"] * 3 >= 33
    assert runs[-2:] == ["a", "b"]
    assert all(r["low"] <= r["ms"] <= r["high"] for r in rows)


@pytest.mark.slow
def test_a_section_without_peers(monkeypatch):
    monkeypatch.setattr(peers, "optional", lambda _: None)
    rows = decoding.best_path(0.0) + loss.loss(0.0)
    assert {r["who"] for r in rows} == {"fastctc", "numpy"}
    assert all(r["agreement"] == 1 for r in rows if "agreement" in r)
    assert max(r["apart"] for r in rows if "apart" in r) == pytest.approx(0, abs=1e-6)


def test_paths_become_texts():
    assert peers.collapsed([2, 0, 0, 2, 0, 1, -1], Alphabet("ab")) == "aab"


def test_losses_are_told():
    rows = [row("w", "fastctc", 2.0, 1.0, log_prob=-1.0), row("w", "swift", 1.0, 0.5, log_prob=-2.0),
            row("w", "numpy", 0.1, 0.05), row("w", "wise", 9.0, 4.5, log_prob=-0.5)]  # fmt: skip
    assert report.lost(rows) == [
        "**swift** (as it is) is quicker at: w.",
        "**wise** (as it is) finds better texts at: w.",
    ]
    assert report.lost(rows[:1]) == ["No other package is quicker here, or better."]
    assert "Where another package wins:" in report.short(results(rows))
    assert "No other package wins here." in report.short(results(rows[:1]))
    assert "`exact=False` gives the text" in report.short(results(rows))


def test_tables_and_page():
    pytest.importorskip("matplotlib")
    rows = [row("peaky, beam width 10", "fastctc", 2.0, 1.0, log_prob=-1.0, agreement=1.0),
            row("peaky, beam width 10", "<peer> & co", 3.0, 1.5, log_prob=-1.5, agreement=0.5)]  # fmt: skip
    found = results(rows)
    text = report.markdown(found)
    assert "| fastctc | as it is | 2 (2–4) | 1 | -1.0000 | 100.0% |" in text
    assert "python -m bench.compare --quick beam_search" in text
    assert "A quick look" in text
    page = report.page(found)
    assert "&lt;peer&gt; &amp; co" in page
    assert page.count("<svg") == 1
    assert "src=" not in page
    reading = [row("lines", "fastctc", 2.0, 1.0, "accuracy", cer=0.1, wer=0.2)]
    assert "| 10.0% | 20.0% |" in report.short(results(reading, "accuracy"))
    assert report.page(results(reading, "accuracy")).count("<svg") == 1
    json.dumps(found)


def published():
    """Both lines of fastctc, and three packages."""
    work = dict(reversed(report.IN_SHORT))["beam_search"]
    return [row(work, "fastctc", 0.5, 1.0), row(work, "fastctc", 0.75, 1.5) | {"settings": measure.EXACT},
            row(work, "near", 1.5, 3.0),
            row(work, "middle", 2.0, 4.0), row(work, "far", 60.0, 120.0), row("other", "fastctc", 2.0, 1.0),
            row("other", "near", 1.0, 0.5), row("third", "fastctc", 2.0, 1.0),
            row("third", "near", 1.0, 0.5)]  # fmt: skip


def test_the_small_table_has_both_figures_and_every_loss():
    text = report.summary(results(published()))
    assert "| 500 µs | 750 µs | 3 near (as it is) to 120 far (as it is) |" in text
    assert "middle" not in text
    assert "| other |" not in text
    assert "- **near** (as it is) is quicker at: other; third." in text
    assert "middle (as it is) 4, far (as it is) 120 |" in report.short(results(published()))


def test_publishing_keeps_everything_else(tmp_path):
    readme, page = tmp_path / "README.md", tmp_path / "benchmarks.md"
    for file in (readme, page):
        file.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    with pytest.raises(ValueError, match="in full"):
        report.publish(results(published()), readme, page)
    report.publish(results(published(), quick=False), readme, page)
    for file in (readme, page):
        text = file.read_text(encoding="utf-8")
        assert text.startswith("before\n")
        assert text.endswith("\nafter\n")
        assert "500 µs" in text
        assert "old" not in text
    assert "middle" in page.read_text(encoding="utf-8")
    readme.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="once each"):
        report.publish(results(published(), quick=False), readme, page)


def test_devices_of_several_machines_on_one_page():
    pytest.importorskip("matplotlib")

    def machine(name, speed):
        info = {"name": name, "platform": "P", "driver": "1", "copy_bandwidth": 1e10}
        work = {"work": "dilation", "footprint": "3x3", "bytes": 1}
        rows = [{**work, "size": f"{n}x{n}", "who": who, "total": n * time} for n in (64, 512)
                for who, time in (("compiled", 2e-6), (name, speed * 64 / n))]  # fmt: skip
        rows[-1] |= {"kernel": 1e-6, "share_of_copy": 0.5}
        return {
            "machine": {"system": "S", "processor": f"{name} & co", "date": "today"},
            "devices": [info],
            "rows": rows,
        }

    measured = [machine("one", 1e-6), machine("two", 1e-5)]
    text = devices.table(measured)
    assert "- dilation 3x3 on one: pays at 64x64, 512x512" in text
    assert "- dilation 3x3 on two: pays at 512x512" in text
    page = devices.page(text, measured)
    assert page.count("<svg") == 2
    assert "two &amp; co" in page
    assert page.count("<table>") == page.count("</table>") == 2
    assert "**" not in page


CARD = DeviceInfo("0.0", "gpu", "Card", "nobody", "P", "OpenCL 1.2", "1", 1, 1, 1, 1, 1, False)


def test_a_device_that_fails_is_reported_and_the_others_go_on(monkeypatch):
    info = replace(CARD, works=False, reason="its compiler is older than the processor")
    monkeypatch.setattr(devices, "devices", lambda: [info, replace(CARD, index="1.0")])
    monkeypatch.setattr(devices, "Device", lambda name: name)
    monkeypatch.setattr(devices, "copy_bandwidth", lambda _: 1e9)
    monkeypatch.setattr(devices, "SIZES", (1, 1, 1, 64, 64))
    monkeypatch.setattr(devices, "BATCHES", (1,))
    kept = []
    result = devices.measure(True, lambda so_far: kept.append(len(so_far["rows"])))
    assert kept == sorted(kept)
    assert len(kept) == 5  # two footprints of each size, and best path: each kept when it was done
    assert {row["who"] for row in result["rows"]} >= {"compiled", "numpy.argmax alone"}
    text = devices.table([result])
    assert text.count("FAILED: its compiler is older than the processor") == 1
    assert "FAILED: dilation 3x3 of 64x64: " in text
    assert "FAILED: best path of 1 x 100 x 80: " in text


@pytest.fixture
def published_by_asv(tmp_path):
    """A folder as asv leaves it: two commits, one benchmark with a reference, one without parameters."""
    index = {
        "benchmarks": {
            "decoding.Path.time_decode": {
                "param_names": ["size", "backend"],
                "params": [["'short'", "'long'"], ["'reference'", "'compiled'"]],
                "unit": "seconds",
            },
            "memory.peakmem_import": {"param_names": [], "params": [], "unit": "bytes"},
        }
    }
    (tmp_path / "graphs" / "summary").mkdir(parents=True)
    (tmp_path / "graphs" / "branch-main").mkdir()
    (tmp_path / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (tmp_path / "index.html").write_text("asv.js", encoding="utf-8")
    history = [[7, [2.0, 2e-3, 8.0, None]], [3, [2.0, 1e-3, 4.0, 4e-3]]]  # in no order
    (tmp_path / "graphs" / "branch-main" / "decoding.Path.time_decode.json").write_text(json.dumps(history))
    (tmp_path / "graphs" / "branch-main" / "memory.peakmem_import.json").write_text(json.dumps([[3, 1 << 20]]))
    (tmp_path / "graphs" / "summary" / "memory.peakmem_import.json").write_text("[[3, 5]]")
    return tmp_path


def test_the_overview_has_a_row_for_each_case(published_by_asv):
    short, long, memory = overview.cases(published_by_asv)
    assert short.parameters == (("size", "short"), ("backend", "compiled"))
    assert (short.values, short.change, short.reference) == ((1e-3, 2e-3), 1.0, 2.0)
    assert (long.values, long.change, long.reference) == ((4e-3,), None, 8.0)
    assert (memory.values, memory.reference) == ((1 << 20,), None)
    overview.write(published_by_asv, quick=True)
    assert (published_by_asv / "graphs.html").read_text(encoding="utf-8") == "asv.js"
    page = (published_by_asv / "index.html").read_text(encoding="utf-8")
    assert '<td class="n">2 ms</td><td class="n">+100%</td>' in page
    assert "1e+03 ×" in page
    assert "1 MiB" in page
    assert "everything was measured once" in page
    assert page.count("<svg") == 1  # one case has two commits
    overview.write(published_by_asv, quick=False)
    assert "measured once" not in (published_by_asv / "index.html").read_text(encoding="utf-8")


def test_small_changes_are_not_shown():
    assert overview._change(0.04) == overview._change(None) == ""
    assert overview._change(-0.5) == "−50%"
    assert overview.shown(3e-7, "seconds") == "0.3 µs"
    assert overview.shown(12.5, "nats") == "12.5 nats"


def test_drop_ins_without_their_originals(monkeypatch):
    monkeypatch.setattr(peers, "optional", lambda _: None)
    monkeypatch.setattr(drop_ins, "WORKS", {"line 9x5": workloads.peaky(9, 5)})
    rows = drop_ins.decoders(0.0, quick=True)
    assert {r["who"] for r in rows} == {"fastctc"}
    assert {r["settings"] for r in rows} == {"compat.fast_ctc_decode", "compat.ctcdecode"}
    assert all(r["agreement"] == 1 for r in rows)


def test_recordings_are_aligned_by_everybody_alike(monkeypatch, capsys):
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("memory is measured through /proc, which only Linux has")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setattr("sys.argv", ["recordings", "fastctc", "NumPy", "--minutes", "0.1"])
    assert recordings.main() == 0
    head, *rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[1] for row in rows] == ["fastctc", "NumPy"]
    assert rows[0][head.index("labels within a frame") :] == rows[1][head.index("labels within a frame") :]
    assert float(rows[0][5]) > 0.97
