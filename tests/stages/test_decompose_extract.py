import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptgflow.stages.decompose.extract import Schema, extract
from ptgflow.stages.decompose.listing import split_enumeration

ARTICLE = "Lyon is a city in the east of France with half a million inhabitants, founded by the Romans in 43 BC."


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("A, B, C", ("A", "B", "C")),
        ("A, B and C", ("A", "B", "C")),
        ("A, B, and C", ("A", "B", "C")),
        ("A and B", ("A", "B")),
        ("Name, Size (width, height) and Price", ("Name", "Size (width, height)", "Price")),
        ("Name, Research and Development, and Price", ("Name", "Research and Development", "Price")),
        ("A; B; C.", ("A", "B", "C")),
        ("A", ("A",)),
        ("", ()),
    ],
)
def test_enumerations(text: str, items: tuple[str, ...]):
    assert split_enumeration(text) == items


@pytest.mark.parametrize(
    "between",
    [
        "from the following text:\n\n",
        "from the following text: ",
        "From the following news article:\n",
        "from the following text, if you cannot find the answer say N/A.\n\nThe text is:\n",
        "from the following text. If you cannot find the answer, say N/A. The text is:\n",
        "from the following text:\n\nContext:\n",
    ],
)
def test_extraction_from_a_text(between: str):
    schema = extract(f"Extract City, Country and Year {between}{ARTICLE}")
    assert schema is not None
    assert schema.data == ("City", "Country", "Year")
    assert schema.context == ARTICLE
    assert schema.fill("City") == f"Extract City {between}{ARTICLE}"


@pytest.mark.parametrize("marker", ["{}. ", "{}) ", "({}) ", "- ", "* "])
def test_an_instruction_for_each_line(marker: str):
    lines = "\n".join(marker.format(i) + text for i, text in enumerate(("Good day.", "I like tea."), 1))
    schema = extract(f"Translate each of the following sentences into French:\n{lines}")
    assert schema is not None
    assert schema.data == ("Good day.", "I like tea.")
    assert schema.fill(schema.data[1]) == "Translate the following sentence into French:\n\nI like tea."


def test_numbered_questions_keep_their_passage():
    schema = extract(f"{ARTICLE}\n\nAnswer the following questions:\n1. Where is Lyon?\n2. Who founded it?")
    assert schema is not None
    assert schema.data == ("Where is Lyon?", "Who founded it?")
    assert schema.context == ARTICLE
    assert schema.fill(schema.data[0]) == f"Answer the following question:\n\nWhere is Lyon?\n\n{ARTICLE}"


def test_bare_questions_about_one_passage():
    passage = " ".join([ARTICLE, ARTICLE])
    schema = extract(f"{passage}\n\nWhere is Lyon?\nWho founded it?")
    assert schema is not None
    assert schema.data == ("Where is Lyon?", "Who founded it?")
    assert schema.context == passage


@pytest.mark.parametrize(
    ("prompt", "count", "one"),
    [
        ("Write 5 haiku about autumn.", 5, "Write one haiku about autumn."),
        ("Please suggest ten short names for a dog", 10, "Please suggest one short name for a dog"),
        ("Can you come up with 3 stories?", 3, "Can you come up with one story?"),
        ("Generate a dozen taglines.", 12, "Generate one tagline."),
    ],
)
def test_counts(prompt: str, count: int, one: str):
    schema = extract(prompt)
    assert schema is not None
    assert (schema.count, schema.data) == (count, ())
    assert schema.fill("one") == one


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "What is the capital of France?",
        "Write 500 words about cats.",
        "Write 3 paragraphs about cats.",
        "Give me 5 steps to bake bread.",
        "Write 1 poems.",
        "Write 3 poems and then choose the best.",
        "Rank the following cities:\n1. Rome\n2. Paris",
        "Write a story using the following words:\n- cat\n- hat",
        "Compare the following products:\n1. tea\n2. coffee",
        "Follow these rules:\n1. Be nice.\n2. Be brief.",
        "What do you think of my plan?\n1. Wake up\n2. Run",
        "Translate each of the following sentences:\n1. Only one.",
        "Extract City from the following text: " + ARTICLE,
        "Extract City, Country from the following text:",
        "Translate {data} into French: 1. a\n2. b",
    ],
)
def test_what_is_unclear_is_left_alone(prompt: str):
    assert extract(prompt) is None


def test_braces_of_the_user_stay():
    text = ARTICLE + " The set {a, b} and {data2}."
    schema = extract(f"Extract City, Country from the following text:\n{text}")
    assert schema is not None
    assert schema.fill("{context} x").endswith(text)


def test_data_or_count():
    for wrong in ({"data": (), "count": None}, {"data": ("a",), "count": 2}):
        with pytest.raises(ValueError, match="either"):
            Schema(template="Do {data}", **wrong)


pieces = st.sampled_from(
    [
        "Extract ",
        "A, B",
        " and C",
        " from the following text:",
        "\n",
        "\n\n",
        "1. ",
        "- ",
        "Translate each of the following sentences:",
        "Why?",
        "Write ",
        "5 ",
        "haiku ",
        "{data}",
        "{context}",
        "Questions:",
        "word " * 12,
        ", ",
        "(",
        ")",
    ]
)


@given(st.one_of(st.text(), st.lists(pieces, max_size=20).map("".join)))
def test_reading_never_fails_and_items_come_from_the_prompt(prompt: str):
    schema = extract(prompt)
    assert extract(prompt) == schema
    if schema is not None and schema.data:
        assert len(set(schema.data)) == len(schema.data) >= 2
        flat = " ".join(prompt.split())
        assert all(item and " ".join(item.split()) in flat for item in schema.data)
        assert all(item in schema.fill(item) and schema.context in schema.fill(item) for item in schema.data)
