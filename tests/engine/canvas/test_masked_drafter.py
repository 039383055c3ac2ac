"""The masked model as drafter: what it drafts is what its block foresees, and the text is the target's."""

import pytest
import torch

from ptgflow.contracts import ModelCard
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.canvas.masked_drafter import MaskedDrafter
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.growth import TREES, Wanted
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import Ask, DecodeRequest, Place
from ptgflow.engine.slots import RowInput
from ptgflow.engine.trees import EMPTY, TokenTree
from tests.engine.heads_of_tiny import saved, window_states

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))
PROMPTS = ((5, 9, 14), (40, 41), (7,) * 12)


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    return load_heads(saved(tmp_path_factory.mktemp("masked"), "masked", MODEL), MODEL, kind="masked")


def answers(joint, **more):
    loop = DecodeLoop(MODEL, max_rows=3)
    given = () if joint is None else (joint,)
    rows = [loop.admit(DecodeRequest(prompt_ids=one, max_new_tokens=20, joint=given, **more)) for one in PROMPTS]
    found = {}
    while not loop.idle:
        found |= loop.round().finished
    return [found[row] for row in rows]


@pytest.mark.parametrize("tree", sorted(TREES))
@pytest.mark.parametrize("size", [1, 7])
def test_the_text_is_the_target_s(heads, tree, size):
    found = answers(MaskedDrafter(heads, MODEL, TREES[tree](), size=size), length="fixed")
    assert [one.token_ids for one in found] == [one.token_ids for one in answers(None)]
    assert sum(one.accepted for one in found) > 0, "the first place is what the target itself says"


def test_a_draft_is_what_the_block_foresees(heads):
    run, text = MODEL.open_pass(), [5, 9, 14, 33]
    row = run.cache.admit()
    run([RowInput(row=row, tokens=tuple(text[:-1]))])
    run.cache.commit({row: range(len(text) - 1)})
    drafter = MaskedDrafter(heads, MODEL, TREES["dyspec"](), size=4)
    ask = Ask(row=3, context=text, limit=4, written=0, sampling=Sampling(), seed=0, place=Place(run.cache, row))
    assert drafter.ready([ask]) == [True]
    states = window_states(heads, text, [None] * 3)[len(text) - 1 :]
    laws = (states @ MODEL.output_rows(torch.arange(MODEL.vocab_size)).T).softmax(dim=-1)
    wanted = [(0, Wanted(tree=EMPTY, nodes=(-1,))), (0, Wanted(tree=TokenTree.chain((8, 9)), nodes=(0, 1)))]
    found = [one for level in drafter.expand([ask], wanted) for one in level]
    for law, one in zip(laws, found, strict=False):
        chances, ids = law.topk(len(one.tokens))
        assert list(one.tokens) == ids.tolist()
        assert list(one.chances) == pytest.approx(chances.tolist(), abs=1e-5)
    assert run.cache.length(row) == len(text) - 1, "a draft leaves nothing"
