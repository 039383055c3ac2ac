"""MTP with prediction heads: k tokens a round by confidence, judged by nobody; or drafts for the verifier behind it."""

from abc import ABC, abstractmethod
from typing import ClassVar, final

from ptgflow.contracts import Draft, Prompt
from ptgflow.diagnostics.codes.runtime import TOO_FEW_HEADS
from ptgflow.engine.acceptance import Unverified
from ptgflow.engine.growth import TreeBuilder
from ptgflow.engine.growth.chain import Chain
from ptgflow.engine.heads.drafters import drafter_of
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.native.loading import load_native
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import DecodeRequest, JointDrafter
from ptgflow.errors import RunError
from ptgflow.stages.base import AbstractDrafting, StageContext, Work
from ptgflow.stages.mtp.spec import HeadOptions, StepOptions
from ptgflow.stages.shipped import given_or_shipped


class _Predicting(AbstractDrafting[Prompt, Draft], ABC):
    """What all that predicts several tokens shares."""

    def __init__(self, options: StepOptions) -> None:
        self._options = options
        self._alone: JointDrafter | None = None
        """The drafter of the stage on its own. It is made once: it holds the weights, and what it knows of rows."""

    def run(self, value: Prompt, context: StageContext) -> Work[Draft]:
        """Yield one request whose proposals are all kept.

        Raises:
            RunError: what is wrong with the heads.
        """
        if self._alone is None:
            # The target writes one token of each round itself, so the heads write the k - 1 others.
            ahead = self._options.k - 1
            heads = self._load(context.model, context.slot)
            most = heads.config.heads
            if heads.config.kind != "eagle" and ahead > most:
                raise RunError([TOO_FEW_HEADS(slot=context.slot, k=self._options.k, heads=most, most=most + 1)])
            self._alone = drafter_of(
                heads,
                context.model,
                Chain(depth=ahead),
                size=max(ahead, 1),
                least=self._options.threshold,
                echoes=False,
            )
        decoded = yield DecodeRequest(
            prompt_ids=value.token_ids,
            max_new_tokens=context.budget,
            sampling=context.generation.sampling,
            seed=context.seed,
            stop=context.generation.stop,
            joint=(self._alone,),
            accept=Unverified(),
            length="fixed",
        )
        return Draft(
            token_ids=decoded.token_ids,
            tokenizer=context.model.codec.fingerprint,
            text=decoded.text,
            origin=(context.slot,) * len(decoded.token_ids),
            prompt=value,
            finish_reason=decoded.finish_reason,
            scores=decoded.scores,
            tops=decoded.tops,
        )

    def drafter(
        self, model: LoadedModel, slot: str, builder: TreeBuilder, *, size: int, least: float = 0.0
    ) -> JointDrafter:
        """A drafter with these heads, for this stage or for a verifier behind it."""
        return drafter_of(self._load(model, slot), model, builder, size=size, least=least)

    @abstractmethod
    def _load(self, model: LoadedModel, slot: str) -> Heads:
        """The weights, checked against the model."""


class _Heads(_Predicting, ABC):
    """Heads that were trained for a finished model."""

    kind: ClassVar[str]

    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        self._weights = options.weights

    def _load(self, model: LoadedModel, slot: str) -> Heads:
        """Heads from a folder, or those that ship.

        Raises:
            RunError: NO_HEADS, HEADS_UNREADABLE, HEADS_MISMATCH or UNSAFE_WEIGHTS.
        """
        stage, train = f"{slot!r} (mtp/{self.kind})", f"heads={self.kind}"
        return given_or_shipped(self._weights, model, kind=self.kind, stage=stage, slot=slot, train=train)


@final
class Medusa(_Heads):
    """Independent heads on the last hidden state."""

    kind: ClassVar[str] = "medusa"


@final
class Hydra(_Heads):
    """Heads on the last hidden state that also read the tokens drafted before."""

    kind: ClassVar[str] = "hydra"


@final
class Blockwise(_Heads):
    """One feed-forward layer on the last hidden state for all positions ahead."""

    kind: ClassVar[str] = "blockwise"


@final
class GatedLora(_Heads):
    """Mask tokens behind the text, which the target itself fills with adapters that no other token meets."""

    kind: ClassVar[str] = "gated_lora"


@final
class Eagle(_Heads):
    """A small decoder over low, middle and high hidden states."""

    kind: ClassVar[str] = "eagle"


@final
class Native(_Predicting):
    """The modules that the checkpoint of the model brings along."""

    def _load(self, model: LoadedModel, slot: str) -> Heads:
        """The checkpoint's own.

        Raises:
            RunError: MODULES_UNUSABLE.
        """
        del slot
        return load_native(model)
