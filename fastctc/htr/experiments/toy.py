"""A small recogniser that trains in seconds, for experiments that need several trained networks: one font, some
words."""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.decoders import BestPath
from fastctc.htr import model as network
from fastctc.htr.config import Config
from fastctc.htr.preparation import as_input
from fastctc.metrics import edit_distance

WORDS = ["the", "of", "and", "to", "in", "is", "was", "he", "for", "it", "with", "as", "his", "on", "be", "at"]
HEIGHT, WIDTH = 28, 96
PLACE = 4  # the column where words begin, for networks that are trained at one place
PLACES = range(2, 36)  # for those that are trained at all
BATCH, RATE = 32, 5e-3
LEARNT = 0.5  # CER above which a network does not read, so that nothing follows from how it reads

Ink = npt.NDArray[np.uint8]


def config(padding: str = "zero", pooling: str = "max") -> Config:
    """Three convolutions, one LSTM, four columns a frame."""
    return Config(
        characters="".join(sorted(set("".join(WORDS)))),
        height=HEIGHT,
        width=WIDTH,
        kernels=((3, 3),) * 3,
        channels=(12, 24, 32),
        pools=((2, 2), (2, 2), (7, 1)),
        units=(48,),
        dropout=0.0,
        padding=padding,
        pooling=pooling,
    )


@cache
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def written(word: str, x: int, rng: np.random.Generator | None = None) -> Ink:
    """The word from column x on; with a generator a little different each time."""
    from PIL import Image, ImageDraw

    font = _font(21 if rng is None else int(rng.integers(20, 23)))
    picture = Image.new("L", (WIDTH, HEIGHT))
    rise = 0 if rng is None else int(rng.integers(-1, 2))
    ImageDraw.Draw(picture).text((x, 20 + rise), word, fill=255, font=font, anchor="ls")
    ink = np.asarray(picture)
    if rng is not None:
        noisy = ink * rng.uniform(0.6, 1.0) + rng.normal(0, 8, ink.shape)
        ink = np.clip(noisy, 0, 255).astype(np.uint8)
    return ink


@cache  # two experiments need the same networks
def train(shape: Config, *, shifted: bool, steps: int, seed: int) -> dict[str, Any]:
    """Weights after some steps on words at PLACE, or, ``shifted``, at all PLACES."""
    keras = network.keras()
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = network.build_model(shape)
    model.compile(optimizer=keras.optimizers.Adam(RATE, clipnorm=5.0), loss=network.ctc_loss, jit_compile=False)
    short = [word for word in WORDS if len(word) <= 2]  # to begin with: what is where is learned sooner
    for step in range(steps):
        model.optimizer.learning_rate.assign(RATE * min(1.0, 3 * (1 - step / steps)))
        pool = short if step < steps // 3 else WORDS
        words = [pool[k] for k in rng.integers(len(pool), size=BATCH)]
        inks = [written(word, int(rng.choice(PLACES)) if shifted else PLACE, rng) for word in words]
        labels = [shape.alphabet.encode(word) for word in words]
        model.train_on_batch(as_input(inks, WIDTH), network.targets(labels, [WIDTH // shape.stride] * BATCH))
    return network.weights(model)


def error_rate(shape: Config, weights: dict[str, Any], x: int) -> float:
    """CER of all words written from column x on."""
    from fastctc.htr.network import network as forward

    rows = forward(shape, weights, as_input([written(word, x) for word in WORDS], WIDTH))
    texts = [found[0].text for found in BestPath(shape.alphabet, exact=False).decode_batch(rows)]
    return sum(edit_distance(t, w) for t, w in zip(texts, WORDS, strict=True)) / sum(map(len, WORDS))
