"""fastctc beside the packages that people use: one table, one page.

    python -m bench.compare [--quick] [--out DIR] [--data FOLDER …] [--text FILE …] [--publish] [SECTION …]

Every section runs in a process of its own, in which everybody does the same work in turn, with one thread. Writes
compare.json, compare.md and compare.html; --publish also writes docs/benchmarks.md and the README's small table,
of full runs only. Sections that a former run left in DIR are kept when others are asked for.
"""

import argparse
import inspect
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.compare import (
    accuracy,
    decoding,
    drop_ins,
    frameworks,
    loss,
    morphology,
    paths,
    process,
    pyctcdecode,
    report,
)
from fastctc import storage
from fastctc.htr import fonts

SECTIONS = {
    "best_path": decoding.best_path,
    "beam_search": decoding.beam_search,
    "path_search": paths.path_search,
    "accuracy": accuracy.accuracy,
    "loss": loss.loss,
    "gradient": frameworks.gradient,
    "drop_ins": frameworks.drop_ins,
    "language_model": loss.language_model,
    "drop_in_decoders": drop_ins.decoders,
    "morphology": morphology.morphology,
    "process": process.process,
    "pyctcdecode": pyctcdecode.pyctcdecode,
}
SECONDS = {"accuracy": 60.0, "beam_search": 45.0}  # of each piece of work, where it is not the usual
USUAL, QUICK = 8.0, 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description="fastctc beside the packages that people use")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"some of: {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="a look in under three minutes")
    parser.add_argument("--out", default="compare", metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--data", action="append", default=[], metavar="FOLDER", help="handwriting, to read its test split"
    )
    parser.add_argument("--text", action="append", default=[], metavar="FILE", help="instead of Python's documentation")
    parser.add_argument("--fonts", default=".fonts", metavar="FOLDER", help="handwriting fonts (default: %(default)s)")
    parser.add_argument("--fetch-fonts", action="store_true", help="first fill that folder with open fonts, by npm")
    parser.add_argument("--publish", action="store_true", help="write the tables of README.md and docs/benchmarks.md")
    parser.add_argument("--into", metavar="FILE", help=argparse.SUPPRESS)  # one section, in the process made for it
    options = parser.parse_args()
    unknown = [name for name in options.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"sections are {', '.join(SECTIONS)}; got {', '.join(unknown)}")
    if options.publish and options.quick:
        parser.error("--publish goes without --quick: a quick look is not published")
    if options.into:
        return _one(options)
    if options.fetch_fonts:
        fonts.install(options.fonts)
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    kept = out / "compare.json"
    results = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() and options.sections else {"sections": {}}
    results |= report.machine()
    failed = []
    for name in options.sections or SECTIONS:
        print(f"== {name}", flush=True)
        start = time.monotonic()
        asked = ["--quick"] * options.quick
        asked += [f"--data={folder}" for folder in options.data] + [f"--text={file}" for file in options.text]
        with tempfile.TemporaryDirectory() as folder:
            into = Path(folder) / "rows.json"
            command = [sys.executable, "-m", "bench.compare", "--into", str(into), "--fonts", options.fonts]
            if subprocess.run([*command, *asked, name], check=False).returncode or not into.is_file():
                failed.append(name)
                continue
            rows = json.loads(into.read_text(encoding="utf-8"))
        results["sections"][name] = {
            "rows": rows,
            "seconds": time.monotonic() - start,
            "quick": options.quick,
            "command": " ".join(["python -m bench.compare", *asked, name]),
        }
        storage.write_text(kept, json.dumps(results, indent=1) + "\n")
    storage.write_text(out / "compare.md", report.markdown(results))
    storage.write_text(out / "compare.html", report.page(results))
    if options.publish:
        report.publish(results, Path("README.md"), Path("docs/benchmarks.md"))
    print(f"{out / 'compare.md'}, {out / 'compare.html'}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def _one(options: argparse.Namespace) -> int:
    name = options.sections[-1]
    section = SECTIONS[name]
    more = {"quick": options.quick, "fonts": options.fonts, "text": tuple(options.text), "data": tuple(options.data)}
    more = {key: value for key, value in more.items() if key in inspect.signature(section).parameters}
    rows = section(QUICK if options.quick else SECONDS.get(name, USUAL), **more)
    storage.write_text(options.into, json.dumps(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
