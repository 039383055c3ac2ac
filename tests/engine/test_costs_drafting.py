"""Drafters that take time are asked while that pays, and tried again ever more rarely where it does not."""

from ptgflow.contracts.cost_curve import CostCurve, CostPoint, CurveKey
from ptgflow.engine.costs.drafting import Gain
from ptgflow.engine.costs.widths import FixedWidth, MeasuredWidth

KEY = CurveKey(device="d", threads=1, dtype="float32", forward="f", model="m", fingerprint="f", ptgflow="0", torch="2")
FLAT = MeasuredWidth(
    CostCurve(
        key=KEY,
        points=tuple(
            CostPoint(rows=rows, width=width, context=100, seconds=0.030, repeats=3)
            for rows, width in ((1, 1), (1, 8), (1, 64), (4, 16))
        ),
    )
)


def rounds_asked(kept, seconds, rounds, widths=FLAT):
    gain, asked = Gain(), 0
    for _ in range(rounds):
        if gain.ask():
            asked += 1
            gain.took(seconds)
            gain.learn(kept, 8)
            gain.settle(pays=widths.pays(gain, rows=1, context=100))
    return asked


def test_a_drafter_that_pays_is_always_asked():
    assert rounds_asked(kept=1, seconds=0.010, rounds=200) == 200


def test_a_drafter_that_does_not_pay_is_tried_ever_more_rarely():
    """A draft of a third of a pass of which nothing is kept is a loss: a dozen tries, then one in fifty rounds."""
    assert rounds_asked(kept=0, seconds=0.010, rounds=200) < 20
    few = rounds_asked(kept=0, seconds=0.010, rounds=1000) - rounds_asked(kept=0, seconds=0.010, rounds=500)
    assert 8 <= few <= 12


def test_what_is_kept_has_to_make_up_for_the_time():
    assert rounds_asked(kept=0.5, seconds=0.010, rounds=200) == 200, "1.5 tokens in 1.33 passes"
    assert rounds_asked(kept=0.5, seconds=0.020, rounds=200) < 40, "1.5 tokens in 1.67 passes"


def test_a_fixed_width_always_drafts():
    assert rounds_asked(kept=0, seconds=9.0, rounds=50, widths=FixedWidth(8)) == 50


def test_a_text_that_can_be_drafted_again_is_drafted_again():
    gain = Gain()
    for _ in range(300):
        if gain.ask():
            gain.took(0.010)
            gain.learn(0, 8)
            gain.settle(pays=FLAT.pays(gain, rows=1, context=100))
    asked = []
    for _ in range(300):
        asked.append(gain.ask())
        if asked[-1]:
            gain.learn(2, 8)
            gain.settle(pays=FLAT.pays(gain, rows=1, context=100))
    assert all(asked[-100:])
