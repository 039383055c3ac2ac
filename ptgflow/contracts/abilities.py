"""What models of a kind can do, whichever checkpoint it is."""

from typing import Final

from ptgflow.contracts.capabilities import Capability
from ptgflow.contracts.masked_model import Holes, MaskedConventions

CAUSAL_DECODER: Final = frozenset(
    {
        Capability.CAUSAL,
        Capability.KV_CACHE,
        Capability.HIDDEN_STATES,
        Capability.LAYER_ACCESS,
        Capability.MASK_TOKEN,
    }
)
"""What every supported family of causal models gives. A mask token can be added to any of them; none is trained to fill
holes."""


def abilities_to_fill(holes: Holes) -> frozenset[Capability]:
    """What a masked model gives: holes, and not the next token."""
    both = isinstance(holes, MaskedConventions) and holes.attention == "bidirectional"
    return frozenset({Capability.MASK_TOKEN, Capability.BIDIRECTIONAL} if both else {Capability.MASK_TOKEN})
