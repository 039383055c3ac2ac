"""Conventions of public masked models, read from what their configurations say."""

import pydantic
import pytest

from ptgflow.contracts.masked_model import FAMILIES, MaskedConventions, conventions_in, conventions_of, family_of

# What is written here is of the models' own generation code and configurations, and not of the table.
PUBLIC = [
    (
        {"model_type": "llada", "architectures": ["LLaDAModelLM"], "mask_token_id": 126336, "eos_token_id": 126081},
        {"mask_id": 126336, "end_ids": (126081, 126348)},
    ),
    (
        {"model_type": "llada", "architectures": ["LLaDAMoEModelLM"], "eos_token_id": 156892},
        {"mask_id": 156895, "end_ids": (156892,)},
    ),
    (
        {"model_type": "llada2_moe", "architectures": ["LLaDA2MoeModelLM"], "eos_token_id": 156892},
        {"mask_id": 156895, "end_ids": (156892,), "attention": "block_causal", "block_length": 32},
    ),
    (
        {"model_type": "Dream", "architectures": ["DreamModel"], "mask_token_id": 151666, "eos_token_id": 151643},
        {"mask_id": 151666, "shifted": True, "end_ids": (151643,)},
    ),
    (
        {"model_type": "Fast_dLLM_Qwen", "architectures": ["Fast_dLLM_QwenForCausalLM"], "bd_size": 32},
        {"mask_id": 151665, "shifted": True, "end_ids": (151645,), "attention": "block_causal", "block_length": 32},
    ),
    (
        {"model_type": "sdar", "architectures": ["SDARForCausalLM"], "block_size": 8, "eos_token_id": [151643, 151645]},
        {"mask_id": 151669, "end_ids": (151643, 151645), "attention": "block_causal", "block_length": 8},
    ),
    ({"model_type": "mdlm", "architectures": ["MDLM"]}, {"mask_id": 50257}),
    (
        {"model_type": "bd3lm", "block_size": 16},
        {"mask_id": 50257, "attention": "block_causal", "block_length": 16},
    ),
    ({"model_type": "a2d-qwen3", "mask_token_id": 151669}, {"mask_id": 151669}),
]


@pytest.mark.parametrize(("config", "expected"), PUBLIC, ids=lambda value: value.get("model_type"))
def test_a_configuration_tells_the_conventions(config, expected):
    assert conventions_of(config) == MaskedConventions(**expected)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "mask_token_id": 4},
        {"model_type": "diffusion_gemma"},
        {"model_type": None, "architectures": None},
    ],
)
def test_a_model_of_no_known_family_has_none(config):
    assert conventions_of(config) is None


def test_a_family_whose_mask_was_added_has_none_where_the_configuration_does_not_name_it():
    assert conventions_of({"model_type": "a2d-qwen3"}) is None
    assert conventions_of({"model_type": "a2d-qwen3", "mask_token_id": -1}) is None


def test_what_a_configuration_says_comes_first():
    said = {"model_type": "Dream", "mask_token_id": 7, "block_size": 5, "eos_token_id": 2}
    assert conventions_of(said) == MaskedConventions(mask_id=7, shifted=True, end_ids=(151643, 2))


def test_a_family_can_be_named_where_the_configuration_is_another_model_s():
    (family,) = (family for family in FAMILIES if family.name == "diffullama")
    found = conventions_in(family, {"model_type": "llama", "mask_token_id": 32000})
    assert found == MaskedConventions(mask_id=32000, shifted=True)


def test_no_two_families_claim_a_model():
    claimed = [said for family in FAMILIES for said in family.types]
    assert len(claimed) == len(set(claimed))
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        for said in family.types:
            assert family_of({"architectures": [said]}) is family


def test_every_entry_of_the_table_makes_conventions():
    for family in FAMILIES:
        found = conventions_in(family, {"mask_token_id": 3})
        assert found is not None
        assert found.mask_id == 3


def test_blocks_have_a_length():
    with pytest.raises(pydantic.ValidationError, match="needs a block_length"):
        MaskedConventions(mask_id=0, attention="block_causal")


def test_conventions_are_data():
    conventions = MaskedConventions(mask_id=1, attention="block_causal", block_length=4, end_ids=(2,))
    assert MaskedConventions.model_validate_json(conventions.model_dump_json()) == conventions
    with pytest.raises(pydantic.ValidationError):
        conventions.shifted = True
