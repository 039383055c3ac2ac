"""Agreement: a token is written if an autoregressive model finds it the likeliest one, too."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.canvas.guidance.guide import Guide


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agreement:
    """Guided diffusion of FlashDLM (Hu et al., arXiv 2505.21467): what is proposed is read by a guide in one pass.

    Written is what the guide would write greedily, up to the first difference, and the first token in any case. Where
    the first hole is predicted as by the guide itself, as of an adapted autoregressive model that guides itself, the
    text at temperature 0 is therefore the guide's greedy one.
    """

    coupled: ClassVar[bool] = False

    guide: Guide

    def target(
        self, own: Float[Tensor, "judged vocab"], guided: Float[Tensor, "judged vocab"]
    ) -> Float[Tensor, "judged vocab"]:
        del own
        return guided
