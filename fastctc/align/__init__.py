"""A known text and its frames: where its characters, words and sentences stand, for recordings of any length."""

from fastctc.align.alignment import Alignment, forced_align, forced_align_batch
from fastctc.align.formats import FORMATS, as_format
from fastctc.align.passages import Passage
from fastctc.align.plotting import plot_alignment

__all__ = ["FORMATS", "Alignment", "Passage", "as_format", "forced_align", "forced_align_batch", "plot_alignment"]
