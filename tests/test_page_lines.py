"""Lines of pages as they are: ruled and squared paper, slopes, short last lines, columns, stains."""

from math import cos, radians, sin

import numpy as np
import pytest

pytest.importorskip("scipy")
from PIL import Image, ImageDraw, ImageFont

from fastctc.imaging.layout import Box
from fastctc.imaging.line_images import line_image
from fastctc.imaging.reading_order import reading_order
from fastctc.imaging.rules import rules, without_rules
from fastctc.imaging.segmentation import binarize, segment_page

FONT = ImageFont.load_default(34)
SPACING = 76


def written(lines, size=(1300, 1700), left=140, top=200):
    """A page of lines of words, as a Pillow image, and the boxes of the lines."""
    picture = Image.new("L", size, 235)
    draw = ImageDraw.Draw(picture)
    boxes = []
    for number, text in enumerate(lines):
        y = top + SPACING * number
        draw.text((left, y), text, fill=40, font=FONT, anchor="ls")
        boxes.append(Box(*(int(v) for v in draw.textbbox((left, y), text, font=FONT, anchor="ls"))))
    return picture, boxes


def sentences(n, seed=0, words=9):
    rng = np.random.default_rng(seed)
    letters = list("aeinorstlmuhdgpy")
    return [" ".join("".join(rng.choice(letters, rng.integers(2, 8))) for _ in range(words)) for _ in range(n)]


def found_of(layout, boxes):
    """How many of the true boxes a line was found for."""
    return sum(any(line.box.iou(box) >= 0.5 for line in layout.lines) for box in boxes)


def ruled(picture, step, columns=False):
    draw = ImageDraw.Draw(picture)
    for y in range(60, picture.height, step):
        draw.line((30, y, picture.width - 30, y + 6), fill=150, width=2)  # not quite level
    for x in range(60, picture.width, step) if columns else ():
        draw.line((x, 30, x, picture.height - 30), fill=150, width=2)
    return picture


@pytest.mark.parametrize(("step", "columns"), [(SPACING, False), (40, True)], ids=["ruled", "squared"])
def test_rules_are_no_lines(step, columns):
    picture, boxes = written(sentences(12))
    layout = segment_page(np.asarray(ruled(picture, step, columns)))
    assert len(layout.lines) == len(boxes)
    assert found_of(layout, boxes) == len(boxes)
    empty = ruled(Image.new("L", (1300, 1700), 235), step, columns)
    assert segment_page(np.asarray(empty)).lines == ()


def test_rules_are_told_from_writing():
    picture, _ = written(sentences(12))
    plain = binarize(np.asarray(picture))
    level, upright = rules(plain)
    assert (level | upright).sum() < 0.02 * plain.sum()
    with_rules = binarize(np.asarray(ruled(picture, 40, columns=True)))
    cleaned = without_rules(with_rules)
    assert (cleaned & plain).sum() > 0.8 * plain.sum()  # letters stay, but for strokes along a rule
    assert (cleaned & ~plain).sum() < 0.1 * (with_rules & ~plain).sum()  # rules go


def test_dotted_rules_are_no_lines():
    picture, boxes = written(sentences(8))
    draw = ImageDraw.Draw(picture)
    for y in range(60, 1640, SPACING):
        for x in range(60, 1240, 6):
            draw.rectangle((x, y, x + 2, y + 1), fill=120)
    layout = segment_page(np.asarray(picture))
    assert len(layout.lines) == found_of(layout, boxes) == len(boxes)


def test_short_last_lines():
    whole = sentences(11)
    lines = [text if n % 3 else text.split()[0] + text.split()[1] for n, text in enumerate(whole)]
    picture, boxes = written(lines)
    layout = segment_page(np.asarray(picture))
    assert len(layout.lines) == found_of(layout, boxes) == len(boxes)


@pytest.mark.parametrize("fan", [0.04, -0.05])
def test_lines_that_slope_each_in_its_own_way(fan):
    """A page whose lines fan out: level at the top, steeper and steeper below."""
    picture, boxes = written(sentences(14), size=(1300, 1500))
    image = np.asarray(picture)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    moved = np.rint(y - fan * (x - 650) * y / image.shape[0]).astype(int)
    fanned = np.where((moved >= 0) & (moved < image.shape[0]), image[moved.clip(0, image.shape[0] - 1), x], 235)
    layout = segment_page(fanned.astype(np.uint8))
    assert len(layout.lines) == len(boxes)
    turned = radians(layout.angle)
    for line, box in zip(layout.lines, boxes, strict=True):
        columns = np.linspace(line.box.left, line.box.right, 9)
        slope = np.polyfit(columns, line.middle_row(columns), 1)[0]
        middle = (box.top + box.bottom) / 2
        assert slope - sin(turned) / cos(turned) == pytest.approx(fan * middle / 1500, abs=0.012)


def test_two_columns_are_read_one_after_the_other():
    left, boxes = written(sentences(9, words=4), left=80)
    right, others = written(sentences(9, seed=1, words=4), left=760, top=220)
    page = np.minimum(np.asarray(left), np.asarray(right))
    layout = segment_page(page)
    assert len(layout.lines) == 18
    for line, box in zip(layout.lines, boxes + others, strict=True):
        assert line.box.iou(box) > 0.5


def test_a_heading_above_two_columns_is_read_first():
    heading = Box(100, 0, 900, 30)
    left = [Box(0, 100 + 50 * n, 400, 130 + 50 * n) for n in range(5)]
    right = [Box(500, 110 + 50 * n, 1000, 140 + 50 * n) for n in range(5)]
    footer = Box(300, 600, 700, 630)
    boxes = [*right, footer, *left, heading]
    assert [boxes[n] for n in reading_order(boxes, 20)] == [heading, *left, *right, footer]
    assert reading_order([], 20) == []
    row = [Box(600, 2, 700, 30), Box(0, 0, 300, 32), Box(0, 50, 700, 80)]
    assert reading_order(row, 20) == [1, 0, 2]


def test_gutters_stains_and_frames_do_not_stretch_lines():
    picture, boxes = written(sentences(12, words=7), left=240)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, 34, 1700), fill=10)  # the edge of the scan
    draw.line((90, 0, 96, 1700), fill=60, width=9)  # a gutter
    draw.ellipse((110, 60, 150, 100), outline=90, width=3)  # a punch hole
    frame = [(170, 130), (1100, 120), (1130, 500), (1090, 1290), (190, 1310), (160, 600), (175, 135)]
    draw.line(frame, fill=70, width=3, joint="curve")  # a notary's frame
    draw.line((500, 1330, 900, 1300), fill=60, width=4)  # a flourish
    layout = segment_page(np.asarray(picture))
    assert found_of(layout, boxes) == len(boxes)
    assert len(layout.lines) <= len(boxes) + 1


def test_every_pixel_of_ink_is_its_own_lines():
    picture, boxes = written(sentences(6))
    layout = segment_page(np.asarray(picture))
    ink = binarize(np.asarray(picture))
    for number, box in enumerate(boxes, 1):
        own = layout.owners[box.top : box.bottom, box.left : box.right][ink[box.top : box.bottom, box.left : box.right]]
        assert (own == number).mean() > 0.97


def bent(picture, depth):
    """The picture with its lines sagging by so many rows in the middle."""
    image = np.asarray(picture)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    source = np.rint(y - depth * np.sin(np.pi * x / image.shape[1])).astype(int)
    return np.where((source >= 0) & (source < image.shape[0]), image[source.clip(0, image.shape[0] - 1), x], 235)


def test_a_curved_line_is_bent_straight_without_its_neighbours():
    picture, boxes = written(sentences(8))
    layout = segment_page(bent(picture, 30).astype(np.uint8))
    assert len(layout.lines) == len(boxes)
    straight = np.asarray(picture)
    for number, box in enumerate(boxes):
        cut = line_image(layout, number)
        rows = np.flatnonzero((cut.image < 120).any(1))
        assert rows[-1] - rows[0] + 1 <= box.height + 8  # and not the 30 rows of its bend
        mine = np.count_nonzero(cut.image < 120)
        assert mine == pytest.approx(np.count_nonzero(straight[box.top : box.bottom] < 120), rel=0.05)


def test_places_on_a_line_are_places_on_its_page():
    picture, _ = written(sentences(5))
    layout = segment_page(bent(picture, 30).astype(np.uint8))
    for number, line in enumerate(layout.lines):
        cut = line_image(layout, number)
        for word in line.words:
            columns = slice(word.left - cut.left, word.right - cut.left)
            rows = np.flatnonzero((cut.image[:, columns] < 120).any(1))
            place = cut.on_page(Box(columns.start, int(rows[0]), columns.stop, int(rows[-1]) + 1))
            assert (place.left, place.right) == (word.left, word.right)
            assert place.iou(word) > 0.6


def test_lines_at_the_edges_of_the_page_are_cut_out_whole():
    picture, _ = written(sentences(3), size=(1200, 260), left=0, top=30)
    layout = segment_page(np.asarray(picture))
    assert layout.lines
    for number in range(len(layout.lines)):
        cut = line_image(layout, number, margin=2.0)
        assert cut.image.shape[1] == len(cut.tops)
        assert (cut.image < 120).any()


@pytest.mark.parametrize(
    "angle", [-14.5, pytest.param(-9.0, marks=pytest.mark.slow), pytest.param(7.5, marks=pytest.mark.slow), 15.0]
)
def test_steep_pages_are_straightened(angle):
    picture, boxes = written(sentences(12, words=7), left=300)
    turned = picture.rotate(angle, Image.Resampling.BICUBIC, fillcolor=235)
    layout = segment_page(np.asarray(turned))
    assert layout.angle == pytest.approx(angle, abs=0.3)
    assert found_of(layout, boxes) == len(layout.lines) == len(boxes)
