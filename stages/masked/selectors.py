"""Masked generation by each rule that commits."""

from typing import ClassVar, final

from ptgflow.engine.canvas.remasking.mask_predict import MaskPredict as WeakestAgain
from ptgflow.engine.canvas.remasking.remdm import ReMdm
from ptgflow.engine.canvas.rules import Remasker, Selector
from ptgflow.engine.canvas.selectors import (
    entropy_bound,
    everything,
    factor,
    maskgit,
    remdm,
    slow_fast,
    tau_leaping,
    threshold,
    topk,
    wino,
)
from ptgflow.stages.masked import spec
from ptgflow.stages.masked.filling import Filling
from ptgflow.stages.masked.remaskers import parameters_of, remasker_of


@final
class Threshold(Filling[spec.ThresholdOptions]):
    """All that is probable enough."""

    name: ClassVar[str] = "threshold"

    def selector(self) -> Selector:
        return threshold.Threshold(tau=self._options.threshold, progress=self._options.progress or self.usual_progress)


@final
class Factor(Filling[spec.FactorOptions]):
    """As many as are probable enough together."""

    name: ClassVar[str] = "factor"

    def selector(self) -> Selector:
        return factor.Factor(factor=self._options.factor)


@final
class TopK(Filling[spec.TopKOptions]):
    """The k best."""

    name: ClassVar[str] = "topk"

    def selector(self) -> Selector:
        return topk.TopK(k=self._options.k, score=self._options.score)


@final
class EntropyBound(Filling[spec.EntropyBoundOptions]):
    """As many as a bound on their entropies allows."""

    name: ClassVar[str] = "entropy_bound"

    def selector(self) -> Selector:
        return entropy_bound.EntropyBound(gamma=self._options.gamma)


@final
class SlowFast(Filling[spec.SlowFastOptions]):
    """One by one until a span is stable, then all that is sure in it."""

    name: ClassVar[str] = "slow_fast"

    def selector(self) -> Selector:
        own = self._options
        return slow_fast.SlowFast(
            explore=own.explore, reach=own.reach, window=own.window, spread=own.spread, high=own.high
        )


@final
class TauLeaping(Filling[spec.TauLeapingOptions]):
    """Each by chance; where ReMDM opens some again, with its probability, which makes up for that."""

    name: ClassVar[str] = "tau_leaping"

    def selector(self) -> Selector:
        own = self._options
        if own.remask == "remdm":
            return remdm.ReMdmFill(**{**parameters_of(own), "steps": own.steps})
        return tau_leaping.TauLeaping(steps=own.steps, schedule=own.schedule)

    def remasker(self) -> Remasker | None:
        own = self._options
        if own.remask == "remdm":
            return ReMdm(**{**parameters_of(own), "steps": own.steps})
        return remasker_of(own)


@final
class MaskGit(Filling[spec.MaskGitOptions]):
    """The most confident, as many as a schedule says."""

    name: ClassVar[str] = "maskgit"

    def selector(self) -> Selector:
        own = self._options
        return maskgit.MaskGit(steps=own.steps, schedule=own.schedule, temperature=own.choice_temperature)


@final
class Wino(Filling[spec.WinoOptions]):
    """Generously, for a re-masker that takes back."""

    name: ClassVar[str] = "wino"

    def selector(self) -> Selector:
        return wino.Wino(threshold=self._options.threshold)


@final
class MaskPredict(Filling[spec.MaskPredictOptions]):
    """All, and then the weakest anew."""

    name: ClassVar[str] = "mask_predict"

    def selector(self) -> Selector:
        return everything.Everything()

    def remasker(self) -> Remasker:
        return WeakestAgain(iterations=self._options.iterations)
