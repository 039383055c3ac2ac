"""Drafters by name, each with its defaults: what `ensemble` joins, and what single drafters are made of."""

from ptgflow.engine.growth import TreeBuilder
from ptgflow.engine.lookup.drafter import LookupDrafter
from ptgflow.engine.lookup.suffixes import Earlier, Suffixes
from ptgflow.engine.request import JointDrafter


def suffix_drafter(
    builder: TreeBuilder, *, size: int, least: float, shortest: int, longest: int, earlier_tokens: int
) -> JointDrafter:
    """What followed the longest repeated end of the text, here or in earlier requests.

    Args:
        builder: the shape of the trees.
        size: most nodes of a tree.
        least: candidates of a smaller chance are not drafted.
        shortest: fewer tokens are no match.
        longest: of a longer match so many tokens count.
        earlier_tokens: how much of earlier requests is remembered; 0: nothing.
    """
    earlier = Earlier(earlier_tokens)
    return LookupDrafter(lambda: Suffixes(earlier, shortest=shortest, longest=longest), builder, size=size, least=least)
