"""Drafters that several methods are made of."""

from ptgflow.engine.lookup.drafter import LookupDrafter
from ptgflow.engine.lookup.suffixes import Earlier, Suffixes
from ptgflow.engine.request import JointDrafter
from ptgflow.stages.draft_verify.options import VerifyOptions
from ptgflow.stages.draft_verify.trees import builder_of


def suffix_drafter(options: VerifyOptions, *, shortest: int, longest: int, earlier_tokens: int) -> JointDrafter:
    """What followed the longest repeated end of the text, here or in earlier requests.

    Args:
        options: how much is drafted, and in which shape.
        shortest: fewer tokens are no match.
        longest: of a longer match so many tokens count.
        earlier_tokens: how much of earlier requests is remembered; 0: nothing.
    """
    earlier = Earlier(earlier_tokens)
    return LookupDrafter(
        lambda: Suffixes(earlier, shortest=shortest, longest=longest),
        builder_of(options),
        size=options.k,
        least=options.least,
    )
