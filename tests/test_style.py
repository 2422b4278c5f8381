"""The linters have nothing to say, and the stubs say what the compiled modules are."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
TOOLS = Path(sys.executable).parent


def run(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "--no-cache", "."),
        ("ruff", "format", "--no-cache", "--check", "."),
        ("cython-lint", "fastctc"),
    ],
    ids=" ".join,
)
def test_linters(command, monkeypatch):
    monkeypatch.setenv("PATH", str(TOOLS), prepend=":")  # cython-lint looks for pycodestyle there
    tool = shutil.which(command[0])
    assert tool is not None, f"{command[0]} is missing: install the group lint"
    run(tool, *command[1:])


def test_types(tmp_path):
    run(sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path))


def test_stubs(tmp_path):
    modules = [f"fastctc.compiled.{path.stem}" for path in sorted((ROOT / "fastctc" / "compiled").glob("*.pyx"))]
    allowed = tmp_path / "allowed"
    allowed.write_text(r"fastctc\.compiled\.\w+\.__pyx_capi__")  # what compiled modules give each other
    # From elsewhere, so that no cache is left behind in the checkout.
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy.stubtest", *modules),
            *("--mypy-config-file", str(ROOT / "pyproject.toml")),
            *("--allowlist", str(allowed), "--ignore-unused-allowlist"),
        ],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
