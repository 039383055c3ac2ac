"""The draft model that is distilled: the target's own architecture with fewer layers, or narrower ones."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from ptgflow.contracts import ModelCard
from ptgflow.diagnostics.codes.recipe import INVALID_VALUE
from ptgflow.engine.models.model import network_and_tokenizer
from ptgflow.engine.models.progress import Progress, silent
from ptgflow.engine.passes.attention import head_dim
from ptgflow.errors import RecipeError
from ptgflow.train.spec import StudentOptions

_LAYER = re.compile(r"(?<=\blayers\.)\d+(?=\.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """A draft model before it has learnt anything."""

    network: PreTrainedModel
    """In fp32."""
    tokenizer: PreTrainedTokenizerBase
    """The target's."""
    layers: tuple[int, ...]
    """The target's layers that it started from, in their order; empty: random weights."""


def student_of(
    card: ModelCard, options: StudentOptions, device: torch.device, *, seed: int, progress: Progress | None = None
) -> Student:
    """Make a draft model for a target.

    With the target's width its layers are copies of evenly spaced ones, the first and the last among them, and
    embedding, last norm and output matrix are copies, too. With another width all weights are random.

    Args:
        card: the target's.
        options: the shape.
        device: where it is trained.
        seed: of random weights.
        progress: is told what is read.

    Raises:
        RecipeError: INVALID_VALUE, for a shape that does not follow from the target's.
        RunError: the target cannot be read.
    """
    target, tokenizer, _ = network_and_tokenizer(card, progress or silent)
    kept = evenly_spaced(options.layers, _layers_of(target.config, options))
    narrow = options.hidden_size not in (None, target.config.hidden_size)
    config = _config(target.config, options, kept)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    network: PreTrainedModel = made
    if not narrow:
        copied = target.state_dict()
        network.load_state_dict(
            {name: copied[_LAYER.sub(lambda at: str(kept[int(at[0])]), name)] for name in network.state_dict()}
        )
    network.generation_config = target.generation_config
    nn.Module.to(network, device)
    return Student(network=network.eval(), tokenizer=tokenizer, layers=() if narrow else kept)


def evenly_spaced(count: int, layers: int) -> tuple[int, ...]:
    """Of so many layers some with equal steps between them, the first and the last included; of one, the first."""
    assert 1 <= count <= layers, "there are as many"
    return tuple(round(at * (layers - 1) / max(count - 1, 1)) for at in range(count))


def _layers_of(config: PretrainedConfig, options: StudentOptions) -> int:
    layers: int = config.num_hidden_layers
    if options.layers > layers:
        reason, hint = f"the target has {layers} layers", f"write student.layers={layers} or fewer"
        raise RecipeError([INVALID_VALUE(name="student.layers", value=options.layers, reason=reason, hint=hint)])
    return layers


def _config(target: PretrainedConfig, options: StudentOptions, kept: Sequence[int]) -> PretrainedConfig:
    """The target's, with what differs. Heads stay as wide as they are, so a narrower model has fewer of them."""
    changed: dict[str, Any] = {"num_hidden_layers": len(kept)}
    kinds = getattr(target, "layer_types", None)
    if kinds is not None:
        changed["layer_types"] = [kinds[layer] for layer in kept]
    width = options.hidden_size
    if width is not None and width != target.hidden_size:
        head = head_dim(target)
        if width % head:
            reason = f"the target's attention heads have {head} numbers, and it is no multiple of that"
            hint = f"write student.hidden_size={max(round(width / head), 1) * head}"
            raise RecipeError([INVALID_VALUE(name="student.hidden_size", value=width, reason=reason, hint=hint)])
        heads = width // head
        changed |= {
            "hidden_size": width,
            "intermediate_size": max(round(target.intermediate_size * width / target.hidden_size), 1),
            "num_attention_heads": heads,
            "num_key_value_heads": math.gcd(heads, target.num_key_value_heads),
            "head_dim": head,
        }
    return type(target).from_dict({**target.to_dict(), **changed})
