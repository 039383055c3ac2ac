"""Options of masked generation reach what they are about, or are refused with the edits that would do."""

import pytest
from pydantic import ValidationError

from ptgflow import Decompose, DraftVerify, Masked, OneShot, Remask, compile
from ptgflow.compiler.driver import compile_source
from ptgflow.compiler.source import Source
from ptgflow.diagnostics import Report
from ptgflow.engine.canvas.lengths import FirstEnd, Fixed, UntilEnd
from ptgflow.engine.canvas.remasking import P2, Gibbs, ReMdm, Uninformed, WinoBack
from ptgflow.engine.canvas.selectors import ReMdmFill, TauLeaping
from ptgflow.recipe.cards import shipped_cards
from ptgflow.stages.masked import selectors
from ptgflow.stages.masked.lengths import length_of
from ptgflow.stages.masked.remask_options import REMASK_PARAMETERS
from ptgflow.stages.masked.remaskers import remasker_of
from ptgflow.stages.masked.spec import (
    EntropyBoundOptions,
    MaskPredictOptions,
    SlowFastOptions,
    TauLeapingOptions,
    ThresholdOptions,
)
from ptgflow.stages.methods import method_table

REMASKERS = ("none", "remdm", "p2", "gibbs", "uninformed", "wino")
VALUES = {
    "remask_mode": "rescale",
    "remask_steps": 9,
    "remask_eta": 0.5,
    "remask_t_on": 0.6,
    "remask_t_off": 0.2,
    "remask_alpha_on": 0.8,
    "remask_schedule": "cosine",
    "remask_k": 3,
    "remask_tau": 0.5,
    "remask_rounds": 7,
    "remask_probability": 0.3,
    "remask_threshold": 0.7,
}
OF_THE_LOOP = ("remask_t_on", "remask_t_off", "remask_alpha_on")


def changed(options, remedy):
    """Options after an edit as a message words it."""
    name, _, new = remedy.partition("=")
    kind = type(options)
    return kind.model_validate({**options.model_dump(), name: None if new == "null" else new})


def assert_every_remedy_does(options):
    for conflict in options.conflicts():
        for remedy in conflict.remedies:
            assert conflict not in changed(options, remedy).conflicts(), (conflict, remedy)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"remask": "none"}, None),
        ({"remask": "remdm"}, ReMdm()),
        (
            {"remask": "remdm", "remask_mode": "rescale", "remask_eta": 0.1, "remask_steps": 5},
            ReMdm(mode="rescale", eta=0.1, steps=5),
        ),
        ({"remask": "remdm", "remask_mode": "conf"}, ReMdm(mode="conf")),
        (
            {"remask": "remdm", "remask_mode": "loop", "remask_t_on": 0.6, "remask_t_off": 0.2, "remask_alpha_on": 0.8},
            ReMdm(mode="loop", t_on=0.6, t_off=0.2, alpha_on=0.8),
        ),
        (
            {"remask": "p2", "remask_eta": 2.0, "remask_steps": 4, "remask_schedule": "cosine"},
            P2(eta=2.0, steps=4, schedule="cosine"),
        ),
        ({"remask": "gibbs", "remask_k": 3, "remask_tau": 0.5, "remask_rounds": 7}, Gibbs(k=3, tau=0.5, rounds=7)),
        (
            {"remask": "uninformed", "remask_probability": 0.3, "remask_rounds": 7},
            Uninformed(probability=0.3, rounds=7),
        ),
        ({"remask": "wino", "remask_threshold": 0.7}, WinoBack(threshold_back=0.7)),
        ({"remask": "wino", "remask_threshold": 0.0}, WinoBack(threshold_back=0.0)),
    ],
)
def test_parameters_reach_their_re_masker(options, rule):
    made = ThresholdOptions(**options)
    assert not made.conflicts()
    assert remasker_of(made) == rule


@pytest.mark.parametrize("remask", REMASKERS)
@pytest.mark.parametrize("option", REMASK_PARAMETERS)
def test_parameters_of_another_re_masker_are_refused(option, remask):
    more = {"remask_mode": "loop"} if remask == "remdm" and option in OF_THE_LOOP else {}
    options = ThresholdOptions(remask=remask, **{**more, option: VALUES[option]})
    found = options.conflicts()
    assert bool(found) == (remask not in REMASK_PARAMETERS[option])
    assert all(f"{option}=null" in conflict.remedies for conflict in found)
    assert_every_remedy_does(options)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"remask_mode": "conf", "remask_eta": 0.5}, "remask_mode is conf"),
        ({"remask_eta": 1.5}, "is a share"),
        ({"remask_t_on": 0.4}, "remask_mode is cap"),
        ({"remask_mode": "rescale", "remask_alpha_on": 0.4}, "remask_mode is rescale"),
        ({"remask_mode": "loop", "remask_t_on": 0.04}, "begins at time 0.04 and ends at 0.05"),
        ({"remask_mode": "loop", "remask_t_on": 0.2, "remask_t_off": 0.2}, "begins at time 0.2 and ends at 0.2"),
    ],
)
def test_modes_of_remdm_keep_to_their_own(more, words):
    options = ThresholdOptions(remask="remdm", **more)
    (conflict,) = options.conflicts()
    assert words in conflict.reason
    assert_every_remedy_does(options)


def test_tau_leaping_and_remdm_are_one_sampler():
    options = TauLeapingOptions(steps=40, block_length=8, remask="remdm", remask_mode="loop", remask_alpha_on=0.8)
    assert not options.conflicts(), "with something opened again there may be more rounds than places"
    made = selectors.TauLeaping(options)
    assert made.selector() == ReMdmFill(mode="loop", steps=40, alpha_on=0.8)
    assert made.remasker() == ReMdm(mode="loop", steps=40, alpha_on=0.8)
    plain = selectors.TauLeaping(TauLeapingOptions(steps=6, schedule="cosine", remask="wino"))
    assert plain.selector() == TauLeaping(steps=6, schedule="cosine")
    assert plain.remasker() == WinoBack()


@pytest.mark.parametrize("more", [{"remask_steps": 5}, {"schedule": "cosine"}])
def test_tau_leaping_and_remdm_have_one_schedule(more):
    options = TauLeapingOptions(remask="remdm", **more)
    assert len(options.conflicts()) == 1
    assert_every_remedy_does(options)


def test_mask_predict_takes_no_other_re_masker_nor_its_parameters():
    options = MaskPredictOptions(remask="p2", remask_eta=0.5, cache="dual")
    named = [conflict.reason for conflict in options.conflicts()]
    assert len(named) == 2
    assert all("own schedule" in reason for reason in named)
    assert_every_remedy_does(options)
    assert not MaskPredictOptions(cache="dual").conflicts()


def test_mask_predict_opens_again_what_a_delayed_cache_keeps():
    options = MaskPredictOptions(cache="dkv")
    (conflict,) = options.conflicts()
    assert conflict.of_a_cache
    assert "re-opens positions of the current block" in conflict.reason
    assert_every_remedy_does(options)


def test_what_the_rules_cannot_take_is_out_of_range_or_in_conflict():
    options = SlowFastOptions(explore=2, window=3)
    (conflict,) = options.conflicts()
    assert "stable for window=3" in conflict.reason
    assert_every_remedy_does(options)
    for kind, value in (
        (EntropyBoundOptions, {"gamma": 0}),
        (SlowFastOptions, {"high": 0}),
        (SlowFastOptions, {"spread": 0}),
    ):
        with pytest.raises(ValidationError):
            kind(**value)


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        ({}, FirstEnd()),
        ({"length": "first_end", "places": 7}, FirstEnd(places=7)),
        ({"length": "until_end"}, UntilEnd()),
        ({"length": "fixed", "places": 9}, Fixed(places=9)),
    ],
)
def test_the_length_is_a_policy(options, policy):
    made = ThresholdOptions(**options)
    assert not made.conflicts()
    assert length_of(made) == policy


SET = {"threshold": 0.5, "progress": "surest", "block_length": 4, "cache": "dllm", "remask": "p2", "length": "fixed"}
ALONE = {**SET, "places": 9, "guidance": "cfg", "guidance_scale": 2.0}


@pytest.mark.parametrize("option", ALONE)
def test_what_a_fused_stage_does_not_do_is_refused(option):
    """All that is about filling round by round; in a stage of its own it is accepted."""
    more = {"guidance": "cfg"} if option == "guidance_scale" else {}
    fill = Masked(**{**more, option: ALONE[option]}).named("fill")
    report = compiled(fill >> DraftVerify("judge"))
    assert {one.code for one in report.errors} == {"PTG406"}
    assert any(f"{option}={ALONE[option]}" in one.message for one in report.errors)
    default = getattr(ThresholdOptions(), option)
    assert any(f"stages.fill.{option}={'null' if default is None else default}" in one.help for one in report.errors)
    assert not compiled(fill).errors


def test_the_fused_pair_takes_weights_and_starts_from_a_prompt():
    plan = compile(Masked(weights="/folder") >> DraftVerify("judge"), model="tiny")
    assert [kind.__name__ for kind in plan.program.starts] == ["Prompt"]
    assert [node.fused_into for node in plan.program.nodes] == ["draft_verify", None]
    assert plan.run(canvas="ducks [MASK]").error_code == "PTG613"


def test_what_fills_holes_of_a_text_is_not_fused():
    for flow in (
        DraftVerify() >> Masked(weak=0.5) >> DraftVerify("judge"),
        OneShot() >> Remask() >> Masked() >> DraftVerify(),
    ):
        program = compile(flow, model="tiny").program
        assert all(node.fused_into is None for node in program.nodes)


@pytest.mark.parametrize(
    ("flow", "option"),
    [
        (Masked(weak=0.5), "weak"),
        (OneShot() >> Remask() >> Masked(weak=0.5), "weak"),
        (Masked(weak=0.5) >> DraftVerify("judge"), "weak"),
        (DraftVerify() >> Masked(length="fixed"), "length"),
        (DraftVerify() >> Masked(places=9), "places"),
        (OneShot() >> Remask() >> Masked(length="until_end"), "length"),
    ],
)
def test_options_for_another_kind_of_text_are_refused(flow, option):
    (found,) = compiled(flow).errors
    assert found.code == "PTG406"
    assert f"masked.{option}=" in found.help


def test_options_for_the_text_that_reaches_the_stage_are_taken():
    for flow in (DraftVerify() >> Masked(weak=0.0), Masked(length="fixed", places=4), Decompose() >> Masked(places=4)):
        assert not compiled(flow).errors


def compiled(flow):
    report = Report()
    card = shipped_cards().find("tiny")
    compile_source(Source(flow=flow, card=card), methods=method_table(), cards=shipped_cards(), report=report)
    return report
