import pytest

from fastctc import cer, edit_distance, wer


def test_edit_distance():
    assert edit_distance("", "") == 0
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("字", "") == 1
    assert edit_distance(["a", "bc"], ("a", "b", "c")) == 2


def test_rates_sum_over_all_texts():
    assert cer("fomcly", "family") == 2 / 6
    assert cer(["ab", "cd", ""], ["ab", "ce", "x"]) == 2 / 5
    assert wer(["the cat", "a"], ["the cats", "a  b"]) == 2 / 4


def test_empty_references():
    assert cer("", "") == 0.0
    assert cer("a", "") == float("inf")
    assert wer([], []) == 0.0


def test_bad_pairs():
    with pytest.raises(ValueError, match="equally many, got 1 and 2"):
        cer(["a"], ["a", "b"])
    with pytest.raises(TypeError, match="got one of each"):
        wer("a", ["a"])
