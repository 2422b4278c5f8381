"""Files: written whole or not at all, and believed only as far as they prove it."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastctc import NGram, plotting, storage
from fastctc.imaging import images

ROOT = Path(__file__).parents[1]
WRITE = """
import sys
from pathlib import Path
import numpy as np
from fastctc import storage

folder, own = Path(sys.argv[1]), int(sys.argv[2])
for number in range(1500):
    storage.save(folder / f"{number % 50}", "test", {"own": own}, {"numbers": np.full(1000, own, np.int32)})
"""


def test_two_processes_write_into_one_folder(tmp_path):
    both = [subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path), str(n)], cwd=ROOT) for n in (1, 2)]
    assert [one.wait() for one in both] == [0, 0]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(map(str, range(50)))
    for file in tmp_path.iterdir():
        about, arrays = storage.load(file, "test", {"numbers": "int32"})
        assert (arrays["numbers"] == about["own"]).all()


def test_what_was_there_stays_if_writing_fails(tmp_path):
    path = tmp_path / "x.txt"
    storage.write_text(path, "before")

    def write(error):
        with storage.replaced(path) as file:
            file.write(b"half")
            raise error

    for error in (ValueError("no"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            write(error)
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]
    assert path.read_text(encoding="utf-8") == "before"


def test_links_permissions_devices_and_long_names(tmp_path):
    path, link = tmp_path / ("ä" * 127), tmp_path / "link"
    storage.write_text(path, "before")
    path.chmod(0o600)
    link.symlink_to(path)
    storage.write_text(link, "after")
    assert link.is_symlink()
    assert path.read_text(encoding="utf-8") == "after"
    assert path.stat().st_mode & 0o777 == 0o600
    storage.write_text(os.devnull, "nothing")
    assert not Path(os.devnull).is_file()


def test_errors_name_the_file_that_was_to_be_written(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "none" / "x", tmp_path / "folder"):
        with pytest.raises(OSError, match=path.name) as caught:
            storage.write_text(path, "")
        assert ".part" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match="source"), storage.replaced(tmp_path / "x"):
        (tmp_path / "none" / "source").read_bytes()


def figure():
    made, ax = plotting.figure()
    ax.plot([0, 1])
    return made


NOISE = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
WRITERS = {
    "x.arpa": lambda path: NGram.train("abc" * 1000 + "".join(map(chr, range(0x4E00, 0x5800))), 3).to_arpa(path),
    "x.arpa.gz": lambda path: NGram.train("abc" * 1000 + "".join(map(chr, range(0x4E00, 0x8000))), 3).to_arpa(path),
    "x.lm": lambda path: NGram.train("".join(map(chr, range(0x4E00, 0x5800))), 3).save(path),
    "x.png": lambda path: images.save(path, NOISE),
    "x.tif": lambda path: images.save(path, NOISE),
    "y.png": lambda path: plotting.save(figure(), path),
    "x.txt": lambda path: storage.write_text(path, "x" * 20_000),
}


@pytest.mark.filterwarnings("ignore")  # what libraries leave open when the disk is full
@pytest.mark.parametrize("name", WRITERS)
def test_full_disks(name, tmp_path):
    """As a limit of what a file may take: the disk's own end cannot be had in a test."""
    if name == "y.png":
        pytest.importorskip("matplotlib")
    write = WRITERS[name]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    write(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(OSError, match=name):
            write(tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == whole
