"""Drafts what a skeleton says by its form alone: behind a heading comes the next number."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from ptgflow.engine.models.codec import Codec
from ptgflow.engine.request import Proposal
from ptgflow.engine.trees import TokenTree

_NUMBERED: Final = re.compile(r"(?:^|\n)(\d{1,3})\.")
_LEAST: Final = 2
"""Words of a heading behind which it may end."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PlanForm:
    """Proposes the end of a line and the number of the next one; the target says whether it is so.

    A third of the tokens of a skeleton of short headings are such. What is proposed after a heading that goes on costs
    little: a pass over four tokens takes hardly longer than one over a single token.
    """

    codec: Codec
    """Of the target."""
    prompt: int
    """Tokens of the prompt, which ends with `prefix`."""
    prefix: str
    """How the skeleton begins."""

    def propose(self, context: Sequence[int], limit: int) -> Proposal:
        text = self.prefix + self.codec.decode(context[self.prompt :])
        numbers = [(found.end(), int(found[1])) for found in _NUMBERED.finditer(text)]
        if not numbers:
            return Proposal(tree=TokenTree.chain(()))
        end, number = numbers[-1]
        line = text[end:]
        # As the line before ended, with a full stop or without, with an empty line behind it or without.
        parting = self._parting(text, numbers)
        begun = next((size for size in range(len(parting), 0, -1) if line.endswith(parting[:size])), 0)
        if not begun and len(line.split()) < _LEAST:
            return Proposal(tree=TokenTree.chain(()))
        ids = self.codec.encode(f"{parting[begun:]}{number + 1}.")
        return Proposal(tree=TokenTree.chain(ids[:limit]))

    def _parting(self, text: str, numbers: Sequence[tuple[int, int]]) -> str:
        """What stood between the last heading that is whole and its next number."""
        if len(numbers) < 2:
            return "\n"
        (before, _), (end, number) = numbers[-2:]
        between = text[before : end - len(f"{number}.")]
        return between[len(between.rstrip(" .\n")) :]
