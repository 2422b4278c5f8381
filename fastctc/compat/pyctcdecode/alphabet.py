"""Labels of a network, as the decoder wants them."""

import json
import logging
import re
from collections.abc import Collection
from functools import cached_property
from itertools import pairwise

import numpy as np

from fastctc.lm.vocabulary import Vocabulary
from fastctc.search_inputs import Pieces, Tokens

BPE_TOKEN = "▁"
UNK_TOKEN = "⁇"
UNK_BPE_TOKEN = "▁⁇▁"

SPECIAL_TOKEN_PTN = re.compile(r"^[<\[].+[>\]]$")
BLANK_TOKEN_PTN = re.compile(r"^[<\[]pad[>\]]$", flags=re.IGNORECASE)
UNK_TOKEN_PTN = re.compile(r"^[<\[]unk[>\]]$", flags=re.IGNORECASE)

logger = logging.getLogger("pyctcdecode.alphabet")  # by which programs silence it


class Alphabet:
    """The labels of a network in the decoder's form: "" is the blank, " " or a leading "▁" delimits words.

    Parameters
    ----------
    labels : list of str
        One for each class, in this form already; see :meth:`build_alphabet` for others.
    is_bpe : bool
        Whether the labels are pieces of words.
    """

    def __init__(self, labels: list[str], is_bpe: bool) -> None:
        self._labels = labels
        self._is_bpe = is_bpe

    @property
    def is_bpe(self) -> bool:
        """Whether the labels are pieces of words."""
        return self._is_bpe

    @property
    def labels(self) -> list[str]:
        """A copy of the labels."""
        return self._labels[:]

    @classmethod
    def build_alphabet(cls, labels: list[str]) -> "Alphabet":
        """Bring labels into the decoder's form.

        Labels are pieces if one begins with "##" or "▁". Among others "|" becomes the blank space, ``<pad>`` and
        ``[PAD]`` and then "_" the CTC blank, which is added at the end where there is none, and ``<unk>`` is "⁇".

        Raises
        ------
        ValueError
            For labels that come twice, and for a blank space among pieces.
        """
        is_bpe = any(label.startswith(("##", BPE_TOKEN)) for label in labels)
        if len(set(labels)) < len(labels):
            raise ValueError("Alphabet contains duplicate entries, this is not allowed.")
        if is_bpe and any(" " in label for label in labels):
            raise ValueError("Space token ' ' found in vocabulary even though it looks like BPE.")
        logger.info("The alphabet's labels are %s.", "pieces of words" if is_bpe else "characters")
        return cls(_pieces(labels) if is_bpe else _characters(labels), is_bpe)

    def dumps(self) -> str:
        """The alphabet as JSON."""
        return json.dumps({"labels": self.labels, "is_bpe": self.is_bpe})

    @classmethod
    def loads(cls, s: str) -> "Alphabet":
        """Make an alphabet from the JSON that :meth:`dumps` gives.

        Raises
        ------
        ValueError
            For anything else.
        """
        content = json.loads(s)
        expected = {"is_bpe", "labels"}
        if not isinstance(content, dict) or set(content) != expected:
            found = set(content) if isinstance(content, dict) else type(content).__name__
            raise ValueError(f"unexpected keys found. Expected {expected}, found {found}")
        labels, is_bpe = content["labels"], content["is_bpe"]
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise ValueError("labels must be a list of strings")
        return cls(labels, is_bpe)

    @cached_property
    def pieces(self) -> Pieces:
        """What the labels add to a text, as the search takes it."""
        labels = self._labels
        first = [label.removeprefix(BPE_TOKEN).removesuffix(BPE_TOKEN) for label in labels]
        places: dict[str, int] = {}
        same = [places.setdefault(label, number) for number, label in enumerate(labels)]
        closes = [label.endswith(BPE_TOKEN) for label in labels]
        kinds = [self._kind(label) for label in labels]
        return Pieces(
            tokens(labels),
            tokens(first),
            np.array(kinds, np.int8),
            np.array(closes, np.uint8),
            np.array(same, np.int32),
            not self._is_bpe and not any(b.startswith(a) for a, b in pairwise(sorted(filter(None, labels)))),
        )

    def _kind(self, label: str) -> int:
        if not label:
            return 0
        if self._is_bpe:
            return 2 if label.startswith(BPE_TOKEN) else 3
        return 1 if label == " " else 3


def tokens(strings: list[str]) -> Tokens:
    """Strings as the search takes them."""
    table = Vocabulary.from_sorted([string.encode("utf-8", "surrogatepass") for string in strings])
    return Tokens(table.text, table.offsets)


def _with_blank(labels: list[str], unknown: str) -> list[str]:
    """Labels with the CTC blank and the unknown token named as the decoder does."""
    labels = ["" if BLANK_TOKEN_PTN.match(label) else label for label in labels]
    if "" not in labels:
        logger.info("There is no CTC blank among the labels: it is taken for the class behind them.")
        labels.append("")
    return [unknown if UNK_TOKEN_PTN.match(label) else label for label in labels]


def _characters(labels: list[str]) -> list[str]:
    if "|" in labels and " " not in labels:
        labels = [" " if label == "|" else label for label in labels]
    if "_" in labels and "" not in labels and not any(map(BLANK_TOKEN_PTN.match, labels)):
        labels = ["" if label == "_" else label for label in labels]
    labels = _with_blank(labels, UNK_TOKEN)
    if any(len(label) > 1 for label in labels):
        logger.warning(
            "Found entries of length > 1 in alphabet. This is unusual unless style is BPE, but the "
            "alphabet was not recognized as BPE type. Is this correct?"
        )
    if " " not in labels:
        logger.warning("Space token ' ' missing from vocabulary.")
    return labels


def _pieces(labels: list[str]) -> list[str]:
    if any(label.startswith("##") for label in labels):
        labels = [_from_continuations(label) for label in labels]
    labels = _with_blank(labels, UNK_BPE_TOKEN)
    if UNK_BPE_TOKEN not in labels:
        logger.warning("UNK token %s not found, is this a mistake?", UNK_BPE_TOKEN)
    return labels


def _from_continuations(label: str) -> str:
    """A piece of the style that marks what goes on with a word, in the style that marks what begins one."""
    if label.startswith("##"):
        return label[2:]
    if SPECIAL_TOKEN_PTN.match(label) or label in ("", BPE_TOKEN, UNK_BPE_TOKEN):
        return label
    return BPE_TOKEN + label


def verify_alphabet_coverage(alphabet: Alphabet, unigrams: Collection[str]) -> None:
    """Warn if more than a fifth of the characters of some words are no labels."""
    characters = set("".join(unigrams))
    if characters and len(characters - set(alphabet.labels)) / len(characters) > 0.2:
        logger.warning("Unigrams and labels don't seem to agree.")
