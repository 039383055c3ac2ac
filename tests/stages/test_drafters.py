"""Every drafter in every tree under every exact rule: the text is that of plain decoding."""

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ptgflow import MTP, DraftVerify, compile
from ptgflow.contracts import ModelCard
from ptgflow.engine.growth import TREES
from ptgflow.engine.lookup.datastore import Datastore
from ptgflow.engine.models.model import load_model
from ptgflow.errors import RecipeError
from tests.engine.heads_of_tiny import KINDS, saved

CARD = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")
MODELS = {}
PROMPTS = ["Tell me about ducks.", "abc abc abc abc", "One, two, three, one, two,"]
DRAFTERS = (
    *("ngram", "suffix", "retrieval", "jacobi", "model", "cascade", "early_exit", "layer_skip", "ensemble"),
    *KINDS,
)
QUICK = settings(max_examples=3, deadline=None, phases=(Phase.generate,))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    model = load_model(CARD)
    heads = {kind: str(saved(tmp_path_factory.mktemp(kind), kind, model)) for kind in KINDS}
    return {**heads, "retrieval": str(stored(tmp_path_factory.mktemp("store"), model))}


def stored(folder, model):
    """A datastore with what the target writes, in part, and other texts."""
    texts = [
        *PROMPTS,
        *(one.text[: 3 * len(one.text) // 4] for one in answers(DraftVerify(drafter="ar"), max_tokens=24)),
    ]
    store = Datastore.of(model.codec.encode(text) for text in [*texts, "Ducks swim. Ducks fly."])
    store.save(folder, codec=model.codec, model="tiny", texts=len(texts) + 1, data=())
    return folder


def flow_of(name, folders, **options):
    if name in KINDS:
        return MTP(heads=name, weights=folders[name]) >> DraftVerify(drafter="judge", **options)
    chain, k = options.get("tree", "dyspec") == "chain", options.get("k", 32)
    more = {
        "model": {"draft": "tiny"},
        "ensemble": {"drafters": ["ngram", "suffix"]},
        "early_exit": {"layers": 1},
        "retrieval": {"datastore": folders["retrieval"]},
        "cascade": {"draft": "tiny", "first": max(k // 2, 1), "ahead": 3},
        # A window of two places for n-grams of three has five tokens, and needs two more for one to verify.
        "jacobi": {} if chain else {"window": 2, "ngram": 3, "k": max(k, 7)},
    }
    return DraftVerify(drafter=name, **{**options, **more.get(name, {})})


def answers(flow, **options):
    plan = compile(flow, model=CARD, **options)
    return [plan.run(prompt) for prompt in PROMPTS]


@pytest.fixture(scope="module")
def plain():
    return [one.token_ids for one in answers(DraftVerify(drafter="ar"), max_tokens=24)]


@pytest.mark.parametrize("name", DRAFTERS)
@pytest.mark.parametrize("tree", TREES)
@QUICK
@given(accept=st.sampled_from(["match", "speculative", "block"]), k=st.integers(1, 20))
def test_the_greedy_text_is_that_of_plain_decoding(name, tree, folders, plain, accept, k):
    if accept == "block" and (tree != "chain" or name == "ensemble"):
        return  # It judges chains only; a test of its own shows the message.
    found = answers(flow_of(name, folders, tree=tree, accept=accept, k=k, length="fixed"), max_tokens=24)
    assert [one.token_ids for one in found] == plain
    assert all(one.guarantee.level == "exact" for one in found)
    assert any(one.metrics.stages[-1].proposed for one in found)


@pytest.mark.parametrize("name", DRAFTERS)
def test_how_much_is_drafted_changes_no_text_under_match(name, folders):
    several = [
        answers(flow_of(name, folders, length="fixed", k=k, tree=tree), max_tokens=16, temperature=1.0, seed=3)
        for k, tree in ((16, "chain"), (3, "chain"), (12, "eagle2"))
    ]
    assert len({tuple(one.token_ids for one in found) for found in several}) == 1


def test_the_target_as_its_own_draft_is_always_right(folders):
    del folders
    (found, *_) = answers(DraftVerify(drafter="model", draft="tiny", k=4, length="fixed"), max_tokens=25)
    (stage,) = found.metrics.stages
    assert stage.accepted == stage.proposed
    assert stage.rounds <= 6
    (whole, *_) = answers(DraftVerify(drafter="early_exit", layers=99, k=4, length="fixed"), max_tokens=25)
    assert whole.metrics.stages[0].accepted == whole.metrics.stages[0].proposed


def test_a_draft_model_with_other_tokens_needs_to_be_asked_for():
    with pytest.raises(RecipeError, match="PTG407"):
        compile(DraftVerify(drafter="model", draft="tiny"), model="smollm2-135m")
    with pytest.raises(RecipeError, match="PTG406"):
        compile(DraftVerify(drafter="model", draft="tiny", reencode=True, tree="eagle2"), model="smollm2-135m")
    compile(DraftVerify(drafter="model", draft="tiny", reencode=True), model="smollm2-135m")
    with pytest.raises(RecipeError, match="PTG407") as caught:
        compile(DraftVerify(drafter="cascade", draft="tiny").named("write"), model="smollm2-135m")
    assert "stage@stages.write=draft_verify/model stages.write.reencode=true" in str(caught.value)
    with pytest.raises(RecipeError, match="PTG009|unknown|no model"):
        compile(DraftVerify(drafter="model", draft="tinny"), model=CARD)


@pytest.mark.parametrize("name", ["model", "cascade"])
def test_no_draft_model_is_told(name):
    (found, *_) = answers(DraftVerify(drafter=name), max_tokens=4)
    assert "PTG408" in found.error_report


def test_parts_of_a_model_need_its_layers():
    from ptgflow.contracts.accelerators import Accelerate

    flow = DraftVerify(drafter="early_exit")
    plan = compile(flow, model=CARD, accelerate=Accelerate(forward="transformers"), max_tokens=4)
    report = plan.run("Hello.").error_report
    assert "PTG608" in report
    assert "accelerate.forward=auto" in report


@pytest.mark.parametrize("name", DRAFTERS)
@pytest.mark.parametrize("length", ["heuristic", "thompson", "confidence", "expected_throughput"])
def test_no_way_to_choose_lengths_changes_the_text(name, length, folders, plain):
    if name == "jacobi" and length in ("heuristic", "thompson"):
        with pytest.raises(RecipeError, match="PTG406.*an iteration needs all of it"):
            compile(flow_of(name, folders, tree="opt_tree", length=length, k=8), model=CARD)
        return
    found = answers(flow_of(name, folders, tree="opt_tree", length=length, k=8), max_tokens=24)
    assert [one.token_ids for one in found] == plain


def test_only_what_the_drafter_is_sure_of_is_drafted(folders):
    proposed = {}
    for confidence in (0.01, 0.4, 1.0):
        found = answers(flow_of("medusa", folders, length="confidence", confidence=confidence), max_tokens=24)
        proposed[confidence] = sum(one.metrics.stages[0].proposed for one in found)
    assert proposed[0.01] > proposed[0.4] >= proposed[1.0] == 0


def test_bild_keeps_what_is_not_too_unlikely_and_promises_nothing(folders, plain):
    lossy = answers(
        flow_of("medusa", folders, tree="chain", length="fixed", accept="bild", accept_rollback=50.0), max_tokens=24
    )
    assert all(one.guarantee.level == "none" for one in lossy)
    assert [one.token_ids for one in lossy] != plain
    assert all(one.metrics.stages[0].accepted == one.metrics.stages[0].proposed for one in lossy)
    strict = answers(
        flow_of("medusa", folders, tree="chain", length="fixed", accept="bild", accept_rollback=0.0), max_tokens=24
    )
    assert [one.token_ids for one in strict] == plain
