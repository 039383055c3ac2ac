"""How likely a text is: the sum over all paths that write it."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ptgflow.engine.oneshot.dag.graph import Dag, at_last
from ptgflow.engine.oneshot.log_space import log_sum


def log_likelihood(
    dag: Dag, texts: Int[Tensor, "batch longest"], lengths: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Log-probability of each row's text (arXiv 2205.07459); -inf where no path writes it.

    With f(1, v) the score of the first token at vertex 0 and

        f(i, v) = log P(y[i] | v) + log sum over u < v of exp(f(i - 1, u) + log P(v | u)),

    it is f(length, last vertex). It can be differentiated.

    Args:
        dag: The graphs.
        texts: What follows a row's length is not read, but is a token of the vocabulary.
        lengths: Tokens of each text; at least one.
    """
    size, longest = dag.links.shape[-1], texts.shape[1]
    # For each vertex and each place of the text how likely the vertex writes what stands there.
    written = dag.tokens.gather(2, texts[:, None, :].expand(-1, size, -1))
    written = written.masked_fill(~dag.inside[..., None], -torch.inf)
    links = dag.later
    now = written[:, :, 0].masked_fill(torch.arange(size, device=links.device) > 0, -torch.inf)
    ends = [at_last(now, dag.counts, without=0)]
    for place in range(1, min(size, longest)):
        # The first vertices are left out: a path that has written so much is beyond them.
        now = written[:, place:, place] + log_sum(now[..., None] + links[:, place - 1 :, place:], dim=1)
        ends.append(at_last(now, dag.counts, without=place))
    ends.extend(torch.full_like(ends[0], -torch.inf) for _ in range(size, longest))
    return torch.stack(ends, dim=1).gather(1, lengths[:, None] - 1)[:, 0]
