"""A lexicon as a prefix tree in arrays.

Words stand in lexicographic order of their labels, nodes in preorder: the children of a node follow it, each with all
that is below it. So a node needs no pointers, only the place where its subtree ends, and the words below a node are
a range.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastctc.search_inputs import HotWordTree, PrefixTree


def prefix_tree(labels: Sequence[int], offsets: Sequence[int]) -> PrefixTree:
    """Tree of the words labels[offsets[i]:offsets[i + 1]], which must be sorted and different.

    Returns for each node but the root its label, the node after its subtree, and the number of words before it; all
    three are followed by an entry for the end: -1, the number of nodes, the number of words.
    """
    node_labels: list[int] = []
    ends: list[int] = []
    words: list[int] = []
    path: list[int] = []  # nodes from the root's child to the last word
    previous: list[int] = []
    for word in range(len(offsets) - 1):
        current = [int(label) for label in labels[offsets[word] : offsets[word + 1]]]
        common = 0
        while common < min(len(previous), len(current)) and previous[common] == current[common]:
            common += 1
        if current <= previous:
            raise ValueError(f"words must be sorted and different, got word {word} after its predecessor")
        for node in path[common:]:
            ends[node] = len(node_labels)
        del path[common:]
        for label in current[common:]:
            path.append(len(node_labels))
            node_labels.append(label)
            ends.append(-1)
            words.append(word)
        previous = current
    for node in path:
        ends[node] = len(node_labels)
    tables = ([*node_labels, -1], [*ends, len(node_labels)], [*words, len(offsets) - 1])
    return PrefixTree(*(np.array(table, dtype=np.int32) for table in tables))


def find_child(tree: PrefixTree | HotWordTree, node: int, label: int) -> int:
    """The child of a node that has the label, -1 if there is none. The root is node -1; its children are the first."""
    child = node + 1
    end = tree.ends[node] if node >= 0 else len(tree.ends) - 1
    while child < end:
        if tree.node_labels[child] == label:
            return child
        child = int(tree.ends[child])
    return -1


def ends_word(tree: PrefixTree, node: int) -> bool:
    """Whether the labels from the root to the node are a word: then its children stand before fewer words than it."""
    return bool(node + 1 == tree.ends[node] or tree.words[node + 1] > tree.words[node])


def words_below(tree: PrefixTree, node: int) -> tuple[int, int]:
    """The words that begin with the labels from the root to the node: the first, and the one after the last."""
    return int(tree.words[node]), int(tree.words[tree.ends[node]])


def best_below(tree: PrefixTree, priors: Sequence[float]) -> NDArray[np.float64]:
    """Greatest prior of the words below each node, and 0 at the end."""
    words, ends = tree.words, tree.ends
    best = [max(priors[words[node] : words[ends[node]]]) for node in range(len(ends) - 1)]
    return np.array([*best, 0.0], dtype=np.float64)


def words_near(tree: PrefixTree, text: Sequence[int], tolerance: int) -> list[tuple[int, int]]:
    """All words whose edit distance to the text is at most the tolerance, with the distance, in their order.

    Each node has the row of distances between its prefix and the beginnings of the text, made from its parent's; if all
    of them are above the tolerance, so are those of all words below.
    """
    node_labels, ends, words = tree
    found = []

    def descend(node: int, end: int, above: list[int]) -> None:
        while node < end:
            row = [above[0] + 1]
            for j, label in enumerate(text):
                row.append(min(above[j] + (label != node_labels[node]), above[j + 1] + 1, row[j] + 1))
            below = node + 1
            if row[-1] <= tolerance and (below == ends[node] or words[below] > words[node]):
                found.append((int(words[node]), row[-1]))
            if min(row) <= tolerance:
                descend(below, ends[node], row)
            node = ends[node]

    descend(0, len(ends) - 1, list(range(len(text) + 1)))
    return sorted(found)
