"""Rows that join, wait, leave and fail in the loop, on the tiny model."""

from unittest import mock

import pytest
import torch

from ptgflow.contracts import ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.acceptance import Block
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import DecodeRequest, Proposal
from ptgflow.engine.trees import TokenTree
from ptgflow.errors import RunError

CONTEXT = 96
CARD = ModelCard(name="tiny", source="tiny", context_length=CONTEXT, device="cpu", dtype="float32")
MODEL = load_model(CARD)
PLAIN = load_model(CARD, Accelerate(forward="transformers"))
CODEC = MODEL.codec


def greedy(prompt, count):
    """What the loop writes for a prompt that is alone in it; that this is the greedy text is tested elsewhere."""
    loop = DecodeLoop(WIDE, max_rows=1)
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


def finish(loop):
    """Run to the end; what became of the rows, and what was warned of."""
    finished, failed, warnings = {}, {}, []
    while not loop.idle:
        done = loop.round()
        loop._pass.cache.check()
        finished |= done.finished
        failed |= done.failed
        warnings += done.warnings
    return finished, failed, [str(one) for one in warnings]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("none left"), MemoryError(), RuntimeError("you can't allocate memory: 9 bytes")]
)
def test_a_want_of_memory_halves_the_batch_and_changes_no_text(error):
    words = ("x", "ing", "the and", " a", "er on")
    loop = DecodeLoop(PLAIN, max_rows=5)
    ids = [loop.admit(request_of(CODEC.encode(word), 9)) for word in words]
    loop.round()
    forward, calls = PLAIN.network.forward, []

    def fails_twice(*args, **kwargs):
        calls.append(kwargs["input_ids"].shape[0])
        if len(calls) <= 2:
            raise error
        return forward(*args, **kwargs)

    with mock.patch.object(PLAIN.network, "forward", fails_twice):
        finished, failed, warnings = finish(loop)
    assert not failed
    assert [finished[row].token_ids for row in ids] == [greedy(CODEC.encode(word), 9) for word in words]
    assert max(calls[2:]) == 1, "five rows, then two, then one"
    assert len(warnings) == 2
    assert "PTG619" in warnings[0]
    assert "5 rows" in warnings[0]


def test_a_row_that_does_not_fit_even_alone_fails_alone():
    """A budget of one step of slots: the long prompt can never be read, the short ones take turns."""
    step = 128 * MODEL.kv_bytes_per_token
    loop = DecodeLoop(WIDE, max_rows=4, memory=step)
    words = ("x", "x" * 150, "ing")
    ids = [loop.admit(request_of(CODEC.encode(word), 9)) for word in words]
    finished, failed, warnings = finish(loop)
    assert set(failed) == {ids[1]}
    assert "PTG615" in str(failed[ids[1]])
    assert finished[ids[0]].token_ids == greedy(CODEC.encode("x"), 9)
    assert finished[ids[2]].token_ids == greedy(CODEC.encode("ing"), 9)
    assert warnings


WIDE = load_model(CARD.model_copy(update={"context_length": 400}))


def test_other_errors_of_the_model_are_not_taken_for_a_want_of_memory():
    loop = DecodeLoop(PLAIN, max_rows=1)
    loop.admit(request_of(CODEC.encode("x"), 5))
    with (
        mock.patch.object(PLAIN.network, "forward", side_effect=RuntimeError("shapes differ")),
        pytest.raises(RuntimeError, match="shapes differ"),
    ):
        loop.round()


class Broken:
    def propose(self, context, limit):
        raise ValueError("no idea")


def test_a_drafter_that_fails_takes_only_its_row_along():
    loop = DecodeLoop(MODEL, max_rows=3)
    good = loop.admit(request_of(CODEC.encode("x"), 5))
    bad = loop.admit(request_of(CODEC.encode("ing"), 5, drafter=Broken()))
    finished, failed, _ = finish(loop)
    assert set(finished) == {good}
    assert finished[good].token_ids == greedy(CODEC.encode("x"), 5)
    assert isinstance(failed[bad], ValueError)


class Branching:
    def propose(self, context, limit):
        return Proposal(tree=TokenTree((5, 6), (-1, -1)))


def test_a_tree_for_a_rule_that_judges_chains_ends_its_row_with_the_reason():
    loop = DecodeLoop(MODEL, max_rows=1)
    row = loop.admit(request_of(CODEC.encode("x"), 5, drafter=Branching(), accept=Block()))
    _, failed, _ = finish(loop)
    assert "accept=block judges chains" in str(failed[row])


def test_a_bias_on_a_token_that_is_not_there_is_refused():
    loop = DecodeLoop(MODEL, max_rows=1)
    with pytest.raises(RunError, match="PTG620.*99999"):
        loop.admit(request_of(CODEC.encode("x"), 5, sampling=Sampling(logit_bias={99999: 1.0})))
    assert loop.idle


SHARED = "the and the ing on and a the and in the, again and again"


def test_what_prompts_share_is_read_once_even_when_the_first_ends_at_once():
    begin = CODEC.encode(SHARED)
    tails = [CODEC.encode(word) for word in (" x", " a", "ing", " x")]
    for counts in ((9, 9, 9, 9), (1, 9, 9, 9)):
        loop = DecodeLoop(WIDE, max_rows=4)
        ids = [loop.admit(request_of(begin + tail, count)) for tail, count in zip(tails, counts, strict=True)]
        fed, begin_pass = [], loop._pass.cache.begin

        def watched(inputs, fed=fed, begin_pass=begin_pass):
            fed.append(sum(len(one.tokens) for one in inputs))
            return begin_pass(inputs)

        with mock.patch.object(loop._pass.cache, "begin", watched):
            finished, _, _ = finish(loop)
        assert fed[0] == len(begin + tails[0]), "the others wait for the first"
        assert fed[1] <= sum(map(len, tails)) + 1
        for row, tail, count in zip(ids, tails, counts, strict=True):
            assert finished[row].token_ids == greedy(begin + tail, count)


def test_a_long_prompt_is_read_in_chunks_while_others_write():
    loop = DecodeLoop(WIDE, max_rows=2, chunk=50)
    early = loop.admit(request_of(CODEC.encode("x"), 30))
    loop.round()
    late = loop.admit(request_of(CODEC.encode("x" * 120), 5))
    for _ in range(3):
        assert loop.round().rows == (early, late)
    finished, _, _ = finish(loop)
    assert finished[late].rounds == 3 + 4
    assert finished[early].token_ids == greedy(CODEC.encode("x"), 30)
    assert finished[late].token_ids == greedy(CODEC.encode("x" * 120), 5)


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
    loop = DecodeLoop(PLAIN, max_rows=8)
    for word in ("x", "the and the and"):
        loop.admit(request_of(CODEC.encode(word), 2))
    with mock.patch.object(PLAIN.network.lm_head, "forward", wraps=PLAIN.network.lm_head.forward) as head:
        loop.round()
    assert head.call_args.args[0].shape[:2] == (2, 1)
