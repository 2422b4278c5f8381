"""Beam search."""

import sys
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from math import inf, isfinite, nan
from typing import Any

import numpy as np

from fastctc import backends
from fastctc.alphabet import Alphabet
from fastctc.decoders.decoder import Decoder
from fastctc.decoders.stream import Stream
from fastctc.frames import Doubles, Frames, Workspace, as_doubles
from fastctc.hypothesis import Hypothesis, hypotheses
from fastctc.ngram import NGram

Beam = tuple[tuple[int, ...], float]  # labels, score


@dataclass(frozen=True)
class BeamSearch(Decoder):
    """Prefix beam search: the most probable texts, summed over the paths that a beam of prefixes keeps.

    Per frame the beam_width most probable prefixes survive. Work is spent only on what may survive, so that the time
    is O(T (B log B + C)) for peaky frames of C classes and a beam width of B, and O(T B C) at worst; memory is O(T B).
    A character model costs about twice as much again.

    Parameters
    ----------
    alphabet : Alphabet
    beam_width : int, default 25
        How many prefixes survive a frame.
    lm : NGram, optional
        A model of characters. Each of them is weighed when it is appended: what ranks a text is
        log P(text | frames) + lm_weight log P(text) + character_bonus length, which is its ``score``; ``lm_log_prob``
        is log P(text).
    lm_weight : float, default 0.5
        Greater than 0.
    character_bonus : float, default 0
        For each character, against the preference of language models for short texts.
    n_best : int, default 1
        How many hypotheses to return; fewer come back where fewer texts are possible.
    rescore : bool, default False
        Whether to order the survivors by their true probability (with the model's share), not by what the beam summed.
    exact : bool, default True
        Whether to compute ``log_prob`` (the true one: a beam's own sum, its ``score``, is a lower bound),
        ``timesteps``, ``words`` and ``confidence`` of the hypotheses returned.
    backend : str, default "compiled"
        "reference" runs the plain Python specification.

    Raises
    ------
    ValueError
        For a beam width below 1, n_best not between 1 and the beam width, a weight that is not positive and finite, a
        model of words, and rescore without exact.

    Notes
    -----
    Ties are broken by the labels: of equal hypotheses the one that comes first in lexicographic order is kept.

    References
    ----------
    A. Graves: Supervised Sequence Labelling with Recurrent Neural Networks, 2012, section 7.5.
    A. Y. Hannun, A. L. Maas, D. Jurafsky, A. Y. Ng: First-Pass Large Vocabulary Continuous Speech Recognition using
    Bi-Directional Recurrent DNNs, 2014.

    Examples
    --------
    >>> from fastctc import Alphabet, BeamSearch
    >>> best = BeamSearch(Alphabet("ab")).decode(probs=[[0.4, 0, 0.6], [0.4, 0, 0.6]])[0]
    >>> best.text, best.confidence, best.timesteps
    ('a', 0.64, (1,))
    """

    alphabet: Alphabet
    beam_width: int = 25
    _: KW_ONLY
    lm: NGram | None = None
    lm_weight: float = 0.5
    character_bonus: float = 0.0
    n_best: int = 1
    rescore: bool = False
    exact: bool = True
    backend: str = "compiled"

    def __post_init__(self) -> None:
        if self.beam_width < 1:
            raise ValueError(f"beam_width must be 1 or more, got {self.beam_width}")
        if not 1 <= self.n_best <= self.beam_width:
            raise ValueError(f"n_best must be 1 to beam_width, which is {self.beam_width}, got {self.n_best}")
        if not 0 < self.lm_weight < inf:
            raise ValueError(f"lm_weight must be positive and finite, got {self.lm_weight}")
        if not isfinite(self.character_bonus):
            raise ValueError(f"character_bonus must be finite, got {self.character_bonus}")
        if self.lm is not None and self.lm.unit != "character":
            raise ValueError(f"lm must be a model of characters, got one of {self.lm.unit}s")
        if self.rescore and not self.exact:
            raise ValueError("rescore needs the true probabilities: exact must be True")

    def stream(self) -> Stream:
        """Begin to decode a sequence whose frames arrive in pieces."""
        beams = backends.load(self.backend, "beam_search").Beams(
            self.alphabet.n_classes, self.alphabet.blank, self._model
        )
        return Stream(self.alphabet, _BeamsOfStream(self, beams), self.exact, self.backend)

    @cached_property
    def _tokens(self) -> list[int]:
        """The model's number of each class."""
        assert self.lm is not None
        return self.lm.numbers(self.alphabet.symbols)

    @cached_property
    def _model(self) -> Any:
        if self.lm is None:
            return None
        ceilings = self.lm.ceilings[self._tokens].tolist()
        model = backends.load("reference", "beam_search").Model
        tokens = np.array(self._tokens, np.int32)
        return model(self.lm.tables, self.lm.start, tokens, ceilings, self.lm_weight, self.character_bonus)

    def _decode(self, batch: list[Frames], workspace: Workspace) -> list[list[Hypothesis]]:
        search = backends.load(self.backend, "beam_search").beam_search_batch
        frames = as_doubles(batch, workspace)
        n_best = self.beam_width if self.rescore else self.n_best
        found = search([f.probs for f in frames], self.alphabet.blank, self.beam_width, n_best, self._model)
        return self._hypotheses(frames, found)

    def _hypotheses(self, frames: list[Doubles], found: list[list[Beam]], state: int = -1) -> list[list[Hypothesis]]:
        """What the frames, and the model after its state, tell about what was found."""
        if self.exact:
            findings = [(f, labels, score) for f, beams in zip(frames, found, strict=True) for labels, score in beams]
            flat = iter(hypotheses(self.alphabet, findings, self.backend))
            result = [[next(flat) for _ in beams] for beams in found]
        else:
            decode = self.alphabet.decode
            result = [
                [Hypothesis(decode(labels), nan, score, labels, (), (), nan) for labels, score in beams]
                for beams in found
            ]
        if self.lm is not None:
            result = [[h._replace(lm_log_prob=self._weigh(h.labels, state)[0]) for h in beams] for beams in result]
        if self.rescore:
            result = [sorted(beams, key=self._true_score)[: self.n_best] for beams in result]
        return result

    def _weigh(self, labels: tuple[int, ...], state: int = -1) -> tuple[float, int]:
        """Log probability of labels after a state of the model, by default its start, and the state after them."""
        assert self.lm is not None
        score = backends.load(self.backend, "ngram").score
        tokens = [self._tokens[label] for label in labels]
        values, state = score(*self.lm.tables, self.lm.start if state < 0 else state, tokens)
        return sum(values), state

    def _true_score(self, one: Hypothesis) -> tuple[float, tuple[int, ...]]:
        if one.lm_log_prob is None:
            return -one.log_prob, one.labels
        return -(one.log_prob + self.lm_weight * one.lm_log_prob + self.character_bonus * len(one.labels)), one.labels


class _BeamsOfStream:
    """What a stream asks of the beams."""

    def __init__(self, decoder: BeamSearch, beams: Any) -> None:
        self._decoder, self._beams = decoder, beams
        self._state = -1  # of the model, after what was committed

    def extend(self, frames: Frames) -> None:
        self._beams.extend(as_doubles([frames], Workspace())[0].probs, self._decoder.beam_width)

    def best(self) -> tuple[int, ...]:
        found = self._beams.best(1)
        return found[0][0] if found else ()

    def stable(self, limit: int | None = None) -> tuple[int, ...]:
        labels: tuple[int, ...] = self._beams.stable(sys.maxsize if limit is None else limit)
        return labels

    def commit(self, n_labels: int) -> None:
        if self._decoder.lm is not None:
            self._state = self._decoder._weigh(self.best()[:n_labels], self._state)[1]
        self._beams.commit(n_labels)

    def results(self, doubles: Doubles) -> list[Hypothesis]:
        n_best = self._decoder.beam_width if self._decoder.rescore else self._decoder.n_best
        return self._decoder._hypotheses([doubles], [self._beams.best(n_best)], self._state)[0]
