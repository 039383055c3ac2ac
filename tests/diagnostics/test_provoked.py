"""Codes that no command line with the shipped methods can provoke, provoked by methods and passes made for it."""

import sys
from dataclasses import replace
from types import ModuleType
from unittest import mock

import pytest

from ptgflow.api import Plan
from ptgflow.compiler import driver
from ptgflow.compiler.program import Program
from ptgflow.compiler.source import Context, Source
from ptgflow.contracts import (
    Contract,
    Draft,
    MethodSpec,
    MethodTable,
    ModelCard,
    Paradigm,
    Prompt,
    StageOptions,
    Text,
    Verified,
)
from ptgflow.contracts.settings import Generation
from ptgflow.diagnostics import Report
from ptgflow.dsl import DraftVerify, Masked
from ptgflow.dsl.pipeline import Flow
from ptgflow.engine.slots import SlotCache
from ptgflow.errors import InternalError, RecipeError
from ptgflow.graph.ir import Graph
from ptgflow.recipe.cards import shipped_cards
from ptgflow.stages.base import AbstractMethod, StageContext, Work
from ptgflow.stages.methods import method_table

MODULE = "methods_made_for_a_test"


class Failing(AbstractMethod[Prompt, Verified]):
    def __init__(self, options: StageOptions) -> None:
        del options

    def run(self, value: Prompt, context: StageContext) -> Work[Verified]:
        yield from ()
        raise ZeroDivisionError("division by zero")


class Lying(AbstractMethod[Prompt, Text]):
    def __init__(self, options: StageOptions) -> None:
        del options

    def run(self, value: Prompt, context: StageContext) -> Work[Text]:
        yield from ()
        return Text(token_ids=(), tokenizer=value.tokenizer, text="", origin=())


def spec(implementation: str | None, **fields: object) -> MethodSpec:
    row = MethodSpec(
        paradigm=Paradigm.DRAFT_VERIFY,
        name="made",
        summary="made for a test",
        reference="none",
        options=StageOptions,
        implementation=implementation,
    )
    return replace(row, **fields)


def compiled(flow: Flow, *specs: MethodSpec) -> tuple[Program | None, Report]:
    cards, report = shipped_cards(), Report()
    card = cards.find("tiny")
    assert isinstance(card, ModelCard)
    table = MethodTable(specs) if specs else method_table()
    return driver.compile_source(Source(flow=flow, card=card), methods=table, cards=cards, report=report), report


def plan(implementation: str, **fields: object) -> Plan:
    program, report = compiled(DraftVerify("made").named("write"), spec(implementation, **fields))
    assert program is not None, [str(one) for one in report]
    return Plan(program, generation=Generation(max_tokens=4))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType(MODULE)
    module.__dict__.update(Failing=Failing, Lying=Lying)
    monkeypatch.setitem(sys.modules, MODULE, module)


def test_flow_cannot_start() -> None:
    reopen = spec(None, paradigm=Paradigm.MASKED, contract=Contract(takes=(Verified,), leaves=Draft))
    program, report = compiled(Masked("made").named("reopen"), reopen)
    assert program is None
    (found,) = report.errors
    assert found.code == "PTG103"
    assert found.message == "no input fits the beginning of the flow: 'reopen' (masked/made) takes Verified"
    assert found.have == "an input: Prompt, Text or Canvas"
    assert found.help == "put a stage before it that leaves what it takes"


def test_missing_extra() -> None:
    with pytest.raises(RecipeError) as caught:
        _ = plan("a_package_that_nobody_has.methods:Made", extra="edit").executor
    (found,) = caught.value.findings
    assert found.code == "PTG405"
    assert "needs the package 'a_package_that_nobody_has', which is not installed" in str(found)
    assert "help: pip install 'ptgflow[edit]'" in str(found)


@pytest.mark.usefixtures("made")
def test_stage_failed() -> None:
    result = plan(f"{MODULE}:Failing").run("Explain tides.")
    assert not result.ok
    assert result.error_code == "PTG612"
    assert "stage 'write' (draft_verify/made) failed: ZeroDivisionError: division by zero" in str(result.error)


@pytest.mark.usefixtures("made")
def test_broken_contract() -> None:
    """What ptgflow or a method got wrong is not passed on as if it had been verified, nor hidden in a record."""
    with pytest.raises(InternalError, match="promised Prompt or Draft -> Verified and left Text") as caught:
        plan(f"{MODULE}:Lying").run("Explain tides.")
    assert caught.value.codes == ("PTG902",)


def test_out_of_memory() -> None:
    program, _ = compiled(DraftVerify("ar").named("write"))
    assert program is not None
    ready = Plan(program, generation=Generation(max_tokens=4))
    error = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    _ = ready.executor
    with mock.patch.object(SlotCache, "begin", side_effect=error):
        result = ready.run("Explain tides.")
    assert result.error_code == "PTG615"
    assert "not enough memory for 1 rows" in str(result.error)
    assert ready.run("Explain tides.").ok, "the next request is answered"


def test_illegal_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(graph: Graph, context: Context) -> Graph:
        del context
        return graph

    passes = tuple(resolve if one.__name__ == "resolve" else one for one in driver.PASSES)
    monkeypatch.setattr(driver, "PASSES", passes)
    with pytest.raises(InternalError) as caught:
        compiled(DraftVerify("ar").named("write"))
    (found,) = caught.value.findings
    assert found.code == "PTG901"
    assert "after the pass 'resolve' the graph breaks a rule of its level: " in str(found)
    assert "the passes before it were: lower" in str(found)
