"""Connectionist temporal classification: more places than tokens, among them blanks (Graves et al., ICML 2006).

A model predicts one label for each place, and a text stands for all alignments that collapse to it; non-autoregressive
models use it over a canvas two or three times as long as the text (Libovicky and Helcl, arXiv 1811.04719).
"""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ptgflow.engine.oneshot.written import Written, without_repeats


def collapse(alignment: tuple[int, ...], blank: int) -> tuple[int, ...]:
    """The text of an alignment: repetitions are merged first, then blanks dropped (section 3.1, the map B)."""
    return tuple(token for token in without_repeats(alignment) if token != blank)


def best_path(law: Float[Tensor, "batch places vocab"], counts: Int[Tensor, " batch"], *, blank: int) -> list[Written]:
    """The text of each row's likeliest alignment (section 3.2), scored by that alignment alone.

    Args:
        law: Log-probabilities of labels at each place, in nats.
        counts: Places of each row; what follows them is not read.
        blank: The label that writes nothing.
    """
    best = law.max(dim=-1)
    return [
        Written(collapse(tuple(labels[:count]), blank), float(scores[:count].sum()))
        for labels, scores, count in zip(best.indices.tolist(), best.values, counts.tolist(), strict=True)
    ]


def log_likelihood(
    law: Float[Tensor, "batch places vocab"],
    counts: Int[Tensor, " batch"],
    texts: Int[Tensor, "batch longest"],
    lengths: Int[Tensor, " batch"],
    *,
    blank: int,
) -> Float[Tensor, " batch"]:
    """Log-probability of each row's text: the sum over all alignments that collapse to it (section 4.1).

    It is -inf where there is none, as where a text has more tokens than the row has places. This is torch's sum; its
    gradient is right only for a law that comes from a log-softmax and where no row is -inf, so training has a loss of
    its own.

    Args:
        law: Log-probabilities of labels at each place.
        counts: Places of each row; at least one.
        texts: Without blanks; what follows a row's length is not read.
        lengths: Tokens of each text; possibly none.
        blank: The label that writes nothing.
    """
    return -F.ctc_loss(law.transpose(0, 1), texts, counts, lengths, blank=blank, reduction="none")
