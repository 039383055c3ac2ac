"""What turns an autoregressive model into a masked one: the embedding of a mask token, and adapters for canvases.

The adapters are on where a canvas is read and off everywhere else, so the text before a canvas has the keys and values
that the model itself gives it. Logits stay shifted: what stands at place p predicts the token at p + 1 (DiffuLLaMA,
arXiv 2410.17891, section 3.2).
"""

from typing import final

import torch
from torch import nn

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.gated_lora import adapter_layers


@final
class MaskedNet(nn.Module):
    """What is trained: one mask embedding, and adapters at all products of all layers."""

    def __init__(self, config: HeadConfig) -> None:
        """Make a mask that is noise, and adapters that do nothing yet."""
        super().__init__()
        assert config.rank, "adapters have a rank"
        self.config = config
        self.masks = nn.Parameter(torch.randn(config.heads, config.base.hidden_size))
        self.layers = adapter_layers(config, config.rank)
