"""Erosion, dilation and what is made of them: brute force, laws, all backends equal, other libraries, bad input."""

import os
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastctc.imaging import footprints, morphology
from fastctc.imaging.morphology import closing, dilation, each, erosion, gradient, hit_or_miss, opening, reconstruction

# Any OpenCL device by name: FASTCTC_TEST_DEVICE=opencl:gpu runs the same tests on a graphics card.
DEVICE = os.environ.get("FASTCTC_TEST_DEVICE", "opencl:cpu")
TYPES = ["uint8", "uint16", "int16", "float32", "bool"]
BORDERS = ["ignore", "edge", "reflect", 1]


@pytest.fixture(params=["compiled", DEVICE])
def fast(request):
    """A fast backend; OpenCL ones where they are."""
    if request.param.startswith("opencl"):
        pytest.importorskip("pyopencl")
        from fastctc.opencl import Device

        try:
            Device(request.param)
        except LookupError as error:
            pytest.skip(str(error))
    return request.param


def picture(rng, shape, dtype):
    """Few different values, so that there are ties; for floats NaN, infinities and both zeros."""
    if dtype == "bool":
        return rng.random(shape) < 0.5
    image = rng.integers(0, 6, shape).astype(dtype)
    if dtype == "int16":
        image -= 3
    if dtype == "float32":
        for value in (np.nan, np.inf, -np.inf, -0.0):
            image[rng.random(shape) < 0.05] = value
    return image


def brute_force(image, mask, anchor, border, largest, reflected):
    """The definition, pixel by pixel, in Python."""
    height, width = image.shape
    result = image.copy()
    for y in range(height):
        for x in range(width):
            values = []
            for i, j in np.argwhere(mask):
                v, u = (y - i + anchor[0], x - j + anchor[1]) if reflected else (y + i - anchor[0], x + j - anchor[1])
                if border == "edge":
                    v, u = min(max(v, 0), height - 1), min(max(u, 0), width - 1)
                elif border == "reflect":
                    v, u = v % (2 * height), u % (2 * width)
                    v, u = min(v, 2 * height - 1 - v), min(u, 2 * width - 1 - u)
                if 0 <= v < height and 0 <= u < width:
                    values.append(image[v, u])
                elif border != "ignore":
                    values.append(image.dtype.type(border))
            values = [value for value in values if value == value]
            if values:
                result[y, x] = max(values) if largest else min(values)
            elif image.dtype == bool:
                result[y, x] = not largest
            elif image.dtype.kind == "f":
                result[y, x] = -np.inf if largest else np.inf
            else:
                limits = np.iinfo(image.dtype)
                result[y, x] = limits.min if largest else limits.max
    return result


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("border", BORDERS)
def test_the_reference_is_the_definition(dtype, border):
    rng = np.random.default_rng(0)
    for _ in range(12):
        image = picture(rng, rng.integers(1, 7, 2), dtype)
        mask = rng.random(rng.integers(1, 6, 2)) < 0.6
        mask[0, 0] = True
        anchor = tuple(int(rng.integers(n)) for n in mask.shape)
        options = {"anchor": anchor, "border": border, "backend": "reference"}
        np.testing.assert_array_equal(
            erosion(image, mask, **options), brute_force(image, mask, anchor, border, False, False)
        )
        np.testing.assert_array_equal(
            dilation(image, mask, **options), brute_force(image, mask, anchor, border, True, True)
        )
        np.testing.assert_array_equal(
            dilation(image, mask, convention="opencv", **options), brute_force(image, mask, anchor, border, True, False)
        )


@pytest.mark.parametrize("dtype", TYPES)
def test_backends_are_equal_bit_for_bit(dtype, fast):
    rng = np.random.default_rng(TYPES.index(dtype))
    # Every footprint, border and operation is a program for OpenCL, which takes half a second to compile: three images
    # for each, of three sizes.
    sizes, n_tasks, n_images = ([1, 2, 3, 5, 7, 8, 20], 200, 1) if fast == "compiled" else ([1, 3, 4, 9], 24, 3)
    for task, image in product(range(n_tasks), range(n_images)):
        if image == 0:
            rows, columns = int(rng.choice(sizes)), int(rng.choice(sizes))
            mask = np.ones((rows, columns), bool)
            if task % 2:
                mask = rng.random((rows, columns)) < rng.choice([0.2, 0.6, 0.95])
                mask[rng.integers(rows), rng.integers(columns)] = True
            options = {
                "anchor": None if task % 3 else (0, columns - 1),
                "border": BORDERS[rng.integers(4)],
            }
            operation = (erosion, dilation)[rng.integers(2)]
        shape = (rng.integers(1, 3), rng.integers(1, 40), rng.integers(1, 40 if task % 3 else 200))
        images = picture(rng, shape, dtype)
        found = operation(images, mask, **options, backend=fast)
        expected = operation(images, mask, **options, backend="reference")
        assert found.tobytes() == expected.tobytes(), (shape, mask.shape, mask.all(), options, operation)


@pytest.mark.parametrize(
    ("shape", "footprint"),
    [((4, 5), (9, 31)), ((1, 70), 15), ((70, 1), 15), ((3, 3), (1, 101)), ((33, 129), (31, 33)), ((65, 4097), 3)],
    ids=str,
)
def test_awkward_sizes(shape, footprint, fast):
    image = picture(np.random.default_rng(1), shape, "uint8")
    for operation in (erosion, dilation):
        np.testing.assert_array_equal(
            operation(image, footprint, backend=fast), operation(image, footprint, backend="reference")
        )


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 4, 4), (2, 0, 3)], ids=str)
def test_empty_images_stay_empty(shape, fast):
    image = np.zeros(shape, np.uint8)
    assert dilation(image, 3, backend=fast).shape == shape
    assert opening(image, (2, 5), backend=fast).shape == shape


MASKS = st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=4).map(np.array).filter(np.any)
IMAGES = st.integers(0, 2**32 - 1).map(lambda seed: picture(np.random.default_rng(seed), (9, 11), "uint8"))


@given(IMAGES, MASKS)
def test_laws(image, mask):
    low, high = opening(image, mask), closing(image, mask)
    assert np.all(low <= image)
    assert np.all(image <= high)
    np.testing.assert_array_equal(opening(low, mask), low)
    np.testing.assert_array_equal(closing(high, mask), high)
    # duality: what is dark to one is bright to the other, with the footprint the other way round
    np.testing.assert_array_equal(
        255 - erosion(255 - image, mask, anchor=(0, 0)), dilation(image, mask, anchor=(0, 0), convention="opencv")
    )
    brighter = np.maximum(image, image[::-1])
    assert np.all(erosion(image, mask) <= erosion(brighter, mask))
    assert np.all(dilation(image, mask) <= dilation(brighter, mask))


@given(IMAGES, IMAGES, MASKS)
def test_erosion_and_dilation_are_adjoint(image, other, mask):
    assert np.all(dilation(image, mask) <= other) == np.all(image <= erosion(other, mask))


@given(IMAGES, st.integers(0, 4), st.integers(0, 4))
def test_translation(image, down, right):
    page = np.zeros((24, 24), np.uint8)
    page[5:14, 5:16] = image
    moved = np.roll(page, (down, right), (0, 1))
    np.testing.assert_array_equal(np.roll(dilation(page, (2, 3)), (down, right), (0, 1)), dilation(moved, (2, 3)))


@pytest.mark.parametrize("footprint", [3, (2, 3), (1, 4)], ids=str)
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("times", [0, 1, 2, 5])
def test_iterations_are_repetitions(footprint, border, times, fast):
    image = picture(np.random.default_rng(2), (12, 17), "uint8")
    expected = image
    for _ in range(times):
        expected = dilation(expected, footprint, border=border)
    np.testing.assert_array_equal(dilation(image, footprint, iterations=times, border=border, backend=fast), expected)


def test_each_image_its_own(fast):
    rng = np.random.default_rng(3)
    for dtype in TYPES:
        images = picture(rng, (5, 8, 9), dtype)
        operations = [
            ("dilation", (2, 3)),
            None,
            ("erosion", 3),
            ("dilation", footprints.cross(1)),
            ("erosion", (1, 4)),
        ]
        expected = [
            image if o is None else {"dilation": dilation, "erosion": erosion}[o[0]](image, o[1])
            for image, o in zip(images, operations, strict=True)
        ]
        found = each(images, operations, backend=fast)
        assert found.dtype == images.dtype
        for one, other in zip(found[[0, 2, 3, 4]], [expected[k] for k in (0, 2, 3, 4)], strict=True):
            np.testing.assert_array_equal(one, other)


def test_gradient_and_hats():
    image = np.zeros((9, 9), np.int16)
    image[4, 2:7] = 30_000
    image[0, 0] = -30_000
    np.testing.assert_array_equal(morphology.white_tophat(image, 3)[4, 2:7], 30_000)
    assert morphology.black_tophat(image, (1, 9)).max() == 30_000
    assert gradient(image, 5)[2, 1] == np.iinfo(np.int16).max  # 60 000 is more than it holds
    binary = image > 0
    np.testing.assert_array_equal(gradient(binary, 3), dilation(binary, 3) & ~erosion(binary, 3))


def test_hit_or_miss_finds_corners():
    image = np.zeros((8, 8), bool)
    image[2:6, 3:7] = True
    hit = np.array([[0, 0, 0], [0, 1, 1], [0, 1, 0]], bool)
    miss = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], bool)
    np.testing.assert_array_equal(np.argwhere(hit_or_miss(image, hit, miss)), [[2, 3]])
    with pytest.raises(ValueError, match="share no pixel"):
        hit_or_miss(image, hit, hit)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("connectivity", [4, 8])
def test_reconstruction(dtype, connectivity, fast):
    rng = np.random.default_rng(4)
    for _ in range(10):
        mask = np.nan_to_num(picture(rng, rng.integers(1, 25, 2), dtype), nan=1).astype(dtype)
        seed = np.where(rng.random(mask.shape) < 0.1, mask, mask.min())
        roof = np.where(rng.random(mask.shape) < 0.1, mask, mask.max())
        for start, method in ((seed, "dilation"), (roof, "erosion")):
            options = {"method": method, "connectivity": connectivity}
            found = reconstruction(start, mask, **options, backend=fast)
            np.testing.assert_array_equal(found, reconstruction(start, mask, **options, backend="reference"))


def test_reconstruction_goes_a_long_way(fast):
    """A spiral corridor of some thousand pixels."""
    mask = np.zeros((65, 65), np.uint8)
    for ring in range(0, 32, 2):
        mask[ring, ring : 65 - ring] = mask[ring : 65 - ring, 64 - ring] = mask[64 - ring, ring : 65 - ring] = 1
        mask[ring + 2 : 65 - ring, ring] = 1
        mask[ring + 2, ring : ring + 2] = 1
    seed = np.zeros_like(mask)
    seed[0, 0] = 1
    np.testing.assert_array_equal(reconstruction(seed, mask, backend=fast), mask)


def test_strides_channels_and_out(fast):
    rng = np.random.default_rng(5)
    big = picture(rng, (40, 60), "uint8")
    view = big[5:30:2, 50:10:-3]
    expected = erosion(view.copy(), (3, 2))
    np.testing.assert_array_equal(erosion(view, (3, 2), backend=fast), expected)
    out = np.zeros((expected.shape[1], expected.shape[0]), np.uint8).T
    assert erosion(view, (3, 2), out=out, backend=fast) is out
    np.testing.assert_array_equal(out, expected)
    same = view.copy()
    np.testing.assert_array_equal(erosion(same, (3, 2), out=same, backend=fast), expected)
    colour = picture(rng, (10, 12, 3), "uint8")
    expected = np.stack([dilation(np.ascontiguousarray(colour[..., c]), 3) for c in range(3)], axis=2)
    found = dilation(colour, 3, channel_axis=2, backend=fast)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)
    frozen = big.copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(dilation(frozen, 3, backend=fast), dilation(big, 3))
    swapped = big.astype(">u2")
    np.testing.assert_array_equal(dilation(swapped, 3, backend=fast), dilation(big.astype("u2"), 3))


@pytest.mark.parametrize("dtype", ["uint8", "bool", "float32"])
@pytest.mark.parametrize("iterations", [0, 1, 3])
def test_any_place_for_the_result(dtype, iterations, fast):
    """A contiguous one is written to directly; one with strides, or that is (part of) the image, is not."""
    rng = np.random.default_rng(8)
    image = (rng.random((2, 9, 40)) * 3).astype(dtype)
    options = {"iterations": iterations, "border": "edge", "backend": fast}
    expected = dilation(image, (2, 3), **options)
    memory = np.zeros((4, 9, 40), dtype)
    overlapping = memory[1:3]
    memory[:2] = image
    for source, out in (
        (image, np.zeros((2, 9, 40), dtype)),
        (image, np.zeros((2, 9, 80), dtype)[:, :, ::2]),
        (memory[:2], overlapping),
        (np.asfortranarray(image), np.zeros((2, 9, 40), dtype)),
    ):
        assert dilation(source, (2, 3), out=out, **options) is out
        np.testing.assert_array_equal(out, expected)
    if iterations:
        read_only = np.zeros((2, 9, 40), dtype)
        read_only.flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            dilation(image, (2, 3), out=read_only, **options)
    with pytest.raises(ValueError, match="out must be"):
        dilation(image, (2, 3), out=np.zeros((9, 40), dtype), **options)


def test_results_do_not_share_memory_with_the_image(fast):
    image = np.zeros((5, 5), np.uint8)
    for times in (0, 1):
        assert not np.shares_memory(dilation(image, 3, iterations=times, backend=fast), image)


def test_against_opencv():
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(6)
    for size in [(3, 3), (2, 2), (1, 5), (7, 7), (31, 3)]:
        image = picture(rng, (50, 70), "uint8")
        kernel = np.ones(size, np.uint8)
        np.testing.assert_array_equal(erosion(image, size), cv2.erode(image, kernel))
        np.testing.assert_array_equal(dilation(image, size, convention="opencv"), cv2.dilate(image, kernel))
        replicate = cv2.dilate(image, kernel, borderType=cv2.BORDER_REPLICATE)
        np.testing.assert_array_equal(dilation(image, size, convention="opencv", border="edge"), replicate)
    np.testing.assert_array_equal(gradient(image, 3), cv2.morphologyEx(image, cv2.MORPH_GRADIENT, np.ones((3, 3))))


def test_against_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(7)
    image = picture(rng, (40, 50), "float32")
    image = np.nan_to_num(image, nan=0, posinf=9, neginf=-9)
    mask = footprints.disk(3)
    np.testing.assert_array_equal(erosion(image, mask, border="reflect"), ndimage.grey_erosion(image, footprint=mask))
    np.testing.assert_array_equal(dilation(image, mask, border="reflect"), ndimage.grey_dilation(image, footprint=mask))


def test_footprints():
    assert footprints.disk(15).sum() == 709
    assert footprints.diamond(2).sum() == 13
    assert footprints.cross(2).sum() == 9
    np.testing.assert_array_equal(footprints.line(5), np.ones((1, 5), bool))
    np.testing.assert_array_equal(footprints.line(3, 90), np.ones((3, 1), bool))
    np.testing.assert_array_equal(footprints.line(3, 45), np.eye(3, dtype=bool)[::-1])
    for text, shape in (("5", (5, 5)), ("3x7", (3, 7)), ("disk:2", (5, 5)), ("line:9:45", (7, 7))):
        assert footprints.parse(text).shape == shape


@pytest.mark.parametrize(
    "text", ["", "x", "3x", "0", "3x4x5", "disk", "disk:-1", "disk:x", "line:0", "5:3", "disk:1:2"]
)
def test_bad_footprints_on_the_command_line(text):
    with pytest.raises(ValueError, match="must"):
        footprints.parse(text)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.zeros(3, np.uint8),), ValueError, r"\(H, W\).*\(3,\)"),
        ((np.zeros((2, 2, 2, 2), np.uint8),), ValueError, "batch"),
        ((np.zeros((2, 2)),), TypeError, "uint8.*float64"),
        ((np.zeros((2, 2), np.uint8), 0), ValueError, "at least 1 row"),
        ((np.zeros((2, 2), np.uint8), np.zeros((3, 3))), ValueError, "at least one pixel"),
        ((np.zeros((2, 2), np.uint8), [1, 1, 1]), ValueError, "two dimensions"),
    ],
    ids=range(6),
)
def test_bad_images_and_footprints(arguments, error, message, fast):
    with pytest.raises(error, match=message):
        dilation(*arguments, backend=fast)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"anchor": (3, 0)}, "anchor must lie"),
        ({"iterations": -1}, "iterations"),
        ({"border": "wrap"}, "border must be"),
        ({"border": 300}, "0 to 255"),
        ({"convention": "scipy"}, "convention"),
        ({"backend": "cuda"}, "backend must be"),
        ({"out": np.zeros((2, 3), np.uint8)}, "out must be"),
    ],
    ids=range(7),
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        dilation(np.zeros((4, 4), np.uint8), 3, **options)


def test_a_seed_on_the_wrong_side():
    image = np.zeros((3, 3), np.uint8)
    with pytest.raises(ValueError, match="nowhere above"):
        reconstruction(image + 1, image)
    with pytest.raises(ValueError, match="nowhere below"):
        reconstruction(image, image + 1, method="erosion")
