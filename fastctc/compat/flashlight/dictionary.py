"""Entries and their indices, and lexica in files, as ``flashlight.lib.text.dictionary`` has them."""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike, fspath

__all__ = ["Dictionary", "create_word_dict", "load_words", "pack_replabels", "unpack_replabels"]

UNKNOWN = "<unk>"


class Dictionary:
    """Entries by index and indices by entry; several entries may have one index, which stands for the first of them.

    Parameters
    ----------
    entries : str, path or sequence of str, optional
        A file with one index a line, its entries separated by white space; or the entries themselves.

    Raises
    ------
    RuntimeError
        For a file that cannot be read.
    ValueError
        For an entry that is there twice.
    """

    def __init__(self, entries: str | PathLike[str] | Iterable[str] = ()) -> None:
        self._indices: dict[str, int] = {}
        self._entries: dict[int, str] = {}
        self._default = -1
        if isinstance(entries, str | PathLike):
            for line in _lines(entries, RuntimeError):
                index = len(self._entries)
                for entry in line.split():
                    self.add_entry(entry, index)
        else:
            for entry in entries:
                self.add_entry(entry)

    def entry_size(self) -> int:
        """Number of entries."""
        return len(self._indices)

    def index_size(self) -> int:
        """Number of indices."""
        return len(self._entries)

    def add_entry(self, entry: str, idx: int | None = None) -> None:
        """Add an entry, by default with the first index that is free."""
        if entry in self._indices:
            raise ValueError(f"Duplicate entry in dictionary '{entry}'")
        if idx is None:
            idx = len(self._entries)
            while idx in self._entries:
                idx += 1
        self._indices[entry] = idx
        self._entries.setdefault(idx, entry)

    def get_entry(self, idx: int) -> str:
        """The first entry with an index; ValueError if there is none."""
        entry = self._entries.get(idx)
        if entry is None:
            raise ValueError(f"Unknown index in dictionary '{idx}'")
        return entry

    def set_default_index(self, idx: int) -> None:
        """Let all unknown entries have an index; a negative one: none."""
        self._default = idx

    def get_index(self, entry: str) -> int:
        """The index of an entry; ValueError if it is unknown, and there is no default."""
        idx = self._indices.get(entry, self._default)
        if idx < 0 and entry not in self._indices:
            raise ValueError(f"Unknown entry in dictionary: '{entry}'")
        return idx

    def contains(self, entry: str) -> bool:
        """Whether an entry is known."""
        return entry in self._indices

    def is_contiguous(self) -> bool:
        """Whether the indices are 0, 1, 2 and so on."""
        return all(idx in self._entries for idx in range(len(self._entries)))

    def map_entries_to_indices(self, entries: Iterable[str]) -> list[int]:
        """The indices of some entries."""
        entries, known = list(entries), self._indices
        try:
            return [known[entry] for entry in entries]  # lexica have millions of tokens
        except KeyError:
            return [self.get_index(entry) for entry in entries]

    def map_indices_to_entries(self, indices: Iterable[int]) -> list[str]:
        """The entries with some indices."""
        return [self.get_entry(idx) for idx in indices]


def create_word_dict(lexicon: Mapping[str, Sequence[Sequence[str]]]) -> Dictionary:
    """The words of a lexicon in its order; unknown words have the index of ``<unk>``, which it must have."""
    words = Dictionary(lexicon)
    words.set_default_index(words.get_index(UNKNOWN))
    return words


def load_words(filename: str | PathLike[str], max_words: int = -1) -> dict[str, list[list[str]]]:
    """Read a lexicon: on each line a word and the tokens of a spelling, separated by white space.

    Parameters
    ----------
    max_words : int, default -1
        How many words to read at most; a negative number: all.

    Raises
    ------
    ValueError
        For a file that cannot be read.
    RuntimeError
        For a line without a spelling.
    """
    lexicon: dict[str, list[list[str]]] = {}
    for line in _lines(filename, ValueError):
        if len(lexicon) == max_words:
            break
        word, *spelling = line.split() or [""]
        if not spelling:
            raise RuntimeError(f"[loadWords] Invalid line: {line}")
        lexicon.setdefault(word, []).append(spelling)
    lexicon[UNKNOWN] = []
    return lexicon


def pack_replabels(tokens: Sequence[int], dict: Dictionary, max_reps: int) -> list[int]:
    """Write repeated tokens as a token and how often it comes again: <1>, <2> and so on, up to ``max_reps``."""
    if not tokens or max_reps <= 0:
        return list(tokens)
    numbers = [dict.get_index(f"<{n}>") for n in range(1, max_reps + 1)]
    packed: list[int] = []
    last, repeats = -1, 0
    for token in [*tokens, None]:
        if token is not None and token == last and repeats < max_reps:
            repeats += 1
            continue
        if repeats:
            packed.append(numbers[repeats - 1])
            repeats = 0
        if token is not None:
            packed.append(token)
            last = token
    return packed


def unpack_replabels(tokens: Sequence[int], dict: Dictionary, max_reps: int) -> list[int]:
    """What :func:`pack_replabels` was given."""
    if not tokens or max_reps <= 0:
        return list(tokens)
    repeats = {dict.get_index(f"<{n}>"): n for n in range(1, max_reps + 1)}
    unpacked: list[int] = []
    last = -1
    for token in tokens:
        if token not in repeats:
            unpacked.append(token)
            last = token
        elif last != -1:
            unpacked += [last] * repeats[token]
            last = -1
    return unpacked


def _lines(path: str | PathLike[str], error: type[Exception]) -> list[str]:
    """The lines of a file that are not empty."""
    try:
        with open(fspath(path), encoding="utf-8") as file:  # noqa: PTH123
            return [line for line in file.read().split("\n") if line]
    except OSError as reason:
        raise error(f"cannot open file {fspath(path)}: {reason}") from None
