"""All methods: the tables of the folders, and those of other packages (entry points `ptgflow.methods`)."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from ptgflow.contracts import MethodSpec, MethodTable
from ptgflow.diagnostics import Diagnostic
from ptgflow.diagnostics.codes.methods import UNUSABLE_PLUGIN
from ptgflow.errors import RecipeError
from ptgflow.stages.decompose.spec import METHODS as DECOMPOSE
from ptgflow.stages.draft_verify.spec import METHODS as DRAFT_VERIFY
from ptgflow.stages.edit.spec import METHODS as EDIT
from ptgflow.stages.masked.spec import METHODS as MASKED
from ptgflow.stages.mtp.spec import METHODS as MTP
from ptgflow.stages.oneshot.spec import METHODS as ONESHOT
from ptgflow.stages.remask.spec import METHODS as REMASK

SHIPPED: tuple[MethodSpec, ...] = (*DECOMPOSE, *ONESHOT, *MTP, *MASKED, *EDIT, *DRAFT_VERIFY, *REMASK)
"""The methods that ptgflow brings along."""


@cache
def method_table() -> MethodTable:
    """The table that the compiler binds stages from.

    Raises:
        RecipeError: UNUSABLE_PLUGIN, for each package whose methods cannot be used.
    """
    rows: tuple[MethodSpec, ...] = SHIPPED
    findings: list[Diagnostic] = []
    for point in entry_points(group="ptgflow.methods"):
        try:
            offered = _offered(point)
            MethodTable((*rows, *offered))
        # Another package's code runs here, and may fail in any way.
        except Exception as error:
            findings.append(_unusable(point, error))
        else:
            rows = (*rows, *offered)
    if findings:
        raise RecipeError(findings)
    return MethodTable(rows)


def _offered(point: EntryPoint) -> tuple[MethodSpec, ...]:
    """The specifications that an entry point names."""
    found = point.load()
    if not isinstance(found, tuple) or not all(isinstance(row, MethodSpec) for row in found):
        raise TypeError(f"it is no tuple of MethodSpec, but {found!r:.80}")
    return found


def _unusable(point: EntryPoint, error: Exception) -> Diagnostic:
    package = point.dist.name if point.dist is not None else point.module
    reason = f"{type(error).__name__}: {error}"
    return UNUSABLE_PLUGIN(name=point.name, package=package, value=point.value, reason=reason)
