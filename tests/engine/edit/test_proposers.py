"""What a masked model proposes for places in doubt, by a denoiser that says what it saw."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.engine.edit.locating.known import Known, Reading
from ptgflow.engine.edit.locating.proposers import ByMasked, ByTarget, Doubts, Proposer, likeliest
from ptgflow.engine.edit.rules import EditAsk

VOCAB = 50


class Echo:
    """Its law at a hole points at the token before it and at the one behind it, as far as the canvas shows them."""

    def __init__(self):
        self.rows, self.free_rows, self.most = {}, [], 0

    def admit(self, prompt, size):
        assert prompt, "something predicts the first place"
        self.rows[len(self.rows) + len(self.free_rows)] = (prompt, size)
        return max(self.rows)

    def free(self, row):
        del self.rows[row]
        self.free_rows.append(row)

    def predict(self, asks):
        self.most = max(self.most, len(asks))
        found = []
        for ask in asks:
            prompt, size = self.rows[ask.row]
            assert len(ask.tokens) == size
            assert ask.block == range(size)
            assert ask.holes >= set(ask.wanted)
            lines = torch.zeros(len(ask.wanted), VOCAB)
            for line, place in zip(lines, ask.wanted, strict=True):
                assert place >= 1, "the first place is predicted without what stands behind it"
                line[ask.tokens[place - 1]] += 1 if place - 1 not in ask.holes else 0
                if place + 1 < size and place + 1 not in ask.holes:
                    line[ask.tokens[place + 1]] += 2
                line[-1] += len(prompt) + place
            found.append(lines)
        return found


def doubts(ids, places, prompt, at=0):
    ask = EditAsk(row=0, text="", token_ids=tuple(ids), prompt_ids=tuple(prompt), round=0)
    law = torch.randn(len(ids) - at, VOCAB, generator=torch.Generator().manual_seed(1))
    return Doubts(reading=Reading(ask, Known(ask.prompt_ids), 0), begin=at, law=law, places=places)


TEXTS = st.lists(st.integers(0, 40), min_size=2, max_size=120)


@settings(deadline=None)
@given(st.data(), st.integers(2, 40), st.lists(st.lists(st.integers(0, 40), min_size=2, max_size=9), max_size=3))
def test_every_place_is_asked_once_with_both_its_neighbours(data, length, prompts):
    given_texts = []
    for prompt in prompts:
        ids = data.draw(TEXTS)
        places = data.draw(st.lists(st.sampled_from(range(len(ids))), min_size=1, unique=True).map(sorted))
        given_texts.append((ids, places, prompt))
    denoiser = Echo()
    proposer = ByMasked(denoiser, length=length)
    together = proposer.laws([doubts(*one) for one in given_texts])
    assert not denoiser.rows, "no row is left"
    assert denoiser.most <= 16
    for (ids, places, prompt), laws in zip(given_texts, together, strict=True):
        one = doubts(ids, places, prompt)
        assert laws.tolist() == proposer.laws([one])[0].tolist()
        # What the denoiser says is times what the target says; without that it is what it was.
        laws = laws - ByTarget().laws([one])[0]
        laws = (laws - laws.min(dim=1, keepdim=True).values).round()
        whole = [*prompt, *ids]
        for line, place in zip(laws, places, strict=True):
            assert line[-1] == len(prompt) + place, "the line is of this place"
            if place + 1 not in places and place + 1 < len(ids) and length >= 4:
                expected = 2 + (whole[len(prompt) + place - 1] == ids[place + 1] and place - 1 not in places)
                assert line[ids[place + 1]] == expected


def test_the_target_proposes_what_it_finds_likely_after_the_text_before():
    one = doubts(range(10), [4, 7], (1, 2), at=3)
    (laws,) = ByTarget().laws([one])
    assert laws.tolist() == one.law[[1, 4]].tolist()


@pytest.mark.parametrize("proposer", [ByTarget(), ByMasked(Echo(), length=8)])
def test_both_are_proposers(proposer):
    assert isinstance(proposer, Proposer)


def test_the_likeliest_are_neither_special_nor_what_stands_there():
    one = doubts([5, 6, 7], [1, 2], (1,))
    laws = torch.full((2, VOCAB), -math.inf)
    laws[0, [6, 9, 3, 8]] = torch.tensor([4.0, 3.0, 2.0, 1.0])
    laws[1, [6, 9, 3, 8]] = torch.tensor([4.0, 3.0, 2.0, 1.0])
    assert likeliest(one, laws, torch.tensor([9]), 2) == [[3, 8], [6, 3]]
