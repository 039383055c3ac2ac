"""Whole texts put right by rules: what is said twice goes, and lists and headings are set alike."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.engine.edit.changes import applied, undone
from ptgflow.engine.edit.consistency.editor import Consistency
from ptgflow.engine.edit.consistency.layout import layout
from ptgflow.engine.edit.consistency.lines import lines_of
from ptgflow.engine.edit.consistency.repeats import LEAST, repeats, sentences
from ptgflow.engine.edit.rules import EditAsk

SENTENCES = (
    "Plants clean the air of a room.",
    "Plants clean the air of the room.",
    "They need light and some water!",
    "Do not water them every day.",
    "Yes.",
)
ASIDES = st.sampled_from(
    ("- ", "* ", "1. ", "2. ", "7) ", "**Air:** ", "**Air**: ", "Air: ", "# Air", "**Air**", "```", "")
)
LINES = st.tuples(ASIDES, st.lists(st.sampled_from(SENTENCES), max_size=3).map(" ".join)).map("".join)
TEXTS = st.lists(LINES, max_size=8).map("\n".join) | st.text("#*-1.) :`Aa\n\r", max_size=30)


def settled(text, **options):
    """What an editor makes of a text in the end, and all that it did."""
    editor, trace = Consistency(**{"similar": 0.9, "layout": True, **options}), []
    seen = {text}
    while True:
        ask = EditAsk(row=0, text=text, token_ids=(), prompt_ids=(), round=len(trace))
        (revision,) = editor.revise([ask])
        if not revision.changes:
            return text, trace
        text = applied(text, revision.changes)
        trace.append(revision.changes)
        assert text not in seen, "no text comes back"
        seen.add(text)


@settings(deadline=None)
@given(TEXTS)
def test_every_text_settles_and_can_be_had_back(text):
    after, trace = settled(text)
    for changes in reversed(trace):
        after = undone(after, changes)
    assert after == text


@settings(deadline=None)
@given(TEXTS, st.sampled_from((0.8, 1.0)))
def test_what_is_left_is_said_once_and_nothing_said_is_lost(text, similar):
    after, _ = settled(text, similar=similar, layout=False)
    seen = set()
    for one in sentences(after):
        titled_alone = one.line.title and one.begin == one.line.body
        if len(one.words) >= LEAST and not titled_alone:
            assert one.words not in seen
        seen.add(one.words)
    before = {one.words for one in sentences(text)}
    if similar == 1.0:
        assert before - {()} == {one.words for one in sentences(after)} - {()}


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("1. **Air:** Plants clean the air. Fine.\n2. **Air too:** Plants clean the air. Good.", "**Air too:** Good."),
        ("Plants clean the air. And more.\n- Plants clean the air.\n- Fine.", "more.\n- Fine."),
        (
            "He said a thing once more. He said a thing once more. He said a thing once more.",
            "He said a thing once more.",
        ),
        ("1. **A:** Plants clean the air.\n2. **B:** Plants clean the air.", "2. **B:** Plants clean the air."),
        ("It is done so very well:\n- a\nIt is done so very well:\n- b", "well:\n- b"),
        ("```\nprint the same thing now\nprint the same thing now\n```", "now\nprint the same thing now\n```"),
    ],
)
def test_the_later_one_goes(text, after):
    found, _ = settled(text, layout=False)
    assert found.endswith(after)
    assert found.count("clean the air") <= max(after.count("clean the air"), 1) + ("**B:**" in text)


def test_how_alike_is_an_option():
    text = "The cat sat on the old mat today. The cat sat on the red mat today."
    assert settled(text, similar=0.8)[0] == "The cat sat on the old mat today."
    assert settled(text, similar=0.9)[0] == text
    assert settled(f"{text} {text}", similar=None)[0] == f"{text} {text}"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("1. a\n2. b\n4. c\n7. d", "1. a\n2. b\n3. c\n4. d"),
        ("1. a\n1. b\n1. c", "1. a\n2. b\n3. c"),
        ("1. a\n2) b\n3. c", "1. a\n2. b\n3. c"),
        ("3. a\n4. b\n6. c", "3. a\n4. b\n5. c"),
        ("1. **A:** a\n2. **B**: b\n3. **C:** c", "1. **A:** a\n2. **B:** b\n3. **C:** c"),
        ("1. A: a\n2. **B:** b\n3. C: c", "1. A: a\n2. B: b\n3. C: c"),
        ("## A\na\n**B**\nb\n## C\nc", "## A\na\n## B\nb\n## C\nc"),
        ("**A**\na\n**B**\nb\n# C\nc", "**A**\na\n**B**\nb\n**C**\nc"),
    ],
)
def test_lists_and_headings_are_set_as_most_are(text, after):
    assert settled(text)[0] == after
    assert settled(text, layout=False)[0] == text


@pytest.mark.parametrize(
    "text",
    [
        "1. a\n1. b\n2. c\n2. d",  # a list in an item, or two items with one number
        "# A\n1. a\n2. b\n# B\n1. c\n2. d",
        "```\n1. a\n3. b\n```",
        "  1. a\n  3. b",
        "3.5 is a number\n7.5 is one",
        "1. There are two ways to do it well today: a\n2. **B:** b",
        "# A\n## B",
        "",
    ],
)
def test_what_may_be_meant_stays(text):
    assert layout(text, "x") == ()


@given(TEXTS)
def test_lines_are_those_of_the_text(text):
    for one in lines_of(text):
        assert one.begin <= one.content <= one.body <= one.end <= one.stop
        assert "\n" not in text[one.begin : one.end]
        assert not text[one.end : one.stop].strip()
        if one.title:
            assert one.title in text[one.content : one.body]
        if one.item:
            assert re.match(r"\s*\d+[.)](\s|$)", text[one.begin : one.end])


def test_why_names_what_it_repeats():
    (change,) = repeats("Plants clean the air. Plants clean the air.", 1.0, "consistency")
    assert (change.by, change.old) == ("consistency", " Plants clean the air.")
    assert "'Plants clean the air.'" in change.why
