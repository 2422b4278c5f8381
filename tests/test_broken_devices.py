"""Drivers that crash, hang, refuse or give nonsense: each gets its verdict, and no process of ours falls with them."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyopencl")
if sys.platform != "linux":
    pytest.skip("the driver that fails is registered as Linux does it", allow_module_level=True)

from fastctc.opencl import verdict
from fastctc.opencl.drivers import Driver, shown
from fastctc.opencl.verdict import Verdict, ask, remembered

# As fastctc.opencl.listing.facts has them: the platform's name and version, the device's name, vendor, version, driver.
FAKE = ["Fake platform", "OpenCL 1.2 fake", "Fake card", "nobody", "OpenCL 1.2 fake", "1", ""]
COMPILER = shutil.which("cc")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A driver with one graphics card that fails as the variable FAKE_DRIVER says."""
    if COMPILER is None:
        pytest.skip("there is no C compiler to build the driver that fails")
    path = tmp_path_factory.mktemp("driver") / "libfake.so"
    source = Path(__file__).with_name("fake_driver.c")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-w", "-o", path, source], check=True)
    return path


@pytest.fixture
def fake(library, tmp_path, monkeypatch):
    """A function that registers this driver beside the others, or alone, and says how it is to fail."""

    def register(how, *, alone=False):
        folder = tmp_path / "vendors"
        folder.mkdir(exist_ok=True)
        file = folder / "fake.icd"
        file.write_text(f"{library}\n", encoding="utf-8")
        monkeypatch.setenv("OCL_ICD_VENDORS", str(file if alone else folder))
        monkeypatch.setenv("FAKE_DRIVER", how)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.delenv("FASTCTC_OPENCL", raising=False)
        return Driver("fake", str(library))

    return register


@pytest.fixture
def forgetful(monkeypatch, tmp_path):
    """Nothing is known in this process, and what is found is kept in a folder of the test's own."""
    monkeypatch.setattr(verdict, "_known", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fastctc" / "devices"


def run(*command):
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("refuse", r"building the smallest program failed: .*unknown target CPU 'abacus'"),
        ("crash", r"it crashed \(Segmentation fault\) when building the smallest program"),
        ("hang", r"it was stopped after 6 s of building the smallest program"),
        ("wrong", r"the smallest program gave wrong numbers"),
    ],
)
def test_a_device_that_fails(fake, how, reason, monkeypatch):
    driver = fake(how)
    monkeypatch.setattr(verdict, "LIMIT", 6.0 if how == "hang" else 60.0)
    found = ask({"drivers": [driver], "device": FAKE})
    assert not found.works
    assert found.too_slow == (how == "hang")
    assert re.fullmatch(reason, found.reason)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("query-crash", "it crashed (Segmentation fault) when asking the drivers for their devices"),
        ("query-hang", "it was stopped after 5 s of asking the drivers for their devices"),
    ],
)
def test_a_driver_that_cannot_even_be_asked(fake, how, reason, monkeypatch):
    monkeypatch.setattr(verdict, "LIMIT", 5.0 if how == "query-hang" else 60.0)
    assert ask({"drivers": [fake(how)], "device": None}) == Verdict(False, reason, how == "query-hang")


def test_a_device_that_has_gone(fake):
    found = ask({"drivers": [fake("refuse")], "device": [*FAKE[:-2], "2", ""]})
    assert found == Verdict(False, "it was not there when another process asked for it")


ERROR = """
import os
from fastctc.opencl import Device, DeviceError
before = dict(os.environ)
try:
    Device({name!r})
except DeviceError as error:
    print(error)
import pyopencl
before["PYOPENCL_HOME"] = os.path.dirname(pyopencl.__file__)  # which pyopencl sets
assert before == dict(os.environ)
"""


@pytest.mark.parametrize("name", ["opencl", "opencl:gpu", "opencl:0.0", "opencl:fake card"])
def test_naming_a_broken_device_is_an_error_of_three_lines(fake, name):
    fake("refuse", alone=True)
    done = run("-c", ERROR.format(name=name))
    what, why, remedy = done.stdout.splitlines()
    assert what == "opencl:0.0 (Fake card, Fake platform) does not compute"
    assert why.startswith("why: building the smallest program failed")
    assert "unknown target CPU 'abacus'" in why
    assert remedy.startswith("remedy: install the present driver of nobody, or use opencl:cpu")
    assert done.returncode == 0, done.stderr


def test_at_the_command_line(fake, tmp_path):
    fake("crash", alone=True)
    shown = run("-m", "fastctc", "devices")
    assert shown.returncode == 1
    assert "opencl:0.0  gpu  Fake card  DOES NOT WORK" in shown.stdout
    assert "why: it crashed (Segmentation fault) when building the smallest program" in shown.stdout
    assert "remedy: install" in shown.stdout
    described = json.loads(run("-m", "fastctc", "devices", "--json").stdout)
    assert (described["works"], described["kind"], described["reason"][:10]) == (False, "gpu", "it crashed")
    image = pytest.importorskip("PIL.Image")
    image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "in.png")
    done = run("-m", "fastctc", "morph", "dilate", tmp_path / "in.png", tmp_path / "out.png", "--backend", "opencl:gpu")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 3
    assert done.stderr.startswith("fastctc morph: opencl:0.0 (Fake card, Fake platform) does not compute\nwhy: ")
    assert not (tmp_path / "out.png").exists()


BESIDE = """
import json
from fastctc.opencl import Device, devices
print(json.dumps([[info.works, info.name] for info in devices()]))
print(any(info.works for info in devices()) and Device("opencl").info.name)
"""


@pytest.mark.parametrize("how", ["crash", "query-crash"])
def test_the_other_devices_go_on(fake, how):
    """A driver that cannot be asked is not shown to the process that works; one that can is passed over."""
    before, at_first = run("-c", BESIDE).stdout.splitlines()
    if at_first == "False":
        pytest.skip("no other device works here")
    driver = fake(how)
    after, chosen = run("-c", BESIDE).stdout.splitlines()
    failed = [False, "Fake card" if how == "crash" else str(driver.library)]
    assert sorted(json.loads(after)) == sorted([*json.loads(before), failed])
    assert chosen == at_first


def test_verdicts_are_remembered(forgetful, monkeypatch):
    asked = []

    def find(works=True):
        asked.append(works)
        return Verdict(works, "" if works else "because")

    about = ["device", "a", 1]
    assert remembered(about, find).works
    assert remembered(about, find).works
    verdict._known.clear()  # another process
    assert remembered(about, find).works
    assert len(asked) == 1
    assert not remembered(about, lambda: find(False), again=True).works
    verdict._known.clear()
    assert remembered(about, find) == Verdict(False, "because")
    assert len(asked) == 2
    assert remembered(["device", "a", 2], find).works  # another driver
    monkeypatch.setattr(verdict, "CHECK", -1)
    remembered(about, find)
    monkeypatch.setattr(verdict, "processor", lambda: ["another"])
    remembered(about, find)
    assert len(asked) == 5
    assert len(list(forgetful.iterdir())) == 4


@pytest.mark.usefixtures("forgetful")
def test_slowness_is_not_held_against_a_device_for_ever(monkeypatch):
    asked = []

    def find():
        asked.append(1)
        return Verdict(False, "too slow", too_slow=True)

    for _ in range(3):
        verdict._known.clear()
        remembered(["slow"], find)
    assert len(asked) == 1
    monkeypatch.setattr(verdict, "ASK_AGAIN", 0.0)
    verdict._known.clear()
    remembered(["slow"], find)
    assert len(asked) == 2


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"works": 1}', '{"works": true, "reason": "", "too_slow": false, "time": 0}']
)
def test_damaged_verdicts_are_not_believed(forgetful, damage):
    remembered(["x"], lambda: Verdict(True))
    (file,) = forgetful.iterdir()
    file.write_text(damage, encoding="utf-8")
    verdict._known.clear()
    assert remembered(["x"], lambda: Verdict(False, "asked")).reason == "asked"


@pytest.mark.parametrize("place", ["/proc/nowhere", "relative"])
def test_a_cache_that_cannot_be_written(monkeypatch, place, tmp_path):
    monkeypatch.setattr(verdict, "_known", {})
    monkeypatch.setenv("XDG_CACHE_HOME", place)
    monkeypatch.setenv("HOME", "/proc/nowhere")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        verdict._known.clear()
        assert remembered(["y"], lambda: Verdict(True)).works
    assert list(tmp_path.iterdir()) == []


def test_the_environment_is_put_back(fake, monkeypatch):
    driver = fake("refuse")
    monkeypatch.delenv("POCL_CACHE_DIR", raising=False)
    before = dict(os.environ)
    with shown([], cache="/nowhere"):
        assert os.environ["POCL_CACHE_DIR"] == "/nowhere"
        assert list(Path(os.environ["OCL_ICD_VENDORS"]).iterdir()) == []
    with shown([driver]), suppress(KeyError):
        (file,) = Path(os.environ["OCL_ICD_VENDORS"]).iterdir()
        assert file.read_text(encoding="utf-8").strip() == driver.library
        raise KeyError
    assert dict(os.environ) == before
