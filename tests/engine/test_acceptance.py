"""What holds for every rule of acceptance, and the walk that they all are at temperature 0."""

from typing import get_args

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ptgflow.engine.acceptance import RULES, AcceptanceRule, Bild, Judged, TopK, walk
from ptgflow.engine.randomness import Purpose, Uniforms, uniform
from ptgflow.engine.trees import EMPTY, TokenTree
from ptgflow.stages.draft_verify.options import Acceptance

VOCAB = 4
ALL = [rule() for rule in RULES.values()]
STRICT = [rule for rule in ALL if not rule.tolerant_when_greedy]
named = {"ids": lambda rule: rule.name}
laws_of_nodes = st.integers(0, 2**31).map(
    lambda seed: torch.rand(9, VOCAB, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) ** 3 + 1e-6
)


@st.composite
def shapes(draw, chain=False, distinct=False):
    """The tokens and parents of trees, or of chains; all siblings differ where they are to be distinct."""
    parents = [node - 1 if chain else draw(st.integers(-1, node - 1)) for node in range(draw(st.integers(1, 8)))]
    tokens = draw(st.lists(st.integers(0, VOCAB - 1), min_size=len(parents), max_size=len(parents)))
    if distinct:
        assume(len({*zip(parents, tokens, strict=True)}) == len(tokens))
    return tuple(tokens), tuple(parents)


def tree_for(rule, data, **how):
    return TokenTree(*data.draw(shapes(chain=rule.chains_only, **how)))


@settings(max_examples=100, deadline=None)
@given(shape=shapes(distinct=True), data=st.data())
def test_a_walk_goes_as_far_down_as_the_target_says_the_same(shape, data):
    tree = TokenTree(*shape)
    targets = data.draw(st.lists(st.integers(0, VOCAB - 1), min_size=len(tree) + 1, max_size=len(tree) + 1))
    agreed = [
        tree.path(node)
        for node in range(-1, len(tree))
        if all(tree.tokens[one] == targets[tree.parents[one] + 1] for one in tree.path(node))
    ]
    longest = max(agreed, key=len)
    assert walk(tree, targets) == Judged(path=longest, token=targets[longest[-1] + 1 if longest else 0])


def test_of_equal_siblings_a_walk_takes_the_first():
    tree = TokenTree((5, 5, 6, 6), (-1, -1, 0, 1))
    assert walk(tree, (5, 6, 8, 1, 2)) == Judged(path=(0, 2), token=1)


def test_a_walk_needs_a_token_for_the_text_and_each_node():
    assert walk(EMPTY, [3]) == Judged(path=(), token=3)
    with pytest.raises(AssertionError, match="one for the text"):
        walk(TokenTree.chain([1]), [1])


@settings(max_examples=50, deadline=None)
@given(data=st.data(), laws=laws_of_nodes)
@pytest.mark.parametrize("rule", STRICT, **named)
def test_at_temperature_zero_a_strict_rule_walks_beside_the_likeliest_tokens(rule, laws, data):
    tree = tree_for(rule, data)
    expected = walk(tree, laws[: len(tree) + 1].argmax(dim=-1).tolist())
    assert rule.judge_greedily(lambda at: laws[at], tree) == expected


@settings(max_examples=50, deadline=None)
@given(data=st.data(), chance=st.floats(0, 1, exclude_max=True))
@pytest.mark.parametrize("rule", ALL, **named)
def test_beside_a_target_that_is_certain_every_rule_walks(rule, chance, data):
    tree = tree_for(rule, data, distinct=True)
    targets = data.draw(st.lists(st.integers(0, VOCAB - 1), min_size=len(tree) + 1, max_size=len(tree) + 1))
    certain = torch.eye(VOCAB, dtype=torch.float64)[targets]
    judged = rule.judge(lambda at: certain[at], tree, None, 0, lambda position, purpose, attempt=0: chance)
    assert judged == walk(tree, targets)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), laws=laws_of_nodes, seed=st.integers(0, 2**31), stochastic=st.booleans())
@pytest.mark.parametrize("rule", ALL, **named)
def test_each_number_is_asked_for_once_and_only_of_positions_that_are_written(rule, laws, seed, stochastic, data):
    """A later round must not meet a number that this one has looked at."""
    tree, start, asked = tree_for(rule, data), 10, []
    laws = laws / laws.sum(dim=-1, keepdim=True)

    def numbers(position, purpose, attempt=0):
        asked.append((position, purpose, attempt))
        return uniform(seed, position, purpose, attempt)

    drafts = laws.roll(1, dims=0)[: len(tree)] if stochastic else None
    judged = rule.judge(lambda at: laws[at], tree, drafts, start, numbers)
    assert len(asked) == len(set(asked))
    assert {position for position, _, _ in asked} <= set(range(start, start + len(judged.path) + 1))
    assert Purpose.DRAFT not in {purpose for _, purpose, _ in asked}
    assert judged.path == (tree.path(judged.path[-1]) if judged.path else ())


@settings(max_examples=40, deadline=None)
@given(data=st.data(), laws=laws_of_nodes, seed=st.integers(0, 2**31))
@pytest.mark.parametrize("name", ["speculative", "match"])
def test_the_target_is_asked_only_for_what_is_come_by(name, laws, seed, data):
    tree, asked = tree_for(RULES[name](), data), []
    laws = laws / laws.sum(dim=-1, keepdim=True)

    def target(at):
        asked.append(at)
        return laws[at]

    judged = RULES[name]().judge(target, tree, None, 0, lambda *key: uniform(seed, *key))
    assert asked == [0, *(node + 1 for node in judged.path)]


def test_each_rule_declares_its_guarantee():
    promised = {name: (rule().guarantee(0.0), rule().guarantee(0.7)) for name, rule in RULES.items()}
    lossless = ("exact", "distribution")
    assert promised == {
        **dict.fromkeys(("speculative", "match", "block"), lossless),
        "typical": ("exact", "none"),
        "top_k": ("none", "none"),
        "bild": ("none", "none"),
    }


def test_the_table_has_every_rule_under_its_name():
    assert tuple(RULES) == get_args(Acceptance)
    assert all(rule.name == name and issubclass(rule, AcceptanceRule) for name, rule in RULES.items())
    assert [rule.name for rule in ALL if rule.chains_only] == ["block"]
    assert [rule.name for rule in ALL if rule.draws_ahead and rule.same_text_as_sampling] == ["match"]
    assert [type(rule) for rule in ALL if rule.tolerant_when_greedy] == [TopK, Bild]


def test_a_first_attempt_has_the_number_of_its_position_and_others_have_their_own():
    assert uniform(7, 3, Purpose.ACCEPT, 0) == uniform(7, 3, Purpose.ACCEPT)
    count = 4000
    first, second, third = ([uniform(5, at, Purpose.ACCEPT, attempt) for at in range(count)] for attempt in range(3))
    along = [uniform(5, 3, Purpose.ACCEPT, attempt) for attempt in range(count)]
    for numbers in (second, third, along):
        assert all(0.0 <= number < 1.0 for number in numbers)
        bins = torch.histc(torch.tensor(numbers, dtype=torch.float64), bins=20, min=0.0, max=1.0)
        chi_square = float(((bins - count / 20) ** 2 / (count / 20)).sum())
        assert chi_square < 43.8  # 0.1 % quantile of 19 degrees of freedom
    for left, right in ((first, second), (first[1:], second), (second, third), (along, first), (along[1:], along)):
        pairs = list(zip(left, right, strict=False))
        covariance = sum((a - 0.5) * (b - 0.5) for a, b in pairs) / len(pairs)
        assert abs(covariance * 12) < 4 / len(pairs) ** 0.5


def test_a_row_s_numbers_are_uniforms():
    assert isinstance(lambda position, purpose, attempt=0: 0.5, Uniforms)
