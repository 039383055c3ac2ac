"""A masked model of which most of each layer is kept from one pass to the next (dLLM-Cache, arXiv 2506.06295)."""

from dataclasses import dataclass, field, replace
from typing import Any, Final, final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from ptgflow.contracts.masked_model import MaskedConventions
from ptgflow.diagnostics.codes.runtime import UNSUPPORTED_MODEL
from ptgflow.engine.canvas.full_denoiser import check_network, over_target
from ptgflow.engine.canvas.kept_features import (
    PROMPT_INTERVAL,
    RESPONSE_INTERVAL,
    SHARE,
    KeptFeatures,
    KeptLayerFeatures,
    RenewedKeys,
    most_changed,
)
from ptgflow.engine.canvas.rules import CanvasAsk
from ptgflow.engine.canvas.text_layout import TextLayout
from ptgflow.engine.passes.attention import additive
from ptgflow.errors import RunError

_KNOWN: Final = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Architectures whose layers are one attention and one network, each behind a norm and added to what came in."""


@dataclass(slots=True)
class _Row:
    layout: TextLayout
    kept: KeptFeatures = field(default_factory=KeptFeatures)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pass:
    """One pass over one row."""

    begin: int
    """Where the response begins."""
    end: int
    prompt_is_due: bool
    response_is_due: bool
    turned: tuple[Tensor, Tensor]
    """Rotary embeddings of all places."""
    sees: Tensor
    """A mask for one place that sees all."""


@final
class FeatureDenoiser:
    """A `Denoiser` over a bidirectional model of Llama's or Qwen's layers; rows are computed one after the other.

    The first pass of a row is exact, and so is every pass in which prompt and response are due at once. In the others
    the places that are not computed keep their keys and what the layer adds to them. Of the response the values are
    always new, as they tell which of its places have changed.
    """

    def __init__(
        self,
        network: PreTrainedModel,
        conventions: MaskedConventions,
        *,
        prompt_interval: int = PROMPT_INTERVAL,
        response_interval: int = RESPONSE_INTERVAL,
        share: float = SHARE,
        name: str = "the masked model",
    ) -> None:
        """Prepare.

        Args:
            network: in evaluation mode.
            conventions: how it wants to be asked.
            prompt_interval: passes from one over all of the prompt to the next.
            response_interval: the same, of the response.
            share: of the response, which is computed in the passes between.
            name: for messages.

        Raises:
            RunError: UNSUPPORTED_MODEL, for a model without the mask token, or whose layers are of another kind.
        """
        if network.config.model_type not in _KNOWN:
            reason = (
                f"cache=dllm keeps what layers of Llama and Qwen add, and it is computed as {network.config.model_type}"
            )
            raise RunError([UNSUPPORTED_MODEL(model=name, reason=reason, help="write another cache, or cache=none")])
        check_network(network, conventions, name)
        assert conventions.attention == "bidirectional", "of blocks that are final all is kept, and exact"
        self._network: Any = network
        self._conventions = conventions
        self._prompt_interval = prompt_interval
        self._response_interval = response_interval
        self._share = share
        self._rows: dict[int, _Row] = {}
        self._admitted = 0

    def admit(self, prompt: tuple[int, ...], size: int) -> int:
        self._admitted += 1
        self._rows[self._admitted] = _Row(TextLayout(self._conventions, prompt, size))
        return self._admitted

    def free(self, row: int) -> None:
        del self._rows[row]

    @torch.inference_mode()
    def predict(self, asks: list[CanvasAsk]) -> list[Float[Tensor, "wanted vocab"]]:
        return [self._predict(self._rows[ask.row], ask) for ask in asks]

    def _predict(self, row: _Row, ask: CanvasAsk) -> Float[Tensor, "wanted vocab"]:
        network, kept = self._network, row.kept
        tokens = torch.tensor([row.layout.shown(ask)], device=network.device)
        states: Tensor = network.model.embed_tokens(tokens)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        sees = torch.ones(1, 1, 1, len(places), dtype=torch.bool, device=tokens.device)
        eager = network.config._attn_implementation == "eager"
        work = _Pass(
            begin=len(row.layout.prompt),
            end=len(places),
            prompt_is_due=kept.due(self._prompt_interval),
            response_is_due=kept.due(self._response_interval),
            turned=network.model.rotary_emb(states, places[None]),
            sees=additive(sees, states.dtype, torch.finfo(states.dtype).min) if eager else sees,
        )
        for number, layer in enumerate(network.model.layers):
            states, kept.layers[number] = self._through(layer, states, kept.layers.get(number), work)
        kept.passes += 1
        logits = network.lm_head(network.model.norm(states[:, row.layout.rows(ask)]))
        return over_target(logits, self._conventions.mask_id, None)[0]

    def _through(
        self, layer: Any, states: Float[Tensor, "1 places hidden"], before: KeptLayerFeatures | None, work: _Pass
    ) -> tuple[Float[Tensor, "1 places hidden"], KeptLayerFeatures]:
        """One layer: the states behind it, and what is kept of it."""
        normed: Tensor = layer.input_layernorm(states)
        kept, places = self._due(layer.self_attn, normed, before, work)
        memory = RenewedKeys(kept, places)
        attended: Tensor
        attended, _ = layer.self_attn(
            hidden_states=normed[:, places],
            position_embeddings=tuple(one[:, places] for one in work.turned),
            attention_mask=work.sees.expand(-1, -1, len(places), -1),
            past_key_values=memory,
        )
        attended = attended if kept is None else kept.attended.index_copy(1, places, attended)
        states = states + attended
        thought: Tensor = layer.mlp(layer.post_attention_layernorm(states[:, places]))
        thought = thought if kept is None else kept.thought.index_copy(1, places, thought)
        keys, values = memory.shown
        return states + thought, KeptLayerFeatures(keys=keys, values=values, attended=attended, thought=thought)

    def _due(
        self,
        attention: Any,
        normed: Float[Tensor, "1 places hidden"],
        kept: KeptLayerFeatures | None,
        work: _Pass,
    ) -> tuple[KeptLayerFeatures | None, Int[Tensor, " computed"]]:
        """What is kept, with new values of the response, and the places to compute, ascending."""
        device = normed.device
        prompt = torch.arange(work.begin if work.prompt_is_due else 0, device=device)
        if kept is None or work.response_is_due:
            return kept, torch.cat([prompt, torch.arange(work.begin, work.end, device=device)])
        heads, size = kept.values.shape[1], kept.values.shape[3]
        new: Tensor = attention.v_proj(normed[:, work.begin :]).unflatten(2, (heads, size)).transpose(1, 2)
        old = kept.values[:, :, work.begin :]
        chosen = most_changed(new[0].transpose(0, 1).flatten(1), old[0].transpose(0, 1).flatten(1), self._share)
        values = torch.cat([kept.values[:, :, : work.begin], new], dim=2)
        return replace(kept, values=values), torch.cat([prompt, work.begin + chosen])
