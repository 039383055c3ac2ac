"""A checkpoint's own prediction modules: they draft as described, and never change the text."""

import json

import pytest
import torch

from ptgflow import MTP, DraftVerify, RecipeError, compile
from ptgflow.contracts import Capability, ModelCard
from ptgflow.contracts.native_modules import native_modules
from ptgflow.engine.growth import TREES
from ptgflow.engine.heads.drafters import drafter_of
from ptgflow.engine.heads.native.loading import load_native
from ptgflow.engine.models.model import load_model
from ptgflow.engine.slots import RowInput
from ptgflow.errors import RunError
from ptgflow.recipe.cards import card_facts
from tests.engine.native_checkpoints import mimo, mimo_module
from tests.engine.plain_drafts import foreseen, layer, linear, norm
from tests.engine.test_heads_public import IDS, assert_drafts, states_of

PROMPTS = ["Tell me about ducks.", "abc abc abc abc", "One, two, three, one, two,"]


def card(folder, **more):
    return ModelCard(name="mine", source=str(folder), device="cpu", dtype="float32", **more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("mimo")
    mimo(made)
    return made


def test_a_checkpoint_of_mimo_is_a_qwen2_whose_own_code_is_not_run(folder, tmp_path):
    network, _ = mimo(tmp_path)
    model = load_model(card(folder))
    run = model.open_pass()
    found = run([RowInput(row=run.cache.admit(), tokens=IDS)])
    with torch.no_grad():
        expected = network(torch.tensor([IDS])).logits[0, -1]
    assert torch.allclose(found[0], expected, atol=1e-4)
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"model_type": "mimo", "auto_map": {"AutoTokenizer": ["x.T", None]}})
    )
    with pytest.raises(RunError, match=r"PTG607.*x\.py"):
        load_model(card(tmp_path))


def test_the_module_drafts_what_its_description_says(folder):
    model, tensors = load_model(card(folder)), mimo_module()
    prefix, embed = "model.mtp_layers.0", model.embed(torch.arange(model.vocab_size))
    head = model.output_rows(torch.arange(model.vocab_size))

    def step(tokens, states):
        state = norm(states, tensors[f"{prefix}.hidden_layernorm.weight"])
        token = norm(embed[tokens], tensors[f"{prefix}.token_layernorm.weight"])
        x = linear(tensors, f"{prefix}.input_proj", torch.cat((state, token), -1))
        x = layer(tensors, prefix, norm(x, tensors[f"{prefix}.input_layernorm.weight"]), x, theta=640.0)
        return norm(x, tensors[f"{prefix}.final_layernorm.weight"])

    with torch.no_grad():
        states = states_of(model, IDS[:-1], (model.layers,))
        laws = foreseen(step, lambda left: left @ head.T, states, IDS, 4)
    joint = drafter_of(load_native(model), model, TREES["dyspec"](), size=12)
    assert_drafts(joint, model, IDS, laws)
    assert joint.source == str(folder)


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("accept", ["match", "speculative"])
def test_before_a_verifier_the_text_is_greedy_decodings(tree, accept, folder):
    texts = {}
    for name, flow in {
        "plain": DraftVerify(drafter="ar"),
        "drafted": MTP(heads="native") >> DraftVerify(drafter="judge", tree=tree, accept=accept, length="fixed", k=8),
    }.items():
        plan = compile(flow, model=card(folder), max_tokens=24)
        found = [plan.run(prompt) for prompt in PROMPTS]
        assert all(one.guarantee.level == "exact" for one in found), [one.error_report for one in found]
        texts[name] = [one.token_ids for one in found]
    assert texts["drafted"] == texts["plain"]
    assert any(one.metrics.stages[-1].proposed for one in found)


def test_alone_it_writes_k_tokens_a_round(folder):
    plan = compile(MTP(heads="native", k=3, threshold=0.0), model=card(folder), max_tokens=24)
    (stage,) = plan.run(PROMPTS[0]).metrics.stages
    assert stage.method == "mtp/native"
    assert stage.accepted == stage.proposed > 0


def test_what_a_folder_brings_is_read_from_the_names_of_its_tensors(folder, tmp_path):
    assert native_modules(folder) == ("mimo", 1)
    facts = card_facts(card(folder))
    assert facts.capabilities is not None
    assert Capability.NATIVE_MTP in facts.capabilities
    for names, expected in (
        (["model.layers.0.mlp.up_proj.weight"], ("", 0)),
        (["model.layers.61.eh_proj.weight", "model.layers.61.enorm.weight"], ("deepseek", 1)),
        (["mtp.fc.weight", "mtp.layers.0.mlp.gate.weight"], ("qwen3_next", 1)),
        (["model.mtp_layers.0.input_proj.weight", "model.mtp_layers.1.input_proj.weight"], ("mimo", 2)),
    ):
        index = {"weight_map": dict.fromkeys(names, "model-00001-of-00001.safetensors")}
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
        assert native_modules(tmp_path) == expected


def test_what_cannot_be_read_brings_nothing(tmp_path):
    assert native_modules(tmp_path) == ("", 0)
    for content in (b"", b"\xff" * 40, (5).to_bytes(8, "little") + b"[1,2]", (3).to_bytes(8, "little") + b"{]}"):
        (tmp_path / "model.safetensors").write_bytes(content)
        assert native_modules(tmp_path) == ("", 0)


def test_a_model_without_modules_is_refused_before_it_is_loaded(folder, tmp_path):
    with pytest.raises(RecipeError, match=r"PTG401[\s\S]*native_mtp"):
        compile(MTP(heads="native"), model="tiny")
    mimo(tmp_path, drop=[*mimo_module()])
    with pytest.raises(RecipeError, match=r"PTG401[\s\S]*native_mtp"):
        compile(MTP(heads="native"), model=str(tmp_path))
    with pytest.raises(RunError, match=r"PTG616[\s\S]*native_mtp"):
        load_model(card(tmp_path, capabilities=frozenset({Capability.NATIVE_MTP})))
    loaded = load_model(card(tmp_path))
    assert Capability.NATIVE_MTP not in loaded.capabilities
    with pytest.raises(RunError, match=r"PTG652.*its files have none"):
        load_native(loaded)


def test_the_option_for_trained_heads_is_none_of_its_own():
    with pytest.raises(RecipeError, match=r"PTG006|weights"):
        compile(MTP(heads="native", weights="somewhere"), model="tiny")


PREFIX = "model.mtp_layers.0"
DAMAGES = {
    r"'model\.mtp_layers\.0\.final_layernorm\.weight' is missing": {"drop": [f"{PREFIX}.final_layernorm.weight"]},
    r"input_proj\.weight' is \[16, 48\], and the model's own sizes say \[16, 32\]": {
        "changes": {f"{PREFIX}.input_proj.weight": torch.zeros(16, 48)}
    },
    "'model.mtp_layers.0.gate.weight' is one that no module of MiMo has": {
        "changes": {f"{PREFIX}.gate.weight": torch.zeros(2)}
    },
    "it has 2 of them": {"changes": mimo_module(1)},
    r"named as those of DeepSeek-V3 and GLM-4, in a model of the architecture 'qwen2'": {
        "drop": [*mimo_module()],
        "changes": {"model.layers.3.eh_proj.weight": torch.zeros(16, 32)},
    },
    "named as those of Qwen3-Next": {"drop": [*mimo_module()], "changes": {"mtp.fc.weight": torch.zeros(16, 32)}},
}


@pytest.mark.parametrize("words", DAMAGES)
def test_modules_that_are_incomplete_or_of_another_family_are_told(words, tmp_path):
    mimo(tmp_path, **DAMAGES[words])
    with pytest.raises(RunError, match=f"PTG652.*{words}"):
        load_native(load_model(card(tmp_path)))


@pytest.mark.parametrize("architecture", ["deepseek_v3", "glm4_moe", "qwen3_next"])
def test_architectures_whose_pass_is_not_computed_are_named_before_their_modules_are(architecture, folder, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": architecture, "num_nextn_predict_layers": 1}))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(RunError, match=rf"PTG608.*its architecture is '{architecture}'"):
        load_model(card(tmp_path))
