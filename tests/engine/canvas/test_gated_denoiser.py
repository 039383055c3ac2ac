"""The adapted model over canvases, against one sequence over transformers' modules in which text and places are one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.engine.canvas import kept_texts
from ptgflow.engine.canvas.gated_denoiser import GatedDenoiser
from ptgflow.engine.canvas.rules import CanvasAsk
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.models.model import load_model
from ptgflow.engine.prefixes import LEAST
from ptgflow.engine.slots import RowInput
from tests.engine.heads_of_tiny import saved, window_states

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
IDS = st.integers(3, 200)
PLACES = st.lists(st.tuples(IDS, st.booleans()), min_size=1, max_size=9)


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    return load_heads(saved(tmp_path_factory.mktemp("masked"), "masked", MODEL), MODEL, kind="masked")


def ask(row, canvas, *, everything=False):
    """All holes of a canvas that is one block, or all of its places."""
    holes = frozenset(place for place, (_, hole) in enumerate(canvas) if hole)
    wanted = tuple(range(len(canvas))) if everything else tuple(sorted(holes))
    return CanvasAsk(
        row=row, tokens=tuple(token for token, _ in canvas), holes=holes, block=range(len(canvas)), wanted=wanted
    )


def expected(heads, prompt, canvas, *, everything=False):
    """What one sequence predicts: each place from the one before it."""
    holes = [place for place, (_, hole) in enumerate(canvas) if hole]
    wanted = list(range(len(canvas))) if everything else holes
    begin = 0 if everything else holes[0]
    text = [*prompt, *(token for token, _ in canvas[:begin])]
    window = [None if hole else token for token, hole in canvas[begin:-1]]
    states = window_states(heads, text, window) if window else text_states(heads, text)
    lines = states[[len(text) - 1 + place - begin for place in wanted]]
    return lines @ MODEL.output_rows(torch.arange(MODEL.vocab_size)).T


def text_states(heads, text):
    return window_states(heads, text, [text[-1]])[: len(text)]


@settings(max_examples=25, deadline=None)
@given(st.lists(IDS, min_size=1, max_size=12), PLACES.filter(lambda places: any(hole for _, hole in places)))
def test_holes_are_predicted_as_in_one_sequence(heads, prompt, canvas):
    for everything in (False, True):
        denoiser = GatedDenoiser(heads, MODEL)
        (found,) = denoiser.predict([ask(denoiser.admit(tuple(prompt), len(canvas)), canvas, everything=everything)])
        torch.testing.assert_close(found, expected(heads, prompt, canvas, everything=everything), atol=2e-4, rtol=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_what_is_kept_from_round_to_round_changes_nothing(heads, data):
    """Places are written and opened again, in several rows at once; each round is as if it were the row's first."""
    denoiser, rows = GatedDenoiser(heads, MODEL), []
    for _ in range(data.draw(st.integers(1, 3))):
        prompt = tuple(data.draw(st.lists(IDS, min_size=1, max_size=8)))
        rows.append((denoiser.admit(prompt, 7), prompt))
    for _ in range(3):
        asks, wanted = [], []
        for row, prompt in rows:
            canvas = data.draw(st.lists(st.tuples(IDS, st.booleans()), min_size=7, max_size=7))
            if any(hole for _, hole in canvas):
                asks.append(ask(row, canvas))
                wanted.append(expected(heads, prompt, canvas))
        if asks:
            for found, one in zip(denoiser.predict(asks), wanted, strict=True):
                torch.testing.assert_close(found, one, atol=2e-4, rtol=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_long_texts_are_read_in_stretches_and_what_they_share_once(heads, data):
    """Each row is as if it were alone and its text were read at once."""
    common = data.draw(st.lists(IDS, min_size=LEAST, max_size=2 * LEAST))
    own = st.lists(IDS, max_size=2 * LEAST)
    canvas = [(0, True)] * 4
    counted: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_texts, "STRETCH", data.draw(st.integers(1, 40)))
        denoiser = GatedDenoiser(heads, MODEL)
        whole = denoiser._pass.__class__.__call__

        def counting(self, cache, inputs):
            counted.append(sum(len(one.tokens) for one in inputs))
            return whole(self, cache, inputs)

        patch.setattr(denoiser._pass.__class__, "__call__", counting)
        every: list[int] = []
        for _ in range(2):
            prompts = [
                tuple([*common, *data.draw(own)] if data.draw(st.booleans()) else data.draw(own.filter(len)))
                for _ in range(data.draw(st.integers(1, 3)))
            ]
            rows = [denoiser.admit(prompt, 4) for prompt in prompts]
            every += rows
            counted.clear()
            found = denoiser.predict([ask(row, canvas) for row in rows])
            for prompt, one in zip(prompts, found, strict=True):
                torch.testing.assert_close(one, expected(heads, prompt, canvas), atol=2e-4, rtol=1e-4)
            assert all(most <= kept_texts.STRETCH for most in counted[:-1])
            assert sum(counted) <= sum(map(len, prompts))
        twice = [denoiser.admit(prompts[0], 4) for _ in range(2)]
        counted.clear()
        denoiser.predict([ask(row, canvas) for row in twice])
        if len(prompts[0]) > LEAST + 1:
            # All but the last token is there already.
            assert sum(counted) == 2
        for row in (*every, *twice):
            denoiser.free(row)
        assert len(denoiser._texts.cache) == 0


def test_the_first_place_is_predicted_by_the_model_itself(heads):
    prompt = (5, 9, 14, 40)
    denoiser, run = GatedDenoiser(heads, MODEL), MODEL.open_pass()
    (found,) = denoiser.predict([ask(denoiser.admit(prompt, 6), [(0, True)] * 6)])
    plain = run([RowInput(row=run.cache.admit(), tokens=prompt)])
    torch.testing.assert_close(found[0], plain[0], atol=1e-5, rtol=1e-5)
    assert float((found[1] - plain[0]).abs().max()) > 0.01


def test_a_row_that_leaves_frees_its_slots(heads):
    denoiser = GatedDenoiser(heads, MODEL)
    row = denoiser.admit((5, 6), 3)
    denoiser.predict([ask(row, [(0, True)] * 3)])
    denoiser.free(row)
    assert len(denoiser._texts.cache) == 0
