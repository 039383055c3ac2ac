"""Reading a text under a grammar, and ruling out tokens: against languages that are small enough to be listed."""

import json
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.engine.models.model import load_model
from ptgflow.errors import RunError

pytest.importorskip("llguidance")

from ptgflow.engine.grammar.beginnings import beginnings
from ptgflow.engine.grammar.grammar import Grammar
from ptgflow.engine.grammar.token_mask import TokenMask, begun, tokenizer_of

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
LETTERS = "aé"


def joined(one, other):
    return frozenset(left + right for left in one for right in other)


EXPRESSIONS = st.recursive(
    st.sampled_from(LETTERS).map(lambda letter: (letter, frozenset({letter}))),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: (pair[0][0] + pair[1][0], joined(pair[0][1], pair[1][1]))),
        st.tuples(inner, inner).map(lambda pair: (f"({pair[0][0]}|{pair[1][0]})", pair[0][1] | pair[1][1])),
        inner.map(lambda one: (f"({one[0]})?", one[1] | {""})),
        inner.map(lambda one: (f"({one[0]}){{2}}", joined(one[1], one[1]))),
        inner.map(lambda one: (f"({one[0]}){{1,2}}", one[1] | joined(one[1], one[1]))),
    ),
    max_leaves=4,
)
"""An expression, and all that it matches."""


@settings(max_examples=40, deadline=None)
@given(EXPRESSIONS, st.text(LETTERS + "x", max_size=4))
def test_what_is_read_is_what_the_grammar_allows(given_one, text):
    expression, allowed = given_one
    assert all(re.fullmatch(expression, one) for one in allowed)
    grammar = Grammar("regex", expression)
    beginning = {one[:end] for one in allowed for end in range(len(one) + 1)}
    assert grammar.satisfied(text) == (text in allowed)
    ends = [end for end in range(len(text) + 1) if text[:end] in allowed]
    assert grammar.last_complete(text) == max(ends, default=None)
    found = grammar.longest(text)
    kept = text[found.begin : found.end]
    assert kept in beginning
    if len(found):
        assert found.complete == (kept in allowed)
        assert found.end == len(text) or text[found.begin : found.end + 1] not in beginning
    # Stretches are looked for one behind the other, so none is longer from the first place where one begins.
    first = next((at for at, one in enumerate(text) if one in beginning), 0)
    assert len(found) >= max(end - first for end in range(first, len(text) + 1) if text[first:end] in beginning)


def written(mask, limit):
    """All texts that a model may write under a mask, by trying every token."""
    found, waiting = set(), [()]
    while waiting:
        ids = waiting.pop()
        may = mask.allowed(ids).nonzero()[:, 0].tolist()
        ends = [one for one in may if one in MODEL.codec.eos_ids]
        assert set(ends) in (set(), set(MODEL.codec.eos_ids))
        if ends:
            found.add(MODEL.codec.decode(ids))
        if len(ids) < limit:
            waiting += [(*ids, one) for one in may if one not in ends]
    return found


@settings(max_examples=15, deadline=None)
@given(EXPRESSIONS)
def test_a_mask_lets_through_the_language_and_nothing_else(given_one):
    expression, allowed = given_one
    assume(all(len(one) < 5 for one in allowed))
    matcher, taken = begun(Grammar("regex", expression), MODEL, ())
    assert taken == 0
    assert written(TokenMask(matcher, MODEL), 9) == allowed


def test_a_mask_goes_on_behind_what_is_kept_and_is_a_function_of_what_is_written():
    kept = MODEL.codec.encode("ab")
    matcher, taken = begun(Grammar("regex", "abc(d|e)f?"), MODEL, kept)
    assert taken == len(kept)
    mask = TokenMask(matcher, MODEL)
    first = mask.allowed(())
    there = mask.allowed(MODEL.codec.encode("cd"))
    assert not first.equal(there)
    assert mask.allowed(()).equal(first)
    assert mask.allowed(MODEL.codec.encode("cd")).equal(there)
    assert written(mask, 6) == {"cd", "cdf", "ce", "cef"}


def test_where_nothing_may_come_a_row_ends():
    matcher, _ = begun(Grammar("regex", "a"), MODEL, ())
    mask = TokenMask(matcher, MODEL)
    assert set(mask.allowed(MODEL.codec.encode("zz")).nonzero()[:, 0].tolist()) == MODEL.codec.eos_ids


def test_special_tokens_are_no_text():
    matcher, _ = begun(Grammar("regex", r"[\s\S]*"), MODEL, ())
    may = set(TokenMask(matcher, MODEL).allowed(()).nonzero()[:, 0].tolist())
    special = set(MODEL.codec.tokenizer.all_special_ids)
    assert may & special == MODEL.codec.eos_ids & special
    assert len(may) > 100


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=24), st.data(), st.integers(0, 6))
def test_beginnings_are_whole_tokens_of_a_valid_part_that_shrinks(text, data, backtracks):
    valid = data.draw(st.integers(0, len(text)))
    found = beginnings(text, valid, MODEL, backtracks=backtracks)
    for one in found:
        assert MODEL.codec.decode(one.token_ids) == text[: one.length]
        assert one.length <= valid
    lengths = [one.length for one in found]
    assert lengths == sorted(set(lengths), reverse=True)
    assert len(found) <= backtracks + 1
    assert not backtracks or found[-1].length == 0
    # The first is the longest that there is.
    assert not any(
        text.startswith(MODEL.codec.decode(ids)) and lengths[0] < len(MODEL.codec.decode(ids)) <= valid
        for end in range(len(MODEL.codec.encode(text)) + 1)
        if (ids := MODEL.codec.encode(text)[:end])
    )


@pytest.mark.parametrize(
    ("kind", "source", "said"),
    [
        ("regex", "(", "unclosed group"),
        ("regex", "(?=a)b", "look-around"),
        ("regex", r"(a)\1", "backreferences"),
        ("regex", r"[^\s\S]", "no text that it allows"),
        ("regex", r"a[^\s\S]", "no text that it allows"),
        ("schema", "{", "not JSON"),
        ("schema", "[]", "a mapping"),
        ("schema", '{"type": "strin"}', "strin"),
        ("schema", '{"enum": []}', "Unsatisfiable"),
        ("schema", '{"type": "integer", "minimum": 5, "maximum": 3}', "Unsatisfiable"),
        ("schema", '{"type": "array", "uniqueItems": true}', "uniqueItems"),
        ("schema", '{"$ref": "#/$defs/none"}', "none"),
        ("schema", '{"$ref": "https://example.org/schema.json"}', "example.org"),
        ("schema", '{"type": "string", "pattern": "("}', "unclosed"),
    ],
)
def test_what_cannot_be_kept_is_told(kind, source, said):
    with pytest.raises(RunError) as caught:
        Grammar(kind, source)
    assert caught.value.codes == ("PTG671",)
    assert said in str(caught.value)
    assert "help: mend the" in str(caught.value)


def test_a_schema_does_not_mind_the_order_of_keys_and_white_space():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]}
    grammar = Grammar("schema", json.dumps(schema))
    for text in ('{"a": 1, "b": "x"}', '{"b":"x","a":1}', '{\n  "a" : 1\n}\n'):
        assert grammar.satisfied(text)
    for text in ('{"b": "x"}', '{"a": NaN}', '{"a": 1', "", '{"a": "1"}', "[" * 100_000):
        assert not grammar.satisfied(text)


def test_formats_are_kept_although_the_validator_does_not_know_them():
    grammar = Grammar("schema", '{"type": "string", "format": "date"}')
    assert grammar.satisfied('"2024-02-03"')
    assert not grammar.satisfied('"tomorrow"')


def test_the_tokenizer_is_read_once():
    assert tokenizer_of(MODEL) is tokenizer_of(MODEL)


def test_a_long_text_is_read_in_little_time():
    grammar = Grammar("schema", '{"type": "object"}')
    text = json.dumps({"a": ["x" * 50] * 400, "b": "é" * 2000})
    assert grammar.satisfied(text)
    found = grammar.longest("words " * 3000 + text[:-1])
    assert (found.begin, found.end, found.complete) == (18000, 18000 + len(text) - 1, False)
