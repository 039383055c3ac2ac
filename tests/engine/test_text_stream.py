"""Stop strings, what can be shown of an unfinished text, and tokens for a text cut anywhere."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.engine.models.codec import Codec
from ptgflow.engine.models.tiny import tiny_tokenizer
from ptgflow.engine.text_stream import cut_tokens, settled_length, stop_at

CODEC = Codec(tiny_tokenizer(), model="tiny")
BYTES = [index for index in range(CODEC.vocab_size) if index >= 4]
letters = st.text(alphabet="ab", max_size=12)
stops = st.lists(st.text(alphabet="ab", min_size=1, max_size=3), max_size=3)
sources = st.one_of(
    st.lists(st.sampled_from(BYTES), max_size=20),
    st.text(alphabet="a\u00e9\u20ac\U0001f600 the", max_size=12),
)


def tokens_of(source):
    """Ids as drawn, or those of a text: encoded here, as the type checker of the tests uses `random`."""
    return CODEC.encode(source) if isinstance(source, str) else tuple(source)


@settings(max_examples=400, deadline=None)
@given(text=letters, ends=stops)
def test_a_text_stops_where_a_reader_of_single_characters_stops(text, ends):
    expected = None
    for length in range(1, len(text) + 1):
        complete = [length - len(stop) for stop in ends if text[:length].endswith(stop)]
        if complete:
            expected = min(complete)
            break
    assert stop_at(text, ends) == expected


@settings(max_examples=400, deadline=None)
@given(text=letters, more=letters, ends=stops)
def test_what_is_shown_is_never_taken_back(text, more, ends):
    if stop_at(text, ends) is not None:
        return
    shown = settled_length(text, ends)
    cut = stop_at(text + more, ends)
    assert cut is None or shown <= cut
    # And no more is held back than some continuation could take: a stop string may begin right there.
    if shown < len(text):
        assert any(stop.startswith(text[shown:]) and stop != text[shown:] for stop in ends)


@settings(max_examples=400, deadline=None)
@given(source=sources, at=st.integers(0, 30))
def test_bytes_of_an_unfinished_character_are_held_back(source, at):
    tokens = tokens_of(source)
    before = CODEC.decode(tokens[:at])
    assert CODEC.decode(tokens).startswith(before[: settled_length(before, ())])


@settings(max_examples=300, deadline=None)
@given(source=sources, data=st.data())
def test_a_cut_text_has_tokens_of_its_own(source, data):
    tokens = tokens_of(source)
    whole = CODEC.decode(tokens)
    text = whole[: data.draw(st.integers(0, len(whole)))]
    cut = cut_tokens(CODEC, tokens, text)
    assert CODEC.decode([*tokens[: cut.kept], *cut.tail]) == text
    if text == whole and "\ufffd" not in text:
        assert (cut.kept, cut.tail) == (len(tokens), ())


def test_a_cut_inside_a_token_keeps_the_tokens_before_it():
    tokens = CODEC.encode(" a the")  # The merges make " the" one token.
    assert len(tokens) == 2
    cut = cut_tokens(CODEC, tokens, " a th")
    assert cut.kept == 1
    assert CODEC.decode(cut.tail) == " th"
