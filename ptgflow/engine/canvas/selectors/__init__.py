"""Selectors: which holes a round fills. No model inside.

Each says with `lawful` what it promises: that, where a round fills one token, the text has the law of the model, if the
model's laws are those of one text (survey, Eq. 10). A choice may then depend on what is written and on the laws of the
holes, and on chance, but not on the tokens that were drawn; so confidence is the probability of the likeliest token.
"""

from collections.abc import Mapping
from typing import Final

from ptgflow.engine.canvas.rules import Selector
from ptgflow.engine.canvas.selectors.entropy_bound import EntropyBound as EntropyBound
from ptgflow.engine.canvas.selectors.everything import Everything as Everything
from ptgflow.engine.canvas.selectors.factor import Factor as Factor
from ptgflow.engine.canvas.selectors.maskgit import MaskGit as MaskGit
from ptgflow.engine.canvas.selectors.remdm import ReMdmFill as ReMdmFill
from ptgflow.engine.canvas.selectors.slow_fast import SlowFast as SlowFast
from ptgflow.engine.canvas.selectors.tau_leaping import TauLeaping as TauLeaping
from ptgflow.engine.canvas.selectors.threshold import Threshold as Threshold
from ptgflow.engine.canvas.selectors.topk import TopK as TopK
from ptgflow.engine.canvas.selectors.wino import Wino as Wino

SELECTORS: Final[Mapping[str, type[Selector]]] = {
    "threshold": Threshold,
    "factor": Factor,
    "topk": TopK,
    "entropy_bound": EntropyBound,
    "slow_fast": SlowFast,
    "tau_leaping": TauLeaping,
    "maskgit": MaskGit,
    "everything": Everything,
    "wino": Wino,
    "remdm": ReMdmFill,
}
"""Every selector by its name."""
