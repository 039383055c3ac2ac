"""Re-maskers: what is opened again at the end of a round. No model inside; each has a bound, so that a block ends."""

from collections.abc import Mapping
from typing import Final

from ptgflow.engine.canvas.remasking.gibbs import Gibbs as Gibbs
from ptgflow.engine.canvas.remasking.mask_predict import MaskPredict as MaskPredict
from ptgflow.engine.canvas.remasking.nothing import Nothing as Nothing
from ptgflow.engine.canvas.remasking.p2 import P2 as P2
from ptgflow.engine.canvas.remasking.remdm import ReMdm as ReMdm
from ptgflow.engine.canvas.remasking.uninformed import Uninformed as Uninformed
from ptgflow.engine.canvas.remasking.wino import WinoBack as WinoBack
from ptgflow.engine.canvas.rules import Remasker

REMASKERS: Final[Mapping[str, type[Remasker]]] = {
    "none": Nothing,
    "remdm": ReMdm,
    "p2": P2,
    "gibbs": Gibbs,
    "uninformed": Uninformed,
    "wino": WinoBack,
    "mask_predict": MaskPredict,
}
"""Every re-masker by its name."""
