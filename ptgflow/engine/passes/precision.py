"""Which number format and which kernels a model runs with on a device."""

from typing import Final

import torch

from ptgflow.contracts.model_card import DType
from ptgflow.engine.passes.linear import Int8Linear, MakeLinear, PackedLinear, PlainLinear, can_pack

FLOATS: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def resolved(dtype: DType, device: torch.device, *, written: bool) -> DType:
    """What `auto` means: bfloat16 where the device computes in it natively, float32 elsewhere.

    On a processor that goes for the written-out pass alone, which keeps activations in fp32 and only the weights in
    bfloat16; transformers' modules would do everything in bfloat16, and slowly.
    """
    if dtype != "auto":
        return dtype
    if device.type == "cpu":
        return "bfloat16" if written and can_pack(device) and _native_bfloat16() else "float32"
    return "bfloat16" if device.type != "cuda" or torch.cuda.is_bf16_supported() else "float16"


def activation_dtype(dtype: DType, device: torch.device) -> torch.dtype:
    """Precision of activations, keys and values of a written-out pass: on a processor always fp32."""
    return torch.float32 if device.type == "cpu" else FLOATS[dtype]


def linear_maker(dtype: DType, device: torch.device) -> MakeLinear:
    """How a written-out model makes its products."""
    if dtype == "int8":
        return Int8Linear
    wide = FLOATS[dtype]
    if can_pack(device) and dtype != "float16":
        return lambda weight, bias: PackedLinear(weight, bias, wide)
    return lambda weight, bias: PlainLinear(weight.to(wide), None if bias is None else bias.to(wide))


def head_maker(dtype: DType, device: torch.device) -> MakeLinear:
    """How it makes its logits: on a processor in fp32 whatever the other weights are.

    In bfloat16 every logit would be rounded to 8 bits and the best two would often tie. A fp32 head costs about a tenth
    of a pass and brings the divergence from the fp32 model down to a third (measured on the embedded model).
    """
    return linear_maker("float32" if device.type == "cpu" else dtype, device)


def _native_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 numbers; emulated, they are slower than fp32."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, bool)() for check in checks)
