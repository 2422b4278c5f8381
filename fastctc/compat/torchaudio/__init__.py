"""The decoders and the forced alignment of torchaudio 2: ``torchaudio.models.decoder``, and three of its functions.

Tensors come back where the program has imported torch, otherwise arrays; torch is never imported here.
"""

from fastctc.compat.torchaudio.alignment import Aligner, TokenSpan, forced_align, merge_tokens
from fastctc.compat.torchaudio.decoder import (
    CTCDecoder,
    CTCDecoderLM,
    CTCDecoderLMState,
    CTCHypothesis,
    CUCTCDecoder,
    CUCTCHypothesis,
    ctc_decoder,
    cuda_ctc_decoder,
    download_pretrained_files,
)

__all__ = [
    "Aligner",
    "CTCDecoder",
    "CTCDecoderLM",
    "CTCDecoderLMState",
    "CTCHypothesis",
    "CUCTCDecoder",
    "CUCTCHypothesis",
    "TokenSpan",
    "ctc_decoder",
    "cuda_ctc_decoder",
    "download_pretrained_files",
    "forced_align",
    "merge_tokens",
]
