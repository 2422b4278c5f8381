"""The decoders: configured once, then used on any number of sequences.

A decoder is a frozen dataclass: it pickles, it is shared by threads, and it holds no pool and no buffer.
"""

from fastctc.decoders.beam_search import BeamSearch
from fastctc.decoders.best_path import BestPath
from fastctc.decoders.decoder import Decoder
from fastctc.decoders.lexicon_search import LexiconSearch
from fastctc.decoders.prefix_search import PrefixSearch
from fastctc.decoders.token_passing import TokenPassing
from fastctc.decoders.word_beam_search import WordBeamSearch

__all__ = ["BeamSearch", "BestPath", "Decoder", "LexiconSearch", "PrefixSearch", "TokenPassing", "WordBeamSearch"]
