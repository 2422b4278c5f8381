"""Vocabularies as networks come with them: which class is what.

Hugging Face's ``vocab.json`` and ``tokenizer.json``, sentencepiece's ``.vocab``, the ``tokens.txt`` of icefall and
NeMo, and lists of tokens.
"""

import json
import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

BLANKS = ("<pad>", "[PAD]", "<blk>", "<blank>", "[BLANK]", "<ctc_blank>", "<eps>", "ε", "")
SPACES = ("<space>", "<SPACE>")
SPECIAL = re.compile(r"<[^<>\s]+>|\[[A-Z]+\]")
MARK = "▁"  # begins words, in pieces of sentencepiece
CONTINUES = "##"  # of other pieces, those that go on with a word
NUMBERED = re.compile(r"(.*)[ \t](\d{1,9})")
MOST = 1 << 24  # classes


class Meaning(NamedTuple):
    """What an alphabet is made of."""

    characters: list[str]
    blank: int
    word_begin: str | None
    special: frozenset[str]


def is_vocabulary(path: Path, content: str) -> bool:
    """Whether a file names the blank or other tokens, rather than characters."""
    if path.suffix == ".json":
        try:
            loaded = json.loads(content)
        except (ValueError, RecursionError):
            return False
        if not isinstance(loaded, dict):
            return False
        return "model" in loaded or any(token in BLANKS or SPECIAL.fullmatch(token) for token in loaded)
    lines = content.splitlines()
    return path.suffix == ".vocab" or (len(lines) > 1 and all(map(NUMBERED.fullmatch, filter(None, lines))))


def read(path: str | PathLike[str]) -> tuple[list[str], set[str]]:
    """The token of each class, and those that a file declares special.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or is not a vocabulary.
    """
    path = Path(path)
    content = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".json":
        try:
            loaded = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not JSON: {error}") from None
        if isinstance(loaded, dict) and isinstance(loaded.get("model"), dict):
            return _tokenizer(loaded)
        return in_order(loaded), set()
    lines = content.splitlines()
    if path.suffix == ".vocab":
        return [line.split("\t")[0] for line in lines], set()
    found = [NUMBERED.fullmatch(line) for line in lines if line]
    if found and all(found):
        return in_order({match[1]: int(match[2]) for match in found if match}), set()
    return lines, set()


def _tokenizer(loaded: dict[str, Any]) -> tuple[list[str], set[str]]:
    """The tokens of a ``tokenizer.json``."""
    vocabulary = loaded["model"].get("vocab")
    if isinstance(vocabulary, list):  # pairs of a token and its log probability
        vocabulary = {pair[0]: number for number, pair in enumerate(vocabulary) if isinstance(pair, list) and pair}
    if not isinstance(vocabulary, dict):
        raise ValueError("tokenizer.json must have its tokens under model, vocab")
    special = set()
    for added in loaded.get("added_tokens") or ():
        vocabulary[added["content"]] = added["id"]
        if added.get("special"):
            special.add(added["content"])
    return in_order(vocabulary), special


def in_order(vocabulary: Mapping[str, int] | Sequence[str]) -> list[str]:
    """The token of each class.

    Raises
    ------
    ValueError
        If a number has no token or two tokens, or a token is not a string.
    """
    if isinstance(vocabulary, Mapping):
        numbers = list(vocabulary.values())
        if not all(isinstance(n, int) and 0 <= n < MOST for n in numbers):
            raise ValueError(f"a vocabulary must map tokens to numbers from 0 to {MOST - 1}")
        if sorted(numbers) != list(range(len(numbers))):
            wrong = next(n for n in range(len(numbers)) if numbers.count(n) != 1)
            raise ValueError(
                f"a vocabulary must number its tokens 0 to {len(numbers) - 1}, got {numbers.count(wrong)} with {wrong}"
            )
        tokens: list[Any] = sorted(vocabulary, key=vocabulary.__getitem__)
    else:
        tokens = list(vocabulary)
    for number, token in enumerate(tokens):
        if not isinstance(token, str):
            raise ValueError(f"tokens must be strings, got {token!r} with number {number}")
    return tokens


def meaning(
    tokens: Sequence[str], declared: set[str], blank: int | str | None, delimiter: str | None, special: set[str] | None
) -> Meaning:
    """What tokens mean: which is the blank, how words are told apart, and which are never put out.

    Raises
    ------
    ValueError
        If the blank or the delimiter that is named is not there.
    """
    place = _blank(tokens, blank)
    others = [token for number, token in enumerate(tokens) if number != place]
    word_begin = None
    if delimiter is not None:
        if not any(delimiter in token for token in others):
            raise ValueError(f"delimiter must occur in the vocabulary, got {delimiter!r}")
    elif any(token.startswith(CONTINUES) and token != CONTINUES for token in others):
        delimiter = CONTINUES
    elif MARK in "".join(others):
        delimiter = MARK
    else:
        delimiter = next((token for token in ("|", *SPACES) if token in others and " " not in others), None)
    if special is None:
        special = {token for token in others if SPECIAL.fullmatch(token) and token != delimiter} | declared
        special -= set(SPACES)
    special = set(special) & set(others)
    if delimiter == CONTINUES:
        others = [_marked(token) if token not in special else token for token in others]
        word_begin = MARK
    elif delimiter is not None and any(t.startswith(delimiter) and t != delimiter for t in others if t not in special):
        word_begin = delimiter
    elif delimiter is not None:
        others = [" " if token == delimiter else token for token in others]
    others = [" " if token in SPACES and " " not in others else token for token in others]
    return Meaning(others, place, word_begin, frozenset(special))


def _marked(token: str) -> str:
    return token.removeprefix(CONTINUES) if token.startswith(CONTINUES) else MARK + token


def _blank(tokens: Sequence[str], blank: int | str | None) -> int:
    """The class of the blank; the one behind all tokens if none is named like one."""
    if isinstance(blank, str):
        if blank not in tokens:
            known = [token for token in tokens if SPECIAL.fullmatch(token)]
            raise ValueError(
                f"blank must be in the vocabulary, got {blank!r}; its special tokens are {known[:10]} "
                "(a number names the class, None the one that is called a blank, or behind all)"
            )
        return list(tokens).index(blank)
    if blank is not None:
        number = blank + len(tokens) if blank < 0 else blank
        if not 0 <= number <= len(tokens):
            raise ValueError(f"blank must be a class, {-len(tokens)} to {len(tokens)}, or a token, got {blank}")
        return number
    return next((tokens.index(token) for token in BLANKS if token in tokens), len(tokens))
