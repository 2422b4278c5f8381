"""Pages on their side and upside down are turned and said to be; what is no writing is said to read as noise."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
from fastctc.htr.places import Places
from fastctc.htr.reader import Reader
from fastctc.imaging import images
from fastctc.metrics import cer

PAGE = Path(__file__).parent.parent / "examples" / "handwriting" / "page.jpg"


@pytest.fixture(scope="module")
def upright():
    return Reader().read_page(PAGE)


@pytest.mark.parametrize(
    "quarters", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_pages_are_turned_the_right_way(quarters, upright):
    scan = np.ascontiguousarray(np.rot90(images.read(PAGE), quarters))
    page = Reader().read_page(scan)
    assert cer(page.text, upright.text) < 0.02
    assert round(page.layout.angle / 90) % 4 == quarters
    # Places on the scan are where the ink is: the word's own box is darker than paper, wherever the page lay.
    places = Places(scan.shape[0], scan.shape[1], page.layout.angle)
    grey = scan if scan.ndim == 2 else scan.mean(2)
    for line in page.lines:
        for word in line.words:
            box = places.box(word.box)
            assert (box.height > box.width) == (word.box.height < word.box.width) or quarters == 2
            assert grey[box.top : box.bottom, box.left : box.right].min() < np.median(grey) - 60


def test_upright_pages_stay(upright):
    assert abs(upright.layout.angle) < 15


def fastctc(*arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(PAGE.parents[2])}
    command = [sys.executable, "-m", "fastctc", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=300
    )


@pytest.mark.slow
def test_the_command_line_says_what_was_turned(tmp_path, upright):
    images.save(tmp_path / "p.png", np.rot90(images.read(PAGE), 2))
    done = fastctc("read", "p.png", "--format", "page", cwd=tmp_path)
    assert "p.png: the page lay upside down and was turned" in done.stderr
    assert cer(upright.lines[0].text, "Dear friend,") < 0.2
    assert upright.lines[0].words[0].text in done.stdout


@pytest.mark.slow
def test_noise_is_said_to_be_noise(tmp_path):
    """Strokes without meaning, in rows as a page has them."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(0)
    picture = Image.new("L", (1000, 900), 240)
    draw = ImageDraw.Draw(picture)
    for y in range(100, 860, 60):
        for x in range(60, 940, 9):
            if rng.random() < 0.85:
                ends = [(x + rng.integers(-12, 13), y + rng.integers(-16, 17)) for _ in range(3)]
                draw.line([(int(a), int(b)) for a, b in ends], fill=40, width=3)
    picture.save(tmp_path / "noise.png")
    done = fastctc("read", "noise.png", cwd=tmp_path)
    assert "noise.png: " in done.stderr
    assert "reads as noise" in done.stderr or "no writing was found" in done.stderr
