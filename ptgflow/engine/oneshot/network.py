"""What makes a one-shot model of an autoregressive one: adapters for a window of masks, and heads that read its states.

The window stands right behind the prompt. As in a masked model the adapters are on in it alone, and logits are shifted:
the first token is what the model itself says of the prompt, and the state of each place foresees the token behind it.
"""

from typing import cast, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.gated_lora import adapter_layers
from ptgflow.engine.oneshot.lengths import LengthClasses


def length_classes(places: int) -> LengthClasses:
    """A class for each number of tokens that a window of so many places can hold, none among them."""
    return LengthClasses(count=places + 1, centre=None, shortest=1)


@final
class OneShotNet(nn.Module):
    """What is trained."""

    def __init__(self, config: HeadConfig) -> None:
        """Make a mask that is noise, adapters that do nothing yet, and a length head that knows nothing."""
        super().__init__()
        assert config.rank, "adapters have a rank"
        assert config.block_length, "a window has places"
        self.config = config
        self.masks = nn.Parameter(torch.randn(config.heads, config.base.hidden_size))
        self.layers = adapter_layers(config, config.rank)
        self.length = nn.Linear(config.base.hidden_size, config.block_length + 1)
        nn.init.zeros_(self.length.weight)
        nn.init.zeros_(self.length.bias)

    def lengths(self, states: Float[Tensor, "batch places hidden"]) -> Float[Tensor, "batch classes"]:
        """Logits of the classes of lengths, from the mean of what stands in a window of masks alone.

        The state of each place can say whether the text goes on there, and the length is how many do.
        """
        return cast("Tensor", self.length(states.mean(dim=1)))
