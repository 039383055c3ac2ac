"""Parts of the target as draft models: its lower layers, or all but some of its layers. Weights are shared."""

import dataclasses
from collections.abc import Sequence

from ptgflow.diagnostics.codes.runtime import UNSUPPORTED_MODEL
from ptgflow.engine.models.model import LoadedModel
from ptgflow.engine.passes.attention import AttentionPattern
from ptgflow.engine.passes.interface import ModelPass
from ptgflow.engine.passes.written.forward import WrittenPass
from ptgflow.engine.passes.written.weights import WrittenModel
from ptgflow.errors import RunError


def part_of(model: LoadedModel, layers: Sequence[int]) -> ModelPass:
    """A pass over some of a model's layers, in their order, and its output matrix.

    Early exit (LayerSkip, arXiv 2404.16710, section 4) keeps the first ones, and layer skipping (Draft & Verify, arXiv
    2309.08168; SWIFT, arXiv 2410.06916) leaves some in the middle out.

    Raises:
        RunError: UNSUPPORTED_MODEL, for a model whose pass is not written out: its layers are not at hand one by one.
    """
    whole = model.weights
    if not isinstance(whole, WrittenModel):
        reason = "drafting with some of its layers needs the written-out pass"
        remedy = "write accelerate.forward=auto, or choose another drafter"
        raise RunError([UNSUPPORTED_MODEL(model=model.name, reason=reason, help=remedy)])
    assert layers, "a part has a layer"
    assert all(0 <= layer < len(whole.layers) for layer in layers), "the layers are the model's"
    kinds = tuple(whole.pattern.kinds[layer] for layer in layers)
    part = dataclasses.replace(
        whole,
        layers=tuple(whole.layers[layer] for layer in layers),
        pattern=AttentionPattern(kinds=kinds, window=whole.pattern.window),
    )
    return WrittenPass(part, budget=None)
