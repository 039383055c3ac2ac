"""Masked and One-Shot generation as stages: every selector and re-masker, canvases, and what is refused."""

import pytest

from ptgflow import Masked, OneShot, compile, load_recipe
from ptgflow.contracts import ModelCard
from ptgflow.engine.models.model import load_model
from ptgflow.errors import PtgError
from ptgflow.stages.masked.spec import METHODS, REOPENS
from tests.engine.heads_of_tiny import saved

CARD = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")
MODEL = load_model(CARD)
PROMPT = "Tell me about ducks."
SELECTORS = [method.name for method in METHODS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(saved(tmp_path_factory.mktemp("masked"), "masked", MODEL))


def recipe(name, folder, *more, **options):
    return load_recipe(name, ["model=tiny", "model.dtype=float32", f"stages.fill.weights={folder}", *more], **options)


@pytest.mark.parametrize("selector", SELECTORS)
@pytest.mark.parametrize("remask", list(REOPENS))
def test_every_selector_writes_with_every_re_masker(selector, remask, folder):
    if selector == "mask_predict" and remask != "none":
        with pytest.raises(PtgError, match="own schedule"):
            compile(Masked(selector=selector, remask=remask, weights=folder), model=CARD)
        return
    flow = Masked(selector=selector, remask=remask, weights=folder, block_length=8)
    result = compile(flow, model=CARD, max_tokens=10).run(PROMPT)
    assert result.error is None
    assert 0 < len(result.token_ids) <= 10
    assert result.guarantee.level == "none"
    assert result.metrics.stages[0].method == f"masked/{selector}"


def test_surest_and_leftmost_progress_differ_and_null_is_leftmost(folder):
    texts = {
        progress: compile(
            Masked(selector="threshold", threshold=1.0, progress=progress, weights=folder), model=CARD, max_tokens=12
        ).run(PROMPT).text
        for progress in ("surest", "leftmost", None)
    }  # fmt: skip
    assert texts["leftmost"] == texts[None] != texts["surest"]


def test_a_canvas_keeps_what_is_given(folder):
    plan = recipe("masked", folder)
    result = plan.run(canvas="Ducks [MASK][MASK] swim in [MASK].")
    assert result.error is None
    assert result.text.startswith("Ducks")
    assert result.text.endswith(".")
    assert "[MASK]" not in result.text
    assert result.origin.count("fill") == 3
    assert plan.run(canvas="No holes at all.").text == "No holes at all."


def test_masked_drafts_are_verified_losslessly(folder):
    plain = load_recipe("ar", ["model=tiny", "model.dtype=float32", "max_tokens=24"]).run(PROMPT)
    result = recipe("masked_dv", folder, "max_tokens=24").run(PROMPT)
    assert result.token_ids == plain.token_ids
    assert result.guarantee.level == "exact"
    assert result.metrics.acceptance_length > 1


def test_weak_places_of_a_verified_text_are_opened_again(folder):
    strict, none = (
        recipe("dv_masked", folder, "max_tokens=16", f"stages.fill.weak={weak}").run(PROMPT) for weak in (1.0, 0.0)
    )
    assert "fill" in strict.origin
    assert "fill" not in none.origin


def test_one_shot_is_one_pass(folder):
    flow = OneShot(decoder="argmax", places=7, weights=folder)
    result = compile(flow, model=CARD, max_tokens=20).run(PROMPT)
    assert result.metrics.rounds == 1
    assert len(result.token_ids) <= 7


def test_segments_of_a_split_request_are_filled(folder):
    plan = recipe("decomp_masked", folder, "max_tokens=60")
    result = plan.run(PROMPT)
    assert result.error is None


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("stages.fill.cache=prefix",), "PTG612"),
        (("stages.fill.weights=/nowhere",), "PTG622"),
        (("stage@stages.fill=masked/maskgit", "stages.fill.steps=7"), "PTG612"),
        (("stages.fill.weights=null",), "PTG636"),
    ],
)
def test_what_cannot_work_is_told(more, code, folder):
    result = recipe("masked", folder, *more).run(PROMPT)
    assert result.error_code == code, result.error


def test_more_rounds_than_places_are_refused(folder):
    flow = Masked(selector="tau_leaping", steps=9, block_length=8, weights=folder)
    with pytest.raises(PtgError, match=r"steps=9 rounds for blocks of 8 positions"):
        compile(flow, model=CARD)


@pytest.mark.parametrize("length", ["first_end", "until_end", "fixed"])
def test_a_canvas_has_as_many_places_as_are_asked_for(length, folder):
    flow = Masked(selector="topk", k=8, length=length, places=5, weights=folder)
    result = compile(flow, model=CARD, max_tokens=20).run(PROMPT)
    assert result.error is None
    assert len(result.token_ids) <= 5
    whole = compile(Masked(selector="topk", k=8, length=length, weights=folder), model=CARD, max_tokens=5).run(PROMPT)
    assert whole.token_ids == result.token_ids
