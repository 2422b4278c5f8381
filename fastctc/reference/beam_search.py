"""Prefix beam search with all sources of knowledge: a model of characters, and a lexicon model.

The search is that of :mod:`fastctc.reference.prefix_beam_search`. A model of characters multiplies the probability of a
prefix whenever a label is appended (Hannun, Maas, Jurafsky, Ng 2014, with characters in place of words). A lexicon
model decides which labels may be appended at all, and weighs what ranks a beam; see
:mod:`fastctc.reference.lexicon_model`.
"""

from collections import defaultdict
from collections.abc import Sequence
from math import exp, frexp, inf, ldexp, log

from fastctc.reference import ngram
from fastctc.reference.lexicon_model import final_weight, next_state, start_state
from fastctc.search_inputs import CharacterModel, LexiconModel, Thresholds

Labels = tuple[int, ...]
Matrix = Sequence[Sequence[float]]
Prefix = tuple[int, Labels]  # labels behind a root; until a stream commits, there is one root: the empty text


class Beams:
    """The beams of a sequence whose frames may come in pieces.

    A beam is a prefix with two numbers: the probability of all its paths that end in a blank, and of those that end in
    its last label. Probabilities are kept linear: after each frame all of them are multiplied by the same power of two,
    which changes no digit, and the exponent is remembered. Beams stand in order, best first; prefixes of equal
    rank in lexicographic order.
    """

    def __init__(
        self,
        n_classes: int,
        blank: int,
        character_model: CharacterModel | None = None,
        lexicon_model: LexiconModel | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        self._n_classes, self._blank = n_classes, blank
        self._character_model, self._lexicon_model = character_model, lexicon_model
        self._thresholds, self._dropped = thresholds or Thresholds(0.0, 0.0), 0.0
        empty: Prefix = (0, ())
        self._beams = {empty: (1.0, 0.0)}
        self._exponent = 0
        self._char_states = {empty: character_model.start if character_model else 0}
        self._word_states = {empty: start_state(lexicon_model)} if lexicon_model else {}
        self._main_root = 0  # the texts that can still win begin there
        self._root_labels: list[Labels] = [()]  # of each root the label before it, if there is one

    def extend(self, probs: Matrix, beam_width: int) -> None:
        """Take in more frames; ``beam_width`` prefixes survive each."""
        for row in probs:
            if self._beams:
                self._advance_frame([float(x) for x in row], beam_width)

    def dropped(self) -> float:
        """How much of all paths' probability the thresholds have dropped, at most.

        Models do not say what they would have thought of classes that were dropped. Without models, all counts that
        the beams lost in frames after which they were fewer than the beam width; with models what that would have kept.
        """
        return min(1.0, self._dropped)

    def best(self, n_best: int) -> list[tuple[Labels, float]]:
        """The best prefixes since the last commit, and their log probabilities, the models' shares included.

        Prefixes that the models allow at no end of a text come last, weighed as if they went on.
        """
        texts = [prefix for prefix in self._beams if prefix[0] == self._main_root]
        final = {prefix: self._final_weight(prefix) for prefix in texts}
        weights = {prefix: self._weight(prefix) if (w := final[prefix]) is None else w for prefix in texts}
        texts.sort(key=lambda prefix: (final[prefix] is None, -sum(self._beams[prefix]) * weights[prefix]))
        return [
            (prefix[1], log(sum(self._beams[prefix])) + self._exponent * log(2.0) + log(weights[prefix]))
            for prefix in texts[:n_best]
        ]

    def _probable(self, row: list[float]) -> list[float]:
        """A frame without the classes that are improbable."""
        floor = min(self._thresholds.class_floor, max(row))
        lost = sum(p for p in row if p < floor) * sum(map(sum, self._beams.values()))
        self._dropped += ldexp(lost, self._exponent)
        return [p if p >= floor else 0.0 for p in row]

    def _advance_frame(self, row: list[float], beam_width: int) -> None:
        row = self._probable(row)
        ends_blank: dict[Prefix, float] = defaultdict(float)
        ends_label: dict[Prefix, float] = defaultdict(float)
        for prefix, (p_blank, p_label) in self._beams.items():
            last = self._last_label(prefix)
            ends_blank[prefix] += (p_blank + p_label) * row[self._blank]
            if last:
                ends_label[prefix] += p_label * row[last[0]]
            for label in range(len(row)):
                if label != self._blank and self._may_follow(prefix, label):
                    before = p_blank if last == (label,) else p_blank + p_label
                    if before * row[label] > 0.0:
                        ends_label[_longer(prefix, label)] += before * row[label] * self._factor(prefix, label)
        sums = {prefix: (ends_blank[prefix], ends_label[prefix]) for prefix in ends_blank | ends_label}
        ranks = {prefix: sum(both) * self._weight(prefix) for prefix, both in sums.items()}
        possible = [prefix for prefix, rank in ranks.items() if rank > 0.0]
        possible.sort(key=lambda prefix: (-ranks[prefix], prefix))
        least = ranks[possible[0]] * self._thresholds.beam_floor if possible else 0.0
        kept = [prefix for prefix in possible[:beam_width] if ranks[prefix] >= least]
        if len(kept) < beam_width:
            has_models = self._character_model or self._lexicon_model
            lost = sum(sum(sums[prefix]) for prefix in possible[len(kept) : beam_width if has_models else None])
            self._dropped += ldexp(lost, self._exponent)
        shift = -frexp(sum(sums[possible[0]]))[1] if possible else 0
        self._exponent -= shift
        self._beams = {prefix: (ldexp(sums[prefix][0], shift), ldexp(sums[prefix][1], shift)) for prefix in kept}

    def _may_follow(self, prefix: Prefix, label: int) -> bool:
        """Whether the lexicon model lets a label follow a prefix; if so, the longer prefix has its state then."""
        longer = _longer(prefix, label)
        if self._lexicon_model and longer not in self._word_states:
            state = next_state(self._lexicon_model, self._word_states[prefix], label)
            if state is None:
                return False
            self._word_states[longer] = state
        return True

    def _factor(self, prefix: Prefix, label: int) -> float:
        """What the models multiply the probability of a prefix by when a label is appended."""
        factor = 1.0
        if self._character_model:
            model = self._character_model
            [log_prob], _ = ngram.score(model.tables, self._char_state(prefix), [model.tokens[label]])
            factor = exp(model.weight * log_prob + model.bonus)
        if self._lexicon_model:
            factor *= self._word_states[_longer(prefix, label)].factor
        return factor

    def _weight(self, prefix: Prefix) -> float:
        """What multiplies the probability of a prefix in its rank."""
        return self._word_states[prefix].weight if self._lexicon_model else 1.0

    def _final_weight(self, prefix: Prefix) -> float | None:
        """The weight of a prefix if the text ends with it; None if the models allow no end there."""
        weight = 1.0
        if self._lexicon_model:
            final = final_weight(self._lexicon_model, self._word_states[prefix])
            if final is None:
                return None
            weight = final
        if self._character_model and self._character_model.end >= 0:
            model = self._character_model
            [log_prob], _ = ngram.score(model.tables, self._char_state(prefix), [model.end])
            if log_prob == -inf:
                return None
            weight *= exp(model.weight * log_prob)
        return weight

    def _char_state(self, prefix: Prefix) -> int:
        """The state of the model of characters after a prefix."""
        if prefix not in self._char_states and self._character_model:
            root, labels = prefix
            state, token = self._char_state((root, labels[:-1])), self._character_model.tokens[labels[-1]]
            _, self._char_states[prefix] = ngram.score(self._character_model.tables, state, [token])
        return self._char_states.get(prefix, 0)

    def _last_label(self, prefix: Prefix) -> Labels:
        root, labels = prefix
        return (*self._root_labels[root], *labels)[-1:]


def _longer(prefix: Prefix, label: int) -> Prefix:
    root, labels = prefix
    return root, (*labels, label)


def beam_search(
    probs: Matrix,
    blank: int,
    beam_width: int,
    n_best: int,
    character_model: CharacterModel | None = None,
    lexicon_model: LexiconModel | None = None,
    thresholds: Thresholds | None = None,
) -> list[tuple[Labels, float]]:
    """The ``n_best`` label sequences with the largest sums over the paths that survived, best first.

    Returns (labels, log of the sum) pairs.
    """
    return beam_search_batch([probs], blank, beam_width, n_best, character_model, lexicon_model, thresholds)[0]


def beam_search_batch(
    batch: Sequence[Matrix],
    blank: int,
    beam_width: int,
    n_best: int,
    character_model: CharacterModel | None = None,
    lexicon_model: LexiconModel | None = None,
    thresholds: Thresholds | None = None,
    dropped: list[float] | None = None,
) -> list[list[tuple[Labels, float]]]:
    """The same for many sequences; what the thresholds have dropped in each goes into a list, if there is one."""
    found = []
    for probs in batch:
        n_classes = len(probs[0]) if len(probs) else blank + 1
        beams = Beams(n_classes, blank, character_model, lexicon_model, thresholds)
        beams.extend(probs, beam_width)
        found.append(beams.best(n_best))
        if dropped is not None:
            dropped.append(beams.dropped())
    return found
