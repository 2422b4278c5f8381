"""Alphabet: which class of a network means which character."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path

from fastctc.compiled.spelling import spell, spell_all
from fastctc.value import Value


@dataclass(frozen=True)
class Alphabet(Value):
    """The characters of a CTC-trained network and the place of the blank among its classes.

    Parameters
    ----------
    characters : str or sequence of str
        The characters in the order of the network's classes, without the blank. A character is any Unicode string of
        length 1 or more, so that pieces of words (BPE) are characters too.
    blank : int, default -1
        The class that is the blank, counted among all ``len(characters) + 1`` classes; negative numbers count from
        the end. -1, the last class, is TensorFlow's habit, 0 is PyTorch's.
    word_characters : str or iterable of str, optional
        The characters that words are made of; everything else stands between words. By default all characters that
        are not white space.
    word_begin : str, optional
        For pieces: the mark that opens a word, as ``"▁"`` in ``"▁the"``. In texts it reads as a blank space, and the
        first one is dropped.
    special : iterable of str, optional
        Characters that stand for no text, as ``"<s>"`` or ``"<unk>"``: no decoder puts them out, and their share of a
        frame's probability goes to the others.

    Raises
    ------
    ValueError
        For an empty alphabet, an empty or duplicate character, a blank that is not a class, word characters or special
        ones that are not in the alphabet.

    Examples
    --------
    >>> alphabet = Alphabet("ab ", blank=0)
    >>> alphabet.n_classes, alphabet.encode("b a"), alphabet.decode([2, 3, 1])
    (4, (2, 3, 1), 'b a')
    >>> Alphabet(["▁the", "▁c", "at"], word_begin="▁").decode([0, 1, 2])
    'the cat'
    """

    characters: Sequence[str]
    blank: int = -1
    word_characters: Iterable[str] | None = None
    word_begin: str | None = None
    special: Iterable[str] = ()

    def __post_init__(self) -> None:
        characters = tuple(self.characters)
        if not characters:
            raise ValueError("characters must hold at least one character, got an empty alphabet")
        for index, character in enumerate(characters):
            if not isinstance(character, str):
                raise TypeError(f"characters must be strings, got {character!r} at position {index}")
            if not character:
                raise ValueError(
                    f"characters must be strings of length 1 or more, got an empty one at position {index} "
                    "(the blank is not listed: name its class with blank=)"
                )
        if len(set(characters)) < len(characters):
            twice = next(c for c, count in Counter(characters).items() if count > 1)
            places = [index for index, c in enumerate(characters) if c == twice]
            more = ", ..." if len(places) > 10 else ""
            where = ", ".join(map(str, places[:10]))
            raise ValueError(f"characters must be unique, got {twice!r} at positions [{where}{more}]")
        n_classes = len(characters) + 1
        if isinstance(self.blank, str):
            raise TypeError(
                f"blank must be the number of a class, got {self.blank!r}: Alphabet.from_vocabulary takes tokens"
            )
        if not -n_classes <= self.blank < n_classes:
            raise ValueError(f"blank must be a class, -{n_classes} to {n_classes - 1}, got {self.blank}")
        object.__setattr__(self, "characters", characters)
        object.__setattr__(self, "blank", self.blank % n_classes)
        if self.word_characters is not None:
            words = frozenset(self.word_characters)
            if unknown := words - set(characters):
                raise ValueError(f"word_characters must be characters of the alphabet, got also {sorted(unknown)}")
            object.__setattr__(self, "word_characters", words)
        special = frozenset(self.special)
        if unknown := special - set(characters):
            raise ValueError(f"special must be characters of the alphabet, got also {sorted(unknown)}")
        object.__setattr__(self, "special", special)

    @cached_property
    def n_classes(self) -> int:
        """Number of classes of the network: the characters and the blank."""
        return len(self.characters) + 1

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Character of each class, the empty string for the blank."""
        return (*self.characters[: self.blank], "", *self.characters[self.blank :])

    @cached_property
    def _table(self) -> str | None:
        """Of alphabets of single characters, the character of each class; anything for the blank."""
        if self._longest > 1 or self.word_begin is not None:
            return None
        return "".join(symbol if len(symbol) == 1 else "\0" for symbol in self.symbols)

    @cached_property
    def special_classes(self) -> tuple[int, ...]:
        """Classes that no decoder puts out."""
        return tuple(label for label, symbol in enumerate(self.symbols) if symbol and symbol in self.special)

    @cached_property
    def _classes(self) -> dict[str, int]:
        return {s: label for label, s in enumerate(self.symbols) if s and s not in self.special}

    @cached_property
    def _longest(self) -> int:
        return max((len(c) for c in self.characters if c not in self.special), default=1)

    @cached_property
    def is_word(self) -> tuple[bool, ...]:
        """For each class, whether its character is part of words."""
        if self.word_characters is not None:
            return tuple(symbol in self.word_characters for symbol in self.symbols)
        return tuple(bool(s) and not s.isspace() and s not in self.special for s in self.symbols)

    @cached_property
    def begins_word(self) -> tuple[bool, ...]:
        """For each class, whether it is a piece that begins a word."""
        return tuple(self.word_begin is not None and symbol.startswith(self.word_begin) for symbol in self.symbols)

    def decode(self, labels: Iterable[int]) -> str:
        """Text of a sequence of labels (class indices without blanks).

        >>> Alphabet("ab").decode((1, 0, 0))
        'baa'
        """
        if self._table is not None:
            return spell(labels, self._table, self.blank)
        symbols = self.symbols
        text = "".join([symbols[label] for label in labels])
        if self.word_begin is not None:
            text = text.replace(self.word_begin, " ").removeprefix(" ")
        return text

    def decode_all(self, many: list[tuple[int, ...]]) -> list[str]:
        """Texts of many sequences of labels."""
        if self._table is not None:
            return spell_all(many, self._table, self.blank)
        return [self.decode(labels) for labels in many]

    def encode(self, text: str | Sequence[str]) -> tuple[int, ...]:
        """Labels of a text; of several pieces that fit, the longest is taken. A sequence of characters is taken as is.

        Raises
        ------
        ValueError
            For a character that is not in the alphabet.

        Examples
        --------
        >>> Alphabet("ab").encode("baa")
        (1, 0, 0)
        """
        classes = self._classes
        if isinstance(text, str) and (self._longest > 1 or self.word_begin is not None):
            text = self._split(text)
        try:
            return tuple([classes[character] for character in text])
        except KeyError as error:
            place = list(text).index(error.args[0])
            raise ValueError(
                f"a text must consist of the alphabet's characters, got {error.args[0]!r} at position {place}"
            ) from None

    def _split(self, text: str) -> list[str]:
        """Greedy, longest-first split into characters; what fits nowhere stays and is refused by encode()."""
        if self.word_begin is not None and text:
            text = self.word_begin + text.replace(" ", self.word_begin)
        pieces, start = [], 0
        while start < len(text):
            end = min(start + self._longest, len(text))
            while end > start + 1 and text[start:end] not in self._classes:
                end -= 1
            pieces.append(text[start:end])
            start = end
        return pieces

    def words(self, labels: Sequence[int]) -> list[tuple[int, int]]:
        """Where words stand in a sequence of labels: (start, stop) pairs of positions.

        >>> Alphabet("ab ").words((0, 1, 2, 2, 1))
        [(0, 2), (4, 5)]
        """
        is_word, begins, found, start = self.is_word, self.begins_word, [], -1
        for position, label in enumerate(labels):
            if start >= 0 and (not is_word[label] or begins[label]):
                found.append((start, position))
                start = -1
            if start < 0 and is_word[label]:
                start = position
        if start >= 0:
            found.append((start, len(labels)))
        return found

    @classmethod
    def from_vocabulary(
        cls,
        vocabulary: str | PathLike[str] | Mapping[str, int] | Sequence[str],
        *,
        blank: int | str | None = None,
        delimiter: str | None = None,
        special: Iterable[str] | None = None,
    ) -> "Alphabet":
        """Make an alphabet from a network's vocabulary, in which the blank and special tokens are listed too.

        Parameters
        ----------
        vocabulary : path, mapping of str to int, or sequence of str
            A file: Hugging Face's ``vocab.json`` or ``tokenizer.json``, sentencepiece's ``.vocab``, lines of a token
            and its number (icefall, NeMo), or lines of tokens. Or the tokens with their numbers, or in their order.
        blank : int or str, optional
            Its class or token. By default the token that is called so (``<pad>``, ``[PAD]``, ``<blk>``, ``<blank>``,
            ...), and the class behind all tokens if there is none.
        delimiter : str, optional
            What tells words apart: a token that stands for the blank space ("|"), what begins a word ("▁the"), or "##",
            which goes on with one. By default whatever of these is there.
        special : iterable of str, optional
            Tokens that no decoder puts out; by default all like ``<s>`` and ``[CLS]``, and those declared so.

        Raises
        ------
        OSError, ValueError
            If the file cannot be read, or does not hold a vocabulary.

        Examples
        --------
        >>> alphabet = Alphabet.from_vocabulary({"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "a": 5, "b": 6})
        >>> alphabet.blank, alphabet.decode([5, 4, 6]), sorted(alphabet.special)
        (0, 'a b', ['</s>', '<s>', '<unk>'])
        """
        from fastctc import vocabularies

        wanted = None if special is None else set(special)
        if not isinstance(vocabulary, str | PathLike):
            tokens = vocabularies.in_order(vocabulary)
            found = vocabularies.meaning(tokens, set(), blank, delimiter, wanted)
            return cls(found.characters, found.blank, None, found.word_begin, found.special)
        try:
            tokens, declared = vocabularies.read(vocabulary)
            found = vocabularies.meaning(tokens, declared, blank, delimiter, wanted)
            return cls(found.characters, found.blank, None, found.word_begin, found.special)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{vocabulary}: must be a vocabulary: {error}") from None

    @classmethod
    def load(cls, path: str | PathLike[str], blank: int | str | None = None, **fields: str) -> "Alphabet":
        """Read an alphabet from a UTF-8 file.

        A file of one line holds the characters one after the other, a file of several lines holds one character a
        line; ``.json`` holds a list of characters, or an object that maps characters to consecutive numbers. The blank
        is not among them; it is the last class by default. A file in which tokens are numbered, or the blank or special
        tokens are named, is a vocabulary: see :meth:`from_vocabulary`.

        Raises
        ------
        OSError, ValueError
            If the file cannot be read, or does not hold an alphabet.
        """
        path = Path(path)
        try:
            content = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: an alphabet must be UTF-8 text, got {error}") from None
        from fastctc.vocabularies import is_vocabulary

        if not fields and (isinstance(blank, str) or is_vocabulary(path, content)):
            return cls.from_vocabulary(path, blank=blank)
        characters: Sequence[str]
        if path.suffix == ".json":
            import json  # here, because few programs need it and `import fastctc` is to be quick

            try:
                loaded = json.loads(content)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path}: not JSON: {error}") from None
            if isinstance(loaded, dict) and sorted(loaded.values(), key=repr) == sorted(range(len(loaded)), key=repr):
                characters = sorted(loaded, key=loaded.__getitem__)
            elif isinstance(loaded, list):
                characters = loaded
            else:
                raise ValueError(f"{path}: must be a list of characters or map characters to the numbers 0, 1, 2, …")
        else:
            lines = content.removesuffix("\n").split("\n")
            characters = lines[0] if len(lines) == 1 else lines
        try:
            return cls(characters, -1 if blank is None else blank, **fields)  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from None
