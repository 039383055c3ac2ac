"""Multiple Token Prediction: the table of heads."""

from pydantic import Field

from ptgflow.contracts import Capability, MethodSpec, Paradigm, StageOptions

_NEEDS = frozenset({Capability.CAUSAL, Capability.KV_CACHE, Capability.HIDDEN_STATES})


class StepOptions(StageOptions):
    """How much is written a round, whatever predicts it."""

    k: int = Field(
        default=4, ge=1, le=16, description="most tokens written a round, where no verifier stands right behind"
    )
    threshold: float = Field(
        default=0.6,
        ge=0.0,
        le=1.0,
        description="probability below which a head's token is not written, where no verifier stands right behind",
    )


class HeadOptions(StepOptions):
    """What every kind of trained head shares."""

    weights: str | None = Field(
        default=None, description="a folder with trained heads; null: those that ship for the model"
    )


METHODS = (
    MethodSpec(
        paradigm=Paradigm.MTP,
        name="medusa",
        summary="independent heads on the last hidden state, one for each position ahead",
        reference="Medusa, arXiv 2401.10774",
        options=HeadOptions,
        needs=_NEEDS,
        implementation="ptgflow.stages.mtp.heads:Medusa",
    ),
    MethodSpec(
        paradigm=Paradigm.MTP,
        name="hydra",
        summary="heads on the last hidden state that also read the tokens drafted before",
        reference="Hydra, arXiv 2402.05109",
        options=HeadOptions,
        needs=_NEEDS,
        implementation="ptgflow.stages.mtp.heads:Hydra",
    ),
    MethodSpec(
        paradigm=Paradigm.MTP,
        name="blockwise",
        summary="one feed-forward layer on the last hidden state for all positions ahead",
        reference="blockwise parallel decoding, arXiv 1811.03115",
        options=HeadOptions,
        needs=_NEEDS,
        implementation="ptgflow.stages.mtp.heads:Blockwise",
    ),
    MethodSpec(
        paradigm=Paradigm.MTP,
        name="gated_lora",
        summary="mask tokens behind the text, read by the target with adapters of their own",
        reference="Your LLM Knows the Future, arXiv 2507.11851",
        options=HeadOptions,
        needs=_NEEDS,
        implementation="ptgflow.stages.mtp.heads:GatedLora",
    ),
    MethodSpec(
        paradigm=Paradigm.MTP,
        name="eagle",
        summary="a small autoregressive head over hidden states",
        reference="EAGLE, arXiv 2401.15077; EAGLE-3, arXiv 2503.01840",
        options=HeadOptions,
        needs=_NEEDS,
        implementation="ptgflow.stages.mtp.heads:Eagle",
    ),
    MethodSpec(
        paradigm=Paradigm.MTP,
        name="native",
        summary="the prediction module that a checkpoint of MiMo's layout brings along",
        reference="MiMo, arXiv 2505.07608; after DeepSeek-V3, arXiv 2412.19437",
        options=StepOptions,
        needs=_NEEDS | {Capability.NATIVE_MTP},
        implementation="ptgflow.stages.mtp.heads:Native",
    ),
)
