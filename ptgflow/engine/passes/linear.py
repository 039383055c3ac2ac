"""Matrix products of a written-out pass: the fastest kernels of the device, over weights laid out for them once."""

from collections.abc import Callable
from typing import Any, Final, Protocol, final, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int8
from torch import Tensor

_MKLDNN: Final[Any] = torch.ops.mkldnn
_ATEN: Final[Any] = torch.ops.aten
_BACKEND: Final[Any] = torch.backends.mkldnn
_TYPICAL_TOKENS: Final = 8
"""oneDNN chooses the layout of packed weights for a number of tokens; any number works with it."""
_FEW_TOKENS: Final = 16
"""Up to so many tokens the weight-only int8 kernel is faster than making wide weights of the narrow ones."""


@runtime_checkable
class Linear(Protocol):
    """x W^T + b."""

    def __call__(self, x: Float[Tensor, "tokens inputs"]) -> Float[Tensor, "tokens outputs"]:
        """Multiply; the result has the precision of `x`."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory that the weights take."""
        ...


MakeLinear = Callable[[Tensor, Tensor | None], Linear]
"""From a weight and a bias to a product in a precision and a layout."""


@final
class PlainLinear:
    """The framework's own product, for accelerators and where nothing better is at hand."""

    def __init__(self, weight: Float[Tensor, "outputs inputs"], bias: Float[Tensor, " outputs"] | None) -> None:
        self._weight, self._bias = weight, bias

    @property
    def nbytes(self) -> int:
        return self._weight.nbytes

    def __call__(self, x: Float[Tensor, "tokens inputs"]) -> Float[Tensor, "tokens outputs"]:
        return F.linear(x.to(self._weight.dtype), self._weight, self._bias).to(x.dtype)


@final
class PackedLinear:
    """oneDNN over weights in its own blocked layout.

    Besides being faster on a few tokens, it gives a token the same result to the last bit in a pass of two tokens and
    in one of a hundred on the processors where this was measured, which the framework's own product does not.
    """

    def __init__(
        self, weight: Float[Tensor, "outputs inputs"], bias: Float[Tensor, " outputs"] | None, dtype: torch.dtype
    ) -> None:
        """Lay out weights in fp32 or bf16."""
        self.nbytes: int = weight.numel() * dtype.itemsize
        self._dtype = dtype
        self._weight = _MKLDNN._reorder_linear_weight(weight.to(dtype).contiguous(), _TYPICAL_TOKENS)
        self._bias = None if bias is None else bias.to(dtype)

    def __call__(self, x: Float[Tensor, "tokens inputs"]) -> Float[Tensor, "tokens outputs"]:
        product: Tensor = _MKLDNN._linear_pointwise(x.to(self._dtype), self._weight, self._bias, "none", [], "")
        return product.to(x.dtype)


@final
class Int8Linear:
    """Weights as 8-bit integers with a scale for each output; activations stay wide (bf16)."""

    def __init__(self, weight: Float[Tensor, "outputs inputs"], bias: Float[Tensor, " outputs"] | None) -> None:
        scale = (weight.abs().amax(dim=1) / 127.0).clamp(min=torch.finfo(torch.float32).tiny).to(torch.bfloat16)
        # Rounded first, so that the integers make up for what the scale lost.
        steps = (weight / scale.float()[:, None]).round().clamp(-127, 127)
        self._weight: Int8[Tensor, "outputs inputs"] = steps.to(torch.int8)
        self._scale = scale
        self._bias = bias

    @property
    def nbytes(self) -> int:
        return self._weight.nbytes + self._scale.nbytes

    def __call__(self, x: Float[Tensor, "tokens inputs"]) -> Float[Tensor, "tokens outputs"]:
        wide = x.to(torch.bfloat16)
        if x.shape[0] <= _FEW_TOKENS:
            product = _ATEN._weight_int8pack_mm(wide, self._weight, self._scale)
        else:
            product = F.linear(wide, self._weight.to(torch.bfloat16)) * self._scale
        product = product.to(x.dtype)
        return product if self._bias is None else product + self._bias


def can_pack(device: torch.device) -> bool:
    """Whether oneDNN's packed product is there: on a processor, in builds of the framework that have it."""
    return device.type == "cpu" and _BACKEND.is_available() and hasattr(_MKLDNN, "_reorder_linear_weight")
