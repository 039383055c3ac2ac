"""Draft-and-Verify: the table of drafters."""

from typing import Literal

from pydantic import Field, field_validator

from ptgflow.contracts import (
    Capability,
    Conflict,
    Contract,
    Draft,
    Level,
    MethodSpec,
    Paradigm,
    Prompt,
    StageOptions,
    Verified,
)
from ptgflow.stages.draft_verify.drafter_options import CascadeOptions, JacobiOptions, RetrievalOptions
from ptgflow.stages.draft_verify.options import Tree, VerifyOptions, not_below

_NEEDS = frozenset({Capability.CAUSAL, Capability.KV_CACHE})


class AutoregressiveOptions(StageOptions):
    """Nothing is drafted, so there is nothing to set."""

    def guarantee(self, temperature: float) -> Level:
        return "exact" if temperature == 0 else "distribution"


class NgramOptions(VerifyOptions):
    """Drafts looked up in the prompt and the text so far."""

    min_ngram: int = Field(default=2, ge=1, le=16, description="shortest suffix that is looked up")
    max_ngram: int = Field(default=5, ge=1, le=16, description="longest suffix that is looked up, tried first")

    _ordered = field_validator("max_ngram")(not_below("min_ngram"))

    def conflicts_alone(self) -> tuple[Conflict, ...]:
        if self.tree != "chain" or self.length != "confidence":
            return ()
        reason = "length=confidence is of how likely tokens are, which a tree counts, and tree=chain copies without it"
        return (Conflict(reason=reason, remedies=("tree=dyspec", "length=expected_throughput")),)


class JudgeOptions(VerifyOptions):
    """Drafts of the stage before."""

    tree: Tree = Field(default="dyspec", description="the shape of what heads right before this stage draft")

    def conflicts_alone(self) -> tuple[Conflict, ...]:
        return self.of_no_drafter("no heads right before this stage draft")


class SuffixOptions(VerifyOptions):
    """Drafts looked up in this text and in those of earlier requests."""

    tree: Tree = Field(default="dyspec", description="the shape of drafts")
    min_match: int = Field(default=2, ge=1, le=64, description="shortest end that is looked up")
    max_match: int = Field(default=16, ge=1, le=64, description="of a longer match so many tokens count")
    earlier_tokens: int = Field(
        default=200_000, ge=0, description="how much of earlier requests is remembered; 0: nothing"
    )

    _ordered = field_validator("max_match")(not_below("min_match"))


class EnsembleOptions(VerifyOptions):
    """Drafts of several drafters in one tree."""

    tree: Tree = Field(default="dyspec", description="the shape of what heads and `suffix` draft")
    drafters: tuple[Literal["ngram", "suffix"], ...] = Field(
        default=("ngram",), min_length=1, description="which, beside heads right before this stage"
    )

    def conflicts_alone(self) -> tuple[Conflict, ...]:
        if "suffix" in self.drafters:
            return ()
        return self.of_no_drafter("without heads before it this stage has only `ngram`, which copies chains")


class ModelDraftOptions(VerifyOptions):
    """Drafts of a smaller model."""

    draft: str | None = Field(default=None, description="card of the draft model, or a folder with a checkpoint")
    reencode: bool = Field(
        default=False, description="let the draft model have another tokenizer: its text is encoded anew, as a chain"
    )

    def draft_model(self) -> str | None:
        return self.draft

    def reencodes(self) -> bool:
        return self.reencode

    @property
    def draws(self) -> bool:
        """Whether tokens are drawn at temperature > 0: the rule reads the laws that they were drawn from."""
        return self.tree == "chain" and self.accept in ("speculative", "block")

    def conflicts(self) -> tuple[Conflict, ...]:
        found = super().conflicts()
        if self.reencode and self.tree != "chain":
            reason = f"reencode=true gives a text, which is a chain, and tree is {self.tree}"
            found = (*found, Conflict(reason=reason, remedies=("tree=chain", "reencode=false")))
        return found


class EarlyExitOptions(VerifyOptions):
    """Drafts of the target's own lower layers."""

    layers: int | None = Field(default=None, ge=1, description="layers that draft; null: half of them")


class LayerSkipOptions(VerifyOptions):
    """Drafts of the target without some of its layers."""

    skip: float = Field(default=0.45, gt=0.0, lt=1.0, description="share of the layers that is left out")
    search: int = Field(
        default=40, ge=0, description="other choices of layers that are tried on the text as it grows; 0: none"
    )


METHODS = (
    MethodSpec(
        paradigm=Paradigm.DRAFT_VERIFY,
        name="ngram",
        summary="propose what followed the same words earlier in the prompt or the text; no draft model",
        reference="Prompt Lookup Decoding (Saxena 2023); LLMA, arXiv 2304.04487",
        options=NgramOptions,
        needs=_NEEDS,
        implementation="ptgflow.stages.draft_verify.ngram:Ngram",
    ),
    MethodSpec(
        paradigm=Paradigm.DRAFT_VERIFY,
        name="suffix",
        summary="propose what followed the same end of the text, here or in earlier requests, as a tree",
        reference="SuffixDecoding, arXiv 2411.04975",
        options=SuffixOptions,
        needs=_NEEDS,
        implementation="ptgflow.stages.draft_verify.suffix:Suffix",
    ),
    MethodSpec(
        paradigm=Paradigm.DRAFT_VERIFY,
        name="retrieval",
        summary="propose what followed the same words in a datastore of texts, as a tree by frequency",
        reference="REST, arXiv 2311.08252",
        options=RetrievalOptions,
        needs=_NEEDS,
        implementation="ptgflow.stages.draft_verify.retrieval:Retrieval",
    ),
    MethodSpec(
        paradigm=Paradigm.DRAFT_VERIFY,
        name="jacobi",
        summary="propose what the target said after earlier guesses, and n-grams of how such guesses settled",
        reference="Jacobi decoding, arXiv 2305.10427; lookahead decoding, arXiv 2402.02057",
        options=JacobiOptions,
        needs=_NEEDS,
        implementation="ptgflow.stages.draft_verify.jacobi:Jacobi",
    ),
    MethodSpec(
        paradigm=Paradigm.DRAFT_VERIFY,
        name="cascade",
        summary="a smaller model proposes, for which n-grams propose, and n-grams go on where it stops",
        reference="Cascade Speculative Drafting, arXiv 2312.11462",
        options=CascadeOptions,
        needs=_NEEDS,
        implementation="ptgflow.stages.draft_verify.cascade:Cascade",
    ),
    MethodSpec(
        paradigm=Paradigm.DRAFT_VERIFY,
        name="ensemble",
        summary="join the proposals of several drafters, and of heads before this stage, in one tree",
        reference="tree attention over several drafters: SpecInfer, arXiv 2305.09781",
        options=EnsembleOptions,
        needs=_NEEDS,
        implementation="ptgflow.stages.draft_verify.ensemble:Ensemble",
    ),
    MethodSpec(
        paradigm=Paradigm.DRAFT_VERIFY,
        name="judge",
        summary="propose nothing of its own: judge what the stage before drafts",
        reference="speculative decoding with given drafts; survey section 3.6",
        options=JudgeOptions,
        needs=_NEEDS,
        contract=Contract(takes=(Draft,), leaves=Verified),
        implementation="ptgflow.stages.draft_verify.judge:Judge",
    ),
    MethodSpec(
        paradigm=Paradigm.DRAFT_VERIFY,
        name="ar",
        summary="propose nothing: plain autoregressive decoding, the baseline of every comparison",
        reference="autoregressive decoding; survey section 2.1",
        options=AutoregressiveOptions,
        needs=_NEEDS,
        contract=Contract(takes=(Prompt,), leaves=Verified),  # it proposes nothing, so it judges nothing
        implementation="ptgflow.stages.draft_verify.autoregressive:Autoregressive",
    ),
    MethodSpec(
        paradigm=Paradigm.DRAFT_VERIFY,
        name="model",
        summary="a smaller model proposes",
        reference="Leviathan et al., arXiv 2211.17192; Chen et al., arXiv 2302.01318; re-encoding: arXiv 2502.05202",
        options=ModelDraftOptions,
        needs=_NEEDS,
        implementation="ptgflow.stages.draft_verify.model:Model",
    ),
    MethodSpec(
        paradigm=Paradigm.DRAFT_VERIFY,
        name="layer_skip",
        summary="the target without some of its layers proposes; which ones is searched as the text grows",
        reference="Draft & Verify, arXiv 2309.08168; SWIFT, arXiv 2410.06916",
        options=LayerSkipOptions,
        needs=_NEEDS | {Capability.LAYER_ACCESS},
        implementation="ptgflow.stages.draft_verify.layer_skip:LayerSkip",
    ),
    MethodSpec(
        paradigm=Paradigm.DRAFT_VERIFY,
        name="early_exit",
        summary="the target's own lower layers propose",
        reference="LayerSkip, arXiv 2404.16710",
        options=EarlyExitOptions,
        needs=_NEEDS | {Capability.LAYER_ACCESS},
        implementation="ptgflow.stages.draft_verify.early_exit:EarlyExit",
    ),
)
