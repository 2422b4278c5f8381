"""The last judge: all paths of a small matrix, one by one."""

from itertools import product
from math import prod


def collapse(path, blank):
    labels, previous = [], blank
    for label in path:
        if label not in (previous, blank):
            labels.append(label)
        previous = label
    return tuple(labels)


def all_paths(rows, n_classes):
    """(path, probability) of every path."""
    for path in product(range(n_classes), repeat=len(rows)):
        yield path, prod(row[label] for row, label in zip(rows, path, strict=True))


def text_probabilities(rows, blank, n_classes):
    """labels -> probability, of every text, the impossible ones included."""
    texts = {}
    for path, probability in all_paths(rows, n_classes):
        labels = collapse(path, blank)
        texts[labels] = texts.get(labels, 0.0) + probability
    return texts
