"""The length head: cross-entropy of the class that stands for the text's length."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ptgflow.engine.oneshot.lengths import LengthClasses


def length_loss(
    logits: Float[Tensor, "batch classes"],
    lengths: Int[Tensor, " batch"],
    sources: Int[Tensor, " batch"],
    classes: LengthClasses,
) -> Float[Tensor, ""]:
    """Nats per row; fairseq gives it a tenth of the weight of the text.

    Args:
        logits: Of the classes.
        lengths: Of the texts, in tokens; beyond the last class the last one is learnt.
        sources: Lengths of what the texts are made from.
        classes: What the classes stand for.
    """
    return F.cross_entropy(logits, classes.of(lengths, sources))
