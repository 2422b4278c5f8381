"""Decoders, language models and the tree of spellings, as ``flashlight.lib.text.decoder`` has them."""

import warnings
from typing import Any

from fastctc.compat.flashlight.models import LM, LMState, ZeroLM
from fastctc.compat.flashlight.searches import (
    CriterionType,
    DecodeResult,
    EmittingModelState,
    LexiconDecoder,
    LexiconDecoderOptions,
    LexiconFreeDecoder,
    LexiconFreeDecoderOptions,
    LexiconFreeSeq2SeqDecoder,
    LexiconFreeSeq2SeqDecoderOptions,
    LexiconSeq2SeqDecoder,
    LexiconSeq2SeqDecoderOptions,
    create_emitting_model_state,
    get_obj_from_emitting_model_state,
)
from fastctc.compat.flashlight.trie import SmearingMode, Trie, TrieNode

__all__ = [
    "LM",
    "CriterionType",
    "DecodeResult",
    "EmittingModelState",
    "LMState",
    "LexiconDecoder",
    "LexiconDecoderOptions",
    "LexiconFreeDecoder",
    "LexiconFreeDecoderOptions",
    "LexiconFreeSeq2SeqDecoder",
    "LexiconFreeSeq2SeqDecoderOptions",
    "LexiconSeq2SeqDecoder",
    "LexiconSeq2SeqDecoderOptions",
    "SmearingMode",
    "Trie",
    "TrieNode",
    "ZeroLM",
    "create_emitting_model_state",
    "get_obj_from_emitting_model_state",
]


def __getattr__(name: str) -> Any:
    if name != "KenLM":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    warnings.warn("KenLM stands in flashlight.lib.text.decoder.kenlm", PendingDeprecationWarning, stacklevel=2)
    from fastctc.compat.flashlight.models import KenLM

    return KenLM
