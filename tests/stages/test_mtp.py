"""MTP: alone it writes k tokens a round that nobody judges; before a verifier it drafts inside that one's loop."""

import pytest

from ptgflow import MTP, DraftVerify, compile
from ptgflow.cli.live import report
from ptgflow.contracts import ModelCard
from ptgflow.engine.decode import DecodeLoop
from ptgflow.engine.models.model import load_model
from ptgflow.engine.request import DecodeRequest
from tests.engine.heads_of_tiny import KINDS, saved

CARD = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")
MODEL = load_model(CARD)
PROMPT = "Tell me about ducks."


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: str(saved(tmp_path_factory.mktemp(kind), kind, MODEL)) for kind in KINDS}


def run(flow, **options):
    return compile(flow, model=CARD, max_tokens=24, **options).run(PROMPT)


@pytest.fixture(scope="module")
def plain():
    return run(DraftVerify(drafter="ar"))


@pytest.mark.parametrize("kind", KINDS)
def test_alone_heads_write_more_than_one_token_a_round(folders, kind, plain):
    result = run(MTP(heads=kind, weights=folders[kind], k=4, threshold=0.0))
    assert result.guarantee.level == "none"
    (stage,) = result.metrics.stages
    assert stage.method == f"mtp/{kind}"
    assert stage.rounds < 0.75 * plain.metrics.rounds
    assert stage.accepted == stage.proposed > stage.agreed
    assert stage.agreement == share_of_own(result) < 1
    assert f"{100 * stage.agreement:.1f} % agree with tiny" in report(result)
    (record,) = result.record()["metrics"]["stages"]
    assert (record["own"], record["agreement"]) == (stage.own, stage.agreement)
    one = run(MTP(heads=kind, weights=folders[kind], k=1))
    assert one.text == plain.text, "one token a round is plain decoding"
    assert one.metrics.stages[0].agreement == 1


def share_of_own(result):
    """Asks the target for one token after each beginning of the answer."""
    prompt, answer = MODEL.codec.prompt((), text=PROMPT).token_ids, result.token_ids
    loop = DecodeLoop(MODEL, max_rows=len(answer))
    rows = [
        loop.admit(DecodeRequest(prompt_ids=(*prompt, *answer[:at]), max_new_tokens=1)) for at in range(len(answer))
    ]
    said = {}
    while not loop.idle:
        said |= loop.round().finished
    same = [said[row].token_ids == (token,) for row, token in zip(rows, answer, strict=True)]
    return sum(same) / len(same)


@pytest.mark.parametrize("stop", [(), ("e",), ("a", "\n")])
def test_agreement_is_of_the_text_that_is_left_at_a_stop_string(folders, stop):
    plan = compile(MTP(heads="medusa", weights=folders["medusa"], threshold=0.0), model=CARD, max_tokens=24, stop=stop)
    (stage,) = plan.run(PROMPT).metrics.stages
    assert 0 <= stage.own <= stage.tokens_out
    assert bool(stage.tokens_out) == (stage.agreement is not None)


def test_agreement_is_of_greedy_decoding_and_shown_where_nothing_is_promised(folders, plain):
    sampled = run(MTP(heads="medusa", weights=folders["medusa"]), temperature=1.0)
    assert sampled.metrics.stages[0].agreement is None
    assert "agree with" not in report(sampled)
    assert plain.metrics.stages[0].agreement == 1
    assert "agree with" not in report(plain), "the guarantee says it"


def test_what_a_head_is_unsure_of_is_left_to_the_target(folders, plain):
    sure = run(MTP(heads="medusa", weights=folders["medusa"], threshold=1.0))
    assert sure.text == plain.text
    assert sure.metrics.stages[0].proposed == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("drafter", ["judge", "ngram"])
@pytest.mark.parametrize("length", ["fixed", "expected_throughput"])
def test_before_a_verifier_heads_draft_in_its_loop(folders, kind, drafter, length, plain):
    flow = MTP(heads=kind, weights=folders[kind]) >> DraftVerify(drafter=drafter, length=length)
    plan = compile(flow, model=CARD, max_tokens=24)
    assert plan.program.nodes[0].fused_into == plan.program.nodes[1].slot
    result = plan.run(PROMPT)
    assert result.text == plain.text
    assert result.guarantee.level == "exact"
    (stage,) = result.metrics.stages
    assert stage.method == f"draft_verify/{drafter}"
    assert stage.how == f"{plan.program.nodes[0].slot!r} (mtp/{kind}) drafts"
    assert stage.rounds <= plain.metrics.rounds
    assert length != "fixed" or stage.proposed


def test_many_requests_share_the_heads(folders, plain):
    plan = compile(
        MTP(heads="eagle", weights=folders["eagle"]) >> DraftVerify(drafter="judge", length="fixed"),
        model=CARD,
        max_tokens=24,
    )
    for _ in range(2):
        assert plan.run(PROMPT).text == plain.text


@pytest.mark.parametrize("kind", ["medusa", "hydra", "blockwise", "gated_lora"])
def test_more_tokens_a_round_than_heads_are_refused(folders, kind):
    result = run(MTP(heads=kind, weights=folders[kind], k=5))
    assert not result.ok
    assert "PTG624" in result.error_report
    assert "k=4 or less" in result.error_report


def test_heads_that_do_not_ship_are_named(folders):
    del folders
    result = run(MTP(heads="eagle"))
    assert "PTG623" in result.error_report
    assert "ptgflow train heads=eagle model=tiny" in result.error_report


def test_a_judge_needs_something_to_judge():
    with pytest.raises(Exception, match="PTG10"):
        compile(DraftVerify(drafter="judge"), model=CARD)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_twice_is_the_targets_own(folders, kind):
    """Heads do not repeat the token that they follow."""
    answer = run(MTP(heads=kind, weights=folders[kind], k=4, threshold=0.0)).token_ids
    prompt = MODEL.codec.prompt((), text=PROMPT).token_ids
    twice = [at for at in range(1, len(answer)) if answer[at] == answer[at - 1]]
    loop = DecodeLoop(MODEL, max_rows=24)
    rows = [loop.admit(DecodeRequest(prompt_ids=(*prompt, *answer[:at]), max_new_tokens=1)) for at in twice]
    said = {}
    while not loop.idle:
        said |= loop.round().finished
    assert [said[row].token_ids for row in rows] == [(answer[at],) for at in twice]
