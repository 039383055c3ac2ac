"""Random heads for the tiny model, saved as trained ones are."""

from functools import cache

import torch

from ptgflow.contracts import ModelCard
from ptgflow.contracts.accelerators import Accelerate
from ptgflow.engine.canvas.adapter import MaskedNet
from ptgflow.engine.edit.policies.network import PolicyNet
from ptgflow.engine.heads.blockwise import BlockwiseNet
from ptgflow.engine.heads.config import Base, HeadConfig
from ptgflow.engine.heads.eagle import EagleNet
from ptgflow.engine.heads.gated_lora import GatedLoraNet
from ptgflow.engine.heads.hydra import HydraNet
from ptgflow.engine.heads.medusa import MedusaNet
from ptgflow.engine.models.model import load_model
from ptgflow.engine.oneshot.network import OneShotNet
from ptgflow.train.saving import save_heads

KINDS = ("medusa", "hydra", "blockwise", "gated_lora", "eagle")
DRAFTED = 120
VOCABULARY = torch.arange(3, 3 + 2 * DRAFTED, 2)

NETS = {
    "medusa": MedusaNet,
    "hydra": HydraNet,
    "blockwise": BlockwiseNet,
    "gated_lora": GatedLoraNet,
    "eagle": EagleNet,
    "masked": MaskedNet,
    "oneshot": OneShotNet,
    "levenshtein": PolicyNet,
}


def base_of(model):
    return Base(
        name=model.name,
        tokenizer=model.codec.fingerprint,
        parameters=model.parameters,
        hidden_size=model.hidden_size,
        vocab_size=model.vocab_size,
        layers=model.layers,
    )


def config_of(kind, model, **more):
    common = {"kind": kind, "base": base_of(model), "draft_vocab_size": DRAFTED}
    if kind == "blockwise":
        blockwise = {"heads": 3, "intermediate_size": 10, "own_output": False, "taps": (model.layers,)}
        return HeadConfig(**{**common, **blockwise, **more})
    if kind == "gated_lora":
        target = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4, "intermediate_size": 32}
        gated = {"heads": 3, "rank": 5, "own_output": False, "taps": ()}
        return HeadConfig(**{**common, **gated, **target, **more})
    if kind in ("masked", "oneshot"):
        target = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4, "intermediate_size": 32}
        masked = {"draft_vocab_size": model.vocab_size, "rank": 3, "block_length": 6, "own_output": False, "taps": ()}
        decoder = {"decoder": "argmax"} if kind == "oneshot" else {}
        return HeadConfig(**{**common, **masked, **decoder, **target, **more})
    if kind == "levenshtein":
        common |= {"draft_vocab_size": model.vocab_size, "taps": (1, model.layers), "own_output": False}
        return HeadConfig(**{**common, "width": 8, "most": 3, "reach": 2, "block_length": 8, **more})
    if kind in ("medusa", "hydra"):
        return HeadConfig(**{**common, "heads": 3, "layers": 2, "taps": (model.layers,), **more})
    eagle = {
        "taps": (0, 1, model.layers - 1),
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 4,
        "intermediate_size": 24,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100.0},
        "max_position_embeddings": 512,
    }
    return HeadConfig(**{**common, **eagle, **more})


def net_of(config):
    torch.manual_seed(0)
    net = NETS[config.kind](config)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return net.eval()


def saved(folder, kind, model, **more):
    config = config_of(kind, model, **more)
    save_heads(folder, config, net_of(config), VOCABULARY)
    return folder


def gated_states(heads, text):
    """The states of masks behind a text as the paper computes them: one sequence, adapters on for masks alone.

    It is written over transformers' modules, each of whose products is told where the masks begin.
    """
    decoder, one, start = modules(), heads.tensors, len(text)
    _gate(decoder, heads, start)
    with torch.no_grad():
        embedded = torch.cat((decoder.embed_tokens(torch.tensor(text)), one["masks"]))[None]
        return decoder(inputs_embeds=embedded, use_cache=False).last_hidden_state[0, start:]


def window_states(heads, text, window):
    """The states of text and places behind it in one sequence: text is causal, places see all, None is a hole."""
    decoder, one, start = modules(), heads.tensors, len(text)
    _gate(decoder, heads, start)
    size = start + len(window)
    seen = torch.ones(size, size, dtype=torch.bool).tril()
    seen[start:] = True
    with torch.no_grad():
        places = [one["masks"][0] if at is None else decoder.embed_tokens(torch.tensor(at)) for at in window]
        embedded = torch.cat((decoder.embed_tokens(torch.tensor(text)), torch.stack(places)))[None]
        return decoder(inputs_embeds=embedded, attention_mask=seen[None, None], use_cache=False).last_hidden_state[0]


def _gate(decoder, heads, start):
    one = heads.tensors
    for number, layer in enumerate(decoder.layers):
        for part in ("self_attn", "mlp"):
            for name, product in getattr(layer, part).named_children():
                if isinstance(product, torch.nn.Linear):
                    low, high = (one[f"layers.{number}.{part}.{name}.lora_{which}.weight"] for which in "AB")
                    product.forward = gated(product.weight, low, high, start)


@cache
def modules():
    card = ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32")
    return load_model(card, Accelerate(forward="transformers")).network.model


def gated(weight, low, high, start):
    def product(x):
        gate = (torch.arange(x.shape[1]) >= start)[:, None].float()
        return x @ weight.T + gate * 2.0 * (x @ low.T @ high.T)

    return product
