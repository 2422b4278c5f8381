"""Ruled lines, squared paper, folds and gutters: what is long and straight, and no writing.

A rule is thin, flat and long. What is thin is what a vertical opening takes away; of that, what a long flat opening
leaves lies on a rule. Where a letter crosses the rule the ink is thicker and stays. Squared paper is the same lying on
its side. Folds, gutters and the edges of a scan are as thick as they like, but run straight for a tenth of the page.

References
----------
P. Soille: Morphological Image Analysis, 2003, chapter 4 (openings by line segments).
"""

import numpy as np

from fastctc.imaging import morphology
from fastctc.imaging.layout import Binary

THICKEST = 340  # a rule takes at most that part of the page's longer side in rows (at least 3 pixels),
LONG = 24  # and goes on for twice that part of it,
GAP = 300  # with gaps, where it is dotted or pale, of at most that part.
SHARE = 0.6  # of what lies along a rule is rule
STRAIGHT = 10  # folds and gutters go on for that part of the longer side


def rules(ink: Binary) -> tuple[Binary, Binary]:
    """The pixels of ink that belong to level rules, and to upright rules, folds and gutters.

    Notes
    -----
    Some 20 openings with rectangles, O(H W) each whatever their size: about 30 ms a megapixel.
    """
    longest = max(ink.shape)
    level = _level(ink, longest)
    upright = _level(np.ascontiguousarray(ink.T), longest).T
    return level, upright | _folds(ink & ~level & ~upright, longest)


def without_rules(ink: Binary) -> Binary:
    """The ink that is not on a rule, a fold or a gutter."""
    level, upright = rules(ink)
    return ink & ~level & ~upright


def _level(ink: Binary, longest: int) -> Binary:
    thick, reach, gap = max(3, longest // THICKEST) | 1, max(40, longest // LONG), max(3, longest // GAP) | 1
    thin = ink & ~morphology.opening(ink, (thick + 1, 1))
    # A rule that is not quite level steps from row to row: rows are thickened by one, so that steps do not part it.
    joined = morphology.closing(morphology.dilation(thin, (3, 1)), (1, gap))
    flat = morphology.opening(joined, (1, reach // 2))
    # The joins of a flowing hand are flat too, but paper lies between them: along a rule most of the way is rule.
    along = _share(flat, 2 * reach) > SHARE
    ruled = flat & morphology.dilation(along, (3, 2 * reach + 1))
    found: Binary = thin & morphology.dilation(ruled, (3, 1))
    return found


def _share(flat: Binary, length: int) -> np.ndarray:
    """The share of a stretch of each row around each pixel."""
    from scipy import ndimage

    share: np.ndarray = ndimage.uniform_filter1d(flat.astype(np.float32), length, axis=1)
    return share


def _folds(ink: Binary, longest: int) -> Binary:
    wide = morphology.closing(morphology.dilation(ink, (1, 5)), (longest // 150 | 1, 1))
    straight = morphology.opening(wide, (max(40, longest // STRAIGHT), 1))
    found: Binary = ink & morphology.dilation(straight, (1, 5))
    return found
