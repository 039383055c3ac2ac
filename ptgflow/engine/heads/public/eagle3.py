"""EAGLE-3 as its authors publish it (SafeAILab/EAGLE; Li et al., arXiv 2503.01840), and in the names of servers.

`fc` reads the target's low, middle and high states side by side, in this order. The layer's attention reads the next
token's embedding and what `fc` made of the states, in this order, each normed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from ptgflow.diagnostics.codes.runtime import HEADS_MISMATCH
from ptgflow.engine.heads.config import Base, HeadConfig
from ptgflow.engine.heads.head_weights import OFFSETS, Heads
from ptgflow.engine.heads.layout import Layout
from ptgflow.engine.heads.public.checks import base_of, check, fits
from ptgflow.engine.heads.public.decoder import Decoder, decoder_of, layer_shapes
from ptgflow.engine.heads.public.embedding import EMBEDDING, without_a_copy
from ptgflow.engine.heads.public.files import unreadable
from ptgflow.engine.models.model import LoadedModel
from ptgflow.errors import RunError

PREFIX = "midlayer"


def load_eagle3(
    folder: Path,
    said: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    model: LoadedModel,
    *,
    named: Any,
    more: Mapping[str, Any] | None = None,
) -> Heads:
    """Heads of the authors' format, and of those of the servers whose names differ by a prefix.

    Args:
        folder: where they are from.
        said: the configuration, in Llama's words.
        tensors: by the authors' names; `layers.0.` may stand for `midlayer.`.
        model: the target.
        named: the name of the base, if it is known.
        more: what is said of the head beside its layer: `draft_vocab_size`, `target_hidden_size`,
            `norm_before_residual`, `norm_before_fc`, `eagle_aux_hidden_state_layer_ids`. None: `said` has it, too.

    Raises:
        RunError: HEADS_UNREADABLE or HEADS_MISMATCH.
    """
    more = said if more is None else more
    layer, base = decoder_of(folder, said), base_of(model, named)
    read = more.get("target_hidden_size") or layer.hidden
    fits(folder, model, base, hidden_size=read, vocab_size=layer.vocab)
    prefix = PREFIX if any(name.startswith(PREFIX) for name in tensors) else "layers.0"
    drafts = more.get("draft_vocab_size") or layer.vocab
    _check(folder, tensors, layer, prefix, read=read, drafts=drafts, normed=bool(more.get("norm_before_fc")))
    if layer.hidden != model.hidden_size and EMBEDDING not in tensors:
        reason = f"it works on {layer.hidden} numbers, the target's embedding has {model.hidden_size}, and it has no "
        raise unreadable(folder, f"{reason}{EMBEDDING!r} of its own")
    vocabulary = _vocabulary(folder, tensors, drafts=drafts, base=base)
    ours = {
        name.replace(f"{prefix}.", f"{PREFIX}.").replace("input_norm.", "states_norm."): one
        for name, one in tensors.items()
        if name not in (OFFSETS, "t2d")
    }
    config = HeadConfig(
        kind="eagle",
        base=base,
        draft_vocab_size=drafts,
        taps=_taps(folder, more, model),
        **layer.fields,
    )
    kept = {name: one.float() for name, one in without_a_copy(ours, model).items()}
    return Heads(config, kept, vocabulary, Layout(normed_residual=bool(more.get("norm_before_residual"))))


def _check(
    folder: Path,
    tensors: Mapping[str, Tensor],
    layer: Decoder,
    prefix: str,
    *,
    read: int,
    drafts: int,
    normed: bool,
) -> None:
    hidden = layer.hidden
    joined = tensors.get("fc.weight")
    if joined is not None and joined.shape == (hidden, 2 * read):
        want = f"3 x {read}: low, middle and high states (EAGLE-3)"
        have = f"2 x {read}: the next token's embedding, then the last state (EAGLE 1 and 2)"
        raise RunError([HEADS_MISMATCH(path=str(folder), what="input of 'fc'", want=want, have=have)])
    needed, optional = layer_shapes(layer, prefix, inputs=2 * hidden)
    own = {
        "fc.weight": (hidden, 3 * read),
        f"{prefix}.input_layernorm.weight": (hidden,),
        f"{prefix}.hidden_norm.weight": (hidden,),
        "norm.weight": (hidden,),
        "lm_head.weight": (drafts, hidden),
        **({"input_norm.weight": (3 * read,)} if normed else {}),
    }
    spare = {"fc.bias": (hidden,), EMBEDDING: (layer.vocab, hidden), OFFSETS: (drafts,)}
    check(folder, tensors, {**needed, **own}, {**optional, **spare})


def _taps(folder: Path, more: Mapping[str, Any], model: LoadedModel) -> tuple[int, ...]:
    """Which states are read: those that enter these layers, by default the third, the middle one and the third last."""
    nested = more.get("eagle_config")
    said = more.get("eagle_aux_hidden_state_layer_ids")
    if said is None and isinstance(nested, dict):
        said = nested.get("eagle_aux_hidden_state_layer_ids")
    layers = model.layers
    ids = said if said is not None else [2, layers // 2, layers - 3]
    if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids) or len(ids) != 3:
        raise unreadable(folder, f"config.json: eagle_aux_hidden_state_layer_ids is {ids!r}, and not three layers")
    if not 0 <= ids[0] < ids[1] < ids[2] < layers:
        want = f"a low, a middle and a high one of {layers} ({model.name}), in this order"
        raise RunError([HEADS_MISMATCH(path=str(folder), what="choice of layers", want=want, have=f"{ids}")])
    return tuple(ids)


def _vocabulary(folder: Path, tensors: Mapping[str, Tensor], *, drafts: int, base: Base) -> Int[Tensor, " draft_vocab"]:
    """The target's id of each draft id: `d2t` holds what is to be added, and `t2d` says which have one."""
    offsets, members = tensors.get(OFFSETS), tensors.get("t2d")
    if offsets is None:
        if drafts == base.vocab_size:
            return torch.arange(drafts)
        raise unreadable(folder, f"it drafts {drafts} of {base.vocab_size} tokens, and {OFFSETS!r} does not say which")
    ids = offsets.long() + torch.arange(drafts)
    if int(ids.min()) < 0 or int(ids.max()) >= base.vocab_size:
        raise unreadable(folder, f"{OFFSETS!r} names tokens that the model does not have")
    if members is not None and (
        members.shape != (base.vocab_size,) or sorted(ids.tolist()) != members.nonzero().flatten().tolist()
    ):
        raise unreadable(folder, f"{OFFSETS!r} and 't2d' name different tokens")
    return ids
