import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptgflow.stages.decompose.plan_text import MAX_TITLE_WORDS, clean_title, parse_points, render_points

FRUIT = ("Apples", "Pears", "Plums")
LISTS = {
    "dots": "1. Apples\n2. Pears\n3. Plums",
    "no space": "1.Apples\n2.Pears\n3.Plums",
    "brackets": "1) Apples\n2) Pears\n3) Plums",
    "both brackets": "(1) Apples\n(2) Pears\n(3) Plums",
    "dashes": "- Apples\n- Pears\n- Plums",
    "stars": "* Apples\n* Pears\n* Plums",
    "bullets": "\u2022 Apples\n\u2022 Pears\n\u2022 Plums",
    "bold": "1. **Apples**\n2. **Pears**\n3. **Plums**",
    "bold with number": "**1. Apples**: red\n**2. Pears**: green\n**3. Plums**: blue",
    "bold headings": "**Apples**\nThey are red.\n\n**Pears**\nThey are green.\n\n**Plums**",
    "bold colon inside": "**Apples:** red\n**Pears:** green\n**Plums:** blue",
    "markdown headings": "## 1. Apples\n## 2. Pears\n## 3. Plums",
    "explained": "1. Apples: they are red\n2. Pears - they are green\n3. Plums. They are blue.",
    "one line": "1. Apples 2. Pears 3. Plums",
    "one line with stops": "1. Apples. They are red. 2. Pears. 3. Plums.",
    "preamble": "Sure! Here is the outline:\n\n1. Apples\n2. Pears\n3. Plums\n\nI hope this helps.",
    "blank lines": "1. Apples\n\n2. Pears\n\n3. Plums",
    "stray space": "1. Apples\n 2. Pears\n 3. Plums",
    "always one": "1. Apples\n1. Pears\n1. Plums",
    "doubled number": "1. 1. Apples\n2. 2. Pears\n3. 3. Plums",
    "words before number": "Point 1: Apples\nPoint 2: Pears\nPoint 3: Plums",
    "nested dashes": "1. Apples\n   - red\n   - sweet\n2. Pears\n   - green\n3. Plums",
    "flat dashes under numbers": "1. Apples\n- red\n- sweet\n2. Pears\n- green\n3. Plums",
    "nested numbers": "- Apples\n  1. red\n  2. sweet\n- Pears\n- Plums",
    "bold over bullets": "**Apples**\n- red\n**Pears**\n- green\n**Plums**\n- blue",
    "single parent": "1. Fruit:\n   - Apples\n   - Pears\n   - Plums",
    "written twice": "1. Apples\n2. Pears\n3. Plums\n\nHere it is again:\n1. Cherries\n2. Figs",
    "same words": "1. Apples\n2. Pears\n3. The apples\n4. Plums\n5. Pears!",
    "contained words": "1. Apples\n2. Pears\n3. Pears like those at home\n4. Plums",
    "windows lines": "1. Apples\r\n2. Pears\r\n3. Plums\r\n",
    "empty points": "1. Apples\n2.\n3. Pears\n4. ***\n5. Plums",
}


@pytest.mark.parametrize("text", LISTS.values(), ids=LISTS)
def test_every_common_form_of_list_is_read(text: str):
    assert parse_points(text, max_points=6) == FRUIT


@pytest.mark.parametrize(
    "text", ["", "\n\n", "I'm sorry, but I can't help with that.", "Apples and pears.", "2 apples", "-", "1.5 kg"]
)
def test_a_text_without_list_has_no_points(text: str):
    assert parse_points(text, max_points=6) == ()


def test_a_paragraph_is_no_heading():
    long = " ".join(["word", *"abcdefghijklmnop"])
    assert len(long.split()) > MAX_TITLE_WORDS
    assert parse_points(f"1. {long}\n2. Pears", max_points=6) == ("Pears",)


def test_no_more_points_than_wanted():
    words = [
        "ant",
        "bee",
        "cat",
        "dog",
        "elk",
        "fox",
        "gnu",
        "hen",
        "ibis",
        "jay",
        "kea",
        "lark",
        "mole",
        "newt",
        "owl",
        "pig",
        "quail",
        "rat",
        "swan",
        "tit",
    ]
    text = "\n".join(f"{i}. {word}" for i, word in enumerate(words, 1))
    assert parse_points(text, max_points=6) == tuple(words[:6])


def test_a_point_that_was_cut_off_is_dropped_unless_its_heading_is_whole():
    assert parse_points("1. Apples\n2. Pea", max_points=6, complete=False) == ("Apples",)
    assert parse_points("1. Apples\n2. Pears: they are gre", max_points=6, complete=False) == ("Apples", "Pears")
    assert parse_points("1. Apples\n2. Pears\n", max_points=6, complete=False) == ("Apples", "Pears")
    assert parse_points("1. Apples\n2. Pea", max_points=6, complete=True) == ("Apples", "Pea")


def test_other_scripts_are_read():
    assert parse_points("1. \u8cc7\u6e90\uff1a\u6c34\n2. \u00c9nergie\n3. \u0420\u0435\u043a\u0430", max_points=6) == (
        "\u8cc7\u6e90",
        "\u00c9nergie",
        "\u0420\u0435\u043a\u0430",
    )


def test_versus_and_initials_end_no_heading():
    assert clean_title("Rent vs. buy. Both cost money.") == "Rent vs. buy"


pieces = st.sampled_from(
    [
        "1.",
        "2.",
        "3)",
        "(4)",
        "-",
        "*",
        "**",
        "\u2022",
        "\n",
        "\n\n",
        " ",
        "    ",
        "\t",
        ":",
        ". ",
        "Title",
        "word",
        "#",
        "1. 2. ",
        "Point 3:",
        "\u2028",
        "\u8cc7\u6e90",
        "vs.",
        "_",
        "`",
        "1.5",
        "?",
        "\r",
        "'",
        '"',
        ",",
        "a",
        "The",
    ]
)
texts = st.one_of(st.text(), st.lists(pieces, max_size=40).map("".join))


@given(texts, st.integers(1, 8), st.booleans())
def test_titles_are_unique_and_readable_whatever_the_text(text: str, most: int, complete: bool):
    titles = parse_points(text, max_points=most, complete=complete)
    assert len(titles) <= most
    assert len({title.casefold() for title in titles}) == len(titles)
    for title in titles:
        assert title == title.strip()
        assert any(character.isalnum() for character in title)
        assert len(title.splitlines()) == 1


@given(texts, st.integers(1, 8))
def test_rendering_and_reading_again_changes_nothing(text: str, most: int):
    titles = parse_points(text, max_points=most)
    assert parse_points(render_points(titles), max_points=most) == titles
    assert all(clean_title(title) == title for title in titles)
