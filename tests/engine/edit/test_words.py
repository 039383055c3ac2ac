"""Texts as taggers read them: every word is told of once, in a window that it fits into."""

from hypothesis import given
from hypothesis import strategies as st

from ptgflow.engine.edit.tagger.words import sentences_of, windows, words_of

TEXTS = st.text(alphabet="ab1 ,.!?\"')\n\u00e9\U0001f600-", max_size=60)


@given(TEXTS)
def test_words_are_all_that_is_not_space(text):
    words = words_of(text)
    assert "".join(word.text for word in words) == "".join(text.split())
    assert all(text[word.begin : word.end] == word.text for word in words)


@given(TEXTS)
def test_sentences_hold_each_word_once(text):
    words = words_of(text)
    sentences = list(sentences_of(text, words))
    assert [at for one in sentences for at in one] == list(range(len(words)))
    assert all(one for one in sentences)


def test_sentences_end_where_a_reader_ends_them():
    text = 'He said "No." Then he left at 3.5 km/h... and came back!\nA heading\nThe end'
    words = words_of(text)
    found = [text[words[one.start].begin : words[one.stop - 1].end] for one in sentences_of(text, words)]
    assert found == ['He said "No."', "Then he left at 3.5 km/h...", "and came back!", "A heading", "The end"]


@given(st.lists(st.integers(0, 7), min_size=1, max_size=60), st.integers(1, 12), st.integers(0, 8), st.data())
def test_windows_tell_each_word_once_and_fit(sizes, budget, overlap, data):
    start = data.draw(st.integers(0, len(sizes) - 1))
    words = range(start, len(sizes))
    found = list(windows(sizes, words, budget=budget, overlap=overlap))
    assert [at for one in found for at in one.told] == list(words)
    for one in found:
        assert one.told
        assert one.words.start <= one.told.start
        assert one.told.stop <= one.words.stop
        assert sum(max(sizes[at], 1) for at in one.words) <= budget or len(one.words) == 1


def test_a_word_at_a_cut_is_told_by_the_window_that_sees_more_of_both_sides():
    found = list(windows([1] * 30, range(30), budget=12, overlap=6))
    for one in found[:-1]:
        assert one.words.stop - one.told.stop == 3
    for one in found[1:]:
        assert one.told.start - one.words.start == 3
