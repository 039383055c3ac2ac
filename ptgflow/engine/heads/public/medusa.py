"""Medusa heads as their authors publish them (FasterDecoding/Medusa).

`config.json` has `medusa_num_heads`, `medusa_num_layers` and `base_model_name_or_path`; the tensors are in
`medusa_lm_head.safetensors` or `medusa_lm_head.pt`, under the names that ours have, too.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.heads.public.checks import base_of, check, fits
from ptgflow.engine.heads.public.files import read_tensors, unreadable
from ptgflow.engine.models.model import LoadedModel

STEM: Final = "medusa_lm_head"
_MOST_HEADS: Final = 16


def load_medusa(folder: Path, said: Mapping[str, Any], model: LoadedModel) -> Heads:
    """Heads of the authors' format; they read what the target's last norm leaves.

    The file may hold more heads than the configuration counts, as those of Vicuna do (2 and 5): all are taken, as the
    authors' own loader does.

    Raises:
        RunError: HEADS_UNREADABLE, HEADS_MISMATCH or UNSAFE_WEIGHTS.
    """
    tensors = read_tensors(folder, model, stem=STEM)
    layers, declared = said.get("medusa_num_layers", 1), said["medusa_num_heads"]
    for name, count in (("medusa_num_layers", layers), ("medusa_num_heads", declared)):
        if not isinstance(count, int) or count < 1:
            raise unreadable(folder, f"config.json: {name} is {count!r}, and not a number of at least 1")
    numbers = {name.partition(".")[0] for name in tensors}
    heads = sum(one.isdecimal() for one in numbers)
    if heads < declared or heads > _MOST_HEADS:
        bounds = f"config.json says {declared}" if heads < declared else f"at most {_MOST_HEADS} can be used"
        raise unreadable(folder, f"it has {heads} heads, and {bounds}")
    output = tensors.get(f"0.{layers}.weight")
    if output is None or output.ndim != 2:
        reason = f"it has no matrix '0.{layers}.weight', the output of a head of {layers} layers (medusa_num_layers)"
        raise unreadable(folder, reason)
    vocab, hidden = output.shape
    base = base_of(model, said.get("base_model_name_or_path"))
    fits(folder, model, base, hidden_size=hidden, vocab_size=vocab)
    shapes: dict[str, tuple[int, ...]] = {}
    for head in range(heads):
        for block in range(layers):
            shapes[f"{head}.{block}.linear.weight"] = (hidden, hidden)
            shapes[f"{head}.{block}.linear.bias"] = (hidden,)
        shapes[f"{head}.{layers}.weight"] = (vocab, hidden)
    check(folder, tensors, shapes)
    config = HeadConfig(
        kind="medusa", base=base, draft_vocab_size=vocab, heads=heads, layers=layers, taps=(model.layers,)
    )
    return Heads(config, {name: tensors[name].float() for name in shapes}, torch.arange(vocab))
