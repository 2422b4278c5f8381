import pickle

import pytest

from fastctc import Alphabet


def test_blank_anywhere():
    for blank, labels in ((-1, (0, 1)), (2, (0, 1)), (0, (1, 2)), (1, (0, 2)), (-3, (1, 2))):
        alphabet = Alphabet("ab", blank)
        assert alphabet.encode("ab") == labels
        assert alphabet.decode(labels) == "ab"
        assert alphabet.n_classes == 3


@pytest.mark.parametrize(
    ("characters", "options", "message"),
    [
        ("", {}, "at least one character"),
        ([], {}, "at least one character"),
        ("aba", {}, r"unique, got 'a' at positions \[0, 2\]"),
        (["a", ""], {}, "length 1 or more, got an empty one at position 1"),
        ("ab", {"blank": 3}, "-3 to 2, got 3"),
        ("ab", {"blank": -4}, "-3 to 2, got -4"),
        ("ab", {"word_characters": "ac"}, r"got also \['c'\]"),
    ],
)
def test_bad_alphabets(characters, options, message):
    with pytest.raises(ValueError, match=message):
        Alphabet(characters, **options)


def test_characters_that_are_no_strings():
    with pytest.raises(TypeError, match="must be strings, got 1 at position 1"):
        Alphabet(["a", 1])


def test_unknown_characters_are_refused_with_their_place():
    with pytest.raises(ValueError, match="got 'x' at position 1"):
        Alphabet("ab").encode("axb")
    with pytest.raises(ValueError, match="got 'x' at position 1"):
        Alphabet(["ab", "c"]).encode("abxc")


def test_any_unicode_and_many_classes():
    many = [chr(0x4E00 + i) for i in range(3000)]
    for characters in ("aé😀 字", many, ["e\u0301", "e", "😀😀"]):
        alphabet = Alphabet(characters)
        labels = tuple(range(len(characters)))
        assert alphabet.encode("".join(characters)) == labels
        assert alphabet.decode(labels) == "".join(characters)


def test_pieces():
    alphabet = Alphabet(["▁the", "▁", "▁c", "at", "a", "t", "s"], blank=0, word_begin="▁")
    labels = alphabet.encode("the cats")
    assert labels == (1, 3, 4, 7)
    assert alphabet.decode(labels) == "the cats"
    assert alphabet.words(labels) == [(0, 1), (1, 4)]


def test_words():
    assert Alphabet("ab ").words((0, 1, 2, 2, 1)) == [(0, 2), (4, 5)]
    assert Alphabet("ab,", word_characters="ab").words((0, 2, 1)) == [(0, 1), (2, 3)]
    assert Alphabet("ab ").words(()) == []


def test_equal_alphabets_are_equal_and_travel():
    alphabet = Alphabet("ab ", 0, "ab")
    alphabet.decode((1,))
    assert pickle.loads(pickle.dumps(alphabet)) == alphabet == Alphabet(["a", "b", " "], -4, ["b", "a"])
    assert hash(alphabet) == hash(Alphabet("ab ", 0, "ab"))


@pytest.mark.parametrize(
    ("name", "content", "characters"),
    [
        ("a.txt", "ab \n", "ab "),
        ("a.txt", " ab", " ab"),
        ("a.txt", "a\nbc\n \n", ["a", "bc", " "]),
        ("a.txt", "\ufeffa\r\nb\r\n", ["a", "b"]),
        ("a.json", '["a", "bc"]', ["a", "bc"]),
        ("a.json", '{"b": 1, "a": 0}', ["a", "b"]),
    ],
)
def test_load(tmp_path, name, content, characters):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8", newline="")
    assert Alphabet.load(path, 0) == Alphabet(characters, 0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b""),
        ("a.txt", b"aa"),
        ("a.txt", b"\xff\xfe\x00"),
        ("a.json", b"{"),
        ("a.json", b"3"),
        ("a.json", b'{"a": 0, "b": 2}'),
        ("a.json", b"[1, 2]"),
    ],
)
def test_load_names_the_file(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=name):
        Alphabet.load(path)
