"""Suffix automata beside a scan of all texts, and what is drafted from them."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.engine.lookup.automaton import START, SuffixAutomaton
from ptgflow.engine.lookup.suffixes import Earlier, Suffixes

texts = st.lists(st.lists(st.integers(0, 2), max_size=12), min_size=1, max_size=4)


def occurrences(all_texts, words):
    return sum(one[at : at + len(words)] == words for one in all_texts for at in range(len(one) - len(words) + 1))


@settings(max_examples=200, deadline=None)
@given(texts, st.lists(st.integers(0, 2), max_size=8))
def test_the_automaton_finds_the_longest_end_and_counts_what_follows(all_texts, query):
    automaton = SuffixAutomaton()
    for text in all_texts:
        automaton.restart()
        automaton.extend(text)
    match = automaton.walk(START, query)
    longest = max(
        (length for length in range(len(query) + 1) if length == 0 or occurrences(all_texts, query[-length:])),
        default=0,
    )
    assert match.length == longest
    while True:
        end = query[len(query) - match.length :]
        expected = {token: occurrences(all_texts, [*end, token]) for token in range(3)}
        assert dict(automaton.following(match)) == {token: n for token, n in expected.items() if n}
        if not match.length:
            break
        match = automaton.shorter(match)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=3), min_size=1, max_size=8))
def test_a_match_stays_right_while_the_automaton_grows(steps):
    """Walked along with the text of another row, while that text is read here, too."""
    automaton, text, match = SuffixAutomaton(), [], START
    for step in steps:
        automaton.extend(step)
        text += step
        match = automaton.walk(match, step)
        assert match == automaton.walk(START, text) or match.length == len(text)
        repeated = automaton.repeated()
        longest = max(length for length in range(len(text)) if length == 0 or occurrences([text], text[-length:]) > 1)
        assert repeated.length == longest


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=14), st.lists(st.integers(0, 2), max_size=3))
def test_candidates_are_what_followed_the_longest_repeated_end(text, path):
    row = Suffixes(Earlier(0), shortest=1, longest=8)
    row.advance(text[: len(text) // 2])
    row.advance(text)
    found = row.after(path, 3)
    whole, expected = [*text, *path], {}
    for length in range(min(len(whole), len(text)), 0, -1):
        end = whole[-length:]
        counts = Counter(text[at + length] for at in range(len(text) - length) if text[at : at + length] == end)
        if counts:
            expected = dict(counts)
            break
    assert set(found.tokens) == set(expected)
    total = sum(expected.values())
    assert all(
        chance == expected[token] / (total + 1) for token, chance in zip(found.tokens, found.chances, strict=True)
    )
    assert list(found.chances) == sorted(found.chances, reverse=True)


def test_earlier_texts_are_believed_where_they_match_longer():
    earlier = Earlier(100)
    first = Suffixes(earlier, shortest=1, longest=8)
    first.advance([5, 6, 7, 8, 9])
    first.close()
    row = Suffixes(earlier, shortest=1, longest=8)
    row.advance([8, 1, 6, 7, 8])
    assert row.after([], 4).tokens == (9,)
    assert row.after([9], 4).tokens == ()
    row.advance([8, 1, 6, 7, 8, 1])
    assert row.after([], 4).tokens == (6,)
    forgetful = Suffixes(Earlier(0), shortest=1, longest=8)
    forgetful.advance([6, 7, 8])
    assert forgetful.after([], 4).tokens == ()


def test_no_more_is_remembered_than_is_allowed():
    earlier = Earlier(10)
    for start in range(0, 60, 6):
        earlier.add(range(start, start + 6))
        assert len(earlier.automaton) <= 10
    row = Suffixes(earlier, shortest=1, longest=8)
    row.advance([55])
    assert row.after([], 4).tokens == (56,)
    row.close()
    earlier.add(list(range(100)))
