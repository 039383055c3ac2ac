"""What a card declares of a model, compared with what the checkpoint is."""

from pathlib import Path

from transformers import PreTrainedModel

from ptgflow.contracts import Capability, ModelCard
from ptgflow.contracts.abilities import CAUSAL_DECODER, abilities_to_fill
from ptgflow.contracts.masked_model import Holes, MaskedConventions
from ptgflow.contracts.native_modules import native_modules
from ptgflow.diagnostics.codes.runtime import CARD_CONTRADICTED, UNSUPPORTED_MODEL
from ptgflow.engine.models.codec import Codec
from ptgflow.errors import RunError


def end_ids_of(network: PreTrainedModel, holes: Holes | None) -> tuple[int, ...]:
    """The end tokens of the generation configuration, of the model's own, and of a masked model's conventions."""
    ids = list(holes.end_ids) if isinstance(holes, MaskedConventions) else []
    for one in (network.generation_config, network.config.get_text_config()):
        named = None if one is None else one.eos_token_id
        ids += [named] if isinstance(named, int) else list(named or ())
    return tuple(ids)


def abilities_of(folder: Path | None, holes: Holes | None) -> frozenset[Capability]:
    """What a model of a supported family can do, with what its folder brings along."""
    if holes is not None:
        return abilities_to_fill(holes)
    brought = folder is not None and native_modules(folder)[1] > 0
    return CAUSAL_DECODER | {Capability.NATIVE_MTP} if brought else CAUSAL_DECODER


def check_card(card: ModelCard, network: PreTrainedModel, codec: Codec, able: frozenset[Capability]) -> None:
    """Compare what the card declares with what the checkpoint is, and is able to do."""
    found: list[tuple[str, str, str]] = []
    if card.tokenizer is not None and card.tokenizer != codec.fingerprint:
        found.append(("tokenizer", card.tokenizer, codec.fingerprint))
    config = network.config.get_text_config()
    context = config.max_position_embeddings
    if card.context_length is not None and card.context_length > context:
        found.append(("context_length", str(card.context_length), str(context)))
    missing = sorted((card.capabilities or frozenset()) - able)
    if missing:
        found.append(("capabilities", ", ".join(missing), "none of these"))
    if found:
        raise RunError(
            [CARD_CONTRADICTED(model=card.name, field=name, declared=said, found=is_) for name, said, is_ in found]
        )
    words, rows = codec.tokenizer.vocab_size, config.vocab_size
    if words > rows:
        reason = f"its tokenizer has {words} tokens, its embedding only {rows}: they do not belong together"
        raise RunError([UNSUPPORTED_MODEL(model=card.name, reason=reason)])
