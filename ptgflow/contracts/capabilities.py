"""What a method may ask of a model, and what a model card declares."""

from enum import StrEnum


class Capability(StrEnum):
    """One thing a model can do. A method's needs are checked against the card before any weight is loaded."""

    CAUSAL = "causal"
    """Predicts the next token from the tokens before it, in one pass for every position."""
    KV_CACHE = "kv_cache"
    """Keys and values of past tokens can be kept and cut back to any length."""
    HIDDEN_STATES = "hidden_states"
    """Gives the hidden states that trained heads read."""
    LAYER_ACCESS = "layer_access"
    """Layers can be skipped or left early."""
    BIDIRECTIONAL = "bidirectional"
    """Sees both sides of a position."""
    MASK_TOKEN = "mask_token"
    """Can be shown a hole: it has a token that stands for one, can be given such a token, or takes noise for one."""
    NATIVE_MTP = "native_mtp"
    """The checkpoint brings modules that predict several tokens ahead."""
