"""A loaded model: the network, its codec, and what is true of them, read from the checkpoint and not from the card."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from ptgflow.contracts import Capability, ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.contracts.masked_model import Holes
from ptgflow.contracts.model_card import DType
from ptgflow.diagnostics.codes.runtime import (
    EMPTY_PROMPT,
    PROMPT_TOO_LONG,
    UNSUPPORTED_MODEL,
)
from ptgflow.engine.memory import give_back
from ptgflow.engine.models.agreement import check_agreement, token_laws
from ptgflow.engine.models.card_check import abilities_of, check_card, end_ids_of
from ptgflow.engine.models.checkpoint import load_checkpoint, mapped_embedding
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.models.holes import checked_holes
from ptgflow.engine.models.progress import Progress, silent
from ptgflow.engine.models.settling import device_of, set_attention, settle
from ptgflow.engine.models.sources import Tiny, resolve
from ptgflow.engine.models.tiny import tiny_network, tiny_tokenizer
from ptgflow.engine.passes.attention import kept_bytes
from ptgflow.engine.passes.interface import ModelPass
from ptgflow.engine.passes.linear import Linear, PlainLinear
from ptgflow.engine.passes.precision import FLOATS, activation_dtype, head_maker, linear_maker, resolved
from ptgflow.engine.passes.transformers_pass import TransformersPass
from ptgflow.engine.passes.written.fixed import FixedPass
from ptgflow.engine.passes.written.forward import WrittenPass
from ptgflow.engine.passes.written.network import Network
from ptgflow.engine.passes.written.reading import reason_against, written_out
from ptgflow.engine.passes.written.weights import WrittenModel
from ptgflow.errors import RunError


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model that is ready to decode."""

    name: str
    card: ModelCard
    weights: PreTrainedModel | WrittenModel
    """transformers' network, in evaluation mode and without gradients, or what was written out of it."""
    codec: Codec
    vocab_size: int
    """Rows of the embedding, and logits a token."""
    parameters: int
    """Number of weights; a matrix that is used twice counts once."""
    kv_bytes_per_token: int
    """Size of one token's keys and values in all layers, in bytes of fp32."""
    context_length: int
    """Most tokens of prompt and answer together: the checkpoint's, or less where the card says so."""
    device: torch.device
    dtype: DType
    """Precision of the weights, never `auto`."""
    shapes: Literal["fixed", "ragged"]
    """Whether passes over few tokens are padded to a few shapes."""
    capabilities: frozenset[Capability]
    config: PretrainedConfig
    """The checkpoint's own, with the sizes of its layers."""
    folder: Path | None = None
    """The checkpoint's, with what the model does not hold of it; None: it was made in memory."""
    holes: Holes | None = None
    """How a masked model is asked; None: it writes from left to right."""

    @property
    def hidden_size(self) -> int:
        """Numbers in a hidden state."""
        size: int = self.config.hidden_size
        return size

    @property
    def layers(self) -> int:
        """Decoder layers."""
        count: int = self.config.num_hidden_layers
        return count

    @torch.no_grad()
    def embed(self, ids: Int[Tensor, "*tokens"]) -> Float[Tensor, "*tokens hidden"]:
        """What the first layer reads for some tokens."""
        if isinstance(self.weights, WrittenModel):
            return Network(self.weights).embed(ids)
        found: Tensor = self.weights.get_input_embeddings()(ids)
        return found

    @property
    def output(self) -> Linear:
        """What the last normed state is multiplied with for logits, as the passes have it: nothing is copied."""
        if isinstance(self.weights, WrittenModel):
            return self.weights.head
        head = self.weights.get_output_embeddings()
        assert head is not None, "a causal model has an output matrix"
        return PlainLinear(head.weight, head.bias)

    @torch.no_grad()
    def output_rows(self, ids: Int[Tensor, " tokens"]) -> Float[Tensor, "tokens hidden"]:
        """What the last normed state is multiplied with for the logits of some tokens, in fp32."""
        head = self.weights.head if isinstance(self.weights, WrittenModel) else self.weights.get_output_embeddings()
        assert head is not None, "a causal model has an output matrix"
        # Packed weights cannot be indexed; their products with unit vectors are what they are.
        unit = torch.eye(self.hidden_size, dtype=head.weight.dtype if isinstance(head, torch.nn.Linear) else None)
        parts = [head(rows.to(self.device))[:, ids].float() for rows in torch.split(unit, 256)]
        return torch.cat(parts).T.contiguous()

    @property
    def network(self) -> PreTrainedModel:
        """Transformers' network, of a model that was loaded with `Accelerate(forward="transformers")`."""
        assert isinstance(self.weights, PreTrainedModel), "a model that is written out has given its modules away"
        return self.weights

    @property
    def forward(self) -> Literal["written", "transformers"]:
        """How its passes are computed."""
        return "written" if isinstance(self.weights, WrittenModel) else "transformers"

    def open_pass(self, *, budget: int | None = None) -> ModelPass:
        """A pass with slots of its own, in at most `budget` bytes.

        Raises:
            RunError: UNSUPPORTED_MODEL, for a model whose keys and values cannot be kept by position.
        """
        self.check_causal()
        if isinstance(self.weights, WrittenModel):
            if self.shapes == "fixed":
                return FixedPass(self.weights, budget=budget)
            return WrittenPass(self.weights, budget=budget)
        return TransformersPass(self.weights, self.name, budget=budget)

    def check_causal(self) -> None:
        """Whether it writes from left to right.

        Raises:
            RunError: UNSUPPORTED_MODEL, for a masked model.
        """
        if self.holes is not None:
            reason = "it is a masked model, which fills holes and does not write from left to right"
            raise RunError([UNSUPPORTED_MODEL(model=self.name, reason=reason, help="write recipe=masked")])

    def check_prompt(self, tokens: int) -> None:
        """Whether a prompt of so many tokens leaves room for a new one.

        Raises:
            RunError: EMPTY_PROMPT or PROMPT_TOO_LONG.
        """
        if not tokens:
            raise RunError([EMPTY_PROMPT(what="prompt")])
        if tokens >= self.context_length:
            excess = tokens - self.context_length + 1
            finding = PROMPT_TOO_LONG(tokens=tokens, model=self.name, limit=self.context_length, excess=excess)
            raise RunError([finding])


Models = dict[tuple[ModelCard, tuple[str, str, str]], LoadedModel]
"""Loaded models by their card and `Accelerate.kernels`."""


def load_model(
    card: ModelCard, accelerate: Accelerate | None = None, *, progress: Progress | None = None
) -> LoadedModel:
    """Fetch, convert and load what a card describes.

    Args:
        card: which model, in which precision, on which device.
        accelerate: how its passes are computed; None: as is best.
        progress: is told every step, with bytes while a download runs.

    Raises:
        RunError: the source cannot be reached or read, is damaged, unsafe or of an unsupported architecture, says
            something else than the card, or cannot be run as asked. Nothing half-fetched or half-converted stays.
    """
    tell = progress or silent
    accelerate = accelerate or Accelerate()
    device = device_of(card)
    network, tokenizer, folder = network_and_tokenizer(card, tell)
    config = network.config.get_text_config()
    holes = checked_holes(card, config.vocab_size, tokenizer, folder)
    set_attention(card, network, accelerate.attention)
    written = _is_written(card, network, holes, accelerate)
    dtype = resolved(card.dtype, device, written=written)
    if dtype == "int8" and not (written and device.type == "cpu"):
        reason = "int8 weights need the written-out pass on a processor"
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason=reason, help="write model.dtype=auto")])
    codec = Codec(tokenizer, model=card.name, end_ids=end_ids_of(network, holes), rows=config.vocab_size)
    able = abilities_of(folder, holes)
    check_card(card, network, codec, able)
    settle(card, network, device, None if written else FLOATS[dtype])
    facts = {
        "vocab_size": config.vocab_size,
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "kv_bytes_per_token": kept_bytes(config),
        "config": config,
        "context_length": card.context_length or config.max_position_embeddings,
    }
    weights = _written(card, network, codec, dtype, device, folder) if written else network
    del network
    give_back()
    return LoadedModel(
        name=card.name,
        card=card,
        weights=weights,
        codec=codec,
        device=device,
        dtype=dtype,
        shapes="fixed" if written and _are_fixed(accelerate, device) else "ragged",
        capabilities=able if card.capabilities is None else card.capabilities,
        folder=folder,
        holes=holes,
        **facts,
    )


def network_and_tokenizer(
    card: ModelCard, tell: Progress
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, Path | None]:
    """The network with its weights as they are stored, the tokenizer, and the folder of both, which `tiny` lacks.

    Raises:
        RunError: the source cannot be reached or read, is damaged, unsafe or of an unsupported architecture.
    """
    source = resolve(card, tell)
    if isinstance(source, Tiny):
        tokenizer = tiny_tokenizer()
        return tiny_network(tokenizer), tokenizer, None
    tell(f"loading {card.name}")
    return *load_checkpoint(card, source), source


def _is_written(card: ModelCard, network: PreTrainedModel, holes: Holes | None, accelerate: Accelerate) -> bool:
    masked = None if holes is None else "the passes of masked models are transformers'"
    reason, forward = masked or reason_against(network), accelerate.forward
    if accelerate.shapes == "fixed" and (reason is not None or forward == "transformers"):
        why = f"fixed shapes need the written-out pass, and {reason or 'accelerate.forward=transformers was asked for'}"
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason=why, help="write accelerate.shapes=auto")])
    if forward == "written" and reason is not None:
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason=reason, help="write accelerate.forward=auto")])
    return forward != "transformers" and reason is None


def _written(
    card: ModelCard, network: PreTrainedModel, codec: Codec, dtype: DType, device: torch.device, folder: Path | None
) -> WrittenModel:
    """Write a network out; it is of no use afterwards.

    Raises:
        RunError: UNSUPPORTED_MODEL, for int8 weights that agree too little with those of the checkpoint.
    """
    reference = token_laws(network, codec) if dtype == "int8" else None
    embedding = None if folder is None or device.type != "cpu" else mapped_embedding(network, folder)
    model = written_out(
        network,
        linear_maker(dtype, device),
        head_maker(dtype, device),
        activation_dtype(dtype, device),
        embedding=embedding,
    )
    if reference is not None:
        check_agreement(card, reference, WrittenPass(model, budget=None), codec)
    return model


def _are_fixed(accelerate: Accelerate, device: torch.device) -> bool:
    return accelerate.shapes == "fixed" or (accelerate.shapes == "auto" and device.type == "cuda")
