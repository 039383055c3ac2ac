"""The target as mask tokens meet it: with their embeddings, and with adapters at all its products."""

import dataclasses
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ptgflow.diagnostics.codes.runtime import UNSUPPORTED_MODEL
from ptgflow.engine.heads.gated_lora import SCALE
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.passes.linear import Linear, MakeLinear
from ptgflow.engine.passes.written.network import paired
from ptgflow.engine.passes.written.weights import WrittenModel
from ptgflow.errors import RunError


@final
class Gate:
    """For which tokens of a pass adapters are on."""

    def __init__(self) -> None:
        self.places: Int[Tensor, " places"] | None = None
        """Which tokens; None: they are on for all."""


@final
class AdaptedLinear:
    """A product of the target, and what an adapter adds to it."""

    def __init__(self, base: Linear, down: Linear, up: Linear, gate: Gate) -> None:
        self._base, self._down, self._up, self._gate = base, down, up, gate

    @property
    def nbytes(self) -> int:
        return self._base.nbytes + self._down.nbytes + self._up.nbytes

    def __call__(self, x: Float[Tensor, "tokens inputs"]) -> Float[Tensor, "tokens outputs"]:
        found, places = self._base(x), self._gate.places
        if places is None:
            return found + self._up(self._down(x))
        # Text is most of a pass that begins a row, and adapters cost more than their few numbers suggest.
        return found.index_add_(0, places, self._up(self._down(paired(x[places])))[: len(places)])


def written_of(model: LoadedModel) -> WrittenModel:
    """The weights that adapters are added to.

    Raises:
        RunError: UNSUPPORTED_MODEL, for a model whose pass is not written out.
    """
    if not isinstance(model.weights, WrittenModel):
        reason = "the adapters of gated_lora heads need the written-out pass"
        remedy = "write accelerate.forward=auto, or choose other heads"
        raise RunError([UNSUPPORTED_MODEL(model=model.name, reason=reason, help=remedy)])
    return model.weights


def gated_model(heads: Heads, model: LoadedModel, make: MakeLinear) -> WrittenModel:
    """The target's own weights with adapters beside them; its tokens are the masks, by their numbers.

    Raises:
        RunError: UNSUPPORTED_MODEL, for a model whose pass is not written out.
    """
    made = adapted_model(heads, model, make, Gate())
    return dataclasses.replace(made, embedding=heads.tensors["masks"].to(model.device), embedding_scale=1.0)


def adapted_model(heads: Heads, model: LoadedModel, make: MakeLinear, gate: Gate) -> WrittenModel:
    """The target's own weights with adapters beside them, which are on where a gate says so.

    Raises:
        RunError: UNSUPPORTED_MODEL, for a model whose pass is not written out.
    """
    whole = written_of(model)
    tensors = {name: one.to(model.device) for name, one in heads.tensors.items()}

    def adapted(base: Linear, layer: int, *names: str) -> AdaptedLinear:
        """Products that read the same are one, and so are their adapters."""
        pairs = [
            (tensors[f"layers.{layer}.{name}.lora_A.weight"], tensors[f"layers.{layer}.{name}.lora_B.weight"])
            for name in names
        ]
        down = torch.cat([one for one, _ in pairs])
        up: Tensor = torch.block_diag(*(one for _, one in pairs))  # type: ignore[no-untyped-call]
        return AdaptedLinear(base, make(down, None), make(up * SCALE, None), gate)

    layers = tuple(
        dataclasses.replace(
            layer,
            qkv=adapted(layer.qkv, number, *(f"self_attn.{one}_proj" for one in "qkv")),
            out=adapted(layer.out, number, "self_attn.o_proj"),
            gate_up=adapted(layer.gate_up, number, "mlp.gate_proj", "mlp.up_proj"),
            down=adapted(layer.down, number, "mlp.down_proj"),
        )
        for number, layer in enumerate(whole.layers)
    )
    return dataclasses.replace(whole, layers=layers)
