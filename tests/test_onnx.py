"""Anybody's network as an ONNX file."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fastctc import NGram
from fastctc.__main__ import main
from fastctc.htr.onnx_network import OnnxNetwork
from fastctc.htr.reader import Reader
from fastctc.imaging import images

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("PIL", reason="Pillow is not installed")

DATA = Path(__file__).parent / "data" / "onnx"
INK, GREY = 255, 128


def strip(*shades):
    """An image as the network sees it: each shade 4 columns wide."""
    return np.repeat(np.array(shades, np.uint8), 4)[None].repeat(8, axis=0)


def test_a_network_that_knows_its_characters():
    network = OnnxNetwork(DATA / "paddle.onnx")
    assert (network.height, network.stride, network.alphabet.blank) == (8, 4, 0)
    assert list(network.characters) == ["a", "b"]
    [rows] = network.log_probs([strip(0, INK, GREY, 0)])
    assert rows.dtype == np.float32
    assert rows.argmax(axis=1).tolist() == [0, 1, 2, 0]
    np.testing.assert_allclose(np.exp(rows).sum(axis=1), 1, atol=1e-6)
    scores = np.array([[8.0, -9.0, 3.0], [-8.0, 7.0, 3.0]])
    expected = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(rows[:2], expected, atol=1e-5)


def test_a_file_beside_it_says_what_it_does_not(tmp_path):
    network = Path(shutil.copy(DATA / "mean.onnx", tmp_path))
    with pytest.raises(
        ValueError, match=r"does not say which characters its 3 classes are: write mean\.json beside it"
    ):
        OnnxNetwork(network)
    about = tmp_path / "mean.json"
    about.write_text(json.dumps({"characters": "xy", "blank": 2, "mean": 0.0, "std": 1.0}), encoding="utf-8")
    read = OnnxNetwork(network)
    assert (list(read.characters), read.alphabet.blank) == (["x", "y"], 2)
    [rows] = read.log_probs([strip(INK)])  # 0 goes in
    assert rows[0] == pytest.approx(np.array([0.0, -1, 3]) - np.log(np.exp([0.0, -1, 3]).sum()), abs=1e-5)
    for wrong, message in (
        ("[1]", "must hold an object"),
        ("{", "is no JSON"),
        ('{"characters": "xyz"}', "there must be 2 characters, got 3"),
        ('{"characters": "xy", "std": 0}', "std must be a number, std above 0|std above 0"),
        ('{"characters": "xy", "blank": "a"}', "blank must be the number of a class"),
        ('{"characters": "xy", "height": 4}', "height must be 8 to 1024"),
        ('{"characters": "xy", "height": 9, "more": 1}', "with some of|some of characters"),
    ):
        about.write_text(wrong, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            OnnxNetwork(network)


def test_what_is_no_network(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        OnnxNetwork(tmp_path / "gone.onnx")
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(ValueError, match="is no ONNX network"):
        OnnxNetwork(tmp_path / "junk.onnx")
    with pytest.raises(ValueError, match="weights and backend go without it"):
        Reader(network=DATA / "paddle.onnx", backend="keras")


@pytest.fixture
def picture():
    """Grey, paper, ink: "ba" to the network, whatever the preparation makes of it."""
    image = np.full((60, 220), 240, np.uint8)
    image[15:45, 40:80] = 10
    image[15:45, 120:160] = 10
    return image


def test_reading_with_it(picture, tmp_path, capsys):
    reader = Reader(network=DATA / "paddle.onnx")
    [line] = reader.read_lines([picture])
    assert set(line.text) <= {"a", "b"}
    assert line.text
    assert {word.fitted_for for word in line.words} == {""}
    assert all(0 <= word.box.left < word.box.right <= 220 for word in line.words)
    assert reader.card == {}
    several = Reader(network=DATA / "paddle.onnx", n_views=3).read_lines([picture])[0]
    assert set(several.text) <= {"a", "b"}
    images.save(tmp_path / "p.png", picture)
    command = ["read", str(tmp_path / "p.png"), "--level", "line", "--network", str(DATA / "paddle.onnx")]
    assert main(command) == 0
    assert capsys.readouterr().out.strip() == line.text


def test_a_model_of_characters_says_what_is_read(picture):
    """A network may have thousands of classes: those that the model does not know are dropped."""
    lm = NGram.train(["a", "aa"], 2, unit="character", sentences=True)
    reader = Reader(network=DATA / "paddle.onnx", ngram=lm)
    assert (list(reader.alphabet.characters), reader.alphabet.blank) == (["a"], 0)
    [line] = reader.read_lines([picture])
    assert set(line.text) <= {"a"}
    [rows] = reader.log_probs([picture])
    assert rows.shape[1] == 2
    np.testing.assert_allclose(np.exp(rows).sum(axis=1), 1, atol=1e-6)
