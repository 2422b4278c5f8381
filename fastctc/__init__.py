"""fastctc: the output of CTC-trained networks, turned into text; fast, exact, with true probabilities."""

from fastctc.align import Alignment, forced_align, forced_align_batch
from fastctc.alphabet import Alphabet
from fastctc.decoders import BeamSearch, BestPath, LexiconSearch, PrefixSearch, TokenPassing, WordBeamSearch
from fastctc.decoders.stream import Stream
from fastctc.decoders.tuning import Trial, Tuning, tune
from fastctc.hypothesis import Hypothesis, Segment
from fastctc.lexicon import Lexicon
from fastctc.lm.ngram import NGram
from fastctc.loss import ctc_loss, log_probability, posteriors
from fastctc.metrics import cer, edit_distance, wer

__version__ = "0.1.0"

__all__ = [
    "Alignment",
    "Alphabet",
    "BeamSearch",
    "BestPath",
    "Hypothesis",
    "Lexicon",
    "LexiconSearch",
    "NGram",
    "PrefixSearch",
    "Segment",
    "Stream",
    "TokenPassing",
    "Trial",
    "Tuning",
    "WordBeamSearch",
    "cer",
    "ctc_loss",
    "edit_distance",
    "forced_align",
    "forced_align_batch",
    "log_probability",
    "posteriors",
    "tune",
    "wer",
]
