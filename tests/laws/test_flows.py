"""Laws of flows and of the compiler: what holds for every pipeline, legal or not."""

import itertools
import re
from dataclasses import replace

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ptgflow.api import compile as compile_flow
from ptgflow.compiler.driver import compile_source
from ptgflow.compiler.matrix import pair, table4, table5
from ptgflow.compiler.passes.lower import slots_of
from ptgflow.compiler.source import Source
from ptgflow.contracts import PARADIGMS, SIX, Paradigm
from ptgflow.diagnostics import Report
from ptgflow.dsl import MTP, Decompose, DraftVerify, Edit, Flow, Masked, Merge, OneShot, Remask, Stage
from ptgflow.dsl.pipeline import then
from ptgflow.dsl.text import FlowSyntaxError, parse_flow, render_flow
from ptgflow.errors import RecipeError
from ptgflow.recipe.cards import shipped_cards
from ptgflow.recipe.to_flow import from_flow, to_flow
from ptgflow.stages.methods import method_table

TINY = shipped_cards().find("tiny")
assert TINY is not None
assert TINY.capabilities is not None
MAKERS = {
    Paradigm.DECOMPOSE: Decompose,
    Paradigm.ONESHOT: OneShot,
    Paradigm.MTP: MTP,
    Paradigm.MASKED: Masked,
    Paradigm.EDIT: Edit,
    Paradigm.DRAFT_VERIFY: DraftVerify,
    Paradigm.REMASK: Remask,
}


def stages() -> st.SearchStrategy[Flow]:
    """One stage with a method that exists, and some legal options."""
    specs = [spec for spec in method_table() if spec.paradigm is not Paradigm.MERGE]

    def made(spec, number):
        options = {"k": number} if "k" in spec.options.model_fields else {}
        return MAKERS[spec.paradigm](spec.name, **options)

    return st.one_of(st.builds(made, st.sampled_from(specs), st.integers(1, 16)), st.builds(Merge))


def flows(min_size: int = 0, max_size: int = 5) -> st.SearchStrategy[Flow]:
    return st.lists(stages(), min_size=min_size, max_size=max_size).map(
        lambda parts: Flow(*(stage for part in parts for stage in part.stages))
    )


def compiled(flow: Flow, **options):
    report = Report()
    source = Source(flow=flow, card=TINY, **options)
    return compile_source(source, methods=method_table(), cards=shipped_cards(), report=report), report


def _legal() -> list[Flow]:
    """Every legal flow of up to three stages, with the methods of each paradigm taken in turn."""
    turns = {
        one: itertools.cycle([spec.name for spec in method_table().of(one).values() if spec.needs <= TINY.capabilities])
        for one in MAKERS
    }
    found = []
    for size in (1, 2, 3):
        for paradigms in itertools.product([*MAKERS, Paradigm.MERGE], repeat=size):
            parts = [Merge() if one is Paradigm.MERGE else MAKERS[one](next(turns[one])) for one in paradigms]
            flow = Flow(*(stage for part in parts for stage in part.stages))
            found += [flow] if compiled(flow)[0] is not None else []
    return found


LEGAL = _legal()


def legal_flows() -> st.SearchStrategy[Flow]:
    return st.sampled_from(LEGAL)


@given(stages(), stages(), stages())
def test_then_is_associative(a, b, c):
    assert then(then(a, b), c) == then(a, then(b, c))
    assert hash(then(then(a, b), c)) == hash(then(a, then(b, c)))


@given(stages(), flows(), flows())
def test_the_empty_flow_is_neutral(a, left, right):
    assert then(Flow(), a) == then(a, Flow()) == a
    assert then(left, right).stages == (*left.stages, *right.stages)


@given(legal_flows())
def test_lifting_commutes_with_composition(flow):
    """`D >> (f >> g)` compiles to what `(D >> f) >> g` compiles to, and a written last Merge to what is implied."""
    split = Decompose()
    together, one_report = compiled(then(split, flow))
    apart = Flow(*split.stages)
    for stage in flow.stages:
        apart = then(apart, Flow(stage))
    stepwise, other_report = compiled(apart)
    assert [str(one) for one in one_report] == [str(one) for one in other_report]
    assert (together is None) == (stepwise is None)
    if together is not None and stepwise is not None:
        assert together.to_json() == stepwise.to_json()


@given(legal_flows())
def test_an_implied_merge_is_a_written_one(flow):
    program, _ = compiled(flow)
    assert program is not None
    if not program.nodes[-1].implied:
        return
    written, _ = compiled(then(flow, Merge().named("merge")))
    assert written is not None
    assert [node.paradigm for node in written.nodes] == [node.paradigm for node in program.nodes]
    assert [(node.takes, node.leaves, node.region) for node in written.nodes] == [
        (node.takes, node.leaves, node.region) for node in program.nodes
    ]


@given(legal_flows())
def test_lifted_stages_see_single_segments(flow):
    """Within a split a stage takes `Branches[K]` and leaves `Branches[L]`; outside it would take K and leave L."""
    program, _ = compiled(flow)
    assert program is not None
    for node in program.nodes:
        assert node.takes is not None
        assert node.leaves is not None
        assert node.takes.branched is (node.region is not None)
        if node.contract is not None and node.contract.leaves is not None:
            assert node.contract.result(node.takes.kind) is node.leaves.kind


@given(flows())
@example(Flow())
@example(Flow(Stage(None, slot="nobody")))
def test_every_flow_compiles_or_is_explained(flow):
    """No pipeline makes the compiler raise; one that is rejected has at least one error."""
    program, report = compiled(flow)
    assert (program is None) == bool(report.errors)
    for finding in report:
        assert "{" not in finding.message, finding


@given(flows(1, 5))
def test_compiling_is_deterministic(flow):
    one, one_report = compiled(flow)
    two, two_report = compiled(flow)
    assert [str(found) for found in one_report] == [str(found) for found in two_report]
    assert one is None or two is None or one.to_json() == two.to_json()


@given(legal_flows(), st.data())
def test_an_illegal_mutation_always_gives_a_diagnostic(flow, data):
    """Change one thing about a legal pipeline: it stays legal, or it is rejected with a code; it never raises."""
    position = data.draw(st.integers(0, len(flow.stages) - 1))
    kind = data.draw(st.sampled_from(["method", "option", "value", "model", "swap", "insert", "drop", "slot"]))
    stage, rest = flow.stages[position], list(flow.stages)
    certain = kind in ("method", "option", "value", "model")
    assume(not (certain and stage.paradigm is Paradigm.MERGE))
    axis = PARADIGMS[stage.paradigm].axis if stage.paradigm else ""
    changed = {
        "method": {**stage.settings, axis: "no_such_method"},
        "option": {**stage.settings, "no_such_option": 1},
        "value": {**stage.settings, "model": 3},
        "model": {**stage.settings, "model": "no-such-model"},
    }
    if certain:
        rest[position] = Stage(stage.paradigm, tuple(sorted(changed[kind].items())), stage.slot)
    elif kind == "swap":
        rest[position], rest[0] = rest[0], rest[position]
    elif kind == "insert":
        rest.insert(position, data.draw(stages()).stages[0])
    elif kind == "drop":
        del rest[position]
    else:
        rest = [Stage(one.paradigm, one.options, "same") for one in rest]
    program, report = compiled(Flow(*rest))
    assert (program is None) == bool(report.errors)
    if certain:
        assert program is None


@given(flows(1, 5))
def test_the_recipe_form_round_trips(flow):
    """Python -> recipe -> YAML text -> recipe -> Python is the same pipeline, with the slots that it was given."""
    recipe = yaml.safe_load(yaml.safe_dump(from_flow(flow)))
    report = Report()
    back = to_flow(
        recipe["flow"], recipe["stages"], broken=(), locate=lambda place: compiled_location(place), report=report
    )
    assert back is not None
    assert not report.errors
    assert from_flow(back) == from_flow(flow)
    assert [(one.paradigm, one.options) for one in back.stages] == [(one.paradigm, one.options) for one in flow.stages]
    one, one_report = compiled(flow)
    two, two_report = compiled(back)
    assert [found.code for found in one_report] == [found.code for found in two_report]
    assert one is None or two is None or one.to_json() == two.to_json()


def compiled_location(place):
    return Source.__dataclass_fields__["locate"].default(place)


@given(st.lists(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), max_size=6))
def test_flow_text_round_trips(slots):
    assert parse_flow(render_flow(tuple(slots))) == tuple(slots)


@given(st.text(max_size=30))
def test_flow_text_never_surprises(text):
    try:
        slots = parse_flow(text)
    except FlowSyntaxError:
        return
    assert all(slot.isidentifier() for slot in slots)
    assert parse_flow(render_flow(slots)) == slots


def test_every_recipe_in_both_forms():
    """What the survey calls A to E, written in Python, compiles to its recipe's stages."""
    from ptgflow.api import load_recipe

    python = {
        "decomp_oneshot_edit": Decompose().named("split")
        >> OneShot().named("draft")
        >> Edit().named("repair")
        >> Merge()
        >> Edit("consistency").named("whole"),
        "decomp_mtp_edit": Decompose().named("split")
        >> MTP(k=4).named("write")
        >> Edit("tagger").named("repair")
        >> Merge()
        >> Edit("consistency").named("whole"),
        "decomp_masked": Decompose().named("split") >> Masked().named("fill"),
        "decomp_oneshot": Decompose().named("split") >> OneShot().named("draft"),
        "decomp_mtp_edit_dv": Decompose().named("split")
        >> MTP().named("write")
        >> Edit().named("repair")
        >> DraftVerify().named("check"),
    }
    for name, flow in python.items():
        from_python = compile_flow(flow, model="tiny").program.as_dict()
        from_recipe = load_recipe(name, ["model=tiny"]).program.as_dict()
        assert from_python["stages"] == from_recipe["stages"], name
        assert from_python["guarantee"] == from_recipe["guarantee"], name


# The survey's Table 4 (section 5.2), as printed: the oracle that the product does not contain.
SURVEY_TABLE_4 = {
    "decompose": {"oneshot": True},
    "masked": {"oneshot": False, "decompose": True},
    "edit": {"oneshot": True, "decompose": True, "masked": True},
    "draft_verify": {"oneshot": False, "decompose": True, "masked": True, "edit": True},
    "mtp": {"oneshot": False, "decompose": True, "masked": False, "edit": True, "draft_verify": True},
}
# Its Table 5 (section 5.3).
SURVEY_TABLE_5 = {
    "compression": dict.fromkeys(map(str, SIX), "yes"),
    "kv_reuse": {
        "draft_verify": "yes",
        "decompose": "yes",
        "mtp": "yes",
        "oneshot": "no",
        "masked": "partial",
        "edit": "partial",
    },
    "infrastructure": dict.fromkeys(map(str, SIX), "yes"),
}


def test_the_derived_table_4_is_the_surveys():
    derived: dict[str, dict[str, bool]] = {}
    for cell in table4():
        derived.setdefault(str(cell.left), {})[str(cell.right)] = cell.composes
    assert derived == SURVEY_TABLE_4


def test_the_derived_table_5_is_the_surveys():
    derived: dict[str, dict[str, str]] = {}
    for mark in table5():
        derived.setdefault(mark.accelerator, {})[str(mark.paradigm)] = str(mark.fit)
    assert derived == SURVEY_TABLE_5


@pytest.mark.parametrize(("left", "right"), list(itertools.permutations(SIX, 2)))
def test_the_matrix_agrees_with_the_compiler(left, right):
    """A pair composes exactly when the compiler accepts one of its two orders."""
    accepted = []
    for first, second in ((left, right), (right, left)):
        methods = [
            [m for m in method_table().of(one).values() if m.contract is None or one is Paradigm.DECOMPOSE]
            for one in (first, second)
        ]
        found = [
            compiled(then(MAKERS[first](a.name), MAKERS[second](b.name)))[1] for a in methods[0] for b in methods[1]
        ]
        accepted.append(any(not {"PTG101", "PTG103", "PTG303"} & {f.code for f in report} for report in found))
    assert any(accepted) is pair(left, right).composes


BRIDGED = [
    OneShot() >> Remask() >> Masked(),
    Decompose() >> OneShot() >> Remask(ratio=0.5) >> Masked(),
    OneShot() >> Remask() >> Masked() >> Edit(),
    OneShot() >> Remask() >> Masked() >> DraftVerify(),
    MTP() >> Remask() >> Masked(),
    MTP() >> Edit() >> Remask() >> Masked(),
]


@pytest.mark.parametrize("flow", BRIDGED, ids=repr)
def test_a_bridge_joins_what_does_not_compose(flow):
    program, report = compiled(flow)
    assert program is not None, [str(one) for one in report]
    assert [kind.__name__ for kind in program.starts] == ["Prompt"]


@pytest.mark.parametrize("flow", BRIDGED, ids=repr)
def test_without_its_bridge_it_is_rejected_and_told_of_it(flow):
    bare = Flow(*(stage for stage in flow.stages if stage.paradigm is not Paradigm.REMASK))
    program, report = compiled(bare)
    assert program is None
    assert any(("(remask/weakest)" in one.help) or ("change the order" in one.help) for one in report.errors)


@pytest.mark.parametrize(
    "flow",
    [Remask() >> Masked(), Decompose("passages") >> Remask() >> Masked(), Flow(*Remask().stages)],
    ids=repr,
)
def test_a_bridge_needs_a_text_that_was_written(flow):
    program, report = compiled(flow)
    assert program is None
    assert "PTG107" in {one.code for one in report.errors}


def test_a_bridge_does_not_excuse_what_lies_on_one_side_of_it():
    """`OneShot >> Edit >> DraftVerify` hides a pair that does not compose, whatever bridge follows."""
    _, report = compiled(OneShot() >> Edit() >> DraftVerify() >> Remask() >> Masked())
    assert [one.code for one in report.errors] == ["PTG102"]


@given(flows(1, 4), st.sampled_from(["exact", "distribution"]), st.sampled_from([0.0, 1.0]))
def test_an_offered_flow_compiles(flow, guarantee, temperature):
    """Whatever `help:` writes behind `flow:` is accepted as it stands, a new verifier declared where it names one."""
    _, report = compiled(flow, guarantee=guarantee, temperature=temperature)
    slots = dict(zip(slots_of(flow.stages), flow.stages, strict=True))
    for finding in report.errors:
        for offered in re.findall(r"flow: ([a-z_0-9]+(?: >> [a-z_0-9]+)*)(?=  ,| ;|$)", finding.help):
            if finding.code in ("PTG107", "PTG201", "PTG303"):
                continue  # These name a stage that only the writer can choose.
            names = parse_flow(offered)
            bridge, verifier = Remask().stages[0], DraftVerify().stages[0]
            stages = [slots.get(name, bridge if name.startswith("remask") else verifier) for name in names]
            # What is idle before a verifier is to be reset, the same message says.
            reset = set(re.findall(r"  stages\.(\w+)\.(\w+)=", finding.help))
            stages = [
                replace(stage, options=tuple(one for one in stage.options if (name, one[0]) not in reset))
                for name, stage in zip(names, stages, strict=True)
            ]
            _, again = compiled(Flow(*stages))
            left = {one.code for one in again.errors} - {one.code for one in report.errors} - {"PTG401"}
            assert not left, (str(flow), offered, [str(one) for one in again.errors])
            assert finding.code not in {one.code for one in again.errors}, (str(flow), offered)


def test_what_is_rejected_says_everything_at_once():
    with pytest.raises(RecipeError) as caught:
        compile_flow(
            Decompose() >> Flow(Stage(Paradigm.ONESHOT, (("decoder", "nope"),), "")) >> Masked(k=3),  # type: ignore[operator]
            model="nowhere",
            guarantee="exact",
            temperature=-1,
        )
    assert set(caught.value.codes) >= {"PTG002", "PTG003", "PTG004", "PTG008", "PTG101", "PTG105"}


def test_an_offered_verifier_says_what_is_idle_before_it():
    flow = Flow(*Masked(selector="topk", k=1).stages)
    _, report = compiled(flow, guarantee="exact")
    (finding,) = report.errors
    assert finding.code == "PTG105"
    assert "  , with  stages.masked.k=4  , or  guarantee: none" in finding.help
