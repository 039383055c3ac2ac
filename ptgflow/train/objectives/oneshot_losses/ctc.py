"""CTC: the text is to be likely over all its alignments (Graves et al., ICML 2006)."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def ctc_loss(
    logits: Float[Tensor, "batch places vocab"],
    counts: Int[Tensor, " batch"],
    texts: Int[Tensor, "batch longest"],
    lengths: Int[Tensor, " batch"],
    *,
    blank: int,
) -> Float[Tensor, ""]:
    """Nats per token of the texts, as `reduction.per_token` means it.

    Args:
        logits: Of labels at each place.
        counts: Places of each row; at least one.
        texts: Without blanks; what follows a row's length is not read.
        lengths: Tokens of each text.
        blank: The label that writes nothing.
    """
    law = F.log_softmax(logits, dim=-1).transpose(0, 1)
    # Its mean is that of `reduction.per_token`; only so is the gradient of an impossible row zero, and not undefined.
    return F.ctc_loss(law, texts, counts, lengths, blank=blank, reduction="mean", zero_infinity=True)
