"""The picture of an alignment: what is on it."""

import numpy as np
import pytest

from fastctc import Alphabet, forced_align
from fastctc.align import plot_alignment

pytest.importorskip("matplotlib")

LETTERS = Alphabet("abcdefghijklmnopqrstuvwxyz .", blank=0)


def spoken(text):
    labels = LETTERS.encode(text)
    probs = np.full((2 * len(labels) + 1, LETTERS.n_classes), 0.1 / (LETTERS.n_classes - 1))
    probs[0::2, 0] = 0.9
    probs[np.arange(len(labels)) * 2 + 1, labels] = 0.9
    return probs


def test_frames_path_and_words(tmp_path):
    probs = spoken("one two three four")
    found = forced_align(probs=probs, text="one zebra * four", alphabet=LETTERS, star=1.0, frame_seconds=0.5)
    assert found.stars
    assert [word.missing for word in found.words] == [False, True, False]
    ax = plot_alignment(found, probs=probs, alphabet=LETTERS)
    assert [text.get_text() for text in ax.texts] == ["one", "zebra?", "four"]
    names = [tick.get_text() for tick in ax.get_yticklabels()]
    assert names[0] == "blank"
    assert set(names) == {"blank", "space", *"onezebrafour"}
    [path] = [line for line in ax.lines if len(line.get_xdata()) == len(probs)]
    first = found.characters[0]
    assert path.get_ydata()[first.first] == names.index("o")
    assert np.isnan(path.get_ydata()[found.stars[0][0]])
    assert ax.get_xlabel() == "seconds"
    [image] = ax.images
    assert np.asarray(image.get_array()).shape == (len(names), len(probs))
    ax.figure.savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_a_part_of_the_frames():
    probs = spoken("one two three")
    found = forced_align(probs=probs, text="one two three", alphabet=LETTERS)
    ax = plot_alignment(found, probs=probs, alphabet=LETTERS, start=8, stop=14)
    assert [text.get_text() for text in ax.texts] == ["two"]
    assert ax.get_xlim() == (7.5, 13.5)
    assert plot_alignment(found, probs=probs, alphabet=LETTERS, ax=ax) is ax
    for start, stop in ((5, 5), (-1, 5), (0, 99)):
        with pytest.raises(ValueError, match=r"start and stop must be a stretch of 1 to 2000 of the 27 frames"):
            plot_alignment(found, probs=probs, alphabet=LETTERS, start=start, stop=stop)
    with pytest.raises(TypeError, match="an alphabet must be given"):
        plot_alignment(found, probs=probs)
