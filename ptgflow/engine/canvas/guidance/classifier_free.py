"""Classifier-free guidance: away from what the model would say without the prompt."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierFree:
    """Of logits c with the prompt and u without it, u + (scale + 1) (c - u) are taken.

    Nie et al., arXiv 2410.18514; as in the code of LLaDA, arXiv 2502.09992. The law of a hole is then in proportion to
    p(x | prompt)^(1 + scale) / p(x)^scale. Each row is asked twice in a pass.
    """

    prompt: tuple[int, ...]
    """What is read where there is no prompt; see `Denoiser.without`."""
    scale: float = 1.0

    def __post_init__(self) -> None:
        assert self.scale >= 0.0, "a scale is not below 0"

    def steer(
        self, given: Float[Tensor, "lines vocab"], without: Float[Tensor, "lines vocab"]
    ) -> Float[Tensor, "lines vocab"]:
        """The logits with the prompt, moved away from those without it.

        A token that the prompt rules out stays so. One that only the missing prompt rules out would be certain, and
        counts as one of the least logit that is finite.
        """
        least = torch.finfo(without.dtype).min / (4.0 * (1.0 + self.scale))
        without = without.clamp(min=least)
        steered = without + (self.scale + 1.0) * (given - without)
        return steered.masked_fill(given == -torch.inf, -torch.inf)
