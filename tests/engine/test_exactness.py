"""Speculation with the embedded model at temperature 0 writes, token for token, what `generate` writes greedily."""

import itertools
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
import yaml

import ptgflow.recipes
from ptgflow import Result, load_recipe
from ptgflow.contracts import ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import DecodeRequest, Proposal
from ptgflow.engine.trees import TokenTree
from ptgflow.executors.request import Ask
from ptgflow.stages.draft_verify.lookup import NgramDrafter

pytestmark = pytest.mark.model

TIE = 1e-3
"""Two logits nearer than this may change places between two orders of the same additions."""

OWN_PROMPTS = (
    "Repeat this sentence three times: The tide comes in twice a day.",
    "Who wrote the novel Emma?",
    "Copy the list and add one item: apples, pears, plums, apples, pears, plums.",
    "Translate to French: Good morning, my friend. Good evening, my friend.",
    "Say only the word yes.",
    "Is water wet? Answer with one word.",
)

RECIPES = {
    "eagle": ("mtp_dv",),
    "medusa": ("mtp_dv", "stage@stages.write=mtp/medusa"),
    "ngram": ("draft_verify",),
    "ensemble": ("mtp_dv", "stage@stages.check=draft_verify/ensemble"),
}
"""Shipped recipes and their swaps."""


@dataclass
class Figures:
    """What happened while the prompts were answered."""

    tokens: int = 0
    rounds: int = 0
    ties: int = 0
    partial: int = 0
    """Rounds in which some proposals were kept and some thrown out."""
    ends_inside: int = 0
    """Answers whose end token was an accepted proposal."""
    widths: list[int] = field(default_factory=list)


class Replay:
    """Proposes the reference itself, end token included, with every fifth token of a draft wrong in every other round.

    How often a looked-up draft happens to hold the end token depends on the prompts; here each end falls into a block.
    """

    def __init__(self, prompt, expected):
        self.start, self.expected, self.rounds = len(prompt), expected, 0

    def propose(self, context, limit):
        self.rounds += 1
        at = len(context) - self.start
        draft = self.expected[at : at + min(8, limit)]
        spoiled = [token + 1 if self.rounds % 2 and place % 5 == 4 else token for place, token in enumerate(draft)]
        return Proposal(tree=TokenTree.chain(spoiled))


class Watched:
    """The drafter under test, with a record of what it proposed."""

    def __init__(self, drafter):
        self.drafter = drafter
        self.record = []

    def propose(self, context, limit):
        draft = self.drafter.propose(context, limit)
        self.record.append((len(context), draft.tree.tokens))
        return draft


@pytest.fixture(scope="module")
def card():
    path = Path(ptgflow.recipes.__file__).parent / "model" / "smollm2-135m.yaml"
    return ModelCard(**{**yaml.safe_load(path.read_text()), "dtype": "float32"})


@pytest.fixture(scope="module")
def model(card):
    return load_model(card)


@pytest.fixture(scope="module")
def network(card):
    return load_model(card, Accelerate(forward="transformers")).network


def generated(model, network, prompt, count):
    """The reference: greedy tokens, end token included, and the gap between the best two logits at each."""
    out = network.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        do_sample=False,
        max_new_tokens=count,
        eos_token_id=sorted(model.codec.eos_ids),
        pad_token_id=0,
        return_dict_in_generate=True,
        output_logits=True,
    )
    best = [step[0].topk(2).values for step in out.logits]
    return out.sequences[0, len(prompt) :].tolist(), [float(top[0] - top[1]) for top in best]


def count_rounds(figures, watched, prompt, expected, end_ids):
    """Read from the record which rounds kept a part of a draft, and whether one kept an end token."""
    for length, draft in watched.record:
        rest = expected[length - len(prompt) :]
        same = 0
        while same < min(len(draft), len(rest)) and draft[same] == rest[same]:
            same += 1
        figures.partial += 0 < same < min(len(draft), len(rest))
        figures.ends_inside += same > 0 and rest[same - 1] in end_ids


def lookups(prompts, references):
    return [NgramDrafter(k=8, min_ngram=1, max_ngram=5) for _ in prompts]


def replays(prompts, references):
    return [Replay(prompt, expected) for prompt, (expected, _) in zip(prompts, references, strict=True)]


def compare(model, prompts, references, count, batch, drafters):
    """Decode all prompts in batches and compare; what differs must be a tie."""
    figures = Figures()
    loop = DecodeLoop(model, max_rows=batch)
    watched = [Watched(drafter) for drafter in drafters(prompts, references)]
    ids = [
        loop.admit(DecodeRequest(prompt_ids=prompt, max_new_tokens=count, drafter=drafter))
        for prompt, drafter in zip(prompts, watched, strict=True)
    ]
    finished = {}
    while not loop.idle:
        done = loop.round()
        figures.widths.append(len(done.rows))
        finished |= done.finished
    for row, prompt, drafter, (expected, gaps) in zip(ids, prompts, watched, references, strict=True):
        answer = finished[row]
        ended = expected[-1] in model.codec.eos_ids
        written = [*answer.token_ids, *([expected[-1]] if ended and answer.finish_reason == "stop" else [])]
        figures.tokens += len(written)
        figures.rounds += answer.rounds
        if is_tie(written, expected, gaps):
            figures.ties += 1
        else:
            count_rounds(figures, drafter, prompt, expected, model.codec.eos_ids)
    return figures


def is_tie(written, expected, gaps):
    """Whether an answer leaves the reference at a tie; False where both are the same. Any other difference fails."""
    if written == expected:
        return False
    first = next((at for at, (a, b) in enumerate(zip(written, expected, strict=False)) if a != b), None)
    assert first is not None, f"one text is a part of the other: {written} and {expected}"
    assert gaps[first] < TIE, f"token {first} is {written[first]}, not {expected[first]}, gap {gaps[first]}"
    return True


@pytest.fixture(scope="module")
def loaded():
    """The models of plans: each is loaded once."""
    return {}


def plan_of(name, count, batch, loaded):
    """A recipe in fp32 that verifies all it drafts, whatever that costs here."""
    recipe, *swaps = RECIPES[name]
    verifier = "write" if recipe == "draft_verify" else "check"
    options = ["model.dtype=float32", f"max_tokens={count}", f"executor.batch_size={batch}"]
    return load_recipe(recipe, [*options, *swaps, f"stages.{verifier}.length=fixed"], models=loaded)


def compare_recipe(plan, texts, references, ends):
    """Answer all prompts by a recipe: the number of ties, and the stages that verified."""
    asks = [Ask(id=at, prompt=text) for at, text in enumerate(texts)]
    results = {one.id: one for one in plan.run_many(asks) if isinstance(one, Result)}
    ties, stages = 0, []
    for at, (expected, gaps) in enumerate(references):
        result = results[at]
        assert result.ok, result.error_report
        assert result.guarantee.level == "exact"
        end = expected[-1:] if expected[-1] in ends and result.finish_reason == "stop" else []
        ties += is_tie([*result.token_ids, *end], expected, gaps)
        stages.append(result.metrics.stages[-1])
    return ties, stages


@pytest.fixture(scope="module")
def own(model, network):
    """Two prompts, and 24 tokens of the reference for each."""
    texts = OWN_PROMPTS[:2]
    return texts, [generated(model, network, model.codec.prompt((), text=text).token_ids, 24) for text in texts]


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_equal_generate_on_own_prompts(name, model, own, loaded):
    texts, references = own
    ties, stages = compare_recipe(plan_of(name, 24, 2, loaded), texts, references, model.codec.eos_ids)
    assert ties == 0
    assert 0 < sum(one.accepted for one in stages) < sum(one.proposed for one in stages)
    assert sum(one.rounds for one in stages) < sum(len(expected) for expected, _ in references)


def test_own_prompts_equal_generate_at_batch_sizes_1_and_4(model, network):
    prompts = [model.codec.prompt((), text=text).token_ids for text in OWN_PROMPTS]
    references = [generated(model, network, prompt, 32) for prompt in prompts]
    for batch in (1, 4):
        figures = compare(model, prompts, references, 32, batch, lookups)
        assert figures.partial > 0
        assert figures.ends_inside > 0
        assert figures.ties == 0
        assert figures.rounds < figures.tokens
        assert max(figures.widths) == batch


def test_spec_bench_prompts_equal_generate_at_batch_sizes_1_and_8(model, network, capsys):
    prompts = [model.codec.prompt((), text=text).token_ids for text in spread(20)]
    references = [generated(model, network, prompt, 96) for prompt in prompts]
    for batch, drafters in itertools.product((1, 8), (lookups, replays)):
        figures = compare(model, prompts, references, 96, batch, drafters)
        with capsys.disabled():
            sys.stdout.write(
                f"\nbatch {batch}, {drafters.__name__}: {figures.tokens} tokens in {figures.rounds} rounds of rows, "
                f"{figures.ties} ties, {figures.partial} partial acceptances, "
                f"{figures.ends_inside} end tokens inside accepted blocks\n"
            )
        assert figures.partial > 0
        assert figures.ends_inside > 0
        assert figures.ties <= 1
        assert max(figures.widths) == batch


@pytest.fixture(scope="module")
def spec_bench(model, network):
    """Prompts, and 48 tokens of the reference for each."""
    texts = spread(20)
    return texts, [generated(model, network, model.codec.prompt((), text=text).token_ids, 48) for text in texts]


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("name", RECIPES)
def test_recipes_equal_generate_on_spec_bench_prompts(name, batch, model, spec_bench, loaded, capsys):
    texts, references = spec_bench
    ties, stages = compare_recipe(plan_of(name, 48, batch, loaded), texts, references, model.codec.eos_ids)
    counts = ("tokens_out", "rounds", "proposed", "accepted")
    tokens, rounds, proposed, kept = (sum(getattr(one, field) for one in stages) for field in counts)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{name}, batch {batch}: {len(texts)} prompts, {tokens} tokens in {rounds} rounds of rows, "
            f"{kept} of {proposed} proposals kept, {ties} ties\n"
        )
    assert ties <= 1
    assert 0 < kept < proposed


def spread(count):
    """First turns of `count` lines, one from each category in turn, counted from the tenth of a category.

    There, unlike among the first ones, is an answer whose end token stands in a looked-up draft.
    """
    name = os.environ.get("PTGFLOW_SPEC_BENCH")
    if name is None:
        pytest.skip("PTGFLOW_SPEC_BENCH does not name a Spec-Bench file")
    lines = [json.loads(line) for line in Path(name).read_text(encoding="utf-8").splitlines()]
    by_category = {}
    for line in lines:
        by_category.setdefault(line["category"], []).append(line["turns"][0])
    depths = itertools.count(9)
    chosen = []
    while len(chosen) < count:
        depth = next(depths)
        chosen += [texts[depth % len(texts)] for texts in by_category.values()]
    return chosen[:count]
