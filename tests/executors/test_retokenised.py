"""An editor with a tokenizer of its own: words go over, and what is known of tokens goes with their characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptgflow import load_recipe
from ptgflow.contracts import Draft, Text
from ptgflow.engine.edit.places import transferred
from ptgflow.executors.retokenised import encoded


class Pieces:
    """A tokenizer whose tokens are pieces of so many characters."""

    def __init__(self, size):
        self.size, self.fingerprint, self.known = size, f"pieces of {size}", {}

    def encode(self, text):
        pieces = [text[at : at + self.size] for at in range(0, len(text), self.size)]
        return tuple(self.known.setdefault(one, len(self.known)) for one in pieces)

    def decode(self, ids):
        names = {number: piece for piece, number in self.known.items()}
        return "".join(names[one] for one in ids)


@given(st.text("abc d", max_size=30), st.integers(1, 5), st.integers(1, 5))
def test_every_token_gets_what_the_tokens_of_its_characters_have(text, one, other):
    left, right = Pieces(one), Pieces(other)
    ids, new = left.encode(text), right.encode(text)
    found = transferred(
        text, (left, ids), [{at} for at in range(len(ids))], (right, new), lambda some: set().union(*some)
    )
    assert list(found) == [
        {place // one for place in range(at * other, min(at * other + other, len(text)))} for at in range(len(new))
    ]


@given(st.text("abc d", max_size=30), st.integers(1, 5))
def test_a_text_comes_back_as_it_was(text, size):
    one, other = Pieces(1), Pieces(size)
    ids = one.encode(text)
    scores = tuple(-float(at) for at in range(len(ids)))
    value = Draft(token_ids=ids, tokenizer=one.fingerprint, text=text, origin=("w",) * len(ids), scores=scores)
    there = encoded(value, one, other, chat=True)
    assert isinstance(there, Draft)
    assert (there.token_ids, there.tokenizer, there.text) == (other.encode(text), other.fingerprint, text)
    assert list(there.scores) == [min(scores[at : at + size]) for at in range(0, len(ids), size)]
    back = encoded(there, other, one, chat=True)
    assert (back.token_ids, back.text, back.origin) == (value.token_ids, text, value.origin)
    plain = Text(token_ids=ids, tokenizer=one.fingerprint, text=text, origin=("w",) * len(ids))
    assert type(encoded(plain, one, other, chat=True)) is Text


@pytest.mark.model
def test_an_editor_of_another_tokenizer_edits_and_the_path_keeps_its_own():
    plan = load_recipe("dv_edit", ["model=tiny", "stages.repair.model=smollm2-135m", "max_tokens=8"])
    result = plan.run("Hello.")
    assert result.ok
    codec = plan.executor.target.codec
    assert codec.decode(result.token_ids) == result.text
    assert [stage.name for stage in result.metrics.stages][-1] == "repair"
