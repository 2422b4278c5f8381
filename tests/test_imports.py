"""Who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fastctc

ROOT = Path(fastctc.__file__).parent
HEAVY = {
    "tensorflow",
    "keras",
    "torch",
    "jax",
    "pyopencl",
    "matplotlib",
    "dask",
    "distributed",
    "PIL",
    "scipy",
    "pypdfium2",
}
# Each part of the package and the parts it may know.
ALLOWED = {
    "alphabet": {"backends", "value"},
    "backends": {"reference", "compiled", "opencl"},
    "commands": {
        "alphabet",
        "commands",
        "decoders",
        "htr",
        "hypothesis",
        "imaging",
        "lexicon",
        "lm",
        "loss",
        "opencl",
        "storage",
    },
    "frames": {"backends"},
    "hypothesis": {"alphabet", "backends", "frames"},
    "decoders": {
        "alphabet",
        "backends",
        "decoders",
        "frames",
        "hypothesis",
        "lexicon",
        "lm",
        "metrics",
        "threads",
        "value",
    },
    "lexicon": {"alphabet", "backends", "storage", "value"},
    "compat": {"alphabet", "backends", "compat", "decoders", "frames", "lexicon", "lm", "loss"},
    "storage": set(),
    "lm": {"backends", "lexicon", "lm", "storage", "value"},
    "loss": {"alphabet", "backends", "frames", "hypothesis", "threads"},
    "metrics": {"backends"},
    "threads": set(),
    "value": set(),
    "imaging": {"backends", "imaging", "storage"},
    "opencl": {"backends", "imaging", "opencl"},
    "distributed": {"hypothesis", "decoders", "htr"},  # the latter two only for type checkers
    "htr": {
        "alphabet",
        "decoders",
        "frames",
        "htr",
        "hypothesis",
        "imaging",
        "lexicon",
        "lm",
        "loss",
        "metrics",
        "storage",
    },
    "reference": {"reference"},
    "compiled": {"compiled"},
}


def imports(path):
    """(module, whether at the top of the file) of every import."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in tree.body) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", node in tree.body) for alias in node.names)


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_parts_know_only_what_they_may(part):
    files = sorted((ROOT / part).rglob("*.py")) if (ROOT / part).is_dir() else [ROOT / f"{part}.py"]
    assert files
    for file in files:
        known = {name.split(".")[1] for name, _ in imports(file) if name.startswith("fastctc.")}
        assert known <= ALLOWED[part], file


def test_heavy_packages_are_imported_inside_functions():
    for file in ROOT.rglob("*.py"):
        for name, at_top in imports(file):
            assert not (at_top and name.split(".")[0] in HEAVY), file


def test_import_fastctc_brings_numpy_and_nothing_else():
    script = "import sys; before = set(sys.modules); import fastctc; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    packages = {name.split(".")[0] for name in done.stdout.split()}
    assert {name for name in packages - sys.stdlib_module_names if not name.startswith("_")} == {"fastctc", "numpy"}
