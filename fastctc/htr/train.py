"""Training: samples in, the best weights out, and nothing lost if the machine stops in between.

Every step's batch follows from the seed and the step's number, and the whole state is saved with every validation, so
that a run that is killed goes on as if nothing had happened: on the same machine, the weights are those of a straight
run to the last bit.
"""

import csv
import hashlib
import io
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, nan
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from fastctc import storage
from fastctc.decoders import BestPath
from fastctc.htr import model as network
from fastctc.htr.checkpoint import everything, load_state, save_network, save_state
from fastctc.htr.config import Config
from fastctc.htr.distortion import distort
from fastctc.htr.preparation import as_input, framed
from fastctc.htr.samples import HEIGHT, Samples
from fastctc.metrics import edit_distance

COLUMNS = ("step", "seconds", "loss", "cer", "wer", "items_per_second", "learning_rate")
AHEAD = 6  # batches that wait for the network


@dataclass(frozen=True)
class Settings:
    """How to train; the same settings and data give the same run."""

    steps: int = 4000  # updates of the weights
    columns: int = 20_000  # of images in a batch, paper included
    learning_rate: float = 1.5e-3  # at its highest
    warm_up: int = 200  # steps until it is there
    decay: float = 0.25  # share of the steps, the last ones, over which the learning rate falls to nothing
    weight_decay: float = 1e-4
    distortion: float = 1.0  # how much training images vary, see distort
    short: int = 300  # first steps, with short texts only: long ones teach a new network that everything is blank
    validate_every: int = 250  # steps
    average: float = 0.0  # share of the mean of the weights that a step keeps; 0: the weights themselves are kept
    keep_norms: bool = False  # batch normalisation stays as it is: a few lines of one hand would bend it to themselves
    patience: int = 0  # stop after that many validations without a better CER; 0: never
    seed: int = 0


@dataclass(frozen=True)
class Source:
    """Samples and how often they are drawn."""

    samples: Samples
    weight: float


class Batches:
    """The batch of every step, made ahead by a thread of its own."""

    def __init__(self, config: Config, settings: Settings, sources: Sequence[Source], first: int) -> None:
        self.config, self.settings = config, settings
        self.labels = [[_labels(config, text) for text in source.samples.texts] for source in sources]
        self.sources = sources
        self.usable = [np.flatnonzero([len(label) > 0 for label in labels]) for labels in self.labels]
        weights = np.array(
            [source.weight * (len(usable) > 0) for source, usable in zip(sources, self.usable, strict=True)]
        )
        if not weights.sum() > 0:
            raise ValueError("there must be samples to train on, but none has a text of the alphabet's characters")
        self.weights = weights / weights.sum()
        self.ready: queue.Queue[Any] = queue.Queue(AHEAD)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._fill, args=(first,), daemon=True)
        self.thread.start()

    def __next__(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], int]:
        made = self.ready.get()
        if isinstance(made, BaseException):
            raise made
        batch: tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], int] = made
        return batch

    def close(self) -> None:
        """Stop the thread."""
        self.stopped.set()

    def _fill(self, first: int) -> None:
        try:
            step = first
            while not self.stopped.is_set():
                made = self.batch(step)
                step += 1
                while not self.stopped.is_set():
                    try:
                        self.ready.put(made, timeout=0.5)
                        break
                    except queue.Full:
                        continue
        except BaseException as error:
            self.ready.put(error)

    def batch(self, step: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], int]:
        """Images, targets and number of items of a step: samples of about one width, so that little paper is read."""
        settings, config = self.settings, self.config
        rng = np.random.default_rng((settings.seed, step))
        which = int(rng.choice(len(self.sources), p=self.weights))
        samples, labels, usable = self.sources[which].samples, self.labels[which], self.usable[which]
        pool = rng.choice(usable, min(256, len(usable)), replace=False)
        widths = np.array([samples.width(i) for i in pool])
        if step < settings.short:
            order = np.argsort(widths)[: max(8, len(pool) // 3)]
            pool, widths = pool[order], widths[order]
        near = widths[rng.integers(len(widths))]
        apart = np.abs(np.log(widths / near))
        order = np.argsort(apart, kind="stable")[: np.count_nonzero(apart < 0.25)]
        columns = _rounded(int(near * config.height / HEIGHT * 1.1 + 24))  # that an image will probably take
        most = max(2, settings.columns // columns)
        stretch = float(np.exp(settings.distortion * rng.normal(0, 0.15)))
        inks, kept = [], []
        for i in pool[order[:most]]:
            other = samples.image(int(pool[rng.integers(len(pool))]))
            ink = distort(samples.image(i), config.height, rng, settings.distortion, stretch, other)
            if config.width is not None:
                ink = _fitted(ink, config, rng)
            if ink.shape[1] // config.stride >= _frames_needed(labels[i]):
                inks.append(ink)
                kept.append(labels[i])
        if rng.random() < 0.2 or not inks:  # an empty page has no text either
            inks, kept = inks[: most - 1], kept[: most - 1]
            inks.append(distort(np.zeros((HEIGHT, int(near)), np.uint8), config.height, rng, settings.distortion))
            if config.width is not None:
                inks[-1] = _fitted(inks[-1], config, rng)
            kept.append(())
        width = config.width or _rounded(max(ink.shape[1] for ink in inks))
        frames = width // config.stride
        return as_input(inks, width), network.targets(kept, [frames] * len(kept)), len(kept)


def _rounded(columns: int) -> int:
    """Up to one of a few widths: TensorFlow prepares a network again for each new shape."""
    step = 64 if columns <= 512 else 128
    return -(-columns // step) * step


def _fitted(ink: npt.NDArray[np.uint8], config: Config, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Into a network of one width: shrunk if it is too wide, at a place that differs."""
    from fastctc.htr.preparation import resized

    assert config.width is not None
    if ink.shape[1] > config.width:
        return resized(ink, config.height, config.width)
    left = int(rng.integers(0, config.width - ink.shape[1] + 1))
    return np.pad(ink, ((0, 0), (left, config.width - ink.shape[1] - left)))


def _labels(config: Config, text: str) -> tuple[int, ...]:
    """The labels of a text; none if it has a character that the network cannot write."""
    known = {character: i for i, character in enumerate(config.characters)}
    labels = tuple(known.get(character, -1) for character in text)
    return () if -1 in labels else labels


def _frames_needed(labels: tuple[int, ...]) -> int:
    """Repeated characters need a blank between them."""
    return len(labels) + sum(a == b for a, b in pairwise(labels))


def learning_rate(settings: Settings, step: int) -> float:
    """It rises, stays, and falls to nothing at the end (warm-up, stable, decay)."""
    rise = min(1.0, (step + 1) / max(1, settings.warm_up))
    left = (settings.steps - step) / max(1.0, settings.decay * settings.steps)
    return settings.learning_rate * rise * min(1.0, left)


class Score(NamedTuple):
    """How well texts are read by best path."""

    cer: float
    wer: float


def evaluate(model: Any, config: Config, samples: Samples) -> Score:
    """Error rates over the samples, without language model."""
    numbers = sorted(range(len(samples)), key=samples.width)
    best_path = BestPath(config.alphabet, exact=False)
    distances = np.zeros(4)
    rng = np.random.default_rng(0)
    for start in range(0, len(numbers), 32):
        some = numbers[start : start + 32]
        inks = [framed(samples.image(i), config.height) for i in some]
        if config.width is not None:
            inks = [_fitted(ink, config, rng) for ink in inks]
        width = config.width or -(-max(ink.shape[1] for ink in inks) // 64) * 64
        log_probs = np.asarray(model.predict_on_batch(as_input(inks, width)))
        for i, hypotheses in zip(some, best_path.decode_batch(log_probs), strict=True):
            text, truth = hypotheses[0].text, samples.texts[i]
            words, true_words = text.split(), truth.split()
            distances += edit_distance(text, truth), len(truth), edit_distance(words, true_words), len(true_words)
    return Score(distances[0] / max(1, distances[1]), distances[2] / max(1, distances[3]))


class Blend(NamedTuple):
    """Weights between those of a beginning and those of a training."""

    weights: dict[str, npt.NDArray[Any]]
    share: float  # of the trained ones
    before: Score
    after: Score


def blended(
    config: Config,
    initial: dict[str, npt.NDArray[Any]],
    trained: dict[str, npt.NDArray[Any]],
    samples: Samples,
    shares: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
) -> Blend:
    """The mean of initial and trained weights that gains on the samples with the least share of the trained ones.

    What a network learns of one hand it forgets of the others. On the way from the one set of weights to the other most
    is learnt early and most forgotten late: taken is the first share with nine tenths of the greatest gain.

    References
    ----------
    M. Wortsman and others: Robust fine-tuning of zero-shot models, CVPR 2022, arXiv:2109.01903.
    """
    model = network.build_model(config)
    found: list[tuple[float, Score, dict[str, npt.NDArray[Any]]]] = []
    for share in (0.0, *shares):
        mean = {name: ((1 - share) * initial[name] + share * trained[name]).astype(np.float32) for name in initial}
        network.set_weights(model, mean)
        found.append((share, evaluate(model, config, samples), mean))
    before = found[0][1]
    enough = 0.9 * max(before.cer - score.cer for _, score, _ in found)
    share, after, weights = next(one for one in found if before.cer - one[1].cer >= enough)
    return Blend(weights, share, before, after)


class Stop:
    """Ctrl-C ends the training after its step, when the state can be saved; a second one ends it at once."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Self:
        self.before = None
        if threading.current_thread() is threading.main_thread():  # no other hears signals
            self.before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def train(
    config: Config,
    settings: Settings,
    sources: Sequence[Source],
    validation: Samples | Mapping[str, Samples],
    out: Path,
    initial: dict[str, npt.NDArray[Any]] | None = None,
    report: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> Path:
    """Train a network; returns the file of the best weights.

    In ``out`` stand ``best.fastctc`` (the weights with the lowest CER on the validation samples; of several sets, the
    lowest mean of the sets' CERs), ``last.fastctc``, ``state.fastctc`` (from which the same call goes on),
    ``curves.csv`` and, with matplotlib, ``curves.png``. With ``settings.average`` the weights are the running mean of
    those of the last steps (Polyak and Juditsky 1992, doi:10.1137/0330046), which read better than any of these.

    Weights to begin with are validated before the first step: they are the best until others read better.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, when the step is done and the state is saved.
    """
    sets = {"": validation} if isinstance(validation, Samples) else dict(validation)
    keras = network.keras()
    keras.utils.set_random_seed(settings.seed)
    model = network.build_model(config)
    if initial is not None:
        network.set_weights(model, initial)
    if settings.keep_norms:
        for layer in model.layers:
            if layer.name.startswith("norm"):
                layer.trainable = False  # which also makes it take its kept mean and variance, not those of the batch
    optimizer = keras.optimizers.AdamW(settings.learning_rate, weight_decay=settings.weight_decay, clipnorm=5.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer=optimizer, loss=network.ctc_loss, jit_compile=keras.backend.backend() == "jax")
    optimizer.build(model.trainable_variables)
    if keras.backend.backend() == "tensorflow":
        _trace(model, optimizer, config)
    out.mkdir(parents=True, exist_ok=True)
    images = _images(sources, sets)
    step, rows, mean = load_state(out / "state.fastctc", model, optimizer, config, settings, images)
    if not mean and settings.average:
        mean = network.weights(model)
    losses: list[float] = []

    def validate() -> Score:
        """Error rates of the weights as they are; written down if they are the best so far."""
        current = network.weights(model)
        network.set_weights(model, mean or current)
        scores = {name: evaluate(model, config, samples) for name, samples in sets.items()}
        network.set_weights(model, current)
        score = Score(*np.mean(list(scores.values()), axis=0).tolist())
        card = {"step": step, "cer": score.cer} | {f"cer of {name}": one.cer for name, one in scores.items() if name}
        for name in ("last", "best") if score.cer < _best(rows)[0] else ("last",):
            save_network(out / f"{name}.fastctc", config, mean or current, card)
        when = f"step {step}: loss {np.mean(losses):.3f}" if step else "before the first step"
        each = "".join(f", {name} {one.cer:.1%}" for name, one in scores.items() if name)
        report(f"{when}, CER {score.cer:.2%}, WER {score.wer:.2%}{each}")
        return score

    def save() -> None:
        save_state(out / "state.fastctc", model, optimizer, config, settings, step, rows, mean, images)

    if not step and not rows:
        if initial is not None:
            score = validate()
            rows.append((0, 0.0, nan, score.cer, score.wer, nan, 0.0))
        save()
    seconds = rows[-1][1] if rows else 0.0
    if step:
        report(f"going on after step {step} of {settings.steps}")
    if settings.patience and _best(rows)[1] >= settings.patience:
        report(f"no better since {_best(rows)[1]} validations: stopped")
        return out / "best.fastctc"
    batches = Batches(config, settings, sources, step)
    started, items, shown = time.monotonic(), 0, time.monotonic()
    try:
        with Stop() as stop:
            while step < settings.steps:
                optimizer.learning_rate.assign(learning_rate(settings, step))
                x, y, n = next(batches)
                losses.append(float(model.train_on_batch(x, y)))
                items += n
                step += 1
                if settings.average:
                    keep = min(settings.average, step / (step + 10))  # the first steps must not weigh for ever
                    for name, now_there in network.weights(model).items():
                        mean[name] = keep * mean[name] + (1 - keep) * now_there
                now = time.monotonic()
                if now - shown > 10:
                    shown = now
                    left = (now - started) / len(losses) * (settings.steps - step)
                    report(
                        f"step {step} of {settings.steps}: loss {np.mean(losses[-50:]):.3f}, "
                        f"{items / (now - started):.0f} items/s, {left / 60:.0f} min left"
                    )
                if step % settings.validate_every == 0 or step == settings.steps:
                    spent = now - started
                    seconds += spent
                    score = validate()
                    rate, loss = items / spent, float(np.mean(losses))
                    rows.append((step, seconds, loss, score.cer, score.wer, rate, learning_rate(settings, step)))
                    save()
                    _curves(out, rows)
                    started, items = time.monotonic(), 0
                    losses.clear()
                    if settings.patience and _best(rows)[1] >= settings.patience:
                        report(f"no better since {_best(rows)[1]} validations: stopped")
                        break
                if stop.asked:
                    save()
                    report(f"stopped after step {step}")
                    raise KeyboardInterrupt
    finally:
        batches.close()
    return out / "best.fastctc"


def _trace(model: Any, optimizer: Any, config: Config) -> None:
    """Let TensorFlow make its graphs for batches of any size, and leave everything as it was.

    The graph that it makes for the first batch is for that size alone, and rounds otherwise than the one that serves
    all others. A run that goes on would begin with such a graph again, and end with other weights than a straight one.
    """
    before = [np.array(variable) for variable in everything(model, optimizer)]
    for n in (2, 3):
        width = config.width or 64 * n
        batch = as_input([np.zeros((config.height, width), np.uint8)] * n, width)
        model.train_on_batch(batch, network.targets([(0,) * n] * n, [width // config.stride] * n))
        model.predict_on_batch(batch)
    for variable, value in zip(everything(model, optimizer), before, strict=True):
        variable.assign(value)


def _images(sources: Sequence[Source], validation: Mapping[str, Samples]) -> str:
    """What a training learns from and is judged by: another set of images, texts or weights has another digest."""
    parts = [(source.samples.digest(), source.weight) for source in sources]
    judges = [(name, samples.digest()) for name, samples in validation.items()]
    return hashlib.sha256(repr([parts, judges]).encode()).hexdigest()


def _best(rows: Sequence[tuple[float, ...]]) -> tuple[float, int]:
    """The lowest CER so far, and how many validations have followed it."""
    if not rows:
        return inf, 0
    rates = [row[3] for row in rows]
    place = int(np.argmin(rates))
    return rates[place], len(rates) - 1 - place


def _curves(out: Path, rows: Sequence[tuple[float, ...]]) -> None:
    """Learning curves as numbers and, where matplotlib is, as a picture."""
    table = io.StringIO()
    csv.writer(table).writerows([COLUMNS, *rows])
    storage.write_text(out / "curves.csv", table.getvalue())
    from fastctc.htr.plotting import plot_learning_curves, save

    try:
        save(plot_learning_curves(rows).figure, out / "curves.png")
    except ImportError:  # the numbers are there
        return
