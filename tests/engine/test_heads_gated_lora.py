"""Gated LoRA drafts, against the paper's form: text and masks in one sequence, adapters gated by what a token is."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.growth import TREES, Wanted
from ptgflow.engine.heads.gated_lora_drafter import GatedLoraDrafter
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import Ask, DecodeRequest, Place
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import TokenTree
from ptgflow.errors import RunError
from tests.engine.heads_of_tiny import VOCABULARY, gated_states, saved

CARD = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")
MODEL = load_model(CARD)
MASKS = 3
TEXTS = st.lists(st.integers(3, 200), min_size=2, max_size=20)


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    return load_heads(saved(tmp_path_factory.mktemp("heads"), "gated_lora", MODEL), MODEL, kind="gated_lora")


def drafter(heads, size=9, tree="dyspec"):
    return GatedLoraDrafter(heads, MODEL, TREES[tree](), size=size)


def read(run, text):
    """What the target has read of a text: all but its last token."""
    row = run.cache.admit()
    run([RowInput(row=row, tokens=tuple(text[:-1]))])
    run.cache.commit({row: range(len(text) - 1)})
    return row


def asked(row, text, run, slot, limit=9):
    place = Place(run.cache, slot)
    return Ask(row=row, context=text, limit=limit, written=0, sampling=Sampling(), seed=0, place=place)


def chances_of(heads, before, state):
    """The sampler, and the target's own output matrix."""
    one, x = heads.tensors, torch.cat((MODEL.embed(torch.tensor(before)), state))
    for block in range(2):
        name = f"sampler.{block}"
        x = one[f"{name}.linear.weight"] @ x + one[f"{name}.linear.bias"]
        x = x / (1 + torch.exp(-x))
        x = (x - x.mean()) / torch.sqrt(x.var(correction=0) + 1e-5) * one[f"{name}.norm.weight"]
        x = x + one[f"{name}.norm.bias"]
    return (MODEL.output_rows(VOCABULARY) @ x).softmax(dim=-1)


@st.composite
def trees(draw):
    parents = [draw(st.integers(-1, node - 1)) for node in range(draw(st.integers(1, 8)))]
    return TokenTree(tuple(draw(st.integers(3, 200)) for _ in parents), tuple(parents))


@settings(max_examples=12, deadline=None)
@given(cases=st.lists(st.tuples(TEXTS, trees()), min_size=1, max_size=3))
def test_each_node_of_any_tree_has_what_one_gated_pass_gives(heads, cases):
    """Several rows of any lengths at once; the masks attend to what the target has kept of each."""
    joint, run = drafter(heads), MODEL.open_pass()
    asks = [asked(row, text, run, read(run, text)) for row, (text, _) in enumerate(cases)]
    assert all(joint.ready(asks))
    wanted = [(row, Wanted(tree, (-1, *range(len(tree))))) for row, (_, tree) in enumerate(cases)]
    for (text, tree), found in zip(cases, joint.expand(asks, wanted), strict=True):
        states = gated_states(heads, text[:-1])
        for node, candidates in zip((-1, *range(len(tree))), found, strict=True):
            path = [tree.tokens[above] for above in tree.path(node)]
            if len(path) >= MASKS:
                assert candidates.tokens == ()
                continue
            best = chances_of(heads, ([text[-1], *path])[-1], states[len(path)]).topk(len(candidates.tokens))
            assert candidates.tokens == tuple(VOCABULARY[best.indices].tolist())
            assert candidates.chances == pytest.approx(best.values.tolist(), abs=1e-4)


@settings(max_examples=10, deadline=None)
@given(text=TEXTS)
def test_what_the_target_keeps_and_says_is_the_same_to_the_last_bit(heads, text):
    joint, run, other = drafter(heads), MODEL.open_pass(), MODEL.open_pass()
    slot, same = read(run, text), read(other, text)
    before = [layer.clone() for layer in kept(run, slot, text)]
    assert joint.ready([asked(0, text, run, slot)]) == [True]
    assert run.cache.length(slot) == len(text) - 1
    run.cache.check()
    assert all(torch.equal(one, two) for one, two in zip(before, kept(run, slot, text), strict=True))
    tree = TokenTree((20, 30, 40), (-1, -1, 0))
    last = lambda row: [RowInput(row=row, tokens=(text[-1],), tree=tree)]  # noqa: E731
    assert torch.equal(run(last(slot)), other(last(same)))


def kept(run, slot, text):
    (bucket,) = run.cache._buckets.values()
    at = bucket.members.index(slot)
    return [layer[at, : len(text) - 1] for layer in bucket.layers]


def test_no_more_masks_are_filled_than_a_tree_has_levels(heads, monkeypatch):
    run, lengths = MODEL.open_pass(), []
    original = type(run).tapped
    monkeypatch.setattr(
        type(run),
        "tapped",
        lambda self, inputs, taps: lengths.append(len(inputs[0].tokens)) or original(self, inputs, taps),
    )
    text = [5, 6, 7, 8]
    slot = read(run, text)
    for size in (1, 2, 9):
        lengths.clear()
        (proposal,) = drafter(heads, size=size, tree="chain").propose([asked(0, text, run, slot)])
        assert lengths == [min(size, MASKS)]
        assert len(proposal.tree) == min(size, MASKS)


def test_the_rows_of_a_loop_share_a_pass_over_their_masks(heads, monkeypatch):
    passes = []
    original = GatedLoraDrafter.ready
    monkeypatch.setattr(GatedLoraDrafter, "ready", lambda self, asks: passes.append(len(asks)) or original(self, asks))
    loop, joint = DecodeLoop(MODEL, max_rows=4), drafter(heads)
    for start in (5, 40, 80):
        ids = tuple(range(start, start + 9))
        loop.admit(DecodeRequest(prompt_ids=ids, max_new_tokens=8, joint=(joint,), length="fixed"))
    while not loop.idle:
        loop.round()
    assert max(passes) == 3


def test_fixed_shapes_leave_the_text_as_it_is(heads):
    model = load_model(CARD, Accelerate(shapes="fixed"))
    assert model.shapes == "fixed"
    texts = []
    for joint in ((), (GatedLoraDrafter(heads, model, TREES["eagle2"](), size=12),)):
        loop = DecodeLoop(model, max_rows=2)
        rows = [
            loop.admit(DecodeRequest(prompt_ids=ids, max_new_tokens=20, joint=joint, length="fixed"))
            for ids in ((5, 6, 7), tuple(range(30, 60)), (9,))
        ]
        found = {}
        while not loop.idle:
            found |= loop.round().finished
        texts.append([found[row].token_ids for row in rows])
    assert any(one.proposed for one in found.values())
    assert texts[0] == texts[1]


def test_a_pass_that_is_not_written_out_has_no_place_for_adapters(heads):
    model = load_model(CARD, Accelerate(forward="transformers"))
    with pytest.raises(RunError, match=r"PTG608[\s\S]*accelerate.forward=auto"):
        GatedLoraDrafter(heads, model, TREES["chain"](), size=3)


def test_adapters_matter(heads):
    """The oracle of the tests above is not the target without them."""
    plain = type(heads)(
        heads.config,
        {name: one * 0 if "lora_B" in name else one for name, one in heads.tensors.items()},
        heads.vocabulary,
    )
    text = [5, 6, 7, 8]
    assert not torch.allclose(gated_states(heads, text), gated_states(plain, text), atol=1e-2)
    assert F.mse_loss(gated_states(plain, text)[0], gated_states(plain, text)[1]) > 0
