"""Lexicon: the words that a text may consist of, as a prefix tree in arrays."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc import backends, storage
from fastctc.alphabet import Alphabet
from fastctc.compiled import lexicon as compiled
from fastctc.search_inputs import PrefixTree
from fastctc.value import Value


@dataclass(frozen=True, eq=False)
class Lexicon(Value):
    """Words over an alphabet, in lexicographic order of their labels, and their prefix tree.

    Made by :meth:`from_words`, :meth:`from_file` or :meth:`load`. All fields are arrays, so that a lexicon pickles, is
    shared by threads without a copy, and needs 20 bytes a tree node, 4 a character and 16 a word.
    """

    alphabet: Alphabet
    labels: NDArray[np.int32]  # of all words, one after the other
    offsets: NDArray[np.int64]  # where in labels each word begins, and the end
    priors: NDArray[np.float64]  # of each word; 1 if none were given
    node_labels: NDArray[np.int32] = field(repr=False)  # see fastctc.reference.lexicon.prefix_tree
    ends: NDArray[np.int32] = field(repr=False)
    words: NDArray[np.int32] = field(repr=False)
    bounds: NDArray[np.float64] = field(repr=False)  # greatest prior below each node
    has_priors: bool = False
    skipped: tuple[str, ...] = ()  # words with characters that are not in the alphabet

    @classmethod
    def from_words(
        cls,
        words: Sequence[str],
        alphabet: Alphabet,
        priors: Sequence[float] | None = None,
        *,
        unknown: str = "raise",
    ) -> "Lexicon":
        """Build a lexicon.

        Parameters
        ----------
        words : sequence of str
            In any order. From a handful (the dates, names or codes that a field of a form may hold) to millions.
        alphabet : Alphabet
        priors : sequence of float, optional
            A weight for each word, such as its frequency: not negative; only their ratios matter.
        unknown : {"raise", "skip"}
            What to do about words with characters that are not in the alphabet: refuse them, or leave them out and
            list them in ``skipped``.

        Raises
        ------
        ValueError
            For no words, an empty or duplicate word, a character that is not in the alphabet, priors that are
            negative, NaN, infinite, all 0, or not as many as words.

        Examples
        --------
        >>> from fastctc import Alphabet, Lexicon
        >>> lexicon = Lexicon.from_words(["cab", "ab", "abba"], Alphabet("abc"))
        >>> len(lexicon), lexicon.word(1), "cab" in lexicon
        (3, 'abba', True)
        """
        if unknown not in ("raise", "skip"):
            raise ValueError(f"unknown must be 'raise' or 'skip', got {unknown!r}")
        words = list(words)
        weights = np.ones(len(words)) if priors is None else np.asarray(priors, dtype=np.float64)
        if weights.shape != (len(words),):
            raise ValueError(f"priors must be {len(words)} numbers, one a word, got shape {weights.shape}")
        if not (np.isfinite(weights) & (weights >= 0)).all():
            bad = int(np.argmin(np.isfinite(weights) & (weights >= 0)))
            raise ValueError(f"priors must be finite and not negative, got {weights[bad]} for {words[bad]!r}")
        keys, kept, skipped = _encoded(words, alphabet)
        if skipped and unknown == "raise":
            some = ", ".join(map(repr, skipped[:5]))
            raise ValueError(
                f"words must consist of the alphabet's characters, but {len(skipped)} of {len(words)} do not: {some}"
                f"{', …' if len(skipped) > 5 else ''} (unknown='skip' leaves them out)"
            )
        if not keys:
            raise ValueError("a lexicon must have at least one word, got none")
        if "" in keys:
            raise ValueError(f"words must not be empty, got an empty one at position {words.index('')}")
        order = sorted(range(len(keys)), key=keys.__getitem__)
        ordered = [keys[i] for i in order]
        for before, after in pairwise(ordered):
            if before == after:
                word = alphabet.decode([ord(c) - FIRST for c in after])
                raise ValueError(f"words must be different, got {word!r} twice")
        weights = weights[kept][order]
        if not weights.any():
            raise ValueError("priors must not all be 0")
        labels = np.frombuffer("".join(ordered).encode("utf-32-le"), dtype=np.int32) - FIRST
        offsets = np.zeros(len(ordered) + 1, dtype=np.int64)
        np.cumsum(np.fromiter(map(len, ordered), dtype=np.int64, count=len(ordered)), out=offsets[1:])
        tree = compiled.prefix_tree(labels, offsets)
        bounds = compiled.best_below(tree, weights)
        return cls(
            alphabet,
            labels,
            offsets,
            weights,
            *tree,
            bounds,
            priors is not None,
            tuple(skipped),
        )

    @classmethod
    def from_text(cls, text: str, alphabet: Alphabet, **options: Any) -> "Lexicon":
        """Build a lexicon of the words of a text: the longest runs of the alphabet's word characters.

        Characters that are not in the alphabet end a word too.

        >>> lexicon = Lexicon.from_text("a cab, a tab", Alphabet("abct ,", word_characters="abct"))
        >>> lexicon.all_words()
        ['a', 'cab', 'tab']
        """
        characters = [c for c, is_word in zip(alphabet.symbols, alphabet.is_word, strict=True) if is_word]
        if alphabet.word_begin is not None or any(len(c) > 1 for c in characters):
            words = text.split()
        else:
            words = re.findall(f"[{re.escape(''.join(characters))}]+", text)
        return cls.from_words(list(dict.fromkeys(words)), alphabet, **options)

    @classmethod
    def from_file(cls, path: str | PathLike[str], alphabet: Alphabet, **options: Any) -> "Lexicon":
        """Read a word list: UTF-8 text, one word a line; empty lines are passed over, repeated words count once.

        Raises
        ------
        OSError, ValueError
            If the file cannot be read, with the number of the line that is not UTF-8 text; and as :meth:`from_words`.
        """
        words: dict[str, None] = {}
        for number, line in enumerate(Path(path).read_bytes().splitlines(), 1):
            try:
                word = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                raise ValueError(f"{path}, line {number}: a word list must be UTF-8 text: {error}") from None
            if word:
                words[word] = None
        try:
            return cls.from_words(list(words), alphabet, **options)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def tree(self) -> PrefixTree:
        """The words as the searches take them."""
        return PrefixTree(self.node_labels, self.ends, self.words)

    def word_labels(self, number: int) -> tuple[int, ...]:
        """Labels of a word."""
        return tuple(self.labels[self.offsets[number] : self.offsets[number + 1]].tolist())

    def word(self, number: int) -> str:
        """A word, by its place in the order of the lexicon."""
        return self.alphabet.decode(self.word_labels(number))

    def all_words(self) -> list[str]:
        """The words, in their order."""
        offsets = self.offsets.tolist()
        if all(len(c) == 1 for c in self.alphabet.characters) and self.alphabet.word_begin is None:
            text = self.alphabet.decode(self.labels.tolist())  # all at once
            return [text[start:stop] for start, stop in pairwise(offsets)]
        return [self.word(number) for number in range(len(self))]

    def numbers_near(self, labels: Sequence[int], tolerance: int, backend: str = "compiled") -> list[tuple[int, int]]:
        """Number and edit distance of all words that are at most the tolerance away from the labels."""
        near = backends.load(backend, "lexicon").words_near
        found: list[tuple[int, int]] = near(self.tree, labels, min(tolerance, FARTHEST))
        return found

    def similar(self, text: str, tolerance: int = 1) -> list[tuple[str, int]]:
        """Words whose edit distance to a text is at most the tolerance, and the distance, nearest first.

        Found along the prefix tree, which asks for fewer distances than a BK-tree and needs no memory of its own.

        Raises
        ------
        ValueError
            For a tolerance below 0.

        Examples
        --------
        >>> Lexicon.from_words(["cab", "ab", "abba"], Alphabet("abc")).similar("abb")
        [('ab', 1), ('abba', 1)]
        """
        known = set(self.alphabet.characters)
        if self.alphabet.word_begin is None and all(len(c) == 1 for c in known):
            labels = [self.alphabet.encode(c)[0] if c in known else -1 for c in text]  # -1 is like no label
        else:
            labels = list(self.alphabet.encode(text))
        found = self.numbers_near(labels, tolerance)
        return [(self.word(number), distance) for number, distance in sorted(found, key=lambda one: (one[1], one[0]))]

    def save(self, path: str | PathLike[str]) -> None:
        """Write the arrays to a file that :meth:`load` maps into memory."""
        alphabet = self.alphabet
        about = {
            "characters": list(alphabet.characters),
            "blank": alphabet.blank,
            "word_characters": None if alphabet.word_characters is None else sorted(alphabet.word_characters),
            "word_begin": alphabet.word_begin,
            "has_priors": self.has_priors,
            "skipped": list(self.skipped),
        }
        storage.save(path, "lexicon", about, {name: getattr(self, name) for name in TABLES})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Lexicon":
        """Map a file that :meth:`save` wrote. Processes that load the same file share its memory.

        Every byte is checked against the file's checksums, and the prefix tree against the words: about 70 ms for
        370 000 words.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If the file is of another kind, or damaged.
        """
        about, arrays = storage.load(path, "lexicon", TABLES)
        try:
            blank, has_priors = about["blank"], about["has_priors"]
            if type(blank) is not int or type(has_priors) is not bool:
                raise TypeError(f"blank and has_priors cannot be {blank!r} and {has_priors!r}")
            of_words, begin, skipped = about["word_characters"], about["word_begin"], _texts(about["skipped"])
            alphabet = Alphabet(
                _texts(about["characters"]),
                blank,
                None if of_words is None else _texts(of_words),
                None if begin is None else _texts([begin])[0],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise storage.StorageError(f"{path}: its parts do not fit together: {error}") from None
        try:
            _check(alphabet, **arrays)
        except ValueError as error:
            raise storage.StorageError(f"{path}: its parts do not fit together: {error}") from None
        return cls(alphabet, **arrays, has_priors=has_priors, skipped=skipped)

    def find(self, labels: Sequence[int]) -> int:
        """The node of the prefix tree at which the words stand that begin with some labels; -1 if there are none."""
        node, found, end = 0, -1, len(self.node_labels) - 1
        for label in labels:
            while node < end and self.node_labels[node] != label:
                node = int(self.ends[node])
            if node >= end:
                return -1
            found, node, end = node, node + 1, int(self.ends[node])
        return found

    def is_whole(self, node: int) -> bool:
        """Whether a word ends at a node."""
        return node + 1 == self.ends[node] or bool(self.words[node + 1] > self.words[node])

    def __contains__(self, word: str) -> bool:
        try:
            node = self.find(self.alphabet.encode(word))
        except ValueError:
            return False
        return node >= 0 and self.is_whole(node)


TABLES = {
    "labels": "int32",
    "offsets": "int64",
    "priors": "float64",
    "node_labels": "int32",
    "ends": "int32",
    "words": "int32",
    "bounds": "float64",
}


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"must be a list of texts, got {str(values)[:60]}")
    return tuple(values)


def _check(
    alphabet: Alphabet,
    labels: NDArray[np.int32],
    offsets: NDArray[np.int64],
    priors: NDArray[np.float64],
    node_labels: NDArray[np.int32],
    ends: NDArray[np.int32],
    words: NDArray[np.int32],
    bounds: NDArray[np.float64],
) -> None:
    """Refuse saved arrays that are not a lexicon: the tree must be that of the words. One pass makes it again.

    Raises
    ------
    ValueError
        With what must be.
    """
    if len(offsets) < 2 or len(priors) != len(offsets) - 1 or (offsets[1:] <= offsets[:-1]).any():
        raise ValueError("there must be at least one word, none empty, with a prior each")
    if not (np.isfinite(priors) & (priors >= 0)).all() or not priors.any():
        raise ValueError("priors must be finite, not negative, and not all 0")
    tree = compiled.prefix_tree(labels, offsets)
    if labels.min() < 0 or labels.max() >= alphabet.n_classes or (labels == alphabet.blank).any():
        raise ValueError(f"labels must be classes of the alphabet, 0 to {alphabet.n_classes - 1} without the blank")
    if not all(map(np.array_equal, tree, (node_labels, ends, words))):
        raise ValueError("the prefix tree must be that of the words")
    if not np.array_equal(compiled.best_below(tree, priors), bounds):
        raise ValueError("the bounds must be the greatest priors below each node")


FARTHEST = 1 << 30  # no two texts are farther apart
FIRST = 0xE000  # labels become characters from here on, behind the surrogates, so that Python sorts words by labels


def _encoded(words: list[str], alphabet: Alphabet) -> tuple[list[str], NDArray[np.int64], list[str]]:
    """Of all words that the alphabet can spell, a string of their labels and their place; and the other words."""
    keys, kept, skipped = [], [], []
    plain = all(len(character) == 1 for character in alphabet.characters) and alphabet.word_begin is None
    if plain:
        table = {ord(c): chr(FIRST + alphabet.encode(c)[0]) for c in alphabet.characters}
        known = set(alphabet.characters)
        for place, word in enumerate(words):
            if known.issuperset(word):
                keys.append(word.translate(table))
                kept.append(place)
            else:
                skipped.append(word)
    else:
        for place, word in enumerate(words):
            try:
                keys.append("".join([chr(FIRST + label) for label in alphabet.encode(word)]))
                kept.append(place)
            except ValueError:
                skipped.append(word)
    return keys, np.array(kept, dtype=np.int64), skipped
