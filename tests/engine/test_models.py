"""Loading checkpoints: every supported family, what a loaded model says of itself, and what is refused."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml
from safetensors.torch import load_file, save_file

from ptgflow.contracts import Capability, ModelCard
from ptgflow.contracts.abilities import CAUSAL_DECODER
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.engine.models import agreement
from ptgflow.engine.models.agreement import Agreement
from ptgflow.engine.models.model import LoadedModel, load_model
from ptgflow.engine.models.tiny import tiny_tokenizer
from ptgflow.errors import RunError

RECIPES = Path(__file__).parents[2] / "recipes" / "model"
SIZES: dict[str, Any] = {
    "vocab_size": 271,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": [1, 2],
    "pad_token_id": 1,
}
FAMILIES = ("Llama", "Mistral", "Qwen2", "Qwen3", "Gemma", "Gemma2", "Gemma3")


def save(folder: Path, family: str, **changes: Any) -> Any:
    """A randomly initialised checkpoint of a family, with the tiny tokenizer."""
    config_class = getattr(transformers, "Gemma3TextConfig" if family == "Gemma3" else family + "Config")
    settings = {**SIZES, **changes}
    if family == "Qwen2":
        del settings["head_dim"]
    torch.manual_seed(0)
    network = getattr(transformers, family + "ForCausalLM")(config_class(**settings)).eval()
    network.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return network


def card(source: Path | str, **fields: Any) -> ModelCard:
    return ModelCard(name="mine", source=str(source), **fields)


def codes(card: ModelCard) -> tuple[str, ...]:
    with pytest.raises(RunError) as caught:
        load_model(card)
    assert all(finding.code in str(caught.value) for finding in caught.value.findings)
    return caught.value.codes


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    save(tmp_path, "Llama")
    return tmp_path


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_loads_with_the_weights_it_was_saved_with(tmp_path: Path, family: str, capfd: Any) -> None:
    saved = save(tmp_path, family)
    capfd.readouterr()
    model = load_model(card(tmp_path), Accelerate(forward="transformers"))
    assert capfd.readouterr() == ("", "")
    ids = torch.tensor([model.codec.prompt((), text="Say the thing").token_ids])
    with torch.no_grad():
        expected, found = saved(ids).logits, model.network(ids).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert not model.network.training
    assert not any(weight.requires_grad for weight in model.network.parameters())
    assert model.context_length == 64
    assert model.codec.eos_ids == {1, 2}
    assert model.capabilities == CAUSAL_DECODER
    assert model.codec.fingerprint == load_model(card("tiny")).codec.fingerprint
    assert model.dtype == "float32"


@pytest.mark.parametrize("family", FAMILIES)
def test_key_and_value_size_is_what_the_cache_takes(tmp_path: Path, family: str) -> None:
    save(tmp_path, family)
    model = load_model(card(tmp_path), Accelerate(forward="transformers"))
    assert model.kv_bytes_per_token == load_model(card(tmp_path)).kv_bytes_per_token
    ids = torch.arange(4, 12)[None]
    layers = model.network(ids, use_cache=True).past_key_values.layers
    size = sum(layer.keys.nbytes + layer.values.nbytes for layer in layers)
    assert model.kv_bytes_per_token * ids.shape[1] == size


def test_parameters_counts_a_tied_matrix_once(tmp_path: Path) -> None:
    save(tmp_path, "Llama", tie_word_embeddings=True)
    tied = load_model(card(tmp_path)).parameters
    save(tmp_path, "Llama", tie_word_embeddings=False)
    assert load_model(card(tmp_path)).parameters == tied + 271 * 16


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_dtype_is_the_cards(llama: Path, name: Any) -> None:
    model = load_model(card(llama, dtype=name), Accelerate(forward="transformers"))
    assert {str(weight.dtype) for weight in model.network.parameters()} == {f"torch.{name}"}
    assert model.dtype == name
    assert load_model(card(llama, dtype=name)).dtype == name


def test_weights_in_half_the_bytes_and_in_a_quarter(llama: Path) -> None:
    bytes_of = {
        name: load_model(card(llama, dtype=name, force_int8=True)).weights for name in ("float32", "bfloat16", "int8")
    }
    body = {name: weights.nbytes - weights.head.nbytes - weights.embedding.nbytes for name, weights in bytes_of.items()}
    assert body["bfloat16"] == body["float32"] / 2
    assert body["float32"] / 4 < body["int8"] < body["float32"] / 3
    assert {weights.head.nbytes for weights in bytes_of.values()} == {271 * 16 * 4}, "logits stay in fp32"


def test_int8_that_agrees_too_little_is_refused_unless_forced(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_model(card(llama, dtype="int8")).dtype == "int8", "these weights agree well enough"
    monkeypatch.setattr(agreement, "MOST_NATS", -1.0)
    with pytest.raises(RunError, match=r"at least 95%.*at most -1\.0") as caught:
        load_model(card(llama, dtype="int8"))
    assert caught.value.codes == ("PTG618",)
    assert load_model(card(llama, dtype="int8", force_int8=True)).dtype == "int8"


def test_agreement_is_what_it_says() -> None:
    first = torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.7, 0.1]]).log()
    second = torch.tensor([[0.25, 0.5, 0.25], [0.2, 0.7, 0.1]]).log()
    found = Agreement.of(first, second)
    assert found.argmax == 0.5
    assert found.nats == pytest.approx((0.5 * math.log(2) - 0.25 * math.log(2)) / 2)
    assert not found.suffices
    assert Agreement.of(second, second).suffices


def test_int8_needs_the_written_out_pass(llama: Path) -> None:
    with pytest.raises(RunError, match="PTG608.*int8.*written-out"):
        load_model(card(llama, dtype="int8"), Accelerate(forward="transformers"))


def test_a_family_that_is_not_written_out_says_so_when_it_is_asked_for(tmp_path: Path) -> None:
    save(tmp_path, "Gemma2")
    with pytest.raises(RunError, match="PTG608.*gemma2.*not written out"):
        load_model(card(tmp_path), Accelerate(forward="written"))
    assert load_model(card(tmp_path)).forward == "transformers"


def test_a_chat_template_decides_which_token_ends_a_turn(llama: Path) -> None:
    edit_json(llama / "generation_config.json", eos_token_id=2)
    edit_json(llama / "config.json", eos_token_id=2)
    assert load_model(card(llama)).codec.eos_ids == {1, 2}


def test_a_card_may_shorten_the_context_but_not_stretch_it(llama: Path) -> None:
    assert load_model(card(llama, context_length=10)).context_length == 10
    assert codes(card(llama, context_length=65)) == ("PTG616",)


def test_everything_that_a_card_gets_wrong_is_told_at_once(llama: Path) -> None:
    wrong = card(
        llama, tokenizer="0" * 16, context_length=9999, capabilities=frozenset({Capability.CAUSAL, "native_mtp"})
    )
    with pytest.raises(RunError) as caught:
        load_model(wrong)
    assert caught.value.codes == ("PTG616",) * 3
    assert "native_mtp" in str(caught.value)


def test_declared_capabilities_may_be_fewer(llama: Path) -> None:
    assert load_model(card(llama, capabilities=[Capability.CAUSAL])).capabilities == {Capability.CAUSAL}


def test_a_device_that_is_not_there(llama: Path) -> None:
    assert codes(card(llama, device="cuda:63")) == ("PTG608",)
    assert codes(card(llama, device="abacus")) == ("PTG608",)


@pytest.mark.parametrize("model_type", ["mamba", "t5", "gpt2"])
def test_another_architecture_is_refused_by_name(llama: Path, model_type: str) -> None:
    edit_json(llama / "config.json", model_type=model_type, architectures=None)
    with pytest.raises(RunError, match=repr(model_type)) as caught:
        load_model(card(llama))
    assert caught.value.codes == ("PTG608",)


def test_an_architecture_nobody_knows_is_refused_by_name(llama: Path) -> None:
    edit_json(llama / "config.json", model_type="nonesuch")
    assert codes(card(llama)) == ("PTG608",)


def test_a_tokenizer_larger_than_the_embedding_is_refused(tmp_path: Path) -> None:
    save(tmp_path, "Llama", vocab_size=200)
    assert codes(card(tmp_path)) == ("PTG608",)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file(llama: Path, file: str) -> None:
    (llama / file).unlink()
    assert codes(card(llama)) == ("PTG604",)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_file(llama: Path, file: str, kept: float) -> None:
    content = (llama / file).read_bytes()
    (llama / file).write_bytes(content[: int(len(content) * kept)])
    assert codes(card(llama)) == ("PTG604",)


def test_a_missing_weight_is_not_made_up(llama: Path) -> None:
    weights = load_file(llama / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, llama / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RunError, match="up_proj") as caught:
        load_model(card(llama))
    assert caught.value.codes == ("PTG604",)


def test_a_weight_of_another_shape(llama: Path) -> None:
    edit_json(llama / "config.json", intermediate_size=24)
    assert codes(card(llama)) == ("PTG604",)


def pickle_weights(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def test_pickled_weights_only_by_name(llama: Path) -> None:
    expected = load_model(card(llama), Accelerate(forward="transformers")).network.state_dict()
    pickle_weights(llama)
    with pytest.raises(RunError, match=r"pytorch_model\.bin") as caught:
        load_model(card(llama))
    assert caught.value.codes == ("PTG606",)
    found = load_model(card(llama, allow_pickle=True), Accelerate(forward="transformers")).network.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_pickles_beside_safetensors_are_not_read(llama: Path) -> None:
    (llama / "pytorch_model.bin").write_bytes(b"not even a pickle")
    assert load_model(card(llama)).context_length == 64


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_of_the_checkpoint_is_not_run(llama: Path, file: str, tmp_path_factory: Any) -> None:
    ran = tmp_path_factory.mktemp("ran") / "yes"
    (llama / "modeling_mine.py").write_text(f"open({str(ran)!r}, 'w').close()\n")
    edit_json(llama / file, auto_map={"AutoConfig": "modeling_mine.Mine", "AutoTokenizer": ["modeling_mine.T", None]})
    with pytest.raises(RunError, match=r"modeling_mine\.py") as caught:
        load_model(card(llama))
    assert caught.value.codes == ("PTG607",)
    assert not ran.exists()


def test_a_folder_of_gguf_files_asks_for_one(tmp_path: Path) -> None:
    save(tmp_path, "Llama")
    (tmp_path / "model.safetensors").rename(tmp_path / "model.gguf")
    with pytest.raises(RunError, match=r"model\.source=.*model\.gguf"):
        load_model(card(tmp_path))


def shipped(name: str) -> ModelCard:
    return ModelCard.model_validate(yaml.safe_load((RECIPES / f"{name}.yaml").read_text()))


def agrees(declared: ModelCard, model: LoadedModel) -> None:
    assert declared.tokenizer == model.codec.fingerprint
    assert declared.context_length == model.context_length
    assert declared.parameters == model.parameters
    assert declared.kv_bytes_per_token == model.kv_bytes_per_token
    assert declared.capabilities == CAUSAL_DECODER
    assert declared.license == "Apache-2.0"


def test_the_tiny_card_tells_the_truth() -> None:
    agrees(shipped("tiny"), load_model(shipped("tiny")))


@pytest.mark.model
def test_the_embedded_card_tells_the_truth() -> None:
    agrees(shipped("smollm2-135m"), load_model(shipped("smollm2-135m")))


def test_the_custom_card_leaves_everything_to_the_checkpoint() -> None:
    fields = yaml.safe_load((RECIPES / "custom.yaml").read_text())
    assert fields["source"] == "???"
    assert ModelCard.model_validate(fields).capabilities is None


def test_a_token_added_to_the_tokenizer_alone_is_refused_where_it_is_used(llama: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
    tokenizer.save_pretrained(llama)
    codec = load_model(card(llama)).codec
    assert codec.vocab_size == 271
    assert codec.prompt((), text="say <|pad|>").token_ids[0] == 0
    with pytest.raises(RunError, match=r"<\|pad\|>") as caught:
        codec.prompt((), text="say <|pad|>", chat=False)
    assert caught.value.codes == ("PTG608",)
