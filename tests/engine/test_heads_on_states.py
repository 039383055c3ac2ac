"""Heads on the target's last state, against their formulas written out token by token."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.growth import TREES, Wanted
from ptgflow.engine.heads.drafters import drafter_of
from ptgflow.engine.heads.hydra_drafter import HydraDrafter
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import Ask
from ptgflow.engine.trees import TokenTree
from tests.engine.heads_of_tiny import VOCABULARY, saved

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
HEADS = 3
TOKENS = st.integers(3, 200)


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    return {
        "hydra": load_heads(saved(tmp_path_factory.mktemp("h"), "hydra", MODEL), MODEL, kind="hydra"),
        "tied": load_heads(saved(tmp_path_factory.mktemp("t"), "hydra", MODEL, own_output=False), MODEL, kind="hydra"),
        "blockwise": load_heads(saved(tmp_path_factory.mktemp("b"), "blockwise", MODEL), MODEL, kind="blockwise"),
    }


def silu(x):
    return x / (1 + torch.exp(-x))


def hydra_chances(load, state, tokens):
    """The head for so many tokens, of two layers: the first over state and embeddings, the second with a residual."""
    one, head = load.tensors, len(tokens) - 1
    z = torch.cat([state, *(MODEL.embed(torch.tensor(token)) for token in tokens)])
    name = f"hydra_mlp.{head}.0"
    x = one[f"{name}.res_connection.weight"] @ z + one[f"{name}.res_connection.bias"]
    x = x + silu(one[f"{name}.linear.weight"] @ z + one[f"{name}.linear.bias"])
    name = f"hydra_mlp.{head}.1.linear"
    x = x + silu(one[f"{name}.weight"] @ x + one[f"{name}.bias"])
    if load.config.own_output:
        logits = one[f"hydra_lm_head.{head}.weight"] @ x + one[f"hydra_lm_head.{head}.bias"]
    else:
        logits = MODEL.output_rows(VOCABULARY) @ x
    return logits.softmax(dim=-1)


def blockwise_chances(load, state, head):
    """Of the outputs of one layer, those of a position."""
    one, size = load.tensors, MODEL.hidden_size
    made = one["outer.weight"] @ (one["inner.weight"] @ state + one["inner.bias"]).clamp(min=0) + one["outer.bias"]
    x = state + made[head * size : (head + 1) * size]
    return (MODEL.output_rows(VOCABULARY) @ x).softmax(dim=-1)


@st.composite
def trees(draw):
    parents = [draw(st.integers(-1, node - 1)) for node in range(draw(st.integers(1, 8)))]
    return TokenTree(tuple(draw(TOKENS) for _ in parents), tuple(parents))


def told(joint, count):
    """Rows with random states, and what they ask."""
    states = torch.randn(count, MODEL.hidden_size, generator=torch.Generator().manual_seed(count))
    asks = []
    for row, state in enumerate(states):
        joint.read(row, (5, 6), torch.stack([torch.zeros_like(state), state]))
        context = (5, 6, 7 + row)
        asks.append(Ask(row=row, context=context, limit=9, written=0, sampling=Sampling(), seed=0))
    assert all(joint.ready(asks))
    return states, asks


def agrees(found, chances):
    best = chances.topk(len(found.tokens))
    assert found.tokens == tuple(VOCABULARY[best.indices].tolist())
    assert found.chances == pytest.approx(best.values.tolist(), abs=1e-5)


@pytest.mark.parametrize("name", ["hydra", "tied", "blockwise"])
@settings(max_examples=15, deadline=None)
@given(given_trees=st.lists(trees(), min_size=1, max_size=3), data=st.data())
def test_each_node_of_any_tree_has_what_the_formula_gives(heads, name, given_trees, data):
    """Nodes of several levels and rows in one call; below the last head nothing."""
    load = heads[name]
    joint = drafter_of(load, MODEL, TREES["dyspec"](), size=9)
    with torch.no_grad():
        states, asks = told(joint, len(given_trees))
        wanted = []
        for at, tree in enumerate(given_trees):
            nodes = data.draw(st.lists(st.integers(-1, len(tree) - 1), min_size=1, unique=True))
            wanted.append((at, Wanted(tree, tuple(sorted(nodes)))))
        for (at, one), found in zip(wanted, joint.expand(asks, wanted), strict=True):
            for node, candidates in zip(one.nodes, found, strict=True):
                path = [one.tree.tokens[above] for above in one.tree.path(node)]
                if len(path) >= HEADS:
                    assert candidates.tokens == ()
                elif name == "blockwise":
                    agrees(candidates, blockwise_chances(load, states[at], len(path)))
                else:
                    agrees(candidates, hydra_chances(load, states[at], [asks[at].context[-1], *path]))


def test_hydra_depends_on_the_path_and_blockwise_does_not(heads):
    """Two nodes of a level: different tokens after them, or the same."""
    for name, same in (("hydra", False), ("blockwise", True)):
        joint = drafter_of(heads[name], MODEL, TREES["dyspec"](), size=9)
        _, asks = told(joint, 1)
        ((one, other),) = joint.expand(asks, [(0, Wanted(TokenTree((20, 30), (-1, -1)), (0, 1)))])
        assert (one == other) is same


@pytest.mark.parametrize("rows", [1, 4])
def test_hydra_calls_a_head_once_for_a_level_of_all_rows(heads, rows, monkeypatch):
    joint = drafter_of(heads["hydra"], MODEL, TREES["static"](), size=9)
    _, asks = told(joint, rows)
    calls = []
    original = HydraDrafter._ahead

    def counted(self, head, states, paths):
        calls.append((head, len(states)))
        return original(self, head, states, paths)

    monkeypatch.setattr(HydraDrafter, "_ahead", counted)
    proposals = joint.propose(asks)
    assert all(max(one.tree.depths) == 2 for one in proposals), "as deep as there are heads"
    assert [head for head, _ in calls] == [0, 1, 2]
    assert calls[0] == (0, rows)


def test_hydra_is_not_drafting_for_rows_that_have_gone(heads):
    joint = drafter_of(heads["hydra"], MODEL, TREES["chain"](), size=3)
    _, asks = told(joint, 2)
    joint.forget(0)
    assert [len(one.tree) for one in joint.propose(asks)] == [0, 3]
