"""Test-time augmentation: one text from several views of a line, the same writing slanted this way and that.

Every text that the decoder found in some view is judged in all of them: by the mean of its log probabilities, which is
the product of experts (G. E. Hinton: Training Products of Experts by Minimizing Contrastive Divergence, 2002). A text
that one view cannot see there is out; the surest of the views, by contrast, would often be sure of what is wrong.
"""

from collections.abc import Sequence
from math import exp, inf, isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from fastctc.alphabet import Alphabet
from fastctc.compiled.loss import log_probabilities
from fastctc.frames import Workspace, as_frames, as_probabilities
from fastctc.hypothesis import Hypothesis, Segment, hypotheses

Rows = npt.NDArray[Any]
Labels = tuple[int, ...]


def combine_views(alphabet: Alphabet, views: Sequence[Rows], found: Sequence[list[Hypothesis]]) -> list[Hypothesis]:
    """The texts found in any view, best first, with what all views say about them.

    Parameters
    ----------
    alphabet : Alphabet
    views : sequence of (frames, classes)
        Log probabilities of each view.
    found : sequence of lists of Hypothesis
        What the decoder found in each; what a language model gave stays part of the score.

    Returns
    -------
    list of Hypothesis
        As many as any view has at most. ``log_prob`` is the mean over the views, and a lower bound of what the
        product of experts gives, normalised; timesteps and words are those of the first view, the words'
        probabilities the geometric means.
    """
    if len(views) == 1:
        return found[0]
    texts = list(dict.fromkeys(one.labels for beams in found for one in beams))
    seen = [_log_probabilities(alphabet, rows, texts) for rows in views]
    candidates = []
    for labels in texts:
        log_prob = mean([judgement[labels] for judgement in seen])
        own = [
            (one, one.score - judgement[labels])
            for beams, judgement in zip(found, seen, strict=True)
            for one in beams
            if one.labels == labels
        ]
        share = max((value for _, value in own if isfinite(value)), default=0.0)  # that of language models
        candidates.append(own[0][0]._replace(log_prob=log_prob, score=log_prob + share, confidence=exp(log_prob)))
    best = sorted(candidates, key=lambda one: (-one.score, one.labels))[: max(len(beams) for beams in found)]
    notes = list(zip(*[_notes(alphabet, rows, best) for rows in views], strict=True))
    return [
        one._replace(
            timesteps=judged[0].timesteps,
            words=tuple(combine_segments([note.words for note in judged])) if one.log_prob > -inf else (),
        )
        for one, judged in zip(best, notes, strict=True)
    ]


def combine_segments(segments: Sequence[Sequence[Segment]]) -> list[Segment]:
    """The segments of one text in the first view, with the geometric means of their probabilities in all."""
    if len(segments) == 1:
        return list(segments[0])
    return [
        one._replace(probability=float(np.prod([other.probability for other in row])) ** (1 / len(row)))
        for one, row in zip(segments[0], zip(*segments, strict=True), strict=True)
    ]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _log_probabilities(alphabet: Alphabet, rows: Rows, texts: list[Labels]) -> dict[Labels, float]:
    """What one view says about each text."""
    doubles = rows.astype(np.float64)
    return dict(
        zip(texts, log_probabilities([(doubles, labels) for labels in texts], alphabet.blank, True), strict=True)
    )


def _notes(alphabet: Alphabet, rows: Rows, texts: list[Hypothesis]) -> list[Hypothesis]:
    """Timesteps and words of some texts in one view."""
    [doubles] = as_probabilities([as_frames(alphabet.n_classes, rows, None, None)], Workspace())
    return hypotheses(alphabet, [(doubles, one.labels, 0.0) for one in texts], "compiled")
