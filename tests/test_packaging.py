"""The wheel and the sdist, built and used as somebody else would."""

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from test_twins import COMPILED, MODULES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
WRITES_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}  # where it is off, setuptools warns


def run(*command, cwd, **environment):
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the sdist and with the wheel that is built from it, and what the build said."""
    source = tmp_path_factory.mktemp("source")
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in files.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("dist")
    said = run(
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        str(out),
        str(source),
        cwd=source,
        **WRITES_BYTECODE,
    )
    return out, said


def test_the_build_has_no_warning(built):
    _, said = built
    doubtful = [line for line in said.splitlines() if "warning" in line.lower() or "performance hint" in line.lower()]
    assert doubtful == []


def test_the_sdist_holds_sources_and_nothing_made_from_them(built):
    with tarfile.open(next(built[0].glob("*.tar.gz"))) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    for module in COMPILED:
        assert f"fastctc/compiled/{module}.pyx" in names
    for module in MODULES:
        assert f"fastctc/reference/{module}.py" in names
    for name in ("fastctc/compiled/rows.h", "fastctc/py.typed", "setup.py", "pyproject.toml", "LICENSE", "README.md"):
        assert name in names
    assert not [name for name in names if name.endswith((".c", ".so"))]


def test_the_wheel_works_elsewhere(built, tmp_path):
    wheel = next(built[0].glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    for module in COMPILED:
        assert f"fastctc/compiled/{module}.pyi" in names
    for name in ("py.typed", "kernels/morphology.cl", "kernels/best_path.cl", "htr/weights/latin.fastctc"):
        assert f"fastctc/{name}" in names
    for name in ("en.fastctc", "fr.fastctc", "README.md"):
        assert f"fastctc/htr/language_models/{name}" in names
    assert not [name for name in names if name.endswith(".c") or name.startswith(("tests", "bench", "examples"))]
    script = (
        "import fastctc; from fastctc.compiled import beam_search as b; print(fastctc.__file__, b.__file__); "
        "print(fastctc.BeamSearch(fastctc.Alphabet('ab')).decode(probs=[[.4, 0, .6]] * 2)[0].text)"
    )
    said = run(sys.executable, "-c", script, cwd=tmp_path, PYTHONPATH=str(tmp_path / "site"))
    files, text = said.splitlines()
    assert all(Path(file).is_relative_to(tmp_path) for file in files.split())
    assert text == "a"
    script = (
        "from fastctc.opencl import kernel_source; from fastctc.htr.reader import Reader; import numpy as np; "
        "print(len(kernel_source('morphology')) > 999, Reader().read_lines([np.full((40, 99), 255, np.uint8)])[0].text)"
    )
    assert run(sys.executable, "-c", script, cwd=tmp_path, PYTHONPATH=str(tmp_path / "site")).strip() == "True"
    said = run(sys.executable, "-m", "fastctc", "--version", cwd=tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert said.startswith("fastctc ")


def test_compilers_of_microsoft_meet_nothing_of_gnu(tmp_path):
    """What is left of the headers and of the C within modules for a compiler that is neither GCC nor Clang."""
    folder = ROOT / "fastctc/compiled"
    files = [
        file for file in folder.glob("*.h") if not file.stem.endswith(("_template", "_side"))
    ]  # others include these
    for file in folder.glob("*.pyx"):
        for n, block in enumerate(
            re.findall(r'cdef extern from \*:\s*"""(.*?)"""', file.read_text(encoding="utf-8"), re.S)
        ):
            files.append(tmp_path / f"{file.stem}_{n}.h")
            files[-1].write_text(block)
    for file in folder.glob("*.h"):  # without the system's headers
        text = re.sub(r"^ *#include <.*$", "", file.read_text(encoding="utf-8"), flags=re.M)
        (tmp_path / file.name).write_text(text)
    compiler = shlex.split(sysconfig.get_config_var("CC"))
    for file in files:
        text = re.sub(r"^ *#include <.*$", "", (tmp_path / file.name).read_text(encoding="utf-8"), flags=re.M)
        (tmp_path / "alone.c").write_text(text)
        said = run(*compiler, "-E", "-P", "-U__GNUC__", "-U__clang__", "-U__x86_64__", "-D_MSC_VER=1940",
                   "alone.c", cwd=tmp_path)  # fmt: skip
        assert said.strip(), file.name
        assert re.findall(r"__attribute__|__builtin_\w+|__thread|__typeof|__int128|\(\{", said) == [], file.name


def project():
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def test_all_name_the_same_repository():
    url = project()["project"]["urls"]["Source"]
    assert json.loads((ROOT / "asv.conf.json").read_text())["project_url"] == url
    assert f'repository-code: "{url}"' in (ROOT / "CITATION.cff").read_text()


def test_every_package_is_listed():
    folders = {str(path.parent.relative_to(ROOT)).replace("/", ".") for path in (ROOT / "fastctc").rglob("__init__.py")}
    assert set(project()["tool"]["setuptools"]["packages"]) == folders | {"fastctc.kernels"}


# What a message that names an extra speaks of.
BRINGS = {"Pillow": "pillow", "SciPy": "scipy", "matplotlib": "matplotlib", "Keras": "tensorflow-cpu",
          "pypdfium2": "pypdfium2", "pyopencl": "pyopencl", "onnxruntime": "onnxruntime",
          "Tornado": "tornado"}  # fmt: skip


def requirements(extra, extras):
    """The names of what an extra installs."""
    for line in extras[extra]:
        name, more = re.match(r"([\w-]+)(?:\[([\w,]*)\])?", line).groups()
        if name == "fastctc":
            for other in more.split(","):
                yield from requirements(other, extras)
        else:
            yield name


def test_extras_in_messages_bring_what_the_messages_want():
    extras = project()["project"]["optional-dependencies"]
    files = sorted((ROOT / "fastctc").rglob("*.py"))
    message = re.compile(r"needs? (\w+): pip install \"fastctc\[(\w+)\]")
    named = [(file.name, *found) for file in files for found in message.findall(file.read_text(encoding="utf-8"))]
    assert {extra for _, _, extra in named} >= {"htr", "train", "plot", "pdf", "opencl"}
    for file, wants, extra in named:
        assert BRINGS[wants] in requirements(extra, extras), file
    for file in files:
        assert set(re.findall(r"fastctc\[(\w+)\]", file.read_text(encoding="utf-8"))) <= set(extras), file
