"""Devices, kernels and their host code; what graphics cards run is run on the processor too, on small images."""

import json
import os
import subprocess
import sys
import threading
from importlib import metadata

import numpy as np
import pytest
from conftest import peaky

from fastctc import Alphabet, BestPath, backends
from fastctc.imaging import morphology

pytest.importorskip("pyopencl")
from fastctc.opencl import Device, DeviceError, Pipeline, devices, kernel_source
from fastctc.opencl.best_path import BestPath as OnDevice
from fastctc.opencl.decompose import KIND_COST, decompose
from fastctc.opencl.drivers import drivers

pytestmark = pytest.mark.slow

NAME = os.environ.get("FASTCTC_TEST_DEVICE", "opencl:cpu")


@pytest.fixture(scope="module")
def device():
    try:
        return Device(NAME)
    except LookupError as error:
        pytest.skip(str(error))


@pytest.fixture(params=["as it is", "with all threads", "as a graphics card"])
def either(device, request, monkeypatch):
    """The device, where small things may stay in the calling thread, or not, and with the kernels of graphics cards."""
    opened = device.opened
    if request.param != "as it is":
        monkeypatch.setattr("fastctc.opencl.opened.SMALL", -1)
    if request.param == "as a graphics card":
        monkeypatch.setattr(opened, "streams", False)
        monkeypatch.setattr(opened, "plans", {})
    return device


def run(code, environment=None, **more):
    """A Python of its own, since what it knows of OpenCL cannot be forgotten."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
        env={**(environment or os.environ), **more}, check=False,
    )  # fmt: skip


def pocl_of_pip(device):
    """The device is the PoCL 3 of pip, and no other PoCL stands beside it."""
    pocl = [driver for driver in drivers() if "pocl" in driver.library.lower()]
    try:
        known = metadata.version("pocl-binary-distribution").startswith("3.")
    except metadata.PackageNotFoundError:
        return False
    return known and len(pocl) == 1 and pocl[0].by_pip and "portable computing" in device.info.platform.lower()


def test_devices_are_described(device):
    infos = devices()
    assert device.info in infos
    assert json.loads(json.dumps(device.info.to_dict()))["index"] == device.info.index
    assert Device(f"opencl:{device.info.index}").info == device.info
    assert Device(f"opencl:{device.info.platform[:5]}").info.platform == device.info.platform


def test_a_missing_device_names_what_is_there(device):
    with pytest.raises(DeviceError, match="no device 'opencl:abacus'") as found:
        Device("opencl:abacus")
    assert f"opencl:{device.info.index} (the " in str(found.value)
    assert len(str(found.value).splitlines()) == 3
    with pytest.raises(ValueError, match="must be named"):
        Device("opencl:")


def test_opencl_can_be_switched_off():
    done = run(
        "from fastctc.opencl import devices, Device\nprint(devices())\n"
        "try: Device('opencl')\nexcept LookupError as error: print(error)",
        FASTCTC_OPENCL="0",
    )
    assert done.stdout.splitlines()[0] == "[]"
    assert "switched off" in done.stdout


def test_without_pyopencl(tmp_path):
    (tmp_path / "pyopencl.py").write_text("raise ImportError('not here')")
    done = run(
        "import numpy, fastctc.imaging.morphology as m\n"
        "try: m.dilation(numpy.zeros((3, 3), 'u1'), backend='opencl:cpu')\nexcept ImportError as error: print(error)",
        PYTHONPATH=str(tmp_path),
        FASTCTC_OPENCL="1",
    )
    assert 'pip install "fastctc[opencl]"' in done.stdout, done.stderr


HOMELESS = """
import os
import numpy as np
from fastctc.imaging import morphology
image = np.arange(20, dtype=np.uint8).reshape(4, 5)
print(np.array_equal(morphology.dilation(image, 3, backend="opencl:cpu"), morphology.dilation(image, 3)))
print([name for name in os.environ if name.startswith("POCL")])
"""


def test_a_home_that_cannot_be_written(device, tmp_path):
    """PoCL compiles into a temporary folder then, which is removed, and nothing of that stays in the environment."""
    if "portable computing" not in device.info.platform.lower():
        pytest.skip("only PoCL keeps its programs there")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POCL")}
    places = {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/nowhere", "TMPDIR": str(tmp_path)}
    done = run(HOMELESS, environment, **places)
    assert done.stdout.split("\n")[:2] == ["True", "[]"], done.stderr
    assert list(tmp_path.iterdir()) == []


SMALL = """
from fastctc.opencl import Device, devices
opened = Device("opencl:cpu").opened
print(len(devices()), *(opened.for_work(size).info.compute_units for size in (10, 10**9)))
"""


def test_small_work_stays_in_the_calling_thread(device):
    if not pocl_of_pip(device):
        pytest.skip("it is the PoCL 3 of pip that can do without threads")
    environment = {name: value for name, value in os.environ.items() if name != "POCL_DEVICES"}
    done = run(SMALL, environment=environment)
    n_devices, small, large = map(int, done.stdout.split())
    assert small == 1
    assert large == Device("opencl:cpu").info.compute_units
    done = run(SMALL, environment={**environment, "POCL_DEVICES": "pthread"})  # the user's own choice
    assert done.stdout.split() == [str(n_devices), str(large), str(large)]


FORK = """
import multiprocessing, sys
import numpy as np
from fastctc.imaging import morphology

def work(connection):
    try:
        morphology.dilation(np.zeros((3, 3), np.uint8), backend={name!r})
        connection.send("worked")
    except RuntimeError as error:
        connection.send(str(error))

morphology.dilation(np.zeros((3, 3), np.uint8), backend={name!r})
here, there = multiprocessing.Pipe()
process = multiprocessing.get_context("fork").Process(target=work, args=(there,), daemon=True)
process.start()
print(here.recv() if here.poll(60) else "it hangs")
"""


@pytest.mark.usefixtures("device")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_is_refused():
    done = run(FORK.format(name=NAME), PYTHONWARNINGS="ignore")
    assert "was used before this process was forked" in done.stdout, done.stderr


@pytest.mark.usefixtures("device")
def test_threads_share_a_device():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 9, (50 + k, 70), dtype=np.uint8) for k in range(8)]
    expected = [morphology.dilation(image, (3, 5)) for image in images]
    wrong = []

    def work(k):
        for _ in range(30):
            if not np.array_equal(morphology.dilation(images[k], (3, 5), backend=NAME), expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.usefixtures("either")
def test_graphics_kernels():
    """Tiles in local memory: rectangles that fit, rectangles in two passes, masks."""
    rng = np.random.default_rng(1)
    twin = backends.load(NAME, "morphology")
    reference = backends.load("reference", "morphology")
    for dtype in ("uint8", "int16", "float32"):
        for rows, columns, border in [(3, 3, "ignore"), (2, 5, "edge"), (9, 9, "reflect"), (1, 4, "constant")]:
            images = rng.integers(0, 9, (2, 37, 41)).astype(dtype)
            for mask in (np.ones((rows, columns), bool), rng.random((rows, columns)) < 0.5):
                arguments = (images, mask, (rows // 2, columns // 2), border, 3, bool(rows % 2))
                np.testing.assert_array_equal(twin.extremes(*arguments), reference.extremes(*arguments))


@pytest.mark.parametrize("size", [(1, 1), (5, 5), (15, 15), (3, 40), (40, 3), (60, 60)])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.8, 1.0])
def test_parts_cover_the_mask(size, share):
    """All of it, nothing else, and at no higher cost than its runs, or points."""
    mask = np.random.default_rng(6).random(size) < share
    parts, kinds = decompose(mask)
    made = np.zeros(size, bool)
    for row, column, kind in parts:
        level, apart = kinds[kind]
        for first in (column, column + apart):
            assert first + (1 << level) <= size[1]
            made[row, first : first + (1 << level)] = True
    np.testing.assert_array_equal(made, mask)
    runs, lengths = backends.load("compiled", "morphology").runs(mask)
    assert len(parts) + KIND_COST * len(kinds) <= len(runs) + KIND_COST * len(lengths)


def test_a_large_rectangle_goes_in_two_passes(either):
    opened = either.opened
    image = np.random.default_rng(2).integers(0, 255, (60, 70), dtype=np.uint8)
    size = int(opened.info.local_memory**0.5)  # too large for a tile with its surroundings
    size = min(size, 301)
    found = morphology.dilation(image, (5, size), backend=NAME)
    np.testing.assert_array_equal(found, morphology.dilation(image, (5, size)))


def test_a_pipeline_stays_on_the_device(either):
    rng = np.random.default_rng(3)
    for shape, dtype in [((30, 40), "uint8"), ((3, 20, 25), "float32"), ((10, 11), "bool"), ((0, 4), "uint8")]:
        image = (rng.integers(0, 2, shape) if dtype == "bool" else rng.integers(0, 99, shape)).astype(dtype)
        before = image.copy()
        with Pipeline(either, profile=True) as p:
            found = p.upload(image).opening((2, 3)).closing(3).download()
            assert len(p.seconds) == (4 if image.size else 0)
        np.testing.assert_array_equal(found, morphology.closing(morphology.opening(image, (2, 3)), 3))
        np.testing.assert_array_equal(image, before)
        assert found.dtype == image.dtype
    with Pipeline(either) as p, pytest.raises(RuntimeError, match="upload"):
        p.download()


def test_buffers_are_used_again(device, monkeypatch):
    """A few of one size, whatever the number of steps and calls; what they held before is not seen."""
    opened = device.opened
    made = []
    buffer = opened.cl.Buffer
    monkeypatch.setattr(opened.cl, "Buffer", lambda *args, **more: made.append(args) or buffer(*args, **more))
    monkeypatch.setattr(opened, "zero_copy", False)
    monkeypatch.setattr(opened, "_free", {})
    monkeypatch.setattr(opened, "_serial_device", None)
    monkeypatch.setitem(opened.__dict__, "serial", None)
    rng = np.random.default_rng(8)
    for _ in range(4):
        image = rng.integers(0, 255, (30, 41), dtype=np.uint8)
        with Pipeline(device) as p:
            for _ in range(3):
                found = p.upload(image).opening(3).closing((2, 3)).download()
                np.testing.assert_array_equal(found, morphology.closing(morphology.opening(image, 3), (2, 3)))
        np.testing.assert_array_equal(morphology.erosion(image, 3, backend=NAME), morphology.erosion(image, 3))
    assert len(made) <= 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_best_path_equals_the_compiled_one(either, dtype):
    compiled = backends.load("compiled", "best_path")
    rng = np.random.default_rng(4)
    for case in range(25):
        n, n_frames, n_classes = rng.integers(1, 4), rng.integers(1, 40 if case % 5 else 600), rng.integers(1, 45)
        frames = np.stack([peaky(rng, n_frames, n_classes, dtype) for _ in range(n)])
        if case % 2:
            frames = np.round(frames / 4)  # ties
        if case % 7 == 0:
            frames[:, :, 0] = -np.inf
        lengths = rng.integers(0, n_frames + 1, n)
        blank = int(rng.integers(-n_classes, n_classes))
        labels, timesteps, counts, scores = OnDevice(either).batch(frames, lengths, blank)
        for b in range(n):
            expected = compiled.best_path(np.ascontiguousarray(frames[b, : lengths[b]]), blank % n_classes)
            found = tuple(labels[b, : counts[b]].tolist()), tuple(timesteps[b, : counts[b]].tolist()), scores[b]
            assert found == expected[:3]


@pytest.mark.usefixtures("device")
def test_best_path_as_a_decoder():
    rng = np.random.default_rng(5)
    alphabet = Alphabet("abcdefg")
    frames = [peaky(rng, n, 8, np.float32) for n in (5, 17, 0, 3)]
    for exact in (True, False):
        found = BestPath(alphabet, exact=exact, backend=NAME).decode_batch(frames)
        expected = BestPath(alphabet, exact=exact).decode_batch(frames)
        assert [(h[0].text, h[0].score, h[0].timesteps) for h in found] == [
            (h[0].text, h[0].score, h[0].timesteps) for h in expected
        ]
    with pytest.raises(ValueError, match="distribution"):
        BestPath(alphabet, backend=NAME).decode(np.zeros((3, 8)))


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.5, -9.0, -np.inf])
@pytest.mark.parametrize("n_classes", [3, 8, 21, 80])
def test_best_path_refuses_what_the_compiled_one_refuses(either, value, n_classes, monkeypatch):
    monkeypatch.setattr(backends, "load", lambda name, module, load=backends.load: (
        OnDevice(either) if (name, module) == (NAME, "best_path") else load(name, module)))  # fmt: skip
    rng = np.random.default_rng(6)
    alphabet = Alphabet([chr(0x100 + k) for k in range(n_classes - 1)])
    frames = np.stack([peaky(rng, 9, n_classes, np.float32) for _ in range(4)])
    frames[2, 5] = value if value in (-9.0, -np.inf) else frames[2, 5]
    frames[2, 5, rng.integers(n_classes)] = value
    for batch in (frames, list(frames), frames[::-1], frames[:, :7]):
        with pytest.raises(ValueError, match=r"sequence [12] of the batch: .* frame 5") as found:
            BestPath(alphabet, exact=False, backend=NAME).decode_batch(batch)
        with pytest.raises(ValueError, match="frame 5") as expected:
            BestPath(alphabet, exact=False).decode_batch(batch)
        assert str(found.value) == str(expected.value)
    fine = BestPath(alphabet, exact=False, backend=NAME).decode_batch(frames[:, :5])
    assert [h[0].labels for h in fine] == [h[0].labels for h in BestPath(alphabet).decode_batch(frames[:, :5])]


def test_best_path_refuses(device):
    twin = OnDevice(device)
    with pytest.raises(ValueError, match=r"\(B, T, C\)"):
        twin.batch(np.zeros((3, 4), np.float32))
    with pytest.raises(ValueError, match="lengths"):
        twin.batch(np.zeros((1, 3, 4), np.float32), np.array([4]))
    with pytest.raises(ValueError, match="blank"):
        twin.batch(np.zeros((1, 3, 4), np.float32), None, 4)


COLD = """
import sys, time
import numpy as np
from fastctc.imaging import footprints, morphology
image = np.zeros((9, 9), {dtype!r})
footprint = {footprint}
morphology.dilation(image, (1, 1), backend={name!r})  # what the runtime needs to begin at all
start = time.monotonic()
morphology.dilation(image, footprint, backend={name!r})
print(time.monotonic() - start)
"""


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("footprint", ["7", "(31, 31)", "footprints.disk(3)"])
@pytest.mark.usefixtures("device")
def test_no_kernel_keeps_a_compiler_busy_for_ever(dtype, footprint, tmp_path):
    """Some vector code does that to LLVM 14; the process is stopped then."""
    code = COLD.format(dtype=dtype, footprint=footprint, name=NAME)
    done = run(code, POCL_CACHE_DIR=str(tmp_path), PYOPENCL_NO_CACHE="1")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0


def test_sources_are_found():
    assert "__kernel" in kernel_source("morphology")
    with pytest.raises(FileNotFoundError, match="no kernel 'sieve'"):
        kernel_source("sieve")


def test_rows_of_one_array_are_not_copied():
    from fastctc.opencl.best_path import _common_stack

    whole = np.random.default_rng(7).random((3, 5, 4)).astype(np.float32)
    lengths = np.array([5, 2, 0], np.int32)
    assert _common_stack([rows[:n] for rows, n in zip(whole, lengths, strict=True)], lengths) is whole
    shuffled = [whole[1], whole[0], whole[2]]
    for sequences in (shuffled, [whole[0], whole[1]], [rows[:, :3] for rows in whole], list(whole.astype("f8"))[:2]):
        counts = np.array([len(rows) for rows in sequences], np.int32)
        made = _common_stack(sequences, counts)
        for place, rows in zip(made, sequences, strict=True):
            np.testing.assert_array_equal(place[: len(rows)], rows)


def test_the_first_numbers_of_rows():
    first_of_rows = backends.load("compiled", "best_path").first_of_rows
    rows = np.arange(6, dtype=np.int32).reshape(2, 3)
    assert first_of_rows(rows, np.array([0, 3], np.int32)) == [(), (3, 4, 5)]
    for counts in ([1], [0, 4], [-1, 0]):
        with pytest.raises(ValueError, match="count"):
            first_of_rows(rows, np.array(counts, np.int32))
