"""Streams: which labels can no longer change, and how a beam search goes on without them.

A beam search may let go of the first labels of its best beam as soon as no text that begins otherwise can ever win. The
other beams still take their places among the ``beam_width`` survivors, so that the search goes on exactly as if nothing
had been let go. They are kept behind *roots* of their own. A root stands for a text that has been cut off. The main
root stands for the text committed; no other root can lead to the winner. Roots are numbered in the lexicographic order
of their texts, and none of these texts begins with another: so prefixes stand in the order of their whole texts.
"""

from typing import TypeVar

from fastctc.reference.beam_search import Beams, Labels, Prefix

State = TypeVar("State")
CLOSE = 1e-9  # numbers that differ by less, relatively, may have become equal by rounding


class StreamBeams(Beams):
    """Beams whose first labels may be let go as soon as they can no longer change."""

    def prefixes(self) -> list[tuple[Labels, bool, bool]]:
        """All prefixes since the last commit, whether some of their paths end in a blank, and some in a label."""
        return [
            (labels, p_blank > 0.0, p_label > 0.0)
            for (root, labels), (p_blank, p_label) in self._beams.items()
            if root == self._main_root
        ]

    def stable(self, limit: int) -> Labels:
        """The longest beginning of the best prefix, of at most ``limit`` labels, that can no longer change."""
        labels = self._best_labels()
        for n_labels in range(min(limit, len(labels)), 0, -1):
            if self._find_cuts(n_labels) is not None:
                return labels[:n_labels]
        return ()

    def commit(self, n_labels: int) -> None:
        """Let the first of the stable labels go: all prefixes begin behind their cuts from now on.

        Raises
        ------
        ValueError
            If these labels may still change.
        """
        cuts = self._find_cuts(n_labels) if n_labels else {prefix: (prefix[0], ()) for prefix in self._beams}
        if cuts is None:
            raise ValueError(f"n_labels must be a number of labels that can no longer change, got {n_labels}")
        if not cuts:
            return
        roots = sorted(set(cuts.values()))
        numbers = {root: number for number, root in enumerate(roots)}

        def moved(prefix: Prefix, cut: Prefix) -> Prefix:
            return numbers[cut], prefix[1][len(cut[1]) :]

        def kept(states: dict[Prefix, State]) -> dict[Prefix, State]:
            return {
                moved(prefix, root): states[prefix] for root in roots for prefix in states if _begins_with(prefix, root)
            }

        for root in roots:
            self._char_state(root)  # so that it stands among the states that are kept
        self._root_labels = [self._last_label(root) for root in roots]
        self._char_states, self._word_states = kept(self._char_states), kept(self._word_states)
        self._beams = {moved(prefix, cuts[prefix]): both for prefix, both in self._beams.items()}
        self._main_root = next(iter(self._beams))[0]  # that of the best beam

    def _best_labels(self) -> Labels:
        return next(iter(self._beams))[1] if self._beams else ()

    def _find_cuts(self, n_labels: int) -> dict[Prefix, Prefix] | None:
        """Where each beam is to be cut so that the first labels of the best one can go; None if they may still change.

        A beam that begins with these labels is cut behind them. Any other must be dominated by one of those: then it is
        cut where both go on with equal labels. Nothing may flow into what is left from a prefix that is cut off,
        so no cut, and no beam, may lie on the way to another cut.
        """
        if not 0 < n_labels <= len(self._best_labels()):
            return None
        root: Prefix = (self._main_root, self._best_labels()[:n_labels])
        inside = [prefix for prefix in self._beams if _begins_with(prefix, root)]
        cuts = dict.fromkeys(inside, root)
        for prefix in self._beams:
            if prefix not in cuts:
                rests = [better[1][n_labels:] for better in inside if self._dominates(better, prefix, n_labels)]
                if not rests:
                    return None
                number, labels = prefix
                cuts[prefix] = number, labels[: len(labels) - max(map(len, rests))]
        for cut in cuts.values():
            if any(cut != above and _begins_with(cut, above) for above in [*cuts, *cuts.values()]):
                return None
        return cuts

    def _dominates(self, one: Prefix, other: Prefix, n_labels: int) -> bool:
        """Whether the other beam can never catch up with one, if both go on alike behind the labels to be let go.

        The other ends in what one has behind these labels. The models know the same about both, so that whatever comes
        multiplies both alike. What comes may leave one of the two sums alone: so each of them must be smaller, by more
        than rounding can make equal, unless the order of the texts decides between equals.
        """
        rest, labels = one[1][n_labels:], other[1]
        if len(rest) > len(labels) or labels[len(labels) - len(rest) :] != rest:
            return False
        if self._last_label(one) != self._last_label(other) or self._char_state(one) != self._char_state(other):
            return False
        if self._lexicon_model:
            a, b = self._word_states[one], self._word_states[other]
            if (a.lexicon_node, a.lm_state, a.hot_node) != (b.lexicon_node, b.lm_state, b.hot_node):
                return False
            # In shallow fusion the words that have ended are part of the sums; as published they weigh for ever.
            if not self._lexicon_model.fusion and (
                a.n_words != b.n_words or a.lm_log_prob < b.lm_log_prob or a.weight < b.weight
            ):
                return False
        sums = list(zip(self._beams[one], self._beams[other], strict=True))
        if any(x < y for x, y in sums):
            return False
        return one < other or all(y < x * (1.0 - CLOSE) or x == y == 0.0 for x, y in sums)


def _begins_with(prefix: Prefix, beginning: Prefix) -> bool:
    return prefix[0] == beginning[0] and prefix[1][: len(beginning[1])] == beginning[1]
