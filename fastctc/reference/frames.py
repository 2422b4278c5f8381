"""Does a matrix look like the output of a network?"""

from collections.abc import Sequence
from math import exp

HIGHEST = 1e-3  # a log probability may exceed log 1 by the rounding of half-precision networks
SUM = (0.5, 1.5)  # a row's probabilities sum to 1; quantised and truncated outputs stray, other things miss by far


def first_bad_row(log_probs: Sequence[Sequence[float]]) -> int:
    """Index of the first row that holds NaN, a value above log 1, or no distribution at all; -1 if there is none."""
    for t, row in enumerate(log_probs):
        if not all(x <= HIGHEST for x in row) or not SUM[0] < sum(exp(x) for x in row) < SUM[1]:
            return t
    return -1


def first_bad(sequences: Sequence[Sequence[Sequence[float]]]) -> tuple[int, int]:
    """The first sequence with such a row, and the row; -1 and -1 if there is none."""
    for number, log_probs in enumerate(sequences):
        if (row := first_bad_row(log_probs)) >= 0:
            return number, row
    return -1, -1
