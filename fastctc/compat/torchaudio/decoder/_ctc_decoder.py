"""``ctc_decoder`` and its classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastctc.compat.flashlight.decoder import CriterionType as _CriterionType
from fastctc.compat.flashlight.decoder import LexiconDecoder as _LexiconDecoder
from fastctc.compat.flashlight.decoder import LexiconDecoderOptions as _LexiconDecoderOptions
from fastctc.compat.flashlight.decoder import LexiconFreeDecoder as _LexiconFreeDecoder
from fastctc.compat.flashlight.decoder import LexiconFreeDecoderOptions as _LexiconFreeDecoderOptions
from fastctc.compat.flashlight.decoder import ZeroLM as _ZeroLM
from fastctc.compat.flashlight.decoder.kenlm import KenLM as _KenLM
from fastctc.compat.flashlight.dictionary import Dictionary as _Dictionary
from fastctc.compat.flashlight.dictionary import create_word_dict as _create_word_dict
from fastctc.compat.flashlight.dictionary import load_words as _load_words
from fastctc.compat.flashlight.models import LM as _LM
from fastctc.compat.flashlight.models import LMState as _LMState
from fastctc.compat.flashlight.models import first_scores
from fastctc.compat.flashlight.spelling import spelling_tree
from fastctc.compat.torchaudio.tensors import as_array, as_tensor
from fastctc.search_inputs import SpellingTree

__all__ = [
    "CTCDecoder",
    "CTCDecoderLM",
    "CTCDecoderLMState",
    "CTCHypothesis",
    "ctc_decoder",
    "download_pretrained_files",
]

MODELS = ("librispeech-3-gram", "librispeech-4-gram", "librispeech")
ASSETS = "https://download.pytorch.org/torchaudio/decoder-assets/"


class PretrainedFiles(NamedTuple):
    """Paths of what was fetched."""

    lexicon: str
    tokens: str
    lm: str | None


class CTCHypothesis(NamedTuple):
    """A hypothesis: tokens and their frames as tensors or arrays (int64 and int32), words, and the score."""

    tokens: Any
    words: list[str]  # none without a lexicon
    score: float
    timesteps: Any


class CTCDecoderLMState(_LMState):
    """A state of a language model in Python."""

    def _new(self) -> CTCDecoderLMState:
        return CTCDecoderLMState()


class CTCDecoderLM(_LM):
    """Base class of language models in Python; see :class:`fastctc.compat.flashlight.decoder.LM`."""


class CTCDecoder:
    """Beam search over paths, with or without a lexicon; made by :func:`ctc_decoder`."""

    def __init__(
        self,
        nbest: int,
        lexicon: Mapping[str, Sequence[Sequence[str]]] | None,
        word_dict: _Dictionary | None,
        tokens_dict: _Dictionary,
        lm: _LM,
        decoder_options: _LexiconDecoderOptions | _LexiconFreeDecoderOptions,
        blank_token: str,
        sil_token: str,
        unk_word: str,
    ) -> None:
        self.nbest = nbest
        self.word_dict = word_dict
        self.tokens_dict = tokens_dict
        self.blank = tokens_dict.get_index(blank_token)
        self.lm = lm
        self.decoder: _LexiconDecoder | _LexiconFreeDecoder
        silence = tokens_dict.get_index(sil_token)
        if isinstance(decoder_options, _LexiconDecoderOptions):
            if not lexicon or word_dict is None:
                raise ValueError("a search within a lexicon needs the lexicon and the dictionary of its words")
            tree = _tree(lexicon, word_dict, tokens_dict, lm)
            unknown = word_dict.get_index(unk_word)
            self.decoder = _LexiconDecoder(decoder_options, tree, lm, silence, self.blank, unknown, [], False)
        else:
            self.decoder = _LexiconFreeDecoder(decoder_options, lm, silence, self.blank, [])

    def __call__(self, emissions: Any, lengths: Any = None) -> list[list[CTCHypothesis]]:
        """Decode a batch.

        Parameters
        ----------
        emissions : tensor or array (batch, frames, tokens)
            float32, on the CPU, contiguous; log probabilities or any scores.
        lengths : tensor or array (batch,), optional
            Number of frames of each sequence.

        Returns
        -------
        list of lists of CTCHypothesis
            Of each sequence at most ``nbest``, the best first.

        Raises
        ------
        ValueError
            For another dtype, for NaN or +inf, and for lengths above the number of frames.
        RuntimeError
            For tensors elsewhere, not contiguous, or of another rank.
        """
        rows = _checked(emissions, 3)
        if lengths is not None and not getattr(lengths, "is_cpu", True):
            raise RuntimeError("lengths must be a CPU tensor.")
        n_frames = [rows.shape[1]] * len(rows) if lengths is None else as_array(lengths).tolist()
        if len(n_frames) < len(rows) or not all(0 <= n <= rows.shape[1] for n in n_frames):
            raise ValueError(f"lengths must be {len(rows)} numbers from 0 to {rows.shape[1]}, got {n_frames}")
        found = []
        for sequence, n in zip(rows, n_frames, strict=False):
            self.decoder.decode_begin()
            self.decoder._extend(sequence[:n])
            self.decoder.decode_end()
            found.append(self.get_final_hypothesis())
        return found

    def decode_begin(self) -> None:
        """Begin a sequence whose frames come in parts."""
        self.decoder.decode_begin()

    def decode_step(self, emissions: Any) -> None:
        """Go on with some frames: (frames, tokens), otherwise as in a call."""
        self.decoder._extend(_checked(emissions, 2))

    def decode_end(self) -> None:
        """End the sequence."""
        self.decoder.decode_end()

    def get_final_hypothesis(self) -> list[CTCHypothesis]:
        """The best hypotheses of the sequence, at most ``nbest``."""
        scores, tokens, words = self.decoder._fill(-1, self.nbest)
        found = []
        for (score, _, _), path, places in zip(scores.tolist(), tokens, words, strict=True):
            starts = _starts(path, self.blank)
            labels, frames = as_tensor(path[starts].astype(np.int64)), as_tensor(starts.astype(np.int32))
            entries = places[places >= 0].tolist()
            names = [self.word_dict.get_entry(word) for word in entries] if self.word_dict is not None else []
            found.append(CTCHypothesis(labels, names, score, frames))
        return found

    def idxs_to_tokens(self, idxs: Iterable[Any]) -> list[str]:
        """The names of tokens."""
        return [self.tokens_dict.get_entry(int(idx)) for idx in idxs]

    def _get_tokens(self, idxs: Any) -> Any:
        """The tokens of a path."""
        return as_tensor(np.array([idx for idx, _ in groupby(_path(idxs)) if idx != self.blank], np.int64))

    def _get_timesteps(self, idxs: Any) -> Any:
        """The first frame of each token of a path."""
        return as_tensor(_starts(np.array(_path(idxs), np.int32), self.blank).astype(np.int32))


def ctc_decoder(
    lexicon: str | PathLike[str] | None,
    tokens: str | PathLike[str] | Sequence[str],
    lm: str | PathLike[str] | _LM | None = None,
    lm_dict: str | None = None,
    nbest: int = 1,
    beam_size: int = 50,
    beam_size_token: int | None = None,
    beam_threshold: float = 50,
    lm_weight: float = 2,
    word_score: float = 0,
    unk_score: float = -inf,
    sil_score: float = 0,
    log_add: bool = False,
    blank_token: str = "-",
    sil_token: str = "|",
    unk_word: str = "<unk>",
) -> CTCDecoder:
    """Make a decoder.

    Parameters
    ----------
    lexicon : path, optional
        A word and its spelling on each line; a word may have several lines. By default texts are not bound to words.
    tokens : path or list of str
        The classes: a line each, or an entry each.
    lm : path or CTCDecoderLM, optional
        An n-gram model, or one in Python: of words within a lexicon, otherwise of tokens.
    lm_dict : path, optional
        The words, or tokens, in the order of the model's indices. By default those of the lexicon, or the tokens.
    nbest, beam_size : int
        How many hypotheses to return, and to keep after each frame.
    beam_size_token : int, optional
        How many classes of a frame to look at; by default all.
    beam_threshold : float, default 50
        How much worse than a frame's best a hypothesis may be.
    lm_weight, word_score, unk_score, sil_score : float
        Weight of the model; what is added for each word, unknown word, and frame of silence.
    log_add : bool, default False
        Whether to add the paths that agree, or to take the best of them.
    blank_token, sil_token, unk_word : str

    Raises
    ------
    ValueError
        For an lm_dict that is no path, tokens that are not among the classes, and a lexicon without a word.
    OSError, RuntimeError
        For files that cannot be read.
    """
    if lm_dict is not None and type(lm_dict) is not str:
        raise ValueError("lm_dict must be None or str type.")
    tokens_dict = _Dictionary(tokens)
    words = _load_words(lexicon) if lexicon else None
    if not isinstance(lm, _LM | str | PathLike | None):
        raise ValueError(f"lm must be a path, a CTCDecoderLM or None, got {type(lm).__name__}")
    options: _LexiconDecoderOptions | _LexiconFreeDecoderOptions
    n_tokens = beam_size_token or tokens_dict.index_size()
    if words is not None:
        options = _LexiconDecoderOptions(
            beam_size=beam_size,
            beam_size_token=n_tokens,
            beam_threshold=beam_threshold,
            lm_weight=lm_weight,
            word_score=word_score,
            unk_score=unk_score,
            sil_score=sil_score,
            log_add=log_add,
            criterion_type=_CriterionType.CTC,
        )
    else:
        options = _LexiconFreeDecoderOptions(
            beam_size=beam_size,
            beam_size_token=n_tokens,
            beam_threshold=beam_threshold,
            lm_weight=lm_weight,
            sil_score=sil_score,
            log_add=log_add,
            criterion_type=_CriterionType.CTC,
        )
    word_dict = None
    if lm_dict is not None:
        word_dict = _Dictionary(lm_dict)
    elif words is not None:
        word_dict = _create_word_dict(words)
    elif isinstance(lm, str | PathLike):  # the tokens, in their order, and an unknown one
        entries = tokens_dict.map_indices_to_entries(range(tokens_dict.index_size()))
        word_dict = _create_word_dict({entry: [[entry]] for entry in [*entries, unk_word]})
    if isinstance(lm, str | PathLike):
        assert word_dict is not None
        lm = _KenLM(lm, word_dict)
    return CTCDecoder(
        nbest=nbest,
        lexicon=words,
        word_dict=word_dict,
        tokens_dict=tokens_dict,
        lm=_ZeroLM() if lm is None else lm,
        decoder_options=options,
        blank_token=blank_token,
        sil_token=sil_token,
        unk_word=unk_word,
    )


def download_pretrained_files(model: str) -> PretrainedFiles:
    """Fetch torchaudio's lexicon, tokens and language model, once; where the program has torch, beside its other files.

    Parameters
    ----------
    model : {"librispeech-3-gram", "librispeech-4-gram", "librispeech"}
        The last has no language model.

    Raises
    ------
    ValueError
        For another name.
    OSError
        If they cannot be fetched.
    """
    if model not in MODELS:
        raise ValueError(f"{model} not supported. Must be one of {list(MODELS)}")
    names = ["lexicon.txt", "tokens.txt"] + ([] if model == "librispeech" else ["lm.bin"])
    lexicon, tokens, *lm = [str(_fetched(f"{model}/{name}")) for name in names]
    return PretrainedFiles(lexicon, tokens, lm[0] if lm else None)


def _fetched(name: str) -> Path:
    """A file of torchaudio's assets, where torch keeps them."""
    from os import environ
    from urllib.request import urlretrieve

    cache = environ.get("TORCH_HOME") or str(Path(environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch")
    path = Path(cache).expanduser() / "hub" / "torchaudio" / "decoder-assets" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside, _ = urlretrieve(ASSETS + name, path.with_suffix(".part"))
        Path(beside).replace(path)
    return path


def _tree(
    lexicon: Mapping[str, Sequence[Sequence[str]]], words: _Dictionary, tokens: _Dictionary, lm: _LM
) -> SpellingTree:
    """The lexicon's spellings, smeared with what the model gives words at the beginning of a text."""
    numbers = dict(zip(lexicon, words.map_entries_to_indices(lexicon), strict=True))
    spelt = [
        (tokens.map_entries_to_indices(spelling), numbers[word])
        for word, spellings in lexicon.items()
        for spelling in spellings
    ]
    if not spelt:
        raise ValueError("a lexicon must hold at least one word with its spelling, got none")
    scores = first_scores(lm, max(numbers.values()) + 1)
    spellings, of_words = zip(*spelt, strict=True)
    return spelling_tree(spellings, of_words, [scores[word] for word in of_words])


def _checked(emissions: Any, rank: int) -> NDArray[np.float32]:
    """Emissions as an array, after what torchaudio asks of them."""
    if str(emissions.dtype) not in ("torch.float32", "float32"):
        raise ValueError("emissions must be float32.")
    if not getattr(emissions, "is_cpu", True):
        raise RuntimeError("emissions must be a CPU tensor.")
    is_contiguous = emissions.is_contiguous() if hasattr(emissions, "is_contiguous") else emissions.flags.c_contiguous
    if not is_contiguous:
        raise RuntimeError("emissions must be contiguous.")
    if emissions.ndim != rank:
        raise RuntimeError(f"emissions must be {rank}D. Found {tuple(emissions.shape)}")
    return as_array(emissions)


def _path(idxs: Any) -> list[int]:
    return [int(idx) for idx in as_array(idxs)]


def _starts(path: NDArray[np.int32], blank: int) -> NDArray[np.intp]:
    """The frames in which tokens begin."""
    begins = path != blank
    begins[1:] &= path[1:] != path[:-1]
    return np.flatnonzero(begins)
