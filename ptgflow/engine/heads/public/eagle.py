"""EAGLE 1 and 2 as their authors publish them (SafeAILab/EAGLE; Li et al., arXiv 2401.15077 and 2406.16858).

The two have the same layer and differ in their trees. A product `fc` makes one vector of the next token's embedding and
the target's last state, in this order; then comes a Llama layer without a norm before its attention. Its output stands
for the target's last state, so it is projected by the target's own matrix, with no norm between.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ptgflow.diagnostics.codes.runtime import HEADS_MISMATCH
from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.layout import Layout
from ptgflow.engine.heads.public.checks import base_of, check, fits
from ptgflow.engine.heads.public.decoder import decoder_of, layer_shapes
from ptgflow.engine.heads.public.embedding import without_a_copy
from ptgflow.engine.heads.public.files import unreadable
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError

PREFIX = "layers.0"


def load_eagle(
    folder: Path, said: Mapping[str, Any], tensors: Mapping[str, Tensor], model: LoadedModel, *, named: Any
) -> Heads:
    """Heads of the authors' format.

    Args:
        folder: where they are from.
        said: the configuration, in Llama's words; `bias` says whether `fc` has one, as it has where nothing is said.
        tensors: by the authors' names.
        model: the target.
        named: the name of the base, if it is known.

    Raises:
        RunError: HEADS_UNREADABLE or HEADS_MISMATCH.
    """
    layer = decoder_of(folder, said)
    base = base_of(model, named)
    fits(folder, model, base, hidden_size=layer.hidden, vocab_size=layer.vocab)
    hidden = layer.hidden
    joined = tensors.get("fc.weight")
    if joined is not None and joined.shape == (hidden, 3 * hidden):
        want = f"2 x {hidden}: the next token's embedding, then the last state (EAGLE 1 and 2)"
        have = f"3 x {hidden}: low, middle and high states (EAGLE-3)"
        raise RunError([HEADS_MISMATCH(path=str(folder), what="input of 'fc'", want=want, have=have)])
    needed, optional = layer_shapes(layer, PREFIX, inputs=hidden)
    bias = said.get("bias", True)
    check(
        folder,
        tensors,
        {**needed, "fc.weight": (hidden, 2 * hidden), **({"fc.bias": (hidden,)} if bias else {})},
        {**optional, "embed_tokens.weight": (layer.vocab, hidden)},
    )
    if any(name.endswith(("q_norm.weight", "k_norm.weight")) for name in tensors):
        raise unreadable(folder, "its layer has norms of queries and keys, which no head of EAGLE 1 or 2 has")
    ours = {name.replace(f"{PREFIX}.", "midlayer."): one for name, one in tensors.items()}
    config = HeadConfig(
        kind="eagle",
        base=base,
        draft_vocab_size=layer.vocab,
        taps=(model.layers,),
        own_output=False,
        **layer.fields,
    )
    kept = {name: one.float() for name, one in without_a_copy(ours, model).items()}
    return Heads(config, kept, torch.arange(layer.vocab), Layout(joined=True))
