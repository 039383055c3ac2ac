from dataclasses import replace
from functools import cache

import pytest

from ptgflow.contracts import Branches, Message, ModelCard, Prompt, Segment, Text
from ptgflow.contracts.settings import Generation, Sampling
from ptgflow.engine.models.model import LoadedModel, load_model
from ptgflow.engine.request import Decoded, DecodeRequest
from ptgflow.stages.base import StageContext, Work
from ptgflow.stages.decompose.passages import Passages
from ptgflow.stages.decompose.plan_text import parse_points
from ptgflow.stages.decompose.schema import SchemaSplit
from ptgflow.stages.decompose.skeleton import Skeleton
from ptgflow.stages.decompose.spec import PassagesOptions, SchemaOptions, SkeletonOptions

QUESTION = "How can I sleep better?"


@cache
def tiny() -> LoadedModel:
    return load_model(ModelCard(name="tiny", source="tiny", device="cpu"))


def context(*, budget: int = 2000, generation: Generation | None = None) -> StageContext:
    return StageContext(slot="split", model=tiny(), generation=generation or Generation(), budget=budget, seed=7)


def answer(text: str, *, cut: bool = False) -> Decoded:
    ids = tiny().codec.encode(text)
    return Decoded(
        token_ids=ids,
        text=text,
        scores=(0.0,) * len(ids),
        verdicts=("corrected",) * len(ids),
        rejected=(),
        finish_reason="length" if cut else "stop",
        rounds=1 + len(ids),
        passes=frozenset(range(1 + len(ids))),
        proposed=0,
        accepted=0,
        verify_rounds=len(ids),
    )


def drive(work: Work[Branches[Segment]], *answers: Decoded) -> tuple[Branches[Segment], list[DecodeRequest]]:
    """Run a method on answers that were written beforehand; it must ask for exactly these."""
    asked: list[DecodeRequest] = []
    replies = iter(answers)
    try:
        asked.append(next(work))
        while True:
            asked.append(work.send(next(replies)))
    except StopIteration as end:
        assert len(asked) == len(answers)
        return end.value, asked


def skeleton(
    plan: str,
    *,
    question: str = QUESTION,
    cut: bool = False,
    at: StageContext | None = None,
    max_points: int = 6,
    min_points: int = 2,
):
    at = at or context()
    method = Skeleton(SkeletonOptions(router=None, max_points=max_points, min_points=min_points))
    return drive(method.run(at.prompt((), question), at), answer(plan, cut=cut))


def prompts(family: Branches[Segment]) -> list[Prompt]:
    items = [item for item in family.items if isinstance(item, Prompt)]
    assert len(items) == len(family.items)
    return items


PLANS = {
    "good": (" Regular hours\n2. No screens\n3. A dark room", ("Regular hours", "No screens", "A dark room")),
    "duplicates": (" Tea\n2. Tea\n3. A walk\n4. tea", ("Tea", "A walk")),
    "nested": (" Habits\n   - hours\n   - food\n2. Room\n   - light", ("Habits", "Room")),
    "unicode": (" \u7761\u7720\n2. Caf\u00e9\n3. \U0001f319 Moon", ("\u7761\u7720", "Caf\u00e9", "\U0001f319 Moon")),
    "bold": (" **Hours**: keep them\n2. **Room**: dark", ("Hours", "Room")),
}


@pytest.mark.parametrize(("plan", "titles"), PLANS.values(), ids=PLANS)
def test_a_plan_becomes_one_sub_prompt_a_point(plan: str, titles: tuple[str, ...]):
    family, (asked,) = skeleton(plan)
    assert family.titles == titles
    assert family.how == f"{len(titles)} points"
    assert not asked.visible
    for number, (item, title) in enumerate(zip(prompts(family), titles, strict=True), 1):
        assert item.prefix == f"{number}. **{title}:**"
        assert tiny().codec.decode(item.token_ids).endswith(item.prefix)
        assert QUESTION in item.text
        assert all(other in item.text for other in titles)
    assert family.leads == tuple(("\n" if i else "") + item.prefix for i, item in enumerate(prompts(family)))


@pytest.mark.parametrize(("plan", "titles"), PLANS.values(), ids=PLANS)
def test_the_joined_answer_is_a_well_formed_list(plan: str, titles: tuple[str, ...]):
    family, _ = skeleton(plan)
    joined = family.join([" Some words about it."] * len(titles))
    assert parse_points(joined, max_points=20) == titles
    assert joined.splitlines() == [f"{i}. **{title}:** Some words about it." for i, title in enumerate(titles, 1)]


def test_twenty_points_are_cut_to_the_most_wanted():
    plan = "\n".join(f"{number}. topic{number}" for number in range(1, 21)).removeprefix("1.")
    family, (asked,) = skeleton(plan, max_points=4)
    assert family.titles == ("topic1", "topic2", "topic3", "topic4")
    assert asked.stop == ("\n5.",)


FALLBACKS = {
    "": "plain: the skeleton had no point",
    " ": "plain: the skeleton had no point",
    " I'm sorry, but I can't help with that.": "plain: the skeleton had only one point",
    " Sleep more": "plain: the skeleton had only one point",
}


@pytest.mark.parametrize(("plan", "how"), FALLBACKS.items())
def test_a_plan_that_is_none_takes_the_plain_path(plan: str, how: str):
    family, _ = skeleton(plan)
    (item,) = prompts(family)
    assert item == context().prompt((), QUESTION)
    assert (family.leads, family.how, family.stop, family.share) == (("",), how, (), ())


def test_the_least_number_of_points_is_an_option():
    plan = " Tea\n2. A walk"
    assert skeleton(plan, min_points=2)[0].how == "2 points"
    assert skeleton(plan, min_points=3)[0].how == "plain: the skeleton had only 2 points"
    assert skeleton(" Tea", min_points=1)[0].how == "1 point"


def test_a_cut_plan_loses_its_last_half_point():
    assert skeleton(" Tea\n2. A walk\n3. A dar", cut=True)[0].titles == ("Tea", "A walk")


def test_shares_and_leads_fit_the_budget():
    at = context(budget=400)
    family, _ = skeleton(" Tea\n2. A walk\n3. A dark room", at=at)
    spent = sum(len(tiny().codec.encode(lead)) for lead in family.leads)
    assert 400 - len(family.items) < spent + sum(family.share) <= 400
    narrow = context(budget=60)
    assert skeleton(" Tea\n2. A walk\n3. A dark room", at=narrow)[0].how.startswith(
        "plain: max_tokens leaves too little"
    )


def test_the_plan_is_greedy_at_zero_and_sampled_like_the_run_otherwise():
    _, (greedy,) = skeleton(" Tea\n2. A walk")
    assert greedy.sampling.temperature == 0
    warm = Generation(sampling=Sampling(temperature=0.8, top_p=0.9, repetition_penalty=1.5))
    _, (sampled,) = skeleton(" Tea\n2. A walk", at=context(generation=warm))
    assert sampled.sampling == warm.sampling
    assert sampled.seed == 7


def test_the_rules_keep_a_request_whole_without_a_model_pass():
    at = context()
    prompt = at.prompt((), "Write a short story about a lost key.")
    family, asked = drive(Skeleton(SkeletonOptions()).run(prompt, at))
    assert asked == []
    assert family.items == (prompt,)
    assert family.how.startswith("plain: the router saw")


@pytest.mark.parametrize(("reply", "plain"), [("No", True), ("Yes", False)])
def test_the_model_can_route(reply: str, plain: bool):
    at = context()
    method = Skeleton(SkeletonOptions(router="model"))
    plan = () if plain else (answer(" Tea\n2. A walk"),)
    family, asked = drive(method.run(at.prompt((), QUESTION), at), answer(reply), *plan)
    assert family.how.startswith("plain:") is plain
    assert not any(request.visible for request in asked)


def test_a_conversation_keeps_its_turns():
    at = context()
    turns = (
        Message(role="system", content="Be kind."),
        Message(role="user", content="I work at night."),
        Message(role="assistant", content="That is hard."),
        Message(role="user", content=QUESTION),
    )
    method = Skeleton(SkeletonOptions(router=None))
    family, (asked,) = drive(method.run(at.prompt(turns, QUESTION), at), answer(" Tea\n2. A walk"))
    for item in prompts(family):
        assert item.messages[:-1] == turns[:-1]
    seen = tiny().codec.decode(asked.prompt_ids)
    assert seen.index("Be kind.") < seen.index("Fresh food") < seen.index("at night") < seen.index(QUESTION)


def test_raw_text_needs_no_template():
    raw = context(generation=Generation(chat=False))
    family, (asked,) = skeleton(" Tea\n2. A walk", at=raw)
    assert all(item.messages == () for item in prompts(family))
    assert tiny().codec.decode(asked.prompt_ids).endswith("each point.\n\n1.")


@pytest.mark.parametrize("method", [Skeleton(SkeletonOptions()), SchemaSplit(SchemaOptions())])
def test_an_open_answer_is_not_split(method: Skeleton | SchemaSplit):
    at = context()
    family, _ = drive(method.run(at.prompt((), QUESTION, "First,"), at))
    assert family.how == "plain: the prompt opens its own answer, which can only be continued"


ARTICLE = "Lyon is a city in the east of France with half a million inhabitants, founded by the Romans."


def test_items_of_a_prompt_become_sub_prompts():
    at = context()
    prompt = at.prompt((), f"Extract City, Country and Founder from the following text:\n{ARTICLE}")
    family, asked = drive(SchemaSplit(SchemaOptions()).run(prompt, at))
    assert asked == []
    assert family.titles == ("City", "Country", "Founder")
    assert family.leads == ("City:", "\nCountry:", "\nFounder:")
    assert [item.prefix for item in prompts(family)] == ["City:", "Country:", "Founder:"]
    assert prompts(family)[1].text == f"Extract Country from the following text:\n{ARTICLE}"
    assert family.join([" Lyon", " France", " the Romans"]) == "City: Lyon\nCountry: France\nFounder: the Romans"


def test_counted_pieces_are_numbered_and_ask_differently():
    at = context()
    family, _ = drive(SchemaSplit(SchemaOptions()).run(at.prompt((), "Write 3 haiku about autumn."), at))
    assert family.leads == ("1. ", "\n2. ", "\n3. ")
    assert len({item.text for item in prompts(family)}) == 3
    assert all("Write one haiku about autumn." in item.text for item in prompts(family))


def test_a_prompt_without_items_stays_whole():
    at = context()
    family, _ = drive(SchemaSplit(SchemaOptions()).run(at.prompt((), QUESTION), at))
    assert family.how == "plain: the prompt does not list items of its own"


def test_passages_cost_no_pass():
    at = context()
    ids = tiny().codec.encode("One.\n\nTwo.")
    text = Text(token_ids=ids, tokenizer=tiny().codec.fingerprint, text="One.\n\nTwo.", origin=("given",) * len(ids))
    family, asked = drive(Passages(PassagesOptions()).run(text, at))
    assert (asked, family.how, family.titles) == ([], "2 passages", ("passage 1", "passage 2"))


def test_a_method_is_a_function_of_its_input():
    first, second = skeleton(" Tea\n2. A walk"), skeleton(" Tea\n2. A walk")
    assert first == second
    other = skeleton(" Tea\n2. A walk", at=replace(context(), seed=8))
    assert other[0] == first[0]
    assert other[1][0].seed == 8
