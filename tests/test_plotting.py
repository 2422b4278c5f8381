"""Pictures of what was read."""

import pytest

pytest.importorskip("PIL")

from fastctc.htr import plotting


@pytest.fixture(autouse=True)
def no_font_is_remembered():
    plotting.system_font.cache_clear()
    yield
    plotting.system_font.cache_clear()


def test_accents_are_never_drawn_as_boxes(monkeypatch):
    text, font = plotting.lettering("été", 24)
    assert text == "ete" or bytes(font.getmask("é")) != bytes(font.getmask("\u0378"))  # no character: the empty box
    monkeypatch.setattr(plotting, "FONTS", ("none such.ttf",))
    plotting.system_font.cache_clear()
    text, font = plotting.lettering("Été à Nîmes", 24)
    assert text == "Ete a Nimes"
    empty = bytes(font.getmask("\u0378"))
    assert all(bytes(font.getmask(c)) != empty for c in set(text) - {" "})
