"""Blockwise heads: one feed-forward layer makes the states of all positions ahead (Stern et al., arXiv 1811.03115)."""

from typing import cast, final

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ptgflow.engine.heads.config import HeadConfig


@final
class BlockwiseNet(nn.Module):
    """For position i ahead x + (V ReLU(U x + a) + b)_i, projected by the target's own output matrix (section 6).

    Hidden and output size of the layer are those of one position times their number, and every output reads every
    hidden unit. The paper's k positions include the next one; here the target is frozen and its own head foresees that
    one, so the layer makes the k - 1 others.
    """

    def __init__(self, config: HeadConfig) -> None:
        """Make an untrained layer: all positions are what the target's own head foresees."""
        super().__init__()
        hidden, inner = config.base.hidden_size, config.intermediate_size
        assert inner, "the layer has hidden units"
        self.config = config
        self.inner = nn.Linear(hidden, config.heads * inner)
        self.outer = nn.Linear(config.heads * inner, config.heads * hidden)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, states: Float[Tensor, "*tokens hidden"]) -> Float[Tensor, "*tokens heads hidden"]:
        """From hidden states at position t to what the output matrix reads for the tokens at t + 2, t + 3, ..."""
        made = cast("Tensor", self.outer(F.relu(self.inner(states))))
        return states[..., None, :] + made.view(*states.shape[:-1], self.config.heads, -1)
