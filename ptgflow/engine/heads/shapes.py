"""The tensors that each kind of heads has, by their public names."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ptgflow.diagnostics.codes.runtime import HEADS_UNREADABLE
from ptgflow.engine.edit.policies.network import PolicyNet
from ptgflow.engine.heads.config import HeadConfig
from ptgflow.engine.heads.gated_lora import adapted
from ptgflow.engine.oneshot.network import OneShotNet
from ptgflow.errors import RunError

Shapes = dict[str, tuple[int, ...]]


def expected_shapes(config: HeadConfig) -> Shapes:
    """Public name -> shape of every tensor of a kind of heads."""
    if config.kind == "medusa":
        return _medusa(config)
    if config.kind == "hydra":
        return _hydra(config)
    if config.kind == "blockwise":
        return _blockwise(config)
    if config.kind == "gated_lora":
        return {**_adapters(config), **_sampler(config)}
    if config.kind == "masked":
        return _adapters(config)
    if config.kind == "oneshot":
        return _made(OneShotNet, config)
    if config.kind == "levenshtein":
        return _made(PolicyNet, config)
    return _eagle(config)


def check_shapes(
    path: str,
    tensors: Mapping[str, Tensor],
    needed: Mapping[str, tuple[int, ...]],
    optional: Mapping[str, tuple[int, ...]] | None = None,
) -> None:
    """Whether all tensors are there, and of the sizes that a configuration names.

    Args:
        path: of the folder that they are from.
        tensors: what is in it.
        needed: name -> shape of those that have to be there.
        optional: of those that may be.

    Raises:
        RunError: HEADS_UNREADABLE, for the first that is not.
    """
    for name, shape in {**needed, **(optional or {})}.items():
        found = tensors.get(name)
        if found is None and name in needed:
            raise RunError([HEADS_UNREADABLE(path=path, reason=f"it has no tensor {name!r}")])
        if found is not None and tuple(found.shape) != shape:
            reason = f"{name!r} is {list(found.shape)}, and its configuration says {list(shape)}"
            raise RunError([HEADS_UNREADABLE(path=path, reason=reason)])


def output_names(config: HeadConfig) -> list[str]:
    """Of heads with output matrices of their own, and one for each position: what these are called."""
    if config.kind == "medusa":
        return [f"{head}.{config.layers}" for head in range(config.heads)]
    return [f"hydra_lm_head.{head}" for head in range(config.heads)]


def _outputs(config: HeadConfig, *, bias: bool) -> Shapes:
    found: Shapes = {}
    for name in output_names(config) if config.own_output else ():
        found[f"{name}.weight"] = (config.draft_vocab_size, config.base.hidden_size)
        if bias:
            found[f"{name}.bias"] = (config.draft_vocab_size,)
    return found


def _medusa(config: HeadConfig) -> Shapes:
    hidden = config.base.hidden_size
    found: Shapes = {}
    for head in range(config.heads):
        for block in range(config.layers):
            found[f"{head}.{block}.linear.weight"] = (hidden, hidden)
            found[f"{head}.{block}.linear.bias"] = (hidden,)
    return {**found, **_outputs(config, bias=False)}


def _hydra(config: HeadConfig) -> Shapes:
    hidden = config.base.hidden_size
    found: Shapes = {}
    for head in range(config.heads):
        for block in range(config.layers):
            names, inputs = (("linear",), hidden) if block else (("linear", "res_connection"), (2 + head) * hidden)
            for name in names:
                found[f"hydra_mlp.{head}.{block}.{name}.weight"] = (hidden, inputs)
                found[f"hydra_mlp.{head}.{block}.{name}.bias"] = (hidden,)
    return {**found, **_outputs(config, bias=True)}


def _blockwise(config: HeadConfig) -> Shapes:
    inner, outer = config.heads * (config.intermediate_size or 0), config.heads * config.base.hidden_size
    return {
        "inner.weight": (inner, config.base.hidden_size),
        "inner.bias": (inner,),
        "outer.weight": (outer, inner),
        "outer.bias": (outer,),
    }


def _adapters(config: HeadConfig) -> Shapes:
    rank = config.rank or 0
    found: Shapes = {"masks": (config.heads, config.base.hidden_size)}
    for layer in range(config.base.layers):
        for name, (inputs, outputs) in adapted(config).items():
            found[f"layers.{layer}.{name}.lora_A.weight"] = (rank, inputs)
            found[f"layers.{layer}.{name}.lora_B.weight"] = (outputs, rank)
    return found


def _made(network: Callable[[HeadConfig], nn.Module], config: HeadConfig) -> Shapes:
    """As the network makes them, which needs no memory for it."""
    with torch.device("meta"):
        made = network(config)
    return {name: tuple(one.shape) for name, one in made.state_dict().items()}


def _sampler(config: HeadConfig) -> Shapes:
    hidden = config.base.hidden_size
    found: Shapes = {}
    for block, inputs in enumerate((2 * hidden, hidden)):
        found[f"sampler.{block}.linear.weight"] = (hidden, inputs)
        for name in ("linear.bias", "norm.weight", "norm.bias"):
            found[f"sampler.{block}.{name}"] = (hidden,)
    return found


def _eagle(config: HeadConfig) -> Shapes:
    hidden, drafts = config.base.hidden_size, config.draft_vocab_size
    size, inner = config.head_dim or 0, config.intermediate_size or 0
    heads, key_heads = config.num_attention_heads or 0, config.num_key_value_heads or 0
    attention, mlp = "midlayer.self_attn", "midlayer.mlp"
    return {
        "fc.weight": (hidden, len(config.taps) * hidden),
        "midlayer.input_layernorm.weight": (hidden,),
        "midlayer.hidden_norm.weight": (hidden,),
        "midlayer.post_attention_layernorm.weight": (hidden,),
        f"{attention}.q_proj.weight": (heads * size, 2 * hidden),
        f"{attention}.k_proj.weight": (key_heads * size, 2 * hidden),
        f"{attention}.v_proj.weight": (key_heads * size, 2 * hidden),
        f"{attention}.o_proj.weight": (hidden, heads * size),
        f"{mlp}.gate_proj.weight": (inner, hidden),
        f"{mlp}.up_proj.weight": (inner, hidden),
        f"{mlp}.down_proj.weight": (hidden, inner),
        "norm.weight": (hidden,),
        "lm_head.weight": (drafts, hidden),
    }
