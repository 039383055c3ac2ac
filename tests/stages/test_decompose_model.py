"""The embedded model plans and routes as the prompts were chosen for."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import ptgflow.recipes
from ptgflow.contracts import Branches, ModelCard, Segment
from ptgflow.contracts.settings import Generation
from ptgflow.engine.decode import DecodeLoop, RowId
from ptgflow.engine.models.model import LoadedModel, load_model
from ptgflow.engine.request import Decoded, DecodeRequest
from ptgflow.stages.base import StageContext
from ptgflow.stages.decompose.skeleton import Skeleton
from ptgflow.stages.decompose.spec import SkeletonOptions

pytestmark = pytest.mark.model

QUESTIONS = (
    "What are the benefits of learning a second language?",
    "How do I prepare for a job interview?",
    "Give me five tips for a first marathon.",
)


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    (folder,) = ptgflow.recipes.__path__
    card = yaml.safe_load((Path(folder) / "model" / "smollm2-135m.yaml").read_text(encoding="utf-8"))
    return load_model(ModelCard(**card))


def decode(model: LoadedModel, requests: list[DecodeRequest]) -> list[Decoded]:
    loop = DecodeLoop(model, max_rows=8)
    rows = [loop.admit(request) for request in requests]
    done: dict[RowId, Decoded] = {}
    while not loop.idle:
        done.update(loop.round().finished)
    return [done[row] for row in rows]


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_model_plans_three_points_and_writes_each(model: LoadedModel, question: str):
    context = StageContext(slot="split", model=model, generation=Generation(), budget=320, seed=0)
    work = Skeleton(SkeletonOptions()).run(context.prompt((), question), context)
    (plan,) = decode(model, [next(work)])
    with pytest.raises(StopIteration) as end:
        work.send(plan)
    family: Branches[Segment] = end.value.value
    assert len(family.titles) >= 3
    requests = [
        DecodeRequest(prompt_ids=item.token_ids, max_new_tokens=share, stop=family.stop)
        for item, share in zip(family.items, family.share, strict=True)
    ]
    texts = [decoded.text for decoded in decode(model, requests)]
    written = [text for text in texts if len(text.split()) >= 5]
    # One point of a skeleton may stay empty: a small model sometimes opens a list instead of a sentence.
    assert len(written) >= len(texts) - 1
    assert not any("\n" in text or "**" in text for text in texts)


@pytest.mark.parametrize("question", QUESTIONS)
def test_drafting_by_form_changes_no_skeleton_and_saves_passes(model: LoadedModel, question: str):
    context = StageContext(slot="split", model=model, generation=Generation(), budget=320, seed=0)
    asked = next(Skeleton(SkeletonOptions()).run(context.prompt((), question), context))
    assert isinstance(asked, DecodeRequest)
    drafted, plain = decode(model, [asked]), decode(model, [replace(asked, drafter=None)])
    assert drafted[0].token_ids == plain[0].token_ids
    assert drafted[0].rounds <= 0.8 * plain[0].rounds
