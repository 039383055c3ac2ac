"""Where and how a network runs: its device, its precision, its attention."""

import torch
from transformers import PreTrainedModel

from ptgflow.contracts import ModelCard
from ptgflow.diagnostics.codes.runtime import UNSUPPORTED_MODEL
from ptgflow.errors import RunError


def set_attention(card: ModelCard, network: PreTrainedModel, attention: str) -> None:
    """Use another kernel than the one that the checkpoint was loaded with.

    Raises:
        RunError: UNSUPPORTED_MODEL, where that is not possible.
    """
    loaded = network.config._attn_implementation
    if attention in ("auto", loaded):
        return
    if attention == "sdpa":
        reason = "it caps attention scores before the softmax, which fused attention cannot express"
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason=reason, help="write accelerate.attention=auto")])
    network.set_attn_implementation(attention)


def device_of(card: ModelCard) -> torch.device:
    """Where a card says that it runs.

    Raises:
        RunError: UNSUPPORTED_MODEL, for a device that is not here.
    """
    if card.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(card.device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = f"there is no device {card.device!r} here ({str(error).splitlines()[0]})"
        remedy = "write model.device=auto, or model.device=cpu"
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason=reason, help=remedy)]) from error
    return device


def settle(card: ModelCard, network: torch.nn.Module, device: torch.device, dtype: torch.dtype | None) -> None:
    """Move a network to its device, and make sure that nobody trains it by accident.

    `dtype` None leaves the weights as they are stored.

    Raises:
        RunError: UNSUPPORTED_MODEL, where it does not fit.
    """
    try:
        network.to(device)
        if dtype is not None:
            for weight in network.parameters():  # Not the rotary frequencies, which stay fp32 in any checkpoint.
                weight.data = weight.data.to(dtype)
    except torch.OutOfMemoryError as error:
        reason = f"it does not fit into the memory of {device}"
        remedy = "write model.dtype=bfloat16, or model.device=cpu"
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason=reason, help=remedy)]) from error
    network.eval().requires_grad_(False)
