"""How wide drafts are: which nodes are chosen, and what a simulated run gains or loses by it."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts.cost_curve import CostCurve, CostPoint, CurveKey
from ptgflow.engine.costs.acceptance_record import AcceptanceRecord
from ptgflow.engine.costs.widths import LONGEST, MARGIN, FixedWidth, MeasuredWidth, Offer, WidthPolicy, allot, limit
from ptgflow.engine.trees import EMPTY, TokenTree

KEY = CurveKey(device="d", threads=1, dtype="float32", forward="f", model="m", fingerprint="f", ptgflow="0", torch="2")
CONTEXT = 256
NOWHERE = Offer(tree=EMPTY, survival=(), context=CONTEXT)


def curve(times: dict[int, float], *, row: float = 0.0) -> CostCurve:
    """Passes that take so many milliseconds by the number of their tokens, and `row` more for each further row."""
    points = [
        CostPoint(rows=rows, width=tokens // rows, context=CONTEXT, seconds=(ms + row * (rows - 1)) / 1000, repeats=3)
        for tokens, ms in times.items()
        for rows in (1, 2, 4, 8)
        if tokens % rows == 0
    ]
    return CostCurve(key=KEY, points=tuple(points))


FLAT_TO_8 = curve({1: 30, 8: 30, 16: 60, 32: 120})
LINEAR = curve({1: 30, 2: 60, 4: 120, 8: 240, 16: 480, 64: 1920})
CURVES = {
    "written, bf16 weights": curve({1: 43, 2: 45, 4: 48, 8: 55, 16: 81, 32: 115, 64: 250}, row=4),
    "transformers, fp32": curve({1: 50, 2: 54, 4: 76, 8: 104, 16: 118, 32: 142, 64: 190}, row=2),
    "flat": curve({1: 30, 8: 30, 64: 30}),
    "flat, then a step": curve({1: 30, 2: 40, 8: 40, 64: 40}),
    "gently rising": curve({1: 30, 2: 31, 64: 93}),
    "rising": curve({1: 30, 2: 34, 64: 282}),
    "steep": curve({1: 30, 2: 42, 64: 786}),
    "linear": LINEAR,
}
curves = st.builds(
    lambda steps, row: curve(
        {tokens: 20.0 + sum(steps[: at + 1]) for at, tokens in enumerate((1, 2, 3, 4, 8, 16))}, row=row
    ),
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0, 10.0, 40.0]), min_size=6, max_size=6),
    st.sampled_from([0.0, 2.0]),
)


@st.composite
def plain_offers(draw, most=5):
    """Parents, survival as a record gives it but with more ties, and a context; see `offer`."""
    parents = [draw(st.integers(-1, node - 1)) for node in range(draw(st.integers(0, most)))]
    survival: list[float] = []
    for parent in parents:
        above = survival[parent] if parent >= 0 else 1.0
        survival.append(above * draw(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])))
    return parents, survival, draw(st.integers(0, 500))


def offer(plain) -> Offer:
    """Made outside of strategies, where run-time type checks may not draw random numbers."""
    parents, survival, context = plain
    return Offer(tree=TokenTree(tuple(parents), tuple(parents)), survival=tuple(survival), context=context)


def chains(survival: float, length: int, rows: int = 1) -> list[Offer]:
    tree = TokenTree.chain(range(length))
    return [Offer(tree=tree, survival=[survival**place for place in range(1, length + 1)], context=CONTEXT)] * rows


def value(given_offers, found, nodes, pending):
    """Expected tokens a second."""
    expected = len(nodes) + sum(
        one.survival[node] for one, some in zip(given_offers, nodes, strict=True) for node in some
    )
    tokens = pending + sum(map(len, nodes))
    context = max(one.context for one in given_offers)
    return expected / found.seconds(rows=len(nodes), tokens=tokens, context=context)


def closed_sets(tree: TokenTree):
    for flags in product((False, True), repeat=len(tree)):
        nodes = tuple(node for node, taken in enumerate(flags) if taken)
        if all(tree.parents[node] in (-1, *nodes) for node in nodes):
            yield nodes


def is_closed(tree: TokenTree, nodes: tuple[int, ...]) -> bool:
    return list(nodes) == sorted(set(nodes)) and all(tree.parents[node] in (-1, *nodes) for node in nodes)


@given(st.lists(plain_offers(most=4), min_size=1, max_size=3), curves, st.integers(0, 3))
def test_no_other_choice_promises_more(plain, found, more):
    given_offers = [offer(one) for one in plain]
    pending = len(given_offers) + more
    chosen = allot(given_offers, found, pending=pending)
    nothing = [()] * len(given_offers)
    alone = value(given_offers, found, nothing, pending)
    best = max(
        value(given_offers, found, sets, pending) for sets in product(*(closed_sets(one.tree) for one in given_offers))
    )
    if any(chosen):
        assert value(given_offers, found, chosen, pending) == pytest.approx(best, rel=1e-9)
        assert best > alone * (1 + MARGIN) * (1 - 1e-9)
    else:
        assert best <= alone * (1 + MARGIN) * (1 + 1e-9)


@given(st.lists(plain_offers(), min_size=1, max_size=8), curves, st.integers(1, 6))
def test_each_chosen_node_is_chosen_with_its_parent(plain, found, width):
    given_offers = [offer(one) for one in plain]
    for policy in (MeasuredWidth(found), FixedWidth(width)):
        assert isinstance(policy, WidthPolicy)
        chosen = policy.choose(given_offers)
        assert all(is_closed(one.tree, nodes) for one, nodes in zip(given_offers, chosen, strict=True))
    assert [len(nodes) for nodes in chosen] == [min(width, len(one.tree)) for one in given_offers]


def test_a_fixed_width_takes_the_likeliest_nodes_of_each_row():
    tree = TokenTree((1, 2, 3, 4), (-1, 0, -1, 2))
    offer = Offer(tree=tree, survival=(0.3, 0.2, 0.5, 0.3), context=0)
    assert FixedWidth(2).choose([offer, NOWHERE, offer], pending=500) == [(0, 2), (), (0, 2)]
    assert FixedWidth(2).limit(AcceptanceRecord(), rows=8, context=0) == 2


def test_a_pass_that_is_flat_to_8_tokens_is_filled_where_drafts_are_good_and_left_alone_where_they_are_not():
    assert allot(chains(0.9, 20), FLAT_TO_8, pending=1) == [tuple(range(7))]
    assert allot(chains(0.5, 20, rows=2), FLAT_TO_8, pending=2) == [(0, 1, 2)] * 2
    assert allot(chains(0.9, 20, rows=8), FLAT_TO_8, pending=8) == [()] * 8, "eight rows fill it already"
    assert allot(chains(0.02, 20), FLAT_TO_8, pending=1) == [()], "less than the margin"
    assert allot(chains(0.04, 20), FLAT_TO_8, pending=1) != [()]


def test_where_each_token_costs_a_pass_nothing_is_drafted():
    for rows in (1, 8):
        assert allot(chains(0.99, 20, rows), LINEAR, pending=rows) == [()] * rows
        record = AcceptanceRecord()
        record.observe(TokenTree.chain(range(20)), (), range(20))
        assert limit(record, LINEAR, rows, CONTEXT) == 0


def test_rows_are_judged_together():
    good, bad = chains(0.9, 3)[0], chains(0.3, 3)[0]
    assert allot([bad, NOWHERE, good, NOWHERE], FLAT_TO_8, pending=4) == [(0,), (), (0, 1, 2), ()]
    step = curve({1: 30, 2: 30, 3: 48, 16: 48})
    assert allot([*chains(0.7, 1), NOWHERE], step, pending=2) == [(), ()], "one draft does not pay for the step"
    assert allot(chains(0.7, 8, rows=2), step, pending=2)[0], "many do"
    assert allot([], step, pending=0) == []


def test_the_longest_context_of_a_pass_counts():
    points = [(1, 1, 0, 10.0), (1, 8, 0, 11.0), (1, 1, 1000, 20.0), (1, 8, 1000, 200.0)]
    found = CostCurve(
        key=KEY,
        points=tuple(
            CostPoint(rows=rows, width=width, context=context, seconds=ms, repeats=1)
            for rows, width, context, ms in points
        ),
    )
    near = chains(0.6, 8)[0]
    short, long = (Offer(tree=near.tree, survival=near.survival, context=context) for context in (0, 1000))
    assert allot([short], found, pending=1)[0]
    assert not allot([long], found, pending=1)[0]
    other = Offer(tree=EMPTY, survival=(), context=1000)
    assert not any(allot([short, other], found, pending=2))


def test_an_offer_is_refused_if_a_node_is_likelier_than_its_parent():
    tree = TokenTree.chain((1, 2))
    with pytest.raises(AssertionError, match="likelier than its parent"):
        Offer(tree=tree, survival=(0.4, 0.5), context=0)
    with pytest.raises(AssertionError, match="every node has a survival"):
        Offer(tree=tree, survival=(0.4,), context=0)


@given(curves, st.integers(1, 8), st.integers(0, 30), st.integers(0, 30))
def test_the_limit_is_the_best_length_of_a_chain_in_one_row_or_in_all(found, rows, hits, misses):
    record = AcceptanceRecord()
    leaf = TokenTree.chain((1,))
    for at in range(hits + misses):
        record.observe(leaf, (), (0,) if at < hits else ())
    chain = chains(record.rate(0), LONGEST)[0]
    wanted = []
    for drafting in (1, rows):
        values = [
            (rows + drafting * sum(chain.survival[:length]))
            / found.seconds(rows=rows, tokens=rows + drafting * length, context=CONTEXT)
            for length in range(LONGEST + 1)
        ]
        best = max(values)
        wanted.append(values.index(best) if best > values[0] * (1 + MARGIN) else 0)
    limited = limit(record, found, rows, CONTEXT)
    assert limited == max(wanted)
    assert limited >= len(allot([chain, *[NOWHERE] * (rows - 1)], found, pending=rows)[0])


def test_a_choice_is_fast():
    """Eight rows of 16 nodes take a tenth of a millisecond, and run-time checks of types a little more."""
    given_offers, found = chains(0.9, 16, rows=8), CURVES["flat"]
    record = AcceptanceRecord()
    record.observe(TokenTree.chain(range(64)), (), range(64))

    def shortest(call: Callable[[], object]) -> float:
        times = []
        for _ in range(50):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
        return min(times)

    assert shortest(lambda: allot(given_offers, found, pending=8)) < 5e-4
    assert shortest(lambda: limit(record, found, 8, CONTEXT)) < 5e-4


@dataclass(frozen=True)
class Pace:
    """A simulated run in units of a pass without drafts."""

    passes: list[float]
    tokens: list[int]
    """A row."""
    drafted: list[int]

    def time(self, start: int = 0) -> float:
        return sum(self.passes[start:])

    @property
    def speed(self) -> float:
        return sum(self.tokens) / sum(self.passes)


def run(found: CostCurve, rate: Callable[[int], float], *, rows=1, rounds=64, grades=1, cost=0.0, seed=0, loop=None):
    """Decode with drafts of up to 16 tokens, kept at `rate(round)` each; a draft costs `cost` more than measured."""
    draw, policy = random.Random(seed), MeasuredWidth(found)
    loop = loop or AcceptanceRecord()
    records = [AcceptanceRecord(loop) for _ in range(rows)]
    plain = found.seconds(rows=rows, tokens=rows, context=CONTEXT)
    pace = Pace([], [], [])
    for number in range(rounds):
        grade = draw.randrange(grades)
        given_offers = []
        for record in records:
            tree = TokenTree.chain([0] * min(16, policy.limit(record, rows=rows, context=CONTEXT)))
            given_offers.append(Offer(tree=tree, survival=record.survival(tree, [grade] * len(tree)), context=CONTEXT))
        written, drafted = 0, 0
        for record, one, nodes in zip(records, given_offers, policy.choose(given_offers), strict=True):
            kept = 0
            while kept < len(nodes) and draw.random() < rate(number):
                kept += 1
            written, drafted = written + 1 + kept, drafted + len(nodes)
            if nodes:
                record.observe(one.tree.restricted(nodes), [grade] * len(nodes), range(kept))
            else:
                record.idle()
        seconds = found.seconds(rows=rows, tokens=rows + drafted, context=CONTEXT)
        pace.passes.append(seconds / plain * (1 + cost * (drafted > 0)))
        pace.tokens.append(written / rows)
        pace.drafted.append(drafted)
    return pace


def best_speed(found: CostCurve, rate: float, rows: int) -> float:
    """Of drafts of one length, the same in every row, when the rate is known."""
    plain = found.seconds(rows=rows, tokens=rows, context=CONTEXT)
    return max(
        sum(rate**place for place in range(width + 1))
        * plain
        / found.seconds(rows=rows, tokens=rows * (width + 1), context=CONTEXT)
        for width in range(17)
    )


DEVICES = [*((name, 1) for name in CURVES), ("written, bf16 weights", 8), ("transformers, fp32", 8), ("rising", 8)]


@pytest.mark.parametrize(("name", "rows"), DEVICES)
def test_drafts_that_are_always_wrong_cost_next_to_nothing(name, rows):
    found, rounds = CURVES[name], 64
    assert run(found, lambda number: 0.0, rows=rows, rounds=rounds).time() < 1.02 * rounds
    assert run(found, lambda number: 0.0, rows=rows, rounds=rounds, cost=0.03).time() < 1.03 * rounds, "noisy curve"
    if rows == 1:
        assert run(found, lambda number: 0.0, rounds=400, grades=3).time() < 1.015 * 400


@pytest.mark.parametrize(("name", "rows"), [("rising", 1), ("flat, then a step", 1), ("transformers, fp32", 8)])
def test_many_short_rows_do_not_each_pay_for_the_same_lesson(name, rows):
    loop, count = AcceptanceRecord(), 20 if rows == 1 else 5
    paces = [run(CURVES[name], lambda number: 0.0, rows=rows, rounds=25, seed=at, loop=loop) for at in range(count)]
    assert sum(pace.time() for pace in paces) < 1.025 * 25 * count


@pytest.mark.parametrize(("name", "rows"), DEVICES)
def test_at_any_rate_drafting_is_no_loss_and_near_what_could_be_won(name, rows):
    found = CURVES[name]
    for rate in (0.1, 0.3, 0.6, 0.9, 1.0) if rows == 1 else (0.3, 0.9):
        speed = run(found, lambda number, rate=rate: rate, rows=rows, rounds=130 if rows == 1 else 50).speed
        assert speed > 0.98, rate
        if best_speed(found, 0.5, rows) > 1 + MARGIN:  # Even odds are enough for a try.
            assert speed > (0.96 if rate == 1.0 else 0.83) * best_speed(found, rate, rows), rate


@pytest.mark.parametrize("name", [name for name in CURVES if name != "linear"])
def test_a_text_that_becomes_copyable_is_found_out(name):
    switch = 150
    pace = run(CURVES[name], lambda number: float(number >= switch), rounds=switch + 48)
    assert 0 < sum(drafted > 0 for drafted in pace.drafted[:switch]) < switch / 2, "it is tried now and then"
    assert max(pace.tokens[switch:]) > 8, "within a few dozen rounds"


@pytest.mark.parametrize(("name", "rows"), [one for one in DEVICES if one[1] == 1 or one[0] == "rising"])
def test_a_text_that_is_copyable_no_longer_is_found_out(name, rows):
    """The first rounds bring all that a record remembers of good drafts, and the last ones are judged."""
    pace = run(CURVES[name], lambda number: float(number < 20), rows=rows, rounds=120)
    assert pace.time(20) - 100 < 30, "a few dozen passes are lost"
    assert pace.time(70) < 1.025 * 50, "and no more fifty rounds later"


@settings(max_examples=15)
@given(curves, st.sampled_from([1, 3]), st.integers(0, 100))
def test_on_no_device_wrong_drafts_cost_more_than_three_percent(found, rows, seed):
    assert run(found, lambda number: 0.0, rows=rows, rounds=64, seed=seed).time() < 1.03 * 64
