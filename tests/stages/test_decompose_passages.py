from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import Draft, Prompt, Segment, Text, Verified
from ptgflow.contracts.kinds import Verdict
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.models.tiny import tiny_tokenizer
from ptgflow.stages.decompose.cuts import passage_bounds, token_offsets
from ptgflow.stages.decompose.passages import split_text

CODEC = Codec(tiny_tokenizer(), model="tiny")
PROMPT = Prompt(token_ids=(1, 2), tokenizer=CODEC.fingerprint, text="Why?", prefix="Because")

pieces = st.sampled_from(
    [". ", "!", "\n\n", "\n", " ", "Dr.", "the ", "Word", "\u3002", "\u8cc7", "\U0001f600", "e\u0301", " and"]
)
texts = st.one_of(st.text(), st.lists(pieces, max_size=60).map("".join))


def text_of(text: str, prompt: Prompt | None = None) -> Text:
    ids = CODEC.encode(text)
    origin = tuple(f"s{index % 3}" for index in range(len(ids)))
    return Text(
        token_ids=ids, tokenizer=CODEC.fingerprint, text=text, origin=origin, prompt=prompt, finish_reason="length"
    )


def cut(text: Text, limit: int) -> tuple[tuple[Text, ...], str]:
    family = split_text(text, CODEC.decode, limit)
    items = tuple(item for item in family.items if isinstance(item, Text))
    assert len(items) == len(family.items)
    return items, family.join([item.text for item in items])


@settings(max_examples=60, deadline=None)
@given(texts, st.integers(4, 40))
def test_joining_unchanged_passages_gives_the_text_back(text: str, limit: int):
    whole = text_of(text, PROMPT)
    items, joined = cut(whole, limit)
    assert joined == text
    assert sum((item.token_ids for item in items), ()) == whole.token_ids
    assert sum((item.origin for item in items), ()) == whole.origin
    assert all(CODEC.decode(item.token_ids) == item.text for item in items)
    assert all(len(item.token_ids) <= limit for item in items)
    assert [item.finish_reason for item in items] == ["split"] * (len(items) - 1) + ["length"]


@settings(max_examples=60, deadline=None)
@given(texts, st.integers(4, 40))
def test_every_passage_sees_what_stands_left_of_it(text: str, limit: int):
    whole = text_of(text, PROMPT)
    items, _ = cut(whole, limit)
    before: tuple[int, ...] = ()
    for item in items:
        assert item.prompt is not None
        assert item.prompt.token_ids == PROMPT.token_ids + before
        assert item.prompt.prefix == PROMPT.prefix + CODEC.decode(before)
        before += item.token_ids


def test_without_a_prompt_the_passages_have_none():
    items, _ = cut(text_of("One.\n\nTwo.\n\nThree."), 40)
    assert [(item.text, item.prompt) for item in items] == [("One.\n\n", None), ("Two.\n\n", None), ("Three.", None)]


def test_long_paragraphs_are_cut_after_sentences_and_long_sentences_between_words():
    items, _ = cut(text_of("Aa bb. Cc dd. Ee ff.\n\nShort."), 15)
    assert [item.text for item in items] == ["Aa bb. Cc dd. ", "Ee ff.\n\n", "Short."]
    items, _ = cut(text_of("abcde fghij klmno"), 8)
    assert [item.text for item in items] == ["abcde ", "fghij ", "klmno"]


def test_a_short_text_is_one_passage_and_says_so():
    text = text_of("One sentence. Another.")
    family = split_text(text, CODEC.decode, 128)
    assert family.items == (text,)
    assert family.how == "plain: the text is a single passage"


def test_scores_and_verdicts_go_with_their_tokens():
    text = text_of("One.\n\nTwo.\n\nThree.")
    count = len(text.token_ids)
    scores = tuple(-float(index) for index in range(count))
    shared = {"token_ids": text.token_ids, "tokenizer": text.tokenizer, "text": text.text, "origin": text.origin}
    verdicts: tuple[Verdict, ...] = tuple("accepted" if index % 2 else "corrected" for index in range(count))
    cases: list[Draft] = [
        Draft(**shared, scores=scores),
        Verified(**shared, scores=scores, verdicts=verdicts, rejected=(7, 8)),
    ]
    for whole in cases:
        items: Sequence[Segment] = split_text(whole, CODEC.decode, 40).items
        drafts = [item for item in items if isinstance(item, Draft)]
        assert [type(item) for item in items] == [type(whole)] * 3
        assert sum((item.scores for item in drafts), ()) == scores
        judged = [item for item in items if isinstance(item, Verified)]
        if judged:
            assert sum((item.verdicts for item in judged), ()) == verdicts
            assert [item.rejected for item in judged] == [(7, 8), (), ()]


def test_a_tokenizer_that_drops_the_first_space_loses_nothing():
    words = [" One", " two.", " Three", " four."]
    text = "One two. Three four."

    def decode(ids: Sequence[int]) -> str:
        return "".join(words[index] for index in ids).removeprefix(" ")

    whole = Text(token_ids=(0, 1, 2, 3), tokenizer="x", text=text, origin=("s",) * 4)
    family = split_text(whole, decode, 2)
    assert family.leads == ("", " ")
    assert family.join([item.text for item in family.items if isinstance(item, Text)]) == text


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_character_is_never_cut(limit: int):
    text = "\U0001f600\U0001f601"
    ids = CODEC.encode(text)
    offsets = token_offsets(ids, text, CODEC.decode)
    bounds = passage_bounds(text, offsets, limit)
    assert [CODEC.decode(ids[start:end]) for start, end in pairwise(bounds)] == list(text)


def test_offsets_of_a_long_text_are_those_of_its_prefixes():
    text = "The cat and the dog. " * 40 + "\u8cc7\u6e90" * 30
    ids = CODEC.encode(text)
    offsets = token_offsets(ids, text, CODEC.decode)
    for index in range(0, len(ids), 7):
        prefix = CODEC.decode(ids[:index])
        assert offsets[index] == (None if prefix.endswith("\ufffd") else len(prefix))
