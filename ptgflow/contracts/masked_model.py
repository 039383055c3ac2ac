"""How a masked model wants to be asked: its mask token, which row predicts which place, and who sees whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Attention = Literal["bidirectional", "block_causal"]
PromptBlocks = Literal["joined", "one", "causal"]


class MaskedConventions(BaseModel):
    """What two masked models of the same layers may still differ in; a wrong one costs quality and raises no error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mask_id: int = Field(ge=0, description="token that stands for a hole")
    shifted: bool = Field(default=False, description="the row that predicts the token at place i is that of place i-1")
    attention: Attention = Field(
        default="bidirectional",
        description="`bidirectional`: every place sees every other; `block_causal`: its own block and those before",
    )
    block_length: int | None = Field(
        default=None, ge=1, description="places of a block that the model was trained with; null: it has no blocks"
    )
    prompt_blocks: PromptBlocks = Field(
        default="joined",
        description="blocks of the prompt under block-causal attention. `joined`: blocks are counted from the first "
        "token of the prompt, so the canvas may begin inside of one; `one`: the prompt is a block of its own; "
        "`causal`: each of its tokens is",
    )
    end_ids: tuple[int, ...] = Field(default=(), description="tokens that end the text, besides the tokenizer's own")

    @model_validator(mode="after")
    def _blocks(self) -> "MaskedConventions":
        if self.attention == "block_causal" and self.block_length is None:
            raise ValueError("block-causal attention needs a block_length")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedFamily:
    """Public models that are alike in all of it."""

    name: str
    types: frozenset[str]
    """`model_type` and architectures of their configurations; empty: these say nothing of the family."""
    conventions: dict[str, Any] = field(default_factory=dict[str, Any])
    """Fields of `MaskedConventions`. No `mask_id`: it was added to a vocabulary, and the configuration has it."""
    computed_as: str | None = None
    """Architecture of transformers with the same layers and the same names of weights; None: there is none."""


_BLOCKS: Final[dict[str, Any]] = {"attention": "block_causal", "prompt_blocks": "joined"}

FAMILIES: Final = (
    MaskedFamily(
        name="llada_moe",
        types=frozenset({"LLaDAMoEModel", "LLaDAMoEModelLM"}),
        conventions={"mask_id": 156895, "end_ids": (156892,)},
    ),
    MaskedFamily(
        name="llada2",
        types=frozenset({"llada2_moe", "LLaDA2MoeModelLM"}),
        conventions={"mask_id": 156895, "end_ids": (156892,), "block_length": 32, **_BLOCKS},
    ),
    # Llama's layers under names of OLMo's.
    MaskedFamily(
        name="llada",
        types=frozenset({"llada", "LLaDAModelLM"}),
        conventions={"mask_id": 126336, "end_ids": (126081, 126348)},
    ),
    MaskedFamily(
        name="dream",
        types=frozenset({"Dream", "DreamModel"}),
        conventions={"mask_id": 151666, "shifted": True, "end_ids": (151643,)},
        computed_as="qwen2",
    ),
    MaskedFamily(
        name="fast_dllm_v2",
        types=frozenset({"Fast_dLLM_Qwen", "Fast_dLLM_QwenForCausalLM"}),
        conventions={"mask_id": 151665, "shifted": True, "end_ids": (151645,), "block_length": 32, **_BLOCKS},
        computed_as="qwen2",
    ),
    MaskedFamily(
        name="sdar",
        types=frozenset({"sdar", "SDARForCausalLM"}),
        conventions={"mask_id": 151669, "block_length": 4, **_BLOCKS},
        computed_as="qwen3",
    ),
    MaskedFamily(name="mdlm", types=frozenset({"mdlm", "MDLM"}), conventions={"mask_id": 50257}),
    MaskedFamily(
        name="bd3lm",
        types=frozenset({"bd3lm", "BD3LM"}),
        conventions={"mask_id": 50257, "block_length": 4, **_BLOCKS},
    ),
    MaskedFamily(name="tiny_a2d_qwen3", types=frozenset({"a2d-qwen3", "A2DQwen3LMHeadModel"}), computed_as="qwen3"),
    MaskedFamily(name="tiny_a2d_llama", types=frozenset({"a2d-llama", "A2DLlamaLMHeadModel"}), computed_as="llama"),
    MaskedFamily(name="tiny_a2d_qwen2", types=frozenset({"a2d-qwen2", "A2DQwen2LMHeadModel"}), computed_as="qwen2"),
    # Their configurations are those of the models that they were adapted from.
    MaskedFamily(name="diffullama", types=frozenset(), conventions={"shifted": True}, computed_as="llama"),
    MaskedFamily(name="open_dllm", types=frozenset(), conventions={"shifted": True}, computed_as="qwen2"),
)
"""Public masked models (LLaDA arXiv 2502.09992, Dream 2508.15487, Fast-dLLM v2 2509.26328, SDAR 2510.06303, MDLM
2406.07524, BD3-LM 2503.09573, DiffuLLaMA 2410.17891), as their own generation code asks them."""

_MASK_KEYS: Final = ("mask_token_id", "mask_id", "mask_index")
_BLOCK_KEYS: Final = ("block_length", "block_size", "bd_size")


def family_of(config: Mapping[str, Any]) -> MaskedFamily | None:
    """The family of a checkpoint, by the contents of its config.json.

    An architecture says more than a `model_type`, which LLaDA's mixture of experts shares with the dense LLaDA.
    """
    architectures: Any = config.get("architectures") or ()
    for said in (*architectures, config.get("model_type")):
        for family in FAMILIES:
            if said in family.types:
                return family
    return None


def conventions_of(config: Mapping[str, Any]) -> MaskedConventions | None:
    """How a checkpoint wants to be asked, by the contents of its config.json; None: it is of no known family.

    What the configuration says of its mask token, its block length and its end comes before what is usual. None also
    where a family has no usual mask token and the configuration names none.
    """
    family = family_of(config)
    return None if family is None else conventions_in(family, config)


def conventions_in(family: MaskedFamily, config: Mapping[str, Any]) -> MaskedConventions | None:
    """The same for a checkpoint whose family is known in another way (DiffuLLaMA's configuration is Llama's)."""
    fields = dict(family.conventions)
    mask = _first_number(config, _MASK_KEYS, least=0)
    if mask is not None:
        fields["mask_id"] = mask
    if "mask_id" not in fields:
        return None
    block = _first_number(config, _BLOCK_KEYS, least=1)
    if block is not None and fields.get("attention") == "block_causal":
        fields["block_length"] = block
    ends: Any = config.get("eos_token_id")
    said = (ends,) if isinstance(ends, int) else tuple(ends or ())
    fields["end_ids"] = tuple(dict.fromkeys((*fields.get("end_ids", ()), *said)))
    return MaskedConventions(**fields)


def _first_number(config: Mapping[str, Any], keys: tuple[str, ...], *, least: int) -> int | None:
    """The number under the first key that has one; -1 and null say nothing."""
    found = (config.get(key) for key in keys)
    return next((number for number in found if isinstance(number, int) and number >= least), None)
