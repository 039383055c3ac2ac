"""The drafter of each kind of heads."""

from typing import Final

from ptgflow.engine.canvas.masked_drafter import MaskedDrafter
from ptgflow.engine.growth import TreeBuilder
from ptgflow.engine.heads.blockwise_drafter import BlockwiseDrafter
from ptgflow.engine.heads.config import Kind
from ptgflow.engine.heads.eagle_drafter import EagleDrafter
from ptgflow.engine.heads.gated_lora_drafter import GatedLoraDrafter
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.hydra_drafter import HydraDrafter
from ptgflow.engine.heads.medusa_drafter import MedusaDrafter
from ptgflow.engine.heads.state_drafter import StateDrafter
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import JointDrafter

DRAFTERS: Final[dict[Kind, type[EagleDrafter | StateDrafter | MaskedDrafter]]] = {
    "medusa": MedusaDrafter,
    "hydra": HydraDrafter,
    "blockwise": BlockwiseDrafter,
    "gated_lora": GatedLoraDrafter,
    "eagle": EagleDrafter,
    "masked": MaskedDrafter,
}


def drafter_of(
    heads: Heads, model: LoadedModel, builder: TreeBuilder, *, size: int, least: float = 0.0, echoes: bool = True
) -> JointDrafter:
    """A drafter with heads of any kind; the arguments are those of its class, and `TreeDrafter.echoes`."""
    made = DRAFTERS[heads.config.kind](heads, model, builder, size=size, least=least)
    made.source = heads.source
    made.echoes = echoes
    return made
