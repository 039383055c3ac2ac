"""Folders of public masked models: what is read out of them, and what of them is not needed."""

import json

import pytest
import torch

from ptgflow.contracts import ModelCard
from ptgflow.engine.models.model import load_model
from ptgflow.engine.models.tiny import tiny_tokenizer
from ptgflow.engine.models.tokenizer import load_codec
from ptgflow.errors import RunError
from tests.engine.canvas.public_folders import BD3LM, FAMILIES, LLADA, MASK, MASK_WORD, MDLM, dit, llada

WORDS = "The king and the queen\n think of 12 things."


def loaded(folder, **more):
    return load_model(ModelCard(name="given", source=str(folder), dtype="float32", **more))


@pytest.mark.parametrize("name", ["dream", "sdar"])
def test_a_tokenizer_that_is_code_is_read_from_qwen_s_files(name, tmp_path):
    FAMILIES[name].folder(tmp_path)
    assert not (tmp_path / "tokenizer.json").exists()
    codec = load_codec(ModelCard(name="given", source=str(tmp_path)))
    assert list(codec.encode(WORDS)) == tiny_tokenizer().encode(WORDS)
    assert codec.decode(codec.encode(WORDS)) == WORDS
    assert codec.tokenizer.mask_token == MASK_WORD
    assert codec.tokenizer.mask_token_id == MASK


def test_other_code_is_still_refused(tmp_path):
    """Of a family that is known the code of the model is not needed; of a tokenizer without its files it is."""
    FAMILIES["dream"].folder(tmp_path)
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(RunError, match=r"PTG607[\s\S]*tokenization_dream\.py"):
        loaded(tmp_path)


def test_llada_has_llama_s_weights_under_other_names(tmp_path):
    network = llada(tmp_path)
    model = loaded(tmp_path)
    found = model.network.state_dict()
    assert found.keys() == network.state_dict().keys()
    assert all(torch.equal(found[name], weight) for name, weight in network.state_dict().items())
    assert (model.context_length, model.vocab_size) == (128, MASK + 1)
    assert model.codec.eos_ids == {1}
    assert model.forward == "transformers"


def test_weights_keep_the_precision_in_which_they_are_stored(tmp_path):
    network = llada(tmp_path)
    model = load_model(ModelCard(name="given", source=str(tmp_path), dtype="bfloat16"))
    assert model.dtype == "bfloat16"
    assert model.network.lm_head.weight.dtype == torch.bfloat16
    torch.testing.assert_close(model.network.lm_head.weight.float(), network.lm_head.weight, rtol=0.01, atol=0.01)


def test_tied_weights_are_tied(tmp_path):
    llada(tmp_path, weight_tying=True)
    network = loaded(tmp_path).network
    assert network.lm_head.weight is network.model.embed_tokens.weight


@pytest.mark.parametrize("said", [MDLM, BD3LM, {**BD3LM, "adaln": False}], ids=["mdlm", "bd3lm", "without a level"])
def test_a_diffusion_transformer_computes_what_it_did(said, tmp_path):
    network = dit(tmp_path, said)
    model = loaded(tmp_path, masked={"mask_id": MASK})
    tokens = torch.arange(9) * 7 % MASK
    visible = torch.ones(1, 1, 9, 9, dtype=torch.bool)
    found = model.network(tokens[None], attention_mask=visible).logits[0]
    torch.testing.assert_close(found, network(tokens, visible[0, 0]), rtol=1e-4, atol=1e-4)


def test_what_a_card_says_comes_before_the_configuration(tmp_path):
    llada(tmp_path)
    assert loaded(tmp_path).holes.shifted is False
    model = loaded(tmp_path, masked={"shifted": True, "end_ids": [5]})
    assert (model.holes.mask_id, model.holes.shifted, model.holes.end_ids) == (MASK, True, (5,))
    assert model.codec.eos_ids == {1, 5}


def test_end_tokens_that_are_usual_in_a_family_and_not_there_are_left_out(tmp_path):
    llada(tmp_path)
    assert loaded(tmp_path).holes.end_ids == (1,)
    (tmp_path / "config.json").write_text(json.dumps({**LLADA, "eos_token_id": None}))
    assert loaded(tmp_path).holes.end_ids == ()
