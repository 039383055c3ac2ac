"""A masked model of which most of each layer is kept from one pass to the next (dLLM-Cache, arXiv 2506.06295)."""

from dataclasses import dataclass, field, replace
from typing import Any, Final, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from ptgflow.contracts.masked_model import MaskedConventions
from ptgflow.diagnostics.codes.runtime import UNSUPPORTED_MODEL
from ptgflow.engine.canvas.columns import Columns, hide_shadows
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
    """Rotary embeddings of all places, and then of shadows."""
    seen: Bool[Tensor, "columns columns"]
    """Which of them see which."""
    additive: bool
    """Whether a mask is numbers."""


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

    def without(self, prompt: tuple[int, ...]) -> tuple[int, ...]:
        """As many mask tokens."""
        return (self._conventions.mask_id,) * len(prompt)

    @torch.inference_mode()
    def predict(self, asks: list[CanvasAsk]) -> list[Float[Tensor, "lines vocab"]]:
        return [self._predict(self._rows[ask.row], ask) for ask in asks]

    def _predict(self, row: _Row, ask: CanvasAsk) -> Float[Tensor, "lines vocab"]:
        network, kept, tokens, lines = self._network, row.kept, row.layout.shown(ask), row.layout.lines(ask)
        job = Columns(tokens=tokens, places=range(len(tokens)), rows=lines)
        seen = torch.ones(len(job.ids), len(job.ids), dtype=torch.bool)
        hide_shadows(seen, job)
        positions = torch.tensor([job.positions], device=network.device)
        states: Tensor = network.model.embed_tokens(torch.tensor([job.ids], device=network.device))
        work = _Pass(
            begin=len(row.layout.prompt),
            end=len(tokens),
            prompt_is_due=kept.due(self._prompt_interval),
            response_is_due=kept.due(self._response_interval),
            turned=network.model.rotary_emb(states, positions),
            seen=seen.to(network.device),
            additive=network.config._attn_implementation == "eager",
        )
        for number, layer in enumerate(network.model.layers):
            states, kept.layers[number] = self._through(layer, states, kept.layers.get(number), work)
        kept.passes += 1
        logits = network.lm_head(network.model.norm(states[:, [job.columns[line] for line in lines]]))
        return over_target(logits, self._conventions.mask_id, None)[0]

    def _through(
        self, layer: Any, states: Float[Tensor, "1 columns hidden"], before: KeptLayerFeatures | None, work: _Pass
    ) -> tuple[Float[Tensor, "1 columns hidden"], KeptLayerFeatures]:
        """One layer: the states behind it, and what is kept of it. Shadows are always computed, and never kept."""
        normed: Tensor = layer.input_layernorm(states)
        kept, places = self._due(layer.self_attn, normed[:, : work.end], before, work)
        columns = torch.cat([places, torch.arange(work.end, states.shape[1], device=places.device)])
        memory = RenewedKeys(kept, places)
        seen = work.seen[columns][None, None]
        attended: Tensor
        attended, _ = layer.self_attn(
            hidden_states=normed[:, columns],
            position_embeddings=tuple(one[:, columns] for one in work.turned),
            attention_mask=additive(seen, states.dtype, torch.finfo(states.dtype).min) if work.additive else seen,
            past_key_values=memory,
        )
        attended = self._joined(attended, None if kept is None else kept.attended, places)
        states = states + attended
        thought: Tensor = layer.mlp(layer.post_attention_layernorm(states[:, columns]))
        thought = self._joined(thought, None if kept is None else kept.thought, places)
        keys, values = memory.shown
        kept = KeptLayerFeatures(
            keys=keys, values=values, attended=attended[:, : work.end], thought=thought[:, : work.end]
        )
        return states + thought, kept

    def _joined(
        self,
        new: Float[Tensor, "1 computed hidden"],
        old: Float[Tensor, "1 places hidden"] | None,
        places: Int[Tensor, " renewed"],
    ) -> Float[Tensor, "1 columns hidden"]:
        """What is added to each place, new where it was computed, and then to shadows; None: every place was."""
        if old is None:
            return new
        count = len(places)
        return torch.cat([old.index_copy(1, places, new[:, :count]), new[:, count:]], dim=1)

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
