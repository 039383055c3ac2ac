"""Rows that join, wait, leave and fail in the loop, on the tiny model."""

from unittest import mock

import pytest
import torch

from ptgflow.contracts import ModelCard
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import DecodeRequest
from ptgflow.errors import RunError

CONTEXT = 96
MODEL = load_model(ModelCard(name="tiny", source="tiny", context_length=CONTEXT, device="cpu"))
CODEC = MODEL.codec


def greedy(prompt, count):
    """What the loop writes for a prompt that is alone in it; that this is the greedy text is tested elsewhere."""
    loop = DecodeLoop(MODEL, max_rows=1)
    row = loop.admit(request_of(prompt, count))
    finished = {}
    while not loop.idle:
        finished |= loop.round().finished
    return finished[row].token_ids


def request_of(prompt, count, **more):
    return DecodeRequest(prompt_ids=prompt, max_new_tokens=count, **more)


def test_prompts_that_cannot_be_answered_are_refused():
    loop = DecodeLoop(MODEL, max_rows=1)
    with pytest.raises(RunError, match="PTG602.*96 tokens.*at most 96"):
        loop.admit(request_of((5,) * CONTEXT, 1))
    with pytest.raises(RunError, match="PTG601"):
        loop.admit(request_of((), 1))
    assert loop.idle
    loop.admit(request_of((5,) * (CONTEXT - 1), 9))
    assert len(next(iter(loop.round().finished.values())).token_ids) <= 1


def test_rows_leave_when_they_are_cancelled_and_the_others_do_not_notice():
    texts = [CODEC.encode(word) for word in ("x", "ing", "the and", " a")]
    loop = DecodeLoop(MODEL, max_rows=2)
    ids = [loop.admit(request_of(prompt, 9)) for prompt in texts]
    loop.round()
    loop.cancel(ids[0])
    loop.cancel(ids[3])
    loop._pass.cache.check()
    finished = {}
    while not loop.idle:
        finished |= loop.round().finished
    assert set(finished) == {ids[1], ids[2]}
    assert finished[ids[1]].token_ids == greedy(texts[1], 9)
    assert finished[ids[2]].token_ids == greedy(texts[2], 9)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("none left"), MemoryError(), RuntimeError("you can't allocate memory: 9 bytes")]
)
def test_too_little_memory_is_told_and_the_rows_are_still_there(error):
    loop = DecodeLoop(MODEL, max_rows=2)
    prompt = CODEC.encode("x")
    row = loop.admit(request_of(prompt, 5))
    loop.round()
    with mock.patch.object(MODEL.network, "forward", side_effect=error), pytest.raises(RunError, match="PTG615"):
        loop.round()
    done = {}
    while not loop.idle:
        done |= loop.round().finished
    assert done[row].token_ids == greedy(prompt, 5)


def test_other_errors_of_the_model_are_not_taken_for_a_want_of_memory():
    loop = DecodeLoop(MODEL, max_rows=1)
    loop.admit(request_of(CODEC.encode("x"), 5))
    with (
        mock.patch.object(MODEL.network, "forward", side_effect=RuntimeError("shapes differ")),
        pytest.raises(RuntimeError, match="shapes differ"),
    ):
        loop.round()


def test_rows_that_share_a_pass_share_its_number_and_planning_is_not_shown():
    loop = DecodeLoop(MODEL, max_rows=8)
    ids = [loop.admit(request_of(CODEC.encode("x"), 6, visible=visible)) for visible in (True, False)]
    finished, told = {}, {}
    while not loop.idle:
        done = loop.round()
        assert done.rows == tuple(ids)
        finished |= done.finished
        for row, text in done.settled.items():
            told[row] = told.get(row, "") + text
    shown, hidden = (finished[row] for row in ids)
    assert shown.passes == hidden.passes == frozenset(range(1, 7))
    assert shown.text == hidden.text
    assert told == {ids[0]: shown.text}


def test_the_vocabulary_is_not_computed_for_every_position_of_a_prompt():
    loop = DecodeLoop(MODEL, max_rows=8)
    for word in ("x", "the and the and"):
        loop.admit(request_of(CODEC.encode(word), 2))
    with mock.patch.object(MODEL.network.lm_head, "forward", wraps=MODEL.network.lm_head.forward) as head:
        loop.round()
    assert head.call_args.args[0].shape[:2] == (2, 1)


def test_a_pass_over_new_prompts_leaves_the_other_rows_out():
    loop = DecodeLoop(MODEL, max_rows=3)
    early = loop.admit(request_of(CODEC.encode("x"), 9))
    loop.round()
    late = [loop.admit(request_of(CODEC.encode(word), 9)) for word in ("the", " and the")]
    assert loop.round().rows == tuple(late)
    assert loop.round().rows == (early, *late)
