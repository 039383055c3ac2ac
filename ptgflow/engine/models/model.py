"""A loaded model: the network, its codec, and what is true of them, read from the checkpoint and not from the card."""

from dataclasses import dataclass
from typing import Final

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ptgflow.contracts import Capability, ModelCard
from ptgflow.diagnostics.codes.runtime import (
    CARD_CONTRADICTED,
    EMPTY_PROMPT,
    PROMPT_TOO_LONG,
    UNSUPPORTED_MODEL,
)
from ptgflow.engine.models.checkpoint import load_checkpoint
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.models.progress import Progress, silent
from ptgflow.engine.models.sources import Tiny, resolve
from ptgflow.engine.models.tiny import tiny_network, tiny_tokenizer
from ptgflow.errors import RunError

DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

CAUSAL_DECODER: Final = frozenset(
    {
        Capability.CAUSAL,
        Capability.KV_CACHE,
        Capability.HIDDEN_STATES,
        Capability.LAYER_ACCESS,
        Capability.MASK_TOKEN,
    }
)
"""What every supported family gives. A mask token can be added to any of them; none is trained to fill holes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model that is ready to decode."""

    name: str
    card: ModelCard
    network: PreTrainedModel
    """In evaluation mode, without gradients."""
    codec: Codec
    context_length: int
    """Most tokens of prompt and answer together: the checkpoint's, or less where the card says so."""
    device: torch.device
    dtype: torch.dtype
    capabilities: frozenset[Capability]

    @property
    def parameters(self) -> int:
        """Number of weights; a matrix that is used twice counts once."""
        return sum(weight.numel() for weight in self.network.parameters())

    @property
    def kv_bytes_per_token(self) -> int:
        """Size of one token's keys and values in all layers, in bytes of fp32."""
        config = self.network.config.to_dict()
        head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        return int(2 * config["num_hidden_layers"] * config["num_key_value_heads"] * head_dim * 4)

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


def load_model(card: ModelCard, *, attention: str = "auto", progress: Progress | None = None) -> LoadedModel:
    """Fetch, convert and load what a card describes.

    Args:
        card: which model, in which precision, on which device.
        attention: the attention kernel of the framework, `sdpa` or `eager`; `auto`: `sdpa` where the model allows it.
        progress: is told every step, with bytes while a download runs.

    Raises:
        RunError: the source cannot be reached or read, is damaged, unsafe or of an unsupported architecture, or says
            something else than the card. Nothing half-fetched or half-converted stays behind.
    """
    tell = progress or silent
    device = _device(card)
    network, tokenizer = _network_and_tokenizer(card, tell)
    _set_attention(card, network, attention)
    _settle(card, network, device)
    codec = Codec(tokenizer, model=card.name, end_ids=_end_ids(network), rows=network.config.vocab_size)
    config = network.config
    _check_card(card, network, codec)
    return LoadedModel(
        name=card.name,
        card=card,
        network=network,
        codec=codec,
        context_length=card.context_length or config.max_position_embeddings,
        device=device,
        dtype=DTYPES[card.dtype],
        capabilities=CAUSAL_DECODER if card.capabilities is None else card.capabilities,
    )


def _network_and_tokenizer(card: ModelCard, tell: Progress) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    source = resolve(card, tell)
    if isinstance(source, Tiny):
        tokenizer = tiny_tokenizer()
        network = tiny_network(tokenizer)
        for weight in network.parameters():  # Not the rotary frequencies, which stay fp32 as in any checkpoint.
            weight.data = weight.data.to(DTYPES[card.dtype])
        return network, tokenizer
    tell(f"loading {card.name}")
    return load_checkpoint(card, source, dtype=DTYPES[card.dtype])


def _set_attention(card: ModelCard, network: PreTrainedModel, attention: str) -> None:
    """Use another kernel than the one that the checkpoint was loaded with, if that is possible."""
    loaded = network.config._attn_implementation
    if attention in ("auto", loaded):
        return
    if attention == "sdpa":
        reason = "it caps attention scores before the softmax, which fused attention cannot express"
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason=reason, help="write accelerate.attention=auto")])
    network.set_attn_implementation(attention)


def _device(card: ModelCard) -> torch.device:
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


def _settle(card: ModelCard, network: torch.nn.Module, device: torch.device) -> None:
    """Move a network to its device, and make sure that nobody trains it by accident."""
    try:
        network.to(device)
    except torch.OutOfMemoryError as error:
        reason = f"it does not fit into the memory of {device}"
        remedy = "write model.dtype=bfloat16, or model.device=cpu"
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason=reason, help=remedy)]) from error
    network.eval().requires_grad_(False)


def _end_ids(network: PreTrainedModel) -> tuple[int, ...]:
    """The end tokens of the generation configuration and of the model's own."""
    ids: list[int] = []
    for named in (network.generation_config.eos_token_id, network.config.eos_token_id):
        ids += [named] if isinstance(named, int) else list(named or ())
    return tuple(ids)


def _check_card(card: ModelCard, network: PreTrainedModel, codec: Codec) -> None:
    """Compare what the card declares with what the checkpoint is."""
    found: list[tuple[str, str, str]] = []
    if card.tokenizer is not None and card.tokenizer != codec.fingerprint:
        found.append(("tokenizer", card.tokenizer, codec.fingerprint))
    context = network.config.max_position_embeddings
    if card.context_length is not None and card.context_length > context:
        found.append(("context_length", str(card.context_length), str(context)))
    missing = sorted((card.capabilities or frozenset()) - CAUSAL_DECODER)
    if missing:
        found.append(("capabilities", ", ".join(missing), "none of these"))
    if found:
        raise RunError(
            [CARD_CONTRADICTED(model=card.name, field=name, declared=said, found=is_) for name, said, is_ in found]
        )
    words, rows = codec.tokenizer.vocab_size, network.config.vocab_size
    if words > rows:
        reason = f"its tokenizer has {words} tokens, its embedding only {rows}: they do not belong together"
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason=reason)])
