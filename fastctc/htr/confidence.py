"""How sure a word is, whatever read it: calibrated from what the image says and what the search left open.

A logistic mixture of three features, with weights that are fitted on lines whose text is known (J. C. Platt:
Probabilistic Outputs for Support Vector Machines, 1999): the posterior of the word given the image, its share of the
texts that the beam holds at last, language model included, and its length.
"""

from collections.abc import Sequence
from math import exp, isfinite, log
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.alphabet import Alphabet
from fastctc.hypothesis import Hypothesis

Weights = Sequence[float]  # of 1, of the logits of posterior and share, of the logarithm of the length
N_FEATURES = 4
NEAREST = 1e-4  # of a probability to 0 and 1: what is nearer was never tested
RIDGE = 1e-2  # that keeps weights finite where everything was read right


def word_shares(alphabet: Alphabet, hypotheses: Sequence[Hypothesis]) -> list[float]:
    """For each word of the best hypothesis, the share of all that have it there, by their scores."""
    top = hypotheses[0].score
    weights = [exp(one.score - top) for one in hypotheses]
    words = [
        [alphabet.decode(one.labels[start:stop]) for start, stop in alphabet.words(one.labels)] for one in hypotheses
    ]
    shares = np.zeros(len(words[0]))
    for weight, other in zip(weights, words, strict=True):
        shares += weight * np.array(matches(words[0], other), float)
    return [float(share) for share in shares / sum(weights)]


def matches(words: Sequence[str], others: Sequence[str]) -> list[bool]:
    """For each word whether it is one of the matches of a longest common subsequence."""
    table = np.zeros((len(words) + 1, len(others) + 1), int)
    for i in range(len(words) - 1, -1, -1):
        for j in range(len(others) - 1, -1, -1):
            table[i, j] = max(table[i + 1, j], table[i, j + 1], table[i + 1, j + 1] + (words[i] == others[j]))
    found, i, j = [], 0, 0
    while i < len(words):
        if j < len(others) and words[i] == others[j] and table[i, j] == table[i + 1, j + 1] + 1:
            found.append(True)
            i, j = i + 1, j + 1
        elif j < len(others) and table[i, j] == table[i, j + 1]:
            j += 1
        else:
            found.append(False)
            i += 1
    return found


def checked(given: Any) -> dict[str, tuple[float, ...]]:
    """The calibrations of a card, by what they are fitted for.

    Raises
    ------
    ValueError
        If they are none.
    """
    if not isinstance(given, dict) or not all(
        isinstance(weights, list) and len(weights) == N_FEATURES and all(_is_number(w) for w in weights)
        for weights in given.values()
    ):
        raise ValueError(f"the card's confidence must be {N_FEATURES} finite numbers for each decoder, got {given!r}")
    return {name: tuple(weights) for name, weights in given.items()}


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and isfinite(value)


def features(posterior: float, share: float, length: int) -> tuple[float, float, float, float]:
    return 1.0, _logit(posterior), _logit(share), log(max(1, length))


def probability(weights: Weights, posterior: float, share: float, length: int) -> float:
    """The probability that a word is right."""
    value = sum(w * x for w, x in zip(weights, features(posterior, share, length), strict=True))
    return 1.0 / (1.0 + exp(-value)) if value > -700.0 else 0.0


def fit(rows: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    """Weights with the greatest likelihood, by Newton's method; ``rows`` are :func:`features`."""
    weights = np.zeros(rows.shape[1])
    ridge = RIDGE * np.eye(rows.shape[1])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(rows @ weights, -30.0, 30.0)))
        slope = rows.T @ (correct - p) - ridge @ weights
        curvature = (rows * (p * (1.0 - p))[:, None]).T @ rows + ridge
        step = np.linalg.solve(curvature, slope)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return tuple(weights.tolist())


def _logit(value: float) -> float:
    value = min(1.0 - NEAREST, max(NEAREST, value))
    return log(value / (1.0 - value))
