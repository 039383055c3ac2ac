"""From a recipe's `flow` and `stages` to a flow, and back."""

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any

from ptgflow.compiler.passes.lower import slots_of
from ptgflow.contracts import BRIDGES, PARADIGMS, Paradigm
from ptgflow.diagnostics import Location, Report
from ptgflow.diagnostics.codes import recipe as codes
from ptgflow.diagnostics.suggest import hint
from ptgflow.dsl import Flow, Stage
from ptgflow.dsl.pipeline import Option, frozen
from ptgflow.dsl.text import FlowSyntaxError, parse_flow, render_flow

Locate = Callable[[str], Location]

MERGE_SLOT = "merge"
BRIDGE_SLOTS = {str(bridge): bridge for bridge in BRIDGES}
"""A flow may name `merge` and bridges without declaring them; a bridge is then as its default says."""


def to_flow(
    flow: str | None,
    stages: Mapping[str, Mapping[str, Any]],
    *,
    broken: Collection[str],
    locate: Locate,
    report: Report,
) -> Flow | None:
    """The flow of a recipe; None when its text cannot be read.

    Args:
        flow: `split >> write`.
        stages: slot -> paradigm, method and options.
        broken: slots whose declaration was reported already; they are taken as declared, with nothing known.
        locate: from a dotted key to its place.
        report: takes what is wrong with the names. Options are the compiler's business.
    """
    try:
        slots = parse_flow(flow or "")
    except FlowSyntaxError as error:
        report.add(codes.FLOW_SYNTAX(locate("flow"), reason=error))
        return None
    declared = {*stages, *broken}
    meant: dict[str, str] = {}
    for slot in dict.fromkeys(slots):
        known = {*declared, MERGE_SLOT, *BRIDGE_SLOTS}
        if slot not in known:
            report.add(codes.UNKNOWN_SLOT(locate("flow"), name=slot, hint=hint(slot, sorted(known))))
            # A stage that is misspelt in the flow is one mistake, not two; its options are still worth checking.
            for near in get_close_matches(slot, set(stages) - set(slots), n=1):
                meant[slot] = near
    for slot in stages:
        if slot not in slots and slot not in meant.values():
            report.add(
                codes.UNUSED_SLOT(
                    locate(f"stages.{slot}"),
                    name=slot,
                    flow=flow,
                    hint=f"use it, for example  flow: {render_flow((*slots, slot))}  , or remove  stages.{slot}",
                )
            )
    named = tuple(meant.get(slot, slot) for slot in slots)
    return Flow(*(_stage(slot, stages.get(slot), locate, report) for slot in named))


def _stage(slot: str, declared: Mapping[str, Any] | None, locate: Locate, report: Report) -> Stage:
    if declared is None and slot in BRIDGE_SLOTS:
        declared = {"paradigm": slot}
    if declared is None:
        return Stage(Paradigm.MERGE if slot == MERGE_SLOT else None, slot=slot)
    options = {str(name): value for name, value in declared.items()}
    name = options.pop("paradigm", None)
    try:
        paradigm = Paradigm(str(name))
    except ValueError:
        choices = [str(one) for one in PARADIGMS]
        text = hint(str(name), choices, write=f"stages.{slot}.paradigm={{}}")
        report.add(codes.UNKNOWN_METHOD(locate(f"stages.{slot}"), paradigm=f"slot {slot!r}", name=name, hint=text))
        return Stage(None, slot=slot)
    if paradigm is not Paradigm.MERGE:
        options.setdefault(PARADIGMS[paradigm].axis, PARADIGMS[paradigm].default)
    return Stage(paradigm, _options(slot, options, locate, report), slot=slot)


def _options(slot: str, options: dict[str, Any], locate: Locate, report: Report) -> tuple[tuple[str, Option], ...]:
    kept: dict[str, object] = {}
    for name, value in options.items():
        try:
            frozen({name: value})
        except TypeError:
            at = locate(f"stages.{slot}.{name}")
            reason = (
                f"an option is text, a number, true, false, null, a list or a mapping, not a {type(value).__name__}"
            )
            report.add(
                codes.INVALID_VALUE(
                    at, name=f"stages.{slot}.{name}", value=value, reason=reason, hint=f"write  {name}: VALUE"
                )
            )
        else:
            kept[name] = value
    return frozen(kept)


def from_flow(flow: Flow) -> dict[str, Any]:
    """`flow` and `stages` of a recipe that means the same: the inverse of `to_flow` up to the names of slots."""
    slots = slots_of(flow.stages)
    stages = {
        slot: {"paradigm": str(stage.paradigm), **{name: _plain(value) for name, value in stage.options}}
        for slot, stage in zip(slots, flow.stages, strict=True)
        if not (stage.paradigm is Paradigm.MERGE and slot == MERGE_SLOT)
    }
    return {"flow": render_flow(slots), "stages": stages}


def _plain(value: Option) -> object:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
