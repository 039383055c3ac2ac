"""The exceptions that reach a user, all below one root.

* PtgError
  + RecipeError     a recipe or pipeline that must not run; carries every finding at once
  + RunError        something outside the recipe failed while it ran: a prompt, a file, a download
  + InternalError   a broken invariant of ptgflow itself; please report it
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class Finding(Protocol):
    """What an exception carries: the interface of `ptgflow.diagnostics.Diagnostic` that this layer may know."""

    @property
    def code(self) -> str: ...

    def __str__(self) -> str: ...


class PtgError(Exception):
    """Root of every error that ptgflow raises on purpose; its text is the rendered findings."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        """What was found, in the order in which it should be read."""
        super().__init__("\n\n".join(str(finding) for finding in self.findings))

    @property
    def codes(self) -> tuple[str, ...]:
        """The diagnostic codes, in order, with repetitions."""
        return tuple(finding.code for finding in self.findings)


class RecipeError(PtgError):
    """A recipe or pipeline is rejected before anything ran."""


class RunError(PtgError):
    """A valid recipe could not run: bad input, an unreachable model, a full disk."""


class InternalError(PtgError):
    """ptgflow broke one of its own rules."""
