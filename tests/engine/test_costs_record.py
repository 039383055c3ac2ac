"""What is learnt of a drafter: which nodes count as trials, how fast, how long it is remembered, and by whom."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptgflow.engine.costs.acceptance_record import INHERITED, MEMORY, AcceptanceRecord
from ptgflow.engine.trees import TokenTree


@given(st.integers(0, 12), st.data())
def test_survival_is_a_probability_of_each_path(size, data):
    tree = TokenTree(tuple(range(size)), tuple(data.draw(st.integers(-1, node - 1)) for node in range(size)))
    record = AcceptanceRecord()
    grades = tuple(data.draw(st.integers(0, 2)) for _ in range(len(tree)))
    for _ in range(data.draw(st.integers(0, 5))):
        node = data.draw(st.integers(-1, len(tree) - 1))
        record.observe(tree, grades, tree.path(node))
    survival = record.survival(tree, grades)
    for children, above in zip(tree.children, (1.0, *survival), strict=True):
        assert all(0 < survival[child] <= above for child in children)
        assert sum(survival[child] for child in children) <= above * (1 + 1e-12)
        if len(children) == 1:
            assert survival[children[0]] == pytest.approx(above * record.rate(grades[children[0]]))


def test_what_was_judged_counts_and_nothing_else():
    """Below the text: a kept node and its sibling; below the kept one: two failures; below a failure: nothing."""
    tree = TokenTree((1, 2, 3, 4, 5, 6), (-1, -1, 0, 0, 1, 2))
    record = AcceptanceRecord()
    record.observe(tree, (10, 11, 12, 13, 14, 15), (0,))
    fresh = record.rate(99)
    assert record.rate(10) > fresh
    assert record.rate(11) == record.rate(12) == record.rate(13) < fresh
    assert record.rate(14) == record.rate(15) == fresh
    assert record.best_rate == record.rate(10)


def simulated_trials(record: AcceptanceRecord, rates, rounds: int, seed: int) -> None:
    """Chains of alternating grades, each node kept at its grade's rate."""
    draw = random.Random(seed)
    grades = tuple(at % len(rates) for at in range(6))
    for at in range(rounds):
        turned = grades[at % 2 :]
        kept = 0
        while kept < len(turned) and draw.random() < rates[turned[kept]]:
            kept += 1
        record.observe(TokenTree.chain(turned), turned, range(kept))


@pytest.mark.parametrize("rates", [(0.9, 0.6), (0.3, 0.8), (0.05, 0.05), (0.97, 0.97)])
def test_the_record_finds_the_true_rates(rates):
    found = [[], []]
    for seed in range(60):
        record = AcceptanceRecord()
        simulated_trials(record, rates, 80, seed)
        for grade in (0, 1):
            found[grade].append(record.rate(grade))
    for grade, rate in enumerate(rates):
        assert sum(found[grade]) / 60 == pytest.approx(rate, abs=0.03), "no bias"
        spread = (sum((one - rate) ** 2 for one in found[grade]) / 60) ** 0.5
        assert spread < 0.11, "what is known of two dozen trials"


def test_old_evidence_fades():
    record = AcceptanceRecord()
    leaf = TokenTree.chain((1,))
    for _ in range(500):
        record.observe(leaf, (), (0,))
    assert record.rate(0) > 0.97
    for _ in range(MEMORY):
        record.observe(leaf, (), ())
    assert 0.25 < record.rate(0) < 0.45, "1/e, and a little of the prior"


def test_an_idle_record_drifts_back_slowly_to_even_odds():
    record = AcceptanceRecord()
    for _ in range(3):
        record.observe(TokenTree.chain((1,)), (), ())
    rates = [record.rate(0)]
    for _ in range(300):
        record.idle()
        rates.append(record.rate(0))
    assert all(1 <= later / before < 1.031 for before, later in zip(rates, rates[1:], strict=False))
    assert rates[0] < 0.15
    assert rates[20] < 0.25
    assert rates[-1] == pytest.approx(0.5)


def test_grades_share_their_drift():
    alone, shared = AcceptanceRecord(), AcceptanceRecord()
    leaf = TokenTree.chain((1,))
    alone.observe(leaf, (0,), ())
    for grade in range(4):
        shared.observe(leaf, (grade,), ())
    before = shared.rate(0)
    while alone.rate(0) < 0.4:
        alone.idle()
        shared.idle()
    assert before < shared.rate(0) < 0.3


def test_a_good_drafter_is_believed_in_grades_that_were_not_met_and_a_bad_one_gets_several_trials():
    good, bad = AcceptanceRecord(), AcceptanceRecord()
    leaf = TokenTree.chain((1,))
    for _ in range(4):
        good.observe(leaf, (0,), (0,))
        bad.observe(leaf, (0,), ())
    assert good.rate(1) > 0.85
    assert bad.rate(0) < 0.1
    assert 0.25 < bad.rate(1) < 0.5


def test_a_new_row_starts_with_what_other_rows_have_learnt_and_can_soon_differ():
    loop = AcceptanceRecord()
    first = AcceptanceRecord(loop)
    leaf = TokenTree.chain((1,))
    for _ in range(200):
        first.observe(leaf, (), ())
    second = AcceptanceRecord(loop)
    assert first.rate(0) < second.rate(0) < 1 / INHERITED
    for _ in range(int(INHERITED)):
        second.observe(leaf, (), (0,))
    assert second.rate(0) > 0.5
    assert first.rate(0) < 0.05, "rows that have begun keep to what they know"
    assert loop.rate(0) > first.rate(0)
    for _ in range(500):
        second.idle()
    assert AcceptanceRecord(loop).rate(0) == pytest.approx(0.5), "a loop forgets as its rows do"
