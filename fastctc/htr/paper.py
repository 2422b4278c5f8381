"""What stands on the paper beside the writing: rules, feet of neighbouring lines, the other side, blots.

Each function changes an image of ink (H, W) uint8, ink 255 and paper 0, and returns a new one. For training only.
"""

import numpy as np
import numpy.typing as npt

Ink = npt.NDArray[np.uint8]


def base_line(ink: Ink) -> int:
    """The row below which most of the ink stops: where the feet of the letters stand."""
    rows = int(ink.shape[0])
    if rows < 8:
        return rows - 1
    profile: npt.NDArray[np.float64] = np.convolve(ink.sum(1, dtype=np.float64), np.ones(3), "same")
    drop = profile[:-4] - profile[4:]
    first = rows * 2 // 5
    return first + int(np.argmax(drop[first:])) + 2


def ruled(ink: Ink, rng: np.random.Generator) -> Ink:
    """A rule that the letters stand on, or some: drawn through, dashed or dotted, dark or faint, thin or not."""
    rows, columns = ink.shape
    place = base_line(ink) + rng.normal(0, 0.03) * rows if rng.random() < 0.75 else rng.uniform(0.3, 1.0) * rows
    pattern = np.ones(columns)
    kind = rng.random()
    if kind < 0.45:  # dots or dashes
        period = rng.uniform(3, 10)
        dash = rng.uniform(0.3, 0.6) if kind < 0.35 else rng.uniform(0.6, 0.85)
        pattern = ((np.arange(columns) + rng.uniform(0, period)) % period < dash * period).astype(float)
    elif kind < 0.7:  # ink that came off in places
        pattern = np.clip(_slowly(columns, 12, rng) + 0.8, 0, 1)
    shade = rng.uniform(50, 255) * pattern
    thickness = float(rng.choice([1.0, 1.5, 2.0, 3.0], p=[0.4, 0.25, 0.25, 0.1]))
    tilt = rng.normal(0, 0.004) * columns
    at = [place]
    if rng.random() < 0.3:  # the next one, as on paper with narrow rules
        distance = rng.uniform(0.3, 0.9) * rows
        at += [place - distance, place + distance]
    centre = np.array(at)[:, None] + np.linspace(-tilt / 2, tilt / 2, columns)  # (rules, columns)
    y = np.arange(rows)[:, None, None]
    cover = np.clip((thickness + 1) / 2 - abs(y - centre), 0, 1).max(1)  # (rows, columns)
    result: Ink = np.maximum(ink, (cover * shade).astype(np.uint8))
    return result


def squared(ink: Ink, rng: np.random.Generator) -> Ink:
    """Rules across, as on squared paper."""
    rows, columns = ink.shape
    period = rng.uniform(0.25, 0.7) * rows
    upright = (np.arange(columns) + rng.uniform(0, period)) % period < rng.uniform(1, 2)
    level = (np.arange(rows) + rng.uniform(0, period)) % period < rng.uniform(1, 2)
    shade = np.uint8(rng.uniform(40, 170))
    return np.maximum(ink, np.where(upright[None, :] | level[:, None], shade, np.uint8(0)))


def with_neighbour(ink: Ink, other: Ink, rng: np.random.Generator) -> Ink:
    """The feet of the line above, or the heads of the one below: the edge of another writing."""
    rows, columns = ink.shape
    depth = int(rng.integers(2, max(3, rows // 5)))
    piece = _as_wide(other, columns, rng)
    result = ink.copy()
    shade = np.float32(rng.uniform(0.5, 1.0))
    if rng.random() < 0.5:
        edge, part = result[:depth], piece[-depth:]
    else:
        edge, part = result[-depth:], piece[:depth]
    part = part[: len(edge)]
    np.maximum(edge[: len(part)], (part * shade).astype(np.uint8), out=edge[: len(part)])
    return result


def bled_through(ink: Ink, other: Ink, rng: np.random.Generator) -> Ink:
    """What is written on the other side: mirrored, faint, soft."""
    from PIL import Image, ImageFilter

    rows, columns = ink.shape
    piece = _as_wide(other, columns, rng)[:, ::-1]
    piece = np.roll(piece, int(rng.integers(-rows // 2, rows // 2 + 1)), axis=0)
    if len(piece) < rows:
        piece = np.pad(piece, ((0, rows - len(piece)), (0, 0)))
    blur = ImageFilter.GaussianBlur(float(rng.uniform(0.8, 2.0)))
    soft = np.asarray(Image.fromarray(np.ascontiguousarray(piece[:rows])).filter(blur))
    return np.maximum(ink, (soft * np.float32(rng.uniform(0.1, 0.45))).astype(np.uint8))


def faded(ink: Ink, rng: np.random.Generator) -> Ink:
    """A pen that runs dry and is dipped again, paper that was rubbed: strength changes along the line."""
    strength = np.clip(1 - rng.uniform(0.2, 0.7) * np.clip(_slowly(ink.shape[1], 30, rng), 0, 1.5), 0.15, 1)
    return (ink * strength.astype(np.float32)).astype(np.uint8)


def blotted(ink: Ink, rng: np.random.Generator) -> Ink:
    """Some spots of ink or dirt, and one stroke that belongs to nothing."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(ink)
    draw = ImageDraw.Draw(picture)
    rows, columns = ink.shape
    for _ in range(int(rng.integers(1, 5))):
        x, y, size = rng.uniform(0, columns), rng.uniform(0, rows), 0.5 + rng.uniform(0, 0.05 * rows)
        draw.ellipse((x - size, y - size * 0.8, x + size, y + size * 0.8), fill=int(rng.integers(80, 256)))
    if rng.random() < 0.3:
        x, y = rng.uniform(0, columns), rng.uniform(0, rows)
        end = x + rng.normal(0, 0.7) * rows, y + rng.normal(0, 0.4) * rows
        draw.line((x, y, *end), fill=int(rng.integers(80, 256)), width=int(rng.integers(1, 3)))
    return np.asarray(picture)


def compressed(ink: Ink, rng: np.random.Generator) -> Ink:
    """As it comes out of a JPEG file of little quality."""
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.fromarray(ink).save(file, "JPEG", quality=int(rng.integers(12, 60)))
    return np.asarray(Image.open(file))


def _as_wide(other: Ink, columns: int, rng: np.random.Generator) -> Ink:
    """A part of a writing as wide as this one, with paper beside it if it is not."""
    spare = other.shape[1] - columns
    if spare >= 0:
        left = int(rng.integers(0, spare + 1))
        return other[:, left : left + columns]
    left = int(rng.integers(0, 1 - spare))
    return np.pad(other, ((0, 0), (left, -spare - left)))


def _slowly(length: int, reach: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A number for each column that changes slowly, of about unit size."""
    knots = rng.normal(size=length // reach + 2)
    values: npt.NDArray[np.float64] = np.interp(np.arange(length) / reach, np.arange(len(knots)), knots)
    return values
