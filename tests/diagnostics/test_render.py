"""How findings look: word for word, as a person and as a program reads them."""

import json

import pytest

from ptgflow.cli.main import main
from ptgflow.compiler.driver import compile_source
from ptgflow.compiler.source import Source
from ptgflow.contracts import Level, ModelCard
from ptgflow.diagnostics import Diagnostic, Location, Report, Rule, Severity
from ptgflow.dsl import Decompose, DraftVerify, Edit, Masked, OneShot
from ptgflow.dsl.pipeline import Flow
from ptgflow.recipe.cards import shipped_cards
from ptgflow.stages.methods import method_table

PLAIN = Rule(code="PTG999", slug="made-up", message="{name!r} is odd", help="call it {other}", what="What.", why="Why.")


def errors(flow: Flow, *, guarantee: Level = "none") -> list[str]:
    cards, report = shipped_cards(), Report()
    card = cards.find("tiny")
    assert isinstance(card, ModelCard)
    compile_source(
        Source(flow=flow, card=card, guarantee=guarantee), methods=method_table(), cards=cards, report=report
    )
    return [str(one) for one in report.errors]


def test_a_finding_with_everything() -> None:
    found = PLAIN(
        Location(source="my.yaml", line=3, place="flow"),
        have="this",
        want="that",
        notes=("a reason", "another"),
        name="x",
        other="y",
    )
    assert str(found) == (
        "error[PTG999]: 'x' is odd\n"
        "  --> my.yaml:3: flow\n"
        "   have: this\n"
        "   want: that\n"
        "   note: a reason\n"
        "   note: another\n"
        "   help: call it y\n"
        "   more: ptgflow explain PTG999"
    )


def test_a_finding_with_nothing_more_than_its_fact() -> None:
    found = PLAIN(name="x", help="")
    assert str(found) == "error[PTG999]: 'x' is odd\n   more: ptgflow explain PTG999"


def test_a_finding_as_data() -> None:
    found = PLAIN(Location(source="my.yaml", line=3), name="x", other="y")
    assert found.as_dict() == {
        "code": "PTG999",
        "slug": "made-up",
        "severity": "error",
        "message": "'x' is odd",
        "source": "my.yaml",
        "line": 3,
        "place": "",
        "have": "",
        "want": "",
        "notes": [],
        "help": "call it y",
    }


def test_a_missing_value_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError, match="other"):
        PLAIN(name="x")


def test_the_same_finding_is_told_once_and_only_errors_reject() -> None:
    report = Report()
    report.add(PLAIN(name="x", other="y"))
    report.add(PLAIN(name="x", other="y"))
    assert len(report.findings) == 1
    assert not report.ok
    noted = Report()
    noted.add(Diagnostic(rule=PLAIN, message="m", severity=Severity.WARNING))
    assert noted.ok


def test_a_kind_mismatch_names_slots_kinds_reason_and_edit() -> None:
    assert errors(OneShot().named("draft") >> Masked().named("fill")) == [
        "error[PTG101]: 'draft' (oneshot/argmax) leaves Text, and 'fill' (masked/threshold) takes Prompt, Canvas or "
        "Verified\n"
        "  --> pipeline: flow\n"
        "   have: 'draft' leaves Text\n"
        "   want: 'fill' takes Prompt, Canvas or Verified\n"
        "   note: nothing is left unresolved in a complete text: it has no masked position to fill (survey, A.2.1: "
        "One-shot Generation x Masked Generation)\n"
        "   help: bridge them (remask/weakest):  flow: draft >> remask >> fill\n"
        "   more: ptgflow explain PTG101"
    ]


def test_a_broken_guarantee_offers_a_verifier_at_the_end() -> None:
    assert errors(DraftVerify().named("check") >> Edit().named("repair"), guarantee="exact") == [
        "error[PTG105]: the recipe demands the guarantee 'exact', but what it makes has 'none'\n"
        "  --> pipeline: guarantee\n"
        "   have: guarantee none\n"
        "   want: guarantee exact\n"
        "   help: end the flow with a verifier (stages.check_2, draft_verify/ngram):  "
        "flow: check >> repair >> check_2  , or  guarantee: none\n"
        "   more: ptgflow explain PTG105"
    ]


def test_a_nested_split() -> None:
    assert errors(Decompose().named("items") >> Decompose().named("points") >> DraftVerify().named("write")) == [
        "error[PTG302]: 'points' (decompose/skeleton) splits segments that 'items' (decompose/skeleton) has split "
        "already\n"
        "  --> pipeline: flow\n"
        "   help: leave 'items' out:  flow: points >> write\n"
        "   more: ptgflow explain PTG302"
    ]


def test_check_says_the_same_as_data(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["check", "recipe=draft_verify", "model=tiny", "guarantee=exact", "temperature=1", "format=json"])
    said = capsys.readouterr()
    data = json.loads(said.out)
    assert (code, said.err, data["valid"], data["program"]) == (2, "", False, None)
    assert [one["code"] for one in data["diagnostics"]] == ["PTG105"]
    assert data["diagnostics"][0]["help"] == "write  temperature=0  , or demand  guarantee: distribution"
