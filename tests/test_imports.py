"""Who imports whom: the law of the rooms, held to every module, and no circle of imports anywhere."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import fastctc

ROOT = Path(fastctc.__file__).parent
HEAVY = {
    "tensorflow",
    "keras",
    "torch",
    "jax",
    "optax",
    "pyopencl",
    "matplotlib",
    "dask",
    "distributed",
    "PIL",
    "scipy",
    "pypdfium2",
    "tornado",
}
# Each room, a package or a module beside them, and the rooms that it may know beside itself. `backends` chooses among
# reference, compiled and opencl by name.
ENGINES = {"backends", "compiled", "search_inputs", "value"}
ALPHABET = ENGINES | {"alphabet", "frames", "hypothesis", "lexicon", "loss", "metrics", "storage", "threads"}
ALLOWED = {
    "__init__": ALPHABET | {"align", "decoders", "lm"},
    "__main__": {"commands"},
    "align": ALPHABET,
    "alphabet": ENGINES | {"vocabularies"},
    "backends": {"reference", "compiled", "opencl"},
    "commands": ALPHABET | {"align", "decoders", "htr", "imaging", "lm", "opencl"},
    "compat": ALPHABET | {"align", "decoders", "frameworks", "lm"},
    "compiled": {"search_inputs"},
    "decoders": ALPHABET | {"lm"},
    "distributed": {"decoders", "htr", "hypothesis"},
    "frames": ENGINES,
    "frameworks": ALPHABET,
    "htr": ALPHABET | {"align", "decoders", "imaging", "lm"},
    "hypothesis": ENGINES | {"alphabet", "frames"},
    "imaging": {"backends", "storage"},
    "lexicon": ENGINES | {"alphabet", "storage"},
    "lm": ENGINES | {"lexicon", "storage"},
    "loss": ENGINES | {"alphabet", "frames", "hypothesis", "threads"},
    "metrics": ENGINES,
    "opencl": {"backends", "compiled", "imaging", "storage"},
    "reference": {"search_inputs"},
    "search_inputs": set(),
    "storage": set(),
    "threads": {"compiled"},
    "value": set(),
    "vocabularies": set(),
}
MODULES = sorted(ROOT.rglob("*.py"))


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path):
    """(module, whether at the top of the file) of every import but those for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if node in typing:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in tree.body) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", node in tree.body) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield ast.unparse(node.args[0]).strip("f'\"").split(".{")[0], False


def known(path):
    """The modules of the package that a file imports, by their names below it."""
    for name, _ in imports(path):
        parts = name.split(".")
        if parts[0] == "fastctc" and len(parts) > 1:
            longest = next((n for n in range(len(parts), 1, -1) if is_module(parts[1:n])), 1)
            yield ".".join(parts[1:longest]) or "__init__"


def is_module(parts):
    place = ROOT.joinpath(*parts)
    return place.with_suffix(".py").exists() or place.with_suffix(".pyx").exists() or (place / "__init__.py").exists()


def test_the_law_speaks_of_every_room():
    rooms = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert rooms == set(ALLOWED)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_knows_only_what_its_room_may(path):
    room = name_of(path).split(".")[0]
    assert {name.split(".")[0] for name in known(path)} - {room} <= ALLOWED[room]


def test_there_is_no_circle():
    names = {name_of(path).removesuffix(".__init__") for path in MODULES}
    graph = {name_of(path).removesuffix(".__init__"): set(known(path)) & names for path in MODULES}
    for name, others in graph.items():
        others.discard(name)  # a package whose __init__ names its own modules
    TopologicalSorter(graph).prepare()


def test_backends_are_for_choices():
    """A module that has not been chosen is imported by its name, where types are known."""
    for file in MODULES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "backends.load":
                assert not isinstance(node.args[0], ast.Constant), f"{file}, line {node.lineno}"


def test_heavy_packages_are_imported_inside_functions():
    for file in ROOT.rglob("*.py"):
        for name, at_top in imports(file):
            assert not (at_top and name.split(".")[0] in HEAVY), file


def test_import_fastctc_brings_numpy_and_nothing_else():
    script = "import sys; before = set(sys.modules); import fastctc; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    packages = {name.split(".")[0] for name in done.stdout.split()}
    assert {name for name in packages - sys.stdlib_module_names if not name.startswith("_")} == {
        "cython_runtime",
        "fastctc",
        "numpy",
    }


def test_drop_ins_and_layers_import_no_framework():
    """All of them in one process: none brings more than NumPy, whatever is installed."""
    names = [
        ".".join(("fastctc", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for room in ("compat", "frameworks")
        for file in sorted((ROOT / room).rglob("*.py"))
        if file.name != "__main__.py"
    ]
    assert len(names) > 30
    script = f"""
import importlib, sys
before = set(sys.modules)
known = set()
for name in {names!r}:
    importlib.import_module(name)
    found = {{n.split(".")[0] for n in set(sys.modules) - before}} - sys.stdlib_module_names
    for new in sorted(found - known - {{"cython_runtime", "fastctc", "numpy"}}):
        if not new.startswith("_"):
            print(name, "imports", new)
    known |= found
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT.parent, capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_reading_imports_no_training():
    code = "import sys; import fastctc.htr.reader; print(*(m for m in sys.modules if m.startswith('fastctc.htr.')))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT.parent, capture_output=True, text=True, check=True)
    training = ("distortion", "synthesis", "fonts", "train", "data", "samples", "model")
    assert not {f"fastctc.htr.{name}" for name in training} & set(done.stdout.split())
