"""NART-CRF: the text is to be likely among those of the beam (Sun et al., arXiv 1910.11555)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ptgflow.engine.oneshot.crf import BEAM, Transitions, lattice, log_partition, path_score
from ptgflow.train.objectives.oneshot_losses.reduction import per_token


def crf_loss(
    emissions: Float[Tensor, "batch places vocab"],
    transitions: Transitions,
    texts: Int[Tensor, "batch places"],
    lengths: Int[Tensor, " batch"],
    *,
    beam: int = BEAM,
) -> Float[Tensor, ""]:
    """Nats per token of the texts, as `per_token` means it; the paper adds half of the plain cross-entropy.

    The beam of each place has the token of the text in it, so that the sum over the beam is never below the text's own
    score and the loss never negative.

    Args:
        emissions: Scores of tokens at each place.
        transitions: Scores between neighbours.
        texts: A token of each place; what follows a row's length is not read, but is a token of the vocabulary.
        lengths: Places of each row; at least one.
        beam: Tokens of a place that the sum goes over.
    """
    found = lattice(emissions, lengths, transitions, beam=beam, forced=texts)
    return per_token(path_score(found, torch.zeros_like(texts)) - log_partition(found), lengths)
