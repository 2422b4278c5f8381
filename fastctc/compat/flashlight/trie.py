"""The tree of spellings, as programs build it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from fastctc.search_inputs import SpellingTree


class SmearingMode(IntEnum):
    """What stands for the words below a node."""

    NONE = 0
    MAX = 1
    LOGADD = 2


class TrieNode:
    """A beginning of spellings, with the words that are spelt so."""

    __slots__ = ("children", "idx", "labels", "max_score", "scores")

    def __init__(self, idx: int) -> None:
        self.idx = idx
        self.children: dict[int, TrieNode] = {}
        self.labels: list[int] = []
        self.scores: list[float] = []
        self.max_score = 0.0


class Trie:
    """A tree of spellings over tokens 0 to ``max_children - 1``."""

    def __init__(self, max_children: int, root_idx: int) -> None:
        self._root = TrieNode(root_idx)
        self._n_tokens = max_children

    def get_root(self) -> TrieNode:
        """The node of the empty spelling."""
        return self._root

    def insert(self, indices: Sequence[int], label: int, score: float) -> TrieNode:
        """Add a word with its spelling and the language model's score for it; IndexError for an unknown token."""
        node = self._root
        for idx in indices:
            child = node.children.get(idx)
            if child is None:
                child = node.children[self._checked(idx)] = TrieNode(idx)
            node = child
        node.labels.append(label)
        node.scores.append(float(np.float32(score)))
        return node

    def search(self, indices: Sequence[int]) -> TrieNode | None:
        """The node of a spelling, if there is one; IndexError for an unknown token."""
        node: TrieNode | None = self._root
        for idx in indices:
            node = node.children.get(self._checked(idx)) if node is not None else None
        return node

    def smear(self, smear_mode: SmearingMode) -> None:
        """Let the words below each node count for it, until they end."""
        if smear_mode == SmearingMode.NONE:
            return
        for node in reversed(self._nodes()):
            score = np.float32(-np.inf)
            for value in node.scores:
                score = np.float32(np.logaddexp(np.float64(score), value))
            for child in node.children.values():
                if smear_mode == SmearingMode.LOGADD:
                    score = np.float32(np.logaddexp(np.float64(score), child.max_score))
                else:
                    score = max(score, np.float32(child.max_score))
            node.max_score = float(score)

    def _checked(self, idx: int) -> int:
        if not 0 <= idx < self._n_tokens:
            raise IndexError(f"[Trie] Invalid letter index: {idx}")
        return idx

    def _nodes(self) -> list[TrieNode]:
        """All of them, level by level, children in the order of their tokens."""
        nodes = [self._root]
        for node in nodes:  # which grows
            nodes += [child for _, child in sorted(node.children.items())]
        return nodes

    def _tables(self) -> SpellingTree:
        """What the search takes."""
        nodes = self._nodes()
        counts = np.fromiter((len(node.children) for node in nodes), np.int32, len(nodes))
        labels = np.fromiter((len(node.labels) for node in nodes), np.int32, len(nodes))
        tokens = np.fromiter((node.idx for node in nodes), np.int32, len(nodes))
        tokens[0] = -1
        return SpellingTree(
            tokens,
            np.concatenate([[1], 1 + np.cumsum(counts)]).astype(np.int32),
            np.concatenate([[-1], np.repeat(np.arange(len(nodes)), counts)]).astype(np.int32),
            np.fromiter((node.max_score for node in nodes), np.float32, len(nodes)),
            np.concatenate([[0], np.cumsum(labels)]).astype(np.int32),
            np.fromiter((label for node in nodes for label in node.labels), np.int32, int(labels.sum())),
        )
