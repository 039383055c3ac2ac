"""What all decoders share: the trained window behind the prompt, and what becomes of the text."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from ptgflow.contracts import Prompt, Text
from ptgflow.diagnostics.codes.runtime import HEADS_MISMATCH, NO_HEADS, STAGE_FAILED
from ptgflow.engine.heads.loading import load_heads
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.oneshot.reading.reader import Reader
from ptgflow.engine.oneshot.request import OneShotRequest
from ptgflow.engine.oneshot.windows import Windows
from ptgflow.engine.request import Decoded
from ptgflow.errors import RunError
from ptgflow.stages.base import AbstractMethod, StageContext, Work
from ptgflow.stages.oneshot.spec import LengthOptions, WritingOptions
from ptgflow.stages.shipped import shipped_heads

OptionsT = TypeVar("OptionsT", bound=WritingOptions)
RESCORED = 16
"""Texts of a search among which the model itself chooses: what more of them say differs less and less."""
LengthT = TypeVar("LengthT", bound=LengthOptions)


class Writing(AbstractMethod[Prompt, Text], ABC, Generic[OptionsT]):
    """Writes a text in one pass over a trained window."""

    name: ClassVar[str]
    """As in the table of methods, and as its weights are trained for."""

    def __init__(self, options: OptionsT) -> None:
        self._options = options
        self._windows: Windows | None = None
        """It is made once: it holds the weights."""

    @abstractmethod
    def reader(self, windows: Windows, end: int) -> Reader:
        """What makes a text of a window; `end` is the end token."""

    def size(self, trained: int) -> int:
        """Places of the window, of which training has had so many."""
        return trained

    def lengths(self) -> int:
        """How many lengths are tried."""
        return 0

    def rescored(self) -> int:
        """Among how many texts the model itself chooses; 0: among none."""
        return 0

    def run(self, value: Prompt, context: StageContext) -> Work[Text]:
        """Yield one window.

        Raises:
            RunError: what is wrong with the weights, or STAGE_FAILED for a decoder that cannot draw.
        """
        if self._windows is None:
            self._windows = windows_of(context.model, context.slot, self._options.weights, self.name)
        reader = self.reader(self._windows, context.model.codec.end_id)
        temperature = context.generation.sampling.temperature
        if temperature > 0 and not reader.draws:
            reason = f"temperature={temperature} asks for a draw, and this decoder takes the best text that it finds"
            remedy = f"write temperature=0, or stage@stages.{context.slot}=oneshot/argmax, which draws"
            raise RunError([STAGE_FAILED(slot=context.slot, method=f"oneshot/{self.name}", reason=reason, help=remedy)])
        decoded = yield OneShotRequest(
            prompt_ids=value.token_ids,
            windows=self._windows,
            reader=reader,
            size=self.size(self._windows.heads.places),
            max_new_tokens=context.budget,
            lengths=self.lengths(),
            rescored=self.rescored(),
            sampling=context.generation.sampling,
            seed=context.seed,
            stop=context.generation.stop,
        )
        return text_of(decoded, value, context)


class Sized(Writing[LengthT], ABC, Generic[LengthT]):
    """Writes a token in each place, so that a length can be chosen."""

    def size(self, trained: int) -> int:
        return self._options.places or trained

    def lengths(self) -> int:
        return self._options.tried

    def rescored(self) -> int:
        return self._options.tried


def windows_of(model: LoadedModel, slot: str, weights: str | None, decoder: str) -> Windows:
    """What `ptgflow train objective=oneshot decoder=...` has written, or what ships.

    Raises:
        RunError: NO_HEADS, HEADS_UNREADABLE, HEADS_MISMATCH, UNSAFE_WEIGHTS or UNSUPPORTED_MODEL.
    """
    folder = Path(weights) if weights is not None else shipped_windows(model.name, decoder)
    if folder is None:
        stage, train = f"{slot!r} (oneshot/{decoder})", f"objective=oneshot decoder={decoder}"
        raise RunError([NO_HEADS(stage=stage, slot=slot, kind="oneshot", train=train, model=model.name)])
    heads = load_heads(folder, model, kind="oneshot")
    if heads.config.decoder != decoder:
        raise RunError([HEADS_MISMATCH(path=str(folder), what="decoder", want=decoder, have=str(heads.config.decoder))])
    return Windows(heads, model)


def shipped_windows(model: str, decoder: str) -> Path | None:
    """The folder of what ships for a model's card; None: nothing does."""
    return shipped_heads(model, f"oneshot/{decoder}")


def text_of(decoded: Decoded, value: Prompt, context: StageContext) -> Text:
    """The text of a stage."""
    return Text(
        token_ids=decoded.token_ids,
        tokenizer=context.model.codec.fingerprint,
        text=decoded.text,
        origin=(context.slot,) * len(decoded.token_ids),
        prompt=value,
        finish_reason=decoded.finish_reason,
        # A text of many paths has no tokens of which one place would say how likely they are.
        scores=decoded.scores if len(decoded.scores) == len(decoded.token_ids) else None,
    )
