"""The decoders, as ``torchaudio.models.decoder`` has them."""

from fastctc.compat.torchaudio.decoder._ctc_decoder import (
    CTCDecoder,
    CTCDecoderLM,
    CTCDecoderLMState,
    CTCHypothesis,
    ctc_decoder,
    download_pretrained_files,
)
from fastctc.compat.torchaudio.decoder._cuda_ctc_decoder import CUCTCDecoder, CUCTCHypothesis, cuda_ctc_decoder

__all__ = [
    "CTCDecoder",
    "CTCDecoderLM",
    "CTCDecoderLMState",
    "CTCHypothesis",
    "CUCTCDecoder",
    "CUCTCHypothesis",
    "ctc_decoder",
    "cuda_ctc_decoder",
    "download_pretrained_files",
]
