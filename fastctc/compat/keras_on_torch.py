"""The CTC functions of Keras 3 on PyTorch, those behind ``keras.ops``.

Decoding runs on the CPU; tensors elsewhere travel there and back.
"""

from typing import TYPE_CHECKING, Any

from fastctc.compat.keras import check_strategy, decoded
from fastctc.frameworks.torch import ctc_loss as differentiable_loss

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ctc_decode", "ctc_loss"]


def ctc_decode(
    inputs: "Tensor",
    sequence_lengths: "Tensor",
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int | None = 0,
) -> "tuple[Tensor, Tensor]":
    """Labels (paths, batch, frames) of int32, -1 behind the end, and scores, as ``keras.ops.ctc_decode``."""
    import torch

    check_strategy(strategy)
    frames = _floats(inputs)
    labels, scores = decoded(
        frames.detach().cpu().numpy(),
        _tensor(sequence_lengths).detach().cpu().numpy(),
        strategy,
        beam_width,
        top_paths,
        merge_repeated,
        -1 if mask_index is None else mask_index,
    )
    return torch.from_numpy(labels).to(frames.device), torch.from_numpy(scores).to(frames.device)


def ctc_loss(
    target: "Tensor", output: "Tensor", target_length: "Tensor", output_length: "Tensor", mask_index: int = 0
) -> "Tensor":
    """Loss (batch,) of labels (batch, labels) and logits (batch, frames, classes), as ``keras.ops.ctc_loss``."""
    log_probs = _floats(output).log_softmax(-1).transpose(0, 1)
    lengths = _tensor(output_length), _tensor(target_length)
    return differentiable_loss(log_probs, _tensor(target), *lengths, blank=mask_index, reduction="none")


def _tensor(value: Any) -> "Tensor":
    import torch

    if isinstance(value, torch.Tensor):
        return value
    from keras import ops

    tensor: Tensor = ops.convert_to_tensor(value)
    return tensor


def _floats(value: Any) -> "Tensor":
    """In single precision, or double where it is."""
    import torch

    tensor = _tensor(value)
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
