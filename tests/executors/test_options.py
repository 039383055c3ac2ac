"""Options of the executor and accelerators reach what they are about."""

import pytest
import torch

from ptgflow.api import load_recipe
from ptgflow.contracts import NO_GUARANTEE, Guarantee, Prompt, Verified
from ptgflow.engine.decode import CHUNK
from ptgflow.executors.crop import whole_sentences
from ptgflow.planner.placement import READ_AT_ONCE

LIST = "Translate each of the following words:\n1. sun\n2. moon\n3. sea\n4. hill"


def plan(*overrides, recipe="ar"):
    return load_recipe(recipe, ["model=tiny", "max_tokens=120", *overrides])


@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
def test_the_attention_kernel(kernel):
    made = plan(f"accelerate.attention={kernel}", "accelerate.forward=transformers")
    assert made.executor.target.network.config._attn_implementation == kernel


@pytest.mark.parametrize(("asked", "found"), [("auto", "written"), ("written", "written"), ("transformers",) * 2])
def test_the_forward_pass(asked, found):
    assert plan(f"accelerate.forward={asked}").executor.target.forward == found


def test_the_memory_for_keys_and_values():
    made = plan("executor.kv_memory_mb=3").executor
    assert made._loops["tiny"]._pass.cache.budget == 3 * 2**20


def test_the_plan_knows_how_much_is_read_at_once():
    assert READ_AT_ONCE == CHUNK


def test_the_number_of_threads():
    before = torch.get_num_threads()
    try:
        _ = plan("executor.threads=1").executor
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_the_batch_size_bounds_a_pass():
    rounds = {}
    texts = set()
    for size in (1, 4):
        made = plan(f"executor.batch_size={size}", "stage@stages.split=decompose/schema", recipe="decomp_dv")
        result = made.run(LIST)
        assert len(result.segments) == 4
        rounds[size] = result.metrics.rounds
        texts.add(result.text)
    assert len(texts) == 1, "the batch size changes no text"
    assert rounds[1] > rounds[4]


def test_the_likeliest_tokens_are_reported_where_they_are_asked_for():
    result = plan("logprobs=2", "stage@stages.split=decompose/schema", recipe="decomp_dv").run(LIST)
    assert [one.token_id for one in result.logprobs] == list(result.token_ids)
    chosen = [one for one, slot in zip(result.logprobs, result.origin, strict=True) if slot == "write"]
    assert chosen
    for one in chosen:
        assert len(one.top) == 2
        assert one.top[0][1] >= one.top[1][1]
        # Greedy: what was written is the likeliest.
        assert one.top[0] == (one.token_id, pytest.approx(one.logprob))
    assert all(one.top == () for one, slot in zip(result.logprobs, result.origin, strict=True) if slot != "write")
    plain = plan().run("Hello.")
    assert plain.logprobs is None
    assert "logprobs" not in plain.record()


def test_the_precision_of_the_model():
    assert plan("model.dtype=bfloat16").executor.target.dtype == "bfloat16"


def test_the_guarantee_is_of_the_segments_that_were_split():
    split = plan("stage@stages.split=decompose/schema", recipe="decomp_dv").run(LIST)
    whole = plan("stage@stages.split=decompose/schema", recipe="decomp_dv").run("Hello.")
    assert (split.guarantee.level, split.guarantee.scope) == ("exact", "segment")
    assert (whole.guarantee.level, whole.guarantee.scope) == ("exact", "answer")
    assert plan("temperature=1").run("Hello.").guarantee == Guarantee(level="distribution", target="tiny")


def verified(tiny, words, finish_reason):
    ids = tiny.codec.encode(words)
    return Verified(
        token_ids=ids,
        tokenizer=tiny.codec.fingerprint,
        text=words,
        origin=tuple(f"s{at}" for at, _ in enumerate(ids)),
        prompt=Prompt(token_ids=(1,), tokenizer=tiny.codec.fingerprint),
        finish_reason=finish_reason,
        scores=tuple(-float(at) for at, _ in enumerate(ids)),
        verdicts=("corrected",) * len(ids),
        guarantee=NO_GUARANTEE,
    )


def test_half_a_sentence_at_the_end_of_a_cut_segment_goes(tiny):
    cut = whole_sentences(verified(tiny, "One is whole. The other is n", "length"), tiny.codec)
    assert cut.text == "One is whole."
    assert tiny.codec.decode(cut.token_ids) == cut.text
    assert len(cut.origin) == len(cut.scores) == len(cut.verdicts) == len(cut.token_ids)
    assert cut.scores[-1] == -float(len(cut.token_ids) - 1)
    for words, reason in (("One is whole. The other is n", "stop"), ("no sentence at all", "length")):
        text = verified(tiny, words, reason)
        assert whole_sentences(text, tiny.codec) is text
