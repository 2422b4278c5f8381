"""The CTC loss as a function of PyTorch, with the signature of ``torch.nn.functional.ctc_loss``."""

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from fastctc.frameworks.batches import losses, texts_of

if TYPE_CHECKING:
    from torch import Tensor


def ctc_loss(
    log_probs: "Tensor",
    targets: "Tensor",
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
    *,
    threads: int | None = None,
) -> "Tensor":
    """CTC loss of a batch, to be differentiated.

    Parameters
    ----------
    log_probs : Tensor (frames, batch, classes) or (frames, classes)
        Log probabilities, as ``log_softmax`` makes them; of any floating type, on any device.
    targets : Tensor (batch, labels), or (labels,) of all texts one after the other
        Labels, padded with anything.
    input_lengths, target_lengths : Tensor or sequence of int (batch,)
        How many frames of each sequence, and labels of each text, count.
    blank : int, default 0
    reduction : {"mean", "sum", "none"}
        "mean" divides each loss by the length of its text first.
    zero_infinity : bool, default False
        Whether the loss of an impossible text is 0 instead of inf. Its gradient is 0 in any case.
    threads : int, default 1
        Number of threads that share the batch.

    Returns
    -------
    Tensor
        One number, or (batch,) for "none", of the type and on the device of ``log_probs``.

    Raises
    ------
    ImportError
        Without PyTorch.
    ValueError
        For what :func:`fastctc.ctc_loss` refuses, and an unknown reduction.

    Notes
    -----
    The gradient by log probabilities is -γ, what the loss falls by if one of them grows and the others stay. PyTorch's
    own is softmax - γ; behind ``log_softmax`` both come to the same. Derivatives of higher order are not computed.

    Examples
    --------
    In place of ``torch.nn.functional.ctc_loss``::

        from fastctc.frameworks.torch import ctc_loss

        loss = ctc_loss(network(images).log_softmax(-1), targets, input_lengths, target_lengths)
        loss.backward()
    """
    import torch

    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be mean, sum or none, got {reduction!r}")
    one = log_probs.dim() == 2
    if one:
        log_probs = log_probs.unsqueeze(1)
        targets = targets.reshape(1, -1)
    label_lengths = np.atleast_1d(_as_array(target_lengths))
    texts = texts_of(_as_array(targets), label_lengths)
    lengths = np.atleast_1d(_as_array(input_lengths))
    found: Tensor = _function().apply(log_probs, texts, lengths, blank, threads)
    if zero_infinity:
        found = torch.where(torch.isinf(found), torch.zeros_like(found), found)
    if reduction == "mean":
        found = found / torch.as_tensor(label_lengths).clamp(min=1).to(found)
        return found.mean()
    if reduction == "sum":
        return found.sum()
    return found[0] if one else found


def _as_array(value: Any) -> Any:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)


@cache
def _function() -> Any:
    """The class that PyTorch differentiates, which only exists where PyTorch does."""
    import torch

    class Loss(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, log_probs: Any, texts: Any, lengths: Any, blank: int, threads: int | None) -> Any:
            frames = log_probs.detach().cpu().transpose(0, 1)
            if frames.dtype not in (torch.float32, torch.float64):
                frames = frames.float()
            found, slope = losses("scores", frames.numpy(), texts, lengths, blank, threads, ctx.needs_input_grad[0])
            if slope is not None:
                ctx.save_for_backward(torch.from_numpy(slope).to(log_probs).transpose(0, 1))
            return torch.from_numpy(found).to(log_probs)

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
        def backward(ctx: Any, grad: Any) -> Any:
            [slope] = ctx.saved_tensors
            return slope * grad[:, None], None, None, None, None

    return Loss
