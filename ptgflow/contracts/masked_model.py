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


class StatedConventions(BaseModel):
    """What a card says of them (`model.masked`); null: what the checkpoint's config.json says or its family has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mask_id: int | None = Field(default=None, ge=0)
    shifted: bool | None = None
    attention: Attention | None = None
    block_length: int | None = Field(default=None, ge=1)
    prompt_blocks: PromptBlocks | None = None
    end_ids: tuple[int, ...] | None = None

    @property
    def said(self) -> dict[str, Any]:
        """The fields that say something."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseConventions:
    """How DiffusionGemma is asked: a hole is a token drawn at random, and blocks are written from left to right."""

    block_length: int
    """Places of a canvas in its training, and most of a block."""


Holes = MaskedConventions | NoiseConventions
"""What a model that fills canvases by itself takes for a hole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedFamily:
    """Public models that are alike in all of it."""

    name: str
    types: frozenset[str]
    """`model_type` and architectures of their configurations."""
    conventions: dict[str, Any] = field(default_factory=dict[str, Any])
    """Fields of `MaskedConventions`. No `mask_id`: it was added to a vocabulary, and the configuration has it."""
    noise: bool = False
    """Whether holes are noise, so that there are no such conventions."""
    computed_as: str | None = None
    """Architecture of transformers that computes the same, of the same names of weights unless a module of the engine
    translates them; None: there is none."""


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
        computed_as="llama",
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
    # Without its noise level, a diffusion transformer (DiT) is one of plain layers.
    MaskedFamily(
        name="mdlm", types=frozenset({"mdlm", "MDLM"}), conventions={"mask_id": 50257}, computed_as="gpt_neox"
    ),
    MaskedFamily(
        name="bd3lm",
        types=frozenset({"bd3lm", "BD3LM"}),
        conventions={"mask_id": 50257, "block_length": 4, **_BLOCKS},
        computed_as="gpt_neox",
    ),
    MaskedFamily(name="tiny_a2d_qwen3", types=frozenset({"a2d-qwen3", "A2DQwen3LMHeadModel"}), computed_as="qwen3"),
    MaskedFamily(name="tiny_a2d_llama", types=frozenset({"a2d-llama", "A2DLlamaLMHeadModel"}), computed_as="llama"),
    MaskedFamily(name="tiny_a2d_qwen2", types=frozenset({"a2d-qwen2", "A2DQwen2LMHeadModel"}), computed_as="qwen2"),
    MaskedFamily(
        name="diffusion_gemma",
        types=frozenset({"diffusion_gemma", "DiffusionGemmaForBlockDiffusion"}),
        noise=True,
        computed_as="diffusion_gemma",
    ),
)
"""Public masked models (LLaDA arXiv 2502.09992, Dream 2508.15487, Fast-dLLM v2 2509.26328, SDAR 2510.06303, MDLM
2406.07524, BD3-LM 2503.09573), as their own generation code asks them. Of some, as DiffuLLaMA (2410.17891), the
configuration is that of the model that they were adapted from: a card has to say how they are asked."""

_MASK_KEYS: Final = ("mask_token_id", "mask_id", "mask_index")
_BLOCK_KEYS: Final = ("block_length", "block_size", "bd_size")
_NOISY_BLOCK: Final = 256
"""Places of DiffusionGemma's canvas where its configuration does not say."""


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


class UnclearConventionsError(ValueError):
    """How a masked model wants to be asked cannot be told."""

    def __init__(self, reason: str, remedy: str) -> None:
        """Say why, and what to write."""
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def holes_of(
    config: Mapping[str, Any], stated: StatedConventions | None = None, *, mask_id: int | None = None
) -> Holes | None:
    """What a checkpoint takes for a hole, and how it wants to be asked; None: it is no masked model.

    What the configuration says of its mask token, its block length and its end comes before what is usual.

    Args:
        config: the contents of its config.json.
        stated: what its card says, which comes first.
        mask_id: the mask token of its tokenizer, which comes last.

    Raises:
        UnclearConventionsError: it is a masked model, and not all of it is known.
    """
    family, said = family_of(config), {} if stated is None else stated.said
    if family is None and not said:
        return None
    if family is not None and family.noise:
        if said:
            raise UnclearConventionsError(
                "its holes are noise, and it has no conventions to state", "leave model.masked out"
            )
        return NoiseConventions(block_length=_first_number(config, ("canvas_length",), least=1) or _NOISY_BLOCK)
    usual = _usual({} if family is None else family.conventions, config)
    fields: dict[str, Any] = {**({} if mask_id is None else {"mask_id": mask_id}), **usual, **said}
    if "mask_id" not in fields:
        raise UnclearConventionsError("nothing says which of its tokens is the mask", "write model.masked.mask_id=ID")
    if fields.get("attention") == "block_causal" and "block_length" not in fields:
        raise UnclearConventionsError("nothing says how long its blocks are", "write model.masked.block_length=N")
    return MaskedConventions(**fields)


def _usual(of_family: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the conventions, as a configuration has them, or else a family."""
    fields = dict(of_family)
    mask = _first_number(config, _MASK_KEYS, least=0)
    if mask is not None:
        fields["mask_id"] = mask
    block = _first_number(config, _BLOCK_KEYS, least=1)
    if block is not None and fields.get("attention") == "block_causal":
        fields["block_length"] = block
    ends: Any = config.get("eos_token_id")
    said = (ends,) if isinstance(ends, int) else tuple(ends or ())
    fields["end_ids"] = tuple(dict.fromkeys((*fields.get("end_ids", ()), *said)))
    return fields


def _first_number(config: Mapping[str, Any], keys: tuple[str, ...], *, least: int) -> int | None:
    """The number under the first key that has one; -1 and null say nothing."""
    found = (config.get(key) for key in keys)
    return next((number for number in found if isinstance(number, int) and number >= least), None)
