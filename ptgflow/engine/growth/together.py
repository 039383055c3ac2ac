"""Trees of many rows that grow in step, so that one call of a drafter serves all of them."""

from collections.abc import Callable, Sequence

from ptgflow.engine.growth.builder import Candidates, Growing, Grown, TreeBuilder, Wanted

Expand = Callable[[Sequence[tuple[int, Wanted]]], Sequence[Sequence[Candidates]]]
"""From rows (by their place in the list) and what they want to the candidates of each of their nodes."""


def grow_together(builder: TreeBuilder, limits: Sequence[int], expand: Expand, *, least: float = 0.0) -> list[Grown]:
    """A tree for each row.

    Args:
        builder: how.
        limits: most nodes of each.
        expand: asks the drafter.
        least: candidates of a smaller chance are not drafted (confidence thresholds of assisted generation and of BiLD,
            arXiv 2302.07863: the drafter stops where it is unsure).
    """
    growing: list[Growing] = [builder.grow(limit) for limit in limits]
    done: dict[int, Grown] = {}
    wanted: list[tuple[int, Wanted]] = []
    for at, one in enumerate(growing):
        _advance(at, one, None, wanted, done)
    while wanted:
        found = expand(wanted)
        asked, wanted = wanted, []
        for (at, _), candidates in zip(asked, found, strict=True):
            _advance(at, growing[at], [_sure(one, least) for one in candidates], wanted, done)
    return [done[at] for at in range(len(limits))]


def _advance(
    at: int,
    growing: Growing,
    candidates: Sequence[Candidates] | None,
    wanted: list[tuple[int, Wanted]],
    done: dict[int, Grown],
) -> None:
    try:
        wanted.append((at, next(growing) if candidates is None else growing.send(candidates)))
    except StopIteration as finished:
        done[at] = finished.value


def _sure(found: Candidates, least: float) -> Candidates:
    count = sum(chance >= least for chance in found.chances) if least else len(found.chances)
    return found if count == len(found.chances) else Candidates(found.tokens[:count], found.chances[:count])
