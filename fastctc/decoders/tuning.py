"""Find the weights of a language model from frames whose texts are known."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import exp, log
from random import Random
from typing import Any, NamedTuple

from fastctc.decoders import BeamSearch
from fastctc.metrics import cer, wer

WEIGHTS = (0.05, 3.0)  # where lm_weight is looked for, on a logarithmic scale,
BONUSES = (-2.0, 6.0)  # and the bonus
MEASURES = ("cer", "wer")


class Trial(NamedTuple):
    """Weights, and their error rates."""

    lm_weight: float
    bonus: float  # character_bonus for a model of characters, word_bonus for one of words
    cer: float  # errors by characters of all true texts
    wer: float  # and by words


class Tuning(NamedTuple):
    """The best decoder, its error rates, and all trials in their order."""

    decoder: BeamSearch
    best: Trial
    trials: tuple[Trial, ...]


def tune(
    decoder: BeamSearch,
    frames: Sequence[Any],
    texts: Sequence[str],
    *,
    n_trials: int = 40,
    measure: str = "cer",
    seed: int = 0,
    threads: int | None = None,
    report: Callable[[Trial], None] | None = None,
) -> Tuning:
    """Find the ``lm_weight`` and the bonus of a beam search with a language model.

    The first trial is the decoder as it is. Half of the others are spread at random, half are near the best so far, and
    nearer and nearer. The same seed gives the same trials.

    Parameters
    ----------
    decoder : BeamSearch
        With a model of characters or of words.
    frames, texts : sequences
        Log probabilities (frames, classes), and the true text of each. Do not judge the result by the same ones.
    n_trials : int, default 40
    measure : {"cer", "wer"}
        The error rate to minimise; the other one decides between equals.
    threads : int, optional
        As for ``decode_batch``.
    report : callable, optional
        Called with each trial.

    Raises
    ------
    ValueError
        For a decoder without a model, unequally many sequences and texts, none at all, texts without characters, an
        unknown measure, n_trials below 1.
    """
    if decoder.lm is None:
        raise ValueError("the decoder must have a language model to be tuned")
    if len(frames) != len(texts) or not any(texts):
        raise ValueError(f"there must be one text a sequence, and some text, got {len(frames)} and {len(texts)}")
    if measure not in MEASURES:
        raise ValueError(f"measure must be 'cer' or 'wer', got {measure!r}")
    if n_trials < 1:
        raise ValueError(f"n_trials must be 1 or more, got {n_trials}")
    random = Random(seed)
    bonus_name = "character_bonus" if decoder.lm.unit == "character" else "word_bonus"
    plain = replace(decoder, n_best=1, rescore=False, exact=False)
    trials: list[Trial] = []
    for number in range(n_trials):
        if number == 0:
            weight, bonus = decoder.lm_weight, getattr(decoder, bonus_name)
        elif number <= n_trials // 2:
            weight = exp(random.uniform(*map(log, WEIGHTS)))
            bonus = random.uniform(*BONUSES)
        else:
            best = _best(trials, measure)
            width = 0.5 * (n_trials - number) / n_trials
            weight = min(max(best.lm_weight * exp(random.gauss(0, 2 * width)), WEIGHTS[0]), WEIGHTS[1])
            bonus = min(max(best.bonus + random.gauss(0, 4 * width), BONUSES[0]), BONUSES[1])
        trials.append(_trial(_changed(plain, weight, bonus_name, bonus), weight, bonus, frames, texts, threads))
        if report is not None:
            report(trials[-1])
    best = _best(trials, measure)
    return Tuning(_changed(decoder, best.lm_weight, bonus_name, best.bonus), best, tuple(trials))


def _changed(decoder: BeamSearch, weight: float, bonus_name: str, bonus: float) -> BeamSearch:
    changed: BeamSearch = replace(decoder, lm_weight=weight, **{bonus_name: bonus})  # type: ignore[arg-type]
    if decoder._tracker is not None:  # it does not depend on the weights
        changed.__dict__["_tracker"] = decoder._tracker
    return changed


def _trial(
    decoder: BeamSearch,
    weight: float,
    bonus: float,
    frames: Sequence[Any],
    texts: Sequence[str],
    threads: int | None,
) -> Trial:
    found = [best[0].text if best else "" for best in decoder.decode_batch(list(frames), threads=threads)]
    return Trial(weight, bonus, cer(found, texts), wer(found, texts))


def _best(trials: list[Trial], measure: str) -> Trial:
    other = "wer" if measure == "cer" else "cer"
    return min(trials, key=lambda trial: (getattr(trial, measure), getattr(trial, other)))
