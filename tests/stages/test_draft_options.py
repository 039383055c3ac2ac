"""Options about drafts reach what they are about, or are refused with the edits that would do."""

import pytest

from ptgflow import MTP, DraftVerify, compile
from ptgflow.contracts import ModelCard
from ptgflow.engine.growth.dynamic import DynamicDepth, DySpec, Eagle2, OptTree
from ptgflow.engine.growth.shaped import RATES, Sequoia, Static
from ptgflow.errors import RecipeError
from ptgflow.stages.draft_verify.drafter_options import CascadeOptions, JacobiOptions
from ptgflow.stages.draft_verify.options import RANKS, TREE_PARAMETERS
from ptgflow.stages.draft_verify.spec import EnsembleOptions, JudgeOptions, NgramOptions, SuffixOptions
from ptgflow.stages.draft_verify.trees import builder_of

CARD = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")


@pytest.mark.parametrize(
    ("options", "builder"),
    [
        ({"tree": "eagle2", "tree_depth": 3, "tree_width": 4}, Eagle2(depth=3, width=4)),
        ({"tree": "eagle2"}, Eagle2()),
        ({"tree": "dynamic_depth", "tree_threshold": 0.5}, DynamicDepth(threshold=0.5)),
        ({"tree": "dynamic_depth", "tree_threshold": 0.0}, DynamicDepth(threshold=0.0)),
        ({"tree": "opt_tree", "tree_threshold": 0.1, "tree_width": 3}, OptTree(gain=0.1, width=3)),
        ({"tree": "dyspec", "tree_depth": 5}, DySpec(depth=5)),
        ({"tree": "static", "tree_depth": 2, "tree_width": 3}, Static(depth=2, rates=RATES[:3])),
    ],
)
def test_parameters_reach_their_tree(options, builder):
    assert builder_of(SuffixOptions(**options)) == builder


def test_sequoia_learns_about_as_many_ranks_as_it_is_told():
    made = builder_of(SuffixOptions(tree="sequoia", tree_width=2, tree_depth=3))
    assert isinstance(made, Sequoia)
    assert made.width == 2
    assert made._depth == 3
    assert len(RATES) == RANKS


@pytest.mark.parametrize(("option", "value"), [("tree_depth", 3), ("tree_width", 3), ("tree_threshold", 0.5)])
def test_parameters_of_another_tree_are_refused(option, value):
    for tree in ("chain", "static", "sequoia", "eagle2", "opt_tree", "dyspec", "dynamic_depth"):
        conflicts = SuffixOptions(tree=tree, **{option: value}).conflicts()
        assert bool(conflicts) == (tree not in TREE_PARAMETERS[option])
        for conflict in conflicts:
            assert f"{option}=null" in conflict.remedies
            for remedy in conflict.remedies:
                name, _, new = remedy.partition("=")
                changed = {"tree": tree, option: value, name: None if new == "null" else new}
                assert not SuffixOptions(**changed).conflicts()


@pytest.mark.parametrize("tree", ["static", "sequoia"])
def test_more_ranks_than_have_rates_are_refused(tree):
    (conflict,) = SuffixOptions(tree=tree, tree_width=RANKS + 1).conflicts()
    assert f"tree_width={RANKS}" in conflict.remedies
    assert not SuffixOptions(tree=tree, tree_width=RANKS).conflicts()


SURE = {"length": "confidence", "confidence": 0.5}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (JudgeOptions(), []),
        (JudgeOptions(tree="chain"), ["tree"]),
        (JudgeOptions(tree="eagle2", tree_depth=3, **SURE), ["tree", "tree_depth", "confidence", "length"]),
        (JudgeOptions(length="heuristic"), []),
        (EnsembleOptions(), []),
        (EnsembleOptions(tree="eagle2"), ["tree"]),
        (EnsembleOptions(tree="eagle2", drafters=("ngram", "suffix"), **SURE), []),
        (NgramOptions(length="confidence"), ["length"]),
        (NgramOptions(length="confidence", tree="dyspec"), []),
    ],
)
def test_what_is_set_for_drafters_that_are_not_there_is_refused(options, names):
    conflicts = options.conflicts_alone()
    assert [conflict.reason.partition("=")[0] for conflict in conflicts] == names
    changes = dict(remedy.split("=") for conflict in conflicts for remedy in conflict.remedies[-1:])
    settled = {name: None if value == "null" else value for name, value in changes.items()}
    assert not options.model_copy(update=settled).conflicts_alone()


def codes_of(flow):
    try:
        compile(flow, model=CARD)
    except RecipeError as error:
        return str(error)
    return ""


def test_heads_right_before_the_stage_make_the_difference():
    heads = MTP(heads="medusa", weights="somewhere")
    for stage in (
        DraftVerify(drafter="ensemble", tree="eagle2", length="confidence"),
        DraftVerify(drafter="ngram", length="confidence"),
    ):
        assert codes_of(heads >> stage) == ""
        found = codes_of(stage)
        assert "PTG406" in found
        assert "length=confidence" in found
    assert codes_of(heads >> DraftVerify(drafter="judge", tree="eagle2")) == ""
    # Another verifier stands between the heads and the judge.
    found = codes_of(heads >> DraftVerify(drafter="ngram") >> DraftVerify(drafter="judge", tree="eagle2"))
    assert "tree=eagle2 is of what a drafter finds likely, and no heads right before this stage draft" in found
    assert found.count("PTG406") == 2  # In its head, and where it says how to read more.


def test_lookahead_is_told_where_its_window_has_no_room():
    assert JacobiOptions().window_nodes == 14
    assert JacobiOptions(window=1, ngram=2).window_nodes == 0
    (conflict,) = JacobiOptions(k=16).conflicts()
    assert conflict.remedies[0] == "k=17"
    assert not JacobiOptions(k=17).conflicts()
    assert not JacobiOptions(k=16, window=2, ngram=3).conflicts()
    (conflict,) = JacobiOptions(k=64, window=32, ngram=5).conflicts()
    assert conflict.remedies == ("window=2", "ngram=3")


def test_the_window_is_as_large_as_its_options_say():
    from ptgflow.engine.jacobi.window import Window

    for width in range(1, 7):
        for ngram in range(2, 7):
            window, sizes = Window(width=width, ngram=ngram, seed=0, text=[1, 2]), []
            for _ in range(ngram):
                sizes.append(len(window.tree))
                window.step(1, [0] * (len(window.tree) + 1))
            assert max(sizes) == JacobiOptions(window=width, ngram=ngram).window_nodes


def test_what_is_of_lookahead_is_refused_for_a_chain():
    assert not JacobiOptions(tree="chain").conflicts()
    for option in ({"window": 4}, {"ngram": 3}, {"guesses": 2}, {"from_text": True}):
        (conflict,) = JacobiOptions(tree="chain", **option).conflicts()
        assert conflict.remedies[1] == "tree=dyspec"
    (conflict,) = JacobiOptions(tree="chain", length="confidence").conflicts()
    assert "an iteration needs all of it" in conflict.reason
    assert not JacobiOptions(tree="dyspec", length="confidence").conflicts()


def test_a_cascade_drafts_no_more_than_it_may():
    (conflict,) = CascadeOptions(first=9, k=8).conflicts()
    assert conflict.remedies == ("first=8", "k=9")
    assert not CascadeOptions(first=8, k=8).conflicts()
