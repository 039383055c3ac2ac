"""Heads on the tiny model: whatever they draft the text is greedy decoding's; and they see what they were taught."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ptgflow.contracts import ModelCard
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.acceptance import Unverified
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.growth import TREES, Wanted
from ptgflow.engine.growth.chain import Chain
from ptgflow.engine.heads.drafters import drafter_of
from ptgflow.engine.heads.eagle_drafter import EagleDrafter
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.heads.medusa_drafter import MedusaDrafter
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import Ask, DecodeRequest
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import EMPTY, TokenTree
from tests.engine.heads_of_tiny import KINDS, VOCABULARY, config_of, net_of, saved

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
PROMPTS = [tuple(range(5, 20)), (7, 7, 8), tuple(range(3, 90, 2)), (9,)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}
    for kind in KINDS:
        made[kind] = saved(tmp_path_factory.mktemp(kind), kind, MODEL)
    return made


def drafter(folders, kind, tree="dyspec", size=12, **more):
    heads = load_heads(folders[kind], MODEL, kind=kind)
    return drafter_of(heads, MODEL, TREES[tree](), size=size, **more)


def decoded(requests, model=MODEL, **options):
    loop = DecodeLoop(model, **{"max_rows": 3, **options})
    rows = [loop.admit(request) for request in requests]
    found = {}
    while not loop.idle:
        round = loop.round()
        assert not round.failed, round.failed
        found |= round.finished
    return [found[row] for row in rows]


PLAIN = [one.token_ids for one in decoded([DecodeRequest(prompt_ids=ids, max_new_tokens=24) for ids in PROMPTS])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tree", TREES)
def test_any_heads_in_any_tree_leave_the_greedy_text(folders, kind, tree):
    joint = drafter(folders, kind, tree)
    requests = [DecodeRequest(prompt_ids=ids, max_new_tokens=24, joint=(joint,), length="fixed") for ids in PROMPTS * 2]
    found = decoded(requests, chunk=16)
    assert [one.token_ids for one in found] == PLAIN * 2
    assert all(one.proposed for one in found if len(one.token_ids) > 2)
    assert all(one.agreed == one.accepted for one in found)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_draft_the_same_alone_and_among_others(folders, kind):
    """Beside rows that join and leave, share what they begin with, and read their prompts in pieces."""
    shared = tuple(range(5, 45))
    prompts = [*PROMPTS, (*shared, 50, 51), (*shared, 60), shared[:30]]
    together = drafter(folders, kind)
    ask = lambda ids, joint: DecodeRequest(prompt_ids=ids, max_new_tokens=20, joint=(joint,), length="fixed")  # noqa: E731
    found = decoded([ask(ids, together) for ids in prompts], chunk=16)
    alone = [decoded([ask(ids, drafter(folders, kind))])[0] for ids in prompts]
    for one, other in zip(found, alone, strict=True):
        assert one.token_ids == other.token_ids
        assert one.accepted == other.accepted
        # A prompt whose last token is a stretch of its own is drafted for one round earlier.
        assert one.proposed - other.proposed in (0, 12)
        assert one.rejected[one.proposed - other.proposed :] == other.rejected


def asked(context, limit=8):
    return Ask(row=0, context=context, limit=limit, written=0, sampling=Sampling(), seed=0)


def states_of(ids, taps):
    run = MODEL.open_pass()
    return run.tapped([RowInput(row=run.cache.admit(), tokens=tuple(ids))], taps).states.clone()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(3, 200), min_size=3, max_size=30), st.integers(1, 3))
def test_eagle_drafts_what_its_training_form_foresees(folders, ids, steps):
    """A chain from the end of a text, against the unrolled steps over the whole text: written independently."""
    net = net_of(config_of("eagle", MODEL))
    load = load_heads(folders["eagle"], MODEL, kind="eagle")
    net.load_state_dict({name: one for name, one in load.tensors.items() if name not in ("d2t", "t2d")})
    joint = EagleDrafter(load, MODEL, Chain(), size=steps)
    states = states_of(ids[:-1], joint.taps)
    joint.read(0, ids[:-1], states)
    (proposal,) = joint.propose([asked(ids, steps)])
    text, past = list(ids), []
    with torch.no_grad():
        state = net.fc(states)[None]
        for step in range(steps):
            tokens = torch.tensor(text[1 + step : len(ids) + step])
            state = net.step(state, MODEL.embed(tokens)[None], past)
            logits = net.logits(state)[0, -1]
            text.append(int(VOCABULARY[logits.argmax()]))
    assert proposal.tree.tokens == tuple(text[len(ids) :])


def test_medusa_drafts_what_its_training_form_foresees(folders):
    load = load_heads(folders["medusa"], MODEL, kind="medusa")
    net = net_of(config_of("medusa", MODEL))
    net.load_state_dict({name: one for name, one in load.tensors.items() if name not in ("d2t", "t2d")})
    joint = MedusaDrafter(load, MODEL, Chain(), size=3)
    with torch.inference_mode():
        states = states_of(PROMPTS[0], joint.taps)
    joint.read(0, PROMPTS[0], states)
    (proposal,) = joint.propose([asked([*PROMPTS[0], 9])])
    with torch.inference_mode():
        foreseen = tuple(int(VOCABULARY[head(states[-1]).argmax()]) for head in net)
    assert proposal.tree.tokens == foreseen


def test_a_branch_of_eagle_is_drafted_as_if_it_were_alone(folders):
    joint = drafter(folders, "eagle")
    ids = list(PROMPTS[0])
    joint.read(0, ids[:-1], states_of(ids[:-1], joint.taps))
    asks = [asked(ids)]
    joint.ready(asks)
    tree = TokenTree((20, 30, 40, 50), (-1, -1, 0, 1))
    joint.expand(asks, [(0, Wanted(TokenTree((20, 30), (-1, -1)), (0, 1)))])
    (branching,) = joint.expand(asks, [(0, Wanted(tree, (2, 3)))])
    for node, path in ((0, (20, 40)), (1, (30, 50))):
        joint.ready(asks)
        for depth in range(1, 3):
            (alone,) = joint.expand(asks, [(0, Wanted(TokenTree.chain(path[:depth]), (depth - 1,)))])
        assert branching[node].tokens == alone[0].tokens
        assert branching[node].chances == pytest.approx(alone[0].chances, abs=1e-5)


def test_rows_without_a_state_draft_nothing(folders):
    for kind in KINDS:
        (proposal,) = drafter(folders, kind).propose([asked([3, 4])])
        assert proposal.tree == EMPTY


@pytest.mark.parametrize("k", [1, 2, 4])
def test_unverified_heads_write_k_tokens_a_round(folders, k):
    joint = MedusaDrafter(
        load_heads(folders["medusa"], MODEL, kind="medusa"), MODEL, Chain(depth=k - 1), size=max(k - 1, 1)
    )
    (found,) = decoded(
        [DecodeRequest(prompt_ids=PROMPTS[0], max_new_tokens=24, joint=(joint,), accept=Unverified(), length="fixed")]
    )
    # The first round has no state to draft from: it writes one token.
    assert found.verify_rounds <= -(-23 // k) + 1
    assert found.accepted == found.proposed
    assert found.agreed <= found.accepted
    assert (found.agreed == 0) == (k == 1) or found.agreed < found.accepted
