"""The interface of the package ``word_beam_search`` (CTCWordBeamSearch 1.0): the same constructor and results.

Besides: numbers that are too small for the original are none here, ties are broken always alike, and the mode that
samples gives the exact sum instead, which costs less.
"""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastctc import decoders
from fastctc.alphabet import Alphabet
from fastctc.lexicon import Lexicon
from fastctc.lm.ngram import NGram

__all__ = ["WordBeamSearch"]

MODES = {
    "words": "words",
    "ngrams": "ngrams",
    "ngramsforecast": "ngrams_forecast",
    "ngramsforecastandsample": "ngrams_forecast_and_sample",
}


class WordBeamSearch:
    """Word beam search over the words of a corpus.

    Parameters
    ----------
    beam_width : int
    lm_type : str
        "Words", "NGrams", "NGramsForecast" or "NGramsForecastAndSample", in any case.
    lm_smoothing : float
        For add-k smoothing of the bigrams.
    corpus, chars, word_chars : str or bytes (UTF-8)
        The text whose words are allowed; the characters in the order of the classes, without the blank, which is the
        last; those that words are made of.

    Raises
    ------
    ValueError
        For an unknown lm_type, a beam width below 1, a corpus without words.
    """

    def __init__(
        self,
        beam_width: int,
        lm_type: str,
        lm_smoothing: float,
        corpus: str | bytes,
        chars: str | bytes,
        word_chars: str | bytes,
        /,
    ) -> None:
        text, characters, of_words = (
            value.decode() if isinstance(value, bytes) else value for value in (corpus, chars, word_chars)
        )
        mode = MODES.get(lm_type.lower())
        if mode is None:
            raise ValueError(
                f"lm_type must be one of Words, NGrams, NGramsForecast, NGramsForecastAndSample: {lm_type!r}"
            )
        words = re.findall(f"[{re.escape(of_words)}]+", text) if of_words else []
        alphabet = Alphabet(characters, word_characters=set(of_words) & set(characters))
        lexicon = Lexicon.from_words(list(dict.fromkeys(words)), alphabet, unknown="skip")
        lm = None
        if mode != "words":
            lm = NGram.train(" ".join(words), 2, unit="word", smoothing="add-k", k=lm_smoothing)
        self._decoder = decoders.WordBeamSearch(lexicon, beam_width, lm=lm, mode=mode, exact=False)

    def compute(self, mat: NDArray[np.floating[Any]]) -> list[list[int]]:
        """The labels of the best text of each batch element.

        Parameters
        ----------
        mat : array (frames, batch, classes)
            Probabilities, as the softmax makes them.
        """
        mat = np.asarray(mat)
        if mat.ndim != 3:
            raise ValueError(f"mat must be (frames, batch, classes), got shape {mat.shape}")
        found = self._decoder.decode_batch(probs=np.ascontiguousarray(mat.transpose(1, 0, 2)))
        return [list(best[0].labels) if best else [] for best in found]
