"""Heads that foresee nothing are told of, once; heads that foresee something are not."""

import pytest
import torch

from ptgflow import MTP, DraftVerify, Event, Result, compile
from ptgflow.contracts import ModelCard
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.acceptance import Speculative, Unverified
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.head_watch import ROUNDS
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import DecodeRequest, Proposal
from ptgflow.engine.trees import EMPTY, TokenTree
from ptgflow.train.saving import save_heads
from tests.engine.heads_of_tiny import config_of, net_of

CARD = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")
MODEL = load_model(CARD)
PROMPT = tuple(range(5, 20))
LENGTH = 3 * ROUNDS


def plain(**options):
    (found,) = finished(
        [DecodeRequest(prompt_ids=PROMPT, max_new_tokens=LENGTH, **options)], DecodeLoop(MODEL, max_rows=4)
    )[0]
    return found.token_ids


def finished(requests, loop):
    rows = [loop.admit(request) for request in requests]
    found, warnings = {}, []
    while not loop.idle:
        round = loop.round()
        assert not round.failed, round.failed
        found |= round.finished
        warnings += round.warnings
    return [found[row] for row in rows], warnings


TEXT = plain()


class Foreseeing:
    """Drafts one token a round: the right one at some places of the answer, a wrong one at the others."""

    taps = ()

    def __init__(self, right, source="some/folder", width=1):
        self.right, self.source, self.width = right, source, width

    def propose(self, asks):
        return [self._proposal(ask) for ask in asks]

    def _proposal(self, ask):
        if ask.written >= len(TEXT):
            return Proposal(tree=EMPTY)
        right = TEXT[ask.written]
        tokens = (right,) if ask.written in self.right else tuple((right + 1 + at) % 260 for at in range(self.width))
        return Proposal(tree=TokenTree(tokens, (-1,) * len(tokens)))

    def read(self, row, tokens, states):
        pass

    def judged(self, row, tree, path):
        pass

    def fork(self, row, source, length):
        pass

    def forget(self, row):
        pass


def request(*joint, accept=None, **options):
    return DecodeRequest(
        prompt_ids=PROMPT,
        max_new_tokens=LENGTH,
        joint=joint,
        length="fixed",
        accept=accept or Speculative(),
        **options,
    )


def test_heads_that_are_never_right_are_told_of_once():
    loop = DecodeLoop(MODEL, max_rows=4)
    for expected in (1, 0):
        _, warnings = finished([request(Foreseeing(())), request(Foreseeing(()))], loop)
        assert [one.code for one in warnings] == ["PTG651"] * expected
    loop = DecodeLoop(MODEL, max_rows=4)
    _, (warning,) = finished([request(Foreseeing((), width=3))], loop)
    assert f"'some/folder' have drafted {ROUNDS} times" in str(warning)
    assert warning.severity == "warning"


@pytest.mark.parametrize("place", [1, ROUNDS - 1])
def test_heads_that_are_right_once_are_not(place):
    _, warnings = finished([request(Foreseeing({place}))], DecodeLoop(MODEL, max_rows=4))
    assert not warnings


def test_drafts_of_several_requests_count_together_and_few_are_not_enough():
    loop = DecodeLoop(MODEL, max_rows=4)
    short = ROUNDS // 2 + 2
    ask = DecodeRequest(prompt_ids=PROMPT, max_new_tokens=short, joint=(Foreseeing(()),), length="fixed")
    assert not finished([ask], loop)[1]
    assert finished([ask], loop)[1]


def test_each_of_several_drafters_is_judged_by_its_own_drafts():
    """In one tree, where what one of them foresees is accepted."""
    good, bad = Foreseeing(range(LENGTH), "good"), Foreseeing((), "bad")
    _, (warning,) = finished([request(good, bad)], DecodeLoop(MODEL, max_rows=4))
    assert "'bad'" in str(warning)


def test_drafters_without_weights_of_their_own_are_not_watched():
    _, warnings = finished([request(Foreseeing((), source=""))], DecodeLoop(MODEL, max_rows=4))
    assert not warnings


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_rule_that_keeps_everything_does_not_hide_it(temperature):
    ask = request(Foreseeing(()), accept=Unverified(), sampling=Sampling(temperature=temperature))
    found, warnings = finished([ask] * 4, DecodeLoop(MODEL, max_rows=4))
    assert sum(one.accepted for one in found) >= ROUNDS
    assert sum(one.agreed for one in found) == 0
    assert len(warnings) == 1


@pytest.mark.parametrize("kind", ["medusa", "eagle"])
@pytest.mark.parametrize("ever_right", [False, True])
def test_the_warning_names_the_folder_and_reaches_who_runs_a_recipe(kind, ever_right, tmp_path):
    """Heads that can draft only what the answer does not have, or only what it has most often."""
    prompt = "Tell me about ducks."
    answer = compile(DraftVerify(drafter="ar"), model=CARD, max_tokens=LENGTH).run(prompt).token_ids
    often = max(answer, key=answer.count)
    drafted = torch.tensor([often] if ever_right else sorted(set(range(271)) - set(answer)))
    config = config_of(kind, MODEL, draft_vocab_size=len(drafted))
    save_heads(tmp_path, config, net_of(config), drafted)
    flow = MTP(heads=kind, weights=str(tmp_path)) >> DraftVerify(drafter="judge", length="fixed", k=4)
    happened = list(compile(flow, model=CARD, max_tokens=LENGTH).stream(prompt))
    told = [one.text for one in happened if isinstance(one, Event) and one.kind == "warning"]
    assert len(told) == (not ever_right)
    assert all(f"PTG651]: the heads in {str(tmp_path)!r}" in one for one in told)
    (result,) = [one for one in happened if isinstance(one, Result)]
    assert result.token_ids == answer
