"""Adaptive parallel decoding: the product of the masked model's laws and an autoregressive model's confirms tokens."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from ptgflow.engine.canvas.guidance.guide import Guide
from ptgflow.engine.canvas.selectors.certainty import gumbel


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Product:
    """p_T is in proportion to p_D^ratio p_AR^(1 - ratio) (survey, Eq. 20; Israel et al., arXiv 2506.00413, section 4).

    p_D are the masked model's laws of the holes, independent of each other, p_AR is the guide's law of each token after
    those before it. At temperature > 0 a token is drawn from p_D, and one from p_T with the same Gumbel noise
    (universal coupling); the two are one about as often as the laws allow. Written are tokens up to the first pair that
    differs, and the first one, from p_D, in any case: so the text is of neither model's law. At temperature 0 the
    likeliest tokens are compared. Ratio 1 confirms everything, ratio 0 what the guide itself would have drawn.

    The product is of logits, so that the request's penalties, temperature and filters are those of one law.
    """

    coupled: ClassVar[bool] = True

    guide: Guide
    ratio: float = 0.7

    def __post_init__(self) -> None:
        assert 0.0 <= self.ratio <= 1.0, "a ratio is a share"

    def target(
        self, own: Float[Tensor, "judged vocab"], guided: Float[Tensor, "judged vocab"]
    ) -> Float[Tensor, "judged vocab"]:
        # 0 times minus infinity is not a number.
        if self.ratio in (0.0, 1.0):
            mixed = own if self.ratio == 1.0 else guided
        else:
            mixed = self.ratio * own + (1.0 - self.ratio) * guided
        return mixed.masked_fill(own == -torch.inf, -torch.inf)


def noise_for(law: Float[Tensor, "holes vocab"], generator: torch.Generator) -> Float64[Tensor, "holes vocab"]:
    """Standard Gumbel noise for each token of each hole."""
    return gumbel(law.numel(), law, generator).reshape(law.shape)


def drawn(law: Float[Tensor, "holes vocab"], noise: Float64[Tensor, "holes vocab"]) -> list[int]:
    """A token of each hole, drawn from its log-probabilities with the noise given."""
    tokens: list[int] = (law.double() + noise).argmax(dim=-1).tolist()
    return tokens
