"""DA-Transformer: the text is to be likely over all paths that write it (arXiv 2205.07459)."""

from jaxtyping import Float, Int
from torch import Tensor

from ptgflow.engine.oneshot.dag import Dag, log_likelihood
from ptgflow.train.objectives.oneshot_losses.reduction import per_token


def dag_loss(dag: Dag, texts: Int[Tensor, "batch longest"], lengths: Int[Tensor, " batch"]) -> Float[Tensor, ""]:
    """Nats per token of the texts, as `per_token` means it.

    Args:
        dag: Log-probabilities of tokens and links.
        texts: What follows a row's length is not read, but is a token of the vocabulary.
        lengths: Tokens of each text; at least one. A text with more tokens than its graph has vertices counts as zero.
    """
    return per_token(log_likelihood(dag, texts, lengths), lengths)
