"""The target with gradients for the adapters alone: its text once without them, then masks behind many places of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from ptgflow.contracts.accelerators import Accelerate
from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.gated_lora import Adapter, adapted
from ptgflow.engine.models.model import LoadedModel, load_model
from ptgflow.engine.passes.attention import SLIDING, AttentionPattern


class Gated(Protocol):
    """A network under training that adds adapters to the target."""

    config: HeadConfig
    masks: nn.Parameter
    """Embeddings of the masks."""
    layers: nn.ModuleList
    """As `adapter_layers` makes them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadText:
    """What the target makes of texts by itself."""

    states: Float[Tensor, "batch positions hidden"]
    """Behind its last norm."""
    cache: DynamicCache
    """Keys and values."""


@final
class GatedTarget:
    """transformers' own modules, with hooks that add what adapters make of the inputs of products."""

    def __init__(self, model: LoadedModel, net: Gated) -> None:
        """Load the target's modules: those of a pass that is written out have no gradients.

        Args:
            model: the target.
            net: what is trained.

        Raises:
            RunError: whatever loading a model raises.
        """
        card = model.card.model_copy(update={"dtype": "float32", "device": str(model.device)})
        network: PreTrainedModel = load_model(card, Accelerate(forward="transformers")).network
        self._decoder: Final[Any] = network.model
        self._pattern = AttentionPattern.of(network.config, model.name)
        self._net = net
        self._gated = False
        for number, layer in enumerate(net.layers):
            for name in adapted(net.config):
                adapter = layer.get_submodule(name)
                assert isinstance(adapter, Adapter), "the network made them"
                product = self._decoder.layers[number].get_submodule(name)
                product.register_forward_hook(self._hook(adapter))

    def _hook(self, adapter: Adapter) -> Any:
        def add(_: object, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            return output + adapter(inputs[0]) if self._gated else output

        return add

    @contextmanager
    def _gate(self) -> Iterator[None]:
        """Masks, and no other tokens, pass through the network inside."""
        self._gated = True
        try:
            yield
        finally:
            self._gated = False

    def output_factor(self) -> Float[Tensor, " hidden"]:
        """The factor of the target's last norm, behind which its output matrix stands."""
        with torch.no_grad():
            weight: Tensor = self._decoder.norm.weight
            factor: Tensor = self._decoder.norm(torch.ones_like(weight)[None])[0]
        return factor

    def states(
        self, tokens: Int[Tensor, "batch positions"], anchors: Int[Tensor, "batch anchors"]
    ) -> Float[Tensor, "batch anchors masks hidden"]:
        """What the last norm leaves of masks behind each anchor, which is a position of the text.

        The masks of an anchor see the text up to it, and the masks before them; those of other anchors they do not see.
        """
        count, batch = self._net.config.heads, len(tokens)
        masks = self._net.masks.expand(batch, anchors.shape[1], count, -1)
        return self.windows(self.read(tokens), anchors, masks, mutual=False)

    def read(self, tokens: Int[Tensor, "batch positions"]) -> ReadText:
        """Texts read without adapters, which have no gradients and serve any number of windows."""
        cache = DynamicCache()
        with torch.no_grad():
            found: Tensor = self._decoder(input_ids=tokens, past_key_values=cache, use_cache=True).last_hidden_state
        return ReadText(states=found, cache=cache)

    def windows(
        self,
        text: ReadText,
        anchors: Int[Tensor, "batch anchors"],
        embedded: Float[Tensor, "batch anchors window hidden"],
        *,
        mutual: bool,
    ) -> Float[Tensor, "batch anchors window hidden"]:
        """What the last norm leaves of what stands in a window behind each anchor, where adapters are on.

        Args:
            text: what stands before them.
            anchors: positions of the text. A window sees the text up to its anchor, and no other window.
            embedded: what stands in the windows.
            mutual: whether what stands in a window sees all of it, or only what stands before it.
        """
        (batch, length), count = text.states.shape[:2], embedded.shape[2]
        steps = torch.arange(count, device=anchors.device)
        positions = (anchors[..., None] + 1 + steps).flatten(1)
        pattern = self._pattern
        masks = {
            kind: visible_to_masks(anchors, count, length, pattern.window if kind == SLIDING else None, mutual=mutual)[
                :, None
            ]
            for kind in sorted(set(pattern.kinds))
        }
        with self._gate():
            found: Tensor = self._decoder(
                inputs_embeds=embedded.flatten(1, 2),
                position_ids=positions,
                attention_mask=masks if len(masks) > 1 else next(iter(masks.values())),
                past_key_values=text.cache,
                use_cache=True,
            ).last_hidden_state
        # What was in the windows goes again; products that gradients need are kept by these.
        text.cache.crop(-positions.shape[1])
        return found.view(batch, anchors.shape[1], count, -1)


def visible_to_masks(
    anchors: Int[Tensor, "batch anchors"], count: int, length: int, window: int | None, *, mutual: bool = False
) -> Bool[Tensor, "batch masks keys"]:
    """What masks see of a text and of each other.

    Args:
        anchors: positions of the text.
        count: masks behind each.
        length: of the text, whose tokens are the first keys; the others are the masks.
        window: a position sees so many, its own included; None: all before it.
        mutual: whether masks see those behind them, too.
    """
    steps = torch.arange(count, device=anchors.device)
    positions = (anchors[..., None] + 1 + steps).flatten(1)
    number = torch.arange(positions.shape[1], device=anchors.device)
    text = torch.arange(length, device=anchors.device)
    before = text <= anchors.repeat_interleave(count, dim=1)[..., None]
    same = number[:, None] // count == number // count
    if not mutual:
        same &= number <= number[:, None]
    seen = torch.cat((before, same.expand(len(anchors), -1, -1)), dim=-1)
    if window is None:
        return seen
    at = torch.cat((text.expand(len(anchors), -1), positions), dim=-1)
    return seen & (at[:, None] > positions[..., None] - window)


def drawn_anchors(
    able: Bool[Tensor, "batch positions"], most: int | None, generator: torch.Generator
) -> tuple[Int[Tensor, "batch anchors"], Bool[Tensor, "batch anchors"]]:
    """Of the positions of each text that are able to be anchors at most so many, drawn; None: all.

    Returns:
        Positions, ascending, as many for each text; and which of them are able.
    """
    device, able = able.device, able.cpu()
    there = max(int(able.sum(dim=1).max()), 1)
    order = torch.rand(able.shape, generator=generator).masked_fill(~able, -1.0)
    anchors = order.topk(there if most is None else min(most, there), dim=1).indices.sort(dim=1).values
    return anchors.to(device), able.gather(1, anchors).to(device)
