"""Heads from a folder: what does not belong together, or is damaged, is told and not used."""

import json

import pytest
from safetensors.torch import load_file, save_file

from ptgflow.contracts import ModelCard
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.heads.shapes import expected_shapes
from ptgflow.engine.models.model import load_model
from ptgflow.errors import RunError
from tests.engine.heads_of_tiny import KINDS, VOCABULARY, config_of, net_of, saved

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_saved_is_loaded(kind, tmp_path):
    heads = load_heads(saved(tmp_path, kind, MODEL), MODEL, kind=kind)
    assert heads.config.kind == kind
    assert heads.vocabulary.tolist() == VOCABULARY.tolist()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("tokenizer", "0123", r"tokenizer is another[\s\S]*0123"),
        ("hidden_size", 16, None),
        ("layers", 9, r"number of layers is another[\s\S]*9"),
        ("vocab_size", 999, r"vocabulary is another[\s\S]*999"),
        ("parameters", 5, r"number of weights is another[\s\S]*5"),
    ],
)
def test_heads_of_another_model_are_refused_with_both_sides(field, value, words, tmp_path):
    saved(tmp_path, "medusa", MODEL)
    config = json.loads((tmp_path / "config.json").read_text())
    config["base"][field] = value
    (tmp_path / "config.json").write_text(json.dumps(config))
    if words is None:
        load_heads(tmp_path, MODEL, kind="medusa")
        return
    with pytest.raises(RunError, match=rf"PTG621[\s\S]*{words}"):
        load_heads(tmp_path, MODEL, kind="medusa")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("own_output", [True, False])
def test_the_networks_have_just_the_tensors_that_are_checked(kind, own_output):
    if (kind, own_output) in (("blockwise", True), ("gated_lora", True), ("eagle", False)):
        return  # Neither can be.
    config = config_of(kind, MODEL, own_output=own_output)
    found = {name: tuple(one.shape) for name, one in net_of(config).state_dict().items()}
    assert found == expected_shapes(config)


@pytest.mark.parametrize("kind", ["blockwise", "gated_lora"])
def test_some_heads_have_no_output_of_their_own(kind, tmp_path):
    saved(tmp_path, kind, MODEL)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "own_output": True}))
    with pytest.raises(RunError, match=r"PTG622.*own_output.*share the target's output matrix"):
        load_heads(tmp_path, MODEL, kind=kind)


def test_heads_of_another_kind_are_refused(tmp_path):
    with pytest.raises(RunError, match=r"PTG621.*kind is another[\s\S]*medusa"):
        load_heads(saved(tmp_path, "medusa", MODEL), MODEL, kind="eagle")


def without(tensors, name):
    return {key: one for key, one in tensors.items() if key != name}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda tensors: without(tensors, "fc.weight"), "no tensor 'fc.weight'"),
        (lambda tensors: without(tensors, "d2t"), "'d2t' does not say which"),
        (lambda tensors: {**tensors, "fc.weight": tensors["fc.weight"][:3].clone()}, r"'fc.weight' is \[3, 48\]"),
        (lambda tensors: {**tensors, "d2t": tensors["d2t"] + 500}, "tokens that the model does not have"),
    ],
)
def test_heads_that_are_damaged_are_refused(damage, words, tmp_path):
    saved(tmp_path, "eagle", MODEL)
    save_file(damage(load_file(tmp_path / "heads.safetensors")), tmp_path / "heads.safetensors")
    with pytest.raises(RunError, match=f"PTG622.*{words}"):
        load_heads(tmp_path, MODEL, kind="eagle")


def test_files_that_cannot_be_read_are_told(tmp_path):
    with pytest.raises(RunError, match=r"PTG622.*there is no config.json"):
        load_heads(tmp_path, MODEL, kind="eagle")
    saved(tmp_path, "eagle", MODEL)
    whole = (tmp_path / "heads.safetensors").read_bytes()
    (tmp_path / "heads.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunError, match=r"PTG622.*heads.safetensors"):
        load_heads(tmp_path, MODEL, kind="eagle")
    (tmp_path / "heads.safetensors").unlink()
    with pytest.raises(RunError, match=r"PTG622.*heads.safetensors"):
        load_heads(tmp_path, MODEL, kind="eagle")
    (tmp_path / "config.json").write_text('{"kind": "eagle"}')
    with pytest.raises(RunError, match=r"PTG622.*base: Field required"):
        load_heads(tmp_path, MODEL, kind="eagle")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"PTG622.*config.json"):
        load_heads(tmp_path, MODEL, kind="eagle")
