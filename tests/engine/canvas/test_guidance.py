"""Guidance against its formulas, against plain loops over models that are never wrong, and by the laws of texts."""

import itertools
import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.canvas.gated_denoiser import GatedDenoiser
from ptgflow.engine.canvas.guidance import Agreement, ClassifierFree, Guide, Judging, Product, Question
from ptgflow.engine.canvas.guidance.answering import answered
from ptgflow.engine.canvas.guidance.product import drawn, noise_for
from ptgflow.engine.canvas.guidance.reading_guide import ReadingGuide
from ptgflow.engine.canvas.lengths import Given
from ptgflow.engine.canvas.loop import CanvasLoop
from ptgflow.engine.canvas.remasking import ReMdm, WinoBack
from ptgflow.engine.canvas.request import CanvasRequest
from ptgflow.engine.canvas.selectors import Everything, Factor, Threshold, TopK, Wino
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.models.model import load_model
from ptgflow.engine.slots import RowInput
from ptgflow.errors import RunError
from tests.engine.canvas.hidden_markov import HOLE, HiddenMarkov, assert_law, filled, sight_of
from tests.engine.canvas.masked_networks import LAYOUTS, plain_logits
from tests.engine.canvas.oracle_denoiser import FIRST, MarkovDenoiser, MarkovGuide, after
from tests.engine.heads_of_tiny import saved

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
IDS = st.integers(3, 200)
PROMPT = (5,)


def blank(denoiser, size, selector=None, prompt=PROMPT, **more):
    return CanvasRequest(
        prompt_ids=prompt,
        canvas=(0,) * size,
        holes=(True,) * size,
        frozen=(False,) * size,
        denoiser=denoiser,
        selector=selector or Everything(),
        **{"length": Given(), **more},
    )


def filled_by_loop(requests, *, rows=64):
    loop = CanvasLoop(MODEL, requests[0].denoiser, max_rows=rows)
    numbers = [loop.admit(one) for one in requests]
    found, failed = {}, {}
    while not loop.idle:
        done = loop.round()
        found |= done.finished
        failed |= done.failed
    return [found.get(row, failed.get(row)) for row in numbers]


def text_of(decoded):
    return tuple(token - FIRST for token in decoded.token_ids)


# Classifier-free guidance.


@given(
    st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=2, max_size=6),
    st.floats(0.0, 8.0),
)
def test_the_law_of_classifier_free_guidance_is_a_ratio_of_powers(logits, scale):
    given_, without = (torch.tensor([line], dtype=torch.float64) for line in zip(*logits, strict=True))
    found = ClassifierFree(prompt=(), scale=scale).steer(given_, without).softmax(dim=-1)
    powers = given_.softmax(dim=-1) ** (1 + scale) / without.softmax(dim=-1) ** scale
    torch.testing.assert_close(found, powers / powers.sum())


def test_what_the_prompt_rules_out_stays_out_and_nothing_is_no_number():
    out = -math.inf
    given_, without = torch.tensor([[0.0, out, 1.0, out]]), torch.tensor([[0.0, 1.0, out, out]])
    found = ClassifierFree(prompt=(), scale=3.0).steer(given_, without).softmax(dim=-1)
    # The third is likely with the prompt alone.
    assert found.tolist() == [[0.0, 0.0, 1.0, 0.0]]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999), st.sampled_from([0.5, 1.0, 3.0]), st.floats(0.2, 2.0))
def test_each_hole_is_drawn_from_the_steered_law(seed, scale, temperature):
    """What a selector sees is the law by which tokens are drawn."""
    with_prompt, without = HiddenMarkov.random(seed, 3), HiddenMarkov.random(seed + 1, 3)
    denoiser, seen = MarkovDenoiser({PROMPT: with_prompt, (): without}, MODEL.vocab_size), []

    class Spy:
        def opened(self):
            return self

        def select(self, sight):
            seen.append(sight.law.exp()[:, FIRST : FIRST + 3])
            return torch.ones(len(sight.positions), dtype=torch.bool)

    guidance = ClassifierFree(prompt=(), scale=scale)
    sampling = Sampling(temperature=temperature)
    filled_by_loop([blank(denoiser, 3, Spy(), guidance=guidance, sampling=sampling)])
    canvas = (HOLE,) * 3
    powers = with_prompt.predict(canvas).exp() ** (1 + scale) / without.predict(canvas).exp() ** scale
    expected = powers ** (1 / temperature)
    torch.testing.assert_close(seen[0].double(), expected / expected.sum(dim=-1, keepdim=True), atol=1e-4, rtol=1e-3)
    assert denoiser.passes == 1, "both are asked in one pass"
    assert not denoiser.rows, "both rows have left"


@pytest.mark.parametrize("name", ["llada", "dream", "sdar"])
def test_public_models_are_asked_with_a_prompt_of_masks(name):
    """As LLaDA's code has it, against plain passes over both texts."""
    layout, prompt, canvas = LAYOUTS[name], (5, 9, 14, 2), [7, None, 21, None]
    denoiser = layout.denoiser()
    without = denoiser.without(prompt)
    assert without == (layout.conventions.mask_id,) * 4
    seen = []

    class Spy:
        def opened(self):
            return self

        def select(self, sight):
            seen.append(sight.law)
            return torch.ones(len(sight.positions), dtype=torch.bool)

    request = CanvasRequest(
        prompt_ids=prompt,
        canvas=tuple(token or 0 for token in canvas),
        holes=tuple(token is None for token in canvas),
        frozen=tuple(token is not None for token in canvas),
        denoiser=denoiser,
        selector=Spy(),
        guidance=ClassifierFree(prompt=without, scale=1.5),
    )
    filled_by_loop([request])
    with_prompt, plain_ = (plain_logits(layout, text, canvas)[[1, 3]] for text in (prompt, without))
    expected = plain_ + 2.5 * (with_prompt - plain_)
    expected[:, layout.conventions.mask_id] = -math.inf
    torch.testing.assert_close(seen[0].exp(), expected.softmax(dim=-1), atol=1e-3, rtol=1e-3)


# A guide.


def plain(markov, guide, selector, ratio):
    """The loop as its definition says it, with the likeliest tokens; ratio None: agreement."""
    generator, selector = torch.Generator().manual_seed(0), selector.opened()
    canvas, done = (HOLE,) * markov.length, 0
    while HOLE in canvas:
        law = markov.predict(canvas)
        tokens = law.argmax(dim=-1).tolist()
        chosen = selector.select(sight_of(markov, canvas, torch.tensor(tokens), done, generator)).tolist()
        holes = [place for place, token in enumerate(canvas) if token == HOLE]
        proposed = filled(canvas, tokens, [True] * len(holes))[0]
        taken = 1
        for at, place in enumerate(holes[1:], start=1):
            said = after(guide, proposed[:place])
            target = said if ratio is None else ratio * law[at] + (1 - ratio) * said
            if not chosen[at] or int(target.argmax()) != tokens[at]:
                break
            taken += 1
        canvas = filled(canvas, tokens, [at < taken for at in range(len(holes))])[0]
        done += 1
    return canvas, done


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 9999),
    st.sampled_from([None, 0.0, 0.3, 0.7, 1.0]),
    st.sampled_from([Everything(), TopK(k=3), Threshold(tau=0.6), Factor(factor=1.5)]),
)
def test_what_the_guide_confirms_is_written_from_the_left(seed, ratio, selector):
    markov, said = HiddenMarkov.random(seed, 5), HiddenMarkov.random(seed + 1, 5)
    denoiser, guide = MarkovDenoiser({PROMPT: markov}, MODEL.vocab_size), MarkovGuide(said, MODEL.vocab_size)
    rule = Agreement(guide=guide) if ratio is None else Product(guide=guide, ratio=ratio)
    (found,) = filled_by_loop([blank(denoiser, 5, selector, guidance=rule)])
    assert (text_of(found), found.rounds) == plain(markov, said, selector, ratio)
    assert found.verify_rounds == guide.passes
    assert found.accepted + found.rounds == 5, "of each round the first token, and what is confirmed"
    assert found.proposed >= found.accepted
    assert not guide.known, "the row has left"


def coupled(own, target):
    """How likely both are each token, where they are drawn with the same Gumbel noise.

    -log of the noise's minimum over v of max(own, target) decides: 1 / sum over u of max(own_u / own_v, target_u /
    target_v).
    """
    return [1 / sum(max(a / own[v], b / target[v]) for a, b in zip(own, target, strict=True)) for v in range(len(own))]


@pytest.mark.parametrize("seed", range(3))
def test_draws_with_the_same_noise_are_one_as_often_as_the_formula_says(seed):
    generator, times = torch.Generator().manual_seed(seed), 20_000
    laws = torch.randn(2, 4, generator=generator).double().mul(1.5).softmax(dim=-1)
    noise = noise_for(laws[:1].expand(times, 4), generator)
    own, target = (torch.tensor(drawn(law.log().expand(times, 4), noise)) for law in laws)
    for law, tokens in zip(laws, (own, target), strict=True):
        near(torch.bincount(tokens, minlength=4) / times, law.tolist(), times)
    near(torch.bincount(own[own == target], minlength=4) / times, coupled(*laws.tolist()), times)


def near(found, expected, times):
    for one, chance in zip(found.tolist(), expected, strict=True):
        assert abs(one - chance) <= 4 * math.sqrt(chance * (1 - chance) / times), (found, expected)


def law_of_texts(markov, guide, ratio):
    """The law of what adaptive parallel decoding writes, over all texts; ratio None: agreement.

    A round draws its first token from the model's own law, and goes on while both draws are one.
    """
    law = Counter()

    def go_on(written, chance):
        if len(written) == markov.length:
            law[written] += chance
            return
        canvas = (*written, *[HOLE] * (markov.length - len(written)))
        lines = markov.predict(canvas).exp().tolist()
        for token, share in enumerate(lines[0]):
            within((*written, token), chance * share, lines[1:])

    def within(written, chance, lines):
        if not lines:
            go_on(written, chance)
            return
        own, said = lines[0], after(guide, written).exp().tolist()
        if ratio is None:
            best = said.index(max(said))
            both = [share if token == best else 0.0 for token, share in enumerate(own)]
        else:
            powers = [a**ratio * b ** (1 - ratio) for a, b in zip(own, said, strict=True)]
            both = coupled(own, [power / sum(powers) for power in powers])
        for token, share in enumerate(both):
            within((*written, token), chance * share, lines[1:])
        go_on(written, chance * (1 - sum(both)))

    go_on((), 1.0)
    return law


@pytest.mark.parametrize("ratio", [None, 0.0, 0.6])
def test_texts_have_the_law_that_enumeration_gives(ratio):
    markov, said, times = HiddenMarkov.random(3, 3), HiddenMarkov.random(8, 3), 400
    expected = law_of_texts(markov, said, ratio)
    assert sum(expected.values()) == pytest.approx(1.0)
    denoiser, guide = MarkovDenoiser({PROMPT: markov}, MODEL.vocab_size), MarkovGuide(said, MODEL.vocab_size)
    rule = Agreement(guide=guide) if ratio is None else Product(guide=guide, ratio=ratio)
    sampling = Sampling(temperature=1.0)
    requests = [blank(denoiser, 3, guidance=rule, sampling=sampling, seed=seed) for seed in range(times)]
    counts = Counter(text_of(one) for one in filled_by_loop(requests))
    assert_law(counts, {text: expected[text] for text in itertools.product(range(3), repeat=3)})


def test_ratio_one_confirms_everything_and_asks_in_vain():
    markov = HiddenMarkov.random(3, 4)
    denoiser = MarkovDenoiser({PROMPT: markov}, MODEL.vocab_size)
    guide = MarkovGuide(HiddenMarkov.random(8, 4), MODEL.vocab_size)
    for temperature in (0.0, 0.7):
        sampling = Sampling(temperature=temperature, repetition_penalty=1.3)
        requests = [
            blank(denoiser, 4, guidance=Product(guide=guide, ratio=1.0), sampling=sampling, seed=seed)
            for seed in range(20)
        ]
        assert all(one.rounds == 1 for one in filled_by_loop(requests))


def test_a_guide_that_no_token_needs_is_not_asked():
    markov = HiddenMarkov.random(3, 4)
    denoiser, guide = MarkovDenoiser({PROMPT: markov}, MODEL.vocab_size), MarkovGuide(markov, MODEL.vocab_size)
    (found,) = filled_by_loop([blank(denoiser, 4, Threshold(tau=1.0), guidance=Agreement(guide=guide))])
    assert (found.rounds, found.verify_rounds, guide.passes) == (4, 0, 0)


# What has no memory for all.


class Small:
    """A guide with memory for few rows."""

    def __init__(self, guide, most):
        self.guide, self.most, self.widths = guide, most, []

    def answer(self, questions):
        if len(questions) > self.most:
            raise MemoryError
        self.widths.append(len(questions))
        return self.guide.answer(questions)

    def forget(self, row):
        self.guide.forget(row)


def test_rows_that_a_guide_has_no_memory_for_at_once_are_asked_in_parts():
    markov = HiddenMarkov.random(3, 4)
    whole, small = MarkovGuide(markov, MODEL.vocab_size), Small(MarkovGuide(markov, MODEL.vocab_size), 2)
    questions = [Question(row=row, text=(5, 40 + row % 3), wanted=(2,)) for row in range(5)]
    expected, none = answered(whole, questions)
    found, failed = answered(small, questions)
    assert not none
    assert not failed
    assert all(torch.equal(found[row], expected[row]) for row in range(5))
    assert sorted(small.widths) == [1, 2, 2]


def test_a_row_that_a_guide_has_no_memory_for_alone_fails():
    markov = HiddenMarkov.random(3, 4)
    denoiser = MarkovDenoiser({PROMPT: markov, (6,): markov}, MODEL.vocab_size)
    none, good = Small(MarkovGuide(markov, MODEL.vocab_size), 0), MarkovGuide(markov, MODEL.vocab_size)
    failed, found = filled_by_loop(
        [blank(denoiser, 4, guidance=Agreement(guide=none)), blank(denoiser, 4, guidance=Agreement(guide=good))]
    )
    assert isinstance(failed, RunError)
    assert isinstance(failed.__cause__, MemoryError)
    assert len(found.token_ids) == 4
    assert not denoiser.rows


# A real model.


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    return GatedDenoiser(load_heads(saved(tmp_path_factory.mktemp("m"), "masked", MODEL), MODEL, kind="masked"), MODEL)


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_a_model_that_reads_says_what_a_pass_over_the_whole_text_says(data):
    """In several rows and rounds, between which texts change anywhere."""
    guide = ReadingGuide(MODEL, vocab=MODEL.vocab_size)
    for _ in range(3):
        questions = []
        for row in range(data.draw(st.integers(1, 3))):
            text = tuple(data.draw(st.lists(IDS, min_size=1, max_size=9)))
            wanted = sorted({len(text), *data.draw(st.sets(st.integers(1, len(text)), max_size=3))})
            questions.append(Question(row=row, text=text, wanted=tuple(wanted)))
        for one, found in zip(questions, guide.answer(questions), strict=True):
            expected = [said_after(one.text[:place]) for place in one.wanted]
            torch.testing.assert_close(found, torch.stack(expected), atol=2e-4, rtol=1e-4)
    guide.forget(0)
    guide.forget(7)
    assert len(guide._rows) <= 2


def said_after(text):
    run = MODEL.open_pass()
    return run([RowInput(row=run.cache.admit(), tokens=text)])[0]


def test_tokens_that_a_guide_lacks_have_no_chance_and_those_of_its_own_are_left_out():
    question = [Question(row=0, text=(5, 9, 14), wanted=(2, 3))]
    (plain_,) = ReadingGuide(MODEL, vocab=MODEL.vocab_size).answer(question)
    (more,) = ReadingGuide(MODEL, vocab=MODEL.vocab_size + 3).answer(question)
    (fewer,) = ReadingGuide(MODEL, vocab=MODEL.vocab_size - 3).answer(question)
    assert torch.equal(more[:, :-3], plain_)
    assert bool((more[:, -3:] == -math.inf).all())
    assert torch.equal(fewer, plain_[:, :-3])


RULES = {
    "cfg": lambda guide, denoiser: ClassifierFree(prompt=denoiser.without((7,)), scale=1.5),
    "agreement": lambda guide, denoiser: Agreement(guide=guide),
    "apd": lambda guide, denoiser: Product(guide=guide, ratio=0.5),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_guided_row_is_filled_as_alone_whatever_is_beside_it(gated, name, temperature):
    rule = RULES[name](ReadingGuide(MODEL, vocab=MODEL.vocab_size), gated)
    rules = [(TopK(k=3), None), (Wino(threshold=0.01), WinoBack()), (Everything(), ReMdm(steps=4, eta=0.5))]
    requests = [
        blank(
            gated,
            4 + 3 * number,
            rules[number % 3][0],
            tuple([7 + 3 * number] * (1 + 2 * number)),
            remasker=rules[number % 3][1],
            guidance=rule,
            sampling=Sampling(temperature=temperature),
            seed=9,
            block_length=5,
        )
        for number in range(4)
    ]
    alone = [filled_by_loop([one])[0] for one in requests]
    together = filled_by_loop(requests, rows=3)
    assert [one.token_ids for one in together] == [one.token_ids for one in alone]
    for one, request in zip(alone, requests, strict=True):
        assert len(one.token_ids) == len(request.canvas)
    assert len(gated._texts.cache) == 0


def test_the_kinds_are_told_apart(gated):
    guide = ReadingGuide(MODEL, vocab=MODEL.vocab_size)
    assert isinstance(guide, Guide)
    kinds = {name: isinstance(make(guide, gated), Judging) for name, make in RULES.items()}
    assert kinds == {"cfg": False, "agreement": True, "apd": True}
    for bad in (lambda: Product(guide=guide, ratio=1.1), lambda: ClassifierFree(prompt=(), scale=-1.0)):
        with pytest.raises(AssertionError):
            bad()
