"""Masked models of each public layout against one row asked in the plainest way."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts.masked_model import MaskedConventions
from ptgflow.engine.canvas.full_denoiser import FullDenoiser
from ptgflow.engine.canvas.rules import CanvasAsk, Denoiser
from ptgflow.errors import RunError
from tests.engine.canvas.masked_networks import (
    BLOCK_CAUSAL,
    LAYOUTS,
    VOCAB,
    ask,
    blocks_of,
    commit_surest,
    plain_logits,
    random_network,
)

CLOSE = {"rtol": 0, "atol": 5e-5}  # Rounding in fp32: logits are of the order of 10.
each_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
tokens = st.integers(0, VOCAB - 2)
prompts = st.lists(tokens, max_size=9)
canvases = st.lists(st.none() | tokens, min_size=1, max_size=11)
REQUESTS = [([7, 3, 22, 9, 41], 10), ([5], 7), ([2, 60, 13, 13, 8, 30, 1, 19], 4), ([17, 4], 9)]


@st.composite
def questions(draw):
    """A prompt, a canvas with holes, and a block that has one of them."""
    prompt, canvas = draw(prompts), draw(canvases)
    hole = draw(st.integers(0, len(canvas) - 1))
    canvas[hole] = None
    begin, end = draw(st.integers(0, hole)), draw(st.integers(hole + 1, len(canvas)))
    return tuple(prompt), canvas, range(begin, end)


def asked(denoiser, many):
    rows = [denoiser.admit(prompt, len(canvas)) for prompt, canvas, _ in many]
    found = denoiser.predict([ask(row, canvas, block) for row, (_, canvas, block) in zip(rows, many, strict=True)])
    for row in rows:
        denoiser.free(row)
    return found


@each_layout
@settings(max_examples=8, deadline=None)
@given(question=questions())
def test_a_row_has_the_logits_of_the_plain_pass(layout, question):
    prompt, canvas, block = question
    (found,) = asked(layout.denoiser(), [question])
    wanted = [place for place in block if canvas[place] is None]
    torch.testing.assert_close(found, plain_logits(layout, prompt, canvas)[wanted], **CLOSE)


@each_layout
@settings(max_examples=8, deadline=None)
@given(many=st.lists(questions(), min_size=2, max_size=4))
def test_rows_in_one_pass_have_what_each_has_alone(layout, many):
    alone = [asked(layout.denoiser(), [question])[0] for question in many]
    for together, single in zip(asked(layout.denoiser(), many), alone, strict=True):
        torch.testing.assert_close(together, single, **CLOSE)


@settings(max_examples=8, deadline=None)
@given(question=questions(), data=st.data())
@pytest.mark.parametrize("name", BLOCK_CAUSAL)
def test_what_lies_behind_a_block_is_not_seen(name, question, data):
    layout, (prompt, canvas, block) = LAYOUTS[name], question
    length = layout.conventions.block_length
    before = len(prompt) if layout.conventions.prompt_blocks == "joined" else 0
    end = ((before + block.stop - 1) // length + 1) * length - before
    other = canvas[:end] + [data.draw(st.none() | tokens) for _ in canvas[end:]]
    found = asked(layout.denoiser(), [question, (prompt, other, block)])
    # Products of other sizes round differently; a place that was seen would change much more.
    torch.testing.assert_close(*found, **CLOSE)


def generated(denoiser, requests, length):
    """All rows at once, block by block, one token a round, each row in blocks of its own."""
    rows = [denoiser.admit(tuple(prompt), size) for prompt, size in requests]
    canvases = [[None] * size for _, size in requests]
    todo = [blocks_of(size, length) for _, size in requests]
    while any(todo):
        going = [number for number, blocks in enumerate(todo) if blocks]
        asks = [ask(rows[number], canvases[number], todo[number][0]) for number in going]
        for number, one, logits in zip(going, asks, denoiser.predict(asks), strict=True):
            commit_surest(logits, one.wanted, canvases[number])
            if len(one.wanted) == 1:
                todo[number].pop(0)
    return canvases


def plainly_generated(layout, prompt, size, length):
    canvas = [None] * size
    for block in blocks_of(size, length):
        for _ in block:
            wanted = [place for place in block if canvas[place] is None]
            commit_surest(plain_logits(layout, prompt, canvas)[wanted], wanted, canvas)
    return canvas


@each_layout
@pytest.mark.parametrize("length", [4, 16])
def test_generation_is_that_of_the_plain_loop(layout, length):
    expected = [plainly_generated(layout, prompt, size, length) for prompt, size in REQUESTS]
    assert generated(layout.denoiser(), REQUESTS, length) == expected
    assert len({token for canvas in expected for token in canvas}) > 5  # Else any denoiser would do.


@pytest.mark.parametrize("name", BLOCK_CAUSAL)
def test_generation_with_kept_states_is_that_of_the_plain_loop(name):
    layout = LAYOUTS[name]
    expected = [plainly_generated(layout, prompt, size, 4) for prompt, size in REQUESTS]
    assert generated(layout.denoiser("prefix"), REQUESTS, 4) == expected


@each_layout
def test_the_mask_is_never_predicted(layout):
    (found,) = asked(layout.denoiser(), [((5, 6), [None] * 6, range(6))])
    assert found.shape == (6, VOCAB)
    assert found.dtype == torch.float32
    assert layout.conventions.mask_id >= VOCAB or bool((found[:, layout.conventions.mask_id] == -torch.inf).all())
    assert int(found.isinf().sum()) == (6 if layout.conventions.mask_id < VOCAB else 0)


def test_eager_attention_is_masked_alike():
    layout = LAYOUTS["sdar"]
    many = [((1, 2, 3), [None, 4, None, None, 9, None], range(2, 6)), ((8,), [None] * 3, range(3))]
    found = asked(FullDenoiser(layout.plain, layout.conventions), many)
    for one, other in zip(found, asked(layout.denoiser(), many), strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_known_places_may_be_asked_for_too():
    """For what was written before: re-maskers ask what the model now says of it."""
    layout, canvas = LAYOUTS["dream"], [3, None, 5, None]
    denoiser = layout.denoiser()
    row = denoiser.admit((9, 9, 1), 4)
    question = CanvasAsk(row=row, tokens=(3, 0, 5, 0), holes=frozenset({1, 3}), block=range(4), wanted=(0, 1, 2))
    torch.testing.assert_close(denoiser.predict([question])[0], plain_logits(layout, (9, 9, 1), canvas)[:3], **CLOSE)


def test_it_is_a_denoiser():
    assert isinstance(LAYOUTS["llada"].denoiser(), Denoiser)


@pytest.mark.parametrize(
    ("more", "mask", "reason"),
    [({}, VOCAB, "mask token cannot be 64"), ({"sliding_window": 8}, 3, "see a window only")],
)
def test_a_model_that_cannot_be_asked_so_is_refused(more, mask, reason):
    network = random_network("llama")
    for name, value in more.items():
        setattr(network.config, name, value)
    with pytest.raises(RunError, match=reason):
        FullDenoiser(network, MaskedConventions(mask_id=mask))
