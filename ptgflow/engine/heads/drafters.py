"""The drafter of each kind of heads."""

from ptgflow.engine.growth import TreeBuilder
from ptgflow.engine.heads.eagle_drafter import EagleDrafter
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.medusa_drafter import MedusaDrafter
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.request import JointDrafter


def drafter_of(
    heads: Heads, model: LoadedModel, builder: TreeBuilder, *, size: int, least: float = 0.0
) -> JointDrafter:
    """A drafter with heads of any kind; the arguments are those of its class."""
    make = EagleDrafter if heads.config.kind == "eagle" else MedusaDrafter
    made = make(heads, model, builder, size=size, least=least)
    made.source = heads.source
    return made
