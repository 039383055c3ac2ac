"""What a pass costs: the law through measured points, how they are measured, and where they are kept."""

from itertools import combinations
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ptgflow.contracts.cost_curve import CostCurve, CostPoint, CurveKey, _non_negative_least_squares
from ptgflow.engine.costs.measure import FAR, FULL, NEAR, QUICK, Shape, fitting, measure
from ptgflow.engine.costs.store import curve_path, device_name, load_curve, save_curve
from ptgflow.errors import RunError

KEY = CurveKey(
    device="some processor, 2 cores",
    threads=2,
    dtype="float32",
    forward="written",
    model="tiny",
    fingerprint="f",
    ptgflow="0.1.0",
    torch="2.6.0",
)

PACKED = {
    (1, 1, 256): 43, (1, 2, 256): 45, (1, 4, 256): 48, (1, 8, 256): 55, (1, 16, 256): 81, (4, 1, 256): 58,
    (8, 1, 256): 85, (4, 4, 256): 93, (8, 4, 256): 138, (8, 8, 256): 282,
}  # fmt: skip
"""(rows, width, context): milliseconds that were measured of a 135 M model with bf16 weights on two cores."""


def point(shape: Shape, seconds: float) -> CostPoint:
    return CostPoint(rows=shape.rows, width=shape.width, context=shape.context, seconds=seconds, repeats=3)


def curve(points) -> CostCurve:
    return CostCurve(key=KEY, points=tuple(points))


def at(found: CostCurve, one: Shape | CostPoint) -> float:
    return found.seconds(rows=one.rows, tokens=one.rows * one.width, context=one.context)


shapes = st.builds(Shape, st.integers(1, 8), st.integers(1, 16), st.sampled_from([0, 64, 256, 1024]))
noisy_curves = st.lists(st.builds(point, shapes, st.floats(1e-3, 1.0)), min_size=1, max_size=25).map(curve)
"""Through points that follow no law at all."""

laws = st.fixed_dictionaries(
    {
        "base": st.floats(0.01, 0.1),
        "steps": st.lists(st.floats(0.0, 0.05), min_size=200, max_size=200),
        "row": st.floats(0.0, 0.01),
        "row_slot": st.floats(0.0, 1e-4),
        "token_slot": st.floats(0.0, 1e-5),
    }
)


def true_seconds(law, one: Shape) -> float:
    tokens = one.rows * one.width
    body = law["base"] + sum(law["steps"][:tokens])
    slots = law["row_slot"] * one.rows + law["token_slot"] * tokens
    return body + law["row"] * (one.rows - 1) + slots * one.context


@given(noisy_curves, st.integers(1, 12), st.integers(1, 200), st.integers(0, 4000), st.integers(0, 50))
def test_no_pass_is_predicted_to_be_cheaper_than_a_smaller_one(found, rows, tokens, context, more):
    seconds = found.seconds(rows=rows, tokens=tokens, context=context)
    assert seconds >= min(one.seconds for one in found.points), "nothing is faster than what was measured"
    for larger in (
        found.seconds(rows=rows + more, tokens=tokens, context=context),
        found.seconds(rows=rows, tokens=tokens + more, context=context),
        found.seconds(rows=rows, tokens=tokens, context=context + more),
    ):
        assert larger >= seconds * (1 - 1e-12)


@pytest.mark.parametrize("grid", [QUICK, FULL], ids=["quick", "full"])
@given(laws)
def test_points_that_follow_the_law_are_predicted_exactly(grid, law):
    found = curve(point(one, true_seconds(law, one)) for one in grid)
    for one in grid:
        assert at(found, one) == pytest.approx(true_seconds(law, one), rel=1e-4)


@given(laws, st.lists(st.floats(0.96, 1.04), min_size=len(QUICK), max_size=len(QUICK)))
def test_noise_in_the_points_is_not_made_larger(law, noise):
    found = curve(point(one, true_seconds(law, one) * factor) for one, factor in zip(QUICK, noise, strict=True))
    for one in QUICK:
        assert at(found, one) == pytest.approx(true_seconds(law, one), rel=0.08)


def test_between_knots_and_beyond_them_time_is_linear():
    found = curve(point(Shape(1, width, 0), seconds) for width, seconds in ((1, 1.0), (4, 1.3), (8, 2.1)))
    times = [found.seconds(rows=1, tokens=tokens, context=0) for tokens in (1, 2, 4, 6, 8, 9, 18)]
    assert times == pytest.approx([1.0, 1.1, 1.3, 1.7, 2.1, 2.3, 4.1], rel=1e-6)


def test_a_curve_that_ends_flat_by_chance_goes_on_rising():
    """The last two points were measured in the wrong order; behind them the whole curve counts."""
    found = curve(point(Shape(1, width, 0), seconds) for width, seconds in ((1, 1.0), (4, 1.9), (5, 1.7)))
    four, five, nine = (found.seconds(rows=1, tokens=tokens, context=0) for tokens in (4, 5, 9))
    assert four == pytest.approx(five)
    assert 1.7 < five < 1.9
    assert nine == pytest.approx(five + 4 * (five - 1.0) / 4)


def test_shapes_of_equally_many_tokens_may_cost_different_times():
    found = curve(point(Shape(*shape), ms / 1000) for shape, ms in PACKED.items())
    for shape, ms in PACKED.items():
        assert at(found, Shape(*shape)) == pytest.approx(ms / 1000, rel=0.03), shape
    many = found.seconds(rows=8, tokens=8, context=256)
    assert many > 1.4 * found.seconds(rows=1, tokens=8, context=256)


def test_longer_contexts_cost_what_was_measured_of_them():
    law = {"base": 0.05, "steps": [0.001] * 200, "row": 0.002, "row_slot": 2e-5, "token_slot": 3e-6}
    found = curve(point(one, true_seconds(law, one)) for one in QUICK)
    for one in (Shape(1, 1, 2048), Shape(8, 2, 700), Shape(3, 5, 0), Shape(16, 4, 1024)):
        assert at(found, one) == pytest.approx(true_seconds(law, one), rel=1e-3)
    alone = curve(point(one, true_seconds(law, one)) for one in QUICK if one.context == NEAR)
    assert at(alone, Shape(8, 1, 4000)) == at(alone, Shape(8, 1, NEAR)), "one context says nothing of others"


def test_one_point_is_a_curve():
    found = curve([point(Shape(2, 2, 10), 0.4)])
    assert found.seconds(rows=2, tokens=4, context=10) == pytest.approx(0.4)
    assert found.seconds(rows=2, tokens=8, context=10) > 0.5
    with pytest.raises(ValidationError):
        curve([])


def test_where_rows_explain_everything_a_pass_is_still_not_free():
    found = curve(
        point(Shape(*shape), seconds) for shape, seconds in (((1, 5, 0), 0.2), ((4, 1, 0), 0.5), ((5, 1, 0), 1.0))
    )
    assert found.seconds(rows=1, tokens=1, context=0) == 0.2


@given(
    st.lists(st.lists(st.integers(-3, 3).map(float), min_size=4, max_size=4), min_size=1, max_size=4),
    st.lists(st.integers(-3, 3).map(float), min_size=4, max_size=4),
)
def test_the_non_negative_weights_are_the_best_ones(columns, wanted):
    """Against the best unconstrained solution over every subset of the columns that is not negative."""

    def error(weights, picked):
        matrix = torch.tensor([columns[place] for place in picked], dtype=torch.float64).T
        return float((matrix @ torch.tensor(weights, dtype=torch.float64) - aim).square().sum())

    aim = torch.tensor(wanted, dtype=torch.float64)
    least = float(aim.square().sum())
    for size in range(1, len(columns) + 1):
        for picked in combinations(range(len(columns)), size):
            matrix = torch.tensor([columns[place] for place in picked], dtype=torch.float64).T
            weights = (torch.linalg.pinv(matrix) @ aim).tolist()
            if min(weights) >= -1e-12:
                least = min(least, error(weights, picked))
    found = _non_negative_least_squares(columns, wanted)
    assert min(found) >= 0
    assert error(found, range(len(columns))) <= least + 1e-6


def clock(law):
    """A pass that takes what the law says, and on its first run of a shape ten times as long."""
    seen = []

    def run_pass(rows, width, context):
        seen.append(Shape(rows, width, context))
        return true_seconds(law, seen[-1]) * (10.0 if seen.count(seen[-1]) == 1 else 1.0)

    return run_pass, seen


LAW = {"base": 0.05, "steps": [0.001] * 200, "row": 0.002, "row_slot": 2e-5, "token_slot": 3e-6}


def test_shapes_are_timed_in_turn_and_first_passes_do_not_count():
    run_pass, seen = clock(LAW)
    told = []
    points = measure(run_pass, QUICK, 3, lambda *words: told.append(words))
    assert seen == [*QUICK] * 4
    assert [Shape(one.rows, one.width, one.context) for one in points] == list(QUICK)
    assert [one.seconds for one in points] == [true_seconds(LAW, one) for one in QUICK]
    assert {one.repeats for one in points} == {3}
    assert told == [("measuring what a pass costs",)]


def test_the_time_of_a_shape_is_its_median():
    times = iter([9.0, 9.0, 1.0, 4.0, 1.2, 5.0, 7.0, 6.0])
    points = measure(lambda rows, width, context: next(times), (Shape(1, 1, 8), Shape(1, 2, 8)), 3, lambda *words: None)
    assert [one.seconds for one in points] == [1.2, 5.0]


def test_the_first_measurement_of_a_device_is_short():
    """On the machine of `PACKED`, and with some more for contexts of 1024."""
    law = curve(point(Shape(*shape), ms / 1000) for shape, ms in PACKED.items())
    assert 4 * sum(at(law, one) for one in QUICK) < 3.0
    assert {one.context for one in QUICK} == {one.context for one in FULL} == {NEAR, FAR}


def test_an_interrupted_measurement_leaves_nothing(empty_cache):
    def run_pass(rows, width, context):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(run_pass, QUICK, 3, lambda *words: None)
    assert not empty_cache.exists()


@given(st.integers(2, 3000))
def test_a_grid_fits_into_a_short_context(length):
    found = fitting(FULL, context_length=length)
    assert found, "even the shortest model can be measured"
    assert len(set(found)) == len(found)
    assert all(one.context + one.width <= length and one.context >= 1 for one in found)
    if length >= FAR + 64:
        assert found == FULL


def test_a_stored_curve_comes_back(empty_cache):
    told = []
    tell = lambda *words: told.append(words)  # noqa: E731
    assert load_curve(KEY, tell) is None
    first = curve(point(one, true_seconds(LAW, one)) for one in QUICK)
    save_curve(first)
    assert load_curve(KEY, tell) == first
    assert at(load_curve(KEY, tell), QUICK[0]) == at(first, QUICK[0])
    second = curve(point(one, true_seconds(LAW, one)) for one in FULL)
    save_curve(second)
    assert load_curve(KEY, tell) == second
    assert [path.name for path in (empty_cache / "curves").iterdir()] == [curve_path(KEY).name]
    assert told == []


@pytest.mark.parametrize("name", CurveKey.model_fields)
def test_a_curve_is_true_of_its_key_only(empty_cache, name):
    save_curve(curve([point(QUICK[0], 0.1)]))
    other = KEY.model_copy(update={name: 3 if name == "threads" else "another"})
    assert load_curve(other, lambda *words: None) is None
    assert load_curve(KEY, lambda *words: None) is not None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"points": []}', b"of another key", b"with more in it"],
    ids=["empty", "cut", "bytes", "list", "keyless", "other", "newer"],
)
def test_a_file_that_is_of_no_use_is_told_and_ignored(empty_cache, content):
    whole = curve([point(QUICK[0], 0.1)])
    if content == b"of another key":
        content = whole.model_copy(update={"key": KEY.model_copy(update={"threads": 3})}).model_dump_json().encode()
    elif content == b"with more in it":
        content = whole.model_dump_json().replace('"repeats":3', '"repeats":3,"watts":5').encode()
        assert b"watts" in content
    path = curve_path(KEY)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    told = []
    assert load_curve(KEY, lambda *words: told.append(words)) is None
    assert len(told) == 1
    assert str(path) in told[0][0]
    save_curve(whole)
    assert load_curve(KEY, lambda *words: None) == whole


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(empty_cache: Path):
    empty_cache.write_text("a file stands where the folder should be")
    told = []
    assert load_curve(KEY, lambda *words: told.append(words)) is None
    assert len(told) == 1
    with pytest.raises(RunError, match="PTGFLOW_CACHE"):
        save_curve(curve([point(QUICK[0], 0.1)]))


def test_a_device_has_a_name():
    name = device_name(torch.device("cpu"))
    assert name.endswith(" cores")
    assert len(name) > len(", 8 cores")
