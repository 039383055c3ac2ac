"""What heads have to know of the target that they are for."""

from typing import Any

from ptgflow.engine.heads.config import Base
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.passes.attention import head_dim


def base_of(model: LoadedModel, name: str | None = None) -> Base:
    """What is remembered of a target by what was trained for it; under another name than the model's own."""
    return Base(
        name=name or model.name,
        tokenizer=model.codec.fingerprint,
        parameters=model.parameters,
        hidden_size=model.hidden_size,
        vocab_size=model.vocab_size,
        layers=model.layers,
    )


def layer_sizes(model: LoadedModel) -> dict[str, Any]:
    """Those of the target's own layers."""
    config = model.config
    return {
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads,
        "head_dim": head_dim(config),
        "intermediate_size": config.intermediate_size,
    }


def layer_settings(model: LoadedModel) -> dict[str, Any]:
    """Sizes, norm and rotary embedding of the target's own layers."""
    config = model.config
    return {
        **layer_sizes(model),
        "rms_norm_eps": config.rms_norm_eps,
        "rope_parameters": dict(config.rope_parameters),
        "max_position_embeddings": config.max_position_embeddings,
    }
