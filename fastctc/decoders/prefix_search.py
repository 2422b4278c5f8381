"""Prefix search."""

import warnings
from dataclasses import KW_ONLY, dataclass
from functools import cmp_to_key
from math import inf, log

import numpy as np

from fastctc import backends
from fastctc.alphabet import Alphabet
from fastctc.decoders.decoder import Decoder
from fastctc.frames import Frames, Probabilities, Workspace, as_probabilities
from fastctc.hypothesis import Hypothesis, hypotheses, inexact

MEMORY = 1 << 30  # bytes that the prefixes may take, if nothing else is said
MOST = 1 << 24  # texts
SURE = log(1e-280)  # texts below may be sums of what doubles have rounded to 0

Text = tuple[tuple[int, ...], float]  # labels, log probability


@dataclass(frozen=True)
class PrefixSearch(Decoder):
    """The most probable texts of all, provably: for short or well recognised sequences.

    Best-first search over all prefixes: the one whose continuations hold most probability is extended next, until no
    prefix can hold a better text than those found. A prefix takes O(T C) time for T frames of C classes, and O(T)
    memory; how many prefixes have to be seen depends on how sure the network is, and grows exponentially where it is
    not.

    Parameters
    ----------
    alphabet : Alphabet
    split : float, optional
        Cut the sequence wherever the blank is more probable than this, 0.9 or more, and search the sections one by
        one. It makes long sequences possible, and gives nearly always the same texts, but no longer provably. They
        stand in the order of their ``log_prob`` where that is computed.
    n_best : int, default 1
        How many texts to return; fewer come back where fewer are possible.
    max_prefixes : int, optional
        Give up after so many prefixes of one section: the best texts found so far are returned, or that of the best
        path where none was found, with a RuntimeWarning that they need not be the most probable ones. By default what
        fits into 1 GiB.
    exact : bool, default True
        Whether to compute ``log_prob`` of all frames at once, ``timesteps``, ``words`` and ``confidence``.
    backend : str, default "compiled"
        "reference" runs the plain Python specification.

    Raises
    ------
    ValueError
        For a split that is not between 0.5 and 1, n_best or max_prefixes below 1.

    Notes
    -----
    A text is found if it has more than 1e-280 of the probability of all texts of its section, and if no frame it needs
    gives its class less than 1e-307. Where fewer texts than ``n_best`` have that, a RuntimeWarning says so.

    References
    ----------
    A. Graves: Supervised Sequence Labelling with Recurrent Neural Networks, 2012, section 7.4.1.

    Examples
    --------
    >>> from fastctc import Alphabet, PrefixSearch
    >>> PrefixSearch(Alphabet("ab")).decode(probs=[[0.4, 0, 0.6], [0.4, 0, 0.6]])[0].text
    'a'
    """

    alphabet: Alphabet
    _: KW_ONLY
    split: float | None = None
    n_best: int = 1
    max_prefixes: int | None = None
    exact: bool = True
    backend: str = "compiled"

    def __post_init__(self) -> None:
        if self.split is not None and not 0.5 <= self.split < 1:
            raise ValueError(f"split must be a probability, 0.5 or more and below 1, got {self.split}")
        if not 1 <= self.n_best <= MOST:
            raise ValueError(f"n_best must be 1 to {MOST} (fastctc.decoders.prefix_search.MOST), got {self.n_best}")
        if self.max_prefixes is not None and not 1 <= self.max_prefixes < 1 << 31:
            raise ValueError(f"max_prefixes must be 1 to {(1 << 31) - 1}, got {self.max_prefixes}")

    def _decode(self, batch: list[Frames], workspace: Workspace) -> list[list[Hypothesis]]:
        return [self._decode_one(frames) for frames in as_probabilities(batch, workspace)]

    def _decode_one(self, frames: Probabilities) -> list[Hypothesis]:
        texts = self._joined([self._search(section) for section in self._sections(frames)])
        if self.exact:
            found = hypotheses(self.alphabet, [(frames, labels, score) for labels, score in texts], self.backend)
            return sorted(found, key=lambda one: (-one.log_prob, one.labels)) if self.split is not None else found
        decode = self.alphabet.decode
        return [inexact(decode(labels), labels, score) for labels, score in texts]

    def _sections(self, frames: Probabilities) -> list[Probabilities]:
        if self.split is None or not len(frames.probs):
            return [frames]
        sure = frames.probs[:, self.alphabet.blank] > self.split * frames.probs.sum(axis=1)
        cuts = np.flatnonzero(sure[1:] & ~sure[:-1]) + 1
        return [Probabilities(probs, None) for probs in np.split(frames.probs, cuts)]

    def _search(self, section: Probabilities) -> list[Text]:
        search = backends.load(self.backend, "prefix_search").prefix_search
        limit = self.max_prefixes or min(max(1, MEMORY // (16 * max(1, len(section.probs)))), 1 << 30)
        texts: list[Text]
        texts, rest = search(section.probs, self.alphabet.blank, self.n_best, limit)
        least = texts[-1][1] if len(texts) == self.n_best else -inf
        if rest > least:
            warnings.warn(
                f"prefix search gave up after {limit} prefixes: the texts need not be the most probable ones. Use "
                "split=0.9 for long sequences, or BeamSearch",
                RuntimeWarning,
                stacklevel=5,
            )
            return texts or [self._best_path(section)]
        if least < SURE and self._may_vanish(section, least):
            warnings.warn(
                f"prefix search was asked for {self.n_best} texts, of which some may have less than 1e-280 of the "
                "probability of all: such texts are not found",
                RuntimeWarning,
                stacklevel=5,
            )
        return texts

    def _may_vanish(self, section: Probabilities, least: float) -> bool:
        """Whether texts may be missing, the least of those found having this log probability."""
        everything = np.log(section.probs.sum(axis=1)).sum()
        smallest = np.min(section.probs, axis=1, where=section.probs > 0, initial=inf)
        return bool(least < SURE + everything and np.log(smallest).sum() < SURE + everything)

    def _best_path(self, section: Probabilities) -> Text:
        """The text of the best path, for frames whose other texts are all too improbable for a double."""
        blank = self.alphabet.blank
        with np.errstate(divide="ignore"):
            log_probs = np.log(section.probs)
        labels, *_ = backends.load(self.backend, "best_path").best_path(log_probs, blank)
        return labels, backends.load(self.backend, "loss").log_probability(section.probs, labels, blank, False)

    def _joined(self, sections: list[list[Text]]) -> list[Text]:
        """The best texts of all sections, one after the other."""
        if len(sections) == 1:
            return sections[0]
        if self.n_best == 1:  # nothing to choose from
            text: list[int] = []
            total = 0.0
            for [(part, score)] in sections:
                text += part
                total += score
            return [(tuple(text), total)]
        tree, best = _Tree(), [(0, 0.0)]
        for texts in sections:
            sums: dict[int, float] = {}
            for node, score in best:
                for labels, more in texts:
                    longer = tree.extend(node, labels)
                    total = score + more
                    sums[longer] = float(np.logaddexp(sums[longer], total)) if longer in sums else total
            best = tree.sort(sums)[: self.n_best]
        return [(tree.labels(node), score) for node, score in best]


class _Tree:
    """Texts by their beginnings: as tuples they would be copied with each section that is added.

    Each node also jumps to an ancestor, so that two texts are compared in steps as the logarithm of their length (E. W.
    Myers: An applicative random-access stack, Information Processing Letters 17, 1983).
    """

    def __init__(self) -> None:
        self._children: dict[tuple[int, int], int] = {}
        self._parents, self._labels, self._depths, self._jumps = [0], [-1], [0], [0]

    def extend(self, node: int, labels: tuple[int, ...]) -> int:
        parents, depths, jumps = self._parents, self._depths, self._jumps
        for label in labels:
            new = len(parents)
            child = self._children.setdefault((node, label), new)
            if child == new:
                jump = jumps[node]
                even = depths[node] - depths[jump] == depths[jump] - depths[jumps[jump]]
                jumps.append(jumps[jump] if even else node)
                parents.append(node)
                depths.append(depths[node] + 1)
                self._labels.append(label)
            node = child
        return node

    def labels(self, node: int) -> tuple[int, ...]:
        result = []
        while node:
            result.append(self._labels[node])
            node = self._parents[node]
        return tuple(reversed(result))

    def sort(self, scores: dict[int, float]) -> list[tuple[int, float]]:
        """The greatest score first, and equal ones in lexicographic order."""

        def compare(one: tuple[int, float], other: tuple[int, float]) -> int:
            if one[1] != other[1]:
                return -1 if one[1] > other[1] else 1
            return self._compare(one[0], other[0])

        return sorted(scores.items(), key=cmp_to_key(compare))

    def _compare(self, one: int, other: int) -> int:
        """Negative where the first text comes first."""
        parents, jumps, depths = self._parents, self._jumps, self._depths
        longer = depths[one] - depths[other]
        depth = min(depths[one], depths[other])
        one, other = self._ancestor(one, depth), self._ancestor(other, depth)
        if one == other:
            return longer
        while parents[one] != parents[other]:
            ways = jumps if jumps[one] != jumps[other] else parents
            one, other = ways[one], ways[other]
        return self._labels[one] - self._labels[other]

    def _ancestor(self, node: int, depth: int) -> int:
        while self._depths[node] > depth:
            jump = self._jumps[node]
            node = jump if self._depths[jump] >= depth else self._parents[node]
        return node
