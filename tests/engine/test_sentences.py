import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptgflow.engine.sentences import crop_to_sentence, split_paragraphs, split_sentences

SENTENCES = [
    ("It rains. We stay in.", ["It rains. ", "We stay in."]),
    ("Dr. Smith met Mrs. Jones. They spoke.", ["Dr. Smith met Mrs. Jones. ", "They spoke."]),
    ("Pi is 3.14 or so. Yes.", ["Pi is 3.14 or so. ", "Yes."]),
    ('"Stop!" he said. "Why?" she asked.', ['"Stop!" he said. ', '"Why?" she asked.']),
    ("Wait... what? No.", ["Wait... what? ", "No."]),
    ("It ended... Then it began.", ["It ended... ", "Then it began."]),
    ("Use tools, e.g. a saw. Be careful.", ["Use tools, e.g. a saw. ", "Be careful."]),
    ("Cats, dogs, etc. They are pets.", ["Cats, dogs, etc. ", "They are pets."]),
    ("J. R. Tolkien wrote it. It is long.", ["J. R. Tolkien wrote it. ", "It is long."]),
    ("1. Rest well. 2. Drink.", ["1. Rest well. ", "2. Drink."]),
    (
        "\u4eca\u65e5\u306f\u3002\u660e\u65e5\u3082\uff01\u306f\u3044",
        ["\u4eca\u65e5\u306f\u3002", "\u660e\u65e5\u3082\uff01", "\u306f\u3044"],
    ),
    ("(It works.) It does.", ["(It works.) ", "It does."]),
    ("no end", ["no end"]),
]


@pytest.mark.parametrize(("text", "expected"), SENTENCES)
def test_sentences_end_where_a_reader_says(text: str, expected: list[str]):
    assert list(split_sentences(text)) == expected


def test_paragraphs_end_at_blank_lines():
    assert split_paragraphs("a\nb\n\nc\n \n\nd") == ("a\nb\n\n", "c\n \n\n", "d")


pieces = st.sampled_from(
    [". ", "!", "?", "...", "\n\n", "\n", " ", "Dr.", "word", "Word", '"', ")", "\u3002", "3.14", "e.g.", "\u2026"]
)
texts = st.one_of(st.text(), st.lists(pieces, max_size=30).map("".join))


@given(texts)
def test_no_character_is_lost(text: str):
    for split in (split_sentences, split_paragraphs):
        parts = split(text)
        assert "".join(parts) == text
        assert all(parts)


@given(texts)
def test_cropping_leaves_a_beginning_that_is_cropped_already(text: str):
    cropped = crop_to_sentence(text)
    assert text.startswith(cropped)
    assert crop_to_sentence(cropped) == cropped
    assert cropped or not text


def test_half_a_sentence_is_cropped_and_a_lone_one_is_kept():
    assert crop_to_sentence(" Drink water. It helps you to") == " Drink water."
    assert crop_to_sentence(" Drink water. See Dr. Mil") == " Drink water."
    assert crop_to_sentence(" Drink wat") == " Drink wat"
    assert crop_to_sentence('He said "no." Then') == 'He said "no."'
