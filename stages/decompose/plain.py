"""The plain path: a prompt that is not split, and why."""

from ptgflow.contracts import Branches, Prompt, Segment


def plain(prompt: Prompt, reason: str) -> Branches[Segment]:
    """The prompt itself as the only branch; the report shows the reason."""
    return Branches(items=(prompt,), leads=("",), how=f"plain: {reason}")
