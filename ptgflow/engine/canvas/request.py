"""What is asked of a loop over canvases."""

from dataclasses import dataclass, field

from ptgflow.contracts.settings import Sampling
from ptgflow.diagnostics import Diagnostic
from ptgflow.engine.canvas.guidance import Guidance
from ptgflow.engine.canvas.lengths import FirstEnd, LengthPolicy
from ptgflow.engine.canvas.rules import Denoiser, Remasker, Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class CanvasRequest:
    """One canvas to be filled."""

    prompt_ids: tuple[int, ...]
    canvas: tuple[int, ...]
    """Its tokens; at holes whatever."""
    holes: tuple[bool, ...]
    """Which places are to be filled."""
    frozen: tuple[bool, ...]
    """Which places must not change."""
    denoiser: Denoiser
    selector: Selector
    remasker: Remasker | None = None
    """None: what is written stays."""
    guidance: Guidance | None = None
    """What else has a say about what the model predicts."""
    block_length: int = 32
    """Places that are worked on at a time, left to right."""
    block_begins: int = 0
    """Where the first block begins, at most 0: the places before 0 are those of the prompt's end."""
    length: LengthPolicy = field(default_factory=FirstEnd)
    """When and where the text ends. The canvas has its size already."""
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    stop: tuple[str, ...] = ()
    visible: bool = True
    """Whether the text is part of the answer (and so is shown as it settles), or only planning."""
    warnings: tuple[Diagnostic, ...] = ()
    """To be passed on with the first round."""

    @property
    def size(self) -> int:
        """Places of the canvas."""
        return len(self.canvas)

    def __post_init__(self) -> None:
        assert len(self.canvas) == len(self.holes) == len(self.frozen), "each place is a hole or not, frozen or not"
        assert self.canvas, "a canvas has a place"
        assert -self.block_length < self.block_begins <= 0, "the first block has a place of the canvas"
        assert not any(hole and kept for hole, kept in zip(self.holes, self.frozen, strict=True)), "no hole is frozen"
