"""Conventions of public masked models, read from what their configurations say."""

import pydantic
import pytest

from ptgflow.contracts.masked_model import (
    FAMILIES,
    MaskedConventions,
    NoiseConventions,
    StatedConventions,
    UnclearConventionsError,
    family_of,
    holes_of,
)

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
    assert holes_of(config) == MaskedConventions(**expected)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "mask_token_id": 4},
        {"model_type": None, "architectures": None},
    ],
)
def test_a_model_of_no_known_family_has_none(config):
    assert holes_of(config) is None


@pytest.mark.parametrize("more", [{}, {"mask_token_id": -1}])
def test_where_no_mask_is_named_the_tokenizer_has_it_or_somebody_has_to_say_it(more):
    config = {"model_type": "a2d-qwen3", **more}
    with pytest.raises(UnclearConventionsError, match="which of its tokens is the mask"):
        holes_of(config)
    assert holes_of(config, mask_id=9) == MaskedConventions(mask_id=9)
    assert holes_of(config, StatedConventions(mask_id=8), mask_id=9) == MaskedConventions(mask_id=8)
    assert holes_of({**config, "mask_token_id": 7}, mask_id=9) == MaskedConventions(mask_id=7)


def test_what_a_configuration_says_comes_first():
    said = {"model_type": "Dream", "mask_token_id": 7, "block_size": 5, "eos_token_id": 2}
    assert holes_of(said) == MaskedConventions(mask_id=7, shifted=True, end_ids=(151643, 2))


def test_what_a_card_states_comes_before_all():
    said = {"model_type": "Dream", "mask_token_id": 7}
    stated = StatedConventions(shifted=False, end_ids=(2,))
    assert holes_of(said, stated) == MaskedConventions(mask_id=7, shifted=False, end_ids=(2,))
    assert holes_of(said, StatedConventions()) == holes_of(said)


def test_a_card_makes_a_masked_model_of_one_whose_configuration_does_not_tell():
    llama = {"model_type": "llama", "eos_token_id": 2}
    assert holes_of(llama) is None
    assert holes_of(llama, StatedConventions()) is None
    stated = StatedConventions(mask_id=32000, shifted=True)
    assert holes_of(llama, stated) == MaskedConventions(mask_id=32000, shifted=True, end_ids=(2,))
    with pytest.raises(UnclearConventionsError, match="how long its blocks are"):
        holes_of(llama, StatedConventions(mask_id=3, attention="block_causal"))
    with pytest.raises(UnclearConventionsError, match="which of its tokens is the mask"):
        holes_of(llama, StatedConventions(shifted=True))


def test_noise_has_no_conventions():
    assert holes_of({"model_type": "diffusion_gemma"}) == NoiseConventions(block_length=256)
    assert holes_of({"model_type": "diffusion_gemma", "canvas_length": 8}) == NoiseConventions(block_length=8)
    with pytest.raises(UnclearConventionsError, match="its holes are noise"):
        holes_of({"model_type": "diffusion_gemma"}, StatedConventions(mask_id=4))


def test_no_two_families_claim_a_model():
    claimed = [said for family in FAMILIES for said in family.types]
    assert len(claimed) == len(set(claimed))
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        for said in family.types:
            assert family_of({"architectures": [said]}) is family


def test_every_entry_of_the_table_makes_conventions():
    for family in FAMILIES:
        found = holes_of({"architectures": list(family.types), "mask_token_id": 3})
        assert isinstance(found, NoiseConventions) if family.noise else found.mask_id == 3


def test_blocks_have_a_length():
    with pytest.raises(pydantic.ValidationError, match="needs a block_length"):
        MaskedConventions(mask_id=0, attention="block_causal")


def test_conventions_are_data():
    conventions = MaskedConventions(mask_id=1, attention="block_causal", block_length=4, end_ids=(2,))
    assert MaskedConventions.model_validate_json(conventions.model_dump_json()) == conventions
    with pytest.raises(pydantic.ValidationError):
        conventions.shifted = True
