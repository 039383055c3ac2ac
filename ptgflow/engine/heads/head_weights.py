"""A set of heads in memory: its tensors by our names, what it is, and how its layer is wired."""

from dataclasses import dataclass
from typing import Final

from jaxtyping import Int
from torch import Tensor, nn

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.layout import EAGLE3, Layout

OFFSETS: Final = "d2t"
"""The tensor of a draft vocabulary: what is to be added to a draft id to get the target's."""


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """The weights of a set of heads, and what they are."""

    config: HeadConfig
    tensors: dict[str, Tensor]
    vocabulary: Int[Tensor, " draft_vocab"]
    """The target's id of each token that can be drafted."""
    layout: Layout = EAGLE3
    """Of a head that has a decoder layer."""
    source: str = ""
    """The folder that they are from."""

    def fill(self, network: nn.Module) -> None:
        """Give a network all of its weights."""
        network.load_state_dict({name: self.tensors[name] for name in network.state_dict()})
