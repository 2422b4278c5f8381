"""The lines of ARPA files: both readers, and numbers as Python reads them."""

import random
import struct

import numpy as np
import pytest

from fastctc import NGram, backends
from fastctc.lm.tables import GREATEST_BACKOFF

TOKENS = [b"a", b"b", b"ab", b"<s>", b"</s>", "ä".encode(), "語".encode(), b"-1", b"0"]
SPACES = [b" ", b"\t", b"  ", b"\x0b", b"\x0c", b"\r"]
ODD = b" x nan inf -inf 1_0 -1e5 -1E-5 -.5 -5. . - -1e -1e+ 1 0 -0 -1.5.2 -1,5 -1e400 -1e-400 --1 +0 -1\x002".split(
    b" "
)
ODD += [b"-12345678901234567890.5", b"-" + b"1" * 70]


def both():
    return [backends.load(name, "arpa").TokenTable() for name in ("reference", "compiled")]


def random_line(rng, order, tokens):
    odd = rng.random() < 0.02
    fields = [rng.choice(ODD) if odd else b"-%.*f" % (rng.randrange(9), rng.random() * 9)]
    fields += [rng.choice(tokens) for _ in range(order)]
    if rng.random() < 0.5:
        fields.append(rng.choice(ODD) if rng.random() < 0.02 else b"%.7g" % (-rng.random() * 3))
    if rng.random() < 0.01:
        fields.append(b"more")
    if rng.random() < 0.01:
        fields.pop()
    return rng.choice(SPACES + [b""] * 20) + rng.choice(SPACES[:4]).join(fields) + rng.choice([b"", b"\r", b" "])


@pytest.mark.parametrize("seed", range(60))
def test_the_twins_agree(seed):
    rng = random.Random(seed)
    tables = both()
    for step in range(30):
        order = rng.choice([1, 1, 2, 3])
        known = tables[0].tokens()
        new = [b"%s%d" % (rng.choice(TOKENS), k) for k in range(step * 5, step * 5 + 5)]
        rng.shuffle(new)
        if order == 1:
            if rng.random() < 0.1:
                new.append(rng.choice([*known, b"\xff", b"\xc3", *new]))
            lines = [random_line(rng, 1, [token]) for token in new]
        else:
            lines = [random_line(rng, order, known or new) for _ in range(rng.randrange(6))]
        before = rng.choice([b"", b"before\n"])
        data = before + b"".join(line + b"\n" for line in lines)
        stop = len(data)
        data += rng.choice([b"", b"\\end\\\n", b"\n", b" \r\n", b"after\n"])
        expected, found = (table.ngrams(data, len(before), stop, order, GREATEST_BACKOFF) for table in tables)
        # what floats may look like besides, Python's own conversion knows
        if found is None and expected is not None:
            assert b"_" in data or any(len(field) > 63 for field in data.split())
            tables[1].add(tables[0].tokens()[len(tables[1]) :])
            continue
        assert (found is None) == (expected is None), data
        for one, other in zip(found or (), expected or (), strict=True):
            assert one.dtype == other.dtype
            assert one.tolist() == other.tolist()
        assert tables[1].tokens() == tables[0].tokens()
        assert len(tables[1]) == len(tables[0])
        for token in [*known, *new, b""]:
            assert tables[1].number(token) == tables[0].number(token)
        ends = [backends.load(name, "arpa").section_end(data, 0) for name in ("reference", "compiled")]
        assert ends[0] == ends[1]


def test_numbers_are_those_of_float():
    rng = random.Random(1)
    texts = []
    for _ in range(20_000):
        kind = rng.randrange(4)
        if kind == 0:
            texts.append(b"-%.*f" % (rng.randrange(20), rng.random() * 10 ** rng.randrange(8)))
        elif kind == 1:
            texts.append(b"-%.*e" % (rng.randrange(20), rng.random() * 10.0 ** rng.randrange(-30, 30)))
        elif kind == 2:
            value = struct.unpack("<d", struct.pack("<Q", rng.getrandbits(63)))[0]
            texts.append(b"-%r" % value if value == value else b"-0")
        else:
            texts.append(
                b"-%d%se%d" % (rng.getrandbits(rng.randrange(1, 70)), rng.choice([b"", b"."]), rng.randrange(-40, 40))
            )
    table = both()[1]
    table.add([b"a"])
    data = b"".join(text + b" a a\n" for text in texts)
    rows, log_probs, backoffs = table.ngrams(data, 0, len(data), 2, GREATEST_BACKOFF)
    assert np.array_equal(log_probs, [float(text) for text in texts])
    assert rows.shape == (len(texts), 2)
    assert not backoffs.any()


def test_bad_arguments():
    for table in both()[1:]:
        for data, start, stop, order in (
            (b"-1 a\n", 0, 4, 1),
            (b"-1 a\n", 2, 9, 1),
            (b"-1 a\n", 3, 2, 1),
            (b"-1 a\n", 0, 5, 0),
        ):
            with pytest.raises(ValueError, match="lines must lie within the data"):
                table.ngrams(data, start, stop, order, 1.0)
        with pytest.raises(ValueError, match="start must be 0 to 1, got 2"):
            backends.load("compiled", "arpa").section_end(b"a", 2)
    for table in both():
        table.add([b"a"])
        with pytest.raises(ValueError, match="tokens must be different, got b'a' again"):
            table.add([b"a"])


def test_what_is_not_usual_is_read_all_the_same(tmp_path):
    """Lines that Python's own conversions understand, and those around them."""
    text = "\\data\\\nngram 1=4\nngram 2=2\n\n\\1-grams:\n-1 <s> -0.5\n-0_1.0 a 0\n-99 b\n-1\t</s>\n\n"
    text += "\\2-grams:\n-.5 a b\n-1 b a\n\n\\end\\\n"
    usual = text.replace("-0_1.0", "-1.0").replace("-99", "-99.000")
    models = []
    for name, content in (("odd", text), ("usual", usual)):
        path = tmp_path / f"{name}.arpa"
        path.write_text(content)
        models.append(NGram.from_arpa(path))
    for name in ("words", "log_probs", "backoffs", "children"):
        assert np.array_equal(*(getattr(model, name) for model in models))
    assert list(models[0].vocabulary) == list(models[1].vocabulary)


def test_a_token_that_is_no_text_or_comes_twice(tmp_path):
    path = tmp_path / "bad.arpa"
    head = b"\\data\\\nngram 1=3\n\n\\1-grams:\n-1 a\n"
    for lines, message in (
        (b"-1 b\n-1 a\n", "line 7: tokens must be different, got b'a' again"),
        (b"-1 \xc3\n-1 \xa4\n", "line 6: a token must be UTF-8 text"),
        (b"-1 b\n1 c\n", "line 7: a log probability must be 0 or less"),
        (b"-1 b\n-x c\n", "line 7: must be a number"),
        (b"-1 b\n-1 c d e\n", "line 7: must be a log probability, 1 token"),
    ):
        path.write_bytes(head + lines + b"\n\\end\\\n")
        with pytest.raises(ValueError, match=message):
            NGram.from_arpa(path)
