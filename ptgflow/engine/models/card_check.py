"""What a card declares of a model, compared with what the checkpoint is."""

from pathlib import Path
from typing import Final

from transformers import PreTrainedModel

from ptgflow.contracts import Capability, ModelCard
from ptgflow.contracts.native_modules import native_modules
from ptgflow.diagnostics.codes.runtime import CARD_CONTRADICTED, UNSUPPORTED_MODEL
from ptgflow.engine.models.codec import Codec
from ptgflow.errors import RunError

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


def end_ids_of(network: PreTrainedModel) -> tuple[int, ...]:
    """The end tokens of the generation configuration and of the model's own."""
    ids: list[int] = []
    for named in (network.generation_config.eos_token_id, network.config.eos_token_id):
        ids += [named] if isinstance(named, int) else list(named or ())
    return tuple(ids)


def abilities_of(folder: Path | None) -> frozenset[Capability]:
    """What a model of a supported family can do, with what its folder brings along."""
    brought = folder is not None and native_modules(folder)[1] > 0
    return CAUSAL_DECODER | {Capability.NATIVE_MTP} if brought else CAUSAL_DECODER


def check_card(card: ModelCard, network: PreTrainedModel, codec: Codec, able: frozenset[Capability]) -> None:
    """Compare what the card declares with what the checkpoint is, and is able to do."""
    found: list[tuple[str, str, str]] = []
    if card.tokenizer is not None and card.tokenizer != codec.fingerprint:
        found.append(("tokenizer", card.tokenizer, codec.fingerprint))
    context = network.config.max_position_embeddings
    if card.context_length is not None and card.context_length > context:
        found.append(("context_length", str(card.context_length), str(context)))
    missing = sorted((card.capabilities or frozenset()) - able)
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
