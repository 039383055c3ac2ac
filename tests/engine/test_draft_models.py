"""Draft models: re-encoding between tokenizers, and the search for layers to skip."""

import dataclasses

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from ptgflow.contracts import ModelCard
from ptgflow.contracts.settings import Sampling
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.draft_models.skipping import SkippingDrafter
from ptgflow.engine.draft_models.translating import TranslatingDrafter
from ptgflow.engine.growth.chain import Chain
from ptgflow.engine.models.codec import Codec
from ptgflow.engine.models.model import load_model
from ptgflow.engine.passes.precision import head_maker, linear_maker
from ptgflow.engine.passes.written.reading import written_out
from ptgflow.engine.request import Ask, DecodeRequest, Proposal
from ptgflow.engine.trees import TokenTree
from tests.engine.families import VOCAB, random_network

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))


def words(*vocabulary):
    """A tokenizer of whole words, with spaces in front."""
    tokenizer = Tokenizer(models.BPE(vocab={one: at for at, one in enumerate(vocabulary)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return Codec(PreTrainedTokenizerFast(tokenizer_object=tokenizer), model="words")


class Stub:
    """A drafter in the draft model's tokens that always says the same."""

    def __init__(self, tokens):
        self.tokens, self.asked = tokens, []

    def propose(self, asks):
        self.asked += asks
        return [Proposal(tree=TokenTree.chain(self.tokens[: ask.limit])) for ask in asks]


@pytest.fixture
def translating(monkeypatch):
    letters = words(*"abcdefgh", "Ġ")
    made = TranslatingDrafter.__new__(TranslatingDrafter)
    made._draft = type("Draft", (), {"codec": letters, "context_length": 100})()
    made._target = type("Target", (), {"codec": MODEL.codec})()
    made._size = 6
    return made


def test_text_is_carried_between_tokenizers(translating):
    letters = translating._draft.codec
    translating._drafter = Stub(letters.encode("fed"))
    context = MODEL.codec.encode("abc")
    (found,) = translating.propose([Ask(row=0, context=context, limit=5, written=0, sampling=Sampling(), seed=0)])
    assert MODEL.codec.decode(found.tree.tokens) == "fed"
    assert found.tree.is_chain
    assert tuple(translating._drafter.asked[0].context) == letters.encode("abc")


def test_a_text_that_the_draft_model_cannot_read_is_not_drafted(translating):
    translating._drafter = Stub(())
    context = MODEL.codec.encode("zzz")
    (found,) = translating.propose([Ask(row=0, context=context, limit=5, written=0, sampling=Sampling(), seed=0)])
    assert not len(found.tree)


def test_the_search_goes_on_with_the_better_choice(monkeypatch):
    """Where a choice is the better the more it leaves out of the layers 2, 3 and 5, it ends with these."""
    monkeypatch.setattr(SkippingDrafter, "_made", lambda self, skipped: Stub(()))
    monkeypatch.setattr(SkippingDrafter, "_agreement", lambda self, skipped, context: len(skipped & {2, 3, 5}))
    model = type("Deep", (), {"layers": 8})()
    drafter = SkippingDrafter(model, Chain(), size=4, skip=0.4, search=200)
    assert len(drafter.skipped) == 3
    assert not drafter.skipped & {0, 7}
    ask = Ask(row=0, context=list(range(50)), limit=4, written=40, sampling=Sampling(), seed=0)
    for _ in range(800):
        drafter.propose([ask])
    assert drafter.skipped == {2, 3, 5}


def test_a_choice_of_layers_is_a_model_of_its_own():
    """Three layers, the middle one left out: drafts are those of the two others, and often wrong."""
    network = random_network("llama")
    model = dataclasses.replace(
        MODEL,
        weights=written_out(
            network, linear_maker("float32", MODEL.device), head_maker("float32", MODEL.device), torch.float32
        ),
        config=network.config,
        vocab_size=VOCAB,
    )
    drafter = SkippingDrafter(model, Chain(), size=4, skip=0.34, search=3)
    assert drafter.skipped == {1}
    texts = {}
    for joint in ((), (drafter,)):
        loop = DecodeLoop(model, max_rows=2)
        for start in (5, 9):
            ids = tuple(range(start, start + 30))
            loop.admit(DecodeRequest(prompt_ids=ids, max_new_tokens=60, joint=joint, length="fixed"))
        texts[bool(joint)] = {}
        while not loop.idle:
            found = loop.round()
            assert not found.failed
            texts[bool(joint)] |= found.finished
    assert [one.token_ids for one in texts[True].values()] == [one.token_ids for one in texts[False].values()]
    assert any(one.proposed > one.accepted for one in texts[True].values())


def test_nothing_skipped_agrees_with_the_target():
    drafter = SkippingDrafter(MODEL, Chain(), size=4, skip=0.01, search=0)
    assert drafter.skipped == frozenset()
    loop, found = DecodeLoop(MODEL, max_rows=8), {}
    prompts = [tuple(range(start, start + 20)) for start in range(3, 43, 5)]
    for ids in prompts:
        loop.admit(DecodeRequest(prompt_ids=ids, max_new_tokens=50))
    while not loop.idle:
        found |= loop.round().finished
    row, decoded = max(found.items(), key=lambda pair: len(pair[1].token_ids))
    assert len(decoded.token_ids) > 32
    assert drafter._agreement(frozenset(), [*prompts[row], *decoded.token_ids]) == 32
