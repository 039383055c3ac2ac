"""The probe for shifted logits, on models of which the answer is known."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts.masked_model import MaskedConventions
from ptgflow.engine.canvas.full_denoiser import FullDenoiser
from ptgflow.engine.canvas.shift_probe import ShiftFinding, shift_probe
from tests.engine.canvas.masked_networks import random_network

VOCAB, MASK = 12, 11
TEXTS = [(1, 2, 3, 4, 5), (7, 8), (9, 1, 5, 3)]


def knowing(offset, sharp):
    """A model that knows the probe's texts: the row of place i holds the token of place i + offset."""

    def rows(masked):
        answers = []
        for text in masked:
            (known,) = (one for one in TEXTS if len(one) == len(text) and {*text} - {MASK} < {*one})
            logits = torch.zeros(len(text), VOCAB)
            for place, token in enumerate(known):
                if 0 <= place - offset < len(text):
                    logits[place - offset, token] = sharp
            answers.append(logits)
        return answers

    return rows


@pytest.mark.parametrize(("offset", "verdict"), [(0, "unshifted"), (1, "shifted")])
def test_both_figures_are_those_of_a_model_that_was_written_by_hand(offset, verdict):
    found = shift_probe(knowing(offset, 5.0), TEXTS, MASK, at_once=3)
    total = math.log(math.exp(5.0) + VOCAB - 1)
    # No text has a token beside itself, so the wrong row holds another token and this one as little as all others; but
    # the last row of a text has no token to hold if rows hold those of the next place.
    last = math.log(VOCAB) if offset else total
    figures = {"unshifted": found.unshifted, "shifted": found.shifted}
    assert figures.pop(verdict) == pytest.approx(5.0 - total)
    assert figures.popitem()[1] == pytest.approx(-(5 * total + 3 * last) / 8)
    assert (found.verdict, found.tokens) == (verdict, 8)
    assert found.contradicts(shifted=True) == (verdict == "unshifted")
    assert found.contradicts(shifted=False) == (verdict == "shifted")


def test_a_model_that_knows_nothing_contradicts_nobody():
    found = shift_probe(knowing(0, 0.0), TEXTS, MASK)
    assert found.verdict == "unclear"
    assert not found.contradicts(shifted=True)
    assert not found.contradicts(shifted=False)


def test_what_neither_reading_holds_possible_is_unclear():
    impossible = ShiftFinding(unshifted=-math.inf, shifted=-math.inf, tokens=1)
    assert impossible.verdict == "unclear"
    assert ShiftFinding(unshifted=-math.inf, shifted=-9.0, tokens=1).verdict == "shifted"


@settings(max_examples=20, deadline=None)
@given(at_once=st.integers(1, 9))
def test_the_figures_do_not_depend_on_how_many_are_asked_at_once(at_once):
    assert shift_probe(knowing(1, 2.0), TEXTS, MASK, at_once=at_once) == shift_probe(knowing(1, 2.0), TEXTS, MASK)


@pytest.mark.parametrize("texts", [[], [(3,)]])
def test_a_probe_needs_a_text(texts):
    with pytest.raises(ValueError, match="at least two tokens"):
        shift_probe(knowing(0, 1.0), texts, MASK)


def counting(begin, length):
    return [(begin + place) % (VOCAB - 1) for place in range(length)]


def trained(shifted):
    """A masked model of counting, trained for a few steps in one of the two conventions."""
    network = random_network("llama", VOCAB)
    network.requires_grad_(True)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(1)
    texts = torch.tensor([counting(begin, 8) for begin in range(VOCAB - 1)])
    visible = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    for _ in range(40):
        holes = torch.rand(texts.shape, generator=generator) < 0.4
        holes[:, 0] = False
        logits = network(texts.masked_fill(holes, MASK), attention_mask=visible.expand(len(texts), -1, -1, -1)).logits
        logits = torch.cat([logits[:, :1], logits[:, :-1]], dim=1) if shifted else logits
        loss = torch.nn.functional.cross_entropy(logits[holes], texts[holes])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.requires_grad_(False)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("declared", [False, True])
def test_a_trained_model_tells_its_convention_whatever_was_declared(shifted, declared):
    denoiser = FullDenoiser(trained(shifted), MaskedConventions(mask_id=MASK, shifted=declared))
    found = shift_probe(denoiser.rows, [tuple(counting(begin, 8)) for begin in (0, 4, 9)], MASK)
    assert found.verdict == ("shifted" if shifted else "unshifted")
    assert found.contradicts(shifted=declared) == (shifted != declared)
