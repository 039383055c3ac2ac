"""The editor `grammar`: what comes out parses, what parsed stays, and what was changed can be undone."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow import Edit, load_recipe
from ptgflow.contracts import ModelCard, Prompt, Text
from ptgflow.contracts.settings import Generation, Sampling
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.edit.changes import undone
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import Decoded
from ptgflow.errors import RecipeError, RunError
from ptgflow.stages.base import StageContext
from ptgflow.stages.edit.rewriting_options import GrammarOptions

pytest.importorskip("llguidance")
jsonschema = pytest.importorskip("jsonschema")

from ptgflow.stages.edit.grammar import GrammarEdit  # noqa: E402

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
CODEC = MODEL.codec
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            "{",
            '"',
            '{"name": "Bob", "age": twelve}',
            "Sure: [1, 2",
            "日本語です。",
            "\U0001f600\u200d\U0001f525",
            "null",
        ]
    ),
)


def context(*, budget=96, temperature=0.0, model=MODEL):
    generation = Generation(sampling=Sampling(temperature=temperature), chat=False)
    return StageContext(slot="repair", model=model, generation=generation, budget=budget, seed=7)


def value(text, prompt="Write one."):
    asked = Prompt(token_ids=CODEC.encode(prompt), tokenizer=CODEC.fingerprint, text=prompt) if prompt else None
    ids = CODEC.encode(text)
    return Text(token_ids=ids, tokenizer=CODEC.fingerprint, text=text, origin=("write",) * len(ids), prompt=asked)


def edited(options, texts, *, max_rows=4, **changed):
    """Run the stage on several texts in one loop; what each became, or its error, and where it told of it."""
    method = GrammarEdit(options)
    loop = DecodeLoop(MODEL, max_rows=max_rows)
    wheres = [context(**changed) for _ in texts]
    works = [method.run(value(text), where) for text, where in zip(texts, wheres, strict=True)]
    ended, waiting = {}, {}

    def advance(at, answer):
        try:
            request = works[at].send(answer)
            assert not request.visible
            assert request.prompt_ids[: len(CODEC.encode("Write one."))] == CODEC.encode("Write one.")
            waiting[loop.admit(request)] = at
        except StopIteration as end:
            ended[at] = end.value
        except RunError as error:
            ended[at] = error

    for at in range(len(texts)):
        advance(at, None)
    while not loop.idle:
        for row, answer in loop.round().finished.items():
            advance(waiting.pop(row), answer)
    return [(ended[at], wheres[at].report) for at in range(len(texts))]


def check(text, found, report, fits):
    """The laws that hold for every text."""
    assert fits(found.text)
    assert CODEC.decode(found.token_ids) == found.text
    assert "\ufffd" not in found.text or "\ufffd" in text
    assert len(found.token_ids) == len(found.origin) == len(found.scores)
    assert all(score <= 0.0 for score in found.scores)
    back = found.text
    for changes in reversed(report.edits):
        assert all(change.why and change.by == "grammar" for change in changes)
        back = undone(back, changes)
    assert back == text
    assert found.prompt is not None
    assert found.prompt.text == "Write one."


SCHEMAS = st.recursive(
    st.one_of(
        st.sampled_from([{"type": "null"}, {"type": "boolean"}, {"type": "integer", "minimum": -5, "maximum": 120}]),
        st.integers(0, 4).map(lambda most: {"type": "string", "maxLength": most}),
        st.lists(st.sampled_from(["a", "b c", "é", 3, None]), min_size=1, max_size=3).map(lambda some: {"enum": some}),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.integers(0, 2)).map(lambda of: {"type": "array", "items": of[0], "maxItems": of[1]}),
        st.dictionaries(st.sampled_from(["a", "b", "name"]), inner, min_size=1, max_size=2).map(
            lambda of: {"type": "object", "properties": of, "required": list(of), "additionalProperties": False}
        ),
        st.lists(inner, min_size=1, max_size=2).map(lambda some: {"anyOf": some}),
    ),
    max_leaves=3,
)


@settings(max_examples=15, deadline=None)
@given(SCHEMAS, st.lists(TEXTS, min_size=1, max_size=3), st.sampled_from([0.0, 1.5]))
def test_every_text_becomes_one_that_the_schema_allows(schema, texts, temperature):
    options = GrammarOptions(json_schema=json.dumps(schema))
    validator = jsonschema.Draft202012Validator(schema)

    def fits(text):
        return validator.is_valid(json.loads(text))

    for text, (found, report) in zip(texts, edited(options, texts, temperature=temperature, budget=256), strict=True):
        check(text, found, report, fits)
        ((again, untouched),) = edited(options, [found.text], temperature=temperature)
        assert again.text == found.text
        assert untouched.edits == []


EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "é", "[0-9]", "[a-z ]", r"\."]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["?", "{2}", "{1,3}"])).map(lambda pair: f"({pair[0]}){pair[1]}"),
    ),
    max_leaves=5,
)


@settings(max_examples=25, deadline=None)
@given(EXPRESSIONS, st.lists(TEXTS | st.text("aé0. ", max_size=8), min_size=1, max_size=3))
def test_every_text_becomes_one_that_matches_alone_and_beside_others(expression, texts):
    options = GrammarOptions(regex=expression)
    together = edited(options, texts)
    for text, (found, report) in zip(texts, together, strict=True):
        check(text, found, report, lambda one: re.fullmatch(expression, one))
        ((alone, told),) = edited(options, [text], max_rows=1)
        assert (alone.text, alone.token_ids, alone.scores) == (found.text, found.token_ids, found.scores)
        assert told == report
        if re.fullmatch(expression, text):
            assert found.text == text


@pytest.mark.parametrize(
    ("text", "kept", "why"),
    [
        ('{"name": "Bob", "age": 12}', '{"name": "Bob", "age": 12}', None),
        ('{"age": 12, "name": "Bob"}', '{"age": 12, "name": "Bob"}', None),
        ('Sure! Here:\n{"name": "Bob", "age": 12}\nBye.', '{"name": "Bob", "age": 12}', "nothing more at character 38"),
        ('Sure!\n{"name": "Bob", "age": twelve}', '{"name": "Bob", "age": ', "character 29: 'twelve}'"),
        ('{"name": "Bob", "ag', '{"name": "Bob", "ag', "the text ends at character 19"),
        ("None of it.", "", "character 0"),
    ],
)
def test_what_may_stand_stays(text, kept, why):
    ((found, report),) = edited(GrammarOptions(json_schema=json.dumps(PERSON)), [text])
    assert found.text.startswith(kept)
    reasons = [change.why for changes in report.edits for change in changes]
    assert (reasons == []) if why is None else why in reasons[-1]
    check(text, found, report, lambda one: jsonschema.Draft202012Validator(PERSON).is_valid(json.loads(one)))


def answer(text):
    ids = CODEC.encode(text)
    return Decoded(
        token_ids=ids, text=text, scores=(-1.0,) * len(ids), verdicts=(), rejected=(), finish_reason="length", rounds=1,
        passes=frozenset({1}), proposed=0, accepted=0, verify_rounds=0,
    )  # fmt: skip


LIST = GrammarOptions(regex=r"\[([a-z], )*[a-z]\]", backtracks=3)


def test_a_text_goes_back_by_more_and_more_symbols_and_at_last_to_its_beginning():
    where = context()
    work = GrammarEdit(LIST).run(value("[a, b, c, d?"), where)
    kept, request = [], next(work)
    prompt = CODEC.encode("Write one.")
    for _ in range(3):
        kept.append(CODEC.decode(request.prompt_ids[len(prompt) :]))
        request = work.send(answer("x, x"))
    kept.append(CODEC.decode(request.prompt_ids[len(prompt) :]))
    with pytest.raises(RunError) as caught:
        work.send(answer("x, x"))
    assert kept[0].rstrip() == "[a, b, c, d"
    assert [one.rstrip() for one in kept[1:]] == ["[a, b, c,", "[a, b,", ""]
    assert caught.value.codes == ("PTG672",)
    assert "from 4 places" in str(caught.value)
    assert "max_tokens=192" in str(caught.value)
    assert where.report.edits == []


def test_what_was_written_anew_is_told_with_where_it_begins():
    where = context()
    work = GrammarEdit(LIST).run(value("[a, b, c, d?"), where)
    next(work)
    work.send(answer(", x"))
    with pytest.raises(StopIteration) as end:
        work.send(answer("e] and more"))
    check("[a, b, c, d?", end.value.value, where.report, lambda text: text == "[a, b, c, e]")
    ((change,),) = where.report.edits
    assert (change.begin, change.old, change.new) == (10, "d?", "e]")
    assert change.why == "not allowed by the grammar at character 11: '?'; written anew from character 10"


def test_where_a_grammar_needs_more_than_there_is_room_for_there_is_no_text():
    for backtracks, places in ((2, "from 2 places"), (0, "from one place")):
        ((stuck, report),) = edited(GrammarOptions(regex="abc{400}", backtracks=backtracks), ["abcc?"], budget=20)
        assert isinstance(stuck, RunError)
        assert places in str(stuck)
        assert report.edits == []


def test_a_text_that_the_token_limit_cuts_ends_at_its_last_complete_point():
    ((found, _),) = edited(GrammarOptions(regex="(ab)+"), ["abax"], budget=7)
    assert re.fullmatch("(ab){2,}", found.text)


def test_a_text_longer_than_the_context_is_gone_on_with():
    short = load_model(ModelCard(name="tiny", source="tiny", context_length=96, device="cpu", dtype="float32"))
    text = json.dumps({"a": "word " * 2500})[:-2]
    work = GrammarEdit(GrammarOptions(json_schema='{"type": "object"}')).run(value(text), context(model=short))
    request = next(work)
    assert len(request.prompt_ids) < 96
    assert len(CODEC.encode(text)) > 5000


def test_a_text_without_a_prompt():
    work = GrammarEdit(GrammarOptions(regex="[a-z]{3}")).run(value("ab!", prompt=""), context())
    assert next(work).prompt_ids[0] == CODEC.start_id


def test_a_recipe_has_one_grammar(tmp_path):
    base = ["stage@stages.repair=edit/grammar", "model=tiny"]
    for more in ([], ["stages.repair.regex=a", "stages.repair.json_schema=x.json"]):
        with pytest.raises(RecipeError) as caught:
            load_recipe("edit", [*base, *more])
        assert caught.value.codes == ("PTG406",)
    file = tmp_path / "person.json"
    file.write_text(json.dumps(PERSON))
    schema = "{type: object, properties: {a: {const: 1}}, required: [a], additionalProperties: false}"
    inline = f"stages.repair.json_schema={schema}"
    assert json.loads(load_recipe("edit", [*base, inline]).run(text="x").text) == {"a": 1}
    found = load_recipe("edit", [*base, f"stages.repair.json_schema={file}"]).run(text='{"name": "Bo", "age": 7}.')
    assert found.text == '{"name": "Bo", "age": 7}'


def test_a_flow_in_python_takes_a_mapping():
    flow = Edit("grammar", json_schema=PERSON)
    assert flow == Edit("grammar", json_schema=json.dumps(PERSON))


def test_what_cannot_be_kept_is_told_before_any_weight_is_loaded(monkeypatch):
    plan = load_recipe(
        "edit", ["stage@stages.repair=edit/grammar", "model=tiny", "stages.repair.json_schema=none.json"]
    )
    monkeypatch.setattr("ptgflow.executors.local.load_model", None)
    with pytest.raises(RunError, match="PTG671.*none.json"):
        plan.run(text="a")


def test_what_was_done_is_in_the_record_and_shown():
    plan = load_recipe("edit", ["stage@stages.repair=edit/grammar", "model=tiny", "stages.repair.regex='[a-z]{4}'"])
    events = list(plan.stream(text="abc!"))
    result = events[-1]
    assert "".join(one.text for one in events[:-1] if one.kind == "text" and one.final) == result.text
    assert result.metrics.first_text_s is not None
    (change,) = result.record()["segments"][0]["stages"][0]["edits"][0]
    assert (change["begin"], change["old"], change["by"]) == (3, "!", "grammar")
    assert set(result.origin) <= {"input", "repair"}
