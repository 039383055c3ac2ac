"""The loop over canvases: rows that diverge, ends of texts, what is frozen, and that nothing stays masked."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.canvas.gated_denoiser import GatedDenoiser
from ptgflow.engine.canvas.lengths import FirstEnd, Given
from ptgflow.engine.canvas.loop import CanvasLoop
from ptgflow.engine.canvas.remasking.mask_predict import MaskPredict
from ptgflow.engine.canvas.remasking.p2 import P2
from ptgflow.engine.canvas.remasking.remdm import ReMdm
from ptgflow.engine.canvas.remasking.wino import WinoBack
from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.canvas.selectors.everything import Everything
from ptgflow.engine.canvas.selectors.factor import Factor
from ptgflow.engine.canvas.selectors.maskgit import MaskGit
from ptgflow.engine.canvas.selectors.tau_leaping import TauLeaping
from ptgflow.engine.canvas.selectors.threshold import Threshold
from ptgflow.engine.canvas.selectors.topk import TopK
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import DecodeRequest
from ptgflow.errors import RunError
from tests.engine.heads_of_tiny import saved

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
IDS = st.integers(3, 200)
LEFT = Threshold(tau=1.0, progress="leftmost")
PAIRS = [
    (Threshold(tau=0.02), None),
    (Factor(factor=3.0), None),
    (TopK(k=2, score="entropy"), ReMdm(steps=6)),
    (TopK(k=3), P2(steps=5)),
    (TauLeaping(steps=4), None),
    (MaskGit(steps=3, temperature=1.0), None),
    (Threshold(tau=0.01), WinoBack(threshold_back=0.02)),
    (Everything(), MaskPredict(iterations=4)),
]


@pytest.fixture(scope="module")
def denoiser(tmp_path_factory):
    folder = saved(tmp_path_factory.mktemp("masked"), "masked", MODEL)
    return GatedDenoiser(load_heads(folder, MODEL, kind="masked"), MODEL)


def blank(denoiser, prompt, size, selector, remasker=None, **more):
    return CanvasRequest(
        prompt_ids=tuple(prompt),
        canvas=(0,) * size,
        holes=(True,) * size,
        frozen=(False,) * size,
        denoiser=denoiser,
        selector=selector,
        remasker=remasker,
        **{"block_length": 5, "length": Given(), **more},
    )


def filled(denoiser, requests, *, rows=8):
    loop = CanvasLoop(MODEL, denoiser, max_rows=rows)
    numbers = [loop.admit(one) for one in requests]
    found, shown = {}, dict.fromkeys(numbers, "")
    while not loop.idle:
        round_ = loop.round()
        assert not round_.failed
        found |= round_.finished
        for row, text in round_.settled.items():
            shown[row] += text
    for row, one in found.items():
        assert shown[row] == one.text, "all of a text has been told, and nothing was taken back"
    return [found[row] for row in numbers]


def plain(prompt, size, **more):
    loop = DecodeLoop(MODEL, max_rows=1)
    loop.admit(DecodeRequest(prompt_ids=tuple(prompt), max_new_tokens=size, **more))
    while True:
        found = loop.round().finished
        if found:
            return next(iter(found.values()))


@settings(max_examples=10, deadline=None)
@given(st.lists(IDS, min_size=1, max_size=9), st.integers(1, 17), st.integers(2, 9))
def test_one_place_a_round_from_the_left_is_what_the_model_writes(denoiser, prompt, size, block):
    (found,) = filled(denoiser, [blank(denoiser, prompt, size, LEFT, block_length=block, length=FirstEnd())])
    wanted = plain(prompt, size)
    assert (found.token_ids, found.finish_reason) == (wanted.token_ids, wanted.finish_reason)
    assert found.scores == pytest.approx(wanted.scores, abs=1e-3)
    assert found.rounds <= max(len(found.token_ids) + 1, 1)


@pytest.mark.parametrize(("selector", "remasker"), PAIRS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_row_is_filled_as_alone_whatever_is_beside_it(denoiser, selector, remasker, temperature):
    sampling = Sampling(temperature=temperature)
    requests = [
        blank(
            denoiser, [7 + 3 * number] * (1 + 2 * number), 4 + 3 * number, selector, remasker, sampling=sampling, seed=9
        )
        for number in range(4)
    ]
    alone = [filled(denoiser, [one])[0] for one in requests]
    for rows in (2, 4):
        together = filled(denoiser, requests, rows=rows)
        assert [one.token_ids for one in together] == [one.token_ids for one in alone]
    for one, request in zip(alone, requests, strict=True):
        assert len(one.token_ids) == len(request.canvas)
        assert all(0 <= token < MODEL.vocab_size for token in one.token_ids), "a hole's id is no token's"
        assert not set(one.token_ids) & MODEL.codec.eos_ids
        assert all(score <= 0.0 for score in one.scores)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(IDS, st.booleans()), min_size=1, max_size=14))
def test_what_is_frozen_stays_and_every_hole_is_filled(denoiser, canvas):
    request = CanvasRequest(
        prompt_ids=(5,),
        canvas=tuple(token for token, _ in canvas),
        holes=tuple(hole for _, hole in canvas),
        frozen=tuple(not hole for _, hole in canvas),
        denoiser=denoiser,
        selector=TopK(k=2),
        remasker=ReMdm(steps=4),
        block_length=4,
        length=Given(),
    )
    loop = CanvasLoop(MODEL, denoiser, max_rows=1)
    if not any(request.holes):
        return
    loop.admit(request)
    while not loop.idle:
        for one in loop.round().finished.values():
            kept = [(place, token) for place, (token, hole) in enumerate(canvas) if not hole]
            assert all(one.token_ids[place] == token for place, token in kept)
            assert len(one.token_ids) == len(canvas)


def test_a_stop_string_ends_a_text_as_it_ends_the_model_s_own(denoiser):
    prompt = (5, 9, 14)
    whole = plain(prompt, 12).text
    stop = whole[len(whole) // 2 : len(whole) // 2 + 2]
    (found,) = filled(denoiser, [blank(denoiser, prompt, 12, LEFT, length=FirstEnd(), stop=(stop,))])
    wanted = plain(prompt, 12, stop=(stop,))
    assert (found.text, found.finish_reason, found.token_ids) == (wanted.text, "stop", wanted.token_ids)


def test_a_row_that_is_cancelled_leaves_the_others(denoiser):
    loop = CanvasLoop(MODEL, denoiser, max_rows=2)
    rows = [loop.admit(blank(denoiser, [5 + number], 6, LEFT)) for number in range(3)]
    loop.round()
    loop.cancel(rows[0])
    loop.cancel(rows[2])
    found = {}
    while not loop.idle:
        found |= loop.round().finished
    assert list(found) == [rows[1]]
    assert found[rows[1]].token_ids == filled(denoiser, [blank(denoiser, [6], 6, LEFT)])[0].token_ids


def test_a_canvas_that_the_model_cannot_read_is_refused(denoiser):
    loop = CanvasLoop(MODEL, denoiser, max_rows=1)
    with pytest.raises(RunError) as caught:
        loop.admit(blank(denoiser, [5, 6], MODEL.context_length - 1, LEFT))
    assert caught.value.codes == ("PTG634",)
    assert loop.idle
