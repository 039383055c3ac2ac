"""Who fills the holes of a stage: a masked model by itself, or an autoregressive one with adapters."""

from ptgflow.contracts.masked_model import NoiseConventions
from ptgflow.diagnostics.codes.runtime import STAGE_FAILED
from ptgflow.engine.canvas.filler import Filler, own_filler
from ptgflow.engine.canvas.gated_denoiser import GatedDenoiser
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError
from ptgflow.stages.masked.adapters import adapters
from ptgflow.stages.masked.spec import Cache


def filler_of(model: LoadedModel, slot: str, method: str, *, weights: str | None, cache: Cache = "none") -> Filler:
    """Make what fills the holes of a stage.

    Args:
        model: to be asked.
        slot: the stage's name in the flow.
        method: the stage's method, for messages.
        weights: the folder of adapters; None: those that ship, where the model needs any.
        cache: what is kept between passes.

    Raises:
        RunError: STAGE_FAILED for options that the model cannot serve, what is wrong with adapters, or
            UNSUPPORTED_MODEL.
    """
    if weights is not None and model.holes is not None:
        reason = f"weights={weights} are adapters, and {model.name!r} is a masked model, which fills holes without any"
        raise refusal(slot, method, reason, "weights=null")
    noise = isinstance(model.holes, NoiseConventions)
    if cache != "none" and (model.holes is None or noise):
        known = "an adapted autoregressive model" if model.holes is None else f"the encoder of {model.name!r}"
        raise refusal(slot, method, f"cache={cache} approximates what {known} keeps exactly", "cache=none")
    own = own_filler(model, cache)
    if own is not None:
        return own
    heads = adapters(model, slot, weights)
    return Filler(denoiser=GatedDenoiser(heads, model), block_length=heads.config.block_length or 1, leftmost=True)


def refusal(slot: str, method: str, reason: str, *remedies: str) -> RunError:
    """Of options that a model cannot serve."""
    remedy = "write " + " or ".join(f"stages.{slot}.{one}" for one in remedies)
    return RunError([STAGE_FAILED(slot=slot, method=method, reason=reason, help=remedy)])
