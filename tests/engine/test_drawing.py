"""Drafts that are drawn: the law of the text is the target's, and each token comes from the law that goes with it."""

import itertools
import math
from collections import Counter
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from ptgflow import DraftVerify, compile
from ptgflow.contracts import ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.acceptance import Block, Speculative
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.draft_models.drawing import DrawingDrafter
from ptgflow.engine.merging import merged
from ptgflow.engine.models.model import load_model
from ptgflow.engine.randomness import Purpose, uniform
from ptgflow.engine.request import Ask, DecodeRequest, Proposal
from ptgflow.engine.sampling import draw
from ptgflow.engine.trees import TokenTree
from tests.engine.test_acceptance_chains import PARTLY_KEPT, seeds
from tests.engine.test_acceptance_enumeration import (
    START,
    VOCAB,
    law_of_one_round,
    law_of_target,
    outcomes,
    rounds,
    stochastic_chain,
    tables,
)

CARD = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")
MODEL = load_model(CARD)
CPU = torch.device("cpu")
OPEN = Sampling(temperature=1.0)
each_rule = pytest.mark.parametrize("rule", [Speculative(), Block()], ids=lambda rule: rule.name)


class TablePass:
    """A model whose law follows from the last token alone. Every text begins with START."""

    def __init__(self, table):
        self.logits = torch.tensor([[math.log(a) if a else -math.inf for a in row] for row in table])
        self.texts, self.tokens, self.cache = {}, 0, self

    def admit(self):
        self.texts[len(self.texts)] = []
        return len(self.texts) - 1

    def rollback(self, row, length):
        del self.texts[row][length:]

    def commit(self, kept):
        assert all(list(places) == list(range(len(places))) for places in kept.values())

    def free(self, row):
        self.texts[row] = None

    def __call__(self, inputs):
        for one in inputs:
            assert one.tokens, "something is read"
            self.texts[one.row] += one.tokens
            self.tokens += len(one.tokens)
        return self.logits[[one.tokens[-1] for one in inputs]]


def ask(written, limit, sampling=OPEN, seed=0, row=0):
    return Ask(row=row, context=[START, *written], limit=limit, written=len(written), sampling=sampling, seed=seed)


def drafter_of(run, numbers=None, vocabulary=VOCAB, **more):
    more = {"size": 9, "target_vocabulary": vocabulary, "device": CPU, **more}
    if numbers is not None:
        more["uniforms"] = lambda seed: numbers
    return DrawingDrafter(run, vocabulary=vocabulary, **more)


def drawn_chain(table, length):
    def propose(written, numbers, note):
        (found,) = drafter_of(TablePass(table), numbers).propose([ask(written, length)])
        note(found.tree.tokens)
        return found.tree, found.laws

    return propose


@settings(max_examples=40, deadline=None)
@given(draft=tables, length=st.integers(1, 4), seed=seeds, written=st.lists(st.integers(0, VOCAB - 1), max_size=2))
def test_a_drawn_chain_is_the_one_of_which_all_rules_are_shown_to_keep_the_law(draft, length, seed, written):
    """The same numbers give the same tokens and laws as in the enumerations of test_acceptance_chains."""
    numbers = partial(uniform, seed)
    expected, laws = stochastic_chain(draft, length)(tuple(written), numbers, lambda note: None)
    (found,) = drafter_of(TablePass(draft)).propose([ask(written, length, seed=seed)])
    assert found.tree == expected
    torch.testing.assert_close(found.laws, laws)


@each_rule
def test_rounds_with_drawn_tokens_have_the_target_s_law(rule):
    """What is seen of a draft that is thrown away says nothing about what a later round draws."""
    table, draft = PARTLY_KEPT["table"], PARTLY_KEPT["draft"]
    assert outcomes(rounds(rule, table, drawn_chain(draft, 2), 2)) == law_of_target(table, 2)


def test_drawn_tokens_among_those_of_other_drafters_keep_the_law():
    table, draft = PARTLY_KEPT["table"], PARTLY_KEPT["draft"]
    for other in range(VOCAB):

        def propose(written, numbers, note, other=other):
            tree, laws = drawn_chain(draft, 1)(written, numbers, note)
            whole = merged([Proposal(tree=tree, laws=laws), Proposal(tree=TokenTree.chain([other]))], limit=4)
            return whole.tree, whole.laws

        assert law_of_one_round(Speculative(), table, propose, 1) == law_of_target(table, 2)


@settings(max_examples=10, deadline=None)
@given(draft=tables, first=st.integers(0, 2**40))
def test_how_much_is_verified_does_not_follow_from_what_was_drawn(draft, first):
    found = drafter_of(TablePass(draft)).propose([ask((), 5, seed=first + row, row=row) for row in range(8)])
    assert len({one.grades for one in found}) == 1
    assert {len(one.tree) for one in found} == {5}


def test_what_is_kept_is_not_read_again():
    run = TablePass([(0, 1, 0), (0, 0, 1), (1, 0, 0), (1, 0, 0)])
    drafter = drafter_of(run)
    (first,) = drafter.propose([ask((), 3)])
    assert first.tree.tokens == (0, 1, 2)
    assert run.tokens == 3
    # All three were kept, and the target wrote one more: the last of the draft, and that one, are new.
    drafter.propose([ask((0, 1, 2, 0), 1)])
    assert run.tokens == 5
    assert run.texts[0] == [START, 0, 1, 2, 0]
    # Two were kept and then another token was written, of which the draft knows nothing.
    drafter.propose([ask((0, 2), 1)])
    assert run.texts[0] == [START, 0, 2]
    assert run.tokens == 6
    # Asked once more, the last token is read once more.
    drafter.propose([ask((0, 2), 1)])
    assert run.tokens == 7
    drafter.forget(0)
    assert run.texts[0] is None


def test_a_chain_ends_where_no_token_is_likely_enough():
    half = (0.5, 0.5, 0.0)
    run = TablePass([(0.25, 0.5, 0.25), (1.0, 0.0, 0.0), half, (0.0, 1.0, 0.0)])
    (found,) = drafter_of(run, least=0.6).propose([ask((), 5)])
    assert found.tree.tokens == (1, 0)
    (nothing,) = drafter_of(run, least=0.6).propose([ask((2,), 5)])
    assert not len(nothing.tree)


SAMPLINGS = {
    "open": {},
    "cool": {"temperature": 0.6, "top_k": 9},
    "nucleus": {"temperature": 1.3, "top_p": 0.7},
    "all": {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "repetition_penalty": 1.3},
}


def reference_law(network, text, sampling):
    """By transformers, in double precision after the logits."""
    ids = torch.tensor([text])
    scores = network(ids).logits[:, -1].double()
    if sampling.repetition_penalty != 1.0:
        scores = RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty)(ids, scores)
    scores = TemperatureLogitsWarper(sampling.temperature)(ids, scores)
    if sampling.top_k:
        scores = TopKLogitsWarper(sampling.top_k)(ids, scores)
    if sampling.top_p < 1.0:
        scores = TopPLogitsWarper(sampling.top_p)(ids, scores)
    return scores.softmax(dim=-1)[0]


@pytest.mark.parametrize("name", SAMPLINGS)
def test_tokens_are_drawn_from_the_draft_model_s_law_after_the_filters(name):
    network = load_model(CARD, Accelerate(forward="transformers")).network
    sampling = Sampling(**{"temperature": 1.0, **SAMPLINGS[name]})
    contexts = [list(MODEL.codec.encode(text)) for text in ("Ducks swim.", "One, two,", "abc abc")]
    asks = [
        Ask(row=row, context=context, limit=6, written=row, sampling=sampling, seed=40 + row)
        for row, context in enumerate(contexts)
    ]
    found = drafter_of(MODEL.open_pass(), vocabulary=MODEL.vocab_size).propose(asks)
    for one, proposal in zip(asks, found, strict=True):
        assert len(proposal.tree) == 6
        assert proposal.tree.is_chain
        text = list(one.context)
        for place, token in enumerate(proposal.tree.tokens):
            expected = reference_law(network, text, sampling)
            torch.testing.assert_close(proposal.laws[place], expected, atol=1e-6, rtol=1e-5)
            number = uniform(one.seed, one.written, Purpose.DRAFT, place)
            assert token == draw(proposal.laws[place], number)
            text.append(token)
        # What a row is proposed does not depend on the others.
        (alone,) = drafter_of(MODEL.open_pass(), vocabulary=MODEL.vocab_size).propose([one])
        assert alone.tree == proposal.tree


def test_a_row_at_temperature_0_gets_the_likeliest_tokens_and_no_laws():
    context = list(MODEL.codec.encode("Ducks swim."))
    greedy, drawn = (
        Ask(row=row, context=context, limit=5, written=0, sampling=Sampling(temperature=t), seed=1)
        for row, t in enumerate((0.0, 1.5))
    )
    found, other = drafter_of(MODEL.open_pass(), vocabulary=MODEL.vocab_size).propose([greedy, drawn])
    assert found.laws is None
    assert other.laws is not None
    network = load_model(CARD, Accelerate(forward="transformers")).network
    expected = network.generate(
        torch.tensor([context]),
        attention_mask=torch.ones(1, len(context)),
        max_new_tokens=5,
        min_new_tokens=5,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )
    assert list(found.tree.tokens) == expected[0, len(context) :].tolist()


def test_no_token_is_drawn_that_the_target_or_the_draft_does_not_have():
    context = list(MODEL.codec.encode("Ducks swim."))
    drafter = drafter_of(MODEL.open_pass(), vocabulary=60, target_vocabulary=70)
    asks = [
        Ask(row=row, context=context, limit=8, written=0, sampling=Sampling(temperature=2.0), seed=row)
        for row in range(8)
    ]
    for found in drafter.propose(asks):
        assert found.laws.shape == (8, 70)
        assert bool((found.laws[:, 60:] == 0).all())
        assert max(found.tree.tokens) < 60


class NearlyTheTarget:
    """The target with other logits: the same noise everywhere."""

    def __init__(self):
        self.run = MODEL.open_pass()
        self.cache = self.run.cache
        self.noise = 1.5 * torch.randn(MODEL.vocab_size, generator=torch.Generator().manual_seed(0))

    def __call__(self, inputs):
        return self.run(inputs) + self.noise


@each_rule
def test_texts_of_a_loop_are_as_frequent_as_the_target_s_law_says(rule):
    """Four tokens, at each two candidates: 16 texts, of each the exact chance."""
    sampling = Sampling(temperature=1.0, top_k=2)
    prompt = tuple(MODEL.codec.encode("Ducks swim."))
    network = load_model(CARD, Accelerate(forward="transformers")).network
    law = {}
    for picks in itertools.product((0, 1), repeat=4):
        chance, text = 1.0, list(prompt)
        for pick in picks:
            step = reference_law(network, text, sampling)
            token = int(step.topk(2).indices[pick])
            chance, text = chance * float(step[token]), [*text, token]
        law[tuple(text[len(prompt) :])] = chance
    assert not {1, 2} & {token for text in law for token in text}, "no text ends"
    assert sum(law.values()) == pytest.approx(1.0)

    drafter = drafter_of(NearlyTheTarget(), vocabulary=MODEL.vocab_size, size=2)
    loop, seen, accepted, proposed = DecodeLoop(MODEL, max_rows=64), Counter(), 0, 0
    count = 600
    for seed in range(count):
        loop.admit(
            DecodeRequest(
                prompt_ids=prompt,
                max_new_tokens=4,
                sampling=sampling,
                seed=seed,
                joint=(drafter,),
                accept=rule,
                length="fixed",
            )
        )
    while not loop.idle:
        found = loop.round()
        assert not found.failed
        for one in found.finished.values():
            seen[one.token_ids] += 1
            accepted, proposed = accepted + one.accepted, proposed + one.proposed
    assert 0.05 < accepted / proposed < 0.95, "some drafts are rejected and some are not"
    assert set(seen) <= set(law)
    # Rare texts are counted together.
    common = {text: count * chance for text, chance in law.items() if count * chance >= 5}
    cells = [(seen[text], expected) for text, expected in common.items()]
    cells.append((count - sum(one for one, _ in cells), count - sum(common.values())))
    statistic = sum((one - expected) ** 2 / expected for one, expected in cells if expected > 1)
    freedom = len(cells) - 1
    assert freedom >= 3
    assert statistic < freedom + 4 * math.sqrt(2 * freedom), f"chi-square with {freedom} degrees of freedom"


@pytest.mark.parametrize("accept", ["speculative", "block"])
def test_what_the_target_itself_draws_is_kept(accept):
    """p = q: nothing is rejected. Likeliest tokens would be, at this temperature."""
    flow = DraftVerify(drafter="model", draft="tiny", k=5, length="fixed", accept=accept)
    found = compile(flow, model=CARD, max_tokens=30, temperature=1.2, seed=5).run("Tell me about ducks.")
    (stage,) = found.metrics.stages
    assert stage.accepted == stage.proposed > 15
    tree = DraftVerify(drafter="model", draft="tiny", k=5, length="fixed", accept="speculative", tree="eagle2")
    other = compile(tree, model=CARD, max_tokens=30, temperature=1.2, seed=5).run("Tell me about ducks.")
    assert other.metrics.stages[0].accepted < other.metrics.stages[0].proposed


def test_a_given_draft_and_a_drawn_one_are_judged_together():
    """Both stages propose for one row: what the first one wrote, and what the draft model draws."""
    flow = DraftVerify(drafter="ngram").named("first") >> DraftVerify(
        drafter="model", draft="tiny", k=4, accept="speculative"
    ).named("second")
    found = compile(flow, model=CARD, max_tokens=20, temperature=1.0, seed=2).run("Tell me about ducks.")
    assert not found.error_report
    assert found.metrics.stages[-1].proposed
