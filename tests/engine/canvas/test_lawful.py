"""With an exact model and one token a round, selectors that promise it write texts of the model's law."""

import math
from collections import Counter

import pytest
import torch

from ptgflow.engine.canvas.remasking import Gibbs, Uninformed
from ptgflow.engine.canvas.selectors import (
    SELECTORS,
    EntropyBound,
    Everything,
    Factor,
    MaskGit,
    SlowFast,
    TauLeaping,
    Threshold,
    TopK,
    Wino,
)
from tests.engine.canvas.hidden_markov import (
    HOLE,
    HiddenMarkov,
    assert_law,
    by_pattern,
    chi_square,
    exact_law,
    filled,
    fills,
    generate,
    sight_of,
    total_variation,
)

LENGTH = 5
WITHOUT_CHANCE = {
    "threshold": Threshold(tau=1.0),
    "factor": Factor(factor=1e-9),
    "topk": TopK(k=1),
    "topk margin": TopK(k=1, score="margin"),
    "topk entropy": TopK(k=1, score="entropy"),
    "entropy_bound": EntropyBound(gamma=1e-9),
    "slow_fast": SlowFast(high=1.0),
    "slow_fast at once": SlowFast(high=1.0, reach=0.9, window=1, explore=1),
    "maskgit": MaskGit(steps=LENGTH, schedule="linear"),
    "wino": Wino(threshold=1.0),
}
BY_CHANCE = {
    "topk random": TopK(k=1, score="random"),
    "maskgit": MaskGit(steps=4, schedule="linear", temperature=2.0),
}


def test_every_promise_is_put_to_the_test():
    tested = {type(rule).name for rule in (*WITHOUT_CHANCE.values(), *BY_CHANCE.values())}
    assert tested == {name for name, rule in SELECTORS.items() if rule.lawful}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("rule", WITHOUT_CHANCE.values(), ids=WITHOUT_CHANCE)
def test_one_token_a_round_has_the_exact_law(rule, seed):
    markov = HiddenMarkov.random(seed, LENGTH)
    law, rounds = exact_law(markov, rule)
    assert rounds == pytest.approx(LENGTH)
    assert_same(law, markov)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rule", BY_CHANCE.values(), ids=BY_CHANCE)
def test_one_token_a_round_has_the_exact_law_whatever_numbers_the_rule_draws(rule, seed):
    markov = HiddenMarkov.random(2, 4)
    law, rounds = exact_law(markov, rule, streams=by_pattern(seed))
    assert rounds == pytest.approx(4)
    assert_same(law, markov)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("remasker", [Uninformed(probability=0.4, rounds=3), Gibbs(k=1, tau=1e9, rounds=2)])
def test_opening_blindly_and_filling_one_by_one_keeps_the_exact_law(remasker, seed):
    markov = HiddenMarkov.random(2, 3)
    law, rounds = exact_law(markov, TopK(k=1, score="random"), remasker, streams=by_pattern(seed))
    assert rounds >= 3
    assert_same(law, markov)


def assert_same(law, markov):
    for text in markov.texts():
        assert law[text] == pytest.approx(markov.law(text), rel=1e-9), text


def sample(markov, rule, count):
    generator = torch.Generator().manual_seed(11)
    return Counter(generate(markov, rule, generator)[0] for _ in range(count))


class ByDraw:
    """What published samplers do: the surest hole by the probability of what was drawn."""

    def opened(self):
        return self

    def select(self, sight):
        scores = sight.law.gather(-1, sight.tokens[:, None])[:, 0]
        return torch.arange(len(scores)) == scores.argmax()


def test_a_plain_loop_over_one_generator_has_the_law_and_a_choice_that_reads_what_is_drawn_has_not():
    """Numbers by chance as in use: drawn for tokens and for rules one after the other."""
    markov = HiddenMarkov.random(2, 3)
    expected = {text: markov.law(text) for text in markov.texts()}
    assert_law(sample(markov, TopK(k=1, score="random"), 300), expected)
    statistic, freedom = chi_square(sample(markov, ByDraw(), 300), expected)
    assert statistic > freedom + 6 * math.sqrt(2 * freedom)


def test_filling_more_at_once_is_not_lawful():
    markov = HiddenMarkov.random(0, LENGTH)
    errors = [total_variation(exact_law(markov, TopK(k=k))[0], markov) for k in (1, 2, 5)]
    assert errors[0] < 1e-9
    assert 0.01 < errors[1] < errors[2]
    assert errors[2] == pytest.approx(total_variation(exact_law(markov, Everything())[0], markov))


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("done", [0, 2])
def test_a_step_of_tau_leaping_has_the_law_of_its_formula(schedule, done):
    """Survey, Eq. 9, from time t to s with t the share that is masked: a hole stays one with probability s / t."""
    markov, steps = HiddenMarkov.random(3, 3), 4
    shares = [1 - i / steps if schedule == "linear" else math.cos(math.pi / 2 * i / steps) for i in range(steps + 1)]
    stays = shares[done + 1] / shares[done]
    canvas, expected = (HOLE, 1, HOLE), {}
    law = markov.predict(canvas)
    for holes in [(a, b) for a in (True, False) for b in (True, False)]:
        for tokens, chance in fills(law, holes):
            after, _ = filled(canvas, tokens, holes)
            expected[after] = chance * math.prod(1 - stays if yes else stays for yes in holes)
    assert sum(expected.values()) == pytest.approx(1.0)
    rule, generator, counts = TauLeaping(steps=steps, schedule=schedule), torch.Generator().manual_seed(5), Counter()
    for _ in range(1000):
        tokens = torch.multinomial(law.exp(), 1, generator=generator)[:, 0]
        chosen = rule.select(sight_of(markov, canvas, tokens, done, generator))
        counts[filled(canvas, tokens.tolist(), chosen.tolist())[0]] += 1
    assert_law(counts, expected)


def test_the_error_of_tau_leaping_falls_with_its_steps():
    markov = HiddenMarkov.random(2, 3)
    errors = []
    for steps in (1, 4, 16):
        rule = TauLeaping(steps=steps)
        laws = [exact_law(markov, rule, streams=by_pattern(seed))[0] for seed in range(40)]
        mean = Counter({text: sum(law[text] for law in laws) / len(laws) for text in markov.texts()})
        errors.append(total_variation(mean, markov))
    assert errors[0] == pytest.approx(total_variation(exact_law(markov, Everything())[0], markov))
    assert errors[1] < errors[0] / 2
    assert errors[2] < errors[0] / 5
