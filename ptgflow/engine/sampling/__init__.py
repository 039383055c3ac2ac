"""From the logits of a pass over many rows to distributions, tokens and scores."""

from ptgflow.engine.sampling.constraint import Constraint
from ptgflow.engine.sampling.draws import draw
from ptgflow.engine.sampling.history import History, unknown_tokens
from ptgflow.engine.sampling.places import Place
from ptgflow.engine.sampling.prediction import Prediction, predict

__all__ = ["Constraint", "History", "Place", "Prediction", "draw", "predict", "unknown_tokens"]
