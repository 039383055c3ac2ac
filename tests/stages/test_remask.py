"""The bridge: which tokens of a text become holes, and what becomes of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptgflow import Decompose, Masked, OneShot, Remask, compile, load_recipe
from ptgflow.contracts import Canvas, Draft, ModelCard, Prompt, Text
from ptgflow.engine.models.model import load_model
from ptgflow.errors import RunError
from ptgflow.stages.remask.spec import WeakestOptions
from ptgflow.stages.remask.weakest import Weakest
from tests.engine.heads_of_tiny import saved

CARD = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")
MODEL = load_model(CARD)
PROMPT = "Tell me about ducks."


class Context:
    slot = "again"


def opened(text, ratio):
    work = Weakest(WeakestOptions(ratio=ratio)).run(text, Context())
    with pytest.raises(StopIteration) as ended:
        next(work)
    assert isinstance(ended.value.value, Canvas)
    return ended.value.value


def text_of(scores, kind=Text, **more):
    ids = tuple(range(10, 10 + len(scores)))
    origin = tuple(f"s{place}" for place in range(len(ids)))
    prompt = Prompt(token_ids=(5,), tokenizer="t")
    return kind(token_ids=ids, tokenizer="t", text="", origin=origin, prompt=prompt, scores=tuple(scores), **more)


@given(st.lists(st.sampled_from([-5.0, -1.0, -0.5, -0.1, 0.0]), min_size=1, max_size=12), st.integers(1, 20))
def test_the_least_certain_tokens_become_holes(scores, share):
    text = text_of(scores)
    canvas = opened(text, share / 20)
    holes = [place for place, hole in enumerate(canvas.holes) if hole]
    assert len(holes) == max(len(scores) * share // 20, 1)
    ranked = sorted(range(len(scores)), key=lambda place: (scores[place], place))
    assert holes == sorted(ranked[: len(holes)])
    assert canvas.frozen == tuple(not hole for hole in canvas.holes)
    assert (canvas.token_ids, canvas.origin, canvas.prompt) == (text.token_ids, text.origin, text.prompt)


def test_a_draft_has_scores_and_an_empty_text_no_holes():
    assert opened(text_of([-1.0, -3.0], Draft), 0.5).holes == (False, True)
    assert opened(text_of([]), 0.5).holes == ()


def test_a_text_without_scores_is_refused():
    text = Text(token_ids=(3,), tokenizer="t", text="a", origin=("s",))
    with pytest.raises(RunError, match="does not say how likely the tokens"):
        next(Weakest(WeakestOptions()).run(text, Context()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(saved(tmp_path_factory.mktemp("masked"), "masked", MODEL))


def bridged(folder, *more):
    weights = [f"stages.{slot}.weights={folder}" for slot in ("draft", "fill")]
    return load_recipe("oneshot_masked", ["model=tiny", "model.dtype=float32", "max_tokens=10", *weights, *more])


def test_what_was_opened_is_filled_and_the_rest_stays(folder):
    flow = OneShot(decoder="argmax", weights=folder)
    draft = compile(flow.named("draft"), model=CARD, max_tokens=10).run(PROMPT)
    result = bridged(folder, "stages.again.ratio=0.4").run(PROMPT)
    assert result.error is None
    assert len(result.token_ids) == len(draft.token_ids)
    assert result.origin.count("fill") == int(len(draft.token_ids) * 0.4)
    pairs = zip(result.origin, result.token_ids, draft.token_ids, strict=True)
    assert all(new == old for origin, new, old in pairs if origin == "draft")
    assert [one.name for one in result.metrics.stages] == ["draft", "again", "fill"]
    assert result.metrics.stages[1].rounds == 0


def test_of_a_text_all_can_be_opened(folder):
    result = bridged(folder, "stages.again.ratio=1").run(PROMPT)
    assert set(result.origin) == {"fill"}


def test_segments_are_bridged_each_by_itself(folder):
    flow = Decompose("skeleton", router=None) >> OneShot(weights=folder) >> Remask() >> Masked(weights=folder)
    result = compile(flow, model=CARD, max_tokens=40).run(PROMPT)
    assert result.error is None
