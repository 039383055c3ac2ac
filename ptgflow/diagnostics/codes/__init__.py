"""Every code, by family: 0xx recipes, 1xx kinds, 2xx graph, 3xx lifting, 4xx methods, 6xx run time, 9xx internal."""

from types import ModuleType
from typing import Final

from ptgflow.diagnostics.codes import editing, graph, kinds, methods, recipe, runtime
from ptgflow.diagnostics.model import Rule


def _rules(*families: ModuleType) -> dict[str, Rule]:
    found = [value for family in families for value in vars(family).values() if isinstance(value, Rule)]
    codes = [rule.code for rule in found]
    assert len(set(codes)) == len(codes), f"two rules share a code among {codes}"
    return {rule.code: rule for rule in sorted(found, key=lambda rule: rule.code)}


RULES: Final = _rules(recipe, kinds, graph, methods, runtime, editing)
"""Every rule by its code."""
