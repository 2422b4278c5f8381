"""Rows that are no distribution: scores are added up along the paths as they are."""

from collections import defaultdict
from dataclasses import replace
from itertools import groupby, product
from math import exp, log

import numpy as np
import pytest

from fastctc import (
    Alphabet,
    BeamSearch,
    BestPath,
    Lexicon,
    LexiconSearch,
    PrefixSearch,
    TokenPassing,
    WordBeamSearch,
    ctc_loss,
    forced_align,
    log_probability,
    posteriors,
)

AB = Alphabet("ab")
WORDS = Lexicon.from_words(["a", "ab", "b", "ba"], AB)
DECODERS = [
    BestPath(AB),
    BeamSearch(AB, 50),
    WordBeamSearch(WORDS, 50),
    TokenPassing(WORDS),
    LexiconSearch(WORDS),
    PrefixSearch(AB),
]


@pytest.fixture
def scores():
    values = np.random.default_rng(7).normal(0.5, 3.0, (5, 3))
    values[1, 2] = -np.inf
    return values


def sums(scores):
    """Of each text, the logarithm of the sum of its paths' exponentials, and its best path."""
    total, best = defaultdict(float), defaultdict(lambda: -np.inf)
    for path in product(range(3), repeat=len(scores)):
        text = "".join("ab"[label] for label, _ in groupby(path) if label < 2)
        value = sum(row[label] for row, label in zip(scores, path, strict=True))
        total[text] += exp(value)
        best[text] = max(best[text], value)
    return {text: log(value) for text, value in total.items() if value}, best


@pytest.mark.parametrize("backend", ["compiled", "reference"])
@pytest.mark.parametrize("decoder", DECODERS, ids=lambda d: type(d).__name__)
def test_decoders_add_scores_as_they_are(decoder, backend, scores):
    total, _ = sums(scores)
    decoder = replace(decoder, backend=backend)
    [found, *_] = decoder.decode(scores=scores)
    assert found.log_prob == pytest.approx(total[found.text], rel=1e-12)
    assert found.confidence == decoder.decode(logits=scores)[0].confidence
    batch = decoder.decode_batch(scores=[scores, scores - 9.0])
    assert batch[0][0] == found
    assert batch[1][0].text == found.text
    assert batch[1][0].score == pytest.approx(found.score - 45.0, rel=1e-12)


def test_the_best_text_is_that_of_the_greatest_sum(scores):
    total, _ = sums(scores)
    found = BeamSearch(AB, 50, n_best=3).decode(scores=scores)
    assert [h.text for h in found] == sorted(total, key=lambda text: -total[text])[:3]
    assert found[0].score == pytest.approx(total[found[0].text], rel=1e-12)


def test_best_path_scores_its_path(scores):
    assert BestPath(AB).decode(scores=scores)[0].score == pytest.approx(scores.max(axis=1).sum(), rel=1e-12)
    assert BestPath(AB, exact=False).decode(scores=scores)[0].score == pytest.approx(scores.max(axis=1).sum())


def test_loss_and_alignment(scores):
    total, best = sums(scores)
    for text in ("a", "ab", "ba"):
        assert log_probability(scores=scores, text=text, alphabet=AB) == pytest.approx(total[text], rel=1e-12)
        assert ctc_loss(scores=[scores, scores + 1.0], texts=[text] * 2, alphabet=AB) == pytest.approx(
            [-total[text], -total[text] - 5.0], rel=1e-12
        )
        assert forced_align(scores=scores, text=text, alphabet=AB).log_prob == pytest.approx(best[text], rel=1e-12)
    assert posteriors(scores=scores, text="ab", alphabet=AB) == pytest.approx(
        posteriors(logits=scores, text="ab", alphabet=AB)
    )


@pytest.mark.parametrize("decoder", [BestPath(AB), BeamSearch(AB, 50)], ids=["BestPath", "BeamSearch"])
def test_streams_keep_account(decoder):
    scores = np.random.default_rng(8).normal(1.0, 6.0, (40, 3))
    whole = decoder.decode(scores=scores)[0]
    stream, parts = decoder.stream(), []
    for piece in np.split(scores, 8):
        stream.push(scores=piece)
    assert stream.finish()[0]._replace(log_prob=0.0, score=0.0) == whole._replace(log_prob=0.0, score=0.0)

    stream = decoder.stream()
    for piece in np.split(scores, 8):
        stream.push(scores=piece)
        parts.append(stream.commit())
    last = stream.finish()[0]
    assert "".join(part.text for part in parts) + last.text == whole.text
    assert last.score == pytest.approx(whole.score, rel=1e-12)
    # The paths through the labels where they were committed are among those of the whole.
    assert sum(part.log_prob for part in parts) + last.log_prob == pytest.approx(whole.log_prob, abs=1.0)
    assert sum(part.log_prob for part in parts) + last.log_prob <= whole.log_prob + 1e-9


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_score_is_refused(bad):
    with pytest.raises(ValueError, match=r"scores must be finite or -inf, got .* in frame 1, class 0"):
        BestPath(AB).decode(scores=[[0.0, 0.0, 0.0], [bad, 0.0, 0.0]])
    with pytest.raises(ValueError, match="scores of a frame must not all be -inf"):
        BestPath(AB).decode(scores=[[-np.inf] * 3])
    with pytest.raises(TypeError, match=r"exactly one of log_probs, probs, logits and scores .* got probs and scores"):
        BestPath(AB).decode(probs=[[0.0, 0.0, 1.0]], scores=[[0.0, 0.0, 1.0]])
