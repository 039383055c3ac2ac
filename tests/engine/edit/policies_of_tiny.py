"""Random policies over random adapters of the tiny model."""

from functools import cache

import torch

from ptgflow.contracts import ModelCard
from ptgflow.engine.edit.policies.deciding import Policies
from ptgflow.engine.heads.head_weights import Heads
from ptgflow.engine.models.model import load_model
from tests.engine.heads_of_tiny import config_of, net_of

MODEL = load_model(ModelCard(name="tiny", source="tiny", device="cpu", dtype="float32"))


@cache
def heads(kind, **more):
    config = config_of(kind, MODEL, **more)
    return Heads(config, dict(net_of(config).state_dict()), torch.arange(MODEL.vocab_size))


def policies(**more):
    return Policies(heads("levenshtein", **more), heads("masked"), MODEL)
