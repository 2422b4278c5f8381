"""Prefix beam search.

A. Y. Hannun, A. L. Maas, D. Jurafsky, A. Y. Ng: First-Pass Large Vocabulary Continuous Speech Recognition using
Bi-Directional Recurrent DNNs, 2014; the two sums per prefix are those of A. Graves, Supervised Sequence Labelling with
Recurrent Neural Networks, 2012, section 7.5. A model of characters weighs every label when it is appended. A dictionary
decides which labels may be appended at all, and a model of words weighs what ranks a beam:

H. Scheidl, S. Fiel, R. Sablatnig: Word Beam Search: A Connectionist Temporal Classification Decoding Algorithm, ICFHR
2018.
"""

from collections.abc import Sequence
from math import exp, frexp, inf, isnan, ldexp, log
from typing import NamedTuple

from fastctc.reference import ngram
from fastctc.search_inputs import CharacterModel, Fusion, HotWordTree, LexiconModel

Labels = tuple[int, ...]
Matrix = Sequence[Sequence[float]]


class Note(NamedTuple):
    """Where a prefix stands among the words."""

    node: int  # of the tree; -1 between words, -2 in a word that is not in the dictionary
    state: int  # of the model, after all words that have ended
    n_words: int  # that have ended
    text: float  # their log probability
    weight: float  # what ranks the prefix, besides the probability of its paths
    factor: float = 1.0  # what its last label has multiplied the sums by
    hot: int = -1  # node among the hot words
    base: float = 1.0  # the weight without that


class Prefix(NamedTuple):
    """Labels behind a root: the main one is the text committed, others are branches that can no longer win.

    Roots are numbered in the lexicographic order of the texts before them, of which none is the beginning of another:
    so prefixes stand in the order of their whole texts.
    """

    root: int
    labels: Labels


class Beams:
    """The beams of a sequence that may come in pieces.

    A beam is a prefix with two numbers: the probability of all its paths that end in a blank, and of those that end in
    its last label. Probabilities are kept linear: after each frame all of them are multiplied by the same power of
    two, which changes no digit, and the exponent is remembered. Beams stand in order, best first; prefixes of equal
    probability in lexicographic order.
    """

    def __init__(
        self, n_classes: int, blank: int, model: CharacterModel | None = None, words: LexiconModel | None = None
    ) -> None:
        self.n_classes, self.blank, self.model, self.words = n_classes, blank, model, words
        self.notes = {Prefix(0, ()): Note(-1, words.start if words else 0, 0, 0.0, 1.0)}
        self.beams = {Prefix(0, ()): (1.0, 0.0)}
        self.exponent = 0
        self.main = 0  # root of the texts
        self.before: list[Labels] = [()]  # of each root the label before it
        self.states = {Prefix(0, ()): model.start if model else 0}

    def extend(self, probs: Matrix, beam_width: int) -> None:
        """Take in more frames; ``beam_width`` prefixes survive each."""
        for row in probs:
            if self.beams:
                self._step([float(x) for x in row], beam_width)

    def _step(self, p: list[float], beam_width: int) -> None:
        ends_blank: dict[Prefix, float] = {}
        ends_label: dict[Prefix, float] = {}
        for prefix, (p_blank, p_label) in self.beams.items():
            last = self._last(prefix)
            ends_blank[prefix] = (p_blank + p_label) * p[self.blank]
            if last:
                ends_label[prefix] = ends_label.get(prefix, 0.0) + p_label * p[last[0]]
            for label in range(len(p)):
                if label != self.blank and (not self.words or self._note(prefix, label)):
                    # After its own repetition a label needs a blank, or else the two are one.
                    before = p_blank if last == (label,) else p_blank + p_label
                    longer = Prefix(prefix.root, (*prefix.labels, label))
                    sums = before * p[label]
                    if self.model and sums > 0.0:
                        sums *= self._factor(prefix, label)
                    if self.words:
                        sums *= self.notes[longer].factor
                    ends_label[longer] = ends_label.get(longer, 0.0) + sums
        sums_of = {
            prefix: (ends_blank.get(prefix, 0.0), ends_label.get(prefix, 0.0)) for prefix in ends_blank | ends_label
        }
        ranks = {prefix: sum(both) * self._weight(prefix) for prefix, both in sums_of.items()}
        alive = [prefix for prefix, rank in ranks.items() if rank > 0.0]
        alive.sort(key=lambda prefix: (-ranks[prefix], prefix))
        shift = -frexp(sum(sums_of[alive[0]]))[1] if alive else 0
        self.exponent -= shift
        self.beams = {
            prefix: (ldexp(sums_of[prefix][0], shift), ldexp(sums_of[prefix][1], shift))
            for prefix in alive[:beam_width]
        }

    def _weight(self, prefix: Prefix) -> float:
        return self.notes[prefix].weight if self.words else 1.0

    def _note(self, prefix: Prefix, label: int) -> Note | None:
        """Where a prefix stands after one more label; None if it must not follow."""
        longer = Prefix(prefix.root, (*prefix.labels, label))
        if longer not in self.notes:
            assert self.words is not None
            note = _after(self.notes[prefix], label, self.words)
            if note is None:
                return None
            self.notes[longer] = note
        return self.notes[longer]

    def _last(self, prefix: Prefix) -> Labels:
        return (*self.before[prefix.root], *prefix.labels)[-1:]

    def _factor(self, prefix: Prefix, label: int) -> float:
        """What the model says to a label, and what its state is after it."""
        assert self.model is not None
        score, state = ngram.score(self.model.tables, self._state(prefix), [self.model.tokens[label]])
        self.states[Prefix(prefix.root, (*prefix.labels, label))] = state
        return exp(self.model.weight * score[0] + self.model.bonus)

    def _state(self, prefix: Prefix) -> int:
        if self.model and prefix not in self.states:
            self._factor(Prefix(prefix.root, prefix.labels[:-1]), prefix.labels[-1])
        return self.states.get(prefix, 0)

    def best(self, n_best: int) -> list[tuple[Labels, float]]:
        """The best prefixes since the last commit, and their log probabilities, the model's share included."""
        own = [prefix for prefix in self.beams if prefix.root == self.main]
        weights = {prefix: self._weight(prefix) for prefix in own}
        if (self.words and (self.words.fusion or self.words.hot)) or (self.model and self.model.end >= 0):
            ended = {prefix: self._end(prefix) for prefix in own}
            weights = {p: weights[p] if (weight := ended[p]) is None else weight for p in own}
            own.sort(key=lambda prefix: (ended[prefix] is None, -sum(self.beams[prefix]) * weights[prefix]))
        return [
            (prefix.labels, log(sum(self.beams[prefix])) + self.exponent * log(2.0) + log(weights[prefix]))
            for prefix in own[:n_best]
        ]

    def _end(self, prefix: Prefix) -> float | None:
        """What weighs a prefix if the text ends there, and its last word with it.

        None if the models know no such end, or the word is none: such texts come last, weighed as if they went on.
        """
        weight = self._weight(prefix)
        if self.words and (self.words.fusion or self.words.hot):
            note = _final(self.notes[prefix], self.words)
            if note is None:
                return None
            weight = note.factor
        if self.model and self.model.end >= 0:
            [value], _ = ngram.score(self.model.tables, self._state(prefix), [self.model.end])
            if value == -inf:
                return None
            weight *= exp(self.model.weight * value)
        return weight

    def prefixes(self) -> list[tuple[Labels, bool, bool]]:
        """All prefixes since the last commit, whether some of their paths end in a blank, and some in a label."""
        return [(p.labels, both[0] > 0.0, both[1] > 0.0) for p, both in self.beams.items() if p.root == self.main]

    def stable(self, limit: int) -> Labels:
        """The longest beginning of the best prefix, of at most ``limit`` labels, that can no longer change."""
        labels = next(iter(self.beams)).labels if self.beams else ()
        for n in range(min(limit, len(labels)), 0, -1):
            if self._cuts(n) is not None:
                return labels[:n]
        return ()

    def commit(self, n_labels: int) -> None:
        """Let the first of the stable labels go: the prefixes begin behind them from now on.

        So do the worse twins of these prefixes, behind roots of their own: they still take their places in the beam.
        """
        cuts = {prefix: Prefix(prefix.root, ()) for prefix in self.beams} if n_labels == 0 else self._cuts(n_labels)
        if cuts is None:
            raise ValueError(f"n_labels must be a number of labels that can no longer change, got {n_labels}")
        roots = sorted(set(cuts.values()))
        states = {Prefix(i, ()): self._state(root) for i, root in enumerate(roots)}
        before = [self._last(root) for root in roots]
        if self.words:
            self.notes = {
                Prefix(i, prefix.labels[len(root.labels) :]): note
                for i, root in enumerate(roots)
                for prefix, note in self.notes.items()
                if prefix.root == root.root and prefix.labels[: len(root.labels)] == root.labels
            }
        self.beams = {
            Prefix(roots.index(cuts[prefix]), prefix.labels[len(cuts[prefix].labels) :]): both
            for prefix, both in self.beams.items()
        }
        if roots:
            self.main = roots.index(next(iter(cuts.values())))  # that of the best beam
            self.states, self.before = states, before

    def _cuts(self, n_labels: int) -> dict[Prefix, Prefix] | None:
        """Where each beam is to be cut so that the first labels of the best one can go; None if they may still change.

        All beams that begin otherwise must be the worse twins of some that begin so: what they go on with, their last
        label and the model's state are the same, and both their sums are smaller, or equal if they stand behind them
        in the order of the texts. Then they stay so, since what comes multiplies both alike. Nothing may flow into what
        is left from a prefix that is cut off.
        """
        if not self.beams or n_labels > len(next(iter(self.beams)).labels):
            return None
        root = Prefix(self.main, next(iter(self.beams)).labels[:n_labels])
        own = [p for p in self.beams if p.root == root.root and p.labels[:n_labels] == root.labels]
        cuts = {}
        for prefix in self.beams:
            if prefix in own:
                cuts[prefix] = root
                continue
            longest = -1
            for twin in own:
                rest = twin.labels[n_labels:]
                if (
                    len(rest) > longest
                    and len(rest) <= len(prefix.labels)
                    and prefix.labels[len(prefix.labels) - len(rest) :] == rest
                    and self._dominates(twin, prefix)
                ):
                    longest = len(rest)
            if longest < 0:
                return None
            cuts[prefix] = Prefix(prefix.root, prefix.labels[: len(prefix.labels) - longest])
        for cut in cuts.values():
            for above in [*cuts, *cuts.values()]:
                n = len(above.labels)
                if above.root == cut.root and n < len(cut.labels) and cut.labels[:n] == above.labels:
                    return None
        return cuts

    def _dominates(self, one: Prefix, other: Prefix) -> bool:
        """Whether a beam is better than another, and stays better whatever comes, if both go on alike."""
        a, b = self.beams[one], self.beams[other]
        if self.words:
            c, d = self.notes[one], self.notes[other]
            if (c.node, c.state, c.hot) != (d.node, d.state, d.hot):
                return False
            if not self.words.fusion and (c.n_words != d.n_words or c.text < d.text or c.weight < d.weight):
                return False
        return (
            self._last(one) == self._last(other)
            and self._state(one) == self._state(other)
            # What comes may leave one of the sums alone: each must be smaller by more than roundings make equal.
            and all(x >= y for x, y in zip(a, b, strict=True))
            and (one < other or all(y < x * (1.0 - 1e-9) or x == y == 0.0 for x, y in zip(a, b, strict=True)))
        )


def _after(note: Note, label: int, words: LexiconModel) -> Note | None:
    """Where a text stands after one more label; None if it must not follow."""
    if words.fusion:
        return _after_fused(note, label, words, words.fusion)
    node, state, n_words, text = note[:4]
    base, factor = note.base, 1.0
    hot = _child(words.hot, note.hot, label) if note.hot >= 0 else -1
    if words.is_word_char[label]:
        child, end = (node + 1, words.tree.ends[node]) if node >= 0 else (0, len(words.tree.ends) - 1)
        while child < end and words.tree.node_labels[child] != label:
            child = words.tree.ends[child]
        if child >= end:
            return None
        if node == -1 and hot < 0:
            hot = _child(words.hot, -1, label)
        if words.forecast:
            first, last = words.tree.words[child], words.tree.words[words.tree.ends[child]]
            assert words.tables is not None
            assert words.sums is not None
            total = ngram.forecast(words.tables, words.sums, state, first, last)
            base = exp((text + log(total)) / (n_words + 1)) if total > 0.0 else 0.0
        node = int(child)
    else:
        if node >= 0:
            if node + 1 < words.tree.ends[node] and words.tree.words[node + 1] == words.tree.words[node]:
                return None  # no word ends here
            factor = exp(words.hot.whole[note.hot]) if words.hot and note.hot >= 0 else 1.0
            if words.tables is not None:
                score, state = ngram.score(words.tables, state, [int(words.tree.words[node])])
                n_words += 1
                text += score[0]
                base = exp(text / n_words) if text > -inf else 0.0
        node = -1
    weight = base * exp(words.hot.partial[hot]) if words.hot and hot >= 0 else base
    return Note(node, state, n_words, text, weight, factor, hot, base)


def _final(note: Note, words: LexiconModel) -> Note | None:
    """Where a text stands at the end; what weighs it is the factor. None if it ends within a word that is none."""
    if words.fusion:
        return _ended(note, words)
    reward = words.hot.whole[note.hot] if words.hot and note.hot >= 0 and note.node >= 0 else 0.0
    return note._replace(factor=note.base * exp(reward))


def _after_fused(note: Note, label: int, words: LexiconModel, fusion: Fusion) -> Note | None:
    """The same in shallow fusion: words multiply the sums when they end; until then they weigh as much as all words
    that they may become."""
    is_open = not isnan(fusion.unknown)
    hot = _child(words.hot, note.hot, label) if note.hot >= 0 else -1
    if not words.is_word_char[label]:
        if note.node != -1:
            ended = _ended(note, words)
            if ended is None:
                return None
            note = ended
        else:
            note = note._replace(factor=1.0)
        return note._replace(weight=exp(words.hot.partial[hot]) if words.hot and hot >= 0 else 1.0, hot=hot)
    factor = 1.0
    if note.node != -1 and words.starts_word[label]:  # a piece that begins the next word
        ended = _ended(note, words)
        if ended is None:
            return None
        note, factor = ended, ended.factor
    if note.node == -1 and hot < 0:
        hot = _child(words.hot, -1, label)
    node = -2
    if note.node != -2:
        child, end = (note.node + 1, words.tree.ends[note.node]) if note.node >= 0 else (0, len(words.tree.ends) - 1)
        while child < end and words.tree.node_labels[child] != label:
            child = words.tree.ends[child]
        node = int(child) if child < end else -2
    if node == -2 and not is_open:
        return None
    ahead = 0.0
    if words.tables is not None and node >= 0:
        first, last = words.tree.words[node], words.tree.words[words.tree.ends[node]]
        assert words.sums is not None
        total = ngram.forecast(words.tables, words.sums, note.state, first, last)
        ahead = log(total) if total > 0.0 else -inf
    if is_open:
        ahead = max(ahead, fusion.unknown) if node >= 0 else fusion.unknown
    partial = words.hot.partial[hot] if words.hot and hot >= 0 else 0.0
    return note._replace(node=node, weight=exp(fusion.weight * ahead + partial), factor=factor, hot=hot)


def _ended(note: Note, words: LexiconModel) -> Note | None:
    """Where a text stands when its last word has ended; None if that is none."""
    fusion = words.fusion
    assert fusion is not None
    node, state = note.node, note.state
    if node == -1:
        return note._replace(factor=1.0)
    whole = node >= 0 and (node + 1 == words.tree.ends[node] or words.tree.words[node + 1] > words.tree.words[node])
    if not whole and isnan(fusion.unknown):
        return None
    value = 0.0 if whole else fusion.unknown
    if words.tables is not None:
        score, state = ngram.score(words.tables, state, [int(words.tree.words[node]) if whole else -1])
        value = score[0] if whole else value
    reward = words.hot.whole[note.hot] if words.hot and note.hot >= 0 else 0.0
    factor = exp(fusion.weight * value + fusion.bonus + reward) if value > -inf else 0.0
    return Note(-1, state, note.n_words + 1, note.text + value, 1.0, factor)


def _child(hot: HotWordTree | None, node: int, label: int) -> int:
    """The node of a hot word or phrase after one more label."""
    if hot is None:
        return -1
    child, end = (node + 1, hot.ends[node]) if node >= 0 else (0, len(hot.ends) - 1)
    while child < end:
        if hot.node_labels[child] == label:
            return int(child)
        child = hot.ends[child]
    return -1


def beam_search(
    probs: Matrix,
    blank: int,
    beam_width: int,
    n_best: int,
    model: CharacterModel | None = None,
    words: LexiconModel | None = None,
) -> list[tuple[Labels, float]]:
    """The ``n_best`` label sequences with the largest sums over the paths that survived, best first.

    Returns (labels, log of the sum) pairs.
    """
    beams = Beams(len(probs[0]) if len(probs) else blank + 1, blank, model, words)
    beams.extend(probs, beam_width)
    return beams.best(n_best)


def beam_search_batch(
    batch: Sequence[Matrix],
    blank: int,
    beam_width: int,
    n_best: int,
    model: CharacterModel | None = None,
    words: LexiconModel | None = None,
) -> list[list[tuple[Labels, float]]]:
    return [beam_search(probs, blank, beam_width, n_best, model, words) for probs in batch]
