"""Pass 2, resolve: bind each stage to its method, its validated options and its model.

before   write: mtp, {heads: medusa, k: 4}
after    write: mtp, spec mtp/medusa, options MedusaOptions(k=4), card smollm2-135m
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from ptgflow.compiler.source import Context
from ptgflow.contracts import Capability, Conflict, MethodSpec, ModelCard, Paradigm, StageOptions
from ptgflow.contracts.paradigms import PARADIGMS
from ptgflow.diagnostics import Diagnostic, Location
from ptgflow.diagnostics.codes import methods as codes
from ptgflow.diagnostics.codes import recipe as recipe_codes
from ptgflow.diagnostics.suggest import hint
from ptgflow.diagnostics.validation import reason_of
from ptgflow.graph.ir import Graph, Node


def resolve(graph: Graph, context: Context) -> Graph:
    """Report unknown methods, options, values and models, and what a method needs that its model does not have."""
    return graph.map(lambda node: _bind(node, context))


def _bind(node: Node, context: Context) -> Node:
    if node.paradigm is None or node.paradigm is Paradigm.MERGE:
        return node
    methods = context.methods.of(node.paradigm)
    spec = methods.get(str(node.method))
    if spec is None:
        axis = PARADIGMS[node.paradigm].axis
        context.report.add(
            recipe_codes.UNKNOWN_METHOD(
                context.source.locate(f"stages.{node.slot}.{axis}"),
                paradigm=node.paradigm,
                name=node.method,
                hint=hint(str(node.method), methods, write=f"stage@stages.{node.slot}={node.paradigm}/{{}}"),
            )
        )
        return replace(node, card=context.source.card)
    options = _options(node, spec, context)
    bound = replace(node, spec=spec, options=options, card=_card(node, context))
    bound = replace(bound, draft_card=_draft_card(bound, context))
    _check_capabilities(bound, spec, context)
    if spec.implementation is None:
        ready = [name for name, other in methods.items() if other.implementation is not None]
        instead = hint(spec.name, ready, write=f"stage@stages.{node.slot}={node.paradigm}/{{}}") if ready else ""
        context.report.add(
            codes.NOT_IMPLEMENTED(
                context.source.locate(f"stages.{node.slot}"),
                stage=node,
                hint=f"methods that run today: {instead}"
                if instead
                else "ptgflow stages  shows which methods run today",
            )
        )
    return bound


def _options(node: Node, spec: MethodSpec, context: Context) -> StageOptions | None:
    """The options as the method's own class; None when they do not validate."""
    axis = PARADIGMS[spec.paradigm].axis
    given = {name: value for name, value in node.stage.options if name != axis}
    try:
        options = spec.options.model_validate(given)
    except ValidationError as error:
        for problem in error.errors():
            _report_option(node, spec, str(problem["loc"][0]), problem["type"], problem["msg"], context)
        return None
    report_conflicts(node, options.conflicts(), context)
    return options


def report_conflicts(node: Node, conflicts: Iterable[Conflict], context: Context) -> None:
    """Report options of a stage that cannot be as they are, each with the edits that would do."""
    for conflict in conflicts:
        rule = codes.CACHE_INVALIDATED if conflict.of_a_cache else codes.OPTIONS_CONFLICT
        remedies = "  or  ".join(f"stages.{node.slot}.{remedy}" for remedy in conflict.remedies)
        at = context.source.locate(f"stages.{node.slot}")
        context.report.add(rule(at, stage=node, reason=conflict.reason, hint=f"write  {remedies}"))


def _report_option(node: Node, spec: MethodSpec, name: str, kind: str, message: str, context: Context) -> None:
    at = context.source.locate(f"stages.{node.slot}.{name}")
    fields = spec.options.model_fields
    if kind == "extra_forbidden":
        context.report.add(
            recipe_codes.UNKNOWN_KEY(
                at, owner=f"{node}", name=name, hint=hint(name, fields, write=f"stages.{node.slot}.{{}}=...")
            )
        )
        return
    context.report.add(
        recipe_codes.INVALID_VALUE(
            at,
            name=f"stages.{node.slot}.{name}",
            value=node.stage.settings.get(name),
            reason=reason_of(message),
            hint=f"write  stages.{node.slot}.{name}={fields[name].default}  , its default, or another value in range",
        )
    )


def _card(node: Node, context: Context) -> ModelCard:
    name = node.stage.settings.get("model")
    if not isinstance(name, str):
        return context.source.card
    card = context.source.card if name == context.source.card.name else context.cards.find(name)
    if card is None:
        at = context.source.locate(f"stages.{node.slot}.model")
        choices = hint(name, context.cards.names(), write=f"stages.{node.slot}.model={{}}")
        context.report.add(recipe_codes.UNKNOWN_MODEL(at, name=name, hint=choices))
    return card or context.source.card


def _draft_card(node: Node, context: Context) -> ModelCard | None:
    """The card of the draft model that a stage's options name; reported where it is none, or writes other tokens."""
    name = node.options.draft_model() if node.options is not None else None
    if name is None or node.card is None or node.options is None:
        return None
    option = node.options.second_model
    at = context.source.locate(f"stages.{node.slot}.{option}")
    card = context.source.card if name == context.source.card.name else context.cards.find(name)
    card = card or _checkpoint(name, node.card)
    if card is None:
        choices = hint(name, context.cards.names(), write=f"stages.{node.slot}.{option}={{}}")
        choices += ", or a folder with a checkpoint"
        context.report.add(recipe_codes.UNKNOWN_MODEL(at, name=name, hint=choices))
        return None
    known = card.tokenizer is not None and node.card.tokenizer is not None
    if known and card.tokenizer != node.card.tokenizer and not node.options.reencodes():
        context.report.add(draft_tokenizer(node, card, card.tokenizer, node.card.tokenizer, at))
    return card


def _checkpoint(name: str, target: ModelCard) -> ModelCard | None:
    """A card for a folder, which says nothing of where it is to run, and so runs where the target does."""
    return ModelCard(name=name, source=name).beside(target) if Path(name).is_dir() else None


def draft_tokenizer(
    node: Node, draft: ModelCard, has: str | None, wanted: str | None, at: Location | None = None
) -> Diagnostic:
    """That a draft model, or a guide, writes other tokens than its target."""
    assert node.card is not None, "a bound stage has a card"
    if node.options is not None and node.options.second_model == "guide":
        return codes.GUIDE_TOKENIZER(
            at,
            stage=node,
            slot=node.slot,
            guide=draft.name,
            target=node.card.name,
            have=f"{draft.name}: tokenizer {has}",
            want=f"{node.card.name}: tokenizer {wanted}",
        )
    return codes.DRAFT_TOKENIZER(
        at,
        stage=node,
        hint=f"stages.{node.slot}.reencode=true"
        if node.options is not None and "reencode" in type(node.options).model_fields
        else f"stage@stages.{node.slot}=draft_verify/model stages.{node.slot}.reencode=true",
        draft=draft.name,
        target=node.card.name,
        have=f"{draft.name}: tokenizer {has}",
        want=f"{node.card.name}: tokenizer {wanted}",
    )


def _check_capabilities(node: Node, spec: MethodSpec, context: Context) -> None:
    card = node.card
    if card is None or card.capabilities is None:
        return
    missing = spec.needs - card.capabilities
    if not missing:
        return
    able = [name for name in sorted(context.cards.names()) if _has(context.cards.find(name), spec)]
    context.report.add(
        codes.MISSING_CAPABILITY(
            context.source.locate(f"stages.{node.slot}"),
            stage=node,
            needs=", ".join(sorted(missing)),
            model=card.name,
            has=", ".join(sorted(card.capabilities)) or "nothing",
            notes=notes_on(missing, card.capabilities),
            hint=f"choose a model that has it, for example  model={able[0]}"
            if able
            else f"choose a model that has it, or another method: {_others(spec, card, context)}",
        )
    )


def notes_on(missing: frozenset[Capability], has: frozenset[Capability]) -> tuple[str, ...]:
    """What explains that a model lacks capabilities."""
    if Capability.CAUSAL in missing and Capability.MASK_TOKEN in has:
        return ("it is a masked model: it fills holes, and does not write from left to right (recipe=masked)",)
    return ()


def _has(card: ModelCard | None, spec: MethodSpec) -> bool:
    return card is not None and card.capabilities is not None and spec.needs <= card.capabilities


def _others(spec: MethodSpec, card: ModelCard, context: Context) -> str:
    fitting = [name for name, other in context.methods.of(spec.paradigm).items() if _has(card, other)]
    return ", ".join(f"{spec.paradigm}/{name}" for name in sorted(fitting)) or "none of this paradigm goes with it"
