"""How far a text is from the truth."""

from collections.abc import Hashable, Sequence

from fastctc.compiled import metrics


def edit_distance(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Fewest insertions, deletions and substitutions that turn one sequence into the other (Levenshtein).

    Strings are compared character by character, lists item by item. Takes O(len(first) len(second)) time.

    >>> edit_distance("fomcly", "family"), edit_distance(["the", "cat"], ["a", "cat"])
    (2, 1)
    """
    return metrics.edit_distance(first, second)


def cer(hypotheses: str | Sequence[str], references: str | Sequence[str]) -> float:
    """Character error rate: edit distances between characters, divided by the characters of the references.

    Takes a pair of texts, or two sequences of texts whose distances and lengths are summed. May exceed 1. Where the
    references are empty, 0 if the hypotheses are empty too, and inf if not.

    Raises
    ------
    ValueError
        For a different number of hypotheses and references.

    Examples
    --------
    >>> cer("fomcly", "family"), cer(["ab", "c"], ["ab", "cd"])
    (0.3333333333333333, 0.25)
    """
    return _rate(*_paired(hypotheses, references))


def wer(hypotheses: str | Sequence[str], references: str | Sequence[str]) -> float:
    """Word error rate: the same with words, which white space separates.

    >>> wer("the fake fiend", "the fake friend")
    0.3333333333333333
    """
    first, second = _paired(hypotheses, references)
    return _rate([text.split() for text in first], [text.split() for text in second])


def _paired(hypotheses: str | Sequence[str], references: str | Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    if isinstance(hypotheses, str) != isinstance(references, str):
        raise TypeError("hypotheses and references must be two texts or two sequences of texts, got one of each")
    if isinstance(hypotheses, str):
        return [hypotheses], [references]  # type: ignore[list-item]
    if len(hypotheses) != len(references):
        raise ValueError(f"hypotheses and references must be equally many, got {len(hypotheses)} and {len(references)}")
    return hypotheses, references


def _rate(hypotheses: Sequence[Sequence[Hashable]], references: Sequence[Sequence[Hashable]]) -> float:
    errors = sum(map(edit_distance, hypotheses, references))
    length = sum(map(len, references))
    if length == 0:
        return 0.0 if errors == 0 else float("inf")
    return errors / length
