"""N-gram models, as ``flashlight.lib.text.decoder.kenlm`` has them."""

from fastctc.compat.flashlight.models import KenLM

__all__ = ["KenLM"]
