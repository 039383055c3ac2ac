"""All methods: the tables of the six folders, and those of other packages (entry points `ptgflow.methods`)."""

from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points

from ptgflow.contracts import MethodSpec, MethodTable
from ptgflow.stages.decompose.spec import METHODS as DECOMPOSE
from ptgflow.stages.draft_verify.spec import METHODS as DRAFT_VERIFY
from ptgflow.stages.edit.spec import METHODS as EDIT
from ptgflow.stages.masked.spec import METHODS as MASKED
from ptgflow.stages.mtp.spec import METHODS as MTP
from ptgflow.stages.oneshot.spec import METHODS as ONESHOT

SHIPPED: tuple[MethodSpec, ...] = (*DECOMPOSE, *ONESHOT, *MTP, *MASKED, *EDIT, *DRAFT_VERIFY)
"""The methods that ptgflow brings along."""


def _plugins() -> Iterator[MethodSpec]:
    """Specifications that installed packages offer; each entry point names a tuple of them."""
    for point in entry_points(group="ptgflow.methods"):
        found = point.load()
        rows = tuple(found)
        if not all(isinstance(row, MethodSpec) for row in rows):
            raise TypeError(f"entry point {point.name!r} ({point.value}) must name a tuple of MethodSpec")
        yield from rows


@cache
def method_table() -> MethodTable:
    """The table that the compiler binds stages from."""
    return MethodTable((*SHIPPED, *_plugins()))
