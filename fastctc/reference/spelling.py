"""Labels to text."""

from collections.abc import Iterable


def spell(labels: Iterable[int], symbols: str, blank: int) -> str:
    """Text of labels, each of which stands for one of the symbols, the blank for nothing.

    Raises IndexError if a label is not a class.
    """
    text = []
    for label in labels:
        if not 0 <= label < len(symbols):
            raise IndexError(f"labels must be classes, 0 to {len(symbols) - 1}, got {label}")
        if label != blank:
            text.append(symbols[label])
    return "".join(text)


def spell_all(many: list[tuple[int, ...]], symbols: str, blank: int) -> list[str]:
    return [spell(labels, symbols, blank) for labels in many]
