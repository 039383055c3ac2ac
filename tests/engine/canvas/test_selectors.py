"""Each selector against its definition, written down directly, and what all of them keep to."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ptgflow.engine.canvas.rules import Selector
from ptgflow.engine.canvas.schedules import masked_count, masked_share
from ptgflow.engine.canvas.selectors import (
    SELECTORS,
    EntropyBound,
    Everything,
    Factor,
    MaskGit,
    ReMdmFill,
    SlowFast,
    TauLeaping,
    Threshold,
    TopK,
    Wino,
)
from tests.engine.canvas.hidden_markov import HiddenMarkov, generate
from tests.engine.canvas.rounds import laws, shares, sight, surety

ALL = [
    Threshold(tau=0.7),
    Factor(factor=0.8),
    TopK(k=2),
    TopK(k=2, score="margin"),
    TopK(k=1, score="entropy"),
    TopK(k=3, score="random"),
    EntropyBound(gamma=0.5),
    SlowFast(),
    TauLeaping(steps=4),
    TauLeaping(steps=4, schedule="cosine"),
    ReMdmFill(steps=4, eta=0.5),
    ReMdmFill(steps=4, mode="loop"),
    MaskGit(steps=3),
    MaskGit(steps=5, schedule="linear", temperature=4.5),
    Everything(),
    Wino(),
]


def chosen(rule, seen):
    found = rule.opened().select(seen)
    assert found.dtype == torch.bool
    assert len(found) == len(seen.positions)
    return found.nonzero()[:, 0].tolist()


def sure(law):
    return [max(row) for row in law]


def best(scores, count):
    """The first places among equal scores."""
    return sorted(sorted(range(len(scores)), key=lambda at: -scores[at])[:count])


def entropy(row):
    return -sum(p * math.log(p) for p in row if p > 0)


@given(laws(), shares)
def test_threshold_fills_all_that_are_sure_and_the_surest(law, tau):
    assume(all(abs(c - tau) > 1e-9 for c in sure(law)))
    expected = {at for at, c in enumerate(sure(law)) if c >= tau} | set(best(sure(law), 1))
    assert chosen(Threshold(tau=tau), sight(law)) == sorted(expected)


def test_threshold_takes_what_is_just_as_sure_as_asked():
    assert chosen(Threshold(tau=0.75), sight(surety([0.75, 0.74, 0.75]))) == [0, 2]


@given(laws(), st.floats(0.01, 5.0))
def test_factor_fills_the_longest_run_of_the_surest_that_its_inequality_allows(law, factor):
    ranked = sorted(sure(law), reverse=True)
    sides = [(n + 1) * (1 - c) for n, c in enumerate(ranked, start=1)]
    assume(all(abs(side - factor) > 1e-9 for side in sides))
    count = max([n for n, side in enumerate(sides, start=1) if side < factor], default=1)
    assert all(side < factor for side in sides[:count]) or count == 1
    assert chosen(Factor(factor=factor), sight(law)) == best(sure(law), count)


@given(laws(), st.integers(1, 9))
def test_topk_fills_those_with_the_highest_score(law, k):
    tops = [sorted(row, reverse=True) for row in law]
    scores = {
        "probability": sure(law),
        "margin": [top[0] - top[1] for top in tops],
        "entropy": [-entropy(row) for row in law],
    }
    for name, of in scores.items():
        found = chosen(TopK(k=k, score=name), sight(law))
        assert len(found) == min(k, len(law))
        # Up to rounding, as different laws may have the same score.
        assert (
            min(of[at] for at in found) >= max([of[at] for at in range(len(law)) if at not in found], default=-9) - 1e-9
        )


def test_the_scores_of_topk_differ():
    law = [[0.55, 0.45, 0.0], [0.5, 0.25, 0.25], [0.54, 0.23, 0.23]]
    picks = {score: chosen(TopK(score=score), sight(law)) for score in ("probability", "margin", "entropy")}
    assert picks == {"probability": [0], "margin": [2], "entropy": [0]}


def test_topk_by_chance_fills_every_set_as_often():
    counts = {}
    for seed in range(600):
        found = tuple(chosen(TopK(k=2, score="random"), sight(surety([0.9, 0.5, 0.6]), seed=seed)))
        counts[found] = counts.get(found, 0) + 1
    assert sorted(counts) == [(0, 1), (0, 2), (1, 2)]
    assert all(abs(count - 200) < 4 * math.sqrt(600 * 2 / 9) for count in counts.values())


@given(laws(), st.floats(0.01, 4.0))
def test_entropy_bound_fills_the_largest_set_within_its_budget(law, gamma):
    ranked = sorted(entropy(row) for row in law)
    sums = [sum(ranked[:n]) - max(ranked[:n]) for n in range(1, len(ranked) + 1)]
    assume(all(abs(side - gamma) > 1e-9 for side in sums))
    found = chosen(EntropyBound(gamma=gamma), sight(law))
    assert len(found) == max(n for n, side in enumerate(sums, start=1) if side < gamma)
    assert sorted(entropy(law[at]) for at in found) == pytest.approx(ranked[: len(found)])


@given(laws(), st.floats(0.0, 1.0))
def test_wino_fills_at_most_its_share_and_at_least_one(law, threshold):
    law = law * 5
    assume(all(abs(c - threshold) > 1e-9 for c in sure(law)))
    above = sum(c > threshold for c in sure(law))
    most = min(max(int(0.7 * len(law) + 1e-9), 5), 20)
    assert chosen(Wino(threshold=threshold), sight(law)) == best(sure(law), max(min(above, most), 1))


@given(laws(), st.integers(0, 9))
def test_everything_fills_everything(law, done):
    assert chosen(Everything(), sight(law, done=done)) == list(range(len(law)))


@given(st.sampled_from(["linear", "cosine"]), st.integers(1, 40), st.integers(0, 120), st.data())
def test_schedules_go_from_all_to_none_and_count_in_whole_numbers(schedule, steps, places, data):
    done = data.draw(st.integers(0, steps))
    share = 1 - done / steps if schedule == "linear" else math.cos(math.pi / 2 * done / steps)
    assert masked_share(schedule, done, steps) == pytest.approx(share, abs=1e-12)
    count = masked_count(schedule, places, done, steps)
    assert places * share - 1 < count <= places * share + 1e-6
    assert masked_count(schedule, places, steps, steps) == 0
    assert masked_count(schedule, places, 0, steps) == places
    if schedule == "linear":
        assert masked_count(schedule, places * steps, done, steps) == places * (steps - done)


@given(laws(), st.integers(1, 6), st.sampled_from(["linear", "cosine"]), st.sampled_from([0.0, 3.0]))
def test_maskgit_leaves_as_many_holes_as_its_schedule_says(law, steps, schedule, temperature):
    rule, left = MaskGit(steps=steps, schedule=schedule, temperature=temperature).opened(), list(range(len(law)))
    for done in range(steps):
        if not left:
            break
        found = rule.select(sight([law[at] for at in left], done=done)).tolist()
        new = [at for at, yes in zip(left, found, strict=True) if not yes]
        if temperature == 0.0:
            of = sure([law[at] for at in left])
            assert [at for at, yes in enumerate(found) if yes] == best(of, len(left) - len(new))
        assert len(new) == min(masked_count(schedule, len(law), done + 1, steps), len(left) - 1)
        left = new
    assert not left


def test_the_noise_of_maskgit_draws_holes_in_proportion_to_their_confidence():
    """The largest of log c + Gumbel is hole i with probability c_i / sum c: at the temperature 1 / (1 - r)."""
    law, count = surety([0.9, 0.6, 0.5]), 1200
    rule, hits = MaskGit(steps=3, schedule="linear", temperature=1.5), [0, 0, 0]
    for seed in range(count):
        (at,) = chosen(rule, sight(law, seed=seed))
        hits[at] += 1
    for hit, chance in zip(hits, (0.45, 0.3, 0.25), strict=True):
        assert abs(hit - count * chance) < 4 * math.sqrt(count * chance * (1 - chance))


def test_slow_fast_finds_a_span_and_fills_it_before_what_is_behind():
    rule = SlowFast(high=0.9).opened()
    holes = [10, 11, 12, 13, 14, 15]
    block = range(10, 16)

    def step(confidences, done):
        found = rule.select(sight(surety(confidences), done=done, positions=holes, block=block)).tolist()
        filled = [at for at, yes in zip(holes, found, strict=True) if yes]
        holes[:] = [at for at in holes if at not in filled]
        return filled

    # `reach` is 0.3, which every law of two tokens exceeds, so here the span is the whole block.
    assert step([0.6, 0.7, 0.6, 0.8, 0.6, 0.6], 0) == [13]
    assert step([0.95, 0.6, 0.91, 0.6, 0.6], 1) == [10, 12]
    assert step([0.6, 0.6, 0.99], 2) == [15]


def three(confidence):
    rest = (1.0 - confidence) / 4
    return [confidence, rest, rest, rest, rest]


def test_slow_fast_looks_slowly_until_its_guesses_agree_and_then_only_inside():
    rule, block = SlowFast(high=0.9, reach=0.5).opened(), range(8)
    first = [0.4, 0.6, 0.3, 0.3, 0.3, 0.3, 0.55, 0.3]
    holes = list(block)
    assert rule.select(sight([three(c) for c in first], positions=holes, block=block)).nonzero()[:, 0].tolist() == [1]
    # The guess was 7; now it is 3, and the deviation of both 2, so that it still looks slowly: at everything.
    holes.remove(1)
    second = [0.4, 0.5, 0.3, 0.3, 0.3, 0.3, 0.49]
    law = [three(c) for c in second]
    assert rule.select(sight(law, positions=holes, block=block, done=1)).nonzero()[:, 0].tolist() == [1]
    holes.remove(2)
    # The guess is 4 now, near enough to 3: the span is 0 to 3. Filled are two that are sure, one of them behind it.
    third = [0.4, 0.95, 0.3, 0.3, 0.3, 0.3]
    law = [three(c) for c in third]
    assert rule.select(sight(law, positions=holes, block=block, done=2)).nonzero()[:, 0].tolist() == [1]
    holes.remove(3)
    # Fast: the surest of the span, which has only the hole 0 left, although others are surer.
    law = [three(c) for c in [0.3, 0.99, 0.99, 0.99, 0.99]]
    assert rule.select(sight(law, positions=holes, block=block, done=3)).nonzero()[:, 0].tolist() == [0]
    holes.remove(0)
    # The span is full: behind it the next is looked for, where two are sure.
    law = [three(c) for c in [0.99, 0.3, 0.99, 0.3]]
    assert rule.select(sight(law, positions=holes, block=block, done=4)).nonzero()[:, 0].tolist() == [0, 2]


def test_slow_fast_settles_on_the_mean_when_its_guesses_never_agree():
    rule, block = SlowFast(high=1.0, reach=0.5, explore=3).opened(), range(12)
    holes = list(block)
    for done, far in enumerate([11, 5, 9]):
        law = [three(0.6 if at == far else 0.45 if at == done else 0.3) for at in holes]
        assert holes[int(rule.select(sight(law, positions=holes, block=block, done=done)).nonzero()[0, 0])] == far
        holes.remove(far)
    # The guesses were 12, 6 and 10; the mean of the last two is 8, so that what is sure at 8 is not looked at yet.
    law = [three(0.99 if at == 8 else 0.4 if at == 2 else 0.3) for at in holes]
    assert holes[int(rule.select(sight(law, positions=holes, block=block, done=3)).nonzero()[0, 0])] == 2


def test_slow_fast_returns_to_what_was_opened_again():
    rule, block = SlowFast(high=0.9, window=1, explore=1, reach=0.5).opened(), range(4)
    rule.select(sight([three(c) for c in [0.6, 0.4, 0.3, 0.3]], positions=[0, 1, 2, 3], block=block))
    rule.select(sight([three(0.4)] * 3, positions=[1, 2, 3], block=block, done=1))
    assert rule.select(sight([three(0.4)], positions=[0], block=block, done=2)).tolist() == [True]


@settings(max_examples=15)
@given(laws(), st.integers(0, 9), st.integers(0, 99), st.data())
@pytest.mark.parametrize("rule", ALL, ids=repr)
def test_something_is_filled_and_what_is_drawn_is_not_read(rule, law, done, seed, data):
    tokens = torch.tensor(data.draw(st.lists(st.integers(0, 2), min_size=len(law), max_size=len(law))))
    found = chosen(rule, sight(law, done=done, seed=seed))
    assert found or (isinstance(rule, TauLeaping | ReMdmFill) and done < rule.steps - 1)
    assert found == chosen(rule, sight(law, done=done, seed=seed, tokens=tokens))


@pytest.mark.parametrize("rule", ALL, ids=repr)
def test_a_rule_keeps_its_options_and_forgets_a_block(rule):
    assert isinstance(rule, Selector)
    assert SELECTORS[rule.name] is type(rule)
    used, seen = rule.opened(), sight(surety([0.9, 0.6, 0.55, 0.8]))
    used.select(seen)
    again, new = used.opened(), rule.opened()
    assert again == rule
    seen, same = replace(seen, generator=torch.Generator()), replace(seen, generator=torch.Generator())
    assert again.select(seen).tolist() == new.select(same).tolist()


@pytest.mark.parametrize("rule", ALL, ids=repr)
def test_a_block_ends(rule):
    markov, generator = HiddenMarkov.random(4, 4), torch.Generator().manual_seed(1)
    for _ in range(3):
        _, rounds = generate(markov, rule, generator)
        assert rounds <= max(4, rule.steps if isinstance(rule, TauLeaping | ReMdmFill) else 0)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Threshold(tau=0.0),
        lambda: Factor(factor=0.0),
        lambda: TopK(k=0),
        lambda: EntropyBound(gamma=0.0),
        lambda: TauLeaping(steps=0),
        lambda: MaskGit(steps=0),
        lambda: MaskGit(temperature=-1.0),
        lambda: Wino(threshold=1.5),
        lambda: SlowFast(explore=1),
    ],
)
def test_options_out_of_range_are_refused(bad):
    with pytest.raises(AssertionError):
        bad()


def test_where_nothing_is_opened_again_remdm_fills_as_tau_leaping_does():
    law = surety([0.9, 0.6, 0.8, 0.7, 0.55])
    for mode in ("cap", "rescale"):
        for done in range(6):
            plain = chosen(TauLeaping(steps=6), sight(law, done=done, seed=done))
            assert chosen(ReMdmFill(mode=mode, steps=6, eta=0.0), sight(law, done=done, seed=done)) == plain
            assert chosen(ReMdmFill(mode="conf", steps=6), sight(law, done=done, seed=done)) == plain


def test_remdm_fills_each_hole_as_often_as_its_schedule_says():
    rule, times = ReMdmFill(mode="rescale", steps=8, eta=0.6), 400
    seen = sight(surety([0.9, 0.6, 0.8]), done=4)
    found = sum(rule.select(seen).double() for _ in range(times)) / times
    # From 4 of 8 written to 5 of 8, where 0.6 * 3 / 4 of the written are opened again.
    chance = (5 / 8 - (1 - 0.45) * 4 / 8) / (4 / 8)
    assert rule.sigma(4) == pytest.approx(0.45)
    assert all(abs(one - chance) <= 4 * math.sqrt(chance * (1 - chance) / times) for one in found.tolist())
