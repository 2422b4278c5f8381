"""The interface of the package ``pyctcdecode``: 0.5.0, and what its repository has had since.

The names, defaults, files and results are those of the original; texts, scores and the frames of words are the same.
What it computes in Python is compiled here, and language models are asked where they lie.

Besides: ARPA files without back-off weights keep all their words, and numbers that are no numbers are a ValueError in
every frame.
"""

from fastctc.compat.pyctcdecode.alphabet import Alphabet
from fastctc.compat.pyctcdecode.decoder import BeamSearchDecoderCTC, build_ctcdecoder
from fastctc.compat.pyctcdecode.language_model import LanguageModel

__all__ = ["Alphabet", "BeamSearchDecoderCTC", "LanguageModel", "build_ctcdecoder"]
