"""What training sees: paper with rules and neighbours, names and dates, letters that are joined."""

from pathlib import Path

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib", reason="a font is needed")
pytest.importorskip("PIL")

from fastctc.htr import distortion, paper, phrases, synthesis  # noqa: E402
from fastctc.htr.config import CHARACTERS  # noqa: E402

ALONE = (paper.ruled, paper.squared, paper.faded, paper.blotted, paper.compressed)
WITH_OTHER = (paper.with_neighbour, paper.bled_through)


@pytest.fixture(scope="module")
def font_file():
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Oblique.ttf"


@pytest.fixture
def writing():
    """Letters with their feet in row 39, every fourth one with a tail."""
    ink = np.zeros((60, 300), np.uint8)
    for k in range(14):
        ink[20:40, 10 + 20 * k :][:, :8] = 230
        if k % 4 == 0:
            ink[40:55, 10 + 20 * k :][:, :2] = 230
    return ink


@pytest.fixture
def tall():
    """Letters as high as the picture."""
    return np.tile(np.repeat(np.array([200, 0], np.uint8), 10), (60, 10))


def applied(change, ink, other, seed):
    rng = np.random.default_rng(seed)
    return change(ink, other, rng) if change in WITH_OTHER else change(ink, rng)


@pytest.mark.parametrize("change", ALONE + WITH_OTHER, ids=lambda change: change.__name__)
def test_paper_keeps_the_shape_and_follows_from_the_seed(change, writing, tall):
    before = writing.copy()
    different = 0
    for seed in range(30):
        one, two = (applied(change, writing, tall, seed) for _ in range(2))
        assert one.shape == writing.shape
        assert one.dtype == np.uint8
        np.testing.assert_array_equal(one, two)
        different += not np.array_equal(one, writing)
    assert different > 25
    np.testing.assert_array_equal(writing, before)


@pytest.mark.parametrize("change", ALONE + WITH_OTHER, ids=lambda change: change.__name__)
@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (9, 500), (60, 1)], ids=str)
def test_paper_of_any_size(change, shape):
    for seed in range(20):
        ink = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
        for columns in (1, 40, 900):
            assert applied(change, ink, np.full((shape[0], columns), 200, np.uint8), seed).shape == shape


def test_rules_add_ink_and_take_none(writing):
    rows = []
    for seed in range(100):
        ruled = paper.ruled(writing, np.random.default_rng(seed))
        assert (ruled >= writing).all()
        added = np.flatnonzero((ruled > writing).any(1))
        rows += [added.mean()] if len(added) and np.ptp(added) < 6 else []
    assert np.mean(np.abs(np.array(rows) - 40) < 5) > 0.5  # most of them where the letters stand
    gaps = [
        (paper.ruled(np.zeros((60, 300), np.uint8), np.random.default_rng(k)).max(0) == 0).mean() for k in range(60)
    ]
    assert 0.2 < np.mean(np.array(gaps) > 0.3) < 0.8  # some are dotted, some are drawn through


def test_the_base_line_is_where_the_feet_stand(writing):
    assert abs(paper.base_line(writing) - 40) <= 2
    assert 0 <= paper.base_line(np.zeros((60, 10), np.uint8)) < 60
    assert paper.base_line(np.zeros((2, 2), np.uint8)) == 1


def test_a_neighbour_shows_at_one_edge_only(writing, tall):
    for seed in range(30):
        changed = (paper.with_neighbour(writing, tall, np.random.default_rng(seed)) > writing).any(1)
        assert changed.any()
        assert not changed[12:48].any()
        assert not (changed[:12].any() and changed[48:].any())


def test_the_other_side_is_faint(writing):
    for seed in range(30):
        shadow = paper.bled_through(np.zeros_like(writing), writing, np.random.default_rng(seed))
        assert 0 < shadow.max() < 0.5 * 255


def test_distortion_puts_writing_on_paper(writing):
    assert distortion.distort(writing, 40, np.random.default_rng(0), other=writing).shape[0] == 40
    inked = [
        np.mean(distortion.on_paper(writing, np.random.default_rng(seed), 1.0, writing) != writing)
        for seed in range(200)
    ]
    assert 0.3 < np.mean(np.array(inked) == 0) < 0.7  # half of all lines stay as they are
    alone = [distortion.on_paper(writing, np.random.default_rng(seed), 0.0, writing) for seed in range(20)]
    assert all(np.array_equal(ink, writing) for ink in alone)


@pytest.mark.parametrize("language", phrases.LANGUAGES)
def test_phrases_can_be_written_and_have_what_prose_lacks(language):
    rng = np.random.default_rng(1)
    found = [phrases.phrase(rng, language) for _ in range(4000)]
    assert all(found)
    assert all(word for words in found for word in words)
    letters = [c for words in found for word in words for c in word]
    unknown = [c for c in letters if c not in CHARACTERS]
    assert len(unknown) < 0.001 * len(letters)  # É has a class, Ë has none
    assert np.mean([c.isdigit() for c in letters]) > 0.15
    assert np.mean([c.isupper() for c in letters]) > 0.1
    assert {"v", "f", "b", "K", "W"} < set(letters)
    assert len({" ".join(words) for words in found}) > 2500


def test_unknown_languages_are_refused():
    with pytest.raises(ValueError, match="language must be one of en, fr, got 'de'"):
        phrases.phrase(np.random.default_rng(0), "de")


def test_english_days_have_their_endings():
    rng = np.random.default_rng(2)
    days = [w for _ in range(20_000) for w in phrases.date(rng, "en").split() if w[:-2].isdigit() and w[-2:].isalpha()]
    assert {"1st", "2nd", "3rd", "11th", "12th", "13th", "21st", "22nd", "30th"} <= set(days)
    assert not {"11st", "12nd", "13rd", "31th", "21th"} & set(days)


def test_a_language_brings_names_numbers_and_rare_letters(font_file):
    prose = ["the rain in spain stays mainly in the plain and rests there all the time"] * 9 + [
        "kick the wok of a wolf"
    ]
    share = {}
    for language in (None, "en"):
        source = synthesis.Synthesizer([font_file], prose, CHARACTERS, words=(1, 5), seed=3, language=language)
        rng = np.random.default_rng(4)
        letters = [c for _ in range(1500) for word in source._words(rng) for c in word]
        share[language] = [
            np.mean([test(c) for c in letters]) for test in (str.isupper, str.isdigit, "kw".__contains__)
        ]
    assert all(more > 1.5 * less for more, less in zip(share["en"], share[None], strict=True))


def test_letters_are_joined(font_file):
    def picture(joined):
        hand = synthesis.Hand(
            synthesis.fonts.at_size(font_file, 40), 40, 20.0, spread=12.0, joined=joined, slants=0.0, rises=0.0
        )
        return hand.word("unu", 50, 20, np.random.default_rng(5))

    (apart, left, advance), (joined, _, _) = picture(False), picture(True)
    assert 0 < left < left + advance <= apart.shape[1]
    columns = slice(left + 4, left + advance - 20)
    assert (apart[:, columns].max(0) == 0).any()
    assert (joined[:, columns].max(0) > 0).all()


def test_words_stand_at_their_own_slants(font_file):
    def upright(slants):
        hand = synthesis.Hand(
            synthesis.fonts.at_size(font_file, 40), 40, 20.0, spread=None, joined=False, slants=slants, rises=0.0
        )
        return hand.word("lll", 50, 20, np.random.default_rng(6))[0]

    assert not np.array_equal(upright(0.0), upright(0.3))
    assert upright(0.3).shape == upright(0.0).shape
