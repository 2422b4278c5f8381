"""The decoders, their options and results."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import inf
from operator import index
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fastctc.compat.flashlight.models import LM, ZeroLM, search_model
from fastctc.compat.flashlight.trie import Trie
from fastctc.compiled.path_search import PathSearch
from fastctc.search_inputs import PathOptions, SpellingTree

Results = tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.int32]]


class CriterionType(IntEnum):
    """What the network was trained with. Only CTC can be decoded here."""

    ASG = 0
    CTC = 1
    S2S = 2


@dataclass(slots=True)
class LexiconDecoderOptions:
    """How a search within a lexicon weighs and prunes."""

    beam_size: int
    beam_size_token: int
    beam_threshold: float
    lm_weight: float
    word_score: float
    unk_score: float
    sil_score: float
    log_add: bool
    criterion_type: CriterionType


@dataclass(slots=True)
class LexiconFreeDecoderOptions:
    """How a search without a lexicon weighs and prunes."""

    beam_size: int
    beam_size_token: int
    beam_threshold: float
    lm_weight: float
    sil_score: float
    log_add: bool
    criterion_type: CriterionType


class DecodeResult:
    """A path: its score, with the shares of emissions and language model; of each frame the token, and a word or -1.

    A beam has many paths of which programs read few: lists are made of arrays when they are read.
    """

    __slots__ = ("_found", "_place", "_tokens", "_words", "emittingModelScore", "lmScore", "score")

    def __init__(self, length: int = 0) -> None:
        self.score = self.emittingModelScore = self.lmScore = 0.0
        self._tokens: list[int] | None = [-1] * length
        self._words: list[int] | None = [-1] * length
        self._found: Results
        self._place: int

    @property
    def tokens(self) -> list[int]:
        """Of each frame the token."""
        if self._tokens is None:
            self._tokens = self._found[1][self._place].tolist()
        return self._tokens

    @tokens.setter
    def tokens(self, tokens: list[int]) -> None:
        self._tokens = tokens

    @property
    def words(self) -> list[int]:
        """Of each frame the word that ends there, or -1."""
        if self._words is None:
            self._words = self._found[2][self._place].tolist()
        return self._words

    @words.setter
    def words(self, words: list[int]) -> None:
        self._words = words

    @classmethod
    def _each(cls, found: Results) -> list[DecodeResult]:
        results = []
        for place, scores in enumerate(found[0].tolist()):
            result = cls.__new__(cls)
            result.score, result.emittingModelScore, result.lmScore = scores
            result._tokens = result._words = None
            result._found = found
            result._place = place
            results.append(result)
        return results


class _Decoder:
    """What both decoders do. The search is made when the first frames say how many classes there are."""

    _lexicon = False

    def __init__(
        self,
        options: LexiconDecoderOptions | LexiconFreeDecoderOptions,
        lm: LM,
        sil_token_idx: int,
        blank_token_idx: int,
        transitions: Sequence[float],
        tree: SpellingTree | None = None,
        unknown: int = -1,
        token_lm: bool = True,
    ) -> None:
        if options.criterion_type != CriterionType.CTC:
            raise ValueError(f"criterion_type must be CTC, the only criterion that is decoded here, got {options!r}")
        if not isinstance(lm, LM):
            raise TypeError(f"lm must be a language model, an instance of LM, got {type(lm).__name__}")
        if options.beam_size < 1 or options.beam_size_token < 1:
            raise ValueError(
                f"beam_size and beam_size_token must be 1 or more, got {options.beam_size}, {options.beam_size_token}"
            )
        self._lm = lm
        self._silence, self._blank, self._unknown = sil_token_idx, blank_token_idx, unknown
        self._transitions = list(transitions)
        self._tree = tree
        self._options = PathOptions(
            beam_width=options.beam_size,
            tokens_per_frame=options.beam_size_token,
            threshold=options.beam_threshold,
            lm_weight=options.lm_weight,
            word_bonus=getattr(options, "word_score", 0.0),
            unknown_bonus=getattr(options, "unk_score", -inf),
            silence_bonus=options.sil_score,
            log_add=options.log_add,
            token_model=token_lm,
        )
        self._n_classes = 0
        self._search: PathSearch | None = None
        self._began = False

    def decode(self, emissions: int, T: int, N: int) -> list[DecodeResult]:
        """All hypotheses of a sequence, the best first: (T, N) emissions in single precision at an address."""
        self.decode_begin()
        self.decode_step(emissions, T, N)
        self.decode_end()
        return self.get_all_final_hypothesis()

    def decode_begin(self) -> None:
        """Forget all frames."""
        self._began = True
        if self._search is not None:
            self._search.begin()

    def decode_step(self, emissions: int, T: int, N: int) -> None:
        """Go on with T frames of N classes in single precision, one after the other at an address."""
        self._extend(_array_at(emissions, index(T), index(N)))

    def decode_end(self) -> None:
        """Let the text end here."""
        self._running().end()

    def prune(self, look_back: int = 0) -> None:
        """Let go of frames before the last ``look_back``; what goes on is scored from 0 again."""
        if look_back < 0:
            raise ValueError(f"look_back must be 0 or more, got {look_back}")
        self._running().prune(look_back)

    def get_best_hypothesis(self, look_back: int = 0) -> DecodeResult:
        """The best path up to some frames before the last, within a lexicon up to the end of a word."""
        if look_back < 0:
            raise ValueError(f"look_back must be 0 or more, got {look_back}")
        search = self._running()
        if self._lexicon and search.size(-1)[1] - 1 - look_back < 1:
            return DecodeResult()
        return next(iter(self._results(look_back)), DecodeResult())

    def get_all_final_hypothesis(self) -> list[DecodeResult]:
        """All paths of the beam, the best first."""
        if not self._began or (self._lexicon and self._running().size(-1)[1] < 2):
            return []
        return self._results(-1)

    def _results(self, look_back: int) -> list[DecodeResult]:
        return DecodeResult._each(self._fill(look_back))

    def _fill(self, look_back: int, n_best: int | None = None) -> Results:
        """(n, 3) scores, (n, frames) tokens and words."""
        search = self._running()
        n, length = search.size(look_back)
        n = n if n_best is None else min(n, n_best)
        scores = np.empty((n, 3))
        tokens, words = np.empty((n, length), np.int32), np.empty((n, length), np.int32)
        search.fill(look_back, scores, tokens, words)
        return scores, tokens, words

    def _running(self) -> PathSearch:
        if not self._began:
            raise RuntimeError("decode_begin must be called first")
        if self._search is None:  # no frames have come
            self._make(max(self._silence, self._blank, int(self._tree.tokens.max()) if self._tree else 0) + 1)
        assert self._search is not None
        return self._search

    def _make(self, n_classes: int) -> None:
        self._search = PathSearch(
            n_classes, self._blank, self._silence, self._unknown, self._options, self._tree, search_model(self._lm)
        )
        self._n_classes = n_classes
        self._search.begin()

    def _extend(self, emissions: NDArray[np.float32]) -> None:
        if not self._began:
            raise RuntimeError("decode_begin must be called first")
        if self._search is None or (self._n_classes != emissions.shape[1] and self._search.size(-1)[1] == 1):
            self._make(emissions.shape[1])
        if not (emissions < inf).all():
            which = int(np.flatnonzero(~(emissions < inf).all(axis=1))[0])
            raise ValueError(f"emissions must be numbers or -inf, got NaN or +inf in frame {which}")
        self._running().extend(emissions)


class LexiconFreeDecoder(_Decoder):
    """Beam search over paths, without a lexicon; a language model scores tokens."""

    def __init__(
        self,
        options: LexiconFreeDecoderOptions,
        lm: LM,
        sil_token_idx: int,
        blank_token_idx: int,
        transitions: Sequence[float],
    ) -> None:
        super().__init__(options, lm, sil_token_idx, blank_token_idx, transitions)
        self._given = options

    def get_options(self) -> LexiconFreeDecoderOptions:
        """The options."""
        return self._given

    def get_sil_idx(self) -> int:
        """The class of silence."""
        return self._silence

    def get_blank_idx(self) -> int:
        """The class of the blank."""
        return self._blank

    def get_transitions(self) -> list[float]:
        """What another criterion would need."""
        return self._transitions

    def __reduce__(self) -> tuple[Any, ...]:
        if type(self._lm) is not ZeroLM or self._began:
            raise RuntimeError("a decoder with a language model, or with frames, cannot be pickled")
        return LexiconFreeDecoder, (self._given, self._lm, self._silence, self._blank, self._transitions)


class LexiconDecoder(_Decoder):
    """Beam search over paths within a lexicon; a language model scores words, or tokens."""

    _lexicon = True

    def __init__(
        self,
        options: LexiconDecoderOptions,
        trie: Trie | SpellingTree,
        lm: LM,
        sil_token_idx: int,
        blank_token_idx: int,
        unk_token_idx: int,
        transitions: Sequence[float],
        is_token_lm: bool,
    ) -> None:
        tree = trie._tables() if isinstance(trie, Trie) else trie
        super().__init__(options, lm, sil_token_idx, blank_token_idx, transitions, tree, unk_token_idx, is_token_lm)


def _no_criterion(name: str) -> type:
    def refuse(self: Any, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(f"{name} is for sequence-to-sequence models; only CTC is decoded here")

    return type(name, (), {"__init__": refuse, "__doc__": "For sequence-to-sequence models: not here."})


LexiconSeq2SeqDecoder = _no_criterion("LexiconSeq2SeqDecoder")
LexiconSeq2SeqDecoderOptions = _no_criterion("LexiconSeq2SeqDecoderOptions")
LexiconFreeSeq2SeqDecoder = _no_criterion("LexiconFreeSeq2SeqDecoder")
LexiconFreeSeq2SeqDecoderOptions = _no_criterion("LexiconFreeSeq2SeqDecoderOptions")
EmittingModelState = _no_criterion("EmittingModelState")
create_emitting_model_state = _no_criterion("create_emitting_model_state")
get_obj_from_emitting_model_state = _no_criterion("get_obj_from_emitting_model_state")


def _array_at(address: int, n_frames: int, n_classes: int) -> NDArray[np.float32]:
    """The frames at an address."""
    if n_frames < 0 or n_classes < 1:
        raise ValueError(f"emissions must have 0 or more frames of 1 or more classes, got {n_frames} and {n_classes}")
    address = index(address)
    if address <= 0 and n_frames:
        raise ValueError(f"emissions must be an address of memory, got {address}")
    if address % 4:
        raise ValueError(f"emissions must be an address of numbers in single precision, a multiple of 4, got {address}")
    if not n_frames:
        return np.empty((0, n_classes), np.float32)
    memory = (ctypes.c_float * (n_frames * n_classes)).from_address(address)
    return np.ctypeslib.as_array(memory).reshape(n_frames, n_classes)
