"""Guidance of masked generation as an option of stages: who guides, what comes of it, and what is refused."""

import pytest

from ptgflow import Masked, compile, load_recipe
from ptgflow.contracts import Capability, ModelCard
from ptgflow.engine.canvas.guidance import Agreement, ClassifierFree, Product
from ptgflow.engine.models.model import load_model
from ptgflow.errors import PtgError
from ptgflow.stages.masked.guidance_options import GUIDANCE_PARAMETERS
from ptgflow.stages.masked.guiding import Guiding
from ptgflow.stages.masked.spec import METHODS, ThresholdOptions
from tests.engine.heads_of_tiny import saved

CARD = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")
MODEL = load_model(CARD)
PROMPT = "Tell me about ducks."
SELECTORS = [method.name for method in METHODS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(saved(tmp_path_factory.mktemp("masked"), "masked", MODEL))


def answered(folder, selector="topk", *, card=CARD, temperature=0.0, **options):
    if selector == "topk":
        options = {"k": 8, **options}
    flow = Masked(selector=selector, weights=folder, block_length=8, **options)
    return compile(flow, model=card, max_tokens=14, temperature=temperature).run(PROMPT)


@pytest.mark.parametrize("selector", SELECTORS)
@pytest.mark.parametrize("guidance", ["cfg", "agreement", "apd"])
def test_every_selector_writes_with_every_guidance(selector, guidance, folder):
    result = answered(folder, selector, guidance=guidance)
    assert result.error is None
    assert 0 < len(result.token_ids) <= 14
    assert result.guarantee.level == "none"


@pytest.mark.parametrize("selector", ["threshold", "topk", "entropy_bound", "maskgit"])
@pytest.mark.parametrize("more", [{"guidance": "agreement"}, {"guidance": "apd", "guidance_ratio": 0.0}])
def test_an_adapted_model_that_must_agree_with_itself_writes_what_it_was(selector, more, folder):
    """The first hole is predicted without adapters, and behind it only what the model itself would write is kept."""
    plain = load_recipe("ar", ["model=tiny", "model.dtype=float32", "max_tokens=14"]).run(PROMPT)
    assert answered(folder, selector, **more).token_ids == plain.token_ids


def test_a_guide_with_a_card_of_its_own_is_asked(folder):
    own = answered(folder, guidance="agreement")
    named = answered(folder, guidance="agreement", guide="tiny")
    assert named.token_ids == own.token_ids
    assert own.metrics.stages[0].verify_rounds > 0


def test_away_from_what_is_said_without_the_prompt(folder):
    texts = {scale: answered(folder, guidance="cfg", guidance_scale=scale).text for scale in (1e-9, 1.0, 50.0)}
    assert texts[1e-9] == answered(folder).text
    assert len(set(texts.values())) == 3


class Denoiser:
    def without(self, prompt):
        return (0,) * len(prompt)


class Context:
    slot, model, draft_model = "fill", MODEL, None


@pytest.mark.parametrize(
    ("options", "kind", "field", "value"),
    [
        ({"guidance": "cfg"}, ClassifierFree, "scale", 1.0),
        ({"guidance": "cfg", "guidance_scale": 2.5}, ClassifierFree, "scale", 2.5),
        ({"guidance": "apd"}, Product, "ratio", 0.7),
        ({"guidance": "apd", "guidance_ratio": 0.0}, Product, "ratio", 0.0),
        ({"guidance": "agreement"}, Agreement, "coupled", False),
    ],
)
def test_parameters_reach_their_guidance(options, kind, field, value):
    options = ThresholdOptions(**options)
    assert not options.conflicts()
    made = Guiding(options).guidance((5, 6), 3, Denoiser(), Context(), "threshold")
    assert isinstance(made, kind)
    assert getattr(made, field) == value
    assert Guiding(ThresholdOptions()).guidance((5, 6), 3, Denoiser(), Context(), "threshold") is None


VALUES = {"guidance_scale": 2.0, "guidance_ratio": 0.5, "guide": "tiny"}


@pytest.mark.parametrize("guidance", ["none", "cfg", "agreement", "apd"])
@pytest.mark.parametrize("option", GUIDANCE_PARAMETERS)
def test_parameters_of_other_guidance_are_refused(option, guidance):
    options = ThresholdOptions(guidance=guidance, **{option: VALUES[option]})
    found = options.conflicts()
    assert bool(found) == (guidance not in GUIDANCE_PARAMETERS[option])
    for conflict in found:
        for remedy in conflict.remedies:
            name, _, new = remedy.partition("=")
            changed = {**options.model_dump(), name: None if new == "null" else new}
            assert not ThresholdOptions(**changed).conflicts()


@pytest.mark.parametrize("guidance", ["agreement", "apd"])
def test_progress_of_the_surest_is_refused_where_the_leftmost_is_written(guidance):
    (conflict,) = ThresholdOptions(guidance=guidance, progress="surest").conflicts()
    assert set(conflict.remedies) == {"progress=null", "guidance=none"}
    assert not ThresholdOptions(guidance=guidance, progress="leftmost").conflicts()
    assert not ThresholdOptions(guidance="cfg", progress="surest").conflicts()


def test_a_model_that_cannot_guide_is_refused(folder):
    masked = CARD.model_copy(update={"capabilities": frozenset({Capability.MASK_TOKEN})})
    result = answered(folder, card=masked, guidance="apd")
    assert result.error_code == "PTG412"
    assert "does not predict a token from those before it" in result.error
    short = CARD.model_copy(update={"name": "short", "context_length": 12})
    with pytest.raises(PtgError) as caught:
        Guiding(ThresholdOptions(guidance="apd")).guidance(
            (5,) * 9, 4, Denoiser(), type("C", (Context,), {"draft_model": load_model(short)})(), "threshold"
        )
    assert caught.value.codes == ("PTG412",)
    assert "reads 12 tokens, and prompt and canvas are 13" in str(caught.value)


def test_a_guide_of_another_tokenizer_is_refused():
    with pytest.raises(PtgError) as caught:
        load_recipe("masked", ["stages.fill.guidance=apd", "stages.fill.guide=tiny"])
    assert caught.value.codes == ("PTG410",)
    with pytest.raises(PtgError) as caught:
        load_recipe("masked", ["model=tiny", "stages.fill.guidance=apd", "stages.fill.guide=tinny"])
    assert "stages.fill.guide=tiny" in str(caught.value)
