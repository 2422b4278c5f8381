"""Entropy-based pruning of n-gram models, as the paper writes it.

A. Stolcke: Entropy-based Pruning of Backoff Language Models, DARPA Broadcast News Transcription and Understanding
Workshop, 1998.

A model is two tables: ``probs`` has the probability of the last token of each n-gram after those before it, of one
token for the whole vocabulary; ``weights`` the back-off weights of histories, 1 where a history has none. Tokens are
numbers. The fast twin, fastctc.lm.pruning, does all n-grams of a length at once.
"""

from collections.abc import Mapping
from math import exp, log

NGram = tuple[int, ...]


def prob(probs: Mapping[NGram, float], weights: Mapping[NGram, float], history: NGram, token: int) -> float:
    """Probability of a token after a history (section 2)."""
    if (*history, token) in probs:
        return probs[(*history, token)]
    return weights.get(history, 1.0) * prob(probs, weights, history[1:], token)


def history_prob(probs: Mapping[NGram, float], history: NGram, begin: int, end: int) -> float:
    """Probability of a history as a text; <s>, which is never predicted, is as probable as the end of a line."""
    result = 1.0
    for n in range(1, len(history) + 1):
        result *= probs[(end,)] if history[:n] == (begin,) else probs[history[:n]]
    return result


def rest(probs: Mapping[NGram, float], weights: Mapping[NGram, float], history: NGram) -> tuple[float, float]:
    """What the tokens that followed a history leave to all others, and what the shorter history would leave them."""
    seen = [ngram[-1] for ngram in probs if ngram[:-1] == history]
    return (
        1 - sum(probs[(*history, token)] for token in seen),
        1 - sum(prob(probs, weights, history[1:], token) for token in seen),
    )


def divergence(
    probs: Mapping[NGram, float], weights: Mapping[NGram, float], ngram: NGram, history_probability: float
) -> float:
    """Kullback-Leibler distance, in nats a token, of the model without an n-gram from the model (section 3).

    After the n-gram's history, the token that goes is backed off to, and the weight of all that are backed off to is
    another; after other histories nothing changes.
    """
    history, token = ngram[:-1], ngram[-1]
    own, lower = probs[ngram], prob(probs, weights, history[1:], token)
    left, lower_left = rest(probs, weights, history)
    before = weights.get(history, 1.0)
    after = (left + own) / (lower_left + lower)
    change = own * (log(lower) + log(after) - log(own))
    if left > 0:
        change += left * (log(after) - log(before))
    return -history_probability * change


def prune(
    probs: Mapping[NGram, float], weights: Mapping[NGram, float], threshold: float, begin: int = -1, end: int = -1
) -> tuple[dict[NGram, float], dict[NGram, float]]:
    """A model without the n-grams that change the perplexity by less than a share of ``threshold`` each.

    From the longest n-grams to those of two tokens. An n-gram stays where a longer one begins with it.
    """
    kept = dict(probs)
    for n in range(max(map(len, probs)), 1, -1):
        for ngram in [ngram for ngram in probs if len(ngram) == n]:
            if any(longer[:-1] == ngram for longer in kept):
                continue
            at = history_prob(probs, ngram[:-1], begin, end)
            if exp(divergence(probs, weights, ngram, at)) - 1 < threshold:
                del kept[ngram]
    return kept, fitted_weights(kept)


def fitted_weights(probs: Mapping[NGram, float]) -> dict[NGram, float]:
    """The back-off weights with which all probabilities after a history have the sum 1, from short to long ones."""
    weights: dict[NGram, float] = {}
    for history in sorted({ngram[:-1] for ngram in probs if len(ngram) > 1}, key=len):
        left, lower_left = rest(probs, weights, history)
        weights[history] = left / lower_left
    return weights
