"""When a text ends: each policy against its definition, and in the loop against plain ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.engine.canvas.lengths import Extent, FirstEnd, Fixed, Given, LengthPolicy, Progress, UntilEnd
from ptgflow.engine.canvas.loop import CanvasLoop
from ptgflow.engine.canvas.remasking import WinoBack
from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.canvas.selectors import Everything, Factor, Threshold, TopK, Wino
from ptgflow.engine.models.model import load_model
from tests.engine.canvas.hidden_markov import HOLE, HiddenMarkov
from tests.engine.canvas.oracle_denoiser import MarkovDenoiser

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
END = min(MODEL.codec.eos_ids)
IDS = (40, 41, END)
SELECTORS = [Everything(), TopK(k=2), TopK(k=1, score="entropy"), Threshold(tau=0.7), Factor(factor=1.0), Wino()]


@st.composite
def progresses(draw):
    """Two blocks of four, some of the second block's places with holes."""
    block = draw(st.sampled_from([range(4), range(4, 8)]))
    holes = draw(st.sets(st.sampled_from(list(block)))) | set(range(block.stop, 8))
    tokens = [draw(st.sampled_from([1, 2, 9])) for _ in range(8)]
    said = {place: draw(st.sampled_from([1, 9])) for place in block if place in holes}
    final = draw(st.sampled_from([min(holes, default=8), block.start]))
    return Progress(tokens=tokens, holes=holes, said=said, block=block, final=final, end_ids={9, 10})


@given(progresses())
def test_extents_are_as_they_are_defined(progress):
    tokens, final = progress.tokens, progress.final
    ends = [place for place in range(final) if tokens[place] == 9]
    assert Given().extent(progress) == Extent(final, over=False)
    assert Fixed().extent(progress) == Extent(min([*ends, final]), over=False)
    assert FirstEnd().extent(progress) == Extent(min([*ends, final]), over=bool(ends))
    says = {place: progress.said[place] if place in progress.holes else tokens[place] for place in progress.block}
    agreed = [
        place for place in ends if place in says and all(says[later] == 9 for later in says if later > place)
    ]  # fmt: skip
    assert UntilEnd().extent(progress) == Extent(min([*agreed, final]), over=bool(agreed))


@given(st.integers(1, 50), st.integers(1, 50))
def test_a_canvas_has_no_more_places_than_there_may_be(places, most):
    for kind in (Fixed, FirstEnd, UntilEnd):
        assert isinstance(kind(), LengthPolicy)
        assert kind().size(most) == Given().size(most) == most
        assert kind(places=places).size(most) == min(places, most)
        assert kind.ends
        with pytest.raises(AssertionError):
            kind(places=0)
    assert not Given.ends


def filled(markov, selector, policy, remasker=None, block=3):
    request = CanvasRequest(
        prompt_ids=(5,),
        canvas=(0,) * markov.length,
        holes=(True,) * markov.length,
        frozen=(False,) * markov.length,
        denoiser=MarkovDenoiser({(5,): markov}, MODEL.vocab_size, IDS),
        selector=selector,
        remasker=remasker,
        length=policy,
        block_length=block,
    )
    loop = CanvasLoop(MODEL, request.denoiser, max_rows=1)
    loop.admit(request)
    text, found = "", []
    while not loop.idle:
        done = loop.round()
        text += "".join(done.settled.values())
        found += done.finished.values()
    assert text == found[0].text, "all of a text has been told, and nothing was taken back"
    assert END not in found[0].token_ids
    return found[0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.sampled_from(SELECTORS), st.integers(2, 6), st.booleans())
def test_a_whole_canvas_says_no_more_than_the_first_end(seed, selector, block, again):
    """What is written behind an end token is none of the text, so it need not be written."""
    markov, remasker = HiddenMarkov.random(seed, 6), WinoBack() if again else None
    short, whole = (filled(markov, selector, policy, remasker, block) for policy in (FirstEnd(), Fixed()))
    assert (short.token_ids, short.finish_reason) == (whole.token_ids, whole.finish_reason)
    assert short.rounds <= whole.rounds
    assert (short.finish_reason == "length") == (len(short.token_ids) == 6)


def greedy_until_end(markov, block):
    """One likeliest token a round, from the left, until all that is left of a block says end."""
    text = []
    while len(text) < markov.length:
        canvas = (*text, *[HOLE] * (markov.length - len(text)))
        said = markov.predict(canvas).argmax(dim=-1).tolist()
        text.append(said[0])
        stop = min((len(text) - 1) // block * block + block, markov.length)
        later = said[1 : stop - len(text) + 1]
        if text[-1] == 2 and all(token == 2 for token in later):
            return text[:-1], "stop"
        begin = (len(text) - 1) // block * block
        # An end token that was disputed may be agreed on later, when the others are written.
        for place in range(begin, len(text)):
            if text[place] == 2 and all(token == 2 for token in (*text[place:], *later)):
                return text[:place], "stop"
    return text, "length"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.integers(2, 6))
def test_an_end_that_later_places_dispute_is_left_out(seed, block):
    markov = HiddenMarkov.random(seed, 6)
    found = filled(markov, Threshold(tau=1.0, progress="leftmost"), UntilEnd(), block=block)
    text, reason = greedy_until_end(markov, block)
    assert found.token_ids == tuple(IDS[token] for token in text if token != 2)
    assert found.finish_reason == reason


def test_an_end_that_all_agree_on_saves_what_is_behind_it():
    """A model whose texts have an end token at place 3, and from there on."""
    start, transitions = (1.0, 0.0, 0.0, 0.0), ((0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0, 0, 0, 1))
    emissions = ((0.9, 0.1, 0.0), (0.1, 0.9, 0.0), (0.8, 0.2, 0.0), (0.0, 0.0, 1.0))
    markov = HiddenMarkov(start, transitions, emissions, 8)
    found = {policy: filled(markov, Leftmost(), policy(), block=8) for policy in (UntilEnd, FirstEnd, Fixed)}
    assert all(one.token_ids == (40, 41, 40) for one in found.values())
    assert [one.rounds for one in found.values()] == [4, 4, 8]


class Leftmost:
    """One token a round."""

    def opened(self):
        return self

    def select(self, sight):
        return sight.positions == sight.positions[0]
