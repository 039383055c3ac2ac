"""Each re-masker against its definition, written down directly, and the bound that each has."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ptgflow.engine.canvas.remasking import (
    P2,
    REMASKERS,
    Gibbs,
    MaskPredict,
    Nothing,
    ReMdm,
    Uninformed,
    WinoBack,
)
from ptgflow.engine.canvas.rules import Remasker
from ptgflow.engine.canvas.selectors import Everything, TauLeaping, Threshold, TopK, Wino
from tests.engine.canvas.hidden_markov import HiddenMarkov, generate
from tests.engine.canvas.rounds import settled, settleds, shares

BOUNDED = {
    "none": (Nothing(), 0),
    "cap": (ReMdm(mode="cap", eta=0.5, steps=6), 6),
    "rescale": (ReMdm(mode="rescale", eta=1.0, steps=6), 6),
    "conf": (ReMdm(mode="conf", steps=6), 6),
    "loop": (ReMdm(mode="loop", eta=1.0, steps=6), 6),
    "p2": (P2(steps=5), 5),
    "p2 cosine": (P2(steps=5, eta=2.0, schedule="cosine"), 5),
    "gibbs": (Gibbs(k=2, tau=0.1, rounds=3), 12),
    "uninformed": (Uninformed(probability=1.0, rounds=5), 5),
    "wino": (WinoBack(threshold_back=1.0), 0),
    "mask_predict": (MaskPredict(iterations=4), 4),
}
"""With the rounds after which nothing more is opened, or for gibbs twice as many as there are of refilling."""


def reopened(rule, shown):
    found = rule.opened().reopen(shown)
    assert found.dtype == torch.bool
    assert len(found) == len(shown.positions)
    return found.nonzero()[:, 0].tolist()


def lowest(scores, count):
    """The first places among equal scores."""
    return sorted(sorted(range(len(scores)), key=lambda at: scores[at])[: max(count, 0)])


@given(settleds())
def test_none_opens_nothing(shown):
    assert reopened(Nothing(), shown) == []


@given(settleds(), st.integers(1, 12))
def test_mask_predict_opens_the_least_likely_as_many_as_are_due(shown, iterations):
    done, places = shown.round + 1, len(shown.positions) + shown.holes
    due = places * (iterations - done) // iterations if done < iterations else 0
    assert reopened(MaskPredict(iterations=iterations), shown) == lowest(shown.written.tolist(), due - shown.holes)


@given(settleds(), st.integers(1, 12), st.floats(0.0, 4.0), st.sampled_from(["linear", "cosine"]))
def test_p2_opens_the_lowest_of_what_is_new_and_what_is_rated_again(shown, steps, eta, schedule):
    part = (shown.round + 1) / steps
    kappa = 1.0 if part >= 1 else part if schedule == "linear" else 1 - math.cos(math.pi / 2 * part)
    due = (len(shown.positions) + shown.holes) * (1 - kappa)
    assume(abs(due - round(due)) > 1e-6 or schedule == "linear")
    due = math.floor(due + 1e-9)
    scores = torch.where(shown.fresh, shown.written, eta * shown.now).tolist()
    assert reopened(P2(steps=steps, eta=eta, schedule=schedule), shown) == lowest(scores, due - shown.holes)


def test_p2_without_weight_on_what_stands_opens_what_is_new_first():
    shown = settled([0.9, 0.5, 0.99], now=[0.0, 0.5, 0.5], fresh=[False, False, True])
    assert reopened(P2(steps=3, eta=0.0), shown)[-1] == 2
    assert reopened(P2(steps=3, eta=1.0), shown) == [0, 1]


@given(settleds(), st.floats(0.05, 1.0))
def test_wino_opens_the_weakest_of_what_is_old_and_fewer_than_were_written(shown, back):
    now = shown.now.exp().tolist()
    assume(all(abs(one - back) > 1e-9 for one in now))
    weak = [at for at, one in enumerate(now) if one < back and not shown.fresh[at]]
    most = max(int(shown.fresh.sum()) - 1, 0)
    assert reopened(WinoBack(threshold_back=back), shown) == sorted(sorted(weak, key=lambda at: now[at])[:most])


@given(st.integers(2, 40), st.data(), st.floats(0.0, 1.0))
def test_the_sigmas_of_remdm_are_those_of_its_formulas(steps, data, eta):
    done = data.draw(st.integers(0, steps - 2))
    t, s = 1 - done / steps, 1 - (done + 1) / steps
    most = min(1.0, (1 - (1 - s)) / (1 - t)) if done else 1.0
    assert ReMdm(mode="cap", steps=steps, eta=eta).sigma(done) == pytest.approx(min(eta, most))
    assert ReMdm(mode="rescale", steps=steps, eta=eta).sigma(done) == pytest.approx(eta * most)
    assert ReMdm(mode="conf", steps=steps).sigma(done) == pytest.approx(most)
    assert ReMdm(mode="rescale", steps=steps).sigma(done) == pytest.approx(0.015 * most)
    assert ReMdm(mode="cap", steps=steps).sigma(done) == pytest.approx(min(0.008, most))
    for mode in ("cap", "rescale", "conf", "loop"):
        assert ReMdm(mode=mode, steps=steps).sigma(steps - 1 + done) == 0.0


def alpha(rule, done):
    """The share that is written after so many rounds, as the paper has it."""
    t = 1 - done / rule.steps
    if rule.mode != "loop":
        return 1 - t
    if t > rule.t_on:
        return rule.alpha_on * (1 - t) / (1 - rule.t_on)
    return rule.alpha_on if t > rule.t_off else 1 - (1 - rule.alpha_on) * t / rule.t_off


@given(st.integers(2, 40), st.data(), st.sampled_from(["cap", "rescale", "loop"]), st.floats(0.0, 1.0))
def test_what_remdm_opens_is_made_up_for_by_what_it_fills(steps, data, mode, eta):
    """Of a share alpha_t that is written there is alpha_s after the round, whatever sigma: its section 4.1."""
    rule, done = ReMdm(mode=mode, steps=steps, eta=eta), data.draw(st.integers(0, steps - 2))
    before, after = alpha(rule, done), alpha(rule, done + 1)
    assert before * (1 - rule.sigma(done)) + (1 - before) * rule.reveal(done) == pytest.approx(after, abs=1e-9)
    assert 0 <= rule.reveal(done) <= 1
    assert rule.reveal(steps - 1) == rule.reveal(steps + done) == 1.0


@given(st.integers(2, 40), st.data())
def test_remdm_by_confidence_fills_as_if_nothing_were_opened(steps, data):
    done = data.draw(st.integers(0, steps - 2))
    assert ReMdm(mode="conf", steps=steps).reveal(done) == pytest.approx(1 / (steps - done))


def test_the_loop_of_remdm_opens_only_between_its_ends():
    rule = ReMdm(mode="loop", steps=20, eta=1.0)
    # Alpha is 0.9 from t 0.55 to 0.05, where sigma is at most 0.1 / 0.9.
    inside = [done for done in range(20) if rule.sigma(done) > 0]
    assert inside == list(range(9, 19))
    assert [rule.sigma(done) for done in inside[:-1]] == pytest.approx([1 / 9] * 9)
    assert ReMdm(mode="loop", steps=20).sigma(12) == pytest.approx(0.02)


def frequencies(rule, shown, times=400):
    """How often each place is opened."""
    found = torch.zeros(len(shown.positions))
    for _ in range(times):
        found += rule.opened().reopen(shown)
    return (found / times).tolist()


def near(found, expected, times=400):
    for one, chance in zip(found, expected, strict=True):
        assert abs(one - chance) <= 4 * math.sqrt(chance * (1 - chance) / times), (found, expected)


def test_remdm_opens_what_is_not_new_as_often_as_sigma_says():
    shown = settled([0.9, 0.3, 0.6], fresh=[False, True, False], done=4)
    for mode in ("cap", "rescale"):
        rule = ReMdm(mode=mode, steps=8, eta=0.6)
        near(frequencies(rule, shown), [rule.sigma(4), 0.0, rule.sigma(4)])
    rule = ReMdm(mode="conf", steps=8)
    weights = [math.exp(-0.9), 0.0, math.exp(-0.6)]
    near(frequencies(rule, shown), [rule.sigma(4) * weight / sum(weights) for weight in weights])


def test_remdm_by_confidence_opens_nothing_where_all_is_new():
    assert reopened(ReMdm(mode="conf", steps=8), settled([0.1, 0.1], fresh=[True, True], done=2)) == []
    assert reopened(ReMdm(mode="conf", steps=8), settled([], done=2)) == []


def test_uninformed_opens_each_by_itself_for_its_rounds():
    shown = settled([0.9, 0.3, 0.6], fresh=[False, True, False], done=4)
    near(frequencies(Uninformed(probability=0.3, rounds=5), shown), [0.3] * 3)
    assert frequencies(Uninformed(probability=1.0, rounds=4), shown, 5) == [0.0] * 3


def test_gibbs_draws_places_without_replacement_by_their_weights():
    now, tau = [0.9, 0.3, 0.6], 0.5
    weights = [math.exp(-c / tau) for c in now]
    total = sum(weights)
    first = [weight / total for weight in weights]
    near(frequencies(Gibbs(k=1, tau=tau), settled(now)), first)
    both = [first[i] + sum(first[j] * weights[i] / (total - weights[j]) for j in range(3) if j != i) for i in range(3)]
    near(frequencies(Gibbs(k=2, tau=tau), settled(now)), both)
    assert frequencies(Gibbs(k=5, tau=tau), settled(now), 3) == [1.0] * 3


@given(settleds(), st.integers(0, 3))
def test_gibbs_waits_for_a_full_block_and_counts_its_rounds(shown, rounds):
    rule = Gibbs(k=2, rounds=rounds).opened()
    for turn in range(5):
        expected = min(2, len(shown.positions)) if shown.holes == 0 and turn < rounds else 0
        assert int(rule.reopen(shown).sum()) == expected
    assert int(rule.opened().reopen(shown).sum()) == (min(2, len(shown.positions)) if rounds and not shown.holes else 0)


@pytest.mark.parametrize("select", [Everything(), TopK(k=1), Threshold(tau=0.5), Wino(), TauLeaping(steps=4)], ids=repr)
@pytest.mark.parametrize("name", BOUNDED)
def test_every_block_ends_within_the_bound(name, select):
    markov, generator = HiddenMarkov.random(5, 4), torch.Generator().manual_seed(3)
    rule, bound = BOUNDED[name]
    text, rounds = generate(markov, select, generator, rule)
    assert len(text) == 4
    # After the bound nothing is opened, and four rounds at most fill what is open.
    assert rounds <= bound + 4


@settings(max_examples=25)
@given(st.integers(0, 999), shares, shares)
def test_wino_ends_within_as_many_rounds_as_there_are_places(seed, out, back):
    markov = HiddenMarkov.random(seed % 7, 4)
    _, rounds = generate(
        markov, Wino(threshold=out), torch.Generator().manual_seed(seed), WinoBack(threshold_back=back)
    )
    assert rounds <= 4


def test_every_rule_is_in_the_table_and_bounded():
    assert {type(rule) for rule, _ in BOUNDED.values()} == set(REMASKERS.values())
    for rule, _ in BOUNDED.values():
        assert isinstance(rule, Remasker)
        assert REMASKERS[rule.name] is type(rule)
        assert rule.opened() == rule


@pytest.mark.parametrize(
    "bad",
    [
        lambda: ReMdm(steps=0),
        lambda: ReMdm(mode="conf", eta=0.5),
        lambda: ReMdm(t_on=0.1, t_off=0.2),
        lambda: ReMdm(alpha_on=1.0),
        lambda: P2(steps=0),
        lambda: P2(eta=-1.0),
        lambda: Gibbs(k=0),
        lambda: Gibbs(tau=0.0),
        lambda: Uninformed(probability=2.0),
        lambda: WinoBack(threshold_back=1.5),
        lambda: MaskPredict(iterations=0),
    ],
)
def test_options_out_of_range_are_refused(bad):
    with pytest.raises(AssertionError):
        bad()
