"""Candidates for a piece of work, and how they are timed: rounds through all of them, medians, quartiles."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Row = dict[str, Any]
EXACT = "with probability and alignment"  # in the settings of fastctc, where it gives the exact numbers too


@dataclass
class Candidate:
    """One way of doing the work; inputs are prepared in its own layout before."""

    who: str
    settings: str
    run: Callable[[], Any]
    quality: Callable[[Any], Row] | None = None  # of what run returned
    items: int = 1  # in one run: lines, images
    about: Row = field(default_factory=dict)


def measure(
    section: str, work: str, candidates: Sequence[Candidate], seconds: float, least_rounds: int = 3
) -> list[Row]:
    """A row for each candidate; the first one is what the others are compared with.

    Rounds go through all candidates in turn, so that a busy machine slows all of them; the ratio is the median of the
    rounds' ratios. Where the time is over after fewer rounds than the least, these are run all the same.
    """
    found, repeats = [], []
    for candidate in candidates:
        found.append(candidate.run())
        start = time.perf_counter()
        candidate.run()
        repeats.append(max(1, min(500, int(0.01 / max(1e-7, time.perf_counter() - start)))))
    times: list[list[float]] = [[] for _ in candidates]
    end = time.perf_counter() + seconds
    while len(times[0]) < least_rounds or (time.perf_counter() < end and len(times[0]) < 200):
        for k, candidate in enumerate(candidates):
            if repeats[k] > 1:
                candidate.run()  # after the others the caches are cold
            start = time.perf_counter()
            for _ in range(repeats[k]):
                candidate.run()
            times[k].append((time.perf_counter() - start) / repeats[k])
    rows = []
    for k, candidate in enumerate(candidates):
        low, middle, high = 1e3 * np.percentile(times[k], [25, 50, 75]) / candidate.items
        ratio = float(np.median(np.divide(times[k], times[0])))
        rows.append({"section": section, "work": work, "who": candidate.who, "settings": candidate.settings,
                     "ms": middle, "low": low, "high": high, "ratio": ratio, "rounds": len(times[k]),
                     **candidate.about, **(candidate.quality(found[k]) if candidate.quality else {})})  # fmt: skip
        print(f"{section}, {work}: {candidate.who} {candidate.settings}: {middle:.4g} ms", flush=True)
    return rows
