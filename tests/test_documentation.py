"""README and docs/: links lead somewhere, and shell examples run as printed. Their Python examples are doctests."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IN_A_CHECKOUT = pytest.mark.skipif(not (ROOT / "fastctc").is_dir(), reason="the sources are not beside the tests")
REPOSITORY = "https://github.com/fastctc/fastctc/blob/main/"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def commands(page):
    """The blocks of a page that are marked sh, but for those of make, which install. Others are marked console."""
    return [block for block in SHELL.findall(page.read_text(encoding="utf-8")) if not block.startswith("make ")]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_shell_examples_run_as_printed(page, tmp_path):
    if shutil.which("sh") is None:
        pytest.skip("there is no shell")
    pytest.importorskip("PIL")
    pytest.importorskip("scipy")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    program = tmp_path / "bin" / "fastctc"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fastctc "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    place = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    paths = os.pathsep.join([str(program.parent), os.environ["PATH"]])
    for block in commands(page):
        done = subprocess.run(
            ["sh", "-e", "-c", block],
            cwd=tmp_path,
            env=os.environ | {"PATH": paths, "PYTHONPATH": place},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if "fastctc devices" in block and done.returncode and "opencl" in done.stderr:
            pytest.skip(f"OpenCL is not installed: {done.stderr.splitlines()[-1]}")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@IN_A_CHECKOUT
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        target = link.partition("#")[0]
        if target.startswith(REPOSITORY):
            assert (ROOT / target.removeprefix(REPOSITORY)).is_file(), link
        elif page.name == "README.md":  # the page of a package index knows no other files
            assert target.startswith("https://"), link
        elif target and "://" not in target:
            assert (page.parent / target).is_file(), link


@IN_A_CHECKOUT
def test_the_architecture_names_files_that_are_there():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page[page.index("| you look for |") : page.index("## The laws")]
    files = re.findall(r"`([\w/]+\.(?:py|pyx|cl))`", table)
    assert len(files) > 5
    for file in files:
        assert (ROOT / "fastctc" / file).is_file() or (ROOT / file).is_file(), file


def test_every_page_is_in_the_contents():
    contents = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").split()
    pages = {str(page.relative_to(ROOT / "docs").with_suffix("")) for page in (ROOT / "docs").rglob("*.md")}
    pages -= {page for page in pages if page.startswith("_build")}
    assert pages - {"index"} <= set(contents)


def test_the_readme_is_short():
    """The pages in docs/ have room for more."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 170


NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.md"))
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_notebooks_run(notebook, monkeypatch):
    """Cell after cell, as the documentation does it, but in this process and without a screen."""
    plotting = pytest.importorskip("matplotlib.pyplot")
    pytest.importorskip("PIL")
    pytest.importorskip("scipy")
    monkeypatch.chdir(notebook.parent)
    cells = CELL.findall(notebook.read_text(encoding="utf-8"))
    names: dict[str, object] = {}
    with plotting.rc_context({"backend": "agg"}):
        for number, cell in enumerate(cells, 1):
            exec(compile(cell, f"{notebook.name}, cell {number}", "exec"), names)
        assert plotting.get_fignums()
        plotting.close("all")


@pytest.mark.slow
def test_sphinx_has_no_warning(tmp_path):
    """The notebooks, which have a test of their own, are not run here."""
    for name in ("furo", "myst_nb", "numpydoc"):
        pytest.importorskip(name)
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    # Without a run nobody says which language the cells are in.
    command += ["-D", "nb_execution_mode=off", "-D", "suppress_warnings=myst-nb.lexer"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "trees"), "docs", str(tmp_path / "html")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "forced_align" in (tmp_path / "html" / "api.html").read_text(encoding="utf-8")


def test_the_notebooks_are_found():
    assert len(NOTEBOOKS) == 3
    assert all(len(CELL.findall(notebook.read_text(encoding="utf-8"))) > 5 for notebook in NOTEBOOKS)


@IN_A_CHECKOUT
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_every_target_of_the_makefile_can_be_made(tmp_path):
    """A prerequisite without a rule is noticed by the first who asks for it; -n runs nothing."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    [phony] = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    described = re.findall(r"^# make (\w+) ", makefile, re.MULTILINE)
    assert sorted(described) == sorted(phony.split())
    for target in phony.split():
        done = subprocess.run(
            ["make", "-n", target, f"VENV={tmp_path}/venv"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
