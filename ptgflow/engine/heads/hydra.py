"""Hydra heads: each foresees one position further, and knows the tokens before it (Ankner et al., arXiv 2402.05109)."""

from collections.abc import Sequence
from typing import cast, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.medusa import ResBlock


@final
class GroundedBlock(nn.Module):
    """R z + SiLU(W z + b), where z is a state and the embeddings of the tokens after it, side by side.

    R brings z down to the size of the state. Before training it keeps the state and drops the embeddings, so that heads
    start from what the target's own foresees, as Medusa's do; the authors' code starts it at random.
    """

    def __init__(self, size: int, tokens: int) -> None:
        super().__init__()
        self.linear = nn.Linear((1 + tokens) * size, size)
        self.res_connection = nn.Linear((1 + tokens) * size, size)
        nn.init.eye_(self.res_connection.weight)
        for one in (self.linear.weight, self.linear.bias, self.res_connection.bias):
            nn.init.zeros_(one)

    def forward(self, z: Float[Tensor, "*tokens joined"]) -> Float[Tensor, "*tokens hidden"]:
        """Transform states and embeddings side by side."""
        brought: Tensor = self.res_connection(z)
        return brought + F.silu(self.linear(z))


@final
class HydraNet(nn.Module):
    """The heads, with the public names of their tensors: `hydra_mlp.{head}.{block}.*`, `hydra_lm_head.{head}.*`.

    Head i, from the hidden state at position t and the tokens at t + 1 to t + 1 + i, foresees that at t + 2 + i.
    This is the authors' grounded MLP head; the prefix attention of Hydra++ is left out.
    """

    def __init__(self, config: HeadConfig) -> None:
        """Make untrained heads: they foresee what the target's own head does."""
        super().__init__()
        size = config.base.hidden_size
        self.config = config
        self.hydra_mlp = nn.ModuleList(
            nn.Sequential(GroundedBlock(size, head + 1), *(ResBlock(size) for _ in range(config.layers - 1)))
            for head in range(config.heads)
        )
        self.hydra_lm_head = nn.ModuleList(
            nn.Linear(size, config.draft_vocab_size) for _ in range(config.heads if config.own_output else 0)
        )

    def ahead(
        self, head: int, states: Float[Tensor, "*tokens hidden"], embedded: Sequence[Float[Tensor, "*tokens hidden"]]
    ) -> Float[Tensor, "*tokens hidden"]:
        """What a head makes of states and of the embeddings of the head + 1 tokens after each, the next one first."""
        assert len(embedded) == head + 1, "a head reads all tokens up to the one that it foresees"
        return cast("Tensor", self.hydra_mlp[head](torch.cat((states, *embedded), dim=-1)))
