"""The best whole path, of any length, by the score of a path or of a path with its tokens."""

import torch
from jaxtyping import Float
from torch import Tensor

from ptgflow.engine.oneshot.dag.graph import Dag, Path, at_last, written_along


def viterbi(dag: Dag, *, beta: float = 1.0, longest: int | None = None, uncounted: int = 0) -> list[Path]:
    """The path with the greatest log P(path) / length^beta (Shao et al., arXiv 2210.05193).

    The reference adds the score of the token of the second vertex, and of no other; here no token counts.

    Args:
        dag: The graphs.
        beta: The reference's `viterbibeta`; 0 takes the likeliest path, which is a short one.
        longest: Most vertices of a path; None allows all. The work of a row is this times the square of its vertices,
            and less.
        uncounted: Vertices that do not count towards the length of their path, which has at least one other; the
            reference leaves out 2, the first and the last, which write the marks of begin and end there.
    """
    return written_along(dag, _best(dag, dag.later, beta, longest, uncounted))


def joint_viterbi(dag: Dag, *, beta: float = 1.0, longest: int | None = None, uncounted: int = 0) -> list[Path]:
    """The path and tokens with the greatest log P(tokens, path) / length^beta (arXiv 2210.05193).

    Arguments as of `viterbi`.
    """
    likeliest = dag.likeliest
    scores = dag.later + likeliest[:, None, :]
    return written_along(dag, _best(dag, scores, beta, longest, uncounted, first=likeliest[:, 0]))


def _best(
    dag: Dag,
    steps: Float[Tensor, "batch vertices vertices"],
    beta: float,
    longest: int | None,
    uncounted: int,
    first: Float[Tensor, " batch"] | None = None,
) -> list[list[int]]:
    """Each row's path with the best sum of steps, divided by a power of its length.

    Args:
        dag: Says where rows end.
        steps: The score of each step.
        beta: The power.
        longest: Most vertices.
        uncounted: How many of them do not count.
        first: The score of being at vertex 0; zero if None.
    """
    rows, size = steps.shape[:2]
    best = steps.new_full((rows, size), -torch.inf)
    best[:, 0] = 0.0 if first is None else first
    ends, before = [at_last(best, dag.counts, without=0)], list[Tensor]()
    for length in range(2, (size if longest is None else min(size, longest)) + 1):
        # A path of so many vertices has come at least this far: earlier vertices are left out of `best`.
        reached = (best[..., None] + steps[:, length - 2 :, length - 1 :]).max(dim=1)
        best = reached.values
        before.append(reached.indices + (length - 2))
        ends.append(at_last(best, dag.counts, without=length - 1))
    values = torch.stack(ends, dim=1)[:, uncounted:]
    assert values.shape[1] > 0, "a path has a vertex that counts"
    lengths = torch.arange(1, values.shape[1] + 1, dtype=values.dtype, device=values.device)
    chosen = (values / lengths**beta).max(dim=1)
    assert bool((chosen.values > -torch.inf).all()), "the last vertex is reached in so many steps"
    return [
        _traced(before, row, count - 1, length)
        for row, (count, length) in enumerate(
            zip(dag.counts.tolist(), (chosen.indices + 1 + uncounted).tolist(), strict=True)
        )
    ]


def _traced(before: list[Tensor], row: int, last: int, length: int) -> list[int]:
    """The path of so many vertices to the last, by the vertex before each, for each length."""
    path = [last]
    for step in range(length - 2, -1, -1):
        path.append(int(before[step][row, path[-1] - (step + 1)]))
    return path[::-1]
