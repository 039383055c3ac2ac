"""Model cards: what a model is, where it comes from, and what it can do, known before any weight is loaded."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ptgflow.contracts.capabilities import Capability
from ptgflow.contracts.masked_model import StatedConventions

DType = Literal["auto", "float32", "bfloat16", "float16", "int8"]


class ModelCard(BaseModel):
    """A model as recipes name it (`recipes/model/*.yaml`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="the card's name; reports call the model so")
    source: str = Field(
        description="`wheel:PACKAGE==VERSION/PATH/IN/WHEEL`, a local folder, a `.gguf` file, a hub id `ORG/NAME` "
        "(`ORG/NAME@REVISION` pins one), or `tiny`"
    )
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$", description="of the wheel or GGUF file")
    description: str = Field(default="", description="one line for `ptgflow models`")
    license: str = Field(default="", description="SPDX name")
    parameters: int | None = Field(default=None, ge=1, description="number of weights, for memory estimates")
    context_length: int | None = Field(default=None, ge=1, description="most tokens, prompt and answer together")
    kv_bytes_per_token: int | None = Field(default=None, ge=1, description="keys and values of one token, fp32 bytes")
    tokenizer: str | None = Field(default=None, description="fingerprint; null: known once the model is loaded")
    capabilities: frozenset[Capability] | None = Field(
        default=None, description="what methods may ask of it; null: read from the checkpoint"
    )
    masked: StatedConventions | None = Field(
        default=None,
        description="how a masked model wants to be asked: `mask_id`, `shifted`, `attention`, `block_length`, "
        "`prompt_blocks`, `end_ids`; null, of all or of one: as its config.json says, or as is usual in its family",
    )
    dtype: DType = Field(
        default="auto",
        description="of the weights; `auto`: bfloat16 where the device computes in it natively, else float32, "
        "which is the reference; int8 is refused where it agrees too little with float32",
    )
    force_int8: bool = Field(default=False, description="run in int8 even where it agrees too little with float32")
    device: str = Field(default="auto", description="`cpu`, `cuda`, `cuda:1`, or `auto`: a GPU if there is one")
    allow_pickle: bool = Field(default=False, description="load `.bin` weights, which can run code of their author")
    trust_remote_code: bool = Field(default=False, description="run Python files that come with the checkpoint")

    def beside(self, target: "ModelCard") -> "ModelCard":
        """The same model where another one runs, in its precision; `auto` for int8, which not every model bears."""
        dtype = "auto" if target.dtype == "int8" else target.dtype
        return self.model_copy(update={"device": target.device, "dtype": dtype})
